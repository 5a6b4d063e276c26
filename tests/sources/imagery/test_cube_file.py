from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_scenes as small
import xarray as xr

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.cube_file import CubeFile

FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)


def written(folder: Path, cube: xr.Dataset, **options: Any) -> CubeFile:
    cube.to_netcdf(folder / "c.nc", engine="netcdf4")
    return CubeFile(folder / "c.nc", **options)


def plain(values: np.ndarray, name: str = "B04", times: Any = None, **attrs: Any) -> xr.Dataset:
    """A cube of one variable; the CRS as an attribute."""
    full = small.cube()
    return xr.Dataset(
        {name: (("time", "y", "x"), values, attrs)},
        coords={"time": full["t"].values if times is None else times, "y": full["y"].values, "x": full["x"].values},
        attrs={"crs": small.CRS_CODE},
    )


NUMBERS = small.cube()["S2-L2A-B04"].values


class TestScale:
    @pytest.mark.parametrize(
        ("values", "scale", "offset"),
        [
            (NUMBERS, 0.0001, None),
            (NUMBERS.astype("float32"), 0.0001, None),
            ((NUMBERS / 10000).astype("float32"), 1.0, 0.0),
        ],
        ids=["whole", "float", "reflectance"],
    )
    def test_by_values(self, tmp_path: Path, values: np.ndarray, scale: float, offset: float | None) -> None:
        source = written(tmp_path, plain(values))
        assert (source.scale, source.offset) == (scale, offset)
        (one, _) = source.search(FIRST, LAST).scenes
        assert "taken as" in one.note

    def test_by_attributes(self, tmp_path: Path) -> None:
        source = written(tmp_path, plain(NUMBERS, scale_factor=0.0001, add_offset=-0.1))
        assert source.scale == pytest.approx(0.0001)
        assert source.offset == pytest.approx(-1000)

    def test_by_options(self, tmp_path: Path) -> None:
        source = written(tmp_path, plain(NUMBERS), scale=0.001, offset=-10)
        assert (source.scale, source.offset) == (0.001, -10.0)

    def test_beyond_sense(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="neither reflectance nor reflectance x 10000"):
            written(tmp_path, plain(NUMBERS * 1000.0))

    def test_nothing_in_it(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="holds no value"):
            written(tmp_path, plain(np.full(NUMBERS.shape, np.nan)))

    def test_bands_that_differ(self, tmp_path: Path) -> None:
        cube = plain(NUMBERS, scale_factor=0.0001)
        cube["B08"] = (("time", "y", "x"), NUMBERS)
        with pytest.raises(SourceError, match="different scales"):
            written(tmp_path, cube)


class TestMissing:
    def read(self, source: CubeFile, band: str = "red") -> np.ndarray:
        return source.read(source.search(FIRST, LAST).scenes[0], band, small.GRID)

    def test_zero_and_65535_of_whole_numbers(self, tmp_path: Path) -> None:
        values = NUMBERS.copy()
        values[0, 5, 5] = 65535
        seen = self.read(written(tmp_path, plain(values)))
        assert np.isnan(seen[5, 5])
        assert np.isnan(seen[0]).all()
        assert seen[6, 6] == values[0, 6, 6]

    def test_unsigned_kept_as_signed(self, tmp_path: Path) -> None:
        values = NUMBERS.copy()
        values[0, 5, 5], values[0, 6, 6] = 65000, 40000
        stored = plain(values.view("int16"), _Unsigned="true", _FillValue=np.int16(np.uint16(65000).view("int16")))
        seen = self.read(written(tmp_path, stored, scale=0.0001))
        assert np.isnan(seen[5, 5])
        assert seen[6, 6] == 40000

    def test_fill_value(self, tmp_path: Path) -> None:
        values = NUMBERS.astype("float32")
        values[0, 5, 5] = -9999
        assert np.isnan(self.read(written(tmp_path, plain(values, _FillValue=np.float32(-9999))))[5, 5])

    def test_classes_with_nan_and_strange_numbers(self, tmp_path: Path) -> None:
        cube = plain(NUMBERS)
        classes = np.full(NUMBERS.shape, 4.0, dtype="float32")
        classes[0, 1, 1:5] = np.nan, 255, -1, 11
        cube["SCL"] = (("time", "y", "x"), classes)
        seen = self.read(written(tmp_path, cube), "scl")
        assert seen.dtype == "uint8"
        assert list(seen[1, :6]) == [4, 0, 0, 0, 11, 4]


