"""What moved a forecast away from the usual, in t/ha and in agronomic words; what changed since the last one.

Exact baseline Shapley values (Sundararajan and Najmi 2020, arXiv:1908.08474): the players are variable and stage, the baseline is a
usual season, and all coalitions are evaluated. For a linear model they are its terms.
"""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pandas as pd

from agro.yields.models import KEYS, SOIL
from agro.yields.season_model import SeasonModel, season_part
from agro.yields.seasons import AROUND

#: In words, without a language's grammar: the report's catalogues translate the keys.
WORDS = {
    "ndvi": "greenness (NDVI)", "fpar": "light taken up by the canopy (FPAR)", "prec": "rain", "tmax": "heat of the day", "tmin": "cold of the night",
    "rad": "sunshine", "et0": "evaporative demand", "cwb": "rain less demand", "vpd": "dryness of the air", "ssm": "moisture of the topsoil", "rsm": "moisture of the root zone",
    "establishment": "while the crop established", "vegetative": "in vegetative growth", "flowering": "from stem extension to flowering",
    "filling": "while the grain filled", "last_30d": "in the last 30 days",
}  # fmt: skip
#: More players than this make 2**n coalitions too many; stages are then joined.
MOST_PLAYERS = 12


def player_of(column: str) -> tuple[str, str]:
    """Variable and stage that a feature belongs to; neighbours and soil water go with their variable."""
    name = column.removeprefix(AROUND).removesuffix(f"_x_{SOIL}")
    for stage in ("establishment", "vegetative", "flowering", "filling", "last_30d"):
        if name.endswith(f"_{stage}"):
            return name.removesuffix(f"_{stage}"), stage
    return name, ""


def explain(model: SeasonModel, X: pd.DataFrame) -> pd.DataFrame:
    """Share of each variable and stage in what a forecast departs from that of a usual season.

    Parameters
    ----------
    model : SeasonModel
        The model.
    X : pandas.DataFrame
        Rows to explain.

    Returns
    -------
    pandas.DataFrame
        One row a row of `X` and player: group, year, variable, stage, anomaly_sd (the region's own, in standard deviations of its
        seasons, NaN where missing), effect_t_ha, words. Effects of a row sum to forecast less the forecast of a usual season.
        Empty where the fallback stands: it reads no feature.
    """
    columns = ["group", "year", "variable", "stage", "anomaly_sd", "effect_t_ha", "words"]
    if model.area is None or not len(X):
        return pd.DataFrame(columns=columns)
    X = X[list(model.columns)].reset_index(drop=True)
    anomalies = season_part(model.fitted).anomalies_
    features = [c for c in X.columns if c not in (*KEYS, SOIL)]
    players = sorted({player_of(c) for c in features})
    if len(players) > MOST_PLAYERS:
        players = sorted({("", player_of(c)[1]) for c in features})
    belongs = {c: p for c in features for p in players if p in (player_of(c), ("", player_of(c)[1]))}
    value = {}
    for size in range(len(players) + 1):
        for chosen in combinations(range(len(players)), size):
            usual = [c for c in features if players.index(belongs[c]) not in chosen]
            asked = X.copy()
            asked[usual] = np.nan  # NaN is a usual value
            value[frozenset(chosen)] = model.forecast(asked)
    count = len(players)
    standard = pd.DataFrame(anomalies.transform(X), columns=anomalies.names_)
    rows = []
    for number, (variable, stage) in enumerate(players):
        effect = np.zeros(len(X))
        for without, base in value.items():
            if number not in without:
                weight = factorial(len(without)) * factorial(count - len(without) - 1) / factorial(count)
                effect += weight * (value[without | {number}] - base)
        own = f"{variable}_{stage}"
        anomaly = standard[own].where(X[own].notna()) if own in standard else pd.Series(np.nan, index=X.index)
        words = f"{WORDS.get(variable, variable)} {WORDS.get(stage, stage)}".strip()
        rows.append(
            X[list(KEYS)].assign(
                variable=variable, stage=stage, anomaly_sd=anomaly.to_numpy(), effect_t_ha=effect,
                words=[_sentence(words, a, e) for a, e in zip(anomaly, effect, strict=True)],
            )
        )  # fmt: skip
    table = pd.concat(rows)
    return table.sort_values(["group", "year", "variable", "stage"], ignore_index=True)[columns]


def _sentence(words: str, anomaly: float, effect: float) -> str:
    said = f"{words}: {effect:+.2f} t/ha"
    if np.isnan(anomaly):
        return said
    return f"{words} {abs(anomaly):.1f} sd {'above' if anomaly >= 0 else 'below'} its usual: {effect:+.2f} t/ha"


def changed_since(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """What moved between two explanations of the same groups and years: group, year, variable, stage, change_t_ha, largest first."""
    keys = ["group", "year", "variable", "stage"]
    merged = before[[*keys, "effect_t_ha"]].merge(
        after[[*keys, "effect_t_ha"]], on=keys, how="outer", suffixes=("_before", "_after")
    )
    change = merged["effect_t_ha_after"].fillna(0.0) - merged["effect_t_ha_before"].fillna(0.0)
    out = merged[keys].assign(change_t_ha=change)
    return out.sort_values("change_t_ha", key=lambda c: -c.abs(), kind="stable", ignore_index=True)
