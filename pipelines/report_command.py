"""``agro report``: sheets of parcels or growers, and their messages."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipelines.printing import DateOption, JsonOption, WorkspaceOption, out, print_json


class By(StrEnum):
    """What a sheet is about."""

    parcel = "parcel"
    grower = "grower"


class Form(StrEnum):
    """File format of a sheet."""

    html = "html"
    pdf = "pdf"


def report_command(
    workspace: WorkspaceOption,
    as_of: DateOption,
    region: Annotated[str | None, typer.Option("--region", "-r", help="Region id; not needed when there is one.")] = None,
    by: Annotated[By, typer.Option(help="One sheet a parcel, or one a grower.")] = By.parcel,
    only: Annotated[list[str] | None, typer.Option("--only", help="Parcel uid or grower's pseudonym; repeat.")] = None,
    form: Annotated[list[Form] | None, typer.Option("--format", "-f", help="Repeat; both by default.")] = None,
    language: Annotated[list[str] | None, typer.Option("--language", "-l", help="fr, ar or en; repeat.")] = None,
    out_folder: Annotated[Path | None, typer.Option("--out", "-o", help="Folder; by default that of the published bulletin.")] = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Write one-page sheets from the advice that was let out.

    Example: agro report --workspace demo --date 2022-04-11 --by grower --language ar
    """
    from agro.reports.publish import translators_of
    from agro.reports.sheets import SheetKind, write_sheets
    from pipelines.status import region_of
    from pipelines.weekly import bulletin_of

    store = region_of(workspace, region)
    run = store.run(as_of)
    bulletin = bulletin_of(store, run)
    translators = translators_of(store, tuple(language) if language else store.describe()["languages"])
    folder = out_folder or store.published(as_of)
    formats = [str(f) for f in form or list(Form)]
    kind: SheetKind = "grower" if by is By.grower else "parcel"
    paths = write_sheets(folder, run, bulletin, translators, kind, only or None, formats)
    if as_json:
        print_json({"written": [str(p) for p in paths]})
    else:
        out.print(f"  wrote     {len(paths)} sheets below {folder}")
