"""Looks that haze lowered over a whole neighbourhood, told by the parcels around."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from agro.series.outliers import DROP, REGAINED_FRAC, SENESCENCE_PER_D

#: Parcels around that are asked, and how far away they may be (m).
NEAREST, WITHIN_M = 30, 10_000.0
#: Fewer of them seen on the day say nothing.
MIN_SEEN = 12
#: Share of them that must be lowered together. Fields are cut, harvested or wetted one after the other; haze takes all.
SHARED_FRAC = 2 / 3
#: A look this far below both the look before and the look after is lowered. Noise alone does that to one look in five,
#: and to two thirds of twelve neighbours about once in a thousand dates.
SHARED_DIP = 0.015
#: ... where these are no further away: within so few days the growth of a region does not turn twice,
TURN_D = 15
#: ... and where what was lost is regained so soon; a cut canopy takes longer,
REGAIN_D = 10
#: ... and a look that is not lowered tells only where they differ by less: growth and ripening hide thin haze.
STEADY = 0.10
#: Parcels worked on together, so that memory stays bounded.
_CHUNK = 20_000


def near_parcels(longitude_deg: np.ndarray, latitude_deg: np.ndarray) -> np.ndarray:
    """The nearest other parcels of each parcel.

    Parameters
    ----------
    longitude_deg, latitude_deg : numpy.ndarray
        (parcels,) of a point of each parcel; NaN has no neighbours.

    Returns
    -------
    numpy.ndarray
        (parcels, up to 30) positions, nearest first, -1 where there are fewer within 10 km.
    """
    n = longitude_deg.size
    known = np.isfinite(longitude_deg) & np.isfinite(latitude_deg)
    near = np.full((n, min(NEAREST, max(n - 1, 0))), -1, dtype="int64")
    if known.sum() < 2 or not near.shape[1]:
        return near
    # On a sphere of the Earth's mean radius, by chords; over 10 km they are as long as arcs to a millimetre.
    lon, lat = np.radians(longitude_deg[known]), np.radians(latitude_deg[known])
    points = 6_371_008.8 * np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    where = np.flatnonzero(known)
    count = min(near.shape[1] + 1, len(points))
    distance, found = cKDTree(points).query(points, k=count, distance_upper_bound=WITHIN_M)
    others = np.where(np.isfinite(distance), np.append(where, -1)[found], -1)
    others[others == where[:, None]] = -1
    # The parcel itself (not always the first, when several share a point) and absent ones to the back.
    others = np.take_along_axis(others, np.argsort(others < 0, axis=1, kind="stable"), axis=1)
    width = min(near.shape[1], others.shape[1])
    near[where, :width] = others[:, :width]
    return near


def lowered_looks(days: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which looks of a greenness index lie below what surrounds them.

    Parameters
    ----------
    days, values : numpy.ndarray
        (series, looks) as :func:`~agro.series.outliers.haze_weights`.

    Returns
    -------
    evidence : numpy.ndarray
        (series, looks) 1 for a look more than 0.015 below both the look before (within 15 days) and the one after (within
        10, 70 % of the fall regained), and for a newest look that fell faster than a canopy ripens; 0 for one that is
        not; NaN where nothing tells (no look, the first, others too far away in time, or no such dip in a field that
        moves by 0.10 from the one to the other).
    doubtful : numpy.ndarray of bool
        (series, looks) looks more than 0.015 below the line between the look before and the one after, whether or not
        these differ, and newest ones that fell as above: not believed on a date that is shown to be hazy.
    """
    evidence, doubtful = np.full(values.shape, np.nan), np.zeros(values.shape, dtype=bool)
    if values.shape[1] < 2:
        return evidence, doubtful
    fall = values[:, :-1] - values[:, 1:]
    gap = days[:, 1:] - days[:, :-1]
    close = (gap <= TURN_D) & np.isfinite(fall)
    down, up = fall[:, :-1], -fall[:, 1:]
    with np.errstate(invalid="ignore"):
        dip = (down > SHARED_DIP) & (up > SHARED_DIP) & (up >= REGAINED_FRAC * down) & (gap[:, 1:] <= REGAIN_D)
        tells = close[:, :-1] & close[:, 1:] & (dip | (np.abs(up - down) < STEADY))
        share = gap[:, :-1] / np.maximum(gap[:, :-1] + gap[:, 1:], 1)
        below = (1 - share) * down + share * up > SHARED_DIP
    evidence[:, 1:-1][tells] = dip[tells]
    doubtful[:, 1:-1] = below & close[:, :-1] & close[:, 1:]
    newest = np.isfinite(values).sum(axis=1) - 1
    row = np.flatnonzero(newest >= 1)
    row = row[close[row, newest[row] - 1]]
    at = newest[row]
    sudden = fall[row, at - 1] > DROP + SENESCENCE_PER_D * gap[row, at - 1]
    evidence[row, at], doubtful[row, at] = sudden, sudden
    return evidence, doubtful


def hazy_around(evidence: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Where two thirds of the parcels around are lowered together.

    Parameters
    ----------
    evidence : numpy.ndarray
        (parcels, dates) of :func:`lowered_looks` by calendar date; NaN where a parcel was not seen or tells nothing.
    near : numpy.ndarray
        (parcels, neighbours) of :func:`near_parcels`.

    Returns
    -------
    numpy.ndarray of bool
        (parcels, dates). Never True with fewer than twelve neighbours that tell.
    """
    out = np.zeros(evidence.shape, dtype=bool)
    if near.shape[1] < MIN_SEEN:
        return out
    # A last row that was never seen stands for "no neighbour".
    padded = np.vstack((evidence, np.full((1, evidence.shape[1]), np.nan)))
    for low in range(0, len(near), _CHUNK):
        around = near[low : low + _CHUNK]
        for date in np.flatnonzero((evidence == 1).any(axis=0)):
            told = padded[around, date]
            count = np.isfinite(told).sum(axis=1)
            out[low : low + _CHUNK, date] = (count >= MIN_SEEN) & (
                np.nansum(told, axis=1) >= SHARED_FRAC * count - 1e-9
            )
    return out
