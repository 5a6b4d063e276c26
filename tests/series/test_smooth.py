from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.tables import empty, validate
from agro.series import smooth, smooth_batches
from agro.series.estimate import DRIFT_SD, daily
from agro.series.looks import LOOK_SD

START = date(2026, 1, 1)


def day(number: int) -> date:
    return START + timedelta(days=number)


def seen(random, every, last, share=0.75):
    days = np.arange(0, last, every)
    return days[random.random(days.size) < share]


def test_rows_flags_and_age(looks):
    series = smooth(looks([3, 8, 13], [0.3, 0.4, 0.5]), day(20), start=START)
    assert series["date"].tolist() == list(pd.date_range("2026-01-01", "2026-01-21"))
    flags = series["flag"].tolist()
    assert (
        flags
        == (
            ["extrapolated"] * 3
            + ["observed"]
            + ["interpolated"] * 4
            + ["observed"]
            + ["interpolated"] * 4
            + ["observed"]
        )
        + ["extrapolated"] * 7
    )
    ages = series["clear_age_d"]
    assert ages[:3].isna().all()
    assert ages[3:].tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, *range(8)]
    validate(series, "series")


def test_straight_growth_is_followed_and_the_ends_are_held(looks):
    series = smooth(looks([5, 10, 15, 20], [0.2, 0.3, 0.4, 0.5]), day(40), start=START).set_index("date")["value"]
    np.testing.assert_allclose(series.iloc[5:21], 0.2 + 0.02 * np.arange(16), atol=1e-6)
    np.testing.assert_allclose(series.iloc[:5], 0.2, atol=1e-6)
    np.testing.assert_allclose(series.iloc[21:], 0.5, atol=1e-6)


def test_doubt_grows_after_the_last_look(looks):
    series = smooth(looks([0, 5, 10, 15], [0.5] * 4), day(45))
    sd = series["sd"].to_numpy()
    assert (np.diff(sd[15:]) > 0).all()
    assert sd[45] == pytest.approx(np.sqrt(sd[15] ** 2 + 30 * DRIFT_SD**2))
    assert (sd[:16] < LOOK_SD).all()


def test_doubt_grows_in_the_middle_of_a_long_gap(looks):
    days = [*range(0, 45, 5), *range(90, 130, 5)]
    sd = smooth(looks(days, [0.5] * len(days)), day(125))["sd"].to_numpy()
    assert sd[65] > 2 * max(sd[20], sd[110])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), cut=st.integers(5, 190))
def test_nothing_later_is_known(looks, wheat, seed, cut):
    random = np.random.default_rng(seed)
    days = seen(random, 5, 200)
    parts = [
        looks(
            days, wheat(days) - 0.3 * (random.random(days.size) < 0.15), uid=uid, usable=random.random(days.size) < 0.8
        )
        for uid in ("f1", "f2")
    ]
    table = pd.concat([*parts, looks([195], [0.3], uid="late"), looks([196], [0.3], index="savi")])
    then = table[table["date"] <= pd.Timestamp(day(cut))]
    pd.testing.assert_frame_equal(smooth(table, day(cut)), smooth(then, day(cut)))


def test_parcels_without_a_look_come_out(looks):
    table = pd.concat([looks([0, 5], [0.3, 0.4]), looks([0, 5], [0.9, 0.9], uid="f2", usable=False, reason="cloudy")])
    series = smooth(table, day(9), parcels=["f3", "f1", "f2"])
    assert series.groupby("parcel_uid").size().to_dict() == {"f1": 10, "f2": 10, "f3": 10}
    blind = series[series["parcel_uid"] != "f1"]
    assert blind["value"].isna().all() and blind["sd"].isna().all() and blind["clear_age_d"].isna().all()
    assert (blind["flag"] == "extrapolated").all()


def test_no_observation_at_all():
    series = smooth(empty("observations"), day(3), start=START, parcels=["f1"])
    assert len(series) == 4 and series["value"].isna().all() and set(series["index"]) == {"ndvi"}
    assert not len(smooth(empty("observations"), day(3)))


@pytest.mark.parametrize("days", [[4], [0, 1], [0, 2], [0, 1, 2]])
def test_one_two_and_three_looks(looks, days):
    values = [0.4 + 0.01 * d for d in days]
    series = smooth(looks(days, values), day(days[-1])).set_index("date")["value"]
    assert series.notna().all()
    np.testing.assert_allclose(series.loc[[pd.Timestamp(day(d)) for d in days]], values, atol=1e-6)


