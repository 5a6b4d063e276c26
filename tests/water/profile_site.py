"""A made-up place for the profile's tests."""

from __future__ import annotations

import numpy as np

from agro.water.profile import EDGES_M, Course, Plots

THICKNESS_MM = np.diff(EDGES_M)[:, None] * 1000.0


def course(days: int = 80, rain_mm: float = 0.0) -> Course:
    rain = np.zeros(days)
    rain[10::15] = rain_mm
    return Course(
        np.full(days, 6.0), rain, np.full(days, 2.0), np.full(days, 30.0), "short", (15.0, 25.0, 25.0, 15.0), (0.15, 1.1, 0.5),
        (0.05, 1.0), (0.2, 0.9), 0.6, 0.1, 8.0,
    )  # fmt: skip


def plots(
    start_frac: list[float], fc: float = 0.27, wp: float = 0.12, depth_mm: float = 40.0, days: int = 80, start: int = 5
) -> Plots:
    """Plots that start at a water content and are irrigated every week."""
    count = len(start_frac)
    irrigation = np.zeros((days, count))
    irrigation[6::7] = depth_mm
    shape = np.ones((1, count))
    return Plots(
        fc * THICKNESS_MM * shape, wp * THICKNESS_MM * shape, THICKNESS_MM * np.array([start_frac]), np.full(count, start), irrigation,
        np.ones_like(irrigation),
    )  # fmt: skip
