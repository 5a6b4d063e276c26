"""Decisions that people take on advice: append-only, never lost, never overwritten unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import (
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
    inspect,
    select,
)
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError, ContractError

Verdict = Literal["accept", "edit", "reject"]

_METADATA = MetaData()
_DECISIONS = Table(
    "decisions",
    _METADATA,
    Column("decision_id", Integer, primary_key=True, autoincrement=True),
    Column("advice_id", String(64), nullable=False, index=True),
    Column("region_id", String(64), nullable=False),
    Column("parcel_uid", String(128), nullable=False),
    Column("reviewer", String(128), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("amount_mm", Float),
    Column("reason", String(2000)),
    Column("decided_at", DateTime(timezone=True), nullable=False),
    # 0 for the first decision. The pair is unique, so of two people at once only one can follow the same decision.
    Column("supersedes", Integer, nullable=False, default=0),
    Index("decisions_follow_once", "advice_id", "supersedes", unique=True),
)


@dataclass(frozen=True)
class Decision:
    """One decision, as stored."""

    decision_id: int
    advice_id: str
    region_id: str
    parcel_uid: str
    reviewer: str
    decision: str
    amount_mm: float | None
    reason: str | None
    decided_at: datetime
    supersedes: int

    def as_mapping(self) -> dict[str, Any]:
        """What a bulletin says of it."""
        return {
            "decision": self.decision,
            "amount_mm": self.amount_mm,
            "reason": self.reason,
            "reviewer": self.reviewer,
        }


class ReviewStore:
    """The review database.

    Parameters
    ----------
    url : str
        SQLAlchemy URL; SQLite by default in a workspace. Nothing is created until the first decision.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        """An engine for one call; its connections are closed with it."""
        engine = create_engine(self.url)
        try:
            yield engine
        finally:
            engine.dispose()

    def _exists(self) -> bool:
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            return bool(url.database) and Path(str(url.database)).exists()
        return True

    def decide(
        self,
        *,
        advice_id: str,
        region_id: str,
        parcel_uid: str,
        reviewer: str,
        decision: Verdict,
        decided_at: datetime,
        amount_mm: float | None = None,
        reason: str | None = None,
        supersedes: int | None = None,
    ) -> int:
        """Append a decision.

        Parameters
        ----------
        decided_at : datetime.datetime
            Moment of the decision, with its time zone.
        supersedes : int, optional
            Id of the decision that this one replaces; needed when there is one already.

        Returns
        -------
        int
            Id of the new decision.

        Raises
        ------
        ContractError
            An edit without an amount, an edit or rejection without a reason, a moment without a time zone, or
            somebody has decided meanwhile.
        AgroError
            The database cannot be written.
        """
        if decision not in {"accept", "edit", "reject"}:
            raise ContractError(f"unknown decision {decision!r}", do="Give accept, edit or reject")
        if not reviewer.strip():
            raise ContractError("no reviewer", do="Say who decides")
        if decision == "edit" and (amount_mm is None or not 0 <= amount_mm <= 400):
            raise ContractError("an edit needs the amount, 0 to 400 mm", do="Give the amount")
        if decision != "accept" and not (reason or "").strip():
            raise ContractError(f"{decision} needs a reason", do="Say why: it is read when the advice is scored")
        if decided_at.tzinfo is None:
            raise ContractError("the moment of the decision has no time zone", do="Give it in UTC")
        try:
            with self._engine() as engine, engine.begin() as connection:
                # "If not exists" is for the database to judge: two first decisions may come at the same moment.
                connection.execute(CreateTable(_DECISIONS, if_not_exists=True))
                for index in sorted(_DECISIONS.indexes, key=lambda i: str(i.name)):
                    connection.execute(CreateIndex(index, if_not_exists=True))
                newest = connection.execute(
                    select(_DECISIONS)
                    .where(_DECISIONS.c.advice_id == advice_id)
                    .order_by(_DECISIONS.c.decision_id.desc())
                    .limit(1)
                ).first()
                if (newest.decision_id if newest else 0) != (supersedes or 0):
                    who = (
                        f"{newest.reviewer} has decided meanwhile ({newest.decision})"
                        if newest
                        else "there is no such decision"
                    )
                    raise ContractError(who, where=f"advice {advice_id}", do="Look at it, then decide again")
                done = connection.execute(
                    insert(_DECISIONS).values(
                        advice_id=advice_id, region_id=region_id, parcel_uid=parcel_uid, reviewer=reviewer.strip(), decision=decision,
                        amount_mm=amount_mm if decision == "edit" else None, reason=reason, decided_at=decided_at.astimezone(UTC), supersedes=supersedes or 0,
                    )
                )  # fmt: skip
                key = done.inserted_primary_key
                return int(key[0]) if key else 0
        except IntegrityError as error:
            raise ContractError(
                "somebody has decided meanwhile", where=f"advice {advice_id}", do="Look at it, then decide again"
            ) from error
        except SQLAlchemyError as error:
            raise AgroError(
                f"the decision could not be written ({type(error).__name__})",
                where=make_url(self.url).render_as_string(),
                do="Check the disk and try again",
            ) from error

    def decisions(self, region_id: str | None = None) -> list[Decision]:
        """All decisions, or those of a region, oldest first; none where nobody has decided anything yet."""
        if not self._exists():
            return []
        try:
            with self._engine() as engine, engine.connect() as connection:
                if not inspect(connection).has_table(_DECISIONS.name):
                    return []
                wanted = select(_DECISIONS).order_by(_DECISIONS.c.decision_id)
                if region_id is not None:
                    wanted = wanted.where(_DECISIONS.c.region_id == region_id)
                rows = connection.execute(wanted).mappings()
                # SQLite keeps no time zone; what is written is always UTC.
                return [Decision(**{**row, "decided_at": row["decided_at"].replace(tzinfo=UTC)}) for row in rows]
        except SQLAlchemyError as error:
            raise ContractError(
                f"the review database is broken ({type(error).__name__})",
                where=make_url(self.url).render_as_string(),
                do="Restore it from a backup",
            ) from error

    def status(self, record: AdviceRecord) -> str:
        """State of one record, as :func:`status` gives it."""
        return status(record, self.decisions())


def latest(decisions: Sequence[Decision]) -> dict[str, Decision]:
    """The decision that stands, by advice id."""
    return {d.advice_id: d for d in sorted(decisions, key=lambda d: d.decision_id)}


def status(record: AdviceRecord, decisions: Sequence[Decision]) -> str:
    """``accepted``, ``edited``, ``rejected``; without a decision ``awaiting`` when escalated, else ``published``."""
    standing = latest(decisions).get(record.advice_id)
    if standing is not None:
        return {"accept": "accepted", "edit": "edited", "reject": "rejected"}[standing.decision]
    return "awaiting" if record.escalated else "published"


def publishable(
    records: Sequence[AdviceRecord], decisions: Sequence[Decision]
) -> tuple[list[tuple[AdviceRecord, Mapping[str, Any] | None]], list[AdviceRecord]]:
    """Advice that may go out, each with its decision, and advice that waits for a person. Nothing times out."""
    standing = latest(decisions)
    out: list[tuple[AdviceRecord, Mapping[str, Any] | None]] = []
    awaiting = []
    for record in records:
        decision = standing.get(record.advice_id)
        if decision is None and record.escalated:
            awaiting.append(record)
        elif decision is None or decision.decision != "reject":
            out.append((record, decision.as_mapping() if decision else None))
    return out, awaiting
