"""STAC APIs: searched page by page, pixels read in parts through the one way out."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from shapely.errors import ShapelyError
from shapely.geometry import box, shape

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.schema.provenance import canonical_json
from agro.sources.imagery.protocol import Scene, SearchResult, rejection
from agro.sources.imagery.raster import as_classes, read_remote
from agro.sources.imagery.remote import Remote
from agro.sources.imagery.signing import StorageSigner, TokenSigner
from agro.sources.imagery.stac_item import items_in, scene_from_item
from agro.sources.net import Call, Signer, checked_url
from agro.sources.net.range_file import Purpose, RangeFile
from agro.sources.providers import provider

#: Items asked for at once.
PAGE = 100
#: More pages than a region's season can have.
MAX_PAGES = 200
#: A search is asked again after this time: scenes are added and reprocessed.
SEARCH_TTL_S = 3 * 3600.0


class StacApi:
    """One STAC API and one collection of it.

    Parameters
    ----------
    remote : Remote
    url : str, optional
        Another address of the API.
    collection : str, optional
        Another collection.
    max_cloud_pct : float
        Scenes cloudier than this, as a whole, are not asked for.
    """

    name = ""
    over_network = True

    def __init__(
        self, remote: Remote, url: str | None = None, collection: str | None = None, max_cloud_pct: float = 100.0
    ) -> None:
        known = provider(self.name)
        if not isinstance(max_cloud_pct, (int, float)) or not 0 <= max_cloud_pct <= 100:
            raise ConfigError(
                f"{max_cloud_pct!r} is not a share of cloud", where="imagery.options.max_cloud_pct", do="Give 0 to 100"
            )
        self.remote = remote
        self.url = checked_url(url or known.url, "imagery.options.url")
        self.collection = collection or known.collection or ""
        self.max_cloud_pct = float(max_cloud_pct)
        self.client = remote.network.client(self.name)
        self.signer: Signer | None = None

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes over the cells whose solar day is in the period.

        Raises
        ------
        SourceError
            The API cannot be searched.
        """
        rejected: list[dict[str, str]] = []
        scenes: dict[str, Scene] = {}
        cells = [box(*self.remote.cell_box(member)) for member in self.remote.cells.members]
        for item in self._items(start, end, rejected):
            name = str(item.get("id", "an item"))
            if not _over(item, cells):
                continue
            try:
                scene = scene_from_item(item, Path(), self.name)
            except SourceError as error:
                rejected.append(rejection(name, error.what, error.do or "The other scenes go on"))
                continue
            if scene.scene_id in scenes:
                if scenes[scene.scene_id] != scene:
                    rejected.append(rejection(name, "a second, different item of this id", "The first is used"))
                continue
            if start <= scene.date <= end:
                scenes[scene.scene_id] = scene
        return SearchResult.of(scenes.values(), rejected)

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`; nodata outside the cells."""
        file = RangeFile(self.client, scene.assets[band], self.signer, Purpose(f"{scene.date} {band}"))
        values = read_remote(file, grid, self.remote.cells.windows(grid), nodata=0)
        return as_classes(values) if band == "scl" else values

    def _items(self, start: date, end: date, rejected: list[dict[str, str]]) -> list[dict[str, Any]]:
        """Items of all pages; a link that leads back ends the search and is said."""
        # A day more on both sides: the solar day is not that of UTC.
        period = f"{start - timedelta(days=1)}T00:00:00Z/{end + timedelta(days=1)}T23:59:59Z"
        body: dict[str, Any] = {
            "collections": [self.collection], "bbox": list(self.remote.box()), "datetime": period, "limit": PAGE,
        }  # fmt: skip
        if self.max_cloud_pct < 100:
            body["query"] = {"eo:cloud_cover": {"lte": self.max_cloud_pct}}
        piece = f"search {start} .. {end}"
        constants = frozenset({self.collection})
        call = Call(f"{self.url}/search", "POST", body=body, ttl_s=SEARCH_TTL_S, piece=piece, constants=constants)
        found: list[dict[str, Any]] = []
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            seen.add(canonical_json([call.method, call.url, call.body]))
            document = self.client.fetch(call).json()
            if not isinstance(document, dict) or not isinstance(document.get("features"), list):
                raise SourceError(f"{self.name} gives no list of items", where=self.url, do="Check the address")
            found += items_in(document)
            following = _next(document, call)
            if following is None or not document["features"]:
                return found
            call = Call(
                following[1], following[0], body=following[2], ttl_s=SEARCH_TTL_S, piece=piece, constants=constants
            )
            wrong = ""
            if canonical_json([call.method, call.url, call.body]) in seen:
                wrong = "the link to the next page leads back"
            elif urlsplit(call.url).netloc != urlsplit(self.url).netloc:
                # The search holds the region's box: for no other eyes.
                wrong = "the link to the next page leads to another host"
            if wrong:
                rejected.append(rejection(f"{self.name} {piece}", wrong, "The pages before it are used"))
                return found
        rejected.append(rejection(f"{self.name} {piece}", f"more than {MAX_PAGES} pages", "Shorten the period"))
        return found


class EarthSearch(StacApi):
    """Earth Search: public COGs, no account."""

    name = "earth-search"


class PlanetaryComputer(StacApi):
    """Planetary Computer: COGs behind signed addresses, no account.

    Parameters
    ----------
    remote, url, collection, max_cloud_pct
        As :class:`StacApi`.
    signing_url : str, optional
        Another address of the signing service.
    """

    name = "planetary-computer"

    def __init__(
        self, remote: Remote, url: str | None = None, collection: str | None = None, max_cloud_pct: float = 100.0,
        signing_url: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(remote, url, collection, max_cloud_pct)
        told = signing_url or provider(self.name).signing_url or ""
        self.signer = TokenSigner(self.client, checked_url(told, "imagery.options.signing_url"), self.collection)


class CopernicusStac(StacApi):
    """Copernicus Data Space: JPEG 2000 in object storage, with own keys.

    Parameters
    ----------
    remote, url, collection, max_cloud_pct
        As :class:`StacApi`.
    storage_url : str, optional
        Another address of the storage.
    """

    name = "cdse-stac"

    def __init__(
        self, remote: Remote, url: str | None = None, collection: str | None = None, max_cloud_pct: float = 100.0,
        storage_url: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(remote, url, collection, max_cloud_pct)
        known = provider(self.name)
        endpoint = checked_url(storage_url or known.storage_url or "", "imagery.options.storage_url")
        # Offline nothing is signed, and what is kept needs no keys.
        self.signer = None if remote.network.offline else StorageSigner(endpoint, known.keys)


def _next(document: dict[str, Any], call: Call) -> tuple[str, str, Any] | None:
    """Method, address and body of the next page (STAC API, item search: paging)."""
    links = document.get("links")
    link = next((k for k in links if isinstance(k, dict) and k.get("rel") == "next"), None) if links else None
    if link is None or not link.get("href"):
        return None
    if str(link.get("method", "GET")).upper() != "POST":
        return "GET", str(link["href"]), None
    body = link.get("body") or {}
    return "POST", str(link["href"]), {**call.body, **body} if link.get("merge") and call.body else body


def _over(item: dict[str, Any], cells: list[Any]) -> bool:
    """Whether an item's outline meets a cell; one without an outline is taken."""
    try:
        outline = shape(item["geometry"])
        return any(outline.intersects(cell) for cell in cells)
    except (KeyError, TypeError, ValueError, AttributeError, ShapelyError):
        return True
