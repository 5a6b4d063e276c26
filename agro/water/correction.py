"""Learned correction of a simulated storage: a Gaussian process over the errors of other plots, in parts that add up.

Every part is an error that grows from nothing at a plot's first reading: one that all plots share by date, ones proportional to a
covariate of the plot (how its irrigation, its simulated water, its first profile differ), and the plot's own. As covariance functions
add, so do their shares of the correction: the attribution is exact, and as every covariate acts linearly on a given day, its Shapley
value is its share less the mean share of the plots learned from.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Hyperparameter, Kernel

#: Starts of the amplitudes (mm; a covariate counts in standard deviations) and time scales (d), and how far they may go (factor).
SHARED_MM, SHARED_D = 10.0, 15.0
OWN_MM, OWN_D = 8.0, 20.0
OWN_SLOPE_MM = 4.0
COVARIATE_MM, COVARIATE_D = 3.0, 40.0
READING_SD_MM = 2.5
REACH = 12.0
#: Days over which the plot's own steady drift is counted.
SLOPE_D = 50.0
MAX_ITERATIONS = 15
#: Plots that hyperparameters are fitted on at most; all plots are learned from.
MAX_FIT_PLOTS = 12
#: Added to variances for the sake of the numbers, mm2.
JITTER = 1e-6


@dataclass(frozen=True)
class Samples:
    """Errors to learn from, or places to predict: arrays (samples,).

    ``date``: days on a calendar shared by all; ``start``: that of the plot's first reading; ``plot``: numbers that tell plots apart;
    ``covariates``: by name, standardised, (samples,).
    """

    date: np.ndarray
    start: np.ndarray
    plot: np.ndarray
    covariates: Mapping[str, np.ndarray]

    def matrix(self) -> np.ndarray:
        """Columns: date, start, plot, covariates by name."""
        return np.column_stack(
            [self.date, self.start, self.plot, *(self.covariates[k] for k in sorted(self.covariates))]
        )


def _matern(distance: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Matern 3/2 and its derivative by the logarithm of the scale."""
    a = np.sqrt(3.0) * np.abs(distance) / scale
    decay = np.exp(-a)
    return (1.0 + a) * decay, a * a * decay


