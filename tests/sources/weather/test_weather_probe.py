"""A provider is asked for little, and says truly whether it works."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from protocol_server import ProtocolServer, Reply
from weather_server import WeatherServer

from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Cache, Network, RetryPolicy
from agro.sources.weather.probe import probe_weather

NOW = datetime(2026, 3, 18, 9, tzinfo=UTC)
PLACE = Place(id="here", name={"en": "x"}, latitude=31.68, longitude=-7.65, elevation_m=468.3)
QUICK = RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=2.0, stall_s=1.0)


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    made = WeatherServer(date(2026, 3, 18))
    yield made
    made.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = Network(Cache(tmp_path / "cache"), policy=QUICK, clock=lambda: NOW)
    yield made
    made.close()


def test_each_address_of_open_meteo_is_tried(server: WeatherServer, network: Network) -> None:
    spec = WeatherSpec(kind="openmeteo", options=server.openmeteo)
    for _ in range(2):  # the cache plays no part
        assert probe_weather(spec, PLACE, network) == ["archive", "forecast", "ensemble"]
    assert [request.path for request in server.received] == ["/archive", "/forecast", "/ensemble"] * 2
    server.fault("/ensemble", times=9, reply=Reply("", 503))
    with pytest.raises(SourceError, match="503"):
        probe_weather(spec, PLACE, network)


def test_power_without_a_value_does_not_work(server: WeatherServer, network: Network) -> None:
    spec = WeatherSpec(kind="power", options={"url": f"{server.url}/power"})
    assert probe_weather(spec, PLACE, network) == ["daily values"]
    server.now = date(2025, 3, 18)
    with pytest.raises(NoDataError, match="no value"):
        probe_weather(spec, PLACE, network)


def test_the_store_is_asked_with_the_key_and_makes_nothing(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ProtocolServer()
    store.route(
        "/api/retrieve/v1/processes/reanalysis-era5-land",
        lambda r: Reply({"id": "x"}, 200 if r.headers.get("private-token") == "the-key" else 401),
    )
    spec = WeatherSpec(kind="era5land", options={"url": f"{store.url}/api"})
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "none"))
    monkeypatch.delenv("CDSAPI_KEY", raising=False)
    with pytest.raises(ConfigError, match="no key"):
        probe_weather(spec, PLACE, network)
    monkeypatch.setenv("CDSAPI_KEY", "wrong")
    with pytest.raises(SourceError, match="refuses"):
        probe_weather(spec, PLACE, network)
    monkeypatch.setenv("CDSAPI_KEY", "the-key")
    assert probe_weather(spec, PLACE, network) == ["store"]
    assert {request.method for request in store.received} == {"GET"}
    store.close()


def test_a_file_is_not_asked(network: Network) -> None:
    assert probe_weather(WeatherSpec(kind="station", path="station.csv"), PLACE, network) == []
