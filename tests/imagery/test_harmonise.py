from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.imagery.harmonise import decide_offset, pixel_evidence, to_reflectance

SHAPE = (30, 30)
#: Reflectance x 10000 of common surfaces: blue, green, red, nir, swir16, swir22.
SURFACES = {
    "wheat": (300, 600, 350, 4600, 1700, 800),
    "maize": (350, 750, 420, 5000, 2200, 1050),
    "olive": (700, 1000, 1100, 2600, 2600, 1900),
    "bright_soil": (1300, 1900, 2500, 3200, 4000, 3500),
    "dark_soil": (600, 800, 1000, 1500, 2000, 1700),
    "water": (500, 550, 400, 200, 80, 40),
}
NAMES = ("blue", "green", "red", "nir", "swir16", "swir22")
#: Path reflectance of haze, strong in blue, nearly none in the shortwave infrared.
HAZE = (1.0, 0.75, 0.55, 0.25, 0.05, 0.02)


def bands(surfaces: dict[str, float], offset: float = 0, haze: float = 0) -> dict[str, np.ndarray]:
    """Numbers of a scene of given shares of surfaces."""
    rng = np.random.default_rng(3)
    names, shares = list(surfaces), np.array(list(surfaces.values()))
    which = rng.choice(len(names), size=SHAPE, p=shares / shares.sum())
    out = {}
    for number, band in enumerate(NAMES):
        values = np.array([SURFACES[name][number] for name in names], dtype=float)[which] * rng.normal(1, 0.05, SHAPE)
        path = haze * HAZE[number]
        out[band] = values * (1 - path / 10000) + path + offset
    return out


CLEAR = np.ones(SHAPE, dtype=bool)


@pytest.mark.parametrize("haze", [0, 600, 1200])
@pytest.mark.parametrize(
    "surfaces",
    [{"wheat": 1}, {"wheat": 0.3, "bright_soil": 0.7}, {"olive": 1}, {"bright_soil": 1}, {"bright_soil": 0.95, "dark_soil": 0.05}, {"bright_soil": 0.9, "water": 0.1}],
    ids=str,
)  # fmt: skip
def test_never_says_the_wrong_thing(surfaces: dict[str, float], haze: float) -> None:
    assert pixel_evidence(bands(surfaces, 0, haze), CLEAR) in (False, None)
    assert pixel_evidence(bands(surfaces, 1000, haze), CLEAR) in (True, None)


def test_dark_pixels_prove_that_there_is_no_offset() -> None:
    assert pixel_evidence(bands({"bright_soil": 0.9, "water": 0.1}), CLEAR) is False
    assert pixel_evidence(bands({"dark_soil": 1}), CLEAR) is False


def test_a_dense_canopy_dark_nowhere_proves_the_offset() -> None:
    assert pixel_evidence(bands({"wheat": 0.3, "bright_soil": 0.7}, 1000), CLEAR) is True


def test_dry_and_bright_land_proves_neither() -> None:
    for offset in (0, 1000):
        assert pixel_evidence(bands({"bright_soil": 1}, offset), CLEAR) is None


def test_haze_over_a_canopy_is_not_an_offset() -> None:
    hazy = bands({"maize": 1}, 0, 1600)
    # Dark in no band, and dense: blue and red alone look as if they carried the offset.
    assert min(np.percentile(hazy[b], 10) for b in ("blue", "red")) > 1000
    assert min(float(values.min()) for values in hazy.values()) > 800
    assert (hazy["nir"] - hazy["red"] >= 3500).sum() > 100
    assert pixel_evidence(hazy, CLEAR) is None
    assert pixel_evidence({b: hazy[b] for b in ("blue", "green", "red", "nir")}, CLEAR) is None
    assert pixel_evidence(bands({"maize": 1}, 1000, 1600), CLEAR) is True


def test_a_few_overcorrected_shadows_do_not_count() -> None:
    numbers = bands({"wheat": 0.5, "bright_soil": 0.5}, 1000)
    numbers["blue"].ravel()[:15] = 600  # reflectance -0.04
    assert pixel_evidence(numbers, CLEAR) is True


def test_only_clear_pixels_count_and_enough_of_them() -> None:
    numbers = bands({"wheat": 1})
    few = np.zeros(SHAPE, dtype=bool)
    few.ravel()[:49] = True
    assert pixel_evidence(numbers, few) is None
    assert pixel_evidence(numbers, ~CLEAR) is None
    assert pixel_evidence({"nir": numbers["nir"]}, CLEAR) is None


@pytest.mark.parametrize(
    ("stated", "offset", "result", "state"),
    [
        (0.0, 0, 0.0, "not_needed"), (-1000.0, 1000, -1000.0, "applied"), (None, 0, 0.0, "not_needed"),
        (None, 1000, -1000.0, "applied"), (0.0, 1000, None, "quarantined"), (-1000.0, 0, None, "quarantined"),
    ],
)  # fmt: skip
def test_metadata_against_pixels(stated: float | None, offset: float, result: float | None, state: str) -> None:
    verdict = decide_offset(stated, 1e-4, bands({"wheat": 0.5, "bright_soil": 0.5}, offset), CLEAR)
    assert (verdict.offset, verdict.state) == (result, state)
    assert (state == "quarantined") == ("the pixels" in verdict.reason and "metadata" in verdict.reason)


@pytest.mark.parametrize(("stated", "state"), [(0.0, "not_needed"), (-1000.0, "applied"), (None, "unknown")])
def test_undecided_keeps_the_metadata(stated: float | None, state: str) -> None:
    verdict = decide_offset(stated, 1e-4, bands({"bright_soil": 1}), CLEAR)
    assert (verdict.offset, verdict.state) == (stated or 0.0, state)
    assert ("neither stated nor evident" in verdict.reason) == (stated is None)


def test_reflectance_itself_is_not_checked() -> None:
    numbers = {band: values / 10000 for band, values in bands({"wheat": 1}).items()}
    assert decide_offset(0.0, 1.0, numbers, CLEAR).state == "not_needed"


@settings(max_examples=50)
@given(st.floats(0, 20000), st.sampled_from([0.0, -1000.0]))
def test_reflectance(number: float, offset: float) -> None:
    out = to_reflectance(np.array([number, np.nan]), offset, 1e-4)
    assert out.dtype == np.float32
    assert out[0] == pytest.approx((number + offset) / 10000, abs=1e-6)
    assert np.isnan(out[1])


@pytest.mark.real_data
@pytest.mark.parametrize("added", [0, 1000])
def test_real_months_with_and_without_the_offset(shared_data: Path, added: float) -> None:
    from datetime import date

    from agro.schema.grid import Grid
    from agro.sources.imagery.cube_file import CubeFile

    source = CubeFile(shared_data / "s2-monthly-2021" / "worldcereal_preprocessed_inputs.nc")
    x, y = source.cube["x"].values, source.cube["y"].values
    grid = Grid("EPSG:32631", float(x.min()) - 5, float(y.max()) + 5, 10.0, len(x), len(y))
    verdicts = []
    for scene in source.search(date(2000, 1, 1), date(2030, 1, 1)).scenes:
        numbers = {band: source.read(scene, band, grid) + added for band in scene.assets}
        verdicts.append(pixel_evidence(numbers, np.ones(grid.shape, dtype=bool)))
    # Ten months with pixels, every one judged right; two without any.
    assert sorted(map(str, verdicts)) == sorted([str(bool(added))] * 10 + ["None"] * 2)
