"""Maps of SoilGrids 2.0 over HTTP: which tiles of a layer hold a box, and their values at pixels.

A layer is a VRT beside a folder of GeoTIFF tiles of 450 x 450 pixels (112 km) in the Homolosine projection (ISRIC, FAQ
SoilGrids, https://docs.isric.org/globaldata/soilgrids/). Whole tiles are fetched and kept, so all that the provider
learns is a tile, and regions share them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from agro.schema.errors import SourceError
from agro.sources.net import Call, Client, Estimate

#: Homolosine as the maps have it.
CRS = "+proj=igh +lat_0=0 +lon_0=0 +datum=WGS84 +units=m +no_defs"
#: Side of a pixel; edges of all layers are multiples of it.
PIXEL_M = 250.0
DEPTHS = ("0-5", "5-15", "15-30", "30-60", "60-100", "100-200")
#: Kept so long: the maps change with a release, every few years.
TTL_S = 365 * 86400.0
_NODATA = -32768
#: Side of a tile, and what a tile (not compressed) and a list of the world's tiles of a property weigh, about.
TILE_M = 450 * PIXEL_M
TILE_MB, LIST_MB = 0.41, 6.0
_TILE_NAME = re.compile(r"(?:\./)?(?P<layer>[A-Za-z0-9_.-]+)/(?P<rest>(?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+\.tif)")


@dataclass(frozen=True)
class Pixels:
    """Pixels of the common lattice: column counts eastward and row northward from the origin of the projection."""

    columns: np.ndarray
    rows: np.ndarray

    @property
    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """(x, y) of the centres in the projection, m."""
        return (self.columns + 0.5) * PIXEL_M, (self.rows + 0.5) * PIXEL_M


class SoilGridsMaps:
    """Values of layers at pixels.

    Parameters
    ----------
    client : Client
    url : str
        Folder of the properties.
    box : tuple of float
        (west, south, east, north) in degrees, rounded: the tiles that hold it are fetched.
    parcels : tuple of str
        For the ledger.
    """

    def __init__(
        self, client: Client, url: str, box: tuple[float, float, float, float], parcels: tuple[str, ...] = ()
    ) -> None:
        self._client = client
        self._url = url
        self._bounds = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform_bounds(*box, densify_pts=21)
        self._parcels = parcels
        self._lists: dict[str, list[str]] = {}

    def values(self, name: str, depth: str, statistic: str, pixels: Pixels) -> np.ndarray:
        """Numbers of a layer as they are stored.

        Parameters
        ----------
        name : str
            Property: ``clay``, ``wv0033`` ...
        depth : str
            One of `DEPTHS`, cm.
        statistic : str
            ``mean``, ``Q0.05``, ``Q0.5`` or ``Q0.95``.
        pixels : Pixels

        Returns
        -------
        numpy.ndarray
            float64, NaN where the map has none: water, ice, towns.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`Client.fetch`; permanent when there is no such layer.
        """
        layer = f"{name}_{depth}cm_{statistic}"
        # Layers of a property are cut alike, and a list takes megabytes: the first one's serves all.
        first = f"{name}_{DEPTHS[0]}cm_mean"
        try:
            return self._sampled(name, layer, self._list(name, first), pixels)
        except SourceError as error:
            if error.transient or layer == first:
                raise
        return self._sampled(name, layer, self._list(name, layer), pixels)

    def _sampled(self, name: str, layer: str, tiles: list[str], pixels: Pixels) -> np.ndarray:
        x, y = pixels.centres
        out = np.full(x.shape, np.nan)
        covered = np.zeros(x.shape, bool)
        # Finest first: a few tiles are published much coarser and overlap others.
        for _, values, inside in sorted(
            (self._tile(f"{self._url}/{name}/{layer}/{rest}", layer, x, y) for rest in tiles), key=lambda tile: tile[0]
        ):
            new = inside & ~covered
            out[new] = values[new]
            covered |= inside
        return out

    def _tile(self, url: str, layer: str, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Side of its pixels (m), its values at points, and which points lie in it."""
        call = Call(
            url, expects="bytes", ttl_s=TTL_S, estimate=Estimate(1, 0.0, TILE_MB), piece=layer.replace("_", " "),
            parcels=self._parcels, check=lambda body: "" if body[:4] in _TIFF else "no TIFF",
        )  # fmt: skip
        for last in (False, True):
            content = self._client.fetch(call).content
            try:
                return _read(content, x, y)
            except (RasterioError, SourceError) as error:
                # Damaged on the way, or at the provider: fetched once more to tell.
                self._client.forget(call)
                if last:
                    raise SourceError(
                        f"a tile is damaged, also when fetched again ({error})", where=url, do="Try again later",
                        transient=True,
                    ) from error  # fmt: skip
        raise AssertionError("unreachable")

    def _list(self, name: str, layer: str) -> list[str]:
        if layer not in self._lists:
            url = f"{self._url}/{name}/{layer}.vrt"
            call = Call(
                url, expects="bytes", ttl_s=TTL_S, estimate=Estimate(1, 0.0, LIST_MB), piece=f"tiles of {name}",
                parcels=self._parcels, check=lambda body: "" if b"<VRTDataset" in body[:500] else "no list of tiles",
            )  # fmt: skip
            try:
                self._lists[layer] = list(_tiles_under(self._client.fetch(call).content, self._bounds, layer, url))
            except SourceError:
                self._client.forget(call)
                raise
        return self._lists[layer]


