"""Observations to a daily series, knowing only what was known on the day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.tables import empty, validate
from agro.series.outliers import haze_weights
from agro.series.whittaker import CHUNK, whittaker

#: Roughness penalties tried for daily steps and weights about 1. With a look every five days, 1 halves a wave of 9
#: days (every look is followed, as cuts of alfalfa need), 300 one of 39 days (a cereal's season keeps its shape).
LAMBDAS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
#: ... and the one, with rougher ones in reserve, where there are too few looks to choose by.
LAMBDA = 300.0
LOOKS_TO_CHOOSE = 8
#: Sd of one look of a parcel's mean index under a clear sky: atmosphere, geometry, registration.
LOOK_SD = 0.03
#: What LOOK_SD counts for, in looks, against the scatter of a parcel's own looks.
PRIOR_LOOKS = 4.0
#: Sd that a day without a look adds, as a random walk (index units per square root of a day). Between looks 20-40
#: days apart the NDVI of an irrigated cereal moved by 0.034 and that of 500 Mediterranean parcels by 0.021 a root-day.
DRIFT_SD = 0.025
#: Indices that cloud and haze lower, in the order in which they are trusted to show it.
GREENNESS = ("ndvi", "evi2", "evi", "savi", "msavi", "osavi", "gndvi", "ndre", "fapar", "fcover")


def smooth(
    observations: pd.DataFrame,
    as_of: date,
    *,
    start: date | None = None,
    indices: Sequence[str] | None = None,
    parcels: Sequence[str] | None = None,
    lambda_: float | None = None,
) -> pd.DataFrame:
    """Smooth and fill each parcel's index to a value a day.

    Parameters
    ----------
    observations : pandas.DataFrame
        Table ``observations``. Looks after `as_of` and looks that are not usable are not read.
    as_of : datetime.date
        Last day of the series.
    start : datetime.date, optional
        First day given; earlier looks still count. Default: the first usable look of any parcel.
    indices : sequence of str, optional
        Default: all in the table, or ``ndvi`` when it is empty.
    parcels : sequence of str, optional
        Parcels that must come out even without any look; default: those in the table.
    lambda_ : float, optional
        Roughness penalty, see :func:`~agro.series.whittaker.whittaker`. Default: chosen for each series.

    Returns
    -------
    pandas.DataFrame
        Table ``series``, a row for each parcel, index and day. ``observed`` on days with a look that counts,
        ``interpolated`` between looks, ``extrapolated`` before the first and after the last, where the smoothed
        value is held and its sd grows with the square root of time. ``clear_age_d`` counts days since the last
        look that counts, NA before the first. Value and sd are NaN for a parcel never seen.

    Notes
    -----
    Weight of a look: inverse variance relative to a whole, clear parcel, where the variance is
    ``LOOK_SD**2 / valid_frac + sd**2 (1 - valid_frac + 1 / pixels_effective)``: cloud nearby makes haze likely, and
    the part seen may differ from the whole as much as the parcel varies within.

    Haze that the mask missed gets no weight, see :func:`~agro.series.outliers.haze_weights`; it is judged on the
    NDVI (or the next of :data:`GREENNESS` in the table) and counts for every index of that look.

    Penalty: that with the least leave-one-out error (exact from the diagonal of the inverse) among those whose
    residuals are within the noise of a look, so that a sudden cut is not smoothed away for the sake of a calm curve.
    The sd is that of the penalised estimate, scaled by the scatter of the parcel's own looks, LOOK_SD counting as
    four looks. Noise and haze limits are for indices within about 0..1; an index that spans more is scaled by its span.
    """
    known = observations[observations["date"] <= pd.Timestamp(as_of)]
    usable = known[known["usable"] & known["mean"].notna()]
    names = list(indices) if indices is not None else sorted(known["index"].unique()) or ["ndvi"]
    uids = sorted(set(parcels) if parcels is not None else set(known["parcel_uid"]))
    first = pd.Timestamp(start) if start else (usable["date"].min() if len(usable) else pd.Timestamp(as_of))
    days = pd.date_range(first, pd.Timestamp(as_of), freq="D")
    if not len(days) or not uids:
        return empty("series")
    usable = usable[usable["parcel_uid"].isin(uids)]
    # Several sources on one day: the better look counts.
    order = ["parcel_uid", "date", "index", "pixels_effective", "source"]
    usable = usable.sort_values(order).drop_duplicates(["parcel_uid", "date", "index"], keep="last")
    usable = usable.assign(weight=_look_weights(usable))
    judge = next((key for key in GREENNESS if (usable["index"] == key).any()), None)
    if judge is not None:
        belief = _belief(usable[usable["index"] == judge])
        factor = usable.set_index(["parcel_uid", "date"]).index.map(belief).to_numpy(dtype="float64")
        usable = usable.assign(weight=usable["weight"] * np.nan_to_num(factor, nan=1.0))
    parts = [_smooth_index(usable[usable["index"] == name], name, uids, days, lambda_) for name in names]
    return validate(pd.concat(parts, ignore_index=True), "series")


def _look_weights(looks: pd.DataFrame) -> np.ndarray:
    seen = np.clip(looks["valid_frac"].to_numpy(), 0.05, 1.0)
    pixels = np.maximum(looks["pixels_effective"].to_numpy(), 1.0)
    within = np.nan_to_num(looks["sd"].to_numpy())
    scale = np.maximum(1.0, looks.groupby(["parcel_uid", "index"])["mean"].transform(np.ptp).to_numpy())
    clear = (LOOK_SD * scale) ** 2
    return clear / (clear / seen + within**2 * (1 - seen + 1 / pixels))


def _belief(looks: pd.DataFrame) -> dict[tuple[str, pd.Timestamp], float]:
    """Haze weight of each look, by parcel and date; those of full weight are left out."""
    row, _ = pd.factorize(looks["parcel_uid"])  # sorted by parcel and date
    at = looks.groupby("parcel_uid").cumcount().to_numpy()
    shape = (int(row.max()) + 1, int(at.max()) + 1)
    values, day = np.full(shape, np.nan), np.zeros(shape, dtype="int64")
    values[row, at] = looks["mean"].to_numpy()
    day[row, at] = (looks["date"] - looks["date"].min()).dt.days.to_numpy()
    weight = haze_weights(day, values)[row, at]
    doubted = looks[weight < 1]
    return dict(zip(zip(doubted["parcel_uid"], doubted["date"], strict=True), weight[weight < 1], strict=True))


def _smooth_index(
    looks: pd.DataFrame, name: str, uids: list[str], days: pd.DatetimeIndex, lambda_: float | None
) -> pd.DataFrame:
    # The grid begins at the first look even when the rows wanted begin later.
    begin = min(days[0], looks["date"].min()) if len(looks) else days[0]
    grid = pd.date_range(begin, days[-1], freq="D")
    wanted = len(grid) - len(days)
    where = pd.Series(np.arange(len(uids)), index=uids)
    rows, columns = where[looks["parcel_uid"]].to_numpy(), grid.get_indexer(pd.DatetimeIndex(looks["date"]))
    out: dict[str, list[np.ndarray]] = {"value": [], "sd": [], "age": [], "flag": []}
    for low in range(0, len(uids), CHUNK):
        n = min(CHUNK, len(uids) - low)
        values, weights = np.full((n, len(grid)), np.nan), np.zeros((n, len(grid)))
        chosen = (rows >= low) & (rows < low + n)
        values[rows[chosen] - low, columns[chosen]] = looks["mean"].to_numpy()[chosen]
        weights[rows[chosen] - low, columns[chosen]] = looks["weight"].to_numpy()[chosen]
        for key, array in zip(out, _daily(values, weights, lambda_), strict=True):
            out[key].append(array[:, wanted:])
    age = np.concatenate(out["age"]).ravel()
    return pd.DataFrame(
        {
            "parcel_uid": np.repeat(uids, len(days)),
            "date": np.tile(days, len(uids)),
            "index": name,
            "value": np.concatenate(out["value"]).ravel(),
            "sd": np.concatenate(out["sd"]).ravel(),
            "flag": np.concatenate(out["flag"]).ravel(),
            "clear_age_d": pd.array(age, dtype="Int64"),
        }
    ).assign(clear_age_d=lambda t: t["clear_age_d"].mask(t["clear_age_d"] < 0))


def _daily(
    values: np.ndarray, weights: np.ndarray, lambda_: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Value, sd, age (-1 before the first look) and flag of a chunk of series, each (series, days)."""
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
    value, sd = _estimate(values / scale[:, None], weights, lambda_)
    # In a gap before a cut a stiff curve can rise above anything that the field has ever shown.
    margin = 2 * LOOK_SD
    lowest, highest = np.nanmin(looked, axis=1) / scale[seen] - margin, np.nanmax(looked, axis=1) / scale[seen] + margin
    value[seen] = np.clip(value[seen], lowest[:, None], highest[:, None])
    # Hold the ends; there the sd walks away from that of the look.
    start, stop = np.clip(first, 0, m - 1)[:, None], np.clip(final, 0, m - 1)[:, None]
    held = np.clip(position, start, stop)
    beyond = np.abs(position - held)
    value, sd = np.take_along_axis(value, held, axis=1), np.take_along_axis(sd, held, axis=1)
    sd = np.sqrt(sd**2 + DRIFT_SD**2 * beyond)
    return value * scale[:, None], sd * scale[:, None], age, flag


