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
    before `as_of`, else from climatology as one expected course.

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
        A file that is absent or not a table.
    """
    rejected: list[dict[str, str]] = []
    days = pd.date_range(start, as_of, freq="D")
    ahead = pd.date_range(as_of + timedelta(days=1), periods=outlook_d, freq="D")
    observed = pd.DataFrame(index=days, columns=[*VALUES, "source"])
    outlook: pd.DataFrame | None = None
    for spec in specs:
        path = (folder / spec.path).resolve()
        try:
            if spec.kind == "forecast":
                if outlook is None:
                    outlook = _forecast(path, spec, as_of, ahead, rejected)
                continue
            table = _station(path, spec, as_of, rejected) if spec.kind == "station" else climatology(path, days)
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
    if outlook is None:
        outlook = _normal_outlook(specs, folder, ahead, as_of)
    parts = [past] if outlook is None else [past, outlook]
    table = pd.concat(parts, ignore_index=True)
    table["site_id"], table["et0_mm"], table["estimated"] = place.id, np.nan, None
    found = validate(table, "weather", "weather chain")
    return WeatherResult(found, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def _station(path: Path, spec: WeatherSpec, as_of: date, rejected: list[dict[str, str]]) -> pd.DataFrame:
    table = read_csv(path, ("date",))
    mine: list[dict[str, str]] = []
    values = daily_values(table, path, float(spec.options.get("wind_height_m", 2.0)), mine)
    rejected.extend(mine)
    return values[values["date"] <= pd.Timestamp(as_of)]


def _forecast(
    path: Path, spec: WeatherSpec, as_of: date, ahead: pd.DatetimeIndex, rejected: list[dict[str, str]]
) -> pd.DataFrame | None:
    table = read_csv(path, ("date", "issued_at", "member"))
    issued = pd.to_datetime(table["issued_at"], errors="coerce", format="ISO8601").dt.normalize()
    known = table[
        (issued <= pd.Timestamp(as_of)) & (issued >= pd.Timestamp(as_of) - pd.Timedelta(days=MAX_FORECAST_AGE_D))
    ]
    if not len(known):
        rejected.append(
            {
                "input": "weather",
                "item": path.name,
                "reason": f"no forecast issued within {MAX_FORECAST_AGE_D} days before {as_of}",
                "remedy": "Climatology is used for the outlook",
            }
        )
        return None
    newest = known[issued[known.index] == issued[known.index].max()].assign(issued_at=issued[known.index].max())
    values = daily_values(newest, path, float(spec.options.get("wind_height_m", 2.0)), rejected)
    values = values[values["date"].isin(ahead) & values[list(REQUIRED)].notna().all(axis=1)]
    counts = values.groupby("member")["date"].nunique()
    whole = counts.index[counts == len(ahead)]
    if not len(whole):
        rejected.append(
            {
                "input": "weather",
                "item": path.name,
                "reason": f"no member covers the {len(ahead)} days after {as_of}",
                "remedy": "Climatology is used for the outlook",
            }
        )
        return None
    return values[values["member"].isin(whole)].assign(is_forecast=True, source="forecast")


def _normal_outlook(
    specs: Sequence[WeatherSpec], folder: Path, ahead: pd.DatetimeIndex, as_of: date
) -> pd.DataFrame | None:
    for spec in specs:
        if spec.kind == "climatology":
            table = climatology((folder / spec.path).resolve(), ahead)
            return table.assign(member=0, is_forecast=True, source="climatology", issued_at=pd.Timestamp(as_of))
    return None
