from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.parcels.coverage import CoverageWeights
from agro.parcels.statistics import parcel_statistics
from agro.schema.errors import ContractError
from agro.schema.grid import Grid

GRID = Grid("EPSG:32629", 600000.0, 3500000.0, 10.0, 40, 30)
GRID_20M = Grid("EPSG:32629", 600000.0, 3500000.0, 20.0, 20, 15)


def oracle(shapes, layer, grid=GRID):
    """exactextract on its own, which skips NaN."""
    left, bottom, right, top = grid.bounds
    frame = gpd.GeoDataFrame(geometry=shapes, crs=grid.crs)
    source = NumPyRasterSource(layer, xmin=left, ymin=bottom, xmax=right, ymax=top, srs_wkt=frame.crs.to_wkt())
    found = exact_extract(
        source, frame, ["mean", "stdev", "median", "quantile(q=0.1)", "quantile(q=0.9)", "count"], output="pandas"
    )
    return found.set_axis(["mean", "sd", "median", "p10", "p90", "pixels_effective"], axis=1)


def compare(shapes, layer, grid=GRID, buffer_m=0.0):
    """Ours, with the weights' inner buffer, against exactextract on outlines buffered beforehand."""
    weights = CoverageWeights.from_parcels(gpd.GeoDataFrame(geometry=shapes, crs=grid.crs), grid, buffer_m)
    ours = parcel_statistics(weights, layer, np.ones(grid.shape, dtype=bool))
    inner = [shape.buffer(-buffer_m, join_style="mitre") if buffer_m else shape for shape in shapes]
    left = [number for number, shape in enumerate(inner) if shape.area > 0]
    assert (ours.drop(index=left)["pixels_effective"] == 0).all() and ours.drop(index=left)["mean"].isna().all()
    if not left:
        return ours
    ours, theirs = ours.loc[left], oracle([inner[number] for number in left], layer, grid)
    np.testing.assert_allclose(ours["pixels_effective"], theirs["pixels_effective"], rtol=1e-5, atol=1e-6)
    for column, tolerance in {"mean": 1e-5, "median": 1e-3, "p10": 1e-3, "p90": 1e-3}.items():
        np.testing.assert_allclose(
            ours[column], theirs[column].astype("float64"), rtol=tolerance, atol=1e-9, err_msg=column
        )
    # Both lose digits of a variance near nothing, each its own.
    np.testing.assert_allclose(ours["sd"], theirs["sd"].astype("float64"), rtol=1e-4, atol=1e-6)
    return ours


@st.composite
def outlines(draw):
    """Slivers, holes, two parts, smaller than a pixel, off the edge."""
    x = 600000 + draw(st.floats(-60, 430))
    y = 3499700 + draw(st.floats(-60, 330))
    width, height = draw(st.floats(0.5, 150)), draw(st.floats(0.5, 150))
    shape = shapely.affinity.rotate(shapely.box(x, y, x + width, y + height), draw(st.floats(0, 90)))
    kind = draw(st.sampled_from(["plain", "hole", "parts", "triangle"]))
    if kind == "hole":
        shape = shape.difference(shapely.affinity.scale(shape, 0.4, 0.4))
    elif kind == "parts":
        shape = shapely.MultiPolygon([shape, shapely.affinity.translate(shape, 2.5 * (width + height), 0)])
    elif kind == "triangle":
        corners = shapely.get_coordinates(shape)
        shape = shapely.Polygon(corners[:3])
    return shape


@settings(max_examples=80, deadline=None)
@given(
    st.lists(outlines(), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.95]),
    st.sampled_from([GRID, GRID_20M]),
    st.sampled_from([0.0, 5.0]),
    st.sampled_from(["float32", "float64"]),
)
def test_equal_to_exactextract(shapes, seed, missing, grid, buffer_m, kind):
    random = np.random.default_rng(seed)
    layer = random.uniform(0.05, 1.0, grid.shape).astype(kind)
    layer[random.random(grid.shape) < missing] = np.nan
    compare(shapes, layer, grid, buffer_m)


