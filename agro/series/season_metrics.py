"""Figures that describe a season: length, height, speed, area."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agro.schema.tables import empty, validate
from agro.series.phenology import Curve, curves

#: Levels between which the speed of rise and fall is taken, as shares of the height of that side.
LOW_FRAC, HIGH_FRAC = 0.2, 0.8


def season_metrics(series: pd.DataFrame, seasons: pd.DataFrame, index: str = "ndvi") -> pd.DataFrame:
    """Metrics of seasons after the definitions of TIMESAT.

    Parameters
    ----------
    series : pandas.DataFrame
        Table ``series`` that the seasons were found in.
    seasons : pandas.DataFrame
        Table ``phenology``.
    index : str
        Index to read.

    Returns
    -------
    pandas.DataFrame
        Table ``season_metrics``, a row for each season with a peak; what rests on a start or an end that has not been
        seen is NaN. ``length_d`` from start to end; ``base_value`` mean of the lowest values on either side of the peak,
        ``amplitude`` peak less base; ``rise_per_d`` and ``fall_per_d`` slope between 20 % and 80 % of the height of the side;
        ``middle_date`` half way between the days of 80 %; ``large_integral_d`` area under the curve and
        ``small_integral_d`` area between curve and base, both from start to end (index x days).

    Notes
    -----
    Jönsson & Eklundh (2004, doi 10.1016/j.cageo.2004.05.006). The sides of a season reach to the peaks of its neighbours,
    or to the first and last look.
    """
    wanted = seasons[(seasons["index"] == index) & seasons["peak_date"].notna()]
    if not len(wanted):
        return empty("season_metrics")
    groups = {str(uid): group for uid, group in wanted.groupby("parcel_uid", sort=False)}
    rows: list[dict[str, object]] = []
    for curve in curves(series, index):
        # Oldest first, so that each season ends where the next one has its peak.
        of_parcel = groups.get(curve.parcel_uid)
        if of_parcel is None:
            continue
        ordered = of_parcel.sort_values("peak_date")
        peaks = np.searchsorted(curve.dates, ordered["peak_date"].to_numpy())
        edges = [0, *peaks, curve.values.size - 1]
        found = []
        for number, (season, start, end) in enumerate(
            zip(ordered["season"], ordered["start_date"], ordered["end_date"], strict=True)
        ):
            figures = _metrics(curve, edges[number], edges[number + 1], edges[number + 2], start, end)
            found.append({"parcel_uid": curve.parcel_uid, "index": index, "season": season, **figures})
        rows.extend(reversed(found))
    return validate(pd.DataFrame(rows), "season_metrics")


def _metrics(
    curve: Curve, left: int, peak: int, right: int, start: pd.Timestamp, end: pd.Timestamp
) -> dict[str, object]:
    v, day = curve.values, curve.dates
    out: dict[str, object] = {
        "length_d": np.nan, "middle_date": pd.NaT, "base_value": np.nan, "amplitude": np.nan, "rise_per_d": np.nan,
        "fall_per_d": np.nan, "large_integral_d": np.nan, "small_integral_d": np.nan,
    }  # fmt: skip
    rising, falling = v[left : peak + 1][::-1], v[peak : right + 1]
    if pd.notna(start):
        high_left, out["rise_per_d"] = _side(rising)
    if pd.notna(end):
        high_right, out["fall_per_d"] = _side(falling)
    if pd.isna(start) or pd.isna(end):
        return out
    base = (rising.min() + falling.min()) / 2
    first, last = np.searchsorted(day, [start.to_datetime64(), end.to_datetime64()])
    area = float(np.trapezoid(v[first : last + 1]))
    days = float(last - first)
    middle = peak + (high_right - high_left) / 2
    out.update(
        length_d=days, base_value=float(base), amplitude=float(v[peak] - base), large_integral_d=area,
        small_integral_d=area - float(base) * days, middle_date=day[0] + np.timedelta64(round(middle), "D"),
    )  # fmt: skip
    return out


def _side(away: np.ndarray) -> tuple[int, float]:
    """Days from the peak to 80 % of a side's height, and its speed (per day); `away` starts at the peak."""
    low = away[: int(np.argmin(away)) + 1]
    height = low[0] - low[-1]
    high_at = int(np.argmax(low <= low[-1] + HIGH_FRAC * height))
    low_at = int(np.argmax(low <= low[-1] + LOW_FRAC * height))
    return high_at, float((low[high_at] - low[low_at]) / max(low_at - high_at, 1))