def test_a_cereal_is_smoothed_to_less_than_the_noise(looks, wheat):
    random = np.random.default_rng(0)
    days = seen(random, 5, 260)
    noisy = wheat(days) + random.normal(0, LOOK_SD, days.size)
    series = smooth(looks(days, noisy), day(int(days[-1])))
    truth = wheat(np.arange(days[0], days[-1] + 1))
    error = series["value"].to_numpy() - truth
    assert np.sqrt((error**2).mean()) < 0.7 * LOOK_SD
    # And it says how sure it is: the truth is within two sd on most days.
    assert (np.abs(error) < 2 * series["sd"]).mean() > 0.85


def test_cuts_of_alfalfa_survive(looks, alfalfa):
    days = np.arange(0, 200, 5)
    series = smooth(looks(days, alfalfa(days)), day(195)).set_index("date")
    at = series.loc[[pd.Timestamp(day(int(d))) for d in days]]
    assert (at["flag"] == "observed").all()
    values = at["value"].to_numpy()
    for cut in (32, 64, 96, 128, 160):
        near = (days >= cut) & (days < cut + 5)
        assert values[near].min() < 0.5
        assert values[(days > cut - 8) & (days < cut)].max() > 0.7


def test_haze_is_taken_out_of_every_index_of_the_look(looks, wheat):
    days = np.arange(0, 150, 5)
    ndvi, ndmi = wheat(days), wheat(days) - 0.4
    hazy = (days == 120) | (days == 100)
    clean = [looks(days[~hazy], ndvi[~hazy]), looks(days[~hazy], ndmi[~hazy], index="ndmi")]
    dirty = [looks(days, np.where(hazy, ndvi - 0.3, ndvi)), looks(days, np.where(hazy, ndmi + 0.1, ndmi), index="ndmi")]
    pd.testing.assert_frame_equal(smooth(pd.concat(dirty), day(145)), smooth(pd.concat(clean), day(145)))


def test_an_index_that_cloud_may_raise_is_not_judged_alone(looks):
    water = looks([0, 5, 10, 15], [0.0, -0.4, 0.0, 0.0], index="ndwi")
    assert (smooth(water, day(15)).set_index("date")["flag"].iloc[[0, 5, 10, 15]] == "observed").all()


def test_a_look_through_cloud_counts_for_less(looks):
    days, values = list(range(0, 60, 5)), [0.5] * 12
    values[6] = 0.56
    whole = smooth(looks(days, values), day(55))["value"].iloc[30]
    seen_frac = [1.0] * 12
    seen_frac[6] = 0.4
    part = smooth(looks(days, values, valid_frac=seen_frac, sd=0.1), day(55))["value"].iloc[30]
    assert 0.5 < part < whole < 0.56


def test_the_better_of_two_sources_on_a_day(looks):
    few = looks([0, 5, 10], [0.1] * 3, source="a", pixels_effective=9.0)
    many = looks([0, 5, 10], [0.6] * 3, source="b", pixels_effective=90.0)
    np.testing.assert_allclose(smooth(pd.concat([many, few]), day(10))["value"], 0.6)


def test_looks_before_the_start_still_count(looks, wheat):
    days = np.arange(0, 150, 5)
    table = looks(days, wheat(days))
    whole = smooth(table, day(150))
    late = smooth(table, day(150), start=day(97))
    expected = whole[whole["date"] >= pd.Timestamp(day(97))].reset_index(drop=True)
    pd.testing.assert_frame_equal(late, expected)


@pytest.mark.parametrize("factor", [4.0, 20.0])
def test_indices_of_a_larger_span_behave_alike(looks, wheat, factor):
    random = np.random.default_rng(2)
    days = seen(random, 5, 260)
    unit = wheat(days) + random.normal(0, 0.02, days.size)
    unit = unit / (unit.max() - unit.min())
    unit[10] -= 0.4 * unit[10]
    one = smooth(looks(days, unit, index="lai", sd=0.02), day(270))
    many = smooth(looks(days, unit * factor, index="lai", sd=0.02 * factor), day(270))
    np.testing.assert_allclose(many["value"], factor * one["value"], rtol=1e-6)
    np.testing.assert_allclose(many["sd"], factor * one["sd"], rtol=1e-6)


