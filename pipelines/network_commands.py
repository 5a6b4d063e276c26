"""``agro plan``, ``agro doctor``, ``agro cost`` and the options of commands that use the network."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from pipelines.printing import DateOption, JsonOption, WorkspaceOption, out, plain_table, print_json, print_table

OfflineOption = Annotated[bool, typer.Option("--offline", help="Ask nobody: use what the cache has.")]
MaxPuOption = Annotated[float | None, typer.Option("--max-pu", min=0, help="Stop before more processing units.")]
MaxRequestsOption = Annotated[int | None, typer.Option("--max-requests", min=0, help="Stop before more requests.")]
MaxMbOption = Annotated[float | None, typer.Option("--max-mb", min=0, help="Stop before more megabytes.")]
CacheOption = Annotated[
    Path | None, typer.Option("--cache", help="Folder of answers kept; default: AGRO_CACHE or the user's cache.")
]
RegionOption = Annotated[Path, typer.Option("--region", "-r", help="Folder with region.yaml.")]


def network_options(
    offline: bool, max_pu: float | None, max_requests: int | None, max_mb: float | None, cache: Path | None
) -> Any:
    """The options as one record."""
    from agro.sources.net.budget import Limits
    from pipelines.network import NetworkOptions

    return NetworkOptions(offline, Limits(max_requests, max_pu, max_mb), cache)


def plan_command(
    region: RegionOption,
    as_of: DateOption,
    workspace: WorkspaceOption,
    start: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First day; default: the season's start.")
    ] = None,
    ask: Annotated[bool, typer.Option("--ask", help="Ask the catalogues for the scenes there are.")] = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """What a run would ask of each provider: scenes, requests, processing units, megabytes. Asks nobody by itself.

    Example: agro plan --region my-region --date 2022-04-11 --workspace demo
    """
    from agro.schema.region import load_region
    from pipelines.planning import plan_region
    from pipelines.printing import parse_date
    from pipelines.weekly import season_start

    first = parse_date(start) if start else season_start(load_region(region), as_of)
    plan = plan_region(
        region, first, as_of, workspace, ask=ask, options=network_options(not ask, None, None, None, cache)
    )
    if as_json:
        print_json(plan.as_dict())
        return
    out.print(
        f"[bold]{plan.region}[/]  {plan.parcels} parcels, {plan.area_ha:.1f} ha, in {plan.cells} cells of 26 km2; "
        f"{plan.start} .. {plan.end}; bands {', '.join(plan.bands)}"
    )
    table = plain_table("data", "provider", "way", "scenes", "requests", "PU", "MB", "of a month")
    for line in plan.lines:
        scenes = "" if line.scenes is None else f"{line.scenes} {line.scenes_from}"
        share = "" if line.month_frac is None else f"{line.month_frac:.1%}"
        table.add_row(
            line.data, escape(line.provider), line.way, scenes, f"{line.estimate.requests:,}", f"{line.estimate.pu:,.2f}",
            f"{line.estimate.mb:,.1f}", share,
        )  # fmt: skip
    print_table(table)
    for note in dict.fromkeys(f"{line.provider}: {note}" for line in plan.lines for note in line.notes):
        out.print(f"  {escape(note)}")
    if plan.cheapest:
        out.print(f"cheapest imagery: [bold]{escape(plan.cheapest)}[/]")
    out.print(
        "Estimates are upper ones: nothing of it in the cache. Limit a run with --max-pu, --max-requests, --max-mb."
    )


def doctor_command(
    region: RegionOption,
    workspace: WorkspaceOption,
    as_of: Annotated[
        str | None, typer.Option("--date", "-d", metavar="YYYY-MM-DD", help="Data before this day; default: today.")
    ] = None,
    max_requests: MaxRequestsOption = 200,
    offline: OfflineOption = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try each provider of a region once and say what works, how fast, and what is missing.

    Exit code 0 when every kind of data has a link that works, 3 when a link fails, 1 when a kind has none.

    Example: agro doctor --region my-region --workspace demo
    """
    from pipelines.doctor import QUICK, examine
    from pipelines.printing import parse_date

    day = parse_date(as_of) if as_of else date.today() - timedelta(days=1)
    options = replace(network_options(offline, None, max_requests, None, cache), policy=QUICK)
    findings = examine(region, day, workspace, options)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            mark = "[green]works[/]" if finding.works else "[red]fails[/]"
            out.print(
                f"{mark}  {finding.data:<8} {escape(finding.link):<28} {finding.seconds:6.2f} s  "
                f"{finding.requests:>3} requests  {escape(finding.told)}"
            )
    kinds = {finding.data for finding in findings}
    working = {finding.data for finding in findings if finding.works}
    raise typer.Exit(1 if kinds - working else 0 if all(finding.works for finding in findings) else 3)


def cost_command(
    workspace: WorkspaceOption,
    price: Annotated[
        float | None, typer.Option("--price-per-1000-pu", min=0, help="Of your contract, in your currency.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What was asked of providers and what it cost: by month, region and provider; by parcel; by hectare and week.

    Example: agro cost --workspace demo
    """
    from pipelines.costs import read_costs

    costs = read_costs(workspace, price)
    if as_json:
        print_json(costs.as_dict())
        return
    table = plain_table("month", "region", "provider", "requests", "(plan)", "PU", "(plan)", "MB", "(plan)")
    for row in costs.months.to_dict("records"):
        table.add_row(
            str(row["month"]), str(row["region"]), str(row["provider"]), f"{row['requests']:,}",
            f"{row['estimated_requests']:,}", f"{row['pu']:,.3f}", f"{row['estimated_pu']:,.3f}", f"{row['mb']:,.2f}",
            f"{row['estimated_mb']:,.2f}",
        )  # fmt: skip
    print_table(table)
    for row in costs.as_dict()["per_ha_week"]:
        if row["area_ha"] is None:
            out.print(f"{row['region']}: no run yet, so no area to divide by")
            continue
        money = f", {row['money']:.4f} of your currency" if row["money"] is not None else ""
        out.print(
            f"{row['region']}: a hectare and week costs {row['pu']:.5f} PU, {row['requests']:.3f} requests, "
            f"{row['mb']:.3f} MB{money} ({row['area_ha']:.1f} ha, {row['weeks']} week(s))"
        )
    if len(costs.parcels):
        dearest = costs.parcels.nlargest(5, ["pu", "mb"]).to_dict("records")
        told = ", ".join(f"{row['parcel_uid']} {row['pu']:.4f} PU {row['mb']:.2f} MB" for row in dearest)
        out.print(f"dearest parcels: {told}")
