from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_source import DAY, GRID, MemoryScene, MemorySource, half, scene

from agro.imagery import Day, group_by_day, read_day
from agro.schema.bands import Quality
from agro.schema.errors import ContractError
from agro.schema.region import MaskOptions
from agro.schema.tables import validate

BANDS = ("red", "nir", "swir16")
WEST = np.s_[:, : GRID.width // 2]
EAST = np.s_[:, GRID.width // 2 :]


def day_of(*scenes: MemoryScene, bands: tuple[str, ...] = BANDS, dilate_m: float = 0) -> Day:
    return read_day(MemorySource(), scenes, GRID, bands, MaskOptions(dilate_m=dilate_m))


def red(day: Day) -> np.ndarray:
    assert day.cube is not None
    return np.asarray(day.cube["red"].values[0])


def said(day: Day) -> dict[str, str | None]:
    return {r.scene_id: (r.reason if isinstance(r.reason, str) else None) for r in day.scenes.itertuples()}


def used(day: Day) -> set[str]:
    return set(day.scenes.loc[day.scenes["used"], "scene_id"])


class TestCube:
    def test_contract(self) -> None:
        day = day_of(scene(processing_baseline="03.01", relative_orbit=37))
        cube = day.cube
        assert cube is not None
        assert set(cube.data_vars) == {*BANDS, "qa"}
        assert cube["red"].dims == ("time", "y", "x")
        assert cube["red"].shape == (1, *GRID.shape)
        assert (cube["red"].dtype, cube["qa"].dtype) == (np.float32, np.uint8)
        assert cube.attrs == {"crs": GRID.crs, "transform": list(GRID.transform)}
        assert float(cube["x"][0]) == GRID.left + 5
        assert float(cube["y"][0]) == GRID.top - 5
        assert cube["time"].values[0] == np.datetime64(DAY, "ns")
        for key, value in {
            "scene_ids": "a",
            "provider": "memory",
            "processing_baseline": "03.01",
            "offset_state": "not_needed",
        }.items():
            assert cube[key].dims == ("time",)
            assert cube[key].values[0] == value
        validate(day.scenes, "scenes")
        validate(day.rejected, "rejected")
        row = day.scenes.iloc[0]
        assert (row["clear_frac"], row["used"], row["relative_orbit"], row["offset_state"]) == (
            1.0,
            True,
            37,
            "not_needed",
        )

    def test_offset_and_negative_reflectance(self) -> None:
        day = day_of(scene(level=990, offset=-1000.0, classes=4))
        assert day.scenes["offset_state"][0] == "applied"
        np.testing.assert_allclose(red(day), -0.001, atol=1e-7)

    def test_bands_that_nobody_offers_are_absent(self) -> None:
        day = day_of(scene(), bands=(*BANDS, "rededge1"))
        assert day.cube is not None
        assert "rededge1" not in day.cube

    def test_missing_classification_keeps_pixels_and_says_so(self) -> None:
        one = scene()
        day = day_of(replace(one, pixels={b: v for b, v in one.pixels.items() if b != "scl"}))
        assert day.cube is not None
        assert (day.cube["qa"].values == 0).all()
        assert used(day) == {"a"}
        assert "clouds are not masked" in str(said(day)["a"])

    def test_pixels_without_any_band_are_nodata(self) -> None:
        values = np.full(GRID.shape, 500.0)
        values[2, 3] = 0
        day = day_of(scene(pixels={"red": values}))
        assert day.cube is not None
        assert np.isnan(red(day)[2, 3])
        assert day.cube["qa"].values[0, 2, 3] == 0  # nir is there
        day = day_of(scene(pixels=dict.fromkeys(BANDS, values)))
        assert day.cube is not None
        assert day.cube["qa"].values[0, 2, 3] == Quality.NODATA

    def test_clear_share_is_of_the_pixels_held(self) -> None:
        classes = np.full(GRID.shape, 4)
        classes[:, :3] = 9
        assert day_of(scene(classes=classes)).scenes["clear_frac"][0] == pytest.approx(9 / 12)
        assert day_of(half(scene(classes=classes), west=True)).scenes["clear_frac"][0] == pytest.approx(3 / 6)


class TestFaults:
    def test_one_broken_band_costs_that_band(self) -> None:
        day = day_of(scene(broken=("swir16",)))
        assert day.cube is not None
        assert np.isnan(day.cube["swir16"].values).all()
        assert np.isfinite(day.cube["red"].values).all()
        assert used(day) == {"a"}
        assert list(day.rejected["item"]) == ["a swir16"]
        assert "a/swir16.tif" in day.rejected["reason"][0]
        assert said(day)["a"] == "swir16 cannot be read"

    def test_broken_classification_costs_the_scene_and_not_the_day(self) -> None:
        day = day_of(scene("a", broken=("scl",)), scene("b", level=600))
        assert used(day) == {"b"}
        np.testing.assert_allclose(red(day), 0.06)
        assert list(day.rejected["item"]) == ["a"]
        assert np.isnan(day.scenes.set_index("scene_id").loc["a", "clear_frac"])

    def test_all_bands_broken(self) -> None:
        day = day_of(scene(broken=BANDS))
        assert day.cube is None
        assert used(day) == set()
        assert len(day.rejected) == len(BANDS) + 1
        assert day.rejected["reason"].str.contains("no band of the scene can be read").any()

    def test_none_of_the_bands_offered(self) -> None:
        day = day_of(scene(), bands=("rededge1",))
        assert day.cube is None
        assert day.rejected["reason"][0].endswith("Ask for other bands")

    def test_scene_off_the_grid(self) -> None:
        nothing = {band: np.zeros(GRID.shape) for band in (*BANDS, "scl")}
        day = day_of(scene(pixels=nothing))
        assert day.cube is None
        assert said(day)["a"] is not None
        assert "no pixel on the grid" in str(said(day)["a"])
        assert np.isnan(day.scenes["clear_frac"][0])

    def test_wrong_shape_of_a_plugin(self) -> None:
        day = day_of(scene("a", pixels={"scl": np.full((2, 2), 4)}), scene("b"))
        assert used(day) == {"b"}
        assert "shape (2, 2)" in day.rejected["reason"][0]

    def test_metadata_and_pixels_disagree(self) -> None:
        day = day_of(scene("a", level=500, offset=-1000.0), scene("b", level=700))
        assert used(day) == {"b"}
        states = dict(zip(day.scenes["scene_id"], day.scenes["offset_state"], strict=True))
        assert states == {"a": "quarantined", "b": "not_needed"}
        assert "pixels do not" in day.rejected["reason"][0]
        np.testing.assert_allclose(red(day), 0.07)

    def test_more_bands_are_read_only_when_the_verdict_is_open(self) -> None:
        source = MemorySource()
        blue = {"blue": np.full(GRID.shape, 300.0), "swir22": np.full(GRID.shape, 900.0)}
        read_day(source, [scene(level=500, pixels=blue)], GRID, ("red",), MaskOptions())
        assert {band for _, band in source.reads} == {"scl", "red"}
        # Red alone is bright; blue shows that nothing is to be taken away.
        source = MemorySource()
        day = read_day(source, [scene(level=1500, offset=-1000.0, pixels=blue)], GRID, ("red",), MaskOptions())
        assert {band for _, band in source.reads} == {"scl", "red", "nir", "blue", "swir22"}
        assert day.scenes["offset_state"][0] == "quarantined"

    def test_a_broken_band_of_evidence_is_no_loss(self) -> None:
        blue = {"blue": np.full(GRID.shape, 300.0)}
        day = day_of(scene(level=1500, pixels=blue, broken=("blue",)), bands=("red",))
        assert used(day) == {"a"}
        assert day.rejected.empty
        assert "blue cannot be read to check the offset" in str(said(day)["a"])

    def test_callers_mistakes(self) -> None:
        with pytest.raises(ContractError, match="more than one day"):
            day_of(scene("a"), scene("b", date=date(2022, 3, 9)))
        with pytest.raises(ContractError, match="given twice"):
            day_of(scene("a"), scene("a"))
        empty = day_of()
        assert empty.cube is None
        assert empty.scenes.empty


class TestMerge:
    def test_highest_baseline_wins_as_a_number(self) -> None:
        old = scene("x_0", level=500, processing_baseline="05.09", datatake="GS2B_20220308T110621_026000_N05.09")
        new = scene("x_1", level=600, processing_baseline="N0512", datatake="GS2B_20220308T110621_026000_N05.12")
        for order in ((old, new), (new, old)):
            day = day_of(*order)
            np.testing.assert_allclose(red(day), 0.06)
            assert used(day) == {"x_1"}
            assert said(day)["x_0"] == "adds no pixel to the day's other scenes"

    def test_newer_classification_is_not_overruled_by_an_older_one(self) -> None:
        cloudy = np.full(GRID.shape, 4)
        cloudy[WEST] = 9
        old = scene("x_0", processing_baseline="02.14", datatake="GS2B_1_N02.14")
        new = scene("x_1", processing_baseline="05.00", datatake="GS2B_1_N05.00", classes=cloudy)
        day = day_of(old, new)
        assert day.cube is not None
        assert (day.cube["qa"].values[0][WEST] == Quality.CLOUD).all()
        assert used(day) == {"x_1"}

    def test_another_pass_of_the_day_shows_what_clouds_hid(self) -> None:
        cloudy = np.full(GRID.shape, 4)
        cloudy[WEST] = 9
        morning = scene("a", level=500, processing_baseline="05.00", datatake="GS2A_1_N05.00", classes=cloudy)
        later = scene("b", level=600, processing_baseline="04.00", datatake="GS2B_2_N04.00")
        day = day_of(morning, later)
        np.testing.assert_allclose(red(day)[EAST], 0.05)
        np.testing.assert_allclose(red(day)[WEST], 0.06)
        assert day.cube is not None
        assert (day.cube["qa"].values == 0).all()
        assert day.cube["scene_ids"].values[0] == "a+b"

    def test_halves_are_joined_and_counted_once(self) -> None:
        west, east = half(scene("x_0", level=500), west=True), half(scene("x_1", level=600), west=False)
        day = day_of(west, east)
        np.testing.assert_allclose(red(day)[WEST], 0.05)
        np.testing.assert_allclose(red(day)[EAST], 0.06)
        assert used(day) == {"x_0", "x_1"}
        assert day.cube is not None
        assert (day.cube["qa"].values == 0).all()
        assert day.cube.sizes["time"] == 1

    def test_a_half_beside_the_whole(self) -> None:
        whole, part = (
            scene("a", level=500, processing_baseline="03.00"),
            half(scene("b", level=600, processing_baseline="05.00"), west=True),
        )
        day = day_of(whole, part)
        np.testing.assert_allclose(red(day)[WEST], 0.06)
        np.testing.assert_allclose(red(day)[EAST], 0.05)

    def test_a_broken_band_is_taken_from_the_duplicate(self) -> None:
        good = scene("x_0", level=500, processing_baseline="03.00")
        bad = scene("x_1", level=600, processing_baseline="05.00", broken=("swir16",))
        day = day_of(good, bad)
        assert day.cube is not None
        np.testing.assert_allclose(day.cube["red"].values, 0.06)
        np.testing.assert_allclose(day.cube["swir16"].values, 0.2)
        assert used(day) == {"x_0", "x_1"}

    def test_of_equals_the_one_that_can_be_read_goes_first(self) -> None:
        day = day_of(scene("x_0", level=500, broken=("swir16",)), scene("x_1", level=600))
        np.testing.assert_allclose(red(day), 0.06)

    @settings(max_examples=40, deadline=None)
    @given(st.integers(0, 10_000), st.permutations(range(4)))
    def test_order_does_not_matter_and_no_clear_pixel_is_lost(self, seed: int, order: list[int]) -> None:
        rng = np.random.default_rng(seed)
        scenes = []
        for number in range(4):
            classes = rng.choice([0, 4, 5, 9], size=GRID.shape)
            one = scene(
                f"s{number}",
                level=400 + 50 * number,
                classes=classes,
                processing_baseline=f"0{rng.integers(2, 6)}.00",
                datatake=f"T{number}",
            )
            scenes.append(one)
        day = day_of(*(scenes[i] for i in order))
        again = day_of(*scenes)
        assert day.cube is not None
        assert again.cube is not None
        assert day.cube.identical(again.cube)
        clear = np.logical_or.reduce([np.isin(s.pixels["scl"], (4, 5)) for s in scenes])
        np.testing.assert_array_equal(day.cube["qa"].values[0] == 0, clear)
        assert np.isin(np.round(red(day)[clear] * 1e4), [400, 450, 500, 550]).all()


def test_days_are_grouped_oldest_first() -> None:
    scenes = [scene("b"), scene("a"), scene("c", date=date(2021, 1, 1))]
    days = group_by_day(scenes)
    assert list(days) == [date(2021, 1, 1), DAY]
    assert [s.scene_id for s in days[DAY]] == ["a", "b"]
