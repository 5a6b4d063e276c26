"""Open-Meteo: reanalysis of the past, the newest days from the forecast model, forecast and ensemble ahead.

Interfaces: https://open-meteo.com/en/docs, .../historical-weather-api, .../ensemble-api and .../single-runs-api.
Data CC BY 4.0; the free addresses are for non-commercial use.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Answer, Call, Client, Estimate, Network
from agro.sources.providers import provider
from agro.sources.weather.fetching import gather
from agro.sources.weather.link import (
    FORECAST_TTL_S,
    RECENT_TTL_S,
    Served,
    label,
    options_of,
    pieces,
    point,
    rejection,
    today,
    zone,
)
from agro.sources.weather.tables import REQUIRED, daily_values

PROVIDER = "openmeteo"
#: Their name, ours (see the aliases of the tables), the unit that must come with it.
DAILY = (
    ("temperature_2m_max", "tmax_c", "°C"), ("temperature_2m_min", "tmin_c", "°C"), ("precipitation_sum", "rain_mm", "mm"),
    ("shortwave_radiation_sum", "rs_mj_m2", "MJ/m²"), ("wind_speed_10m_mean", "wind_m_s", "m/s"),
    ("dew_point_2m_mean", "tdew_c", "°C"), ("relative_humidity_2m_mean", "rh_mean_pct", "%"),
)  # fmt: skip
#: Height of the wind, m.
WIND_HEIGHT_M = 10.0
#: The archive ends so many days ago (two with the newest model, five with ERA5).
ARCHIVE_LAG_D = 5
#: The forecast address reaches so far back, days.
MAX_PAST_D = 92
#: ... and so far ahead, the present day included.
MAX_FORECAST_D = 16
#: Members of the default ensemble, all of which are sent: the control and fifty perturbed ones.
ENSEMBLE_SIZE = 51
DEFAULTS: Mapping[str, Any] = {
    "url": provider(PROVIDER).url + "/forecast",
    "archive_url": "https://archive-api.open-meteo.com/v1/archive",
    "ensemble_url": "https://ensemble-api.open-meteo.com/v1/ensemble",
    "runs_url": "https://single-runs-api.open-meteo.com/v1/forecast",
    "ensemble_model": "ecmwf_ifs025",
    "run_model": "ecmwf_ifs",
    "members": 10,
}


def options(spec: WeatherSpec) -> dict[str, Any]:
    """Options of the link.

    ``members``: perturbed members of the ensemble to use, 0 for the single forecast; they are exchangeable, so the first
    ones are a fair sample. The others are addresses and models.

    Raises
    ------
    ConfigError
        An unknown or wrong option.
    """
    found = options_of(spec, DEFAULTS)
    members = found["members"]
    if isinstance(members, bool) or not isinstance(members, int) or not 0 <= members <= 50:
        raise ConfigError(f"members {members!r}", where=f"weather {label(spec)}", do="Give a whole number, 0 to 50")
    for key in ("ensemble_model", "run_model"):
        if not isinstance(found[key], str) or not re.fullmatch(r"[a-z0-9_]+", found[key]):
            raise ConfigError(f"{key} {found[key]!r}", where=f"weather {label(spec)}", do=f"E.g. {DEFAULTS[key]}")
    return found


def call_weight(variables: int, days: int, models: int = 1, places: int = 1) -> float:
    """Calls that one request counts as, against the 10,000 a day of the free addresses.

    max(1, v, v days / 14) places, with v = variables models / 10; each member of an ensemble counts as a model. As the
    provider's documentation pages reckon it (open-meteo-website, "Adjusted call weight").

    Parameters
    ----------
    variables, days, models, places : int
    """
    share = variables * models / 10
    return max(1.0, share, share * days / 14) * places


def archive_calls(told: Mapping[str, Any], place: Place, first: date, last: date, now: date) -> list[Call]:
    """Requests for past days, a month each; `told` are the link's options."""
    return [
        _call(told["archive_url"], place, piece.first, piece.last, piece.ttl_s, f"archive {piece.first} to {piece.last}")
        for piece in pieces(first, last, now)
    ]  # fmt: skip


def gap_call(told: Mapping[str, Any], place: Place, first: date, last: date) -> Call:
    """Request for past days that the archive lacks."""
    return _call(told["url"], place, first, last, RECENT_TTL_S, f"days {first} to {last}")


def forecast_calls(
    told: Mapping[str, Any], place: Place, as_of: date, ahead: pd.DatetimeIndex, now: date
) -> list[Call]:
    """Requests for the days ahead of `as_of`, the better first; none where no forecast reaches."""
    start, end = ahead[0].date(), min(ahead[-1].date(), min(as_of, now) + timedelta(days=MAX_FORECAST_D - 1))
    if start > end:
        return []
    calls = [_call(told["url"], place, start, end, FORECAST_TTL_S, f"forecast {start} to {end}")]
    if told["members"]:
        more = {"models": told["ensemble_model"]}
        calls.insert(
            0, _call(told["ensemble_url"], place, start, end, FORECAST_TTL_S, f"ensemble {start} to {end}", more)
        )
    return calls


