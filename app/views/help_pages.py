"""Pages for when there is nothing to show, or it cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from agro.reports.i18n import Translator
from agro.schema.errors import AgroError
from agro.store.workspace import Workspace
from app import markup
from app.data import RegionInfo, artefacts


def empty(root: Path, tr: Translator) -> None:
    """No region has been run: how to make the first bulletin."""
    lines = [
        (tr.text("app.help.demo"), f"agro demo --workspace {root}"),
        (tr.text("app.help.new_region"), "agro new-region my-region"),
        (tr.text("app.help.run"), f"agro run weekly --region my-region --date YYYY-MM-DD --workspace {root}"),
    ]
    st.html(str(markup.steps(tr.text("app.help.empty"), tr.text("app.help.empty_intro", folder=str(root)), lines)))


def unfinished(root: Path, found: Sequence[RegionInfo], tr: Translator) -> None:
    """Regions are there, but no run has come to advice yet."""
    lines = []
    for region in found:
        store = Workspace(root).region(region.region_id)
        for day in region.unfinished:
            made = ", ".join(artefacts(store.run(day).path)) or "—"
            lines.append(
                (
                    tr.text("app.help.unfinished_run", name=region.region_id, day=tr.date(day, "long")),
                    f"{store.run(day).path}: {made}",
                )
            )
        if not region.unfinished:
            lines.append((tr.text("app.help.no_run", name=region.region_id), str(store.path)))
    lines.append((tr.text("app.help.run_again"), f"agro status --workspace {root}"))
    st.html(str(markup.steps(tr.text("app.help.unfinished"), tr.text("app.help.unfinished_intro"), lines)))
    st.button(tr.text("app.help.look_again"), icon=":material/refresh:")


def broken(error: AgroError, tr: Translator) -> None:
    """Say that an artefact cannot be read: which one, and what to do."""
    st.html(str(markup.notice(tr.text("app.help.broken"), _details(error, tr), "trouble")))


def missing_part(error: AgroError, tr: Translator) -> None:
    """One part of a page has nothing to draw from; the rest of the page goes on."""
    st.html(str(markup.notice(tr.text("app.help.part"), _details(error, tr), "trouble")))


def _details(error: AgroError, tr: Translator) -> list[str]:
    return [tr.isolate(text) for text in (error.what, error.where, error.do) if text]
