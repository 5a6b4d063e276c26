"""Real fields: one seen through 33 dates, and 500 that come already extracted."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import shapely
import xarray as xr

from agro.parcels import CoverageWeights, observe_day, observe_table, read_parcels
from agro.schema.grid import Grid
from agro.schema.region import ObservationOptions, ParcelsSource

pytestmark = pytest.mark.real_data
CLEAR = (4, 5, 7)


@pytest.fixture(scope="module")
def field(shared_data):
    folder = shared_data / "s2-castilla-y-leon-2019"
    source = ParcelsSource(path="field.geojson", defaults={"crop": "wheat", "irrigation": "aspersion"})
    return read_parcels(source, folder, {"wheat"})


@pytest.fixture(scope="module")
def pixels(shared_data):
    """NDVI and SCL by date, as the file has them."""
    with xr.open_dataset(shared_data / "s2-castilla-y-leon-2019" / "raw_s2_ndvi_field.nc") as data:
        data.load()
    return data.assign(ndvi=(data.B08 - data.B04) / (data.B08 + data.B04))


def test_the_bare_polygon_is_a_field_of_23_ha(field):
    assert not len(field.rejected)
    assert field.parcels["metrics:area"].iloc[0] == pytest.approx(232000, rel=0.01)
    assert field.parcels["agro:irrigation"].iloc[0] == "sprinkler"


@pytest.mark.parametrize("buffer_m", [0.0, 5.0])
def test_field_mean_is_that_of_the_clear_pixels_inside(field, pixels, buffer_m):
    grid = Grid(
        "EPSG:32630", float(pixels.x[0]) - 5, float(pixels.y[0]) + 5, 10.0, pixels.sizes["x"], pixels.sizes["y"]
    )
    weights = CoverageWeights.from_parcels(field.parcels, grid, buffer_m)
    outline = field.parcels.geometry.to_crs(grid.crs).iloc[0]
    centres = np.meshgrid(pixels.x.values, pixels.y.values)
    whole = shapely.contains_xy(outline, *centres)
    inner = shapely.contains_xy(outline.buffer(-buffer_m), *centres)
    compared = 0
    for day in pixels.t.values:
        one = pixels.sel(t=day)
        clear = np.isin(one.SCL.values, CLEAR)
        cube = xr.Dataset(
            {"qa": (("time", "y", "x"), np.where(clear, 0, 2).astype("uint8")[None])},
            coords={"time": [day], "y": pixels.y.values, "x": pixels.x.values, "scene_ids": ("time", ["s"])},
        )
        options = ObservationOptions(buffer_m=buffer_m)
        row = observe_day(cube, {"ndvi": one.ndvi.values}, field.parcels, weights, options, "cube").iloc[0]
        seen = clear & np.isfinite(one.ndvi.values)
        compared += 1
        assert row["mean"] == pytest.approx(one.ndvi.values[seen & inner].mean(), abs=0.005), day
        if row["usable"]:  # then the edge hardly counts, taken off or not
            assert row["mean"] == pytest.approx(one.ndvi.values[seen & whole].mean(), abs=0.005), day
        assert row["usable"] == (row["valid_frac"] >= 0.4)
    assert compared == 33


def test_every_extracted_parcel_comes_out(shared_data):
    names = {"S2-L2A-B04": "red", "S2-L2A-B08": "nir"}
    found, given = observe_table(
        shared_data / "parcels-corsica-2022" / "2022_FRA_LPIS_POLY_110.geoparquet",
        ["ndvi"], {"ndvi": ("red", "nir")},
        lambda key, bands: (bands["nir"] - bands["red"]) / (bands["nir"] + bands["red"]),
        names.get,
    )  # fmt: skip
    assert given == ["ndvi"]
    assert found["parcel_uid"].nunique() == 500 and len(found) == 8500
    assert (found["usable"] == found["mean"].notna()).all()
    # Parcels with no month at all stay in the table.
    assert (~found.groupby("parcel_uid")["usable"].any()).sum() == 2
    assert found.loc[found["usable"], "mean"].between(-1, 1).all()
    assert found["date"].min() == pd.Timestamp("2021-09-01")


def test_the_outline_file_is_what_we_think(shared_data):
    body = json.loads((shared_data / "s2-castilla-y-leon-2019" / "field.geojson").read_text())
    assert body["type"] == "Polygon" and "properties" not in body
