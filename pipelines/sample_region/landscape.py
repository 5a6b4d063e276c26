"""Parcels, who grows what in them, and the soil under them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from scipy import ndimage
from shapely.geometry import LineString, Polygon, box
from shapely.ops import split

CRS = "EPSG:32629"
LEFT, TOP = 618000.0, 3505000.0
SIZE_PX, PIXEL_M = 250, 10.0
SIDE_M = SIZE_PX * PIXEL_M
COUNT = 60
#: Largest piece that is farmed as one parcel, and smallest, ha.
MAX_HA, MIN_HA = 11.5, 0.35
#: Land of people outside the cooperatives that looks like field n has this number + n.
GROWN_LIKE = 100
#: Wheat that gets no water but rain.
RAINFED = 3
#: Where the weather station stands, m.
STATION_M = (LEFT + 300.0, TOP - SIDE_M + 400.0)
CROPS = {
    # crop: (share, systems with their shares, sowing window as day offsets from 1 September)
    "wheat_winter": (0.34, {"surface": 0.4, "sprinkler": 0.35, "drip": 0.25}, (80, 105)),
    "olive": (0.20, {"drip": 0.6, "surface": 0.4}, None),
    "citrus": (0.10, {"drip": 1.0}, None),
    "sugar_beet": (0.12, {"sprinkler": 0.6, "surface": 0.4}, (35, 55)),
    "alfalfa": (0.12, {"surface": 0.5, "sprinkler": 0.5}, None),
    "maize_silage": (0.12, {"drip": 0.7, "sprinkler": 0.3}, (200, 220)),
}


@dataclass(frozen=True)
class Field:
    """One parcel of the simulated land, with what nobody sees: its grower's habit."""

    uid: str
    outline: Polygon
    crop: str
    system: str
    sown_day: int | None  # day of the season, 0 = 1 September
    flow_m3_h: float
    cooperative: str
    sector: str
    owner_ref: str
    habit: float  # share of the need that the grower gives
    reports: str  # all, some, none
    density: float  # of a stand of trees, about 1
    first_cut_d: int  # day of the season of the first cut of alfalfa


@dataclass(frozen=True)
class Land:
    """Fields, the piece each pixel lies in (-1 none), other land by kind, and the soil as a field of -2 .. 2."""

    fields: list[Field]
    pixel_field: np.ndarray
    other: np.ndarray
    soil: np.ndarray

    def soil_of(self, number: int) -> tuple[float, float]:
        """Mean field capacity and wilting point of a field, m3/m3."""
        inside = self.pixel_field == number
        fc, wp = soil_limits(float(self.soil[inside].mean()) if inside.any() else 0.0)
        return float(fc), float(wp)


def inner_pixels(outline: Polygon, edge_m: float) -> float:
    """Pixels within an outline less an edge."""
    return float(outline.buffer(-edge_m).area / PIXEL_M**2)


def _cut(piece: Polygon, rng: np.random.Generator, limit_ha: float) -> list[Polygon]:
    """Split a piece across its longer side until it is small enough; roads and canals stay between."""
    if piece.area / 1e4 <= limit_ha:
        return [piece]
    frame = piece.minimum_rotated_rectangle
    corners = shapely.get_coordinates(frame)
    sides = np.hypot(*np.diff(corners, axis=0).T)
    long = int(np.argmax(sides[:2]))
    along = (corners[long + 1] - corners[long]) / sides[long]
    share = rng.uniform(0.35, 0.65)
    middle = corners[long] + along * sides[long] * share
    angle = np.radians(rng.normal(0, 3))
    across = np.array(
        [-along[1] * np.cos(angle) - along[0] * np.sin(angle), along[0] * np.cos(angle) - along[1] * np.sin(angle)]
    )
    line = LineString([middle - across * 5000, middle + across * 5000])
    gap = rng.choice([6.0, 9.0, 16.0], p=[0.6, 0.3, 0.1])
    parts = [p for p in split(piece, line).geoms if p.area > 500]
    out = []
    for part in parts:
        open_part = part.difference(line.buffer(gap / 2, cap_style="flat"))
        if isinstance(open_part, Polygon) and open_part.area > 500:
            out += _cut(
                open_part, rng, float(np.exp(rng.uniform(np.log(2.0), np.log(MAX_HA)))) if part.area < 1.6e5 else MAX_HA
            )
    return out


