"""One field: what to do, why, what would change it, the curves behind it, and what the agronomist decides."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pandas as pd
import streamlit as st
from markupsafe import Markup

from agro.reports.i18n import MISSING, Translator
from agro.schema.advice import AdviceRecord, Evidence
from agro.schema.errors import AgroError
from app import data, markup, palette, review
from app.cached import read
from app.context import Context, keep, restored
from app.views import help_pages
from app.views.cards import full_card
from app.views.map_page import choose_field
from app.words import index_name

_UNIT_KEYS = {"mm": "mm", "m3": "m3", "m³": "m3", "ha": "ha", "d": "d", "days": "d", "%": "pct", "t/ha": "t_ha"}
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_SPANS_D = {"season": None, "90": 90, "30": 30}


def show(context: Context) -> None:
    """Draw the page."""
    tr = context.tr
    parcels = read(data.parcels, context.folder)
    records = read(data.advice, context.folder)
    with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
        selected = choose_field(context, parcels)
        index = _choose_index(context)
        span = _choose_span(tr)
    if selected is None:
        st.info(tr.text("app.field.choose"), icon=":material/search:")
        return
    row = parcels.row(selected)
    record = records.get(selected)
    decided = review.latest_decisions(context.store)
    with st.container(key="split"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            if record is None:
                st.warning(tr.text("app.map.no_advice"))
            else:
                with st.container(border=True, key="card"):
                    st.html(
                        str(
                            full_card(
                                row, context.crop_name(row["agro:crop"]), record, decided.get(record.advice_id), tr
                            )
                        )
                    )
                _reasons(record, tr)
                review.form(context, record, decided.get(record.advice_id))
        with right:
            _curves(context, selected, index, span)
            _yield(context, selected)
    if record is not None:
        _evidence(record, tr)


def _choose_index(context: Context) -> str | None:
    try:
        keys = read(data.index_keys, context.folder)
    except AgroError:
        return None  # said where the curve would be
    if not keys:
        return None
    restored("index", keys[0], keys)
    st.selectbox(context.tr.text("app.field.index"), keys, key="index", format_func=index_name, width=140)
    keep("index")
    return str(st.session_state["index"])


def _choose_span(tr: Translator) -> int | None:
    restored("span", "season", list(_SPANS_D))
    st.segmented_control(
        tr.text("app.field.span"), list(_SPANS_D), key="span", required=True,
        format_func=lambda key: tr.text("app.field.season") if key == "season" else tr.text("count.days", n=int(key)),
    )  # fmt: skip
    keep("span")
    return _SPANS_D[str(st.session_state["span"])]


def _reasons(record: AdviceRecord, tr: Translator) -> None:
    for direction, color, sign in (("for", palette.BLUE, "▲"), ("against", palette.VERMILION, "▼")):
        chosen = sorted((r for r in record.reasons if r.direction == direction), key=lambda r: -r.weight)
        said = [
            (tr.message(r.message), r.weight, tr.text("app.field.weight", share_pct=100 * r.weight)) for r in chosen
        ]
        title = tr.text(f"app.field.{direction}")
        st.html(str(markup.weighted(title, color, sign, said, tr.text("app.field.no_reason"))))
    change = record.counterfactual
    if change is None:
        st.html(str(markup.notice(tr.text("app.field.change"), [tr.text("app.field.no_change")], "plain")))
        return
    lines = [tr.message(change.message), tr.text("app.field.would_be", action=tr.text(f"action.{change.flips_to}"))]
    if not change.verified:
        lines.append(tr.text("app.field.unverified"))
    st.html(str(markup.notice(tr.text("app.field.change"), lines, "plain")))


def _title(text: str) -> None:
    st.html(str(Markup('<h3 class="ag-section">{}</h3>').format(text)))


def _keys(chart: str, tr: Translator) -> None:
    from app import charts

    st.html(str(markup.keys((shape, color, tr.text(key)) for shape, color, key in charts.KEYS[chart])))


def _curves(context: Context, uid: str, index: str | None, span_d: int | None) -> None:
    from app import charts

    tr, issued_on = context.tr, context.issued_on
    water: pd.DataFrame | None = None
    trouble: AgroError | None = None
    try:
        water = read(data.parcel_water, context.folder, uid)
    except AgroError as error:
        trouble = error
    series = pd.DataFrame()
    _title(tr.text("app.field.curve_index", name=index_name(index)) if index else tr.text("app.field.curve_none"))
    try:
        series = read(data.parcel_series, context.folder, uid, index or "ndvi")
        seen = read(data.parcel_observations, context.folder, uid, index or "ndvi")
        span = _span(issued_on, span_d, series, water)
        if series.empty:
            st.info(tr.text("app.field.no_series"))
        else:
            _keys("index", tr)
            st.altair_chart(
                charts.index_chart(series, seen, index or "ndvi", span, issued_on, tr), theme=None, key="chart_index",
                alt=tr.text("app.chart.alt_index", name=index_name(index or "ndvi"), count=int(seen["usable"].sum())),
            )  # fmt: skip
    except AgroError as error:
        help_pages.missing_part(error, tr)
        span = _span(issued_on, span_d, series, water)
    _title(tr.text("app.field.curve_water"))
    if water is None or water.empty:
        if trouble is not None:
            help_pages.missing_part(trouble, tr)
        else:
            st.info(tr.text("app.field.no_water"))
        return
    curve = data.depletion_curve(water)
    last = curve[~curve["is_forecast"]].tail(1)
    _keys("depletion", tr)
    st.altair_chart(
        charts.depletion_chart(curve, span, issued_on, tr), theme=None, key="chart_water",
        alt=tr.text("app.chart.alt_water", dr_mm=float(last["dr_mm"].iloc[0]), taw_mm=float(last["taw_mm"].iloc[0]))
        if len(last) else tr.text("app.field.curve_water"),
    )  # fmt: skip
    _title(tr.text("app.field.curve_bars"))
    _keys("water", tr)
    st.altair_chart(
        charts.water_chart(data.water_bars(water), span, issued_on, tr), theme=None, key="chart_bars",
        alt=tr.text("app.chart.alt_bars"),
    )  # fmt: skip
    st.download_button(
        tr.text("app.field.export"), water.to_csv(index=False).encode(), file_name=f"water_{issued_on}_{_safe(uid)}.csv",
        mime="text/csv", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def _safe(text: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in text)


def _span(issued_on: date, span_d: int | None, series: pd.DataFrame, water: pd.DataFrame | None) -> tuple[date, date]:
    """First and last day of the charts: the balance's season when there is one, else the series'."""
    known = [table["date"] for table in (water, series) if table is not None and len(table)]
    if not known:
        return issued_on - timedelta(days=span_d or 180), issued_on
    last = max(days.max().date() for days in known)
    first = known[0].min().date()
    return (first if span_d is None else issued_on - timedelta(days=span_d)), last


def _yield(context: Context, uid: str) -> None:
    tr = context.tr
    _title(tr.text("section.yield"))
    try:
        outlook = read(data.parcel_yield, context.folder, uid)
    except AgroError as error:
        help_pages.missing_part(error, tr)
        return
    if outlook is None or pd.isna(outlook["yield_t_ha"]):
        why = None if outlook is None else outlook["abstain_reason"]
        text = (
            tr.text("yield.none")
            if why is None or pd.isna(why)
            else tr.text("app.yield.abstained", reason=tr.word("abstain_reason", str(why)))
        )
        st.html(str(Markup('<p class="ag-note">{}</p>').format(text)))
        return
    between = tr.text(
        "range.compact", low=tr.number(outlook["low_t_ha"], 1), high=tr.quantity(outlook["high_t_ha"], "t_ha", 1)
    )
    interval = tr.text("column.interval", level_pct=100 * outlook["level_frac"])
    pairs = [
        (tr.text("column.outlook"), tr.quantity(outlook["yield_t_ha"], "t_ha", 1), ""),
        (interval, between, ""),
        (tr.text("column.mean"), tr.quantity(outlook["mean_t_ha"], "t_ha", 1), ""),
    ]
    st.html(str(markup.facts(pairs) + markup.notice(tr.word("label", outlook["label"]), [], "trouble")))


def _evidence(record: AdviceRecord, tr: Translator) -> None:
    head = [tr.text(f"app.evidence.{name}") for name in ("name", "value", "threshold", "date", "source")]
    rows = [
        (
            tr.text(e.name),
            _value(e.value, e, tr),
            _value(e.threshold, e, tr),
            tr.date(e.date, "long"),
            _source(e.source, tr),
        )
        for e in record.evidence
    ]
    st.html(str(markup.table(head, rows, tr.text("app.evidence.title"), numeric=(1, 2))))
    st.html(
        str(
            Markup('<p class="ag-note">{}</p>').format(
                tr.text("app.evidence.rules", rules=", ".join(record.rule_ids), advice=record.advice_id)
            )
        )
    )


def _source(source: str, tr: Translator) -> str:
    return tr.word("source", source)


def _value(value: float | str | None, evidence: Evidence, tr: Translator) -> str:
    if value is None:
        return MISSING
    if isinstance(value, str):
        return tr.date(value, "long") if _ISO_DATE.fullmatch(value) else tr.word("source", value)
    key = _UNIT_KEYS.get(evidence.unit)
    if key:
        return tr.quantity(value, key)
    shown = tr.number(value, 2)
    return f"{shown} {tr.isolate(evidence.unit)}" if evidence.unit not in ("", "-", "1", "frac") else shown
