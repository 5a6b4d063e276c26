"""Salt in soil and water: stress, yield and leaching (FAO-56 chapter 8, FAO-29 rev. 1).

ECe is the electrical conductivity of the saturation extract of the root zone, ECw that of the irrigation water, both dS/m.
All functions take and give floats or arrays that broadcast; NaN in gives NaN out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agro.schema.errors import ContractError

Array = Any


def relative_yield(ece_ds_m: Array, threshold_ds_m: Array, slope_pct: Array) -> Array:
    """Yield that salt leaves, as a share (Maas & Hoffman 1977; FAO-56 chapter 8): falls by ``slope_pct`` a dS/m above the threshold."""
    over = np.maximum(np.asarray(ece_ds_m, dtype=float) - threshold_ds_m, 0.0)
    return np.clip(1.0 - np.asarray(slope_pct, dtype=float) / 100.0 * over, 0.0, 1.0)


def salinity_ks(ece_ds_m: Array, threshold_ds_m: Array, slope_pct: Array, ky: Array) -> Array:
    """Stress coefficient of salt, for ``Soil.salt_ks`` (FAO-56 chapter 8, without the water term, which the balance multiplies on).

    Parameters
    ----------
    ece_ds_m : array
        Salinity of the root zone.
    threshold_ds_m, slope_pct : array
        Salt tolerance of the crop.
    ky : array
        Yield response factor of the crop: how much of the lost yield is lost transpiration.
    """
    over = np.maximum(np.asarray(ece_ds_m, dtype=float) - threshold_ds_m, 0.0)
    return np.clip(1.0 - np.asarray(slope_pct, dtype=float) / (100.0 * np.asarray(ky, dtype=float)) * over, 0.0, 1.0)


def leaching_fraction(ecw_ds_m: Array, ece_ds_m: Array) -> Array:
    """Share of the water that must pass the roots to keep ``ece_ds_m``, surface and sprinkler (FAO-29 eq. 9).

    Raises
    ------
    ContractError
        Water so salty that all of it would have to pass (ECw at least 2.5 ECe).
    """
    return _below_one(np.asarray(ecw_ds_m, dtype=float) / (5.0 * np.asarray(ece_ds_m, dtype=float) - ecw_ds_m))


def leaching_fraction_frequent(ecw_ds_m: Array, threshold_ds_m: Array, slope_pct: Array) -> Array:
    """The same under high-frequency (drip) irrigation: ECw over twice the ECe at which nothing grows (Keller & Bliesner 1990)."""
    nothing_grows = np.asarray(threshold_ds_m, dtype=float) + 100.0 / np.asarray(slope_pct, dtype=float)
    return _below_one(np.asarray(ecw_ds_m, dtype=float) / (2.0 * nothing_grows))


def with_leaching_mm(net_mm: Array, leaching_frac: Array) -> Array:
    """Net depth raised so that a share of it passes the roots (FAO-29 eq. 7): net / (1 - LF)."""
    return np.asarray(net_mm, dtype=float) / (1.0 - _below_one(np.asarray(leaching_frac, dtype=float)))


def steady_ece_ds_m(ecw_ds_m: Array, leaching_frac: Array) -> Array:
    """Salinity of the root zone that goes with a leaching fraction in the long run: FAO-29 eq. 9 solved for ECe."""
    fraction = np.asarray(leaching_frac, dtype=float)
    if np.any(fraction <= 0):
        raise ContractError("without leaching salt has no end", where="salinity", do="Give a leaching fraction above 0")
    return np.asarray(ecw_ds_m, dtype=float) * (1.0 + 1.0 / fraction) / 5.0


def _below_one(fraction: Array) -> Array:
    bad = np.asarray(fraction)
    if np.any((bad >= 1.0) | (bad < 0.0)):
        raise ContractError(
            "the water is too salty for this crop, whatever the leaching",
            where="salinity",
            do="Check ECw and the tolerance",
        )
    return fraction
