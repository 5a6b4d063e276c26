from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agro.imagery.mask import quality_flags
from agro.schema.bands import Quality
from agro.schema.region import MaskOptions


def flags_of(value: int, **options: object) -> Quality:
    return Quality(int(quality_flags(np.full((3, 3), value, dtype="uint8"), 10, MaskOptions(**options))[1, 1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (0, Quality.NODATA), (1, Quality.SATURATED), (2, Quality.CLEAR), (3, Quality.SHADOW), (4, Quality.CLEAR),
        (5, Quality.CLEAR), (6, Quality.CLEAR), (7, Quality.CLEAR), (8, Quality.CLOUD), (9, Quality.CLOUD),
        (10, Quality.CIRRUS), (11, Quality.SNOW), (12, Quality.NODATA), (255, Quality.NODATA),
    ],
)  # fmt: skip
def test_classes(value: int, flag: Quality) -> None:
    assert flags_of(value) == flag


def test_the_user_drops_more_or_less() -> None:
    assert flags_of(2, drop=(0, 2, 7)) == Quality.EXCLUDED
    assert flags_of(7, drop=(0, 2, 7)) == Quality.EXCLUDED
    assert flags_of(9, drop=(0,)) == Quality.CLEAR


@pytest.mark.parametrize("value", [3, 8, 9, 10])
@pytest.mark.parametrize("resolution", [10.0, 20.0])
def test_dilation_is_in_metres(value: int, resolution: float) -> None:
    classes = np.full((21, 21), 4, dtype="uint8")
    classes[10, 10] = value
    flags = quality_flags(classes, resolution, MaskOptions(dilate_m=60))
    rows, columns = np.mgrid[:21, :21]
    away = np.hypot(rows - 10, columns - 10) * resolution
    expected = (away > 0) & (away <= 60)
    np.testing.assert_array_equal((flags & int(Quality.NEAR_CLOUD)) > 0, expected)
    assert (flags[away > 60] == 0).all()


@pytest.mark.parametrize("value", [0, 1, 11])
def test_nodata_saturation_and_snow_are_not_grown(value: int) -> None:
    classes = np.full((9, 9), 4, dtype="uint8")
    classes[4, 4] = value
    assert (quality_flags(classes, 10, MaskOptions(dilate_m=60)) > 0).sum() == 1


def test_no_dilation() -> None:
    classes = np.full((9, 9), 4, dtype="uint8")
    classes[4, 4] = 9
    assert (quality_flags(classes, 10, MaskOptions(dilate_m=0)) > 0).sum() == 1


@settings(max_examples=40, deadline=None)
@given(hnp.arrays("uint8", (12, 12), elements=st.integers(0, 11)), st.floats(0, 80), st.floats(0, 80))
def test_growing_further_never_clears_a_pixel(classes: np.ndarray, one: float, other: float) -> None:
    near, far = sorted([one, other])
    small = quality_flags(classes, 10, MaskOptions(dilate_m=near))
    large = quality_flags(classes, 10, MaskOptions(dilate_m=far))
    assert ((small > 0) <= (large > 0)).all()
    assert (small[np.isin(classes, MaskOptions().drop)] > 0).all()