class TestPlace:
    def test_rows_from_south_to_north(self, tmp_path: Path) -> None:
        source = written(tmp_path, small.cube().isel(y=slice(None, None, -1)))
        one = source.search(FIRST, LAST).scenes[0]
        np.testing.assert_array_equal(source.read(one, "red", small.GRID), small.on_grid(one.date, "red"))

    def test_dimensions_in_another_order(self, tmp_path: Path) -> None:
        source = written(tmp_path, small.cube().transpose("y", "x", "t"))
        one = source.search(FIRST, LAST).scenes[1]
        np.testing.assert_array_equal(source.read(one, "nir", small.GRID), small.on_grid(one.date, "nir"))

    def test_finer_grid_repeats(self, tmp_path: Path) -> None:
        source = written(tmp_path, small.cube())
        one = source.search(FIRST, LAST).scenes[0]
        fine = Grid(small.CRS_CODE, small.LEFT, small.TOP, 5.0, 48, 40)
        np.testing.assert_array_equal(
            source.read(one, "red", fine), small.on_grid(one.date, "red").repeat(2, axis=0).repeat(2, axis=1)
        )  # fmt: skip

    def test_crs_stated_nowhere(self, tmp_path: Path) -> None:
        cube = plain(NUMBERS)
        del cube.attrs["crs"]
        with pytest.raises(SourceError, match="states no CRS"):
            written(tmp_path, cube)
        assert CubeFile(tmp_path / "c.nc", crs="EPSG:32629").crs.to_epsg() == 32629
        with pytest.raises(ConfigError, match="no such CRS"):
            CubeFile(tmp_path / "c.nc", crs="EPSG:Haouz")

    def test_uneven_axis(self, tmp_path: Path) -> None:
        cube = plain(NUMBERS)
        x = cube["x"].values.copy()
        x[7] += 4
        with pytest.raises(SourceError, match="x is not evenly spaced"):
            written(tmp_path, cube.assign_coords(x=x))


class TestTime:
    def test_times_of_day_are_utc(self, tmp_path: Path) -> None:
        times = np.array(["2021-11-03T00:20", "2022-03-08T11:00"], dtype="datetime64[ns]")
        found = written(tmp_path, plain(NUMBERS, times=times)).search(FIRST, LAST)
        assert [s.date for s in found.scenes] == [date(2021, 11, 2), date(2022, 3, 8)]

    def test_midnights_are_days(self, tmp_path: Path) -> None:
        found = written(tmp_path, plain(NUMBERS)).search(FIRST, LAST)
        assert [s.date for s in found.scenes] == list(small.DAYS)

    def test_numbers_are_no_dates(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="time does not hold dates"):
            written(tmp_path, plain(NUMBERS, times=[1, 2]))

    def test_same_day_twice_is_two_scenes(self, tmp_path: Path) -> None:
        times = np.array(["2021-11-03", "2021-11-03"], dtype="datetime64[ns]")
        scenes = written(tmp_path, plain(NUMBERS, times=times)).search(FIRST, LAST).scenes
        assert len({s.scene_id for s in scenes}) == 2


class TestUnreadable:
    def test_not_a_cube(self, tmp_path: Path) -> None:
        (tmp_path / "c.nc").write_bytes(b"CDF?")
        with pytest.raises(SourceError, match="not a NetCDF or Zarr cube"):
            CubeFile(tmp_path / "c.nc")
        (tmp_path / "c.zarr").mkdir()
        with pytest.raises(SourceError, match="not a NetCDF or Zarr cube"):
            CubeFile(tmp_path / "c.zarr")

    def test_cut_short(self, tmp_path: Path) -> None:
        path = tmp_path / "c.nc"
        small.write_netcdf(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(SourceError, match=r"c\.nc"):
            source = CubeFile(path)
            for one in source.search(FIRST, LAST).scenes:
                for band in one.assets:
                    source.read(one, band, small.GRID)

    def test_a_broken_chunk_of_zarr_is_said(self, tmp_path: Path) -> None:
        path = tmp_path / "c.zarr"
        small.write_zarr(path)
        source = CubeFile(path)
        one = source.search(FIRST, LAST).scenes[0]
        for chunk in (path / "S2-L2A-B08").rglob("*"):
            if chunk.is_file() and chunk.name not in {"zarr.json", ".zarray", ".zattrs"}:
                chunk.write_bytes(b"broken")
        with pytest.raises(SourceError, match="S2-L2A-B08 at step 0 cannot be read"):
            source.read(one, "nir", small.GRID)
        np.testing.assert_array_equal(source.read(one, "red", small.GRID), small.on_grid(one.date, "red"))

    def test_no_band(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="no variable is a band: NDVI"):
            written(tmp_path, plain(NUMBERS, name="NDVI"))

    def test_a_band_twice(self, tmp_path: Path) -> None:
        cube = plain(NUMBERS)
        cube["red"] = (("time", "y", "x"), NUMBERS)
        with pytest.raises(SourceError, match="both B04 and red are red"):
            written(tmp_path, cube)

    def test_no_time(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"time .*needed"):
            written(tmp_path, plain(NUMBERS).isel(time=0, drop=True))
