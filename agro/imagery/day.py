"""One solar day of imagery on one grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from agro.imagery.harmonise import decide_offset, to_reflectance
from agro.imagery.mask import quality_flags
from agro.schema.bands import Quality
from agro.schema.errors import AgroError, SourceError
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions
from agro.schema.tables import empty, validate


class SceneLike(Protocol):
    """What is read of a scene (see ``agro.sources.imagery.Scene``)."""

    @property
    def scene_id(self) -> str:
        """The provider's identifier."""

    @property
    def date(self) -> date:
        """Local solar day."""

    @property
    def provider(self) -> str:
        """Name of the source."""

    @property
    def assets(self) -> Mapping[str, str]:
        """What can be read."""

    @property
    def processing_baseline(self) -> str | None:
        """E.g. ``04.00``."""

    @property
    def relative_orbit(self) -> int | None:
        """Relative orbit."""

    @property
    def offset(self) -> float | None:
        """Stated offset in digital numbers."""

    @property
    def scale(self) -> float:
        """Reflectance of one digital number."""

    @property
    def note(self) -> str:
        """How scale and offset were found."""


S = TypeVar("S", bound=SceneLike)
S_contra = TypeVar("S_contra", bound=SceneLike, contravariant=True)


class Reader(Protocol[S_contra]):
    """What is asked of a source of one kind of scene."""

    def read(self, scene: S_contra, band: str, grid: Grid) -> np.ndarray:
        """Raw numbers of one band on `grid`."""
        ...


@dataclass(frozen=True)
class Day:
    """A day's cube (None when no scene could be used), the ``scenes`` table and the ``rejected`` table."""

    cube: xr.Dataset | None
    scenes: pd.DataFrame
    rejected: pd.DataFrame


@dataclass
class _Read:
    scene: SceneLike
    bands: dict[str, np.ndarray]
    flags: np.ndarray
    state: str
    notes: list[str]
    clear_frac: float


def group_by_day(scenes: Sequence[S]) -> dict[date, list[S]]:
    """Scenes by solar day, oldest first."""
    days: dict[date, list[S]] = {}
    for scene in sorted(scenes, key=lambda s: (s.date, s.scene_id)):
        days.setdefault(scene.date, []).append(scene)
    return days


def _baseline(scene: SceneLike) -> float:
    digits = "".join(c for c in scene.processing_baseline or "" if c.isdigit() or c == ".")
    if not digits:
        return 0.0
    return float(digits) if "." in digits else float(digits) / 100


def read_day(source: Reader[S], scenes: Sequence[S], grid: Grid, bands: Sequence[str], mask: MaskOptions) -> Day:
    """Read, harmonise, mask and merge the scenes of one solar day.

    Scenes are laid over one another, the highest processing baseline first: a duplicate adds nothing, the
    other half of a granule fills what is missing, and no pixel is counted twice.

    Parameters
    ----------
    source : Reader
        Gives raw numbers.
    scenes : sequence
        Scenes of one day.
    grid : Grid
        The grid of the cube.
    bands : sequence of str
        Common names wanted; a band that no scene offers is absent from the cube.
    mask : MaskOptions
        See :func:`~agro.imagery.mask.quality_flags`.

    Returns
    -------
    Day
        ``cube``: dims (time = 1, y, x); float32 reflectance by band, NaN = missing; ``qa`` uint8.
    """
    rejected: list[dict[str, str]] = []
    rows: list[dict[str, object]] = []
    read: list[_Read] = []
    for scene in sorted(scenes, key=lambda s: (-_baseline(s), s.scene_id)):
        row = {
            "scene_id": scene.scene_id, "date": pd.Timestamp(scene.date), "provider": scene.provider,
            "processing_baseline": scene.processing_baseline, "offset_state": "unknown",
            "relative_orbit": scene.relative_orbit, "clear_frac": np.nan, "used": False, "reason": None,
        }  # fmt: skip
        rows.append(row)
        try:
            one = _read_scene(source, scene, grid, bands, mask, rejected)
        except AgroError as error:
            row["reason"] = str(error.what)
            rejected.append(_reject(scene.scene_id, str(error), error.do or "The other scenes go on"))
            continue
        row.update(offset_state=one.state, clear_frac=one.clear_frac, reason="; ".join(one.notes) or None)
        if one.state == "quarantined":
            rejected.append(
                _reject(scene.scene_id, one.notes[-1], "Check the provider's metadata; the scene is not used")
            )
            continue
        read.append(one)
    cube, used = _merge(read, grid)
    for row in rows:
        row["used"] = row["scene_id"] in used
        if not row["used"] and row["reason"] is None:
            row["reason"] = "adds no pixel to the day's other scenes"
    table = validate(pd.DataFrame(rows), "scenes") if rows else empty("scenes")
    return Day(cube, table, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))


