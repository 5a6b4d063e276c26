"""What the commands share: consoles, options, progress, and how results are printed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from pipelines.observing import Progress

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", "-w", help="Folder of the artefacts.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def parse_date(text: str | date) -> date:
    """A date given as YYYY-MM-DD.

    Raises
    ------
    typer.BadParameter
        Anything else.
    """
    if isinstance(text, date):  # a default
        return text
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date such as 2022-04-11") from None


DateOption = Annotated[date, typer.Option("--date", "-d", parser=parse_date, metavar="YYYY-MM-DD", help="Issue date.")]


@contextmanager
def progress_bar(hidden: bool) -> Iterator[Progress]:
    """A progress bar on standard error, hidden for machines and pipes."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=hidden or not err.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def report(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield report


def plain_table(*columns: str) -> Table:
    """A table without lines whose cells are never cut."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def print_table(table: Table) -> None:
    """A table as wide as it has to be: a pipe has no width."""
    Console(highlight=False, width=max(out.width, 200)).print(table)


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str))


def print_rejected(rejected: pd.DataFrame, limit: int = 20) -> None:
    """What was left out, on standard error."""
    for row in rejected.head(limit).itertuples():
        err.print(f"[yellow]left out[/] {escape(f'{row.input} {row.item}: {row.reason} ({row.remedy})')}")
    if len(rejected) > limit:
        err.print(f"[yellow]left out[/] ... and {len(rejected) - limit} more, in rejected.parquet")
