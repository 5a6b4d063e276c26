"""Value and doubt of each day of a chunk of series."""

from __future__ import annotations

import numpy as np

from agro.series.looks import LOOK_SD
from agro.series.whittaker import whittaker

#: Roughness penalties tried for daily steps and weights about 1. With a look every five days, 1 halves a wave of 9
#: days (every look is followed, as cuts of alfalfa need), 300 one of 39 days (a cereal's season keeps its shape).
LAMBDAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
#: ... and the one, with rougher ones in reserve, where there are too few looks to choose by.
LAMBDA = 300.0
LOOKS_TO_CHOOSE = 8
#: What LOOK_SD counts for, in looks, against the scatter of a parcel's own looks.
PRIOR_LOOKS = 4.0
#: Sd that a day without a look adds, as a random walk (index units per square root of a day). Between looks 20-40
#: days apart the NDVI of an irrigated cereal moved by 0.034 and that of 500 Mediterranean parcels by 0.021 a root-day.
#: A parcel that has moved faster between its own looks (cuts) has its own, larger figure.
DRIFT_SD = 0.025


def daily(
    values: np.ndarray, weights: np.ndarray, lambdas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Smooth, fill and hold.

    Parameters
    ----------
    values, weights : numpy.ndarray
        (series, days); no look where the weight is 0.
    lambdas : numpy.ndarray
        (series,) penalty, NaN where it is to be chosen.

    Returns
    -------
    value, sd : numpy.ndarray
        (series, days), NaN for a series without a look.
    age : numpy.ndarray of int
        (series, days) days since the last look, -1 before the first.
    flag : numpy.ndarray of str
        (series, days) observed, interpolated or extrapolated.
    """
    n, m = values.shape
    counted = weights > 0
    position = np.arange(m)
    last = np.maximum.accumulate(np.where(counted, position, -1), axis=1)
    age = np.where(last >= 0, position - last, -1)
    seen = counted.any(axis=1)
    first = np.where(seen, counted.argmax(axis=1), m)
    final = last[:, -1]
    between = (position > first[:, None]) & (position < final[:, None])
    flag = np.where(counted, "observed", np.where(between, "interpolated", "extrapolated"))
    scale = np.ones(n)
    looked = np.where(counted, values, np.nan)[seen]
    scale[seen] = np.maximum(1.0, np.nanmax(looked, axis=1) - np.nanmin(looked, axis=1))
    scaled = values / scale[:, None]
    value, sd = _estimate(scaled, weights, lambdas)
    # In a gap before a cut a stiff curve can rise above anything that the field has ever shown.
    margin = 2 * LOOK_SD
    lowest, highest = np.nanmin(looked, axis=1) / scale[seen] - margin, np.nanmax(looked, axis=1) / scale[seen] + margin
    value[seen] = np.clip(value[seen], lowest[:, None], highest[:, None])
    # Hold the ends; there the sd walks away from that of the look.
    start, stop = np.clip(first, 0, m - 1)[:, None], np.clip(final, 0, m - 1)[:, None]
    held = np.clip(position, start, stop)
    beyond = np.abs(position - held)
    value, sd = np.take_along_axis(value, held, axis=1), np.take_along_axis(sd, held, axis=1)
    sd = np.sqrt(sd**2 + _drift(scaled, last)[:, None] * beyond)
    return value * scale[:, None], sd * scale[:, None], age, flag


def _drift(values: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Variance that a day without a look adds, by the parcel's own steps from look to look; at least DRIFT_SD squared.

    A step of variance ``2 LOOK_SD**2`` is noise; what it exceeds that, per day of the gap, is movement. DRIFT_SD counts
    as four steps.
    """
    n, m = values.shape
    before = np.concatenate((np.full((n, 1), -1), last[:, :-1]), axis=1)
    row, at = np.nonzero((last == np.arange(m)) & (before >= 0))
    gap = at - before[row, at]
    moved = np.maximum((values[row, at] - values[row, before[row, at]]) ** 2 - 2 * LOOK_SD**2, 0.0) / gap
    steps, total = np.bincount(row, minlength=n), np.bincount(row, weights=moved, minlength=n)
    own: np.ndarray = (PRIOR_LOOKS * DRIFT_SD**2 + total) / (PRIOR_LOOKS + steps)
    return np.maximum(own, DRIFT_SD**2)


def _estimate(values: np.ndarray, weights: np.ndarray, lambdas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed value and its sd; a series of one look, or a grid of two days, is its looks."""
    counted = weights > 0
    looks = counted.sum(axis=1)
    few = LAMBDAS[: LAMBDAS.index(LAMBDA) + 1]
    value, variance = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    given, best = np.isfinite(lambdas), np.full(len(values), np.inf)
    row = np.flatnonzero(given & (looks >= 2))
    if row.size:
        value[row], variance[row], _, _ = _fit(values[row], weights[row], lambdas[row])
    # From the roughest up: a smoother curve must predict better, and stay within the noise of the looks.
    for number, penalty in enumerate(LAMBDAS):
        row = np.flatnonzero(~given & (looks >= 2) & ((looks >= LOOKS_TO_CHOOSE) | (penalty in few)))
        if not row.size:
            continue
        z, v, residual, score = _fit(values[row], weights[row], np.full(row.size, penalty))
        # With few looks the penalty is not chosen but kept to what they allow.
        score = np.where(looks[row] < LOOKS_TO_CHOOSE, -penalty, score)
        take = (residual <= LOOK_SD**2) & (score < best[row]) if number else np.ones(row.size, dtype=bool)
        row = row[take]
        value[row], variance[row], best[row] = z[take], v[take], score[take]
    alone = np.isnan(value).all(axis=1) & (looks > 0)
    value[alone] = np.where(counted[alone], values[alone], np.nan)
    variance[alone] = np.where(counted[alone], LOOK_SD**2 / np.where(counted[alone], weights[alone], 1.0), np.nan)
    return value, np.sqrt(variance)


def _fit(
    values: np.ndarray, weights: np.ndarray, lambdas: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Curve and its variance, mean squared residual, and sum of squared leave-one-out errors."""
    z, v = whittaker(values, weights, lambdas)
    hat = np.minimum(weights * np.nan_to_num(v), 1 - 1e-9)
    square = np.where(weights > 0, weights * np.nan_to_num(values - z) ** 2, 0.0)
    freedom = np.where(weights > 0, 1 - hat, 0.0).sum(axis=1)
    noise = (PRIOR_LOOKS * LOOK_SD**2 + square.sum(axis=1)) / (PRIOR_LOOKS + freedom)
    return z, v * noise[:, None], square.sum(axis=1) / weights.sum(axis=1), (square / (1 - hat) ** 2).sum(axis=1)
