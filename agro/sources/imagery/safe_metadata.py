"""What the metadata of a Sentinel-2 L2A product says (ESA, Sentinel-2 Products Specification Document)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from pyproj import Transformer
from pyproj.exceptions import ProjError

from agro.schema.bands import SENTINEL2_COMMON_NAMES
from agro.schema.errors import SourceError
from agro.sources.imagery.names import common_name, offset_of_baseline, product_in, resolution_in, solar_day
from agro.sources.imagery.safe_product import SafeProduct, is_inside

#: Numbers that stand for no measurement, as the products state them.
NODATA_DN, SATURATED_DN = 0, 65535
#: Order of the bands in ``band_id``.
_BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
#: Of image files, the faster to read first; a few real products are delivered as GeoTIFF.
_SUFFIXES = (".tif", ".jp2")
#: Edge of a tile in metres.
_TILE_M = 109_800
_TILE = re.compile(r"_T(\d{2}[A-Z]{3})(?:_|$)")
_ID = re.compile(r"[A-Za-z0-9_.-]+")
_AGAIN = "Fetch the product again"


@dataclass(frozen=True)
class SafeMetadata:
    """Metadata of one product.

    Parameters
    ----------
    product_id : str
        Name of the product without ``.SAFE``, as the metadata states it.
    started_at : datetime.datetime
        Start of sensing of the datatake, UTC.
    date : datetime.date
        Local solar day at the middle of the tile.
    processing_baseline, datatake, tile : str
    relative_orbit : int
    offset : float or None
        Of the bands, in digital numbers; None when nothing tells.
    scale : float
        Reflectance of one digital number.
    bands : dict of str to str
        Common name, or ``"scl"``, -> file at the finest resolution that is there.
    lacking : tuple of str
        Files at the finest resolution listed that are not there.
    notes : tuple of str
        What is to be said.
    metadata_files : tuple of str
        The files that this comes from.
    """

    product_id: str
    started_at: datetime
    date: date
    processing_baseline: str
    datatake: str
    tile: str
    relative_orbit: int
    offset: float | None
    scale: float
    bands: dict[str, str]
    lacking: tuple[str, ...]
    notes: tuple[str, ...]
    metadata_files: tuple[str, ...]


def read_metadata(product: SafeProduct) -> SafeMetadata:
    """Metadata of a product.

    Raises
    ------
    SourceError
        Level-1C, a file or an entry is missing or contradicts another, several tiles, no band or no scene
        classification.
    """
    if product.level == "L1C":
        raise SourceError("Level-1C is reflectance at the top of the atmosphere", do="Fetch the Level-2A product")
    top = product.xml("MTD_MSIL2A.xml")
    info = _required(top, "{*}General_Info/Product_Info")
    listed = [_text(e) for e in info.iterfind(".//IMAGE_FILE")]
    granule = _granule(listed)
    tile_file = f"{granule}/MTD_TL.xml"
    tile = product.xml(tile_file)
    product_id = _said(info, "PRODUCT_URI").removesuffix(".SAFE")
    if not _ID.fullmatch(product_id):
        raise SourceError(f"PRODUCT_URI {product_id!r} is not the name of a product", do=_AGAIN)
    baseline = _said(info, "PROCESSING_BASELINE")
    orbit = _number(info, "Datatake/SENSING_ORBIT_NUMBER")
    found_tile = _TILE.search(_said(tile, "{*}General_Info/TILE_ID"))
    if not found_tile:
        raise SourceError("TILE_ID names no tile", where=tile_file, do=_AGAIN)
    datatake = _required(info, "Datatake").get("datatakeIdentifier")
    if not datatake:
        raise SourceError("datatakeIdentifier is missing in the metadata", do=_AGAIN)
    started = _moment(info, "PRODUCT_START_TIME")
    bands, lacking, coarser = _files(listed, product)
    differences = _differences(product.name, started, baseline, int(orbit), found_tile.group(1))
    offset, note = _offset(top, set(bands), baseline)
    return SafeMetadata(
        product_id=product_id,
        started_at=started,
        date=solar_day(_moment(tile, "{*}General_Info/SENSING_TIME"), _longitude(tile)),
        processing_baseline=baseline,
        datatake=datatake,
        tile=found_tile.group(1),
        relative_orbit=int(orbit),
        offset=offset,
        scale=_scale(top),
        bands=bands,
        lacking=lacking,
        notes=(*differences, *filter(None, [note, coarser])),
        metadata_files=("MTD_MSIL2A.xml", tile_file),
    )


def _granule(listed: list[str]) -> str:
    """Folder of the only granule."""
    if not listed or not all(is_inside(name) and name.startswith("GRANULE/") for name in listed):
        raise SourceError("MTD_MSIL2A.xml lists no image files below GRANULE", do=_AGAIN)
    granules = {"/".join(PurePosixPath(name).parts[:2]) for name in listed}
    if len(granules) > 1:
        raise SourceError(f"the product holds {len(granules)} tiles", do="Fetch products of a single tile")
    return granules.pop()


def _files(listed: list[str], product: SafeProduct) -> tuple[dict[str, str], tuple[str, ...], str]:
    """Finest file of each band that is there; what is listed and lacks; what stands in for it."""
    by_band: dict[str, list[tuple[int, str]]] = {}
    for name in listed:
        stem = PurePosixPath(name).name
        band, step = common_name(stem), resolution_in(stem)
        if band is not None and step is not None:
            # The list has no suffixes. A GeoTIFF beside the JPEG 2000 file is one converted for speed.
            file = next((name + s for s in _SUFFIXES if name + s in product.names), name + _SUFFIXES[-1])
            by_band.setdefault(band, []).append((step, file))
    bands: dict[str, str] = {}
    lacking: list[str] = []
    coarser: list[str] = []
    for band, files in sorted(by_band.items()):
        finest, *others = sorted(files)
        if finest[1] in product.names:
            bands[band] = finest[1]
            continue
        lacking.append(PurePosixPath(finest[1]).name)
        instead = next((name for _, name in others if name in product.names), None)
        if instead is not None:
            bands[band] = instead
            coarser.append(f"{PurePosixPath(instead).name} read in place of a finer file")
    if "scl" not in bands:
        raise SourceError("the scene classification (SCL) is missing", do=f"{_AGAIN}, with its R20m folder")
    if len(bands) == 1:
        raise SourceError("no band is there", do=f"{_AGAIN}, with its IMG_DATA folder")
    return bands, tuple(lacking), "; ".join(coarser)


def _offset(top: Element, bands: set[str], baseline: str) -> tuple[float | None, str]:
    """Offset in digital numbers, and a note where it was not plainly stated."""
    stated: dict[str, float] = {}
    for entry in top.iterfind(".//BOA_ADD_OFFSET"):
        number = entry.get("band_id", "")
        if not number.isdecimal() or int(number) >= len(_BANDS):
            raise SourceError(f"BOA_ADD_OFFSET of an unknown band {number!r}", do=_AGAIN)
        common = SENTINEL2_COMMON_NAMES.get(_BANDS[int(number)])
        if common in bands:
            stated[common] = _finite(_text(entry), "BOA_ADD_OFFSET")
    if not stated:
        offset = offset_of_baseline(baseline)
        if offset == 0.0:
            return offset, ""  # products before 04.00 have no such list
        return offset, "the metadata states no BOA_ADD_OFFSET: offset from the processing baseline"
    without = bands - {"scl"} - set(stated)
    if without or len(set(stated.values())) > 1:
        raise SourceError("BOA_ADD_OFFSET is lacking for a band or differs between bands", do=_AGAIN)
    return stated.popitem()[1], ""


def _scale(top: Element) -> float:
    for entry in top.iterfind(".//Special_Values"):
        meaning, number = _said(entry, "SPECIAL_VALUE_TEXT"), _number(entry, "SPECIAL_VALUE_INDEX")
        expected = {"NODATA": NODATA_DN, "SATURATED": SATURATED_DN}.get(meaning)
        if expected is not None and number != expected:
            raise SourceError(f"{meaning} is {number:g}, not {expected}", do=_AGAIN)
    quantification = _finite(_text(_required(top, ".//BOA_QUANTIFICATION_VALUE")), "BOA_QUANTIFICATION_VALUE")
    if quantification <= 0:
        raise SourceError("BOA_QUANTIFICATION_VALUE is not above zero", do=_AGAIN)
    return 1 / quantification


def _longitude(tile: Element) -> float:
    """Middle of the tile, degrees east."""
    place = _required(tile, "{*}Geometric_Info/Tile_Geocoding")
    corner = _required(place, "Geoposition")
    middle = _number(corner, "ULX") + _TILE_M / 2, _number(corner, "ULY") - _TILE_M / 2
    code = _said(place, "HORIZONTAL_CS_CODE")
    try:
        longitude = float(Transformer.from_crs(code, "EPSG:4326", always_xy=True).transform(*middle)[0])
    except ProjError as error:
        raise SourceError(f"no such CRS: {code}", where="MTD_TL.xml", do=_AGAIN) from error
    return longitude


def _differences(name: str, started: datetime, baseline: str, orbit: int, tile: str) -> list[str]:
    """Where the name on disk and the metadata disagree."""
    named = product_in(name)
    if named is None:
        return []
    pairs = [
        ("time of sensing", named.sensed, f"{started:%Y%m%dT%H%M%S}"),
        ("baseline", named.baseline, baseline),
        ("relative orbit", str(named.relative_orbit), str(orbit)),
        ("tile", named.tile, tile),
    ]
    return [
        f"the file name says {what} {said}, the metadata {stated}: the metadata is taken"
        for what, said, stated in pairs
        if said != stated
    ]


def _required(element: Element, path: str) -> Element:
    found = element.find(path)
    if found is None:
        raise SourceError(f"{path.rpartition('/')[2]} is missing in the metadata", do=_AGAIN)
    return found


def _text(element: Element) -> str:
    return (element.text or "").strip()


def _said(element: Element, path: str) -> str:
    text = _text(_required(element, path))
    if not text:
        raise SourceError(f"{path.rpartition('/')[2]} is empty in the metadata", do=_AGAIN)
    return text


def _number(element: Element, path: str) -> float:
    return _finite(_said(element, path), path.rpartition("/")[2])


def _finite(text: str, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SourceError(f"{what} {text!r} is not a number", do=_AGAIN)
    return value


def _moment(element: Element, path: str) -> datetime:
    text = _said(element, path)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise SourceError(f"{path.rpartition('/')[2]} {text!r} is not a time", do=_AGAIN) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
