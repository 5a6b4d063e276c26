from __future__ import annotations

from datetime import timedelta
from typing import Any

from advice_inputs import DAY, inputs
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.advice.advise import advise
from agro.advice.facts import build_facts

FACTS = st.fixed_dictionaries(
    {"dr": st.floats(0, 150), "daily": st.floats(0, 8), "member_sd": st.floats(0, 20), "reported": st.booleans()}
)


def test_rain_that_would_make_it_wait() -> None:
    (record,) = advise(inputs(dr=90.0, daily=3.0, member_sd=0.0))
    said = record.counterfactual
    assert said is not None and said.verified and said.flips_to == "hold"
    assert said.variable == "forecast_rain_mm" and said.message.key == "counterfactual.rain"
    # Within the three days of lead time the depletion climbs to 99 mm: RAW is 80.
    assert said.changed_to == 20.0
    assert said.message.params["date"] == (DAY + timedelta(days=1)).isoformat()


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

    def again(water_mm: float) -> str:
        return case.rules.decide(parcel.shifted(water_mm).values, limits).action

    amount = said.changed_to - said.value
    water = -amount if said.variable == "dr_mm" else amount
    assert said.verified and said.flips_to != record.action
    # Values are said to 0.1 mm, so the amount is applied with that much to spare; 1.6 mm less must not flip.
    assert again(water + 0.1 * (1 if water > 0 else -1)) == said.flips_to
    less = max(abs(amount) - 1.6, 0.0)
    assert again(less if water > 0 else -less) == record.action
