from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from advice_inputs import DAY, inputs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agro.advice.advise import advise
from agro.advice.table import to_table
from agro.schema.advice import AdviceRecord, Message
from agro.schema.errors import ContractError
from agro.schema.messages import MESSAGES


def one(**facts: Any) -> AdviceRecord:
    (record,) = advise(inputs(**facts))
    return record


def escalations(record: AdviceRecord) -> set[str]:
    return {m.key for m in record.escalation}


CASES: list[tuple[str, dict[str, Any], str, str]] = [
    # name, facts, action, key said (nested one for abstain and inspect)
    ("too small to be seen", {"reason": "not_observable"}, "abstain", "abstain.not_observable"),
    ("under plastic", {"kind": "covered"}, "abstain", "abstain.covered_crop"),
    ("never seen", {"age": None, "ndvi": None}, "abstain", "abstain.never_seen"),
    ("clear look too old", {"age": 21}, "abstain", "abstain.clear_look"),
    ("no weather", {"has_weather": False}, "abstain", "abstain.no_weather"),
    ("no soil", {"has_soil": False}, "abstain", "abstain.no_soil"),
    ("no balance although soil and weather are there", {"has_need": False}, "abstain", "abstain.no_weather"),
    ("interval as wide as the root zone", {"spread": 149.0}, "abstain", "abstain.interval"),
    ("wet and falling", {"dr": 10.0, "change": -0.2}, "inspect", "inspect.conflict"),
    ("green through weeks of stress", {"dr": 120.0, "ks": 0.4, "stress_days": 7}, "inspect", "inspect.conflict"),
    ("green, stressed, no record", {"dr": 90.0, "ks": 0.8, "stress_days": 5, "reported": False}, "inspect", "inspect.conflict"),
    ("behind its neighbours", {"z": -2.5}, "inspect", "inspect.behind_neighbours"),
    ("behind, too few neighbours", {"z": -2.5, "neighbours": 4}, "hold", "advice.hold"),
    ("beyond RAW", {"dr": 90.0}, "irrigate", "advice.irrigate_hours"),
    ("beyond RAW, flow unknown", {"dr": 90.0, "hours": float("nan")}, "irrigate", "advice.irrigate"),
    ("reaches RAW in two days", {"dr": 76.0}, "irrigate", "advice.irrigate_hours"),
    ("reaches RAW after the lead time", {"dr": 65.0}, "hold", "advice.hold"),
    ("beyond RAW, heavy rain tomorrow", {"dr": 85.0, "rain": 40.0}, "hold", "advice.hold"),
    ("far from RAW", {"dr": 20.0}, "hold", "advice.hold"),
    ("rainfed", {"irrigation": "rainfed", "dr": 90.0}, "hold", "advice.hold_rainfed"),
    ("harvested", {"dr": 120.0, "ndvi": 0.15, "season_end": "2022-04-01"}, "hold", "advice.hold"),
    ("not sown yet", {"dr": 120.0, "ndvi": 0.15, "sowing": "2022-05-01"}, "hold", "advice.hold"),
    ("ripe and dry", {"dr": 120.0, "ndvi": 0.2, "sowing": "2021-11-20"}, "hold", "advice.hold"),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "action", "said"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_branch(facts: dict[str, Any], action: str, said: str) -> None:
    record = one(**facts)
    key = record.message.params.get("why") or record.message.params.get("what") or record.message.key
    assert (record.action, key) == (action, said)
    if action == "irrigate":
        assert record.amount_mm and record.window_start == DAY and record.window_end and record.window_end > DAY
    else:
        assert record.amount_mm is None and record.volume_m3 is None
    if action == "abstain":
        assert record.escalated


def check(message: Message) -> None:
    wanted = set(MESSAGES[message.key])
    for slot in ("why", "what"):
        if slot in message.params:
            wanted |= set(MESSAGES[message.params[slot]])
    assert set(message.params) == wanted, message


@pytest.mark.parametrize("facts", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_every_message_is_in_the_catalogue_with_its_parameters(facts: dict[str, Any]) -> None:
    record = one(**facts)
    messages = [record.message, *record.confidence_drivers, *record.escalation, *(r.message for r in record.reasons)]
    if record.counterfactual:
        messages.append(record.counterfactual.message)
    for message in messages:
        check(message)
    for evidence in record.evidence:
        assert evidence.name in MESSAGES
        assert evidence.source


def test_hold_after_rain_says_when_the_trigger_comes_back() -> None:
    assert one(dr=85.0, rain=20.0).message.params == {"days": 5}  # 85 + 3 d - 20 reaches 80 on day 5
    assert one(dr=20.0).message.params == {"days": 7}  # not within the outlook


def test_sowing_ahead_is_the_reason_to_hold() -> None:
    record = one(dr=120.0, ndvi=0.15, sowing="2022-05-01")
    assert record.reasons[0].message.key == "reason.not_sown"
    assert one(dr=120.0, ndvi=0.7, sowing="2022-05-01").action == "irrigate"  # something green stands there


def test_harvest_is_the_reason_to_hold() -> None:
    record = one(dr=120.0, ndvi=0.15, season_end="2022-04-01")
    assert record.reasons[0].message.key == "reason.near_harvest"
    assert record.reasons[0].direction == "for"
    assert record.counterfactual is None


@pytest.mark.parametrize(
    "facts", [{"weather_source": "climatology", "ahead_source": "climatology"}, {"ahead_source": "climatology"}]
)
def test_average_weather_is_low_and_escalated(facts: dict[str, Any]) -> None:
    record = one(dr=90.0, age=1, spread=2.0, soil_source="laboratory", **facts)
    assert record.confidence_label == "low"
    assert escalations(record) & {"escalate.fallback_weather", "escalate.forecast_missing"}
    assert "confidence.weather_source" in {m.key for m in record.confidence_drivers}


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"soil_source": "texture_default:loam"}, "escalate.default_soil"),
        ({"age": 11}, "escalate.clear_look_old"),
        ({"spread": 90.0}, "escalate.interval_wide"),
        ({"dr": 90.0, "ks": 0.8, "stress_days": 5, "reported": False}, "escalate.conflict"),
        ({"region_keys": {"yield_history": None}}, "escalate.first_season"),
        ({"region_keys": {"advice": {"max_clear_age_d": 5}}, "age": 6}, "escalate.clear_look_old"),
    ],
)
def test_escalation(facts: dict[str, Any], key: str) -> None:
    assert key in escalations(one(**facts))


