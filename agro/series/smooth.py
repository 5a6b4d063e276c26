"""Observations to a daily series, knowing only what was known on the day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.tables import empty, validate
from agro.series.whittaker import whittaker

#: Roughness penalty for daily steps and weights about 1: features shorter than about 20 days are smoothed.
LAMBDA = 3000.0
#: Sd of one look of a parcel's mean index: atmosphere, geometry, registration.
LOOK_SD = 0.03
#: Sd that a day without a look adds, as a random walk (index units per square root of a day).
DRIFT_SD = 0.012
#: A look this far below both neighbours in time is haze or shadow that the mask missed.
DIP = 0.12
#: ... when the neighbours are at most this many days apart.
DIP_WINDOW_D = 40


def smooth(
    observations: pd.DataFrame,
    as_of: date,
    *,
    start: date | None = None,
    indices: Sequence[str] | None = None,
    parcels: Sequence[str] | None = None,
    lambda_: float = LAMBDA,
) -> pd.DataFrame:
    """Smooth and fill each parcel's index to a value a day.

    Parameters
    ----------
    observations : pandas.DataFrame
        Table ``observations``. Looks after `as_of` and looks that are not usable are not read.
    as_of : datetime.date
        Last day of the series.
    start : datetime.date, optional
        First day; default: the first look.
    indices : sequence of str, optional
        Default: all in the table, or ``ndvi`` when it is empty.
    parcels : sequence of str, optional
        Parcels that must come out even without any look; default: those in the table.
    lambda_ : float
        See :func:`~agro.series.whittaker.whittaker`.

    Returns
    -------
    pandas.DataFrame
        Table ``series``. ``observed`` on days with a usable look, ``interpolated`` between looks,
        ``extrapolated`` before the first and after the last, where the last smoothed value is held and its sd
        grows with the square root of time. NaN, and no ``clear_age_d``, for parcels never seen.

    Notes
    -----
    A single dip between two higher looks is given no weight (cloud and haze only ever lower a vegetation
    index; Chen et al. 2004, doi 10.1016/j.rse.2004.03.014). A drop that the next look confirms, such as a cut
    or a harvest, is kept; so is the newest look, which nothing can yet confirm.
    """
    usable = observations[observations["usable"] & (observations["date"] <= pd.Timestamp(as_of))]
    names = list(indices) if indices is not None else sorted(observations["index"].unique()) or ["ndvi"]
    uids = sorted(set(parcels) if parcels is not None else set(observations["parcel_uid"]))
    first = pd.Timestamp(start) if start else (usable["date"].min() if len(usable) else pd.Timestamp(as_of))
    days = pd.date_range(first, pd.Timestamp(as_of), freq="D")
    if not len(days) or not uids:
        return empty("series")
    parts = [_smooth_index(usable[usable["index"] == name], name, uids, days, lambda_) for name in names]
    return validate(pd.concat(parts, ignore_index=True), "series")


def _smooth_index(
    looks: pd.DataFrame, name: str, uids: list[str], days: pd.DatetimeIndex, lambda_: float
) -> pd.DataFrame:
    n, m = len(uids), len(days)
    row = pd.Series(np.arange(n), index=uids)
    looks = looks[looks["parcel_uid"].isin(row.index) & looks["date"].isin(days)]
    # Several sources on one day: the better look counts.
    looks = looks.sort_values(["parcel_uid", "date", "pixels_effective"]).drop_duplicates(
        ["parcel_uid", "date"], keep="last"
    )
    values = np.full((n, m), np.nan)
    valid = np.zeros((n, m))
    at = (row[looks["parcel_uid"]].to_numpy(), days.get_indexer(pd.Index(looks["date"])))
    values[at] = looks["mean"].to_numpy()
    valid[at] = np.clip(looks["valid_frac"].to_numpy(), 0.05, 1.0)
    weights = np.where(np.isfinite(values), valid, 0.0)
    weights[_dips(values)] = 0.0
    smoothed, variance = whittaker(values, weights, lambda_)
    sd = np.sqrt(np.clip(variance, 0, None)) * LOOK_SD
    _hold_ends(values, weights, smoothed, sd)
    counted = weights > 0
    seen = np.where(counted, np.arange(m), -1)
    last = np.maximum.accumulate(seen, axis=1)
    age = np.where(last >= 0, np.arange(m) - last, -1)
    final = seen.max(axis=1, keepdims=True)
    start = np.where(counted.any(axis=1), counted.argmax(axis=1), m)[:, None]
    position = np.arange(m)[None, :]
    flag = np.where(
        counted, "observed", np.where((position > start) & (position < final), "interpolated", "extrapolated")
    )
    return pd.DataFrame(
        {
            "parcel_uid": np.repeat(uids, m),
            "date": np.tile(days, n),
            "index": name,
            "value": smoothed.ravel(),
            "sd": sd.ravel(),
            "flag": flag.ravel(),
            "clear_age_d": pd.array(np.where(age < 0, 0, age).ravel(), dtype="Int64"),
        }
    ).assign(clear_age_d=lambda t: t["clear_age_d"].mask(pd.Series((age < 0).ravel())))


def _dips(values: np.ndarray) -> np.ndarray:
    """Looks that lie far below the look before and the look after."""
    out = np.zeros(values.shape, dtype=bool)
    for series in range(values.shape[0]):
        at = np.flatnonzero(np.isfinite(values[series]))
        if at.size < 3:
            continue
        v = values[series, at]
        inner = slice(1, -1)
        gap = at[2:] - at[:-2]
        share = (at[inner] - at[:-2]) / gap
        line = v[:-2] + share * (v[2:] - v[:-2])
        low = (v[inner] < np.minimum(v[:-2], v[2:]) - DIP / 2) & (v[inner] < line - DIP) & (gap <= DIP_WINDOW_D)
        out[series, at[inner][low]] = True
    return out


def _hold_ends(values: np.ndarray, weights: np.ndarray, smoothed: np.ndarray, sd: np.ndarray) -> None:
    """Hold the value before the first and after the last look; a single look is held everywhere."""
    m = values.shape[1]
    for series in range(values.shape[0]):
        at = np.flatnonzero(weights[series] > 0)
        if at.size == 0:
            continue
        if at.size == 1:
            smoothed[series] = values[series, at[0]]
            sd[series] = LOOK_SD
        first, last = at[0], at[-1]
        smoothed[series, :first], smoothed[series, last + 1 :] = smoothed[series, first], smoothed[series, last]
        # Between looks the walk is tied at both ends (a Brownian bridge); beyond them it is free.
        left = np.concatenate(([first], at))
        before = left[np.searchsorted(at, np.arange(m), side="right")]
        after = np.concatenate((at, [last]))[np.searchsorted(at, np.arange(m), side="left")]
        to_left, to_right = np.arange(m) - before, after - np.arange(m)
        tied = np.where(
            (to_left > 0) & (to_right > 0),
            to_left * to_right / np.maximum(to_left + to_right, 1),
            np.abs(np.where(to_left < 0, to_left, to_right)),
        )
        tied[at] = 0
        sd[series] = np.sqrt(sd[series] ** 2 + DRIFT_SD**2 * np.maximum(tied, 0))
