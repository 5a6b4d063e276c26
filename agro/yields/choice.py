"""Which model, if any, by leaving out one year after the other; weights of a stack; forecasts of years left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from sklearn.base import BaseEstimator, clone

#: Name of the combination, and weight of the condition that its weights sum to one with what is left to the mean.
STACK, TIE = "stack", 1e3


class YearsLeftOut:
    """Forecasts of whole years from models that have seen none of a set of years; each set is fitted once.

    Leaving out years {a, b} serves the choice made without a, on b, and the one made without b, on a.

    Parameters
    ----------
    X : pandas.DataFrame
        group, year, features.
    y : numpy.ndarray
        Yield (t/ha); NaN = no harvest figure.
    models : mapping
        Unfitted models by name; the first is the fallback.
    usable : numpy.ndarray, optional
        Rows whose yield may be learned from (a spatial block is kept out by it); all by default.
    """

    def __init__(
        self, X: pd.DataFrame, y: np.ndarray, models: Mapping[str, BaseEstimator], usable: np.ndarray | None = None
    ) -> None:
        self.X, self.y, self.models = X, np.asarray(y, dtype=float), dict(models)
        self.year = X["year"].to_numpy()
        self.known = np.isfinite(self.y)
        self.usable = self.known if usable is None else self.known & usable
        self.years = tuple(int(v) for v in np.unique(self.year[self.usable]))
        self._done: dict[frozenset[int], dict[str, np.ndarray]] = {}

    def prepare(self, jobs: int, pairs: bool = True) -> None:
        """Fit all single years left out, and all pairs, in `jobs` processes."""
        self.prepare_sets(
            [frozenset(c) for size in ((1, 2) if pairs else (1,)) for c in combinations(self.years, size)], jobs
        )

    def prepare_sets(self, sets: list[frozenset[int]], jobs: int) -> None:
        """Fit the sets of years left out that are not yet there."""
        sets = [s for s in dict.fromkeys(sets) if s not in self._done]
        if jobs == 1:
            done = [self._fit(s) for s in sets]
        else:
            from joblib import Parallel, delayed

            done = Parallel(n_jobs=jobs, batch_size=4)(delayed(self._fit)(s) for s in sets)
        self._done.update(zip(sets, done, strict=True))

    def without(self, years: Iterable[int]) -> dict[str, np.ndarray]:
        """Forecasts by model of every known row of `years` from all other years; NaN elsewhere."""
        key = frozenset(years)
        if key not in self._done:
            self._done[key] = self._fit(key)
        return self._done[key]

    def inner(self, excluded: Iterable[int] = ()) -> dict[str, np.ndarray]:
        """Forecasts of every known row outside `excluded`, each year from the years that are neither it nor excluded."""
        out = {name: np.full(len(self.y), np.nan) for name in self.models}
        for year in self.years:
            if year in excluded:
                continue
            here = self.year == year
            for name, value in self.without({year, *excluded}).items():
                out[name][here] = value[here]
        return out

    def _fit(self, years: frozenset[int]) -> dict[str, np.ndarray]:
        left_out = np.isin(self.year, list(years))
        rows, asked = ~left_out, left_out & self.known
        target = np.where(self.usable, self.y, np.nan)[rows]
        out = {}
        for name, model in self.models.items():
            value = np.full(len(self.y), np.nan)
            value[asked] = clone(model).fit(self.X[rows], target).predict(self.X[asked])
            out[name] = value
        return out


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Attributes
    ----------
    name : str
        Model taken; the fallback's where nothing pays.
    weights : dict
        Weights of the stack by model; empty for any other.
    gains : dict
        By model: mean over years of log(RMSE / RMSE of the fallback); below zero is better.
    doubts : dict
        Standard errors of the gains.
    """

    name: str
    weights: dict[str, float]
    gains: dict[str, float]
    doubts: dict[str, float]


def choose(forecasts: Mapping[str, np.ndarray], y: np.ndarray, year: np.ndarray, stack: bool = True) -> Choice:
    """Choose from forecasts of years left out; the first model is the fallback.

    A model is taken when its mean log ratio of RMSE to the fallback's is the lowest and below zero by more than one standard
    error over the years (the one-standard-error rule of Breiman et al. 1984).

    Parameters
    ----------
    forecasts : mapping
        Forecasts (rows,) by model, NaN where none was made.
    y, year : numpy.ndarray
        Yield (t/ha) and year of each row.
    stack : bool
        Whether the stack takes part. Each year's stack has weights from the other years.
    """
    fallback = next(iter(forecasts))
    rows = np.isfinite(forecasts[fallback]) & np.isfinite(y)
    tried = {name: f[rows] for name, f in forecasts.items()}
    target, of_year = y[rows], year[rows]
    weights: dict[str, float] = {}
    if stack and len(tried) > 1 and len(np.unique(of_year)) > 2:
        weights = stack_weights(tried, target, of_year)
        value = np.empty(len(target))
        for one in np.unique(of_year):
            here = of_year == one
            others = stack_weights({k: v[~here] for k, v in tried.items()}, target[~here], of_year[~here])
            value[here] = combine({k: v[here] for k, v in tried.items()}, others)
        tried[STACK] = value
    reference = year_rmse(tried[fallback], target, of_year)
    gains, doubts = {}, {}
    for name, value in tried.items():
        ratio = np.log(np.maximum(year_rmse(value, target, of_year), 1e-12) / np.maximum(reference, 1e-12))
        gains[name] = float(ratio.mean())
        doubts[name] = float(ratio.std(ddof=1) / np.sqrt(len(ratio))) if len(ratio) > 1 else np.inf
    best = min(gains, key=lambda n: gains[n])
    name = best if gains[best] < -doubts[best] else fallback
    return Choice(name, weights if name == STACK else {}, gains, doubts)


def year_rmse(forecast: np.ndarray, y: np.ndarray, year: np.ndarray) -> np.ndarray:
    """RMSE (unit of y) of each year, in order of the years."""
    code = np.unique(year, return_inverse=True)[1]
    return np.sqrt(np.bincount(code, (forecast - y) ** 2) / np.bincount(code))


def stack_weights(forecasts: Mapping[str, np.ndarray], y: np.ndarray, year: np.ndarray) -> dict[str, float]:
    """Non-negative weights, summing to at most one, of what each model adds to the first; every year counts the same.

    Stacked regression (Breiman 1996, doi 10.1007/BF00117832). What the weights leave below one stays with the first model.
    """
    names = list(forecasts)
    base = forecasts[names[0]]
    code = np.unique(year, return_inverse=True)[1]
    share = 1.0 / np.sqrt(np.bincount(code) * np.maximum(np.bincount(code, (base - y) ** 2) / np.bincount(code), 1e-12))
    weight = share[code]
    design = np.column_stack([forecasts[n] - base for n in names[1:]]) * weight[:, None]
    scale = TIE * max(float(np.abs(design).max(initial=0.0)), 1e-9)
    design = np.vstack([np.hstack([design, np.zeros((len(design), 1))]), np.full((1, len(names)), scale)])
    solution = nnls(design, np.append((y - base) * weight, scale))[0]
    return {name: float(w) for name, w in zip(names[1:], solution[:-1], strict=True) if w > 1e-6}


def combine(forecasts: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """The stack's forecast (t/ha)."""
    base = next(iter(forecasts.values()))
    return base + sum((w * (forecasts[n] - base) for n, w in weights.items()), np.zeros_like(base))
