"""Coverage-weighted statistics of one layer for all parcels at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agro.parcels.coverage import CoverageWeights

PERCENTILES = (0.10, 0.50, 0.90)


def parcel_statistics(weights: CoverageWeights, layer: np.ndarray, valid: np.ndarray) -> pd.DataFrame:
    """Statistics of the valid pixels of each parcel.

    Parameters
    ----------
    weights : CoverageWeights
        n parcels on a grid.
    layer : numpy.ndarray
        (height, width) values; NaN is never counted.
    valid : numpy.ndarray of bool
        (height, width) pixels to count.

    Returns
    -------
    pandas.DataFrame
        n rows: mean, sd (of the population), median, p10, p90, pixels_effective (sum of coverage of valid
        pixels), valid_frac (of the buffered parcel's area, on the grid or off). NaN where nothing is valid.

    Notes
    -----
    Percentiles follow the weighted definition of ``exactextract``: with pixels in order of value, weights w
    and cumulative weights C, pixel i stands at position (C_i - w_i / 2 ...) scaled so that the first is 0 and
    the last 1, values between are interpolated linearly (Hyndman & Fan 1996, type 7, for equal weights).
    """
    matrix = weights.matrix
    count = matrix.shape[0]
    flat = np.asarray(layer, dtype="float64").ravel()
    counted = np.asarray(valid, dtype=bool).ravel() & np.isfinite(flat)
    rows = np.repeat(np.arange(count), np.diff(matrix.indptr))
    take = counted[matrix.indices]
    rows, values, w = rows[take], flat[matrix.indices[take]], matrix.data[take]
    total = np.bincount(rows, w, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(rows, w * values, minlength=count) / total
        variance = np.bincount(rows, w * (values - mean[rows]) ** 2, minlength=count) / total
        valid_frac = np.where(weights.pixels > 0, total / weights.pixels, 0.0)
    out = {"mean": mean, "sd": np.sqrt(variance)}
    for name, series in zip(("p10", "median", "p90"), _percentiles(rows, values, w, count), strict=True):
        out[name] = series
    return pd.DataFrame({**out, "pixels_effective": total, "valid_frac": np.clip(valid_frac, 0.0, 1.0)})


def _percentiles(rows: np.ndarray, values: np.ndarray, w: np.ndarray, count: int) -> list[np.ndarray]:
    order = np.lexsort((values, rows))
    rows, values, w = rows[order], values[order], w[order]
    out = [np.full(count, np.nan) for _ in PERCENTILES]
    starts = np.searchsorted(rows, np.arange(count + 1))
    for parcel in range(count):
        part = slice(starts[parcel], starts[parcel + 1])
        v, weight = values[part], w[part]
        if v.size == 0:
            continue
        if v.size == 1:
            for series in out:
                series[parcel] = v[0]
            continue
        # position of each value: i * w_i + (n - 1) * sum of the weights before it
        number = np.arange(v.size)
        before = np.concatenate(([0.0], np.cumsum(weight)[:-1]))
        position = number * weight + (v.size - 1) * before
        wanted = np.asarray(PERCENTILES) * (v.size - 1) * weight.sum()
        for series, value in zip(out, np.interp(wanted, position, v), strict=True):
            series[parcel] = value
    return out
