"""Water limits from texture against the published table and on real points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agro.sources.soil.pedotransfer import saxton_rawls

#: Saxton & Rawls 2006, Table 3: sand %, clay %, wilting point and field capacity in % of volume, at 2.5 % organic matter.
PUBLISHED = {
    "sand": (88, 5, 5, 10), "loamy sand": (80, 5, 5, 12), "sandy loam": (65, 10, 8, 18), "loam": (40, 20, 14, 28),
    "silt loam": (20, 15, 11, 31), "sandy clay loam": (60, 25, 17, 27), "clay loam": (30, 35, 22, 36),
    "silty clay loam": (10, 35, 22, 38), "silty clay": (10, 45, 27, 41), "clay": (25, 50, 30, 42),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_table(name: str) -> None:
    sand, clay, wp, fc = PUBLISHED[name]
    found_fc, found_wp = saxton_rawls(np.array([sand / 100]), np.array([clay / 100]), np.array([2.5]))
    assert found_fc[0] * 100 == pytest.approx(fc, abs=0.75)  # the table is rounded to whole per cent
    assert found_wp[0] * 100 == pytest.approx(wp, abs=0.75)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 8))
def test_every_soil_holds_some_water(first: float, second: float, organic: float) -> None:
    clay = 0.05 + 0.55 * first
    sand = (1 - clay) * second
    fc, wp = saxton_rawls(np.array([sand]), np.array([clay]), np.array([organic]))
    assert 0 < wp[0] < fc[0] < 0.7


def test_missing_stays_missing() -> None:
    fc, wp = saxton_rawls(np.array([np.nan, 0.4]), np.array([0.2, 0.2]), np.array([1.0, np.nan]))
    assert np.isnan(fc).all() and np.isnan(wp).all()


@pytest.mark.real_data
def test_real_points_are_soils(shared_data: Path) -> None:
    """Stored numbers of the provider: clay, sand and silt fill the soil, and their water limits are those of soils."""
    rows = pd.read_csv(shared_data / "soilgrids-points" / "soilgrids-results.csv")
    wide = rows.pivot_table(index=["lat", "lon", "depth"], columns="soil_property", values="mean")
    wide = wide[["clay", "sand", "silt"]].dropna()
    assert len(wide) > 50
    total = wide.sum(axis=1) / 1000
    assert total.between(0.98, 1.02).all()
    fc, wp = saxton_rawls(wide["sand"].to_numpy() / 1000, wide["clay"].to_numpy() / 1000, np.full(len(wide), 2.0))
    assert ((wp > 0.02) & (wp < fc) & (fc < 0.45)).all()
