"""Sharing a volume: never over it, as good as any other sharing."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.errors import BudgetError, ContractError
from agro.water.allocation import share_volume

STEPS = 4


def demand(seed: int, rows: int, groups: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "parcel_uid": [f"p{i}" for i in range(rows)], "area_ha": rng.uniform(0.3, 20, rows), "need_mm": rng.uniform(0, 80, rows),
            "efficiency_frac": rng.uniform(0.5, 0.95, rows), "etm_mm": rng.uniform(200, 900, rows), "ky": rng.uniform(0.6, 1.3, rows),
            "yield_t_ha": rng.uniform(2, 80, rows), "price_per_t": rng.uniform(300, 6000, rows),
        }
    )  # fmt: skip
    return table.assign(group=[f"g{i % groups}" for i in range(rows)]) if groups else table


def volumes(table: pd.DataFrame) -> np.ndarray:
    return (table["need_mm"] * 10 * table["area_ha"] / table["efficiency_frac"]).to_numpy()


def value_per_m3(table: pd.DataFrame) -> np.ndarray:
    """Ky x yield x price / ETm a hectare and millimetre, over the cubic metres of that millimetre."""
    per_mm = table["ky"] * table["yield_t_ha"] * table["price_per_t"] / table["etm_mm"]
    return (per_mm * table["efficiency_frac"] / 10).to_numpy()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 3), share=st.floats(0, 1.2), floor=st.sampled_from([0.0, 0.1]))
def test_within_one_percent_of_every_sharing_tried(seed: int, rows: int, share: float, floor: float) -> None:
    table = demand(seed, rows)
    most, worth = volumes(table), value_per_m3(table)
    volume = max(share, floor) * float(most.sum()) + 1e-6
    shares = share_volume(table, volume, floor_frac=floor)
    assert shares.used_m3 <= volume
    assert shares.table["volume_m3"].sum() <= volume
    assert (shares.table["net_mm"] <= table["need_mm"] + 1e-9).all()
    assert (shares.table["met_frac"] >= floor - 1e-7).all()
    best = 0.0
    # All sharings in quarters of each need, the last cubic metres going wherever they are worth most.
    for quarters in itertools.product(range(STEPS + 1), repeat=rows):
        tried = np.maximum(np.array(quarters) / STEPS, floor) * most
        left = volume - tried.sum()
        if left < 0:
            continue
        for row in np.argsort(-worth):
            more = min(left, most[row] - tried[row])
            tried[row] += more
            left -= more
        best = max(best, float(tried @ worth))
    assert shares.saved >= 0.99 * best


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(1, 200), share=st.floats(0, 1.5))
def test_never_over_the_volume_nor_over_a_group(seed: int, rows: int, share: float) -> None:
    table = demand(seed, rows, groups=3)
    volume = share * float(volumes(table).sum())
    limits = {f"g{i}": volume / 4 for i in range(3)}
    shares = share_volume(table, volume, group_limits_m3=limits)
    assert shares.used_m3 <= volume
    for group, given_m3 in shares.table.groupby("group")["volume_m3"].sum().items():
        assert given_m3 <= limits[group]
    assert shares.table["volume_m3"].ge(0).all()


def test_two_parcels_by_hand() -> None:
    table = demand(1, 2).assign(
        area_ha=[1.0, 1.0], need_mm=[50.0, 50.0], efficiency_frac=[0.5, 1.0], etm_mm=500.0, ky=1.0, yield_t_ha=5.0, price_per_t=[1000.0, 900.0]
    )  # fmt: skip
    # A cubic metre is worth 0.5 in the first (half of it is lost) and 0.9 in the second, which needs 500 m3.
    shares = share_volume(table, 700.0)
    np.testing.assert_allclose(shares.table["volume_m3"], [200.0, 500.0])
    np.testing.assert_allclose(shares.table["net_mm"], [10.0, 50.0])
    np.testing.assert_allclose(shares.table["gross_mm"], [20.0, 50.0])
    assert shares.worth_per_m3 == pytest.approx(0.5)
    assert shares.saved == pytest.approx(10 * 10.0 + 50 * 9.0)
    # Dearer than 0.5 the first gets none; with enough water another cubic metre is worth nothing.
    assert share_volume(table, 700.0, water_price_per_m3=0.6).table["volume_m3"].tolist() == pytest.approx([0.0, 500.0])
    assert share_volume(table, 5000.0).worth_per_m3 == 0.0


def test_what_cannot_be_is_said() -> None:
    table = demand(2, 3)
    with pytest.raises(BudgetError, match="floor"):
        share_volume(table, 1.0, floor_frac=0.5)
    with pytest.raises(ContractError, match="price_per_t"):
        share_volume(table.drop(columns="price_per_t"), 10.0)
    with pytest.raises(ContractError, match="ky nan of parcel p1"):
        share_volume(table.assign(ky=[1.0, np.nan, 1.0]), 10.0)
    with pytest.raises(ContractError, match="no limit for group g1"):
        share_volume(demand(2, 3, groups=2), 10.0, group_limits_m3={"g0": 5.0})
    with pytest.raises(ContractError, match="volume"):
        share_volume(table, -1.0)
    assert share_volume(table.iloc[:0], 10.0).used_m3 == 0.0
