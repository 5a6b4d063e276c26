"""NASA POWER: daily values of the past from satellite and reanalysis, days late.

Interface: https://power.larc.nasa.gov/docs/services/api/temporal/daily/.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import NoDataError, SourceError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Call, Estimate, Network
from agro.sources.providers import provider
from agro.sources.weather.fetching import gather
from agro.sources.weather.link import Served, options_of, pieces, point, today
from agro.sources.weather.tables import REQUIRED, daily_values

PROVIDER = "power"
#: Their name, ours (see the aliases of the tables), the unit that must come with it (community AG).
DAILY = (
    ("T2M_MAX", "tmax_c", "C"), ("T2M_MIN", "tmin_c", "C"), ("PRECTOTCORR", "rain_mm", "mm/day"),
    ("ALLSKY_SFC_SW_DWN", "rs_mj_m2", "MJ/m^2/day"), ("WS2M", "u2_m_s", "m/s"), ("T2MDEW", "tdew_c", "C"),
    ("RH2M", "rh_mean_pct", "%"),
)  # fmt: skip
DEFAULTS: Mapping[str, Any] = {"url": provider(PROVIDER).url + "/point"}


def options(spec: WeatherSpec) -> dict[str, Any]:
    """Options of the link: ``url`` alone.

    Raises
    ------
    ConfigError
        An unknown option, or no address.
    """
    return options_of(spec, DEFAULTS)


def calls(told: Mapping[str, Any], place: Place, first: date, last: date, now: date) -> list[Call]:
    """Requests for past days, a month each; `told` are the link's options."""
    latitude, longitude = point(place)
    asked: dict[str, str | int | float] = {
        "parameters": ",".join(name for name, _, _ in DAILY), "community": "AG", "format": "JSON",
        "time-standard": "LST", "latitude": latitude, "longitude": longitude,
    }  # fmt: skip
    return [
        Call(
            told["url"], params=asked | {"start": f"{piece.first:%Y%m%d}", "end": f"{piece.last:%Y%m%d}"},
            ttl_s=piece.ttl_s, piece=f"days {piece.first} to {piece.last}",
            # About 160 bytes a day for all parameters, and 1.5 kB around them.
            estimate=Estimate(requests=1, mb=(1500 + 160 * ((piece.last - piece.first).days + 1)) / 1e6),
        )
        for piece in pieces(first, last, now)
    ]  # fmt: skip


def observed(
    spec: WeatherSpec, place: Place, first: date, last: date, network: Network, rejected: list[dict[str, str]]
) -> Served:
    """Past days that the provider has; the newest (weather 2 to 3 days, radiation 5 to 7) are missing.

    The day is that of local solar time, half an hour off the clock's in Morocco.

    Raises
    ------
    ConfigError
        An unknown option.
    NoDataError
        Nothing came.
    """
    told, now = options(spec), today(network, place)
    tables, failure = gather(network.client(PROVIDER), calls(told, place, first, last, now), daily_table)
    if not tables:
        raise NoDataError(failure or f"{first} is not past yet", where=PROVIDER)
    whole = pd.concat(tables)
    whole = whole[
        ~whole.index.duplicated() & (whole.index >= pd.Timestamp(first)) & (whole.index <= pd.Timestamp(last))
    ]
    values = daily_values(
        whole.reset_index(names="date"), PROVIDER, 2.0, place.latitude, place.elevation_m, rejected
    )  # fmt: skip
    return Served(values.assign(note=None), failure)


def daily_table(document: Any) -> pd.DataFrame:
    """Daily table, missing values NaN.

    Raises
    ------
    SourceError
        The document is not built as documented, or gives other units.
    """
    try:
        series, units = document["properties"]["parameter"], document["parameters"]
        missing = float(document["header"]["fill_value"])
    except (KeyError, TypeError, ValueError) as error:
        said = document.get("messages") if isinstance(document, dict) else None
        raise SourceError(
            f"the answer of {PROVIDER} has no daily values" + (f" ({said})" if said else ""), where=PROVIDER
        ) from error
    columns: dict[str, pd.Series] = {}
    for theirs, ours, unit in DAILY:
        values = series.get(theirs) if isinstance(series, dict) else None
        if not isinstance(values, dict) or not values:
            if ours in REQUIRED:
                raise SourceError(f"the answer of {PROVIDER} lacks {theirs}", where=PROVIDER)
            continue
        told = units.get(theirs) if isinstance(units, dict) else None
        given = told.get("units") if isinstance(told, dict) else None
        if given != unit:
            raise SourceError(f"{PROVIDER} gives {theirs} in {given!r}, not in {unit}", where=PROVIDER)
        days = pd.to_datetime(pd.Series(list(values), dtype=object), format="%Y%m%d", errors="coerce")
        if days.isna().any():
            raise SourceError(f"the days of {PROVIDER}'s answer cannot be read", where=PROVIDER)
        numbers = pd.to_numeric(pd.Series(list(values.values()), dtype=object), errors="coerce").to_numpy(float)
        columns[ours] = pd.Series(np.where(numbers == missing, np.nan, numbers), index=pd.DatetimeIndex(days))
    return pd.DataFrame(columns).sort_index()
