"""How sure the advice is: a product of factors, each between 0 and 1 (docs/advice.md)."""

from __future__ import annotations

import math

from agro.advice.facts import Facts
from agro.advice.rules import Rules
from agro.schema.advice import ConfidenceLabel, Message


def confidence(
    facts: Facts, rules: Rules, conflict: bool = False
) -> tuple[float, ConfidenceLabel, tuple[Message, ...]]:
    """Confidence, its label and what drives it, the weakest factor first.

    ``c = age * spread * soil * record * conflict``, capped where the weather is an average:

    - age = exp(-(days since the last clear look - 5) / 20), 1 up to 5 days, 0 when never seen;
    - spread = 1 / (1 + (w / 2 RAW)^2) with w the width of the 90 % interval of the depletion;
    - soil, record (irrigation not reported) and conflict (canopy and balance contradict each other): factors of
      the rules file.

    Returns
    -------
    tuple of (float, str, tuple of Message)
    """
    q = rules.confidence
    unforeseen = facts.weather_is_average or not facts.has_forecast
    age = facts.values["clear_age_d"]
    factors: list[tuple[float, Message]] = []
    by_age = 0.0 if age is None else math.exp(-max(age - q.age_free_d.value, 0.0) / q.age_scale_d.value)
    if age is not None:
        factors.append((by_age, Message(key="confidence.clear_age", params={"days": age})))
    score = by_age
    if facts.need is None:
        score = 0.0
    else:
        width, raw = facts.need["dr_high_mm"] - facts.need["dr_low_mm"], facts.need["raw_mm"]
        spread = 1.0 / (1.0 + (width / (2 * raw)) ** 2) if raw > 0 else 0.0
        factors.append((spread, Message(key="confidence.ensemble_spread", params={"width_mm": round(width, 1)})))
        kind = facts.need["soil_source"].split(":")[0]
        soil = q.soil.get(kind, q.soil["other"]).value
        factors.append((soil, Message(key="confidence.soil_source", params={"source": facts.need["soil_source"]})))
        record = 1.0
        if facts.values["irrigated"] and not facts.values["reported"]:
            record = q.no_record.value
            factors.append((record, Message(key="confidence.irrigation_record")))
        against = q.conflict.value if conflict else 1.0
        if conflict:
            factors.append((against, Message(key="escalate.conflict")))
        score *= spread * soil * record * against
        if unforeseen:
            score = min(score, q.climatology_cap.value)
            factors.append((0.0, Message(key="confidence.weather_source", params={"source": facts.weather_source})))
    limits = rules.thresholds
    # On average weather, and without a balance, the label is low whatever limits a region has set.
    label: ConfidenceLabel = "low"
    if unforeseen or facts.need is None:
        pass
    elif score >= limits["high_confidence"].value:
        label = "high"
    elif score >= limits["low_confidence"].value:
        label = "medium"
    drivers = tuple(message for factor, message in sorted(factors, key=lambda f: f[0]) if factor < 0.95)
    return round(score, 3), label, drivers
