"""ERA5-Land's hourly fields at a point, as daily values of local days.

Temperatures in K at the hour; radiation (J/m2) and rain (m) accumulated since 00 UTC: the value of 01 UTC is the first
hour's, that of 00 UTC the whole of the day before (ECMWF, "Conversion table for accumulated variables", page 197702790).
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import xarray as xr

from agro.schema.errors import SourceError
from agro.water.reference_et import saturation_kpa

#: Variable of the file -> unit that must come with it.
UNITS = {"t2m": "K", "d2m": "K", "u10": "m s**-1", "v10": "m s**-1", "ssrd": "J m**-2", "tp": "m"}
#: Falls within a day beyond rounding of the packed field: then it is not an accumulation. J/m2, m.
_ROUNDING = {"ssrd": 20_000.0, "tp": 2e-4}
_PROVIDER = "era5land"


def hourly_at(content: bytes, latitude: float, longitude: float) -> pd.DataFrame:
    """Hours of the grid point next to a position, the sea left out.

    Parameters
    ----------
    content : bytes
        NetCDF, or a zip of several.
    latitude, longitude : float
        Degrees.

    Returns
    -------
    pandas.DataFrame
        Columns of :data:`UNITS`, index UTC hours.

    Raises
    ------
    SourceError
        It is no such file, lacks a variable, or gives other units.
    """
    with TemporaryDirectory() as folder:
        try:
            parts = [xr.load_dataset(path, engine="netcdf4") for path in _unpacked(content, Path(folder))]
            whole = xr.merge([_plain(part) for part in parts], join="outer", compat="override")
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise SourceError(f"the file of {_PROVIDER} cannot be read ({error})", where=_PROVIDER) from error
    absent = [name for name in UNITS if name not in whole]
    if absent:
        raise SourceError(f"the file of {_PROVIDER} lacks {', '.join(absent)}", where=_PROVIDER)
    for name, unit in UNITS.items():
        given = whole[name].attrs.get("units")
        if given != unit:
            raise SourceError(f"{_PROVIDER} gives {name} in {given!r}, not in {unit}", where=_PROVIDER)
    points = whole[list(UNITS)].stack(point=("latitude", "longitude"))
    land = points["t2m"].notnull().any("time").to_numpy()
    if not land.any():
        raise SourceError(f"{_PROVIDER} has no land within 0.1 degree", where=_PROVIDER)
    off = np.hypot(
        points["latitude"].to_numpy() - latitude,
        (points["longitude"].to_numpy() - longitude) * np.cos(np.radians(latitude)),
    )
    nearest = points.isel(point=int(np.argmin(np.where(land, off, np.inf))))
    table = pd.DataFrame({name: nearest[name].to_numpy().astype(float) for name in UNITS})
    table.index = pd.DatetimeIndex(nearest["time"].to_numpy()).tz_localize("UTC")
    return table.sort_index()


def daily(hourly: pd.DataFrame, zone: ZoneInfo) -> pd.DataFrame:
    """Daily values of whole local days.

    Vapour pressure is the mean of the hours' (FAO-56 eq. 11 at the dew point), wind the mean speed at 10 m.

    Parameters
    ----------
    hourly : pandas.DataFrame
        As of :func:`hourly_at`; hours may be missing.
    zone : zoneinfo.ZoneInfo
        Its days.

    Returns
    -------
    pandas.DataFrame
        Index ``date`` (no zone); ``tmin_c, tmax_c, vapour_pressure_kpa, wind_m_s, rs_mj_m2, rain_mm``. NaN where an hour
        of the day is missing.

    Raises
    ------
    SourceError
        Radiation or rain falls within a UTC day: not accumulated as documented.
    """
    hours = hourly[~hourly.index.duplicated()]
    hours = hours.reindex(pd.date_range(hours.index[0], hours.index[-1], freq="h"))
    instants = pd.DataFrame(
        {
            "t_c": hours["t2m"] - 273.15,
            "vapour_pressure_kpa": saturation_kpa(hours["d2m"] - 273.15),
            "wind_m_s": np.hypot(hours["u10"], hours["v10"]),
        },
        index=hours.index,
    )
    sums = pd.DataFrame({name: _increments(hours[name], name) for name in ("ssrd", "tp")})
    # An increment belongs to the hour before its time.
    sums = sums.set_index(pd.DatetimeIndex(sums.index) - pd.Timedelta(hours=1))
    at, during = (_by_day(table, zone) for table in (instants, sums))
    found = pd.DataFrame(
        {
            "tmin_c": at["t_c"].min(), "tmax_c": at["t_c"].max(), "vapour_pressure_kpa": at["vapour_pressure_kpa"].mean(),
            "wind_m_s": at["wind_m_s"].mean(), "rs_mj_m2": during["ssrd"].sum() / 1e6, "rain_mm": during["tp"].sum() * 1000,
        }
    )  # fmt: skip
    expected = pd.Series([_hours_of(day, zone) for day in found.index], index=found.index)
    for columns, counts in (
        (["tmin_c", "tmax_c"], at["t_c"].count()), (["vapour_pressure_kpa"], at["vapour_pressure_kpa"].count()),
        (["wind_m_s"], at["wind_m_s"].count()), (["rs_mj_m2"], during["ssrd"].count()), (["rain_mm"], during["tp"].count()),
    ):  # fmt: skip
        found.loc[counts.reindex(found.index, fill_value=0) < expected, columns] = np.nan
    return found


def _increments(accumulated: pd.Series, name: str) -> pd.Series:
    """What came in each hour, from what came since 00 UTC."""
    first = pd.DatetimeIndex(accumulated.index).hour == 1
    steps = accumulated.where(first, accumulated - accumulated.shift(1))
    if (steps < -_ROUNDING[name]).any():
        raise SourceError(
            f"{name} of {_PROVIDER} falls within a day: it is not accumulated from 00 UTC", where=_PROVIDER,
            do="Report it: the data set has changed",
        )  # fmt: skip
    return steps.clip(lower=0)


def _by_day(table: pd.DataFrame, zone: ZoneInfo) -> pd.api.typing.DataFrameGroupBy:
    local = pd.DatetimeIndex(table.index).tz_convert(zone).tz_localize(None).normalize()
    return table.groupby(local.rename("date"))


def _hours_of(day: pd.Timestamp, zone: ZoneInfo) -> int:
    """Hours of a local day: 23 or 25 where the clock is changed."""
    start, end = day.tz_localize(zone), (day + pd.Timedelta(days=1)).tz_localize(zone)
    return round((end.tz_convert("UTC") - start.tz_convert("UTC")) / pd.Timedelta(hours=1))


def _unpacked(content: bytes, folder: Path) -> list[Path]:
    if content[:4] != b"PK\x03\x04":
        path = folder / "data.nc"
        path.write_bytes(content)
        return [path]
    paths = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for number, member in enumerate(n for n in archive.namelist() if n.endswith(".nc")):
            path = folder / f"{number}.nc"
            path.write_bytes(archive.read(member))
            paths.append(path)
    if not paths:
        raise ValueError("the zip holds no NetCDF")
    return paths


def _plain(part: xr.Dataset) -> xr.Dataset:
    """One name for the time, no other dimension than time and place."""
    if "valid_time" in part.dims:
        part = part.rename(valid_time="time")
    part = part[[name for name in UNITS if name in part]]
    if "expver" in part.dims:  # preliminary and final hours side by side, each NaN where the other is
        with xr.set_options(keep_attrs=True):
            part = part.max("expver")
    extra = [name for name in part.coords if name not in ("time", "latitude", "longitude")]
    return part.squeeze([d for d in part.dims if d not in ("time", "latitude", "longitude")]).drop_vars(extra)
