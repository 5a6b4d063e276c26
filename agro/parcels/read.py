"""Field boundaries from any vector file to the ``parcels`` table."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
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
    "drip": "drip", "goutte-a-goutte": "drip", "goutte a goutte": "drip", "goutte-à-goutte": "drip", "localisee": "drip", "localisée": "drip",
    "sprinkler": "sprinkler", "aspersion": "sprinkler", "pivot": "sprinkler", "surface": "surface", "gravitaire": "surface",
    "flood": "surface", "furrow": "surface", "rainfed": "rainfed", "bour": "rainfed", "none": "rainfed",
}  # fmt: skip
_OPTIONAL = ("name", "sowing_date", "flow_m3_h", "efficiency_frac", "cooperative", "sector", "owner_ref")


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
    frame = _in_degrees(_read_file(path, source), path)
    if not len(frame):
        raise NoDataError("the file holds no parcel", where=str(path), do="Check that it is the right file")
    absent = [column for column in source.columns.values() if column not in frame.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=str(path), do=f"It has: {', '.join(map(str, frame.columns.drop('geometry')))}")
    accepted: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    seen: dict[str, str] = {}
    uids: set[str] = set()
    for number, row in enumerate(frame.to_dict("records"), start=1):
        named = row.get(source.columns.get("parcel_uid", "parcel_uid"))
        item = f"{path.name} row {number}" if _blank(named) else f"parcel {named}"
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
            rejected.append(_reject(item, f"the id {record['parcel_uid']} is taken by an earlier row", "Give each parcel its own id"))
            continue
        seen[digest] = item
        uids.add(record["parcel_uid"])
        accepted.append({**record, "agro:repaired": outline.done, "agro:geometry_digest": digest, "geometry": outline.geometry})
    table = _measured(accepted, rejected)
    return ParcelSet(table, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def _reject(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "parcels", "item": item, "reason": reason, "remedy": remedy}


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NaT or not str(value).strip()


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
            frame = _read_geojson(path)
        else:
            frame = gpd.read_file(path, layer=source.layer, engine="pyogrio")
    except AgroError:
        raise
    except Exception as error:  # each driver raises its own kinds
        raise ConfigError(
            f"cannot be read as field boundaries ({' '.join(str(error).split())[:120]})", where=str(path),
            do="Give GeoParquet, GeoPackage, GeoJSON, Shapefile, KML, or CSV with a wkt column",
        ) from error  # fmt: skip
    if not isinstance(frame, gpd.GeoDataFrame):
        raise ConfigError("the file has no outlines", where=str(path), do="Choose a layer with polygons")
    if frame.crs is None:
        if source.crs is None:
            raise ConfigError("the file states no CRS", where=str(path), do="Say it: parcels.crs, e.g. EPSG:4326 or EPSG:26191")
        try:
            frame = frame.set_crs(CRS.from_user_input(source.crs))
        except CRSError as error:
            raise ConfigError(f"unknown CRS {source.crs!r}", where="parcels.crs", do="Give it like EPSG:32629") from error
    return frame.rename_geometry("geometry") if frame.geometry.name != "geometry" else frame


def _read_csv(path: Path) -> gpd.GeoDataFrame:
    table = pd.read_csv(path, dtype=str, encoding="utf-8-sig")
    column = next((c for c in table.columns if c.lower() in {"wkt", "geometry", "geom", "the_geom"}), None)
    if column is None:
        raise ConfigError("no column wkt", where=str(path), do=f"It has: {', '.join(table.columns)}")
    shapes = shapely.from_wkt(table[column].fillna("").to_numpy(dtype=object), on_invalid="ignore")
    return gpd.GeoDataFrame(table.drop(columns=column), geometry=shapes)


def _read_geojson(path: Path) -> gpd.GeoDataFrame:
    """GeoJSON of any top-level kind; WGS 84 by RFC 7946 unless the old ``crs`` member says otherwise."""
    body = json.loads(path.read_text(encoding="utf-8-sig"))
    kind = body.get("type")
    features = body.get("features") if kind == "FeatureCollection" else [body] if kind == "Feature" else [{"type": "Feature", "properties": {}, "geometry": body}]
    if not isinstance(features, list):
        raise ConfigError("not GeoJSON", where=str(path), do="Export it again")
    rows = [
        {**(feature.get("properties") or {}), **({"id": feature["id"]} if "id" in feature else {}), "geometry": _shape(feature.get("geometry"))}
        for feature in features
    ]
    stated = ((body.get("crs") or {}).get("properties") or {}).get("name")
    return gpd.GeoDataFrame(pd.DataFrame(rows, columns=None if rows else ["geometry"]), geometry="geometry", crs=stated or "EPSG:4326")


def _shape(geometry: dict[str, Any] | None) -> Any:
    if not geometry:
        return None
    try:
        return shapely.from_geojson(json.dumps(geometry))
    except shapely.errors.GEOSException:
        return None


def _in_degrees(frame: gpd.GeoDataFrame, path: Path) -> gpd.GeoDataFrame:
    """The frame in EPSG:4326, once its coordinates are seen to fit the CRS that it states."""
    if not len(frame):
        return frame
    left, bottom, right, top = frame.total_bounds
    stated = frame.crs.to_string()[:40]
    inside_degrees = -180 <= left <= right <= 180 and -90 <= bottom <= top <= 90
    if frame.crs.is_geographic and np.isfinite(left) and not inside_degrees:
        raise ConfigError(f"coordinates such as ({left:.0f}, {bottom:.0f}) are not degrees, but the CRS is {stated}", where=str(path), do="State the CRS that the file is really in")
    if frame.crs.is_projected and np.isfinite(left) and inside_degrees:
        raise ConfigError(f"coordinates such as ({left:.3f}, {bottom:.3f}) look like degrees, but the CRS is {stated}", where=str(path), do="State the CRS that the file is really in")
    out = frame.to_crs("EPSG:4326")
    if not np.isfinite(out.total_bounds).all() and np.isfinite(frame.total_bounds).all():
        raise ConfigError(f"coordinates such as ({left:.0f}, {bottom:.0f}) lie outside {stated}", where=str(path), do="State the CRS that the file is really in")
    return out


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
    crop = source.crops.get(str(crop), str(crop))
    if crop not in known_crops:
        raise ContractError(f"unknown crop {crop!r}", do=f"Known: {', '.join(sorted(known_crops))}; or map it in parcels.crops")
    system = str(value("irrigation") or "").strip().lower()
    if system not in SYSTEM_WORDS:
        raise ContractError(f"unknown irrigation system {system!r}" if system else "no irrigation system", do=f"Give one of: {', '.join(IRRIGATION_SYSTEMS)}")
    uid = value("parcel_uid")
    out = {"parcel_uid": f"p-{digest[:12]}" if _blank(uid) else str(uid), "agro:crop": crop, "agro:irrigation": SYSTEM_WORDS[system]}
    for column in _OPTIONAL:
        found = value(column)
        target = column if column == "name" else f"agro:{column}"
        out[target] = None if _blank(found) else found
    try:
        sowing = out["agro:sowing_date"]
        out["agro:sowing_date"] = pd.NaT if sowing is None else pd.Timestamp(sowing).tz_localize(None).normalize()
    except (ValueError, TypeError) as error:
        raise ContractError(f"sowing date {out['agro:sowing_date']!r} is not a date", do="Write it as YYYY-MM-DD") from error
    for column, low, high in (("agro:flow_m3_h", 0.0, np.inf), ("agro:efficiency_frac", 0.05, 1.0)):
        try:
            number = np.nan if out[column] is None else float(out[column])
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
            rejected.append(_reject(f"parcel {uid}", f"an area of {size} is no parcel", "Check the outline and its CRS"))
    for first, second in _drawn_twice(frame):
        if keep[first] and keep[second]:
            keep[second] = False
            rejected.append(_reject(f"parcel {frame['parcel_uid'].iloc[second]}", f"nearly the same outline as parcel {frame['parcel_uid'].iloc[first]}", "Remove one of the two"))
    kept = frame[keep].sort_values("parcel_uid", ignore_index=True)
    table = validate(pd.DataFrame(kept[columns]), "parcels")
    return gpd.GeoDataFrame(table, geometry=kept.geometry.to_numpy(), crs="EPSG:4326")


def _drawn_twice(frame: gpd.GeoDataFrame) -> list[tuple[int, int]]:
    shapes = frame.geometry.to_numpy()
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    pairs = [(int(a), int(b)) for a, b in zip(left, right, strict=True) if a < b]
    return sorted(
        (a, b) for a, b in pairs if shapely.area(shapely.intersection(shapes[a], shapes[b])) > SAME_FRAC * shapely.area(shapely.union(shapes[a], shapes[b]))
    )  # fmt: skip
