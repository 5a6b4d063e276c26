"""What every imagery source offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from agro.schema.grid import Grid
from agro.schema.tables import empty, validate


@dataclass(frozen=True)
class Scene:
    """One acquisition as a provider offers it.

    Parameters
    ----------
    scene_id : str
        The provider's identifier.
    date : datetime.date
        Local solar day.
    provider : str
        Name of the source.
    assets : mapping of str to str
        Common band name, or ``"scl"``, -> path or variable.
    processing_baseline : str, optional
        E.g. ``"04.00"``.
    relative_orbit : int, optional
    offset : float, optional
        Added to the digital numbers before scaling (0 or -1000 for Sentinel-2); None when the metadata
        does not say.
    scale : float
        Reflectance of one digital number.
    tile, datatake : str, optional
        Tell duplicates and halves of one acquisition.
    note : str
        How scale and offset were found, when not by plain metadata.
    files : tuple of str
        Files on this machine that the pixels are read from: when one changes, what was made of it is out of date.
    source_reason : str, optional
        Why it does not come from the first link of the chain; None when it does.
    """

    scene_id: str
    date: date
    provider: str
    assets: Mapping[str, str]
    processing_baseline: str | None = None
    relative_orbit: int | None = None
    offset: float | None = None
    scale: float = 0.0001
    tile: str | None = None
    datatake: str | None = None
    note: str = ""
    files: tuple[str, ...] = ()
    source_reason: str | None = None


@dataclass(frozen=True)
class SearchResult:
    """Scenes of a period, oldest first, and what could not be read (table ``rejected``)."""

    scenes: list[Scene]
    rejected: pd.DataFrame = field(repr=False)

    @classmethod
    def of(cls, scenes: Iterable[Scene], rejected: Sequence[Mapping[str, str]]) -> SearchResult:
        """From scenes in any order and rows made by :func:`rejection`."""
        table = validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected")
        return cls(sorted(scenes, key=lambda s: (s.date, s.scene_id)), table)


def rejection(item: str, reason: str, remedy: str) -> dict[str, str]:
    """A row of table ``rejected``."""
    return {"input": "imagery", "item": item, "reason": reason, "remedy": remedy}


@runtime_checkable
class ImagerySource(Protocol):
    """A place where pixels come from.

    A source whose ``read`` may be called from several threads at once says so with an attribute ``concurrent = True``.
    """

    name: str

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes whose solar day is in ``start`` .. ``end``, both included."""
        ...

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """Raw numbers of one band on `grid`.

        Returns
        -------
        numpy.ndarray
            (height, width): float64 with NaN = nodata for a band; uint8 with 0 = nodata for ``"scl"``.
            Coarser pixels are repeated (nearest neighbour); outside the scene is nodata.

        Raises
        ------
        SourceError
            The asset cannot be read; it is named.
        """
        ...
