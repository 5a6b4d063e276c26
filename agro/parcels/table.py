"""Band values that somebody has already extracted per parcel and date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError, ContractError, NoDataError
from agro.schema.tables import OPTIONAL, TABLES, validate

_ID_COLUMNS = ("parcel_uid", "sample_id", "parcel_id", "id", "fid")
_DATE_COLUMNS = ("date", "timestamp", "time", "datetime")
#: Reflectance of exactly 0 and the largest 16-bit number are how extractors write "nothing".
NODATA = (0, 65535)


def observe_table(
    path: Path,
    keys: Sequence[str],
    bands_of: Mapping[str, Sequence[str]],
    compute: Callable[[str, Mapping[str, np.ndarray]], np.ndarray],
    band_name: Callable[[str], str | None],
    scale: float = 0.0001,
) -> tuple[pd.DataFrame, list[str]]:
    """A long table of band values to observations.

    Parameters
    ----------
    path : Path
        Parquet or CSV: a column for the parcel (``parcel_uid``, ``sample_id`` ...), one for the date
        (``date``, ``timestamp`` ...), one for each band; or a table that is ``observations`` already.
    keys : sequence of str
        Indices wanted; those whose bands are absent are left out.
    bands_of : mapping
        Bands of each index.
    compute : callable
        ``compute(key, bands)`` gives the index of arrays of reflectance.
    band_name : callable
        Column name -> common band name, or None.
    scale : float
        Reflectance of one number. 0 and 65535 are nodata.

    Returns
    -------
    tuple of (pandas.DataFrame, list of str)
        Table ``observations``: a value stands for the whole parcel, so sd and percentiles are NaN and
        pixels_effective is 1 (unknown); usable where the value is a number, else reason ``no_valid_pixels``.
        And the indices given.

    Raises
    ------
    ConfigError
        No column for parcel, date or any band, or no such index.
    ContractError
        A row without a parcel or date, or two rows of one parcel and date.
    NoDataError
        No row.

    Notes
    -----
    Every row comes out: a parcel whose months are missing is there with NaN, not absent.
    """
    try:
        table = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), do="Check the path") from error
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"not a table ({' '.join(str(error).split())[:100]})", where=str(path), do="Give Parquet or CSV"
        ) from error
    if not len(table):
        raise NoDataError("the table has no row", where=str(path), do="Check that it is the right file")
    columns = [c for c in TABLES["observations"].columns if c not in OPTIONAL]
    if set(columns) <= set(table.columns):
        done = validate(table[columns], "observations", str(path))
        return done, sorted(done["index"].unique())
    parcel, day = (next((c for c in names if c in table.columns), None) for names in (_ID_COLUMNS, _DATE_COLUMNS))
    if parcel is None or day is None:
        raise ConfigError(
            f"no column for {'the parcel' if parcel is None else 'the date'}", where=str(path),
            do=f"Name one of {', '.join(_ID_COLUMNS if parcel is None else _DATE_COLUMNS)}",
        )  # fmt: skip
    unknown = sorted(set(keys) - set(bands_of))
    if unknown:
        raise ConfigError(f"unknown index {', '.join(unknown)}", where="indices", do=f"Known: {', '.join(bands_of)}")
    bands = {}
    for column in table.columns:
        name = band_name(str(column))
        if name and name != "scl" and name not in bands and pd.api.types.is_numeric_dtype(table[column]):
            raw = table[column].to_numpy(dtype="float64")
            bands[name] = np.where(np.isin(raw, NODATA), np.nan, raw) * scale
    possible = [key for key in keys if set(bands_of[key]) <= set(bands)]
    if not possible:
        raise ConfigError(
            f"bands {', '.join(sorted(bands)) or 'none'} give none of {', '.join(keys)}",
            where=str(path),
            do="Name the band columns B02, B04 ... or red, nir ...",
        )
    dates = pd.to_datetime(table[day], utc=True, errors="coerce").dt.tz_localize(None).dt.normalize()
    nameless = table[parcel].isna() | dates.isna()
    if nameless.any():
        raise ContractError(
            f"{int(nameless.sum())} row(s) without a parcel or a date, first: row {int(np.argmax(nameless)) + 1}",
            where=str(path), do=f"Fill in {parcel} and {day}",
        )  # fmt: skip
    twice = pd.DataFrame({"parcel": table[parcel], "date": dates}).duplicated()
    if twice.any():
        at = int(np.argmax(twice))
        raise ContractError(
            f"{int(twice.sum())} row(s) repeat a parcel and date, first: {table[parcel].iloc[at]} on {dates.iloc[at]:%Y-%m-%d}",
            where=str(path), do="Keep one row of each",
        )  # fmt: skip
    parts = []
    for key in possible:
        values = compute(key, bands).astype("float64")
        seen = np.isfinite(values)
        parts.append(
            pd.DataFrame(
                {
                    "parcel_uid": table[parcel].astype("str"), "date": dates, "index": key, "source": "table", "mean": values,
                    "median": values, "p10": np.nan, "p90": np.nan, "sd": np.nan, "pixels_effective": seen.astype("float64"),
                    "valid_frac": seen.astype("float64"), "buffer_m": 0.0, "scene_ids": path.name, "usable": seen,
                    "reason": pd.Series(np.where(seen, "", "no_valid_pixels"), dtype="str").where(~seen),
                }
            )
        )  # fmt: skip
    return validate(pd.concat(parts, ignore_index=True), "observations", str(path)), possible
