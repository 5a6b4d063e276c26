"""ERA5-Land from the Climate Data Store through the package ``cdsapi``, five days late.

Data set: https://cds.climate.copernicus.eu/datasets/reanalysis-era5-land. The package has its own HTTP; guard, budget,
cache and ledger are put round it here.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pandas as pd

from agro.schema.errors import AgroError, ConfigError, NoDataError, SourceError
from agro.schema.provenance import canonical_json
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Cache, Call, Estimate, Network
from agro.sources.net.guard import STEP_DEG
from agro.sources.providers import provider
from agro.sources.weather.link import RECENT_TTL_S, SETTLED_AFTER_D, Served, label, options_of, point, today, zone
from agro.sources.weather.tables import daily_values

PROVIDER = "era5land"
DATASET = "reanalysis-era5-land"
VARIABLES = (
    "2m_temperature", "2m_dewpoint_temperature", "10m_u_component_of_wind", "10m_v_component_of_wind",
    "surface_solar_radiation_downwards", "total_precipitation",
)  # fmt: skip
#: Height of the wind, m.
WIND_HEIGHT_M = 10.0
#: The data set ends so many days ago.
LAG_D = 5
DEFAULTS: Mapping[str, Any] = {"url": provider(PROVIDER).url, "wait_s": 1800}


def options(spec: WeatherSpec) -> dict[str, Any]:
    """Options of the link: ``url``, and ``wait_s``, how long to wait for the store's queue.

    Raises
    ------
    ConfigError
        An unknown or wrong option.
    """
    found = options_of(spec, DEFAULTS)
    wait = found["wait_s"]
    if isinstance(wait, bool) or not isinstance(wait, (int, float)) or not 0 < wait <= 86_400:
        raise ConfigError(f"wait_s {wait!r}", where=f"weather {label(spec)}", do="Give seconds, up to 86400")
    return found


def observed(
    spec: WeatherSpec, place: Place, first: date, last: date, network: Network, rejected: list[dict[str, str]]
) -> Served:
    """Past days that the store has, from hourly fields.

    The key is the package's own matter: ``CDSAPI_KEY`` or ``~/.cdsapirc``.

    Raises
    ------
    ConfigError
        The package is absent, or an unknown option.
    NoDataError
        Nothing came.
    BudgetError, PrivacyError
        The request was not made.
    """
    from agro.sources.weather.era5land_days import daily, hourly_at

    told, now = options(spec), today(network, place)
    latitude, longitude = point(place)
    tables: list[pd.DataFrame] = []
    failure: str | None = None
    for days in months(first, last, place, now - timedelta(days=LAG_D)):
        request = request_of(days, latitude, longitude)
        settled = days[-1] <= now - timedelta(days=SETTLED_AFTER_D)
        key = cache_key(told, request)
        kept = (
            network.cache.find(key, None if settled or network.offline or failure else RECENT_TTL_S)
            if network.cache
            else None
        )
        content = kept.content if kept else None
        if content is None and failure is None:
            try:
                content = _fetched(request, days, told, network)
            except (SourceError, NoDataError) as error:
                failure = error.what
        if content is None:
            continue
        try:
            hours = hourly_at(content, latitude, longitude)
        except SourceError as error:
            failure = error.what
            if network.cache:
                network.cache.drop(key)
            continue
        if network.cache and not kept and len(hours) >= 24 * len(days):
            network.cache.keep(key, content, {})
        tables.append(hours)
    if not tables:
        raise NoDataError(failure or f"nothing of {first} to {last} is out yet", where=PROVIDER)
    days_found = daily(pd.concat(tables).sort_index(), zone(place))
    days_found = days_found[(days_found.index >= pd.Timestamp(first)) & (days_found.index <= pd.Timestamp(last))]
    values = daily_values(
        days_found.reset_index(), PROVIDER, WIND_HEIGHT_M, place.latitude, place.elevation_m, rejected
    )
    return Served(values.assign(note=None), failure)


def request_of(days: list[date], latitude: float, longitude: float) -> dict[str, Any]:
    """What is asked of the store: all hours of days of one month, the point and its neighbours."""
    return {
        "variable": list(VARIABLES), "year": f"{days[0]:%Y}", "month": f"{days[0]:%m}",
        "day": [f"{day:%d}" for day in days], "time": [f"{hour:02d}:00" for hour in range(24)],
        "data_format": "netcdf", "download_format": "unarchived",
        "area": [
            round(latitude + STEP_DEG, 1), round(longitude - STEP_DEG, 1), round(latitude - STEP_DEG, 1),
            round(longitude + STEP_DEG, 1),
        ],
    }  # fmt: skip


def file_mb(days: int) -> float:
    """Size of a file: nine points, six variables, four bytes, and 60 kB of the form's own."""
    return (60_000 + 24 * days * 9 * 6 * 4) / 1e6


