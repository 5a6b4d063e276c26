"""Yield models behind the interface of scikit-learn: a level of the place, and an anomaly of its season.

All take ``X`` as a table with the columns ``group`` (region or parcel), ``year`` (of harvest) and features, and ``y`` in t/ha.
Rows with NaN in ``y`` are seasons without a harvest figure: they tell the climatology of the features and nothing else.
NaN in a feature means "as usual". A group never seen has the level of those seen.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import ExtraTreesRegressor

from agro.yields.random_effects import fit_blocks, indicator
from agro.yields.screening import plausible
from agro.yields.seasons import AROUND, RECENT

#: Available water of the soil, where known: not an anomaly, but what a dry or wet month is weighed by.
SOIL = "soil_awc"
KEYS = ("group", "year")
#: Seasons' worth of the spread of all groups that a group's own spread is drawn by.
SPREAD_SEASONS = 5.0
#: Least spread of a feature, as a share of the spread of all its values, for an anomaly to be told.
LEAST_SPREAD_FRAC = 1e-3
#: Anomalies beyond this many standard deviations say no more than this.
WIDEST = 4.0


class Anomalies(BaseEstimator):
    """Features as standardised anomalies against the group's own seasons.

    The spread of a group is drawn towards that of all (five seasons' worth). NaN, and every feature of a group never seen, come out as zero.
    Where ``soil_awc`` is given, the anomaly of the last 30 days comes once more, times the standardised soil water.
    """

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:
        """Learn mean and spread of each feature and group."""
        self.features_ = [c for c in X.columns if c not in (*KEYS, SOIL)]
        self.with_soil_ = [c for c in self.features_ if c.endswith(RECENT) and not c.startswith(AROUND)]
        self.soil_mean_, self.soil_spread_ = np.nan, np.nan
        if SOIL in X and X[SOIL].notna().any():
            soil = X.groupby("group")[SOIL].first()
            self.soil_mean_, self.soil_spread_ = float(soil.mean()), float(soil.std())
        self.has_soil_ = bool(self.with_soil_ and self.soil_spread_ > 0)
        values = X[self.features_].astype(float)
        grouped = values.groupby(X["group"].to_numpy().astype(str))
        mean, count = grouped.mean(), grouped.count()
        left = values.to_numpy() - mean.reindex(X["group"].astype(str)).to_numpy()
        square = pd.DataFrame(left**2, columns=self.features_).groupby(X["group"].to_numpy().astype(str)).sum()
        freedom = (count - 1).clip(lower=0)
        pooled = square.sum() / freedom.sum().clip(lower=1)
        least = (LEAST_SPREAD_FRAC * values.std()) ** 2
        spread = (square + SPREAD_SEASONS * pooled) / (freedom + SPREAD_SEASONS)
        self.groups_ = np.asarray(mean.index, dtype=str)
        self.mean_ = mean.to_numpy(dtype=float)
        self.spread_ = np.sqrt(spread.where(spread > least).to_numpy(dtype=float))
        return self

    def transform(self, X: pd.DataFrame) -> np.ndarray:
        """Anomalies (rows, features) in standard deviations, no NaN."""
        code = pd.Index(self.groups_).get_indexer(X["group"].astype(str))
        value = (X[self.features_].to_numpy(dtype=float) - self.mean_[code]) / self.spread_[code]
        value[code < 0] = 0.0
        value = np.clip(np.nan_to_num(value, nan=0.0), -WIDEST, WIDEST)
        if not self.has_soil_:
            return value
        soil = (X[SOIL].to_numpy(dtype=float) - self.soil_mean_) / self.soil_spread_
        recent = value[:, [self.features_.index(c) for c in self.with_soil_]]
        return np.hstack([value, np.nan_to_num(soil, nan=0.0)[:, None] * recent])

    @property
    def names_(self) -> list[str]:
        """Name of each column that comes out."""
        return [*self.features_, *((f"{c}_x_{SOIL}" for c in self.with_soil_) if self.has_soil_ else ())]


class MeanYield(RegressorMixin, BaseEstimator):
    """Mean of the group, drawn to that of all as if `drawn` more seasons had given it."""

    def __init__(self, drawn: float = 0.0) -> None:
        self.drawn = drawn

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Learn the means."""
        y = np.asarray(y, dtype=float)
        known = np.isfinite(y)
        self.mean_ = float(y[known].mean())
        one = pd.Series(y[known]).groupby(X["group"].to_numpy()[known].astype(str)).agg(["sum", "count"])
        self.groups_ = np.asarray(one.index, dtype=str)
        self.level_ = ((one["sum"] + self.drawn * self.mean_) / (one["count"] + self.drawn)).to_numpy(dtype=float)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Level of each row's group (t/ha)."""
        code = pd.Index(self.groups_).get_indexer(X["group"].astype(str))
        return np.where(code >= 0, self.level_[code], self.mean_)


class LevelYield(MeanYield):
    """Group and year as random effects: what a group yields in a usual year. With `trend`, linear trends drawn to none."""

    def __init__(self, trend: bool = False) -> None:
        self.trend = trend

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Estimate the effects, from plausible figures."""
        y = np.asarray(y, dtype=float)
        known = plausible(X["group"].to_numpy(), y)
        groups, code = np.unique(X["group"].to_numpy()[known].astype(str), return_inverse=True)
        year = X["year"].to_numpy(dtype=float)[known]
        years, year_code = np.unique(year, return_inverse=True)
        self.groups_ = groups
        self.year_ = float(year.mean())
        of_group = indicator(code, len(groups))
        blocks = [np.ones((len(code), 1)), of_group, indicator(year_code, len(years))]
        if self.trend:
            decade = (year - self.year_)[:, None] / 10.0
            blocks += [decade, of_group * decade]
        fitted = fit_blocks(blocks, y[known]).coefficients
        self.mean_ = float(fitted[0][0])
        self.level_ = self.mean_ + fitted[1]
        self.slope_ = float(fitted[3][0]) if self.trend else 0.0  # t/ha a decade
        self.group_slope_ = self.slope_ + fitted[4] if self.trend else np.zeros(len(groups))
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Level of each row's group, in its year (t/ha)."""
        code = pd.Index(self.groups_).get_indexer(X["group"].astype(str))
        level = np.where(code >= 0, self.level_[code], self.mean_)
        slope = np.where(code >= 0, self.group_slope_[code], self.slope_)
        return np.maximum(level + slope * (X["year"].to_numpy(dtype=float) - self.year_) / 10.0, 0.0)


class SeasonYield(RegressorMixin, BaseEstimator):
    """Level of the group times one plus the season's relative anomaly; how the anomaly is told is the subclass's."""

    def fit(self, X: pd.DataFrame, y: Any) -> Self:
        """Learn the climatology from all rows, level and anomaly from those with a plausible harvest."""
        y = np.asarray(y, dtype=float)
        known = plausible(X["group"].to_numpy(), y)
        self.anomalies_ = Anomalies().fit(X)
        self.level_ = LevelYield().fit(X, y)
        rows = X[known]
        level = np.maximum(self.level_.predict(rows), 1e-6)
        self._fit_anomaly(self.anomalies_.transform(rows), y[known] / level - 1.0, rows)
        return self

    def _fit_anomaly(self, features: np.ndarray, anomaly: np.ndarray, rows: pd.DataFrame) -> None:
        raise NotImplementedError

    def _anomaly(self, features: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        raise NotImplementedError

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Forecast (t/ha), never below zero."""
        anomaly = self._anomaly(self.anomalies_.transform(X), X)
        return np.maximum(self.level_.predict(X) * (1.0 + anomaly), 0.0)


class RidgeYield(SeasonYield):
    """Slopes on the features with years as random effects; with `pooled`, slopes on the two leading components vary by group."""

    COMPONENTS = 2

    def __init__(self, pooled: bool = False) -> None:
        self.pooled = pooled

    def _fit_anomaly(self, features: np.ndarray, anomaly: np.ndarray, rows: pd.DataFrame) -> None:
        years, year_code = np.unique(rows["year"].to_numpy(), return_inverse=True)
        blocks = [np.ones((len(rows), 1)), indicator(year_code, len(years)), features]
        self.axes_ = np.zeros((features.shape[1], 0))
        self.groups_ = np.array([], dtype=str)
        if self.pooled:
            count = min(self.COMPONENTS, features.shape[1])
            self.axes_ = np.linalg.eigh(features.T @ features)[1][:, ::-1][:, :count]
            scores = features @ self.axes_
            self.axes_ = self.axes_ / np.maximum(scores.std(axis=0), 1e-9)
            groups, code = np.unique(rows["group"].to_numpy().astype(str), return_inverse=True)
            self.groups_ = groups
            of_group = indicator(code, len(groups))
            blocks += [of_group * (features @ self.axes_)[:, [k]] for k in range(count)]
        fitted = fit_blocks(blocks, anomaly).coefficients
        self.intercept_ = float(fitted[0][0])
        self.coef_ = fitted[2]
        self.group_coef_ = np.array(fitted[3:]).T if self.pooled else np.zeros((0, 0))  # (groups, components)

    def slopes(self, rows: pd.DataFrame) -> np.ndarray:
        """Relative anomaly of yield per standard deviation of each feature (rows, features)."""
        slopes = np.tile(self.coef_, (len(rows), 1))
        if self.pooled:
            code = pd.Index(self.groups_).get_indexer(rows["group"].astype(str))
            own = np.where(code[:, None] >= 0, self.group_coef_[code], 0.0)
            slopes = slopes + own @ self.axes_.T
        return slopes

    def _anomaly(self, features: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return self.intercept_ + np.sum(features * self.slopes(rows), axis=1)


class TreesYield(SeasonYield):
    """Extremely randomised trees (Geurts et al. 2006, doi 10.1007/s10994-006-6226-1)."""

    def __init__(self, trees: int = 100, leaf: int = 5, share: float = 0.5, seed: int = 0) -> None:
        self.trees = trees
        self.leaf = leaf
        self.share = share
        self.seed = seed

    def _fit_anomaly(self, features: np.ndarray, anomaly: np.ndarray, rows: pd.DataFrame) -> None:
        self.trees_ = ExtraTreesRegressor(
            self.trees, min_samples_leaf=self.leaf, max_features=self.share, random_state=self.seed
        ).fit(features, anomaly)

    def _anomaly(self, features: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return self.trees_.predict(features)


class GaussianProcessYield(SeasonYield):
    """Squared-exponential process over the features, with year effects and noise; variances by marginal likelihood.

    Rasmussen and Williams (2006), chapter 5. The length scale is the median distance between seasons; the ratios of
    variances are the best of a grid, the scale is found in closed form.
    """

    SIGNAL = (0.05, 0.15, 0.5, 1.5)
    YEAR = (0.02, 0.2, 0.6)

    def _fit_anomaly(self, features: np.ndarray, anomaly: np.ndarray, rows: pd.DataFrame) -> None:
        year = rows["year"].to_numpy()
        self.seen_ = features
        self.intercept_ = float(anomaly.mean())
        squared = _squared_distances(features, features)
        self.length_ = float(np.sqrt(np.median(squared[np.triu_indices(len(features), 1)]))) or 1.0
        kernel = np.exp(-0.5 * squared / self.length_**2)
        same = (year[:, None] == year[None, :]).astype(float)
        target, best = anomaly - self.intercept_, -np.inf
        for signal in self.SIGNAL:
            for of_year in self.YEAR:
                factor = cho_factor(signal * kernel + of_year * same + np.eye(len(target)))
                weight = cho_solve(factor, target)
                likelihood = -0.5 * len(target) * np.log(target @ weight) - np.log(np.diag(factor[0])).sum()
                if likelihood > best:
                    best, self.weight_ = likelihood, signal * weight

    def _anomaly(self, features: np.ndarray, rows: pd.DataFrame) -> np.ndarray:
        return (
            self.intercept_ + np.exp(-0.5 * _squared_distances(features, self.seen_) / self.length_**2) @ self.weight_
        )


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T, 0.0)


def candidates() -> dict[str, BaseEstimator]:
    """The models tried, unfitted, by name; the first is the fallback."""
    return {
        "mean": MeanYield(),
        "level": LevelYield(),
        "trend": LevelYield(trend=True),
        "ridge": RidgeYield(),
        "pooled_ridge": RidgeYield(pooled=True),
        "trees": TreesYield(),
        "gp": GaussianProcessYield(),
    }
