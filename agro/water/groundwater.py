"""What may rise from a shallow water table into the root zone, for ``Forcing.rise_mm``.

Steady upward flow by soil class as AquaCrop takes it (Raes et al., AquaCrop Reference Manual, chapter 3, capillary rise):
CR = exp((ln z - b) / a), z the height of the root zone's bottom above the table, a and b after the class and its saturated
conductivity.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from agro.schema.errors import ContractError

Array = Any
SoilClass = Literal["sandy", "loamy", "sandy_clayey", "silty_clayey"]

#: Slopes and intercepts: a = a0 + a1 Ksat, b = b0 + b1 ln Ksat (Ksat mm/d).
CLASSES = {
    "sandy": (-0.3112, -1e-5, -1.4936, 0.2416),
    "loamy": (-0.4986, 9e-5, -2.1320, 0.4778),
    "sandy_clayey": (-0.5677, -4e-5, -3.7189, 0.5922),
    "silty_clayey": (-0.6366, 8e-4, -1.9165, 0.7063),
}  # fmt: skip
#: A table deeper than this below the roots gives nothing, m; one within them no more than this, mm/d.
REACH_M, MOST_MM = 4.0, 99.0


def capillary_rise_mm(water_table_m: Array, root_depth_m: Array, soil_class: SoilClass, ksat_mm_d: Array) -> Array:
    """Most that rises in a day, mm; NaN (no table known) gives 0.

    Parameters
    ----------
    water_table_m, root_depth_m : array
        Depths below the surface; arrays broadcast.
    soil_class : str
        Of the soil between roots and table: sandy, loamy, sandy_clayey or silty_clayey.
    ksat_mm_d : array
        Its saturated conductivity.
    """
    if soil_class not in CLASSES:
        raise ContractError(
            f"unknown soil class {soil_class!r}", where="capillary rise", do=f"Known: {', '.join(CLASSES)}"
        )
    ksat = np.asarray(ksat_mm_d, dtype=float)
    if np.any(ksat <= 0):
        raise ContractError("a conductivity of 0 or less", where="capillary rise", do="Give Ksat in mm/d")
    a0, a1, b0, b1 = CLASSES[soil_class]
    height = np.asarray(water_table_m, dtype=float) - np.asarray(root_depth_m, dtype=float)
    rise = np.exp((np.log(np.maximum(height, 1e-6)) - (b0 + b1 * np.log(ksat))) / (a0 + a1 * ksat))
    return np.where(height < REACH_M, np.minimum(rise, MOST_MM), 0.0)
