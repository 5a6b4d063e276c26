"""Zones and blocks: each parcel in one of each, small regions whole, grids that memory can hold."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import box

from agro.parcels.blocks import BLOCK_M, MAX_PIXELS, parcel_blocks, parcels_by_zone, utm_zones

CRS = "EPSG:32629"


def squares(places: list[tuple[float, float, float]], crs: str = CRS) -> gpd.GeoDataFrame:
    shapes = [box(x, y, x + side, y + side) for x, y, side in places]
    return gpd.GeoDataFrame({"parcel_uid": [f"f{k}" for k in range(len(shapes))]}, geometry=shapes, crs=crs)


@pytest.mark.parametrize(
    ("longitude", "latitude", "zone"),
    [
        (-6.01, 33.0, "EPSG:32629"),
        (-5.99, 33.0, "EPSG:32630"),
        (-12.01, 26.0, "EPSG:32628"),
        (-7.7, 31.7, "EPSG:32629"),
        (30.1, -25.0, "EPSG:32736"),
        (179.99, 10.0, "EPSG:32660"),
    ],
)
def test_zone_of_the_centroid(longitude: float, latitude: float, zone: str) -> None:
    half = 0.005
    shape = box(longitude - half, latitude - half, longitude + half, latitude + half)
    assert utm_zones(gpd.GeoDataFrame(geometry=[shape], crs="EPSG:4326")).tolist() == [zone]


def test_both_sides_of_six_degrees_west_each_parcel_once() -> None:
    west = [box(-6.02 + 0.004 * k, 33.0, -6.02 + 0.004 * k + 0.003, 33.003) for k in range(10)]
    table = gpd.GeoDataFrame({"parcel_uid": [str(k) for k in range(10)]}, geometry=west, crs="EPSG:4326")
    zones = parcels_by_zone(table)
    assert list(zones) == ["EPSG:32629", "EPSG:32630"]
    assert [list(part["parcel_uid"]) for part in zones.values()] == [list("01234"), list("56789")]
    assert list(parcels_by_zone(table, "EPSG:32629")) == ["EPSG:32629"]


def test_a_small_region_is_one_block_wherever_the_lattice_runs() -> None:
    edge = 30 * BLOCK_M
    parcels = squares([(edge - 5_000, 170 * BLOCK_M - 50, 100), (edge + 5_000, 170 * BLOCK_M, 100)])
    blocks, too_wide = parcel_blocks(parcels, CRS, 300.0)
    assert [block.name for block in blocks] == ["region"] and not too_wide
    assert blocks[0].members.tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(300_000, 400_000), st.floats(3_400_000, 3_500_000), st.floats(30, 15_000)),
        min_size=1,
        max_size=30,
    )
)
def test_each_parcel_is_in_one_block_that_holds_it_whole(places: list[tuple[float, float, float]]) -> None:
    parcels = squares(places)
    blocks, too_wide = parcel_blocks(parcels, CRS, 300.0)
    assert not too_wide
    assert sorted(int(m) for block in blocks for m in block.members) == list(range(len(places)))
    assert len({block.name for block in blocks}) == len(blocks)
    largest = max(MAX_PIXELS, ((2 * BLOCK_M + 640) / 10) ** 2)
    for block in blocks:
        left, bottom, right, top = block.grid.bounds
        inner = box(left + 300, bottom + 300, right - 300, top - 300)
        assert parcels.geometry.iloc[block.members].within(inner.buffer(1e-6)).all()
        assert block.grid.width * block.grid.height <= largest
        assert (np.diff(block.members) > 0).all()


def test_an_outline_that_no_block_can_hold_is_left_out_and_the_others_stay_whole() -> None:
    parcels = squares([(300_000, 3_400_000, 200), (300_000, 3_400_000, 80_000), (301_000, 3_400_000, 200)])
    blocks, too_wide = parcel_blocks(parcels, CRS, 300.0)
    assert dict(too_wide) == {1: pytest.approx(80_000)}
    assert [(block.name, block.members.tolist()) for block in blocks] == [("region", [0, 2])]
    assert parcel_blocks(parcels.iloc[[1]], CRS, 300.0)[0] == []
