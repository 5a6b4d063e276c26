"""A field's curves as Vega-Lite charts, in the page's language, drawn by what Streamlit ships."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd
from babel.dates import get_day_names, get_month_names

from agro.reports.i18n import Translator
from agro.schema.tables import SERIES_FLAGS
from app import palette
from app.words import index_name

FLAG_COLORS = {"observed": palette.GREEN, "interpolated": "#C8CED3", "extrapolated": palette.VERMILION}
_GRID, _RULE, _UNUSABLE = "#E4E8EA", "#464C52", "#A0673B"
_TAW, _IRRIGATION = "#6B7680", "#56B4E9"


def time_locale(tr: Translator) -> dict[str, Any]:
    """Names of days and months for d3's time format, of the translator's locale."""
    days, short_days = (get_day_names(width, locale=tr.locale) for width in ("wide", "abbreviated"))
    months = get_month_names("wide", locale=tr.locale)
    short = months if tr.language == "ar" else get_month_names("abbreviated", locale=tr.locale)
    sunday_first = (6, 0, 1, 2, 3, 4, 5)
    return {
        "dateTime": "%d/%m/%Y %H:%M",
        "date": "%d/%m/%Y",
        "time": "%H:%M",
        "periods": ["AM", "PM"],
        "days": [days[i] for i in sunday_first],
        "shortDays": [short_days[i] for i in sunday_first],
        "months": [months[i] for i in range(1, 13)],
        "shortMonths": [short[i] for i in range(1, 13)],
    }


#: What each chart's marks mean: shape, colour, message. Said beside the chart, where it wraps and turns with the page.
KEYS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "index": (
        ("line", "#00795A", "app.chart.smoothed"),
        ("ring", "#22282E", "app.chart.usable"),
        ("cross", _UNUSABLE, "app.chart.unusable"),
        *(("tick", FLAG_COLORS[flag], f"app.flag.{flag}") for flag in SERIES_FLAGS),
    ),
    "depletion": (
        ("line", palette.BLUE, "app.chart.depletion"),
        ("dash", palette.PURPLE, "app.chart.outlook"),
        ("dash", palette.VERMILION, "app.chart.raw"),
        ("dot", _TAW, "app.chart.taw"),
        ("area", palette.BLUE, "app.chart.interval"),
    ),
    "water": (
        ("tick", palette.BLUE, "column.rain"),
        ("tick", _IRRIGATION, "column.irrigation"),
        ("tick", palette.ORANGE, "column.eta"),
    ),
}


def _dressed(chart: Any, tr: Translator, height: int) -> Any:
    number = {"decimal": "," if tr.language != "en" else ".", "thousands": "\u202f" if tr.language != "en" else ","}
    return (
        chart.properties(height=height, width="container")
        .configure(locale={"time": time_locale(tr), "number": {**number, "grouping": [3], "currency": ["", ""]}})
        .configure_axis(gridColor=_GRID, labelColor=palette.MUTED, titleColor=palette.MUTED, titleFontWeight="normal", labelFontSize=12, titleFontSize=12)
        .configure_axisY(minExtent=46)  # so that days stand below each other in all three
        .configure_view(stroke=None)
    )  # fmt: skip


def _days(span: tuple[date, date]) -> Any:
    import altair as alt

    first, last = (day.isoformat() for day in span)
    return alt.X(
        "date:T",
        title=None,
        scale=alt.Scale(domain=[first, last]),
        axis=alt.Axis(format="%-d %b", tickCount=7, grid=False, labelOverlap=True, labelFlush=True, domainColor=_RULE),
    )


def _words(tr: Translator, keys: Sequence[str]) -> list[str]:
    return [str(tr.text(key)) for key in keys]


def _issue_rule(issued_on: date) -> Any:
    import altair as alt

    day = pd.DataFrame({"date": [pd.Timestamp(issued_on)]})
    return alt.Chart(day).mark_rule(color=_RULE, strokeDash=[2, 3]).encode(x="date:T")


def index_chart(
    series: pd.DataFrame,
    observations: pd.DataFrame,
    index: str,
    span: tuple[date, date],
    issued_on: date,
    tr: Translator,
) -> Any:
    """Smoothed index with its spread, what the satellite saw (usable or not) and a strip of flags below.

    Parameters
    ----------
    series : pandas.DataFrame
        Contract "series", one parcel and index.
    observations : pandas.DataFrame
        Contract "observations", one parcel and index; may be empty.
    index : str
    span : tuple of datetime.date
        First and last day shown.
    issued_on : datetime.date
        Marked by a dashed line.
    tr : Translator

    Returns
    -------
    altair.LayerChart
    """
    import altair as alt

    x, name = _days(span), index_name(index)
    shown = series[series["date"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    curve = shown[["date", "value", "sd", "flag", "clear_age_d"]].assign(
        low=shown["value"] - shown["sd"], high=shown["value"] + shown["sd"],
        said=shown["flag"].map({flag: str(tr.text(f"app.flag.{flag}")) for flag in SERIES_FLAGS}),
        age=shown["clear_age_d"].astype("float64"),
    ).drop(columns=["flag", "clear_age_d"])  # fmt: skip
    seen = observations[observations["date"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    heights = pd.concat([curve["low"], curve["high"], seen["mean"]]).dropna()
    floor, top = (
        min(0.0, float(heights.min()) if len(heights) else 0.0),
        float(heights.max()) + 0.03 if len(heights) else 1.0,
    )
    y = alt.Y("value:Q", title=name, scale=alt.Scale(domain=[floor - 0.05, top], nice=False))
    tip = [
        alt.Tooltip("date:T", title=tr.text("app.evidence.date"), format="%-d %b %Y"),
        alt.Tooltip("value:Q", title=name, format=".2f"),
        alt.Tooltip("said:N", title=tr.text("app.chart.flag")),
        alt.Tooltip("age:Q", title=tr.text("evidence.clear_age")),
    ]
    flags = _words(tr, [f"app.flag.{flag}" for flag in SERIES_FLAGS])
    base = alt.Chart(curve)
    layers = [
        base.mark_area(color=palette.GREEN, opacity=0.16).encode(x=x, y=alt.Y("low:Q", title=name), y2="high:Q"),
        base.mark_line(color="#00795A", strokeWidth=2).encode(x=x, y=y, tooltip=tip),
        base.mark_tick(thickness=3, height=7, orient="vertical").encode(
            x=x,
            y=alt.value("height"),
            color=alt.Color(
                "said:N", scale=alt.Scale(domain=flags, range=[FLAG_COLORS[f] for f in SERIES_FLAGS]), legend=None
            ),
        ),
        _issue_rule(issued_on),
    ]
    if len(seen):
        layers.append(_looks(seen, x, name, tr))
    return _dressed(alt.layer(*layers), tr, 230)


def _looks(seen: pd.DataFrame, x: Any, name: str, tr: Translator) -> Any:
    import altair as alt

    kinds = _words(tr, ["app.chart.usable", "app.chart.unusable"])
    points = pd.DataFrame(
        {
            "date": seen["date"],
            "value": seen["mean"],
            "kind": [kinds[0] if usable else kinds[1] for usable in seen["usable"]],
            "why": seen["reason"].fillna("").map(lambda reason: str(tr.word("app.unusable", reason)) if reason else ""),
            "valid": 100 * seen["valid_frac"],
        }
    ).dropna(subset=["value"])
    return (
        alt.Chart(points)
        .mark_point(size=46, strokeWidth=1.6, filled=False, fill="white", opacity=1)
        .encode(
            x=x,
            y=alt.Y("value:Q", title=name),
            shape=alt.Shape("kind:N", scale=alt.Scale(domain=kinds, range=["circle", "cross"]), legend=None),
            stroke=alt.Stroke("kind:N", scale=alt.Scale(domain=kinds, range=["#22282E", _UNUSABLE]), legend=None),
            tooltip=[
                alt.Tooltip("date:T", title=tr.text("app.evidence.date"), format="%-d %b %Y"),
                alt.Tooltip("value:Q", title=name, format=".2f"),
                alt.Tooltip("valid:Q", title=tr.text("app.chart.valid_share"), format=".0f"),
                alt.Tooltip("kind:N", title=tr.text("app.chart.look")),
                alt.Tooltip("why:N", title=tr.text("column.why")),
            ],
        )
    )


def depletion_chart(curve: pd.DataFrame, span: tuple[date, date], issued_on: date, tr: Translator) -> Any:
    """Root-zone depletion with TAW and RAW, its interval and the outlook; a full soil is at the top.

    Parameters
    ----------
    curve : pandas.DataFrame
        From :func:`app.data.depletion_curve`.
    span, issued_on, tr
        As for :func:`index_chart`.

    Returns
    -------
    altair.LayerChart
    """
    import altair as alt

    x = _days(span)
    shown = curve[curve["date"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    names = _words(tr, ["app.chart.depletion", "app.chart.outlook", "app.chart.raw", "app.chart.taw"])
    past, ahead = shown[~shown["is_forecast"]], shown[shown["is_forecast"]]
    if len(past) and len(ahead):
        ahead = pd.concat([past.tail(1), ahead])  # the outlook starts where the past ends
    lines = pd.concat(
        [
            past[["date"]].assign(mm=past["dr_mm"], line=names[0]),
            ahead[["date"]].assign(mm=ahead["dr_mm"], line=names[1]),
            shown[["date"]].assign(mm=shown["raw_mm"], line=names[2]),
            shown[["date"]].assign(mm=shown["taw_mm"], line=names[3]),
        ]
    )
    deepest = float(shown["taw_mm"].max()) if len(shown) else 1.0
    y = alt.Y(
        "mm:Q", title=tr.text("app.chart.depletion_mm"), scale=alt.Scale(domain=[0, deepest], reverse=True, nice=True)
    )
    return _dressed(
        alt.layer(
            *(
                alt.Chart(part[["date", "low_mm", "high_mm"]].dropna())
                .mark_area(opacity=0.2, color=color)
                .encode(x=x, y=alt.Y("low_mm:Q", title=tr.text("app.chart.depletion_mm")), y2="high_mm:Q")
                for part, color in ((past, palette.BLUE), (ahead, palette.PURPLE))
            ),
            alt.Chart(lines)
            .mark_line(strokeWidth=2)
            .encode(
                x=x, y=y,
                color=alt.Color("line:N", scale=alt.Scale(domain=names, range=[palette.BLUE, palette.PURPLE, palette.VERMILION, _TAW]), legend=None),
                strokeDash=alt.StrokeDash("line:N", scale=alt.Scale(domain=names, range=[[1, 0], [4, 3], [7, 3], [2, 2]]), legend=None),
                tooltip=[
                    alt.Tooltip("date:T", title=tr.text("app.evidence.date"), format="%-d %b %Y"),
                    alt.Tooltip("line:N", title=tr.text("column.item")),
                    alt.Tooltip("mm:Q", title="mm", format=".0f"),
                ],
            ),
            _issue_rule(issued_on),
        ),
        tr, 230,
    )  # fmt: skip


def water_chart(bars: pd.DataFrame, span: tuple[date, date], issued_on: date, tr: Translator) -> Any:
    """Rain and irrigation upwards, actual ET downwards, mm a day.

    Parameters
    ----------
    bars : pandas.DataFrame
        From :func:`app.data.water_bars`.
    span, issued_on, tr
        As for :func:`index_chart`.

    Returns
    -------
    altair.LayerChart
    """
    import altair as alt

    shown = bars[bars["date"].between(pd.Timestamp(span[0]), pd.Timestamp(span[1]))]
    names = _words(tr, ["column.rain", "column.irrigation", "column.eta"])
    long = pd.concat(
        [
            shown[["date", "is_forecast"]].assign(mm=sign * shown[column], depth=shown[column], kind=name)
            for column, sign, name in zip(("rain_mm", "irrigation_mm", "eta_mm"), (1, 1, -1), names, strict=True)
        ]
    )
    long = long[long["depth"] > 0]
    days = max((span[1] - span[0]).days, 1)
    return _dressed(
        alt.layer(
            alt.Chart(long)
            .mark_bar(size=max(1.2, min(14.0, 520 / days)))
            .encode(
                x=_days(span),
                y=alt.Y("mm:Q", title=tr.text("app.chart.mm_day"), axis=alt.Axis(labelExpr="format(abs(datum.value), 'd')")),
                color=alt.Color("kind:N", scale=alt.Scale(domain=names, range=[palette.BLUE, _IRRIGATION, palette.ORANGE]), legend=None),
                opacity=alt.condition(alt.datum.is_forecast, alt.value(0.55), alt.value(1.0)),
                tooltip=[
                    alt.Tooltip("date:T", title=tr.text("app.evidence.date"), format="%-d %b %Y"),
                    alt.Tooltip("kind:N", title=tr.text("column.item")),
                    alt.Tooltip("depth:Q", title="mm", format=".1f"),
                ],
            ),
            _issue_rule(issued_on),
        ),
        tr, 190,
    )  # fmt: skip
