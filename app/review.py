"""What the agronomist decides: the one thing that the application writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import streamlit as st

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError
from agro.store.workspace import RegionStore

if TYPE_CHECKING:
    from agro.advice.review import Decision, Verdict
    from app.context import Context

DECISIONS: tuple[Verdict, ...] = ("accept", "edit", "reject")


def latest_decisions(store: RegionStore) -> dict[str, Decision]:
    """Decision that stands, by advice id; none where nobody has decided anything yet.

    Raises
    ------
    ContractError
        The review database is broken.
    """
    if not (store.path / "review.sqlite").exists():
        return {}  # the database library is loaded only when there is a database
    from agro.advice.review import ReviewStore, latest

    return latest(ReviewStore(store.review_database).decisions())


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
    decision: Verdict,
    reviewer: str,
    amount_mm: float | None,
    reason: str,
    decided_at: datetime,
    seen: Decision | None,
) -> None:
    """Write a decision on an advice.

    Parameters
    ----------
    seen : Decision or None
        Decision that the person saw when deciding. When another one stands by now, nothing is written.

    Raises
    ------
    AgroError
        The store refuses it, somebody else has decided meanwhile, or it cannot be written.
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
        supersedes=seen.decision_id if seen else None,
    )


def form(context: Context, record: AdviceRecord, decided: Decision | None) -> None:
    """Accept, change or refuse the advice, with a reason."""
    tr, name = context.tr, record.advice_id
    outcome = st.session_state.pop(f"outcome_{name}", None)
    wanted = (decided is None and record.escalated) or outcome is not None
    with st.expander(tr.text("app.review.title"), expanded=wanted, icon=":material/gavel:"):
        choice = st.radio(
            tr.text("app.review.title"), DECISIONS, key=f"decision_{name}", horizontal=True, label_visibility="collapsed",
            format_func=lambda key: tr.text(f"app.review.{key}"),
        )  # fmt: skip
        if choice == "edit":
            st.number_input(
                tr.text("app.review.amount"), min_value=0.0, max_value=400.0, step=5.0,
                value=float(round(record.amount_mm or 0.0)), format="%.0f", key=f"amount_{name}",
            )  # fmt: skip
        st.text_input(
            tr.text("app.review.reviewer"),
            value=st.session_state.get("reviewer", ""),
            max_chars=80,
            key=f"reviewer_{name}",
        )
        st.text_area(tr.text("app.review.reason"), max_chars=500, height=80, key=f"reason_{name}")
        # What the button was drawn with is what the person saw, even when someone else decides before the click.
        st.button(
            tr.text("app.review.save"),
            type="primary",
            key=f"save_{name}",
            on_click=_save,
            args=(context, record, decided),
        )
        if outcome is not None:
            st.warning(outcome)


def _save(context: Context, record: AdviceRecord, seen: Decision | None) -> None:
    name, state = record.advice_id, st.session_state
    choice, reviewer, reason = state[f"decision_{name}"], state[f"reviewer_{name}"], state[f"reason_{name}"]
    amount = state.get(f"amount_{name}") if choice == "edit" else None
    wrong = problem(choice, reviewer, amount, reason)
    if wrong is not None:
        state[f"outcome_{name}"] = context.tr.text(wrong)
        return
    try:
        decide(context.store, record, choice, reviewer, amount, reason, datetime.now(UTC), seen)
    except AgroError as error:
        state[f"outcome_{name}"] = context.tr.isolate(str(error))
        return
    state["reviewer"] = reviewer
    state[f"reason_{name}"] = ""
