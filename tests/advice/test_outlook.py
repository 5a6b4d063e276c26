from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from advice_inputs import inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.advice.outlook import Outlook

COURSE = st.fixed_dictionaries(
    {"dr": st.floats(0, 150), "daily": st.floats(0, 8), "member_sd": st.floats(0, 20), "rain": st.floats(0, 120)}
)


def outlook(**facts: Any) -> Outlook:
    return Outlook.from_water(inputs(**facts).water)


@settings(max_examples=40, deadline=None)
@given(COURSE)
def test_nothing_changed_gives_the_same_courses(facts: dict[str, Any]) -> None:
    course = outlook(**facts)
    again = course.replayed()
    for name in ("start_mm", "dr_mm", "raw_mm", "eta_mm", "inflow_mm"):
        np.testing.assert_allclose(getattr(again, name), getattr(course, name), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(COURSE, st.floats(0, 80))
def test_added_water_lowers_the_depletion_by_no_more_than_itself(facts: dict[str, Any], water: float) -> None:
    course = outlook(**facts)
    for wetter in (course.replayed(water), course.replayed(rain_mm=water)):
        less = course.dr_mm - wetter.dr_mm
        assert (less >= -1e-6).all() and (less <= water + 1e-6).all()
        assert ((wetter.dr_mm >= 0) & (wetter.dr_mm <= wetter.taw_mm)).all()


def test_rain_costs_more_than_water_already_there() -> None:
    course = outlook(dr=90.0, member_sd=0.0)
    assert course.replayed(rain_mm=30.0).dr_mm[-1, 0] > course.replayed(30.0).dr_mm[-1, 0] > course.dr_mm[-1, 0] - 30.0


def test_rain_too_much_for_a_wet_soil_fills_a_dry_one() -> None:
    wet = outlook(dr=10.0, rain=60.0, member_sd=0.0)  # 47 mm find no room
    assert wet.dr_mm[0, 0] == 0.0
    # 40 mm drier, still nothing is left of it; 60 mm drier, 10 + 60 + 3 - 60 are.
    assert wet.replayed(-40.0).dr_mm[0, 0] == 0.0
    assert wet.replayed(-60.0).dr_mm[0, 0] == pytest.approx(13.0)


def test_central_run_alone() -> None:
    course = outlook(dr=78.0, daily=0.5, member_sd=20.0)
    assert course.dr_mm.shape == (7, 9) and course.central().dr_mm.shape == (7, 1)
    assert course.timing(78.0, 80.0, 3)["lead_prob"] > 0 == course.central().timing(78.0, 80.0, 3)["lead_prob"]
