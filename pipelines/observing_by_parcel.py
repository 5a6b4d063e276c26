"""Observations that the provider computes from outlines: a month of all parcels at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import geopandas as gpd
import pandas as pd

from agro import indices
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import empty, validate
from agro.sources.imagery import Scene
from agro.store.workspace import read_table, write_table
from pipelines.units import Manifest, Unit

STEP = "statistics/1"
TABLES = ("observations", "scenes", "rejected")


@runtime_checkable
class ComputesByParcel(Protocol):
    """A source that may be asked for statistics in the place of pixels."""

    name: str
    by_parcel: bool

    def statistics(
        self, parcels: gpd.GeoDataFrame, start: date, end: date, indices: Any, options: ObservationOptions, mask: MaskOptions
    ) -> Any:  # fmt: skip
        """Tables ``observations`` and ``rejected`` of a period."""
        ...


@dataclass(frozen=True)
class ByParcel:
    """What a period gave, and the days of the months that were asked for and reused."""

    observations: pd.DataFrame
    scenes: pd.DataFrame
    rejected: pd.DataFrame
    read: frozenset[date]
    reused: frozenset[date]


def months(start: date, end: date) -> Iterator[tuple[date, date]]:
    """First and last day of each calendar month of a period, cut to it."""
    first = start
    while first <= end:
        following = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield first, min(end, following - timedelta(days=1))
        first = following


def observe_by_parcel(
    source: ComputesByParcel, scenes: Sequence[Scene], parcels: gpd.GeoDataFrame, start: date, end: date, keys: Sequence[str],
    mask: MaskOptions, options: ObservationOptions, scenes_digest: Any, parcels_digest: str, manifest: Manifest | None,
    created_at: datetime | None, progress: Any,
) -> ByParcel:  # fmt: skip
    """Statistics of each month of a period.

    A month is a unit: done once while its scenes, parcels and options stay the same. One with parcels that failed is asked
    again by the next run; the answers that came are in the cache and cost nothing then.

    Raises
    ------
    PrivacyError
        The region does not let outlines leave.
    SourceError, BudgetError, NoDataError
        As the source's.
    """
    catalogue = indices.catalogue()
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLES}
    spans = list(months(start, end))
    read: set[date] = set()
    reused: set[date] = set()
    for number, (first, last) in enumerate(spans):
        progress("imagery", number, len(spans))
        held = [scene for scene in scenes if first <= scene.date <= last]
        if not held:
            continue
        days = {scene.date for scene in held}
        unit = Unit(
            STEP, f"{first}_{last}", inputs={"scenes": scenes_digest(held), "parcels": parcels_digest},
            parameters={
                "indices": list(keys), "mask": mask.model_dump(mode="json"), "options": options.model_dump(mode="json"),
            },
        )  # fmt: skip
        files = [f"observations/statistics-{unit.piece}-{unit.key}-{name}.parquet" for name in TABLES]
        if manifest and manifest.done(unit) is not None:
            found = [read_table(manifest.folder / file, name) for file, name in zip(files, TABLES, strict=True)]
            reused |= days
        else:
            asked = source.statistics(parcels, first, last, {key: catalogue[key] for key in keys}, options, mask)
            found = [
                asked.observations.assign(source_reason=held[0].source_reason) if len(asked.observations) else empty("observations"),
                _scenes(held), asked.rejected,
            ]  # fmt: skip
            read |= days
            if manifest and created_at and asked.rejected.empty:
                for file, name, table in zip(files, TABLES, found, strict=True):
                    write_table(manifest.folder / file, name, table, unit.provenance(name, created_at))
                manifest.enter(unit, [manifest.folder / file for file in files], {"scenes": len(held)})
        for name, table in zip(TABLES, found, strict=True):
            parts[name].append(table)
    progress("imagery", len(spans), len(spans))
    joined = {}
    for name, tables in parts.items():
        filled = [table for table in tables if len(table)]
        joined[name] = validate(pd.concat(filled, ignore_index=True), name) if filled else empty(name)
    return ByParcel(joined["observations"], joined["scenes"], joined["rejected"], frozenset(read), frozenset(reused))


def _scenes(held: Sequence[Scene]) -> pd.DataFrame:
    rows = [
        {
            "scene_id": scene.scene_id, "date": pd.Timestamp(scene.date), "provider": scene.provider,
            "processing_baseline": scene.processing_baseline,
            "offset_state": "unknown" if scene.offset is None else "applied" if scene.offset else "not_needed",
            "relative_orbit": scene.relative_orbit, "clear_frac": None, "used": True, "reason": "statistics of the provider",
        }
        for scene in held
    ]  # fmt: skip
    return validate(pd.DataFrame(rows), "scenes")
