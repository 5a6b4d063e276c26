"""A region in pieces that memory can hold: zones, and blocks of the common lattice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely

from agro.schema.grid import CELL_M, Grid

#: Side of a block in cells: 4 cells are 20.48 km.
BLOCK_CELLS = 4
BLOCK_M = BLOCK_CELLS * CELL_M
#: Parcels whose common grid has no more pixels than this are one block: a square of 24 km at 10 m.
MAX_PIXELS = 6.0e6


@dataclass(frozen=True)
class Block:
    """Parcels that are observed together, and the grid over them.

    Parameters
    ----------
    name : str
        ``region`` where one block holds all parcels, else zone, column and row, e.g. ``32629-29-171``.
    grid : Grid
        Over the block's parcels and the margin; at most 2 sides of a block and the margin wide.
    members : numpy.ndarray of int
        Positions of the parcels in their table, rising.
    """

    name: str
    grid: Grid
    members: np.ndarray


def utm_zones(parcels: gpd.GeoDataFrame) -> np.ndarray:
    """EPSG code of the UTM zone (WGS 84) of each parcel's centroid, e.g. ``EPSG:32629`` west of 6 degrees west.

    Parameters
    ----------
    parcels : geopandas.GeoDataFrame
        In any CRS.

    Returns
    -------
    numpy.ndarray of str
        (parcels,). Zones of 6 degrees counted from 180 degrees west; a centroid on the line belongs to the eastern one.
    """
    middle = shapely.centroid(parcels.geometry.to_crs("EPSG:4326").to_numpy())
    longitude, latitude = shapely.get_x(middle), shapely.get_y(middle)
    zone = np.clip(np.floor((longitude + 180.0) / 6.0).astype(int) + 1, 1, 60)
    return np.array([f"EPSG:{(32600 if y >= 0 else 32700) + z}" for z, y in zip(zone, latitude, strict=True)])


def parcels_by_zone(parcels: gpd.GeoDataFrame, crs: str | None = None) -> dict[str, gpd.GeoDataFrame]:
    """Parcels by the CRS in which they are observed: `crs` for all when given, else the zone of each centroid."""
    if crs is not None:
        return {crs: parcels}
    zones = utm_zones(parcels)
    return {str(zone): parcels[zones == zone] for zone in np.unique(zones)}


def grid_over(parcels: gpd.GeoDataFrame, crs: str, margin_m: float, resolution_m: float = 10.0) -> Grid:
    """The grid over parcels and `margin_m` around them, in `crs`."""
    projected = parcels.to_crs(crs)
    return _grid(projected.total_bounds, projected.crs.to_string(), margin_m, resolution_m)


def parcel_blocks(
    parcels: gpd.GeoDataFrame, crs: str, margin_m: float, resolution_m: float = 10.0
) -> tuple[list[Block], Mapping[int, float]]:
    """Parcels in blocks; each parcel in one, the block of its centroid.

    Parameters
    ----------
    parcels : geopandas.GeoDataFrame
        In any CRS.
    crs : str
        Projected CRS of the grids.
    margin_m : float
        Room around the parcels of a block, so that clouds just outside are seen.
    resolution_m : float
        Pixel size.

    Returns
    -------
    blocks : list of Block
        One for a region of up to :data:`MAX_PIXELS`; else those squares of :data:`BLOCK_M` that hold a centroid, by
        column and row.
    too_wide : mapping of int to float
        Position -> width or height (m) of parcels wider than a block, which no block can hold: left out. Only of
        regions that are not one block.
    """
    projected = parcels.to_crs(crs)
    name = projected.crs.to_string()
    bounds = projected.geometry.bounds.to_numpy()
    extent = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    every = np.arange(len(parcels))

    def over(members: np.ndarray) -> Grid:
        chosen = bounds[members]
        return _grid((*chosen[:, :2].min(axis=0), *chosen[:, 2:].max(axis=0)), name, margin_m, resolution_m)

    def is_small(grid: Grid) -> bool:
        return grid.width * grid.height <= MAX_PIXELS

    if is_small(over(every)):
        return [Block("region", over(every), every)], {}
    too_wide = {int(position): float(extent[position]) for position in np.flatnonzero(extent > BLOCK_M)}
    held = np.flatnonzero(extent <= BLOCK_M)
    if not held.size:
        return [], too_wide
    if is_small(over(held)):
        return [Block("region", over(held), held)], too_wide
    middle = shapely.centroid(projected.geometry.to_numpy()[held])
    squares: dict[tuple[int, int], list[int]] = {}
    for position, x, y in zip(held, shapely.get_x(middle), shapely.get_y(middle), strict=True):
        squares.setdefault((math.floor(x / BLOCK_M), math.floor(y / BLOCK_M)), []).append(int(position))
    zone = name.rpartition(":")[2]
    blocks = []
    for (column, row), positions in sorted(squares.items()):
        members = np.array(positions)
        blocks.append(Block(f"{zone}-{column}-{row}", over(members), members))
    return blocks, too_wide


def _grid(bounds: tuple[float, ...], crs: str, margin_m: float, resolution_m: float) -> Grid:
    left, bottom, right, top = (float(edge) for edge in bounds)
    return Grid.covering((left - margin_m, bottom - margin_m, right + margin_m, top + margin_m), crs, resolution_m)
