"""Links of the chain on this machine: the station's record and a file of forecasts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.sources.weather.tables import daily_values, read_csv

#: A forecast issued more than this many days before is not used.
MAX_FORECAST_AGE_D = 5


def station(path: Path, spec: WeatherSpec, as_of: date, place: Place, rejected: list[dict[str, str]]) -> pd.DataFrame:
    """Daily values of a station up to `as_of`, checked.

    Raises
    ------
    ConfigError
        No such file, not a table, an unknown option.
    NoDataError
        No row.
    """
    height = wind_height_m(spec)
    table = read_csv(path, ("date",))
    values = daily_values(table, path.name, height, place.latitude, place.elevation_m, rejected)
    return values[values["date"] <= pd.Timestamp(as_of)]


def forecast(path: Path, spec: WeatherSpec, as_of: date, place: Place, rejected: list[dict[str, str]]) -> pd.DataFrame:
    """Rows of the newest forecast of a file that was known on `as_of`.

    Raises
    ------
    ConfigError
        No such file, not a table, a wrong member, an unknown option.
    NoDataError
        None was issued in the days before `as_of`.
    """
    height = wind_height_m(spec)
    table = read_csv(path, ("date", "issued_at", "member"))
    issued = pd.to_datetime(table["issued_at"], errors="coerce", format="ISO8601").dt.normalize()
    if issued.isna().any():
        rejected.append(
            {
                "input": "weather", "item": path.name,
                "reason": f"issued_at of {int(issued.isna().sum())} row(s) is not a date",
                "remedy": "Write dates as YYYY-MM-DD",
            }
        )  # fmt: skip
    members = pd.to_numeric(table["member"], errors="coerce")
    wrong = members.isna() | (members % 1 != 0) | (members < 0)
    if wrong.any():
        raise ConfigError(
            f"member {table['member'][wrong].iloc[0]!r}", where=str(path), do="Number the members 0, 1, 2 ..."
        )
    oldest = pd.Timestamp(as_of) - pd.Timedelta(days=MAX_FORECAST_AGE_D)
    known = (issued <= pd.Timestamp(as_of)) & (issued >= oldest)
    if not known.any():
        raise NoDataError(f"no forecast issued within {MAX_FORECAST_AGE_D} days before {as_of}")
    newest = issued[known].max()
    rows = table[issued == newest].assign(issued_at=newest, member=members[issued == newest].astype(int))
    return daily_values(rows, path.name, height, place.latitude, place.elevation_m, rejected)


def wind_height_m(spec: WeatherSpec) -> float:
    """Height of the anemometer from the options, which hold nothing else.

    Raises
    ------
    ConfigError
        Another option, or a height that is none.
    """
    unknown = set(spec.options) - {"wind_height_m"}
    if unknown:
        raise ConfigError(
            f"unknown option {', '.join(sorted(unknown))}", where=f"weather {spec.path}", do="Known: wind_height_m"
        )
    told = spec.options.get("wind_height_m", 2.0)
    if not isinstance(told, (int, float)) or isinstance(told, bool) or not 0.5 <= told <= 100:
        raise ConfigError(
            f"wind_height_m {told!r}", where=f"weather {spec.path}", do="Give metres above ground, 0.5 to 100"
        )
    return float(told)
