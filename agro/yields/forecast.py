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
from agro.schema.errors import ContractError
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
    added to it. The choice is made by leaving out one season after the other; a regression is taken only when it
    beats the mean by 2 % in RMSE and by more than one standard error of the seasons' gains (the one-standard-error
    rule of Breiman et al. 1984). The scores repeat the whole of it, choice and interval included, without the
    season that is scored.

    The interval is conformal across seasons (after Lei et al. 2018, doi 10.1080/01621459.2017.1307116): each season
    left out gives the 90 % quantile of its absolute errors, and the half width is the 90 % quantile of those, with the
    finite-sample correction. Parcels of one season share its weather, so it is seasons that count: with fewer
    than nine the half width is that of the worst one.

    Parameters
    ----------
    history : pandas.DataFrame
        Table ``yield_history``. Harvests not known on `as_of` are left out: those of the present season, and of
        orchards those of the present year.
    index_history : pandas.DataFrame
        Table ``observations`` of those seasons.
    as_of : datetime.date
        Issue date.
    crops : mapping
        Crop table; other crops are not trained.

    Returns
    -------
    YieldModel
        Without the crops that have fewer than three seasons or eight rows. Where only those with features are fewer,
        the mean stands.
    """
    cut = cut_day_of(as_of)
    features = season_features(index_history, cut)
    models = {}
    for crop, known in history.groupby("crop", sort=True):
        if crop not in crops:
            continue
        first_unknown = min(season_of(as_of), as_of.year) if crops[str(crop)].kind == "orchard" else season_of(as_of)
        past = known[known["season"] < first_unknown]
        rows = past.merge(features, on=["parcel_uid", "season"], how="inner").sort_values(["season", "parcel_uid"])
        if _enough(rows):
            models[str(crop)] = _train_crop(rows, FEATURES)
        elif _enough(past):  # too early in the season for features, or no index kept: the mean is all there is
            models[str(crop)] = _train_crop(past.sort_values(["season", "parcel_uid"]), ())
    return YieldModel(cut, models)


@dataclass(frozen=True)
class _Sample:
    """Rows of one crop as arrays: season, number of the parcel, features (rows, features), yield (t/ha)."""

    season: np.ndarray
    parcel: np.ndarray
    features: np.ndarray
    yield_t_ha: np.ndarray

    def where(self, rows: np.ndarray) -> _Sample:
        return _Sample(self.season[rows], self.parcel[rows], self.features[rows], self.yield_t_ha[rows])

    @property
    def seasons(self) -> np.ndarray:
        return np.unique(self.season)


@dataclass(frozen=True)
class _Fitted:
    mean: float
    own: np.ndarray  # by number of the parcel; the crop's mean where a parcel is new
    estimator: Any

    def forecast(self, sample: _Sample) -> np.ndarray:
        added = 0.0 if self.estimator is None else self.estimator.predict(sample.features)
        return np.clip(self.own[sample.parcel] + added, 0.0, None)


def _fit(sample: _Sample, alpha: float | None, parcels: int) -> _Fitted:
    """Each parcel's mean, drawn towards the crop's as if one more season had given that; ridge on what is left."""
    mean = float(sample.yield_t_ha.mean())
    total = np.bincount(sample.parcel, sample.yield_t_ha, minlength=parcels)
    own = (total + mean) / (np.bincount(sample.parcel, minlength=parcels) + 1)
    if alpha is None:
        return _Fitted(mean, own, None)
    model = make_pipeline(StandardScaler(), Ridge(alpha=alpha))
    model.fit(sample.features, sample.yield_t_ha - own[sample.parcel])
    return _Fitted(mean, own, model)


def _choose(sample: _Sample, parcels: int) -> tuple[float | None, float]:
    """Strength of the ridge, None for the mean, and half width of the interval, from seasons left out in turn."""
    alphas = ALPHAS if sample.features.shape[1] else ()
    errors: dict[float | None, np.ndarray] = {a: np.empty(len(sample.season)) for a in (None, *alphas)}
    for season in sample.seasons:
        held = sample.season == season
        rest, left_out = sample.where(~held), sample.where(held)
        for alpha, error in errors.items():
            error[held] = _fit(rest, alpha, parcels).forecast(left_out) - left_out.yield_t_ha
    rmse = {alpha: float(np.sqrt(np.mean(error**2))) for alpha, error in errors.items()}
    best = min(errors, key=lambda a: rmse[a])
    gain = np.array(
        [np.mean(errors[None][sample.season == s] ** 2 - errors[best][sample.season == s] ** 2) for s in sample.seasons]
    )
    pays = rmse[best] < (1 - MARGIN) * rmse[None] and gain.mean() > gain.std(ddof=1) / np.sqrt(len(gain))
    chosen = best if pays else None
    size = np.abs(errors[chosen])
    widths = np.sort([np.quantile(size[sample.season == s], LEVEL, method="higher") for s in sample.seasons])
    rank = min(int(np.ceil((len(widths) + 1) * LEVEL)), len(widths)) - 1
    return chosen, float(widths[rank])


def _enough(rows: pd.DataFrame) -> bool:
    return rows["season"].nunique() >= MIN_SEASONS and len(rows) >= MIN_ROWS


def _train_crop(rows: pd.DataFrame, features: tuple[str, ...]) -> CropModel:
    codes, uids = pd.factorize(rows["parcel_uid"], sort=True)
    sample = _Sample(
        rows["season"].to_numpy(), codes, rows[list(features)].to_numpy(dtype=float), rows["yield_t_ha"].to_numpy(dtype=float)
    )  # fmt: skip
    alpha, half_width = _choose(sample, len(uids))
    fitted = _fit(sample, alpha, len(uids))
    return CropModel(
        mean_t_ha=fitted.mean,
        parcel_mean={str(uid): float(value) for uid, value in zip(uids, fitted.own, strict=True)},
        estimator=fitted.estimator,
        name="mean" if alpha is None else f"ridge(alpha={alpha:g})",
        half_width_t_ha=half_width,
        scores=_scores(sample, len(uids)),
        seasons=tuple(int(s) for s in sample.seasons),
        rows=len(rows),
    )


def _scores(sample: _Sample, parcels: int) -> dict[str, float]:
    """Scores on seasons of which neither choice, fit nor interval knows anything."""
    forecast, mean, inside = (np.empty(len(sample.season)) for _ in range(3))
    for season in sample.seasons:
        held = sample.season == season
        rest, left_out = sample.where(~held), sample.where(held)
        alpha, half_width = _choose(rest, parcels)
        forecast[held] = _fit(rest, alpha, parcels).forecast(left_out)
        mean[held] = _fit(rest, None, parcels).forecast(left_out)
        inside[held] = np.abs(forecast[held] - left_out.yield_t_ha) <= half_width
    truth = sample.yield_t_ha
    error, reference = float(np.mean((forecast - truth) ** 2)), float(np.mean((mean - truth) ** 2))
    worst = min(float(inside[sample.season == s].mean()) for s in sample.seasons)
    return {
        "rmse_t_ha": error**0.5,
        "nrmse_pct": 100 * error**0.5 / float(truth.mean()) if truth.mean() > 0 else float("nan"),
        "skill_against_mean": 1 - error / reference if reference > 0 else float("nan"),
        "coverage_frac": float(inside.mean()),
        "worst_season_coverage_frac": worst,
    }


def evaluate(model: YieldModel) -> pd.DataFrame:
    """Scores by crop on seasons left out, choice and interval included.

    Returns
    -------
    pandas.DataFrame
        crop, model, seasons, rows, rmse_t_ha, nrmse_pct, skill_against_mean (1 - MSE / MSE of the mean; below 0 where
        the choice was a bad one), coverage_frac and worst_season_coverage_frac of the 90 % interval.
    """
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

    Parameters
    ----------
    model : YieldModel
        Trained for the same day of the season, or an earlier one: looks after that day are not read.
    observations, parcels : pandas.DataFrame
        Tables; looks after `as_of` are not read.
    as_of : datetime.date
        Issue date.
    region : Region
        Says whether the place is simulated.

    Returns
    -------
    pandas.DataFrame
        Table ``yield``. Reasons to abstain: ``no_history`` (of the crop), ``no_index`` (a model that needs the index,
        and fewer than five usable looks this season). ``label``: ``trained_on_simulated`` in a simulated region,
        ``trained_on_history``, or ``unvalidated`` where nothing was trained.

    Raises
    ------
    ContractError
        The model was trained for a later day of the season: its features would have to be guessed.
    """
    if model.cut_day > cut_day_of(as_of) + 1:  # a leap year moves the same date by a day
        raise ContractError(
            f"the model is for day {model.cut_day} of the season, {as_of} is day {cut_day_of(as_of)}",
            where="yield outlook",
            do="Train it for this date",
        )
    season = season_of(as_of)
    features = season_features(observations[observations["date"] <= pd.Timestamp(as_of)], model.cut_day)
    now = features[features["season"] == season].set_index("parcel_uid")
    out = pd.DataFrame(
        {
            "parcel_uid": parcels["parcel_uid"].to_numpy(), "crop": parcels["agro:crop"].to_numpy(), "season": season,
            "as_of": pd.Timestamp(as_of), "yield_t_ha": np.nan, "low_t_ha": np.nan, "high_t_ha": np.nan, "level_frac": LEVEL,
            "mean_t_ha": np.nan, "model": "none", "label": "unvalidated", "abstain_reason": "no_history",
        }
    )  # fmt: skip
    out["abstain_reason"] = out["abstain_reason"].astype(object)
    label = "trained_on_simulated" if region.place.simulated else "trained_on_history"
    for crop, fitted in model.crops.items():
        here = out["crop"] == crop
        if not here.any():
            continue
        out.loc[here, ["mean_t_ha", "model", "label", "abstain_reason"]] = [fitted.mean_t_ha, fitted.name, label, None]
        value = out.loc[here, "parcel_uid"].map(fitted.parcel_mean).fillna(fitted.mean_t_ha).astype(float)
        if fitted.estimator is not None:
            known = now.reindex(out.loc[here, "parcel_uid"])[list(FEATURES)].to_numpy(dtype=float)
            seen = np.isfinite(known).all(axis=1)
            out.loc[here & ~_spread(seen, here), "abstain_reason"] = "no_index"
            added = np.full(len(known), np.nan)
            if seen.any():
                added[seen] = fitted.estimator.predict(known[seen])
            value = value + added
        value = value.clip(lower=0.0)
        out.loc[here, "yield_t_ha"] = value
        out.loc[here, "low_t_ha"] = (value - fitted.half_width_t_ha).clip(lower=0.0)
        out.loc[here, "high_t_ha"] = value + fitted.half_width_t_ha
    return validate(out, "yield")


def _spread(flags: np.ndarray, here: pd.Series) -> np.ndarray:
    """Flags of the rows `here` as flags of all rows."""
    out = np.zeros(len(here), dtype=bool)
    out[here.to_numpy()] = flags
    return out
