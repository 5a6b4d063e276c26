"""The command line: ``agro --help``.

Exit codes: 0 all done, 3 done but something was left out (it is listed), 1 failed.
Heavy packages are imported inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from agro.schema.errors import AgroError
from pipelines.network_commands import (
    CacheOption,
    MaxMbOption,
    MaxPuOption,
    MaxRequestsOption,
    OfflineOption,
    cost_command,
    doctor_command,
    network_options,
    plan_command,
)
from pipelines.printing import (
    DateOption,
    JsonOption,
    WorkspaceOption,
    err,
    out,
    parse_date,
    print_json,
    print_rejected,
    progress_bar,
)
from pipelines.report_command import report_command
from pipelines.send_command import opt_out_command, send_command
from pipelines.yield_command import yield_app

if TYPE_CHECKING:
    import pandas as pd


#: The Monday that ``agro demo`` advises for.
DEMO_DATE = date(2022, 4, 11)
SAMPLE = Path(__file__).resolve().parent.parent / "sample_tiles"

app = typer.Typer(
    help="Field advice from Sentinel-2 pixels, soil and weather.", no_args_is_help=True, add_completion=False,
    pretty_exceptions_enable=False, rich_markup_mode="markdown",
)  # fmt: skip
run_app = typer.Typer(help="Run a pipeline on a region.", no_args_is_help=True)
check_app = typer.Typer(help="Check inputs without running anything.", no_args_is_help=True)
app.add_typer(run_app, name="run")
app.add_typer(check_app, name="check")
evaluate_app = typer.Typer(help="Score the science against measurements.", no_args_is_help=True)
app.add_typer(evaluate_app, name="evaluate")
app.command("plan")(plan_command)
app.command("doctor")(doctor_command)
app.command("cost")(cost_command)
app.command("report")(report_command)
app.command("send")(send_command)
app.command("opt-out")(opt_out_command)
app.add_typer(yield_app, name="yield")


class Retry(StrEnum):
    """What is done again though its inputs are the same."""

    failed = "failed"


@run_app.command("weekly")
def run_weekly_command(
    region: Annotated[Path, typer.Option("--region", "-r", help="Folder with region.yaml.")],
    as_of: DateOption,
    workspace: WorkspaceOption,
    language: Annotated[
        list[str] | None, typer.Option("--language", "-l", help="fr, ar or en; repeat. Default: the region's.")
    ] = None,
    offline: OfflineOption = False,
    max_pu: MaxPuOption = None,
    max_requests: MaxRequestsOption = None,
    max_mb: MaxMbOption = None,
    cache: CacheOption = None,
    retry: Annotated[
        Retry | None, typer.Option(help="failed: read again the days of imagery of which something was left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Imagery, soil and weather to advice and a bulletin, for one date.

    Nothing later than the date is read. Run it again after an interruption: what is done is not done twice.

    Example: agro run weekly --region sample_tiles --date 2022-04-11 --workspace demo
    """
    from pipelines.weekly import run_weekly

    with progress_bar(as_json) as progress:
        result = run_weekly(
            region, as_of, workspace, languages=tuple(language) if language else None,
            network=network_options(offline, max_pu, max_requests, max_mb, cache), retry_failed=retry is Retry.failed,
            progress=progress,
        )  # fmt: skip
    if as_json:
        print_json({**result.report, "exit_code": result.exit_code})
    else:
        _print_week(result.report, workspace, result.rejected)
    raise typer.Exit(result.exit_code)


def _print_week(report: dict[str, Any], workspace: Path, rejected: pd.DataFrame) -> None:
    simulated = " (simulated data)" if report["simulated"] else ""
    imagery = report["imagery"]
    out.print(
        f"[bold]{report['region']}[/]{simulated}, advice of {report['issued_on']} for {report['parcels']} parcels"
    )
    out.print(
        f"  imagery   {imagery['scenes_used']} of {imagery['scenes_found']} scenes used, {imagery['days_read']} days read, "
        f"{imagery['days_reused']} reused; {', '.join(imagery['indices']) or 'no index'}"
    )
    out.print(f"  weather   {', '.join(report['weather_sources'])}")
    out.print(f"  soil      {', '.join(report['soil_sources'])}")
    out.print("  advice    " + ", ".join(f"{count} {action}" for action, count in report["actions"].items()))
    out.print(f"  to decide {report['escalated']} wait for a person before they are published")
    folder = workspace / report["region"]
    for name in report["published"]:
        out.print(f"  wrote     {folder / name}")
    print_rejected(rejected)


