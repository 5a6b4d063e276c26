"""The kernel closes, does not depend on chunks, and equals a plain scalar reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.errors import ContractError
from agro.water.balance import Balance, Engine, Forcing, Soil, column_chunks, run_balance
from agro.water.soil import available_water_mm, layered_water_mm

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


def options(seed: int, forcing: Forcing) -> tuple[Forcing, dict[str, Any], np.ndarray]:
    """Every option on or off, as the seed falls: the forcing, what goes into the soil, the start of the whole profile."""
    rng = np.random.default_rng([seed, 1])
    days, columns = forcing.shape

    def maybe(values: np.ndarray) -> np.ndarray | None:
        return values if rng.random() < 0.5 else None

    full = maybe(forcing.taw_mm.max(axis=0) + rng.uniform(0, 40, columns))
    slow = rng.random() < 0.5
    chosen: dict[str, Any] = {
        "dual": bool(rng.random() < 0.7), "adjust_p": bool(rng.random() < 0.7), "light_rain_lost": bool(rng.random() < 0.4),
        "curve_number": maybe(rng.uniform(55, 92, columns)), "salt_ks": maybe(rng.uniform(0.3, 1, columns)), "taw_full_mm": full,
        "drainage_frac": rng.uniform(0.05, 1, columns) if slow else None, "above_fc_mm": rng.uniform(0, 60, columns) if slow else None,
    }  # fmt: skip
    changes: dict[str, Any] = {"rise_mm": maybe(rng.uniform(0, 3, (days, columns)))}
    if rng.random() < 0.4:  # a new season: the roots are small again
        changes["taw_mm"] = np.where(np.arange(days)[:, None] < days // 2, forcing.taw_mm, forcing.taw_mm[0] * 0.8)
    return dataclasses.replace(forcing, **changes), chosen, rng.uniform(0, 1, columns)


def scalar_reference(
    forcing: Forcing, soil: Soil, column: int, dr: float, de: float, dr_full: float = 0.0
) -> list[tuple[float, ...]]:
    """FAO-56 chapters 7 and 8 for one column, written out plainly: (dr, de, dr_full, eta, runoff, drainage) of each day."""

    def of(values: np.ndarray | None, day: int) -> float:
        return 0.0 if values is None else float(values[day, column])

    def at(values: np.ndarray | None, otherwise: float) -> float:
        return otherwise if values is None else float(values[column])

    fw, out = 1.0, []
    tew, rew, p0 = soil.tew_mm[column], soil.rew_mm[column], soil.depletion_p[column]
    full, salt = at(soil.taw_full_mm, -1.0), at(soil.salt_ks, 1.0)
    drains, holds = at(soil.drainage_frac, 1.0), at(soil.above_fc_mm, 0.0)
    taw_before = forcing.taw_mm[0, column]
    for day in range(len(forcing.et0_mm)):
        et0, rain, irrigation = (of(a, day) for a in (forcing.et0_mm, forcing.rain_mm, forcing.irrigation_mm))
        kcb, kc_max, fc, taw = (of(a, day) for a in (forcing.kcb, forcing.kc_max, forcing.fc_frac, forcing.taw_mm))
        runoff = 0.0
        if soil.curve_number is not None:
            average = soil.curve_number[column]
            driest, wettest = average / (2.281 - 0.01281 * average), average / (0.427 + 0.00573 * average)
            low, high = 0.5 * rew, 0.7 * rew + 0.3 * tew
            if de <= low:
                number = wettest
            elif de >= high:
                number = driest
            else:
                number = ((de - low) * driest + (high - de) * wettest) / (high - low)
            storage = 250 * (100 / number - 1)
            if rain > 0.2 * storage:
                runoff = min((rain - 0.2 * storage) ** 2 / (rain + 0.8 * storage), rain)
        enters = rain - runoff
        if soil.light_rain_lost and rain < 0.2 * et0:
            enters = 0.0
        few, ke = 1.0, 0.0
        if soil.dual:
            if irrigation > 0:
                fw = forcing.fw_frac[day, column]
            elif rain >= 3:
                fw = 1.0
            few = min(max(min(1 - fc, fw), 0.01), 1.0)
            kr = min(max((tew - de) / (tew - rew), 0.0), 1.0)
            ke = min(kr * (kc_max - kcb), few * kc_max)
        p = min(max(p0 + 0.04 * (5 - (ke + kcb) * et0), 0.1), 0.8) if soil.adjust_p else p0
        ks = min(max((taw - dr) / (taw - p * taw), 0.0), 1.0) * salt
        handed = 0.0
        if taw < taw_before:
            handed = -dr * (taw_before - taw) / taw_before
        elif full >= 0 and full > taw_before:
            handed = (dr_full - dr) * (taw - taw_before) / (full - taw_before)
        room = max(taw - dr - handed + enters + irrigation, 0.0)
        transpiration = min(ks * kcb * et0, room)
        evaporation = min(ke * et0, room - transpiration)
        eta = transpiration + evaporation
        if soil.dual:
            de = min(max(de - enters - irrigation / fw, 0.0) + evaporation / few, tew)

        def drained(gone: float, drains: float = drains, holds: float = holds) -> float:
            excess = max(-gone, 0.0)
            return max(drains * excess, excess - holds) if excess else 0.0

        if full >= 0:
            gone = dr_full - enters - irrigation + eta
            drainage = drained(gone)
            gone += drainage
            rise = min(of(forcing.rise_mm, day), max(gone, 0.0))
            dr_full = gone - rise
            # Water held above field capacity is spread over the profile.
            least = min(gone - rise, 0.0) * taw / full
            dr = min(max(dr - enters - irrigation + eta + handed, least), taw)
            if forcing.rise_mm is not None:
                dr = min(dr, max(dr_full, least))
        else:
            gone = dr - enters - irrigation + eta + handed
            drainage = drained(gone)
            gone += drainage
            dr = dr_full = gone - min(of(forcing.rise_mm, day), max(gone, 0.0))
        taw_before = taw
        out.append((dr, de, dr_full, eta, runoff, drainage))
    return out


TERMS = ("dr_mm", "de_mm", "dr_full_mm", "eta_mm", "runoff_mm", "drainage_mm")


def closing_errors_mm(forcing: Forcing, done: Balance, dr0: np.ndarray, full0: np.ndarray | None) -> list[float]:
    """Largest part of a day's change that the fluxes do not explain: of the root zone, and of the whole profile where kept."""
    change = (
        done.eta_mm + done.drainage_mm + done.runoff_mm + done.light_rain_mm
        - forcing.rain_mm - forcing.irrigation_mm - done.supposed_mm - done.rise_mm
    )  # fmt: skip
    before = np.vstack((dr0, done.dr_mm[:-1]))
    errors = [float(np.abs(done.dr_mm - before - change - done.root_growth_mm).max())]
    if full0 is not None:
        before = np.vstack((full0, done.dr_full_mm[:-1]))
        errors.append(float(np.abs(done.dr_full_mm - before - change).max()))
    return errors


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_each_day_closes_whatever_the_options(seed: int) -> None:
    forcing, soil, dr0, de0 = season(seed)
    forcing, chosen, share = options(seed, forcing)
    soil = dataclasses.replace(soil, **chosen)
    full0 = None if soil.taw_full_mm is None else dr0 + share * (soil.taw_full_mm - forcing.taw_mm[0])
    done = run_balance(forcing, soil, dr0, de0, dr_full0_mm=full0)
    assert max(closing_errors_mm(forcing, done, dr0, full0)) < 1e-6
    holds = 0.0 if soil.above_fc_mm is None else soil.above_fc_mm
    assert (done.dr_mm >= -holds - 1e-9).all() and (done.dr_mm <= forcing.taw_mm + 1e-6).all()
    for name in ("eta_mm", "drainage_mm", "runoff_mm", "light_rain_mm", "rise_mm", "ks", "ke", "de_mm"):
        assert (getattr(done, name) >= 0).all(), name
    assert (done.runoff_mm + done.light_rain_mm <= forcing.rain_mm + 1e-12).all()
    if soil.taw_full_mm is not None:
        assert (done.dr_full_mm <= soil.taw_full_mm + 1e-9).all()
        # The soil below the roots is neither wetter than the profile's excess nor emptier than empty.
        below = done.dr_full_mm - done.dr_mm
        assert (below <= soil.taw_full_mm - forcing.taw_mm + 1e-6).all()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 100_000))
