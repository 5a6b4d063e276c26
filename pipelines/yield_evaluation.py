"""Validation of the yield models on regional statistics: years left out, walk forward, spatial blocks (docs/yield_protocol.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from agro.evaluate.blocks import spatial_blocks
from agro.evaluate.yearly import summary, yearly_scores
from agro.schema.errors import NoDataError
from agro.sources.cybench import RegionalYields, read_cybench
from agro.yields.choice import YearsLeftOut
from agro.yields.models import KEYS, LevelYield, MeanYield, candidates
from agro.yields.screening import plausible
from agro.yields.season_model import choose_and_calibrate, place_doubt_frac, taken
from agro.yields.seasons import LEADS, season_table

#: Years of inputs before the first harvest that the climatology may use.
EARLIER_YEARS = 2
#: Harvests known before the first walk-forward forecast.
WALK_FROM = 6
CHOSEN = "chosen"
PROTOCOLS = ("leave_one_year_out", "walk_forward", "spatial_blocks")
#: Mean of plausible figures: what screening alone brings, apart from what the season tells.
SCREENED = "screened_mean"


@dataclass
class LeadResult:
    """Forecasts of one lead and protocol: a row a region and year, a column a model; and what was chosen by year."""

    forecasts: pd.DataFrame
    chosen: dict[int, str] = field(default_factory=dict)
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)


def training_years(data: RegionalYields, until: int | None = None) -> range:
    """Years that a model reads: those of the harvests to `until`, and two before for the climatology."""
    last = int(data.yields["year"].max())
    return range(int(data.yields["year"].min()) - EARLIER_YEARS, min(last, until or last) + 1)


def yield_table(data: RegionalYields, lead: str, until: int | None = None) -> tuple[pd.DataFrame, np.ndarray, int]:
    """Features and yields (t/ha, NaN = none) of every region and year to `until` at a lead; and rows left out for want of any input.

    Raises
    ------
    NoDataError
        No row has an input before the lead date.
    """
    table = season_table(data.series, data.regions, training_years(data, until), LEADS[lead])
    wanted = data.yields.rename(columns={"adm_id": "group"})
    table = table.merge(wanted, on=["group", "year"], how="left")
    told = [c for c in table.columns if c not in (*KEYS, "soil_awc", "yield_t_ha") and not c.startswith("around_")]
    seen = table[told].notna().any(axis=1)
    left_out = int((table["yield_t_ha"].notna() & ~seen).sum())
    table = table[seen].reset_index(drop=True)
    if table["yield_t_ha"].notna().sum() == 0:
        raise NoDataError(f"no input before the lead date ({lead})", where=data.country, do="Check dates and calendar")
    return table.drop(columns="yield_t_ha"), table["yield_t_ha"].to_numpy(dtype=float), left_out


def leave_one_year_out(
    X: pd.DataFrame, y: np.ndarray, models: Mapping[str, BaseEstimator], jobs: int = 1
) -> LeadResult:
    """Every year from all others; choice and interval made without it."""
    left_out = YearsLeftOut(X, y, models)
    left_out.prepare(jobs)
    return _collect(left_out, [(year, (year,)) for year in left_out.years], left_out.known)


def walk_forward(X: pd.DataFrame, y: np.ndarray, models: Mapping[str, BaseEstimator], jobs: int = 1) -> LeadResult:
    """Every year from earlier ones, from the seventh on."""
    known = np.isfinite(y)
    years = np.unique(X["year"].to_numpy()[known])
    parts = []
    for year in years[WALK_FROM:]:
        rows = (X["year"] <= year).to_numpy()
        left_out = YearsLeftOut(X[rows].reset_index(drop=True), y[rows], models)
        _pairs_with(left_out, int(year), jobs)
        parts.append(_collect(left_out, [(int(year), (int(year),))], left_out.known & (left_out.year == year)))
    return _join(parts)


def spatial_blocks_left_out(
    X: pd.DataFrame, y: np.ndarray, models: Mapping[str, BaseEstimator], places: pd.DataFrame, jobs: int = 1
) -> LeadResult:
    """Every block of regions from the others, and without the year."""
    block = X["group"].map(spatial_blocks(places)).to_numpy()
    parts = []
    for one in np.unique(block[np.isfinite(y)]):
        here = block == one
        left_out = YearsLeftOut(X, y, models, usable=~here)
        left_out.prepare(jobs)
        parts.append(_collect(left_out, [(v, (v,)) for v in left_out.years], left_out.known & here))
    return _join(parts)


def _pairs_with(left_out: YearsLeftOut, year: int, jobs: int) -> None:
    """Only the sets that a single test year needs."""
    left_out.prepare_sets([frozenset({year, other}) for other in left_out.years], jobs)


def _collect(left_out: YearsLeftOut, folds: list[tuple[int, tuple[int, ...]]], asked: np.ndarray) -> LeadResult:
    parts, chosen = [], {}
    group = left_out.X["group"].to_numpy()
    for year, excluded in folds:
        here = asked & (left_out.year == year)
        if not here.any():
            continue
        choice, interval = choose_and_calibrate(left_out, excluded)
        forecasts = left_out.without(excluded)
        value = taken(choice, forecasts)
        # The published mean has read every figure; these the plausible ones alone.
        learn = left_out.usable & (left_out.year != year)
        target = np.where(learn, left_out.y, np.nan)
        usual = LevelYield().fit(left_out.X, target)
        doubt = place_doubt_frac(usual, left_out.X["group"])
        low, high = interval.bounds(value, usual.predict(left_out.X), doubt)
        target[~plausible(group, target)] = np.nan
        screened = clone(MeanYield()).fit(left_out.X, target).predict(left_out.X[here])
        rows = pd.DataFrame({"group": group[here], "year": year, "measured": left_out.y[here]})
        rows = rows.assign(
            **{name: f[here] for name, f in forecasts.items()}, **{SCREENED: screened, CHOSEN: value[here]},
            low=low[here], high=high[here],
        )  # fmt: skip
        parts.append(rows)
        chosen[year] = choice.name
    return LeadResult(pd.concat(parts, ignore_index=True), chosen)


def _join(parts: list[LeadResult]) -> LeadResult:
    if not parts:
        return LeadResult(pd.DataFrame())
    chosen: dict[int, str] = {}
    for part in parts:
        for year, name in part.chosen.items():
            chosen[year] = name if chosen.get(year, name) == name else "several"
    return LeadResult(pd.concat([p.forecasts for p in parts], ignore_index=True), chosen)


def score(result: LeadResult) -> LeadResult:
    """Scores of every model, chosen first."""
    table = result.forecasts
    if table.empty:
        return result
    measured, year, reference = (table[c].to_numpy() for c in ("measured", "year", "mean"))
    names = [c for c in table.columns if c not in ("group", "year", "measured", "low", "high")]
    for name in [CHOSEN, *(n for n in names if n != CHOSEN)]:
        bounds = (table["low"].to_numpy(), table["high"].to_numpy()) if name == CHOSEN else (None, None)
        result.scores[name] = summary(table[name].to_numpy(), reference, measured, year, *bounds)
    per_screened = summary(table[CHOSEN].to_numpy(), table[SCREENED].to_numpy(), measured, year)
    result.scores[CHOSEN] |= {
        "skill_against_screened_mean": per_screened["skill"], "years_won_against_screened_mean": per_screened["years_won"],
    }  # fmt: skip
    return result


def evaluate_folder(
    folder: Path, *, protocols: tuple[str, ...] = PROTOCOLS, leads: tuple[str, ...] = tuple(LEADS), jobs: int = 1,
    first_year: int | None = None,
) -> tuple[RegionalYields, dict[str, dict[str, LeadResult]], dict[str, Any]]:  # fmt: skip
    """Read a folder in the layout of CY-Bench and validate all models; results by protocol and lead, and the notes."""
    data = read_cybench(folder, first_year)
    notes: dict[str, Any] = {"rows": len(data.yields), "regions": int(data.yields["adm_id"].nunique())}
    repaired = data.regions.index[data.regions["calendar_repaired"]]
    notes["calendars_repaired"] = sorted(set(repaired) & set(data.yields["adm_id"]))
    slips = data.yields[~plausible(data.yields["adm_id"].to_numpy(), data.yields["yield_t_ha"].to_numpy())]
    notes["figures_not_learned_from"] = slips.to_dict("records")
    models, results = candidates(), {p: {} for p in protocols}  # type: ignore[var-annotated]
    for lead in leads:
        X, y, without_inputs = yield_table(data, lead)
        notes[f"rows_without_inputs_{lead}"] = without_inputs
        run = {
            "leave_one_year_out": lambda X=X, y=y: leave_one_year_out(X, y, models, jobs),
            "walk_forward": lambda X=X, y=y: walk_forward(X, y, models, jobs),
            "spatial_blocks": lambda X=X, y=y: spatial_blocks_left_out(X, y, models, data.regions, jobs),
        }
        for protocol in protocols:
            results[protocol][lead] = score(run[protocol]())
    return data, results, notes


def as_json(
    data: RegionalYields, results: Mapping[str, Mapping[str, LeadResult]], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """The first protocol's scores in the form that the command prints; the others below ``other_protocols``."""
    first, *others = results
    chosen = Counter(name for lead in results[first].values() for name in lead.chosen.values())
    return {
        "protocol": first,
        "crop": data.crop,
        "country": data.country,
        "model": CHOSEN,
        "model_taken_by_fold": dict(chosen),
        "leads": {lead: r.scores.get(CHOSEN, {}) for lead, r in results[first].items()},
        "baselines": {
            lead: {name: s for name, s in r.scores.items() if name != CHOSEN} for lead, r in results[first].items()
        },
        "per_year": {lead: per_year(r) for lead, r in results[first].items()},
        "other_protocols": {
            p: {
                lead: {"leads": r.scores.get(CHOSEN, {}), "baselines": {n: s for n, s in r.scores.items() if n != CHOSEN}}
                for lead, r in results[p].items()
            }
            for p in others
        },
        "notes": dict(notes),
    }  # fmt: skip


def per_year(result: LeadResult) -> list[dict[str, Any]]:
    """NRMSE of the chosen model and of the mean, coverage and what was chosen, by year."""
    table = result.forecasts
    if table.empty:
        return []
    measured, year = table["measured"].to_numpy(), table["year"].to_numpy()
    ours, mean = (yearly_scores(table[n].to_numpy(), measured, year) for n in (CHOSEN, "mean"))
    inside = ((table["measured"] >= table["low"]) & (table["measured"] <= table["high"])).groupby(table["year"]).mean()
    return [
        {
            "year": int(v), "rows": int(ours.loc[v, "rows"]), "nrmse_pct": float(ours.loc[v, "nrmse_pct"]),
            "mean_nrmse_pct": float(mean.loc[v, "nrmse_pct"]), "r2": float(ours.loc[v, "r2"]), "coverage_90": float(inside[v]),
            "model": result.chosen.get(int(v), ""),
        }
        for v in ours.index
    ]  # fmt: skip
