"""Whether a weather provider answers: a small request of each kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd

from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Call, Network
from agro.sources.weather import era5land, openmeteo, power
from agro.sources.weather.link import today

#: A day that every provider has had for long.
_DAYS_AGO = 60


def probe_weather(spec: WeatherSpec, place: Place, network: Network) -> list[str]:
    """Ask a provider of the chain for little; the cache is neither read nor written.

    Returns
    -------
    list of str
        What answered; empty for a link on this machine.

    Raises
    ------
    SourceError
        It does not answer, or not as it should.
    ConfigError
        A wrong option, or a package or a key is absent.
    NoDataError
        Offline, or the answer holds no value.
    """
    now = today(network, place)
    day = now - timedelta(days=_DAYS_AGO)
    if spec.kind == "openmeteo":
        told = openmeteo.options(spec)
        ahead = pd.date_range(now + timedelta(days=1), periods=1, freq="D")
        calls = {
            "archive": openmeteo.gap_call(told | {"url": told["archive_url"]}, place, day, day),
            "forecast": openmeteo.forecast_calls(told | {"members": 0}, place, now, ahead, now)[0],
        }
        if told["members"]:
            calls["ensemble"] = openmeteo.forecast_calls(told, place, now, ahead, now)[0]
        for name, call in calls.items():
            _with_values(openmeteo.daily_table(_asked(call, openmeteo.PROVIDER, network)), f"{spec.kind} {name}")
        return list(calls)
    if spec.kind == "power":
        call = power.calls(power.options(spec), place, day, day, now)[0]
        _with_values(power.daily_table(_asked(call, power.PROVIDER, network)), spec.kind)
        return ["daily values"]
    if spec.kind == "era5land":
        _store(era5land.options(spec), network)
        return ["store"]
    return []


def _asked(call: Call, provider: str, network: Network) -> Any:
    return network.client(provider).fetch(replace(call, ttl_s=0)).json()


def _with_values(table: pd.DataFrame, what: str) -> None:
    if table["tmax_c"].isna().all():
        raise NoDataError("the answer holds no value", where=what, do="Look at the provider's notices")


def _store(told: Mapping[str, Any], network: Network) -> None:
    """The store knows the data set and takes the key; no job is made."""
    try:
        from cdsapi.api import get_url_key_verify  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "the package cdsapi is not installed", where=f"weather {era5land.PROVIDER}", do="pip install 'agro[era5]'"
        ) from error
    try:
        key = get_url_key_verify(told["url"], None, True)[1]
    except Exception as error:  # the package raises a bare one
        raise ConfigError(
            "there is no key of the Climate Data Store", where=f"weather {era5land.PROVIDER}",
            do="Set CDSAPI_KEY, or write ~/.cdsapirc as the store's site says",
        ) from error  # fmt: skip
    _asked(
        Call(
            f"{told['url']}/retrieve/v1/processes/{era5land.DATASET}", piece="whether it answers",
            signer=lambda url, _renew: (url, {"PRIVATE-TOKEN": key}),
        ),
        era5land.PROVIDER, network,
    )  # fmt: skip
