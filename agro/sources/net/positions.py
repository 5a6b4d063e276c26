"""Positions in what would be sent: found by key, by form and, in plain text, by precision."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from agro.schema.grid import CELL_M

#: Degrees to which points and boxes are rounded: about 11 km, the mesh of the global weather grids.
STEP_DEG = 0.1
#: Keys under which a number is a position.
POINT_KEYS = frozenset(
    {"latitude", "longitude", "lat", "lon", "lng", "x", "y", "easting", "northing", "centroid", "center", "centre",
     "north", "south", "east", "west", "minx", "miny", "maxx", "maxy", "xmin", "ymin", "xmax", "ymax", "point"}
)  # fmt: skip
#: Keys under which a list of numbers is a box or points.
BOX_KEYS = frozenset({"bbox", "area", "bounds", "extent", "coordinates", "coords"})
_GEOMETRIES = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
_WKT = re.compile(r"\b(POINT|LINESTRING|POLYGON|GEOMETRYCOLLECTION|MULTI\w+)(\s+(Z|M|ZM))?\s*\(", re.IGNORECASE)
# 3 decimals of a degree are 100 m; what is coarser and bears no name cannot be told from another number.
_PAIR = re.compile(r"(?<![\d.])(-?\d{1,3}\.\d{3,})\s*[,;/|\s]\s*(-?\d{1,3}\.\d{3,})(?![\d.])")
_NAMED = re.compile(r"\b(?:latitude|longitude|lat|lon|lng)\b[\"']?\s*[=:]\s*[\"']?(-?\d+\.\d+)", re.IGNORECASE)
_NUMBERS_ONLY = re.compile(r"[-+\d.,;\s\[\]]+")


def outward(west: float, south: float, east: float, north: float) -> tuple[float, float, float, float]:
    """A box in degrees rounded outward to `STEP_DEG`: what may leave, whatever lies inside."""
    return _down(west), _down(south), -_down(-east), -_down(-north)


def _down(degrees: float) -> float:
    return round(math.floor(degrees / STEP_DEG + 1e-9) * STEP_DEG, 1)


def in_text(text: str) -> str:
    """What a text shows of positions, or nothing."""
    if _WKT.search(text):
        return "a geometry"
    for found in _NAMED.finditer(text):
        fine = too_fine([float(found.group(1))])
        if fine:
            return fine
    for found in _PAIR.finditer(text):
        if all(abs(float(number)) <= 180 for number in found.groups()):
            fine = too_fine([float(number) for number in found.groups()])
            if fine:
                return fine
    return ""


def under_key(key: str, value: Any) -> str:
    """What a value shows of positions for its key, or nothing; texts are read as JSON or numbers with commas."""
    value = plain(value) if isinstance(value, str) else value
    lowered = key.lower()
    if lowered in POINT_KEYS or (lowered in BOX_KEYS and isinstance(value, list)):
        fine = too_fine(list(_numbers(value)))
        if fine:
            return fine
    return in_document(value)


def in_document(value: Any) -> str:
    """What a JSON value shows of positions, or nothing."""
    if isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _GEOMETRIES and ("coordinates" in value or "geometries" in value):
            if kind != "Point" and not _is_box(value):
                return "an outline"
            return too_fine(list(_numbers(value.get("coordinates"))))
        return next((found for key, inner in value.items() if (found := under_key(str(key), inner))), "")
    if isinstance(value, list):
        numbers = [v for v in value if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if any(_is_place(one, other) for one, other in itertools.pairwise(numbers)):
            return "a position without a name"
        return next((found for inner in value if (found := in_document(inner))), "")
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        inner = plain(value)
        return in_document(inner) if isinstance(inner, (dict, list)) else ""
    return ""


def too_fine(numbers: list[float]) -> str:
    """Says so when any number is finer than a cell or the step of rounded points."""
    if not all(math.isfinite(number) for number in numbers):
        return "a position that is no number"
    degrees = all(abs(number) <= 360 for number in numbers)
    step = STEP_DEG if degrees else CELL_M
    if any(abs(number / step - round(number / step)) > 1e-6 for number in numbers):
        return f"a position finer than {step:g} {'degree' if degrees else 'm'}"
    return ""


def is_numbers_under_key(key: str, text: str) -> bool:
    """Whether a text is only the numbers of a position, in which no id is looked for."""
    return key.lower() in POINT_KEYS | BOX_KEYS and _NUMBERS_ONLY.fullmatch(text) is not None


def plain(text: str) -> Any:
    """A text as JSON, a list of numbers, or itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text


def _is_place(one: float, other: float) -> bool:
    """Whether two neighbours in a list look like a fine place in degrees or in metres of a UTM zone."""
    if abs(one) <= 180 and abs(other) <= 180:
        return all(abs(n * 100 - round(n * 100)) > 1e-6 for n in (one, other))
    low, high = sorted((one, other))
    return 1e5 <= low <= 9e5 and 1e6 <= high <= 1e7 and bool(too_fine([one, other]))


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield float(value) if abs(value) < 1e9 else math.inf  # no place has it, and the largest are no floats
    elif isinstance(value, float):
        yield value
    elif isinstance(value, str):
        try:
            yield float(value)
        except ValueError:
            return
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)


def _is_box(geometry: Mapping[str, Any]) -> bool:
    """Whether a polygon is one rectangle along the axes."""
    rings = geometry.get("coordinates")
    if geometry.get("type") != "Polygon" or not isinstance(rings, list) or len(rings) != 1:
        return False
    ring = rings[0]
    if not isinstance(ring, list) or len(ring) != 5 or not all(isinstance(p, list) and len(p) == 2 for p in ring):
        return False
    return len({str(point[0]) for point in ring}) == 2 and len({str(point[1]) for point in ring}) == 2