def run_call(told: Mapping[str, Any], place: Place, as_of: date, days: int) -> Call:
    """Request for the run of 00 UTC of a past day; it was out the same morning."""
    params = _params(place) | {
        "run": f"{as_of}T00:00", "models": told["run_model"], "forecast_days": min(days + 2, MAX_FORECAST_D)
    }  # fmt: skip
    return Call(
        told["runs_url"], params=params, ttl_s=None, estimate=_estimate(days + 2), piece=f"run of {as_of}",
        constants=frozenset({place.timezone}),
    )  # fmt: skip


def observed(
    spec: WeatherSpec, place: Place, first: date, last: date, network: Network, rejected: list[dict[str, str]]
) -> Served:
    """Past days: the archive, and days that it lacks from the forecast model's own past days, said in ``note``.

    Raises
    ------
    ConfigError
        An unknown or wrong option.
    NoDataError
        The period is not past yet.
    """
    told, now, client = options(spec), today(network, place), network.client(PROVIDER)
    if first > now:
        raise NoDataError(f"{first} is not past yet", where=PROVIDER)
    tables, failure = gather(client, archive_calls(told, place, first, last, now), daily_table)
    days = pd.date_range(first, min(last, now), freq="D")
    table = _joined(tables).reindex(days)
    lacking = days[table[list(REQUIRED)].isna().any(axis=1).to_numpy()]
    lacking = lacking[lacking >= pd.Timestamp(now) - pd.Timedelta(days=MAX_PAST_D)]
    notes: dict[pd.Timestamp, str] = {}
    if len(lacking):
        gaps = [gap_call(told, place, gap[0].date(), gap[-1].date()) for gap in _runs(lacking)]
        why = f"the archive failed ({failure})" if failure else "not in the archive yet"
        newest, gap_failure = gather(client, gaps, daily_table)
        failure = failure or gap_failure
        table.loc[lacking] = _joined(newest).reindex(lacking)
        notes = dict.fromkeys(lacking, f"{PROVIDER}: {why}, from the forecast model")
        if pd.Timestamp(now) in notes:
            notes[pd.Timestamp(now)] += ", the day was not over"
    values = daily_values(
        table.reset_index(names="date"), PROVIDER, WIND_HEIGHT_M, place.latitude, place.elevation_m, rejected
    )
    return Served(values.assign(note=values["date"].map(notes).astype(object).to_numpy()), failure)


def forecast(
    spec: WeatherSpec,
    place: Place,
    as_of: date,
    ahead: pd.DatetimeIndex,
    network: Network,
    rejected: list[dict[str, str]],
) -> pd.DataFrame:
    """Rows of the forecast as it stood on `as_of`, in members.

    For a present (or future) `as_of` the ensemble, else the single forecast, is asked for and stamped with the present day.
    For a past one only what was kept that day, or the run of that day from the provider's archive of runs, is used:
    what was forecast later was not known.

    Returns
    -------
    pandas.DataFrame
        ``date``, the values, ``member``, ``issued_at``.

    Raises
    ------
    NoDataError
        There is no forecast of that day, or the provider does not answer as it should.
    """
    told, now, client = options(spec), today(network, place), network.client(PROVIDER)
    tries = forecast_calls(told, place, as_of, ahead, now)
    if as_of < now:
        for call in tries:
            kept = client.kept(call)
            if kept and _issued(kept, place, network) <= as_of:
                return _forecast_rows(kept, _issued(kept, place, network), told["members"], place, rejected)
        return _run_of(as_of, len(ahead), told, place, client, rejected)
    failures: list[str] = []
    for call in tries:
        answer: Answer | None
        try:
            answer = client.fetch(call)
        except (SourceError, NoDataError) as error:
            failures.append(f"{call.piece}: {error.what}")
            # One of some hours ago, for the same days, is better than none; its rows say when it was issued.
            answer = client.kept(call)
        if answer is None:
            continue
        try:
            rows = _forecast_rows(answer, _issued(answer, place, network), told["members"], place, rejected)
        except SourceError as error:
            failures.append(f"{call.piece}: {error.what}")
            client.forget(call)
            continue
        rejected.extend(
            rejection(f"{PROVIDER} (days ahead)", failure, "What was kept, or the single forecast, is used")
            for failure in failures
        )
        return rows
    raise NoDataError("; ".join(failures) or f"no forecast reaches beyond {as_of}", where=PROVIDER)


def _run_of(
    as_of: date, days: int, told: Mapping[str, Any], place: Place, client: Client, rejected: list[dict[str, str]]
) -> pd.DataFrame:
    call = run_call(told, place, as_of, days)
    try:
        return _forecast_rows(client.fetch(call), as_of, 0, place, rejected)
    except (SourceError, NoDataError) as error:
        client.forget(call)
        raise NoDataError(
            f"no forecast of {as_of} was kept, and the archive of runs has none ({error.what})", where=PROVIDER,
            do="Climatology is used for the outlook",
        ) from error  # fmt: skip


