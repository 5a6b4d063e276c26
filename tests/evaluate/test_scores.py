from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agro.evaluate.scores import bias, coverage_frac, nash_sutcliffe, rmse

VALUES = arrays(float, 12, elements=st.floats(-200, 200))


def test_scores_by_hand() -> None:
    simulated, measured = np.array([12.0, 18.0, 33.0]), np.array([10.0, 20.0, 30.0])
    assert rmse(simulated, measured) == pytest.approx(math.sqrt((4 + 4 + 9) / 3))
    assert bias(simulated, measured) == pytest.approx(
        1.0
    )  # simulated less measured: too dry is above zero for depletion
    assert nash_sutcliffe(simulated, measured) == pytest.approx(1 - 17 / 200)


def test_pairs_with_a_gap_are_left_out() -> None:
    simulated, measured = np.array([1.0, np.nan, 3.0]), np.array([1.0, 2.0, np.nan])
    assert rmse(simulated, measured) == 0 and bias(simulated, measured) == 0


def test_nothing_to_compare_is_nan_not_zero() -> None:
    nothing = np.array([np.nan])
    assert all(math.isnan(f(nothing, nothing)) for f in (rmse, bias, nash_sutcliffe))
    assert math.isnan(coverage_frac(nothing, nothing, nothing))


def test_nash_sutcliffe_of_values_that_do_not_vary_is_nan() -> None:
    assert math.isnan(nash_sutcliffe(np.array([1.0, 2.0]), np.array([5.0, 5.0])))


def test_the_mean_as_forecast_scores_zero() -> None:
    measured = np.array([3.0, 9.0, 6.0])
    assert nash_sutcliffe(np.full(3, 6.0), measured) == pytest.approx(0.0)


def test_edges_of_an_interval_count_as_inside() -> None:
    low, high = np.array([0.0, 0.0, 0.0, np.nan]), np.array([1.0, 1.0, 1.0, 1.0])
    assert coverage_frac(low, high, np.array([0.0, 1.0, 1.1, 0.5])) == pytest.approx(2 / 3)


@given(VALUES, VALUES)
def test_rmse_holds_bias_and_never_falls_below_it(simulated: np.ndarray, measured: np.ndarray) -> None:
    assert rmse(simulated, measured) >= abs(bias(simulated, measured)) - 1e-9
    assert rmse(measured, measured) == 0
    assert rmse(simulated, measured) == pytest.approx(rmse(measured, simulated))
