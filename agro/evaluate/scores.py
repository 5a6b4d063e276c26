"""Scores of simulated against measured values; pairs with NaN on either side are left out."""

from __future__ import annotations

import numpy as np


def _pairs(simulated: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    s, m = np.asarray(simulated, dtype=float), np.asarray(measured, dtype=float)
    both = np.isfinite(s) & np.isfinite(m)
    return s[both], m[both]


def rmse(simulated: np.ndarray, measured: np.ndarray) -> float:
    """Root mean square error, in the unit of the values; NaN without a pair."""
    s, m = _pairs(simulated, measured)
    return float(np.sqrt(np.mean((s - m) ** 2))) if s.size else float("nan")


def bias(simulated: np.ndarray, measured: np.ndarray) -> float:
    """Mean of simulated less measured; NaN without a pair."""
    s, m = _pairs(simulated, measured)
    return float(np.mean(s - m)) if s.size else float("nan")


def nash_sutcliffe(simulated: np.ndarray, measured: np.ndarray) -> float:
    """Nash-Sutcliffe efficiency (1970): 1 perfect, 0 as good as the mean; NaN when the measured do not vary."""
    s, m = _pairs(simulated, measured)
    spread = float(np.sum((m - m.mean()) ** 2)) if m.size else 0.0
    return float(1 - np.sum((s - m) ** 2) / spread) if spread > 0 else float("nan")


def coverage_frac(low: np.ndarray, high: np.ndarray, measured: np.ndarray) -> float:
    """Share of measured values within their interval, edges included; NaN without any."""
    low, high, m = (np.asarray(a, dtype=float) for a in (low, high, measured))
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(m)
    return float(np.mean((m[known] >= low[known]) & (m[known] <= high[known]))) if known.any() else float("nan")
