"""What the links of the chain share: what a link gives, its options, the point and the periods asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from agro.schema.errors import ConfigError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Network, checked_url
from agro.sources.net.guard import STEP_DEG

#: Values newer than this may still be corrected by the provider.
SETTLED_AFTER_D = 7
#: A kept answer about newer days serves so long.
RECENT_TTL_S = 6 * 3600.0
#: A kept forecast serves so long.
FORECAST_TTL_S = 3 * 3600.0


@dataclass(frozen=True)
class Served:
    """What a link has of the past.

    Parameters
    ----------
    table : pandas.DataFrame
        ``date``, the values of the contract, and ``note``: what to know of a row, None if nothing.
    failure : str, optional
        Why it lacks days that it should have; None if nothing failed.
    """

    table: pd.DataFrame
    failure: str | None = None


@dataclass(frozen=True)
class Piece:
    """A period asked for in one request, and how long its answer serves (None: for ever)."""

    first: date
    last: date
    ttl_s: float | None


def label(spec: WeatherSpec) -> str:
    """What a link is called on rows and in messages."""
    return f"{spec.kind} {spec.path}" if spec.path else spec.kind


def options_of(spec: WeatherSpec, known: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a link over its defaults; addresses are checked.

    Raises
    ------
    ConfigError
        An unknown option, or an address that is none.
    """
    where = f"weather {label(spec)}"
    unknown = sorted(set(spec.options) - set(known))
    if unknown:
        raise ConfigError(
            f"unknown option {', '.join(unknown)}", where=where, do=f"Known: {', '.join(known) or 'none'}"
        )
    found = {**known, **spec.options}
    return {
        key: checked_url(value, f"{where}, {key}") if key.endswith("url") else value for key, value in found.items()
    }


def point(place: Place) -> tuple[float, float]:
    """(latitude, longitude) of the region as they may leave: rounded to what the guard lets pass."""
    return (
        round(round(place.latitude / STEP_DEG) * STEP_DEG, 1) + 0.0,
        round(round(place.longitude / STEP_DEG) * STEP_DEG, 1) + 0.0,
    )


def today(network: Network, place: Place) -> date:
    """The present day at the place.

    Raises
    ------
    ConfigError
        The place's time zone is not one.
    """
    return network.clock().astimezone(zone(place)).date()


def zone(place: Place) -> ZoneInfo:
    """Time zone of the place.

    Raises
    ------
    ConfigError
        It is not in the time zone database.
    """
    try:
        return ZoneInfo(place.timezone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(
            f"{place.timezone!r} is no time zone", where="place.timezone", do="Give e.g. Africa/Casablanca"
        ) from error


def pieces(first: date, last: date, now: date) -> list[Piece]:
    """A period in calendar months, the last one up to `last`.

    Whole months, so that the same answer serves next week and other regions of the same grid point; a month's answer is
    kept for ever once its last day is :data:`SETTLED_AFTER_D` days old.

    Parameters
    ----------
    first, last : datetime.date
        Period wanted; what lies after `now` is left out.
    now : datetime.date
        The present day.
    """
    found = []
    start = first.replace(day=1)
    end = min(last, now)
    while start <= end:
        after = (start + timedelta(days=32)).replace(day=1)
        month_end = after - timedelta(days=1)
        settled = month_end <= now - timedelta(days=SETTLED_AFTER_D)
        found.append(Piece(start, month_end if settled else end, None if settled else RECENT_TTL_S))
        start = after
    return found


def rejection(item: str, reason: str, remedy: str = "The next link of the chain is used") -> dict[str, str]:
    """A row of the table ``rejected``."""
    return {"input": "weather", "item": item, "reason": reason, "remedy": remedy}
