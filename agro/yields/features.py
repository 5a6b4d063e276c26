"""What the index says of a season by a given day of it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

#: Seasons are named by the year of harvest and begin on this month and day.
SEASON_START = (9, 1)
FEATURES = ("peak", "integral", "mean_30d", "mean_90d")
#: Bare soil's index, above which the integral counts.
BARE = 0.15
#: Fewer looks than this describe no season.
MIN_LOOKS = 5


def season_of(day: date) -> int:
    """Harvest year of the season that a day lies in."""
    return day.year + (1 if (day.month, day.day) >= SEASON_START else 0)


def season_day(dates: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Harvest year and day of the season of each date."""
    later = (dates.dt.month > SEASON_START[0]) | (
        (dates.dt.month == SEASON_START[0]) & (dates.dt.day >= SEASON_START[1])
    )
    season = dates.dt.year + later.astype(int)
    starts = pd.to_datetime({"year": season - 1, "month": SEASON_START[0], "day": SEASON_START[1]})
    return season, (dates - starts).dt.days


def season_features(observations: pd.DataFrame, cut_day: int, index: str = "ndvi") -> pd.DataFrame:
    """Features of each parcel and season, from looks up to a day of the season.

    Parameters
    ----------
    observations : pandas.DataFrame
        Table ``observations``, any number of seasons; usable looks count.
    cut_day : int
        Last day of the season that is read: the same for past seasons as for the present one, so that nothing is
        learned from later.
    index : str
        Index read.

    Returns
    -------
    pandas.DataFrame
        parcel_uid, season and :data:`FEATURES`: highest value so far; integral above bare soil (index days);
        means of the last 30 and 90 days. Seasons with fewer than five looks are left out.
    """
    looks = observations[observations["usable"] & (observations["index"] == index) & observations["mean"].notna()]
    season, day = season_day(looks["date"])
    table = looks[["parcel_uid", "mean"]].assign(season=season, day=day)
    table = table[table["day"] <= cut_day].sort_values("day")
    types = {"parcel_uid": "str", "season": "int64", **dict.fromkeys(FEATURES, "float64")}
    if table.empty:
        return pd.DataFrame(columns=list(types)).astype(types)
    table = table.reset_index(drop=True)
    number = table.groupby(["parcel_uid", "season"], sort=True).ngroup().to_numpy()
    order = np.lexsort((table["day"].to_numpy(), number))
    number, when = number[order], table["day"].to_numpy()[order].astype(float)
    value = table["mean"].to_numpy(dtype=float)[order]
    counts = np.bincount(number)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int)
    last = first + counts - 1
    keep = counts >= MIN_LOOKS
    keys = table.iloc[order[first]][["parcel_uid", "season"]]
    out = keys.assign(peak=np.maximum.reduceat(value, first), integral=0.0, mean_30d=0.0, mean_90d=0.0)
    out[["integral", "mean_30d", "mean_90d"]] = _on_days(number, when, value, first, last, cut_day)
    return out[keep].reset_index(drop=True).astype(types)


def _on_days(
    number: np.ndarray, day: np.ndarray, value: np.ndarray, first: np.ndarray, last: np.ndarray, cut_day: int
) -> np.ndarray:
    """Integral above bare soil and means of the last 30 and 90 days, of curves drawn straight between looks.

    All curves at once, a day at a time: rows of `number` are sorted by curve and day; a curve begins with its first look (day 0 at the
    earliest) and stays at its last look's value.
    """
    totals = np.zeros((len(first), 3))
    days = np.zeros((len(first), 3))
    at = first.copy()
    begins = np.maximum(day[first], 0)
    for today in range(cut_day + 1):
        # The last look on or before today; looks of one curve follow each other.
        ahead = np.minimum(at + 1, last)
        while (move := (ahead > at) & (day[ahead] <= today)).any():
            at = np.where(move, ahead, at)
            ahead = np.minimum(at + 1, last)
        gap = np.maximum(day[ahead] - day[at], 1.0)
        share = np.where(ahead > at, (today - day[at]) / gap, 0.0)
        now = value[at] + np.maximum(share, 0.0) * (value[ahead] - value[at])
        begun = begins <= today
        totals[:, 0] += np.where(begun, np.maximum(now - BARE, 0.0), 0.0)
        for column, window in ((1, 30), (2, 90)):
            if today > cut_day - window:
                totals[:, column] += np.where(begun, now, 0.0)
                days[:, column] += begun
    totals[:, 1:] /= np.maximum(days[:, 1:], 1)
    return totals
