from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from season_fixture import panel
from sklearn.base import clone

from agro.yields.applicability import Applicability
from agro.yields.choice import YearsLeftOut, choose, combine, stack_weights
from agro.yields.explanation import changed_since, explain
from agro.yields.intervals import calibrate, effective_rows
from agro.yields.models import Anomalies, LevelYield, MeanYield, RidgeYield, TreesYield, candidates
from agro.yields.random_effects import fit_blocks, indicator
from agro.yields.screening import plausible
from agro.yields.season_model import predict_season_model, train_season_model

QUICK = {"mean": MeanYield(), "level": LevelYield(), "ridge": RidgeYield(), "pooled_ridge": RidgeYield(pooled=True)}


def test_variances_of_random_effects_are_found() -> None:
    rng = np.random.default_rng(0)
    code = np.repeat(np.arange(60), 20)
    y = 3 + rng.normal(0, 0.8, 60)[code] + rng.normal(0, 0.4, len(code))
    fit = fit_blocks([np.ones((len(code), 1)), indicator(code, 60)], y)
    assert np.sqrt(fit.variances[1]) == pytest.approx(0.8, rel=0.25) and np.sqrt(fit.noise) == pytest.approx(
        0.4, rel=0.1
    )
    assert float(fit.coefficients[0][0]) == pytest.approx(3.0, abs=0.3)
    nothing = fit_blocks([np.ones((len(code), 1)), indicator(code, 60)], 3 + rng.normal(0, 0.4, len(code)))
    assert np.abs(nothing.coefficients[1]).max() < 0.1


def test_mean_is_that_of_the_group_and_of_all_where_it_is_new() -> None:
    X = pd.DataFrame({"group": ["a", "a", "b"], "year": [1, 2, 1]})
    model = MeanYield().fit(X, [1.0, 3.0, 8.0])
    asked = pd.DataFrame({"group": ["a", "b", "new"], "year": [3, 3, 3]})
    assert model.predict(asked) == pytest.approx([2.0, 8.0, 4.0])
    assert MeanYield(drawn=1.0).fit(X, [1.0, 3.0, 8.0]).predict(asked)[0] == pytest.approx((4 + 4) / 3)


def test_a_good_year_does_not_raise_the_level_of_a_region_that_reports_only_then() -> None:
    rows = [(g, y, 3.0 + (1.5 if y == 2010 else 0.0)) for g in "abcdef" for y in range(2004, 2011)] + [
        ("late", 2010, 4.5)
    ]
    table = pd.DataFrame(rows, columns=["group", "year", "y"])
    asked = pd.DataFrame({"group": ["late"], "year": [2011]})
    level = LevelYield().fit(table, table["y"]).predict(asked)[0]
    assert MeanYield().fit(table, table["y"]).predict(asked)[0] == pytest.approx(4.5)
    assert level < 3.6


def test_a_slip_of_the_decimal_point_is_not_learned_from() -> None:
    X, y = panel()
    slipped = y.copy()
    slipped[5] *= 10
    group = X["group"].to_numpy()
    assert not plausible(group, slipped)[5] and plausible(group, slipped).sum() == len(y) - 1
    assert plausible(group, np.where(np.arange(len(y)) == 7, 0.0, y)).all(), "a lost harvest is a harvest"
    without = y.copy()
    without[5] = np.nan
    for model in (LevelYield(), RidgeYield()):
        pd.testing.assert_series_equal(
            pd.Series(clone(model).fit(X, slipped).predict(X)), pd.Series(clone(model).fit(X, without).predict(X))
        )


def test_anomalies_are_zero_where_nothing_is_known() -> None:
    X, _ = panel()
    anomalies = Anomalies().fit(X)
    gap = X.head(2).copy()
    gap.loc[0, "ndvi_vegetative"] = np.nan
    gap.loc[1, "group"] = "never seen"
    out = anomalies.transform(gap)
    assert out[0, 0] == 0 and (out[1, :3] == 0).all()
    whole = pd.DataFrame(anomalies.transform(X), columns=anomalies.names_)
    assert whole["ndvi_vegetative"].groupby(X["group"]).mean().abs().max() < 1e-9
    assert "fpar_last_30d_x_soil_awc" in whole


@pytest.mark.parametrize("name", list(candidates()))
def test_every_candidate_forecasts_and_is_deterministic(name: str) -> None:
    X, y = panel(regions=6, years=range(2004, 2012))
    model = candidates()[name]
    train = (X["year"] < 2011).to_numpy()
    first = clone(model).fit(X[train], y[train]).predict(X[~train])
    assert np.isfinite(first).all() and (first >= 0).all()
    assert (first == clone(model).fit(X[train], y[train]).predict(X[~train])).all()
    stranger = X[~train].assign(group="never seen")
    assert np.isfinite(clone(model).fit(X[train], y[train]).predict(stranger)).all()


def test_rows_without_harvest_tell_only_the_climatology() -> None:
    X, y = panel()
    known = (X["year"] > 2008).to_numpy()
    assert (
        MeanYield().fit(X, np.where(known, y, np.nan)).predict(X) == MeanYield().fit(X[known], y[known]).predict(X)
    ).all()
    assert np.isfinite(RidgeYield().fit(X, np.where(known, y, np.nan)).predict(X)).all()


def test_years_left_out_are_not_seen() -> None:
    X, y = panel()
    changed = y.copy()
    held = X["year"].isin([2007, 2009]).to_numpy()
    changed[held] *= 3
    a, b = YearsLeftOut(X, y, QUICK), YearsLeftOut(X, changed, QUICK)
    for name in QUICK:
        np.testing.assert_array_equal(a.without({2007, 2009})[name], b.without({2007, 2009})[name])
    inner = a.inner({2007})["ridge"]
    assert np.isnan(inner[X["year"] == 2007]).all() and np.isfinite(inner[X["year"] != 2007]).all()