def _reject(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "imagery", "item": item, "reason": reason, "remedy": remedy}


def _read_scene(
    source: Reader[S],
    scene: S,
    grid: Grid,
    bands: Sequence[str],
    mask: MaskOptions,
    rejected: list[dict[str, str]],
) -> _Read:
    notes = [scene.note] if scene.note else []
    raw: dict[str, np.ndarray] = {}
    for band in bands:
        if band not in scene.assets:
            continue
        try:
            raw[band] = source.read(scene, band, grid)
        except SourceError as error:
            # One broken file costs one band of one scene, not the day.
            notes.append(f"{band} cannot be read")
            rejected.append(_reject(f"{scene.scene_id} {band}", str(error), "The scene's other bands are used"))
    if not raw:
        raise SourceError("no band of the scene can be read", where=scene.scene_id, do="Fetch the scene again")
    if "scl" in scene.assets:
        flags = quality_flags(source.read(scene, "scl", grid), grid.resolution_m, mask)
    else:
        flags = np.zeros(grid.shape, dtype="uint8")
        notes.append("no scene classification: clouds are not masked")
    missing = np.logical_and.reduce([np.isnan(values) for values in raw.values()])
    flags[missing] |= int(Quality.NODATA)
    clear = flags == 0
    verdict = decide_offset(scene.offset, scene.scale, raw, clear)
    if verdict.reason:
        notes.append(verdict.reason)
    inside = (flags & int(Quality.NODATA)) == 0
    clear_frac = float(clear.sum() / inside.sum()) if inside.any() else 0.0
    if verdict.offset is None:
        return _Read(scene, {}, flags, verdict.state, notes, clear_frac)
    reflectance = {band: to_reflectance(values, verdict.offset, scene.scale) for band, values in raw.items()}
    return _Read(scene, reflectance, flags, verdict.state, notes, clear_frac)


def _merge(read: Sequence[_Read], grid: Grid) -> tuple[xr.Dataset | None, set[str]]:
    """Lay scenes over one another: clear pixels first, then any with data."""
    if not read:
        return None, set()
    names = sorted({band for one in read for band in one.bands})
    out = {band: np.full(grid.shape, np.nan, dtype="float32") for band in names}
    qa = np.full(grid.shape, int(Quality.NODATA), dtype="uint8")
    filled = np.zeros(grid.shape, dtype=bool)
    used: list[_Read] = []
    for clear_pass in (True, False):
        for one in read:
            take = ~filled & ((one.flags == 0) if clear_pass else ((one.flags & int(Quality.NODATA)) == 0))
            if not take.any():
                continue
            for band, values in one.bands.items():
                out[band][take] = values[take]
            qa[take] = one.flags[take]
            filled |= take
            if one not in used:
                used.append(one)
    if not used:
        return None, set()
    ordered = sorted(used, key=lambda r: r.scene.scene_id)
    y = grid.top - (np.arange(grid.height) + 0.5) * grid.resolution_m
    x = grid.left + (np.arange(grid.width) + 0.5) * grid.resolution_m

    def joined(values: Sequence[object]) -> tuple[str, list[str]]:
        return "time", ["+".join(dict.fromkeys(str(v) for v in values if v is not None))]

    cube = xr.Dataset(
        {**{b: (("time", "y", "x"), v[None]) for b, v in out.items()}, "qa": (("time", "y", "x"), qa[None])},
        coords={
            "time": [np.datetime64(ordered[0].scene.date, "ns")],
            "y": y,
            "x": x,
            "scene_ids": joined([r.scene.scene_id for r in ordered]),
            "provider": joined([r.scene.provider for r in ordered]),
            "processing_baseline": joined([r.scene.processing_baseline for r in ordered]),
            "offset_state": joined([r.state for r in ordered]),
        },
        attrs={"crs": grid.crs, "transform": list(grid.transform)},
    )
    return cube, {r.scene.scene_id for r in used}
