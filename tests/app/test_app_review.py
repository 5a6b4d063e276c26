from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_workspace import ISSUED, REGION
from streamlit.testing.v1 import AppTest

from agro.advice.review import ReviewStore
from agro.reports.i18n import LANGUAGES
from agro.schema.errors import AgroError, ContractError
from agro.store.workspace import RegionStore, Workspace
from app import review
from app.words import translator

NOW = datetime(2019, 4, 15, 12, tzinfo=UTC)
# The field's page alone, as main.py would draw it.
FIELD = """
from datetime import date
from pathlib import Path
from app import data
from app.context import Context
from app.views import field
from app.words import translator

root = Path({root!r})
(region,) = data.regions(root)
field.show(Context(root, region, region.issue_dates[-1], translator({language!r})))
"""


@pytest.fixture
def store(own_workspace: Path) -> RegionStore:
    return Workspace(own_workspace).region(REGION)


def field_page(root: Path, uid: str, language: str = "en") -> AppTest:
    test = AppTest.from_string(FIELD.format(root=str(root), language=language), default_timeout=30)
    test.query_params["field"] = uid
    return test.run()


def said(test: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in test.get("html"))


@pytest.mark.parametrize(
    ("decision", "reviewer", "amount", "reason", "key"),
    [
        ("accept", "Amina", None, "", None),
        ("accept", "  ", None, "", "app.review.need_reviewer"),
        ("edit", "Amina", 20.0, "sandy corner", None),
        ("edit", "Amina", 20.0, " ", "app.review.need_reason"),
        ("edit", "Amina", None, "sandy corner", "app.review.need_amount"),
        ("edit", "Amina", 900.0, "sandy corner", "app.review.need_amount"),
        ("reject", "Amina", None, "", "app.review.need_reason"),
        ("reject", "Amina", None, "pump broken", None),
    ],
)
def test_what_a_decision_lacks_is_said(
    decision: str, reviewer: str, amount: float | None, reason: str, key: str | None
) -> None:
    assert review.problem(decision, reviewer, amount, reason) == key
    assert key is None or all(translator(language).has(key) for language in LANGUAGES)


def test_reading_makes_no_database(store: RegionStore) -> None:
    assert review.latest_decisions(store) == {}
    assert not (store.path / "review.sqlite").exists()


def test_the_last_decision_stands_and_a_stale_one_is_refused(store: RegionStore) -> None:
    record = store.run(ISSUED).advice()[0]
    review.decide(store, record, "accept", "Amina", None, "", NOW, None)
    first = review.latest_decisions(store)[record.advice_id]
    review.decide(store, record, "edit", "Brahim", 25.0, "sandy corner", NOW, first)
    stands = review.latest_decisions(store)[record.advice_id]
    assert (stands.decision, stands.amount_mm, stands.reviewer) == ("edit", 25.0, "Brahim")
    with pytest.raises(AgroError, match="decided meanwhile"):
        review.decide(store, record, "reject", "Amina", None, "pump broken", NOW, first)
    assert review.latest_decisions(store)[record.advice_id] == stands


def test_a_broken_database_is_said(store: RegionStore) -> None:
    (store.path / "review.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(ContractError):
        review.latest_decisions(store)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_decision_is_written_from_the_page_and_shown(own_workspace: Path, store: RegionStore, language: str) -> None:
    test = field_page(own_workspace, "p003", language)
    assert not test.exception
    assert "ag-escalated" in said(test)
    assert str(translator(language).date("2019-04-03", "long")) in said(test)  # last irrigation, in the page's words
    name = next(r.advice_id for r in store.run(ISSUED).advice() if r.parcel_uid == "p003")
    test.button(key=f"save_{name}").click().run()
    assert test.warning[0].value == translator(language).text("app.review.need_reviewer")
    assert review.latest_decisions(store) == {}
    test.text_input(key=f"reviewer_{name}").set_value("أمينة <b>")
    test.radio(key=f"decision_{name}").set_value("edit").run()
    test.number_input(key=f"amount_{name}").set_value(35.0)
    test.text_area(key=f"reason_{name}").set_value("sandy <corner>")
    test.button(key=f"save_{name}").click().run()
    assert not test.exception
    assert not test.warning
    made = review.latest_decisions(store)[name]
    assert (made.decision, made.amount_mm, made.reviewer, made.reason) == ("edit", 35.0, "أمينة <b>", "sandy <corner>")
    assert "ag-escalated" not in said(test)
    assert "sandy &lt;corner&gt;" in said(test)


def test_two_people_at_once_do_not_overwrite_each_other(own_workspace: Path, store: RegionStore) -> None:
    record = next(r for r in store.run(ISSUED).advice() if r.parcel_uid == "p003")
    test = field_page(own_workspace, "p003")
    test.text_input(key=f"reviewer_{record.advice_id}").set_value("Amina")
    review.decide(store, record, "reject", "Brahim", None, "pump broken", NOW, None)
    test.button(key=f"save_{record.advice_id}").click().run()
    assert "Brahim has decided meanwhile" in test.warning[0].value
    (only,) = ReviewStore(store.review_database).decisions()
    assert only.reviewer == "Brahim"
    assert "Set aside by" in said(test)
    test.button(key=f"save_{record.advice_id}").click().run()  # having seen it, she may decide otherwise
    assert review.latest_decisions(store)[record.advice_id].reviewer == "Amina"