_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")


def _tiles_under(document: bytes, bounds: tuple[float, float, float, float], layer: str, url: str) -> Iterator[str]:
    """Names of the tiles of a VRT that touch bounds, below the layer's folder."""
    # Entities could be made to fill the memory; GDAL writes none.
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise SourceError("the list of tiles has a document type", where=url, do="Use another soil source")
    try:
        root = ElementTree.fromstring(document)
        if "homolosine" not in (root.findtext("SRS") or "").lower():
            raise ValueError("not in the Homolosine projection")
        left, dx, _, top, _, dy = (float(text) for text in (root.findtext("GeoTransform") or "").split(","))
        if not dx > 0 > dy:
            raise ValueError("pixels of the wrong side")
        for source in root.iter():
            if source.tag not in ("SimpleSource", "ComplexSource"):
                continue
            place = source.find("DstRect")
            if place is None:
                raise ValueError("a tile without a place")
            column, row, width, height = (float(place.attrib[key]) for key in ("xOff", "yOff", "xSize", "ySize"))
            west, north = left + column * dx, top + row * dy
            if west >= bounds[2] or west + width * dx <= bounds[0]:
                continue
            if north <= bounds[1] or north + height * dy >= bounds[3]:
                continue
            name = _TILE_NAME.fullmatch((source.findtext("SourceFilename") or "").strip())
            # A name that leads elsewhere is not followed.
            if name is None or name["layer"] != layer:
                raise ValueError("a tile outside the layer's folder")
            yield name["rest"]
    except (ElementTree.ParseError, ValueError, KeyError) as error:
        raise SourceError(f"the list of tiles cannot be read ({error})", where=url, do="Try again later") from error


def _read(content: bytes, x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    with MemoryFile(content) as memory, memory.open() as dataset:
        step = dataset.transform
        if step.b or step.d or not (step.a >= PIXEL_M * 0.99 and step.e <= -PIXEL_M * 0.99):
            raise SourceError("the tile does not say where it lies", do="Try again later")
        columns = np.floor((x - step.c) / step.a).astype(int)
        rows = np.floor((y - step.f) / step.e).astype(int)
        inside = (columns >= 0) & (columns < dataset.width) & (rows >= 0) & (rows < dataset.height)
        values = np.full(x.shape, np.nan)
        if inside.any():
            band = dataset.read(1)
            found = band[rows[inside], columns[inside]].astype("float64")
            missing = _NODATA if dataset.nodata is None else dataset.nodata
            found[found == missing] = np.nan
            values[inside] = found
        return float(step.a), values, inside
