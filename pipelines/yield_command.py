"""``agro yield``: validate, train, forecast, and show the card of a yield model on regional statistics."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

yield_app = typer.Typer(help="Yield forecasts of regions, validated and with a card.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of one crop and country in the layout of CY-Bench.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]
Jobs = Annotated[int, typer.Option(min=1, max=64, help="Processes.")]


class Lead(StrEnum):
    """Lead times of the protocol."""

    mid = "mid"
    quarter = "quarter"
    end = "end"


class Protocol(StrEnum):
    """Validations of the protocol."""

    leave_one_year_out = "leave_one_year_out"
    walk_forward = "walk_forward"
    spatial_blocks = "spatial_blocks"


def _plain(value: Any) -> Any:
    """Numbers rounded, NaN as null: JSON knows none."""
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(_plain(value), indent=1, sort_keys=True, ensure_ascii=False, default=str))


@yield_app.command("evaluate")
def evaluate_command(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the table and plots.")] = Path("yield-evaluation"),
    validation: Annotated[
        list[Protocol] | None, typer.Option("--validation", help="Repeat; all three by default. The first is quoted.")
    ] = None,
    lead: Annotated[list[Lead] | None, typer.Option("--lead", help="Repeat; all three by default.")] = None,
    first_year: Annotated[
        int | None, typer.Option(help="First harvest year; by default that of the published table.")
    ] = None,
    jobs: Jobs = 2,
    as_json: Json = False,
) -> None:
    """Validate the yield models by years left out, walking forward, and by spatial blocks (docs/yield_protocol.md).

    Example: agro yield evaluate yield-cybench/wheat/ES
    """
    from pipelines.yield_evaluation import PROTOCOLS, evaluate_folder
    from pipelines.yield_evaluation import as_json as described
    from pipelines.yield_report import write_report

    protocols = tuple(str(p) for p in dict.fromkeys(validation or PROTOCOLS))
    leads = tuple(str(v) for v in dict.fromkeys(lead or list(Lead)))
    data, results, notes = evaluate_folder(folder, protocols=protocols, leads=leads, jobs=jobs, first_year=first_year)
    paths = write_report(data, results, notes, folder, out)
    if as_json:
        _print_json({**described(data, results, notes), "wrote": [str(p) for p in paths]})
        return
    typer.echo(paths[0].read_text(encoding="utf-8"))
    for path in paths:
        typer.echo(f"wrote {path}")


@yield_app.command("train")
def train_command(
    folder: Folder,
    out: Annotated[Path, typer.Option("--out", "-o", help="Model file to write, .skops; its card comes beside it.")],
    lead: Annotated[list[Lead] | None, typer.Option("--lead", help="Repeat; all three by default.")] = None,
    until: Annotated[int | None, typer.Option(help="Last harvest year to learn from.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the data, for the card.")] = "",
    jobs: Jobs = 2,
    as_json: Json = False,
) -> None:
    """Choose and fit a model for each lead time, and write it with its card.

    Example: agro yield train yield-cybench/wheat/ES --out wheat-es.skops
    """
    from pipelines.yield_models import train_folder

    leads = tuple(str(v) for v in dict.fromkeys(lead or list(Lead)))
    card = train_folder(folder, out, leads=leads, licence=licence, until=until, jobs=jobs)
    if as_json:
        _print_json(card)
        return
    for name, one in card["leads"].items():
        weights = ", ".join(f"{n} {w:.2f}" for n, w in one["weights"].items())
        typer.echo(f"{name:<8} {one['model']} {weights}  {one['rows']} rows, {one['years'][0]}-{one['years'][1]}")
    typer.echo(f"wrote {out}, digest {card['model_digest']}")


@yield_app.command("predict")
def predict_command(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    folder: Folder,
    year: Annotated[int, typer.Option(help="Harvest year.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Table to write, .csv or .parquet.")],
    lead: Annotated[Lead, typer.Option(help="How far the season has gone.")] = Lead.end,
    as_json: Json = False,
) -> None:
    """Forecast one harvest year with interval, reasons, and what changed since the lead before; says when inputs or errors drift.

    Example: agro yield predict wheat-es.skops yield-cybench/wheat/ES --year 2020 --lead mid --out forecast.csv
    """
    from agro.store.plain_table import write_plain_table
    from pipelines.yield_models import predict_folder

    table, _, drift = predict_folder(model, folder, year, str(lead))
    write_plain_table(table, out)
    abstained = int(table["abstain_reason"].notna().sum())
    if as_json:
        _print_json({"forecasts": len(table) - abstained, "abstained": abstained, "drift": drift, "wrote": str(out)})
    else:
        typer.echo(f"{len(table) - abstained} regions forecast, {abstained} abstained; wrote {out}")
        for key, value in drift.items():
            typer.echo(f"  {key:<16}{value}")
    raise typer.Exit(3 if abstained else 0)


@yield_app.command("card")
def card_command(model: Annotated[Path, typer.Argument(help="Model file.")]) -> None:
    """The card of a model, as JSON: data, period, protocol, limits, licence, digest.

    Example: agro yield card wheat-es.skops
    """
    from pipelines.yield_models import read_card

    _print_json(read_card(model))