def cache_key(told: Mapping[str, Any], request: Mapping[str, Any]) -> str:
    """Under what the file of a request is kept."""
    return Cache.key(f"{PROVIDER}\n{told['url']}\n{canonical_json(request)}")


def months(first: date, last: date, place: Place, newest: date) -> list[list[date]]:
    """UTC days that the local days touch, by month; the first month whole, so that its answer serves again."""
    begin = _utc_day(first, place)
    day = min(begin, first.replace(day=1))
    end = min(_utc_day(last + timedelta(days=1), place), newest)
    found: list[list[date]] = []
    while day <= end:
        if not found or found[-1][0].month != day.month:
            found.append([])
        found[-1].append(day)
        day += timedelta(days=1)
    return found


def _utc_day(day: date, place: Place) -> date:
    """UTC day of a local midnight."""
    return pd.Timestamp(day).tz_localize(zone(place)).tz_convert("UTC").date()


def _fetched(request: Mapping[str, Any], days: list[date], told: Mapping[str, Any], network: Network) -> bytes:
    piece = f"hours of {days[0]} to {days[-1]}"
    if network.offline:
        raise NoDataError(f"offline, and the cache lacks {piece} of {PROVIDER}", where=PROVIDER)
    try:
        import cdsapi  # type: ignore[import-untyped]
        import requests
        from requests.adapters import HTTPAdapter
    except ImportError as error:
        raise ConfigError(
            "the package cdsapi is not installed", where=f"weather {PROVIDER}", do="pip install 'agro[era5]'"
        ) from error

    made = {"requests": 0}

    class _Guarded(HTTPAdapter):
        """Shows the guard each request before it leaves."""

        def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
            body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
            seen = {k: str(v) for k, v in request.headers.items() if k.upper() != "PRIVATE-TOKEN"}
            network.guard.check(str(request.method), str(request.url), seen, body)
            if made["requests"]:
                network.budget.reserve(Estimate(requests=1), f"{PROVIDER} {piece}")
            made["requests"] += 1
            return super().send(request, *args, **kwargs)

    estimate = Estimate(requests=1)
    network.guard.check("POST", told["url"], {}, json.dumps({"inputs": request}).encode())
    network.budget.reserve(estimate, f"{PROVIDER} {piece}")
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Guarded())
    status = "failed"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package warns of messages that it cannot fetch
            address, size = _made(cdsapi, session, request, told, network)
        status = "ok"
    except AgroError:
        raise
    except Exception as error:  # the package raises bare exceptions, too
        said = " ".join(str(error).split())[-200:]
        raise SourceError(
            f"{PROVIDER} does not answer as it should: {said}", where=told["url"], transient=True,
            do="Check the key (CDSAPI_KEY or ~/.cdsapirc), and that the licence of ERA5-Land is accepted on the web site",
        ) from error  # fmt: skip
    finally:
        session.close()
        actual = Estimate(requests=made["requests"])
        network.budget.settle(Estimate(requests=max(1, made["requests"])), actual)
        if network.ledger:
            network.ledger.enter(
                provider=PROVIDER, region=network.region, piece=piece, parcels=(), estimated=estimate, actual=actual,
                pu_reported=False, status=status,
            )  # fmt: skip
    # The file itself comes the usual way.
    download = Call(
        address, expects="bytes", ttl_s=0, piece=piece, estimate=Estimate(requests=1, mb=file_mb(len(days)))
    )
    content = network.client(PROVIDER).fetch(download).content
    if len(content) != size:
        raise SourceError(f"{PROVIDER} announced {size} bytes and sent {len(content)}", where=PROVIDER, transient=True)
    return content


def _made(
    cdsapi: Any, session: Any, request: Mapping[str, Any], told: Mapping[str, Any], network: Network
) -> tuple[str, int]:
    """Submit and wait for the queue within the limit: address and size of the file."""
    policy = network.policy
    client = cdsapi.Client(
        url=told["url"], quiet=True, progress=False, delete=False, retry_max=policy.attempts, timeout=policy.stall_s,
        sleep_max=policy.longest_wait_s, wait_until_complete=False, session=session,
    )  # fmt: skip
    job = client.retrieve(DATASET, dict(request))
    if not hasattr(job, "results_ready"):
        raise SourceError(
            "the key is of the old form (UID:KEY), which the store takes no more", where=told["url"],
            do="Get a new key from the profile page of the Climate Data Store",
        )  # fmt: skip
    deadline, pause = time.monotonic() + told["wait_s"], policy.first_wait_s
    while not job.results_ready:
        if time.monotonic() + pause > deadline:
            raise SourceError(
                f"{PROVIDER} had not made the file after {told['wait_s']:g} s", where=told["url"], transient=True,
                do="Run again later: the store goes on with it",
            )  # fmt: skip
        time.sleep(pause)
        pause = min(pause * 1.5, policy.longest_wait_s)
    results = job.get_results()
    return results.location, results.content_length
