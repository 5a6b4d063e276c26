"""Series of a whole region: ``python -m benchmarks.series_scale``.

The smoother against ``whittaker-eilers`` (install it for that; it is no dependency), and time and peak memory of
``smooth_batches`` by number of parcels, each size in a process of its own. All data are simulated and seeded.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

RUNS = 3
SERIES, DATES, PENALTY = 100_000, 73, 10.0
#: Of the peer, one series at a time, so many are timed and the rest reckoned.
PEER_SERIES = 10_000
PARCELS = (1_000, 3_000, 10_000, 30_000)


def seconds(job: Callable[[], object]) -> float:
    """Median of some runs."""
    seen = []
    for _ in range(RUNS):
        began = time.perf_counter()
        job()
        seen.append(time.perf_counter() - began)
    return statistics.median(seen)


def against_peer() -> dict[str, float]:
    """Series a second of both, and the largest difference of their results."""
    from agro.series.whittaker import whittaker

    random = np.random.default_rng(0)
    values = random.random((SERIES, DATES))
    weights = np.where(random.random(values.shape) < 0.7, random.uniform(0.3, 1.0, values.shape), 0.0)
    ours = SERIES / seconds(lambda: whittaker(values, weights, PENALTY))
    found = {"series": SERIES, "dates": DATES, "agro_series_per_s": round(ours)}
    try:
        from whittaker_eilers import WhittakerSmoother
    except ImportError:
        print("whittaker-eilers is not installed: not compared")
        return found
    rows, row_weights = values[:PEER_SERIES].tolist(), weights[:PEER_SERIES].tolist()
    smoother = WhittakerSmoother(lmbda=PENALTY, order=2, data_length=DATES, weights=row_weights[0])

    def peer() -> list[list[float]]:
        out = []
        for row, weight in zip(rows, row_weights, strict=True):
            smoother.update_weights(weight)
            out.append(smoother.smooth(row))
        return out

    theirs = PEER_SERIES / seconds(peer)
    difference = np.abs(np.array(peer()) - whittaker(values[:PEER_SERIES], weights[:PEER_SERIES], PENALTY)[0]).max()
    return {
        **found,
        "whittaker_eilers_series_per_s": round(theirs),
        "ratio": round(ours / theirs, 1),
        "largest_difference": float(difference),
    }


def observations(parcels: int) -> pd.DataFrame:
    """A year of one index: cereals seen on about 70 % of the dates, every five days."""
    random = np.random.default_rng(parcels)
    days = np.arange(0, 365, 5)
    start = random.uniform(60, 120, (parcels, 1))
    value = 0.15 + 0.65 * (1 / (1 + np.exp(-(days - start) / 12)) - 1 / (1 + np.exp(-(days - start - 110) / 9)))
    row, column = np.nonzero(random.random(value.shape) < 0.7)
    mean = (value + random.normal(0, 0.02, value.shape))[row, column]
    return pd.DataFrame(
        {
            "parcel_uid": pd.Series([f"p{k:06d}" for k in range(parcels)]).to_numpy()[row],
            "date": pd.Timestamp("2026-01-01") + pd.to_timedelta(days[column], "D"), "index": "ndvi", "source": "made",
            "mean": mean, "median": mean, "p10": np.nan, "p90": np.nan, "sd": 0.02, "pixels_effective": 100.0,
            "valid_frac": 1.0, "buffer_m": 5.0, "scene_ids": "s", "usable": True, "reason": None,
        }
    )  # fmt: skip


def one_size(parcels: int) -> None:
    """Print time and memory of one size; run in a process of its own."""
    from agro.series import smooth_batches

    table = observations(parcels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    rows = sum(len(batch) for batch in smooth_batches(table, date(2026, 12, 31)))
    spent = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"parcels": parcels, "rows": rows, "s": spent, "input_mb": before, "peak_mb": peak}))


def main() -> None:
    if len(sys.argv) > 1:
        one_size(int(sys.argv[1]))
        return
    found: dict[str, object] = {"against_peer": against_peer(), "smooth_batches": []}
    print(json.dumps(found["against_peer"]))
    sizes = []
    for parcels in PARCELS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.series_scale", str(parcels)], capture_output=True, text=True, check=True
        )
        sizes.append({key: round(value, 2) for key, value in json.loads(done.stdout).items()})
        print(json.dumps(sizes[-1]))
    found["smooth_batches"] = sizes
    out = Path(__file__).resolve().parent / "out"
    out.mkdir(exist_ok=True)
    (out / "series_scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
