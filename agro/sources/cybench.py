"""Regional yields and season inputs in the layout of CY-Bench (WUR-AI, AgML): one folder a crop and country.

Paudel et al. 2025, CY-Bench: a comprehensive benchmark dataset for sub-national crop yield forecasting.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.errors import ContractError, NoDataError, SourceError

#: Columns of each file that are inputs; a file that is absent is no fault, as long as one is there.
SERIES_COLUMNS = {
    "ndvi": ("ndvi",),
    "fpar": ("fpar",),
    "meteo": ("tmin", "tmax", "prec", "rad", "et0", "cwb", "vpd"),
    "soil_moisture": ("ssm", "rsm"),
}
#: NDVI is kept in bytes: (byte - 50) / 200.
NDVI_OFFSET, NDVI_SCALE = 50.0, 200.0
#: The shortest input of the published benchmark, soil moisture, begins here; so do its seasons.
INPUTS_BEGIN_YEAR = 2003
#: A calendar with a season shorter than this (days) is a fault; the country's median stands in.
SHORTEST_SEASON_D = 60
DAYS_OF_YEAR = 365.0


@dataclass(frozen=True)
class RegionalYields:
    """One crop and country.

    Attributes
    ----------
    yields : pandas.DataFrame
        adm_id, year (of harvest), yield_t_ha; one row a region and year.
    series : pandas.DataFrame
        adm_id, date, variable, value: ``ndvi`` and ``fpar`` (0 to 1), weather and soil moisture as published.
    regions : pandas.DataFrame
        Index adm_id: season_start_doy, season_length_d, end_doy, calendar_repaired, latitude, longitude (degrees),
        awc (available water as published), NaN where a file does not say.
    """

    crop: str
    country: str
    yields: pd.DataFrame
    series: pd.DataFrame
    regions: pd.DataFrame


def find_folder(folder: Path) -> tuple[str, str, Path]:
    """Crop, country and folder of one crop and country: `folder` itself, or the only one below it.

    Raises
    ------
    NoDataError
        No yield file, or several.
    """
    found = sorted(folder.rglob("yield_*_*.csv")) if folder.is_dir() else []
    if len(found) != 1:
        names = ", ".join(str(f.parent.relative_to(folder)) for f in found)
        raise NoDataError(
            f"{len(found)} yield tables {f'({names})' if names else 'yield_<crop>_<country>.csv'} in the folder",
            where=str(folder),
            do="Give the folder of one crop and country, such as yield-cybench/wheat/ES",
        )
    crop, country = found[0].stem.removeprefix("yield_").rsplit("_", 1)
    return crop, country, found[0].parent


def read_cybench(folder: Path, first_year: int | None = None) -> RegionalYields:
    """Read one crop and country.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the crop and country, or one above it that holds nothing else.
    first_year : int, optional
        First year of harvest. By default the first whose whole season lies after 1 January 2003, as published.

    Raises
    ------
    NoDataError
        No yield table, no input, or no yield left.
    ContractError
        A column is missing, a value no number, a row there twice.
    """
    crop, country, folder = find_folder(folder)
    suffix = f"{crop}_{country}.csv"
    calendar = _table(folder / f"crop_calendar_{suffix}", ("adm_id", "sos", "eos"), ("sos", "eos"))
    regions = _regions(calendar)
    for name, columns in (("location", ("latitude", "longitude")), ("soil", ("awc",))):
        path = folder / f"{name}_{suffix}"
        for column in columns:
            regions[column] = np.nan
        if path.exists():
            table = _unique(_table(path, ("adm_id", *columns), columns), ["adm_id"], path).set_index("adm_id")
            regions.loc[:, list(columns)] = table[list(columns)].reindex(regions.index)

    path = folder / f"yield_{suffix}"
    yields = _table(path, ("adm_id", "harvest_year", "yield"), ("harvest_year", "yield"))
    yields = _unique(yields, ["adm_id", "harvest_year"], path).rename(
        columns={"harvest_year": "year", "yield": "yield_t_ha"}
    )
    yields = yields.dropna(subset=["year", "yield_t_ha"])[["adm_id", "year", "yield_t_ha"]]
    yields["year"] = yields["year"].astype("int64")
    if first_year is None:
        crosses = regions["end_doy"] - regions["season_length_d"] < 0
        first_year = INPUTS_BEGIN_YEAR + int(crosses.mean() > 0.5)
    yields = yields[(yields["year"] >= first_year) & yields["adm_id"].isin(regions.index)]
    if yields.empty:
        raise NoDataError("no yield of a region with a calendar", where=str(path), do="Check adm_id and the years")
    return RegionalYields(
        crop, country, yields.sort_values(["year", "adm_id"], ignore_index=True), _series(folder, suffix), regions
    )


def _table(path: Path, columns: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"adm_id": "str"})
    except FileNotFoundError as error:
        raise NoDataError("the file is missing", where=str(path), do="Complete the folder") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise SourceError(f"cannot be read as CSV ({error})", where=str(path), do="Check the file") from error
    missing = [c for c in columns if c not in table]
    if missing:
        raise ContractError(f"no column {', '.join(missing)}", where=str(path), do="Use the layout of CY-Bench")
    for column in numbers:
        try:
            table[column] = pd.to_numeric(table[column])
        except (ValueError, TypeError) as error:
            raise ContractError(f"{column} is not numeric ({error})", where=str(path), do="Correct the row") from error
    return table


def _unique(table: pd.DataFrame, keys: list[str], path: Path) -> pd.DataFrame:
    twice = table[table.duplicated(keys)]
    if len(twice):
        first = ", ".join(str(twice.iloc[0][k]) for k in keys)
        raise ContractError(
            f"{len(twice)} rows twice, first {first}", where=str(path), do="Keep one row a region and year"
        )
    return table


def _regions(calendar: pd.DataFrame) -> pd.DataFrame:
    """Season of each region: end (day of the harvest year) and length; broken ones replaced."""
    table = calendar.drop_duplicates("adm_id").set_index("adm_id").sort_index()
    length = (table["eos"] - table["sos"]) % DAYS_OF_YEAR
    good = length >= SHORTEST_SEASON_D
    if not good.any():
        raise ContractError("no season of 60 days or more", where="crop calendar", do="Check sos and eos")
    end, length = table["eos"].where(good), length.where(good)
    return pd.DataFrame(
        {
            "end_doy": end.fillna(end.median()),
            "season_length_d": length.fillna(length.median()),
            "calendar_repaired": ~good,
        }
    )


def _series(folder: Path, suffix: str) -> pd.DataFrame:
    parts = []
    for name, columns in SERIES_COLUMNS.items():
        path = folder / f"{name}_{suffix}"
        if not path.exists():
            continue
        table = _table(path, ("adm_id", "date"), ())
        there = [c for c in columns if c in table]
        if not there:
            raise ContractError(f"none of {', '.join(columns)}", where=str(path), do="Use the layout of CY-Bench")
        table = _table(path, ("adm_id", "date"), tuple(there))
        table["date"] = pd.to_datetime(table["date"].astype(str), format="%Y%m%d")
        if name == "ndvi":
            table["ndvi"] = (table["ndvi"] - NDVI_OFFSET) / NDVI_SCALE
        if name == "fpar":
            table["fpar"] = table["fpar"] / 100.0
        parts.append(table.melt(["adm_id", "date"], there, "variable", "value").dropna(subset=["value"]))
    if not parts:
        raise NoDataError("no NDVI, FPAR, weather or soil moisture", where=str(folder), do="Complete the folder")
    return pd.concat(parts, ignore_index=True).sort_values(["variable", "adm_id", "date"], ignore_index=True)
