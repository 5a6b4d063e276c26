"""Pixels to parcel observations, a day of imagery at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import TypeVar

import geopandas as gpd
import pandas as pd

from agro import indices
from agro.imagery import group_by_day
from agro.parcels import CoverageWeights
from agro.parcels.blocks import BLOCK_M, Block, grid_over, parcel_blocks, parcels_by_zone, utm_zones
from agro.schema.errors import AgroError, ContractError, NoDataError, OfflineError, SourceError
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions, ObservationOptions
from agro.schema.tables import empty, validate
from agro.sources.imagery import ImagerySource, Scene
from agro.sources.imagery.chain import ImageryChain
from pipelines.coverage import kept_weights, parcels_digest
from pipelines.observed_tables import join_rejected, join_scenes, rejected_row, stack
from pipelines.observing_by_parcel import ComputesByParcel, observe_by_parcel
from pipelines.observing_day import Work, fingerprint, kept, left_something_out, make
from pipelines.units import Manifest

#: Room around the parcels, so that clouds just outside are dilated into them.
MARGIN_M = 300.0
#: Days read at a time from sources that can be: as many as a small machine has cores.
AT_ONCE = 2
#: Memory for the pixels of the days read at a time; one day of the largest grid is read whatever it takes.
PIXEL_BYTES = 2.5e9

Progress = Callable[[str, int, int], None]


T = TypeVar("T")


def quiet(_stage: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Observed:
    """What a period of imagery gave; ``read`` and ``reused`` are days, one can be both where blocks differ."""

    observations: pd.DataFrame
    scenes: pd.DataFrame
    rejected: pd.DataFrame
    indices: tuple[str, ...]
    read: frozenset[date]
    reused: frozenset[date]

    @property
    def days_read(self) -> int:
        """Days of which anything was read from imagery."""
        return len(self.read)

    @property
    def days_reused(self) -> int:
        """Days taken whole from an earlier run."""
        return len(self.reused - self.read)


def parcel_crs(parcels: gpd.GeoDataFrame, crs: str | None = None) -> str:
    """`crs`, or the UTM zone of most parcels."""
    return crs or str(pd.Series(utm_zones(parcels)).value_counts(sort=True).index[0])


def parcel_grid(parcels: gpd.GeoDataFrame, crs: str, resolution_m: float = 10.0) -> Grid:
    """The grid over the parcels and the margin around them."""
    return grid_over(parcels, crs, MARGIN_M, resolution_m)


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
    retry_failed: bool = False,
    progress: Progress = quiet,
) -> Observed:
    """Observations of every parcel on every day of imagery in a period, in one CRS.

    A region too large to be read at once is observed block by block (:func:`agro.parcels.blocks.parcel_blocks`). With
    a `manifest`, each day of each block is a unit: done once, reused while its scenes, parcels and options stay the
    same. A unit that fails is listed in ``rejected`` and the others go on; with `retry_failed`, units that left anything
    out are done again though nothing that they depend on has changed. Where the source can be read from several
    threads, up to :data:`AT_ONCE` days are read at a time; results come in the same order.

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
    serving = source.serving if isinstance(source, ImageryChain) else source
    if isinstance(serving, ComputesByParcel) and serving.by_parcel:
        try:
            given = observe_by_parcel(
                serving, found.scenes, parcels, start, end, keys, mask, options, fingerprint, parcels_digest(parcels),
                manifest, created_at, progress,
            )  # fmt: skip
        except (SourceError, OfflineError) as error:
            if not isinstance(source, ImageryChain) or not source.pass_over(error.what):
                raise
            after = observe_period(
                source, parcels, start, end, mask=mask, options=options, crs=crs, manifest=manifest, created_at=created_at,
                progress=progress,
            )  # fmt: skip
            failed = validate(
                pd.DataFrame([rejected_row("imagery", serving.name, error, "The next source is used")]), "rejected"
            )
            return replace(after, rejected=stack([found.rejected, failed, after.rejected], "rejected"))
        rejected = [found.rejected, given.rejected]
        return Observed(
            given.observations, given.scenes, stack(rejected, "rejected"), tuple(keys), given.read, given.reused
        )
    blocks, too_wide = parcel_blocks(parcels, parcel_crs(parcels, crs), MARGIN_M)
    days = sorted(group_by_day(found.scenes).items())
    is_part = len(blocks) > 1
    read: set[date] = set()
    reused: set[date] = set()

    def jobs() -> Iterator[Callable[[], tuple[date, Block, list[pd.DataFrame]]]]:
        for block in blocks:
            members = parcels.iloc[block.members]
            outlines = parcels_digest(members)
            work = Work(source, members, block, keys, bands, mask, options, is_part)
            weights: CoverageWeights | None = None  # only a day that is read needs them
            for day, scenes in days:
                unit = work.unit(day, scenes, outlines)
                done_before = manifest is not None and manifest.done(unit) is not None
                if manifest and done_before and not (retry_failed and left_something_out(manifest, unit)):
                    reused.add(day)
                    job = partial(kept, manifest, unit)
                else:
                    if weights is None:
                        weights = kept_weights(members, block.grid, options.buffer_m, manifest, created_at, block.name)
                    read.add(day)
                    job = partial(make, work, unit, scenes, weights, manifest, created_at)
                yield partial(_labelled, day, block, job)

    done: dict[date, list[tuple[Block, list[pd.DataFrame]]]] = {day: [] for day, _ in days}
    total = len(days) * len(blocks)
    progress("imagery", 0, total)
    at_once = days_at_once(blocks, len(bands)) if getattr(source, "concurrent", False) else 1
    for number, (day, block, tables) in enumerate(in_order(jobs(), at_once), start=1):
        done[day].append((block, tables))
        progress("imagery", number, total)
    flat = [tables for of_day in done.values() for _, tables in of_day]
    scenes_of_days = [
        join_scenes([tables[1] for _, tables in of_day], [block.grid.width * block.grid.height for block, _ in of_day])
        for of_day in done.values()
    ]
    rejected = [found.rejected, _too_wide(parcels, too_wide), *(tables[2] for tables in flat)]
    return Observed(
        stack([tables[0] for tables in flat], "observations"),
        stack(scenes_of_days, "scenes"),
        join_rejected(rejected) if is_part else stack(rejected, "rejected"),
        tuple(keys),
        frozenset(read),
        frozenset(reused),
    )


