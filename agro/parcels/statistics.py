"""Coverage-weighted statistics of one layer for all parcels at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agro.parcels.coverage import CoverageWeights
from agro.schema.errors import ContractError

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

    Raises
    ------
    ContractError
        `layer` or `valid` is not on the grid of the weights.

    Notes
    -----
    Percentiles follow the weighted definition of ``exactextract``: with n pixels in order of value, pixel i
    (from 0) of weight w_i stands at position ``i w_i + (n - 1) (w_0 + ... + w_{i-1})``, percentile p at
    ``p (n - 1) (w_0 + ... + w_{n-1})``, and values between two pixels are interpolated linearly (Hyndman & Fan
    1996, doi 10.1080/00031305.1996.10473566, type 7 when the weights are equal). Equal
    values are not merged into one first, as exactextract does: for whole pixels the result is ``numpy.percentile``'s.
    """
    matrix = weights.matrix
    count = matrix.shape[0]
    if np.shape(layer) != weights.grid.shape or np.shape(valid) != weights.grid.shape:
        raise ContractError(
            f"a layer of {np.shape(layer)} and a mask of {np.shape(valid)} on weights of a grid of {weights.grid.shape}",
            do="Compute the weights on the grid of the layer",
        )
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
    """Weighted percentiles of every parcel, each (parcels,)."""
    out = [np.full(count, np.nan) for _ in PERCENTILES]
    if not rows.size:
        return out
    order = np.lexsort((values, rows))
    rows, values, w = rows[order], values[order], w[order]
    sizes = np.bincount(rows, minlength=count)
    first = np.concatenate(([0], np.cumsum(sizes)))[:-1]
    number = np.arange(rows.size) - first[rows]
    running = np.concatenate(([0.0], np.cumsum(w)))
    before = running[:-1] - running[first[rows]]
    steps = sizes[rows] - 1
    position = number * w + steps * before
    seen = np.flatnonzero(sizes)
    end = first[seen] + sizes[seen] - 1
    reach = position[end]
    # Scaled to 0..1 and shifted by twice the parcel's number, positions rise along the whole array: one search
    # serves all parcels.
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = (
            np.where(steps > 0, position / np.maximum(reach[np.searchsorted(seen, rows)], 1e-300), 0.0) + 2.0 * rows
        )
    for series, share in zip(out, PERCENTILES, strict=True):
        upper = np.clip(np.searchsorted(scaled, 2.0 * seen + share), first[seen], end)
        lower = np.maximum(upper - 1, first[seen])
        span = position[upper] - position[lower]
        with np.errstate(invalid="ignore", divide="ignore"):
            along = np.where(span > 0, np.clip((share * reach - position[lower]) / span, 0.0, 1.0), 0.0)
        series[seen] = values[lower] + along * (values[upper] - values[lower])
    return out
