"""The same pixels in every form on disk: from file to the cube of the day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import small_safe
import small_scenes as small
import xarray as xr

from agro.imagery import group_by_day, read_day
from agro.schema.bands import Quality
from agro.schema.region import ImagerySpec, MaskOptions
from agro.sources.imagery import open_imagery

FORMS = {
    "stac": ("stac", small.write_stac),
    "geotiff": ("geotiff", small.write_geotiffs),
    "netcdf": ("cube", small.write_netcdf),
    "zarr": ("cube", small.write_zarr),
    "safe": ("safe", small_safe.write_safe),
    "safe zips": ("safe", small_safe.write_safe_zips),
}
NAMES = {
    "stac": "items",
    "geotiff": "tiffs",
    "netcdf": "cube.nc",
    "zarr": "cube.zarr",
    "safe": "products",
    "safe zips": "zips",
}
BANDS = ("red", "nir", "swir16")
NO_GROWTH = MaskOptions(dilate_m=0)


def cubes_of(form: str, folder: Path) -> dict[date, xr.Dataset]:
    kind, write = FORMS[form]
    write(folder / NAMES[form])
    source = open_imagery(ImagerySpec(kind=kind, path=NAMES[form]), folder)
    found = source.search(date(2000, 1, 1), date(2030, 1, 1))
    out = {}
    for day, scenes in group_by_day(found.scenes).items():
        read = read_day(source, scenes, small.GRID, BANDS, NO_GROWTH)
        assert read.rejected.empty
        assert read.cube is not None
        out[day] = read.cube
    return out


@pytest.mark.parametrize("form", sorted(FORMS))
def test_reflectance_and_flags_are_those_written(form: str, tmp_path: Path) -> None:
    cubes = cubes_of(form, tmp_path)
    assert list(cubes) == list(small.DAYS)
    for day, cube in cubes.items():
        for band in BANDS:
            # The test's numbers are of reflectance x 10000 without an offset.
            expected = (small.on_grid(day, band) / 10000).astype("float32")
            np.testing.assert_allclose(cube[band].values[0], expected, rtol=1e-6, err_msg=band)
        classes = small.on_grid(day, "scl")
        dropped = np.isin(classes, NO_GROWTH.drop)
        np.testing.assert_array_equal(cube["qa"].values[0] != 0, dropped)
        assert (cube["qa"].values[0][:2] & int(Quality.NODATA)).all()
        # Something to see: neither all clear nor all masked.
        assert 0.2 < dropped.mean() < 0.8


def test_forms_agree_to_the_last_bit(tmp_path: Path) -> None:
    first, *others = (cubes_of(form, tmp_path) for form in sorted(FORMS))
    for other in others:
        for day in small.DAYS:
            for name in (*BANDS, "qa"):
                np.testing.assert_array_equal(first[day][name].values, other[day][name].values, err_msg=name)
                assert first[day][name].dtype == other[day][name].dtype
            for axis in ("y", "x"):
                np.testing.assert_array_equal(first[day][axis].values, other[day][axis].values)


@pytest.mark.parametrize("form", ["stac", "geotiff", "safe"])
def test_a_file_cut_short_costs_its_band_and_is_named(form: str, tmp_path: Path) -> None:
    kind, write = FORMS[form]
    folder = tmp_path / NAMES[form]
    write(folder)
    source = open_imagery(ImagerySpec(kind=kind, path=NAMES[form]), tmp_path)
    scenes = group_by_day(source.search(*small.DAYS[:1] * 2).scenes)[small.DAYS[0]]
    path = Path(scenes[0].assets["nir"])
    with rasterio.open(path) as whole:  # it was whole before
        assert whole.read(1).any()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    day = read_day(source, scenes, small.GRID, BANDS, NO_GROWTH)
    assert day.cube is not None
    assert np.isnan(day.cube["nir"].values).all()
    np.testing.assert_allclose(
        day.cube["red"].values[0], (small.on_grid(small.DAYS[0], "red") / 10000).astype("float32"), rtol=1e-6
    )
    assert len(day.rejected) == 1
    assert path.name in day.rejected["reason"][0]
    assert day.rejected["item"][0].endswith(" nir")
