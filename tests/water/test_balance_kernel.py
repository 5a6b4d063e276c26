"""The kernel closes, does not depend on chunks, and equals a plain scalar reference."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.errors import ContractError
from agro.water.balance import Balance, Forcing, Soil, run_balance
from agro.water.soil import available_water_mm

DAYS, COLUMNS = 40, 6


def season(seed: int, days: int = DAYS, columns: int = COLUMNS) -> tuple[Forcing, Soil, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = (days, columns)
    kcb = rng.uniform(0.15, 1.1, shape)
    taw = np.cumsum(rng.uniform(0, 3, shape), axis=0) + rng.uniform(30, 120, columns)
    forcing = Forcing(
        et0_mm=rng.uniform(0, 9, shape), rain_mm=rng.uniform(0, 25, shape) * (rng.random(shape) < 0.2),
        irrigation_mm=rng.uniform(5, 60, shape) * (rng.random(shape) < 0.08), fw_frac=rng.uniform(0.3, 1, shape), kcb=kcb,
        kc_max=np.maximum(1.2, kcb + 0.05), fc_frac=rng.uniform(0, 0.95, shape), taw_mm=taw,
    )  # fmt: skip
    tew = rng.uniform(10, 30, columns)
    soil = Soil(tew, tew * rng.uniform(0.2, 0.6, columns), rng.uniform(0.3, 0.65, columns))
    return forcing, soil, taw[0] * rng.random(columns), tew * rng.random(columns)


def scalar_reference(
    forcing: Forcing, soil: Soil, column: int, dr: float, de: float
) -> list[tuple[float, float, float]]:
    """FAO-56 chapters 7 and 8 for one column, written out plainly: (dr, eta, drainage) of each day."""
    fw, out = 1.0, []
    tew, rew, p0 = soil.tew_mm[column], soil.rew_mm[column], soil.depletion_p[column]
    for day in range(len(forcing.et0_mm)):
        et0, rain, irrigation = (getattr(forcing, n)[day, column] for n in ("et0_mm", "rain_mm", "irrigation_mm"))
        kcb, kc_max, fc, taw = (getattr(forcing, n)[day, column] for n in ("kcb", "kc_max", "fc_frac", "taw_mm"))
        if irrigation > 0:
            fw = forcing.fw_frac[day, column]
        elif rain >= 3:
            fw = 1.0
        few = min(max(min(1 - fc, fw), 0.01), 1.0)
        kr = min(max((tew - de) / (tew - rew), 0.0), 1.0)
        ke = min(kr * (kc_max - kcb), few * kc_max)
        p = min(max(p0 + 0.04 * (5 - (ke + kcb) * et0), 0.1), 0.8)
        ks = min(max((taw - dr) / (taw - p * taw), 0.0), 1.0)
        room = max(taw - dr + rain + irrigation, 0.0)
        transpiration = min(ks * kcb * et0, room)
        evaporation = min(ke * et0, max(room - ks * kcb * et0, 0.0))
        eta = transpiration + evaporation
        lost = max(rain + irrigation / fw - de, 0.0)
        de = min(max(de - rain - irrigation / fw + evaporation / few + lost, 0.0), tew)
        drainage = max(rain + irrigation - eta - dr, 0.0)
        dr = dr - rain - irrigation + eta + drainage
        out.append((dr, eta, drainage))
    return out


def closing_error_mm(forcing: Forcing, done: Balance, dr0: np.ndarray) -> float:
    """Largest part of a day's change of depletion that the fluxes do not explain."""
    before = np.vstack((dr0, done.dr_mm[:-1]))
    change = (
        -(forcing.rain_mm - done.runoff_mm)
        - forcing.irrigation_mm
        + done.eta_mm
        + done.drainage_mm
        + done.root_growth_mm
    )
    return float(np.abs(done.dr_mm - before - change).max())


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_each_day_closes(seed: int) -> None:
    forcing, soil, dr0, de0 = season(seed)
    done = run_balance(forcing, soil, dr0, de0)
    assert closing_error_mm(forcing, done, dr0) < 1e-6
    assert (done.dr_mm >= 0).all() and (done.dr_mm <= forcing.taw_mm + 1e-6).all()
    assert (done.drainage_mm >= 0).all() and (done.eta_mm >= 0).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_closes_with_the_soil_below_the_roots_and_runoff(seed: int) -> None:
    forcing, soil, dr0, de0 = season(seed)
    full = forcing.taw_mm.max(axis=0) + 20
    soil = dataclasses.replace(soil, taw_full_mm=full, curve_number=np.full(COLUMNS, 75.0))
    done = run_balance(forcing, soil, dr0, de0, dr_full0_mm=np.minimum(dr0 + 10, full))
    assert closing_error_mm(forcing, done, dr0) < 1e-6
    assert (done.runoff_mm <= forcing.rain_mm + 1e-12).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equals_the_scalar_reference(seed: int) -> None:
    forcing, soil, dr0, de0 = season(seed)
    done = run_balance(forcing, soil, dr0, de0)
    for column in range(COLUMNS):
        expected = np.array(scalar_reference(forcing, soil, column, dr0[column], de0[column]))
        mine = np.stack((done.dr_mm[:, column], done.eta_mm[:, column], done.drainage_mm[:, column]), axis=1)
        np.testing.assert_allclose(mine, expected, atol=1e-9)


