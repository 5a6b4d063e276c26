"""One value object for a raster grid, passed everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agro.schema.errors import ContractError

#: Side of a cell (m): 512 pixels of 10 m. Edges are multiples of it in the zone's coordinates, the same for every region.
CELL_M = 5120.0


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

    def part(self, rows: slice, columns: slice) -> Grid:
        """The grid of a window of this one."""
        return Grid(
            self.crs, self.left + columns.start * self.resolution_m, self.top - rows.start * self.resolution_m,
            self.resolution_m, columns.stop - columns.start, rows.stop - rows.start,
        )  # fmt: skip

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


@dataclass(frozen=True)
class Cells:
    """Squares of :data:`CELL_M` that hold parcels: all that is asked of providers, and all that they learn.

    Parameters
    ----------
    crs : str
        Projected CRS.
    members : tuple of (int, int)
        Column and row of each, sorted: the cell's left edge is ``column * CELL_M`` and its bottom ``row * CELL_M``.
    """

    crs: str
    members: tuple[tuple[int, int], ...]

    def bounds(self, member: tuple[int, int]) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) of a cell in CRS units."""
        column, row = member
        return column * CELL_M, row * CELL_M, (column + 1) * CELL_M, (row + 1) * CELL_M

    def grid(self, member: tuple[int, int], resolution_m: float) -> Grid:
        """A cell as a grid."""
        left, _, _, top = self.bounds(member)
        size = round(CELL_M / resolution_m)
        return Grid(self.crs, left, top, resolution_m, size, size)

    def windows(self, grid: Grid) -> list[tuple[slice, slice]]:
        """Rows and columns of `grid` under the cells; neighbours of a row of cells as one.

        Raises
        ------
        ContractError
            The grid is of another CRS.
        """
        if grid.crs != self.crs:
            raise ContractError(f"cells of {self.crs} for a grid of {grid.crs}", where="cells", do="Use one CRS")
        runs: list[list[int]] = []  # row, first column, last column
        for column, row in sorted(self.members, key=lambda m: (m[1], m[0])):
            if runs and runs[-1][0] == row and runs[-1][2] == column - 1:
                runs[-1][2] = column
            else:
                runs.append([row, column, column])
        found = []
        for row, first, last in runs:
            top = max(0, math.floor((grid.top - (row + 1) * CELL_M) / grid.resolution_m + 1e-6))
            bottom = min(grid.height, math.ceil((grid.top - row * CELL_M) / grid.resolution_m - 1e-6))
            left = max(0, math.floor((first * CELL_M - grid.left) / grid.resolution_m + 1e-6))
            right = min(grid.width, math.ceil(((last + 1) * CELL_M - grid.left) / grid.resolution_m - 1e-6))
            if top < bottom and left < right:
                found.append((slice(top, bottom), slice(left, right)))
        return found