def test_sure_advice_goes_to_nobody() -> None:
    record = one(dr=90.0, age=1, spread=10.0)
    assert not record.escalated and record.confidence_label == "high"


def test_an_irrigation_of_last_week_is_a_reason_to_wait() -> None:
    case = inputs(dr=20.0)
    day = pd.Timestamp(DAY) - pd.Timedelta(days=3)
    dosed = case.water.assign(irrigation_mm=np.where(case.water["date"] == day, 18.0, 0.0))
    (record,) = advise(replace(case, need=case.need.assign(last_irrigation_date=day), water=dosed))
    (reason,) = [r for r in record.reasons if r.message.key == "reason.recent_irrigation"]
    check(reason.message)
    assert reason.direction == "for" and reason.message.params["depth_mm"] == 20.0  # gross, at an efficiency of 0.9
    # Nine days ago is not worth a word.
    late = case.water.assign(irrigation_mm=18.0 * (case.water["date"] == pd.Timestamp(DAY) - pd.Timedelta(days=9)))
    (record,) = advise(replace(case, water=late))
    assert "reason.recent_irrigation" not in {r.message.key for r in record.reasons}


def test_nothing_later_than_the_issue_date_is_read() -> None:
    case = inputs(dr=90.0)
    later = pd.Timestamp(DAY) + pd.Timedelta(days=3)
    look = case.observations.assign(date=later, usable=False, reason="not_observable", pixels_effective=3.0)
    storm = case.weather.iloc[[0]].assign(date=later, is_forecast=False, rain_mm=50.0, et0_mm=9.0)
    peeped = replace(
        case, observations=pd.concat([case.observations, look], ignore_index=True),
        weather=pd.concat([case.weather, storm], ignore_index=True),
    )  # fmt: skip
    assert advise(peeped) == advise(case)


def test_crop_without_an_entry_is_named() -> None:
    facts = inputs()
    facts.crops.clear()  # type: ignore[attr-defined]
    with pytest.raises(ContractError, match=r"p1.*wheat"):
        advise(facts)


def test_flat_table_has_a_row_a_record() -> None:
    table = to_table([one(**CASES[0][1])])
    assert len(table) == 1
    assert len(to_table([])) == 0


FACTS = st.fixed_dictionaries(
    {
        "dr": st.floats(0, 150), "daily": st.floats(0, 8), "rain": st.floats(0, 60), "spread": st.floats(0, 140),
        "reported": st.booleans(), "ndvi": st.floats(0.31, 0.9),
    }
)  # fmt: skip
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(FACTS)
def test_same_facts_same_advice(facts: dict[str, Any]) -> None:
    first, second = one(**facts), one(**facts)
    assert first.model_dump_json() == second.model_dump_json()


@QUICK
@given(FACTS, st.integers(0, 20), st.integers(0, 20))
def test_confidence_never_grows_with_age(facts: dict[str, Any], a: int, b: int) -> None:
    young, old = one(**facts, age=min(a, b)), one(**facts, age=max(a, b))
    assert old.confidence <= young.confidence
