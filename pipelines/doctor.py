"""Each provider of a region tried once: what works, how fast, what is missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import numpy as np

from agro.schema.errors import AgroError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery import open_imagery
from agro.sources.net import RetryPolicy
from agro.sources.soil import load_soil, probe_soil
from agro.sources.weather import load_weather
from agro.sources.weather.probe import probe_weather
from pipelines.network import NetworkOptions, open_network, remote_of
from pipelines.observing import parcel_crs, parcel_grid
from pipelines.weekly import Inputs, read_inputs

#: Days of imagery looked for: at least two looks.
LOOK_BACK_D = 15
#: Whether a provider answers shows at once: two attempts.
QUICK = RetryPolicy(attempts=2, first_wait_s=0.5, deadline_s=30.0, stall_s=15.0)


@dataclass(frozen=True)
class Finding:
    """What a provider did.

    Parameters
    ----------
    data, link : str
    works : bool
    seconds : float
    requests : int
        Made for it; 0 with data on this machine or in the cache.
    told : str
        What came, or what is wrong and what to do.
    """

    data: str
    link: str
    works: bool
    seconds: float
    requests: int
    told: str


def examine(folder: Path, as_of: date, workspace: Path, options: NetworkOptions | None = None) -> list[Finding]:
    """Try every link of every chain of a region.

    Parameters
    ----------
    folder : Path
        Region folder.
    as_of : datetime.date
        Data of the days before it are asked for.
    workspace : Path
        Holds the ledger.
    options : NetworkOptions, optional

    Raises
    ------
    AgroError
        The region cannot be read.
    """
    inputs = read_inputs(folder)
    region = inputs.region
    findings = []
    with closing(open_network(region, inputs.parcels, workspace, options)) as network:
        # What is kept says nothing of who answers.
        network.cache = None

        def attempt(data: str, link: str, work: Callable[[], str]) -> None:
            began, before = time.monotonic(), network.budget.spent.requests
            try:
                works, told = True, work()
            except AgroError as error:
                works, told = False, str(error)
            seconds = time.monotonic() - began
            findings.append(Finding(data, link, works, seconds, network.budget.spent.requests - before, told))

        remote = remote_of(region, inputs.parcels, network)

        def imagery(number: int) -> str:
            source = open_imagery(region.imagery[number], region.folder, remote)
            scenes = source.search(as_of - timedelta(days=LOOK_BACK_D), as_of).scenes
            if not scenes:
                raise NoDataError(
                    f"no scene in the {LOOK_BACK_D} days to {as_of}",
                    where=source.name,
                    do="Check the date and the place",
                )
            scene = scenes[-1]
            band = "scl" if "scl" in scene.assets else min(scene.assets)
            values = source.read(scene, band, _small_grid(inputs))
            seen = float(np.mean(values > 0))
            return f"{len(scenes)} scenes, newest {scene.date}; {band} of it read ({seen:.0%} of a parcel's pixels hold data)"

        def weather(number: int) -> str:
            spec = region.weather[number]
            if spec.over_network:
                return "; ".join(probe_weather(spec, region.place, network))
            # A forecast serves only together with a past, so the whole file is read as the chain does.
            others = [climate for climate in region.weather if climate.kind == "climatology" and climate is not spec]
            found = load_weather(
                (spec, *others), region.folder, as_of - timedelta(days=10), as_of, region.advice.outlook_d, region.place
            )
            rows = found.weather[found.weather["source"] == spec.kind]
            if rows.empty:
                raise NoDataError(
                    "; ".join(found.rejected["reason"].unique()[:2]) or f"no row of the days around {as_of}",
                    where=spec.path or spec.kind, do="Check the file",
                )  # fmt: skip
            return f"{rows['date'].nunique()} days, {rows['date'].min():%Y-%m-%d} to {rows['date'].max():%Y-%m-%d}"

        def soil(number: int) -> str:
            if region.soil[number].over_network:
                return probe_soil(region.soil[number], network)
            found = load_soil((region.soil[number],), region.folder, inputs.parcels, inputs.textures)
            served = found.soil["parcel_uid"].nunique()
            if not served:
                reasons = "; ".join(found.rejected["reason"].unique()[:2]) or "no parcel is covered"
                raise SourceError(reasons, where=region.soil[number].kind, do="The next link of the chain is used")
            return f"{served} of {len(inputs.parcels)} parcels"

        for number, spec in enumerate(region.imagery):
            attempt("imagery", spec.label, partial(imagery, number))
        for number, link in enumerate(region.weather):
            attempt("weather", link.kind, partial(weather, number))
        for number, layer in enumerate(region.soil):
            attempt("soil", layer.kind, partial(soil, number))
    return findings


def _small_grid(inputs: Inputs) -> Grid:
    """The grid of one parcel."""
    first = inputs.parcels.iloc[[0]]
    return parcel_grid(first, parcel_crs(inputs.parcels, inputs.region.place.crs))
