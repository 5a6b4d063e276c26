"""Digital numbers to reflectance, with the offset decided once.

From processing baseline 04.00 (25 January 2022) Sentinel-2 L2A numbers carry an offset of -1000
(ESA, Sentinel-2 Products Specification Document, ``BOA_ADD_OFFSET``): reflectance =
(DN + offset) / 10000. Applied twice or not at all it shifts every index, so the metadata is held against
the pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

#: A number below this in a visible band cannot carry the offset (1000 = reflectance 0).
DARK_DN = 900.0
#: Share of clear pixels below :data:`DARK_DN` that proves numbers without offset.
DARK_SHARE = 0.02
#: Difference near infrared - red of dense vegetation; the offset cancels in it.
DENSE_DN = 2500.0
#: Dense vegetation is dark in the visible (reflectance below 0.1), so at or above this it carries the offset.
FLOOR_DN = 1000.0
#: Pixels needed for a verdict.
MIN_PIXELS = 50


@dataclass(frozen=True)
class OffsetVerdict:
    """What offset to apply.

    Parameters
    ----------
    offset : float or None
        In digital numbers; None = quarantined.
    state : str
        ``applied``, ``not_needed`` or ``quarantined``.
    reason : str
        In words, empty when metadata and pixels simply agree.
    """

    offset: float | None
    state: str
    reason: str = ""


def pixel_evidence(bands: Mapping[str, np.ndarray], clear: np.ndarray) -> bool | None:
    """Whether the numbers look as if they carry the offset of +1000.

    Parameters
    ----------
    bands : mapping of str to numpy.ndarray
        Digital numbers (NaN = nodata); blue, green, red and nir count.
    clear : numpy.ndarray of bool
        Pixels to look at.

    Returns
    -------
    bool or None
        True carries it, False does not, None undecided (too few pixels, or neither dark nor densely grown ones).
    """
    visible = [bands[b] for b in ("blue", "green", "red") if b in bands]
    if not visible:
        return None
    darkest = np.fmin.reduce(visible)
    seen = darkest[clear & np.isfinite(darkest)]
    if seen.size < MIN_PIXELS:
        return None
    if (seen < DARK_DN).mean() >= DARK_SHARE:
        return False
    if not {"blue", "red", "nir"} <= set(bands):
        return None
    # Bright soil can pass 1000 everywhere without any offset, in red even between plants: only the blue of dense
    # vegetation proves that it is there.
    dense = darkest[clear & (bands["nir"] - bands["red"] >= DENSE_DN)]
    if dense.size >= MIN_PIXELS and np.percentile(dense, 10) >= FLOOR_DN:
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
    """
    if not np.isclose(scale, 1e-4):
        return OffsetVerdict(stated or 0.0, "applied" if stated else "not_needed")
    carries = pixel_evidence(bands, clear)
    if stated is None:
        if carries is None:
            return OffsetVerdict(0.0, "not_needed", "offset neither stated nor evident from the pixels: taken as 0")
        return OffsetVerdict(
            -1000.0 if carries else 0.0, "applied" if carries else "not_needed", "offset decided from the pixels"
        )
    if carries is not None and carries != (stated != 0):
        told = "says that the pixels carry the offset" if stated else "says that the pixels carry no offset"
        seen = "carry it" if carries else "do not"
        return OffsetVerdict(None, "quarantined", f"the metadata {told}, the pixels {seen}")
    return OffsetVerdict(stated, "applied" if stated else "not_needed")


def to_reflectance(numbers: np.ndarray, offset: float, scale: float) -> np.ndarray:
    """Reflectance (float32) = (number + offset) * scale; NaN stays NaN, negatives stay."""
    return ((numbers + offset) * scale).astype("float32")
