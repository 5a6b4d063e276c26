"""Hourly files as the Climate Data Store makes them, from an invented weather."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

ATTRS = {"t2m": "K", "d2m": "K", "u10": "m s**-1", "v10": "m s**-1", "ssrd": "J m**-2", "tp": "m"}


def accumulated(steps: pd.Series) -> pd.Series:
    """Hourly amounts (at the end of their hour, UTC) as sums since 00 UTC; 00 UTC itself ends the day before."""
    day = (pd.DatetimeIndex(steps.index) - pd.Timedelta(hours=1)).normalize()
    return steps.groupby(day).cumsum()


def truth(first: str, last: str) -> pd.DataFrame:
    """Hourly amounts and instants, UTC, whole days from `first` to `last` and the hours around them."""
    hours = pd.date_range(
        pd.Timestamp(first) - pd.Timedelta(days=1), pd.Timestamp(last) + pd.Timedelta(days=2), freq="h", tz="UTC"
    )
    k = np.arange(len(hours))
    hour = hours.hour.to_numpy()
    return pd.DataFrame(
        {
            "t_c": 15 + 8 * np.sin((hour - 9) / 24 * 2 * np.pi) + k % 7 * 0.1, "td_c": 5.0 + (k % 5) * 0.2,
            "u": 3.0, "v": 4.0, "rs_j": np.where((hour > 6) & (hour <= 18), 1.2e6 + 1000.0 * (k % 11), 0.0),
            "rain_m": np.where(k % 6 == 0, 0.0004, 0.0),
        },
        index=hours,
    )  # fmt: skip


def fields(hours: pd.DataFrame) -> pd.DataFrame:
    """The variables of the file, from the truth."""
    return pd.DataFrame(
        {
            "t2m": hours["t_c"] + 273.15, "d2m": hours["td_c"] + 273.15, "u10": hours["u"], "v10": hours["v"],
            "ssrd": accumulated(hours["rs_j"]), "tp": accumulated(hours["rain_m"]),
        }
    )  # fmt: skip


def netcdf(path: Path, table: pd.DataFrame, latitude: float, longitude: float, sea: bool = False) -> bytes:
    """A file of three by three points, all alike; `sea`: the middle one has no values."""
    latitudes = np.round([latitude + 0.1, latitude, latitude - 0.1], 1)
    longitudes = np.round([longitude - 0.1, longitude, longitude + 0.1], 1)
    cube = {}
    for name in table:
        values = np.broadcast_to(table[name].to_numpy()[:, None, None], (len(table), 3, 3)).copy()
        if sea:
            values[:, 1, 1] = np.nan
        cube[name] = (("valid_time", "latitude", "longitude"), values.astype("float32"), {"units": ATTRS[str(name)]})
    times = pd.DatetimeIndex(table.index).tz_localize(None)
    made = xr.Dataset(
        cube, {"valid_time": times, "latitude": latitudes, "longitude": longitudes, "number": 0, "expver": ("valid_time", ["0001"] * len(times))}
    )  # fmt: skip
    made.to_netcdf(path, engine="netcdf4")
    return path.read_bytes()
