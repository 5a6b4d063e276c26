"""The chain of weather links: the best first, gaps filled from the next, each row naming its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.errors import AgroError, ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.schema.tables import empty, validate
from agro.sources.weather.tables import REQUIRED, VALUES, climatology, daily_values, read_csv

#: A forecast issued more than this many days before is not used.
MAX_FORECAST_AGE_D = 5


@dataclass(frozen=True)
class WeatherResult:
    """Table ``weather`` (``et0_mm`` still NaN) and table ``rejected``."""

    weather: pd.DataFrame
    rejected: pd.DataFrame


def load_weather(
    specs: Sequence[WeatherSpec], folder: Path, start: date, as_of: date, outlook_d: int, place: Place
) -> WeatherResult:
    """Weather from `start` to the end of the outlook, as known on `as_of`.

    Observed days take the first link that has temperatures and rain for the day (the issue day's own
    observation is known; nothing later is read). The days after come from the newest forecast issued on or
    before `as_of` that has the next day; days that it does not reach, and all of them where there is no forecast, come from
    climatology as one expected course.

    Parameters
    ----------
    specs : sequence of WeatherSpec
        The chain, best first. Option ``wind_height_m`` of a station: height of ``wind_m_s``, default 2 m.
    folder : Path
        Relative paths start here.
    start, as_of : datetime.date
        Period observed.
    outlook_d : int
        Days ahead.
    place : Place
        Site of the rows.

    Raises
    ------
    NoDataError
        Days that no link covers; they are named.
    ConfigError
        A file that is absent or not a table, an unknown option, or `start` after `as_of`.
    """
    if start > as_of:
        raise ConfigError(
            f"the period begins on {start}, after {as_of}", where="weather", do="Correct season_start or the date"
        )
    rejected: list[dict[str, str]] = []
    days = pd.date_range(start, as_of, freq="D")
    ahead = pd.date_range(as_of + timedelta(days=1), periods=outlook_d, freq="D")
    observed = pd.DataFrame(index=days, columns=[*VALUES, "source"])
    outlook: pd.DataFrame | None = None
    for spec in specs:
        path = (folder / (spec.path or "")).resolve()
        try:
            if spec.kind == "forecast":
                if outlook is None:
                    outlook = _forecast(path, spec, as_of, ahead, place, rejected)
                continue
            table = _station(path, spec, as_of, place, rejected) if spec.kind == "station" else climatology(path, days)
        except AgroError as error:
            if isinstance(error, ConfigError):
                raise
            rejected.append(
                {
                    "input": "weather",
                    "item": path.name,
                    "reason": str(error),
                    "remedy": "The next link of the chain is used",
                }
            )
            continue
        link = table.set_index("date").reindex(days)
        whole = link[list(REQUIRED)].notna().all(axis=1) & observed["source"].isna()
        observed.loc[whole, list(VALUES)] = link.loc[whole, list(VALUES)].to_numpy()
        observed.loc[whole, "source"] = spec.kind
    uncovered = observed.index[observed["source"].isna()]
    if len(uncovered):
        raise NoDataError(
            f"no weather for {len(uncovered)} of {len(days)} days, first {uncovered[0]:%Y-%m-%d}, last {uncovered[-1]:%Y-%m-%d}",
            where="weather", do="Complete the station's record, or end the chain with a climatology",
        )  # fmt: skip
    past = observed.reset_index(names="date").assign(member=-1, is_forecast=False)
    past["issued_at"] = past["date"]
    parts = [past, *_outlook(outlook, specs, folder, ahead, as_of, rejected)]
    table = pd.concat(parts, ignore_index=True)
    table["site_id"], table["et0_mm"], table["estimated"] = place.id, np.nan, None
    found = validate(table, "weather", "weather chain")
    return WeatherResult(found, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def _wind_height_m(spec: WeatherSpec) -> float:
    """Height of the anemometer from the options, which hold nothing else."""
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


def _station(path: Path, spec: WeatherSpec, as_of: date, place: Place, rejected: list[dict[str, str]]) -> pd.DataFrame:
    table = read_csv(path, ("date",))
    values = daily_values(table, path, _wind_height_m(spec), place.latitude, place.elevation_m, rejected)
    return values[values["date"] <= pd.Timestamp(as_of)]


def _note(name: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "weather", "item": name, "reason": reason, "remedy": remedy}


def _forecast(
    path: Path, spec: WeatherSpec, as_of: date, ahead: pd.DatetimeIndex, place: Place, rejected: list[dict[str, str]]
) -> pd.DataFrame | None:
    """Rows of the newest forecast known, of the members that reach furthest without a gap from the day after `as_of`."""
    table = read_csv(path, ("date", "issued_at", "member"))
    height = _wind_height_m(spec)
    issued = pd.to_datetime(table["issued_at"], errors="coerce", format="ISO8601").dt.normalize()
    if issued.isna().any():
        rejected.append(
            _note(
                path.name, f"issued_at of {int(issued.isna().sum())} row(s) is not a date", "Write dates as YYYY-MM-DD"
            )
        )
    members = pd.to_numeric(table["member"], errors="coerce")
    wrong = members.isna() | (members % 1 != 0) | (members < 0)
    if wrong.any():
        raise ConfigError(
            f"member {table['member'][wrong].iloc[0]!r}", where=str(path), do="Number the members 0, 1, 2 ..."
        )
    oldest = pd.Timestamp(as_of) - pd.Timedelta(days=MAX_FORECAST_AGE_D)
    known = (issued <= pd.Timestamp(as_of)) & (issued >= oldest)
    if not known.any():
        rejected.append(
            _note(
                path.name, f"no forecast issued within {MAX_FORECAST_AGE_D} days before {as_of}", "Climatology is used for the outlook"
            )
        )  # fmt: skip
        return None
    newest = issued[known].max()
    rows = table[issued == newest].assign(issued_at=newest, member=members[issued == newest].astype(int))
    values = daily_values(rows, path, height, place.latitude, place.elevation_m, rejected)
    values = values[values["date"].isin(ahead) & values[list(REQUIRED)].notna().all(axis=1)]
    reach = {
        int(member): _days_without_gap(set(values["date"][values["member"] == member]), ahead)
        for member in np.unique(values["member"])
    }
    longest = max(reach.values(), default=0)
    if not longest:
        rejected.append(
            _note(
                path.name,
                f"the forecast of {newest:%Y-%m-%d} lacks the day after {as_of}",
                "Climatology is used for the outlook",
            )
        )
        return None
    whole = [member for member, days in reach.items() if days == longest]
    short = len(reach) - len(whole)
    if longest < len(ahead) or short:
        rejected.append(
            _note(
                path.name, f"the forecast of {newest:%Y-%m-%d} reaches {longest} of {len(ahead)} days"
                + (f", {short} member(s) even less" if short else ""),
                "Climatology is used for the days after; members that end before the others are not used",
            )
        )  # fmt: skip
    kept = values[values["member"].isin(whole) & (values["date"] <= ahead[longest - 1])]
    return kept.assign(is_forecast=True, source="forecast")


def _days_without_gap(dates: set[pd.Timestamp], ahead: pd.DatetimeIndex) -> int:
    for count, day in enumerate(ahead):
        if day not in dates:
            return count
    return len(ahead)


def _outlook(
    forecast: pd.DataFrame | None,
    specs: Sequence[WeatherSpec],
    folder: Path,
    ahead: pd.DatetimeIndex,
    as_of: date,
    rejected: list[dict[str, str]],
) -> list[pd.DataFrame]:
    """The forecast, and climatology for the days that it does not reach, for each of its members."""
    rest = ahead if forecast is None else ahead[ahead > forecast["date"].max()]
    if not len(rest):
        return [] if forecast is None else [forecast]
    spec = next((s for s in specs if s.kind == "climatology"), None)
    if spec is None:
        rejected.append(
            _note(
                "outlook",
                f"no weather ahead from {rest[0]:%Y-%m-%d}",
                "End the chain with a climatology, or get a newer forecast",
            )
        )
        return [] if forecast is None else [forecast]
    table = climatology((folder / (spec.path or "")).resolve(), rest)
    normal = table.assign(is_forecast=True, source="climatology", issued_at=pd.Timestamp(as_of))
    if forecast is None:
        return [normal.assign(member=0)]
    return [forecast, *(normal.assign(member=member) for member in sorted(forecast["member"].unique()))]
