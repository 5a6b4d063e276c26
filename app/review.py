"""What the agronomist decides: the one thing that the application writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError
from agro.store.workspace import RegionStore

if TYPE_CHECKING:
    from app.context import Context

DECISIONS = ("accept", "edit", "reject")


@dataclass(frozen=True)
class Decided:
    """The last decision on an advice."""

    decision: str
    amount_mm: float | None
    reason: str | None
    reviewer: str
    decided_at: datetime


def latest_decisions(store: RegionStore) -> dict[str, Decided]:
    """Last decision by advice id; none where nobody has decided anything yet."""
    if not (store.path / "review.sqlite").exists():
        return {}  # reading must not make the file
    from agro.advice.review import ReviewStore

    found = ReviewStore(store.review_database).decisions()
    return {item.advice_id: _as_decided(item) for item in sorted(found, key=lambda item: item.decided_at)}


def _as_decided(item: Any) -> Decided:
    return Decided(item.decision, item.amount_mm, item.reason, item.reviewer, item.decided_at)


def problem(decision: str, reviewer: str, amount_mm: float | None, reason: str) -> str | None:
    """Key of the message that says why a decision cannot be written, or None.

    A changed or refused advice needs its reason: it is read back when advice is compared with what was done.
    """
    if not reviewer.strip():
        return "app.review.need_reviewer"
    if decision in ("edit", "reject") and not reason.strip():
        return "app.review.need_reason"
    if decision == "edit" and (amount_mm is None or not 0 <= amount_mm <= 400):
        return "app.review.need_amount"
    return None


def decide(
    store: RegionStore,
    record: AdviceRecord,
    decision: str,
    reviewer: str,
    amount_mm: float | None,
    reason: str,
    decided_at: datetime,
) -> None:
    """Write a decision on an advice.

    Raises
    ------
    AgroError
        The store refuses it or cannot be written.
    """
    from agro.advice.review import ReviewStore

    ReviewStore(store.review_database).decide(
        advice_id=record.advice_id,
        region_id=record.region_id,
        parcel_uid=record.parcel_uid,
        reviewer=reviewer.strip(),
        decision=decision,
        amount_mm=amount_mm if decision == "edit" else None,
        reason=reason.strip() or None,
        decided_at=decided_at,
    )


def form(context: Context, record: AdviceRecord, decided: Decided | None) -> None:
    """Accept, change or refuse the advice, with a reason."""
    tr, name = context.tr, record.advice_id
    with st.expander(
        tr.text("app.review.title"), expanded=decided is None and record.escalated, icon=":material/gavel:"
    ):
        choice = st.radio(
            tr.text("app.review.title"), DECISIONS, key=f"decision_{name}", horizontal=True, label_visibility="collapsed",
            format_func=lambda key: tr.text(f"app.review.{key}"),
        )  # fmt: skip
        amount = None
        if choice == "edit":
            amount = st.number_input(
                tr.text("app.review.amount"), min_value=0.0, max_value=400.0, step=5.0,
                value=float(round(record.amount_mm or 0.0)), format="%.0f", key=f"amount_{name}",
            )  # fmt: skip
        reviewer = st.text_input(
            tr.text("app.review.reviewer"),
            value=st.session_state.get("reviewer", ""),
            max_chars=80,
            key=f"reviewer_{name}",
        )
        reason = st.text_area(tr.text("app.review.reason"), max_chars=500, height=80, key=f"reason_{name}")
        if st.button(tr.text("app.review.save"), type="primary", key=f"save_{name}"):
            wrong = problem(choice, reviewer, amount, reason)
            if wrong is not None:
                st.warning(tr.text(wrong))
                return
            try:
                decide(context.store, record, choice, reviewer, amount, reason, datetime.now(UTC))
            except AgroError as error:
                st.error(str(error))
                return
            st.session_state["reviewer"] = reviewer
            st.rerun()
