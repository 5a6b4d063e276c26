"""Kcb from an index and from observations; cut forage, roots, drip under a canopy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.crops import load_crops
from agro.schema.errors import ContractError
from agro.water.coefficients import cut_kcb, density_coefficient, root_depth_m, stage_kcb, wetted_under_canopy
from agro.water.kcb import assimilate_kcb, kcb_from_index
from agro.water.tables import CROPS_FILE

CROPS = load_crops(CROPS_FILE)


def test_wheat_by_its_relation_within_its_range() -> None:
    index = np.array([0.0, 0.5, 0.95, np.nan])
    kcb, cover = kcb_from_index(CROPS["wheat_winter"], index, np.full(4, 1.1))
    np.testing.assert_allclose(kcb, [0.15, 1.64 * 0.36, 1.15, np.nan])
    np.testing.assert_allclose(cover, [0.0, 1.18 * 0.36, 1.18 * 0.81, np.nan])


def test_orchards_go_through_cover() -> None:
    olive = CROPS["olive"]
    table = np.array([0.55, 0.65, 0.65])
    assert olive.cover_relation is not None and olive.kcb_relation is None
    at_table = (0.5 + 0.18) / 1.26  # NDVI at which the cover is the table's
    kcb, cover = kcb_from_index(olive, np.full(3, at_table), table)
    np.testing.assert_allclose(cover, 0.5)
    np.testing.assert_allclose(kcb, table)
    thin, _ = kcb_from_index(olive, np.full(3, 0.3), table)
    share = density_coefficient(1.26 * 0.3 - 0.18, 4.0) / density_coefficient(0.5, 4.0)
    np.testing.assert_allclose(thin, 0.15 + share * (table - 0.15))


def test_plastic_is_refused() -> None:
    with pytest.raises(ContractError, match="plastic"):
        kcb_from_index(CROPS["tomato_covered"], np.array([0.4]), np.array([0.6]))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), memory=st.floats(2, 60), table_sd=st.floats(0.05, 0.4))
def test_assimilation_is_the_weighted_least_squares_of_all_seen_so_far(
    seed: int, memory: float, table_sd: float
) -> None:
    rng = np.random.default_rng(seed)
    days = 25
    table = rng.uniform(0.15, 1.15, days)
    observed = np.where(rng.random(days) < 0.3, table * rng.uniform(0.6, 1.4, days), np.nan)
    noise = rng.uniform(0.02, 0.3, days)
    kcb, sd = assimilate_kcb(table[:, None], observed[:, None], noise[:, None], table_sd, memory)
    lag = np.abs(np.subtract.outer(np.arange(days), np.arange(days)))
    covariance = np.outer(table, table) * table_sd**2 * np.exp(-lag / memory)
    for day in range(days):
        seen = np.flatnonzero(np.isfinite(observed[: day + 1]))
        inverse = np.linalg.inv(covariance[np.ix_(seen, seen)] + np.diag(noise[seen] ** 2))
        gain = covariance[day, seen] @ inverse
        assert kcb[day, 0] == pytest.approx(max(table[day] + gain @ (observed - table)[seen], 0.0), abs=1e-9)
        assert sd[day, 0] ** 2 == pytest.approx(covariance[day, day] - gain @ covariance[seen, day], abs=1e-9)


def test_one_observation_is_weighed_by_variance_and_fades() -> None:
    table, observed = np.full((200, 1), 1.0), np.full((200, 1), np.nan)
    observed[50] = 0.7
    kcb, sd = assimilate_kcb(table, observed, 0.15)
    assert kcb[49, 0] == 1.0 and kcb[50, 0] == pytest.approx(0.85) and sd[50, 0] == pytest.approx(0.15 / np.sqrt(2))
    assert kcb[70, 0] == pytest.approx(1 - 0.15 * np.exp(-1)) and kcb[199, 0] == pytest.approx(1.0, abs=1e-3)
    exact, _ = assimilate_kcb(table, observed, 1e-6)
    assert exact[50, 0] == pytest.approx(0.7, abs=1e-6)


def test_observations_without_doubt_or_of_another_shape_are_refused() -> None:
    with pytest.raises(ContractError, match="sd"):
        assimilate_kcb(np.ones((3, 1)), np.ones((3, 1)), 0.0)
    with pytest.raises(ContractError, match="for a table"):
        assimilate_kcb(np.ones((3, 1)), np.ones((2, 1)), 0.1)


def test_each_cut_starts_the_stages_anew() -> None:
    alfalfa = CROPS["alfalfa"]
    assert alfalfa.later_stages_d is not None
    first, later, kcb = alfalfa.stages_d.value, alfalfa.later_stages_d.value, alfalfa.kcb.value
    days = np.arange(0, 130)
    out = cut_kcb(days, [60, 90], first, later, kcb)
    np.testing.assert_allclose(out[:60], stage_kcb(days[:60], first, kcb))
    np.testing.assert_allclose(out[60:90], stage_kcb(np.arange(30), later, kcb))
    assert out[60] == out[90] == kcb[0] and out[76] == kcb[1] and out[129] == kcb[2]
    with pytest.raises(ContractError, match="ascend"):
        cut_kcb(days, [90, 60], first, later, kcb)


def test_roots_and_drip_below_the_canopy() -> None:
    depth = root_depth_m(np.array([-5, 20, 45, 70, 200]), (20, 50, 60, 30), (0.3, 1.5))
    np.testing.assert_allclose(depth, [0.3, 0.3, 0.9, 1.5, 1.5])
    np.testing.assert_allclose(wetted_under_canopy(0.35, np.array([0.0, 0.6, 1.0])), [0.35, 0.21, 0.35 / 3])
