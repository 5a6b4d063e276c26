"""Speed of the water balance: dual Kc with three soil layers, a season of 365 days, from crop and soil tables to daily results.

``python -m benchmarks.water_balance`` runs each job in its own process and prints seconds (and CPU seconds), peak memory and column-days a second;
``--pyfao56`` times the reference implementation on the same season beside.

What is timed is the whole way, on two threads: stages to Kcb, cover and roots, layers to available water, the kernel, and Dr,
ETa, Ks and drainage of every day and parcel kept as float32 (of an ensemble, mean and standard deviation). What is not: making up the inputs.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from agro.water.balance import Engine, Forcing, Soil, column_chunks, run_balance
from agro.water.coefficients import cover_from_kcb, kc_max, root_depth_m, stage_kcb
from agro.water.soil import layered_water_mm, surface_layer

DAYS = 365
KEPT = ("dr_mm", "eta_mm", "ks", "drainage_mm")
#: Columns (parcels x members) that a thread takes at a time: inputs and results of two such chunks fit in the 2 GB.
CHUNK = 10_000
THREADS = 2
STAGES = ((30, 50, 60, 40), (20, 50, 60, 30), (45, 75, 80, 30), (30, 90, 60, 90))
KCB = ((0.15, 1.15, 0.5), (0.15, 1.10, 0.15), (0.15, 1.15, 0.5), (0.55, 0.65, 0.65))
#: Kcb and roots depend on the crop and the days since sowing alone: tables to look up, from 90 days before it.
KCB_OF = np.stack([stage_kcb(np.arange(-90, DAYS), s, k) for s, k in zip(STAGES, KCB, strict=True)])
ROOTS_OF = np.stack([root_depth_m(np.arange(-90, DAYS), s, (0.3, 1.2)) for s in STAGES])
TOP, BOTTOM = np.array([0.0, 0.3, 0.7]), np.array([0.3, 0.7, 1.5])


@dataclass(frozen=True)
class Fields:
    """A made-up region: one station, four crops; each parcel its sowing day, three layers and eight irrigations.

    Members differ in field capacity, Kcb and irrigation depth: arrays (members, parcels).
    """

    et0_mm: np.ndarray
    rain_mm: np.ndarray
    wind_m_s: np.ndarray
    rhmin_pct: np.ndarray
    crop: np.ndarray
    sown: np.ndarray
    fc: np.ndarray  # (layers, parcels)
    wp: np.ndarray
    event_day: np.ndarray  # (events, parcels)
    event_mm: np.ndarray
    fc_factor: np.ndarray
    kcb_factor: np.ndarray
    depth_factor: np.ndarray


def made_up(parcels: int, members: int = 1) -> Fields:
    rng = np.random.default_rng(7)
    day = np.arange(DAYS)
    spread = float(members > 1)
    fc = rng.uniform(0.18, 0.34, (3, parcels))
    return Fields(
        et0_mm=4.5 - 2.5 * np.cos(2 * np.pi * (day - 20) / 365) + rng.uniform(-0.5, 0.5, DAYS),
        rain_mm=rng.gamma(0.8, 8.0, DAYS) * (rng.random(DAYS) < 0.12), wind_m_s=rng.uniform(1, 4, DAYS), rhmin_pct=rng.uniform(20, 60, DAYS),
        crop=rng.integers(0, 4, parcels), sown=rng.integers(0, 90, parcels), fc=fc, wp=0.45 * fc,
        event_day=np.sort(rng.integers(20, 300, (8, parcels)), axis=0), event_mm=rng.uniform(15, 50, (8, parcels)),
        fc_factor=1 + 0.05 * spread * rng.standard_normal((members, parcels)),
        kcb_factor=1 + 0.1 * spread * rng.standard_normal((members, parcels)),
        depth_factor=1 + 0.1 * spread * rng.standard_normal((members, parcels)),
    )  # fmt: skip


def inputs_of(fields: Fields, chunk: slice) -> tuple[Forcing, Soil, np.ndarray, np.ndarray]:
    """Forcing, soil and start of the parcels of a chunk, all their members: columns member by member."""
    members, n = fields.fc_factor[:, chunk].shape
    since = np.arange(DAYS)[:, None] - fields.sown[chunk] + 90
    # What the members of a parcel share is worked out once: Kcb of the table, cover, roots.
    table, roots = KCB_OF[fields.crop[chunk], since], ROOTS_OF[fields.crop[chunk], since]
    limit = kc_max(table, 1.0, fields.wind_m_s[:, None], fields.rhmin_pct[:, None])
    cover = cover_from_kcb(table, 0.15, limit, 0.6)

    def spread(shared: np.ndarray, factor: np.ndarray | None = None) -> np.ndarray:
        out = np.empty((DAYS, members, n))
        np.multiply(shared[:, None, :], 1.0 if factor is None else factor[:, chunk], out=out)
        return out.reshape(DAYS, members * n)

    kcb = spread(table, fields.kcb_factor)
    irrigation = np.zeros((DAYS, n))
    irrigation[fields.event_day[:, chunk], np.arange(n)] = fields.event_mm[:, chunk]
    fc = fields.fc[:, None, chunk] * fields.fc_factor[:, chunk]
    held = fc - fields.wp[:, None, chunk]
    taw = layered_water_mm(TOP, BOTTOM, held, roots).reshape(DAYS, members * n)
    full = layered_water_mm(TOP, BOTTOM, held, np.full((1, n), 1.2)).ravel()
    tew, rew = surface_layer(fc[0].ravel(), np.tile(fields.wp[0, chunk], members))
    forcing = Forcing(
        et0_mm=fields.et0_mm[:, None], rain_mm=fields.rain_mm[:, None], irrigation_mm=spread(irrigation, fields.depth_factor),
        fw_frac=np.full((DAYS, 1), 0.8), kcb=kcb, kc_max=np.maximum(spread(limit), kcb + 0.05), fc_frac=spread(cover), taw_mm=taw,
    )  # fmt: skip
    start = 0.4 * taw[0]
    return forcing, Soil(tew, rew, np.full(tew.size, 0.55), taw_full_mm=full), start, start + 0.4 * (full - taw[0])


def run(fields: Fields, engine: Engine) -> dict[str, np.ndarray]:
    """Daily results of all parcels, chunk by chunk; of an ensemble the members' mean and standard deviation."""
    members, parcels = fields.fc_factor.shape
    out = {name: np.empty((DAYS, parcels), dtype=np.float32) for name in KEPT}
    if members > 1:
        out |= {f"{name}_sd": np.empty((DAYS, parcels), dtype=np.float32) for name in KEPT}

    def take(chunk: slice) -> None:
        forcing, soil, start, full = inputs_of(fields, chunk)
        done = run_balance(forcing, soil, start, soil.tew_mm, dr_full0_mm=full, keep=KEPT, engine=engine)
        for name in KEPT:
            cube = getattr(done, name).reshape(DAYS, members, -1)
            mean = cube.mean(axis=1)
            out[name][:, chunk] = mean
            if members > 1:
                square = np.einsum("dmn,dmn->dn", cube, cube) / members
                out[f"{name}_sd"][:, chunk] = np.sqrt(np.maximum(square - mean**2, 0.0))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(take, column_chunks(parcels, max(CHUNK // members, 1))))
    return out


def one_job(parcels: int, members: int, engine: Engine) -> dict[str, float]:
    """Best of three, the first (which may compile) apart; CPU seconds of the best, for machines that others use too."""
    fields = made_up(parcels, members)
    wall, cpu = [], []
    for _ in range(3):
        began, worked = time.perf_counter(), time.process_time()
        out = run(fields, engine)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
        eta = float(out["eta_mm"].mean(dtype=float)) * DAYS
        del out
    return {
        "first_s": wall[0], "best_s": min(wall), "cpu_s": min(cpu), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "column_days_s": parcels * members * DAYS / min(wall), "eta_mm": eta,
    }  # fmt: skip


def pyfao56_column_days_s() -> float:
    """Field-days a second of the reference implementation, layered, on a season like ours."""
    import pandas as pd
    from pyfao56 import Irrigation, Model, Parameters, SoilProfile, Weather

    fields = made_up(1)
    dates = pd.date_range("2022-01-01", periods=DAYS)
    weather = Weather()
    weather.rfcrp, weather.z, weather.lat, weather.wndht = "S", 400.0, 32.0, 2.0
    weather.wdata = pd.DataFrame({
        "Srad": 20.0, "Tmax": 30.0, "Tmin": 14.0, "Vapr": 1.2, "Tdew": 9.0, "RHmax": 80.0, "RHmin": fields.rhmin_pct, "Wndsp": fields.wind_m_s,
        "Rain": fields.rain_mm, "ETref": fields.et0_mm, "MorP": "M",
    }, index=dates.strftime("%Y-%j"))  # fmt: skip
    soil = SoilProfile()
    soil.sdata = pd.DataFrame(
        {"thetaFC": fields.fc[:, 0], "thetaWP": fields.wp[:, 0], "theta0": fields.fc[:, 0] - 0.05}, index=[30, 70, 150]
    )
    water = Irrigation()
    for day, depth in zip(fields.event_day[:, 0], fields.event_mm[:, 0], strict=True):
        water.addevent(2022, int(day) + 1, float(depth), 0.8, 100.0)
    began = time.perf_counter()
    model = Model("2022-001", "2022-365", Parameters(), weather, irr=water, sol=soil)
    model.run()
    return DAYS / (time.perf_counter() - began)


JOBS: dict[str, tuple[int, int, Engine]] = {
    "100,000 parcels x 365 d, numba": (100_000, 1, "numba"),
    "100,000 parcels x 365 d, numpy": (100_000, 1, "numpy"),
    "10,000 parcels x 50 members x 365 d, numba": (10_000, 50, "numba"),
    "10,000 parcels x 50 members x 365 d, numpy": (10_000, 50, "numpy"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    parser.add_argument("--pyfao56", action="store_true", help="time pyfao56 beside")
    given = parser.parse_args()
    if given.job:
        print(json.dumps(one_job(*JOBS[given.job])))
        return
    theirs = pyfao56_column_days_s() if given.pyfao56 else None
    if theirs:
        print(f"{'pyfao56, one field x 365 d, layered':<46}{theirs:14,.0f} column-days/s")
    for name in JOBS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.water_balance", "--job", name],
            capture_output=True,
            text=True,
            check=True,
        )
        row = json.loads(done.stdout)
        print(
            f"{name:<46}{row['column_days_s']:14,.0f} column-days/s  best {row['best_s']:.1f} s (CPU {row['cpu_s']:.1f})  first {row['first_s']:.1f} s  peak {row['peak_mb']:,.0f} MB"
            + (f"  {row['column_days_s'] / theirs:,.0f} x pyfao56" if theirs else ""), flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