def test_equals_the_scalar_reference(seed: int) -> None:
    forcing, soil, dr0, de0 = season(seed)
    forcing, chosen, share = options(seed, forcing)
    soil = dataclasses.replace(soil, **chosen)
    full0 = None if soil.taw_full_mm is None else dr0 + share * (soil.taw_full_mm - forcing.taw_mm[0])
    done = run_balance(forcing, soil, dr0, de0, dr_full0_mm=full0)
    for column in range(COLUMNS):
        start = 0.0 if full0 is None else full0[column]
        expected = np.array(scalar_reference(forcing, soil, column, dr0[column], de0[column], start))
        mine = np.stack([getattr(done, name)[:, column] for name in TERMS], axis=1)
        np.testing.assert_allclose(mine, expected, atol=1e-9, err_msg=str(chosen))


@pytest.mark.parametrize("engine", ["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def test_columns_do_not_see_each_other(engine: Engine) -> None:
    if engine == "numba":
        pytest.importorskip("numba")
    forcing, soil, dr0, de0 = season(7, columns=600)
    whole = run_balance(forcing, soil, dr0, de0, engine=engine)
    threaded = run_balance(forcing, soil, dr0, de0, engine=engine, threads=3)
    assert all(np.array_equal(getattr(threaded, f.name), getattr(whole, f.name)) for f in dataclasses.fields(Balance))
    for chunk in column_chunks(600, 257):
        part = run_balance(
            dataclasses.replace(forcing, **{
                f.name: array[:, chunk] for f in dataclasses.fields(Forcing) if (array := getattr(forcing, f.name)) is not None
            }),
            Soil(soil.tew_mm[chunk], soil.rew_mm[chunk], soil.depletion_p[chunk]), dr0[chunk], de0[chunk], engine=engine,
        )  # fmt: skip
        for f in dataclasses.fields(Balance):
            assert np.array_equal(getattr(part, f.name), getattr(whole, f.name)[:, chunk]), f.name


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_compiled_gives_the_same_bits(seed: int) -> None:
    pytest.importorskip("numba")
    forcing, soil, dr0, de0 = season(seed, columns=300)
    forcing, chosen, share = options(seed, forcing)
    soil = dataclasses.replace(soil, **chosen)
    full0 = None if soil.taw_full_mm is None else dr0 + share * (soil.taw_full_mm - forcing.taw_mm[0])
    refill = np.where(np.arange(DAYS)[:, None] % 2 > 0, 0.8, np.nan) if seed % 2 else None
    plain, compiled = (
        run_balance(forcing, soil, dr0, de0, dr_full0_mm=full0, refill_at_frac=refill, engine=engine)
        for engine in ("numpy", "numba")
    )
    for f in dataclasses.fields(Balance):
        assert np.array_equal(getattr(plain, f.name), getattr(compiled, f.name)), f.name


def test_shared_forcing_and_fewer_terms_change_nothing() -> None:
    forcing, soil, dr0, de0 = season(3)
    same = dataclasses.replace(forcing, et0_mm=np.repeat(forcing.et0_mm[:, :1], COLUMNS, axis=1))
    shared = dataclasses.replace(forcing, et0_mm=forcing.et0_mm[:, :1])
    whole = run_balance(same, soil, dr0, de0)
    few = run_balance(shared, soil, dr0, de0, keep=("eta_mm", "dr_mm"))
    assert np.array_equal(whole.dr_mm, few.dr_mm) and np.array_equal(whole.eta_mm, few.eta_mm)
    assert few.ks.shape == (0, COLUMNS)
    with pytest.raises(ContractError, match="no term etx"):
        run_balance(shared, soil, dr0, de0, keep=("etx",))


def test_a_run_goes_on_from_its_state() -> None:
    forcing, soil, dr0, de0 = season(11)
    whole = run_balance(forcing, soil, dr0, de0)
    values = {f.name: getattr(forcing, f.name) for f in dataclasses.fields(Forcing) if f.name != "rise_mm"}
    first = run_balance(Forcing(**{k: v[:15] for k, v in values.items()}), soil, dr0, de0)
    then = run_balance(
        Forcing(**{k: v[15:] for k, v in values.items()}), soil, first.dr_mm[-1], first.de_mm[-1], first.fw_frac[-1]
    )
    np.testing.assert_array_equal(then.dr_mm, whole.dr_mm[15:])


def one_day(soil: dict[str, Any] | None = None, dr0: float = 20.0, **forcing: float) -> Balance:
    base = {
        "et0_mm": 5.0,
        "rain_mm": 0.0,
        "irrigation_mm": 0.0,
        "fw_frac": 1.0,
        "kcb": 1.0,
        "kc_max": 1.2,
        "fc_frac": 0.9,
        "taw_mm": 100.0,
    }
    values = {name: np.full((1, 1), value) for name, value in {**base, **forcing}.items()}
    limits = {"tew_mm": np.array([20.0]), "rew_mm": np.array([8.0]), "depletion_p": np.array([0.5]), **(soil or {})}
    return run_balance(Forcing(**values), Soil(**limits), np.array([dr0]), np.array([20.0]))


def test_single_coefficients_have_no_surface_layer() -> None:
    done = one_day({"dual": False}, kcb=1.15)
    assert done.eta_mm[0, 0] == pytest.approx(1.15 * 5) and done.ke[0, 0] == 0 and done.de_mm[0, 0] == 20.0


def test_light_rain_is_lost_and_counted() -> None:
    done = one_day({"dual": False, "light_rain_lost": True}, rain_mm=0.9)
    assert done.light_rain_mm[0, 0] == pytest.approx(0.9) and done.dr_mm[0, 0] == pytest.approx(25.0)
    assert one_day({"dual": False, "light_rain_lost": True}, rain_mm=1.0).dr_mm[0, 0] == pytest.approx(24.0)


def test_water_above_field_capacity_drains_by_its_share_and_over_saturation_at_once() -> None:
    slow = {"dual": False, "drainage_frac": np.array([0.25]), "above_fc_mm": np.array([30.0])}
    done = one_day(slow, dr0=0.0, irrigation_mm=25.0)  # 20 above field capacity after ET
    assert done.drainage_mm[0, 0] == pytest.approx(5.0) and done.dr_mm[0, 0] == pytest.approx(-15.0)
    done = one_day(slow, dr0=0.0, irrigation_mm=75.0)  # 70 above: 40 over saturation
    assert done.drainage_mm[0, 0] == pytest.approx(40.0) and done.dr_mm[0, 0] == pytest.approx(-30.0)


def test_rise_fills_no_more_than_the_depletion() -> None:
    assert one_day({"dual": False}, dr0=0.0, rise_mm=2.0).dr_mm[0, 0] == pytest.approx(3.0)
    done = one_day({"dual": False}, dr0=0.0, rise_mm=9.0)
    assert done.dr_mm[0, 0] == 0.0 and done.rise_mm[0, 0] == pytest.approx(5.0) and done.drainage_mm[0, 0] == 0.0


def test_salt_takes_its_share_of_the_transpiration() -> None:
    done = one_day({"dual": False, "salt_ks": np.array([0.7])})
    assert done.ks[0, 0] == pytest.approx(0.7) and done.transpiration_mm[0, 0] == pytest.approx(3.5)


@pytest.mark.slow
def test_runoff_equals_pyfao56(tmp_path: Path) -> None:
    """Sixty days of storms by curve number: the reference implementation run beside."""
    from pyfao56 import Irrigation, Model, Parameters, Weather

    days = pd.date_range("2018-05-01", periods=60)
    rng = np.random.default_rng(5)
    rain = np.where(rng.random(60) < 0.3, rng.uniform(2, 70, 60), 0.0).round(1)
    par = Parameters(Kcbini=0.15, Kcbmid=1.1, Kcbend=0.5, Lini=10, Ldev=20, Lmid=20, Lend=10, hini=0.05, hmax=1.0, thetaFC=0.28,
                     thetaWP=0.13, theta0=0.22, Zrini=0.4, Zrmax=1.0, pbase=0.55, Ze=0.1, REW=8.0, CN2=80)  # fmt: skip
    wth = Weather()
    wth.rfcrp, wth.z, wth.lat, wth.wndht = "S", 300.0, 32.0, 2.0
    wth.wdata = pd.DataFrame({
        "Srad": 20.0, "Tmax": 30.0, "Tmin": 14.0, "Vapr": 1.2, "Tdew": 9.0, "RHmax": 80.0, "RHmin": 30.0, "Wndsp": 2.0, "Rain": rain,
        "ETref": 6.0, "MorP": "M",
    }, index=days.strftime("%Y-%j"))  # fmt: skip
    model = Model(days[0].strftime("%Y-%j"), days[-1].strftime("%Y-%j"), par, wth, irr=Irrigation(), roff=True)
    model.run()
    theirs = model.odata
    shape = (60, 1)

    def column(name: str) -> np.ndarray:
        return theirs[name].to_numpy(dtype=float).reshape(shape)

    forcing = Forcing(
        np.full(shape, 6.0), rain.reshape(shape), np.zeros(shape), np.ones(shape), column("Kcb"), column("Kcmax"), column("fc"),
        column("TAW"),
    )  # fmt: skip
    tew = np.array([1000 * (0.28 - 0.065) * 0.1])
    soil = Soil(tew, np.array([8.0]), np.array([0.55]), curve_number=np.array([80.0]), closed=False)
    start = 1000 * (0.28 - 0.22) * 0.4
    done = run_balance(forcing, soil, np.array([start]), tew)
    assert column("Runoff").sum() > 50
    for mine, name in (
        (done.runoff_mm, "Runoff"),
        (done.dr_mm, "Dr"),
        (done.eta_mm, "ETa"),
        (done.ks, "Ks"),
        (done.drainage_mm, "DP"),
    ):
        np.testing.assert_allclose(mine, column(name), atol=0.01, err_msg=name)


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


def test_all_columns_at_once_hold_what_each_holds() -> None:
    rng = np.random.default_rng(4)
    top, bottom = np.array([0.0, 0.3, 0.8]), np.array([0.3, 0.8, 1.2])
    fc, wp = rng.uniform(0.2, 0.35, (3, 5)), rng.uniform(0.05, 0.15, (3, 5))
    depth = rng.uniform(0.0, 1.6, (30, 5))
    together = layered_water_mm(top, bottom, fc - wp, depth)
    for column in range(5):
        alone = available_water_mm(top, bottom, fc[:, column], wp[:, column], np.zeros(3), depth[:, column])
        np.testing.assert_allclose(together[:, column], alone, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rew_mm": np.full(COLUMNS, 99.0)}, "REW"), ({"salt_ks": np.ones(COLUMNS - 1)}, "salt_ks"),
        ({"curve_number": np.full(COLUMNS, np.nan)}, "curve_number"), ({"drainage_frac": np.full(COLUMNS, 0.5)}, "go together"),
        ({"drainage_frac": np.zeros(COLUMNS), "above_fc_mm": np.zeros(COLUMNS)}, "drainage_frac"),
    ],
)  # fmt: skip
def test_a_soil_that_cannot_be_is_refused(changes: dict[str, np.ndarray], said: str) -> None:
    _, soil, *_ = season(1)
    with pytest.raises(ContractError, match=said):
        dataclasses.replace(soil, **changes)


def test_a_start_or_shape_that_does_not_fit_is_refused() -> None:
    forcing, soil, dr0, de0 = season(1)
    with pytest.raises(ContractError, match="whole profile"):
        run_balance(forcing, dataclasses.replace(soil, taw_full_mm=np.full(COLUMNS, 300.0)), dr0, de0)
    with pytest.raises(ContractError, match="columns"):
        run_balance(dataclasses.replace(forcing, et0_mm=forcing.et0_mm[:, :3]), soil, dr0, de0)
    with pytest.raises(ContractError, match="columns for a forcing"):
        run_balance(season(1, columns=9)[0], soil, dr0, de0)
