"""One value object for a raster grid, passed everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agro.schema.errors import ContractError


@dataclass(frozen=True)
class Grid:
    """A north-up grid of square pixels.

    Parameters
    ----------
    crs : str
        Projected CRS, e.g. ``"EPSG:32629"``.
    left, top : float
        Outer corner of the first pixel, in CRS units (m).
    resolution_m : float
        Pixel size.
    width, height : int
        Number of columns and rows.
    """

    crs: str
    left: float
    top: float
    resolution_m: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1 or self.resolution_m <= 0:
            raise ContractError(
                f"a grid of {self.width} x {self.height} pixels of {self.resolution_m} m holds nothing",
                do="Check the bounds and the pixel size",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.height, self.width

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in CRS units."""
        return (
            self.left,
            self.top - self.height * self.resolution_m,
            self.left + self.width * self.resolution_m,
            self.top,
        )

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Coefficients (a, b, c, d, e, f) of the affine transform, as ``affine.Affine(*t)``."""
        return (self.resolution_m, 0.0, self.left, 0.0, -self.resolution_m, self.top)

    @classmethod
    def covering(
        cls, bounds: tuple[float, float, float, float], crs: str, resolution_m: float, align_m: float = 20.0
    ) -> Grid:
        """Smallest grid over `bounds` whose edges are multiples of `align_m`.

        Aligning on 20 m makes the 10 m and the 20 m bands of Sentinel-2 share their edges.
        """
        left = math.floor(bounds[0] / align_m) * align_m
        bottom = math.floor(bounds[1] / align_m) * align_m
        right = math.ceil(bounds[2] / align_m) * align_m
        top = math.ceil(bounds[3] / align_m) * align_m
        return cls(
            crs, left, top, resolution_m,
            max(1, round((right - left) / resolution_m)), max(1, round((top - bottom) / resolution_m)),
        )  # fmt: skip
