"""What the pages read: published artefacts of a workspace, as typed tables and records.

Every reader takes the folder of one run first. It holds no state and knows nothing of Streamlit; :mod:`app.cached`
remembers its answers for as long as the file behind it stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError, ContractError, NoDataError
from agro.schema.tables import validate
from agro.store.workspace import RegionStore, RunFolder, Workspace

_F = TypeVar("_F", bound=Callable[..., Any])
#: Reader -> file of the run folder that it reads.
FILES: dict[str, str] = {}
READERS: dict[str, Callable[..., Any]] = {}
Filter = tuple[str, str, Any]


def _reads(file: str) -> Callable[[_F], _F]:
    def register(function: _F) -> _F:
        FILES[function.__name__] = file
        READERS[function.__name__] = function
        return function

    return register


@dataclass(frozen=True)
class RegionInfo:
    """What a page says of a region.

    Attributes
    ----------
    region_id : str
    name : mapping of language to str
        Empty when the region has none.
    crops : mapping of crop key to names by language
        Crops of the region, its own too.
    simulated : bool
        Whether fields, pixels and weather come from a simulation.
    issue_dates : tuple of datetime.date
        Days that have advice, oldest first.
    unfinished : tuple of datetime.date
        Days that have a run folder and no advice.
    """

    region_id: str
    name: Mapping[str, str]
    crops: Mapping[str, Mapping[str, str]]
    simulated: bool
    issue_dates: tuple[date, ...]
    unfinished: tuple[date, ...]


@dataclass(frozen=True)
class Parcels:
    """Fields of a run: one row and one outline each, in the same order.

    Attributes
    ----------
    table : pandas.DataFrame
        Contract "parcels" without the geometry.
    outlines : tuple of shapely geometry
        Polygons and multipolygons, EPSG:4326.
    """

    table: pd.DataFrame
    outlines: tuple[Any, ...]

    def row(self, parcel_uid: str) -> dict[str, Any]:
        """Columns of one field."""
        found = self.table[self.table["parcel_uid"] == parcel_uid]
        return {str(name): value for name, value in found.iloc[0].items()}

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Columns of every field, by its uid."""
        return {str(row["parcel_uid"]): {str(k): v for k, v in row.items()} for row in self.table.to_dict("records")}

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of all outlines, degrees."""
        west, south, east, north = shapely.total_bounds(np.array(self.outlines, dtype=object))
        return float(west), float(south), float(east), float(north)


def regions(root: Path) -> list[RegionInfo]:
    """Regions of a workspace, by name; none when the folder is absent or empty.

    Raises
    ------
    ContractError
        A ``region.json`` that is not valid.
    """
    return [_region(store) for store in Workspace(root).regions()]


def _region(store: RegionStore) -> RegionInfo:
    try:
        description = store.describe()
        names = description.get("name") or {}
    except (ValueError, AttributeError) as error:
        raise ContractError(
            "the region file is broken", where=str(store.path / "region.json"), do="Run the week again"
        ) from error
    done = tuple(store.run_dates())
    return RegionInfo(
        region_id=store.region_id,
        name={str(k): str(v) for k, v in names.items()} if isinstance(names, Mapping) else {"en": str(names)},
        crops=description.get("crops") or {},
        simulated=bool(description.get("simulated", False)),
        issue_dates=done,
        unfinished=tuple(day for day in _run_folders(store) if day not in done),
    )


def _run_folders(store: RegionStore) -> list[date]:
    found = []
    for path in sorted((store.path / "runs").glob("*-*-*")):
        try:
            found.append(date.fromisoformat(path.name))
        except ValueError:
            continue
    return found


def stamp(folder: Path, file: str) -> tuple[int, int]:
    """Time of last change (ns) and size of a run's file; zeros when it is absent."""
    try:
        stat = (folder / file).stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def artefacts(folder: Path) -> list[str]:
    """Names of the tables that a run has so far."""
    return sorted(path.stem for path in folder.glob("*.parquet"))


def _part(folder: Path, name: str, filters: Sequence[Filter] | None = None) -> pd.DataFrame:
    """Read the rows of a table that pass the filters, checked against the contract."""
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise NoDataError(f"no {name} here", where=str(path), do="Run: agro run weekly")
    try:
        return validate(pq.read_table(path, filters=filters).to_pandas(), name, where=str(path))
    except AgroError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise _broken(path, error) from error


