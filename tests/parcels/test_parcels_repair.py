from __future__ import annotations

import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from agro.parcels.repair import outline_digest, repair_outline

SQUARE = "POLYGON((0 0,10 0,10 10,0 10,0 0))"


def repaired(wkt: str):
    return repair_outline(shapely.from_wkt(wkt))


def test_a_valid_outline_is_left_alone():
    outline = repaired(SQUARE)
    assert outline.done is None
    assert outline.geometry.equals(shapely.from_wkt(SQUARE))


@pytest.mark.parametrize(
    "wkt, area",
    [
        ("POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,4 2,4 4,2 4,2 2))", 96.0),  # hole
        ("MULTIPOLYGON(((0 0,10 0,10 10,0 10,0 0)),((20 0,25 0,25 5,20 5,20 0)))", 125.0),  # two parts
    ],
)
def test_holes_and_parts_are_kept(wkt, area):
    outline = repaired(wkt)
    assert outline.done is None
    assert outline.geometry.area == pytest.approx(area)


@pytest.mark.parametrize(
    "wkt, area, done",
    [
        ("POLYGON Z((0 0 5,10 0 5,10 10 5,0 10 5,0 0 5))", 100.0, "height dropped"),
        # A small crossing on an edge: square, tip on the edge (0.0125) and lobe beyond the crossing (0.1125).
        ("POLYGON((0 0,10 0,10 10,4.9 10,5.1 11,4.8 11,5 10,0 10,0 0))", 100.125, "crossing lines mended"),
        # A spike out and back.
        ("POLYGON((0 0,10 0,10 10,12 12,10 10,0 10,0 0))", 100.0, "crossing lines mended"),
        # Parts that overlap a little become one: no hole is cut where they overlap.
        ("MULTIPOLYGON(((0 0,10 0,10 10,0 10,0 0)),((9.8 0,20 0,20 10,9.8 10,9.8 0)))", 200.0, "crossing lines mended"),
        # A sliver of 0.01 beside the parcel.
        ("MULTIPOLYGON(((0 0,10 0,10 10,0 10,0 0)),((20 0,20.1 0,20.1 0.1,20 0.1,20 0)))", 100.0, "1 loose or tiny part dropped"),
        ("GEOMETRYCOLLECTION(POLYGON((0 0,10 0,10 10,0 10,0 0)),LINESTRING(0 0,1 1))", 100.0, "1 loose or tiny part dropped"),
    ],
)  # fmt: skip
def test_what_can_be_mended_is_mended_and_said(wkt, area, done):
    outline = repaired(wkt)
    assert outline.geometry is not None
    assert outline.geometry.is_valid and not outline.geometry.has_z
    assert outline.geometry.area == pytest.approx(area, rel=1e-6)
    assert outline.done == done


@pytest.mark.parametrize(
    "wkt, reason",
    [
        ("POLYGON((0 0,10 10,10 0,0 10,0 0))", "more than 10 %"),  # bow tie
        ("POLYGON((0 0,5 5,10 10,0 0))", "nothing with an area"),
        ("POINT(1 1)", "a Point, not a polygon"),
        ("LINESTRING(0 0,1 1)", "not a polygon"),
        ("GEOMETRYCOLLECTION(LINESTRING(0 0,1 1))", "no area"),
        ("POLYGON EMPTY", "no outline"),
    ],
)
def test_what_cannot_be_mended_is_refused_with_a_reason(wkt, reason):
    outline = repaired(wkt)
    assert outline.geometry is None
    assert reason in outline.reason
    assert outline.remedy


def test_no_outline_at_all():
    assert repair_outline(None).reason == "no outline"


def test_digest_does_not_depend_on_where_the_ring_starts_or_how_it_turns():
    a = shapely.from_wkt("POLYGON((0 0,0.01 0,0.01 0.01,0 0.01,0 0))")
    b = shapely.from_wkt("POLYGON((0.01 0.01,0.01 0,0 0,0 0.01,0.01 0.01))")
    c = shapely.from_wkt("POLYGON((0 0,0.01 0,0.01 0.010001,0 0.01,0 0))")
    assert outline_digest(a) == outline_digest(b) != outline_digest(c)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=3, max_size=9))
@example([(1, 3), (4, 0), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0)])  # GEOS leaves two parts that share an edge
def test_any_ring_ends_valid_or_refused(points):
    outline = repair_outline(shapely.Polygon(points))
    if outline.geometry is None:
        assert outline.reason and outline.remedy
    else:
        assert outline.geometry.is_valid and outline.geometry.area > 0
        assert outline.geometry.geom_type in {"Polygon", "MultiPolygon"}


def test_parts_that_share_an_edge_are_joined_without_loss():
    # Lobes of 4.5 and 0.25 that meet along an edge, and one of 0.25 that touches at a point.
    outline = repair_outline(shapely.Polygon([(1, 3), (4, 0), (1, 0), (1, 1), (0, 0), (0, 1), (1, 0)]))
    assert outline.geometry.is_valid and outline.done == "crossing lines mended"
    assert outline.geometry.area == pytest.approx(5.0, rel=1e-12)


@pytest.mark.filterwarnings("ignore:invalid value")  # shapely's own
def test_a_coordinate_that_is_no_number():
    outline = repair_outline(shapely.Polygon([(0, 0), (10, 0), (float("nan"), 10), (0, 10)]))
    assert outline.geometry is None and "not a number" in outline.reason
