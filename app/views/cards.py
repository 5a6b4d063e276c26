"""The advice of one field as a card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from agro.reports.i18n import Shown, Translator, is_missing
from agro.schema.advice import AdviceRecord
from app import markup, palette

if TYPE_CHECKING:
    from agro.advice.review import Decision

_NAME_LIMIT = 48


def field_name(row: Mapping[str, Any], tr: Translator) -> str:
    """Name of a field with its identifier, or the identifier alone."""
    uid = str(row["parcel_uid"])
    name = None if is_missing(row["name"]) else str(row["name"])
    shown = tr.name(name, _NAME_LIMIT)
    return str(tr.name(uid)) if name is None or name == uid else f"{shown} · {tr.isolate(uid)}"


def _top(row: Mapping[str, Any], crop: str, record: AdviceRecord | None, tr: Translator) -> Markup:
    under = tr.text(
        "app.card.under",
        crop=Shown(crop),
        area=tr.quantity(row["metrics:area"] / 1e4, "ha", 1),
        system=tr.word("irrigation", row["agro:irrigation"]),
    )
    head = Markup('<h2>{}</h2><div class="ag-under">{}</div>').format(field_name(row, tr), under)
    if record is None:
        return head + Markup('<p class="ag-say">{}</p>').format(tr.text("app.map.no_advice"))
    return (
        head
        + markup.pill(
            tr.text(f"action.{record.action}"), palette.ACTIONS[record.action], palette.ACTION_INK[record.action]
        )
        + Markup('<p class="ag-say">{}</p>').format(tr.message(record.message))
    )


def _confidence(record: AdviceRecord, tr: Translator) -> Markup:
    words = tr.text(
        "app.card.confidence",
        label=tr.text(f"confidence_label.{record.confidence_label}"),
        share_pct=100 * record.confidence,
    )
    return Markup("<b>{}</b>").format(tr.text("column.confidence")) + markup.confidence_bar(
        record.confidence, record.confidence_label, words
    )


def _escalation(record: AdviceRecord, decision: Decision | None, tr: Translator, brief: bool = False) -> Markup:
    if decision is not None:
        line = tr.text(
            f"app.review.was_{decision.decision}",
            reviewer=tr.name(decision.reviewer),
            day=tr.date(decision.decided_at.date(), "long"),
            amount_mm=decision.amount_mm,
        )
        why = [tr.text("fields.decision_reason", reason=tr.name(decision.reason))] if decision.reason else []
        return markup.notice(line, why, "plain")
    if not record.escalated:
        return Markup("")
    return markup.notice(
        tr.text("watch.awaiting"), [] if brief else [tr.message(m) for m in record.escalation], "escalated"
    )


def short_card(
    row: Mapping[str, Any], crop: str, record: AdviceRecord | None, decision: Decision | None, tr: Translator
) -> Markup:
    """Say what to do and how sure it is: the card beside the map."""
    body = _top(row, crop, record, tr)
    if record is not None:
        body += _confidence(record, tr) + _escalation(record, decision, tr, brief=True)
        body += Markup('<p class="ag-note">{}</p>').format(_last_look(record, tr))
    return Markup('<div class="ag-card">{}</div>').format(body)


def _last_look(record: AdviceRecord, tr: Translator) -> str:
    if record.last_clear_date is None:
        return tr.text("abstain.never_seen")
    return tr.text(
        "app.card.last_look",
        day=tr.date(record.last_clear_date, "long"),
        days=(record.issued_on - record.last_clear_date).days,
    )


def full_card(
    row: Mapping[str, Any], crop: str, record: AdviceRecord, decision: Decision | None, tr: Translator
) -> Markup:
    """Everything that is to be done, and how sure it is."""
    pairs: list[tuple[str, str, str]] = []
    if record.amount_mm is not None:
        low, high = record.amount_low_mm, record.amount_high_mm
        between = (
            tr.text("range.compact", low=tr.number(low, 0), high=tr.quantity(high, "mm", 0))
            if low is not None and high is not None
            else ""
        )
        pairs.append((tr.text("column.dose"), tr.quantity(record.amount_mm, "mm", 0), between))
        if record.gross_mm is not None:
            per_ha = tr.quantity(10 * record.gross_mm, "m3_ha", 0)
            pairs.append((tr.text("column.per_ha"), tr.quantity(record.gross_mm, "mm", 0), per_ha))
        if record.volume_m3 is not None:
            pairs.append((tr.text("column.volume"), tr.quantity(record.volume_m3, "m3", 0), ""))
        hours = (
            tr.text("app.card.no_flow") if record.hours is None else tr.text("count.hours", n=round(record.hours, 1))
        )
        pairs.append((tr.text("column.hours"), hours, ""))
    if record.window_start is not None and record.window_end is not None:
        start, end = tr.date(record.window_start), tr.date(record.window_end)
        shown = start if record.window_start == record.window_end else tr.text("range.compact", low=start, high=end)
        pairs.append((tr.text("column.window"), shown, ""))
    seen = tr.date(record.last_clear_date, "short")
    age = tr.text("count.days", n=(record.issued_on - record.last_clear_date).days) if record.last_clear_date else ""
    pairs.append((tr.text("column.last_clear"), seen, age))
    drivers = Markup("<br>").join(tr.message(m) for m in record.confidence_drivers)
    return Markup('<div class="ag-card">{}{}{}{}{}</div>').format(
        _top(row, crop, record, tr),
        markup.facts(pairs),
        _confidence(record, tr),
        Markup('<p class="ag-note">{}</p>').format(drivers) if record.confidence_drivers else "",
        _escalation(record, decision, tr),
    )
