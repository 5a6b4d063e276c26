"""What every imagery source has to keep; an author of a plugin adds a builder to `BUILDERS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import small_safe
import small_scenes as small

from agro.schema.grid import Grid
from agro.schema.region import ImagerySpec
from agro.schema.tables import validate
from agro.sources.imagery import ImagerySource, detect_kind, open_imagery

BUILDERS: dict[str, tuple[str, str, Callable[[Path], None]]] = {
    "stac": ("stac", "items", small.write_stac),
    "geotiff": ("geotiff", "tiffs", small.write_geotiffs),
    "netcdf": ("cube", "cube.nc", small.write_netcdf),
    "zarr": ("cube", "cube.zarr", small.write_zarr),
    "safe": ("safe", "products", small_safe.write_safe),
    "safe zips": ("safe", "zips", small_safe.write_safe_zips),
}
FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[ImagerySource, str, Path]:
    kind, name, build = BUILDERS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    build(folder / name)
    return open_imagery(ImagerySpec(kind=kind, path=name), folder), kind, folder / name


@pytest.fixture(scope="module")
def source(opened: tuple[ImagerySource, str, Path]) -> ImagerySource:
    return opened[0]


class TestContract:
    def test_is_a_source(self, opened: tuple[ImagerySource, str, Path]) -> None:
        source, kind, path = opened
        assert isinstance(source, ImagerySource)
        assert source.name == kind
        assert detect_kind(path) == kind

    def test_search_gives_scenes_oldest_first(self, source: ImagerySource) -> None:
        found = source.search(FIRST, LAST)
        assert [scene.date for scene in found.scenes] == list(small.DAYS)
        assert validate(found.rejected, "rejected").empty
        assert len({scene.scene_id for scene in found.scenes}) == 2
        for scene in found.scenes:
            assert set(scene.assets) == set(small.STEP_M)
            assert scene.scale == pytest.approx(1e-4)
            assert scene.offset in (None, 0.0)
            assert "+" not in scene.scene_id
            assert scene.files
            assert all(Path(file).exists() for file in scene.files)

    def test_both_ends_of_the_period_count(self, source: ImagerySource) -> None:
        first, last = small.DAYS
        assert [s.date for s in source.search(first, first).scenes] == [first]
        assert [s.date for s in source.search(first + timedelta(1), last).scenes] == [last]

    def test_a_period_without_scenes_is_empty(self, source: ImagerySource) -> None:
        found = source.search(date(2010, 1, 1), date(2010, 12, 31))
        assert found.scenes == []
        assert found.rejected.empty

    @pytest.mark.parametrize("band", sorted(small.STEP_M))
    def test_numbers_come_as_they_are(self, source: ImagerySource, band: str) -> None:
        for scene in source.search(FIRST, LAST).scenes:
            values = source.read(scene, band, small.GRID)
            assert values.dtype == ("uint8" if band == "scl" else "float64")
            np.testing.assert_array_equal(values, small.on_grid(scene.date, band))

    @pytest.mark.parametrize("band", ["red", "swir16", "scl"])
    def test_a_window_is_a_part_of_the_whole(self, source: ImagerySource, band: str) -> None:
        scene = source.search(FIRST, LAST).scenes[0]
        part = Grid(small.CRS_CODE, small.LEFT + 50, small.TOP - 30, 10.0, 9, 11)
        np.testing.assert_array_equal(
            source.read(scene, band, part), small.on_grid(scene.date, band)[3:14, 5:14]
        )  # fmt: skip

    @pytest.mark.parametrize("band", ["nir", "swir16", "scl"])
    def test_outside_is_nodata(self, source: ImagerySource, band: str) -> None:
        scene = source.search(FIRST, LAST).scenes[0]
        wide = Grid(small.CRS_CODE, small.LEFT - 40, small.TOP + 60, 10.0, 40, 40)
        values = source.read(scene, band, wide)
        inside = np.zeros(wide.shape, dtype=bool)
        inside[6:26, 4:28] = True
        np.testing.assert_array_equal(values[6:26, 4:28], small.on_grid(scene.date, band))
        assert (values[~inside] == 0).all() if band == "scl" else np.isnan(values[~inside]).all()

    def test_a_grid_elsewhere_is_all_nodata(self, source: ImagerySource) -> None:
        scene = source.search(FIRST, LAST).scenes[0]
        elsewhere = Grid(small.CRS_CODE, small.LEFT + 9e4, small.TOP, 10.0, 5, 5)
        assert np.isnan(source.read(scene, "red", elsewhere)).all()
        assert (source.read(scene, "scl", elsewhere) == 0).all()

    def test_another_crs_takes_the_nearest_pixel(self, source: ImagerySource) -> None:
        from pyproj import Transformer

        scene = source.search(FIRST, LAST).scenes[0]
        x, y = Transformer.from_crs(small.CRS_CODE, "EPSG:32630", always_xy=True).transform(
            small.LEFT + 120, small.TOP - 100
        )  # fmt: skip
        turned = Grid("EPSG:32630", round(x) - 30.0, round(y) + 30.0, 10.0, 6, 6)
        values = source.read(scene, "red", turned)
        back = Transformer.from_crs("EPSG:32630", small.CRS_CODE, always_xy=True)
        centres = np.meshgrid(turned.left + 10 * (np.arange(6) + 0.5), turned.top - 10 * (np.arange(6) + 0.5))
        east, north = back.transform(*centres)
        columns, rows = (east - small.LEFT) / 10, (small.TOP - north) / 10
        expected = small.on_grid(scene.date, "red")[rows.astype(int), columns.astype(int)]
        # GDAL's warper may place a centre that is within a tenth of a pixel of an edge on its other side.
        sure = (np.abs(rows % 1 - 0.5) < 0.4) & (np.abs(columns % 1 - 0.5) < 0.4)
        assert sure.sum() > 15
        np.testing.assert_array_equal(values[sure], expected[sure])

    def test_reading_twice_gives_the_same(self, source: ImagerySource) -> None:
        scene = source.search(FIRST, LAST).scenes[1]
        one = source.read(scene, "nir", small.GRID)
        one[:] = -1
        np.testing.assert_array_equal(source.read(scene, "nir", small.GRID), small.on_grid(scene.date, "nir"))

    def test_a_crs_that_is_none_is_said(self, source: ImagerySource) -> None:
        from agro.schema.errors import ConfigError

        scene = source.search(FIRST, LAST).scenes[0]
        with pytest.raises(ConfigError, match="no such CRS"):
            source.read(scene, "red", replace(small.GRID, crs="EPSG:1"))
