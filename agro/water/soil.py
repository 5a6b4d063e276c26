"""Water limits of the root zone and of the evaporating surface layer."""

from __future__ import annotations

import numpy as np

from agro.schema.errors import ContractError

#: Depth of the surface layer that dries by evaporation, m (FAO-56: 0.10 .. 0.15).
SURFACE_LAYER_M = 0.10
#: Readily evaporable water, mm, held below this share of the total (FAO-56 Table 19: 2 .. 12 mm).
REW_OF_TEW = 0.45


def available_water_mm(
    top_m: np.ndarray,
    bottom_m: np.ndarray,
    fc: np.ndarray,
    wp: np.ndarray,
    stones_frac: np.ndarray,
    depth_m: np.ndarray,
) -> np.ndarray:
    """Total available water down to each depth: 1000 * sum (fc - wp) dz (1 - stones) (FAO-56 eq. 82 by layers).

    Parameters
    ----------
    top_m, bottom_m, fc, wp, stones_frac : numpy.ndarray
        (layers,) of one parcel, from the top; the lowest layer goes on below.
    depth_m : numpy.ndarray
        Any shape.
    """
    order = np.argsort(top_m)
    edges = bottom_m[order].astype(float)
    edges[-1] = np.inf
    starts = top_m[order].astype(float)
    starts[0] = 0.0
    held = 1000.0 * ((fc - wp) * (1.0 - stones_frac))[order]
    depth = np.asarray(depth_m, dtype=float)[..., None]
    return (np.clip(np.minimum(depth, edges) - starts, 0.0, None) * held).sum(axis=-1)


def layered_water_mm(
    top_m: np.ndarray, bottom_m: np.ndarray, held_m3_m3: np.ndarray, depth_m: np.ndarray
) -> np.ndarray:
    """Water held down to each depth, all parcels and members at once: 1000 * sum held dz.

    Parameters
    ----------
    top_m, bottom_m : numpy.ndarray
        (layers,) or (layers, parcels), from the top; the first layer begins at the surface, the lowest goes on below.
    held_m3_m3 : numpy.ndarray
        (layers, ..., parcels) water of the layer, for available water (fc - wp) (1 - stones); between them the members, if any.
    depth_m : numpy.ndarray
        (days, parcels): members share their parcel's roots.

    Returns
    -------
    numpy.ndarray
        (days, ..., parcels).
    """
    layers = len(held_m3_m3)
    if not layers:
        raise ContractError("no layer", where="soil", do="Give at least one")
    total = np.zeros((depth_m.shape[0], *held_m3_m3.shape[1:]))
    part = np.empty_like(total)
    between = tuple(range(1, held_m3_m3.ndim - 1))
    for layer, held in enumerate(held_m3_m3):
        start = 0.0 if layer == 0 else top_m[layer]
        reach = depth_m if layer == layers - 1 else np.minimum(depth_m, bottom_m[layer])
        thickness_mm = 1000.0 * np.maximum(reach - start, 0.0)
        np.multiply(np.expand_dims(thickness_mm, between), held, out=part)
        total += part
    return total


def surface_layer(fc: np.ndarray, wp: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Total (eq. 73) and readily evaporable water of the surface layer, mm."""
    tew = 1000.0 * (fc - 0.5 * wp) * SURFACE_LAYER_M
    return tew, np.clip(REW_OF_TEW * tew, 2.0, 12.0)
