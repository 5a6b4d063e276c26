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
    rows = []
    for (uid, _), one in table.groupby(["parcel_uid", "season"], sort=True):
        if len(one) < MIN_LOOKS:
            continue
        grid = np.arange(max(int(one["day"].iloc[0]), 0), cut_day + 1)
        value = np.interp(grid, one["day"], one["mean"])
        rows.append(
            {
                "parcel_uid": uid, "season": int(one["season"].iloc[0]), "peak": float(one["mean"].max()),
                "integral": float(np.clip(value - BARE, 0, None).sum()), "mean_30d": float(value[-30:].mean()), "mean_90d": float(value[-90:].mean()),
            }
        )  # fmt: skip
    types = {"parcel_uid": "str", "season": "int64", **dict.fromkeys(FEATURES, "float64")}
    return pd.DataFrame(rows, columns=list(types)).astype(types)
