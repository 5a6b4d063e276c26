"""Water limits from texture and organic matter."""

from __future__ import annotations

import numpy as np

#: Standard errors of the estimates at 33 and 1500 kPa, m3/m3 (Saxton & Rawls 2006, Table 1).
FC_ERROR_M3_M3 = 0.05
WP_ERROR_M3_M3 = 0.02
#: Organic matter in organic carbon (van Bemmelen).
OM_PER_CARBON = 1.724
#: The equations were fitted to soils within these bounds (same paper): more clay or organic matter is held at them.
MAX_CLAY_FRAC = 0.6
MAX_ORGANIC_MATTER_PERCENT = 8.0


def saxton_rawls(
    sand_frac: np.ndarray, clay_frac: np.ndarray, organic_matter_percent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Field capacity and wilting point of the fine earth.

    Equations 1 and 2 of Saxton, K. E. & Rawls, W. J. (2006), Soil water characteristic estimates by texture and
    organic matter for hydrologic solutions, Soil Sci. Soc. Am. J. 70:1569-1578, doi:10.2136/sssaj2005.0117.

    Parameters
    ----------
    sand_frac, clay_frac : numpy.ndarray
        By mass, 0 .. 1.
    organic_matter_percent : numpy.ndarray
        By mass.

    Returns
    -------
    tuple of numpy.ndarray
        Water content at 33 kPa and at 1500 kPa, m3/m3. NaN in gives NaN out.
    """
    s = np.asarray(sand_frac, float)
    c = np.minimum(np.asarray(clay_frac, float), MAX_CLAY_FRAC)
    om = np.minimum(np.asarray(organic_matter_percent, float), MAX_ORGANIC_MATTER_PERCENT)
    dry = -0.024 * s + 0.487 * c + 0.006 * om + 0.005 * s * om - 0.013 * c * om + 0.068 * s * c + 0.031
    wet = -0.251 * s + 0.195 * c + 0.011 * om + 0.006 * s * om - 0.027 * c * om + 0.452 * s * c + 0.299
    return wet + 1.283 * wet**2 - 0.374 * wet - 0.015, dry + 0.14 * dry - 0.02
