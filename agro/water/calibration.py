"""Effective parameters of the profile from readings of plots: maximum a posteriori, with the tables as prior.

Errors of neighbouring readings and of one day over a whole place are not independent. What all plots miss alike on a day is weighed
down, and readings count for less than their number, so that the prior is not shouted down by repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agro.water.profile import PARAMETERS, Course, Place, Plots, run_profile

#: Sd of a storage the profile cannot follow, mm, and the share of readings that count as independent.
MODEL_SD_MM = 10.0
INDEPENDENT_FRAC = 0.2
#: What is left of an error that all plots make on the same day.
COMMON_FRAC = 0.5
ITERATIONS = 8
STEP = 0.05


@dataclass(frozen=True)
class Target:
    """Readings to be met by one place: ``day`` and ``plot`` index it, storage in mm; ``group``: readings of one day."""

    course: Course
    plots: Plots
    place: Place
    day: np.ndarray
    plot: np.ndarray
    storage_mm: np.ndarray

    def errors_mm(self, x: np.ndarray) -> np.ndarray:
        """Simulated less measured (candidates, readings) for candidates ``(candidates, parameters)``."""
        used, column = np.unique(self.plot, return_inverse=True)
        count = len(x)
        columns = np.tile(used, count)
        run = run_profile(self.course, self.plots.take(columns), self.place, np.repeat(x, len(used), axis=0).T)
        storage = run.storage_mm.reshape(-1, count, len(used))
        return (storage[self.day, :, column] - self.storage_mm[:, None]).T


def _weighed(target: Target, x: np.ndarray) -> np.ndarray:
    errors = target.errors_mm(x)
    _, group, size = np.unique(target.day, return_inverse=True, return_counts=True)
    common = np.stack([np.bincount(group, row, len(size)) / size for row in errors])[:, group]
    shared = np.where(size[group] > 1, 1.0 - COMMON_FRAC, 0.0)
    return (errors - shared * common) / MODEL_SD_MM * np.sqrt(INDEPENDENT_FRAC)


def calibrate(
    targets: Sequence[Target], start: np.ndarray | None = None, fixed: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Newton with damping from a start (the prior mean by default).

    Parameters
    ----------
    targets : sequence of Target
        Places whose readings count together; none or without readings: the prior comes back.
    start : numpy.ndarray, optional
        (parameters,) standard scores.
    fixed : sequence of str
        Parameters that stay at the start.

    Returns
    -------
    (scores, covariance)
        (parameters,) and (parameters, parameters): the mode, and the posterior by Laplace's approximation.
    """
    count = len(PARAMETERS)
    x = np.zeros(count) if start is None else start.copy()
    live = np.array([name not in fixed for name in PARAMETERS])
    targets = [t for t in targets if len(t.storage_mm)]
    prior = np.diag(live.astype(float))
    if not targets:
        return x, prior

    def misfit(candidates: np.ndarray) -> np.ndarray:
        return np.concatenate([_weighed(t, candidates) for t in targets], axis=1)

    damping, curvature = 0.1, np.eye(count)
    for _ in range(ITERATIONS):
        moved = misfit(np.vstack([x, x + STEP * np.eye(count)[live]]))
        slope = np.zeros((moved.shape[1], count))
        slope[:, live] = (moved[1:] - moved[0]).T / STEP
        curvature = slope.T @ slope + np.eye(count)
        down = -(slope.T @ moved[0] + np.where(live, x, 0.0))
        cost = moved[0] @ moved[0] + x[live] @ x[live]
        dampings = damping * np.array([0.1, 1.0, 10.0, 100.0])
        steps = np.stack(
            [np.where(live, np.linalg.solve(curvature + d * np.diag(np.diag(curvature)), down), 0.0) for d in dampings]
        )
        tried = x + steps
        costs = (misfit(tried) ** 2).sum(axis=1) + (tried[:, live] ** 2).sum(axis=1)
        best = int(np.argmin(costs))
        if costs[best] > cost - 1e-3:
            break
        x, damping = tried[best], float(np.clip(dampings[best], 1e-3, 1e3))
    covariance = np.zeros((count, count))
    covariance[np.ix_(live, live)] = np.linalg.inv(curvature[np.ix_(live, live)])
    return x, covariance
