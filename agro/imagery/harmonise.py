"""Digital numbers to reflectance, with the offset decided once.

From processing baseline 04.00 (25 January 2022) Sentinel-2 L2A numbers carry an offset of -1000
(ESA, Sentinel-2 Products Specification Document, ``BOA_ADD_OFFSET``): reflectance =
(DN + offset) / 10000. Applied twice or not at all it shifts every index, so the metadata is held against
the pixels.

What pixels can prove. *Without* the offset: numbers well below 1000 in a band where land can be dark, since
1000 would be reflectance 0. *With* it: a dense canopy that is dark nowhere. The canopy is told by near infrared
minus red, in which the offset cancels; blue and red alone prove nothing, for haze that the classification missed
lifts them above 1000 without any offset, so the shortwave infrared, which sees through haze, has to agree. Bare
and dry land proves neither: then the metadata stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: Offset of the Sentinel-2 numbers from baseline 04.00.
OFFSET_DN = -1000.0
#: Bands in which land can be darker than 0.1.
DARK_BANDS = ("blue", "green", "red", "swir16", "swir22")
#: A number below this would be reflectance below -0.02 if it carried the offset.
DARK_DN = 800.0
#: Share and number of clear pixels below :data:`DARK_DN` that prove numbers without offset.
DARK_SHARE, DARK_PIXELS = 0.02, 20
#: Near infrared - red of a dense canopy.
DENSE_DN = 3500.0
#: Least number of a dense canopy's darker tenth in blue, red and swir22 that proves the offset.
DENSE_FLOOR_DN = {"blue": 1000.0, "red": 1000.0, "swir22": 1200.0}
#: Pixels needed for a verdict.
MIN_PIXELS = 50
#: Bands that the verdict can use; read in addition when those at hand leave it open.
EVIDENCE_BANDS = ("blue", "red", "nir", "swir22")


@dataclass(frozen=True)
class OffsetVerdict:
    """What offset to apply.

    Parameters
    ----------
    offset : float or None
        In digital numbers; None = quarantined.
    state : str
        ``applied``, ``not_needed``, ``unknown`` (neither stated nor evident, taken as 0) or ``quarantined``.
    reason : str
        In words, empty when metadata and pixels simply agree.
    """

    offset: float | None
    state: str
    reason: str = ""


def is_sentinel2_scale(scale: float) -> bool:
    """Whether numbers are reflectance x 10000, for which alone the check is made."""
    return bool(np.isclose(scale, 1e-4))


def pixel_evidence(bands: Mapping[str, np.ndarray], clear: np.ndarray) -> bool | None:
    """Whether the numbers look as if they carry the offset of +1000.

    Parameters
    ----------
    bands : mapping of str to numpy.ndarray
        (height, width) digital numbers by common name (NaN = nodata), reflectance x 10000.
    clear : numpy.ndarray of bool
        (height, width) pixels to look at.

    Returns
    -------
    bool or None
        True carries it, False does not, None undecided (too few pixels, or neither dark nor densely grown ones).
    """
    dark = [bands[b] for b in DARK_BANDS if b in bands]
    if not dark:
        return None
    darkest = np.fmin.reduce(dark)
    seen = darkest[clear & np.isfinite(darkest)]
    if seen.size < MIN_PIXELS:
        return None
    below = int((seen < DARK_DN).sum())
    if below >= max(DARK_PIXELS, DARK_SHARE * seen.size):
        return False
    if not set(EVIDENCE_BANDS) <= set(bands):
        return None
    dense = (
        clear & (bands["nir"] - bands["red"] >= DENSE_DN) & np.isfinite(bands["blue"]) & np.isfinite(bands["swir22"])
    )
    if int(dense.sum()) < MIN_PIXELS:
        return None
    if all(np.percentile(bands[b][dense], 10) >= floor for b, floor in DENSE_FLOOR_DN.items()):
        return True
    return None


def decide_offset(
    stated: float | None, scale: float, bands: Mapping[str, np.ndarray], clear: np.ndarray
) -> OffsetVerdict:
    """Hold the stated offset against the pixels.

    Parameters
    ----------
    stated : float or None
        Offset of the metadata, in digital numbers; None when it says nothing.
    scale : float
        Reflectance of one number; the check is made for Sentinel-2's 0.0001 only.
    bands, clear
        As :func:`pixel_evidence`.

    Returns
    -------
    OffsetVerdict
        Where the pixels are undecided the metadata stands; where they contradict it the scene is quarantined.
    """
    carries = pixel_evidence(bands, clear) if is_sentinel2_scale(scale) else None
    if stated is None:
        if carries is None:
            return OffsetVerdict(0.0, "unknown", "offset neither stated nor evident from the pixels: taken as 0")
        return OffsetVerdict(
            OFFSET_DN if carries else 0.0, "applied" if carries else "not_needed", "offset decided from the pixels"
        )
    if carries is not None and carries != (stated != 0):
        told = "says that the pixels carry the offset" if stated else "says that the pixels carry no offset"
        seen = "carry it" if carries else "do not"
        return OffsetVerdict(None, "quarantined", f"the metadata {told}, the pixels {seen}")
    return OffsetVerdict(stated, "applied" if stated else "not_needed")


def to_reflectance(numbers: np.ndarray, offset: float, scale: float) -> np.ndarray:
    """Reflectance (float32) = (number + offset) * scale; NaN stays NaN, negatives stay."""
    return ((numbers + offset) * scale).astype("float32")
