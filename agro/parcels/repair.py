"""Outlines made valid, or refused with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

#: Share of the area that a repair may change.
MAX_CHANGE_FRAC = 0.10
#: Parts of a repaired outline smaller than this share of it are dropped.
SLIVER_FRAC = 0.001


@dataclass(frozen=True)
class Outline:
    """A valid outline and what was done to it, or None and why."""

    geometry: Polygon | MultiPolygon | None
    done: str | None = None
    reason: str = ""
    remedy: str = ""


def repair_outline(geometry: BaseGeometry | None) -> Outline:
    """Make an outline a valid (multi)polygon without a third dimension.

    Self-crossings are resolved by :func:`shapely.make_valid`; an outline whose area changes by more than
    10 % in that is refused, for nobody can know which side was meant.

    Parameters
    ----------
    geometry : shapely geometry or None
        In any CRS whose units are proportional on the spot.
    """
    if geometry is None or geometry.is_empty:
        return Outline(None, reason="no outline", remedy="Draw the parcel's boundary")
    if geometry.geom_type not in {"Polygon", "MultiPolygon", "GeometryCollection"}:
        return Outline(None, reason=f"a {geometry.geom_type}, not a polygon", remedy="Give the parcel's boundary as a polygon")
    if not _finite(geometry):
        return Outline(None, reason="a coordinate is not a number", remedy="Draw the boundary again")
    flat = shapely.force_2d(geometry)
    done = []
    if shapely.has_z(geometry):
        done.append("height dropped")
    if not flat.is_valid:
        why = shapely.is_valid_reason(flat).split("[")[0].strip().lower()
        # The signed area: lobes of opposite sense cancel, so that a bow tie has hardly any.
        before = float(shapely.area(flat))
        flat = shapely.make_valid(flat)
        mended = _polygonal(flat)
        if mended is None:
            return Outline(None, reason=f"{why}, and nothing with an area is left", remedy="Draw the boundary again")
        if abs(mended.area - before) > MAX_CHANGE_FRAC * mended.area:
            return Outline(None, reason=f"{why}: mending it would change the area by more than 10 %", remedy="Draw the boundary again without crossing lines")
        done.append(f"{why} mended")
        flat = mended
    outline = _polygonal(flat)
    if outline is None or outline.area == 0:
        return Outline(None, reason="no area", remedy="Draw the parcel's boundary")
    return Outline(shapely.normalize(outline), "; ".join(done) or None)


def _finite(geometry: BaseGeometry) -> bool:
    import numpy as np

    return bool(np.isfinite(shapely.get_coordinates(geometry)).all())


def _polygonal(geometry: BaseGeometry) -> Polygon | MultiPolygon | None:
    parts = [p for p in shapely.get_parts(geometry, return_index=False) if p.geom_type in {"Polygon", "MultiPolygon"}]
    polygons = [q for p in parts for q in shapely.get_parts(p)]
    total = sum(p.area for p in polygons)
    kept = [p for p in polygons if p.area > SLIVER_FRAC * total]
    if not kept:
        return None
    return kept[0] if len(kept) == 1 else MultiPolygon(kept)


def outline_digest(geometry: BaseGeometry) -> str:
    """Digest of a valid outline in EPSG:4326, to about a centimetre; the order of its points does not count."""
    rounded = shapely.normalize(shapely.set_precision(geometry, 1e-7))
    return hashlib.sha256(shapely.to_wkb(rounded, byte_order=1)).hexdigest()[:16]
