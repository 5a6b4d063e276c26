"""Which cells of the common lattice hold parcels."""

from __future__ import annotations

import math

import geopandas as gpd
from shapely.geometry import box

from agro.schema.grid import CELL_M, Cells


def cells_by_parcel(parcels: gpd.GeoDataFrame, crs: str, margin_m: float) -> dict[tuple[int, int], list[str]]:
    """Parcels that each cell serves.

    Parameters
    ----------
    parcels : geopandas.GeoDataFrame
        Table ``parcels``.
    crs : str
        Projected CRS of the cells.
    margin_m : float
        Room around the parcels, so that clouds just outside are seen.

    Returns
    -------
    dict
        (column, row) -> ``parcel_uid``, sorted; a parcel over an edge is served by several cells.
    """
    found: dict[tuple[int, int], list[str]] = {}
    projected = parcels.to_crs(crs)
    for uid, outline in zip(projected["parcel_uid"], projected.geometry, strict=True):
        room = outline.buffer(margin_m)
        left, bottom, right, top = room.bounds
        for column in range(math.floor(left / CELL_M), math.floor(right / CELL_M) + 1):
            for row in range(math.floor(bottom / CELL_M), math.floor(top / CELL_M) + 1):
                square = box(column * CELL_M, row * CELL_M, (column + 1) * CELL_M, (row + 1) * CELL_M)
                if room.intersects(square):
                    found.setdefault((column, row), []).append(str(uid))
    return {cell: sorted(uids) for cell, uids in sorted(found.items())}


def parcel_cells(parcels: gpd.GeoDataFrame, crs: str, margin_m: float) -> Cells:
    """Cells of :func:`cells_by_parcel`."""
    return Cells(crs, tuple(cells_by_parcel(parcels, crs, margin_m)))
