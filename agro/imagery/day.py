"""One solar day of imagery on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Generic, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from agro.imagery.harmonise import EVIDENCE_BANDS, decide_offset, is_sentinel2_scale, pixel_evidence, to_reflectance
from agro.imagery.mask import quality_flags
from agro.imagery.merge import ReadScene, merge
from agro.imagery.scene import Reader, SceneLike
from agro.schema.bands import Quality
from agro.schema.errors import FINAL, AgroError, ContractError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.schema.region import MaskOptions
from agro.schema.tables import empty, validate

S = TypeVar("S", bound=SceneLike)


@dataclass(frozen=True)
class Day:
    """A day's cube (None when no scene could be used), the ``scenes`` table and the ``rejected`` table.

    ``passing``: something could not be read for a reason that may pass, so the day is worth another try.
    """

    cube: xr.Dataset | None
    scenes: pd.DataFrame
    rejected: pd.DataFrame
    passing: bool = False


def group_by_day(scenes: Sequence[S]) -> dict[date, list[S]]:
    """Scenes by solar day, oldest first."""
    days: dict[date, list[S]] = {}
    for scene in sorted(scenes, key=lambda s: (s.date, s.scene_id)):
        days.setdefault(scene.date, []).append(scene)
    return days


def read_day(source: Reader[S], scenes: Sequence[S], grid: Grid, bands: Sequence[str], mask: MaskOptions) -> Day:
    """Read, harmonise, mask and merge the scenes of one solar day.

    Parameters
    ----------
    source : Reader
        Gives raw numbers.
    scenes : sequence
        Scenes of one day.
    grid : Grid
        The grid of the cube.
    bands : sequence of str
        Common names wanted; a band that no scene used offers is absent from the cube, one that is offered and
        cannot be read is NaN.
    mask : MaskOptions
        See :func:`~agro.imagery.mask.quality_flags`.

    Returns
    -------
    Day
        ``cube``: dims (time = 1, y, x); float32 reflectance by band, NaN = missing, negatives kept; ``qa`` uint8,
        0 = clear; per time ``scene_ids``, ``provider``, ``processing_baseline``, ``offset_state``, joined by "+"
        where scenes differ; attributes ``crs`` and ``transform``. ``scenes``: a row a scene, ``clear_frac`` being
        the clear share of the grid's pixels that the scene holds. ``rejected``: scenes and bands that could not be
        read, and scenes whose metadata and pixels disagree on the offset.

    Raises
    ------
    ContractError
        Scenes of more than one day, or one given twice.
    """
    if len({scene.date for scene in scenes}) > 1:
        raise ContractError("scenes of more than one day", where="read_day", do="Group them first: group_by_day")
    if len({scene.scene_id for scene in scenes}) < len(scenes):
        raise ContractError("a scene is given twice", where="read_day", do="Give each scene once")
    wanted = list(dict.fromkeys(bands))
    rejected: list[dict[str, str]] = []
    passing: list[str] = []
    rows: list[dict[str, object]] = []
    read: list[ReadScene] = []
    for scene in sorted(scenes, key=lambda s: s.scene_id):
        row: dict[str, object] = {
            "scene_id": scene.scene_id, "date": pd.Timestamp(scene.date), "provider": scene.provider,
            "processing_baseline": scene.processing_baseline, "offset_state": "unknown",
            "relative_orbit": scene.relative_orbit, "clear_frac": np.nan, "used": False, "reason": None,
        }  # fmt: skip
        rows.append(row)
        try:
            one = _Reading(source, scene, grid, mask, rejected, passing).read(wanted)
        except FINAL:
            # Not the scene's fault: nothing else is to be asked for either.
            raise
        except AgroError as error:
            _note_passing(error, scene.scene_id, passing)
            row["reason"] = error.what
            rejected.append(_reject(scene.scene_id, str(error), error.do or "The other scenes go on"))
            continue
        row.update(offset_state=one.offset_state, clear_frac=one.clear_frac, reason="; ".join(one.notes) or None)
        if one.offset_state == "quarantined":
            rejected.append(
                _reject(scene.scene_id, one.notes[-1], "Check the provider's metadata; the scene is not used")
            )
        else:
            read.append(one)
    offered = {band for one in read for band in one.scene.assets}
    cube, used = merge(read, [band for band in wanted if band in offered], grid)
    holding = {one.scene.scene_id for one in read if one.has_data.any()}
    for row in rows:
        row["used"] = row["scene_id"] in used
        if not row["used"] and row["scene_id"] in {one.scene.scene_id for one in read}:
            why = "adds no pixel to the day's other scenes" if row["scene_id"] in holding else "no pixel on the grid"
            row["reason"] = "; ".join(filter(None, [str(row["reason"] or ""), why]))
    table = validate(pd.DataFrame(rows), "scenes") if rows else empty("scenes")
    left_out = validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected")
    return Day(cube, table, left_out, bool(passing))


def _note_passing(error: AgroError, item: str, passing: list[str]) -> None:
    if getattr(error, "transient", False):
        passing.append(item)


def _reject(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "imagery", "item": item, "reason": reason, "remedy": remedy}


@dataclass
class _Reading(Generic[S]):
    """Reading of one scene."""

    source: Reader[S]
    scene: S
    grid: Grid
    mask: MaskOptions
    rejected: list[dict[str, str]]
    passing: list[str]
    notes: list[str] = field(default_factory=list)

    def read(self, wanted: Sequence[str]) -> ReadScene:
        """Bands wanted, as reflectance with flags.

        Raises
        ------
        NoDataError
            The scene offers none of the bands.
        SourceError
            It can read none of them, or not its classification.
        """
        if self.scene.note:
            self.notes.append(self.scene.note)
        offered = [band for band in wanted if band in self.scene.assets]
        if not offered:
            raise NoDataError(
                f"the scene offers none of {', '.join(wanted)}", where=self.scene.scene_id, do="Ask for other bands"
            )
        # The classification first: without it the bands are of no use.
        if "scl" in self.scene.assets:
            flags = quality_flags(self._numbers("scl"), self.grid.resolution_m, self.mask)
        else:
            flags = np.zeros(self.grid.shape, dtype="uint8")
            self.notes.append("no scene classification: clouds are not masked")
        raw = {band: values for band in offered if (values := self._band(band)) is not None}
        if not raw:
            raise SourceError("no band of the scene can be read", where=self.scene.scene_id, do="Fetch the scene again")
        missing = np.logical_and.reduce([np.isnan(values) for values in raw.values()])
        flags[missing] |= int(Quality.NODATA)
        verdict = decide_offset(self.scene.offset, self.scene.scale, self._evidence(raw, flags == 0), flags == 0)
        if verdict.reason:
            self.notes.append(verdict.reason)
        if verdict.offset is None:
            return ReadScene(self.scene, {}, flags, verdict.state, self.notes)
        offset = verdict.offset
        reflectance = {band: to_reflectance(values, offset, self.scene.scale) for band, values in raw.items()}
        return ReadScene(self.scene, reflectance, flags, verdict.state, self.notes)

    def _band(self, band: str) -> np.ndarray | None:
        """Numbers of a band; None, and a row in ``rejected``, when it cannot be read."""
        try:
            return self._numbers(band)
        except SourceError as error:
            # One broken file costs one band of one scene, not the day.
            self.notes.append(f"{band} cannot be read")
            _note_passing(error, f"{self.scene.scene_id} {band}", self.passing)
            self.rejected.append(
                _reject(f"{self.scene.scene_id} {band}", str(error), "The scene's other bands are used; fetch it again")
            )
            return None

    def _evidence(self, raw: dict[str, np.ndarray], clear: np.ndarray) -> dict[str, np.ndarray]:
        """Bands for the verdict on the offset: those at hand and, only if they leave it open, a few more."""
        if not is_sentinel2_scale(self.scene.scale) or pixel_evidence(raw, clear) is not None:
            return raw
        more = {}
        for band in EVIDENCE_BANDS:
            if band in self.scene.assets and band not in raw:
                try:
                    more[band] = self._numbers(band)
                except (SourceError, NoDataError):
                    # Not asked for: its absence only leaves the verdict open.
                    self.notes.append(f"{band} cannot be read to check the offset")
        return {**raw, **more}

    def _numbers(self, band: str) -> np.ndarray:
        values = self.source.read(self.scene, band, self.grid)
        if values.shape != self.grid.shape:
            raise SourceError(
                f"{band} came with shape {values.shape} for a grid of {self.grid.shape}", where=self.scene.scene_id,
                do="Correct the imagery plugin",
            )  # fmt: skip
        return values
