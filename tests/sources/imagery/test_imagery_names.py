from __future__ import annotations

from datetime import date, datetime

import pytest

from agro.sources.imagery.names import (
    baseline_number,
    common_name,
    day_in,
    product_in,
    resolution_in,
    solar_day,
    without_band,
)

PRODUCT = "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126"


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("B04", "red"), ("b4", "red"), ("B8", "nir"), ("B8A", "nir08"), ("B08_10m", "nir"), ("SCL_20m", "scl"),
        ("S2-L2A-B11", "swir16"), ("T29SPR_20220411T110621_B12_20m", "swir22"), ("red", "red"), ("nir08", "nir08"),
        ("s2_20220411_rededge1", "rededge1"), ("swir16_20m", "swir16"), ("visual", None), ("CLM", None), ("NDVI", None),
        ("S1-SIGMA0-VV", None), ("S2B_20220411", None), ("B10", None), ("B13", None), ("AGERA5-TMEAN", None),
    ],
)  # fmt: skip
def test_bands(text: str, band: str | None) -> None:
    assert common_name(text) == band


def test_days() -> None:
    assert day_in("S2A_29RPR_20220411_0") == date(2022, 4, 11)
    assert day_in("2022-04-11/B04") == date(2022, 4, 11)
    assert day_in(PRODUCT) == date(2022, 4, 13)
    assert day_in("x20220231") is None
    assert day_in("20220231_20220301") == date(2022, 3, 1)
    assert day_in("120220411") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("04.00", 4.0), ("N0400", 4.0), ("0301", 3.01), ("N0512", 5.12), ("05.09", 5.09), ("5.1", 5.10), ("", None), ("new", None), ("05.11.02", 5.11)],
)  # fmt: skip
def test_baselines_are_numbers(text: str, number: float | None) -> None:
    assert baseline_number(text) == pytest.approx(number) if number is not None else baseline_number(text) is None


def test_n0512_is_newer_than_5_09() -> None:
    assert baseline_number("N0512") > baseline_number("05.09") > baseline_number("03.01")  # type: ignore[operator]


def test_product_name() -> None:
    product = product_in(f"/x/{PRODUCT}.SAFE")
    assert product is not None
    assert (product.level, product.baseline, product.relative_orbit, product.tile) == ("L2A", "04.00", 25, "33XWJ")
    assert product.datatake == "S2B_20220413T150759"
    assert product_in("S2A_29RPR_20220411_0_L2A") is None


def test_stems_and_resolutions() -> None:
    assert without_band("tile_a_2022-04-11_B04") == "tile_a_2022-04-11"
    assert without_band("scl") == ""
    assert without_band("20220411") == "20220411"
    assert resolution_in("B04_10m") == 10
    assert resolution_in("B04") is None


def test_solar_day_follows_longitude() -> None:
    late = datetime(2022, 4, 11, 23, 30)
    assert solar_day(late, -8.0) == date(2022, 4, 11)
    assert solar_day(late, 150.0) == date(2022, 4, 12)
    assert solar_day(datetime(2022, 4, 11, 0, 30), -8.0) == date(2022, 4, 10)
