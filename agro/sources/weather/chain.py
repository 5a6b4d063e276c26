"""The chain of weather links: the best first, gaps filled from the next, each row naming its source."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import FINAL, AgroError, ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.schema.tables import empty, validate
from agro.sources.net import Network
from agro.sources.weather import era5land, files, openmeteo, power
from agro.sources.weather.link import Served, label, rejection
from agro.sources.weather.outlook import outlook
from agro.sources.weather.tables import REQUIRED, VALUES, climatology

Observed = Callable[[WeatherSpec, Place, date, date, Network, list[dict[str, str]]], Served]
#: Providers of past days, and the check of their options.
REMOTE: Mapping[str, tuple[Observed, Callable[[WeatherSpec], dict[str, Any]]]] = {
    "openmeteo": (openmeteo.observed, openmeteo.options),
    "power": (power.observed, power.options),
    "era5land": (era5land.observed, era5land.options),
}


@dataclass(frozen=True)
class WeatherResult:
    """Table ``weather`` (``et0_mm`` still NaN) and table ``rejected``."""

    weather: pd.DataFrame
    rejected: pd.DataFrame


def load_weather(
    specs: Sequence[WeatherSpec], folder: Path, start: date, as_of: date, outlook_d: int, place: Place,
    network: Network | None = None, mixing: bool = True,
) -> WeatherResult:  # fmt: skip
    """Weather from `start` to the end of the outlook, as known on `as_of`.

    Observed days take the first link that has temperatures and rain for the day (the issue day's own
    observation is known; nothing later is read); a provider is asked only for the span of days that the links before it
    lack. The days after come from the newest forecast issued on or before `as_of` that has the next day; days that it
    does not reach, and all of them where there is no forecast, come from climatology as one expected course.

    Each row says its link in ``source`` and, where that is not the first one, why not in ``source_reason``. A link that
    fails is a row of ``rejected`` and the next one serves.

    Parameters
    ----------
    specs : sequence of WeatherSpec
        The chain, best first. Option ``wind_height_m`` of a station: height of ``wind_m_s``, default 2 m. Options of the
        providers: see their modules.
    folder : Path
        Relative paths start here.
    start, as_of : datetime.date
        Period observed.
    outlook_d : int
        Days ahead.
    place : Place
        Site of the rows.
    network : Network, optional
        The way out for the providers of the chain; without it they fail as offline.
    mixing : bool
        False: the first link that covers the whole past serves it alone, and one link serves the days ahead.

    Raises
    ------
    NoDataError
        Days that no link covers; they are named.
    ConfigError
        A file that is absent or not a table, an unknown option, or `start` after `as_of`.
    BudgetError, PrivacyError
        A request would pass a limit of the person, or show what must not leave.
    """
    if start > as_of:
        raise ConfigError(
            f"the period begins on {start}, after {as_of}", where="weather", do="Correct season_start or the date"
        )
    check_options(specs)
    rejected: list[dict[str, str]] = []
    days = pd.date_range(start, as_of, freq="D")
    ahead = pd.date_range(as_of + timedelta(days=1), periods=outlook_d, freq="D")
    observed = _past(specs, folder, days, place, network, mixing, rejected)
    past = observed.reset_index(names="date").assign(member=-1, is_forecast=False)
    past["issued_at"] = past["date"]
    coming = outlook(specs, folder, as_of, ahead, place, network, mixing, rejected) if outlook_d else []
    table = pd.concat([past, *coming], ignore_index=True)
    table["site_id"], table["et0_mm"], table["estimated"] = place.id, np.nan, None
    found = validate(table, "weather", "weather chain")
    return WeatherResult(found, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def check_options(specs: Sequence[WeatherSpec]) -> None:
    """Look at the options of the chain's providers; nothing leaves.

    Raises
    ------
    ConfigError
        An unknown or wrong option.
    """
    for spec in specs:
        if spec.kind in REMOTE:
            REMOTE[spec.kind][1](spec)


def _past(
    specs: Sequence[WeatherSpec], folder: Path, days: pd.DatetimeIndex, place: Place, network: Network | None, mixing: bool,
    rejected: list[dict[str, str]],
) -> pd.DataFrame:  # fmt: skip
    links = [spec for spec in specs if spec.kind != "forecast"]
    observed = pd.DataFrame(index=days, columns=[*VALUES, "source", "source_reason"], dtype=object)
    failures: dict[int, str] = {}
    for number, spec in enumerate(links):
        lacking = days[observed["source"].isna()]
        if spec.kind in REMOTE and not len(lacking):
            continue
        try:
            served = _served(spec, folder, days, lacking, place, network, rejected)
        except (ConfigError, *FINAL):
            raise
        except AgroError as error:
            failures[number] = error.what
            rejected.append(rejection(label(spec), error.what))
            continue
        if served.failure:
            failures[number] = served.failure
            rejected.append(
                rejection(label(spec), served.failure, "What it had is used, else the next link of the chain")
            )
        link = served.table.set_index("date").reindex(days)
        has = link[list(REQUIRED)].notna().all(axis=1)
        if not mixing and not has.all():
            failures[number] = f"lacks {int((~has).sum())} of {len(days)} days" + (
                f" ({served.failure})" if served.failure else ""
            )
            rejected.append(rejection(label(spec), failures[number], "The next link serves alone: mixing is off"))
            continue
        taken = has & observed["source"].isna()
        reason = f"{links[0].kind}: {failures.get(0, 'no value')}" if number else None
        observed.loc[taken, list(VALUES)] = link.loc[taken, list(VALUES)].to_numpy()
        observed.loc[taken, "source"] = spec.kind
        observed.loc[taken, "source_reason"] = [
            "; ".join(part for part in (reason, note) if isinstance(part, str)) or None
            for note in link.loc[taken, "note"]
        ]
        if not mixing:
            break
    uncovered = observed.index[observed["source"].isna()]
    if len(uncovered):
        why = "; ".join(f"{label(links[number])}: {reason}" for number, reason in failures.items())
        raise NoDataError(
            f"no weather for {len(uncovered)} of {len(days)} days, first {uncovered[0]:%Y-%m-%d}, "
            f"last {uncovered[-1]:%Y-%m-%d}" + (f" ({why})" if why else ""),
            where="weather", do="Complete the station's record, or end the chain with a climatology",
        )  # fmt: skip
    return observed


def _served(
    spec: WeatherSpec, folder: Path, days: pd.DatetimeIndex, lacking: pd.DatetimeIndex, place: Place,
    network: Network | None, rejected: list[dict[str, str]],
) -> Served:  # fmt: skip
    path = (folder / (spec.path or "")).resolve()
    if spec.kind == "station":
        return Served(files.station(path, spec, days[-1].date(), place, rejected).assign(note=None))
    if spec.kind == "climatology":
        return Served(climatology(path, days).assign(note=None))
    if spec.kind not in REMOTE:
        raise ConfigError(f"no weather of kind {spec.kind}", where="weather", do=f"Known: {', '.join(REMOTE)}")
    if network is None:
        raise NoDataError("offline: this run has no network", where=spec.kind)
    return REMOTE[spec.kind][0](spec, place, lacking[0].date(), lacking[-1].date(), network, rejected)
