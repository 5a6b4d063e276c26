from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_workspace import ISSUED, REGION
from streamlit.testing.v1 import AppTest

MAIN = Path(__file__).resolve().parents[2] / "app" / "main.py"


def page(root: Path, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("AGRO_WORKSPACE", str(root))
    monkeypatch.setattr("sys.argv", ["main.py"])
    test = AppTest.from_file(str(MAIN), default_timeout=30)
    for name, value in query.items():
        test.query_params[name] = value
    return test.run()


def said(test: AppTest) -> str:
    return "\n".join(str(element.proto.body) for element in test.get("html"))


@pytest.mark.parametrize(
    ("language", "words"), [("fr", "Il n'y a encore rien"), ("ar", "لا يوجد ما يعرض"), ("en", "nothing to show")]
)
def test_an_empty_workspace_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str, words: str
) -> None:
    test = page(tmp_path, monkeypatch, lang=language)
    assert not test.exception
    assert "agro demo --workspace" in said(test)
    assert words in said(test).replace("&#39;", "'")


def test_a_run_without_advice_says_what_it_has(own_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_workspace / REGION / "runs" / ISSUED.isoformat() / "advice.json").unlink()
    test = page(own_workspace, monkeypatch, lang="en")
    assert not test.exception
    assert "No advice yet" in said(test)
    assert "observations" in said(test)


@pytest.mark.parametrize("name", ["advice.json", "parcels.parquet"])
def test_a_broken_artefact_is_named(own_workspace: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (own_workspace / REGION / "runs" / ISSUED.isoformat() / name).write_bytes(b"not what it was")
    test = page(own_workspace, monkeypatch, lang="en")
    assert not test.exception
    assert "This cannot be read" in said(test)
    assert name in said(test)


def test_a_broken_series_leaves_the_advice_map(own_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_workspace / REGION / "runs" / ISSUED.isoformat() / "series.parquet").write_bytes(b"not what it was")
    test = page(own_workspace, monkeypatch, lang="en")
    assert not test.exception
    assert "Irrigate" in said(test)
    assert "index:ndvi" not in [str(option) for option in test.selectbox(key="colour").options]


def test_a_broken_region_file_is_named(own_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_workspace / REGION / "region.json").write_text("{")
    test = page(own_workspace, monkeypatch, lang="en")
    assert not test.exception
    assert "region.json" in said(test)


@pytest.mark.parametrize("language", ["fr", "ar", "en"])
def test_choosing_a_field_shows_its_card(workspace: Path, monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    test = page(workspace, monkeypatch, lang=language)
    assert not test.exception
    assert 'class="ag-card"' not in said(test)
    test.selectbox(key="field_search").set_value("p001").run()
    assert not test.exception
    assert "Parcelle 1" in said(test)
    assert 'class="ag-card"' in said(test)
    assert test.query_params["field"] in ("p001", ["p001"])
    assert test.query_params["lang"] in (language, [language])


def test_every_colour_can_be_chosen(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = page(workspace, monkeypatch, lang="en")
    for colour, words in {
        "index:ndvi": "NDVI", "index:ndmi": "NDMI", "depletion": "Soil water depletion", "age": "Age of the last clear",
        "confidence": "Confidence", "advice": "Inspect",
    }.items():  # fmt: skip
        test.selectbox(key="colour").set_value(colour).run()
        assert not test.exception, colour
        assert words in said(test)


def test_the_day_moves_from_image_to_image(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = page(workspace, monkeypatch, lang="en")
    test.selectbox(key="colour").set_value("index:ndvi").run()
    assert test.select_slider(key="day").value == ISSUED
    test.button(key="image_before").click().run()
    assert not test.exception
    assert test.select_slider(key="day").value < ISSUED
    test.selectbox(key="colour").set_value("advice").run()
    test.selectbox(key="colour").set_value("index:ndvi").run()
    assert test.select_slider(key="day").value < ISSUED, "the day is forgotten"


def test_a_crop_filter_counts_only_its_fields(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = page(workspace, monkeypatch, lang="en")
    test.multiselect(key="crops").set_value(["olive"]).run()
    assert not test.exception
    legend = next(str(e.proto.body) for e in test.get("html") if 'class="ag-legend"' in str(e.proto.body))
    counts = [int(n) for n in re.findall(r"<b>(\d+)</b></div>", legend)]
    assert sum(counts[:4]) == 5


@pytest.mark.parametrize(
    "query", [{"region": "../../etc"}, {"date": "2031-01-01"}, {"field": "<script>"}, {"lang": "xx"}]
)
def test_an_address_of_nothing_is_ignored(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]
) -> None:
    test = page(workspace, monkeypatch, **query)
    assert not test.exception
    assert 'class="ag-legend"' in said(test)
    assert 'class="ag-card"' not in said(test)


def test_an_earlier_issue_can_be_read(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test = page(workspace, monkeypatch, lang="en", date="2019-04-08", field="p001")
    assert "8 April 2019" in said(test)
    assert 'class="ag-card"' in said(test)
