"""Growth, soil water and yield by AquaCrop (Raes et al. 2009, doi 10.2134/agronj2008.0140s; AquaCrop-OSPy)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError

#: Depths of the soil compartments of AquaCrop's default profile, m.
COMPARTMENTS = np.array([0.1] * 12)
#: Alfalfa: days from cut to cut and daily growth of the canopy, in winter and in the rest of the year.
CUT_D, CUT_WINTER_D = 32, 56
CANOPY_GROWTH, CANOPY_GROWTH_WINTER = 0.17, 0.085
#: What a mower leaves standing.
STUBBLE = 0.10
#: Tonnes of what is sold per tonne of dry biomass or dry yield (moisture and share harvested, rounded).
SOLD = {
    "wheat_winter": 0.75,
    "sugar_beet": 1 / 0.22,
    "maize_silage": 1 / 0.33,
    "alfalfa": 0.55 / 0.88,
    "olive": 0.28,
    "citrus": 1.4,
}
#: Perennial canopies as AquaCrop crops of constant cover: (cover, Kcb as if the ground were full, deepest roots m). With the
#: cover the water use is that of FAO-56 Table 17: about 0.6 of reference ET for olive and citrus.
TREES = {"olive": (0.36, 1.15, 1.2), "citrus": (0.58, 1.0, 1.1)}


_DAY = pd.Timedelta(days=1)


@dataclass(frozen=True)
class Season:
    """Daily truth of one soil zone: cover, storage (0-1 m) and depletion of the root zone, ET, stress; and yield."""

    daily: pd.DataFrame
    yield_t_ha: float


def _aquacrop() -> Any:
    """The parts of AquaCrop used here, each from its own module: the package itself is empty when "-m" is in sys.argv."""
    try:
        from aquacrop.core import AquaCropModel
        from aquacrop.entities.crop import Crop
        from aquacrop.entities.inititalWaterContent import InitialWaterContent
        from aquacrop.entities.irrigationManagement import IrrigationManagement
        from aquacrop.entities.soil import Soil
    except ImportError as error:
        raise ConfigError(
            "AquaCrop is not installed",
            where="sample region",
            do="Install the extra: pip install agro[generator], or: make sample",
        ) from error
    return SimpleNamespace(
        AquaCropModel=AquaCropModel,
        Crop=Crop,
        InitialWaterContent=InitialWaterContent,
        IrrigationManagement=IrrigationManagement,
        Soil=Soil,
    )


def _crop(name: str, sown: pd.Timestamp, length: int, density: float) -> Any:
    """A crop by calendar days; perennials are a canopy that is there from the first day and does not ripen."""
    ac = _aquacrop()
    if name == "wheat_winter":
        stages, own = (10, 90, 150, 178, 105, 15, 70), {"Zmax": 1.2, "base": "Wheat"}
    elif name == "sugar_beet":
        stages, own = (
            (12, 110, 205, 235, 110, 0, 120),
            {"Zmax": 1.0, "base": "SugarBeet", "CGC_CD": 0.075, "CDC_CD": 0.03},
        )
    elif name == "maize_silage":
        stages, own = (8, 70, 95, 112, 62, 12, 45), {"Zmax": 1.1, "base": "Maize"}
    else:
        cover, kcb, roots = (0.92, 1.05, 1.2) if name == "alfalfa" else TREES[name]
        if name in TREES:
            cover = min(cover * density, 0.85)
        established = STUBBLE if name == "alfalfa" else cover
        growth = CANOPY_GROWTH_WINTER if sown.month in WINTER else CANOPY_GROWTH
        stages = (1, 5, length + 40, length - 1, 10, 5, max(length - 20, 10))
        own = {
            "base": "Maize", "Zmin": roots, "Zmax": roots, "SeedSize": established * 1e3, "PlantPop": 100_000, "CCx": cover,
            "CGC_CD": growth if name == "alfalfa" else 0.05, "CDC_CD": 0.01, "Kcb": kcb, "fage": 0.0, "WP": 15.0 if name == "alfalfa" else 11.0,
            # Indeterminate: the canopy may grow until it is cut.
            "Determinant": 0.0,
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


#: Months in which alfalfa grows slowly.
WINTER = (11, 12, 1)


def _no_leap_day(day: pd.Timestamp) -> pd.Timestamp:
    """AquaCrop takes month and day of any year, so the 29th of February is the 1st of March."""
    return day + pd.Timedelta(days=1) if (day.month, day.day) == (2, 29) else day


def grow(
    name: str,
    fc: float,
    wp: float,
    weather: pd.DataFrame,
    irrigation_net_mm: np.ndarray,
    sown_day: int | None,
    density: float = 1.0,
    first_cut_d: int = 30,
    wetted_pct: float = 100.0,
    fallow: bool = True,
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
    density : float
        Factor on the cover of trees.
    first_cut_d : int
        Day of the first cut of alfalfa.
    wetted_pct : float
        Share of the ground that irrigation wets.
    fallow : bool
        Follow the soil after the harvest too; without it storage, depletion and ET are NaN from there.
    """
    days = pd.DatetimeIndex(weather["date"])
    content = np.full(12, wp + (0.35 if sown_day is not None else 0.6) * (fc - wp))
    parts = []
    for sown, first, last in _runs(name, days, sown_day, first_cut_d):
        plan = _crop(name, sown, len(days) + 2 if name != "alfalfa" else (last - first).days + 3, density)
        parts.append(_run(plan, name, fc, wp, weather, irrigation_net_mm, wetted_pct, first, last, content))
        content = parts[-1][1]
    total = sum(p[2] for p in parts)
    ended = parts[-1][0]["date"].iloc[-1]
    if fallow and ended < days[-1]:
        # A crop that is never up: AquaCrop then follows a bare soil.
        plan = _crop("maize_silage", days[-1] + pd.Timedelta(days=2), len(days), density)
        rest = _run(plan, "bare", fc, wp, weather, irrigation_net_mm, wetted_pct, ended + _DAY, days[-1], content)
        parts.append(rest)
    daily = pd.concat([p[0] for p in parts], ignore_index=True).set_index("date").reindex(days)
    # Without a crop there is no canopy.
    plants = ["cover", "peak_cover", "stress_frac"]
    daily[plants] = daily[plants].fillna(0.0)
    if sown_day is None:
        # AquaCrop's day of planting has no canopy; a stand has.
        daily["cover"] = daily["cover"].clip(lower=STUBBLE if name == "alfalfa" else 0.9 * daily["cover"].median())
    return Season(daily.reset_index(names="date"), float(total * SOLD[name]))


