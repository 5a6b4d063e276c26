"""From facts to one advice record a parcel. Deterministic: the same facts give the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd

from agro.advice.confidence import confidence
from agro.advice.counterfactual import counterfactual
from agro.advice.facts import AdviceInputs, Facts, build_facts
from agro.advice.rules import Rule, Rules
from agro.schema.advice import AdviceRecord, Evidence, Message, Reason
from agro.schema.provenance import digest_of

__all__ = ["AdviceInputs", "advise"]

#: An irrigation within so many days is worth a word.
RECENT_D = 7
#: Escalation that goes with each reason to abstain.
_ABSTAIN_ESCALATES = {
    "abstain.not_observable": "escalate.not_observable", "abstain.never_seen": "escalate.not_observable",
    "abstain.covered_crop": "escalate.not_observable", "abstain.no_weather": "escalate.forecast_missing",
    "abstain.no_soil": "escalate.default_soil",
}  # fmt: skip


def advise(inputs: AdviceInputs) -> list[AdviceRecord]:
    """Advice for every parcel, sorted by uid.

    Parameters
    ----------
    inputs : AdviceInputs
        Tables of one run.

    Returns
    -------
    list of AdviceRecord
        One a parcel, the unobservable ones too: they abstain and say why.
    """
    return sorted((_record(facts, inputs) for facts in build_facts(inputs)), key=lambda r: r.parcel_uid)


def _record(facts: Facts, inputs: AdviceInputs) -> AdviceRecord:
    rules: Rules = inputs.rules
    region, as_of = inputs.region, inputs.as_of
    limits = rules.limits(region.advice.max_clear_age_d)
    rule = rules.decide(facts.values, limits)
    conflict = rule.message == "inspect.conflict" or _green_but_stressed(facts, limits)
    score, label, drivers = confidence(facts, rules, conflict)
    fields: dict[str, Any] = {"action": rule.action}
    start, end = as_of, as_of + timedelta(days=1)
    if rule.action == "irrigate" and facts.need is not None:
        ahead = facts.values["days_to_trigger"] or 0
        end = as_of + timedelta(days=max(1, ahead))
        hours = facts.need["hours"]
        fields.update(
            amount_mm=round(facts.need["net_mm"], 1), amount_low_mm=round(facts.need["net_low_mm"], 1),
            amount_high_mm=round(facts.need["net_high_mm"], 1), gross_mm=round(facts.need["gross_mm"], 1),
            volume_m3=round(facts.need["volume_m3"], 0), hours=None if pd.isna(hours) else round(float(hours), 1),
            window_start=start, window_end=end,
        )  # fmt: skip
    escalation = _escalation(facts, inputs, rule, label, score, limits, conflict)
    fields.update(
        confidence=score, confidence_label=label, confidence_drivers=drivers, reasons=_reasons(facts, rule, limits, as_of),
        evidence=_evidence(facts, inputs), counterfactual=counterfactual(facts, rules, limits, as_of, end), rule_ids=(rule.id,),
        escalated=bool(escalation), escalation=escalation, message=_message(facts, rule, fields), last_clear_date=facts.last_clear,
        region_id=region.place.id, parcel_uid=facts.uid, crop=facts.crop, issued_on=as_of, simulated=region.place.simulated,
    )  # fmt: skip
    draft = AdviceRecord(advice_id="", **fields)
    return draft.model_copy(
        update={"advice_id": f"a-{digest_of(draft.model_dump(mode='json', exclude={'advice_id', 'supersedes'}))}"}
    )


def _message(facts: Facts, rule: Rule, fields: Mapping[str, Any]) -> Message:
    """The sentence that says what to do."""
    if rule.action == "irrigate":
        key = "advice.irrigate" if fields["hours"] is None else "advice.irrigate_hours"
        names = (
            "amount_mm",
            "volume_m3",
            "window_start",
            "window_end",
            *(("hours",) if fields["hours"] is not None else ()),
        )
        return Message(
            key=key, params={n: v.isoformat() if isinstance(v, date) else v for n in names for v in (fields[n],)}
        )
    if rule.action == "hold":
        if rule.message == "advice.hold_rainfed":
            return Message(key=rule.message)
        # At the trigger already and held all the same: rain lifts it, what counts is when it comes back.
        ahead = None if facts.no_crop else facts.values.get("next_trigger_d")
        return Message(key="advice.hold", params={"days": facts.outlook_d if ahead is None else ahead})
    slot = "what" if rule.action == "inspect" else "why"
    return Message(key=f"advice.{rule.action}", params={slot: rule.message, **_abstain_params(facts, rule)})


def _abstain_params(facts: Facts, rule: Rule) -> dict[str, Any]:
    if rule.message == "abstain.clear_look":
        return {"days": facts.values["clear_age_d"]}
    if rule.message == "abstain.not_observable":
        return {"pixels": int(facts.pixels)}
    if rule.message == "abstain.interval" and facts.need is not None:
        return {
            "width_mm": round(facts.need["dr_high_mm"] - facts.need["dr_low_mm"], 0),
            "raw_mm": round(facts.need["raw_mm"], 0),
        }
    return {}


def _escalation(
    facts: Facts,
    inputs: AdviceInputs,
    rule: Rule,
    label: str,
    score: float,
    limits: Mapping[str, float],
    conflict: bool,
) -> tuple[Message, ...]:
    """Why a person has to decide; empty when nobody has to."""
    found: list[Message] = []
    age = facts.values["clear_age_d"]
    if age is not None and age > limits["escalate_clear_age"]:
        found.append(Message(key="escalate.clear_look_old", params={"days": age}))
    if rule.action == "abstain":
        found.append(_why_no_advice(facts, rule))
    if conflict:
        found.append(Message(key="escalate.conflict"))
    region = inputs.region
    if limits["first_season"] and region.yield_history is None and region.index_history is None:
        found.append(Message(key="escalate.first_season"))
    if not facts.has_forecast:
        found.append(Message(key="escalate.forecast_missing"))
    if facts.need is not None:
        if facts.need["soil_source"].startswith("texture_default"):
            found.append(Message(key="escalate.default_soil"))
        if facts.weather_is_average:
            found.append(Message(key="escalate.fallback_weather", params={"source": facts.weather_source}))
        width, raw = facts.need["dr_high_mm"] - facts.need["dr_low_mm"], facts.need["raw_mm"]
        if facts.values["irrigated"] and not facts.no_crop and width > raw:
            found.append(
                Message(key="escalate.interval_wide", params={"width_mm": round(width, 0), "raw_mm": round(raw, 0)})
            )
    if label == "low" and facts.values["irrigated"] and not facts.no_crop:
        found.append(Message(key="escalate.low_confidence", params={"confidence_pct": round(score * 100)}))
    unique: dict[str, Message] = {}
    for message in found:
        unique.setdefault(message.key, message)
    return tuple(unique.values())


def _why_no_advice(facts: Facts, rule: Rule) -> Message:
    """Abstaining always goes to a person."""
    if rule.message == "abstain.clear_look":
        return Message(key="escalate.clear_look_old", params={"days": facts.values["clear_age_d"]})
    if rule.message == "abstain.interval":
        return Message(key="escalate.interval_wide", params=_abstain_params(facts, rule))
    return Message(key=_ABSTAIN_ESCALATES.get(rule.message, "escalate.not_observable"))


def _green_but_stressed(facts: Facts, limits: Mapping[str, float]) -> bool:
    """Canopy and balance contradict each other, whatever the rule made of it."""
    days, ndvi = facts.values.get("long_stress_d"), facts.values["ndvi"]
    if days is None or ndvi is None or not facts.values["irrigated"]:
        return False
    return bool(days >= limits["doubtful_stress"] and ndvi >= limits["green_ndvi"])


def _reasons(facts: Facts, rule: Rule, limits: Mapping[str, float], as_of: date) -> tuple[Reason, ...]:
    """Reasons for and against, the weightiest first.

    A reason that speaks for water is "for" an irrigation and "against" waiting, and the other way round.
    """
    found: list[tuple[Message, float, float]] = []  # message, weight, +1 speaks for water, -1 against
    v, n = facts.values, facts.need

    def add(key: str, weight: float, side: float, **params: Any) -> None:
        found.append((Message(key=f"reason.{key}", params=params), round(min(max(weight, 0.0), 1.0), 2), side))

    if n is not None and v["irrigated"]:
        share = v["dr_of_raw"] or 0.0
        numbers = {"dr_mm": round(n["dr_mm"], 0), "raw_mm": round(n["raw_mm"], 0)}
        if share >= 1:
            add("depletion_above_raw", 0.6 + 0.4 * min(share - 1, 1), 1, **numbers)
        else:
            add("depletion_below_raw", 0.4 + 0.6 * (1 - share), -1, **numbers)
            ahead = v.get("days_to_trigger")
            if ahead:
                day = as_of + timedelta(days=int(ahead))
                add(
                    "reaches_raw_soon",
                    0.7 * v["trigger_prob"],
                    1,
                    date=day.isoformat(),
                    prob_pct=round(100 * v["trigger_prob"]),
                )
        rain = n["forecast_rain_mm"]
        if rain >= limits["rain_counts"]:
            add("rain_expected", rain / max(n["raw_mm"], 1), -1, rain_mm=round(rain, 0), days=facts.outlook_d)
        else:
            add("no_rain_expected", 0.3, 1, days=facts.outlook_d)
        if n["forecast_et0_mm"] / facts.outlook_d >= limits["high_demand"]:
            add("high_demand", 0.4, 1, et0_mm=round(n["forecast_et0_mm"], 0), days=facts.outlook_d)
        if n["stress_days"] > 0:
            add("stress_days", 0.3 + 0.1 * n["stress_days"], 1, days=int(n["stress_days"]))
        last = n["last_irrigation_date"]
        if facts.last_irrigation_mm and (as_of - last.date()).days <= RECENT_D:
            add("recent_irrigation", 0.3, -1, depth_mm=round(facts.last_irrigation_mm, 0), date=last.date().isoformat())
        if not v["reported"]:
            add("no_irrigation_record", 0.5, -1, days=30)
        if v["may_fall"] and not v["season_over"] and v["ndvi_change"] is not None and v["ndvi_change"] < -0.05:
            add("canopy_declining", 0.4, -1, change=round(v["ndvi_change"], 2))
    if v["season_over"]:
        add("near_harvest", 1.0, -1)
    if v["not_sown"]:
        add("not_sown", 1.0, -1)
    if not v["may_fall"] and v["ndvi_change"] is not None and v["ndvi_change"] <= limits["fall_14d"]:
        add("canopy_declining", 0.7, 1, change=round(v["ndvi_change"], 2))
    if v["ndvi_change"] is not None and v["ndvi_change"] >= 0.05:
        add("canopy_growing", 0.3, 1, change=round(v["ndvi_change"], 2))
    if v["neighbour_z"] is not None and v["neighbour_z"] <= limits["neighbour_z"] and facts.ndvi is not None:
        add(
            "canopy_behind_neighbours", min(abs(v["neighbour_z"]) / 4, 1.0), 1, value=round(facts.ndvi, 2),
            median=round(facts.neighbour_median or 0.0, 2), count=int(v["neighbour_count"]),
        )  # fmt: skip
    holds = rule.action == "hold"
    ordered = sorted(found, key=lambda r: (-r[1], r[0].key))
    return tuple(
        Reason(message=m, direction="for" if (side > 0) != holds else "against", weight=w) for m, w, side in ordered
    )


def _evidence(facts: Facts, inputs: AdviceInputs) -> tuple[Evidence, ...]:
    """Every number that the advice rests on, with unit, date and source."""
    today = inputs.as_of
    out: list[Evidence] = []

    def add(
        name: str, value: Any, unit: str, source: str, day: date | None = today, threshold: float | None = None
    ) -> None:
        clean = None if value is None or (isinstance(value, float) and pd.isna(value)) else value
        rounded = round(float(clean), 3) if isinstance(clean, (int, float)) and not isinstance(clean, bool) else clean
        out.append(
            Evidence(name=f"evidence.{name}", value=rounded, unit=unit, date=day, source=source, threshold=threshold)
        )

    add("area", facts.area_ha, "ha", "parcel_outline", None)
    if facts.values["clear_age_d"] is not None:
        add(
            "clear_age",
            facts.values["clear_age_d"],
            "d",
            "imagery",
            facts.last_clear,
            inputs.region.advice.max_clear_age_d,
        )
        add("ndvi", facts.ndvi, "1", "imagery_smoothed", facts.last_clear)
    if facts.neighbour_median is not None:
        add(
            "ndvi_neighbours",
            facts.neighbour_median,
            "1",
            "neighbours",
        )
    n = facts.need
    if n is not None:
        add("depletion", n["dr_mm"], "mm", "water_balance", threshold=round(n["raw_mm"], 1))
        add("taw", n["taw_mm"], "mm", n["soil_source"])
        add("raw", n["raw_mm"], "mm", "fao56")
        add("kcb", facts.kcb, "1", n["kcb_source"], facts.last_clear if n["kcb_source"] == "ndvi" else today)
        add("et0_week", facts.et0_week_mm, "mm", n["weather_source"])
        add("rain_week", facts.rain_week_mm, "mm", n["weather_source"])
        add("et0_outlook", n["forecast_et0_mm"], "mm", n["weather_source"])
        add("rain_outlook", n["forecast_rain_mm"], "mm", n["weather_source"])
        add(
            "trigger_prob",
            facts.values.get("lead_prob"),
            "1",
            "ensemble",
            threshold=inputs.rules.thresholds["trigger_prob"].value,
        )
        add("stress_days", n["stress_days"], "d", "water_balance")
        add("soil", n["soil_source"], "", n["soil_source"], None)
        add("weather", n["weather_source"], "", n["weather_source"])
        add("efficiency", n["efficiency_frac"], "1", n["efficiency_source"], None)
        if not pd.isna(n["last_irrigation_date"]):
            add(
                "last_irrigation",
                n["last_irrigation_date"].date().isoformat(),
                "",
                "reported",
                n["last_irrigation_date"].date(),
            )
    return tuple(out)
