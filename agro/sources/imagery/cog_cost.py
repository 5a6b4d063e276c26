"""What reading parts of Cloud-Optimized GeoTIFFs is expected to cost: no price, but requests and bytes."""

from __future__ import annotations

from collections.abc import Collection

from agro.schema.bands import SENTINEL2_RESOLUTION_M
from agro.schema.grid import CELL_M, Cells
from agro.sources.net.budget import Estimate
from agro.sources.net.range_file import PIECE

#: Pixels along the side of a block, as both public archives write them.
BLOCK_PX = 1024
#: Bytes of a compressed pixel of 16 bits: an assumption on the safe side; the ledger shows what it was.
BYTES_A_PIXEL = 1.6
#: Pixels along the side of a tile at 10 m (Sentinel-2 Products Specification Document).
TILE_PX = 10980


def plan_parts(cells: Cells, scenes: int, bands: Collection[str]) -> Estimate:
    """Cost of the blocks under the cells, for so many scenes.

    Parameters
    ----------
    cells : Cells
    scenes : int
    bands : collection of str
        Common names, ``"scl"`` among them.

    Returns
    -------
    Estimate
        A header and the blocks of each band of each scene, as if no block were in the cache.
    """
    requests, size = 0, 0.0
    for band in bands:
        side_cells = round(BLOCK_PX * SENTINEL2_RESOLUTION_M.get(band, 20) / CELL_M)
        blocks = len({(column // side_cells, row // side_cells) for column, row in cells.members})
        requests += 1 + blocks
        size += PIECE + blocks * BLOCK_PX**2 * BYTES_A_PIXEL
    return Estimate(requests * scenes, 0.0, size * scenes / 1e6)


def plan_whole_tiles(scenes: int, bands: Collection[str]) -> Estimate:
    """Cost of fetching whole tiles instead, for comparison."""
    pixels = sum((TILE_PX * 10.0 / SENTINEL2_RESOLUTION_M.get(band, 20)) ** 2 for band in bands)
    return Estimate(len(bands) * scenes, 0.0, pixels * BYTES_A_PIXEL * scenes / 1e6)