@app.command()
def demo(
    workspace: WorkspaceOption = Path("demo"),
    as_of: DateOption = DEMO_DATE,
    as_json: JsonOption = False,
) -> None:
    """Run the week on the simulated sample region that comes with the project.

    Two Mondays are run, so that the bulletin can look back on last week's advice. The sample holds a
    corrupt file and other faults on purpose; what they cost is listed and is no failure.

    Example: agro demo --workspace demo
    """
    from datetime import timedelta

    from pipelines.weekly import run_weekly

    with progress_bar(as_json) as progress:
        run_weekly(SAMPLE, as_of - timedelta(days=7), workspace, progress=progress)
        result = run_weekly(SAMPLE, as_of, workspace, progress=progress)
    if as_json:
        print_json(result.report)
        return
    _print_week(result.report, workspace, result.rejected)
    out.print(f"\nOpen the map with: [bold]make app[/] or agro app --workspace {workspace}")


@check_app.command("region")
def check_region_command(
    folder: Annotated[Path, typer.Argument(help="Folder with region.yaml.")],
    as_of: Annotated[
        date | None,
        typer.Option("--date", "-d", parser=parse_date, metavar="YYYY-MM-DD", help="Check the inputs as of this date."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Read everything a region names and say what is right, what is left out and why. Writes nothing.

    Example: agro check region sample_tiles
    """
    from pipelines.checking import check_region

    result = check_region(folder, as_of)
    if as_json:
        print_json(result.as_dict())
    else:
        for line in result.lines:
            out.print(f"[green]ok[/]  {escape(line)}")
        for problem in result.problems:
            err.print(f"[red]bad[/] {escape(problem)}")
        print_rejected(result.rejected)
    raise typer.Exit(1 if result.problems else 3 if len(result.rejected) else 0)


@app.command("new-region")
def new_region_command(
    folder: Annotated[Path, typer.Argument(help="Folder to make.")],
    parcels: Annotated[Path | None, typer.Option(help="Field boundaries, any vector format.")] = None,
    imagery: Annotated[
        Path | None, typer.Option(help="STAC folder, SAFE folders or zips, folder of GeoTIFFs, NetCDF or Zarr.")
    ] = None,
    station: Annotated[Path | None, typer.Option(help="CSV of a weather station, daily.")] = None,
    forecast: Annotated[Path | None, typer.Option(help="CSV of forecasts.")] = None,
    climatology: Annotated[Path | None, typer.Option(help="CSV of monthly normals.")] = None,
    soil: Annotated[Path | None, typer.Option(help="CSV of soil layers per parcel.")] = None,
    texture: Annotated[str, typer.Option(help="Texture class where nothing better is known.")] = "loam",
    irrigation: Annotated[Path | None, typer.Option(help="CSV of irrigations reported.")] = None,
    crop: Annotated[str | None, typer.Option(help="Crop of parcels whose file is silent.")] = None,
    system: Annotated[
        str | None, typer.Option(help="drip, sprinkler, surface or rainfed, where the file is silent.")
    ] = None,
    sowing: Annotated[
        date | None, typer.Option(parser=parse_date, metavar="YYYY-MM-DD", help="Sowing date where the file is silent.")
    ] = None,
    elevation: Annotated[float | None, typer.Option(help="Metres above sea level.")] = None,
    online: Annotated[
        bool, typer.Option("--online", help="Add providers that need no account: imagery, weather, soil.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the folder of a new region: region.yaml to fill in, or filled in from the options.

    Example: agro new-region my-region --parcels fields.gpkg --imagery scenes --climatology normals.csv
    --crop wheat_winter --system sprinkler --elevation 450

    Without files but the parcels: agro new-region my-region --parcels fields.gpkg --online --crop olive --system drip
    --elevation 450
    """
    from pipelines.new_region import RegionOptions, new_region

    options = RegionOptions(
        parcels,
        imagery,
        station,
        forecast,
        climatology,
        soil,
        texture,
        irrigation,
        crop,
        system,
        sowing,
        elevation,
        online,
    )
    missing = new_region(folder, options)
    if as_json:
        print_json({"folder": str(folder), "to_fill_in": missing})
        return
    out.print(f"Made {folder / 'region.yaml'}")
    for key in missing:
        out.print(f"  fill in {key}")
    out.print(f"Then: agro check region {folder}")


@app.command()
def observe(
    imagery: Annotated[
        Path,
        typer.Argument(
            help="STAC folder, SAFE folders or zips, folder of GeoTIFFs, NetCDF, Zarr, or a table already extracted."
        ),
    ],
    parcels: Annotated[Path | None, typer.Argument(help="Field boundaries; not needed with a table.")] = None,
    out_file: Annotated[Path, typer.Option("--out", "-o", help="Table to write: .parquet or .csv.")] = Path(
        "observations.parquet"
    ),
    index: Annotated[list[str] | None, typer.Option("--index", "-i", help="Index to compute; repeat.")] = None,
    start: Annotated[date | None, typer.Option(parser=parse_date, metavar="YYYY-MM-DD")] = None,
    end: Annotated[date | None, typer.Option(parser=parse_date, metavar="YYYY-MM-DD")] = None,
    crs: Annotated[str | None, typer.Option(help="CRS of the parcels when their file does not say.")] = None,
    buffer_m: Annotated[float, typer.Option("--buffer", help="Inner buffer in metres.")] = 5.0,
    series: Annotated[Path | None, typer.Option(help="Also write the smoothed daily series here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Indices per parcel and date, from any imagery on disk.

    Examples
    --------
    agro observe scenes/ fields.gpkg --out observations.parquet --index ndvi --index ndmi

    agro observe extracted.parquet --out observations.parquet --series series.parquet
    """
    from pipelines.observe_command import observe_files

    with progress_bar(as_json) as progress:
        summary, rejected = observe_files(
            imagery, parcels, out_file, indices_wanted=tuple(index or ()), start=start, end=end, crs=crs, buffer_m=buffer_m,
            series_file=series, progress=progress,
        )  # fmt: skip
    if as_json:
        print_json(summary)
    else:
        for key, value in summary.items():
            out.print(f"  {key:<18}{value}")
        print_rejected(rejected)
    raise typer.Exit(3 if len(rejected) else 0)


@app.command()
def balance(
    folder: Annotated[Path, typer.Argument(help="Folder of tables; see docs/balance_tables.md.")],
    out_file: Annotated[Path, typer.Option("--out", "-o", help="Table to write: .csv or .parquet.")],
    runoff: Annotated[bool, typer.Option("--runoff", help="Let rain run off by the curve number CN2.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Root-zone water balance from tables, for people without images. Scored when measurements are there.

    Example: agro balance soilwater --out balance.csv
    """
    from pipelines.balance import run_balance_folder

    result = run_balance_folder(folder, runoff)
    result.write(out_file)
    if as_json:
        print_json(result.summary())
        return
    for key, value in result.summary().items():
        out.print(f"  {key:<18}{value}")
    out.print(f"  wrote             {out_file}")


@evaluate_app.command("water")
def evaluate_water_command(
    folder: Annotated[Path, typer.Argument(help="Folder of tables with measured.csv; see docs/balance_tables.md.")],
    protocol: Annotated[str, typer.Option(help="blind or three-readings; see docs/water_evaluation.md.")] = "blind",
    learned_from: Annotated[
        Path | None, typer.Option(help="Learn from this folder's plots instead of the other plots of FOLDER.")
    ] = None,
    corrected: Annotated[
        bool, typer.Option("--correction/--physics", help="With the learned correction or not.")
    ] = True,
    out_file: Annotated[
        Path | None, typer.Option("--out", "-o", help="Estimates, reading by reading: .csv or .parquet.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Soil water estimated without the readings it is scored on, with intervals, and its scores.

    Example: agro evaluate water soilwater --protocol blind
    """
    from pipelines.evaluate_command import evaluate_water

    result = evaluate_water(folder, protocol, learned_from, corrected)
    if out_file is not None:
        result.write(out_file)
    if as_json:
        print_json(result.scores)
        return
    out.print(result.by_plot.to_string(index=False))
    for warning in result.scores["warnings"]:
        err.print(f"[yellow]note[/] {escape(warning)}")


@evaluate_app.command("irrigation")
def evaluate_irrigation_command(
    folder: Annotated[Path, typer.Argument(help="Folder of tables with measured.csv; see docs/balance_tables.md.")],
    as_json: JsonOption = False,
) -> None:
    """Irrigation inferred from soil-water readings with the log hidden, scored against the log by 15 days.

    Example: agro evaluate irrigation soilwater
    """
    from pipelines.evaluate_command import evaluate_hidden_log

    scores = evaluate_hidden_log(folder)
    if as_json:
        print_json(scores)
        return
    for key, value in scores.items():
        out.print(f"  {key:<18}{value}")


@app.command("publish")
def publish_command(
    workspace: WorkspaceOption,
    as_of: DateOption,
    region: Annotated[
        str | None, typer.Option("--region", "-r", help="Region id; not needed when there is one.")
    ] = None,
    language: Annotated[list[str] | None, typer.Option("--language", "-l", help="fr, ar or en; repeat.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a week's bulletin again, after decisions were taken in the app.

    Example: agro publish --workspace demo --date 2022-04-11
    """
    from pipelines.status import region_of
    from pipelines.weekly import publish_run

    store = region_of(workspace, region)
    languages = tuple(language) if language else tuple(store.describe()["languages"])
    paths = publish_run(store, store.run(as_of), languages)
    if as_json:
        print_json({"published": [str(p) for p in paths]})
    else:
        for path in paths:
            out.print(f"  wrote     {path}")


@app.command()
def status(workspace: WorkspaceOption = Path("demo"), as_json: JsonOption = False) -> None:
    """What a workspace holds: regions, runs, advice, what waits for a person.

    Example: agro status --workspace demo
    """
    from pipelines.status import describe_workspace

    rows = describe_workspace(workspace)
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print(f"Nothing in {workspace} yet. Run: agro demo --workspace {workspace}")
        return
    for row in rows:
        advice = ", ".join(f"{count} {action}" for action, count in row["actions"].items())
        published = "published" if row["published"] else "not published"
        out.print(
            f"{row['region']}  {row['date']}  {row['parcels']} parcels: {advice}; {row['awaiting']} wait for a person; "
            f"{row['scenes']} scenes used; {row['rejected']} left out; {published}"
        )


@app.command("app")
def app_command(
    workspace: WorkspaceOption = Path("demo"),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8501,
    headless: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
) -> None:
    """Open the map in a browser, from this machine alone.

    Example: agro app --workspace demo
    """
    from app.launch import launch

    raise typer.Exit(launch(workspace, port, headless))


@app.command("sample-region")
def sample_region(folder: Annotated[Path, typer.Argument(help="Folder to write.")] = SAMPLE) -> None:
    """Generate the simulated sample region again (needs the extra `generator`).

    Example: agro sample-region sample_tiles
    """
    from pipelines.sample_region.build import build_sample_region

    build_sample_region(folder)
    out.print(f"Wrote {folder}")


@app.command("version")
def version() -> None:
    """The version of this program."""
    from agro import __version__

    typer.echo(__version__)


def main() -> None:
    """Entry point: errors made on purpose become one clear line and exit code 1."""
    wants_json = "--json" in sys.argv
    try:
        app()
    except AgroError as error:
        if wants_json:
            print_json({"error": type(error).__name__, "what": error.what, "where": error.where, "do": error.do})
        err.print(f"[red]error[/] {escape(str(error))}")
        sys.exit(1)
    except KeyboardInterrupt:
        err.print("[yellow]stopped[/] Nothing written is harmed; run the same command again to go on.")
        sys.exit(130)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        err.print(f"[red]error[/] {escape(f'{where}{error.strerror or error}')}")
        sys.exit(1)


if __name__ == "__main__":
    main()
