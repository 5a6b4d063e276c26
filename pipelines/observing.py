"""Pixels to parcel observations, a day of imagery at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import Point

from agro import indices
from agro.imagery import Day, group_by_day, read_day
from agro.parcels import CoverageWeights, observe_day
from agro.schema.errors import AgroError, BudgetError, ContractError, NoDataError, PrivacyError
from agro.schema.grid import Grid
from agro.schema.provenance import digest_of
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import empty, validate
from agro.sources.imagery import ImagerySource, Scene
from agro.sources.imagery.chain import ImageryChain
from agro.store.workspace import read_table, write_table
from pipelines.coverage import kept_weights, parcels_digest
from pipelines.observing_by_parcel import ComputesByParcel, observe_by_parcel
from pipelines.units import Manifest, Unit, one_line

STEP = "observe/2"
#: Room around the parcels, so that clouds just outside are dilated into them.
MARGIN_M = 300.0
#: Largest grid that is read at once: a square of 70 km at 10 m, about 200 MB a band.
MAX_PIXELS = 5.0e7

Progress = Callable[[str, int, int], None]


def quiet(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Observed:
    """What a period of imagery gave."""

    observations: pd.DataFrame
    scenes: pd.DataFrame
    rejected: pd.DataFrame
    indices: tuple[str, ...]
    days_read: int
    days_reused: int


def parcel_crs(parcels: gpd.GeoDataFrame, crs: str | None = None) -> str:
    """`crs`, or the UTM zone of the parcels' middle."""
    return crs or str(parcels.estimate_utm_crs().to_string())


def parcel_grid(parcels: gpd.GeoDataFrame, crs: str | None = None, resolution_m: float = 10.0) -> Grid:
    """The grid over the parcels, in `crs` or the UTM zone of their middle."""
    projected = parcels.to_crs(parcel_crs(parcels, crs))
    left, bottom, right, top = projected.total_bounds
    bounds = (left - MARGIN_M, bottom - MARGIN_M, right + MARGIN_M, top + MARGIN_M)
    if (right - left) * (top - bottom) / resolution_m**2 > MAX_PIXELS:
        middle = projected.geometry.centroid
        away = middle.distance(Point(middle.x.median(), middle.y.median()))
        raise ContractError(
            f"the parcels spread over {(right - left) / 1000:.0f} x {(top - bottom) / 1000:.0f} km, more than memory should hold",
            where=f"parcel {projected['parcel_uid'].iloc[int(away.argmax())]}",
            do="It lies furthest from the others: correct its outline, or split the region",
        )
    return Grid.covering(bounds, projected.crs.to_string(), resolution_m)


def usable_indices(wanted: Sequence[str], scenes: Sequence[Scene]) -> tuple[list[str], list[str]]:
    """Indices whose bands the scenes offer, and the bands to read.

    Raises
    ------
    AgroError
        An index is not in the catalogue.
    NoDataError
        The scenes offer the bands of none.
    """
    catalogue = indices.catalogue()
    unknown = sorted(set(wanted) - set(catalogue))
    if unknown:
        raise AgroError(
            f"unknown index {', '.join(unknown)}", where="observe.indices", do=f"Known: {', '.join(catalogue)}"
        )
    offered = {band for scene in scenes for band in scene.assets}
    possible = [key for key in wanted if set(catalogue[key].bands) <= offered]
    if not possible:
        raise NoDataError(
            f"the imagery offers {', '.join(sorted(offered)) or 'no band'}, enough for none of {', '.join(wanted)}",
            where="imagery",
            do="Ask for other indices or bring the bands",
        )
    return possible, sorted({band for key in possible for band in catalogue[key].bands})


def _fingerprint(scenes: Sequence[Scene]) -> str:
    """Digest of what the scenes are: identity, scaling, and size and time of the local files behind them."""
    parts: list[Any] = []
    for scene in sorted(scenes, key=lambda s: s.scene_id):
        files = [_state(Path(name)) for name in sorted(scene.files)]
        parts.append(
            [scene.scene_id, scene.processing_baseline, scene.offset, scene.scale, sorted(scene.assets), files]
        )
    return digest_of(parts)


def _state(path: Path) -> list[Any]:
    """Name, size and time of a file, or of every file of a folder such as a Zarr cube; only the name when absent."""
    inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = [(p.name, p.stat()) for p in inside if p.exists()]
    return [path.name, *([name, stat.st_size, stat.st_mtime_ns] for name, stat in found)]


@dataclass(frozen=True)
class OneDay:
    """What a solar day gave; ``passing``: part of it failed for a reason that may pass."""

    observations: pd.DataFrame
    scenes: pd.DataFrame
    rejected: pd.DataFrame
    passing: bool = False


def read_one_day(
    source: ImagerySource,
    scenes: Sequence[Scene],
    parcels: gpd.GeoDataFrame,
    weights: CoverageWeights,
    grid: Grid,
    keys: Sequence[str],
    bands: Sequence[str],
    mask: MaskOptions,
    options: ObservationOptions,
) -> OneDay:
    """One solar day, from the source that serves or, where that one fails, from the next."""
    first = day = read_day(source, scenes, grid, bands, mask)
    if day.cube is None and isinstance(source, ImageryChain):
        why = f"{scenes[0].provider}: {'; '.join(day.rejected['reason'].unique()[:2]) or 'no pixel of the parcels'}"
        for others in source.alternatives(scenes[0].date, why):
            other = read_day(source, others, grid, bands, mask)
            if other.cube is not None:
                scenes = others
                # What the first source lacked stays on the list.
                day = Day(
                    other.cube,
                    stack([first.scenes, other.scenes], "scenes"),
                    stack([first.rejected, other.rejected], "rejected"),
                )
                break
    if day.cube is None:
        return OneDay(empty("observations"), day.scenes, day.rejected, day.passing)
    layers: dict[str, np.ndarray] = {}
    for key in keys:
        if set(indices.catalogue()[key].bands) <= set(day.cube.data_vars):
            layers[key] = indices.compute(key, {str(k): v for k, v in day.cube.data_vars.items()})
    observations = (
        observe_day(day.cube, layers, parcels, weights, options, scenes[0].provider, scenes[0].source_reason)
        if layers
        else empty("observations")
    )
    return OneDay(observations, day.scenes, day.rejected, day.passing)


