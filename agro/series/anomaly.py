"""A parcel against same-crop neighbours, and against itself two weeks ago."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

#: Sd of a normal distribution whose median absolute deviation is 1.
MAD_TO_SD = 1.4826
#: Spread below which differences between neighbours mean nothing.
MIN_SPREAD = 0.03


def neighbour_anomaly(
    series: pd.DataFrame, parcels: pd.DataFrame, as_of: date, index: str = "ndvi", min_count: int = 5
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

    Returns
    -------
    pandas.DataFrame
        parcel_uid, value, median and mad of the neighbours, count, z (robust: distance from the median in
        scaled MADs, at least 0.03). A row for every parcel.
    """
    now = series[(series["index"] == index) & (series["date"] == pd.Timestamp(as_of))].set_index("parcel_uid")["value"]
    crops = parcels.set_index("parcel_uid")["agro:crop"]
    rows = []
    for uid, crop in crops.items():
        value = float(now.get(uid, np.nan))
        others = now.reindex(crops.index[(crops == crop) & (crops.index != uid)]).dropna()
        row = {"parcel_uid": uid, "value": value, "median": np.nan, "mad": np.nan, "count": len(others), "z": np.nan}
        if len(others) >= min_count:
            median = float(others.median())
            mad = float((others - median).abs().median())
            row.update(median=median, mad=mad, z=(value - median) / max(MAD_TO_SD * mad, MIN_SPREAD))
        rows.append(row)
    return pd.DataFrame(rows, columns=["parcel_uid", "value", "median", "mad", "count", "z"])


def recent_change(series: pd.DataFrame, as_of: date, index: str = "ndvi", days: int = 14) -> pd.DataFrame:
    """Change of the index over the last days: parcel_uid, value, before, change (NaN where either is unknown)."""
    table = series[series["index"] == index]
    now = table[table["date"] == pd.Timestamp(as_of)].set_index("parcel_uid")["value"]
    before = (
        table[table["date"] == pd.Timestamp(as_of) - pd.Timedelta(days=days)]
        .set_index("parcel_uid")["value"]
        .reindex(now.index)
    )
    return pd.DataFrame(
        {
            "parcel_uid": now.index,
            "value": now.to_numpy(),
            "before": before.to_numpy(),
            "change": (now - before).to_numpy(),
        }
    )
