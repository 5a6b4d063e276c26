"""The learned correction: derivatives, exact shares, plots left out, Shapley values."""

from __future__ import annotations

import numpy as np
import pytest

from agro.water.correction import GrowingErrors, LearnedCorrection, Samples


def samples(plots: int = 6, dates: int = 5, seed: int = 0) -> tuple[Samples, np.ndarray]:
    """Errors that grow with time, proportional to a covariate."""
    rng = np.random.default_rng(seed)
    plot = np.repeat(np.arange(plots), dates)
    date = np.tile(10.0 * np.arange(1, dates + 1), plots)
    a, b = rng.normal(size=plots)[plot], rng.normal(size=plots)[plot]
    errors = 6.0 * a * date / 50.0 + 5.0 * np.sin(date / 15.0) + rng.normal(0.0, 1.0, len(date))
    return Samples(date, np.zeros(len(date)), plot, {"a": a, "b": b}), errors


def test_derivatives_are_those_of_small_steps() -> None:
    x = samples()[0].matrix()
    kernel = GrowingErrors(2)
    value, gradient = kernel(x, eval_gradient=True)
    np.testing.assert_allclose(kernel.diag(x), np.diag(value))
    for k in range(len(kernel.theta)):
        theta = kernel.theta.copy()
        theta[k] += 1e-6
        np.testing.assert_allclose((GrowingErrors(2, theta)(x) - value) / 1e-6, gradient[:, :, k], atol=2e-3)


def test_nothing_is_known_of_errors_at_the_start_and_little_of_another_year() -> None:
    train, errors = samples()
    fitted = LearnedCorrection.given(GrowingErrors(2).theta, train, errors)
    none = np.zeros(1)
    at_start = fitted.predict(Samples(none, none, none + 9, {"a": none + 1, "b": none}))
    assert at_start.mean_mm == pytest.approx(0.0)
    later = none + 3650.0
    elsewhen = fitted.predict(Samples(later + 30.0, later, none + 9, {"a": none + 1, "b": none}))
    assert elsewhen.mean_mm == pytest.approx(0.0, abs=1e-6)


def test_shares_add_up_and_a_covariate_that_matters_is_found() -> None:
    train, errors = samples(plots=10)
    fitted = LearnedCorrection.fit(train, errors)
    held, truth = samples(plots=10, seed=5)
    at = Samples(held.date, held.start, held.plot + 100, held.covariates)
    said = fitted.predict(at)
    np.testing.assert_allclose(sum(said.parts_mm.values()), said.mean_mm)
    assert np.sqrt(np.mean((said.mean_mm - truth) ** 2)) < 0.5 * truth.std()
    assert np.abs(said.parts_mm["a"]).mean() > np.abs(said.parts_mm["b"]).mean()


def test_left_plot_out_is_what_refitting_without_the_plot_says() -> None:
    train, errors = samples()
    theta = GrowingErrors(2).theta
    left, sd = LearnedCorrection.given(theta, train, errors).left_plot_out(np.ones(len(errors), dtype=bool))
    for plot in (0, 3):
        of, rest = train.plot == plot, train.plot != plot

        def part(mask: np.ndarray) -> Samples:
            return Samples(
                train.date[mask], train.start[mask], train.plot[mask], {k: v[mask] for k, v in train.covariates.items()}
            )

        said = LearnedCorrection.given(theta, part(rest), errors[rest]).predict(part(of))
        np.testing.assert_allclose(left[of], errors[of] - said.mean_mm, atol=1e-4)
        np.testing.assert_allclose(sd[of], said.sd_mm, rtol=1e-5)


def test_shapley_values_are_those_of_the_shap_package() -> None:
    shap = pytest.importorskip("shap")
    train, errors = samples()
    fitted = LearnedCorrection.given(GrowingErrors(2).theta, train, errors)
    day = 30.0
    rows = train.date == day
    background = np.column_stack([train.covariates["a"][rows], train.covariates["b"][rows]])

    def at(covariates: np.ndarray) -> Samples:
        count = len(covariates)
        return Samples(
            np.full(count, day), np.zeros(count), np.full(count, -1), {"a": covariates[:, 0], "b": covariates[:, 1]}
        )

    point = np.array([[1.5, -0.5]])
    explained = shap.explainers.Exact(lambda c: fitted.predict(at(c)).mean_mm, shap.maskers.Independent(background))(
        point
    )
    ours = fitted.shapley_mm(at(point))
    np.testing.assert_allclose([ours["a"][0], ours["b"][0]], explained.values[0], atol=1e-6)
    assert ours["shared"][0] == pytest.approx(0.0, abs=1e-9)