def _runs(
    name: str, days: pd.DatetimeIndex, sown_day: int | None, first_cut_d: int
) -> list[tuple[pd.Timestamp, pd.Timestamp, pd.Timestamp]]:
    """AquaCrop runs of a season: (sown, first day, last day). Alfalfa is one run a cut."""
    if sown_day is not None:
        return [(days[sown_day], days[0], days[-1])]
    if name != "alfalfa":
        return [(days[0], days[0], days[-1])]
    out, at = [], 0
    while at < len(days):
        wanted = first_cut_d if at == 0 else CUT_WINTER_D if days[at].month in WINTER else CUT_D
        end = len(days) if len(days) - at - wanted < CUT_D // 2 else at + wanted
        out.append((days[at], days[at], days[end - 1]))
        at = end
    return out


def _run(
    crop: Any,
    name: str,
    fc: float,
    wp: float,
    weather: pd.DataFrame,
    irrigation: np.ndarray,
    wetted_pct: float,
    first: pd.Timestamp,
    last: pd.Timestamp,
    content: np.ndarray,
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
        ac.IrrigationManagement(irrigation_method=3, Schedule=schedule, MaxIrr=200, WetSurf=wetted_pct)
        if len(schedule)
        else ac.IrrigationManagement(irrigation_method=0)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ac.AquaCropModel(
            f"{first:%Y/%m/%d}", f"{last + pd.Timedelta(days=10):%Y/%m/%d}", forcing, soil, crop, start,
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
    daily = pd.DataFrame(
        {
            "date": pd.date_range(first, periods=n),
            "cover": cover,
            "peak_cover": np.maximum.accumulate(np.maximum(cover, 0)) * (growth["dap"].to_numpy()[:n] > 0),
            "storage_mm": (theta[:, :10] * COMPARTMENTS[:10] * 1000).sum(axis=1),
            "depletion_mm": np.clip(((fc - theta) * COMPARTMENTS * 1000 * within).sum(axis=1), 0, None),
            "eta_mm": flux["Es"].to_numpy()[:n] + tr,
            "stress_frac": np.where(tr_pot > 0.2, 1 - tr / np.where(tr_pot > 0.2, tr_pot, 1.0), 0.0),
            "surface_frac": np.clip((theta[:, 0] - 0.5 * wp) / (fc - 0.5 * wp), 0, 1),
        }
    )
    if name == "bare":
        return daily, theta[-1], 0.0
    grown = growth["biomass"].max() / 100 if name in {"maize_silage", "alfalfa", *TREES} else growth["DryYield"].max()
    return daily, np.maximum(theta[-1], 0.5 * wp), float(grown)
