"""Coverage weights are computed once and kept; a change of parcels, grid or buffer means new ones."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
from shapely.geometry import box

from agro.parcels import CoverageWeights
from agro.schema.grid import Grid
from pipelines.coverage import STEP, kept_weights
from pipelines.units import Manifest

GRID = Grid("EPSG:32629", 600_000.0, 3_500_000.0, 10.0, 60, 60)
NOW = datetime(2022, 4, 11, tzinfo=UTC)


def parcels(side_m: float = 100.0) -> gpd.GeoDataFrame:
    shapes = [box(600_003 + 150 * k, 3_499_703, 600_003 + 150 * k + side_m, 3_499_803) for k in range(3)]
    table = {"parcel_uid": ["a", "b", "c"], "agro:geometry_digest": [str(shape.wkt) for shape in shapes]}
    return gpd.GeoDataFrame(table, geometry=shapes, crs=GRID.crs)


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "coverage").iterdir())}


def test_the_second_run_reads_what_the_first_one_kept(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    first = kept_weights(parcels(), GRID, 5.0, manifest, NOW)
    before = kept(tmp_path)
    again = kept_weights(parcels(), GRID, 5.0, manifest, datetime(2022, 5, 1, tzinfo=UTC))
    # The clock of the first run is in the file: it was not written anew.
    assert kept(tmp_path) == before and len(before) == 1
    alone = CoverageWeights.from_parcels(parcels(), GRID, 5.0)
    for found in (first, again):
        assert (found.matrix != alone.matrix).nnz == 0
        np.testing.assert_array_equal(found.pixels, alone.pixels)


def test_other_parcels_buffer_or_grid_are_other_weights(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    kept_weights(parcels(), GRID, 5.0, manifest, NOW)
    kept_weights(parcels(90.0), GRID, 5.0, manifest, NOW)
    kept_weights(parcels(), GRID, 0.0, manifest, NOW)
    kept_weights(parcels(), Grid(GRID.crs, GRID.left, GRID.top, 20.0, 30, 30), 5.0, manifest, NOW)
    kept_weights(parcels(), Grid(GRID.crs, GRID.left, GRID.top, 10.0, 60, 61), 5.0, manifest, NOW)
    assert len(kept(tmp_path)) == 5


def test_a_file_without_entry_or_changed_is_not_believed(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    expected = kept_weights(parcels(), GRID, 5.0, manifest, NOW)
    before = kept(tmp_path)
    (name,) = before
    (tmp_path / "coverage" / name).write_bytes(b"cut short")
    found = kept_weights(parcels(), GRID, 5.0, manifest, NOW)
    assert (found.matrix != expected.matrix).nnz == 0 and kept(tmp_path) == before
    for entry in (tmp_path / "units" / STEP.replace("/", "-")).iterdir():
        entry.unlink()
    (tmp_path / "coverage" / name).write_bytes(b"an orphan")
    kept_weights(parcels(), GRID, 5.0, manifest, NOW)
    assert kept(tmp_path) == before
