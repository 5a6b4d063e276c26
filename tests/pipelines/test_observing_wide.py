"""Regions wider than what is read at once, and over two zones: the same numbers as parcel by parcel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from agro.parcels import read_parcels
from agro.parcels.blocks import Block
from agro.schema.errors import NoDataError
from agro.schema.grid import Grid
from agro.schema.region import ImagerySpec, MaskOptions, ObservationOptions, ParcelsSource
from agro.sources.imagery import ImagerySource, open_imagery
from pipelines.observing import Observed, days_at_once, in_order, observe_period, observe_region
from pipelines.units import Manifest

DAYS = (date(2022, 3, 1), date(2022, 3, 6))
NOW = datetime(2022, 4, 11, tzinfo=UTC)
VALUES = ["mean", "sd", "median", "p10", "p90", "pixels_effective", "valid_frac", "usable"]
#: Pixels of 10 m; 42 km: nine blocks.
WIDE_PX = 4_200


def write_scene(folder: Path, day: date, epsg: int, left: float, top: float, size: int, classes: bool = True) -> None:
    """A scene over a square: a gradient with noise, and a cloud in its north."""
    rng = np.random.default_rng(day.day)
    north = np.arange(size)[:, None] / size
    bands = {"red": 800 + 200 * north, "nir": 3000 + 600 * north}
    written = {name: (level + rng.integers(0, 300, (size, size))).astype("uint16") for name, level in bands.items()}
    if classes:
        scl = np.full((size, size), 4, dtype="uint8")
        scl[: size // 20] = 9
        written["scl"] = scl
    for name, numbers in written.items():
        with rasterio.open(
            folder / f"S2_{day:%Y%m%d}_{epsg}_{name}.tif", "w", driver="GTiff", width=size, height=size, count=1, dtype=numbers.dtype,
            crs=f"EPSG:{epsg}", nodata=0, transform=from_origin(left, top, 10, 10), tiled=True, compress="deflate", zlevel=1,
        ) as out:  # fmt: skip
            out.write(numbers, 1)


def read(folder: Path, table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    table.to_file(folder / "p.gpkg")
    source = ParcelsSource(path="p.gpkg", defaults={"crop": "any", "irrigation": "rainfed"}, outline_only=True)
    return read_parcels(source, folder, {"any"}).parcels


def squares(places: list[tuple[float, float]], crs: str, side_m: float = 120.0) -> gpd.GeoDataFrame:
    shapes = [box(x, y, x + side_m, y + side_m) for x, y in places]
    return gpd.GeoDataFrame({"parcel_uid": [f"f{k:02d}" for k in range(len(shapes))]}, geometry=shapes, crs=crs)


def observe(source: ImagerySource, parcels: gpd.GeoDataFrame, manifest: Manifest | None = None) -> Observed:
    return observe_region(
        lambda _: source, parcels, DAYS[0], DAYS[-1], mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",)),
        manifest=manifest, created_at=NOW,
    )  # fmt: skip


def by_key(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["parcel_uid", "date"], ignore_index=True)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImagerySource, gpd.GeoDataFrame]:
    folder = tmp_path_factory.mktemp("wide")
    (folder / "imagery").mkdir()
    for day in DAYS:
        write_scene(folder / "imagery", day, 32629, 600_000, 3_500_000, WIDE_PX)
    rng = np.random.default_rng(5)
    places = [(600_400 + 41_000 * x, 3_458_400 + 41_000 * y) for x, y in rng.random((15, 2))]
    # One across the edge of a block, and one in the cloud.
    places += [(30 * 20_480 - 40, 3_470_000), (620_000, 3_499_000)]
    return open_imagery(ImagerySpec(kind="geotiff", path="imagery"), folder), read(
        folder, squares(places, "EPSG:32629")
    )


def test_blocks_give_what_each_parcel_alone_gives(wide: tuple[ImagerySource, gpd.GeoDataFrame]) -> None:
    source, parcels = wide
    whole = observe(source, parcels)
    assert len(whole.observations) == len(parcels) * len(DAYS) and not len(whole.rejected)
    assert whole.observations["date"].is_monotonic_increasing
    alone = [observe(source, parcels.iloc[[k]]).observations for k in range(0, len(parcels), 4)]
    alone.append(observe(source, parcels.iloc[[-1]]).observations)
    expected = by_key(pd.concat(alone)).drop_duplicates(ignore_index=True)
    found = by_key(whole.observations[whole.observations["parcel_uid"].isin(expected["parcel_uid"])])
    pd.testing.assert_frame_equal(found[VALUES], expected[VALUES], rtol=1e-12)
    assert not expected["usable"].all()
    assert list(whole.scenes["scene_id"]) == sorted(set(whole.scenes["scene_id"])) and len(whole.scenes) == len(DAYS)
    assert whole.scenes["used"].all() and (whole.scenes["clear_frac"] < 1).all()


def test_what_is_done_is_reused_block_by_block(wide: tuple[ImagerySource, gpd.GeoDataFrame], tmp_path: Path) -> None:
    source, parcels = wide
    manifest = Manifest(tmp_path)
    first = observe(source, parcels, manifest)
    units = sorted((tmp_path / "units" / "observe-2").iterdir())
    assert len(units) >= 5 * len(DAYS)
    assert (first.days_read, first.days_reused) == (2, 0)
    units[0].unlink()  # as a run that was interrupted leaves it
    second = observe(source, parcels, manifest)
    assert (second.days_read, second.days_reused) == (1, 1)
    third = observe(source, parcels, manifest)
    assert (third.days_read, third.days_reused) == (0, 2)
    for again in (second, third):
        pd.testing.assert_frame_equal(again.observations, first.observations)
        pd.testing.assert_frame_equal(again.scenes, first.scenes)


def test_a_parcel_that_no_block_can_hold_is_listed(
    wide: tuple[ImagerySource, gpd.GeoDataFrame], tmp_path: Path
) -> None:
    source, parcels = wide
    table = pd.concat(
        [parcels.to_crs("EPSG:32629")[["geometry"]], squares([(605_000, 3_465_000)], "EPSG:32629", 30_000)]
    )
    table["parcel_uid"] = [f"f{k:02d}" for k in range(len(table))]
    # As a caller of the library may give it: the reader of parcels refuses such an outline.
    huge = gpd.GeoDataFrame(table.assign(**{"agro:geometry_digest": "x"}), crs="EPSG:32629")
    done = observe_period(
        source, huge, DAYS[0], DAYS[0], mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",))
    )
    assert done.rejected["item"].tolist() == ["f17"] and "30 km wide" in done.rejected["reason"].iloc[0]
    assert set(done.observations["parcel_uid"]) == {f"f{k:02d}" for k in range(17)}


def test_a_block_without_pixels_costs_the_others_nothing(tmp_path: Path) -> None:
    (tmp_path / "imagery").mkdir()
    write_scene(tmp_path / "imagery", DAYS[0], 32629, 600_000, 3_500_000, 600)
    parcels = read(tmp_path, squares([(601_000, 3_497_000), (640_000, 3_460_000)], "EPSG:32629"))
    done = observe(open_imagery(ImagerySpec(kind="geotiff", path="imagery"), tmp_path), parcels)
    assert len(done.observations) == 1 and done.observations["usable"].all() and not len(done.rejected)
    assert done.scenes["used"].tolist() == [True]
    # What the other block says of the scene is not said of it: it is used.
    assert not done.scenes["reason"].str.contains("no pixel on the grid").any()


@pytest.fixture(scope="module")
def two_zones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, gpd.GeoDataFrame]]:
    """Both sides of 6 degrees west at 33 degrees north, with a scene in each zone."""
    folder = tmp_path_factory.mktemp("zones")
    (folder / "imagery").mkdir()
    shapes = [box(-6.02 + 0.005 * k, 33.0, -6.02 + 0.005 * k + 0.003, 33.003) for k in range(8)]
    table = gpd.GeoDataFrame({"parcel_uid": [f"f{k}" for k in range(8)]}, geometry=shapes, crs="EPSG:4326")
    for epsg in (32629, 32630):
        left, _, _, top = table.to_crs(epsg).total_bounds
        write_scene(
            folder / "imagery", DAYS[0], epsg, left // 20 * 20 - 1000, top // 20 * 20 + 1000, 800, classes=False
        )
    yield folder, read(folder, table)


def test_each_parcel_is_observed_once_in_the_zone_of_its_centroid(two_zones: tuple[Path, gpd.GeoDataFrame]) -> None:
    folder, parcels = two_zones
    asked: list[list[str]] = []

    def opened(members: gpd.GeoDataFrame) -> ImagerySource:
        asked.append(sorted(members["parcel_uid"]))
        return open_imagery(ImagerySpec(kind="geotiff", path="imagery"), folder)

    options = ObservationOptions(indices=("ndvi",))
    done = observe_region(opened, parcels, DAYS[0], DAYS[0], mask=MaskOptions(), options=options)
    assert asked == [["f0", "f1", "f2", "f3"], ["f4", "f5", "f6", "f7"]]
    assert sorted(done.observations["parcel_uid"]) == sorted(parcels["parcel_uid"])
    # The area in pixels is that of the outline: measured in its own zone.
    whole = observe_region(
        opened,
        parcels,
        DAYS[0],
        DAYS[0],
        mask=MaskOptions(),
        options=ObservationOptions(indices=("ndvi",), buffer_m=0.0),
    )
    areas = parcels.set_index("parcel_uid")["metrics:area"] / 100
    found = whole.observations.set_index("parcel_uid")["pixels_effective"]
    np.testing.assert_allclose(found.loc[areas.index], areas, rtol=2e-3)
    assert len(done.scenes) == len(set(done.scenes["scene_id"])) == 2 and done.scenes["used"].any()


def test_a_zone_without_imagery_is_listed_and_all_without_is_an_error(
    two_zones: tuple[Path, gpd.GeoDataFrame], tmp_path: Path
) -> None:
    folder, parcels = two_zones
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme.txt").write_text("nothing")

    def opened(members: gpd.GeoDataFrame) -> ImagerySource:
        if "f0" in set(members["parcel_uid"]):
            raise NoDataError("no scene", where="west")
        return open_imagery(ImagerySpec(kind="geotiff", path="imagery"), folder)

    options = ObservationOptions(indices=("ndvi",))
    done = observe_region(opened, parcels, DAYS[0], DAYS[0], mask=MaskOptions(), options=options)
    assert done.rejected["item"].tolist() == ["EPSG:32629"]
    assert sorted(done.observations["parcel_uid"]) == ["f4", "f5", "f6", "f7"]
    with pytest.raises(NoDataError):
        observe_region(opened, parcels.iloc[:2], DAYS[0], DAYS[0], mask=MaskOptions(), options=options)


def test_results_come_in_order_and_an_error_stops_what_has_not_begun() -> None:
    began: list[int] = []

    def job(number: int) -> int:
        began.append(number)
        if number == 5:
            raise NoDataError("five")
        return number

    def jobs(count: int) -> Iterator:
        for number in range(count):
            yield lambda number=number: job(number)

    assert list(in_order(jobs(5), 3)) == list(in_order(jobs(5), 1)) == [0, 1, 2, 3, 4]
    began.clear()
    with pytest.raises(NoDataError):
        list(in_order(jobs(100), 2))
    assert max(began) <= 8


def test_only_units_that_left_something_out_are_retried(
    tmp_path: Path,
) -> None:
    (tmp_path / "imagery").mkdir()
    for day in DAYS:
        write_scene(tmp_path / "imagery", day, 32629, 600_000, 3_500_000, 400)
    few = read(tmp_path, squares([(601_000, 3_497_000), (602_000, 3_497_500)], "EPSG:32629"))
    broken = tmp_path / "imagery" / f"S2_{DAYS[0]:%Y%m%d}_32629_red.tif"
    whole, stat = broken.read_bytes(), broken.stat()

    def put(content: bytes) -> None:
        """Same size and time: nothing tells that the file was repaired."""
        broken.write_bytes(content)
        os.utime(broken, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def again(retry_failed: bool) -> Observed:
        source = open_imagery(ImagerySpec(kind="geotiff", path="imagery"), tmp_path)
        return observe_region(
            lambda _: source, few, DAYS[0], DAYS[-1], mask=MaskOptions(), options=ObservationOptions(indices=("ndvi",)),
            manifest=Manifest(tmp_path / "w"), created_at=NOW, retry_failed=retry_failed,
        )  # fmt: skip

    put(whole[: len(whole) // 3] + b"\0" * (len(whole) - len(whole) // 3))
    first = again(False)
    assert len(first.rejected) == 1 and (first.days_read, first.days_reused) == (2, 0)
    put(whole)
    kept = again(False)
    assert (kept.days_read, kept.days_reused) == (0, 2) and len(kept.rejected) == 1
    retried = again(True)
    assert (retried.days_read, retried.days_reused) == (1, 1) and not len(retried.rejected)
    assert retried.observations["mean"].notna().all() and len(retried.observations) == len(few) * len(DAYS)
    assert (again(True).days_read, again(True).days_reused) == (0, 2)


@pytest.mark.parametrize(("side_px", "bands", "expected"), [(500, 10, 2), (2_100, 2, 2), (2_100, 10, 1), (4_000, 1, 1)])
def test_fewer_days_are_read_at_a_time_where_memory_would_not_hold_them(
    side_px: int, bands: int, expected: int
) -> None:
    small = Block("a", Grid("EPSG:32629", 0.0, 0.0, 10.0, 10, 10), np.array([0]))
    large = Block("b", Grid("EPSG:32629", 0.0, 0.0, 10.0, side_px, side_px), np.array([1]))
    assert days_at_once([small, large], bands) == expected
