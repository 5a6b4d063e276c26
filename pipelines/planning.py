"""What a run will ask of each provider, before anything is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd

from agro.schema.errors import AgroError, NoDataError
from agro.schema.region import ImagerySpec, Region, SoilSpec
from agro.sources.imagery import ImagerySource, Remote, open_imagery
from agro.sources.imagery.chain import misspelt
from agro.sources.imagery.cog_cost import plan_parts, plan_whole_tiles
from agro.sources.imagery.sentinelhub.cost import plan_process, plan_search, plan_statistical
from agro.sources.net import Network
from agro.sources.net.budget import Estimate
from agro.sources.providers import Provider, provider
from agro.sources.soil import plan_soil
from agro.sources.weather.plan import weather_cost
from pipelines.network import NetworkOptions, open_network, remote_of
from pipelines.weekly import read_inputs

#: Days between two looks of one relative orbit with two satellites (Sentinel-2 User Handbook).
REVISIT_D = 5
#: Relative orbits that see a place: one, or two where swaths overlap. The higher number is planned with.
ORBITS = (1, 2)


@dataclass(frozen=True)
class PlanLine:
    """One way to get one kind of data.

    Parameters
    ----------
    data, provider, way : str
        E.g. imagery, ``sentinelhub-cdse``, a cell a day.
    scenes : int, optional
        Acquisitions reckoned with; None where there are none.
    scenes_from : str
        ``catalogue`` when they were asked for or kept, else ``expected``.
    estimate : Estimate
    month_frac : float, optional
        Largest share of a monthly limit that it takes.
    notes : tuple of str
        Missing keys, licence, what it would show.
    """

    data: str
    provider: str
    way: str
    scenes: int | None
    scenes_from: str
    estimate: Estimate
    month_frac: float | None = None
    notes: tuple[str, ...] = ()


@dataclass
class Plan:
    """All ways, and the cheapest one of imagery."""

    region: str
    parcels: int
    area_ha: float
    cells: int
    start: date
    end: date
    bands: tuple[str, ...]
    lines: list[PlanLine] = field(default_factory=list)
    cheapest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def plan_region(
    folder: Path, start: date, end: date, workspace: Path, *, ask: bool = False, options: NetworkOptions | None = None
) -> Plan:
    """Plan the imagery, weather and soil of a region for a period.

    Nothing is asked unless `ask`: scenes are those of the cache or, without any, a look every five days on each of two
    orbits.

    Parameters
    ----------
    folder : Path
        Region folder.
    start, end : datetime.date
    workspace : Path
        Holds the ledger.
    ask : bool
        Ask the catalogues for the scenes (one request or a few each).
    options : NetworkOptions, optional

    Raises
    ------
    AgroError
        The region cannot be read.
    """
    inputs = read_inputs(folder)
    region, parcels = inputs.region, inputs.parcels
    chosen = replace(options or NetworkOptions(), offline=not ask)
    with closing(open_network(region, parcels, workspace, chosen)) as network:
        remote = remote_of(region, parcels, network)
        plan = Plan(
            region.place.id, len(parcels), float(parcels["metrics:area"].sum() / 1e4), len(remote.cells.members), start, end,
            (*remote.bands, "scl"),
        )  # fmt: skip
        for spec in region.imagery:
            plan.lines += _imagery(spec, region, parcels, remote, plan)
        plan.lines += _weather(region, start, end, network)
        plan.lines += [_soil(spec, parcels) for spec in region.soil]
    plan.cheapest = _cheapest([line for line in plan.lines if line.data == "imagery"])
    return plan


def expected_scenes(start: date, end: date) -> tuple[int, int]:
    """Fewest and most acquisitions of a period, by the revisit of the satellites."""
    looks = math.ceil(((end - start).days + 1) / REVISIT_D)
    return looks * ORBITS[0], looks * ORBITS[1]


def _imagery(
    spec: ImagerySpec, region: Region, parcels: gpd.GeoDataFrame, remote: Remote, plan: Plan
) -> list[PlanLine]:
    if not spec.over_network:
        return [PlanLine("imagery", spec.label, "on this machine", None, "", Estimate())]
    known = provider(_provider_of(spec))
    notes = [known.licence, *(f"{key} is not set" for key in known.missing_keys)]
    scenes, told = _scenes(spec, region, remote, plan, notes)
    name = _provider_of(spec)
    if not name.startswith("sentinelhub"):
        whole = plan_whole_tiles(scenes, plan.bands)
        line = _line(
            known,
            name,
            "blocks under the cells",
            scenes,
            told,
            plan_parts(remote.cells, scenes, plan.bands),
            plan,
            notes,
        )
        return [replace(line, notes=(*line.notes, f"whole tiles would be {whole.mb:,.0f} MB"))]
    search = plan_search(scenes)
    cells = search + plan_process(plan.cells, scenes, plan.bands)
    boxes = _boxes_m2(parcels, remote.cells.crs)
    each = search + plan_statistical(len(parcels), boxes, scenes, plan.bands)
    outline = "sends exact outlines" + (
        "" if region.outbound.outlines else ": refused unless outbound.outlines is true"
    )
    return [
        _line(known, name, "a cell a day (Process API)", scenes, told, cells, plan, notes),
        _line(known, name, "a request a parcel (Statistical API)", scenes, told, each, plan, [*notes, outline]),
    ]


def _provider_of(spec: ImagerySpec) -> str:
    if spec.kind == "sentinelhub":
        return "sentinelhub" if spec.options.get("deployment") == "commercial" else "sentinelhub-cdse"
    return spec.kind


def _scenes(spec: ImagerySpec, region: Region, remote: Remote, plan: Plan, notes: list[str]) -> tuple[int, str]:
    low, high = expected_scenes(plan.start, plan.end)
    try:
        source: ImagerySource = open_imagery(spec, region.folder, remote)
        found = source.search(plan.start, plan.end).scenes
    except NoDataError:
        notes.append(f"{low} to {high} scenes expected")
        return high, "expected"
    except AgroError as error:
        if misspelt(error):
            raise
        notes.append(f"not asked: {error.what}")
        return high, "expected"
    days = len({scene.date for scene in found})
    if days < low:
        notes.append(f"only {days} days found where at least {low} are expected: the archive may lack scenes")
    return len(found), "catalogue"


def _line(
    known: Provider, name: str, way: str, scenes: int, told: str, estimate: Estimate, plan: Plan, notes: Sequence[str]
) -> PlanLine:
    months = max(1.0, ((plan.end - plan.start).days + 1) / 30.4)
    shares = [
        amount / limit / months
        for amount, limit in (
            (estimate.requests, known.limits.requests_month), (estimate.pu, known.limits.pu_month),
        )
        if limit
    ]  # fmt: skip
    return PlanLine(known.data, name, way, scenes, told, estimate, max(shares) if shares else None, tuple(notes))


def _boxes_m2(parcels: gpd.GeoDataFrame, crs: str) -> list[float]:
    bounds = parcels.to_crs(crs).bounds
    return [float(a) for a in (bounds["maxx"] - bounds["minx"]) * (bounds["maxy"] - bounds["miny"])]


def _cheapest(lines: Sequence[PlanLine]) -> str:
    """Least processing units, then least share of the limits, then least bytes; refused ways do not count."""
    open_lines = [line for line in lines if not any("refused" in n or "is not set" in n for n in line.notes)]
    if not open_lines:
        return ""
    best = min(open_lines, key=lambda line: (line.estimate.pu, line.month_frac or 0.0, line.estimate.mb))
    return f"{best.provider}: {best.way}"


def _weather(region: Region, start: date, end: date, network: Network) -> list[PlanLine]:
    """A line a link; what the cache has is left out."""
    costs = {
        cost.kind: cost
        for cost in weather_cost(region.weather, start, end, region.advice.outlook_d, region.place, network)
    }
    lines = []
    for kind in (spec.kind for spec in region.weather):
        if kind not in costs:
            lines.append(PlanLine("weather", kind, "on this machine", None, "", Estimate()))
            continue
        known, cost = provider(kind), costs[kind]
        notes = [known.licence, *(f"{key} is not set" for key in known.missing_keys)]
        if known.limits.requests_day:
            notes.append(f"counts as {cost.calls:,.0f} of {known.limits.requests_day:,} calls a day")
        lines.append(PlanLine("weather", kind, "one rounded point", None, "", cost.estimate, None, tuple(notes)))
    return lines


def _soil(spec: SoilSpec, parcels: gpd.GeoDataFrame) -> PlanLine:
    if not spec.over_network:
        return PlanLine("soil", spec.kind, "on this machine", None, "", Estimate())
    notes = ("the first time, about; nothing after", provider(spec.kind).licence)
    return PlanLine("soil", spec.kind, "tiles that hold the region", None, "", plan_soil(spec, parcels), None, notes)
