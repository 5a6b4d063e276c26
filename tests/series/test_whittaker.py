from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agro.schema.errors import ContractError
from agro.series.whittaker import CHUNK, whittaker


def dense(values, weights, lambda_):
    """The normal equations as they are written."""
    second = np.diff(np.eye(values.size), 2, axis=0)
    normal = np.diag(weights) + lambda_ * second.T @ second
    return np.linalg.solve(normal, weights * np.nan_to_num(values)), np.diag(np.linalg.inv(normal))


@st.composite
def series(draw):
    days = draw(st.integers(3, 60))
    values = draw(arrays("float64", (3, days), elements=st.floats(-1, 1)))
    weights = draw(arrays("float64", (3, days), elements=st.sampled_from([0.0, 0.0, 0.3, 1.0])))
    weights[:, [0, days // 2]] = 1.0
    return values, weights


@settings(max_examples=60, deadline=None)
@given(series(), st.sampled_from([1.0, 30.0, 300.0]))
def test_equal_to_a_dense_solution(data, lambda_):
    values, weights = data
    smoothed, variance = whittaker(values, weights, lambda_)
    for one in range(3):
        expected, diagonal = dense(values[one], weights[one], lambda_)
        np.testing.assert_allclose(smoothed[one], expected, atol=1e-9, rtol=1e-9)
        np.testing.assert_allclose(variance[one], diagonal, rtol=1e-6)


def test_equal_to_a_dense_solution_over_a_year():
    random = np.random.default_rng(3)
    values, weights = random.random((2, 365)), np.where(random.random((2, 365)) < 0.15, random.random((2, 365)), 0.0)
    for lambda_ in (10.0, 3000.0):
        smoothed, variance = whittaker(values, weights, lambda_)
        for one in range(2):
            expected, diagonal = dense(values[one], weights[one], lambda_)
            np.testing.assert_allclose(smoothed[one], expected, atol=1e-9)
            np.testing.assert_allclose(variance[one], diagonal, rtol=1e-8)


@settings(max_examples=40, deadline=None)
@given(series(), st.floats(-1, 1), st.floats(-0.01, 0.01), st.sampled_from([1.0, 300.0, 3000.0]))
def test_straight_lines_are_reproduced(data, level, slope, lambda_):
    values, weights = data
    line = np.broadcast_to(level + slope * np.arange(values.shape[1]), values.shape)
    np.testing.assert_allclose(whittaker(line, weights, lambda_)[0], line, atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(series(), st.floats(0.01, 100), st.floats(-5, 5))
def test_scale_and_shift_pass_through(data, scale, shift):
    values, weights = data
    plain, variance = whittaker(values, weights, 100.0)
    changed, same = whittaker(values * scale + shift, weights, 100.0)
    np.testing.assert_allclose(changed, plain * scale + shift, atol=1e-7 * max(1, scale))
    np.testing.assert_array_equal(same, variance)


@settings(max_examples=40, deadline=None)
@given(series(), st.sampled_from([np.nan, 1e6, -3.0]))
def test_what_has_no_weight_is_not_read(data, junk):
    values, weights = data
    other = np.where(weights > 0, values, junk)
    np.testing.assert_array_equal(whittaker(values, weights, 30.0)[0], whittaker(other, weights, 30.0)[0])


def test_a_series_does_not_depend_on_its_company():
    random = np.random.default_rng(1)
    values = random.random((CHUNK + 3, 20))
    weights = np.ones_like(values)
    together = whittaker(values, weights, 30.0)[0]
    for one in (0, CHUNK - 1, CHUNK, CHUNK + 2):
        np.testing.assert_array_equal(together[one], whittaker(values[[one]], weights[[one]], 30.0)[0][0])


def test_too_little_to_smooth_is_nan():
    weights = np.zeros((3, 10))
    weights[1, 4] = 1.0
    weights[2, [2, 7]] = 1.0
    smoothed, variance = whittaker(np.ones((3, 10)), weights, 30.0)
    assert np.isnan(smoothed[:2]).all() and np.isnan(variance[:2]).all()
    np.testing.assert_allclose(smoothed[2], 1.0)
    assert np.isnan(whittaker(np.ones((1, 2)), np.ones((1, 2)), 30.0)[0]).all()


@pytest.mark.parametrize(
    "values, weights, lambda_",
    [
        (np.ones((2, 5)), np.ones((2, 4)), 1.0),
        (np.ones((2, 5)), -np.ones((2, 5)), 1.0),
        (np.ones((2, 5)), np.full((2, 5), np.nan), 1.0),
        (np.full((2, 5), np.nan), np.ones((2, 5)), 1.0),
        (np.ones((2, 5)), np.ones((2, 5)), 0.0),
        (np.ones((2, 5)), np.ones((2, 5)), np.nan),
    ],
)
def test_nonsense_is_refused(values, weights, lambda_):
    with pytest.raises(ContractError):
        whittaker(values, weights, lambda_)
