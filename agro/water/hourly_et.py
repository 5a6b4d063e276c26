"""Hourly reference evapotranspiration by FAO-56 (short) and ASCE-EWRI 2005 (short and tall), for stations that record so often.

All functions take and give floats or arrays that broadcast, time along the last axis where it matters; NaN in gives NaN out.
Radiation in MJ m-2 h-1, ET in mm/h. Hours are shorter or longer with ``step_h``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from agro.schema.errors import ContractError
from agro.water.reference_et import (
    ALBEDO,
    SOLAR_CONSTANT,
    Standard,
    Surface,
    clear_sky_mj_m2,
    pressure_kpa,
    psychrometric_kpa_c,
    saturation_kpa,
    saturation_slope_kpa_c,
    solar_angles,
)  # fmt: skip

Array = Any

#: Stefan-Boltzmann as each manual rounds it for the hour, MJ K-4 m-2 h-1 (FAO-56: a 24th of the daily; ASCE-EWRI eq. 44).
SIGMA = {"fao56": 4.903e-9 / 24.0, "asce": 2.042e-10}
#: Numerator; denominator by day and by night; soil heat as a share of net radiation by day and by night. FAO-56 eq. 53, 45 and
#: 46; ASCE-EWRI 2005 table 1, eq. 65 and 66.
CONSTANTS = {
    ("fao56", "short"): (37.0, 0.34, 0.34, 0.1, 0.5),
    ("asce", "short"): (37.0, 0.24, 0.96, 0.1, 0.5),
    ("asce", "tall"): (66.0, 0.25, 1.70, 0.04, 0.2),
}  # fmt: skip
#: Sun lower than this (rad): the ratio of measured to clear-sky radiation says nothing of clouds (ASCE-EWRI 2005, p. 34).
LOW_SUN_RAD = 0.3


def hour_angle(longitude_deg: Array, day_of_year: Array, utc_hour: Array) -> Array:
    """Solar time angle at a moment (eq. 31 to 33), rad, -pi .. pi; longitude east positive, hour in UTC."""
    b = 2.0 * np.pi * (np.asarray(day_of_year, dtype=float) - 81.0) / 364.0
    correction = 0.1645 * np.sin(2.0 * b) - 0.1255 * np.cos(b) - 0.025 * np.sin(b)
    hours = np.asarray(utc_hour, dtype=float) + np.asarray(longitude_deg, dtype=float) / 15.0 + correction - 12.0
    return (np.pi * hours / 12.0 + np.pi) % (2.0 * np.pi) - np.pi


def extraterrestrial_hourly_mj_m2(
    latitude_deg: Array, longitude_deg: Array, day_of_year: Array, utc_hour: Array, step_h: float = 1.0
) -> Array:
    """Extraterrestrial radiation of the step whose middle is ``utc_hour`` (eq. 28 to 30; cut at sunrise and sunset), MJ m-2."""
    latitude, declination, sunset = solar_angles(latitude_deg, day_of_year)
    middle, half = hour_angle(longitude_deg, day_of_year, utc_hour), np.pi * step_h / 24.0
    late = np.clip(middle + half, -sunset, sunset)
    early = np.minimum(np.clip(middle - half, -sunset, sunset), late)
    distance = 1.0 + 0.033 * np.cos(2.0 * np.pi * np.asarray(day_of_year, dtype=float) / 365.0)
    return (12.0 * 60.0 / np.pi) * SOLAR_CONSTANT * distance * (
        (late - early) * np.sin(latitude) * np.sin(declination)
        + np.cos(latitude) * np.cos(declination) * (np.sin(late) - np.sin(early))
    )  # fmt: skip


def sun_height_rad(latitude_deg: Array, longitude_deg: Array, day_of_year: Array, utc_hour: Array) -> Array:
    """Height of the sun above the horizon (ASCE-EWRI 2005 eq. 62), rad; negative by night."""
    latitude, declination, _ = solar_angles(latitude_deg, day_of_year)
    angle = hour_angle(longitude_deg, day_of_year, utc_hour)
    return np.arcsin(
        np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle)
    )  # fmt: skip


def cloudiness(rs_mj_m2: Array, rso_mj_m2: Array, height_rad: Array) -> Array:
    """Cloudiness function of each step (ASCE-EWRI 2005 eq. 45): through low sun and night the last value of the day is held.

    Before the first day of a record its first value stands; without any day 1 (clear).

    Parameters
    ----------
    rs_mj_m2, rso_mj_m2, height_rad : array
        (..., time) measured and clear-sky radiation, and height of the sun.
    """
    rs, rso, height = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in (rs_mj_m2, rso_mj_m2, height_rad)))
    told = (height >= LOW_SUN_RAD) & (rso > 0.0)
    value = 1.35 * np.clip(rs / np.where(told, rso, 1.0), 0.3, 1.0) - 0.35
    at = np.where(told, np.arange(told.shape[-1]), -1)
    last = np.maximum.accumulate(at, axis=-1)
    first = np.argmax(told, axis=-1)[..., None]
    held = np.take_along_axis(value, np.where(last < 0, first, last), axis=-1)
    return np.where(told.any(axis=-1, keepdims=True), held, 1.0)


def penman_monteith_hourly_mm(
    temperature_c: Array,
    vapour_kpa: Array,
    u2_m_s: Array,
    rs_mj_m2: Array,
    latitude_deg: Array,
    longitude_deg: Array,
    elevation_m: Array,
    day_of_year: Array,
    utc_hour: Array,
    reference: Surface = "short",
    standard: Standard = "fao56",
    cloudiness_frac: Array | None = None,
) -> Array:
    """Hourly reference ET (FAO-56 eq. 53; ASCE-EWRI 2005 eq. 1), mm/h; by night it may be a little below 0 (dew).

    Parameters
    ----------
    temperature_c, vapour_kpa, u2_m_s, rs_mj_m2 : array
        Means of the hour, and its radiation in MJ m-2.
    latitude_deg, longitude_deg, elevation_m : array
        Of the station; east and north positive.
    day_of_year, utc_hour : array
        Of the middle of the hour, UTC.
    reference : {"short", "tall"}
        Reference surface; FAO-56 knows the short one only.
    standard : {"fao56", "asce"}
        Whose constants: they part by day and night resistance.
    cloudiness_frac : array, optional
        Cloudiness function (0.05 .. 1) of each hour; default: from radiation, held through the night (:func:`cloudiness`).

    Raises
    ------
    ContractError
        Unknown surface, or one that the standard does not know.
    """
    if (standard, reference) not in CONSTANTS:
        raise ContractError(
            f"no hourly reference ET {reference!r} in {standard!r}", do="Give short, or tall with standard asce"
        )
    numerator, by_day, by_night, heat_day, heat_night = CONSTANTS[standard, reference]
    temperature = np.asarray(temperature_c, dtype=float)
    ra = extraterrestrial_hourly_mj_m2(latitude_deg, longitude_deg, day_of_year, utc_hour)
    if cloudiness_frac is None:
        height = sun_height_rad(latitude_deg, longitude_deg, day_of_year, utc_hour)
        cloudiness_frac = cloudiness(rs_mj_m2, clear_sky_mj_m2(elevation_m, ra), height)
    lost = (
        SIGMA[standard]
        * (temperature + 273.16) ** 4
        * (0.34 - 0.14 * np.sqrt(vapour_kpa))
        * np.asarray(cloudiness_frac)
    )
    net = (1.0 - ALBEDO) * np.asarray(rs_mj_m2, dtype=float) - lost
    night = net < 0.0
    heat = net * np.where(night, heat_night, heat_day)
    slope = saturation_slope_kpa_c(temperature, standard)
    gamma = psychrometric_kpa_c(pressure_kpa(elevation_m))
    deficit = saturation_kpa(temperature) - vapour_kpa
    return (0.408 * slope * (net - heat) + gamma * numerator / (temperature + 273.0) * u2_m_s * deficit) / (
        slope + gamma * (1.0 + np.where(night, by_night, by_day) * np.asarray(u2_m_s))
    )
