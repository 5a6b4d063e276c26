"""Entry of the application: ``streamlit run app/main.py -- --workspace DIR [--region ID]``."""

from __future__ import annotations

import argparse
import sys

import streamlit as st

from agro.reports.i18n import LANGUAGES, Translator
from agro.schema.errors import AgroError
from app import data, markup
from app.context import Context, first_choice, language, options, remember
from app.views import field, help_pages, map_page
from app.words import LANGUAGE_NAMES, translator


def main() -> None:
    """Draw the frame, then the page."""
    chosen = options(sys.argv[1:])
    tr = translator(language())
    st.set_page_config(page_title=tr.text("app.title"), layout="wide", initial_sidebar_state="collapsed")
    st.html(markup.page_style(tr))
    st.html(markup.page_direction(tr), unsafe_allow_javascript=True)

    context: Context | None = None
    trouble: AgroError | None = None
    found: list[data.RegionInfo] = []
    try:
        found = data.regions(chosen.workspace)
    except AgroError as error:
        trouble = error

    def show_map() -> None:
        assert context is not None
        map_page.show(context, pages["field"])

    def show_field() -> None:
        assert context is not None
        field.show(context)

    def show_help() -> None:
        if trouble is not None:
            help_pages.broken(trouble, tr)
        elif found:
            help_pages.unfinished(chosen.workspace, found, tr)
        else:
            help_pages.empty(chosen.workspace, tr)

    ready = [region for region in found if region.issue_dates]
    if ready:
        pages = {
            "map": st.Page(show_map, title=tr.text("app.page.map"), url_path="map", default=True),
            "field": st.Page(show_field, title=tr.text("app.page.field"), url_path="field"),
        }
    else:
        pages = {"help": st.Page(show_help, title=tr.text("app.title"), url_path="help", default=True)}
    page = st.navigation(list(pages.values()), position="top")
    if ready:
        context = _frame(ready, chosen, tr)
    else:
        _language_switch(tr)
    remember(lang=tr.language)
    try:
        page.run()
    except AgroError as error:
        help_pages.broken(error, tr)


def _frame(ready: list[data.RegionInfo], chosen: argparse.Namespace, tr: Translator) -> Context:
    """Draw the line above every page: where, when, in which language."""
    ids = [region.region_id for region in ready]
    asked = chosen.region
    region = next(r for r in ready if r.region_id == first_choice("region", ids, asked if asked in ids else ids[0]))
    days = list(reversed(region.issue_dates))
    day = first_choice("date", days, days[0])
    st.session_state["region"], st.session_state["date"] = region.region_id, day
    names = {r.region_id: str(Context(chosen.workspace, r, r.issue_dates[-1], tr).region_name) for r in ready}
    with st.container(horizontal=True, vertical_alignment="bottom", key="head"):
        shown = Context(chosen.workspace, region, day, tr)
        st.html(
            str(
                markup.heading(
                    shown.region_name,
                    tr.text("bulletin.issued", day=tr.date(day, "full")),
                    tr.text("bulletin.simulated") if region.simulated else None,
                )
            )
        )
        if len(ids) > 1:
            st.selectbox(tr.text("app.region"), ids, key="region", format_func=names.__getitem__, width=200)
        st.selectbox(tr.text("app.issue_date"), days, key="date", format_func=lambda d: tr.date(d, "long"), width=180)
        _language_switch(tr)
    remember(region=region.region_id, date=day.isoformat())
    return Context(chosen.workspace, region, day, tr)


def _language_switch(tr: Translator) -> None:
    st.session_state["lang"] = tr.language
    st.segmented_control(
        tr.text("app.language"), LANGUAGES, key="lang", format_func=LANGUAGE_NAMES.__getitem__, required=True
    )


main()