def test_what_pays_is_taken_and_what_does_not_is_not() -> None:
    for told, expected in ((0.25, {"ridge", "pooled_ridge", "stack"}), (0.0, {"mean"})):
        X, y = panel(told=told, noise=0.2)
        left_out = YearsLeftOut(X, y, QUICK)
        choice = choose(left_out.inner(), y, left_out.year)
        assert choice.name in expected
        assert choice.gains["mean"] == 0


def test_stack_weights_are_a_share() -> None:
    X, y = panel()
    left_out = YearsLeftOut(X, y, QUICK)
    weights = stack_weights(left_out.inner(), y, left_out.year)
    assert all(w > 0 for w in weights.values()) and sum(weights.values()) <= 1 + 1e-6
    flat = {"mean": np.ones(3), "other": np.array([1.0, 2.0, 3.0])}
    assert combine(flat, {"other": 0.5}) == pytest.approx([1.0, 1.5, 2.0])


def test_effective_rows_lie_between_years_and_rows() -> None:
    rng = np.random.default_rng(2)
    code = np.repeat(np.arange(10), 12)
    counts = np.full(10, 12)
    assert effective_rows(rng.normal(size=10)[code], code, counts) == pytest.approx(10)
    assert effective_rows(rng.normal(size=120), code, counts) > 60


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 3))
def test_interval_covers_what_it_was_calibrated_on_and_never_crosses(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    year = np.repeat(np.arange(12), 8)
    usual = rng.uniform(1, 6, len(year))
    y = np.maximum(usual + scale * (rng.normal(size=12)[year] + rng.normal(size=len(year))), 0)
    interval = calibrate(usual, y, usual, year)
    low, high = interval.bounds(usual, usual)
    assert (low <= usual).all() and (usual <= high).all() and (low >= 0).all()
    inside = pd.Series((y >= low) & (y <= high)).groupby(year).mean()
    assert inside.mean() >= 0.9 - 1e-9


def test_conformal_coverage_in_new_years() -> None:
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(60):
        year = np.repeat(np.arange(17), 30)
        error = 0.2 * rng.normal(size=17)[year] + 0.2 * rng.normal(size=len(year))
        usual = np.full(len(year), 3.0)
        interval = calibrate(usual, usual * (1 + error), usual, year)
        new = usual[:30] * (1 + 0.2 * rng.normal() + 0.2 * rng.normal(size=30))
        low, high = interval.bounds(usual[:30], usual[:30])
        inside.append(((new >= low) & (new <= high)).mean())
    assert 0.86 <= float(np.mean(inside)) <= 0.96


def test_far_from_what_was_seen_the_model_abstains() -> None:
    X, y = panel()
    model = train_season_model(X, y, QUICK)
    asked = X[X["year"] == 2015].copy()
    near = predict_season_model(model, asked)
    assert not near["outside"].any() and near[["yield_t_ha", "low_t_ha", "high_t_ha"]].notna().all(axis=None)
    far = asked.assign(ndvi_vegetative=asked["ndvi_vegetative"] + 2.0, fpar_last_30d=asked["fpar_last_30d"] - 2.0)
    table = predict_season_model(model, far)
    assert table["outside"].all() and table["yield_t_ha"].isna().all() and table["usual_t_ha"].notna().all()


def test_dissimilarity_by_hand() -> None:
    seen = np.array([[0.0], [1.0], [3.0]])
    area = Applicability.of(seen, np.array([2.0]), np.array([1, 2, 3]))
    assert area.mean_distance == pytest.approx(2.0)  # distances 1, 2, 3
    assert area.dissimilarity(np.array([[1.0], [7.0]])) == pytest.approx([0.0, 2.0])


@pytest.mark.parametrize(
    "models", [QUICK, {"mean": MeanYield(), "trees": TreesYield(trees=20)}], ids=["linear", "trees"]
)
def test_effects_sum_to_the_departure_from_a_usual_season(models: dict) -> None:  # type: ignore[type-arg]
    X, y = panel()
    model = train_season_model(X, y, models)
    assert model.area is not None
    asked = X[X["year"] == 2015]
    table = explain(model, asked)
    usual = asked.copy()
    usual[["ndvi_vegetative", "fpar_last_30d", "around_ndvi_vegetative"]] = np.nan
    total = table.groupby("group")["effect_t_ha"].sum().reindex(asked["group"]).to_numpy()
    np.testing.assert_allclose(total, model.forecast(asked) - model.forecast(usual), atol=1e-9)
    assert table["words"].str.contains("t/ha").all() and table["words"].str.contains("NDVI").any()
    none = changed_since(table, table)
    assert (none["change_t_ha"] == 0).all()


def test_the_mean_explains_nothing() -> None:
    X, y = panel(told=0.0, noise=0.2)
    assert explain(train_season_model(X, y, QUICK), X).empty


def test_a_place_never_seen_has_a_wider_interval() -> None:
    X, y = panel()
    model = train_season_model(X, y, QUICK)
    asked = X[X["year"] == 2015]
    known = predict_season_model(model, asked)
    new = predict_season_model(model, asked.assign(group="never seen"))
    ratio = ((new["high_t_ha"] - new["yield_t_ha"]) / new["usual_t_ha"]).dropna()
    assert len(ratio) and (ratio > 1.5 * ((known["high_t_ha"] - known["yield_t_ha"]) / known["usual_t_ha"]).max()).all()
