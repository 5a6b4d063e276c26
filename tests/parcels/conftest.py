from __future__ import annotations

from collections.abc import Callable

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from shapely.geometry.base import BaseGeometry

from agro.schema.grid import Grid


@pytest.fixture(scope="session")
def grid() -> Grid:
    """40 x 30 pixels of 10 m."""
    return Grid("EPSG:32629", 600000.0, 3500000.0, 10.0, 40, 30)


@pytest.fixture(scope="session")
def field_table() -> Callable[..., gpd.GeoDataFrame]:
    """Outlines to a table as far as observing needs one."""

    def make(shapes: list[BaseGeometry], crs: str = "EPSG:32629") -> gpd.GeoDataFrame:
        return gpd.GeoDataFrame({"parcel_uid": [f"f{k:03d}" for k in range(len(shapes))]}, geometry=shapes, crs=crs)

    return make


@pytest.fixture(scope="session")
def day_cube() -> Callable[..., xr.Dataset]:
    """A cube of one day with the given quality flags."""

    def make(grid: Grid, qa: np.ndarray | None = None) -> xr.Dataset:
        flags = np.zeros(grid.shape, dtype="uint8") if qa is None else qa.astype("uint8")
        half = grid.resolution_m / 2
        return xr.Dataset(
            {"qa": (("time", "y", "x"), flags[None])},
            coords={
                "time": [pd.Timestamp("2026-02-01")],
                "y": grid.top - half - grid.resolution_m * np.arange(grid.height),
                "x": grid.left + half + grid.resolution_m * np.arange(grid.width),
                "scene_ids": ("time", ["a+b"]),
            },
        )

    return make
