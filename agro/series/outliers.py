"""Looks that the mask let through and that vegetation cannot explain."""

from __future__ import annotations

import numpy as np

#: A look at least this far below an earlier one has dropped (more than twice the spread of two looks).
DROP = 0.10
#: Fastest rise of a canopy's greenness index, per day: alfalfa after a cut regains 0.3 to 0.85 in some 20 days.
GROWTH_PER_D = 0.03
#: Share of the drop that is regained when it was never there; a cut canopy takes weeks for that.
REGAINED_FRAC = 0.7
#: Allowance for the noise of the two looks compared.
NOISE = 0.06
#: Fastest fall in a day that ripening or drought explain.
SENESCENCE_PER_D = 0.02
#: Looks within so many days of each other are compared.
REACH_D = 40
#: ... and at most so many looks apart.
REACH_LOOKS = 4
#: Weight of a newest look that dropped faster than a canopy ripens: a cut or a cloud, and nothing tells yet.
UNCONFIRMED_WEIGHT = 0.25


def haze_weights(days: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weights that take undetected haze, cloud and shadow out of a greenness index.

    Cloud and haze lower such an index, briefly; what rises again faster than plants grow was never down. The
    reasoning is that of Chen et al. (2004, doi 10.1016/j.rse.2004.03.014) and of the best index slope extraction
    of Viovy et al. (1992, doi 10.1080/01431169208904212), with limits wide enough that a cut and its regrowth pass:
    a look gets no weight when it lies more than 0.10 below an earlier one (the nearest such) and a later one has
    regained 70 % of that drop and more than 0.06 plus 0.03 a day. A drop that the following looks confirm (harvest, cut) is kept, however sudden.

    Parameters
    ----------
    days : numpy.ndarray
        (series, looks) day numbers, increasing; anything where the value is NaN.
    values : numpy.ndarray
        (series, looks) of an index from about 0 to 1, left-justified, NaN behind the last look.

    Returns
    -------
    numpy.ndarray
        (series, looks): 1, 0 for a look that is not believed, 0.25 for a newest look that fell by more than
        0.10 plus 0.02 a day since the look before.
    """
    n, looks = values.shape
    weights = np.ones((n, looks))
    if looks < 2:
        return weights
    reach = min(REACH_LOOKS, looks - 1)
    # How far each look lies below the nearest earlier one that was higher.
    drop = np.full((n, looks), np.nan)
    for back in range(1, reach + 1):
        fallen = values[:, :-back] - values[:, back:]
        with np.errstate(invalid="ignore"):
            found = np.isnan(drop[:, back:]) & (fallen > DROP) & (days[:, back:] - days[:, :-back] <= REACH_D)
        drop[:, back:][found] = fallen[found]
    for ahead in range(1, reach + 1):
        gap = days[:, ahead:] - days[:, :-ahead]
        rise = values[:, ahead:] - values[:, :-ahead]
        with np.errstate(invalid="ignore"):
            regained = (rise > NOISE + GROWTH_PER_D * gap) & (rise >= REGAINED_FRAC * drop[:, :-ahead])
        weights[:, :-ahead][regained & (gap <= REACH_D)] = 0.0
    newest = np.isfinite(values).sum(axis=1) - 1
    position = np.arange(looks)
    # The last look before the newest, among those believed.
    before = np.where((weights > 0) & (position < newest[:, None]), position, -1).max(axis=1)
    row = np.flatnonzero(before >= 0)
    last, earlier = newest[row], before[row]
    fall = values[row, earlier] - values[row, last]
    sudden = fall > DROP + SENESCENCE_PER_D * (days[row, last] - days[row, earlier])
    weights[row[sudden], last[sudden]] = UNCONFIRMED_WEIGHT
    return weights
