"""What a source over the network is given besides its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pyproj import Transformer

from agro.schema.grid import Cells
from agro.sources.net import Network
from agro.sources.net.positions import outward


@dataclass(frozen=True)
class Remote:
    """Where a source may go, and for which cells.

    Parameters
    ----------
    network : Network
    cells : Cells
        Squares that hold parcels; nothing else is asked for.
    parcels : mapping
        Cell -> ids of the parcels it serves, for the ledger on this machine.
    bands : tuple of str
        Common names that the run will read, for sources that fetch several at once; empty when not known.
    """

    network: Network
    cells: Cells
    parcels: Mapping[tuple[int, int], tuple[str, ...]] = field(default_factory=dict)
    bands: tuple[str, ...] = ()

    def cell_box(self, member: tuple[int, int]) -> tuple[float, float, float, float]:
        """(west, south, east, north) of a cell in degrees, not rounded: for use on this machine."""
        return _degrees(self.cells.crs, self.cells.bounds(member))

    def box(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) of all cells in degrees, rounded outward to what may leave."""
        boxes = [self.cell_box(member) for member in self.cells.members]
        west, south = min(b[0] for b in boxes), min(b[1] for b in boxes)
        east, north = max(b[2] for b in boxes), max(b[3] for b in boxes)
        return outward(west, south, east, north)


def _degrees(crs: str, bounds: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    west, south, east, north = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform_bounds(*bounds)
    return float(west), float(south), float(east), float(north)
