"""A source whose scenes are arrays, as a third party might write one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from agro.schema.errors import SourceError
from agro.schema.grid import Grid

DAY = date(2022, 3, 8)
GRID = Grid("EPSG:32629", 600000.0, 3500000.0, 10.0, 12, 10)


@dataclass(frozen=True)
class MemoryScene:
    scene_id: str
    pixels: Mapping[str, np.ndarray]
    date: date = DAY
    provider: str = "memory"
    processing_baseline: str | None = None
    relative_orbit: int | None = None
    offset: float | None = 0.0
    scale: float = 0.0001
    datatake: str | None = None
    note: str = ""
    #: Bands whose file is broken.
    broken: tuple[str, ...] = ()

    @property
    def assets(self) -> Mapping[str, str]:
        return {band: band for band in self.pixels}


@dataclass
class MemorySource:
    reads: list[tuple[str, str]] = field(default_factory=list)

    def read(self, scene: MemoryScene, band: str, grid: Grid) -> np.ndarray:
        self.reads.append((scene.scene_id, band))
        if band in scene.broken:
            raise SourceError("cannot be read", where=f"{scene.scene_id}/{band}.tif", do="Fetch it again")
        values = scene.pixels[band]
        return values.copy() if band == "scl" else np.where(values == 0, np.nan, values.astype("float64"))


def scene(scene_id: str = "a", level: float = 500, classes: int | np.ndarray = 4, **extra: object) -> MemoryScene:
    """A scene of even numbers: red `level`, nir 3000 above, swir16 1500 above."""
    full = np.ones(GRID.shape)
    pixels = {
        "red": full * level,
        "nir": full * (level + 3000),
        "swir16": full * (level + 1500),
        "scl": np.broadcast_to(np.asarray(classes, dtype="uint8"), GRID.shape).copy(),
    }
    pixels |= extra.pop("pixels", {})  # type: ignore[arg-type]
    return MemoryScene(scene_id, pixels, **extra)  # type: ignore[arg-type]


def half(one: MemoryScene, west: bool) -> MemoryScene:
    """The scene with nodata on its other side."""
    from dataclasses import replace

    keep = np.zeros(GRID.shape, dtype=bool)
    keep[:, : GRID.width // 2] = west
    keep[:, GRID.width // 2 :] = not west
    return replace(one, pixels={band: np.where(keep, values, 0) for band, values in one.pixels.items()})
