"""Scenes as a provider delivers them: COGs at native resolution with STAC items, clouds and all."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import shapely
from pyproj import Transformer
from rasterio.transform import from_origin
from scipy import ndimage

from agro.schema.bands import SENTINEL2_RESOLUTION_M
from pipelines.sample_region.landscape import CRS, LEFT, PIXEL_M, SIDE_M, SIZE_PX, TOP
from pipelines.sample_region.reflectance import BANDS

#: Day from which deliveries carry the offset (processing baseline 04.00).
OFFSET_DAY = pd.Timestamp("2022-01-25")
ORBIT, TILE = 37, "29RPR"
#: Reflectance is kept to these steps, so that files stay small: finer where plants are dark.
STEP = dict.fromkeys(BANDS, 0.004) | {"red": 0.002, "swir16": 0.002}
#: Noise of the instrument in reflectance; smaller than Sentinel-2's own for the same reason.
NOISE = 0.0005


@dataclass(frozen=True)
class Sky:
    """Cloud opacity 0..1, shadow 0..1, and haze that the classification misses."""

    opacity: np.ndarray
    shadow: np.ndarray
    haze: float


def make_sky(rng: np.random.Generator) -> Sky:
    """A sky of one day."""
    kind = rng.choice(["clear", "some", "many", "full"], p=[0.5, 0.2, 0.15, 0.15])
    share = {"clear": 0.0, "some": rng.uniform(0.05, 0.3), "many": rng.uniform(0.3, 0.8), "full": 0.97}[str(kind)]
    texture = ndimage.gaussian_filter(rng.standard_normal((SIZE_PX, SIZE_PX)), 14) + 0.12 * ndimage.gaussian_filter(
        rng.standard_normal((SIZE_PX, SIZE_PX)), 4
    )
    haze = float(rng.uniform(0.05, 0.12)) if rng.random() < 0.08 else 0.0
    if share == 0:
        none = np.zeros((SIZE_PX, SIZE_PX))
        return Sky(none, none, haze)
    level = np.quantile(texture, 1 - share)
    opacity = np.clip((texture - level) / (0.35 * texture.std()), 0, 1)
    # The sun of the late morning stands in the south-east.
    shadow = ndimage.shift(np.clip(opacity * 1.2, 0, 1), (-14, -11), order=0, mode="constant")
    return Sky(opacity, np.where(opacity > 0.2, 0, shadow), haze)


def seen(surface: np.ndarray, sky: Sky, rng: np.random.Generator) -> np.ndarray:
    """Reflectance (bands, y, x) under a sky, with noise."""
    cloud = np.array([0.62, 0.60, 0.60, 0.61, 0.62, 0.63, 0.64, 0.64, 0.45, 0.36])[:, None, None]
    lit = surface * (1 - 0.6 * sky.shadow)
    white = np.array([0.30, 0.28, 0.27, 0.27, 0.27, 0.27, 0.27, 0.27, 0.22, 0.2])[:, None, None]
    hazy = lit * (1 - sky.haze) + white * sky.haze
    out = hazy * (1 - sky.opacity) + cloud * sky.opacity
    gain = 1 + 0.012 * rng.standard_normal((len(BANDS), 1, 1))
    return np.clip(out * gain + NOISE * rng.standard_normal(out.shape), 0.001, 1.2)


def classes(sky: Sky, green: np.ndarray) -> np.ndarray:
    """Scene classification at 20 m; thin cloud edges and faint shadows are missed, as they are in life."""
    out = np.where(green > 0.35, 4, 5).astype("uint8")
    out[sky.shadow > 0.45] = 3
    out[sky.opacity > 0.12] = 10
    out[sky.opacity > 0.35] = 8
    out[sky.opacity > 0.7] = 9
    return out[::2, ::2]


def write_scene(
    folder: Path,
    day: pd.Timestamp,
    reflectance: np.ndarray,
    scl: np.ndarray,
    *,
    baseline: str,
    sequence: int = 0,
    valid: np.ndarray | None = None,
    truncate: str | None = None,
) -> None:
    """Write one scene: a folder of COGs and its item.

    Parameters
    ----------
    folder : Path
        The imagery folder.
    day : pandas.Timestamp
        Day of the pass.
    reflectance : numpy.ndarray
        (bands, 250, 250) at 10 m; 20 m bands are block means.
    scl : numpy.ndarray
        (125, 125) classes.
    baseline : str
        Processing baseline; from 04.00 numbers carry +1000.
    sequence : int
        Ending of the id, telling deliveries of one pass apart.
    valid : numpy.ndarray of bool, optional
        (250, 250) pixels that this delivery holds; even edges.
    truncate : str, optional
        Band whose file is cut short.
    """
    platform = "S2A" if (day - pd.Timestamp("2021-09-01")).days // 5 % 2 == 0 else "S2B"
    name = f"{platform}_{TILE}_{day:%Y%m%d}_{sequence}_L2A"
    offset = -1000 if float(baseline) >= 4 else 0
    target = folder / name
    target.mkdir(parents=True)
    for number, band in enumerate(BANDS):
        step = SENTINEL2_RESOLUTION_M[band] // 10
        values = reflectance[number]
        if step == 2:
            values = values.reshape(SIZE_PX // 2, 2, SIZE_PX // 2, 2).mean(axis=(1, 3))
        numbers = np.clip(np.round(np.round(values / STEP[band]) * STEP[band] * 10000) - offset, 1, 65534).astype(
            "uint16"
        )
        if valid is not None:
            numbers[~valid[::step, ::step]] = 0
        _cog(target / f"{band}.tif", numbers, step * PIXEL_M)
        if band == truncate:
            content = (target / f"{band}.tif").read_bytes()
            (target / f"{band}.tif").write_bytes(content[: len(content) // 3])
    kept = scl.copy()
    if valid is not None:
        kept[~valid[::2, ::2]] = 0
    _cog(target / "scl.tif", kept, 2 * PIXEL_M)
    item = _item(name, day, platform, baseline, offset, kept)
    (folder / f"{name}.json").write_text(json.dumps(item, indent=1) + "\n", encoding="utf-8")


def _cog(path: Path, values: np.ndarray, resolution: float) -> None:
    with rasterio.open(
        path, "w", driver="COG", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype, crs=CRS,
        transform=from_origin(LEFT, TOP, resolution, resolution), nodata=0, compress="DEFLATE", predictor="STANDARD",
        level=9, blocksize=256, overviews="NONE",
    ) as out:  # fmt: skip
        out.write(values, 1)


def footprint() -> tuple[list[float], dict[str, Any]]:
    """Bounding box and outline of the square in degrees."""
    to_degrees = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True)
    corners = [(LEFT, TOP), (LEFT + SIDE_M, TOP), (LEFT + SIDE_M, TOP - SIDE_M), (LEFT, TOP - SIDE_M)]
    ring = [[round(v, 6) for v in to_degrees.transform(x, y)] for x, y in corners]
    shape = shapely.Polygon(ring)
    return [round(v, 6) for v in shape.bounds], {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def _item(name: str, day: pd.Timestamp, platform: str, baseline: str, offset: int, scl: np.ndarray) -> dict[str, Any]:
    box, outline = footprint()
    held = scl > 0
    cloudy = round(100 * float(np.isin(scl[held], (8, 9, 10)).mean()), 1)
    assets: dict[str, Any] = {}
    for band in (*BANDS, "scl"):
        resolution = 20 if band == "scl" else SENTINEL2_RESOLUTION_M[band]
        size = SIZE_PX * 10 // resolution
        raster: dict[str, Any] = {
            "nodata": 0,
            "data_type": "uint8" if band == "scl" else "uint16",
            "spatial_resolution": resolution,
        }
        if band != "scl":
            raster |= {"scale": 0.0001, "offset": round(offset * 0.0001, 4)}
        assets[band] = {
            "href": f"./{name}/{band}.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized", "roles": ["data"],
            "proj:shape": [size, size], "proj:transform": [resolution, 0, LEFT, 0, -resolution, TOP], "raster:bands": [raster],
        }  # fmt: skip
    return {
        "type": "Feature", "stac_version": "1.0.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json", "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/raster/v1.1.0/schema.json", "https://stac-extensions.github.io/sat/v1.0.0/schema.json",
        ],
        "id": name, "collection": "sample-haouz-simulated", "geometry": outline, "bbox": box,
        "properties": {
            "datetime": f"{day:%Y-%m-%d}T11:12:03Z", "platform": {"S2A": "sentinel-2a", "S2B": "sentinel-2b"}[platform], "constellation": "sentinel-2",
            "description": "SIMULATED, not observed", "eo:cloud_cover": cloudy, "proj:epsg": int(CRS.split(":")[1]), "sat:relative_orbit": ORBIT,
            "s2:processing_baseline": baseline, "s2:mgrs_tile": TILE, "s2:datatake_id": f"GS2{platform[-1]}_{day:%Y%m%d}T110621_R{ORBIT:03d}",
        },
        "links": [{"rel": "collection", "href": "./collection.json", "type": "application/json"}], "assets": assets,
    }  # fmt: skip


def write_collection(folder: Path, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Write ``collection.json``."""
    box, _ = footprint()
    body = {
        "type": "Collection", "stac_version": "1.0.0", "id": "sample-haouz-simulated", "title": "Simulated Sentinel-2-like scenes",
        "description": "SIMULATED scenes made by the project's generator; no satellite has seen this.", "license": "Apache-2.0",
        "extent": {"spatial": {"bbox": [box]}, "temporal": {"interval": [[f"{first:%Y-%m-%d}T00:00:00Z", f"{last:%Y-%m-%d}T23:59:59Z"]]}},
        "links": [],
    }  # fmt: skip
    (folder / "collection.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