def test_order_of_rows_does_not_count(looks, wheat):
    random = np.random.default_rng(4)
    days = seen(random, 5, 200)
    table = pd.concat([looks(days, wheat(days) + 0.02 * random.random(days.size), uid=u) for u in ("b", "a", "c")])
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(smooth(table, day(200)), smooth(shuffled, day(200)))


def test_a_parcel_does_not_depend_on_the_others(looks, wheat, alfalfa):
    days = np.arange(0, 200, 5)
    one, other = looks(days, wheat(days)), looks(days, alfalfa(days), uid="f2")
    both = smooth(pd.concat([one, other]), day(200))
    alone = smooth(one, day(200))
    pd.testing.assert_frame_equal(both[both["parcel_uid"] == "f1"].reset_index(drop=True), alone)


def test_sixty_parcels_come_out_whole(looks, wheat):
    random = np.random.default_rng(5)
    days = np.arange(0, 300, 5)
    table = pd.concat([looks(days, wheat(days) + random.normal(0, 0.02, 60), uid=f"p{k}") for k in range(60)])
    series = smooth(table, day(300))
    assert len(series) == 60 * 301


def test_a_field_that_jumps_is_doubted_sooner(looks, wheat, alfalfa):
    days = np.arange(0, 200, 5)
    calm = smooth(looks(days, 0.5 + 0.02 * np.sin(days)), day(215))["sd"].to_numpy()
    cut = smooth(looks(days, alfalfa(days)), day(215))["sd"].to_numpy()
    assert calm[-1] == pytest.approx(np.sqrt(calm[195] ** 2 + 20 * DRIFT_SD**2))
    assert cut[-1] ** 2 - cut[195] ** 2 > 3 * 20 * DRIFT_SD**2


@pytest.mark.parametrize("kind", ["wheat", "alfalfa"])
def test_the_doubt_of_a_day_without_a_look_is_what_the_next_look_shows(looks, request, kind):
    curve = request.getfixturevalue(kind)
    random = np.random.default_rng(6)
    inside = []
    for k in range(12):
        days = seen(random, 5, 230, share=0.6)
        noisy = curve(days + 3 * k) + random.normal(0, 0.02, days.size)
        # A row for each look: only what was known before it.
        counts = np.arange(8, days.size)
        weights = np.zeros((counts.size, 230))
        weights[:, days] = np.arange(days.size) < counts[:, None]
        values = np.full(weights.shape, np.nan)
        values[:, days] = noisy
        value, sd, _, _ = daily(np.where(weights > 0, values, np.nan), weights, np.full(counts.size, np.nan))
        row, at = np.arange(counts.size), days[counts]
        inside.extend(np.abs(noisy[counts] - value[row, at]) < 1.96 * np.hypot(sd[row, at], 0.02))
    # Normal errors would give 0.95; a cut is no normal error.
    assert np.mean(inside) > {"wheat": 0.9, "alfalfa": 0.8}[kind]


def test_batches_are_the_whole_in_parts(looks, wheat, alfalfa):
    random = np.random.default_rng(9)
    parts = []
    for k in range(9):
        days = seen(random, 5, 200)
        for index, shift in (("ndvi", 0.0), ("ndmi", -0.3)):
            parts.append(looks(days, (wheat, alfalfa)[k % 2](days) + shift, uid=f"p{k}", index=index))
    table = pd.concat(parts).query("index != 'ndmi' or parcel_uid != 'p3'")
    whole = smooth(table, day(200), start=day(50), parcels=[f"p{k}" for k in range(10)])
    batches = list(smooth_batches(table, day(200), batch=4, start=day(50), parcels=[f"p{k}" for k in range(10)]))
    assert [b["parcel_uid"].nunique() for b in batches] == [4, 4, 2]
    order = ["index", "parcel_uid", "date"]
    together = pd.concat(batches).sort_values(order, ignore_index=True)
    pd.testing.assert_frame_equal(together, whole.sort_values(order, ignore_index=True), check_exact=True)
    assert not list(smooth_batches(empty("observations"), day(3)))
    with pytest.raises(TypeError, match="lamda"):
        next(smooth_batches(table, day(200), lamda=3.0))
