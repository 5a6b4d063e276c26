"""Scenes of one day laid over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from agro.imagery.scene import SceneLike, acquisition_of, baseline_of
from agro.schema.bands import Quality
from agro.schema.grid import Grid


@dataclass
class ReadScene:
    """One scene on the grid.

    Parameters
    ----------
    scene : SceneLike
    bands : dict of str to numpy.ndarray
        (height, width) float32 reflectance; a band offered that could not be read is absent.
    flags : numpy.ndarray of uint8
        (height, width) :class:`~agro.schema.bands.Quality`.
    offset_state : str
    notes : list of str
        What is to be said of it.
    """

    scene: SceneLike
    bands: dict[str, np.ndarray]
    flags: np.ndarray
    offset_state: str
    notes: list[str] = field(default_factory=list)

    @property
    def has_data(self) -> np.ndarray:
        """Pixels that the scene holds."""
        return (self.flags & int(Quality.NODATA)) == 0

    @property
    def clear_frac(self) -> float | None:
        """Clear share of the grid's pixels that the scene holds; None when it holds none."""
        held = self.has_data
        return float((self.flags == 0).sum() / held.sum()) if held.any() else None


def merge(read: Sequence[ReadScene], names: Sequence[str], grid: Grid) -> tuple[xr.Dataset | None, set[str]]:
    """Lay scenes over one another; each pixel is taken from one scene.

    Deliveries of one acquisition: the highest processing baseline (compared as a number) speaks for every pixel
    that it holds, clear or not, so that a newer classification is not overruled by an older one; the others only
    fill what it lacks (the other half of a granule). Different acquisitions of one day: clear pixels go before
    masked ones. A band that the chosen scene could not read is filled from another scene of the day where that one
    is clear.

    Parameters
    ----------
    read : sequence of ReadScene
        Scenes of one day, none of them quarantined.
    names : sequence of str
        Bands of the cube; NaN where no scene has them.
    grid : Grid
        Of all of them.

    Returns
    -------
    cube : xarray.Dataset or None
        See :func:`agro.imagery.read_day`; None when no scene holds a pixel.
    used : set of str
        Ids of the scenes that gave a pixel.
    """
    order = sorted(read, key=lambda one: (-baseline_of(one.scene), len(names) - len(one.bands), one.scene.scene_id))
    owner = np.full(grid.shape, -1, dtype="int16")
    clear_owner = np.zeros(grid.shape, dtype=bool)
    for acquisition in dict.fromkeys(acquisition_of(one.scene) for one in order):
        # Within the acquisition: first come, first served.
        mine = np.full(grid.shape, -1, dtype="int16")
        clear = np.zeros(grid.shape, dtype=bool)
        for number, one in enumerate(order):
            if acquisition_of(one.scene) == acquisition:
                take = (mine < 0) & one.has_data
                mine[take] = number
                clear[take] = one.flags[take] == 0
        better = (mine >= 0) & ((owner < 0) | (clear & ~clear_owner))
        owner[better] = mine[better]
        clear_owner[better] = clear[better]
    if (owner < 0).all():
        return None, set()

    out = {band: np.full(grid.shape, np.nan, dtype="float32") for band in names}
    qa = np.full(grid.shape, int(Quality.NODATA), dtype="uint8")
    gave = [False] * len(order)
    for number, one in enumerate(order):
        take = owner == number
        if not take.any():
            continue
        gave[number] = True
        qa[take] = one.flags[take]
        for band in names:
            if band in one.bands:
                out[band][take] = one.bands[band][take]
    for number, one in enumerate(order):
        for band in names:
            if band in one.bands:
                fill = np.isnan(out[band]) & (qa == 0) & (one.flags == 0) & np.isfinite(one.bands[band])
                if fill.any():
                    out[band][fill] = one.bands[band][fill]
                    gave[number] = True
    used = [one for one, given in zip(order, gave, strict=True) if given]
    return _cube(out, qa, used, grid), {one.scene.scene_id for one in used}


def _cube(bands: dict[str, np.ndarray], qa: np.ndarray, used: Sequence[ReadScene], grid: Grid) -> xr.Dataset:
    ordered = sorted(used, key=lambda one: one.scene.scene_id)

    def joined(values: Sequence[object]) -> tuple[str, list[str]]:
        return "time", ["+".join(dict.fromkeys(str(v) for v in values if v is not None))]

    return xr.Dataset(
        {**{b: (("time", "y", "x"), v[None]) for b, v in bands.items()}, "qa": (("time", "y", "x"), qa[None])},
        coords={
            "time": [np.datetime64(ordered[0].scene.date, "ns")],
            "y": grid.top - (np.arange(grid.height) + 0.5) * grid.resolution_m,
            "x": grid.left + (np.arange(grid.width) + 0.5) * grid.resolution_m,
            "scene_ids": joined([one.scene.scene_id for one in ordered]),
            "provider": joined([one.scene.provider for one in ordered]),
            "processing_baseline": joined([one.scene.processing_baseline for one in ordered]),
            "offset_state": joined([one.offset_state for one in ordered]),
        },
        attrs={"crs": grid.crs, "transform": list(grid.transform)},
    )
