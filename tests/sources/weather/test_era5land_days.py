"""ERA5-Land's hours become local days: accumulations undone, the 00 UTC step in its own day, short days known."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from era5land_files import accumulated, fields, netcdf, truth
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.errors import SourceError
from agro.sources.weather.era5land_days import daily, hourly_at


def local_days(hours: pd.DataFrame, zone: str, shift_h: int = 0) -> pd.Index:
    moments = pd.DatetimeIndex(hours.index) - pd.Timedelta(hours=shift_h)
    return moments.tz_convert(zone).tz_localize(None).normalize()


@pytest.mark.parametrize("zone", ["UTC", "Africa/Casablanca", "Europe/Madrid", "America/New_York"])
def test_days_are_those_of_the_clock(zone: str) -> None:
    hours = truth("2026-03-20", "2026-04-02")
    found = daily(fields(hours), ZoneInfo(zone)).loc["2026-03-21":"2026-04-01"]
    at, during = hours.groupby(local_days(hours, zone)), hours.groupby(local_days(hours, zone, 1))
    assert len(found) == 12 and found.notna().all(axis=None)
    np.testing.assert_allclose(found["tmin_c"], at["t_c"].min()[found.index])
    np.testing.assert_allclose(found["tmax_c"], at["t_c"].max()[found.index])
    np.testing.assert_allclose(found["rs_mj_m2"], during["rs_j"].sum()[found.index] / 1e6)
    np.testing.assert_allclose(found["rain_mm"], during["rain_m"].sum()[found.index] * 1000, atol=1e-9)
    np.testing.assert_allclose(found["wind_m_s"], 5.0)  # the hypotenuse of 3 and 4


def test_the_step_of_midnight_is_the_whole_day_before() -> None:
    steps = pd.Series(0.0, index=pd.date_range("2026-01-01 00:00", "2026-01-03 00:00", freq="h", tz="UTC"))
    steps["2026-01-01 23:00"], steps["2026-01-02 00:00"], steps["2026-01-02 01:00"] = 0.001, 0.002, 0.004
    table = fields(truth("2026-01-01", "2026-01-02")).reindex(steps.index).assign(tp=accumulated(steps))
    # What the store says at 00 UTC: all 3 mm of the first day.
    assert table["tp"]["2026-01-02 00:00"] == pytest.approx(0.003)
    rain = daily(table, ZoneInfo("UTC"))["rain_mm"]
    assert rain["2026-01-01"] == pytest.approx(3.0) and rain["2026-01-02"] == pytest.approx(4.0)
    # An hour further east the last hour of the UTC day is the next day's first.
    east = daily(table, ZoneInfo("Etc/GMT-1"))["rain_mm"]
    assert east["2026-01-02"] == pytest.approx(2.0 + 4.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 0.02), min_size=72, max_size=72))
def test_undoing_the_accumulation_loses_no_rain(amounts: list[float]) -> None:
    index = pd.date_range("2026-01-01 01:00", periods=72, freq="h", tz="UTC")
    steps = pd.Series(amounts, index=index)
    start = pd.Series([0.0], index=[pd.Timestamp("2026-01-01", tz="UTC")])
    table = fields(truth("2026-01-01", "2026-01-03")).reindex(start.index.append(index))
    table["tp"] = pd.concat([start, accumulated(steps)])
    rain = daily(table, ZoneInfo("UTC"))["rain_mm"].loc["2026-01-01":"2026-01-03"]
    np.testing.assert_allclose(rain, steps.to_numpy().reshape(3, 24).sum(axis=1) * 1000, atol=1e-6)


def test_a_day_with_an_hour_missing_is_missing() -> None:
    table = fields(truth("2026-03-20", "2026-03-26"))
    table = table.drop(pd.Timestamp("2026-03-22 12:00", tz="UTC"))
    found = daily(table, ZoneInfo("UTC")).loc["2026-03-20":"2026-03-26"]
    assert found.loc["2026-03-22"].isna().all() and found.drop(pd.Timestamp("2026-03-22")).notna().all(axis=None)


def test_hourly_amounts_where_sums_are_due_are_refused() -> None:
    hours = truth("2026-03-20", "2026-03-22")
    table = fields(hours).assign(ssrd=hours["rs_j"])  # as the time-series data set gives them
    with pytest.raises(SourceError, match="not accumulated from 00 UTC"):
        daily(table, ZoneInfo("UTC"))


def test_rounding_of_the_packed_field_is_no_fault() -> None:
    table = fields(truth("2026-03-20", "2026-03-22"))
    night = pd.DatetimeIndex(table.index).hour == 22
    rain = daily(table.assign(tp=table["tp"] - np.where(night, 1e-6, 0.0)), ZoneInfo("UTC"))["rain_mm"]
    assert (rain.dropna() >= 0).all()


def test_the_point_is_read_from_the_file(tmp_path: Path) -> None:
    table = fields(truth("2026-03-20", "2026-03-21"))
    read = hourly_at(netcdf(tmp_path / "a.nc", table, 31.7, -7.7), 31.7, -7.7)
    pd.testing.assert_frame_equal(read, table, rtol=1e-6, check_freq=False, check_names=False, check_index_type=False)
    near_sea = hourly_at(netcdf(tmp_path / "b.nc", table, 31.7, -7.7, sea=True), 31.7, -7.7)
    assert near_sea.notna().all(axis=None)


def test_a_zip_of_two_files_is_read(tmp_path: Path) -> None:
    table = fields(truth("2026-03-20", "2026-03-21"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("instant.nc", netcdf(tmp_path / "a.nc", table[["t2m", "d2m", "u10", "v10"]], 31.7, -7.7))
        archive.writestr("accum.nc", netcdf(tmp_path / "b.nc", table[["ssrd", "tp"]], 31.7, -7.7))
    read = hourly_at(packed.getvalue(), 31.7, -7.7)
    pd.testing.assert_frame_equal(read, table, rtol=1e-6, check_freq=False, check_names=False, check_index_type=False)


def test_what_is_no_such_file_is_said(tmp_path: Path) -> None:
    table = fields(truth("2026-03-20", "2026-03-21"))
    with pytest.raises(SourceError, match="cannot be read"):
        hourly_at(b"<html>", 31.7, -7.7)
    with pytest.raises(SourceError, match="lacks tp"):
        hourly_at(netcdf(tmp_path / "a.nc", table.drop(columns="tp"), 31.7, -7.7), 31.7, -7.7)
