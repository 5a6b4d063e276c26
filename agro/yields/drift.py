"""Whether a season still looks like those a model was trained on, and whether its errors are still those it was calibrated with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from agro.yields.season_model import SeasonModel, predict_season_model, season_part

#: Share outside the area of applicability above which inputs have drifted.
OUTSIDE_FRAC = 0.20
#: A feature's mean anomaly beyond this many standard deviations is a shift: twice what a common year moves it by.
SHIFT_SD = 2.0
#: Probability below which a season's coverage is not chance.
DOUBT = 0.05


def watch(model: SeasonModel, X: pd.DataFrame, y: np.ndarray | None = None) -> dict[str, Any]:
    """Drift of inputs and, once harvests are in, of errors, for one season.

    Parameters
    ----------
    model : SeasonModel
        The model.
    X : pandas.DataFrame
        Rows of one season.
    y : numpy.ndarray, optional
        Harvests (t/ha), NaN where not yet known.

    Returns
    -------
    dict
        rows, outside_frac, missing_frac (features that are NaN), shifted (feature: mean anomaly in sd, those beyond two), inputs_drift; with harvests
        also bias_t_ha, rmse_t_ha, covered_frac, coverage_p (one-sided; rows that share a year count by the design effect of the
        calibration, and at least as one), errors_drift. None for what cannot be said.
    """
    table = predict_season_model(model, X)
    out: dict[str, Any] = {"rows": len(X), "outside_frac": float(table["outside"].mean()) if len(X) else None}
    features = [c for c in model.columns if c not in ("group", "year")]
    out["missing_frac"] = float(X[features].isna().to_numpy().mean()) if features and len(X) else None
    out["shifted"] = {}
    if model.area is not None and len(X):
        anomalies = season_part(model.fitted).anomalies_
        mean = anomalies.transform(X).mean(axis=0)
        out["shifted"] = {
            n: round(float(m), 2) for n, m in zip(anomalies.names_, mean, strict=True) if abs(m) > SHIFT_SD
        }
    out["inputs_drift"] = bool(out["shifted"]) or (out["outside_frac"] or 0.0) > OUTSIDE_FRAC
    if y is None:
        return out
    known = np.isfinite(np.asarray(y, dtype=float)) & table["yield_t_ha"].notna().to_numpy()
    if not known.any():
        return {
            **out,
            "bias_t_ha": None,
            "rmse_t_ha": None,
            "covered_frac": None,
            "coverage_p": None,
            "errors_drift": None,
        }
    error = table["yield_t_ha"].to_numpy()[known] - np.asarray(y, dtype=float)[known]
    inside = (y >= table["low_t_ha"].to_numpy()) & (y <= table["high_t_ha"].to_numpy())
    covered = float(inside[known].mean())
    worth = max(round(known.sum() * model.interval.effective_rows / max(model.rows, 1)), 1)
    p = float(binomtest(round(covered * worth), worth, model.interval.level_frac, alternative="less").pvalue)
    return {
        **out, "bias_t_ha": float(error.mean()), "rmse_t_ha": float(np.sqrt(np.mean(error**2))), "covered_frac": covered, "coverage_p": p,
        "errors_drift": p < DOUBT,
    }  # fmt: skip
