"""What Sentinel Hub charges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agro.schema.errors import ContractError
from agro.sources.imagery.sentinelhub import plan_process, plan_search, plan_statistical, processing_units
from agro.sources.net import Estimate


def test_golden_small_image() -> None:
    """20 x 20 pixels, 2 bands, 16 bit: the area counts as 0.01, more than the least charge of 0.005."""
    assert processing_units(20, 20, 2, bits=16) == pytest.approx(0.0067, abs=5e-5)
    assert processing_units(20, 20, 2, bits=16) == pytest.approx(0.01 * 2 / 3)


def test_golden_large_radar_image() -> None:
    """1024 x 1024 pixels, 4 bands, 32 bit, 2 samples, orthorectified."""
    assert processing_units(1024, 1024, 4, samples=2, bits=32, orthorectified=True) == pytest.approx(42.667, abs=5e-4)


def test_a_unit_is_a_cell_of_three_bands() -> None:
    assert processing_units(512, 512, 3) == 1.0
    assert processing_units(512, 512, 3, bits=8) == 1.0
    assert processing_units(512, 512, 3, bits=32) == 2.0
    assert processing_units(512, 512, 3, octet_stream=True) == pytest.approx(1.4)


def test_least_charges() -> None:
    assert processing_units(1, 1, 1) == 0.005
    assert processing_units(1, 1, 1, api="statistical") == 0.01


@pytest.mark.parametrize("wrong", [{"width_px": 0}, {"bands": 0}, {"samples": 0}, {"bits": 12}, {"api": "batch"}])
def test_nonsense_has_no_price(wrong: dict[str, object]) -> None:
    with pytest.raises(ContractError):
        processing_units(**{"width_px": 10, "height_px": 10, "bands": 1, **wrong})  # type: ignore[arg-type]


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 12), st.integers(1, 40))
def test_more_never_costs_less(width: int, height: int, bands: int, samples: int) -> None:
    one = processing_units(width, height, bands, samples)
    assert one >= 0.005
    for more in (
        (width + 100, height, bands, samples),
        (width, height, bands + 1, samples),
        (width, height, bands, samples + 1),
    ):
        assert processing_units(*more) >= one
    assert processing_units(width, height, bands, samples, api="statistical") >= one


def test_plan_of_cells() -> None:
    bands = ["red", "nir", "scl"]
    assert plan_process(4, 10, bands) == Estimate(40, 40.0, pytest.approx(40 * 512 * 512 * 2 * 4 / 1e6))
    assert plan_process(0, 10, bands) == Estimate()


def test_plan_of_parcels() -> None:
    """Two small parcels cost the least area; one of 4 cells costs its box. Numbers that come out have 32 bits."""
    plan = plan_statistical(3, [10_000.0, 200_000.0, 4 * 5120.0**2], 5, ["red", "nir", "scl"])
    assert plan.requests == 3
    assert plan.pu == pytest.approx(2 * 5 * (0.01 + 0.01 + 4))
    assert plan_statistical(0, [], 5, ["red"]) == Estimate()
    with pytest.raises(ContractError, match="1 areas for 2 parcels"):
        plan_statistical(2, [1.0], 1, ["red"])


def test_plan_of_a_search() -> None:
    assert plan_search(0) == Estimate(2, 0.01, 0.2)
    assert plan_search(250).requests == 4
