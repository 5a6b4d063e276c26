"""Observing a whole Sentinel-2 tile: statistics against exactextract, time against reading alone, peak memory.

``python -m benchmarks.observing_scale``. The tile is made here: noise over a smooth field, as a COG with blocks of 1024.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from shapely.geometry import box

from agro.parcels import CoverageWeights
from agro.parcels.blocks import parcel_blocks
from agro.parcels.statistics import parcel_statistics
from agro.schema.grid import Grid
from agro.schema.region import ImagerySpec, MaskOptions, ObservationOptions
from agro.sources.imagery import open_imagery
from agro.sources.imagery.raster import read_window
from benchmarks.remote_reading import CRS, LEFT, TILE_PX, TOP, make_band
from pipelines.observing import MARGIN_M, observe_period

TILE = Grid(CRS, LEFT, TOP, 10.0, TILE_PX, TILE_PX)
DAYS = (date(2022, 3, 1), date(2022, 3, 6), date(2022, 3, 11))
BANDS = {"red": 10, "nir": 10, "scl": 20}
#: Parcels and the side of the square of the tile that they lie in (m).
CASES = {"tile, 1,000": (1_000, 108_000), "tile, 10,000": (10_000, 108_000), "corner, 5,000": (5_000, 18_000)}
RUNS = 3


def make_parcels(count: int, spread_m: float) -> gpd.GeoDataFrame:
    """Squares of 1 to 9 ha in the north-western corner of the tile."""
    rng = np.random.default_rng(count)
    side = np.sqrt(rng.uniform(1, 9, count) * 1e4)
    x = LEFT + 500 + rng.uniform(0, spread_m - 800, count)
    y = TOP - 800 - rng.uniform(0, spread_m - 800, count)
    shapes = [box(a, b, a + s, b + s) for a, b, s in zip(x, y, side, strict=True)]
    table = {"parcel_uid": [f"p{k:05d}" for k in range(count)], "agro:geometry_digest": [shape.wkt for shape in shapes]}
    return gpd.GeoDataFrame(table, geometry=shapes, crs=CRS)


def statistics() -> dict[str, float]:
    """Processor seconds for 10,000 parcels on a band of the tile in memory, weights ready (medians)."""
    parcels = make_parcels(10_000, 108_000)
    layer = np.random.default_rng(1).random(TILE.shape, dtype="float32")
    weights, valid = CoverageWeights.from_parcels(parcels, TILE), np.ones(TILE.shape, dtype=bool)
    left, bottom, right, top = TILE.bounds
    raster = NumPyRasterSource(layer, xmin=left, ymin=bottom, xmax=right, ymax=top, srs_wkt=parcels.crs.to_wkt())
    asked = ["mean", "stdev", "quantile(q=0.1)", "median", "quantile(q=0.9)", "count"]
    jobs = {
        "ours_s": lambda: parcel_statistics(weights, layer, valid),
        "exactextract_s": lambda: exact_extract(raster, parcels, asked, output="pandas"),
        "exactextract_mean_s": lambda: exact_extract(raster, parcels, ["mean"], output="pandas"),
    }
    return {name: float(np.median([_processor_s(job) for _ in range(RUNS)])) for name, job in jobs.items()}


def _processor_s(job: Callable[[], object]) -> float:
    began = time.process_time()
    job()
    return time.process_time() - began


def observing(folder: Path, count: int, spread_m: float) -> dict[str, float]:
    """Seconds of observing all days, of reading the same windows and nothing else, and peak memory."""
    parcels = make_parcels(count, spread_m)
    source = open_imagery(ImagerySpec(kind="geotiff", path="imagery"), folder)
    blocks, _ = parcel_blocks(parcels, CRS, MARGIN_M)
    began = time.perf_counter()
    done = observe_period(
        source, parcels, DAYS[0], DAYS[-1], mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",)), crs=CRS
    )
    seconds = time.perf_counter() - began
    # Not of getrusage: a child inherits that of the process that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = float(status.partition("VmHWM:")[2].split()[0]) / 1024
    scenes = source.search(DAYS[0], DAYS[-1]).scenes
    began = time.perf_counter()
    for block in blocks:
        for scene in scenes:
            for band in BANDS:
                read_window(scene.assets[band].partition("#")[0], block.grid)
    alone = time.perf_counter() - began
    return {
        "blocks": len(blocks), "observing_s": seconds, "reading_alone_s": alone, "peak_mb": peak,
        "rows": float(len(done.observations)),
    }  # fmt: skip


def main() -> None:
    if len(sys.argv) > 1:  # a case of its own process, so that its peak is its own
        folder, name = Path(sys.argv[1]), sys.argv[2]
        print(json.dumps(statistics() if name == "statistics" else observing(folder, *CASES[name])))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "imagery").mkdir()
        for number, (band, resolution_m) in enumerate(BANDS.items()):
            names = [folder / "imagery" / f"S2_{day:%Y%m%d}_{band}.tif" for day in DAYS]
            make_band(names[0], resolution_m, number, band == "scl")
            for name in names[1:]:
                name.hardlink_to(names[0])
        for name in ("statistics", *CASES):
            command = [sys.executable, "-m", "benchmarks.observing_scale", temporary, name]
            told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{name:<16}" + "  ".join(f"{key} {value:,.2f}" for key, value in told.items()), flush=True)


if __name__ == "__main__":
    main()
