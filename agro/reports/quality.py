"""What the bulletin rests on: images used, missed and refused; providers and fallbacks; versions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from agro.schema.errors import ContractError
from agro.store.workspace import RunFolder, read_provenance

_LOOK_BACK_D = 30


@dataclass(frozen=True)
class DataQuality:
    """Counts over the period from `since` to the issue date, unless said otherwise."""

    since: date
    images_used: tuple[tuple[date, str, float], ...]  # date, provider, clear share (NaN not known)
    images_unused: tuple[tuple[date, str, str], ...]  # date, provider, reason
    last_used_date: date | None  # newest image used, whenever it was
    parcels: int
    parcels_seen: int  # with a usable look in the period
    weather_days: tuple[tuple[str, int], ...]  # source, days of the period
    weather_estimated: tuple[str, ...]
    soil_parcels: tuple[tuple[str, int], ...]  # source, parcels
    kcb_parcels: tuple[tuple[str, int], ...]
    irrigation_reported: int  # parcels with a record in the last 30 days
    rejected: tuple[tuple[str, int], ...]  # input, rows
    rejected_items: tuple[tuple[str, str, str], ...]  # input, item, reason; the first few
    schema_version: str
    code_version: str


def data_quality(run: RunFolder, issued_on: date, parcels: int, previous_on: date | None) -> DataQuality:
    """Count what a run read and what it did without.

    Parameters
    ----------
    run : RunFolder
        Tables that are absent count as nothing read.
    issued_on, previous_on : datetime.date
        The period begins on the day after the previous bulletin, or 30 days back.
    parcels : int
        Number of parcels of the run.
    """
    since = (
        previous_on + timedelta(days=1)
        if previous_on and previous_on < issued_on
        else issued_on - timedelta(days=_LOOK_BACK_D - 1)
    )
    first, last = pd.Timestamp(since), pd.Timestamp(issued_on)
    scenes = _within(run, "scenes", None, last)
    used = scenes[scenes["used"]]
    recent = scenes[scenes["date"] >= first].sort_values(["date", "scene_id"])
    seen = _within(run, "observations", first, last)
    weather = _within(run, "weather", first, last)
    weather = weather[~weather["is_forecast"]].drop_duplicates(["date", "source"])
    need = run.read("need")
    rejected = run.read("rejected") if run.has("rejected") else pd.DataFrame({"input": [], "item": [], "reason": []})
    estimated = {name for text in weather["estimated"].dropna() for name in text.split(",") if name}
    schema_version, code_version = _versions(run)
    return DataQuality(
        since=since,
        images_used=tuple(
            (d.date(), str(p), float("nan") if pd.isna(c) else float(c))
            for d, p, c in recent.loc[recent["used"], ["date", "provider", "clear_frac"]].itertuples(index=False)
        ),
        images_unused=tuple(
            (d.date(), str(p), "unknown" if pd.isna(r) else str(r))
            for d, p, r in recent.loc[~recent["used"], ["date", "provider", "reason"]].itertuples(index=False)
        ),
        last_used_date=used["date"].max().date() if len(used) else None,
        parcels=parcels,
        parcels_seen=int(seen.loc[seen["usable"], "parcel_uid"].nunique()),
        weather_days=_count(weather, "source", "date"),
        weather_estimated=tuple(sorted(estimated)),
        soil_parcels=_count(need, "soil_source", "parcel_uid"),
        kcb_parcels=_count(need, "kcb_source", "parcel_uid"),
        irrigation_reported=int(need["irrigation_reported"].sum()),
        rejected=tuple((str(k), int(n)) for k, n in rejected["input"].value_counts().sort_index().items()),
        rejected_items=tuple(
            (str(i), str(t), str(r))
            for i, t, r in rejected[["input", "item", "reason"]].head(8).itertuples(index=False)
        ),
        schema_version=schema_version,
        code_version=code_version,
    )


def _within(run: RunFolder, name: str, first: pd.Timestamp | None, last: pd.Timestamp) -> pd.DataFrame:
    from agro.schema.tables import empty

    table = run.read(name) if run.has(name) else empty(name)
    return (
        table[(table["date"] <= last) & (table["date"] >= first)] if first is not None else table[table["date"] <= last]
    )


def _count(table: pd.DataFrame, by: str, what: str) -> tuple[tuple[str, int], ...]:
    return tuple((str(k), int(n)) for k, n in table.groupby(by)[what].nunique().items())


def _versions(run: RunFolder) -> tuple[str, str]:
    try:
        found = read_provenance(run.path / "water.parquet")
    except ContractError:
        return "", ""
    return found.schema_version, found.code_version
