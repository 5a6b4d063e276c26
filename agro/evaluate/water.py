"""Scores of estimated soil water against readings: pooled, and plot by plot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from agro.evaluate.scores import bias, coverage_frac, nash_sutcliffe, rmse
from agro.schema.errors import ContractError

#: What is scored; the table holds ``<name>_mm``, ``_low_mm``, ``_high_mm`` and ``_measured_mm`` of each.
QUANTITIES = ("storage", "depletion")


def score_water(estimates: pd.DataFrame) -> dict[str, Any]:
    """Pooled scores of a table of estimates, a row a reading.

    Parameters
    ----------
    estimates : pandas.DataFrame
        ``storage_mm, storage_low_mm, storage_high_mm, storage_measured_mm``, the same of ``depletion``, and ``raw_mm``, the readily
        available water: from a depletion of so much on, one irrigates.

    Returns
    -------
    dict
        Of each quantity rmse_mm, bias_mm (estimated less measured), coverage_90 (share of readings within the interval) and
        width_90_mm; and decision_agreement, the share of readings on which estimate and reading both say irrigate or both say wait.

    Raises
    ------
    ContractError
        No row.
    """
    if not len(estimates):
        raise ContractError("no reading to score", where="water evaluation", do="Give plots with more readings")
    out: dict[str, Any] = {}
    for name in QUANTITIES:
        said, measured = estimates[f"{name}_mm"].to_numpy(), estimates[f"{name}_measured_mm"].to_numpy()
        low, high = estimates[f"{name}_low_mm"].to_numpy(), estimates[f"{name}_high_mm"].to_numpy()
        out[name] = {
            "rmse_mm": round(rmse(said, measured), 2),
            "bias_mm": round(bias(said, measured), 2),
            "coverage_90": round(coverage_frac(low, high, measured), 3),
            "width_90_mm": round(float(np.mean(high - low)), 2),
        }
    irrigate = estimates["depletion_mm"] >= estimates["raw_mm"]
    due = estimates["depletion_measured_mm"] >= estimates["raw_mm"]
    out["decision_agreement"] = round(float((irrigate == due).mean()), 3)
    return out


def score_by_plot(estimates: pd.DataFrame) -> pd.DataFrame:
    """The same by plot, with Nash-Sutcliffe efficiency: a row a plot and one named ``pooled``."""
    rows = []
    for plot, part in [*estimates.groupby("plot_id", sort=True), ("pooled", estimates)]:
        scores = score_water(part)
        row: dict[str, Any] = {
            "plot_id": plot,
            "readings": len(part),
            "decision_agreement": scores["decision_agreement"],
        }
        for name in QUANTITIES:
            nse = nash_sutcliffe(part[f"{name}_mm"].to_numpy(), part[f"{name}_measured_mm"].to_numpy())
            row |= {f"{name}_{key}": value for key, value in scores[name].items()} | {f"{name}_nse": round(nse, 3)}
        rows.append(row)
    return pd.DataFrame(rows)
