from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import shapely

from agro.parcels import CoverageWeights, observe_day
from agro.schema.errors import ContractError
from agro.schema.region import ObservationOptions
from agro.schema.tables import validate

OPTIONS = ObservationOptions(buffer_m=0.0)


def observe(grid, field_table, cube, shapes, layer, options=OPTIONS):
    parcels = field_table(shapes)
    weights = CoverageWeights.from_parcels(parcels, grid, options.buffer_m)
    return observe_day(cube, {"ndvi": layer}, parcels, weights, options, "test")


def box(left, top, width, height):
    """Columns and rows of the grid to an outline."""
    return shapely.box(
        600000 + 10 * left, 3500000 - 10 * (top + height), 600000 + 10 * (left + width), 3500000 - 10 * top
    )


def test_every_reason(grid, field_table, day_cube):
    qa = np.zeros(grid.shape)
    qa[20:30, :] = 2  # cloud in the south
    shapes = {
        "": box(0, 0, 5, 5),
        "not_observable": box(10, 0, 2, 3),
        "off_tile": box(36, 0, 10, 10),
        "no_valid_pixels": box(0, 22, 5, 5),
        "cloudy": box(10, 17, 5, 10),  # 30 % clear, 15 pixels
    }
    found = observe(grid, field_table, day_cube(grid, qa), list(shapes.values()), np.full(grid.shape, 0.5))
    assert found["reason"].fillna("").tolist() == list(shapes)
    assert found["usable"].tolist() == [True, False, False, False, False]
    assert found.loc[3, ["mean", "median", "p10", "p90", "sd"]].isna().all()
    # What is not usable is still told as far as it was seen.
    assert found.loc[4, "mean"] == pytest.approx(0.5) and found.loc[4, "valid_frac"] == pytest.approx(0.3)
    validate(found, "observations")


def test_few_pixels_left_by_the_cloud_are_cloudy_not_unobservable(grid, field_table, day_cube):
    qa = np.zeros(grid.shape)
    qa[2:, :] = 2
    found = observe(grid, field_table, day_cube(grid, qa), [box(0, 0, 3, 4)], np.full(grid.shape, 0.5))
    assert found.loc[0, "pixels_effective"] == pytest.approx(6) and found.loc[0, "valid_frac"] == pytest.approx(0.5)
    assert found.loc[0, "reason"] == "cloudy"


def test_a_parcel_that_the_buffer_eats_is_not_observable(grid, field_table, day_cube):
    options = ObservationOptions(buffer_m=5.0)
    shapes = [box(0, 0, 1, 30), box(5, 5, 5, 5)]
    found = observe(grid, field_table, day_cube(grid), shapes, np.full(grid.shape, 0.5), options)
    assert found["reason"].fillna("").tolist() == ["not_observable", ""]
    assert found.loc[1, "pixels_effective"] == pytest.approx(16.0, rel=1e-4)
    assert (found["buffer_m"] == 5.0).all()


def test_the_buffer_keeps_the_neighbours_out(grid, field_table, day_cube):
    layer = np.zeros(grid.shape)
    layer[5:10, 5:10] = 0.8
    whole = observe(grid, field_table, day_cube(grid), [box(4.5, 4.5, 6, 6)], layer)
    inner = observe(grid, field_table, day_cube(grid), [box(4.5, 4.5, 6, 6)], layer, ObservationOptions(buffer_m=5.0))
    assert whole.loc[0, "mean"] < 0.6 and inner.loc[0, "mean"] == pytest.approx(0.8)


def test_index_without_a_value_is_no_look(grid, field_table, day_cube):
    layer = np.full(grid.shape, np.nan)
    found = observe(grid, field_table, day_cube(grid), [box(0, 0, 5, 5)], layer)
    assert found.loc[0, "reason"] == "no_valid_pixels"


def test_columns_that_say_where_it_comes_from(grid, field_table, day_cube):
    parcels = field_table([box(0, 0, 5, 5), box(10, 10, 5, 5)])
    weights = CoverageWeights.from_parcels(parcels, grid)
    layers = {"ndvi": np.full(grid.shape, 0.5), "ndmi": np.full(grid.shape, -0.1)}
    found = observe_day(day_cube(grid), layers, parcels, weights, OPTIONS, "stac")
    assert len(found) == 4 and set(found["index"]) == set(layers)
    assert (found["date"] == pd.Timestamp("2026-02-01")).all()
    assert set(found["scene_ids"]) == {"a+b"} and set(found["source"]) == {"stac"}
    assert not len(observe_day(day_cube(grid), {}, parcels, weights, OPTIONS, "stac"))


def test_things_that_do_not_belong_together_are_refused(grid, field_table, day_cube):
    parcels = field_table([box(0, 0, 5, 5), box(10, 10, 5, 5)])
    weights = CoverageWeights.from_parcels(parcels, grid)
    layer = {"ndvi": np.full(grid.shape, 0.5)}
    with pytest.raises(ContractError, match="weights of 2 parcels on a table of 1"):
        observe_day(day_cube(grid), layer, parcels.iloc[:1], weights, OPTIONS, "x")
    moved = day_cube(grid)
    with pytest.raises(ContractError, match="different grids"):
        observe_day(moved.assign_coords(x=moved["x"] + 10), layer, parcels, weights, OPTIONS, "x")
    with pytest.raises(ContractError, match="not of one day"):
        observe_day(moved.isel(time=[0, 0]), layer, parcels, weights, OPTIONS, "x")
