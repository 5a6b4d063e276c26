"""From a run and people's decisions to the files of a week."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from agro.reports.bulletin import Bulletin, build_bulletin, proposed_lines, published_lines
from agro.reports.figures import draw_figures
from agro.reports.geopackage import render_geopackage
from agro.reports.html import render_html
from agro.reports.i18n import LANGUAGES, Digits, Translator
from agro.reports.pdf import render_pdf
from agro.reports.view import bulletin_view
from agro.reports.workbook import render_csv, render_xlsx
from agro.schema.advice import AdviceRecord
from agro.schema.errors import ConfigError, ContractError
from agro.store.atomic import write_bytes
from agro.store.workspace import RegionStore, RunFolder

#: What was let out, kept beside the bulletins for next week's comparison.
PUBLISHED_FILE = "published.json"


def publish(
    region: RegionStore,
    run: RunFolder,
    published: Sequence[tuple[AdviceRecord, Mapping[str, Any] | None]],
    awaiting: Sequence[AdviceRecord],
    languages: Sequence[str] = LANGUAGES,
    previous_run: RunFolder | None = None,
    issued_on: date | None = None,
    *,
    digits: Digits | None = None,
    crop_names: Mapping[str, Mapping[str, str]] | None = None,
) -> list[Path]:
    """Write the week's bulletins and the GeoPackage.

    Everything is made before anything is written: a failure leaves an earlier edition whole.

    Parameters
    ----------
    region : RegionStore
        Files go to ``published/<date>/``. Its description may hold ``contact``, ``water_price_per_m3``, ``currency``
        and ``price_date`` beside ``name`` and ``simulated``.
    run : RunFolder
        The run to publish.
    published : sequence of (AdviceRecord, decision or None)
        Advice let out, each with the decision on it as a mapping with ``decision`` (accept, edit, reject),
        ``amount_mm``, ``reason`` and ``reviewer``, or None where no decision was needed.
    awaiting : sequence of AdviceRecord
        Advice that waits for a person: named, with the reasons for waiting, without any amount.
    languages : sequence of str
        Of fr, ar, en. The GeoPackage speaks the first.
    previous_run : RunFolder, optional
        The run whose advice is compared with what was done since.
    issued_on : datetime.date, optional
        By default the run's date.
    digits : {"latin", "arabic-indic"}, optional
        Digits of the Arabic bulletin; by default as the region says.
    crop_names : mapping, optional
        Names of crops by key and language, over those of the catalogue.

    Returns
    -------
    list of pathlib.Path
        ``bulletin_<language>.html`` and ``.pdf``, ``parcels_<language>.xlsx``, ``parcels.csv`` and ``parcels.gpkg`` (in
        the first language), ``published.json``.

    Raises
    ------
    ConfigError
        No language, or an unknown one.
    ContractError
        Advice that does not fit the run, or a sentence without translation.
    NoDataError
        The run lacks a table that the bulletin cannot do without.
    """
    if not languages:
        raise ConfigError("no language to publish in", where="languages", do=f"Choose among {', '.join(LANGUAGES)}")
    translators = translators_of(region, languages, digits)
    bulletin, parcels = gather(region, run, published, awaiting, previous_run, issued_on, crop_names=crop_names)
    files: dict[str, bytes] = {}
    for tr in translators:
        pictures = draw_figures(bulletin, parcels, tr)
        view = bulletin_view(bulletin, tr, pictures)
        files[f"bulletin_{tr.language}.html"] = render_html(view, pictures).encode()
        files[f"bulletin_{tr.language}.pdf"] = render_pdf(view, pictures)
        files[f"parcels_{tr.language}.xlsx"] = render_xlsx(bulletin, tr)
    files["parcels.csv"] = render_csv(bulletin, translators[0])
    files["parcels.gpkg"] = render_geopackage(bulletin, parcels, translators[0])
    files[PUBLISHED_FILE] = (
        json.dumps(published_lines(bulletin), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    ).encode()
    folder = region.published(bulletin.issued_on)
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]


def translators_of(region: RegionStore, languages: Sequence[str], digits: Digits | None = None) -> list[Translator]:
    """Translators that write digits and units as the region says."""
    said = dict(region.describe().get("reports") or {})
    shape: Digits = digits or said.pop("digits", "latin")
    said.pop("digits", None)
    return [Translator(language, shape, **said) for language in dict.fromkeys(languages)]


def gather(
    region: RegionStore,
    run: RunFolder,
    published: Sequence[tuple[AdviceRecord, Mapping[str, Any] | None]],
    awaiting: Sequence[AdviceRecord],
    previous_run: RunFolder | None = None,
    issued_on: date | None = None,
    *,
    crop_names: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[Bulletin, Any]:
    """Gather what bulletin, sheets, workbook and messages say, and the parcels; parameters as :func:`publish`."""
    parcels = run.read("parcels")
    previous, confirmed = _previous(region, previous_run)
    previous_on = previous_run.issued_on if previous_run else None
    bulletin = build_bulletin(
        region, run, parcels, published, awaiting, previous, previous_on, confirmed, issued_on or run.issued_on, crop_names
    )  # fmt: skip
    return bulletin, parcels


def _previous(region: RegionStore, run: RunFolder | None) -> tuple[list[dict[str, Any]] | None, bool]:
    """Give what was let out before, or else what that run proposed."""
    if run is None:
        return None, False
    path = region.published(run.issued_on) / PUBLISHED_FILE
    if not path.exists():
        return proposed_lines(run.advice()), False
    try:
        return list(json.loads(path.read_text(encoding="utf-8"))), True
    except ValueError as error:
        raise ContractError(
            "the record of what was published is broken", where=str(path), do="Publish that week again"
        ) from error
