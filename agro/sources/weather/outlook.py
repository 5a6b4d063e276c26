"""The days ahead: forecasts in the order of the chain, climatology after their end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.errors import FINAL, AgroError, ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Network
from agro.sources.weather import files, openmeteo
from agro.sources.weather.link import label, rejection
from agro.sources.weather.tables import REQUIRED, climatology

#: Kinds that look ahead.
FORECASTERS = ("forecast", "openmeteo")


def outlook(
    specs: Sequence[WeatherSpec], folder: Path, as_of: date, ahead: pd.DatetimeIndex, place: Place, network: Network | None,
    mixing: bool, rejected: list[dict[str, str]],
) -> list[pd.DataFrame]:  # fmt: skip
    """Rows of the days ahead, with ``source`` and ``source_reason``.

    Where `mixing` is off, one link serves all days: a forecast that ends before them gives way to the next.

    Parameters
    ----------
    specs, folder, as_of, place, network, mixing
        As for :func:`agro.sources.weather.load_weather`.
    ahead : pandas.DatetimeIndex
        Days wanted.
    rejected : list
        What was not taken is added.

    Returns
    -------
    list of pandas.DataFrame
        Empty where nothing looks ahead.
    """
    links = [spec for spec in specs if spec.kind in FORECASTERS]
    normals = next((spec for spec in specs if spec.kind == "climatology"), None)
    first_reason: str | None = None
    chosen: pd.DataFrame | None = None
    for number, spec in enumerate(links):
        try:
            rows = _reaching(
                _issued(spec, folder, as_of, ahead, place, network, rejected), spec, as_of, ahead, rejected
            )
        except (ConfigError, *FINAL):
            raise
        except AgroError as error:
            rejected.append(rejection(f"{label(spec)} (days ahead)", error.what))
            first_reason = first_reason or (f"{spec.kind}: {error.what}" if number == 0 else None)
            continue
        reach = rows["date"].nunique()
        short = reach < len(ahead)
        if number == 0 and short:
            first_reason = f"{spec.kind}: the forecast reaches {reach} of {len(ahead)} days"
        rows = rows.assign(source=spec.kind, source_reason=None if number == 0 else first_reason)
        if chosen is None:
            chosen = rows
        if mixing or not short:
            chosen = rows
            break
    if chosen is not None and not mixing and chosen["date"].nunique() < len(ahead) and normals is not None:
        chosen = None
    rest = ahead if chosen is None else ahead[ahead > chosen["date"].max()]
    parts = [] if chosen is None else [chosen]
    if not len(rest):
        return parts
    if normals is None:
        rejected.append(
            rejection(
                "outlook",
                f"no weather ahead from {rest[0]:%Y-%m-%d}",
                "End the chain with a climatology, or get a newer forecast",
            )
        )
        return parts
    normal = climatology((folder / (normals.path or "")).resolve(), rest).assign(
        is_forecast=True, source="climatology", source_reason=first_reason, issued_at=pd.Timestamp(as_of)
    )
    members = [0] if chosen is None else sorted(chosen["member"].unique())
    return [*parts, *(normal.assign(member=member) for member in members)]


def _issued(
    spec: WeatherSpec, folder: Path, as_of: date, ahead: pd.DatetimeIndex, place: Place, network: Network | None,
    rejected: list[dict[str, str]],
) -> pd.DataFrame:  # fmt: skip
    if spec.kind == "forecast":
        return files.forecast((folder / (spec.path or "")).resolve(), spec, as_of, place, rejected)
    if network is None:
        raise NoDataError("offline: this run has no network")
    return openmeteo.forecast(spec, place, as_of, ahead, network, rejected)


def _reaching(
    values: pd.DataFrame, spec: WeatherSpec, as_of: date, ahead: pd.DatetimeIndex, rejected: list[dict[str, str]]
) -> pd.DataFrame:
    """Rows of the members that reach furthest without a gap from the day after `as_of`.

    Raises
    ------
    NoDataError
        No member has the day after, or the forecast is too old or too new.
    """
    issued = values["issued_at"].max() if len(values) else pd.Timestamp(as_of)
    if not 0 <= (pd.Timestamp(as_of) - issued).days <= files.MAX_FORECAST_AGE_D:
        raise NoDataError(f"the forecast of {issued:%Y-%m-%d} is not one of the days before {as_of}")
    values = values[values["date"].isin(ahead) & values[list(REQUIRED)].notna().all(axis=1)]
    reach = {
        int(member): _days_without_gap(set(values["date"][values["member"] == member]), ahead)
        for member in np.unique(values["member"])
    }
    longest = max(reach.values(), default=0)
    if not longest:
        raise NoDataError(f"the forecast of {issued:%Y-%m-%d} lacks the day after {as_of}")
    whole = [member for member, days in reach.items() if days == longest]
    short = len(reach) - len(whole)
    if longest < len(ahead) or short:
        rejected.append(
            rejection(
                label(spec), f"the forecast of {issued:%Y-%m-%d} reaches {longest} of {len(ahead)} days"
                + (f", {short} member(s) even less" if short else ""),
                "Climatology is used for the days after; members that end before the others are not used",
            )
        )  # fmt: skip
    kept = values[values["member"].isin(whole) & (values["date"] <= ahead[longest - 1])]
    return kept.assign(is_forecast=True)


def _days_without_gap(dates: set[pd.Timestamp], ahead: pd.DatetimeIndex) -> int:
    for count, day in enumerate(ahead):
        if day not in dates:
            return count
    return len(ahead)
