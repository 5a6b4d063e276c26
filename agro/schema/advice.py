"""The advice record: the one thing that people question, approve, change or refuse."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agro.schema.provenance import SCHEMA_VERSION

Action = Literal["irrigate", "hold", "inspect", "abstain"]
ConfidenceLabel = Literal["low", "medium", "high"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(_Strict):
    """A sentence as a key of :mod:`agro.schema.messages` and its parameters; prose is never stored."""

    key: str
    params: dict[str, Any] = {}


class Evidence(_Strict):
    """One number behind the advice."""

    name: str  # message key, e.g. "evidence.depletion"
    value: float | str | None
    unit: str
    date: date | None
    source: str
    threshold: float | None = None


class Reason(_Strict):
    """Why, or why not."""

    message: Message
    direction: Literal["for", "against"]
    weight: float = Field(ge=0, le=1)


class Counterfactual(_Strict):
    """The smallest change of one input that would change the action."""

    message: Message
    variable: str  # e.g. "forecast_rain_mm"
    value: float
    changed_to: float
    unit: str
    flips_to: Action
    verified: bool  # the rule was run again on the changed input and gave flips_to


class AdviceRecord(_Strict):
    """Advice for one parcel on one day. Immutable: a correction supersedes it."""

    schema_version: str = SCHEMA_VERSION
    advice_id: str
    region_id: str
    parcel_uid: str
    crop: str
    issued_on: date
    action: Action
    amount_mm: float | None = None  # net, into the root zone
    amount_low_mm: float | None = None
    amount_high_mm: float | None = None
    gross_mm: float | None = None
    volume_m3: float | None = None
    hours: float | None = None
    window_start: date | None = None
    window_end: date | None = None
    confidence: float = Field(ge=0, le=1)
    confidence_label: ConfidenceLabel
    confidence_drivers: tuple[Message, ...] = ()
    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]
    counterfactual: Counterfactual | None = None
    rule_ids: tuple[str, ...]
    escalated: bool
    escalation: tuple[Message, ...] = ()
    message: Message
    last_clear_date: date | None = None
    supersedes: str | None = None
    simulated: bool = False
