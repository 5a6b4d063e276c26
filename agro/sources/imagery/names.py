"""What names say: bands, days, processing baselines, products."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from agro.schema.bands import SENTINEL2_COMMON_NAMES

COMMON = {*SENTINEL2_COMMON_NAMES.values(), "scl"}
_NATIVE = re.compile(r"(?:^|[^A-Za-z0-9])(B0?\d{1,2}|B8A|SCL)(?:[_-]?\d{2}m)?(?:$|[^A-Za-z0-9])", re.IGNORECASE)
_RESOLUTION = re.compile(r"[_-](\d{2})m$", re.IGNORECASE)
_DATE = re.compile(r"(?<!\d)(20\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")
_BASELINE = re.compile(r"(\d{1,2})\.(\d{1,2})|(?<!\d)(\d{2})(\d{2})(?!\d)")
#: Product names of the Sentinel-2 ground segment (ESA, Products Specification Document).
_PRODUCT = re.compile(r"(S2[A-D])_MSI(L1C|L2A)_(\d{8}T\d{6})_N(\d{4})_R(\d{3})_T(\d{2}[A-Z]{3})")
#: Baseline from which the offset is in the pixels (25 January 2022), and that offset.
OFFSET_BASELINE, OFFSET_DN = 4.0, -1000.0
#: Baseline that products processed outside the ground segment carry; it tells nothing.
OWN_PROCESSING = 99.99


def common_name(text: str) -> str | None:
    """Common name of a band, from a key, variable or file name; None when it is not a band.

    >>> common_name("B04"), common_name("S2-L2A-B8A"), common_name("T29SPR_B11_20m"), common_name("red")
    ('red', 'nir08', 'swir16', 'red')
    """
    lowered = _RESOLUTION.sub("", text.lower())
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


def resolution_in(text: str) -> int | None:
    """Pixel size that a name ends in, e.g. ``B04_10m`` -> 10."""
    found = _RESOLUTION.search(text)
    return int(found.group(1)) if found else None


def without_band(text: str) -> str:
    """A file's stem without the band that ends it.

    >>> without_band("T29SPR_20220411T110621_B04_10m"), without_band("B04"), without_band("S2B_20220411_red")
    ('T29SPR_20220411T110621', '', 'S2B_20220411')
    """
    stem = _RESOLUTION.sub("", text)
    parts = re.split(r"([^A-Za-z0-9]+)", stem)
    if common_name(parts[-1]):
        return "".join(parts[:-2])
    return stem


def day_in(text: str) -> date | None:
    """First date written in a text as YYYYMMDD or YYYY-MM-DD."""
    for found in _DATE.finditer(text):
        try:
            return date(*(int(part) for part in found.groups()))
        except ValueError:
            continue
    return None


def baseline_number(baseline: str | None) -> float | None:
    """Processing baseline as a number, e.g. ``"04.00"``, ``"N0512"``, ``"0301"`` -> 4.0, 5.12, 3.01."""
    found = _BASELINE.search(baseline or "")
    if not found:
        return None
    major, minor, packed_major, packed_minor = found.groups()
    return int(major or packed_major) + int((minor or packed_minor).ljust(2, "0")) / 100


def offset_of_baseline(baseline: str | None) -> float | None:
    """Offset of Level-2A numbers where the metadata states none but the baseline; None when it does not tell.

    >>> offset_of_baseline("02.14"), offset_of_baseline("N0512"), offset_of_baseline("99.99")
    (0.0, -1000.0, None)
    """
    number = baseline_number(baseline)
    if number is None or number >= OWN_PROCESSING:
        return None
    return OFFSET_DN if number >= OFFSET_BASELINE else 0.0


@dataclass(frozen=True)
class Product:
    """What a Sentinel-2 product name says."""

    platform: str
    level: str
    sensed: str
    baseline: str
    relative_orbit: int
    tile: str

    @property
    def datatake(self) -> str:
        """Platform and time of sensing: one acquisition."""
        return f"{self.platform}_{self.sensed}"


def product_in(text: str) -> Product | None:
    """The Sentinel-2 product named in a text, if any."""
    found = _PRODUCT.search(text)
    if not found:
        return None
    platform, level, sensed, baseline, orbit, tile = found.groups()
    return Product(platform, level, sensed, f"{baseline[:2]}.{baseline[2:]}", int(orbit), tile)


def solar_day(moment: datetime, longitude: float) -> date:
    """Local solar day of an acquisition (longitude / 15 hours after UTC)."""
    return (moment + timedelta(hours=longitude / 15)).date()
