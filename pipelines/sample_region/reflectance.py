"""Reflectance of soil and plants by a linear mixture of endmembers.

Endmembers are rounded after green leaves, dry plant matter and loamy soils of the USGS Spectral Library version 7 (Kokaly et
al. 2017, doi 10.3133/ds1035), averaged over Sentinel-2's bands. Wet soil is darker: reflectance falls towards half of dry with
the surface's moisture (Lobell & Asner 2002, doi 10.2136/sssaj2002.7220).
"""

from __future__ import annotations

import numpy as np

BANDS = ("blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "swir16", "swir22")
SOIL = np.array([0.095, 0.130, 0.175, 0.198, 0.212, 0.224, 0.236, 0.245, 0.320, 0.285])
GREEN = np.array([0.020, 0.050, 0.022, 0.092, 0.345, 0.445, 0.480, 0.490, 0.200, 0.090])
DRY = np.array([0.090, 0.140, 0.200, 0.225, 0.255, 0.280, 0.300, 0.320, 0.360, 0.270])
WET_SHARE = np.array([0.55, 0.54, 0.52, 0.52, 0.52, 0.52, 0.52, 0.51, 0.45, 0.42])


def mixture(
    cover: np.ndarray, dry_cover: np.ndarray, wetness: np.ndarray, soil_brightness: np.ndarray, vigour: np.ndarray
) -> np.ndarray:
    """Reflectance, (bands, ...): green cover, dry plant cover and the rest soil.

    Parameters
    ----------
    cover, dry_cover : numpy.ndarray
        Shares of the ground, 0..1.
    wetness : numpy.ndarray
        Moisture of the surface, 0 dry .. 1 wet.
    soil_brightness : numpy.ndarray
        Factor on the dry soil.
    vigour : numpy.ndarray
        Chlorophyll and leaf water, about 1: the red edge and the short-wave infrared follow it.
    """
    shape = (len(BANDS), *([1] * np.ndim(cover)))
    green, dry, soil, wet = (a.reshape(shape) for a in (GREEN, DRY, SOIL, WET_SHARE))
    edge = np.array([0, 0, 0, -0.25, -0.06, 0, 0, 0, -0.35, -0.35]).reshape(shape)
    leaf = green * (1 + edge * (vigour - 1))
    ground = soil * soil_brightness * (1 - (1 - wet) * wetness)
    bare = np.clip(1 - cover - dry_cover, 0, 1)
    return cover * leaf + dry_cover * dry + bare * ground


def ndvi(cover: np.ndarray, dry_cover: np.ndarray, wetness: np.ndarray) -> np.ndarray:
    """NDVI of the mixture with average soil and vigour."""
    one = np.ones_like(np.asarray(cover, dtype=float))
    r = mixture(np.asarray(cover), np.asarray(dry_cover), np.asarray(wetness), one, one)
    red, nir = r[BANDS.index("red")], r[BANDS.index("nir")]
    return (nir - red) / (nir + red)
