from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def looks() -> Callable[..., pd.DataFrame]:
    """Table ``observations`` of one parcel: day numbers and values."""

    def make(
        days: Sequence[int], values: Sequence[float], uid: str = "f1", start: str = "2026-01-01", **columns: object
    ) -> pd.DataFrame:
        table = {
            "parcel_uid": uid, "date": pd.Timestamp(start) + pd.to_timedelta(np.asarray(days), "D"), "index": "ndvi", "source": "test",
            "mean": np.asarray(values, dtype="float64"), "median": np.asarray(values, dtype="float64"), "p10": np.nan, "p90": np.nan,
            "sd": 0.02, "pixels_effective": 100.0, "valid_frac": 1.0, "buffer_m": 5.0, "scene_ids": "s", "usable": True, "reason": None,
        }  # fmt: skip
        return pd.DataFrame({**table, **columns})

    return make


@pytest.fixture(scope="session")
def wheat() -> Callable[[np.ndarray], np.ndarray]:
    """NDVI of a cereal by day: leaves the soil about day 90, ripe about day 200."""

    def value(day: np.ndarray) -> np.ndarray:
        day = np.asarray(day, dtype="float64")
        return 0.15 + 0.65 * (1 / (1 + np.exp(-(day - 90) / 12)) - 1 / (1 + np.exp(-(day - 200) / 9)))

    return value


@pytest.fixture(scope="session")
def alfalfa() -> Callable[[np.ndarray], np.ndarray]:
    """NDVI of alfalfa by day: cut every 32 days, full again after about 24."""

    def value(day: np.ndarray) -> np.ndarray:
        return 0.3 + 0.55 * np.clip(np.mod(np.asarray(day, dtype="float64"), 32) / 24, 0, 1) ** 0.9

    return value
