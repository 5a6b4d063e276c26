"""Rules as data: thresholds with value, unit and source, and ordered conditions on facts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from agro.schema.advice import Action
from agro.schema.crops import Parameter, parse_error, read_yaml
from agro.schema.errors import ConfigError
from agro.schema.messages import MESSAGES

RULES_FILE = Path(__file__).with_name("tables") / "rules.yaml"
#: Facts that conditions may speak of (see agro.advice.facts), and limits that the region file sets.
FACTS = frozenset(
    [
        "observable",
        "covered",
        "seen",
        "clear_age_d",
        "has_weather",
        "has_soil",
        "has_balance",
        "interval_of_taw",
        "irrigated",
        "reported",
        "season_over",
        "not_sown",
        "may_fall",
        "stress_days",
        "ndvi",
        "ndvi_change",
        "dr_of_raw",
        "neighbour_z",
        "neighbour_count",
        "days_to_trigger",
        "long_stress_d",
        "lead_prob",
        "trigger_prob",
        "net_mm",
    ]
)
REGION_LIMITS = frozenset({"max_clear_age"})
#: Messages that each action may be said with.
_SAID_AS = {
    "irrigate": ("advice.irrigate",), "hold": ("advice.hold", "advice.hold_rainfed"), "inspect": ("inspect.",),
    "abstain": ("abstain.",),
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
}  # fmt: skip


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Condition(_Strict):
    """One comparison of a fact with a threshold's name or a plain value; an unknown fact (None) never holds."""

    fact: str
    is_: Literal["eq", "lt", "le", "gt", "ge"]
    than: bool | float | str

    @model_validator(mode="before")
    @classmethod
    def _plain_is(cls, body: Any) -> Any:
        return (
            {("is_" if key == "is" else key): value for key, value in body.items()} if isinstance(body, dict) else body
        )

    def holds(self, facts: Mapping[str, Any], limits: Mapping[str, float]) -> bool:
        """Whether the condition is true of the facts."""
        value = facts.get(self.fact)
        than = limits[self.than] if isinstance(self.than, str) else self.than
        return value is not None and bool(_COMPARE[self.is_](value, than))


#: What a rule has to abstain on before another may give an amount.
_NO_BALANCE = Condition.model_validate({"fact": "has_balance", "is": "eq", "than": False})


class Rule(_Strict):
    """All conditions hold: this action, said with this message."""

    id: str
    when: tuple[Condition, ...]
    action: Action
    message: str


class Confidence(_Strict):
    """Factors of the confidence formula (docs/advice.md)."""

    age_free_d: Parameter[float]
    age_scale_d: Parameter[float]
    no_record: Parameter[float]
    conflict: Parameter[float]
    climatology_cap: Parameter[float]
    soil: Mapping[str, Parameter[float]]


class Rules(_Strict):
    """A checked set of rules."""

    thresholds: Mapping[str, Parameter[float]]
    confidence: Confidence
    rules: tuple[Rule, ...]

    @model_validator(mode="after")
    def _fits(self) -> Rules:
        known = set(self.thresholds) | REGION_LIMITS
        balanced = False
        for rule in self.rules:
            balanced = balanced or (rule.action == "abstain" and rule.when == (_NO_BALANCE,))
            if rule.message not in MESSAGES:
                raise ValueError(f"rule {rule.id}: unknown message {rule.message}")
            fitting = _SAID_AS[rule.action]
            if not any(rule.message == m or (m.endswith(".") and rule.message.startswith(m)) for m in fitting):
                raise ValueError(f"rule {rule.id}: {rule.message} does not say {rule.action}")
            if rule.action == "irrigate" and not balanced:
                raise ValueError(
                    f"rule {rule.id}: an amount needs a balance; put a rule above it that abstains when has_balance is false"
                )
            for condition in rule.when:
                if condition.fact not in FACTS:
                    raise ValueError(
                        f"rule {rule.id}: unknown fact {condition.fact}; known: {', '.join(sorted(FACTS))}"
                    )
                if isinstance(condition.than, str) and condition.than not in known:
                    raise ValueError(f"rule {rule.id}: unknown threshold {condition.than}")
        if "other" not in self.confidence.soil:
            raise ValueError("confidence.soil needs an entry other, for sources that it does not name")
        if len({rule.id for rule in self.rules}) != len(self.rules):
            raise ValueError("two rules have the same id")
        if not self.rules or self.rules[-1].when:
            raise ValueError("the last rule must hold always, so that every parcel gets an answer")
        return self

    def limits(self, max_clear_age_d: float) -> dict[str, float]:
        """Values of the thresholds, with the region's own limits."""
        return {**{k: v.value for k, v in self.thresholds.items()}, "max_clear_age": max_clear_age_d}

    def decide(self, facts: Mapping[str, Any], limits: Mapping[str, float]) -> Rule:
        """The first rule whose conditions all hold."""
        return next(rule for rule in self.rules if all(c.holds(facts, limits) for c in rule.when))


def load_rules(path: Path = RULES_FILE, override: Path | None = None) -> Rules:
    """Read the shipped rules and what a region puts over them.

    Raises
    ------
    ConfigError
        A wrong, missing or unknown key, fact, threshold or message.
    """
    body = _mapping(read_yaml(path), path)
    if override is not None:
        local = _mapping(read_yaml(override) or {}, override)
        _refuse_unknown(local, body, "", override)
        for key in ("thresholds", "confidence"):
            part = _mapping(local.get(key) or {}, override)
            _refuse_unknown(part, body[key], f"{key}.", override)
            merged = {**body[key], **part}
            if "soil" in part:  # single sources are replaced or added, the others stay
                merged["soil"] = {**body[key]["soil"], **_mapping(part["soil"], override)}
            body[key] = merged
        body["rules"] = local.get("rules", body["rules"])
    try:
        return Rules.model_validate(body)
    except ValidationError as error:
        raise parse_error(error, override or path) from error


def _mapping(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError("not a mapping of keys to values", where=str(path), do="Write it as in the shipped rules")
    return value


def _refuse_unknown(local: Mapping[str, Any], known: Mapping[str, Any], prefix: str, path: Path) -> None:
    unknown = sorted(f"{prefix}{key}" for key in set(local) - set(known))
    if unknown:
        raise ConfigError(f"unknown key {', '.join(unknown)}", where=str(path), do=f"Known: {', '.join(known)}")
