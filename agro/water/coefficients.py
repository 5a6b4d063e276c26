"""Crop coefficients and ground cover: from stages, from the index, and their limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from agro.schema.crops import Crop, LinearRelation
from agro.schema.errors import ContractError

#: Kcb of bare, dry soil between crops and of the ground between trees.
KCB_MIN = 0.15
#: Shading by the canopy per unit of ground cover (Allen & Pereira 2009, doi 10.1007/s00271-009-0182-z: 1.5 to 2).
CANOPY_LIGHT = 2.0

Array = Any


def stage_kcb(days_since_start: Array, stages_d: tuple[float, ...], kcb: tuple[float, float, float]) -> Array:
    """Kcb of the trapezoid of FAO-56 Figure 34; initial before the start, end after the last stage.

    Parameters
    ----------
    days_since_start : array
        Days since sowing.
    stages_d : tuple of four floats
        Lengths: initial, development, mid, late.
    kcb : tuple of three floats
        Initial, mid, end.
    """
    ends = np.cumsum(stages_d)
    return np.interp(days_since_start, [ends[0], ends[1], ends[2], ends[3]], [kcb[0], kcb[1], kcb[1], kcb[2]])


def cut_kcb(
    days: Array,
    cuts: Array,
    first_stages_d: tuple[float, ...],
    later_stages_d: tuple[float, ...],
    kcb: tuple[float, float, float],
) -> Array:
    """Kcb of forage cut several times: each cut starts the stages anew (FAO-56 Tables 11 and 12, notes on alfalfa).

    Parameters
    ----------
    days : array
        Days since the start of growth.
    cuts : array
        Days of the cuts, ascending, on the same count; the day of a cut is the first of the next cycle.
    first_stages_d, later_stages_d : tuple of four floats
        Stage lengths of the growth before the first cut and of the cycles after one.
    kcb : tuple of three floats
        After a cut, at full cover, before the next cut.
    """
    since, done = np.asarray(days, dtype=float), np.asarray(cuts, dtype=float)
    if (np.diff(done) <= 0).any():
        raise ContractError("cuts must ascend", where="Kcb of cut forage", do="Sort the dates, one a day")
    cycle = np.searchsorted(done, since, side="right")
    begun = np.concatenate(([0.0], done))[cycle]
    return np.where(
        cycle == 0, stage_kcb(since, first_stages_d, kcb), stage_kcb(since - begun, later_stages_d, kcb)
    )  # fmt: skip


def root_depth_m(days_since_start: Array, stages_d: tuple[float, ...], depth_m: tuple[float, float]) -> Array:
    """Rooting depth: least through the initial stage, greatest from mid-season, in a line between (FAO-56 p. 279), m."""
    ends = np.cumsum(stages_d)
    return np.interp(days_since_start, [ends[0], ends[1]], depth_m)


def wetted_under_canopy(fw_frac: Array, fc_frac: Array) -> Array:
    """Wetted share that counts for evaporation when drip wets the ground below the canopy (FAO-56, note on eq. 75)."""
    return np.asarray(fw_frac) * (1.0 - 2.0 / 3.0 * np.clip(fc_frac, 0.0, 1.0))


def relation(index: Array, line: LinearRelation) -> Array:
    """A linear relation of the index, held within its range; NaN stays NaN."""
    return np.clip(line.slope * np.asarray(index, dtype=float) + line.intercept, line.low, line.high)


def density_coefficient(fc_frac: Array, height_m: Array) -> Array:
    """Density coefficient Kd (Allen & Pereira 2009, eq. 10), 0..1."""
    fc = np.clip(fc_frac, 0.0, 1.0)
    return np.minimum.reduce([np.ones_like(fc), CANOPY_LIGHT * fc, fc ** (1.0 / (1.0 + np.asarray(height_m)))])


def kcb_from_cover(fc_frac: Array, crop: Crop, table_kcb: Array) -> Array:
    """Kcb from ground cover, scaled so that the table's cover gives the table's Kcb.

    For annual crops the table stands for full cover; for orchards and forage for ``table_cover_frac``.
    """
    full = 1.0 if crop.table_cover_frac is None else crop.table_cover_frac.value
    share = density_coefficient(fc_frac, crop.height_m.value) / density_coefficient(
        np.asarray(full), crop.height_m.value
    )
    return KCB_MIN + np.minimum(share, 1.5) * np.maximum(np.asarray(table_kcb) - KCB_MIN, 0.0)


def kc_max(kcb: Array, height_m: Array, u2_m_s: Array, rhmin_pct: Array, reference: str = "short") -> Array:
    """Upper limit of Kc (FAO-56 eq. 72); for the tall reference 1.0 (ASCE Manual 70, 2016)."""
    floor = np.asarray(kcb) + 0.05
    if reference == "tall":
        return np.maximum(1.0, floor)
    u2, humidity = np.clip(u2_m_s, 1.0, 6.0), np.clip(rhmin_pct, 20.0, 80.0)
    climate = (0.04 * (u2 - 2.0) - 0.004 * (humidity - 45.0)) * (np.asarray(height_m) / 3.0) ** 0.3
    return np.maximum(1.2 + climate, floor)


def climate_adjusted(kcb: Array, u2_m_s: Array, rhmin_pct: Array, height_m: Array) -> Array:
    """Kcb mid or end above 0.45 for the climate of the place (FAO-56 eq. 70)."""
    u2, humidity = np.clip(u2_m_s, 1.0, 6.0), np.clip(rhmin_pct, 20.0, 80.0)
    added = (0.04 * (u2 - 2.0) - 0.004 * (humidity - 45.0)) * (np.asarray(height_m) / 3.0) ** 0.3
    return np.where(np.asarray(kcb) >= 0.45, np.asarray(kcb) + added, kcb)


def cover_from_kcb(kcb: Array, kcb_min: Array, kc_max_: Array, height_m: Array) -> Array:
    """Ground cover from Kcb (FAO-56 eq. 76), 0 .. 0.99."""
    share = np.clip((np.asarray(kcb) - kcb_min) / (np.asarray(kc_max_) - kcb_min), 0.0, None)
    return np.clip(share ** (1.0 + 0.5 * np.asarray(height_m)), 0.0, 0.99)
