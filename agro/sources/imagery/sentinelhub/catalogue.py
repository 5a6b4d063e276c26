"""What was acquired when: products of the catalogue, gathered to acquisitions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sentinelhub import CRS, BBox, DataCollection, SentinelHubCatalog, SHConfig
from shapely.errors import ShapelyError
from shapely.geometry import box, shape
from shapely.geometry.base import BaseGeometry

from agro.schema.errors import SourceError
from agro.schema.provenance import digest_of
from agro.sources.imagery.names import Product, baseline_number, offset_of_baseline, product_in, solar_day
from agro.sources.imagery.protocol import Scene, rejection
from agro.sources.imagery.sentinelhub.account import Account
from agro.sources.imagery.sentinelhub.cost import CATALOGUE_PU, PAGE
from agro.sources.net import Call, Client, Estimate

#: Answers of the catalogue serve so long: new products come every day.
SEARCH_TTL_S = 3600.0
#: Pages of one search; more are a fault of the catalogue.
MAX_PAGES = 200
#: Products are taken to be sensed within so long of the moment that the catalogue says.
_MARGIN = timedelta(minutes=1)

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Found:
    """A product of the catalogue: one tile of one acquisition.

    Parameters
    ----------
    product_id : str
    moment : datetime
        Sensing time, UTC.
    outline : shapely geometry, optional
        Ground that it holds, in degrees; None when the catalogue does not say.
    platform : str
    name : Product, optional
        What its identifier says.
    """

    product_id: str
    moment: datetime
    outline: BaseGeometry | None
    platform: str
    name: Product | None

    @property
    def acquisition(self) -> str:
        """What tells acquisitions apart."""
        return self.name.datatake if self.name else f"{self.platform or 'S2'}_{self.moment:%Y%m%d}"


@dataclass(frozen=True)
class Acquisition(Scene):
    """Products of one pass, which the provider joins into one picture.

    Parameters
    ----------
    begins, ends : str
        UTC times between which its products were sensed, as the provider takes them.
    harmonised : bool
        The provider removes the offset (products on both sides of baseline 04.00, or unknown).
    products : tuple of (str, geometry or None)
        Identifiers and outlines in degrees.
    """

    begins: str = ""
    ends: str = ""
    harmonised: bool = False
    products: tuple[tuple[str, BaseGeometry | None], ...] = ()

    def over(self, bounds: Box) -> tuple[str, ...]:
        """Identifiers of the products that may hold pixels of a box (west, south, east, north in degrees)."""
        square = box(*bounds)
        return tuple(name for name, outline in self.products if outline is None or outline.intersects(square))


class Catalogue:
    """The Catalog API.

    Parameters
    ----------
    config : SHConfig
    collection : DataCollection
    client : Client
    account : Account, optional
        None offline.
    """

    def __init__(self, config: SHConfig, collection: DataCollection, client: Client, account: Account | None) -> None:
        self._api = SentinelHubCatalog(config=config)
        self._collection = collection
        self._client = client
        self._account = account

    def products(
        self, bounds: Box, start: date, end: date, max_cloud_frac: float
    ) -> tuple[list[Found], list[dict[str, str]]]:
        """Products of solar days ``start`` .. ``end`` over a box, and rows of table ``rejected``.

        Each product once, in the order of time. A catalogue whose pages go in a circle is left where it turns, and that is
        said.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`agro.sources.net.Client.fetch`.
        """
        west, _, east, _ = bounds
        search = self._api.search(
            self._collection,
            time=(_utc(start, east), _utc(end + timedelta(days=1), west)),
            bbox=BBox(bounds, CRS.WGS84),
            filter=f"eo:cloud_cover <= {max_cloud_frac * 100:g}" if max_cloud_frac < 1 else None,
            fields={"include": [], "exclude": ["assets", "links"]},
            limit=PAGE,
        )
        found: dict[str, Found] = {}
        rejected: list[dict[str, str]] = []
        tokens: set[str] = set()
        token: Any = None
        for number in range(MAX_PAGES):
            body = {**search.params, **({} if token is None else {"next": token})}
            page = self._page(search.url, body, f"catalogue {start}..{end} page {number + 1}")
            fresh = 0
            for item in page["features"]:
                try:
                    product = _product(item)
                except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                    name = item.get("id") if isinstance(item, dict) else None
                    rejected.append(
                        rejection(
                            str(name or "item"), f"not a product of the catalogue ({error!r})", "The others are used"
                        )
                    )
                    continue
                fresh += product.product_id not in found
                found.setdefault(product.product_id, product)
            token = _next(page)
            if token is None:
                break
            circle = str(token) in tokens or (page["features"] and not fresh)
            tokens.add(str(token))
            if circle or number == MAX_PAGES - 1:
                what = "pages of the catalogue go in a circle" if circle else f"more than {MAX_PAGES} pages"
                rejected.append(
                    rejection(
                        f"{start}..{end}", f"{what}: products may be missing", "Run it again; ask for a shorter period"
                    )
                )
                break
        kept = [p for p in found.values() if start <= solar_day(p.moment, (west + east) / 2) <= end]
        return sorted(kept, key=lambda p: (p.moment, p.product_id)), rejected

    def _page(self, url: str, body: Mapping[str, Any], piece: str) -> dict[str, Any]:
        call = Call(
            url, method="POST", body=body, ttl_s=SEARCH_TTL_S, signer=self._account.sign if self._account else None,
            estimate=Estimate(1, CATALOGUE_PU, 0.2), piece=piece, check=_page_fault,
            constants=frozenset({self._collection.catalog_id, "cql2-text", "assets", "links"}),
        )  # fmt: skip
        page: dict[str, Any] = self._client.fetch(call).json()
        return page


def acquisitions(products: Iterable[Found], provider: str, bands: Iterable[str], longitude: float) -> list[Acquisition]:
    """Products of one pass as one scene.

    The numbers are asked for as they are in the files, and the offset is that of the products' baseline. Where products on
    both sides of 04.00 meet in one pass, or one does not say its baseline, the picture could hold both kinds: then the
    provider is asked to remove the offset, and it is 0.

    Parameters
    ----------
    products : iterable of Found
    provider : str
        Name of the source.
    bands : iterable of str
        Offered, the classification among them.
    longitude : float
        Of the region, for the solar day.
    """
    groups: dict[str, list[Found]] = {}
    for product in products:
        groups.setdefault(product.acquisition, []).append(product)
    out = []
    for key, members in groups.items():
        names = [m.name for m in members if m.name]
        baselines = sorted({name.baseline for name in names}, key=lambda text: baseline_number(text) or 0.0)
        offsets = {offset_of_baseline(m.name.baseline if m.name else None) for m in members}
        harmonised = len(offsets) > 1 or None in offsets
        tiles = sorted({m.product_id: m.outline for m in members}.items(), key=lambda tile: tile[0])
        first, last = min(m.moment for m in members), max(m.moment for m in members)
        out.append(
            Acquisition(
                # The products are part of the name: a tile that comes late makes another scene.
                scene_id=f"{key}_{digest_of([name for name, _ in tiles])[:8]}",
                date=solar_day(first, longitude),
                provider=provider,
                assets={band: band for band in bands},
                processing_baseline=baselines[-1] if baselines else None,
                relative_orbit=names[0].relative_orbit if names else None,
                offset=0.0 if harmonised else offsets.pop(),
                datatake=key,
                note="offset removed by the provider: baselines differ or are not said" if harmonised else "",
                begins=_text(first - _MARGIN),
                ends=_text(last + _MARGIN),
                harmonised=harmonised,
                products=tuple(tiles),
            )
        )
    return sorted(out, key=lambda scene: (scene.date, scene.scene_id))


def _product(item: Mapping[str, Any]) -> Found:
    moment = datetime.fromisoformat(str(item["properties"]["datetime"]).replace("Z", "+00:00")).replace(tzinfo=None)
    return Found(
        str(item["id"]), moment, _outline(item), str(item["properties"].get("platform", "")), product_in(str(item["id"]))
    )  # fmt: skip


def _outline(item: Mapping[str, Any]) -> BaseGeometry | None:
    """Ground of a product; its box when the outline is none, None when neither is."""
    for make in (lambda: shape(item["geometry"]), lambda: box(*_edges(item["bbox"]))):
        try:
            outline: BaseGeometry = make()
            if outline.is_valid and not outline.is_empty:
                return outline
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ShapelyError):
            continue
    return None


def _edges(numbers: Any) -> Box:
    west, south, east, north = (float(edge) for edge in numbers)
    return west, south, east, north


def _page_fault(content: bytes) -> str:
    page = json.loads(content)
    if not isinstance(page, dict) or not isinstance(page.get("features"), list):
        return "no list of features in the catalogue's answer"
    return ""


def _next(page: Mapping[str, Any]) -> Any:
    """The token of the next page; None at the end."""
    context = page.get("context")
    token = context.get("next") if isinstance(context, dict) else None
    if token is None:
        for link in page.get("links") or []:
            if isinstance(link, dict) and link.get("rel") == "next" and isinstance(link.get("body"), dict):
                token = link["body"].get("next")
    if token is not None and not isinstance(token, (str, int)):
        raise SourceError("a token of the catalogue that is none", where="catalogue", do="Run it again", transient=True)
    return token


def _utc(day: date, longitude: float) -> datetime:
    """Beginning of a solar day at a longitude."""
    return datetime.combine(day, time()) - timedelta(hours=longitude / 15)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
