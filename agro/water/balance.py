"""Dual crop coefficient root-zone balance (FAO-56 chapters 7 and 8), all columns at once, day by day.

A column is a parcel, or a parcel in one member of an ensemble. Columns do not see each other, so the result
does not depend on how they are cut into chunks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from agro.schema.errors import ContractError

#: Rain from which the whole surface counts as wetted, mm (FAO-56 Table 20).
WETTING_RAIN_MM = 3.0


@dataclass(frozen=True)
class Forcing:
    """What drives the balance: arrays (days, columns), no NaN.

    ``irrigation_mm`` is net, over the whole area; ``taw_mm`` and ``kcb`` follow roots and canopy;
    ``kc_max`` is the upper limit of eq. 72; ``fc_frac`` the ground covered; ``depletion_p`` the tabled p.
    """

    et0_mm: np.ndarray
    rain_mm: np.ndarray
    irrigation_mm: np.ndarray
    fw_frac: np.ndarray
    kcb: np.ndarray
    kc_max: np.ndarray
    fc_frac: np.ndarray
    taw_mm: np.ndarray

    def __post_init__(self) -> None:
        shapes = {f.name: getattr(self, f.name).shape for f in fields(self)}
        if len(set(shapes.values())) != 1 or len(self.et0_mm.shape) != 2:
            raise ContractError(f"forcing must be (days, columns) throughout: {shapes}")
        for f in fields(self):
            if not np.isfinite(getattr(self, f.name)).all():
                raise ContractError(f"a gap in {f.name}", where="water balance", do="Fill it before the balance is run")
        if (self.rain_mm < 0).any() or (self.irrigation_mm < 0).any():
            raise ContractError("rain or irrigation below zero", where="water balance", do="Correct the record")


@dataclass(frozen=True)
class Soil:
    """Per column: total and readily evaporable water of the surface layer (mm), tabled p, curve number or None."""

    tew_mm: np.ndarray
    rew_mm: np.ndarray
    depletion_p: np.ndarray
    curve_number: np.ndarray | None = None
    adjust_p: bool = True
    #: TAW down to the deepest roots, mm. Given, the soil below the roots is kept too: roots that grow take over its
    #: depletion, and drainage is what leaves the deepest roots. None: soil that roots reach is at field capacity.
    taw_full_mm: np.ndarray | None = None
    #: True: evaporation stops when the root zone is empty, and the day closes exactly. False: depletion is cut at
    #: TAW afterwards, as the reference implementation does.
    closed: bool = True


@dataclass(frozen=True)
class Balance:
    """Result arrays (days, columns), mm or ratios; states are those at the end of the day, Ks that of its beginning."""

    dr_mm: np.ndarray
    de_mm: np.ndarray
    raw_mm: np.ndarray
    p_frac: np.ndarray
    ks: np.ndarray
    ke: np.ndarray
    kr: np.ndarray
    eta_mm: np.ndarray
    etc_mm: np.ndarray
    runoff_mm: np.ndarray
    drainage_mm: np.ndarray
    #: Depletion taken over by growing roots, less what passes below them; 0 without ``taw_full_mm``.
    root_growth_mm: np.ndarray
    #: Depletion down to the deepest roots; ``dr_mm`` without ``taw_full_mm``, as the soil below is then at field capacity.
    dr_full_mm: np.ndarray
    #: Irrigation supposed beyond the forcing's (see ``refill_at_frac``), net.
    supposed_mm: np.ndarray


def runoff_mm(
    rain: np.ndarray, curve_number: np.ndarray, de: np.ndarray, tew: np.ndarray, rew: np.ndarray
) -> np.ndarray:
    """Surface runoff by curve number with the moisture of the surface layer (ASCE Manual 70, 2016, eq. 14-12 to 14-20)."""
    dry = curve_number / (2.281 - 0.01281 * curve_number)
    wet = curve_number / (0.427 + 0.00573 * curve_number)
    low, high = 0.5 * rew, 0.7 * rew + 0.3 * tew
    share = np.clip((de - low) / (high - low), 0.0, 1.0)
    number = wet + share * (dry - wet)
    storage = 250.0 * (100.0 / number - 1.0)
    excess = np.maximum(rain - 0.2 * storage, 0.0)
    return np.minimum(excess**2 / (rain + 0.8 * storage), rain)


def run_balance(
    forcing: Forcing,
    soil: Soil,
    dr0_mm: np.ndarray,
    de0_mm: np.ndarray,
    fw0_frac: np.ndarray | None = None,
    dr_full0_mm: np.ndarray | None = None,
    refill_at_frac: np.ndarray | None = None,
) -> Balance:
    """Step through the days.

    Parameters
    ----------
    forcing : Forcing
        (days, columns).
    soil : Soil
        (columns,).
    dr0_mm, de0_mm : numpy.ndarray
        (columns,) depletion of the root zone and of the surface layer before the first day, mm.
    fw0_frac : numpy.ndarray, optional
        (columns,) wetted share of the surface before the first event; default 1.
    dr_full0_mm : numpy.ndarray, optional
        (columns,) depletion down to the deepest roots before the first day; needed with ``soil.taw_full_mm``.
    refill_at_frac : numpy.ndarray, optional
        (days, columns) depletion, as a share of TAW, from which an irrigation back to field capacity is supposed on a day
        without one; NaN: never. For members that stand for a grower who irrigates and does not report.

    Returns
    -------
    Balance
        With ``soil.closed``, each day: dr = dr_before - (rain - runoff) - irrigation - supposed + eta + drainage + root_growth, to
        rounding.

    Notes
    -----
    Per day: runoff; Kr from the surface layer's depletion at the beginning (eq. 74), few (eq. 75), Ke (eq. 71), the
    surface layer (eq. 77-79), p (Table 22 note), Ks from the depletion at the beginning (eq. 84), ETa (eq. 80),
    drainage (eq. 88) and depletion (eq. 85).
    """
    days, columns = forcing.et0_mm.shape
    out = {f.name: np.empty((days, columns)) for f in fields(Balance)}
    dr, de = dr0_mm.astype(float).copy(), de0_mm.astype(float).copy()
    fw = np.ones(columns) if fw0_frac is None else fw0_frac.astype(float).copy()
    tew, rew = soil.tew_mm, soil.rew_mm
    full = soil.taw_full_mm
    if full is not None and dr_full0_mm is None:
        raise ContractError("the depletion of the whole profile is needed at the start", where="water balance")
    dr_full = np.zeros(columns) if dr_full0_mm is None else dr_full0_mm.astype(float).copy()
    below_before = np.zeros(columns) if full is None else full - forcing.taw_mm[0]
    for day in range(days):
        et0, rain, irrigation = forcing.et0_mm[day], forcing.rain_mm[day], forcing.irrigation_mm[day]
        supposed = np.zeros(columns)
        if refill_at_frac is not None:
            # A comparison with NaN is false.
            supposed = np.where((irrigation <= 0) & (dr >= refill_at_frac[day] * forcing.taw_mm[day]), dr, 0.0)
            irrigation = irrigation + supposed
        kcb, kc_max, fc, taw = forcing.kcb[day], forcing.kc_max[day], forcing.fc_frac[day], forcing.taw_mm[day]
        runoff = np.zeros(columns) if soil.curve_number is None else runoff_mm(rain, soil.curve_number, de, tew, rew)
        infiltrated = rain - runoff
        fw = np.where(irrigation > 0, forcing.fw_frac[day], np.where(rain >= WETTING_RAIN_MM, 1.0, fw))
        few = np.clip(np.minimum(1.0 - fc, fw), 0.01, 1.0)
        kr = np.clip((tew - de) / (tew - rew), 0.0, 1.0)
        ke = np.minimum(kr * (kc_max - kcb), few * kc_max)
        etc = (ke + kcb) * et0
        p = np.clip(soil.depletion_p + 0.04 * (5.0 - etc), 0.1, 0.8) if soil.adjust_p else soil.depletion_p + 0.0 * etc
        raw = p * taw
        ks = np.clip((taw - dr) / (taw - raw), 0.0, 1.0)
        transpiration, evaporation = ks * kcb * et0, ke * et0
        if soil.closed:
            # What is there to take: never below empty.
            room = np.maximum(taw - dr + infiltrated + irrigation, 0.0)
            evaporation = np.minimum(evaporation, np.maximum(room - transpiration, 0.0))
            transpiration = np.minimum(transpiration, room)
        eta = transpiration + evaporation
        wetted = irrigation / fw
        drained_surface = np.maximum(infiltrated + wetted - de, 0.0)
        de = np.clip(de - infiltrated - wetted + evaporation / few + drained_surface, 0.0, tew)
        flow = infiltrated + irrigation - eta
        growth = np.zeros(columns)
        if full is None:
            drainage = np.maximum(flow - dr, 0.0)
            dr = dr - flow + drainage
        else:
            drainage = np.maximum(flow - dr_full, 0.0)
            below = full - taw
            taken = np.where(below_before > 0, 1.0 - below / np.where(below_before > 0, below_before, 1.0), 0.0)
            dinc = np.maximum(dr_full - dr, 0.0) * taken
            before, below_before = dr, below
            dr = np.clip(dr - flow + dinc, 0.0, taw)
            dr_full = np.clip(dr_full - flow + drainage, 0.0, full)
            growth = dr - before + flow - drainage
        if not soil.closed:
            dr = np.clip(dr, 0.0, taw)
        # Rounding alone can leave a trace below zero.
        dr = np.where(np.abs(dr) < 1e-12, 0.0, dr)
        for name, value in (
            ("dr_mm", dr), ("de_mm", de), ("raw_mm", raw), ("p_frac", p), ("ks", ks), ("ke", ke), ("kr", kr),
            ("eta_mm", eta), ("etc_mm", etc), ("runoff_mm", runoff), ("drainage_mm", drainage), ("root_growth_mm", growth),
            ("dr_full_mm", dr_full if full is not None else dr), ("supposed_mm", supposed),
        ):  # fmt: skip
            out[name][day] = value
    return Balance(**out)
