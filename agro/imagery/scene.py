"""What is asked of a scene and of a source, whoever provides them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Protocol, TypeVar

import numpy as np

from agro.schema.grid import Grid

_BASELINE = re.compile(r"(\d{1,2})\.(\d{1,2})|(?<!\d)(\d{2})(\d{2})(?!\d)")


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
    def datatake(self) -> str | None:
        """Identifier of the acquisition."""

    @property
    def note(self) -> str:
        """How scale and offset were found."""


S_contra = TypeVar("S_contra", bound=SceneLike, contravariant=True)


class Reader(Protocol[S_contra]):
    """What is asked of a source of one kind of scene."""

    def read(self, scene: S_contra, band: str, grid: Grid) -> np.ndarray:
        """Raw numbers of one band on `grid`."""
        ...


def baseline_of(scene: SceneLike) -> float:
    """Processing baseline as a number (``N0512`` and ``05.12`` are 5.12), 0 when not stated."""
    found = _BASELINE.search(scene.processing_baseline or "")
    if not found:
        return 0.0
    major, minor, packed_major, packed_minor = found.groups()
    return int(major or packed_major) + int((minor or packed_minor).ljust(2, "0")) / 100


def acquisition_of(scene: SceneLike) -> str:
    """What tells the passes of one day apart: the datatake without its baseline, "" when not stated."""
    return re.sub(r"_N\d{2}\.?\d{2}$", "", scene.datatake or "")
