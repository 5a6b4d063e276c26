"""A bulletin in one language as plain blocks of shown text, laid out alike by the HTML and the PDF template.

Templates receive strings, numbers and picture names, never markup: what a person typed stays text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from agro.reports.bulletin import STATES, STRESS_DAYS, Bulletin, ParcelLine, YieldGroup
from agro.reports.figures import STATE_STYLES, Picture, join, members_range
from agro.reports.i18n import MISSING, Shown, Translator

Block = dict[str, Any]
_NAME_LIMIT = 60
_NOTE_LIMIT = 240
_MOST_LISTED = 10


def bulletin_view(bulletin: Bulletin, tr: Translator, pictures: dict[str, Picture]) -> dict[str, Any]:
    """Lay a bulletin out as sections of blocks.

    Parameters
    ----------
    bulletin : Bulletin
    tr : Translator
    pictures : dict of str to Picture
        From :func:`agro.reports.figures.draw_figures`; one that is absent is not shown.

    Returns
    -------
    dict
        ``lang``, ``dir``, ``title``, ``region``, ``issued``, ``simulated`` (or None), ``page`` (with ``{page}`` and
        ``{pages}``), ``sections``: list of ``id``, ``number``, ``title``, ``blocks``. A block's ``kind`` is lines, list, text,
        table, figures, cards or sign; ``wide`` ones want a page on its side.
    """
    makers = {
        "lines": _lines, "weather": _weather, "fields": _fields, "maps": _maps, "watch": _watch,
        "yield": _yield, "follow": _follow, "quality": _quality, "sources": _sources,
    }  # fmt: skip
    sections: list[dict[str, Any]] = [
        {
            "id": name,
            "number": tr.number(i),
            "title": tr.text(f"section.{name}"),
            "blocks": make(bulletin, tr, pictures),
        }
        for i, (name, make) in enumerate(makers.items(), start=1)
    ]
    for section in sections:
        section["blocks"] = [{"wide": False, **block} for block in section["blocks"]]
    return {
        "lang": tr.language,
        "dir": tr.direction,
        "title": tr.text("bulletin.title"),
        "region": region_name(bulletin, tr),
        "issued": tr.text("bulletin.issued", day=tr.date(bulletin.issued_on, "full")),
        "issued_on": bulletin.issued_on.isoformat(),
        "simulated": tr.text("bulletin.simulated") if bulletin.simulated else None,
        "simulated_note": tr.text("bulletin.simulated_note") if bulletin.simulated else None,
        "page": tr.text("bulletin.page", page=Shown("{page}"), pages=Shown("{pages}")),
        "digits": tr.digits,
        "sections": sections,
    }


def region_name(bulletin: Bulletin, tr: Translator) -> Shown:
    """Name of the region in the language, else in English, else its id."""
    names = bulletin.region_name
    return tr.name(names.get(tr.language) or names.get("en") or bulletin.region_id, _NAME_LIMIT)


def _text(text: str, tone: str = "plain") -> Block:
    return {"kind": "text", "text": text, "tone": tone}


def _cell(text: str, sub: str = "", state: str | None = None, share: float | None = None) -> Block:
    """One cell: text, a smaller line below, the colour of a state, or a bar of 0 to 1."""
    color = STATE_STYLES[state][0] if state else None
    shown_share = None if share is None or math.isnan(share) else round(min(max(share, 0.0), 1.0), 4)
    return {"text": text, "sub": sub, "color": color, "share": shown_share}


def _column(label: str, unit: str = "", numeric: bool = False, weight: float = 1.0, free: bool = False) -> Block:
    """One column; `free` holds names, which may break anywhere."""
    return {"label": label, "unit": unit, "numeric": numeric, "weight": weight, "free": free}


def _table(columns: Sequence[Block], rows: Sequence[Sequence[Block]], title: str = "", dense: bool = False) -> Block:
    return {
        "kind": "table",
        "title": title,
        "columns": list(columns),
        "rows": [list(row) for row in rows],
        "wide": dense,
        "dense": dense,
    }


def _figures(pictures: dict[str, Picture], *names: str) -> list[Block]:
    shown = [pictures[name] for name in names if name in pictures]
    return (
        [
            {
                "kind": "figures",
                "items": [{"name": p.name, "title": p.title, "alt": p.alt, "wide": p.wide} for p in shown],
            }
        ]
        if shown
        else []
    )


def _numbered(bulletin: Bulletin) -> dict[str, int]:
    return {line.parcel_uid: number for number, line in enumerate(bulletin.lines, start=1)}


def field_name(line: ParcelLine, tr: Translator) -> Shown:
    """Name of a parcel, cleaned, isolated and not too long."""
    return tr.name(line.name, _NAME_LIMIT)


def spread_of(tr: Translator, low: float | None, high: float | None) -> str:
    """Say an interval of millimetres; nothing where an end is not known."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return ""
    return tr.text("range.compact", low=tr.number(low, 0), high=tr.number(high, 0))


