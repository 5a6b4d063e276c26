from __future__ import annotations

import csv
import dataclasses
import io
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from fake_run import HOSTILE_NAMES, make_world
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.reports.bulletin import Bulletin
from agro.reports.i18n import LANGUAGES, Translator, clean_text
from agro.reports.publish import gather
from agro.reports.workbook import inert_cell, render_csv, render_xlsx, typed_columns

ATTACKS = (
    "=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", " =cmd|' /C calc'!A0", '=HYPERLINK("http://evil.example","x")',
    "http://evil.example", "mailto:a@b.c", "＝1+1", "123", "'=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def bulletin(tmp_path_factory: pytest.TempPathFactory) -> Bulletin:
    world = make_world(tmp_path_factory.mktemp("week"))
    return gather(world.store, world.run, world.published, world.awaiting)[0]


def attacked(bulletin: Bulletin, text: str) -> Bulletin:
    lines = tuple(
        dataclasses.replace(line, name=text, crop=text, irrigation_system=text, decision_reason=text, parcel_uid=text)
        for line in bulletin.lines
    )
    return dataclasses.replace(bulletin, lines=lines, region_name=dict.fromkeys(LANGUAGES, text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns_are_typed_and_missing_is_empty(bulletin: Bulletin, language: str) -> None:
    tr = Translator(language)
    book = openpyxl.load_workbook(io.BytesIO(render_xlsx(bulletin, tr)))
    sheet = book.active
    assert bool(sheet.sheet_view.rightToLeft) == (language == "ar")
    columns = typed_columns(bulletin, tr)
    assert [cell.value for cell in sheet[3]] == [column.head for column in columns]
    seen = dict.fromkeys(("number", "date", "text"), 0)
    for line, row in zip(bulletin.lines, sheet.iter_rows(min_row=4), strict=True):
        for column, cell in zip(columns, row, strict=True):
            if cell.value is None:
                continue
            seen[column.kind] += 1
            assert isinstance(cell.value, {"number": int | float, "date": datetime, "text": str}[column.kind])
            assert cell.data_type == {"number": "n", "date": "d", "text": "s"}[column.kind]
        amount = row[[c.name for c in columns].index("amount_mm")].value
        assert (amount is None) == (line.state != "irrigate")
        if amount is not None:
            assert amount == pytest.approx(line.amount_mm)
    assert min(seen.values()) > 5


@pytest.mark.parametrize("text", [*ATTACKS, *HOSTILE_NAMES])
def test_hostile_text_is_a_string_in_every_field(bulletin: Bulletin, text: str) -> None:
    hostile = attacked(bulletin, text)
    body = render_xlsx(hostile, Translator("en"))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert not [
        name for name, part in parts.items() if b"<f>" in part or b"<hyperlink" in part or b"externalLink" in part
    ]
    assert not [name for name in parts if "vba" in name.lower()]
    sheet = openpyxl.load_workbook(io.BytesIO(body)).active
    for column in (1, 2, 3, 4, 23):
        cell = sheet.cell(4, column)
        assert cell.data_type == "s"
        if clean_text(text).startswith(("=", "+", "-", "@")):
            assert cell.quotePrefix
    for row in list(csv.DictReader(io.StringIO(render_csv(hostile, Translator("en")).decode("utf-8-sig"))))[:3]:
        for name in ("name", "crop", "irrigation_system", "decision_reason", "parcel_uid", "sentence"):
            assert not row[name].lstrip().startswith(("=", "+", "-", "@", "\t", "＝")), row[name]


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_a_csv_cell_never_begins_a_formula_nor_breaks_the_row(text: str) -> None:
    cell = inert_cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not set(cell) & set("\r\n\x00")
    assert len(cell) <= 501


def test_csv_says_the_same(bulletin: Bulletin) -> None:
    rows = list(csv.DictReader(io.StringIO(render_csv(bulletin, Translator("fr")).decode("utf-8-sig"))))
    assert len(rows) == len(bulletin.lines)
    for line, row in zip(bulletin.lines, rows, strict=True):
        assert row["volume_m3"] == ("" if line.volume_m3 is None else repr(round(line.volume_m3, 4)))
        assert (date.fromisoformat(row["window_start"]) if row["window_start"] else None) == line.window_start


def test_same_inputs_same_bytes(bulletin: Bulletin) -> None:
    assert render_xlsx(bulletin, Translator("ar")) == render_xlsx(bulletin, Translator("ar"))
