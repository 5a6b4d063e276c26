"""Conformal intervals that hold across years: the rows of one year share its weather, so years count, not rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 0.90


@dataclass(frozen=True)
class Interval:
    """Half width of an interval, as a share of the place's usual yield, and how sure the calibration is.

    Attributes
    ----------
    half_frac : float
        Half width / usual yield of the place.
    level_frac : float
        Level that is aimed at.
    years : int
        Years calibrated on.
    effective_rows : float
        Independent rows that the calibration rows are worth (Kish 1965).
    """

    half_frac: float
    level_frac: float
    years: int
    effective_rows: float

    def bounds(
        self, forecast: np.ndarray, usual: np.ndarray, place_doubt_frac: np.ndarray | float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Low and high (t/ha) of forecasts, given the usual yield of each place; low <= forecast <= high, low >= 0.

        `place_doubt_frac` is the half width, as a share of the usual yield, that not knowing the place's own level adds; it
        adds in squares.
        """
        half = np.hypot(self.half_frac, place_doubt_frac) * np.maximum(usual, 0.0)
        return np.maximum(np.minimum(forecast - half, forecast), 0.0), forecast + half


def calibrate(
    forecast: np.ndarray, y: np.ndarray, usual: np.ndarray, year: np.ndarray, level: float = LEVEL
) -> Interval:
    """Interval from forecasts of years left out.

    Scores are absolute errors over the usual yield of the place. Their distribution is the mean of the years' own, each
    year weighing the same (pooled conformal prediction for two-layer data, Dunn, Wasserman and Ramdas 2022,
    doi 10.1080/01621459.2022.2060112). The finite-sample correction ``level * (1 + 1 / n)`` counts effective rows, n rows
    over the design effect ``1 + (m - 1) rho`` (Kish 1965), with the intraclass correlation rho of signed errors in a year.

    Parameters
    ----------
    forecast, y, usual : numpy.ndarray
        Forecasts of years left out, yields and usual yields (t/ha); rows with NaN are left out.
    year : numpy.ndarray
        Year of each row.
    level : float
        Share of new rows, in a new year, to be covered.

    Raises
    ------
    ValueError
        No row.
    """
    rows = np.isfinite(forecast) & np.isfinite(y) & np.isfinite(usual) & (usual > 0)
    if not rows.any():
        raise ValueError("no forecast to calibrate on")
    signed = (y[rows] - forecast[rows]) / usual[rows]
    code, counts = np.unique(year[rows], return_inverse=True, return_counts=True)[1:]
    effective = effective_rows(signed, code, counts)
    size = np.abs(signed)
    order = np.argsort(size, kind="stable")
    share = np.cumsum(1.0 / counts[code][order]) / len(counts)
    wanted = min(level * (1.0 + 1.0 / effective), 1.0)
    at = min(int(np.searchsorted(share, wanted - 1e-9)), len(order) - 1)
    return Interval(float(size[order][at]), level, len(counts), effective)


def effective_rows(value: np.ndarray, code: np.ndarray, counts: np.ndarray) -> float:
    """Independent rows that rows in clusters are worth; never fewer than clusters.

    The intraclass correlation is that of the one-way analysis of variance (Donner 1986).
    """
    rows, clusters = len(value), len(counts)
    if clusters < 2 or rows == clusters:
        return float(clusters)
    means = np.bincount(code, value) / counts
    between = float(np.sum(counts * (means - value.mean()) ** 2)) / (clusters - 1)
    within = float(np.sum((value - means[code]) ** 2)) / (rows - clusters)
    size = (rows - float(np.sum(counts.astype(float) ** 2)) / rows) / (clusters - 1)
    bottom = between + (size - 1) * within
    rho = float(np.clip((between - within) / bottom, 0.0, 1.0)) if bottom > 0 else 0.0
    return float(np.clip(rows / (1.0 + (size - 1) * rho), clusters, rows))
