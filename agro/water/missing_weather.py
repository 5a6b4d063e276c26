"""What FAO-56 chapter 3 puts in the place of weather that was not measured. Whoever uses it says so on the row.

All functions take and give floats or arrays that broadcast; NaN in gives NaN out.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from agro.schema.errors import ContractError

#: Adjustment of the temperature-range formula (eq. 50), C^-0.5: land mass, and coast under the influence of the sea.
K_RS = {"interior": 0.16, "coast": 0.19}
#: Wind assumed where none was measured: mean of 2,000 stations (chapter 3), m/s.
DEFAULT_WIND_M_S = 2.0
#: Least wind at 2 m: below it the air over a canopy still moves (chapter 3, eq. 47 text), m/s.
LEAST_WIND_M_S = 0.5
#: How far below the minimum temperature the dew point lies where the station's ground is dry (annex 6), C.
ARID_DEW_POINT_DROP_C = 2.0
#: Psychrometer coefficient (eq. 16), C^-1.
PSYCHROMETER = {"ventilated": 0.000662, "natural": 0.000800, "indoor": 0.001200}

Array = Any
Setting = Literal["interior", "coast"]


def radiation_from_temperature_mj_m2(
    tmin_c: Array, tmax_c: Array, ra_mj_m2: Array, setting: Setting = "interior"
) -> Array:
    """Solar radiation from the day's range of temperature (Hargreaves, eq. 50), MJ m-2 d-1."""
    if setting not in K_RS:
        raise ContractError(f"unknown setting {setting!r}", do="Give interior or coast")
    spread = np.maximum(np.asarray(tmax_c, dtype=float) - np.asarray(tmin_c, dtype=float), 0.0)
    return K_RS[setting] * np.sqrt(spread) * np.asarray(ra_mj_m2)


def radiation_on_island_mj_m2(ra_mj_m2: Array, rso_mj_m2: Array) -> Array:
    """Solar radiation on an island within 20 km of the sea, 0 to 100 m high, monthly means (eq. 51), MJ m-2 d-1."""
    return np.minimum(0.7 * np.asarray(ra_mj_m2, dtype=float) - 4.0, rso_mj_m2)


def radiation_from_neighbour_mj_m2(neighbour_rs: Array, neighbour_ra: Array, ra_mj_m2: Array) -> Array:
    """Solar radiation by the ratio to the extraterrestrial at a station in the same climate (eq. 49), MJ m-2 d-1."""
    return np.asarray(neighbour_rs, dtype=float) / np.asarray(neighbour_ra, dtype=float) * np.asarray(ra_mj_m2)


def dew_point_from_minimum_c(tmin_c: Array, arid: bool = False) -> Array:
    """Dew point taken as the minimum temperature (eq. 48), some degrees below it on dry ground (annex 6), C."""
    return np.asarray(tmin_c, dtype=float) - (ARID_DEW_POINT_DROP_C if arid else 0.0)


def vapour_from_psychrometer_kpa(
    dry_c: Array, wet_c: Array, pressure_kpa: Array, kind: Literal["ventilated", "natural", "indoor"] = "ventilated"
) -> Array:
    """Actual vapour pressure from dry and wet bulb (eq. 15), kPa."""
    wet = np.asarray(wet_c, dtype=float)
    saturated = 0.6108 * np.exp(17.27 * wet / (wet + 237.3))
    return saturated - PSYCHROMETER[kind] * np.asarray(pressure_kpa) * (np.asarray(dry_c, dtype=float) - wet)


def hargreaves_mm(tmin_c: Array, tmax_c: Array, ra_mj_m2: Array) -> Array:
    """Reference ET from temperature alone (eq. 52), mm/d: the last resort, and for the long term only."""
    low, high = np.asarray(tmin_c, dtype=float), np.asarray(tmax_c, dtype=float)
    spread = np.sqrt(np.maximum(high - low, 0.0))
    return np.maximum(0.0023 * ((low + high) / 2.0 + 17.8) * spread * 0.408 * np.asarray(ra_mj_m2), 0.0)


def soil_heat_of_month_mj_m2(before_c: Array, after_c: Array) -> Array:
    """Soil heat flux of a month from the mean temperature of the months before and after (eq. 43), MJ m-2 d-1."""
    return 0.07 * (np.asarray(after_c, dtype=float) - np.asarray(before_c, dtype=float))
