"""Train, save, forecast and watch a yield model of regions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro import __version__
from agro.schema.errors import ConfigError, NoDataError
from agro.schema.provenance import digest_of
from agro.sources.cybench import RegionalYields, read_cybench
from agro.store.atomic import write_text
from agro.yields.drift import watch
from agro.yields.explanation import changed_since, explain
from agro.yields.models import candidates
from agro.yields.registry import load_models, save_models
from agro.yields.season_model import predict_season_model, train_season_model
from agro.yields.seasons import LEADS, season_table
from pipelines.yield_evaluation import training_years, yield_table

PROTOCOL = "docs/yield_protocol.md: choice and interval from years left out; scores by `agro yield evaluate`"
#: Harvest years below which leaving one out chooses nothing.
LEAST_YEARS = 5
LIMITS = (
    "Regional statistics, not fields: regional skill is never quoted as field skill",
    "Abstains outside its area of applicability (Meyer and Pebesma 2021)",
    "Intervals hold on average over years; a year unlike all seen can lie outside as a whole",
)


def train_folder(
    folder: Path,
    path: Path,
    *,
    leads: tuple[str, ...] = tuple(LEADS),
    licence: str = "",
    until: int | None = None,
    jobs: int = 1,
) -> dict[str, Any]:
    """Train a model a lead time on all harvests to `until`, write it and its card; the card comes back."""
    data = read_cybench(folder)
    models = {}
    for lead in leads:
        X, y, _ = yield_table(data, lead, until)
        if np.unique(X["year"].to_numpy()[np.isfinite(y)]).size < LEAST_YEARS:
            raise NoDataError(
                f"fewer than {LEAST_YEARS} harvest years to {until or 'the last'}",
                where=str(folder),
                do="Give more history",
            )
        models[lead] = train_season_model(X, y, candidates(), jobs=jobs)
    years = training_years(data, until)
    about = {
        "first_year_read": years.start, "last_year": years.stop - 1,
        "crop": data.crop, "country": data.country, "code_version": __version__,
        "data_digest": digest_of(data.yields.to_csv(index=False)),
    }  # fmt: skip
    digest = save_models(path, models, about)
    card = {
        "task": f"yield of {data.crop} by region of {data.country}, t/ha", **about, "model_digest": digest, "data_folder": folder.name,
        "licence_of_data": licence or "not stated", "protocol": PROTOCOL, "limits": list(LIMITS),
        "leads": {
            lead: {
                "model": m.choice.name, "weights": m.choice.weights, "years": [min(m.years), max(m.years)], "rows": m.rows,
                "gain_log_rmse_by_model": m.choice.gains, "interval_level_frac": m.interval.level_frac,
                "interval_half_width_frac_of_usual": m.interval.half_frac, "interval_effective_rows": m.interval.effective_rows,
                "area_limit": None if m.area is None else m.area.limit,
            }
            for lead, m in models.items()
        },
    }  # fmt: skip
    write_text(card_path(path), json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return card


def card_path(path: Path) -> Path:
    """Where the card of a model lies."""
    return path.with_suffix(".card.json")


def read_card(path: Path) -> dict[str, Any]:
    """The card of a model, held against the model itself.

    Raises
    ------
    NoDataError
        No card.
    ConfigError
        The card is of another model.
    """
    _, _, digest = load_models(path)
    try:
        card: dict[str, Any] = json.loads(card_path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoDataError("the model has no card", where=str(card_path(path)), do="Train it again") from error
    except ValueError as error:
        raise ConfigError(f"the card is no JSON ({error})", where=str(card_path(path)), do="Train it again") from error
    if card.get("model_digest") != digest:
        raise ConfigError("the card is of another model", where=str(card_path(path)), do="Train it again")
    return card


def predict_folder(path: Path, folder: Path, year: int, lead: str) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Forecast of one harvest year at a lead.

    Returns
    -------
    tuple
        Forecasts (group, year, lead, forecast, interval, dissimilarity, abstain_reason, model_digest, model_version, reason: the
        largest effects in words, change: the largest since the lead before); effects; what drift was seen.

    Raises
    ------
    ConfigError
        The model is of another crop or country, or has no such lead.
    NoDataError
        No input of that year before the lead date.
    """
    models, about, digest = load_models(path)
    data = read_cybench(folder)
    if (data.crop, data.country) != (about["crop"], about["country"]):
        raise ConfigError(
            f"the model is of {about['crop']}, {about['country']}; the data of {data.crop}, {data.country}",
            where=str(folder), do="Train a model for it",
        )  # fmt: skip
    if lead not in models:
        raise ConfigError(f"the model knows {', '.join(models)}", where=f"lead {lead}", do="Choose one of them")
    X = _season(data, about, year, lead)
    model = models[lead]
    table = predict_season_model(model, X)
    effects = explain(model, X)
    out = pd.concat([X[["group", "year"]].assign(lead=lead), table], axis=1)
    out["abstain_reason"] = ["outside_area_of_applicability" if o else None for o in out.pop("outside")]
    out["model_digest"], out["model_version"] = digest, about["code_version"]
    out["reason"] = _largest(effects, "effect_t_ha", out["group"])
    earlier = [name for name in LEADS if name in models and LEADS[name] < LEADS[lead]]
    out["change"] = None
    if earlier and not effects.empty:
        before = explain(models[earlier[-1]], _season(data, about, year, earlier[-1]))
        out["change"] = _largest(changed_since(before, effects), "change_t_ha", out["group"])
    harvest = X.merge(data.yields.rename(columns={"adm_id": "group"}), on=["group", "year"], how="left")["yield_t_ha"]
    return out, effects, watch(model, X, harvest.to_numpy(dtype=float))


def _season(data: RegionalYields, about: Mapping[str, Any], year: int, lead: str) -> pd.DataFrame:
    wanted = set(data.yields["adm_id"])
    # Climatology and neighbours' departures are those of the years that the model was trained with.
    reference = range(about["first_year_read"], about["last_year"] + 1)
    years = range(min(reference.start, year), max(reference.stop, year + 1))
    table = season_table(data.series, data.regions, years, LEADS[lead], reference)
    told = [c for c in table.columns if c not in ("group", "year", "soil_awc") and not c.startswith("around_")]
    rows = (table["year"] == year) & table[told].notna().any(axis=1) & table["group"].isin(wanted)
    if not rows.any():
        raise NoDataError(f"no input of {year} before the lead date", where=data.country, do="Add the year's inputs")
    return table[rows].reset_index(drop=True)


def _largest(effects: pd.DataFrame, column: str, groups: pd.Series, count: int = 3) -> list[str | None]:
    if effects.empty:
        return [None] * len(groups)
    ranked = effects.reindex(effects[column].abs().sort_values(ascending=False, kind="stable").index)
    if "words" not in ranked:
        words = ranked["variable"] + " " + ranked["stage"] + ranked[column].map(": {:+.2f} t/ha".format)
        ranked = ranked.assign(words=words)
    said = ranked.groupby("group").head(count).groupby("group", sort=False)["words"].agg("; ".join)
    return [said.get(g) for g in groups]
