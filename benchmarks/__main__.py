"""``make bench``: wall time and peak memory of the main jobs, printed and written to ``benchmarks/out/bench.json``."""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3


def timed(*command: str) -> tuple[float, float]:
    """Seconds and peak memory (MB, largest process so far) of a command."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - began
    if done.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    agro = str(Path(sys.executable).with_name("agro"))
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        jobs = {
            "agro --help": lambda run: (agro, "--help"),
            "agro demo (60 parcels, two weeks, three languages)": lambda run: (agro, "demo", "-w", f"{folder}/{run}"),
            "agro run weekly, nothing new": lambda run: (agro, "run", "weekly", "-r", "sample_tiles", "-d", "2022-04-11", "-w", f"{folder}/0"),
            "agro observe, 60 parcels, all scenes, ndvi": lambda run: (agro, "observe", "sample_tiles/imagery", "sample_tiles/parcels.geojson", "-o", f"{folder}/{run}.parquet", "-i", "ndvi"),
        }  # fmt: skip
        for name, job in jobs.items():
            seen = [timed(*job(run)) for run in range(RUNS)]
            rows[name] = {
                "min_s": round(min(s for s, _ in seen), 2), "median_s": round(statistics.median(s for s, _ in seen), 2),
                "max_s": round(max(s for s, _ in seen), 2), "peak_mb_so_far": round(max(m for _, m in seen)),
            }  # fmt: skip
        if Path("/usr/bin/chromium").exists():
            from benchmarks.map_page import measure

            pages = [measure(Path(folder) / "0") for _ in range(RUNS)]
            rows["map page"] = {key: round(statistics.median(p[key] for p in pages), 2) for key in pages[0]}
    out = ROOT / "benchmarks" / "out"
    out.mkdir(exist_ok=True)
    found = {"python": platform.python_version(), "machine": platform.machine(), "runs": RUNS, "jobs": rows}
    (out / "bench.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, row in rows.items():
        print(f"{name:<52}" + "  ".join(f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
