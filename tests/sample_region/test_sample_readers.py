"""The sample region through the project's own readers."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from agro.imagery import read_day
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions, load_region
from agro.schema.tables import validate
from agro.sources.imagery import open_imagery
from agro.sources.imagery.protocol import ImagerySource, Scene
from pipelines.sample_region.landscape import CRS, LEFT, SIDE_M, SIZE_PX, TOP

GRID = Grid(crs=CRS, left=LEFT, top=TOP, resolution_m=10.0, width=SIZE_PX, height=SIZE_PX)


@pytest.fixture(scope="module")
def source(sample_tiles: Path) -> ImagerySource:
    region = load_region(sample_tiles)
    return open_imagery(region.imagery[0], region.folder)


@pytest.fixture(scope="module")
def by_day(source: ImagerySource) -> dict[date, list[Scene]]:
    found = source.search(date(2021, 9, 1), date(2022, 7, 31))
    assert found.rejected.empty
    days: dict[date, list[Scene]] = {}
    for scene in found.scenes:
        days.setdefault(scene.date, []).append(scene)
    return days


def ndvi(cube: object) -> np.ndarray:
    nir, red = cube["nir"].values[0], cube["red"].values[0]  # type: ignore[index]
    return np.asarray((nir - red) / (nir + red))


def test_season_is_covered(by_day: dict[date, list[Scene]]) -> None:
    days = sorted(by_day)
    gaps = np.diff([d.toordinal() for d in days])
    assert len(days) >= 45 and days[0] < date(2021, 9, 20) and days[-1] > date(2022, 7, 20)
    assert set(gaps % 5) == {0} and gaps.max() <= 25


def test_offset_changes_in_mid_season_and_reflectance_does_not_jump(
    source: ImagerySource, by_day: dict[date, list[Scene]]
) -> None:
    mask = MaskOptions()
    before = [d for d in sorted(by_day) if d < date(2022, 1, 25) and len(by_day[d]) == 1]
    after = [d for d in sorted(by_day) if d >= date(2022, 1, 25)]
    assert {s.offset for d in before for s in by_day[d]} == {0.0}
    assert {s.offset for d in after for s in by_day[d]} == {-1000.0}
    levels = []
    for day in (before[-1], after[0]):
        found = read_day(source, by_day[day], GRID, ("red", "nir"), mask)
        assert found.scenes["used"].all() and found.rejected.empty
        clear = found.cube["qa"].values[0] == 0
        levels.append(float(np.median(found.cube["red"].values[0][clear])))
    assert levels[0] == pytest.approx(levels[1], rel=0.25)


def test_halves_make_one_whole(source: ImagerySource, by_day: dict[date, list[Scene]]) -> None:
    pairs = {d: s for d, s in by_day.items() if len(s) == 2}
    halves = [d for d, s in pairs.items() if len({one.processing_baseline for one in s}) == 1]
    assert len(pairs) == 2 and len(halves) == 1
    bands = ("red", "nir", "swir16")
    whole = read_day(source, pairs[halves[0]], GRID, bands, MaskOptions())
    one = read_day(source, pairs[halves[0]][:1], GRID, bands, MaskOptions())
    assert np.isfinite(whole.cube["red"].values).all()
    assert 0.4 < np.isfinite(one.cube["red"].values).mean() < 0.6


def test_duplicate_is_of_one_datatake_and_counts_once(source: ImagerySource, by_day: dict[date, list[Scene]]) -> None:
    (twice,) = [s for s in by_day.values() if len(s) == 2 and len({one.processing_baseline for one in s}) == 2]
    assert len({one.datatake for one in twice}) == 1
    both = read_day(source, twice, GRID, ("red", "nir"), MaskOptions())
    newest = max(twice, key=lambda s: float(s.processing_baseline or 0))
    alone = read_day(source, [newest], GRID, ("red", "nir"), MaskOptions())
    assert np.array_equal(both.cube["red"].values, alone.cube["red"].values, equal_nan=True)


def test_truncated_file_costs_no_more_than_its_scene(source: ImagerySource, by_day: dict[date, list[Scene]]) -> None:
    hurt = []
    for day in sorted(by_day):
        found = read_day(source, by_day[day], GRID, ("swir16",), MaskOptions())
        if len(found.rejected):
            hurt.append(day)
    assert len(hurt) == 1 and hurt[0] < date(2022, 4, 11)  # seen in the demo's week


def test_ndvi_of_crops_is_that_of_the_field(
    source: ImagerySource, by_day: dict[date, list[Scene]], sample_tiles: Path
) -> None:
    parcels = gpd.read_file(sample_tiles / "parcels.geojson").to_crs(CRS)
    x = LEFT + (np.arange(SIZE_PX) + 0.5) * 10
    y = TOP - (np.arange(SIZE_PX) + 0.5) * 10
    xx, yy = np.meshgrid(x, y)
    points = gpd.GeoSeries(gpd.points_from_xy(xx.ravel(), yy.ravel()), crs=CRS)
    joined = gpd.sjoin(
        gpd.GeoDataFrame(geometry=points), parcels[["crop", "irrigation", "geometry"]].set_geometry(parcels.buffer(-15))
    )
    seen = []
    for day in sorted(by_day)[::3]:
        found = read_day(source, by_day[day], GRID, ("red", "nir"), MaskOptions())
        index = np.where(found.cube["qa"].values[0] == 0, ndvi(found.cube), np.nan).ravel()
        seen.append(joined.assign(month=day.month, ndvi=index[joined.index]).dropna())
    mean = pd.concat(seen).query("irrigation != 'rainfed'").groupby(["crop", "month"])["ndvi"].mean()
    assert 0.12 < mean["wheat_winter", 10] < 0.2 and 0.7 < mean["wheat_winter", 3] < 0.92
    assert mean["wheat_winter", 7] < 0.22
    assert 0.75 < mean["sugar_beet", 4] < 0.93 and 0.7 < mean["maize_silage", 6] < 0.93
    assert 0.3 < mean["olive"].mean() < 0.6 and 0.5 < mean["citrus"].mean() < 0.8
    assert mean["alfalfa"].min() > 0.3


def test_parcels_lie_within_the_scenes_and_apart(sample_tiles: Path) -> None:
    parcels = gpd.read_file(sample_tiles / "parcels.geojson").to_crs(CRS)
    left, bottom, right, top = parcels.total_bounds
    assert left > LEFT and right < LEFT + SIDE_M and top < TOP and bottom > TOP - SIDE_M
    assert parcels.is_valid.all()
    assert parcels.union_all().area == pytest.approx(parcels.area.sum(), rel=1e-6)
    assert (parcels.buffer(-5).area / 100 < 8).sum() == 2  # too narrow to be seen
    assert np.allclose(parcels.area, parcels["metrics:area"], rtol=1e-3)
    assert 2 <= (parcels["irrigation"] == "rainfed").sum() <= 3
    assert parcels["cooperative"].nunique() == 2


def test_soil_survey_misses_some_fields(sample_tiles: Path) -> None:
    soil = validate(pd.read_csv(sample_tiles / "soil" / "soil.csv"), "soil")
    assert soil["parcel_uid"].nunique() in (56, 57)
    assert (soil["fc_m3_m3"] - soil["wp_m3_m3"]).between(0.06, 0.25).all()


def test_forecast_error_grows_with_lead(sample_tiles: Path) -> None:
    forecast = pd.read_csv(sample_tiles / "weather" / "forecast.csv", parse_dates=["issued_at", "date"])
    station = pd.read_csv(sample_tiles / "weather" / "station.csv", parse_dates=["date"])
    assert set(forecast["issued_at"].dt.day_of_week) == {0, 3}
    assert set(forecast.groupby("issued_at")["member"].nunique()) == {8}
    both = forecast.merge(station, on="date", suffixes=("", "_station"))
    error = (both["tmax_c"] - both["tmax_c_station"]).abs().groupby((both["date"] - both["issued_at"]).dt.days).mean()
    assert list(error.index) == list(range(1, 10)) and error[9] > 1.5 * error[1]
    assert 330 <= len(station) < 334  # a few days are missing


def test_truth_has_no_gap(sample_tiles: Path) -> None:
    water = pd.read_parquet(sample_tiles / "truth" / "soil_water.parquet")
    assert water.notna().all().all()
    assert water.groupby("parcel_uid").size().eq(334).all() and water["parcel_uid"].nunique() == 60
    assert water["storage_0_1m_mm"].between(60, 400).all() and water["eta_mm"].between(0, 14).all()
