"""Small scenes of known numbers, written in each of the forms that sources read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from pyproj import CRS
from rasterio.transform import from_origin

from agro.schema.grid import Grid

CRS_CODE = "EPSG:32629"
LEFT, TOP = 600000.0, 3500000.0
#: 200 m by 240 m.
GRID = Grid(CRS_CODE, LEFT, TOP, 10.0, 24, 20)
DAYS = (date(2021, 11, 3), date(2022, 3, 8))
STEP_M = {"red": 10, "nir": 10, "swir16": 20, "scl": 20}
NATIVE = {"red": "B04", "nir": "B08", "swir16": "B11", "scl": "SCL"}


def numbers(day: date, band: str) -> np.ndarray:
    """Numbers at native resolution; the first row of 20 m is nodata, classes run from 4 to 9."""
    step = STEP_M[band] // 10
    rows, columns = GRID.height // step, GRID.width // step
    cell = np.arange(rows * columns).reshape(rows, columns)
    if band == "scl":
        out = (4 + cell % 6).astype("uint8")
    else:
        out = (1200 + cell * 3 + 7 * list(STEP_M).index(band) + 100 * DAYS.index(day)).astype("uint16")
    out[: 2 // step] = 0
    return out


def on_grid(day: date, band: str) -> np.ndarray:
    """What a source has to give on :data:`GRID`."""
    step = STEP_M[band] // 10
    values = numbers(day, band).repeat(step, axis=0).repeat(step, axis=1)
    if band == "scl":
        return values
    return np.where(values == 0, np.nan, values.astype("float64"))


def write_tif(path: Path, values: np.ndarray, step_m: float, crs: str | None = CRS_CODE, **extra: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    stack = values if values.ndim == 3 else values[None]
    names = extra.pop("descriptions", None)
    left, top = extra.pop("left", LEFT), extra.pop("top", TOP)
    with rasterio.open(
        path, "w", driver="GTiff", height=stack.shape[1], width=stack.shape[2], count=stack.shape[0], dtype=stack.dtype,
        crs=crs, transform=from_origin(left, top, step_m, step_m), compress="deflate", **{"nodata": 0, **extra},
    ) as out:  # fmt: skip
        out.write(stack)
        if names:
            out.descriptions = names
    return path


def item(scene_id: str, moment: str, assets: dict[str, Any], **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": scene_id, "bbox": [-7.9, 31.5, -7.8, 31.7],
        "properties": {"datetime": moment, **properties}, "assets": assets, "links": [],
    }  # fmt: skip


def write_stac(folder: Path) -> None:
    for day in DAYS:
        scene = f"S2A_29RPR_{day:%Y%m%d}_0_L2A"
        assets = {}
        for band, step in STEP_M.items():
            write_tif(folder / scene / f"{band}.tif", numbers(day, band), step)
            assets[band] = {"href": f"./{scene}/{band}.tif", "type": "image/tiff; application=geotiff"}
            if band != "scl":
                assets[band]["raster:bands"] = [{"scale": 0.0001, "offset": 0.0}]
        body = item(scene, f"{day}T11:10:00Z", assets, **{"s2:processing_baseline": "03.01"})
        (folder / f"{scene}.json").write_text(json.dumps(body))


def write_geotiffs(folder: Path) -> None:
    for day in DAYS:
        for band, step in STEP_M.items():
            write_tif(folder / f"T29RPR_{day:%Y%m%d}_{NATIVE[band]}_{step}m.tif", numbers(day, band), step)


def cube() -> xr.Dataset:
    y = GRID.top - (np.arange(GRID.height) + 0.5) * 10
    x = GRID.left + (np.arange(GRID.width) + 0.5) * 10
    data: dict[str, Any] = {}
    for band in STEP_M:
        layers = np.stack([np.nan_to_num(on_grid(day, band)).astype("uint16") for day in DAYS])
        data[f"S2-L2A-{NATIVE[band]}"] = (("t", "y", "x"), layers, {"grid_mapping": "crs"})
    data["crs"] = ((), 0, {"crs_wkt": CRS(CRS_CODE).to_wkt()})
    return xr.Dataset(data, coords={"t": [np.datetime64(d, "ns") for d in DAYS], "y": y, "x": x})


def write_netcdf(path: Path) -> None:
    cube().to_netcdf(path, engine="netcdf4")


def write_zarr(path: Path) -> None:
    cube().to_zarr(path, consolidated=False)
