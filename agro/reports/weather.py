"""The week's rain and reference evapotranspiration, and the days ahead with their spread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

#: Fewest earlier years for a comparison with what is usual.
MIN_NORMAL_YEARS = 5


@dataclass(frozen=True)
class WeatherDay:
    """One day. Low and high are the 10th and 90th percentiles of the members; NaN without an ensemble."""

    day: date
    rain_mm: float
    et0_mm: float
    rain_low_mm: float = float("nan")
    rain_high_mm: float = float("nan")
    et0_low_mm: float = float("nan")
    et0_high_mm: float = float("nan")


@dataclass(frozen=True)
class WeatherWeek:
    """Seven days back (the issue date is the last) and up to seven ahead. Totals in mm; NaN is not known."""

    past: tuple[WeatherDay, ...]
    ahead: tuple[WeatherDay, ...]
    rain_past_mm: float
    et0_past_mm: float
    rain_normal_mm: float
    et0_normal_mm: float
    normal_years: int
    rain_ahead: tuple[float, float, float]  # low, central, high
    et0_ahead: tuple[float, float, float]
    members: int
    past_sources: tuple[str, ...]
    ahead_sources: tuple[str, ...]

    @property
    def ahead_is_trend_alone(self) -> bool:
        """Whether the days ahead rest on climate normals and not on a forecast."""
        return bool(self.ahead) and all("climatology" in source for source in self.ahead_sources)


def weather_week(weather: pd.DataFrame, issued_on: date) -> WeatherWeek:
    """Sum up a run's weather around the issue date.

    Parameters
    ----------
    weather : pandas.DataFrame
        Table "weather"; several sites are averaged. What was issued after `issued_on` is not looked at.
    issued_on : datetime.date
        Last day of the past week.

    Returns
    -------
    WeatherWeek
    """
    day = pd.Timestamp(issued_on)
    known = weather[weather["issued_at"] <= day]
    seen = known[~known["is_forecast"] & (known["date"] <= day)].sort_values("issued_at")
    seen = seen.drop_duplicates(["site_id", "date", "member"], keep="last")
    daily = seen.groupby("date")[["rain_mm", "et0_mm"]].mean()
    past_days = pd.date_range(day - pd.Timedelta(days=6), day)
    past = daily.reindex(past_days)
    ahead = known[
        known["is_forecast"] & (known["date"] > day) & (known["date"] <= day + pd.Timedelta(days=7))
    ].sort_values("issued_at")
    ahead = ahead.drop_duplicates(["site_id", "date", "member"], keep="last")
    members = ahead.groupby(["member", "date"])[["rain_mm", "et0_mm"]].mean().reset_index()
    ensemble = members[members["member"] >= 0]
    if ensemble.empty:
        ensemble = members
    count = int(ensemble["member"].nunique())
    by_day: Any = ensemble.groupby("date")
    rain_normal, et0_normal, years = _normals(daily, past_days)
    return WeatherWeek(
        past=tuple(
            WeatherDay(d.date(), float(r["rain_mm"]), float(r["et0_mm"]))
            for d, r in zip(past_days, past.to_dict("records"), strict=True)
        ),
        ahead=tuple(_day_ahead(d.date(), rows, count) for d, rows in by_day),
        rain_past_mm=float(past["rain_mm"].sum(skipna=False)),
        et0_past_mm=float(past["et0_mm"].sum(skipna=False)),
        rain_normal_mm=rain_normal,
        et0_normal_mm=et0_normal,
        normal_years=years,
        rain_ahead=_total(ensemble, "rain_mm", count),
        et0_ahead=_total(ensemble, "et0_mm", count),
        members=count,
        past_sources=tuple(sorted(seen.loc[seen["date"] >= past_days[0], "source"].unique())),
        ahead_sources=tuple(sorted(ahead["source"].unique())),
    )


def _day_ahead(day: date, rows: pd.DataFrame, members: int) -> WeatherDay:
    rain, et0 = rows["rain_mm"], rows["et0_mm"]
    if members < 2:
        return WeatherDay(day, float(rain.mean()), float(et0.mean()))
    return WeatherDay(
        day, float(rain.mean()), float(et0.mean()), float(rain.quantile(0.1)), float(rain.quantile(0.9)),
        float(et0.quantile(0.1)), float(et0.quantile(0.9)),
    )  # fmt: skip


def _total(ensemble: pd.DataFrame, column: str, members: int) -> tuple[float, float, float]:
    nan = float("nan")
    if ensemble.empty:
        return nan, nan, nan
    # Sum within a member first: the days of one member go together.
    sums = ensemble.groupby("member")[column].sum(min_count=1)
    if members < 2:
        return nan, float(sums.mean()), nan
    return float(sums.quantile(0.1)), float(sums.mean()), float(sums.quantile(0.9))


def _normals(daily: pd.DataFrame, past_days: pd.DatetimeIndex) -> tuple[float, float, int]:
    """Mean of the same seven days in the earlier years that have all seven."""
    totals = []
    for back in range(1, 60):
        week = daily.reindex(past_days - pd.DateOffset(years=back))
        if week.notna().to_numpy().all() and week.index.is_unique:
            totals.append(week.sum().to_numpy())
    if len(totals) < MIN_NORMAL_YEARS:
        return float("nan"), float("nan"), len(totals)
    rain, et0 = np.mean(totals, axis=0)
    return float(rain), float(et0), len(totals)
