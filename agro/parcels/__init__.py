"""Field boundaries: read, repaired or rejected, and read off the pixels by coverage."""

from agro.parcels.coverage import CoverageWeights
from agro.parcels.observe import observe_day
from agro.parcels.read import ParcelSet, read_parcels
from agro.parcels.table import observe_table

__all__ = ["CoverageWeights", "ParcelSet", "observe_day", "observe_table", "read_parcels"]
