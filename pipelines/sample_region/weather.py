"""True weather, and what a station and a forecaster say of it.

Monthly normals are approximate, after those of Marrakech published by WMO (1961-1990 and 1991-2020 Climatological Normals).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

NORMALS = pd.DataFrame(
    {
        "month": range(1, 13),
        "tmax_c": [18.6, 20.1, 23.2, 25.2, 28.8, 32.8, 37.3, 36.9, 32.6, 27.8, 22.6, 19.2],
        "tmin_c": [6.2, 7.7, 10.0, 11.8, 14.8, 17.7, 20.6, 20.8, 18.4, 15.1, 10.6, 7.3],
        "rh_pct": [65, 66, 61, 59, 56, 52, 45, 46, 52, 58, 64, 67],
        "wind_2m_m_s": [1.3, 1.5, 1.7, 1.9, 2.0, 2.0, 2.0, 1.9, 1.7, 1.5, 1.3, 1.2],
        "rs_mj_m2_d": [11.5, 14.5, 18.5, 22.0, 24.5, 26.5, 27.0, 24.5, 20.5, 15.5, 12.0, 10.5],
        "rain_mm_month": [32, 38, 38, 36, 22, 4, 1, 3, 6, 22, 40, 31],
    }
)
VALUES = ("tmin_c", "tmax_c", "rh_mean_pct", "u2_m_s", "rs_mj_m2", "rain_mm")
MEMBERS, AHEAD_D = 8, 9
#: Rain of a wet day, and the chance that a wet day follows another.
MEAN_RAIN_MM, WET_AFTER_WET = 6.0, 0.45


def _normal(days: pd.DatetimeIndex, column: str) -> np.ndarray:
    middle = np.array([15.5 + 30.4375 * m for m in range(12)])
    values = NORMALS[column].to_numpy(dtype=float)
    around = np.concatenate((middle[-1:] - 365.25, middle, middle[:1] + 365.25))
    return np.interp(days.day_of_year, around, np.concatenate((values[-1:], values, values[:1])))


def true_weather(days: pd.DatetimeIndex, rng: np.random.Generator, wetness: float = 1.0) -> pd.DataFrame:
    """Daily weather: a two-state Markov chain for rain (Richardson 1981), AR(1) anomalies for the rest.

    Reference ET by Hargreaves (1975) from temperature and radiation: not the pipeline's equation.
    """
    n = len(days)
    monthly = _normal(days, "rain_mm_month")
    # Share of wet days that gives the month its rain, and the chance after a dry day that keeps this share.
    share = np.clip(monthly / 30.4 / MEAN_RAIN_MM, 0.003, 0.5)
    after_dry = share * (1 - WET_AFTER_WET) / (1 - share)
    wet = np.zeros(n, dtype=bool)
    for day in range(1, n):
        wet[day] = rng.random() < (WET_AFTER_WET if wet[day - 1] else after_dry[day])
    rain = np.where(wet, rng.gamma(0.8, MEAN_RAIN_MM / 0.8, n) * wetness, 0.0)
    anomaly = np.zeros((n, 3))
    for day in range(1, n):
        anomaly[day] = 0.7 * anomaly[day - 1] + rng.standard_normal(3) * np.sqrt(1 - 0.49)
    tmax = _normal(days, "tmax_c") + 3.0 * anomaly[:, 0] - 2.5 * wet
    tmin = np.minimum(_normal(days, "tmin_c") + 2.0 * anomaly[:, 1] + 0.5 * wet, tmax - 3)
    rs = np.clip(_normal(days, "rs_mj_m2_d") * (1.06 - 0.4 * wet) * (1 + 0.10 * anomaly[:, 2]), 3, 31)
    rh = np.clip(_normal(days, "rh_pct") + 12 * wet - 5 * anomaly[:, 0], 15, 98)
    u2 = np.clip(_normal(days, "wind_2m_m_s") * np.exp(0.25 * rng.standard_normal(n)), 0.3, 7)
    mean = (tmax + tmin) / 2
    et0 = np.clip(0.0135 * (mean + 17.8) * rs / 2.45, 0.3, 12)
    return pd.DataFrame(
        {
            "date": days,
            "tmin_c": tmin,
            "tmax_c": tmax,
            "rh_mean_pct": rh,
            "u2_m_s": u2,
            "rs_mj_m2": rs,
            "rain_mm": rain,
            "et0_true_mm": et0,
        }
    )


def local_rain(weather: pd.DataFrame, x_m: np.ndarray, y_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rain of each day at each place, (days, places): cells of 1-2 km move over a steady part.

    Cells are the larger part of the rain from April to October (convective), the smaller in winter (frontal). The mean
    over places is that of ``weather``, so a station sees a sample of it, not its mean.

    Parameters
    ----------
    weather : pandas.DataFrame
        Rain of the square as a whole.
    x_m, y_m : numpy.ndarray
        Places, m.
    rng : numpy.random.Generator
        Where the cells are.
    """
    rain = weather["rain_mm"].to_numpy()
    share = np.where(weather["date"].dt.month.isin(range(4, 11)), 0.6, 0.25)
    out = np.repeat(rain[:, None], len(x_m), axis=1)
    for day in np.flatnonzero(rain > 0):
        centre_x = rng.uniform(x_m.min(), x_m.max(), 3)
        centre_y = rng.uniform(y_m.min(), y_m.max(), 3)
        radius = rng.uniform(500, 1000, 3)
        far = (x_m[:, None] - centre_x) ** 2 + (y_m[:, None] - centre_y) ** 2
        cells = np.exp(-far / (2 * radius**2)).sum(axis=1)
        out[day] = rain[day] * (1 - share[day] + share[day] * cells / cells.mean())
    return out