def _broken(path: Path, error: Exception) -> ContractError:
    return ContractError(
        f"the file is broken ({type(error).__name__})", where=str(path), do="Delete it and run the week again"
    )


def _distinct(folder: Path, name: str, column: str) -> list[Any]:
    path = folder / f"{name}.parquet"
    if not path.exists():
        raise NoDataError(f"no {name} here", where=str(path), do="Run: agro run weekly")
    try:
        return sorted(pc.unique(pq.read_table(path, columns=[column])[column]).drop_null().to_pylist())
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise _broken(path, error) from error


@_reads("parcels.parquet")
def parcels(folder: Path) -> Parcels:
    """Fields of the run, read without geopandas: it costs a second that the first page does not have.

    Raises
    ------
    NoDataError
        The run has no parcels.
    ContractError
        A broken file, a broken contract, or an outline that is not one.
    """
    path = folder / "parcels.parquet"
    if not path.exists():
        raise NoDataError("no parcels here", where=str(path), do="Run: agro run weekly")
    try:
        raw = pq.read_table(path)
        outlines = tuple(shapely.from_wkb(raw["geometry"].to_numpy(zero_copy_only=False)))
        frame = raw.drop_columns(["geometry"]).to_pandas(ignore_metadata=True)
    except Exception as error:  # pyarrow and shapely raise many kinds for a broken file
        raise _broken(path, error) from error
    if any(outline is None or outline.is_empty for outline in outlines):
        raise ContractError("a field without an outline", where=str(path), do="Run the week again")
    return Parcels(validate(frame, "parcels", where=str(path)), outlines)


@_reads("advice.json")
def advice(folder: Path) -> dict[str, AdviceRecord]:
    """Advice of the run by parcel. A record that another one supersedes is left out.

    Raises
    ------
    NoDataError
        No advice yet.
    ContractError
        A broken file.
    """
    records = RunFolder(folder).advice()
    replaced = {record.supersedes for record in records}
    return {record.parcel_uid: record for record in records if record.advice_id not in replaced}


@_reads("series.parquet")
def index_keys(folder: Path) -> list[str]:
    """Spectral indices that the series hold, NDVI first."""
    return sorted(_distinct(folder, "series", "index"), key=lambda key: (key != "ndvi", key))


@_reads("series.parquet")
def series_dates(folder: Path) -> list[date]:
    """Days of the series, oldest first."""
    return [pd.Timestamp(day).date() for day in _distinct(folder, "series", "date")]


@_reads("scenes.parquet")
def image_dates(folder: Path) -> list[date]:
    """Days whose images were used, oldest first; none when the run lists no scenes."""
    if not (folder / "scenes.parquet").exists():
        return []
    scenes = _part(folder, "scenes")
    return sorted({day.date() for day in scenes.loc[scenes["used"], "date"]})


@_reads("series.parquet")
def index_on(folder: Path, index: str, day: date) -> pd.DataFrame:
    """Series of all parcels on one day: ``value``, ``sd``, ``flag``, ``clear_age_d`` by parcel; NaN is missing."""
    rows = _part(folder, "series", [("index", "==", index), ("date", "==", pd.Timestamp(day))])
    return rows.set_index("parcel_uid")[["value", "sd", "flag", "clear_age_d"]]


@_reads("water.parquet")
def water_dates(folder: Path) -> list[date]:
    """Days of the water balance, the outlook's too, oldest first."""
    return [pd.Timestamp(day).date() for day in _distinct(folder, "water", "date")]


@_reads("water.parquet")
def depletion_on(folder: Path, day: date) -> pd.DataFrame:
    """Root-zone depletion of all parcels on one day.

    Returns
    -------
    pandas.DataFrame
        By parcel: ``dr_mm``, ``taw_mm``, ``raw_mm``, ``depletion_frac`` (Dr over TAW; NaN where TAW is 0) and
        ``is_forecast``. An outlook's day is the mean of its members.
    """
    rows = _part(folder, "water", [("date", "==", pd.Timestamp(day))])
    past = rows[~rows["is_forecast"]]
    kept = past[past["member"] == -1] if len(past) else rows
    grouped = kept.groupby("parcel_uid")[["dr_mm", "taw_mm", "raw_mm"]].mean()
    grouped["depletion_frac"] = grouped["dr_mm"] / grouped["taw_mm"].where(grouped["taw_mm"] > 0)
    return grouped.assign(is_forecast=not len(past))


