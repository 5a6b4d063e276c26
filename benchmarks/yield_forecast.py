"""``python -m benchmarks.yield_forecast [FOLDER]``: training and leave-one-year-out of regions, and 100,000 parcels forecast.

FOLDER is one crop and country in the layout of CY-Bench; without it only the parcels are timed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.region import Region
from agro.yields.features import season_of
from agro.yields.forecast import YieldModel, _train_crop, cut_day_of, predict

PARCELS, LEARNED, SEASONS = 100_000, 2_000, 6
DAY = date(2022, 4, 11)


def region() -> Region:
    return Region.model_validate(
        {
            "place": {"id": "r1", "name": {"en": "R"}, "latitude": 31.6, "longitude": -7.7, "elevation_m": 450.0, "simulated": True},
            "parcels": {"path": "p"}, "imagery": {"kind": "stac", "path": "i"},
            "weather": [{"kind": "station", "path": "w"}], "soil": [{"kind": "table", "path": "s"}],
        }
    )  # fmt: skip


def looks(count: int, rng: np.random.Generator, every_d: int = 10) -> pd.DataFrame:
    """Usable looks of the present season: a row a parcel and date, the columns that are read."""
    dates = pd.date_range(date(season_of(DAY) - 1, 10, 1), DAY, freq=f"{every_d}D")
    peak = rng.normal(0.7, 0.05, count)
    curve = np.exp(-(((np.arange(len(dates)) - len(dates)) / 9.0) ** 2))
    value = 0.15 + (peak[:, None] - 0.15) * curve
    return pd.DataFrame(
        {
            "parcel_uid": np.repeat([f"p{i}" for i in range(count)], len(dates)), "date": np.tile(dates, count),
            "index": "ndvi", "usable": True, "mean": value.ravel(),
        }
    )  # fmt: skip


def parcels_s() -> dict[str, float]:
    rng = np.random.default_rng(0)
    rows = []
    for season in range(season_of(DAY) - SEASONS, season_of(DAY)):
        peak = 0.68 + rng.normal(0, 0.05) + rng.normal(0, 0.05, LEARNED)
        rows.append(
            pd.DataFrame(
                {
                    "parcel_uid": [f"p{i}" for i in range(LEARNED)], "season": season, "peak": peak, "integral": 60 * peak,
                    "mean_30d": 0.9 * peak, "mean_90d": 0.6 * peak, "yield_t_ha": 5 + 8 * (peak - 0.68) + rng.normal(0, 0.2, LEARNED),
                }
            )
        )  # fmt: skip
    began = time.perf_counter()
    few = pd.concat([r.head(40) for r in rows], ignore_index=True)
    model = YieldModel(cut_day_of(DAY), {"wheat": _train_crop(few, ("peak", "integral", "mean_30d", "mean_90d"))})
    trained = time.perf_counter() - began
    observations = looks(PARCELS, rng)
    table = pd.DataFrame({"parcel_uid": [f"p{i}" for i in range(PARCELS)], "agro:crop": "wheat"})
    began = time.perf_counter()
    out = predict(model, observations, table, DAY, region())
    seconds = time.perf_counter() - began
    if len(out) != PARCELS or model.crops["wheat"].name != "ridge":
        raise SystemExit("not what was to be timed")
    return {"train_parcels_s": trained, "looks": len(observations), "forecast_100000_parcels_s": seconds}


def regions_s(folder: Path) -> dict[str, float]:
    from agro.sources.cybench import read_cybench
    from agro.yields.models import candidates
    from agro.yields.season_model import train_season_model
    from agro.yields.seasons import LEADS
    from pipelines.yield_evaluation import leave_one_year_out, yield_table

    began = time.perf_counter()
    data = read_cybench(folder)
    for lead in LEADS:
        X, y, _ = yield_table(data, lead)
        train_season_model(X, y, candidates(), jobs=2)
        leave_one_year_out(X, y, candidates(), jobs=2)
    return {"train_and_leave_one_year_out_3_leads_s": time.perf_counter() - began}


def main() -> None:
    found = {"load_average": round(os.getloadavg()[0], 1), "cores": os.cpu_count() or 1, **parcels_s()}
    if len(sys.argv) > 1:
        found |= regions_s(Path(sys.argv[1]))
    print(json.dumps({k: round(v, 2) for k, v in found.items()}, indent=1))


if __name__ == "__main__":
    main()
