"""Yield figures that no season explains: slips of the decimal point and of units."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Robust standard deviations of relative departures beyond which a figure is no harvest but a slip.
SLIP = 8.0
#: Median absolute deviation to standard deviation, of a normal distribution.
MAD_TO_SD = 1.4826
#: Fewer seasons than this of a group tell nothing of its usual yield.
LEAST_SEASONS = 4


def plausible(group: np.ndarray, yield_t_ha: np.ndarray) -> np.ndarray:
    """Rows that may be learned from (rows,), bool.

    A row falls out when its departure from the group's median, relative to it, is over eight times the robust standard
    deviation of all such departures (Hampel 1974). A lost harvest is never out: zero is one median away.

    Parameters
    ----------
    group, yield_t_ha : numpy.ndarray
        Rows; NaN yields come out False.
    """
    y = np.asarray(yield_t_ha, dtype=float)
    known = np.isfinite(y)
    grouped = pd.Series(np.where(known, y, np.nan)).groupby(np.asarray(group))
    median, count = grouped.transform("median").to_numpy(), grouped.transform("count").to_numpy()
    told = known & (count >= LEAST_SEASONS) & (median > 0)
    if not told.any():
        return known
    departure = np.zeros(len(y))
    departure[told] = y[told] / median[told] - 1.0
    scale = MAD_TO_SD * float(np.median(np.abs(departure[told])))
    limit = max(SLIP * scale, 1.0)
    return known & (departure <= limit)
