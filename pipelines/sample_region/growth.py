"""Growth, soil water and yield by AquaCrop (Raes et al. 2009, doi 10.2134/agronj2008.0140s; AquaCrop-OSPy)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError

#: Depths of the soil compartments of AquaCrop's default profile, m.
COMPARTMENTS = np.array([0.1] * 12)
#: Days from cut to cut of alfalfa.
CUT_D = 36
#: Tonnes of what is sold per tonne of dry biomass or dry yield (moisture and share harvested, rounded).
SOLD = {
    "wheat_winter": 0.75,
    "sugar_beet": 1 / 0.22,
    "maize_silage": 1 / 0.33,
    "alfalfa": 1 / 0.88,
    "olive": 0.2,
    "citrus": 1.3,
}
#: Perennial canopies as AquaCrop crops of constant cover: (cover, Kcb as if the ground were full, deepest roots m). With the
#: cover the water use is that of FAO-56 Table 17: about 0.6 of reference ET for olive and citrus.
TREES = {"olive": (0.42, 1.15, 1.2), "citrus": (0.55, 1.0, 1.1)}


@dataclass(frozen=True)
class Season:
    """Daily truth of one soil zone: cover, storage (0-1 m) and depletion of the root zone, ET, stress; and yield."""

    daily: pd.DataFrame
    yield_t_ha: float


def _aquacrop() -> Any:
    try:
        import aquacrop
    except ImportError as error:
        raise ConfigError(
            "AquaCrop is not installed",
            where="sample region",
            do="Install the extra: pip install agro[generator], or: make sample",
        ) from error
    return aquacrop


def _crop(name: str, sown: pd.Timestamp, length: int) -> Any:
    """A crop by calendar days; perennials are a canopy that is there from the first day and does not ripen."""
    ac = _aquacrop()
    if name == "wheat_winter":
        stages, own = (10, 90, 150, 178, 105, 15, 70), {"Zmax": 1.2, "base": "Wheat"}
    elif name == "sugar_beet":
        stages, own = (
            (12, 110, 205, 235, 80, 0, 150),
            {"Zmax": 1.0, "base": "SugarBeet", "CGC_CD": 0.075, "CDC_CD": 0.03},
        )
    elif name == "maize_silage":
        stages, own = (8, 70, 95, 112, 62, 12, 45), {"Zmax": 1.1, "base": "Maize"}
    else:
        cover, kcb, roots = (0.90, 1.05, 1.2) if name == "alfalfa" else TREES[name]
        established = 0.12 if name == "alfalfa" else cover
        stages = (3, 5, length + 40, length - 1, 10, 5, max(length - 20, 10))
        own = {
            "base": "Maize", "Zmin": roots, "Zmax": roots, "SeedSize": established * 1e3, "PlantPop": 100_000, "CCx": cover,
            "CGC_CD": 0.16 if name == "alfalfa" else 0.05, "CDC_CD": 0.01, "Kcb": kcb, "fage": 0.0, "WP": 14.0 if name == "alfalfa" else 11.0,
        }  # fmt: skip
    keys = ("EmergenceCD", "MaxRootingCD", "SenescenceCD", "MaturityCD", "HIstartCD", "FloweringCD", "YldFormCD")
    harvest = _no_leap_day(sown + pd.Timedelta(days=stages[3]))
    sown = _no_leap_day(sown)
    base = own.pop("base")
    return ac.Crop(
        base,
        planting_date=f"{sown:%m/%d}",
        harvest_date=f"{harvest:%m/%d}",
        CalendarType=1,
        SwitchGDD=0,
        **dict(zip(keys, stages, strict=True)),
        **own,
    )


def _no_leap_day(day: pd.Timestamp) -> pd.Timestamp:
    """AquaCrop takes month and day of any year, so the 29th of February is the 1st of March."""
    return day + pd.Timedelta(days=1) if (day.month, day.day) == (2, 29) else day


def grow(
    name: str, fc: float, wp: float, weather: pd.DataFrame, irrigation_net_mm: np.ndarray, sown_day: int | None
) -> Season:
    """One season on one soil.

    Parameters
    ----------
    name : str
        Crop key.
    fc, wp : float
        Water limits, m3/m3.
    weather : pandas.DataFrame
        Days of the season: tmin_c, tmax_c, rain_mm, et0_true_mm.
    irrigation_net_mm : numpy.ndarray
        (days,) reaching the soil.
    sown_day : int or None
        Day of sowing; None for perennials.
    """
    days = pd.DatetimeIndex(weather["date"])
    content = np.full(12, wp + 0.45 * (fc - wp))
    if sown_day is not None:
        parts = [_run(name, fc, wp, weather, irrigation_net_mm, days[sown_day], days[0], days[-1], content, len(days))]
    elif name == "alfalfa":
        parts, at = [], 0
        while at < len(days) - 12:
            last = min(at + CUT_D, len(days)) - 1
            part = _run(name, fc, wp, weather, irrigation_net_mm, days[at], days[at], days[last], content, CUT_D + 2)
            content = part[1]
            parts.append(part)
            at = last + 1
    else:
        parts = [_run(name, fc, wp, weather, irrigation_net_mm, days[0], days[0], days[-1], content, len(days) + 2)]
    daily = pd.concat([p[0] for p in parts], ignore_index=True).drop_duplicates("date")
    daily = daily.set_index("date").reindex(days)
    # After the harvest AquaCrop says nothing: no canopy, no truth of the soil.
    daily[["cover", "peak_cover", "free_cover", "stress_frac"]] = daily[
        ["cover", "peak_cover", "free_cover", "stress_frac"]
    ].fillna(0.0)
    daily = daily.reset_index(names="date")
    total = sum(p[2] for p in parts)
    return Season(daily, float(total * SOLD[name]))


def _run(
    name: str,
    fc: float,
    wp: float,
    weather: pd.DataFrame,
    irrigation: np.ndarray,
    sown: pd.Timestamp,
    first: pd.Timestamp,
    last: pd.Timestamp,
    content: np.ndarray,
    length: int,
) -> tuple[pd.DataFrame, np.ndarray, float]:
    ac = _aquacrop()
    forcing = pd.DataFrame(
        {
            "MinTemp": weather["tmin_c"], "MaxTemp": weather["tmax_c"], "Precipitation": weather["rain_mm"],
            "ReferenceET": weather["et0_true_mm"], "Date": weather["date"],
        }
    )  # fmt: skip
    # AquaCrop wants days after the harvest.
    tail = (
        forcing.tail(1)
        .loc[np.repeat(forcing.index[-1], 15)]
        .assign(Date=pd.date_range(forcing["Date"].iloc[-1] + pd.Timedelta(days=1), periods=15), Precipitation=0.0)
    )
    forcing = pd.concat([forcing, tail], ignore_index=True)
    soil = ac.Soil("custom", cn=61, rew=9, dz=list(COMPARTMENTS))
    soil.add_layer(thickness=float(COMPARTMENTS.sum()), thWP=wp, thFC=fc, thS=fc + 0.17, Ksat=350, penetrability=100)
    depths = list(np.cumsum(COMPARTMENTS) - COMPARTMENTS / 2)
    start = ac.InitialWaterContent(wc_type="Num", method="Depth", depth_layer=depths, value=[float(c) for c in content])
    chosen = irrigation > 0
    schedule = pd.DataFrame({"Date": pd.DatetimeIndex(weather["date"])[chosen], "Depth": irrigation[chosen]})
    watering = (
        ac.IrrigationManagement(irrigation_method=3, Schedule=schedule, MaxIrr=200)
        if len(schedule)
        else ac.IrrigationManagement(irrigation_method=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ac.AquaCropModel(
            f"{first:%Y/%m/%d}", f"{last + pd.Timedelta(days=10):%Y/%m/%d}", forcing, soil, _crop(name, sown, length), start,
            irrigation_management=watering, off_season=True,
        )  # fmt: skip
        model.run_model(till_termination=True)
    flux, growth, store = model.get_water_flux(), model.get_crop_growth(), model.get_water_storage()
    moisture = store[[f"th{i}" for i in range(1, 13)]].to_numpy()
    # The run ends with the harvest; rows after it are empty.
    n = min(len(pd.date_range(first, last)), int(np.flatnonzero(moisture.sum(axis=1) > 0)[-1]) + 1)
    theta = moisture[:n]
    root = np.maximum(growth["z_root"].to_numpy()[:n], 0.3)
    edges = np.cumsum(COMPARTMENTS)
    within = np.clip(1 - (edges[None] - root[:, None]) / COMPARTMENTS[None], 0, 1)
    tr, tr_pot = flux["Tr"].to_numpy()[:n], flux["TrPot"].to_numpy()[:n]
    cover = growth["canopy_cover"].to_numpy()[:n]
    free = growth["canopy_cover_ns"].to_numpy()[:n]
    daily = pd.DataFrame(
        {
            "date": pd.date_range(first, periods=n),
            "cover": cover,
            "peak_cover": np.maximum.accumulate(np.maximum(cover, 0)) * (growth["dap"].to_numpy()[:n] > 0),
            "free_cover": free,
            "storage_mm": (theta[:, :10] * COMPARTMENTS[:10] * 1000).sum(axis=1),
            "depletion_mm": np.clip(((fc - theta) * COMPARTMENTS * 1000 * within).sum(axis=1), 0, None),
            "eta_mm": flux["Es"].to_numpy()[:n] + tr,
            "stress_frac": np.where(tr_pot > 0.2, 1 - tr / np.where(tr_pot > 0.2, tr_pot, 1.0), 0.0),
            "surface_frac": np.clip((theta[:, 0] - 0.5 * wp) / (fc - 0.5 * wp), 0, 1),
        }
    )
    grown = growth["biomass"].max() / 100 if name in {"maize_silage", "alfalfa", *TREES} else growth["DryYield"].max()
    return daily, np.maximum(theta[-1], 0.5 * wp), float(grown)
