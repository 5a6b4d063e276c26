"""Reference evapotranspiration by FAO-56 (short) and ASCE-EWRI 2005 (short and tall), daily (hourly: ``hourly_et``).

Equation numbers are those of FAO Irrigation and Drainage Paper 56 (Allen et al. 1998).
All functions take and give floats or arrays that broadcast; NaN in gives NaN out.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from agro.schema.errors import ContractError
from agro.schema.tables import validate
from agro.water.missing_weather import (
    DEFAULT_WIND_M_S,
    Setting,
    dew_point_from_minimum_c,
    radiation_from_temperature_mj_m2,
)

#: Solar constant, MJ m-2 min-1 (eq. 21).
SOLAR_CONSTANT = 0.0820


class Constants(NamedTuple):
    """Constants that the manuals round each in its way."""

    sigma: float  # Stefan-Boltzmann, MJ K-4 m-2 d-1 (FAO-56 eq. 39; ASCE-EWRI 2005 eq. 17)
    slope: float  # factor of the slope of the saturation curve (eq. 13; ASCE eq. 5)
    gamma: float  # psychrometric constant per kPa of air, C-1 (eq. 8)
    cooper: bool = False  # declination as 23.45 degrees of Cooper (1969) instead of eq. 24


#: FAO-56, ASCE-EWRI 2005, and what the Ref-ET program's output answers to. They part by some 0.002 mm/d.
STANDARDS = {
    "fao56": Constants(4.903e-9, 4098.0 * 0.6108, 0.665e-3),
    "asce": Constants(4.901e-9, 2503.0, 0.665e-3),
    "refet": Constants(4.903e-9, 2503.0, 0.66474e-3, cooper=True),
}
ALBEDO = 0.23
#: Numerator and denominator constants of the daily standardised equation (ASCE-EWRI 2005, table 1).
REFERENCE = {"short": (900.0, 0.34), "tall": (1600.0, 0.38)}

Array = Any
Standard = Literal["fao56", "asce", "refet"]
Surface = Literal["short", "tall"]


def pressure_kpa(elevation_m: Array) -> Array:
    """Atmospheric pressure (eq. 7), kPa."""
    return 101.3 * ((293.0 - 0.0065 * np.asarray(elevation_m, dtype=float)) / 293.0) ** 5.26


def psychrometric_kpa_c(pressure: Array, standard: Standard = "fao56") -> Array:
    """Psychrometric constant (eq. 8), kPa/C."""
    return STANDARDS[standard].gamma * np.asarray(pressure, dtype=float)


def saturation_kpa(temperature_c: Array) -> Array:
    """Saturation vapour pressure (eq. 11), kPa."""
    t = np.asarray(temperature_c, dtype=float)
    return 0.6108 * np.exp(17.27 * t / (t + 237.3))


def saturation_slope_kpa_c(temperature_c: Array, standard: Standard = "fao56") -> Array:
    """Slope of the saturation curve (eq. 13), kPa/C."""
    t = np.asarray(temperature_c, dtype=float)
    return STANDARDS[standard].slope * np.exp(17.27 * t / (t + 237.3)) / (t + 237.3) ** 2


def wind_at_2m(wind_m_s: Array, height_m: Array) -> Array:
    """Wind at 2 m from another height by the log law (eq. 47), m/s."""
    return np.asarray(wind_m_s, dtype=float) * 4.87 / np.log(67.8 * np.asarray(height_m, dtype=float) - 5.42)


def solar_angles(latitude_deg: Array, day_of_year: Array, standard: Standard = "fao56") -> tuple[Array, Array, Array]:
    """Latitude (rad), declination (rad, eq. 24) and sunset hour angle (rad, eq. 25)."""
    latitude, day = np.radians(latitude_deg), np.asarray(day_of_year, dtype=float)
    if STANDARDS[standard].cooper:
        declination = np.radians(23.45) * np.sin(2 * np.pi * (day + 284.0) / 365.0)
    else:
        declination = 0.409 * np.sin(2 * np.pi * day / 365.0 - 1.39)
    sunset = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0))
    return latitude, declination, sunset


def extraterrestrial_mj_m2(latitude_deg: Array, day_of_year: Array, standard: Standard = "fao56") -> Array:
    """Extraterrestrial radiation (eq. 21), MJ m-2 d-1."""
    latitude, declination, sunset = solar_angles(latitude_deg, day_of_year, standard)
    distance = 1 + 0.033 * np.cos(2 * np.pi * np.asarray(day_of_year, dtype=float) / 365.0)
    return (24 * 60 / np.pi) * SOLAR_CONSTANT * distance * (
        sunset * np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.sin(sunset)
    )  # fmt: skip


def daylight_hours(latitude_deg: Array, day_of_year: Array) -> Array:
    """Daylight hours (eq. 34)."""
    return 24.0 / np.pi * solar_angles(latitude_deg, day_of_year)[2]


def radiation_from_sunshine(sunshine_h: Array, latitude_deg: Array, day_of_year: Array) -> Array:
    """Solar radiation by Angstrom with a = 0.25, b = 0.50 (eq. 35), MJ m-2 d-1."""
    share = np.asarray(sunshine_h, dtype=float) / daylight_hours(latitude_deg, day_of_year)
    return (0.25 + 0.50 * share) * extraterrestrial_mj_m2(latitude_deg, day_of_year)


def clear_sky_mj_m2(elevation_m: Array, extraterrestrial: Array) -> Array:
    """Clear-sky radiation (eq. 37), MJ m-2 d-1."""
    return (0.75 + 2e-5 * np.asarray(elevation_m, dtype=float)) * extraterrestrial


def clear_sky_of_humid_air_mj_m2(
    vapour_kpa: Array, elevation_m: Array, latitude_deg: Array, day_of_year: Array, standard: Standard = "fao56"
) -> Array:
    """Clear-sky radiation with the air's humidity and the sun's height (ASCE-EWRI 2005 eq. D.1 to D.6), MJ m-2 d-1.

    As the Ref-ET program computes it; the standardised equation itself takes :func:`clear_sky_mj_m2`.
    """
    latitude, day = np.radians(latitude_deg), np.asarray(day_of_year, dtype=float)
    height = 0.85 + 0.3 * latitude * np.sin(2 * np.pi * day / 365.0 - 1.39) - 0.42 * latitude**2
    sine = np.sin(np.maximum(height, 0.1))
    pressure = pressure_kpa(elevation_m)
    water_mm = 0.14 * np.asarray(vapour_kpa, dtype=float) * pressure + 2.1
    beam = 0.98 * np.exp(-0.00146 * pressure / sine - 0.075 * (water_mm / sine) ** 0.4)
    diffuse = np.where(beam >= 0.15, 0.35 - 0.36 * beam, 0.18 + 0.82 * beam)
    return (beam + diffuse) * extraterrestrial_mj_m2(latitude_deg, day, standard)


def net_longwave_mj_m2(
    tmin_c: Array, tmax_c: Array, vapour_kpa: Array, rs: Array, rso: Array, standard: Standard = "fao56"
) -> Array:
    """Net outgoing longwave radiation (eq. 39), MJ m-2 d-1; Rs/Rso held within 0.3 .. 1 (ASCE-EWRI 2005)."""
    fourth = ((np.asarray(tmax_c) + 273.16) ** 4 + (np.asarray(tmin_c) + 273.16) ** 4) / 2
    relative = np.clip(np.asarray(rs) / np.asarray(rso), 0.3, 1.0)
    return STANDARDS[standard].sigma * fourth * (0.34 - 0.14 * np.sqrt(vapour_kpa)) * (1.35 * relative - 0.35)


def actual_vapour_kpa(
    tmin_c: Array,
    tmax_c: Array,
    *,
    rhmin_pct: Array | None = None,
    rhmax_pct: Array | None = None,
    rh_mean_pct: Array | None = None,
    tdew_c: Array | None = None,
) -> Array:
    """Actual vapour pressure from the best of what is given, kPa.

    Dew point (eq. 14), else daily extremes of humidity (eq. 17), else the mean (eq. 19), else the minimum
    temperature taken as dew point (eq. 48).
    """
    low, high = saturation_kpa(tmin_c), saturation_kpa(tmax_c)
    out = low
    if rh_mean_pct is not None:
        mean = np.asarray(rh_mean_pct, dtype=float) / 100 * (low + high) / 2
        out = np.where(np.isnan(mean), out, mean)
    if rhmin_pct is not None and rhmax_pct is not None:
        both = (low * np.asarray(rhmax_pct, dtype=float) + high * np.asarray(rhmin_pct, dtype=float)) / 200
        out = np.where(np.isnan(both), out, both)
    if tdew_c is not None:
        dew = saturation_kpa(tdew_c)
        out = np.where(np.isnan(dew), out, dew)
    return out


def penman_monteith_mm(
    tmin_c: Array,
    tmax_c: Array,
    vapour_kpa: Array,
    u2_m_s: Array,
    rs_mj_m2: Array,
    latitude_deg: Array,
    elevation_m: Array,
    day_of_year: Array,
    reference: Surface = "short",
    standard: Standard = "fao56",
    rso_mj_m2: Array | None = None,
    soil_heat_mj_m2: Array = 0.0,
) -> Array:
    """Daily reference ET by Penman-Monteith (eq. 6; ASCE-EWRI 2005 eq. 1), mm/d, at least 0.

    ``standard`` chooses whose rounding of the constants is used; the tall reference exists in ASCE-EWRI 2005 alone.
    ``rso_mj_m2`` takes the place of the clear-sky radiation of eq. 37. Soil heat is 0 for a day (eq. 42); for means of a month
    give eq. 43.
    """
    if reference not in REFERENCE:
        raise ContractError(f"unknown reference surface {reference!r}", do="Give short or tall")
    numerator, denominator = REFERENCE[reference]
    mean = (np.asarray(tmin_c, dtype=float) + np.asarray(tmax_c, dtype=float)) / 2
    slope = saturation_slope_kpa_c(mean, standard)
    gamma = psychrometric_kpa_c(pressure_kpa(elevation_m), standard)
    if rso_mj_m2 is None:
        rso_mj_m2 = clear_sky_mj_m2(elevation_m, extraterrestrial_mj_m2(latitude_deg, day_of_year, standard))
    net = (
        (1 - ALBEDO) * np.asarray(rs_mj_m2)
        - net_longwave_mj_m2(tmin_c, tmax_c, vapour_kpa, rs_mj_m2, rso_mj_m2, standard)
        - soil_heat_mj_m2
    )
    # Air more than saturated is a slip of the sensor: no negative deficit.
    deficit = np.maximum((saturation_kpa(tmin_c) + saturation_kpa(tmax_c)) / 2 - vapour_kpa, 0.0)
    et0 = (0.408 * slope * net + gamma * numerator / (mean + 273.0) * u2_m_s * deficit) / (
        slope + gamma * (1 + denominator * np.asarray(u2_m_s))
    )
    return np.maximum(et0, 0.0)


def add_et0(
    weather: pd.DataFrame,
    latitude_deg: float,
    elevation_m: float,
    setting: Setting = "interior",
    arid_station: bool = False,
) -> pd.DataFrame:
    """Reference ET (short) of each row, missing inputs estimated and said so.

    Radiation by Hargreaves (eq. 50), humidity from the minimum temperature (eq. 48), wind 2 m/s: chapter 3 of
    FAO-56 (:mod:`agro.water.missing_weather`). What was estimated is added to the column ``estimated``.

    Parameters
    ----------
    weather : pandas.DataFrame
        Table ``weather``; a value already in ``et0_mm`` is kept.
    latitude_deg, elevation_m : float
        Of the site.
    setting : {"interior", "coast"}
        For radiation from temperature.
    arid_station : bool
        The station's ground is dry: the dew point lies below the minimum temperature (annex 6).

    Returns
    -------
    pandas.DataFrame
        Table ``weather`` with ``et0_mm`` and the inputs filled.
    """
    out = weather.copy()
    day = out["date"].dt.day_of_year.to_numpy()
    tmin, tmax = out["tmin_c"].to_numpy(), out["tmax_c"].to_numpy()
    ra = extraterrestrial_mj_m2(latitude_deg, day)
    notes = [[] if pd.isna(text) else str(text).split(",") for text in out["estimated"]]
    for column, guess in (
        ("rs_mj_m2", radiation_from_temperature_mj_m2(tmin, tmax, ra, setting)),
        ("u2_m_s", np.full(len(out), DEFAULT_WIND_M_S)),
    ):
        missing = out[column].isna().to_numpy()
        out[column] = np.where(missing, guess, out[column])
        for row in np.flatnonzero(missing):
            notes[row].append(column)
    for row in np.flatnonzero(out["rh_mean_pct"].isna().to_numpy()):
        notes[row].append("rh_mean_pct")
    humidity = out["rh_mean_pct"].to_numpy(dtype=float)
    dew = np.where(np.isnan(humidity), dew_point_from_minimum_c(tmin, arid_station), np.nan)
    vapour = actual_vapour_kpa(tmin, tmax, rh_mean_pct=humidity, tdew_c=dew)
    et0 = penman_monteith_mm(
        tmin, tmax, vapour, out["u2_m_s"].to_numpy(), out["rs_mj_m2"].to_numpy(), latitude_deg, elevation_m, day
    )
    out["et0_mm"] = np.where(out["et0_mm"].isna(), et0, out["et0_mm"])
    out["estimated"] = pd.Series([",".join(dict.fromkeys(n)) or None for n in notes], index=out.index, dtype="str")
    return validate(out, "weather", "reference ET")
