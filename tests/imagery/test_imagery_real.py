"""Real cubes, and the simulated sample, from file to cube of the day."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agro import indices
from agro.imagery import Day, group_by_day, read_day
from agro.schema.bands import SENTINEL2_RESOLUTION_M
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions
from agro.sources.imagery.cube_file import CubeFile
from agro.sources.imagery.stac_folder import StacFolder

FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)


def opened(path: Path) -> tuple[CubeFile, Grid]:
    source = CubeFile(path)
    x, y = source.cube["x"].values, source.cube["y"].values
    return source, Grid(f"EPSG:{source.crs.to_epsg()}", float(x.min()) - 5, float(y.max()) + 5, 10.0, len(x), len(y))


def days_of(source: CubeFile, grid: Grid, *bands: str, mask: MaskOptions | None = None) -> dict[date, Day]:
    found = source.search(FIRST, LAST)
    assert found.rejected.empty
    return {d: read_day(source, s, grid, bands, mask or MaskOptions()) for d, s in group_by_day(found.scenes).items()}


@pytest.fixture(scope="module")
def castilla(shared_data: Path) -> tuple[CubeFile, Grid]:
    return opened(shared_data / "s2-castilla-y-leon-2019" / "raw_s2_ndvi_field.nc")


@pytest.mark.real_data
class TestCastilla:
    """33 dates of one field, floats of reflectance x 10000, NaN outside the field."""

    def test_scale_is_found(self, castilla: tuple[CubeFile, Grid]) -> None:
        source, _ = castilla
        assert source.scale == 0.0001
        assert source.offset is None
        assert set(source.bands) == {"red", "nir", "scl"}

    def test_ndvi_is_that_of_the_file(self, castilla: tuple[CubeFile, Grid]) -> None:
        source, grid = castilla
        days = days_of(source, grid, "red", "nir")
        assert len(days) == 33
        counts = []
        for step, day in enumerate(days.values()):
            assert day.cube is not None
            own = source.cube["NDVI"].isel(time=step).transpose("y", "x").values
            ours = indices.compute("ndvi", {str(k): v for k, v in day.cube.data_vars.items()})
            np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(own))
            counts.append(int(np.isfinite(ours).sum()))
            np.testing.assert_allclose(ours, own, atol=2e-4)  # the file rounds its bands
        assert max(counts) == 2322

    def test_nothing_but_the_field_is_there(self, castilla: tuple[CubeFile, Grid]) -> None:
        source, grid = castilla
        day = days_of(source, grid, "red", "nir")[date(2019, 4, 27)]
        assert day.cube is not None
        assert (day.cube["qa"].values == 0).sum() == 2322
        assert day.scenes["clear_frac"][0] == 1.0
        assert day.scenes["offset_state"][0] == "not_needed"  # dense wheat is dark in red
        assert 0.5 < float(day.cube["nir"].max()) < 0.7


@pytest.mark.real_data
def test_two_clear_dates_of_a_cloudy_autumn(shared_data: Path) -> None:
    source, grid = opened(shared_data / "s2-cloudy-autumn-2023" / "test_optical_cube.nc")
    days = days_of(source, grid, "red", "nir", "blue", "green")
    assert len(days) == 19
    clear = {d: float(day.scenes["clear_frac"][0]) for d, day in days.items()}
    assert {d for d, share in clear.items() if share > 0.9} == {date(2023, 10, 22), date(2023, 12, 26)}
    assert clear[date(2023, 10, 7)] == pytest.approx(0.095, abs=0.005)
    assert all(
        share == 0 for d, share in clear.items() if d not in {date(2023, 10, 7), date(2023, 10, 22), date(2023, 12, 26)}
    )
    for day in (date(2023, 10, 22), date(2023, 12, 26)):
        cube = days[day].cube
        assert cube is not None
        ndvi = indices.compute("ndvi", {str(k): v for k, v in cube.data_vars.items()})
        assert np.isfinite(ndvi).all()
        assert 0.2 < np.median(ndvi) < 0.8
        assert days[day].scenes["offset_state"][0] == "not_needed"


@pytest.mark.real_data
def test_months_without_pixels_and_red_edge(shared_data: Path) -> None:
    source, grid = opened(shared_data / "s2-monthly-2021" / "worldcereal_preprocessed_inputs.nc")
    bands = [b for b in SENTINEL2_RESOLUTION_M if b not in {"coastal", "nir09"}]
    days = days_of(source, grid, *bands)
    without = [d for d, day in days.items() if day.cube is None]
    assert without == [date(2020, 12, 1), date(2021, 1, 1)]
    for d in without:
        assert "no pixel on the grid" in days[d].scenes["reason"][0]
        assert np.isnan(days[d].scenes["clear_frac"][0])
    summer = days[date(2021, 6, 1)].cube
    assert summer is not None
    assert "nir08" not in summer  # the file has none
    bare = {str(k): v for k, v in summer.data_vars.items()}
    for key in ("ndre", "cire", "mtci", "ndmi", "nbr", "s2rep", "ireci", "bsi"):
        values = indices.compute(key, bare)
        low, high = indices.catalogue()[key].valid_range
        assert np.isfinite(values).mean() > 0.9, key
        assert low <= np.nanmin(values) <= np.nanmax(values) <= high, key
    assert 715 < np.nanmedian(indices.compute("s2rep", bare)) < 730
    assert "clouds are not masked" in days[date(2021, 6, 1)].scenes["reason"][0]


@dataclass(frozen=True)
class SampleDays:
    days: dict[date, Day]
    processor_s: list[float]


SAMPLE_GRID = Grid("EPSG:32629", 618000.0, 3505000.0, 10.0, 250, 250)
SAMPLE_BANDS = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")


@pytest.fixture(scope="module")
def sample(sample_tiles: Path) -> SampleDays:
    source = StacFolder(sample_tiles / "imagery")
    found = source.search(FIRST, LAST)
    assert found.rejected.empty
    days, spent = {}, []
    for d, scenes in group_by_day(found.scenes).items():
        began = time.process_time()
        days[d] = read_day(source, scenes, SAMPLE_GRID, SAMPLE_BANDS, MaskOptions())
        spent.append(time.process_time() - began)
    return SampleDays(days, spent)


@pytest.fixture(scope="module")
def days(sample: SampleDays) -> dict[date, Day]:
    return sample.days


class TestSample:
    def test_every_day_comes_out(self, days: dict[date, Day]) -> None:
        assert len(days) >= 50
        assert all(day.cube is not None for day in days.values())

    def test_offset_from_the_day_on_and_never_twice(self, days: dict[date, Day]) -> None:
        scenes = pd.concat([day.scenes for day in days.values()])
        assert not scenes["offset_state"].isin(["unknown", "quarantined"]).any()
        new = scenes["processing_baseline"].astype(float) >= 4
        assert (scenes.loc[new, "offset_state"] == "applied").all()
        assert (scenes.loc[~new, "offset_state"] == "not_needed").all()
        assert new.any()
        assert (~new).any()

    def test_no_step_where_the_offset_begins(self, days: dict[date, Day]) -> None:
        level = {}
        for d, day in days.items():
            assert day.cube is not None
            clear = day.cube["qa"].values[0] == 0
            if clear.mean() > 0.9:
                level[d] = float(np.median(day.cube["swir22"].values[0][clear]))
        before = [v for d, v in level.items() if date(2021, 12, 1) <= d < date(2022, 1, 25)]
        after = [v for d, v in level.items() if date(2022, 1, 25) <= d <= date(2022, 3, 1)]
        assert abs(np.mean(before) - np.mean(after)) < 0.06  # a missed offset is a step of 0.1

    def test_duplicate_halves_and_broken_file(self, days: dict[date, Day]) -> None:
        several = {d: day for d, day in days.items() if len(day.scenes) > 1}
        assert len(several) == 2
        halves = next(day for day in several.values() if day.scenes["used"].all())
        double = next(day for day in several.values() if not day.scenes["used"].all())
        assert halves.cube is not None
        assert (halves.cube["qa"].values & 1 == 0).all()
        kept, left = double.scenes[double.scenes["used"]].iloc[0], double.scenes[~double.scenes["used"]].iloc[0]
        assert float(kept["processing_baseline"]) > float(left["processing_baseline"])
        broken = [(d, day) for d, day in days.items() if len(day.rejected)]
        assert len(broken) == 1
        day = broken[0][1]
        assert len(day.rejected) == 1
        band = day.rejected["item"][0].split()[-1]
        assert day.cube is not None
        assert np.isnan(day.cube[band].values).all()
        assert np.isfinite(day.cube["red"].values).any()
        assert day.scenes["used"].all()

    def test_a_day_of_ten_bands_takes_less_than_0_3_s(self, sample: SampleDays) -> None:
        # Processor time, so that other programs do not count.
        assert np.median(sample.processor_s) < 0.3
