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
    # Only the pixels of parcels are looked at: the cost does not follow the grid.
    found = np.asarray(layer).reshape(-1)[matrix.indices]
    take = np.asarray(valid, dtype=bool).reshape(-1)[matrix.indices] & np.isfinite(found)
    rows, found, w = weights.rows[take], found[take], matrix.data[take]
    values = found.astype("float64")
    total = np.bincount(rows, w, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(rows, w * values, minlength=count) / total
        variance = np.bincount(rows, w * (values - mean[rows]) ** 2, minlength=count) / total
        valid_frac = np.where(weights.pixels > 0, total / weights.pixels, 0.0)
    out = {"mean": mean, "sd": np.sqrt(variance)}
    for name, series in zip(("p10", "median", "p90"), _percentiles(rows, found, w, count), strict=True):
        out[name] = series
    return pd.DataFrame({**out, "pixels_effective": total, "valid_frac": np.clip(valid_frac, 0.0, 1.0)})


def _percentiles(rows: np.ndarray, values: np.ndarray, w: np.ndarray, count: int) -> list[np.ndarray]:
    """Weighted percentiles of every parcel, each (parcels,)."""
    out = [np.full(count, np.nan) for _ in PERCENTILES]
    if not rows.size:
        return out
    order = _by_row_and_value(rows, values)
    values, w = values[order].astype("float64"), w[order]
    sizes = np.bincount(rows, minlength=count)
    seen = np.flatnonzero(sizes)
    sizes = sizes[seen]
    first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    end = first + sizes - 1
    running = np.concatenate(([0.0], np.cumsum(w)))

    def position(pixel: np.ndarray) -> np.ndarray:
        """Of one sorted pixel of each parcel; it rises within a parcel."""
        return (pixel - first) * w[pixel] + (sizes - 1) * (running[pixel] - running[first])

    reach = position(end)
    for series, share in zip(out, PERCENTILES, strict=True):
        target = share * reach
        # First pixel at or past the target, by halving in all parcels at once.
        low, upper = first.copy(), end.copy()
        for _ in range(int(sizes.max()).bit_length()):
            middle = (low + upper) // 2
            past = position(middle) >= target
            upper = np.where(past, middle, upper)
            low = np.where(past, low, np.minimum(middle + 1, upper))
        lower = np.maximum(upper - 1, first)
        before = position(lower)
        span = position(upper) - before
        with np.errstate(invalid="ignore", divide="ignore"):
            along = np.where(span > 0, np.clip((target - before) / span, 0.0, 1.0), 0.0)
        series[seen] = values[lower] + along * (values[upper] - values[lower])
    return out


def _by_row_and_value(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Order by parcel, then value; equal ones stay in the order of pixels. `rows` rises already."""
    if values.dtype != np.float32:
        return np.lexsort((values, rows))
    # Parcel and value in one integer of 64 bits: sorted once, and merging what is in order already costs nothing.
    bits = (values + np.float32(0.0)).view("uint32")  # + 0.0: -0.0 and 0.0 are equal
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return np.argsort((rows.astype("uint64") << np.uint64(32)) | rising, kind="stable")