def observe_period(
    source: ImagerySource,
    parcels: gpd.GeoDataFrame,
    start: date,
    end: date,
    *,
    mask: MaskOptions,
    options: ObservationOptions,
    crs: str | None = None,
    manifest: Manifest | None = None,
    created_at: datetime | None = None,
    progress: Progress = quiet,
) -> Observed:
    """Observations of every parcel on every day of imagery in a period.

    With a `manifest`, each day is a unit: done once, reused while its scenes, parcels and options stay the
    same. A day that fails is listed in ``rejected`` and the others go on.

    Raises
    ------
    NoDataError
        No scene in the period, or no index can be computed.
    """
    found = source.search(start, end)
    if not found.scenes:
        raise NoDataError(
            f"no scene from {start} to {end}", where=f"imagery {source.name}", do="Widen the period or check the folder"
        )
    keys, bands = usable_indices(options.indices, found.scenes)
    outlines = parcels_digest(parcels)
    serving = source.serving if isinstance(source, ImageryChain) else source
    if isinstance(serving, ComputesByParcel) and serving.by_parcel:
        told = observe_by_parcel(
            serving, found.scenes, parcels, start, end, keys, mask, options, _fingerprint, outlines, manifest,
            created_at, progress,
        )  # fmt: skip
        rejected = stack([found.rejected, told.rejected], "rejected")
        return Observed(told.observations, told.scenes, rejected, tuple(keys), told.days_read, told.days_reused)
    grid = parcel_grid(parcels, crs)
    tables: dict[str, list[pd.DataFrame]] = {"observations": [], "scenes": [], "rejected": [found.rejected]}
    days = group_by_day(found.scenes)
    weights: CoverageWeights | None = None  # only a day that is read needs them
    reused = 0
    for number, (day, scenes) in enumerate(sorted(days.items()), start=1):
        progress("imagery", number - 1, len(days))
        unit = Unit(
            STEP,
            day.isoformat(),
            inputs={"scenes": _fingerprint(scenes), "parcels": outlines},
            parameters={
                "indices": keys,
                "mask": mask.model_dump(mode="json"),
                "options": options.model_dump(mode="json"),
                "grid": list(grid.transform),
                "crs": grid.crs,
            },
        )
        entry = manifest.done(unit) if manifest else None
        if manifest and entry is not None:
            parts = [
                read_table(manifest.folder / name, table) for table, name in zip(tables, _files(unit), strict=True)
            ]
            reused += 1
        else:
            passing = False
            if weights is None:
                weights = kept_weights(parcels, grid, options.buffer_m, manifest, created_at)
            try:
                one = read_one_day(source, scenes, parcels, weights, grid, keys, bands, mask, options)
                parts, passing = [one.observations, one.scenes, one.rejected], one.passing
            except (BudgetError, PrivacyError):
                # Days done so far are kept; the run as a whole stops.
                raise
            except AgroError as error:
                row = rejected_row("imagery", day.isoformat(), error, "The other days go on")
                passing = bool(getattr(error, "transient", False))
                parts = [empty("observations"), empty("scenes"), validate(pd.DataFrame([row]), "rejected")]
            # A failure that may pass is not entered: the next run tries the day again.
            if manifest and created_at and not passing:
                for table, name, part in zip(tables, _files(unit), parts, strict=True):
                    write_table(manifest.folder / name, table, part, unit.provenance(table, created_at))
                manifest.enter(unit, [manifest.folder / name for name in _files(unit)], {"scenes": len(scenes)})
        for collected, part in zip(tables.values(), parts, strict=True):
            collected.append(part)
    progress("imagery", len(days), len(days))
    joined = {name: stack(parts, name) for name, parts in tables.items()}
    return Observed(
        joined["observations"], joined["scenes"], joined["rejected"], tuple(keys), len(days) - reused, reused
    )


def _files(unit: Unit) -> list[str]:
    stem = f"observations/{unit.piece}-{unit.key}"
    return [f"{stem}.parquet", f"{stem}-scenes.parquet", f"{stem}-rejected.parquet"]


def stack(parts: Sequence[pd.DataFrame], name: str) -> pd.DataFrame:
    """Tables of one contract, one below the other."""
    filled = [part for part in parts if len(part)]
    return validate(pd.concat(filled, ignore_index=True), name) if filled else empty(name)


def rejected_row(kind: str, item: str, error: Exception, remedy: str) -> dict[str, str]:
    """A row for the ``rejected`` table from an error."""
    # The remedy has its own column.
    reason = f"{error.where}: {error.what}" if isinstance(error, AgroError) and error.where else one_line(error)
    return {"input": kind, "item": item, "reason": reason, "remedy": remedy}


def rejected_counts(rejected: pd.DataFrame) -> Mapping[str, int]:
    """Number of rejected rows by input."""
    return {str(k): int(v) for k, v in rejected["input"].value_counts().sort_index().items()}
