"""One page for a parcel or for all parcels of a grower, as plain shown text laid out alike in HTML and PDF.

It says what the bulletin says of the same parcels and nothing more: advice that awaits a person has no amount here
either, because :class:`agro.reports.bulletin.ParcelLine` holds none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.figures import STATE_STYLES, Picture
from agro.reports.i18n import MISSING, Shown, Translator
from agro.reports.sheet_figures import ParcelHistory, legend
from agro.reports.view import dose_spread, field_name, notes_of, region_name, sentence_of

SheetView = dict[str, Any]


def parcel_sheet(
    bulletin: Bulletin, line: ParcelLine, tr: Translator, history: ParcelHistory, pictures: Mapping[str, Picture]
) -> SheetView:
    """Lay out the sheet of one parcel.

    Parameters
    ----------
    bulletin : Bulletin
        What was let out; gives region, date and sources.
    line : ParcelLine
        The parcel's line of it.
    tr : Translator
    history : ParcelHistory
    pictures : mapping of str to Picture
        From :func:`agro.reports.sheet_figures.draw_sheet_figures`.

    Returns
    -------
    dict
        Strings, numbers and picture names for ``sheet.html.j2`` and ``sheet.typ``.
    """
    stage = tr.text(f"stage.{line.stage}") if line.stage else ""
    about = [
        tr.word("crop", line.crop, bulletin.crop_names), stage, tr.quantity(line.area_ha, "ha", 1),
        tr.word("irrigation", line.irrigation_system),
    ]  # fmt: skip
    known = not (math.isnan(line.dr_mm) or math.isnan(line.taw_mm) or math.isnan(line.raw_mm)) and line.taw_mm > 0
    water = {
        "title": tr.text("sheet.soil_water"),
        "text": tr.text(
            "sheet.left", left_mm=max(line.taw_mm - line.dr_mm, 0.0), taw_mm=line.taw_mm, threshold_mm=line.taw_mm - line.raw_mm
        )
        if known
        else tr.text("sheet.left_unknown"),
        "left": _share(1 - line.depletion_frac) if known else None,
        "threshold": _share(1 - line.raw_mm / line.taw_mm) if known else None,
    }  # fmt: skip
    shown = {
        **_common(bulletin, tr, tr.text("sheet.title_parcel"), field_name(line, tr)),
        "about": " · ".join(part for part in about if part),
        "advice": _advice(line, tr),
        "numbers": _numbers(line, tr),
        "water": water,
        "figures": [
            {"name": p.name, "title": p.title, "alt": p.alt, "legend": legend(history, p.name, tr)}
            for p in pictures.values()
        ],
        "week": tr.text("sheet.week", eta_mm=line.eta_mm, rain_mm=line.rain_mm, irrigation_mm=line.irrigation_mm),
        "why": {"title": tr.text("column.why"), "items": notes_of(line, tr)},
        "parcels": None,
    }
    shown["foot"] = [tr.text("sheet.seen", day=tr.date(line.last_clear_date, "long")), *shown["foot"]]
    return shown


def grower_sheet(bulletin: Bulletin, lines: Sequence[ParcelLine], owner_ref: str, tr: Translator) -> SheetView:
    """Lay out the sheet of a grower's parcels; `owner_ref` is a pseudonym. More than about nine parcels flow to a second page."""
    to_irrigate = [line for line in lines if line.state == "irrigate"]
    volume = float(sum(line.volume_m3 or 0.0 for line in to_irrigate))
    awaiting = sum(line.state == "awaiting" for line in lines)
    total: list[str] = []
    if to_irrigate:
        parcels = tr.text("count.parcels", n=len(to_irrigate))
        total.append(tr.text("sheet.total", volume_m3=volume, parcels=parcels))
    if awaiting:
        total.append(tr.text("line.awaiting", parcels=tr.text("count.parcels", n=awaiting)))
    rows = [
        {
            "name": field_name(line, tr),
            "about": " · ".join(
                [tr.word("crop", line.crop, bulletin.crop_names), tr.quantity(line.area_ha, "ha", 1)]
            ),
            "advice": _advice(line, tr),
            "numbers": _numbers(line, tr),
        }
        for line in lines
    ]  # fmt: skip
    return {
        **_common(bulletin, tr, tr.text("sheet.title_grower"), tr.name(owner_ref, 60)),
        "about": " ".join(total) or tr.text("sheet.none"), "advice": None, "numbers": [], "water": None, "figures": [], "week": "", "why": None,
        "parcels": {"title": tr.text("sheet.parcels"), "items": rows},
    }  # fmt: skip


def _common(bulletin: Bulletin, tr: Translator, title: str, name: str) -> SheetView:
    foot = [tr.text("sources.water")]
    if not bulletin.simulated:
        foot.append(tr.text("sources.copernicus", year=tr.number(bulletin.issued_on.year, grouped=False)))
    foot.append(tr.text("sources.care"))
    if bulletin.contact:
        foot.append(tr.text("sheet.contact", contact=tr.name(bulletin.contact, 120)))
    return {
        "lang": tr.language,
        "dir": tr.direction,
        "title": title,
        "name": name,
        "region": region_name(bulletin, tr),
        "issued": tr.text("bulletin.issued", day=tr.date(bulletin.issued_on, "full")),
        "issued_on": bulletin.issued_on.isoformat(),
        "simulated": tr.text("bulletin.simulated") if bulletin.simulated else None,
        "done": tr.text("sheet.done"),
        "foot": foot,
    }


def _advice(line: ParcelLine, tr: Translator) -> dict[str, str]:
    said: Shown = sentence_of(line, tr)
    if line.state in ("awaiting", "missing"):
        said = tr.text(f"sheet.{line.state}")
    return {"state": tr.text(f"state.{line.state}"), "color": STATE_STYLES[line.state][0], "sentence": said}


def _numbers(line: ParcelLine, tr: Translator) -> list[dict[str, str]]:
    if line.amount_mm is None:
        return []
    start, end = tr.date(line.window_start, "short"), tr.date(line.window_end, "short")
    window = start if line.window_end in (None, line.window_start) else tr.text("range", low=start, high=end)
    items = [
        ("dose", tr.dose(line.amount_mm), dose_spread(line, tr)),
        ("per_ha", tr.quantity(None if line.gross_mm is None else 10 * line.gross_mm, "m3_ha", 0), ""),
        ("volume", tr.quantity(line.volume_m3, "m3", 0), ""),
        ("hours", tr.quantity(line.hours, "h"), ""),
        ("window", window if line.window_start else MISSING, ""),
        ("confidence", tr.word("confidence_label", line.confidence_label), tr.quantity(None if line.confidence is None else 100 * line.confidence, "pct", 0)),
    ]  # fmt: skip
    return [{"label": tr.text(f"column.{key}"), "text": text, "sub": sub} for key, text, sub in items]


def _share(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 4)