def make_land(rng: np.random.Generator) -> Land:
    """Lay out the land."""
    square = box(LEFT + 15, TOP - SIDE_M + 15, LEFT + SIDE_M - 15, TOP - 15)
    pieces = [p.simplify(0.5) for p in _cut(square, rng, MAX_HA)]
    pieces = [
        p for p in pieces if MIN_HA * 1e4 <= p.area <= MAX_HA * 1e4 and p.minimum_rotated_rectangle.area < 1.6 * p.area
    ]
    order = rng.permutation(len(pieces))
    chosen = [pieces[i] for i in order[: COUNT - 2]]
    rest = [pieces[i] for i in order[COUNT - 2 :]]
    # Two ribbons along a canal, too narrow to be seen from space.
    ribbon = rest.pop(0)
    middle = ribbon.centroid
    chosen += [
        box(middle.x - 60, middle.y + 20, middle.x + 60, middle.y + 34),
        box(middle.x - 60, middle.y - 20, middle.x + 55, middle.y - 5),
    ]
    soil = ndimage.gaussian_filter(rng.standard_normal((SIZE_PX, SIZE_PX)), 18)
    soil = 0.8 * soil / soil.std() + 0.35 * (lambda f: f / f.std())(
        ndimage.gaussian_filter(rng.standard_normal((SIZE_PX, SIZE_PX)), 4)
    )
    fields = [_field(number, outline, rng) for number, outline in enumerate(chosen)]
    wheat = [number for number, field in enumerate(fields) if field.crop == "wheat_winter" and number >= 12]
    for number in wheat[:RAINFED]:
        fields[number] = replace(fields[number], system="rainfed", flow_m3_h=0.0, reports="none")
    pixel_field = _burn([f.outline for f in fields])
    # Of the land of others some is fallow (1), some bare (2), the rest grown like one of the fields.
    kinds = rng.choice([1, 2, GROWN_LIKE], size=len(rest), p=[0.35, 0.2, 0.45])
    kinds = np.where(kinds == GROWN_LIKE, GROWN_LIKE + rng.integers(0, COUNT - 2, len(rest)), kinds)
    lies_in = _burn(rest)
    other = np.where(lies_in >= 0, kinds[lies_in], 0)
    return Land(fields, pixel_field, other, np.clip(soil, -2, 2))


def _field(number: int, outline: Polygon, rng: np.random.Generator) -> Field:
    names = list(CROPS)
    crop = str(rng.choice(names, p=[CROPS[c][0] for c in names]))
    if number < 12:
        crop = names[number % 6]  # every crop at least twice
    systems = CROPS[crop][1]
    system = str(rng.choice(list(systems), p=list(systems.values())))
    window = CROPS[crop][2]
    sown = None if window is None else int(rng.integers(*window))
    area_ha = outline.area / 1e4
    digest = hashlib.sha256(f"sample-{number}".encode()).hexdigest()
    flow = float(area_ha * rng.uniform(6, 12)) if system == "drip" else float(rng.choice([30, 45, 60, 90]))
    reports = str(rng.choice(["all", "some", "none"], p=[0.6, 0.28, 0.12]))
    return Field(
        uid=f"p-{digest[:8]}", outline=outline, crop=crop, system=system, sown_day=sown, flow_m3_h=max(round(flow), 5.0),
        cooperative="Coop A" if outline.centroid.x < LEFT + SIDE_M / 2 else "Coop B", sector=f"S{1 + int((TOP - outline.centroid.y) // (SIDE_M / 3))}",
        owner_ref=f"o-{digest[8:14]}", habit=float(np.clip(rng.normal(0.95, 0.2), 0.5, 1.35)), reports=reports,
        density=float(rng.uniform(0.7, 1.2)),
        first_cut_d=int(rng.integers(8, 32)),
    )  # fmt: skip


def _burn(outlines: list[Polygon]) -> np.ndarray:
    """Which outline each pixel's centre lies in, -1 for none."""
    x = LEFT + (np.arange(SIZE_PX) + 0.5) * PIXEL_M
    y = TOP - (np.arange(SIZE_PX) + 0.5) * PIXEL_M
    out = np.full((SIZE_PX, SIZE_PX), -1)
    xx, yy = np.meshgrid(x, y)
    for number, outline in enumerate(outlines):
        out[shapely.contains_xy(outline, xx, yy)] = number
    return out


def soil_limits(value: Any) -> tuple[Any, Any]:
    """Field capacity and wilting point of a soil value: loam to clay loam of the Haouz (FAO-56 Table 19 ranges)."""
    return 0.27 + 0.03 * np.asarray(value), 0.13 + 0.018 * np.asarray(value)
