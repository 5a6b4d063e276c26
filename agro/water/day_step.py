"""One day of the root-zone balance (FAO-56 chapters 7 and 8): the one place where the physics stands.

The same lines serve arrays (all columns of a day, plain numpy) and single numbers (the compiled loop of
:mod:`agro.water.compiled`), so both give the same bits: whatever is used here must exist for both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Rain from which the whole surface counts as wetted, mm (FAO-56 Table 20).
WETTING_RAIN_MM = 3.0
#: Rain below this share of ET0 wets leaves and crust only and never reaches the roots (FAO-56 chapter 8, eq. 85 note).
LIGHT_RAIN_OF_ET0 = 0.2
#: Adjustment of p for the day's demand (FAO-56 Table 22 note): slope, and limits of the result.
P_SLOPE, P_LOW, P_HIGH = 0.04, 0.1, 0.8

Array = Any


def least(one: Array, other: Array) -> Array:
    """Smaller of two, element by element; no NaN comes here."""
    return np.minimum(one, other)


def most(one: Array, other: Array) -> Array:
    """Larger of two, element by element; no NaN comes here."""
    return np.maximum(one, other)


def choose(condition: Array, yes: Array, no: Array) -> Array:
    """Element by element, ``yes`` where the condition holds."""
    return np.where(condition, yes, no)


def runoff_mm(rain: Array, curve_number: Array, de: Array, tew: Array, rew: Array) -> Array:
    """Surface runoff by curve number with the moisture of the surface layer, mm.

    USDA-SCS curve number with initial abstraction 0.2 S; the number moves between its dry and wet value with the depletion
    of the surface layer (ASCE Manual 70, 2016, eq. 14-12 to 14-20).

    Parameters
    ----------
    rain, curve_number, de, tew, rew : array
        Rain (mm), number for average moisture (1 .. 100), depletion, total and readily evaporable water of the surface layer (mm).
    """
    dry = curve_number / (2.281 - 0.01281 * curve_number)
    wet = curve_number / (0.427 + 0.00573 * curve_number)
    low = 0.5 * rew
    high = 0.7 * rew + 0.3 * tew
    share = least(most((de - low) / (high - low), 0.0), 1.0)
    storage = 250.0 * (100.0 / (wet + share * (dry - wet)) - 1.0)
    excess = most(rain - 0.2 * storage, 0.0)
    return least(excess * excess / most(rain + 0.8 * storage, 1e-9), rain)


def day_step(
    et0: Array, rain: Array, irrigation: Array, fw_event: Array, kcb: Array, kc_max: Array, cover: Array, taw: Array,
    rise_most: Array, refill: Array,
    dr: Array, de: Array, fw: Array, taw_before: Array, dr_full: Array,
    tew: Array, rew: Array, p_table: Array, number: Array, salt: Array, full: Array, drained: Array, held_most: Array,
    dual: bool, adjust: bool, closed: bool, with_runoff: bool, with_light: bool, with_salt: bool, with_refill: bool, profile: bool,
    slow: bool, with_rise: bool,
) -> tuple[Array, ...]:  # fmt: skip
    """Advance one day; see :func:`agro.water.balance.run_balance` for the order of the terms.

    Returns
    -------
    tuple
        State first (dr, de, fw, taw, dr_full), then raw, p, ks, ke, kr, transpiration, eta, etc, runoff, ineffective,
        drainage, growth, supposed, rise.
    """
    zero = rain * 0.0
    supposed = zero
    if with_refill:
        # A comparison with NaN is false.
        supposed = choose((irrigation <= 0.0) & (dr >= refill * taw), dr, 0.0)
        irrigation = irrigation + supposed
    runoff = zero
    if with_runoff:
        runoff = runoff_mm(rain, number, de, tew, rew)
    ineffective = zero
    if with_light:
        ineffective = choose(rain < LIGHT_RAIN_OF_ET0 * et0, rain - runoff, 0.0)
    infiltrated = rain - runoff - ineffective
    if dual:
        fw = choose(irrigation > 0.0, fw_event, choose(rain >= WETTING_RAIN_MM, 1.0, fw))
        few = most(least(1.0 - cover, fw), 0.01)
        kr = most(least((tew - de) / (tew - rew), 1.0), 0.0)
        ke = least(kr * (kc_max - kcb), few * kc_max)
    else:
        few = zero + 1.0
        kr = zero
        ke = zero
    etc = (ke + kcb) * et0
    p = p_table + zero
    if adjust:
        p = least(most(p_table + P_SLOPE * (5.0 - etc), P_LOW), P_HIGH)
    raw = p * taw
    ks = most(least((taw - dr) / (taw - raw), 1.0), 0.0)
    if with_salt:
        ks = ks * salt
    transpiration = ks * kcb * et0
    evaporation = ke * et0
    # Roots that withdraw leave their share of the depletion behind; growing ones take over what they find.
    passed = -dr * (most(taw_before - taw, 0.0) / most(taw_before, 1e-9))
    if profile:
        found = dr_full - dr
        if not slow:
            found = most(found, 0.0)
        passed = passed + found * (most(taw - taw_before, 0.0) / most(full - taw_before, 1e-9))
    if closed:
        # What is there to take: never below empty.
        room = most(taw - dr - passed + infiltrated + irrigation, 0.0)
        transpiration = least(transpiration, room)
        evaporation = least(evaporation, room - transpiration)
    eta = transpiration + evaporation
    if dual:
        wetted = infiltrated + irrigation / fw
        de = least(most(de - wetted, 0.0) + evaporation / few, tew)
    flow = infiltrated + irrigation - eta
    rise = zero
    if profile:
        gone = dr_full - flow
        drainage = most(-gone, 0.0)
        if slow:
            drainage = most(drained * drainage, drainage - held_most)
        gone = gone + drainage
        if with_rise:
            rise = least(rise_most, most(gone, 0.0))
            gone = gone - rise
        lowest = zero
        if slow:
            lowest = least(gone, 0.0) * taw / full
        after = least(most(dr - flow + passed, lowest), taw)
        dr_full = least(gone, full)
        # Rise fills the soil below the roots first; no part of the profile is emptier than the whole of it.
        if with_rise:
            after = least(after, most(dr_full, lowest))
        growth = after - dr + flow - drainage + rise
    else:
        growth = passed
        after = dr - flow + passed
        drainage = most(-after, 0.0)
        if slow:
            drainage = most(drained * drainage, drainage - held_most)
        after = after + drainage
        if with_rise:
            rise = least(rise_most, most(after, 0.0))
            after = after - rise
        dr_full = after
    if not closed:
        after = least(most(after, 0.0), taw)
    return (
        after, de, fw, taw, dr_full, raw, p, ks, ke, kr, transpiration, eta, etc, runoff, ineffective, drainage, growth, supposed, rise,
    )  # fmt: skip
