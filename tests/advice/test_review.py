from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from advice_inputs import inputs

from agro.advice.advise import advise
from agro.advice.review import ReviewStore, latest, publishable
from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError, ContractError

NOW = datetime(2022, 4, 11, 9, tzinfo=UTC)
SURE, UNSURE = {"dr": 90.0, "age": 1, "spread": 10.0}, {"dr": 90.0, "age": 12}


def record(**facts: Any) -> AdviceRecord:
    (one,) = advise(inputs(**facts))
    return one


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore(f"sqlite:///{tmp_path / 'review.sqlite'}")


def decide(store: ReviewStore, advice: AdviceRecord, decision: Any = "accept", **more: Any) -> int:
    body = {"reviewer": "Amina", "decided_at": NOW, **more}
    return store.decide(
        advice_id=advice.advice_id, region_id=advice.region_id, parcel_uid=advice.parcel_uid, decision=decision, **body
    )


def test_a_store_that_is_not_there_holds_nothing_and_is_not_made(store: ReviewStore, tmp_path: Path) -> None:
    assert store.decisions() == []
    assert not list(tmp_path.iterdir())


def test_what_may_go_out(store: ReviewStore) -> None:
    sure, unsure = record(**SURE), record(**UNSURE)
    assert not sure.escalated and unsure.escalated
    assert publishable([sure, unsure], store.decisions()) == ([(sure, None)], [unsure])
    first = decide(store, unsure)
    out, awaiting = publishable([sure, unsure], store.decisions())
    assert [(r.advice_id, d and d["decision"]) for r, d in out] == [
        (sure.advice_id, None),
        (unsure.advice_id, "accept"),
    ]
    assert awaiting == [] and store.status(unsure) == "accepted"
    decide(store, unsure, "edit", amount_mm=20.0, reason="sandy corner", supersedes=first)
    out, _ = publishable([unsure], store.decisions())
    assert out[0][1] == {"decision": "edit", "amount_mm": 20.0, "reason": "sandy corner", "reviewer": "Amina"}


def test_rejected_advice_neither_goes_out_nor_waits(store: ReviewStore) -> None:
    sure, unsure = record(**SURE), record(**UNSURE)
    for one in (sure, unsure):
        decide(store, one, "reject", reason="pump broken")
    assert publishable([sure, unsure], store.decisions()) == ([], [])


@pytest.mark.parametrize(
    "more",
    [
        {"decision": "edit", "reason": "why"},
        {"decision": "edit", "reason": "why", "amount_mm": -1.0},
        {"decision": "edit", "reason": "why", "amount_mm": float("nan")},
        {"decision": "edit", "amount_mm": 20.0},
        {"decision": "reject"},
        {"decision": "reject", "reason": "  "},
        {"decision": "postpone"},
        {"reviewer": " "},
        {"decided_at": datetime(2022, 4, 11)},
        {"supersedes": 7},
    ],
)
def test_incomplete_decisions_are_refused(store: ReviewStore, more: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        decide(store, record(**UNSURE), **more)
    assert store.decisions() == []


def test_a_decision_on_decided_advice_names_the_one_it_replaces(store: ReviewStore) -> None:
    advice = record(**UNSURE)
    first = decide(store, advice)
    with pytest.raises(ContractError, match="Amina has decided meanwhile"):
        decide(store, advice, "reject", reason="no", reviewer="Brahim")
    second = decide(store, advice, "reject", reason="no", reviewer="Brahim", supersedes=first)
    with pytest.raises(ContractError, match="Brahim"):
        decide(store, advice, reviewer="Amina", supersedes=first)
    # Append-only: the first decision is still there.
    assert [d.decision_id for d in store.decisions()] == [first, second]
    assert latest(store.decisions())[advice.advice_id].decision == "reject"


def test_of_many_at_once_one_is_written(store: ReviewStore) -> None:
    advice = record(**UNSURE)
    first = decide(store, advice)
    done, refused = [], []

    def one(name: str) -> None:
        try:
            done.append(decide(store, advice, reviewer=name, supersedes=first))
        except AgroError as error:
            refused.append(error)

    threads = [threading.Thread(target=one, args=(f"r{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 1 and len(refused) == 5
    assert len(store.decisions()) == 2


def test_of_many_first_decisions_one_is_written(store: ReviewStore) -> None:
    advice, together, told = record(**UNSURE), threading.Barrier(6), []

    def one(name: str) -> None:
        together.wait()
        try:
            told.append(str(decide(store, advice, reviewer=name)))
        except AgroError as error:
            told.append(error.what)

    threads = [threading.Thread(target=one, args=(f"r{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.decisions()) == 1
    assert sorted("decided meanwhile" in t for t in told) == [False] + [True] * 5


def test_decisions_of_one_region(store: ReviewStore) -> None:
    decide(store, record(**UNSURE))
    assert len(store.decisions("r1")) == 1 and store.decisions("elsewhere") == []


def test_the_moment_comes_back_in_utc(store: ReviewStore) -> None:
    decide(store, record(**UNSURE), decided_at=NOW.astimezone(timezone(timedelta(hours=1))))
    assert store.decisions()[0].decided_at == NOW


def test_a_broken_store_says_so(tmp_path: Path) -> None:
    path = tmp_path / "review.sqlite"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 20)
    with pytest.raises(ContractError, match="broken"):
        ReviewStore(f"sqlite:///{path}").decisions()
