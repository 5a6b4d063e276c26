"""The layered profile: closes every day, starts at the reading, knows no other column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_site import THICKNESS_MM, course, plots

from agro.water.profile import (
    EDGES_M,
    PARAMETERS,
    Place,
    effective,
    layers_from_table,
    root_depth_m,
    run_profile,
    share_above,
)

SIGNS = {"rain_mm": 1, "irrigation_mm": 1, "evaporation_mm": -1, "transpiration_mm": -1, "percolation_mm": -1}
scores = st.lists(st.floats(-2.5, 2.5), min_size=len(PARAMETERS), max_size=len(PARAMETERS))


@settings(max_examples=25, deadline=None)
@given(scores, st.floats(0.13, 0.38), st.floats(0.0, 120.0), st.floats(0.0, 60.0))
def test_every_day_closes_and_no_layer_runs_dry_below_nothing(
    x: list[float], start: float, depth: float, rain: float
) -> None:
    site = plots([start], depth_mm=depth)
    run = run_profile(course(rain_mm=rain), site, Place.of(site), np.array(x)[:, None])
    change = sum(sign * run.terms_mm[name] for name, sign in SIGNS.items())
    np.testing.assert_allclose(np.diff(run.storage_mm, axis=0)[5:], change[5:], atol=1e-6)
    assert all((values >= -1e-9).all() for values in run.terms_mm.values())
    assert (run.storage_mm > 0).all()


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0.14, 0.34), min_size=2, max_size=4))
def test_columns_do_not_see_each_other(starts: list[float]) -> None:
    together = plots(starts)
    place = Place.of(together)
    x = np.linspace(-1.0, 1.0, len(PARAMETERS))
    whole = run_profile(course(), together, place, np.repeat(x[:, None], len(starts), axis=1))
    for k in range(len(starts)):
        alone = run_profile(course(), together.take(np.array([k])), place, x[:, None])
        np.testing.assert_allclose(alone.storage_mm[:, 0], whole.storage_mm[:, k], atol=1e-9)


def test_the_estimate_starts_at_the_reading_however_little_the_soil_is_trusted() -> None:
    site = plots([0.2, 0.3])
    x = np.zeros((len(PARAMETERS), 2))
    x[list(PARAMETERS).index("soil_trust_frac")] = -5.0
    run = run_profile(course(), site, Place.of(site), x)
    np.testing.assert_allclose(run.storage_mm[5], [200.0, 300.0])
    # Without trust both plots change alike.
    np.testing.assert_allclose(np.diff(run.storage_mm[5:, 0]), np.diff(run.storage_mm[5:, 1]))


def test_a_wet_profile_drains_to_field_capacity() -> None:
    site = plots([0.34], depth_mm=0.0)
    x = np.zeros((len(PARAMETERS), 1))
    names = list(PARAMETERS)
    x[names.index("anchor_wet_frac")] = -PARAMETERS["anchor_wet_frac"].mean / PARAMETERS["anchor_wet_frac"].sd
    run = run_profile(course(), site, Place.of(site), x)
    percolated = run.terms_mm["percolation_mm"][5:15].sum()
    assert 50.0 < percolated <= 70.0  # (0.34 - 0.27) m3/m3 over 1.0 m, less what evaporated


def test_stages_keep_their_dates_in_a_part_of_the_season() -> None:
    whole, part = course(), course().between(60, 80)
    np.testing.assert_allclose(root_depth_m(part)[:-1], root_depth_m(whole)[60:-1])


def test_layers_keep_the_water_of_any_table() -> None:
    top, bottom, water = np.array([0.0, 0.15, 0.45]), np.array([0.15, 0.45, 1.15]), np.array([0.3, 0.2, 0.1])
    layers = layers_from_table(top, bottom, water)
    assert layers.shape == (len(EDGES_M) - 1,)
    assert share_above(1.15) @ layers == pytest.approx(45.0 + 60.0 + 70.0, abs=1.5)  # the last layers are cut linearly
    assert share_above(1.0) @ layers == pytest.approx(45.0 + 60.0 + 55.0)
    assert layers[-1] == pytest.approx(0.1 * THICKNESS_MM[-1, 0])


def test_limits_of_parameters_hold() -> None:
    values = effective(np.full((len(PARAMETERS), 1), -9.0))
    assert values["soil_trust_frac"] == 0.0
    assert values["kcb_factor"] > 0.0
