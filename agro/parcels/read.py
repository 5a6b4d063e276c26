"""Field boundaries from any vector file to the ``parcels`` table."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from agro.parcels.repair import outline_digest, repair_outline
from agro.schema.errors import AgroError, ConfigError, ContractError, NoDataError
from agro.schema.region import ParcelsSource
from agro.schema.tables import IRRIGATION_SYSTEMS, TABLES, empty, validate

#: Smallest and largest area of a parcel, m2.
MIN_AREA_M2 = 100.0
MAX_AREA_M2 = 2.0e7
#: Two outlines that share more than this of their union are the same parcel drawn twice.
SAME_FRAC = 0.9
#: Words people use for the systems.
SYSTEM_WORDS = {
    "drip": "drip", "goutte a goutte": "drip", "localisee": "drip", "micro irrigation": "drip",
    "sprinkler": "sprinkler", "aspersion": "sprinkler", "pivot": "sprinkler", "surface": "surface",
    "gravitaire": "surface", "gravity": "surface", "flood": "surface", "furrow": "surface", "submersion": "surface",
    "rainfed": "rainfed", "bour": "rainfed", "pluvial": "rainfed", "none": "rainfed",
}  # fmt: skip
#: An outline this far outside the area that its CRS is meant for is in another CRS. One UTM zone's width: whole
#: countries are often kept in one zone.
FAR_DEG = 6.0
#: Sowing dates are plausible within these years.
YEARS = (1950, 2100)
_ISO_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([T ].*)?$")
_MISFIT = "agro:outside_crs"
_OPTIONAL = ("name", "sowing_date", "flow_m3_h", "efficiency_frac", "cooperative", "sector", "owner_ref")


_TEXTS = ("name", "cooperative", "sector", "owner_ref")


@dataclass(frozen=True)
class ParcelSet:
    """Parcels that can be worked with (EPSG:4326, table ``parcels``) and those that cannot (``rejected``)."""

    parcels: gpd.GeoDataFrame
    rejected: pd.DataFrame


def read_parcels(source: ParcelsSource, folder: Path, known_crops: Collection[str]) -> ParcelSet:
    """Read, repair and check parcels.

    Parameters
    ----------
    source : ParcelsSource
        File, CRS when the file is silent, column and crop names, defaults.
    folder : Path
        A relative path starts here.
    known_crops : collection of str
        Keys of the crop table.

    Returns
    -------
    ParcelSet
        Sorted by ``parcel_uid``. A parcel with no id gets one from its outline.

    Raises
    ------
    ConfigError
        No such file, unknown format, no CRS, a CRS that the coordinates contradict, a column that is absent.
    NoDataError
        The file holds no parcel.
    """
    path = (folder / source.path).resolve()
    _check_settings(source)
    frame = _in_degrees(_read_file(path, source), path)
    if not len(frame):
        raise NoDataError("the file holds no parcel", where=str(path), do="Check that it is the right file")
    absent = [column for column in source.columns.values() if column not in frame.columns]
    if absent:
        raise ConfigError(
            f"no column {', '.join(absent)}",
            where=str(path),
            do=f"It has: {', '.join(map(str, frame.columns.drop('geometry')))}",
        )
    accepted: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    uids: set[str] = set()
    for number, row in enumerate(frame.to_dict("records"), start=1):
        named = row.get(source.columns.get("parcel_uid", "parcel_uid"))
        item = f"{path.name} row {number}" if _blank(named) else f"parcel {named}"
        if row.get(_MISFIT):
            rejected.append(
                _reject(
                    item,
                    "its coordinates do not fit the CRS of the file",
                    "Draw the parcel again, or correct its coordinates",
                )
            )
            continue
        outline = repair_outline(row["geometry"])
        if outline.geometry is None:
            rejected.append(_reject(item, outline.reason, outline.remedy))
            continue
        digest = outline_digest(outline.geometry)
        if digest in seen:
            rejected.append(_reject(item, f"same outline as {seen[digest]}", "Remove one of the two"))
            continue
        try:
            record = _record(row, source, known_crops, digest)
        except ContractError as error:
            rejected.append(_reject(item, error.what, error.do))
            continue
        if record["parcel_uid"] in uids:
            rejected.append(
                _reject(
                    item, f"the id {record['parcel_uid']} is taken by an earlier row", "Give each parcel its own id"
                )
            )
            continue
        seen[digest] = item
        uids.add(record["parcel_uid"])
        accepted.append(
            {**record, "agro:repaired": outline.done, "agro:geometry_digest": digest, "geometry": outline.geometry}
        )
    table = _measured(accepted, rejected)
    return ParcelSet(table, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def _check_settings(source: ParcelsSource) -> None:
    """Refuse names that would be silently ignored."""
    known = ("parcel_uid", "crop", "irrigation", *_OPTIONAL)
    for setting, names in (("columns", source.columns), ("defaults", source.defaults)):
        unknown = sorted(set(names) - set(known))
        if unknown:
            raise ConfigError(
                f"unknown {', '.join(unknown)}", where=f"parcels.{setting}", do=f"Known: {', '.join(known)}"
            )


def _reject(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "parcels", "item": item, "reason": reason, "remedy": remedy}


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NaT or not str(value).strip()


def _text(value: Any) -> str:
    """A cell as text; 12.0, a whole number that a file with gaps keeps as a float, is 12."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _plain(word: str) -> str:
    """Lower case, without accents, hyphens or underscores."""
    flat = unicodedata.normalize("NFKD", word.lower().replace("œ", "oe"))
    return " ".join(
        "".join(c for c in flat if not unicodedata.combining(c)).replace("-", " ").replace("_", " ").split()
    )


