"""Native band names to common names, and scenes' days from their names."""

from __future__ import annotations

import re
from datetime import date, datetime

from agro.schema.bands import SENTINEL2_COMMON_NAMES

COMMON = {*SENTINEL2_COMMON_NAMES.values(), "scl"}
_NATIVE = re.compile(r"(?:^|[^A-Za-z0-9])(B0?\d{1,2}|B8A|SCL)(?:[_-]?\d{2}m)?(?:$|[^A-Za-z0-9])", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
#: Baseline from which the offset is in the pixels (25 January 2022).
OFFSET_BASELINE = 4.0


def common_name(text: str) -> str | None:
    """Common name of a band, from a key, variable or file name; None when it is not a band.

    >>> common_name("B04"), common_name("S2-L2A-B8A"), common_name("T29SPR_B11_20m"), common_name("red")
    ('red', 'nir08', 'swir16', 'red')
    """
    lowered = text.lower()
    if lowered in COMMON:
        return lowered
    found = _NATIVE.search(text)
    if found:
        native = found.group(1).upper()
        if native == "SCL":
            return "scl"
        if native != "B8A":
            native = f"B{int(native[1:]):02d}"
        return SENTINEL2_COMMON_NAMES.get(native)
    tail = re.split(r"[^a-z0-9]+", lowered)[-1]
    return tail if tail in COMMON else None


def day_in(text: str) -> date | None:
    """First date written in a text as YYYYMMDD or YYYY-MM-DD."""
    found = _DATE.search(text)
    if not found:
        return None
    try:
        return date(*(int(part) for part in found.groups()))
    except ValueError:
        return None


def baseline_number(baseline: str | None) -> float | None:
    """Processing baseline as a number, e.g. ``"04.00"``, ``"N0512"``, ``"0301"`` -> 4.0, 5.12, 3.01."""
    if not baseline:
        return None
    digits = re.sub(r"[^0-9.]", "", baseline)
    try:
        return float(digits) if "." in digits else float(digits) / 100
    except ValueError:
        return None


def solar_day(moment: datetime, longitude: float) -> date:
    """Local solar day of an acquisition (longitude / 15 hours after UTC)."""
    from datetime import timedelta

    return (moment + timedelta(hours=longitude / 15)).date()
