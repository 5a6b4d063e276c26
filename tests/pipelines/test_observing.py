"""A unit of imagery is done again when the files behind its scenes have changed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import xarray as xr
from shapely.geometry import box

from agro.parcels import read_parcels
from agro.schema.region import ImagerySpec, MaskOptions, ObservationOptions, ParcelsSource
from agro.sources.imagery import open_imagery
from pipelines.observing import observe_period
from pipelines.units import Manifest


def write_cube(path: Path, nir: float) -> None:
    y, x = 3_500_000 - 10 * np.arange(40) - 5.0, 600_000 + 10 * np.arange(40) + 5.0
    shape = (1, 40, 40)
    data = {"red": 0.05, "nir": nir}
    cube = xr.Dataset(
        {k: (("time", "y", "x"), np.full(shape, v, dtype="float32")) for k, v in data.items()},
        coords={"time": [np.datetime64("2022-03-01", "ns")], "y": y, "x": x}, attrs={"crs": "EPSG:32629"},
    )  # fmt: skip
    if path.suffix == ".zarr":
        cube.to_zarr(path, mode="w")
    else:
        path.unlink(missing_ok=True)
        cube.to_netcdf(path, engine="netcdf4")


@pytest.mark.parametrize("name", ["cube.nc", "cube.zarr"])
def test_a_cube_changed_under_the_same_name_is_read_again(tmp_path: Path, name: str) -> None:
    shape = box(600_100, 3_499_700, 600_300, 3_499_900)
    gpd.GeoDataFrame({"parcel_uid": ["a"]}, geometry=[shape], crs="EPSG:32629").to_file(tmp_path / "p.gpkg")
    source = ParcelsSource(path="p.gpkg", defaults={"crop": "any", "irrigation": "rainfed"}, outline_only=True)
    parcels = read_parcels(source, tmp_path, {"any"}).parcels

    def observe() -> tuple[float, int]:
        done = observe_period(
            open_imagery(ImagerySpec(kind="cube", path=name), tmp_path), parcels, date(2022, 1, 1), date(2022, 12, 31), mask=MaskOptions(),
            options=ObservationOptions(indices=("ndvi",)), crs="EPSG:32629", manifest=Manifest(tmp_path / "w"), created_at=datetime(2022, 4, 1, tzinfo=UTC),
        )  # fmt: skip
        return float(done.observations["mean"].iloc[0]), done.days_reused

    write_cube(tmp_path / name, nir=0.15)
    assert observe() == (pytest.approx(0.5, abs=1e-6), 0)
    assert observe() == (pytest.approx(0.5, abs=1e-6), 1)
    write_cube(tmp_path / name, nir=0.45)
    assert observe() == (pytest.approx(0.8, abs=1e-6), 0)
