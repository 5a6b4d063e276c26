"""Bytes, requests and time of 200 parcels on one tile and date: parts under the cells against the whole tile.

``python -m benchmarks.remote_reading``. The tile is made here (noise over a smooth field, so that it compresses about as
badly as reflectance does) and served from this machine: the time is that of reading and decoding, without a network's.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from agro.parcels.cells import cells_by_parcel
from agro.schema.grid import Cells, Grid
from agro.sources.imagery.cog_cost import plan_parts
from agro.sources.imagery.raster import read_remote, read_window
from agro.sources.net import Cache, Ledger, Network
from agro.sources.net.range_file import RangeFile

CRS = "EPSG:32629"
LEFT, TOP, TILE_PX = 600_000.0, 3_600_000.0, 10_980
BANDS = {"red": 10, "nir": 10, "rededge1": 20, "swir16": 20, "scl": 20}


class Ranges(SimpleHTTPRequestHandler):
    """Files with byte ranges."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = Path(self.translate_path(self.path)).read_bytes()
        asked = self.headers.get("Range")
        if asked:
            first, last = (int(part) for part in asked.removeprefix("bytes=").split("-"))
            last = min(last, len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def make_band(path: Path, resolution_m: int, seed: int, classes: bool) -> None:
    """A COG of a whole tile as the archives write it: deflate, predictor, blocks of 1024."""
    size = TILE_PX * 10 // resolution_m
    rng = np.random.default_rng(seed)
    smooth = 1500 + 900 * np.sin(np.arange(size) / 97)[:, None] * np.cos(np.arange(size) / 131)[None, :]
    numbers = (
        rng.integers(4, 6, (size, size)).astype("uint8")
        if classes
        else (smooth + rng.normal(0, 60, (size, size))).astype("uint16")
    )
    with rasterio.open(
        path, "w", driver="COG", width=size, height=size, count=1, dtype=numbers.dtype, crs=CRS, nodata=0,
        transform=from_origin(LEFT, TOP, resolution_m, resolution_m), COMPRESS="DEFLATE", PREDICTOR="YES", BLOCKSIZE=1024,
        OVERVIEWS="NONE", NUM_THREADS="2",
    ) as out:  # fmt: skip
        out.write(numbers, 1)


def make_parcels(count: int, spread_m: float, seed: int) -> gpd.GeoDataFrame:
    """Squares of 1 to 9 ha within a square of the tile."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(8000, 8000 + spread_m, (count, 2))
    sides = rng.uniform(100, 300, count)
    squares = [box(LEFT + x, TOP - y - s, LEFT + x + s, TOP - y) for (x, y), s in zip(places, sides, strict=True)]
    return gpd.GeoDataFrame({"parcel_uid": [f"p{i}" for i in range(count)]}, geometry=squares, crs=CRS)


def measure(folder: Path, url: str, spread_m: float) -> dict[str, float]:
    """Read all bands under the parcels' cells, cold and from the cache."""
    parcels = make_parcels(200, spread_m, 7)
    cells = Cells(CRS, tuple(cells_by_parcel(parcels, CRS, 300.0)))
    left, bottom, right, top = parcels.total_bounds
    grid = Grid.covering((left - 300, bottom - 300, right + 300, top + 300), CRS, 10.0)
    windows = cells.windows(grid)
    with tempfile.TemporaryDirectory() as cache:
        seconds, networks = [], []
        for _ in range(2):
            network = Network(Cache(Path(cache)), Ledger(Path(cache) / "requests.sqlite"), region="bench")
            client = network.client("bench")
            began = time.perf_counter()
            for band in BANDS:
                values = read_remote(RangeFile(client, f"{url}/{band}.tif"), grid, windows, nodata=0)
                assert np.isfinite(values[windows[0]]).any()
            seconds.append(time.perf_counter() - began)
            networks.append(network)
        cold, warm = (network.budget.spent for network in networks)
        for network in networks:
            network.close()
    whole = sum((folder / f"{band}.tif").stat().st_size for band in BANDS) / 1e6
    began = time.perf_counter()
    for band in BANDS:
        read_window(str(folder / f"{band}.tif"), grid, nodata=0)
    local = time.perf_counter() - began
    planned = plan_parts(cells, 1, tuple(BANDS))
    return {
        "cells": len(cells.members), "requests": cold.requests, "mb": round(cold.mb, 1), "whole_tile_mb": round(whole, 1),
        "share_of_tile": round(cold.mb / whole, 3), "seconds": round(seconds[0], 2), "planned_requests": planned.requests,
        "planned_mb": round(planned.mb, 1), "again_requests": warm.requests, "again_seconds": round(seconds[1], 2),
        "same_window_from_disk_seconds": round(local, 2),
    }  # fmt: skip


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, (band, resolution_m) in enumerate(BANDS.items()):
            make_band(folder / f"{band}.tif", resolution_m, number, band == "scl")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Ranges, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        spreads = [float(text) * 1000 for text in sys.argv[1:]] or [10_000.0, 30_000.0, 90_000.0]
        for spread in spreads:
            print(f"200 parcels over {spread / 1000:g} km:", json.dumps(measure(folder, url, spread)))
        server.shutdown()


if __name__ == "__main__":
    main()
