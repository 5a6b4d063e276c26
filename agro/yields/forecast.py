"""A yield outlook per parcel that falls back to the mean where learning does not pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agro.schema.crops import Crop
from agro.schema.region import Region
from agro.schema.tables import validate
from agro.yields.features import FEATURES, SEASON_START, season_features, season_of

#: Least seasons and rows of a crop from which anything is said.
MIN_SEASONS, MIN_ROWS = 3, 8
LEVEL = 0.90
ALPHAS = (1.0, 10.0, 100.0)
#: A learned model has to be this much better than the mean, in leave-one-season-out RMSE.
MARGIN = 0.02


@dataclass(frozen=True)
class CropModel:
    """Model of one crop: what was chosen, how well it did on seasons left out, and its interval.

    ``estimator`` is None where the mean was not beaten.
    """

    mean_t_ha: float
    parcel_mean: Mapping[str, float]
    estimator: Any
    name: str
    half_width_t_ha: float
    scores: Mapping[str, float]
    seasons: tuple[int, ...]
    rows: int


@dataclass(frozen=True)
class YieldModel:
    """Models by crop, and the day of the season that they were trained for."""

    cut_day: int
    crops: Mapping[str, CropModel] = field(default_factory=dict)


def cut_day_of(as_of: date) -> int:
    """Day of the season of a date."""
    return (as_of - date(season_of(as_of) - 1, *SEASON_START)).days


def train(history: pd.DataFrame, index_history: pd.DataFrame, as_of: date, crops: Mapping[str, Crop]) -> YieldModel:
    """Train one model a crop on past seasons, cut at the same day of the season as `as_of`.

    Candidates are the parcel's own mean, drawn towards the crop's, and ridge regressions on the index features
    added to it. The choice is made by leave-one-season-out within the history; a regression is taken only when it
    beats the mean by 2 % in RMSE. The interval is conformal: the 90 % quantile, with the finite-sample correction,
    of the absolute errors of seasons left out (Lei et al. 2018, doi 10.1080/01621459.2017.1307116, with seasons as
    folds).

    Parameters
    ----------
    history : pandas.DataFrame
        Table ``yield_history``; seasons up to the one before `as_of`.
    index_history : pandas.DataFrame
        Table ``observations`` of those seasons.
    as_of : datetime.date
        Issue date.
    crops : mapping
        Crop table; other crops are not trained.
    """
    cut = cut_day_of(as_of)
    past = history[history["season"] < season_of(as_of)]
    features = season_features(index_history, cut)
    features = features.astype({"season": "int64"}) if len(features) else features
    table = (
        past.merge(features, on=["parcel_uid", "season"], how="inner")
        if len(features)
        else past.iloc[:0].assign(**dict.fromkeys(FEATURES, np.nan))
    )
    models = {}
    for crop, rows in table.groupby("crop", sort=True):
        if crop in crops and rows["season"].nunique() >= MIN_SEASONS and len(rows) >= MIN_ROWS:
            models[str(crop)] = _train_crop(rows.sort_values(["season", "parcel_uid"]))
    return YieldModel(cut, models)


def _base(train_rows: pd.DataFrame) -> tuple[float, dict[str, float]]:
    """Crop mean, and each parcel's mean drawn towards it as if one more season had given the crop mean."""
    mean = float(train_rows["yield_t_ha"].mean())
    groups = train_rows.groupby("parcel_uid")["yield_t_ha"]
    own = (groups.sum() + mean) / (groups.count() + 1)
    return mean, {str(uid): float(value) for uid, value in own.items()}


def _fit(train_rows: pd.DataFrame, alpha: float | None) -> tuple[float, dict[str, float], Any]:
    mean, own = _base(train_rows)
    if alpha is None:
        return mean, own, None
    model = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    model.fit(
        train_rows[list(FEATURES)].to_numpy(), (train_rows["yield_t_ha"] - train_rows["parcel_uid"].map(own)).to_numpy()
    )
    return mean, own, model


def _apply(rows: pd.DataFrame, mean: float, own: Mapping[str, float], model: Any) -> np.ndarray:
    base = rows["parcel_uid"].map(own).fillna(mean).to_numpy(dtype=float)
    added = 0.0 if model is None else model.predict(rows[list(FEATURES)].to_numpy())
    return np.clip(base + added, 0.0, None)


def _left_out(rows: pd.DataFrame, alpha: float | None) -> np.ndarray:
    """Forecast of each row by the model of the other seasons."""
    out = np.empty(len(rows))
    for season in rows["season"].unique():
        held = (rows["season"] == season).to_numpy()
        out[held] = _apply(rows[held], *_fit(rows[~held], alpha))
    return out