def test_columns_do_not_see_each_other() -> None:
    forcing, soil, dr0, de0 = season(7)
    whole = run_balance(forcing, soil, dr0, de0)
    for chunk in (slice(0, 2), slice(2, 6)):
        part = run_balance(
            Forcing(**{f.name: getattr(forcing, f.name)[:, chunk] for f in dataclasses.fields(Forcing)}),
            Soil(soil.tew_mm[chunk], soil.rew_mm[chunk], soil.depletion_p[chunk]), dr0[chunk], de0[chunk],
        )  # fmt: skip
        for f in dataclasses.fields(Balance):
            assert np.array_equal(getattr(part, f.name), getattr(whole, f.name)[:, chunk])


def test_a_gap_or_negative_rain_is_refused() -> None:
    forcing, *_ = season(1)
    values = {f.name: getattr(forcing, f.name) for f in dataclasses.fields(Forcing)}
    gap = forcing.et0_mm.copy()
    gap[3, 2] = np.nan
    with pytest.raises(ContractError, match="et0_mm"):
        Forcing(**{**values, "et0_mm": gap})
    with pytest.raises(ContractError, match="below zero"):
        Forcing(**{**values, "rain_mm": forcing.rain_mm - 1})


@pytest.mark.parametrize(
    ("texture", "fc", "wp", "printed"),
    [
        ("loamy sand", 0.15, 0.06, {"onion": 11, "tomato": 29, "maize": 59}),
        ("silt", 0.32, 0.15, {"onion": 20, "tomato": 54, "maize": 112}),
        ("silty clay", 0.35, 0.23, {"onion": 14, "tomato": 38, "maize": 79}),
    ],
)
def test_fao56_example_37_readily_available_water(texture: str, fc: float, wp: float, printed: dict[str, int]) -> None:
    # FAO-56 Example 37: rooting depths 0.4, 0.8, 1.2 m and p 0.30, 0.40, 0.55; two layers of the same soil change nothing.
    for crop, zr, p in (("onion", 0.4, 0.30), ("tomato", 0.8, 0.40), ("maize", 1.2, 0.55)):
        top, bottom = np.array([0.5, 0.0]), np.array([1.0, 0.5])
        taw = available_water_mm(top, bottom, np.full(2, fc), np.full(2, wp), np.zeros(2), np.array(zr))
        assert p * float(taw) == pytest.approx(printed[crop], abs=0.8), (texture, crop)


def test_available_water_of_layers_and_stones() -> None:
    top, bottom = np.array([0.0, 0.3]), np.array([0.3, 1.0])
    fc, wp, stones = np.array([0.30, 0.20]), np.array([0.10, 0.10]), np.array([0.0, 0.5])
    depths = available_water_mm(top, bottom, fc, wp, stones, np.array([0.0, 0.3, 0.5, 2.0]))
    # 200 mm/m above 0.3 m, 50 mm/m below; the lowest layer goes on.
    np.testing.assert_allclose(depths, [0.0, 60.0, 70.0, 145.0])