@_reads("series.parquet")
def parcel_series(folder: Path, parcel_uid: str, index: str) -> pd.DataFrame:
    """Smoothed series of one parcel, by date."""
    rows = _part(folder, "series", [("parcel_uid", "==", parcel_uid), ("index", "==", index)])
    return rows.sort_values("date", ignore_index=True)


@_reads("observations.parquet")
def parcel_observations(folder: Path, parcel_uid: str, index: str) -> pd.DataFrame:
    """Read what the satellite saw of one parcel, usable or not, by date."""
    rows = _part(folder, "observations", [("parcel_uid", "==", parcel_uid), ("index", "==", index)])
    return rows.sort_values("date", ignore_index=True)


@_reads("water.parquet")
def parcel_water(folder: Path, parcel_uid: str) -> pd.DataFrame:
    """Water balance of one parcel: the past's central run and the outlook's members, by date and member."""
    rows = _part(folder, "water", [("parcel_uid", "==", parcel_uid)])
    return rows.sort_values(["date", "member"], ignore_index=True)


@_reads("yield.parquet")
def parcel_yield(folder: Path, parcel_uid: str) -> Mapping[str, Any] | None:
    """Yield outlook of one parcel, or None when the run has none for it."""
    if not (folder / "yield.parquet").exists():
        return None
    rows = _part(folder, "yield", [("parcel_uid", "==", parcel_uid)])
    return None if rows.empty else {str(name): value for name, value in rows.iloc[0].items()}


@_reads("need.parquet")
def needs(folder: Path) -> pd.DataFrame:
    """Irrigation need of all parcels, by parcel."""
    return _part(folder, "need").set_index("parcel_uid")


def depletion_curve(water: pd.DataFrame) -> pd.DataFrame:
    """Depletion of one parcel by day with its interval.

    Parameters
    ----------
    water : pandas.DataFrame
        Contract "water", one parcel.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``dr_mm``, ``low_mm``, ``high_mm``, ``taw_mm``, ``raw_mm``, ``is_forecast``. In the past the interval
        is Dr plus and minus one standard deviation, held within 0 and TAW, NaN where it is not known; ahead it is the
        10th to 90th percentile of the members, NaN when there is but one.
    """
    past = water[~water["is_forecast"] & (water["member"] == -1)]
    low = (past["dr_mm"] - past["dr_sd_mm"]).clip(lower=0.0)
    high = (past["dr_mm"] + past["dr_sd_mm"]).clip(upper=past["taw_mm"])
    known = past[["date", "dr_mm", "taw_mm", "raw_mm"]].assign(low_mm=low, high_mm=high, is_forecast=False)
    ahead = water[water["is_forecast"]]
    if ahead.empty:
        return known.reset_index(drop=True)
    days = ahead.groupby("date")
    single = days["member"].nunique() < 2
    outlook = days[["dr_mm", "taw_mm", "raw_mm"]].mean()
    outlook["low_mm"] = days["dr_mm"].quantile(0.1).mask(single)
    outlook["high_mm"] = days["dr_mm"].quantile(0.9).mask(single)
    outlook = outlook.reset_index().assign(is_forecast=True)
    return pd.concat([known, outlook[known.columns]], ignore_index=True)


def water_bars(water: pd.DataFrame) -> pd.DataFrame:
    """Rain, irrigation and actual ET of one parcel by day, mm; ahead the mean of the members.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``rain_mm``, ``irrigation_mm`` (net), ``eta_mm``, ``is_forecast``.
    """
    used = water[(water["is_forecast"]) | (water["member"] == -1)]
    days = used.groupby(["date", "is_forecast"])[["rain_mm", "irrigation_mm", "eta_mm"]].mean().reset_index()
    return days.drop_duplicates("date", keep="first", ignore_index=True)  # a day known is not a day foreseen
