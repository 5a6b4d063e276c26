"""A folder of tables with readings that follow a known truth, for the evaluation's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from agro.water.profile import EDGES_M, PARAMETERS, Course, Place, Plots, run_profile
from agro.water.reference_et import wind_at_2m

DAYS = pd.date_range("2021-05-01", periods=90)
PARAMETER_ROWS = {
    "Kcbini": 0.15, "Kcbmid": 1.1, "Kcbend": 0.5, "Lini": 15, "Ldev": 30, "Lmid": 30, "Lend": 15, "hini": 0.05, "hmax": 1.0, "theta0": 0.2,
    "Zrini": 0.2, "Zrmax": 0.9, "pbase": 0.6, "Ze": 0.1, "REW": 8,
}  # fmt: skip


def write_folder(folder: Path, count: int = 6, seed: int = 3, readings: int = 5) -> Path:
    """Plots of one soil under different irrigation, read every ten days, with an error of 2 mm and a drift of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    names = [f"p{k + 1}" for k in range(count)]
    weather = pd.DataFrame(
        {
            "date": DAYS, "rs_mj_m2": 26.0, "tmax_c": 31.0, "tmin_c": 15.0, "tdew_c": 8.0, "rhmin_pct": 25.0, "wind_m_s": 2.0,
            "rain_mm": np.where(rng.random(90) < 0.05, 8.0, 0.0), "et0_station_mm": 6.0,
        }
    )  # fmt: skip
    rates = 18.0 + 4.0 * np.arange(count)
    irrigation = np.zeros((90, count))
    irrigation[6::7] = rates
    q = PARAMETER_ROWS
    course = Course(
        weather["et0_station_mm"].to_numpy(), weather["rain_mm"].to_numpy(), wind_at_2m(weather["wind_m_s"].to_numpy(), 2.0),
        weather["rhmin_pct"].to_numpy(), "short", (15, 30, 30, 15), (0.15, 1.1, 0.5), (0.05, 1.0), (0.2, 0.9), q["pbase"], q["Ze"], q["REW"],
    )  # fmt: skip
    thickness = np.diff(EDGES_M)[:, None] * 1000.0
    fc, wp = 0.27 * thickness * np.ones((1, count)), 0.12 * thickness * np.ones((1, count))
    plots = Plots(fc, wp, 0.9 * fc, np.full(count, 5), irrigation, np.ones_like(irrigation))
    truth = run_profile(course, plots, Place.of(plots), np.full((len(PARAMETERS), count), 0.3))
    drift = rng.normal(0.0, 3.0, count)
    rows = []
    for k, day in enumerate(5 + 10 * np.arange(readings)):
        for p, name in enumerate(names):
            wet = truth.storage_mm[day, p] + (drift[p] * k / readings + rng.normal(0.0, 1.0) if k else 0.0)
            rows += [(name, DAYS[day], top, top + 0.2, wet / 1000.0) for top in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    measured = pd.DataFrame(rows, columns=["plot_id", "date", "top_m", "bottom_m", "swc_m3_m3"])
    events = pd.DataFrame(
        [(n, DAYS[d], irrigation[d, p]) for d in range(6, 90, 7) for p, n in enumerate(names)],
        columns=["plot_id", "date", "depth_mm"],
    )
    tables = {
        "weather": weather, "irrigation": events, "measured": measured,
        "station": pd.DataFrame([{"lat": 33.0, "elevation_m": 300, "wind_height_m": 2, "reference": "short"}]),
        "soil": pd.DataFrame([{"plot_id": n, "top_m": 0.0, "bottom_m": 2.0, "fc_m3_m3": 0.27, "wp_m3_m3": 0.12} for n in names]),
        "crop_parameters": pd.DataFrame({"name": q.keys(), "value": q.values()}),
        "plots": pd.DataFrame({"plot_id": names, "lat": 33.0 + 1e-4 * np.arange(count), "lon": -112.0}),
    }  # fmt: skip
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    return folder
