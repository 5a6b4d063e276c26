"""What the weather of a run will ask of providers, before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Call, Estimate, Network
from agro.sources.weather import era5land, openmeteo, power
from agro.sources.weather.link import RECENT_TTL_S, SETTLED_AFTER_D, point, today

#: Requests that one ERA5-Land job takes at least: messages, process, submission, two polls, job, results, file.
JOB_REQUESTS = 8


@dataclass(frozen=True)
class WeatherCost:
    """What a link asks for, beyond what the cache has.

    Parameters
    ----------
    kind : str
        The link.
    estimate : Estimate
        Requests and megabytes.
    calls : float
        What the provider counts them as, against its own daily limit (Open-Meteo's weight; else the requests).
    """

    kind: str
    estimate: Estimate
    calls: float


def weather_cost(
    specs: Sequence[WeatherSpec], start: date, as_of: date, outlook_d: int, place: Place, network: Network
) -> list[WeatherCost]:
    """Cost of each provider of the chain if it has to serve the whole past: no more is asked, less where the links before it serve.

    Nothing leaves; answers that the cache has, and that are fresh, are left out.

    Parameters
    ----------
    specs, start, as_of, outlook_d, place, network
        As for :func:`agro.sources.weather.load_weather`.

    Raises
    ------
    ConfigError
        A wrong option.
    """
    now = today(network, place)
    ahead = pd.date_range(as_of + timedelta(days=1), periods=outlook_d, freq="D")
    found = []
    for spec in specs:
        if spec.kind == "openmeteo":
            found.append(_openmeteo(spec, start, as_of, ahead, now, place, network))
        elif spec.kind == "power":
            asked = _absent(power.PROVIDER, power.calls(power.options(spec), place, start, as_of, now), network)
            found.append(WeatherCost(spec.kind, _sum(asked), float(len(asked))))
        elif spec.kind == "era5land":
            found.append(_era5land(spec, start, as_of, now, place, network))
    return found


def _openmeteo(
    spec: WeatherSpec, start: date, as_of: date, ahead: pd.DatetimeIndex, now: date, place: Place, network: Network
) -> WeatherCost:
    told = openmeteo.options(spec)
    past = openmeteo.archive_calls(told, place, start, as_of, now)
    newest = now - timedelta(days=openmeteo.ARCHIVE_LAG_D - 1)
    if min(as_of, now) >= newest:
        past.append(openmeteo.gap_call(told, place, max(start, newest), min(as_of, now)))
    if not len(ahead):
        coming = []
    elif as_of >= now:
        coming = openmeteo.forecast_calls(told, place, as_of, ahead, now)[:1]
    else:
        coming = [openmeteo.run_call(told, place, as_of, len(ahead))]
    asked = _absent(openmeteo.PROVIDER, [*past, *coming], network)
    weight = 0.0
    for call in asked:
        params = dict(call.params or {})
        days = (
            int(params["forecast_days"])
            if "forecast_days" in params
            else (date.fromisoformat(str(params["end_date"])) - date.fromisoformat(str(params["start_date"]))).days + 1
        )
        models = openmeteo.ENSEMBLE_SIZE if call.url == told["ensemble_url"] else 1
        weight += openmeteo.call_weight(len(openmeteo.DAILY), days, models)
    return WeatherCost(spec.kind, _sum(asked), weight)


def _era5land(
    spec: WeatherSpec, start: date, as_of: date, now: date, place: Place, network: Network
) -> WeatherCost:  # fmt: skip
    told = era5land.options(spec)
    total = Estimate()
    for days in era5land.months(start, as_of, place, now - timedelta(days=era5land.LAG_D)):
        key = era5land.cache_key(told, era5land.request_of(days, *point(place)))
        settled = days[-1] <= now - timedelta(days=SETTLED_AFTER_D)
        if network.cache and network.cache.find(key, None if settled else RECENT_TTL_S):
            continue
        total += Estimate(requests=JOB_REQUESTS, mb=era5land.file_mb(len(days)))
    return WeatherCost(spec.kind, total, float(total.requests))


def _absent(provider: str, calls: Sequence[Call], network: Network) -> list[Call]:
    client = network.client(provider)
    absent = []
    for call in calls:
        kept = client.kept(call)
        if kept is None or (call.ttl_s is not None and kept.age_s > call.ttl_s):
            absent.append(call)
    return absent


def _sum(calls: Sequence[Call]) -> Estimate:
    total = Estimate()
    for call in calls:
        total += call.estimate
    return total
