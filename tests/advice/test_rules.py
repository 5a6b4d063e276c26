from __future__ import annotations

from pathlib import Path

import pytest
from advice_inputs import inputs

from agro.advice.advise import advise
from agro.advice.rules import RULES_FILE, load_rules
from agro.schema.errors import ConfigError
from agro.schema.messages import MESSAGES


def test_shipped_rules_are_complete() -> None:
    rules = load_rules(RULES_FILE)
    assert rules.rules[-1].when == ()
    assert all(rule.message in MESSAGES for rule in rules.rules)
    for parameter in rules.thresholds.values():
        assert parameter.unit and parameter.source


def test_a_region_moves_one_threshold(tmp_path: Path) -> None:
    local = tmp_path / "rules.yaml"
    local.write_text("thresholds:\n  trigger_prob: {value: 0.9, unit: '1', source: water is short}\n")
    rules = load_rules(RULES_FILE, local)
    assert rules.thresholds["trigger_prob"].value == 0.9
    assert rules.thresholds["lead_days"] == load_rules().thresholds["lead_days"]


def test_a_region_adds_a_soil_source(tmp_path: Path) -> None:
    local = tmp_path / "rules.yaml"
    local.write_text("confidence:\n  soil:\n    probe: {value: 0.97, unit: '1', source: local}\n")
    rules = load_rules(RULES_FILE, local)
    assert {"probe", "other", "survey"} <= set(rules.confidence.soil)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("threshold: {}\n", "threshold"),
        ("thresholds:\n  triger_prob: {value: 1, unit: '1', source: x}\n", r"thresholds\.triger_prob"),
        ("thresholds:\n  trigger_prob: {value: high, unit: '1', source: x}\n", "trigger_prob"),
        ("- a\n- b\n", "not a mapping"),
        ("thresholds: 3\n", "not a mapping"),
        ("rules: [{id: a, when: [], action: hold, message: advice.nothing}]\n", "advice.nothing"),
        ("rules: [{id: a, when: [], action: irrigate, message: advice.hold}]\n", "does not say irrigate"),
        ("rules: [{id: a, when: [{fact: mood, is: eq, than: 1}], action: hold, message: advice.hold}]\n", "mood"),
        ("rules: [{id: a, when: [{fact: ndvi, is: ge, than: much}], action: hold, message: advice.hold}]\n", "much"),
        ("rules: [{id: a, when: [], action: irrigate, message: advice.irrigate}]\n", "needs a balance"),
        (
            "rules: [{id: a, when: [{fact: ndvi, is: ge, than: 1}], action: hold, message: advice.hold}]\n",
            "hold always",
        ),
        ("rules: [{id: a, when: [], action: hold, message: advice.hold, priority: 2}]\n", "priority"),
    ],
)
def test_wrong_local_rules_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    local = tmp_path / "rules.yaml"
    local.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_rules(RULES_FILE, local)


def test_an_abstention_is_never_of_medium_confidence(tmp_path: Path) -> None:
    local = tmp_path / "rules.yaml"
    local.write_text("thresholds:\n  low_confidence: {value: 0.0, unit: '1', source: x}\n")
    case = inputs(has_need=False)
    (record,) = advise(type(case)(**{**vars(case), "rules": load_rules(RULES_FILE, local)}))
    assert (record.action, record.confidence, record.confidence_label) == ("abstain", 0.0, "low")


def test_label_stays_low_on_average_weather_whatever_a_region_sets(tmp_path: Path) -> None:
    local = tmp_path / "rules.yaml"
    local.write_text("thresholds:\n  low_confidence: {value: 0.0, unit: '1', source: x}\n")
    case = inputs(dr=90.0, weather_source="climatology")
    (record,) = advise(type(case)(**{**vars(case), "rules": load_rules(RULES_FILE, local)}))
    assert record.confidence_label == "low" and record.escalated
