from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from advice_inputs import DAY, inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.advice.advise import advise
from agro.advice.facts import build_facts

FACTS = st.fixed_dictionaries(
    {
        "dr": st.floats(0, 150), "daily": st.floats(0, 8), "member_sd": st.floats(0, 20), "rain": st.floats(0, 120),
        "reported": st.booleans(),
    }
)  # fmt: skip


def test_rain_that_would_make_it_wait() -> None:
    (record,) = advise(inputs(dr=90.0, daily=3.0, member_sd=0.0))
    said = record.counterfactual
    assert said is not None and said.verified and said.flips_to == "hold"
    assert said.variable == "forecast_rain_mm" and said.message.key == "counterfactual.rain"
    # With 28 mm tomorrow: 90 + 3 - 28 = 65; then 3 + 0.93 of stress relieved + 0.8 of wet soil = 69.7; then
    # 3 + 1.14 + 0.8 = 74.7, below RAW, which the wet soil lowers from 80 to 75.2. With 27 mm: 75.7.
    assert said.changed_to == 28.0
    assert said.message.params["date"] == (DAY + timedelta(days=1)).isoformat()


def test_what_a_system_gives_in_one_go_does_not_make_do_with_less_rain() -> None:
    (record,) = advise(inputs(dr=115.0, daily=3.0, member_sd=0.0))
    assert record.amount_mm == 30.0
    assert record.counterfactual and record.counterfactual.changed_to > 115 - 80


def test_more_rain_than_ever_falls_is_not_said() -> None:
    (record,) = advise(inputs(dr=198.0, raw=80.0, taw=200.0))
    assert record.action == "irrigate" and record.counterfactual is None


def test_forecast_rain_is_part_of_the_rain_said() -> None:
    (dry,) = advise(inputs(dr=90.0, member_sd=0.0))
    (wet,) = advise(inputs(dr=90.0, member_sd=0.0, rain=8.0))
    assert dry.counterfactual and wet.counterfactual
    assert wet.counterfactual.value == 8.0
    assert abs(wet.counterfactual.changed_to - dry.counterfactual.changed_to) <= 1.0


def test_without_a_record_it_asks_about_an_irrigation() -> None:
    (record,) = advise(inputs(dr=90.0, reported=False))
    assert record.counterfactual and record.counterfactual.message.key == "counterfactual.irrigation"


def test_nothing_is_said_where_the_balance_does_not_decide() -> None:
    for facts in ({"irrigation": "rainfed"}, {"age": 30}, {"z": -3.0}):
        (record,) = advise(inputs(**facts))
        assert record.counterfactual is None


@settings(max_examples=60, deadline=None)
@given(FACTS)
def test_what_is_said_flips_the_advice_and_less_does_not(facts: dict[str, Any]) -> None:
    case = inputs(**facts)
    (record,) = advise(case)
    said = record.counterfactual
    if said is None:
        return
    (parcel,) = build_facts(case)
    limits = case.rules.limits(case.region.advice.max_clear_age_d)

    def again(amount: float) -> str:
        changed = {
            "forecast_rain_mm": lambda: parcel.replayed(rain_mm=amount), "dr_mm": lambda: parcel.replayed(-amount),
            "irrigation_mm": lambda: parcel.told_of(amount),
        }[said.variable]()  # fmt: skip
        return case.rules.decide(changed.values, limits).action

    amount = round(said.changed_to - said.value)
    assert said.changed_to - said.value == pytest.approx(amount, abs=1e-6)
    assert said.verified and said.flips_to != record.action
    assert again(amount) == said.flips_to
    assert again(max(amount - 1.6, 0.0)) == record.action