def observe_region(
    open_source: Callable[[gpd.GeoDataFrame], ImagerySource],
    parcels: gpd.GeoDataFrame,
    start: date,
    end: date,
    *,
    mask: MaskOptions,
    options: ObservationOptions,
    crs: str | None = None,
    manifest: Manifest | None = None,
    created_at: datetime | None = None,
    retry_failed: bool = False,
    progress: Progress = quiet,
) -> Observed:
    """Observations of a region of any extent: each parcel once, in `crs` or in the UTM zone of its centroid.

    Parameters
    ----------
    open_source : callable
        Gives the imagery for parcels of one zone.

    Raises
    ------
    NoDataError, SourceError
        No zone has imagery. A zone without any is listed in ``rejected`` when another has some.

    See Also
    --------
    observe_period : the other parameters.
    """
    found: list[Observed] = []
    rows: list[dict[str, str]] = []
    failure: AgroError | None = None
    for zone, members in parcels_by_zone(parcels, crs).items():
        try:
            done = observe_period(
                open_source(members), members, start, end, mask=mask, options=options, crs=zone, manifest=manifest,
                created_at=created_at, retry_failed=retry_failed, progress=progress,
            )  # fmt: skip
        except (NoDataError, SourceError) as error:
            failure = failure or error
            rows.append(rejected_row("imagery", zone, error, error.do or "The other zones go on"))
        else:
            found.append(done)
    if not found:
        raise failure or NoDataError("no parcel to observe", where="parcels", do="Give parcels")
    if len(found) == 1 and not rows:
        return found[0]
    lacking = validate(pd.DataFrame(rows), "rejected") if rows else empty("rejected")
    return Observed(
        stack([one.observations for one in found], "observations").sort_values(
            "date", kind="stable", ignore_index=True
        ),
        join_scenes([one.scenes for one in found], [1] * len(found)),
        join_rejected([*(one.rejected for one in found), lacking]),
        tuple(dict.fromkeys(key for one in found for key in one.indices)),
        frozenset().union(*(one.read for one in found)),
        frozenset().union(*(one.reused for one in found)),
    )


def days_at_once(blocks: Sequence[Block], bands: int) -> int:
    """How many days of the largest block fit into :data:`PIXEL_BYTES`, at least 1 and at most :data:`AT_ONCE`.

    A pixel of one scene takes about 150 bytes on the way and 25 more for each band: measured, benchmarks/RESULTS.md.
    """
    largest = max((block.grid.width * block.grid.height for block in blocks), default=1)
    return int(min(AT_ONCE, max(1, PIXEL_BYTES // (largest * (150 + 25 * bands)))))


def in_order(jobs: Iterator[Callable[[], T]], at_once: int) -> Iterator[T]:
    """Results of jobs in their order; `at_once` run at a time and as many results wait at most."""
    if at_once == 1:
        for job in jobs:
            yield job()
        return
    pool = ThreadPoolExecutor(at_once)
    waiting: deque[Future[T]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > at_once:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _labelled(day: date, block: Block, job: Callable[[], list[pd.DataFrame]]) -> tuple[date, Block, list[pd.DataFrame]]:
    return day, block, job()


def _too_wide(parcels: gpd.GeoDataFrame, extents_m: Mapping[int, float]) -> pd.DataFrame:
    """Rows for parcels that no block can hold."""
    rows = []
    for position, extent_m in extents_m.items():
        uid = str(parcels["parcel_uid"].iloc[position])
        error = ContractError(
            f"{extent_m / 1000:.0f} km wide, more than the {BLOCK_M / 1000:.0f} km that are read at once"
        )
        rows.append(rejected_row("imagery", uid, error, "Correct its outline; the other parcels go on"))
    return validate(pd.DataFrame(rows), "rejected") if rows else empty("rejected")
