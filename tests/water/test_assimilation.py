"""Doubt: a wrong field capacity is found, observations narrow the ensemble, unlogged irrigation comes to light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from profile_site import THICKNESS_MM, course, plots

from agro.schema.errors import ContractError
from agro.water.assimilation import Observation, assimilate, judge_field_capacity
from agro.water.inferred_irrigation import infer_irrigation, totals_mm
from agro.water.profile import PARAMETERS, Place, Plots, cover_members, run_profile

WEATHER = course(rain_mm=10.0)
NAMES = list(PARAMETERS)


def truth(site: Plots) -> np.ndarray:
    """Storage of a plot whose field capacity is as stated, whatever its first reading."""
    x = np.zeros((len(NAMES), site.start_mm.shape[1]))
    for name in ("anchor_wet_frac", "anchor_dry_frac"):
        x[NAMES.index(name)] = -PARAMETERS[name].mean / PARAMETERS[name].sd
    return run_profile(WEATHER, site, Place.of(site), x).storage_mm


@pytest.mark.parametrize("depth_mm", [40.0, 60.0])
@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_a_field_capacity_wrong_by_30_percent_is_found_within_three_readings(factor: float, depth_mm: float) -> None:
    site = plots([0.28], depth_mm=depth_mm)
    days = np.array([15, 25])
    found = judge_field_capacity(WEATHER, replace(site, fc_mm=site.fc_mm * factor), days, truth(site)[days, 0])
    assert found is not None
    assert found.wrong
    assert abs(found.estimate_mm - 270.0) < abs(found.stated_mm - 270.0) / 2
    assert found.low_mm <= 270.0 <= found.high_mm


@pytest.mark.parametrize("start", [0.2, 0.25, 0.28])
@pytest.mark.parametrize("depth_mm", [25.0, 60.0])
def test_a_right_field_capacity_is_left_alone(start: float, depth_mm: float) -> None:
    site = plots([start], depth_mm=depth_mm)
    days = np.array([15, 25])
    found = judge_field_capacity(WEATHER, site, days, truth(site)[days, 0])
    assert found is not None
    assert not found.wrong


def test_one_reading_is_not_enough_to_judge() -> None:
    assert judge_field_capacity(WEATHER, plots([0.2]), np.array([15]), np.array([200.0])) is None


def test_probes_narrow_the_ensemble_and_draw_it_to_the_readings() -> None:
    site = plots([0.25])
    real = truth(replace(site, irrigation_mm=site.irrigation_mm * 0.8))
    observations = [Observation("storage", day, float(real[day, 0])) for day in (15, 25, 35)]
    before, after = (assimilate(WEATHER, site, seen) for seen in ([], observations))
    assert after.storage_mm[36].std() < 0.7 * before.storage_mm[36].std()
    assert abs(after.storage_mm[36].mean() - real[36, 0]) < abs(before.storage_mm[36].mean() - real[36, 0]) + 2.0
    low, high = after.interval_mm()
    assert (low <= high).all()


def test_cover_from_an_index_moves_the_stages() -> None:
    site = plots([0.25])
    late = np.zeros((len(NAMES), 1))
    late[NAMES.index("stage_delay_d")] = 1.5  # twelve days
    cover = cover_members(WEATHER, late)[:, 0]
    found = assimilate(WEATHER, site, [Observation("cover", day, float(cover[day])) for day in (25, 35, 45)])
    assert found.scores[NAMES.index("stage_delay_d")].mean() == pytest.approx(1.5, abs=0.4)


def test_unlogged_irrigation_is_found_by_a_probe_and_by_a_report() -> None:
    site = plots([0.2], depth_mm=0.0)
    given = site.irrigation_mm.copy()
    given[12] = 45.0
    real = truth(replace(site, irrigation_mm=given))
    probed = assimilate(WEATHER, site, [Observation("storage", 14, float(real[14, 0]))], suspected_days=(12,))
    none = assimilate(WEATHER, site, [], suspected_days=(12,))
    assert none.unreported_mm[12].mean() < 15.0
    assert probed.unreported_mm[12].mean() == pytest.approx(45.0, abs=10.0)
    told = assimilate(WEATHER, site, [Observation("irrigation", 12, 40.0)], suspected_days=(12,))
    assert told.unreported_mm[12].mean() == pytest.approx(40.0, abs=6.0)
    # A doubt more is a wider interval.
    certain = assimilate(WEATHER, site, [])
    assert none.storage_mm[20].std() > certain.storage_mm[20].std()


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(ContractError, match="moisture"):
        Observation("moisture", 3, 0.2)
    with pytest.raises(ContractError, match="nan"):
        Observation("storage", 3, float("nan"))
    with pytest.raises(ContractError, match="not suspected"):
        assimilate(WEATHER, plots([0.2]), [Observation("irrigation", 12, 40.0)])


def test_a_hidden_log_is_inferred_from_readings_and_marks_doubt() -> None:
    site = plots([0.2, 0.22], depth_mm=35.0)
    x = np.zeros((len(NAMES), 2))
    run = run_profile(WEATHER, site, Place.of(site), x)
    days = np.arange(5, 76, 7)
    plot, day = np.repeat([0, 1], len(days)), np.tile(days, 2)
    # Layers as read: the storage spread evenly, as the inference takes the profile it is given.
    profile = run.storage_mm[day, plot][:, None] / 1000.0 * THICKNESS_MM.T
    hidden = replace(site, irrigation_mm=np.zeros_like(site.irrigation_mm))
    found = infer_irrigation(WEATHER, hidden, Place.of(hidden), plot, day, profile, run.storage_mm[day, plot])
    true = np.array(
        [site.irrigation_mm[a:b, p].sum() for p, a, b in zip(found.plot, found.from_day, found.to_day, strict=True)]
    )
    assert np.sqrt(np.mean((found.depth_mm - true) ** 2)) < 15.0
    assert np.mean((found.low_mm <= true) & (true <= found.high_mm)) > 0.8
    assert (found.low_mm < found.high_mm).all()
    assert found.daily_mm(80, 2).sum() == pytest.approx(found.depth_mm.sum())


def test_totals_are_of_whole_windows() -> None:
    daily = np.ones((40, 2))
    np.testing.assert_array_equal(totals_mm(daily, 3, 38), np.full((2, 2), 15.0))