def _grown(x: np.ndarray, y: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariance of what a Matern process has gained since each one's start: 0 at the start.

    Dates are few and samples many: the process is evaluated between distinct dates, then looked up.
    """
    dates = np.unique(np.concatenate([x[:, 0], x[:, 1], y[:, 0], y[:, 1]]))
    one, change = _matern(dates[:, None] - dates[None], scale)
    t, t0, s, s0 = (np.searchsorted(dates, v) for v in (x[:, 0], x[:, 1], y[:, 0], y[:, 1]))

    def gained(table: np.ndarray) -> np.ndarray:
        rows = table[t] - table[t0]
        return rows[:, s] - rows[:, s0]

    return gained(one), gained(change)


class GrowingErrors(Kernel):
    """Sum of the parts named in the module's text, for :class:`sklearn.gaussian_process.GaussianProcessRegressor`.

    Parameters
    ----------
    covariates : int
        How many columns of covariates follow date, start and plot.
    log_values : numpy.ndarray, optional
        Logarithms of: shared amplitude, scale; own amplitude, scale; own drift; sd of a reading; then amplitude and scale of each
        covariate.
    """

    def __init__(self, covariates: int, log_values: np.ndarray | None = None) -> None:
        self.covariates = covariates
        self.log_values = log_values

    @property
    def start_values(self) -> np.ndarray:
        """Where the search of ``log_values`` starts."""
        return np.log(
            [
                SHARED_MM,
                SHARED_D,
                OWN_MM,
                OWN_D,
                OWN_SLOPE_MM,
                READING_SD_MM,
                *([COVARIATE_MM, COVARIATE_D] * self.covariates),
            ]
        )

    @property
    def hyperparameter_log_values(self) -> Hyperparameter:
        """As scikit-learn finds hyperparameters: one, of many values."""
        centre = np.exp(self.start_values)
        return Hyperparameter("log_values", "numeric", np.column_stack([centre / REACH, centre * REACH]), len(centre))

    @property
    def theta(self) -> np.ndarray:
        """The values in use."""
        return self.start_values if self.log_values is None else np.asarray(self.log_values)

    @theta.setter
    def theta(self, theta: np.ndarray) -> None:
        self.log_values = np.asarray(theta).copy()

    @property
    def bounds(self) -> np.ndarray:
        """Limits of the search, (values, 2)."""
        return np.column_stack([self.start_values - np.log(REACH), self.start_values + np.log(REACH)])

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """As scikit-learn clones a kernel."""
        return {"covariates": self.covariates, "log_values": self.log_values}

    def parts(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Covariance of each part, without the reading's own error."""
        return {name: amplitude**2 * shape for name, amplitude, shape, _, _ in self._terms(x, y)}

    def _terms(self, x: np.ndarray, y: np.ndarray) -> list[tuple[str, float, np.ndarray, np.ndarray | None, int]]:
        """Name, amplitude, shape, derivative of the shape by its scale, position of the amplitude."""
        v = np.exp(self.theta)
        same = x[:, 2][:, None] == y[:, 2][None]
        shared, shared_slope = _grown(x, y, v[1])
        own, own_slope = _grown(x, y, v[3])
        drift = np.outer(x[:, 0] - x[:, 1], y[:, 0] - y[:, 1]) / SLOPE_D**2 * same
        terms: list[tuple[str, float, np.ndarray, np.ndarray | None, int]] = [
            ("shared", v[0], shared, shared_slope, 0),
            ("own", v[2], own * same, own_slope * same, 2),
            ("drift", v[4], drift, None, 4),
        ]
        for k in range(self.covariates):
            product = np.outer(x[:, 3 + k], y[:, 3 + k])
            grown, slope = _grown(x, y, v[7 + 2 * k])
            terms.append((f"covariate {k}", v[6 + 2 * k], product * grown, product * slope, 6 + 2 * k))
        return terms

    def __call__(self, X: np.ndarray, Y: np.ndarray | None = None, eval_gradient: bool = False) -> Any:
        """Covariance, and its derivatives by ``log_values`` (samples, samples, values) when asked."""
        other = X if Y is None else Y
        terms = self._terms(X, other)
        total = sum((a**2 * shape for _, a, shape, _, _ in terms), np.zeros((len(X), len(other))))
        noise = np.exp(2 * self.theta[5])
        if Y is None:
            total = total + noise * np.eye(len(X))
        if not eval_gradient:
            return total
        gradient = np.zeros((len(X), len(X), len(self.theta)))
        for _, a, shape, slope, position in terms:
            gradient[:, :, position] = 2 * a**2 * shape
            if slope is not None:
                gradient[:, :, position + 1] = a**2 * slope
        gradient[:, :, 5] = 2 * noise * np.eye(len(X))
        return total, gradient

    def diag(self, X: np.ndarray) -> np.ndarray:
        """Variance at each sample, with the reading's own error."""
        v = np.exp(self.theta)
        elapsed = X[:, 0] - X[:, 1]

        def gained(scale: float) -> np.ndarray:
            return 2.0 * (1.0 - _matern(elapsed, scale)[0])

        out = v[0] ** 2 * gained(v[1]) + v[2] ** 2 * gained(v[3]) + v[4] ** 2 * (elapsed / SLOPE_D) ** 2 + v[5] ** 2
        for k in range(self.covariates):
            out = out + v[6 + 2 * k] ** 2 * X[:, 3 + k] ** 2 * gained(v[7 + 2 * k])
        return out

    def is_stationary(self) -> bool:
        """No: errors grow from each plot's start."""
        return False


def _bounded(objective: Any, start: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, float]:
    """The optimiser of the regressor: a few steps, as the likelihood is flat near its top."""
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": MAX_ITERATIONS})
    return found.x, found.fun


def log_likelihood(samples: Samples, errors_mm: np.ndarray) -> float:
    """Of the errors under amplitudes and scales as the search starts with: to choose between simulations."""
    matrix = samples.matrix()
    kernel = GrowingErrors(matrix.shape[1] - 3)
    factor = cho_factor(kernel(matrix), lower=True)
    return float(-0.5 * errors_mm @ cho_solve(factor, errors_mm) - np.log(np.diag(factor[0])).sum())


@dataclass(frozen=True)
class Corrected:
    """What the correction says at some places: mean and sd (mm), and the share of each part, summing to the mean."""

    mean_mm: np.ndarray
    sd_mm: np.ndarray
    parts_mm: dict[str, np.ndarray] = field(default_factory=dict)


class LearnedCorrection:
    """Fitted on the errors (measured less simulated) of plots; see :meth:`fit`."""

    def __init__(self, kernel: GrowingErrors, names: list[str], samples: Samples, errors_mm: np.ndarray) -> None:
        self._kernel, self._names = kernel, names
        self._samples, self._errors, self._matrix = samples, errors_mm, samples.matrix()
        self._covariance = kernel(self._matrix) + JITTER * np.eye(len(errors_mm))

    @classmethod
    def fit(cls, samples: Samples, errors_mm: np.ndarray) -> LearnedCorrection:
        """Choose amplitudes and scales by marginal likelihood, on at most :data:`MAX_FIT_PLOTS` plots."""
        matrix, names = samples.matrix(), sorted(samples.covariates)
        plots = np.unique(samples.plot)
        chosen = np.isin(
            samples.plot, plots[np.unique(np.linspace(0, len(plots) - 1, min(len(plots), MAX_FIT_PLOTS)).astype(int))]
        )
        kernel = GrowingErrors(len(names))
        with warnings.catch_warnings():
            # An amplitude at its lower bound is a part that is not needed.
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=_bounded).fit(
                matrix[chosen], errors_mm[chosen]
            )
        return cls.given(fitted.kernel_.theta, samples, errors_mm)

    @classmethod
    def given(cls, theta: np.ndarray, samples: Samples, errors_mm: np.ndarray) -> LearnedCorrection:
        """With amplitudes and scales chosen elsewhere (logarithms)."""
        names = sorted(samples.covariates)
        return cls(GrowingErrors(len(names), theta), names, samples, errors_mm)

    @property
    def scales(self) -> np.ndarray:
        """Amplitudes and scales chosen (logarithms), as :meth:`given` takes them."""
        return np.asarray(self._kernel.theta)

    def predict(self, at: Samples, known: Samples | None = None, known_mm: np.ndarray | None = None) -> Corrected:
        """Correction at some places, with the errors already seen of the same plots taken into account where given."""
        train, errors, covariance = self._matrix, self._errors, self._covariance
        if known is not None and known_mm is not None and len(known_mm):
            more = known.matrix()
            between = sum(self._kernel.parts(train, more).values(), np.zeros((len(train), len(more))))
            covariance = np.block([[covariance, between], [between.T, self._kernel(more) + JITTER * np.eye(len(more))]])
            train, errors = np.vstack([train, more]), np.concatenate([errors, known_mm])
        factor = cho_factor(covariance, lower=True)
        weights = cho_solve(factor, errors)
        x = at.matrix()
        parts = self._kernel.parts(x, train)
        cross = sum(parts.values(), np.zeros((len(x), len(train))))
        left = cho_solve(factor, cross.T)
        sd = np.sqrt(np.maximum(self._kernel.diag(x) - (cross * left.T).sum(axis=1), 1e-6))
        named = {self._name(part): covariances @ weights for part, covariances in parts.items()}
        return Corrected(cross @ weights, sd, named)

    def _name(self, part: str) -> str:
        return self._names[int(part.split()[1])] if part.startswith("covariate") else part

    def left_plot_out(self, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Error left in the hidden samples of each plot when predicted without them, and the sd said of it; NaN elsewhere.

        Amplitudes and scales are those of all plots learned from; the plot's samples that are not hidden are used.
        """
        inverse = np.linalg.inv(self._covariance)
        weights = inverse @ self._errors
        left, sd = np.full(len(self._errors), np.nan), np.full(len(self._errors), np.nan)
        for plot in np.unique(self._samples.plot):
            of = np.flatnonzero((self._samples.plot == plot) & hidden)
            if len(of):
                covariance = np.linalg.inv(inverse[np.ix_(of, of)])
                left[of], sd[of] = covariance @ weights[of], np.sqrt(np.diag(covariance))
        return left, sd

    def shapley_mm(self, at: Samples) -> dict[str, np.ndarray]:
        """Shapley value of each part at some places, against the plots learned from on the nearest of their days.

        The mean correction of those plots, plus these, is the correction.
        """
        here = self.predict(at).parts_mm
        base = {name: np.empty(len(at.date)) for name in here}
        for day in np.unique(at.date):
            nearest = self._samples.date[np.argmin(np.abs(self._samples.date - day))]
            rows = self._samples.date == nearest
            background = Samples(
                np.full(rows.sum(), day), self._samples.start[rows], np.full(rows.sum(), -1),
                {k: v[rows] for k, v in self._samples.covariates.items()},
            )  # fmt: skip
            there = self.predict(background).parts_mm
            for name, values in there.items():
                base[name][at.date == day] = values.mean()
        return {name: here[name] - base[name] for name in here}