def _params(place: Place) -> dict[str, str | int | float]:
    latitude, longitude = point(place)
    return {
        "latitude": latitude, "longitude": longitude,
        # The rounded point may lie on a hill: temperatures are brought to the region's height, which is rounded, too.
        "elevation": round(place.elevation_m / 50) * 50,
        "daily": ",".join(name for name, _, _ in DAILY), "timezone": zone(place).key, "wind_speed_unit": "ms",
    }  # fmt: skip


def _call(
    url: str, place: Place, first: date, last: date, ttl_s: float | None, piece: str, more: Mapping[str, str] | None = None
) -> Call:  # fmt: skip
    return Call(
        url, params=_params(place) | {"start_date": str(first), "end_date": str(last)} | dict(more or {}), ttl_s=ttl_s,
        estimate=_estimate((last - first).days + 1, ENSEMBLE_SIZE if more else 1), piece=piece, constants=frozenset({place.timezone}),
    )  # fmt: skip


def _estimate(days: int, members: int = 1) -> Estimate:
    # A series is named twice, has a unit, and about six characters a day.
    return Estimate(requests=1, mb=(600 + members * len(DAILY) * (80 + 6 * days)) / 1e6)


def _issued(answer: Answer, place: Place, network: Network) -> date:
    """Local day on which an answer was given."""
    moment: datetime = network.clock() - timedelta(seconds=answer.age_s)
    return moment.astimezone(zone(place)).date()


def _forecast_rows(
    answer: Answer, issued: date, members: int, place: Place, rejected: list[dict[str, str]]
) -> pd.DataFrame:
    tables = _table(answer.json())
    perturbed = [tables[number] for number in sorted(tables) if number > 0][:members]
    chosen = perturbed or [tables[min(tables)]]
    rows = pd.concat(
        [table.reset_index(names="date").assign(member=k) for k, table in enumerate(chosen)], ignore_index=True
    )
    values = daily_values(rows, PROVIDER, WIND_HEIGHT_M, place.latitude, place.elevation_m, rejected)
    return values.assign(issued_at=pd.Timestamp(issued))


def _runs(days: pd.DatetimeIndex) -> list[pd.DatetimeIndex]:
    """Days in stretches without a gap."""
    breaks = np.flatnonzero(np.diff(days.to_numpy()) > np.timedelta64(1, "D")) + 1
    return [days[part] for part in np.split(np.arange(len(days)), breaks)]


def _joined(tables: list[pd.DataFrame]) -> pd.DataFrame:
    names = [ours for _, ours, _ in DAILY]
    if not tables:
        return pd.DataFrame(columns=names, index=pd.DatetimeIndex([]), dtype=float)
    whole = pd.concat(tables)[names]
    return whole[~whole.index.duplicated()]


def daily_table(document: Any) -> pd.DataFrame:
    """Daily values of an answer, in the aliases of the tables, by day; of an ensemble, those of the control run.

    Raises
    ------
    SourceError
        The document is an error or is not built as documented.
    """
    tables = _table(document)
    return tables[min(tables)]


def _table(document: Any) -> dict[int, pd.DataFrame]:
    """Member -> daily table; 0 is the single forecast or the control run.

    Raises
    ------
    SourceError
        The document is an error or is not built as documented.
    """
    if isinstance(document, dict) and document.get("error"):
        raise SourceError(f"{PROVIDER} answers: {str(document.get('reason', 'an error'))[:200]}", where=PROVIDER)
    daily = document.get("daily") if isinstance(document, dict) else None
    units = document.get("daily_units") if isinstance(document, dict) else None
    if not isinstance(daily, dict) or not isinstance(units, dict) or not isinstance(daily.get("time"), list):
        raise SourceError(f"the answer of {PROVIDER} has no daily values", where=PROVIDER)
    days = pd.to_datetime(pd.Series(daily["time"], dtype=object), errors="coerce", format="ISO8601")
    if not len(days) or days.isna().any() or days.duplicated().any():
        raise SourceError(f"the days of {PROVIDER}'s answer cannot be read", where=PROVIDER)
    tables: dict[int, dict[str, np.ndarray]] = {}
    for theirs, ours, unit in DAILY:
        for key in daily:
            found = re.fullmatch(rf"{theirs}(?:_member(\d+))?", key)
            if not found:
                continue
            if units.get(key) != unit:
                raise SourceError(f"{PROVIDER} gives {key} in {units.get(key)!r}, not in {unit}", where=PROVIDER)
            series = daily[key]
            if not isinstance(series, list) or len(series) != len(days):
                raise SourceError(f"{PROVIDER} gives {key} for other days than it says", where=PROVIDER)
            numbers = pd.to_numeric(pd.Series(series, dtype=object), errors="coerce").to_numpy(float)
            tables.setdefault(int(found.group(1) or 0), {})[ours] = numbers
    whole = {
        number: pd.DataFrame(columns, index=pd.DatetimeIndex(days)).reindex(columns=[ours for _, ours, _ in DAILY])
        for number, columns in tables.items()
        if set(REQUIRED) <= set(columns)
    }
    if not whole:
        raise SourceError(f"the answer of {PROVIDER} lacks temperature or rain", where=PROVIDER)
    return whole
