"""Looks that haze lowered over a whole neighbourhood, told by the parcels around."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from agro.series.outliers import DROP, SENESCENCE_PER_D

#: Parcels around that are asked, and how far away they may be (m).
NEAREST, WITHIN_M = 20, 10_000.0
#: Fewer of them seen on the day say nothing.
MIN_SEEN = 12
#: Share of them that must be lowered together. Fields are cut, harvested or wetted one after the other; haze takes all.
SHARED_FRAC = 2 / 3
#: A look this far below both the look before and the look after is lowered. Noise alone does that to one look in five,
#: and to two thirds of twelve neighbours about once in a thousand dates.
SHARED_DIP = 0.015
#: ... where these are no further away: within so few days the growth of a region does not turn twice.
TURN_D = 15
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
        (parcels, up to 20) positions, nearest first, -1 where there are fewer within 10 km.
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


def lowered_looks(days: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which looks of a greenness index lie below what surrounds them.

    Parameters
    ----------
    days, values : numpy.ndarray
        (series, looks) as :func:`~agro.series.outliers.haze_weights`.

    Returns
    -------
    numpy.ndarray
        (series, looks) 1 for a look more than 0.015 below both the look before and the one after, each within 15 days,
        and for a newest look that fell faster than a canopy ripens; 0 for one that is not; NaN where nothing tells (no
        look, the first, or neighbours in time too far away).
    """
    out = np.full(values.shape, np.nan)
    if values.shape[1] < 2:
        return out
    fall = values[:, :-1] - values[:, 1:]
    gap = days[:, 1:] - days[:, :-1]
    close = (gap <= TURN_D) & np.isfinite(fall)
    both = close[:, :-1] & close[:, 1:]
    with np.errstate(invalid="ignore"):
        dip = (fall[:, :-1] > SHARED_DIP) & (-fall[:, 1:] > SHARED_DIP)
    out[:, 1:-1][both] = dip[both]
    newest = np.isfinite(values).sum(axis=1) - 1
    row = np.flatnonzero(newest >= 1)
    at = newest[row]
    within = close[row, at - 1]
    sudden = fall[row, at - 1] > DROP + SENESCENCE_PER_D * gap[row, at - 1]
    out[row[within], at[within]] = sudden[within]
    return out


def shared_haze(lowered: np.ndarray, near: np.ndarray) -> np.ndarray:
    """Looks lowered together with two thirds of the parcels around.

    Parameters
    ----------
    lowered : numpy.ndarray
        (parcels, dates) of :func:`lowered_looks` by calendar date; NaN where a parcel was not seen.
    near : numpy.ndarray
        (parcels, neighbours) of :func:`near_parcels`.

    Returns
    -------
    numpy.ndarray of bool
        (parcels, dates). Never True with fewer than twelve neighbours seen on the date.
    """
    out = np.zeros(lowered.shape, dtype=bool)
    if near.shape[1] < MIN_SEEN:
        return out
    # A last row that was never seen stands for "no neighbour".
    padded = np.vstack((lowered, np.full((1, lowered.shape[1]), np.nan)))
    for low in range(0, len(near), _CHUNK):
        around = near[low : low + _CHUNK]
        for date in np.flatnonzero((lowered[low : low + _CHUNK] == 1).any(axis=0)):
            told = padded[around, date]
            seen = np.isfinite(told).sum(axis=1)
            share = np.nansum(told, axis=1) / np.maximum(seen, 1)
            out[low : low + _CHUNK, date] = (seen >= MIN_SEEN) & (share >= SHARED_FRAC)
    return out & (lowered == 1)
