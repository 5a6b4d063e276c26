"""The bulletin's parcels as a workbook with typed columns, and as CSV: what people type stays text in both.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` as a formula. In the workbook such text is stored as a
string that is marked as quoted, so that it stays text even when the cell is edited; in CSV, which has no types, an
apostrophe goes before it (OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.i18n import Translator, clean_text
from agro.reports.view import region_name, sentence_of

Kind = Literal["text", "number", "date"]
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
#: Excel's limit of a cell is 32,767 characters; a name or note needs far less.
_TEXT_LIMIT = 500


@dataclass(frozen=True)
class TypedColumn:
    """One column: machine name, head in the language, kind, number format and width in characters."""

    name: str
    head: str
    kind: Kind
    form: str
    width: float
    value: Callable[[ParcelLine], Any]


def typed_columns(bulletin: Bulletin, tr: Translator) -> list[TypedColumn]:
    """Columns of the parcels' table; amounts are those of advice let out, empty for any other parcel."""

    def head(key: str, unit: str = "") -> str:
        return f"{tr.text(key)} ({tr.unit(unit)})" if unit else tr.text(key)

    def number(
        name: str, key: str, unit: str, value: Callable[[ParcelLine], Any], form: str = "#,##0.0"
    ) -> TypedColumn:
        return TypedColumn(name, head(key, unit), "number", form, 12, value)

    def text(name: str, key: str, width: float, value: Callable[[ParcelLine], Any]) -> TypedColumn:
        return TypedColumn(name, head(key), "text", "", width, value)

    def day(name: str, key: str, value: Callable[[ParcelLine], Any]) -> TypedColumn:
        return TypedColumn(name, head(key), "date", "yyyy-mm-dd", 12, value)

    return [
        text("parcel_uid", "workbook.uid", 16, lambda line: line.parcel_uid),
        text("name", "column.field", 28, lambda line: line.name),
        text("crop", "column.crop_only", 16, lambda line: tr.word("crop", line.crop, bulletin.crop_names)),
        text("irrigation_system", "workbook.system", 14, lambda line: tr.word("irrigation", line.irrigation_system)),
        number("area_ha", "evidence.area", "ha", lambda line: line.area_ha, "#,##0.00"),
        text("state", "column.advice", 14, lambda line: tr.text(f"state.{line.state}")),
        number("amount_mm", "column.dose", "mm", lambda line: line.amount_mm),
        number("gross_m3_ha", "column.per_ha", "m3_ha", lambda line: None if line.gross_mm is None else 10 * line.gross_mm, "#,##0"),
        number("volume_m3", "column.volume", "m3", lambda line: line.volume_m3, "#,##0"),
        number("hours", "column.hours", "h", lambda line: line.hours),
        day("window_start", "workbook.start", lambda line: line.window_start),
        day("window_end", "workbook.end", lambda line: line.window_end),
        TypedColumn("confidence_frac", head("column.confidence"), "number", "0%", 12, lambda line: line.confidence),
        number("depletion_mm", "evidence.depletion", "mm", lambda line: line.dr_mm),
        number("taw_mm", "evidence.taw", "mm", lambda line: line.taw_mm),
        TypedColumn("depletion_frac", head("column.depletion"), "number", "0%", 12, lambda line: line.depletion_frac),
        number("eta_week_mm", "column.eta", "mm", lambda line: line.eta_mm),
        number("rain_week_mm", "column.rain", "mm", lambda line: line.rain_mm),
        number("irrigation_week_mm", "column.irrigation", "mm", lambda line: line.irrigation_mm),
        TypedColumn("ndvi", tr.text("figure.map_ndvi"), "number", "0.00", 12, lambda line: line.ndvi),
        day("last_clear_date", "column.last_clear", lambda line: line.last_clear_date),
        text("sentence", "workbook.sentence", 60, lambda line: sentence_of(line, tr)),
        text("decision_reason", "workbook.decision", 30, lambda line: line.decision_reason),
    ]  # fmt: skip


def starts_formula(text: str) -> bool:
    """Whether a spreadsheet may take the text for a formula or a command."""
    return text.lstrip(" \u00a0\u202f").startswith(_STARTS_FORMULA)


def inert_cell(text: str) -> str:
    """Text for a CSV cell that no spreadsheet runs."""
    shown = clean_text(text, _TEXT_LIMIT)
    return f"'{shown}" if starts_formula(shown) else shown


def _value(column: TypedColumn, line: ParcelLine) -> Any:
    value = column.value(line)
    if value is None or value != value:
        return None
    if column.kind == "number":
        return float(value) if math.isfinite(value) else None
    return value if column.kind == "date" else clean_text(str(value), _TEXT_LIMIT)


def render_xlsx(bulletin: Bulletin, tr: Translator) -> bytes:
    """Write the parcels as an XLSX workbook.

    Parameters
    ----------
    bulletin : Bulletin
    tr : Translator
        Language of heads and words; Arabic sheets run from right to left.

    Returns
    -------
    bytes
        One sheet: numbers as numbers, dates as dates, text as text; a missing value is an empty cell. No formula, link
        or macro. Equal input gives equal bytes.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        "nan_inf_to_errors": False,
    }  # fmt: skip
    book = xlsxwriter.Workbook(buffer, options)
    issued = bulletin.issued_on
    book.set_properties(
        {"title": clean_text(tr.text("bulletin.title")), "created": datetime(issued.year, issued.month, issued.day)}
    )
    sheet = book.add_worksheet(tr.text("workbook.sheet"))
    if tr.direction == "rtl":
        sheet.right_to_left()
    bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top", "bottom": 2, "bg_color": "#eef3f5"})
    title = book.add_format({"bold": True, "font_size": 13})
    alarm = book.add_format({"bold": True, "font_color": "#b00020"})
    quoted = book.add_format({"quote_prefix": True})
    plain = book.add_format()
    sheet.write_string(0, 0, f"{region_name(bulletin, tr)} · {tr.date(issued, 'long')}", title)
    if bulletin.simulated:
        sheet.write_string(1, 0, tr.text("bulletin.simulated"), alarm)
    columns = typed_columns(bulletin, tr)
    for place, column in enumerate(columns):
        form = book.add_format({"num_format": column.form}) if column.form else plain
        sheet.set_column(place, place, column.width)
        sheet.write_string(2, place, column.head, bold)
        for row, line in enumerate(bulletin.lines, start=3):
            value = _value(column, line)
            if value is None:
                continue
            if column.kind == "number":
                sheet.write_number(row, place, value, form)
            elif column.kind == "date":
                sheet.write_datetime(row, place, datetime(value.year, value.month, value.day), form)
            else:
                sheet.write_string(row, place, value, quoted if starts_formula(value) else plain)
    sheet.freeze_panes(3, 2)
    sheet.autofilter(2, 0, 2 + len(bulletin.lines), len(columns) - 1)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(2)
    book.close()
    return buffer.getvalue()


def render_csv(bulletin: Bulletin, tr: Translator) -> bytes:
    """Write the same table as CSV with machine names in its head: UTF-8 with its mark, numbers with a point, dates ISO 8601."""
    columns = typed_columns(bulletin, tr)
    rows: list[Sequence[str]] = [[column.name for column in columns]]
    rows += [[_written(_value(column, line)) for column in columns] for line in bulletin.lines]
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\r\n").writerows(rows)
    return buffer.getvalue().encode("utf-8-sig")


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    return f"{round(value, 4)!r}" if isinstance(value, float) else inert_cell(value)
