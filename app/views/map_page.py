"""The map of all fields, coloured by advice, an index, soil water, confidence or the age of the last look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import streamlit as st

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError
from app import data, layers, markup, review
from app.cached import read
from app.context import Context, keep, remember, restored
from app.data import Parcels
from app.deck import FieldLook, build_deck, scale_bar
from app.views import help_pages
from app.views.cards import field_name, short_card
from app.words import index_name

if TYPE_CHECKING:
    from agro.advice.review import Decision

_MAP_HEIGHT_PX = 440
_INDEX = "index:"


def show(context: Context, field_page: Any) -> None:
    """Draw the page."""
    tr = context.tr
    parcels = read(data.parcels, context.folder)
    records = read(data.advice, context.folder)
    decided = review.latest_decisions(context.store)
    undecided = frozenset(u for u, r in records.items() if r.escalated and r.advice_id not in decided)
    rows = parcels.rows
    uids = list(rows)

    with st.container(horizontal=True, vertical_alignment="bottom", key="choices"):
        colour = _choose_colour(context)
        shown = _choose_crops(context, parcels)
        selected = choose_field(context, parcels)

    with st.container(key="split"):
        wide, side = st.columns([3, 1.15], gap="medium")
        with wide:
            spot = st.container()  # the day is chosen below the map, and is needed to draw it
            try:
                day = _choose_day(context, colour)
                layer = _layer(context, colour, day, records, undecided, shown)
            except AgroError as error:
                help_pages.missing_part(error, tr)
                layer = layers.advice_layer(records, undecided, shown, tr)
            with spot:
                marked = (
                    undecided if colour == "advice" else frozenset()
                )  # the legend says what an outline means there alone
                looks = {
                    uid: _look(context, rows[uid], records.get(uid), layer, uid in marked, uid not in shown)
                    for uid in uids
                }
                _draw(context, parcels, looks, selected, layer)
        with side:
            st.html(str(markup.legend(layer)))
            if selected is None:
                st.html(
                    str(markup.joined([markup.Markup('<p class="ag-note">{}</p>').format(tr.text("app.map.hint"))]))
                )
            else:
                _card(context, rows[selected], records.get(selected), decided, field_page)


def choose_field(context: Context, parcels: Parcels) -> str | None:
    """Search box for a field; the way to choose one with the keyboard."""
    tr = context.tr
    names = {uid: field_name(row, tr) for uid, row in parcels.rows.items()}
    order = sorted(names, key=lambda uid: names[uid])
    if "field" not in st.session_state:
        asked = st.query_params.get("field")
        st.session_state["field"] = asked if asked in names else None
    chosen = st.session_state["field"] if st.session_state["field"] in names else None
    st.session_state["field_search"] = chosen
    st.selectbox(
        tr.text("column.field"), order, key="field_search", format_func=names.__getitem__,
        placeholder=tr.text("app.map.search"), on_change=_searched, width=236,
    )  # fmt: skip
    remember(field=chosen)
    return chosen


def _searched() -> None:
    st.session_state["field"] = st.session_state["field_search"]


def _touched() -> None:
    chosen = [
        found for layer in st.session_state["fields-map"].selection.get("objects", {}).values() for found in layer
    ]
    if chosen:  # nothing chosen is the browser forgetting a layer's last turn, not a person's wish
        st.session_state["field"] = chosen[0]["properties"]["uid"]
        st.session_state["map_turn"] = st.session_state.get("map_turn", 0) + 1


def _choose_colour(context: Context) -> str:
    tr = context.tr
    names: dict[str, str] = {"advice": tr.text("app.layer.advice")}
    try:
        for index in read(data.index_keys, context.folder):
            names[_INDEX + index] = index_name(index)
        names["age"] = tr.text("evidence.clear_age")
    except AgroError:
        pass  # choosing another colour still works; the field's page says what is wrong with the file
    names["depletion"] = tr.text("app.layer.depletion")
    names["confidence"] = tr.text("column.confidence")
    restored("colour", "advice", list(names))
    st.selectbox(tr.text("app.map.colour"), list(names), key="colour", format_func=names.__getitem__, width=236)
    keep("colour")
    return str(st.session_state["colour"])


def _choose_crops(context: Context, parcels: Parcels) -> list[str]:
    tr = context.tr
    crops = sorted(parcels.table["agro:crop"].unique())
    restored("crops", [], crops)
    st.multiselect(
        tr.text("column.crop_only"), crops, key="crops", format_func=context.crop_name,
        placeholder=tr.text("app.map.all_crops"), width=236,
    )  # fmt: skip
    keep("crops")
    wanted = st.session_state["crops"] or crops
    return list(parcels.table.loc[parcels.table["agro:crop"].isin(wanted), "parcel_uid"])


def _choose_day(context: Context, colour: str) -> date:
    """Choose the day shown: a slider over the days of the series or the balance, and steps from image to image."""
    tr = context.tr
    if colour in ("advice", "confidence"):
        return context.issued_on
    days = read(data.water_dates if colour == "depletion" else data.series_dates, context.folder)
    latest = max((day for day in days if day <= context.issued_on), default=days[-1] if days else context.issued_on)
    if len(days) < 2:
        return latest
    images = [day for day in read(data.image_dates, context.folder) if days[0] <= day <= days[-1]]
    restored("day", latest, days)
    current = st.session_state["day"]
    before = max((day for day in images if day < current), default=None)
    after = min((day for day in images if day > current), default=None)
    with st.container(horizontal=True, vertical_alignment="bottom", key="days"):
        st.button(
            tr.text("app.map.image_before"),
            on_click=_go_to,
            args=(before,),
            disabled=before is None,
            key="image_before",
        )
        st.select_slider(
            tr.text("app.map.day"), days, key="day", format_func=lambda day: tr.date(day, "long"),
            help=tr.text("app.map.day_help"),
        )  # fmt: skip
        st.button(
            tr.text("app.map.image_after"), on_click=_go_to, args=(after,), disabled=after is None, key="image_after"
        )
    keep("day")
    return date.fromisoformat(str(st.session_state["day"]))


def _go_to(day: date) -> None:
    st.session_state["day"] = day


def _layer(
    context: Context,
    colour: str,
    day: date,
    records: Mapping[str, AdviceRecord],
    undecided: frozenset[str],
    uids: list[str],
) -> layers.Layer:
    tr = context.tr
    if colour == "advice":
        return layers.advice_layer(records, undecided, uids, tr)
    if colour == "confidence":
        return layers.confidence_layer(records, uids, tr)
    if colour == "depletion":
        return layers.depletion_layer(read(data.depletion_on, context.folder, day), uids, tr)
    if colour == "age":
        index = read(data.index_keys, context.folder)[0]
        return layers.age_layer(read(data.index_on, context.folder, index, day), uids, tr)
    index = colour.removeprefix(_INDEX)
    return layers.index_layer(read(data.index_on, context.folder, index, day), index, uids, tr)


def _look(
    context: Context,
    row: Mapping[str, Any],
    record: AdviceRecord | None,
    layer: layers.Layer,
    outlined: bool,
    faded: bool,
) -> FieldLook:
    tr = context.tr
    crop = tr.text(
        "app.tip.crop", name=context.crop_name(row["agro:crop"]), area=tr.quantity(row["metrics:area"] / 1e4, "ha", 1)
    )
    if record is None:
        advised = tr.text("app.map.no_advice")
    elif record.amount_mm is not None and record.action == "irrigate":
        advised = tr.text("app.tip.irrigate", amount_mm=record.amount_mm)
    else:
        advised = tr.text(f"action.{record.action}")
    value = layer.shown.get(row["parcel_uid"]) or tr.text("app.map.no_value")
    third = value if layer.ramp else tr.text("app.map.awaiting") if outlined else ""
    return FieldLook(
        color=layer.colors.get(row["parcel_uid"]),
        outlined=outlined,
        faded=faded,
        title=field_name(row, tr),
        lines=(str(crop), str(advised), str(third)),
    )


def _draw(
    context: Context, parcels: Parcels, looks: Mapping[str, FieldLook], selected: str | None, layer: layers.Layer
) -> None:
    tr = context.tr
    _, length_m = scale_bar(parcels.bounds)
    scale = f"{length_m:g} m" if length_m < 1000 else f"{length_m / 1000:g} km"
    deck = build_deck(parcels, looks, selected, tr.direction == "rtl", scale, st.session_state.get("map_turn", 0))
    with st.container(key="fields-map-frame"):
        st.pydeck_chart(
            deck, height=_MAP_HEIGHT_PX, on_select=_touched, selection_mode="single-object", key="fields-map",
            alt=tr.text("app.map.alt", title=layer.title, parcels=tr.text("count.parcels", n=len(looks))),
        )  # fmt: skip


def _card(
    context: Context,
    row: Mapping[str, Any],
    record: AdviceRecord | None,
    decided: Mapping[str, Decision],
    field_page: Any,
) -> None:
    tr = context.tr
    with st.container(border=True, key="card"):
        st.html(
            str(
                short_card(
                    row,
                    context.crop_name(row["agro:crop"]),
                    record,
                    decided.get(record.advice_id) if record else None,
                    tr,
                )
            )
        )
        if st.button(tr.text("app.map.open"), type="primary", icon=":material/open_in_new:", key="open_field"):
            st.switch_page(field_page)
