"""Coefficients from stages, index and climate; and the doubt left by irrigation that nobody reported."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.crops import Crop, load_crops, load_textures
from agro.schema.tables import empty, validate
from agro.water import coefficients as co
from agro.water.balance import Forcing, Soil, run_balance
from agro.water.scheduling import irrigation_need
from agro.water.state import canopy, minimum_humidity_pct, water_state
from agro.water.tables import CROPS_FILE, SOILS_FILE

CROPS = load_crops(CROPS_FILE)
LOAM = load_textures(SOILS_FILE)["loam"]
START, AS_OF = date(2022, 1, 1), date(2022, 4, 11)
DAYS = pd.date_range(START, AS_OF)


def parcels(crop: str, system: str = "sprinkler", **columns: Any) -> pd.DataFrame:
    row = {
        "parcel_uid": "a", "name": "a", "metrics:area": 20_000.0, "agro:crop": crop, "agro:sowing_date": pd.Timestamp("2021-12-01"),
        "agro:irrigation": system, "agro:flow_m3_h": 40.0, "agro:efficiency_frac": np.nan, "agro:cooperative": None, "agro:sector": None,
        "agro:owner_ref": None, "agro:geometry_digest": "d", "agro:repaired": None,
    }  # fmt: skip
    return validate(pd.DataFrame([{**row, **columns}]), "parcels")


def ndvi(value: float) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "parcel_uid": "a",
            "date": DAYS,
            "index": "ndvi",
            "value": value,
            "sd": 0.02,
            "flag": "observed",
            "clear_age_d": 0,
        }
    )
    return validate(rows, "series")


def weather(rain: float = 0.0, source: str = "forecast") -> pd.DataFrame:
    past = pd.DataFrame({"date": DAYS, "member": -1, "is_forecast": False, "issued_at": DAYS, "source": "station"})
    ahead = [
        pd.DataFrame(
            {
                "date": pd.date_range("2022-04-12", periods=7),
                "member": m,
                "is_forecast": True,
                "issued_at": pd.Timestamp(AS_OF),
                "source": source,
            }
        )
        for m in range(3)
    ]
    table = pd.concat([past, *ahead], ignore_index=True).assign(
        site_id="s",
        tmin_c=10.0,
        tmax_c=24.0,
        rh_mean_pct=50.0,
        u2_m_s=2.0,
        rs_mj_m2=20.0,
        et0_mm=4.5,
        estimated=None,
        rain_mm=rain,
    )
    return validate(table, "weather")


def soil() -> pd.DataFrame:
    row = {
        "parcel_uid": "a", "layer": 1, "top_m": 0.0, "bottom_m": 2.0, "fc_m3_m3": LOAM.fc_m3_m3.value, "wp_m3_m3": LOAM.wp_m3_m3.value,
        "fc_sd_m3_m3": LOAM.fc_sd_m3_m3.value, "wp_sd_m3_m3": LOAM.wp_sd_m3_m3.value, "stones_frac": 0.0, "source": "survey",
    }  # fmt: skip
    return validate(pd.DataFrame([row]), "soil")


def events(*days: str) -> pd.DataFrame:
    if not days:
        return empty("irrigation")
    return validate(
        pd.DataFrame({"parcel_uid": "a", "date": pd.to_datetime(list(days)), "depth_mm": 30.0, "source": "reported"}),
        "irrigation",
    )


def last(table: pd.DataFrame) -> pd.Series:
    return table[(table["member"] == -1) & (table["date"] == pd.Timestamp(AS_OF))].iloc[0]


def state(crop: str, value: float | None, system: str = "sprinkler", *reported: str) -> pd.DataFrame:
    index = empty("series") if value is None else ndvi(value)
    return water_state(parcels(crop, system), index, weather(), soil(), events(*reported), CROPS, START, AS_OF)


@pytest.mark.parametrize(
    ("day", "kcb"),
    [(-10, 0.15), (0, 0.15), (20, 0.15), (45, 0.625), (70, 1.1), (129, 1.1), (145, 0.625), (160, 0.15), (300, 0.15)],
)
def test_stages_make_the_trapezoid(day: int, kcb: float) -> None:
    # Stages 20/50/60/30 d, Kcb 0.15/1.10/0.15 (FAO-56 Figure 34); half way up and down is the mean of the two.
    assert co.stage_kcb(day, (20, 50, 60, 30), (0.15, 1.1, 0.15)) == pytest.approx(kcb)


def test_climate_adjustment_by_hand() -> None:
    # FAO-56 eq. 70: u2 4 m/s, RHmin 25 %, h 2 m: (0.04 x 2 + 0.004 x 20) x (2/3)^0.3 = 0.1417.
    assert co.climate_adjusted(1.15, 4.0, 25.0, 2.0) == pytest.approx(1.15 + 0.1417, abs=2e-4)
    assert co.climate_adjusted(0.30, 4.0, 25.0, 2.0) == pytest.approx(0.30)  # below 0.45 as it is
    assert co.climate_adjusted(1.15, 2.0, 45.0, 2.0) == pytest.approx(1.15)  # the climate of the table


def test_density_coefficient_by_hand() -> None:
    # Allen & Pereira 2009 eq. 10 with M = 2: sparse ground is limited by light, dense ground by cover and height.
    assert co.density_coefficient(np.array(0.05), 4.0) == pytest.approx(0.10)
    assert co.density_coefficient(np.array(0.6), 0.5) == pytest.approx(0.6 ** (1 / 1.5))
    assert co.density_coefficient(np.array(1.0), 1.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("index", "kcb"), [(0.10, 0.15), (0.50, 0.5904), (0.90, 1.15), (np.nan, np.nan)])
def test_wheat_relation_within_its_range(index: float, kcb: float) -> None:
    line = CROPS["wheat_winter"].kcb_relation
    assert line is not None
    assert co.relation(index, line) == pytest.approx(kcb, nan_ok=True)


def test_the_cover_of_the_table_gives_the_kcb_of_the_table() -> None:
    for key in ("olive", "citrus", "alfalfa"):
        crop = CROPS[key]
        assert crop.table_cover_frac is not None
        assert float(co.kcb_from_cover(np.array(crop.table_cover_frac.value), crop, 0.65)) == pytest.approx(0.65), key
        assert float(co.kcb_from_cover(np.array(0.0), crop, 0.65)) == pytest.approx(co.KCB_MIN)


@given(cover=st.floats(0, 1), more=st.floats(0, 1), key=st.sampled_from(sorted(CROPS)))
def test_more_cover_never_needs_less_water(cover: float, more: float, key: str) -> None:
    low, high = sorted((cover, more))
    crop: Crop = CROPS[key]
    assert co.kcb_from_cover(np.array(low), crop, 1.0) <= co.kcb_from_cover(np.array(high), crop, 1.0) + 1e-12


def test_minimum_humidity_is_the_vapour_at_the_warmest() -> None:
    table = pd.DataFrame({"tmin_c": [10.0, 10.0], "tmax_c": [24.0, 24.0], "rh_mean_pct": [50.0, np.nan]})
    # e(10) = 1.2280, e(24) = 2.9838 kPa: 50 % of their mean over e(24); without humidity e(10) over e(24).
    np.testing.assert_allclose(
        minimum_humidity_pct(table), [100 * 0.25 * (1.2280 + 2.9838) / 2.9838, 100 * 1.2280 / 2.9838], rtol=1e-3
    )


def test_a_dry_windy_place_raises_the_tabled_kcb_only() -> None:
    calm = weather()[lambda t: ~t["is_forecast"]].set_index("date")
    harsh = calm.assign(u2_m_s=5.0, rh_mean_pct=25.0)
    table = parcels("sugar_beet", **{"agro:sowing_date": pd.Timestamp("2021-10-01")})
    kcb = [canopy(table, empty("series"), w, CROPS, DAYS).kcb[-1, 0] for w in (calm, harsh)]
    assert kcb[1] > kcb[0] + 0.05
    wheat = [canopy(parcels("wheat_winter"), ndvi(0.7), w, CROPS, DAYS).kcb[-1, 0] for w in (calm, harsh)]
    assert wheat[0] == wheat[1] == pytest.approx(1.64 * 0.56, abs=1e-9)  # the relation was fitted where it is used


def test_a_covered_crop_has_no_index() -> None:
    seen = state("tomato_covered", 0.8)
    assert (seen["kcb_source"] == "table").all()
    pd.testing.assert_frame_equal(seen, state("tomato_covered", None))


def test_the_index_is_named_as_source() -> None:
    assert last(state("wheat_winter", 0.7))["kcb_source"] == "ndvi"
    assert last(state("wheat_winter", None))["kcb_source"] == "table"


def test_silence_over_a_green_field_is_doubt_not_water() -> None:
    told = ("2022-02-01", "2022-02-20", "2022-03-10", "2022-03-28")
    silent, reported, bour = (
        state("wheat_winter", 0.8),
        state("wheat_winter", 0.8, "sprinkler", *told),
        state("wheat_winter", 0.8, "rainfed"),
    )
    assert silent.loc[silent["member"] == -1, "irrigation_mm"].sum() == 0  # nothing is invented
    assert last(silent)["dr_mm"] == pytest.approx(last(bour)["dr_mm"])  # the central story is the same as without pipes
    assert last(silent)["dr_sd_mm"] > 1.8 * last(bour)["dr_sd_mm"]
    assert last(silent)["dr_sd_mm"] > 1.8 * last(reported)["dr_sd_mm"]
    need = irrigation_need(
        silent, parcels("wheat_winter"), weather(), empty("irrigation"), soil(), CROPS, AS_OF, 7
    ).iloc[0]
    # The interval holds the story of the grower who kept the field well watered.
    assert need["dr_low_mm"] < need["raw_mm"] < need["dr_high_mm"] and not need["irrigation_reported"]


def test_a_bare_field_leaves_no_such_doubt() -> None:
    assert last(state("wheat_winter", 0.15))["dr_sd_mm"] == pytest.approx(
        last(state("wheat_winter", 0.15, "rainfed"))["dr_sd_mm"]
    )


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_supposed_irrigation_keeps_the_balance_closed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = (40, 5)
    kcb = rng.uniform(0.15, 1.1, shape)
    forcing = Forcing(
        et0_mm=rng.uniform(2, 9, shape), rain_mm=rng.uniform(0, 20, shape) * (rng.random(shape) < 0.1), irrigation_mm=np.zeros(shape),
        fw_frac=np.full(shape, 0.4), kcb=kcb, kc_max=np.full(shape, 1.25), fc_frac=rng.uniform(0, 0.9, shape), taw_mm=np.full(shape, 60.0),
    )  # fmt: skip
    layer = Soil(np.full(5, 20.0), np.full(5, 8.0), np.full(5, 0.5))
    level = np.where(np.arange(5) % 2, 0.5, np.nan)[None].repeat(40, axis=0)
    dr0 = 60 * rng.random(5)
    done = run_balance(forcing, layer, dr0, np.full(5, 20.0), refill_at_frac=level)
    before = np.vstack((dr0, done.dr_mm[:-1]))
    change = done.eta_mm + done.drainage_mm - forcing.rain_mm + done.runoff_mm - done.supposed_mm
    assert np.abs(done.dr_mm - before - change).max() < 1e-6
    assert (done.supposed_mm[:, ::2] == 0).all() and (done.supposed_mm[:, 1::2].sum(axis=0) > 0).all()
    plain = run_balance(forcing, layer, dr0, np.full(5, 20.0))
    for f in dataclasses.fields(plain):
        assert np.array_equal(getattr(plain, f.name)[:, ::2], getattr(done, f.name)[:, ::2]), f.name


def test_days_of_climatology_spread_the_rain_ahead() -> None:
    spreads = []
    for source in ("forecast", "climatology"):
        table = water_state(
            parcels("wheat_winter"),
            empty("series"),
            weather(3.0, source),
            soil(),
            empty("irrigation"),
            CROPS,
            START,
            AS_OF,
        )
        ahead = table[(table["member"] >= 0) & (table["date"] == table["date"].max())]
        spreads.append(ahead["rain_mm"].std())
    assert spreads[0] == 0 and spreads[1] > 1


def test_every_parameter_says_where_it_comes_from() -> None:
    keys = {
        "wheat_winter",
        "wheat_spring",
        "barley_winter",
        "sugar_beet",
        "alfalfa",
        "olive",
        "citrus",
        "maize_silage",
        "tomato",
        "tomato_covered",
        "cotton",
    }
    assert keys <= set(CROPS)
    for key, crop in CROPS.items():
        for name in ("stages_d", "kcb", "kc", "height_m", "root_depth_m", "depletion_p", "season_start"):
            value = getattr(crop, name)
            assert value.source and value.unit, (key, name)
        shallow, deep = crop.root_depth_m.value
        assert (
            0 < shallow <= deep and 0 < crop.depletion_p.value < 1 and max(crop.kcb.value) <= max(crop.kc.value) + 1e-9
        ), key
        assert (crop.cover_relation is None) == (crop.kind == "covered"), key
        assert crop.kind != "orchard" or crop.kcb_relation is None, key
