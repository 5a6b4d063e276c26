"""One day of imagery in one block: a unit of work, from scenes to observations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from agro import indices
from agro.imagery import Day, read_day
from agro.parcels import CoverageWeights, observe_day
from agro.parcels.blocks import Block
from agro.schema.errors import FINAL, AgroError
from agro.schema.provenance import digest_of
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import empty, validate
from agro.sources.imagery import ImagerySource, Scene
from agro.sources.imagery.chain import ImageryChain
from agro.store.workspace import read_table, write_table
from pipelines.observed_tables import rejected_row, stack
from pipelines.units import Manifest, Unit

STEP = "observe/2"
#: What a unit gives, in this order.
TABLES = ("observations", "scenes", "rejected")


def fingerprint(scenes: Sequence[Scene]) -> str:
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


@dataclass(frozen=True)
class Work:
    """What is the same for every day of a block."""

    source: ImagerySource
    parcels: gpd.GeoDataFrame
    block: Block
    keys: Sequence[str]
    bands: Sequence[str]
    mask: MaskOptions
    options: ObservationOptions
    #: The block is a part of the region, so that a day's scenes may lie elsewhere without anything being wrong.
    is_part: bool

    def unit(self, day: date, scenes: Sequence[Scene], outlines: str) -> Unit:
        """The unit of a day."""
        piece = f"{day.isoformat()}-{self.block.name}" if self.is_part else day.isoformat()
        return Unit(
            STEP,
            piece,
            inputs={"scenes": fingerprint(scenes), "parcels": outlines},
            parameters={
                "indices": list(self.keys),
                "mask": self.mask.model_dump(mode="json"),
                "options": self.options.model_dump(mode="json"),
                "grid": list(self.block.grid.transform),
                "crs": self.block.grid.crs,
            },
        )


def read_one_day(work: Work, scenes: Sequence[Scene], weights: CoverageWeights) -> OneDay:
    """One solar day, from the source that serves or, where that one fails, from the next."""
    source, grid = work.source, work.block.grid
    first = day = read_day(source, scenes, grid, work.bands, work.mask)
    failed = bool(len(day.rejected)) or day.passing or not work.is_part
    if day.cube is None and failed and isinstance(source, ImageryChain):
        why = f"{scenes[0].provider}: {'; '.join(day.rejected['reason'].unique()[:2]) or 'no pixel of the parcels'}"
        for others in source.alternatives(scenes[0].date, why):
            other = read_day(source, others, grid, work.bands, work.mask)
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
    for key in work.keys:
        if set(indices.catalogue()[key].bands) <= set(day.cube.data_vars):
            layers[key] = indices.compute(key, {str(k): v for k, v in day.cube.data_vars.items()})
    observations = (
        observe_day(day.cube, layers, work.parcels, weights, work.options, scenes[0].provider, scenes[0].source_reason)
        if layers
        else empty("observations")
    )
    return OneDay(observations, day.scenes, day.rejected, day.passing)


def make(
    work: Work,
    unit: Unit,
    scenes: Sequence[Scene],
    weights: CoverageWeights,
    manifest: Manifest | None,
    created_at: datetime | None,
) -> list[pd.DataFrame]:
    """Do a unit, and enter it in the manifest; its tables, in the order of :data:`TABLES`."""
    passing = False
    try:
        one = read_one_day(work, scenes, weights)
        parts, passing = [one.observations, one.scenes, one.rejected], one.passing
    except FINAL:
        # Days done so far are kept; the run as a whole stops.
        raise
    except AgroError as error:
        row = rejected_row("imagery", unit.piece, error, "The other days go on")
        passing = bool(getattr(error, "transient", False))
        parts = [empty("observations"), empty("scenes"), validate(pd.DataFrame([row]), "rejected")]
    # A failure that may pass is not entered: the next run tries the day again.
    if manifest and created_at and not passing:
        for table, name, part in zip(TABLES, _files(unit), parts, strict=True):
            write_table(manifest.folder / name, table, part, unit.provenance(table, created_at))
        manifest.enter(unit, [manifest.folder / name for name in _files(unit)], {"scenes": len(scenes)})
    return parts


def kept(manifest: Manifest, unit: Unit) -> list[pd.DataFrame]:
    """Tables of a unit that was done before."""
    return [read_table(manifest.folder / name, table) for table, name in zip(TABLES, _files(unit), strict=True)]


def left_something_out(manifest: Manifest, unit: Unit) -> bool:
    """Whether a unit that was done before lists a scene, a band or itself as rejected."""
    return len(read_table(manifest.folder / _files(unit)[2], "rejected")) > 0


def _files(unit: Unit) -> list[str]:
    stem = f"observations/{unit.piece}-{unit.key}"
    return [f"{stem}.parquet", f"{stem}-scenes.parquet", f"{stem}-rejected.parquet"]
