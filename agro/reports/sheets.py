"""From a run and people's decisions to the sheets of its parcels or growers, as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.html import render_html
from agro.reports.i18n import Translator
from agro.reports.pdf import render_pdf
from agro.reports.sheet import grower_sheet, parcel_sheet
from agro.reports.sheet_figures import draw_sheet_figures, parcel_histories
from agro.schema.errors import ConfigError
from agro.schema.provenance import digest_of
from agro.store.atomic import write_bytes
from agro.store.workspace import RunFolder

SheetKind = Literal["parcel", "grower"]
SHEETS_DIR = "sheets"


def sheet_stem(kind: SheetKind, key: str) -> str:
    """File name without its ending: the identifier where it is a plain one, else cleaned and told apart by its digest."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", key)[:60]
    return f"{kind}_{plain}" if plain and plain == key else f"{kind}_{plain}_{digest_of(key)[:8]}"


def owners(parcels: pd.DataFrame) -> dict[str, list[str]]:
    """Parcel uids by grower's pseudonym, in the order of both; a parcel without one is nobody's."""
    known = parcels[parcels["agro:owner_ref"].notna()]
    return {
        str(owner): sorted(rows["parcel_uid"])
        for owner, rows in sorted(known.groupby("agro:owner_ref"), key=lambda pair: str(pair[0]))
    }


def render_sheets(
    run: RunFolder,
    bulletin: Bulletin,
    translators: Sequence[Translator],
    kind: SheetKind = "parcel",
    only: Sequence[str] | None = None,
    formats: Sequence[str] = ("html", "pdf"),
) -> Iterator[tuple[str, str, str, bytes]]:
    """Render sheets one by one.

    Parameters
    ----------
    run : RunFolder
        Tables ``parcels`` and ``water``; ``series`` where there is one.
    bulletin : Bulletin
        What was let out (:func:`agro.reports.publish.gather`); a sheet says nothing beyond it.
    translators : sequence of Translator
    kind : {"parcel", "grower"}
    only : sequence of str, optional
        Parcel uids or growers' pseudonyms; by default all.
    formats : sequence of {"html", "pdf"}

    Yields
    ------
    tuple
        Key (uid or pseudonym), language, format, content.

    Raises
    ------
    ConfigError
        A key that the run does not have, or an unknown format.
    """
    if unknown := sorted(set(formats) - {"html", "pdf"}):
        raise ConfigError(f"no sheet as {unknown[0]!r}", where="format", do="Choose html or pdf")
    lines = {line.parcel_uid: line for line in bulletin.lines}
    groups = owners(run.read("parcels")) if kind == "grower" else {uid: [uid] for uid in sorted(lines)}
    wanted = list(groups) if only is None else list(dict.fromkeys(only))
    if absent := [key for key in wanted if key not in groups]:
        raise ConfigError(f"no {kind} {absent[0]!r} in this run", where="sheets", do="Give one that is in the parcels")
    if kind == "grower":
        for key in wanted:
            for tr in translators:
                view = grower_sheet(bulletin, [lines[uid] for uid in groups[key]], key, tr)
                yield from ((key, tr.language, *rest) for rest in _formats(view, {}, formats))
        return
    yield from _parcel_sheets(run, bulletin, {uid: lines[uid] for uid in wanted}, translators, formats)


def _parcel_sheets(
    run: RunFolder, bulletin: Bulletin, wanted: Mapping[str, ParcelLine], translators: Sequence[Translator], formats: Sequence[str]
) -> Iterator[tuple[str, str, str, bytes]]:  # fmt: skip
    series = run.read("series") if run.has("series") else None
    crops = {line.parcel_uid: line.crop for line in bulletin.lines}
    histories = parcel_histories(run.read("water"), series, crops, bulletin.issued_on)
    for uid, line in wanted.items():
        for tr in translators:
            pictures = draw_sheet_figures(histories[uid], bulletin.issued_on, tr)
            view = parcel_sheet(bulletin, line, tr, histories[uid], pictures)
            yield from ((uid, tr.language, *rest) for rest in _formats(view, pictures, formats))


def _formats(view: dict[str, Any], pictures: Mapping[str, Any], formats: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    if "html" in formats:
        yield "html", render_html(view, pictures, "sheet").encode()
    if "pdf" in formats:
        yield "pdf", render_pdf(view, pictures, "sheet")


def write_sheets(
    folder: Path,
    run: RunFolder,
    bulletin: Bulletin,
    translators: Sequence[Translator],
    kind: SheetKind = "parcel",
    only: Sequence[str] | None = None,
    formats: Sequence[str] = ("html", "pdf"),
) -> list[Path]:
    """Write sheets to ``folder/sheets/<language>/<kind>_<key>.<format>``; see :func:`render_sheets`."""
    paths = []
    for key, language, form, content in render_sheets(run, bulletin, translators, kind, only, formats):
        path = folder / SHEETS_DIR / language / f"{sheet_stem(kind, key)}.{form}"
        write_bytes(path, content)
        paths.append(path)
    return paths