def station(weather: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """What a station reports: instrument error, under-catch of rain, a few days missing."""
    out = weather[["date", *VALUES]].copy()
    n = len(out)
    out["tmin_c"] += rng.normal(0.2, 0.4, n)
    out["tmax_c"] += rng.normal(0.2, 0.4, n)
    out["rh_mean_pct"] = np.clip(out["rh_mean_pct"] + rng.normal(0, 3, n), 5, 100)
    out["u2_m_s"] *= rng.normal(0.95, 0.08, n).clip(0.5)
    out["rs_mj_m2"] *= rng.normal(0.98, 0.03, n)
    out["rain_mm"] *= rng.normal(0.93, 0.08, n).clip(0)
    out = out.round({"tmin_c": 1, "tmax_c": 1, "rh_mean_pct": 0, "u2_m_s": 1, "rs_mj_m2": 1, "rain_mm": 1})
    gone = np.zeros(n, dtype=bool)
    gone[[41, 42, 118, 205]] = True
    return out[~gone]


def forecasts(weather: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Ensemble forecasts issued each Monday and Thursday, 9 days ahead; error grows with the lead."""
    parts = []
    known = weather.set_index("date")
    days = pd.DatetimeIndex(known.index)
    for issued in days[days.day_of_week.isin([0, 3])]:
        ahead = pd.date_range(issued + pd.Timedelta(days=1), periods=AHEAD_D)
        if ahead[-1] > days[-1]:
            break
        true = known.loc[ahead]
        lead = np.arange(1, AHEAD_D + 1)
        for member in range(MEMBERS):
            walk = np.cumsum(rng.standard_normal(AHEAD_D)) * 0.45
            hit = rng.random(AHEAD_D) < 0.95 - 0.05 * lead
            other = np.where(
                rng.random(AHEAD_D) < np.clip(_normal(ahead, "rain_mm_month") / 180, 0.01, 0.4),
                rng.gamma(0.8, 7, AHEAD_D),
                0.0,
            )
            rain = np.where(
                hit, true["rain_mm"].to_numpy() * np.exp(0.1 * lead**0.5 * rng.standard_normal(AHEAD_D)), other
            )
            parts.append(
                pd.DataFrame(
                    {
                        "issued_at": issued, "date": ahead, "member": member, "tmin_c": true["tmin_c"] + walk,
                        "tmax_c": np.maximum(true["tmax_c"] + 1.2 * walk, true["tmin_c"] + walk + 1), "rh_mean_pct": np.clip(true["rh_mean_pct"] - 2 * walk, 10, 100),
                        "u2_m_s": true["u2_m_s"] * np.exp(0.15 * rng.standard_normal(AHEAD_D)), "rs_mj_m2": true["rs_mj_m2"] * np.clip(1 + 0.03 * lead**0.5 * rng.standard_normal(AHEAD_D), 0.5, 1.1),
                        "rain_mm": rain,
                    }
                )
            )  # fmt: skip
    out = pd.concat(parts, ignore_index=True)
    return out.round({"tmin_c": 1, "tmax_c": 1, "rh_mean_pct": 0, "u2_m_s": 1, "rs_mj_m2": 1, "rain_mm": 1})
