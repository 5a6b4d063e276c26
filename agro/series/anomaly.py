"""A parcel against same-crop neighbours, and against itself two weeks ago."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

#: Sd of a normal distribution whose median absolute deviation is 1.
MAD_TO_SD = 1.4826
#: Spread below which differences between neighbours mean nothing.
MIN_SPREAD = 0.03


#: Above this many parcels of a crop, a parcel among its own neighbours no longer shifts their median.
LEAVE_OUT_UP_TO = 2000


def neighbour_anomaly(
    series: pd.DataFrame,
    parcels: pd.DataFrame,
    as_of: date,
    index: str = "ndvi",
    min_count: int = 5,
    max_age_d: int = 20,
) -> pd.DataFrame:
    """How far each parcel is from the other parcels of its crop.

    Parameters
    ----------
    series, parcels : pandas.DataFrame
        Tables ``series`` and ``parcels``.
    as_of : datetime.date
        Day compared.
    index : str
        Index compared.
    min_count : int
        Fewer neighbours give NaN; figures of so few would also disclose them.
    max_age_d : int
        A parcel last seen longer ago neither counts as a neighbour nor gets a `z`: its value is only held.

    Returns
    -------
    pandas.DataFrame
        parcel_uid, value, median and mad of the neighbours, count, z (robust: distance from the median in
        scaled MADs, at least 0.03). A row for every parcel.
    """
    day = series[(series["index"] == index) & (series["date"] == pd.Timestamp(as_of))].set_index("parcel_uid")
    day = day.reindex(parcels["parcel_uid"])
    value = day["value"].to_numpy(dtype="float64", na_value=np.nan)
    fresh = np.isfinite(value) & (day["clear_age_d"].to_numpy(dtype="float64", na_value=np.inf) <= max_age_d)
    crop = parcels["agro:crop"].to_numpy()
    median, mad = np.full(len(parcels), np.nan), np.full(len(parcels), np.nan)
    count = np.zeros(len(parcels), dtype="int64")
    for name in sorted(set(crop)):
        members = np.flatnonzero(crop == name)
        seen = members[fresh[members]]
        count[members] = seen.size - fresh[members]
        if seen.size > LEAVE_OUT_UP_TO:
            middle = np.median(value[seen])
            median[members], mad[members] = middle, np.median(np.abs(value[seen] - middle))
            continue
        for one in members[count[members] >= max(min_count, 1)]:
            others = value[seen[seen != one]]
            median[one] = np.median(others)
            mad[one] = np.median(np.abs(others - median[one]))
    z = np.where(fresh, (value - median) / np.maximum(MAD_TO_SD * mad, MIN_SPREAD), np.nan)
    return pd.DataFrame(
        {
            "parcel_uid": parcels["parcel_uid"].to_numpy(),
            "value": value,
            "median": median,
            "mad": mad,
            "count": count,
            "z": z,
        }
    )


def recent_change(series: pd.DataFrame, as_of: date, index: str = "ndvi", days: int = 14) -> pd.DataFrame:
    """Change of the index over the last days.

    Parameters
    ----------
    series : pandas.DataFrame
        Table ``series``.
    as_of : datetime.date
        Last day.
    index : str
        Index compared.
    days : int
        Length.

    Returns
    -------
    pandas.DataFrame
        parcel_uid, value, before, change: a row for every parcel of the series. ``change`` is NaN where either end
        is unknown and where no look fell within these days: a value that is only held does not change.
    """
    table = series[series["index"] == index]
    uids = table["parcel_uid"].drop_duplicates().sort_values()
    now, before = (
        table[table["date"] == pd.Timestamp(as_of) - pd.Timedelta(days=back)].set_index("parcel_uid").reindex(uids)
        for back in (0, days)
    )
    age = now["clear_age_d"].to_numpy(dtype="float64", na_value=np.inf)
    known = (age < days) & before["clear_age_d"].notna().to_numpy()
    value, was = now["value"].to_numpy(), before["value"].to_numpy()
    return pd.DataFrame(
        {"parcel_uid": uids.to_numpy(), "value": value, "before": was, "change": np.where(known, value - was, np.nan)}
    )