def _sowing_date(value: Any) -> pd.Timestamp:
    """A date from a date, or from text that can be read in one way only (ISO 8601)."""
    if isinstance(value, str) and not _ISO_DATE.match(value.strip()):
        raise ValueError("not ISO 8601")
    if not isinstance(value, (str, date, np.datetime64)):
        raise TypeError("a number is no date")
    day = pd.Timestamp(value).tz_localize(None).normalize()
    if not YEARS[0] <= day.year <= YEARS[1]:
        raise ValueError(f"not within {YEARS[0]} .. {YEARS[1]}")
    return day


def _read_file(path: Path, source: ParcelsSource) -> gpd.GeoDataFrame:
    if not path.exists():
        raise ConfigError("no such file", where=str(path), do="Correct the path of the parcels")
    if path.is_file() and path.stat().st_size == 0:
        raise NoDataError("the file is empty", where=str(path), do="Check that it is the right file")
    suffix = path.suffix.lower()
    try:
        if suffix in {".parquet", ".geoparquet"}:
            frame = gpd.read_parquet(path)
        elif suffix == ".csv":
            frame = _read_csv(path)
        elif suffix in {".geojson", ".json"}:
            frame = _read_geojson(path, source.crs)
        else:
            frame = _read_layers(path, source.layer)
    except AgroError:
        raise
    except Exception as error:  # each driver raises its own kinds
        raise ConfigError(
            f"cannot be read as field boundaries ({' '.join(str(error).split())[:120]})", where=str(path),
            do="Give GeoParquet, GeoPackage, GeoJSON, Shapefile, KML, or CSV with a wkt column",
        ) from error  # fmt: skip
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ConfigError("the file has no outlines", where=str(path), do="Choose a layer with polygons")
    frame = _with_crs(frame, source.crs, path)
    return frame.rename_geometry("geometry") if frame.geometry.name != "geometry" else frame