def _train_crop(rows: pd.DataFrame) -> CropModel:
    truth = rows["yield_t_ha"].to_numpy()
    forecasts = {alpha: _left_out(rows, alpha) for alpha in (None, *ALPHAS)}
    errors = {alpha: float(np.sqrt(np.mean((f - truth) ** 2))) for alpha, f in forecasts.items()}
    best = min(ALPHAS, key=lambda a: errors[a])
    chosen = best if errors[best] < (1 - MARGIN) * errors[None] else None
    residual = np.sort(np.abs(forecasts[chosen] - truth))
    rank = min(int(np.ceil((len(residual) + 1) * LEVEL)), len(residual)) - 1
    mean, own, model = _fit(rows, chosen)
    scores = {
        "rmse_t_ha": errors[chosen],
        "nrmse_pct": 100 * errors[chosen] / float(truth.mean()),
        "skill_against_mean": 1 - (errors[chosen] / errors[None]) ** 2,
        "coverage_frac": _coverage(rows, forecasts[chosen], truth),
    }
    name = "mean" if chosen is None else f"ridge(alpha={chosen:g})"
    return CropModel(
        mean,
        own,
        model,
        name,
        float(residual[rank]),
        scores,
        tuple(int(s) for s in sorted(rows["season"].unique())),
        len(rows),
    )


def _coverage(rows: pd.DataFrame, forecast: np.ndarray, truth: np.ndarray) -> float:
    """Coverage of each season by the interval that the other seasons' errors give."""
    error = np.abs(forecast - truth)
    inside = []
    for season in rows["season"].unique():
        held = (rows["season"] == season).to_numpy()
        others = np.sort(error[~held])
        rank = min(int(np.ceil((len(others) + 1) * LEVEL)), len(others)) - 1
        inside.append(error[held] <= others[rank])
    return float(np.concatenate(inside).mean())


def evaluate(model: YieldModel) -> pd.DataFrame:
    """Leave-one-season-out scores by crop: model, seasons, rows, rmse_t_ha, nrmse_pct, skill_against_mean, coverage_frac."""
    return pd.DataFrame(
        [
            {"crop": c, "model": m.name, "seasons": len(m.seasons), "rows": m.rows, **m.scores}
            for c, m in model.crops.items()
        ]
    )


def predict(
    model: YieldModel, observations: pd.DataFrame, parcels: pd.DataFrame, as_of: date, region: Region
) -> pd.DataFrame:
    """Outlook for every parcel; those of which nothing can be said abstain with the reason.

    Returns
    -------
    pandas.DataFrame
        Table ``yield``. Reasons to abstain: ``no_history`` (of the crop), ``no_index`` (fewer than five usable
        looks this season). ``label``: ``trained_on_simulated`` in a simulated region, ``trained_on_history``,
        or ``unvalidated`` where nothing was trained.
    """
    seen = observations[observations["date"] <= pd.Timestamp(as_of)]
    season = season_of(as_of)
    features = season_features(seen, model.cut_day)
    now = (
        features[features["season"] == season].set_index("parcel_uid")
        if len(features)
        else features.set_index("parcel_uid")
    )
    rows = []
    for parcel in parcels[["parcel_uid", "agro:crop"]].to_dict("records"):
        uid, crop = parcel["parcel_uid"], parcel["agro:crop"]
        fitted = model.crops.get(crop)
        row = {
            "parcel_uid": uid, "crop": crop, "season": season, "as_of": pd.Timestamp(as_of), "yield_t_ha": np.nan, "low_t_ha": np.nan,
            "high_t_ha": np.nan, "level_frac": LEVEL, "mean_t_ha": np.nan, "model": "none", "label": "unvalidated", "abstain_reason": "no_history",
        }  # fmt: skip
        if fitted is not None:
            label = "trained_on_simulated" if region.place.simulated else "trained_on_history"
            row.update(mean_t_ha=fitted.mean_t_ha, label=label, model=fitted.name, abstain_reason="no_index")
            if uid in now.index:
                one = now.loc[[uid]].reset_index()
                value = float(_apply(one, fitted.mean_t_ha, fitted.parcel_mean, fitted.estimator)[0])
                row.update(
                    yield_t_ha=value,
                    low_t_ha=max(value - fitted.half_width_t_ha, 0.0),
                    high_t_ha=value + fitted.half_width_t_ha,
                    abstain_reason=None,
                )
        rows.append(row)
    return validate(pd.DataFrame(rows), "yield")