def _estimate(values: np.ndarray, weights: np.ndarray, lambda_: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Smoothed value and its sd; a series of one look, or a grid of two days, is its looks."""
    counted = weights > 0
    looks = counted.sum(axis=1)
    few = LAMBDAS[: LAMBDAS.index(LAMBDA) + 1]
    value, variance = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    best = np.full(len(values), np.inf)
    # From the roughest up: a smoother curve must predict better, and stay within the noise of the looks.
    for number, penalty in enumerate([lambda_] if lambda_ is not None else LAMBDAS):
        candidate = (looks >= 2) & ((looks >= LOOKS_TO_CHOOSE) | (penalty in few) | (lambda_ is not None))
        if not candidate.any():
            continue
        w = weights[candidate]
        z, v = whittaker(values[candidate], w, penalty)
        hat = np.minimum(w * np.nan_to_num(v), 1 - 1e-9)
        square = np.where(w > 0, w * np.nan_to_num(values[candidate] - z) ** 2, 0.0)
        residual = square.sum(axis=1) / w.sum(axis=1)
        score = (square / (1 - hat) ** 2).sum(axis=1)
        # With few looks the penalty is not chosen but kept to what they allow.
        score = np.where(looks[candidate] < LOOKS_TO_CHOOSE, -penalty, score)
        take = (residual <= LOOK_SD**2) & (score < best[candidate]) if number else np.ones(len(w), dtype=bool)
        noise = (PRIOR_LOOKS * LOOK_SD**2 + square.sum(axis=1)) / (
            PRIOR_LOOKS + np.where(w > 0, 1 - hat, 0.0).sum(axis=1)
        )
        row = np.flatnonzero(candidate)[take]
        value[row], variance[row], best[row] = z[take], (v * noise[:, None])[take], score[take]
    alone = np.isnan(value).all(axis=1) & (looks > 0)
    value[alone] = np.where(counted[alone], values[alone], np.nan)
    variance[alone] = np.where(counted[alone], LOOK_SD**2 / np.where(counted[alone], weights[alone], 1.0), np.nan)
    return value, np.sqrt(variance)
