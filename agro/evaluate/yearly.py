"""Scores of forecasts year by year, as yield benchmarks publish them, and against a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest


def yearly_scores(forecast: np.ndarray, measured: np.ndarray, year: np.ndarray) -> pd.DataFrame:
    """NRMSE, MAPE and R2 of each year.

    Parameters
    ----------
    forecast, measured : numpy.ndarray
        Values of one unit (rows,); pairs with a NaN are left out.
    year : numpy.ndarray
        Year of each row.

    Returns
    -------
    pandas.DataFrame
        Index year: rows, rmse, nrmse_pct (RMSE over the year's mean), mape_pct (zeros left out), r2 (of the year's own variance, NaN
        where there is none).
    """
    both = np.isfinite(forecast) & np.isfinite(measured)
    table = pd.DataFrame({"year": year[both], "error": forecast[both] - measured[both], "value": measured[both]})
    rows = {}
    for one, part in table.groupby("year"):
        square = float((part["error"] ** 2).sum())
        spread = float(((part["value"] - part["value"].mean()) ** 2).sum())
        rmse = float(np.sqrt(square / len(part)))
        positive = part[part["value"] > 0]
        rows[one] = {
            "rows": len(part), "rmse": rmse, "nrmse_pct": 100 * rmse / part["value"].mean() if part["value"].mean() > 0 else np.nan,
            "mape_pct": 100 * float((positive["error"].abs() / positive["value"]).mean()), "r2": 1 - square / spread if spread > 0 else np.nan,
        }  # fmt: skip
    columns = ["rows", "rmse", "nrmse_pct", "mape_pct", "r2"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("year")


def skill(forecast: np.ndarray, reference: np.ndarray, measured: np.ndarray) -> float:
    """One less the ratio of summed squared errors (Murphy 1988); pairs with a NaN are left out, NaN without a reference error."""
    known = np.isfinite(forecast) & np.isfinite(reference) & np.isfinite(measured)
    bottom = float(np.sum((reference[known] - measured[known]) ** 2))
    return 1 - float(np.sum((forecast[known] - measured[known]) ** 2)) / bottom if bottom > 0 else float("nan")


def sign_test(scores: pd.DataFrame, reference: pd.DataFrame) -> dict[str, Any]:
    """Years won (lower RMSE) against a reference, and the one-sided binomial test of it; ties are dropped."""
    difference = (scores["rmse"] - reference["rmse"]).to_numpy()
    tied = np.isclose(difference, 0.0, atol=1e-9)
    won, played = int(np.sum((difference < 0) & ~tied)), int(np.sum(~tied))
    p = float(binomtest(won, played, alternative="greater").pvalue) if played else 1.0
    return {"years_won": won, "years_tied": int(tied.sum()), "years": len(difference), "sign_test_p": p}


def summary(
    forecast: np.ndarray,
    reference: np.ndarray,
    measured: np.ndarray,
    year: np.ndarray,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> dict[str, Any]:
    """Medians over years, pooled skill, years won, sign test; with `low` and `high`, coverage pooled and of the worst year, mean width."""  # fmt: skip
    scores = yearly_scores(forecast, measured, year)
    against = yearly_scores(np.where(np.isfinite(forecast), reference, np.nan), measured, year)
    out: dict[str, Any] = {
        "nrmse_pct": float(scores["nrmse_pct"].median()), "mape_pct": float(scores["mape_pct"].median()), "r2": float(scores["r2"].median()),
        "skill": skill(forecast, reference, measured), **sign_test(scores, against), "rows": int(scores["rows"].sum()),
    }  # fmt: skip
    if low is not None and high is not None:
        known = np.isfinite(low) & np.isfinite(high) & np.isfinite(measured)
        inside = pd.Series(((measured >= low) & (measured <= high))[known]).groupby(year[known]).mean()
        out |= {
            "coverage_90": float(((measured >= low) & (measured <= high))[known].mean()), "worst_year_coverage_90": float(inside.min()),
            "worst_year": int(inside.index[int(np.argmin(inside.to_numpy()))]), "width_t_ha": float((high - low)[known].mean()),
        }  # fmt: skip
    return out