def test_negative_values_and_zeros_of_both_signs_are_ordered_alike_in_both_kinds_of_numbers():
    layer = np.round(np.random.default_rng(3).normal(0.0, 0.2, GRID.shape), 1)
    layer[::2] = np.where(layer[::2] == 0, -0.0, layer[::2])
    frame = gpd.GeoDataFrame(geometry=[shapely.box(600003, 3499803, 600197, 3499988)], crs=GRID.crs)
    weights = CoverageWeights.from_parcels(frame, GRID)
    valid = np.ones(GRID.shape, dtype=bool)
    narrow = layer.astype("float32")
    found = [parcel_statistics(weights, numbers, valid) for numbers in (narrow, narrow.astype("float64"))]
    np.testing.assert_array_equal(*(table[["mean", "sd", "median", "p10", "p90"]].to_numpy() for table in found))


def test_kept_weights_are_the_same_and_so_are_their_bytes(tmp_path):
    frame = gpd.GeoDataFrame(
        geometry=[shapely.box(600003, 3499803, 600197, 3499988), shapely.Point(0, 0)], crs=GRID.crs
    )
    weights = CoverageWeights.from_parcels(frame, GRID, 2.5)
    for name in ("a.npz", "b.npz"):
        weights.save(tmp_path / name, "{}")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    read = CoverageWeights.load(tmp_path / "a.npz")
    assert (read.matrix != weights.matrix).nnz == 0 and (read.grid, read.buffer_m) == (GRID, 2.5)
    np.testing.assert_array_equal(read.pixels, weights.pixels)
    whole = (tmp_path / "a.npz").read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:300] + b"xxxx" + whole[304:], b"", b"nothing"):
        (tmp_path / "c.npz").write_bytes(damaged)
        with pytest.raises(ContractError, match="no coverage weights"):
            CoverageWeights.load(tmp_path / "c.npz")


def test_a_parcel_within_one_pixel_has_its_value():
    layer = np.random.default_rng(1).random(GRID.shape)
    ours = compare([shapely.box(600012, 3499912, 600014, 3499914)], layer)
    assert ours.loc[0, "pixels_effective"] == pytest.approx(0.04, rel=1e-5)
    assert ours.loc[0, "p10"] == ours.loc[0, "p90"] == layer[8, 1]


@pytest.mark.parametrize("decimals", [1, 9])
def test_percentiles_of_whole_pixels_are_those_of_numpy_ties_or_not(decimals):
    layer = np.round(np.random.default_rng(1).random(GRID.shape), decimals)
    frame = gpd.GeoDataFrame(geometry=[shapely.box(600000, 3499800, 600100, 3499900)], crs=GRID.crs)
    ours = parcel_statistics(CoverageWeights.from_parcels(frame, GRID), layer, np.ones(GRID.shape, dtype=bool)).iloc[0]
    expected = np.percentile(layer[10:20, :10], [10, 50, 90])
    np.testing.assert_allclose(ours[["p10", "median", "p90"]].astype("float64"), expected, rtol=1e-9)


def test_known_by_hand():
    # One whole and one half pixel.
    layer = np.zeros(GRID.shape)
    layer[0, 0], layer[0, 1] = 1.0, 4.0
    weights = CoverageWeights.from_parcels(
        gpd.GeoDataFrame(geometry=[shapely.box(600000, 3499990, 600015, 3500000)], crs=GRID.crs), GRID
    )
    found = parcel_statistics(weights, layer, np.ones(GRID.shape, dtype=bool)).iloc[0]
    assert found["pixels_effective"] == pytest.approx(1.5)
    assert found["mean"] == pytest.approx((1.0 * 1 + 4.0 * 0.5) / 1.5)
    assert found["sd"] == pytest.approx(np.sqrt((1.0 * 1 + 0.5 * 4) / 1.5))
    assert found["valid_frac"] == pytest.approx(1.0)