def _with_crs(frame: gpd.GeoDataFrame, said: str | None, path: Path) -> gpd.GeoDataFrame:
    """The frame with the CRS of the file, or the one said for it where the file is silent."""
    if said is None:
        if frame.crs is None:
            raise ConfigError(
                "the file states no CRS", where=str(path), do="Say it: parcels.crs, e.g. EPSG:4326 or EPSG:26191"
            )
        return frame
    try:
        crs = CRS.from_user_input(said)
    except CRSError as error:
        raise ConfigError(f"unknown CRS {said!r}", where="parcels.crs", do="Give it like EPSG:32629") from error
    if frame.crs is None:
        return frame.set_crs(crs)
    if not frame.crs.equals(crs, ignore_axis_order=True):
        raise ConfigError(
            f"the file states {_short(frame.crs)}, but parcels.crs says {said}", where=str(path),
            do="Remove parcels.crs; or, if the file is wrong, correct it there (ogr2ogr -a_srs)",
        )  # fmt: skip
    return frame


def _short(crs: CRS) -> str:
    authority = crs.to_authority()
    return ":".join(authority) if authority else crs.name


def _read_layers(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """One layer by pyogrio; the folders of a KML are read together."""
    found = pyogrio.list_layers(path)
    names = [str(name) for name, kind in found if kind is not None]
    if layer is not None and layer not in names:
        raise ConfigError(
            f"no layer {layer!r} with outlines", where=str(path), do=f"It has: {', '.join(names) or 'none'}"
        )
    if layer is None and len(names) > 1 and path.suffix.lower() not in {".kml", ".kmz"}:
        raise ConfigError("several layers", where=str(path), do=f"Set parcels.layer to one of: {', '.join(names)}")
    if not names:
        raise ConfigError("the file has no outlines", where=str(path), do="Choose a file with polygons")
    parts = [gpd.read_file(path, layer=name, engine="pyogrio") for name in ([layer] if layer else names)]
    if path.suffix.lower() in {".kml", ".kmz"}:
        parts = [part.rename(columns={"Name": "name"}) for part in parts]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _read_csv(path: Path) -> gpd.GeoDataFrame:
    table = pd.read_csv(path, dtype=str, encoding="utf-8-sig", sep=None, engine="python")
    column = next((c for c in table.columns if c.strip().lower() in {"wkt", "geometry", "geom", "the_geom"}), None)
    if column is None:
        raise ConfigError("no column wkt", where=str(path), do=f"It has: {', '.join(table.columns)}")
    shapes = shapely.from_wkt(table[column].fillna("").to_numpy(dtype=object), on_invalid="ignore")
    return gpd.GeoDataFrame(table.drop(columns=column), geometry=shapes)


def _read_geojson(path: Path, said: str | None) -> gpd.GeoDataFrame:
    """GeoJSON of any top-level kind.

    The CRS is the old ``crs`` member's where there is one, else the one said for the file, else WGS 84 (RFC 7946).
    """
    body = json.loads(path.read_text(encoding="utf-8-sig"))
    kind = body.get("type") if isinstance(body, dict) else None
    if kind == "FeatureCollection":
        features = body.get("features")
    elif kind == "Feature":
        features = [body]
    else:
        features = [{"type": "Feature", "properties": {}, "geometry": body}]
    if kind is None or not isinstance(features, list) or not all(isinstance(f, dict) for f in features):
        raise ConfigError("not GeoJSON", where=str(path), do="Export it again")
    rows = [
        {
            **(feature.get("properties") or {}),
            **({"id": feature["id"]} if "id" in feature else {}),
            "geometry": _shape(feature.get("geometry")),
        }
        for feature in features
    ]
    stated = ((body.get("crs") or {}).get("properties") or {}).get("name")
    table = pd.DataFrame(rows, columns=None if rows else ["geometry"])
    return gpd.GeoDataFrame(table, geometry="geometry", crs=stated or (None if said else "EPSG:4326"))


def _shape(geometry: dict[str, Any] | None) -> Any:
    if not geometry:
        return None
    try:
        return shapely.from_geojson(json.dumps(geometry))
    except shapely.errors.GEOSException:
        return None


def _in_degrees(frame: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """The frame in EPSG:4326, once its coordinates are seen to fit the CRS that it states.

    When no outline fits, the CRS is wrong and the file is refused; when some do, the others are left without
    an outline and a sign of why, to be rejected one by one.
    """
    bounds = frame.geometry.bounds.to_numpy(dtype="float64")
    drawn = np.isfinite(bounds).all(axis=1)
    if not drawn.any():
        return frame.set_crs("EPSG:4326", allow_override=True)
    stated = _short(frame.crs)
    in_degrees = (
        (bounds[:, 0] >= -180) & (bounds[:, 2] <= 180) & (bounds[:, 1] >= -90) & (bounds[:, 3] <= 90)
    )  # fmt: skip
    left, bottom = bounds[drawn][0][:2]
    if frame.crs.is_projected and in_degrees[drawn].all():
        raise ConfigError(
            f"coordinates such as ({left:.3f}, {bottom:.3f}) look like degrees, but the CRS is {stated}",
            where=str(path),
            do="State the CRS that the file is really in",
        )
    fits = drawn & (in_degrees if frame.crs.is_geographic else np.ones(len(frame), dtype=bool))
    out = frame.copy()
    out.loc[~fits, "geometry"] = None
    out = out.to_crs("EPSG:4326")
    fits &= np.isfinite(out.geometry.bounds.to_numpy(dtype="float64")).all(axis=1)
    fits &= _near_area_of_use(out, frame.crs)
    if not fits.any():
        what = "are not degrees, but the CRS is" if frame.crs.is_geographic else "lie far outside"
        raise ConfigError(
            f"coordinates such as ({left:.0f}, {bottom:.0f}) {what} {stated}",
            where=str(path),
            do="State the CRS that the file is really in",
        )
    out.loc[~fits, "geometry"] = None
    out[_MISFIT] = drawn & ~fits
    return out


def _near_area_of_use(frame: gpd.GeoDataFrame, crs: CRS) -> np.ndarray:
    """Whether each outline (in degrees) lies within, or near, the area that its CRS is meant for."""
    area = crs.area_of_use
    if area is None or area.west > area.east:
        return np.ones(len(frame), dtype=bool)
    b = frame.geometry.bounds.to_numpy(dtype="float64")
    east, north = (b[:, 0] + b[:, 2]) / 2, (b[:, 1] + b[:, 3]) / 2
    with np.errstate(invalid="ignore"):
        return (
            (east > area.west - FAR_DEG) & (east < area.east + FAR_DEG)
            & (north > area.south - FAR_DEG) & (north < area.north + FAR_DEG)
        )  # fmt: skip


def _record(row: dict[str, Any], source: ParcelsSource, known_crops: Collection[str], digest: str) -> dict[str, Any]:
    """One row by the contract, from the file's columns, then the defaults."""

    def value(column: str) -> Any:
        if source.outline_only and column not in {"parcel_uid", "name"}:
            return source.defaults.get(column)
        found = row.get(source.columns.get(column, column), row.get(f"agro:{column}"))
        return source.defaults.get(column) if _blank(found) else found

    crop = value("crop")
    if _blank(crop):
        raise ContractError("no crop", do="Fill in the crop, or set parcels.defaults.crop")
    crop = source.crops.get(_text(crop), _text(crop))
    if crop not in known_crops:
        raise ContractError(
            f"unknown crop {crop!r}", do=f"Known: {', '.join(sorted(known_crops))}; or map it in parcels.crops"
        )
    given = value("irrigation")
    system = "" if _blank(given) else _plain(str(given))
    if system not in SYSTEM_WORDS:
        raise ContractError(
            f"unknown irrigation system {given!r}" if system else "no irrigation system",
            do=f"Give one of: {', '.join(IRRIGATION_SYSTEMS)}",
        )
    uid = value("parcel_uid")
    out: dict[str, Any] = {
        "parcel_uid": f"p-{digest[:12]}" if _blank(uid) else _text(uid),
        "agro:crop": crop,
        "agro:irrigation": SYSTEM_WORDS[system],
    }
    for column in _OPTIONAL:
        found = value(column)
        target = column if column == "name" else f"agro:{column}"
        out[target] = None if _blank(found) else _text(found) if column in _TEXTS else found
    try:
        sowing = out["agro:sowing_date"]
        out["agro:sowing_date"] = pd.NaT if sowing is None else _sowing_date(sowing)
    except (ValueError, TypeError) as error:
        raise ContractError(
            f"sowing date {out['agro:sowing_date']!r} is not a date", do="Write it as YYYY-MM-DD"
        ) from error
    for column, low, high in (("agro:flow_m3_h", 0.0, np.inf), ("agro:efficiency_frac", 0.05, 1.0)):
        try:
            number = np.nan if out[column] is None else float(out[column])
            if not np.isfinite(number) and out[column] is not None:
                raise ValueError("not finite")
        except (ValueError, TypeError) as error:
            raise ContractError(f"{column} {out[column]!r} is not a number", do="Correct it") from error
        if number < low or number > high:
            raise ContractError(f"{column} is {number:g}, outside {low:g} .. {high:g}", do="Correct it")
        out[column] = number
    return out


def _measured(accepted: list[dict[str, Any]], rejected: list[dict[str, str]]) -> gpd.GeoDataFrame:
    """Areas by UTM zone; too small, too large and twice-drawn parcels are moved to `rejected`."""
    columns = list(TABLES["parcels"].columns)
    if not accepted:
        return gpd.GeoDataFrame(empty("parcels"), geometry=gpd.GeoSeries([], crs="EPSG:4326"), crs="EPSG:4326")
    frame = gpd.GeoDataFrame(pd.DataFrame(accepted), geometry="geometry", crs="EPSG:4326")
    middle = frame.geometry.representative_point()
    zones = np.where(middle.y >= 0, 32600, 32700) + (np.floor((middle.x + 180) / 6).astype(int) % 60) + 1
    frame["metrics:area"] = 0.0
    for zone in np.unique(zones):
        chosen = zones == zone
        frame.loc[chosen, "metrics:area"] = frame.loc[chosen, "geometry"].to_crs(f"EPSG:{zone}").area.to_numpy()
    keep = np.ones(len(frame), dtype=bool)
    for position, (uid, area) in enumerate(zip(frame["parcel_uid"], frame["metrics:area"], strict=True)):
        if area < MIN_AREA_M2 or area > MAX_AREA_M2:
            keep[position] = False
            size = f"{area:.0f} m2" if area < MIN_AREA_M2 else f"{area / 1e4:.0f} ha"
            rejected.append(
                _reject(f"parcel {uid}", f"an area of {size} is no parcel", "Check the outline and its CRS")
            )
    for first, second in _drawn_twice(frame):
        if keep[first] and keep[second]:
            keep[second] = False
            rejected.append(
                _reject(
                    f"parcel {frame['parcel_uid'].iloc[second]}",
                    f"nearly the same outline as parcel {frame['parcel_uid'].iloc[first]}",
                    "Remove one of the two",
                )
            )
    kept = frame[keep].sort_values("parcel_uid", ignore_index=True)
    table = validate(pd.DataFrame(kept[columns]), "parcels")
    return gpd.GeoDataFrame(table, geometry=kept.geometry.to_numpy(), crs="EPSG:4326")


def _drawn_twice(frame: gpd.GeoDataFrame) -> list[tuple[int, int]]:
    """Pairs of rows that share nearly all of their area (in degrees: on the spot, the scale cancels)."""
    shapes = frame.geometry.to_numpy()
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    first, second = left[left < right], right[left < right]
    area = shapely.area(shapes)
    # Only outlines of like area can be the same; most neighbours merely touch.
    alike = np.minimum(area[first], area[second]) > SAME_FRAC * np.maximum(area[first], area[second])
    first, second = first[alike], second[alike]
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    same = shared > SAME_FRAC * (area[first] + area[second] - shared)
    return sorted(zip(first[same].tolist(), second[same].tolist(), strict=True))
