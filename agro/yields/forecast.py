"""A yield outlook per parcel that falls back to the mean where learning does not pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.errors import ContractError
from agro.schema.region import Region
from agro.schema.tables import validate
from agro.yields.choice import YearsLeftOut
from agro.yields.features import FEATURES, SEASON_START, season_features, season_of
from agro.yields.intervals import LEVEL
from agro.yields.models import MeanYield, RidgeYield
from agro.yields.season_model import SeasonModel, choose_and_calibrate, predict_season_model, taken, train_season_model

#: Least seasons and rows of a crop from which anything is said.
MIN_SEASONS, MIN_ROWS = 3, 8
#: Seasons' worth by which a parcel's mean is drawn to the crop's.
DRAWN_SEASONS = 1.0
KEYS = ["group", "year"]


@dataclass(frozen=True)
class CropModel:
    """Model of one crop, how well it did on seasons left out, and the mean of its harvests (t/ha)."""

    season: SeasonModel
    mean_t_ha: float
    scores: Mapping[str, float]

    @property
    def name(self) -> str:
        """Model taken; ``mean`` where it was not beaten."""
        return self.season.choice.name


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

    Candidates are the parcel's own mean, drawn towards the crop's, and a ridge on the anomalies of the index features
    added to its level, variances estimated from the data (:mod:`agro.yields.models`). The choice is made by leaving out one
    season after the other (:func:`agro.yields.choice.choose`), and the interval holds across seasons
    (:func:`agro.yields.intervals.calibrate`). The scores repeat the whole of it without the season that is scored.

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


def _enough(rows: pd.DataFrame) -> bool:
    return rows["season"].nunique() >= MIN_SEASONS and len(rows) >= MIN_ROWS


def _train_crop(rows: pd.DataFrame, features: tuple[str, ...]) -> CropModel:
    X = rows.rename(columns={"parcel_uid": "group", "season": "year"})[[*KEYS, *features]].reset_index(drop=True)
    y = rows["yield_t_ha"].to_numpy(dtype=float)
    models = {"mean": MeanYield(drawn=DRAWN_SEASONS)} | ({"ridge": RidgeYield()} if features else {})
    return CropModel(
        train_season_model(X, y, models, stack=False), float(y.mean()), _scores(YearsLeftOut(X, y, models))
    )


def _scores(left_out: YearsLeftOut) -> dict[str, float]:
    """Scores on seasons of which neither choice, fit nor interval knows anything."""
    truth, season = left_out.y, left_out.year
    forecast, mean, inside = (np.empty(len(truth)) for _ in range(3))
    for one in left_out.years:
        held = season == one
        choice, interval = choose_and_calibrate(left_out, (one,), stack=False)
        forecasts = left_out.without((one,))
        forecast[held], mean[held] = taken(choice, forecasts)[held], forecasts["mean"][held]
        low, high = interval.bounds(forecast[held], mean[held])
        inside[held] = (truth[held] >= low) & (truth[held] <= high)
    error, reference = float(np.mean((forecast - truth) ** 2)), float(np.mean((mean - truth) ** 2))
    worst = min(float(inside[season == s].mean()) for s in left_out.years)
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
            {"crop": c, "model": m.name, "seasons": len(m.season.years), "rows": m.season.rows, **m.scores}
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
        and fewer than five usable looks this season), ``outside_area`` (a season unlike all learned from: Meyer and Pebesma
        2021). ``label``: ``trained_on_simulated`` in a simulated region,
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
        X = out.loc[here, ["parcel_uid"]].rename(columns={"parcel_uid": "group"}).assign(year=season)
        names = [c for c in fitted.season.columns if c not in KEYS]
        X[names] = now.reindex(X["group"])[names].to_numpy(dtype=float) if names else np.empty((len(X), 0))
        table = predict_season_model(fitted.season, X)
        if fitted.season.area is not None:  # a mean needs no image
            unseen = X[names].isna().any(axis=1)
            table.loc[unseen, ["yield_t_ha", "low_t_ha", "high_t_ha"]] = np.nan
            out.loc[X.index[table["outside"]], "abstain_reason"] = "outside_area"
            out.loc[X.index[unseen], "abstain_reason"] = "no_index"
        out.loc[here, ["yield_t_ha", "low_t_ha", "high_t_ha"]] = table[["yield_t_ha", "low_t_ha", "high_t_ha"]]
    return validate(out, "yield")