def test_masked_pixels_do_not_count_and_nothing_valid_is_nan():
    layer = np.full(GRID.shape, 0.5)
    layer[:, 20:] = 9.0
    valid = np.zeros(GRID.shape, dtype=bool)
    valid[:, :20] = True
    shapes = [shapely.box(600100, 3499800, 600300, 3499900), shapely.box(600250, 3499800, 600300, 3499900)]
    weights = CoverageWeights.from_parcels(gpd.GeoDataFrame(geometry=shapes, crs=GRID.crs), GRID)
    found = parcel_statistics(weights, layer, valid)
    assert found.loc[0, ["mean", "median", "p90"]].tolist() == [0.5, 0.5, 0.5]
    assert found.loc[0, "valid_frac"] == pytest.approx(0.5)
    assert found.loc[1, ["mean", "sd", "median", "p10", "p90"]].isna().all()
    assert found.loc[1, ["pixels_effective", "valid_frac"]].tolist() == [0.0, 0.0]


@settings(max_examples=30, deadline=None)
@given(st.lists(outlines(), min_size=1, max_size=5), st.floats(0, 15))
def test_coverage_is_the_area_on_the_grid(shapes, buffer_m):
    weights = CoverageWeights.from_parcels(gpd.GeoDataFrame(geometry=shapes, crs=GRID.crs), GRID, buffer_m)
    buffered = [s.buffer(-buffer_m, join_style="mitre") if buffer_m > 0 else s for s in shapes]
    frame = shapely.box(*GRID.bounds)
    on_grid = np.array([s.intersection(frame).area for s in buffered]) / 100
    np.testing.assert_allclose(np.asarray(weights.matrix.sum(axis=1)).ravel(), on_grid, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weights.pixels, [s.area / 100 for s in buffered], rtol=1e-9)
    assert weights.matrix.data.size == 0 or 0 < weights.matrix.data.min() <= weights.matrix.data.max() <= 1
    part = weights.on_grid_frac
    seen = weights.pixels > 0.01
    np.testing.assert_allclose(part[seen], on_grid[seen] / weights.pixels[seen], rtol=1e-3, atol=1e-2)


def test_order_of_rows_is_kept_and_other_crs_are_reprojected():
    shapes = [shapely.box(600000 + 100 * k, 3499800, 600000 + 100 * k + 10 * (k + 1), 3499900) for k in (2, 0, 1)]
    frame = gpd.GeoDataFrame(geometry=shapes, crs=GRID.crs, index=[5, 5, 7])
    expected = [30.0, 10.0, 20.0]
    for table in (frame, frame.to_crs("EPSG:4326")):
        weights = CoverageWeights.from_parcels(table, GRID)
        np.testing.assert_allclose(np.asarray(weights.matrix.sum(axis=1)).ravel(), expected, rtol=1e-4)


def test_a_whole_tile_needs_no_memory_of_its_own():
    tile = Grid("EPSG:32629", 600000.0, 3500040.0, 10.0, 10980, 10980)
    parcel = gpd.GeoDataFrame(geometry=[shapely.box(700000, 3400000, 700100, 3400100)], crs=tile.crs)
    weights = CoverageWeights.from_parcels(parcel, tile)
    row, column = np.divmod(weights.matrix.indices, tile.width)
    assert weights.matrix.sum() == pytest.approx(100.0)
    assert (column.min(), column.max()) == (10000, 10009)
    assert (row.min(), row.max()) == (9994, 10003)


def test_what_does_not_fit_is_refused():
    frame = gpd.GeoDataFrame(geometry=[shapely.box(600000, 3499900, 600100, 3500000)], crs=GRID.crs)
    with pytest.raises(ContractError, match="without a CRS"):
        CoverageWeights.from_parcels(frame.set_crs(None, allow_override=True), GRID)
    with pytest.raises(ContractError, match="inner buffer"):
        CoverageWeights.from_parcels(frame, GRID, -5.0)
    weights = CoverageWeights.from_parcels(frame, GRID)
    with pytest.raises(ContractError, match="on weights of a grid"):
        parcel_statistics(weights, np.zeros((3, 3)), np.ones((3, 3), dtype=bool))
