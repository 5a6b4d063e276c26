"""Outlines made valid, or refused with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

#: Share of the area that a repair may change.
MAX_CHANGE_FRAC = 0.10
#: Parts of an outline smaller than this share of it are dropped.
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
    10 % in that is refused, for nobody can know which side was meant. Holes and separate parts are kept.

    Parameters
    ----------
    geometry : shapely geometry or None
        In any CRS whose units are proportional on the spot.

    Returns
    -------
    Outline
        ``done`` says what was mended: height dropped, crossing lines, loose lines or tiny parts dropped.
    """
    if geometry is None or geometry.is_empty:
        return Outline(None, reason="no outline", remedy="Draw the parcel's boundary")
    if geometry.geom_type not in {"Polygon", "MultiPolygon", "GeometryCollection"}:
        return Outline(
            None, reason=f"a {geometry.geom_type}, not a polygon", remedy="Give the parcel's boundary as a polygon"
        )
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        return Outline(None, reason="a coordinate is not a number", remedy="Draw the boundary again")
    done = ["height dropped"] if shapely.has_z(geometry) else []
    flat = shapely.force_2d(geometry)
    if not flat.is_valid:
        why = shapely.is_valid_reason(flat).split("[")[0].strip().lower()
        why = "crossing lines" if "self-intersection" in why else why
        # The signed area: lobes of opposite sense cancel, so that a bow tie has hardly any.
        before = float(shapely.area(flat))
        # By structure: parts that overlap become one, where the linework method would cut a hole.
        flat = shapely.make_valid(flat, method="structure", keep_collapsed=False)
        if not flat.is_valid:
            # GEOS may leave parts that share an edge, each valid; joined, they are.
            flat = shapely.union_all(shapely.get_parts(flat))
        if flat.area == 0:
            return Outline(None, reason=f"{why}, and nothing with an area is left", remedy="Draw the boundary again")
        if abs(flat.area - before) > MAX_CHANGE_FRAC * flat.area:
            return Outline(
                None, reason=f"{why}: mending it would change the area by more than 10 %",
                remedy="Draw the boundary again without crossing lines",
            )  # fmt: skip
        done.append(f"{why} mended")
    outline, dropped = _polygonal(flat)
    if outline is None:
        return Outline(None, reason="no area", remedy="Draw the parcel's boundary")
    if dropped:
        done.append(f"{dropped} loose or tiny part{'s' if dropped > 1 else ''} dropped")
    return Outline(shapely.normalize(outline), "; ".join(done) or None)


def _polygonal(geometry: BaseGeometry) -> tuple[Polygon | MultiPolygon | None, int]:
    """The parts with an area that counts, and how many others there were."""
    parts = [q for p in shapely.get_parts(geometry) for q in shapely.get_parts(p)]
    polygons = [p for p in parts if p.geom_type == "Polygon"]
    total = sum(p.area for p in polygons)
    kept = [p for p in polygons if p.area > SLIVER_FRAC * total]
    if not kept:
        return None, len(parts)
    return kept[0] if len(kept) == 1 else MultiPolygon(kept), len(parts) - len(kept)


def outline_digest(geometry: BaseGeometry) -> str:
    """Digest of a valid outline in EPSG:4326, to about a centimetre; the order of its points does not count."""
    rounded = shapely.normalize(shapely.set_precision(geometry, 1e-7))
    return hashlib.sha256(shapely.to_wkb(rounded, byte_order=1)).hexdigest()[:16]
