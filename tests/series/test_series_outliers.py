from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.series.outliers import UNCONFIRMED_WEIGHT, haze_weights


def weigh(days, values):
    return haze_weights(np.asarray([days]), np.asarray([values], dtype="float64"))[0].tolist()


def test_a_dip_between_two_looks_is_not_believed():
    assert weigh([0, 5, 10, 15], [0.80, 0.50, 0.79, 0.80]) == [1, 0, 1, 1]


def test_two_hazy_looks_close_together_are_not_believed():
    assert weigh([0, 5, 7, 10, 15], [0.80, 0.45, 0.42, 0.80, 0.80]) == [1, 0, 0, 1, 1]


def test_haze_on_the_way_down_and_on_the_way_up():
    assert weigh([0, 5, 10, 15, 20], [0.80, 0.74, 0.35, 0.64, 0.58])[2] == 0
    assert weigh([0, 5, 10, 15, 20], [0.30, 0.38, 0.10, 0.52, 0.60])[2] == 0


@pytest.mark.parametrize(
    "name, days, values",
    [
        ("harvest", [0, 5, 10, 20, 30], [0.80, 0.75, 0.20, 0.19, 0.18]),
        ("cut seen twice", [0, 5, 10, 15, 20, 30], [0.85, 0.85, 0.30, 0.38, 0.52, 0.80]),
        ("cut seen once", [0, 10, 30, 40], [0.85, 0.30, 0.80, 0.85]),
        ("slow dip of drought", [0, 10, 20, 30, 40], [0.70, 0.60, 0.50, 0.58, 0.66]),
        ("noise", [0, 5, 10, 15], [0.70, 0.63, 0.71, 0.69]),
    ],
)
def test_what_a_field_can_do_is_kept(name, days, values):
    assert weigh(days, values) == [1] * len(days), name


def test_every_cut_of_a_season_of_alfalfa_is_kept(alfalfa):
    for step in (2, 3, 5, 8, 10):
        for offset in range(step):
            days = np.arange(offset, 320, step)
            weights = haze_weights(days[None], alfalfa(days)[None])[0]
            assert (weights[:-1] == 1).all(), (step, offset)


def test_the_newest_sudden_drop_is_believed_in_part_until_the_next_look():
    assert weigh([0, 5, 10], [0.80, 0.80, 0.35]) == [1, 1, UNCONFIRMED_WEIGHT]
    assert weigh([0, 5, 10, 15], [0.80, 0.80, 0.35, 0.33]) == [1, 1, 1, 1]
    # As fast as a cereal ripens.
    assert weigh([0, 5, 20], [0.80, 0.80, 0.50]) == [1, 1, 1]


def test_series_of_unequal_length():
    values = np.array([[0.8, 0.5, 0.8, 0.8], [0.8, 0.3, np.nan, np.nan], [np.nan] * 4])
    days = np.array([[0, 5, 10, 15], [0, 5, 0, 0], [0, 0, 0, 0]])
    assert haze_weights(days, values).tolist() == [[1, 0, 1, 1], [1, UNCONFIRMED_WEIGHT, 1, 1], [1, 1, 1, 1]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.floats(-0.2, 0.95)), min_size=1, max_size=20))
def test_a_look_that_no_other_exceeds_is_always_believed(steps):
    days, values = np.cumsum([s for s, _ in steps]), np.array([v for _, v in steps])
    weights = haze_weights(days[None], values[None])[0]
    assert weights[values.argmax()] == 1
    assert set(weights) <= {0.0, UNCONFIRMED_WEIGHT, 1.0}
    assert weights[0] == 1  # nothing before it to have dropped from
    assert weights[-1] > 0
