"""A yield model of one crop: chosen by years left out, with its interval and its area of applicability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from agro.yields.applicability import Applicability
from agro.yields.choice import STACK, Choice, YearsLeftOut, choose, combine
from agro.yields.intervals import Interval, calibrate
from agro.yields.models import LevelYield, RidgeYield, SeasonYield
from agro.yields.screening import plausible


@dataclass(frozen=True)
class SeasonModel:
    """What a forecast needs.

    Attributes
    ----------
    choice : Choice
        Model taken and the gains of all tried.
    fitted : dict
        Fitted estimators, the fallback and those with weight; by name, fallback first.
    usual : LevelYield
        Usual yield of each group, which intervals and anomalies are relative to.
    interval : Interval
        Conformal interval across years.
    area : Applicability or None
        None where the fallback stands: a mean has no area.
    columns : tuple of str
        Columns read, group and year among them.
    years : tuple of int
        Years of harvest learned from.
    rows : int
        Rows learned from.
    """

    choice: Choice
    fitted: dict[str, BaseEstimator]
    usual: LevelYield
    interval: Interval
    area: Applicability | None
    columns: tuple[str, ...]
    years: tuple[int, ...]
    rows: int

    def forecast(self, X: pd.DataFrame) -> np.ndarray:
        """Yield (t/ha) of each row, whether inside the area or not."""
        return taken(self.choice, {name: model.predict(X) for name, model in self.fitted.items()})

    def outside(self, X: pd.DataFrame) -> np.ndarray:
        """Dissimilarity over the limit (rows,), above 1 outside; zero where the fallback stands."""
        if self.area is None:
            return np.zeros(len(X))
        return self.area.dissimilarity(season_part(self.fitted).anomalies_.transform(X)) / self.area.limit


def season_part(fitted: Mapping[str, BaseEstimator]) -> SeasonYield:
    """The first model that reads features."""
    return next(m for m in fitted.values() if isinstance(m, SeasonYield))


#: Half width of a normal interval of 90 %, in standard deviations.
NORMAL_90 = 1.645


def place_doubt_frac(usual: LevelYield, groups: pd.Series) -> np.ndarray:
    """What not knowing a place's level adds to the half width, as a share of the mean level: zero for places seen.

    Conformal scores come from places whose level is known; of a new one only the spread of levels is (normal, 90 %).
    """
    seen = groups.astype(str).isin(set(usual.groups_)).to_numpy()
    spread = NORMAL_90 * float(np.std(usual.level_)) / max(usual.mean_, 1e-9)
    return np.where(seen, 0.0, spread)


def taken(choice: Choice, forecasts: Mapping[str, np.ndarray]) -> np.ndarray:
    """The chosen forecast among `forecasts` (t/ha); the fallback first."""
    return combine(forecasts, choice.weights) if choice.name == STACK else forecasts[choice.name]


def choose_and_calibrate(
    left_out: YearsLeftOut, excluded: tuple[int, ...] = (), stack: bool = True
) -> tuple[Choice, Interval]:
    """Choice and interval from years left out among those not `excluded`: nothing of the excluded years is read."""
    forecasts = left_out.inner(excluded)
    inside = left_out.usable & ~np.isin(left_out.year, excluded)
    forecasts = {name: np.where(inside, value, np.nan) for name, value in forecasts.items()}
    choice = choose(forecasts, left_out.y, left_out.year, stack)
    target = np.where(inside, left_out.y, np.nan)
    target[~plausible(left_out.X["group"].to_numpy(), target)] = np.nan
    usual = forecasts.get("level", next(iter(forecasts.values())))
    return choice, calibrate(taken(choice, forecasts), target, usual, left_out.year)


def train_season_model(
    X: pd.DataFrame, y: np.ndarray, models: Mapping[str, BaseEstimator], stack: bool = True, jobs: int = 1
) -> SeasonModel:
    """Choose, calibrate and fit.

    Parameters
    ----------
    X : pandas.DataFrame
        ``group``, ``year`` and features; see :mod:`agro.yields.models`.
    y : numpy.ndarray
        Yield (t/ha); NaN = no harvest figure.
    models : mapping
        Unfitted models by name, the fallback first.
    stack : bool
        Whether a stack of them takes part.
    jobs : int
        Processes.
    """
    y = np.asarray(y, dtype=float)
    left_out = YearsLeftOut(X, y, models)
    left_out.prepare(jobs, pairs=False)
    choice, interval = choose_and_calibrate(left_out, stack=stack)
    names = list(models)
    wanted = [names[0], *(choice.weights if choice.name == STACK else [choice.name])]
    fitted = {name: clone(models[name]).fit(X, y) for name in dict.fromkeys(wanted)}
    area = None
    if any(isinstance(m, SeasonYield) for m in fitted.values()):
        part = season_part(fitted)
        rows = plausible(X["group"].to_numpy(), y)
        linear = fitted["ridge"] if "ridge" in fitted else RidgeYield().fit(X, y)
        features = part.anomalies_.transform(X[rows])
        area = Applicability.of(features, np.abs(linear.coef_), X["year"].to_numpy()[rows])
    return SeasonModel(
        choice,
        fitted,
        LevelYield().fit(X, y),
        interval,
        area,
        tuple(X.columns),
        left_out.years,
        int(left_out.known.sum()),
    )


def predict_season_model(model: SeasonModel, X: pd.DataFrame) -> pd.DataFrame:
    """Forecast of every row; outside the area of applicability the model abstains.

    Returns
    -------
    pandas.DataFrame
        Index of `X`: yield_t_ha, low_t_ha, high_t_ha (NaN where it abstains), usual_t_ha, dissimilarity (1 = edge of the area),
        outside (bool).
    """
    X = X[list(model.columns)]
    forecast, usual = model.forecast(X), model.usual.predict(X)
    low, high = model.interval.bounds(forecast, usual, place_doubt_frac(model.usual, X["group"]))
    ratio = model.outside(X)
    outside = ratio > 1.0
    out = pd.DataFrame({"yield_t_ha": forecast, "low_t_ha": low, "high_t_ha": high}, index=X.index)
    out[outside] = np.nan
    return out.assign(usual_t_ha=usual, dissimilarity=ratio, outside=outside)