def dose_spread(line: ParcelLine, tr: Translator) -> str:
    """Say the interval of the amount in the region's unit."""
    return spread_of(tr, tr.local(line.amount_low_mm, tr.dose_unit), tr.local(line.amount_high_mm, tr.dose_unit))


# 1


def _lines(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    counts = {state: len(bulletin.in_state(state)) for state in STATES}
    to_irrigate = bulletin.in_state("irrigate")
    area = sum(line.area_ha for line in to_irrigate)
    items = [
        tr.text(
            "line.actions", parcels=tr.text("count.parcels", n=len(bulletin.lines)),
            **{state: tr.number(counts[state]) for state in ("irrigate", "inspect", "hold", "abstain")},
        )
    ]  # fmt: skip
    if to_irrigate:
        mean = sum((line.amount_mm or 0.0) * line.area_ha for line in to_irrigate) / area
        parcels = tr.text("count.parcels", n=len(to_irrigate))
        items.append(tr.text("line.water", volume_m3=bulletin.total_m3, parcels=parcels, area_ha=area, amount_mm=mean))
    else:
        items.append(tr.text("line.no_water"))
    week = bulletin.weather
    if week.ahead:
        items.append(
            tr.text(
                "line.weather", rain_mm=week.rain_past_mm, et0_mm=week.et0_past_mm, days=len(week.ahead),
                ahead_rain=_with_spread(tr, week.rain_ahead), ahead_et0=tr.quantity(week.et0_ahead[1], "mm", 0),
            )
        )  # fmt: skip
    else:
        items.append(tr.text("line.weather_past", rain_mm=week.rain_past_mm, et0_mm=week.et0_past_mm))
    if bulletin.follow_up is not None:
        items.append(
            tr.text(
                "line.change", n=bulletin.follow_up.new_to_irrigate, day=tr.date(bulletin.follow_up.issued_on, "long")
            )
        )
    else:
        items.append(
            tr.text("line.first")
            if bulletin.previous_on is None
            else tr.text("line.no_comparison", day=tr.date(bulletin.previous_on, "long"))
        )
    awaiting = tr.text("count.parcels", n=counts["awaiting"])
    known = [line for line in bulletin.lines if not math.isnan(line.depletion_frac)]
    if known:
        driest = max(known, key=lambda line: (line.depletion_frac, line.parcel_uid))
        items.append(
            tr.text(
                "line.attention",
                parcels=awaiting,
                name=field_name(driest, tr),
                depletion_pct=100 * driest.depletion_frac,
            )
        )
    else:
        items.append(tr.text("line.awaiting", parcels=awaiting))
    return [{"kind": "lines", "items": items}]


def _with_spread(tr: Translator, values: tuple[float, float, float]) -> Shown:
    low, central, high = values
    shown = tr.quantity(central, "mm", 0)
    spread = spread_of(tr, low, high)
    return Shown(f"{shown} ({spread})") if spread else shown


# 2


def _weather(bulletin: Bulletin, tr: Translator, pictures: dict[str, Picture]) -> list[Block]:
    week = bulletin.weather

    def row(label: str, rain: float, et0: float) -> list[Block]:
        return [_cell(label), _cell(tr.number(rain, 0)), _cell(tr.number(et0, 0)), _cell(tr.number(rain - et0, 0))]

    def span(key: str, days: Sequence[Any]) -> Shown:
        return tr.text(key, start=tr.date(days[0].day, "short"), end=tr.date(days[-1].day, "short"))

    rows = [row(span("weather.past", week.past), week.rain_past_mm, week.et0_past_mm)]
    notes = []
    if math.isnan(week.rain_normal_mm):
        notes.append(tr.text("weather.no_normal"))
    else:
        rows.append(row(tr.text("weather.normal", n=week.normal_years), week.rain_normal_mm, week.et0_normal_mm))
    if week.ahead:
        rows.append(row(span("weather.ahead", week.ahead), week.rain_ahead[1], week.et0_ahead[1]))
        if week.members > 1:
            rain, et0 = (spread_of(tr, ends[0], ends[2]) for ends in (week.rain_ahead, week.et0_ahead))
            rows.append(
                [_cell(tr.text("weather.spread", spread=members_range(tr))), _cell(rain), _cell(et0), _cell("")]
            )
        else:
            notes.append(tr.text("weather.no_spread"))
    else:
        notes.append(tr.text("weather.no_outlook"))
    sources = [join(tr, [tr.word("source", s) for s in names]) for names in (week.past_sources, week.ahead_sources)]
    notes.append(tr.text("weather.sources", past=sources[0], ahead=sources[1]))
    columns = [
        _column(tr.text("column.period"), weight=3), _column(tr.text("column.rain"), tr.unit("mm"), numeric=True),
        _column(tr.text("column.et0"), tr.unit("mm"), numeric=True), _column(tr.text("column.balance"), tr.unit("mm"), numeric=True),
    ]  # fmt: skip
    blocks = [_table(columns, rows)]
    if week.ahead_is_trend_alone:
        blocks.append(_text(tr.text("weather.trend_alone"), "warning"))
    return [*blocks, *_figures(pictures, "weather"), _text(" ".join(notes), "note")]


# 3


def _fields(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    numbers = _numbered(bulletin)
    columns = [
        _column(tr.text("column.number"), weight=0.6),
        _column(tr.text("column.field"), weight=3.2, free=True),
        _column(tr.text("column.crop"), weight=2.2),
        _column(tr.text("column.eta"), tr.unit("mm"), numeric=True, weight=1.15),
        _column(tr.text("column.rain"), tr.unit("mm"), numeric=True),
        _column(tr.text("column.irrigation"), tr.unit("mm"), numeric=True, weight=1.15),
        _column(tr.text("column.depletion"), numeric=True, weight=1.9),
        _column(tr.text("column.advice"), weight=1.9),
        _column(tr.text("column.dose"), tr.unit(tr.dose_unit), numeric=True, weight=1.3),
        _column(tr.text("column.per_ha"), tr.unit("m3_ha"), numeric=True, weight=1.2),
        _column(tr.text("column.volume"), tr.unit("m3"), numeric=True, weight=1.1),
        _column(tr.text("column.hours"), tr.unit("h"), numeric=True, weight=1.1),
        _column(tr.text("column.window"), weight=1.8),
        _column(tr.text("column.confidence"), weight=1.4),
    ]
    rows = []
    for line in bulletin.lines:
        area = tr.quantity(line.area_ha, "ha", 1)
        irrigated = line.amount_mm is not None
        rows.append(
            [
                _cell(tr.number(numbers[line.parcel_uid])),
                _cell(field_name(line, tr), f"{area} · {tr.word('irrigation', line.irrigation_system)}"),
                _cell(
                    tr.word("crop", line.crop, bulletin.crop_names),
                    tr.text(f"stage.{line.stage}") if line.stage else "",
                ),
                _cell(tr.number(line.eta_mm, 0)),
                _cell(tr.number(line.rain_mm, 0)),
                _cell(tr.number(line.irrigation_mm, 0)),
                _cell(tr.quantity(100 * line.depletion_frac, "pct", 0), share=line.depletion_frac),
                _cell(
                    tr.text(f"state.{line.state}"),
                    tr.text("fields.edited_mark") if line.edited else "",
                    state=line.state,
                ),
                _cell(
                    tr.number(tr.local(line.amount_mm, tr.dose_unit), 0) if irrigated else "",
                    dose_spread(line, tr),
                ),
                _cell(tr.number(10 * line.gross_mm, 0) if line.gross_mm is not None else ""),
                _cell(tr.number(line.volume_m3, 0) if line.volume_m3 is not None else ""),
                _cell((tr.number(line.hours) if line.hours is not None else MISSING) if irrigated else ""),
                _cell(*_window(line, tr)),
                _confidence(line, tr),
            ]
        )
    blocks = [_table(columns, rows, dense=True), {**_text(tr.text("fields.note"), "note"), "wide": True}]
    cards = [
        _card(line, numbers[line.parcel_uid], tr)
        for line in bulletin.lines
        if line.state not in ("awaiting", "missing")
    ]
    if cards:
        blocks.append({"kind": "cards", "title": tr.text("fields.reasons"), "items": cards})
    return blocks


def _window(line: ParcelLine, tr: Translator) -> tuple[str, str]:
    if line.window_start is None:
        return (MISSING, "") if line.state == "irrigate" else ("", "")
    if line.window_end is None or line.window_end == line.window_start:
        return tr.date(line.window_start), ""
    return tr.date(line.window_start), tr.date(line.window_end)


def _confidence(line: ParcelLine, tr: Translator) -> Block:
    if line.confidence is None:
        return _cell("")
    return _cell(tr.word("confidence_label", line.confidence_label), tr.quantity(100 * line.confidence, "pct", 0))


def sentence_of(line: ParcelLine, tr: Translator) -> Shown:
    """Say what is advised for a parcel; empty where nothing may be said."""
    if line.state == "rejected":
        return tr.text("fields.rejected")
    if line.edited:
        if line.state == "hold":
            return tr.text("fields.edited_hold")
        return tr.text("fields.edited", amount_mm=line.amount_mm, volume_m3=line.volume_m3)
    return tr.message(line.message) if line.message else Shown("")


def notes_of(line: ParcelLine, tr: Translator) -> list[str]:
    """Say why: a person's reason, or the weightiest of the advice's and what would change it."""
    notes: list[str] = []
    if line.decision_reason:
        notes.append(tr.text("fields.decision_reason", reason=tr.name(line.decision_reason, _NOTE_LIMIT)))
    if not line.edited:
        notes += [tr.message(reason) for reason in line.reasons[: 1 if line.state == "hold" else 3]]
        if line.counterfactual is not None:
            notes.append(tr.message(line.counterfactual))
    return notes


def _card(line: ParcelLine, number: int, tr: Translator) -> Block:
    return {
        "number": tr.number(number), "name": field_name(line, tr), "state": tr.text(f"state.{line.state}"), "color": STATE_STYLES[line.state][0],
        "sentence": sentence_of(line, tr), "notes": notes_of(line, tr),
    }  # fmt: skip


# 4 and 5


def _maps(bulletin: Bulletin, tr: Translator, pictures: dict[str, Picture]) -> list[Block]:
    blocks = [
        *_figures(pictures, "map_advice"),
        *_figures(pictures, "map_depletion", "map_ndvi"),
        *_figures(pictures, "curves"),
    ]
    return blocks or [_text(tr.text("bulletin.empty"))]


def _watch(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    numbers = _numbered(bulletin)
    columns = [
        _column(tr.text("column.number"), weight=0.4),
        _column(tr.text("column.field"), weight=2.4, free=True),
        _column(tr.text("column.crop_only"), weight=1.3),
        _column(tr.text("column.why"), weight=4.6),
        _column(tr.text("column.last_clear"), weight=1.4),
    ]

    def row(line: ParcelLine, why: Sequence[str]) -> list[Block]:
        crop = tr.word("crop", line.crop, bulletin.crop_names)
        number, seen = tr.number(numbers[line.parcel_uid]), tr.date(line.last_clear_date, "short")
        return [_cell(number), _cell(field_name(line, tr)), _cell(crop), _cell(" ".join(why) or MISSING), _cell(seen)]

    awaiting = [row(line, [tr.message(m) for m in line.escalation]) for line in bulletin.in_state("awaiting")]
    blocks: list[Block] = []
    if awaiting:
        blocks += [_table(columns, awaiting, tr.text("watch.awaiting")), _text(tr.text("watch.awaiting_note"), "note")]
    else:
        blocks.append(_text(tr.text("watch.none_awaiting")))
    watch = []
    for line in bulletin.watch:
        why = [sentence_of(line, tr)] if line.state in ("inspect", "abstain") else []
        if line.stress_days >= STRESS_DAYS:
            why.append(tr.text("reason.stress_days", days=line.stress_days))
        watch.append(row(line, why))
    blocks.append(_table(columns, watch, tr.text("watch.list")) if watch else _text(tr.text("watch.none")))
    return blocks


# 6 and 7


def _yield(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    groups = bulletin.yields
    if not groups:
        return [_text(tr.text("yield.none"))]
    level = groups[0].level_frac
    unit = tr.unit(tr.yield_unit)
    columns = [
        _column(tr.text("column.crop_only"), weight=2), _column(tr.text("column.fields"), numeric=True),
        _column(tr.text("column.outlook"), unit, numeric=True), _column(tr.text("column.interval", level_pct=100 * level), unit, numeric=True, weight=1.4),
        _column(tr.text("column.mean"), unit, numeric=True, weight=1.5), _column(tr.text("column.difference"), numeric=True),
    ]  # fmt: skip
    labels = sorted({label for group in groups for label in group.labels})
    warnings = [_text(tr.word("label", label), "warning") for label in labels]
    shown = [group for group in groups if group.parcels]
    table = [_table(columns, [_yield_row(group, tr, bulletin) for group in shown])] if shown else []
    notes = [tr.text("yield.note", one=1, ten=10)] if shown else []
    notes += [
        tr.text("yield.abstained", crop=tr.word("crop", group.crop, bulletin.crop_names), n=group.abstained)
        for group in groups
        if group.abstained
    ]
    return [*warnings, *table, _text(" ".join(notes), "note")]


def _yield_row(group: YieldGroup, tr: Translator, bulletin: Bulletin) -> list[Block]:
    interval = tr.text(
        "range.compact",
        low=tr.number(tr.local(group.low_t_ha, tr.yield_unit), 1),
        high=tr.number(tr.local(group.high_t_ha, tr.yield_unit), 1),
    )
    change = 100 * (group.yield_t_ha / group.mean_t_ha - 1) if group.mean_t_ha > 0 else float("nan")
    shown_change = MISSING if math.isnan(change) else tr.signed_percent(change)
    return [
        _cell(tr.word("crop", group.crop, bulletin.crop_names), tr.number(group.season, grouped=False)),
        _cell(tr.number(group.parcels)), _cell(tr.number(tr.local(group.yield_t_ha, tr.yield_unit), 1)), _cell(interval), _cell(tr.number(tr.local(group.mean_t_ha, tr.yield_unit), 1)), _cell(shown_change),
    ]  # fmt: skip


def _follow(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    follow = bulletin.follow_up
    if follow is None:
        return [_text(tr.text("follow.none" if bulletin.previous_on is None else "follow.no_record"))]
    day = tr.date(follow.issued_on, "long")
    columns = [
        _column(tr.text("column.item"), weight=3), _column(tr.text("column.fields"), numeric=True),
        _column(tr.text("column.volume"), tr.unit("m3"), numeric=True),
    ]  # fmt: skip
    rows = [
        (tr.text("follow.advised"), follow.advised_parcels, follow.advised_m3),
        (tr.text("follow.reported"), follow.reported_parcels, follow.reported_m3),
        (tr.text("follow.held"), follow.hold_parcels, None),
        (tr.text("follow.anyway"), follow.irrigated_anyway_parcels, follow.irrigated_anyway_m3),
    ]
    blocks = [] if follow.confirmed else [_text(tr.text("follow.unconfirmed", day=day), "warning")]
    blocks += [
        _text(tr.text("follow.intro", day=day)),
        _table(columns, [[_cell(label), _cell(tr.number(n)), _cell(tr.number(m3, 0))] for label, n, m3 in rows]),
    ]
    price = bulletin.water_price_per_m3
    if price is not None:
        reported = follow.reported_m3 + follow.irrigated_anyway_m3
        blocks.append(
            _text(
                tr.text(
                    "follow.money", price=tr.number(price, 2), currency=tr.word("currency", bulletin.currency), day=tr.date(bulletin.price_date, "long"),
                    advised=tr.number(price * follow.advised_m3, 0), reported=tr.number(price * reported, 0),
                )
            )
        )  # fmt: skip
    return [*blocks, _text(tr.text("follow.note"), "note")]


# 8 and 9


def _quality(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    quality = bulletin.quality
    none = tr.text("quality.none")

    def pairs(items: Sequence[tuple[str, int]], group: str) -> str:
        return (
            join(tr, [tr.text("quality.pair", name=tr.word(group, name), count=count) for name, count in items])
            if items
            else none
        )

    def listed(items: Sequence[str]) -> str:
        more = [f"+ {tr.number(len(items) - _MOST_LISTED)}"] if len(items) > _MOST_LISTED else []
        return join(tr, [*items[:_MOST_LISTED], *more]) if items else none

    def of(part: int) -> Shown:
        return tr.text("quality.of", part=part, whole=quality.parcels)

    used = [
        tr.date(day, "short")
        if math.isnan(clear)
        else tr.text("quality.clear", day=tr.date(day, "short"), clear_pct=100 * clear)
        for day, _provider, clear in quality.images_used
    ]
    unused = [
        tr.text("quality.pair", name=tr.date(day, "short"), count=tr.name(reason, 90))
        for day, _provider, reason in quality.images_unused
    ]
    refused = pairs(quality.rejected, "input")
    items = [
        tr.text("quality.pair", name=tr.name(item, 40), count=tr.name(reason, 90))
        for _input, item, reason in quality.rejected_items
    ]
    rows = [
        (
            "period",
            tr.text("quality.span", start=tr.date(quality.since, "long"), end=tr.date(bulletin.issued_on, "long")),
            "",
        ),
        ("used", tr.number(len(used)), listed(used) if used else ""),
        ("unused", tr.number(len(unused)), listed(unused) if unused else ""),
        ("last", tr.date(quality.last_used_date, "long"), ""),
        ("seen", of(quality.parcels_seen), ""),
        ("weather", pairs(quality.weather_days, "source"), ""),
        ("estimated", listed([tr.word("variable", name) for name in quality.weather_estimated]), ""),
        ("soil", pairs(quality.soil_parcels, "source"), ""),
        ("kcb", pairs(quality.kcb_parcels, "source"), ""),
        ("irrigation", of(quality.irrigation_reported), ""),
        ("rejected", refused, listed(items) if items else ""),
    ]
    columns = [_column(tr.text("column.item"), weight=1.2), _column(tr.text("column.value"), weight=2.6, free=True)]
    return [_table(columns, [[_cell(tr.text(f"quality.{key}")), _cell(value, sub)] for key, value, sub in rows])]


def _sources(bulletin: Bulletin, tr: Translator, _: dict[str, Picture]) -> list[Block]:
    quality = bulletin.quality
    providers = sorted({provider for _, provider, _ in [*quality.images_used, *quality.images_unused]})
    lines = [tr.text("sources.imagery", source=join(tr, [tr.name(p) for p in providers]))]
    if not bulletin.simulated:
        lines.append(tr.text("sources.copernicus", year=tr.number(bulletin.issued_on.year, grouped=False)))
    lines.append(tr.text("sources.water"))
    models = sorted({model for group in bulletin.yields for model in group.models})
    if models:
        lines.append(tr.text("sources.yield", name=join(tr, [tr.name(m, 80) for m in models])))
    code, schema = (tr.name(v, 40) for v in (quality.code_version, quality.schema_version))
    lines += [tr.text("sources.versions", code=code, schema=schema), tr.text("sources.care")]
    labels = [tr.text("sources.contact"), tr.text("sources.adviser"), tr.text("sources.signed")]
    values = [tr.name(bulletin.contact, 120) if bulletin.contact else "", "", ""]
    return [
        {"kind": "list", "items": lines},
        {"kind": "sign", "items": [{"label": a, "value": b} for a, b in zip(labels, values, strict=True)]},
    ]
