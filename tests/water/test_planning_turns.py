"""Plans and turns on outlooks whose depletion is known by heart."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from agro.schema.crops import load_crops
from agro.schema.errors import BudgetError, ConfigError
from agro.schema.region import Turn, WaterOptions, Worth
from agro.schema.tables import validate
from agro.water.outlook import stage_of
from agro.water.planning import irrigation_plan, open_days
from agro.water.tables import CROPS_FILE
from agro.water.turns import turn_advice

CROPS = load_crops(CROPS_FILE)
AS_OF = date(2022, 4, 11)  # a Monday
DAYS = pd.date_range(AS_OF, periods=11)
WORTH = {"sugar_beet": Worth(yield_t_ha=70, price_per_t=500), "wheat_winter": Worth(yield_t_ha=6, price_per_t=2800)}


def parcels(*rows: dict[str, Any]) -> pd.DataFrame:
    base = {
        "name": "x", "metrics:area": 20_000.0, "agro:crop": "sugar_beet", "agro:sowing_date": pd.Timestamp("2021-12-01"),
        "agro:irrigation": "surface", "agro:flow_m3_h": 200.0, "agro:efficiency_frac": 0.5, "agro:cooperative": None, "agro:sector": "s1",
        "agro:owner_ref": None, "agro:geometry_digest": "d", "agro:repaired": None,
    }  # fmt: skip
    return validate(pd.DataFrame([{**base, "parcel_uid": f"p{i}", **row} for i, row in enumerate(rows)]), "parcels")


def water(
    table: pd.DataFrame, start_mm: list[float], daily_mm: float | list[float] = 6.0, raw_mm: float = 60.0, rain: tuple[int, float] = (0, 0)
) -> pd.DataFrame:  # fmt: skip
    """Depletion that grows by so much a day (of each member), less rain on one day of the outlook."""
    paces = [daily_mm] * 4 if isinstance(daily_mm, float) else daily_mm
    rows = []
    for uid, start in zip(table["parcel_uid"], start_mm, strict=True):
        for member in (-1, *range(len(paces))):
            pace = float(np.mean(paces)) if member < 0 else paces[member]
            for step, day in enumerate(DAYS):
                if member >= 0 and step == 0:
                    continue
                dr = start + pace * step - (rain[1] if 0 < rain[0] <= step else 0.0)
                rows.append(
                    {
                        "parcel_uid": uid, "date": day, "member": member, "is_forecast": step > 0, "dr_mm": max(dr, 0.0), "dr_sd_mm": 0.0,
                        "taw_mm": 120.0, "raw_mm": raw_mm, "kcb": 1.1, "kcb_source": "table", "ke": 0.1, "ks": 1.0, "fc_frac": 0.8, "zr_m": 1.0,
                        "et0_mm": pace / 1.2, "eta_mm": pace, "rain_mm": rain[1] if step == rain[0] and step else 0.0, "runoff_mm": 0.0,
                        "irrigation_mm": 0.0, "irrigation_source": None, "drainage_mm": 0.0, "root_growth_mm": 0.0,
                    }
                )  # fmt: skip
    return validate(pd.DataFrame(rows), "water")


def plan(table: pd.DataFrame, state: pd.DataFrame, **options: Any) -> pd.DataFrame:
    return irrigation_plan(state, table, CROPS, WaterOptions(**options), AS_OF)


def test_water_is_given_on_the_day_the_allowed_depletion_is_reached() -> None:
    table = parcels({})
    out = plan(table, water(table, [40.0]))
    # 40 + 6 a day passes RAW 60 on the fourth day; there 64 are missing: 128 gross, 2,560 m3, 12.8 h.
    row = out.iloc[0]
    assert len(out) == 1 and row["date"] == pd.Timestamp("2022-04-15")
    assert row["net_mm"] == pytest.approx(64.0) and row["gross_mm"] == pytest.approx(128.0)
    assert row["volume_m3"] == pytest.approx(2560.0) and row["hours"] == pytest.approx(12.8)


def test_the_pump_spreads_over_days() -> None:
    table = parcels({})
    out = plan(table, water(table, [40.0]), max_hours_d=5.0)  # 25 mm net a day
    assert (out["hours"] <= 5.0 + 1e-9).all()
    # 64 are missing on the fourth day: 25, 25 and the 14 left of them.
    assert list(out["date"].dt.day) == [15, 16, 17]
    assert out["net_mm"].tolist() == pytest.approx([25.0, 25.0, 14.0])
    # Rain on the sixth day pays for a part of what is owed.
    wet = plan(table, water(table, [40.0], rain=(6, 20.0)), max_hours_d=5.0)
    assert wet["net_mm"].sum() < out["net_mm"].sum()


def test_rest_days_and_closed_dates_bring_water_forward() -> None:
    table, options = parcels({}), {"rest_days": ("friday",), "closed_dates": (date(2022, 4, 16),)}
    out = plan(table, water(table, [40.0]), **options)
    assert out["date"].iloc[0] == pd.Timestamp("2022-04-14")  # the last open day before Friday the 15th
    days = open_days(DAYS, WaterOptions(**options))
    assert [day.day for day, is_open in zip(DAYS, days, strict=True) if not is_open] == [15, 16]


def test_rain_ahead_is_left_room_and_lowers_the_dose() -> None:
    table = parcels({})
    dry, wet = plan(table, water(table, [58.0])), plan(table, water(table, [58.0], rain=(3, 20.0)))
    assert wet["net_mm"].iloc[0] == pytest.approx(dry["net_mm"].iloc[0] - 20.0)


def test_half_of_the_members_decide() -> None:
    table = parcels({})
    few = plan(table, water(table, [30.0], daily_mm=[6.0, 1.0, 1.0, 1.0]))
    many = plan(table, water(table, [30.0], daily_mm=[6.0, 6.0, 1.0, 1.0]))
    assert not len(few) and many["probability_frac"].iloc[0] == 0.5


def test_drip_goes_by_its_interval() -> None:
    table = parcels({"agro:irrigation": "drip", "agro:efficiency_frac": 0.9})
    daily, weekly = (plan(table, water(table, [6.0]), drip_interval_d=d) for d in (1, 7))
    assert len(daily) == 10 and daily["net_mm"].iloc[1] == pytest.approx(6.0)
    assert list(weekly["date"].dt.day) == [12, 19] and weekly["net_mm"].iloc[1] == pytest.approx(
        30.0
    )  # the most of drip


def test_deficit_waits_longer_by_stage() -> None:
    table = parcels({"agro:sowing_date": pd.Timestamp("2022-01-01")})
    state = water(table, [40.0])
    usual = plan(table, state)
    deficit = plan(table, state, depletion_share={"sugar_beet": (1.0, 1.2, 1.0, 1.5)})
    assert stage_of(np.array([100]), CROPS["sugar_beet"])[0] == 1
    assert (deficit["date"].iloc[0] - usual["date"].iloc[0]).days == 2  # 72 instead of 60 mm at 6 a day
    assert stage_of(np.array([-3, 0, 44, 45, 119, 120, 199, 200, 900]), CROPS["sugar_beet"]).tolist() == [
        0,
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]


def test_a_limited_volume_goes_where_it_is_worth_most_and_is_never_passed() -> None:
    table = parcels({}, {"agro:crop": "wheat_winter"})
    state = water(table, [58.0, 58.0])
    free = plan(table, state)
    short = plan(table, state, limit_m3=3000.0, worth=WORTH)
    assert free["volume_m3"].sum() > 4000 and short["volume_m3"].sum() <= 3000.0
    beet = short[short["parcel_uid"] == "p0"]["met_frac"]
    wheat = short[short["parcel_uid"] == "p1"]["met_frac"]
    assert (beet == 1.0).all() and (wheat < 1.0).all()
    with pytest.raises(ConfigError, match="worth is not known of wheat_winter"):
        plan(table, state, limit_m3=3000.0, worth={"sugar_beet": WORTH["sugar_beet"]})
    with pytest.raises(BudgetError):
        plan(table, state, limit_m3=10.0, floor_frac=0.5, worth=WORTH)


@settings(max_examples=10, deadline=None)
@given(
    starts=st.lists(st.floats(0, 115), min_size=1, max_size=5), pace=st.floats(1, 9), hours=st.floats(2, 24), limit=st.floats(0, 9000),
    rest=st.sets(st.sampled_from(["monday", "thursday", "sunday"])),
)  # fmt: skip
def test_no_plan_passes_its_limits(
    starts: list[float], pace: float, hours: float, limit: float, rest: set[str]
) -> None:
    table = parcels(*({} for _ in starts))
    out = plan(
        table, water(table, starts, pace), max_hours_d=hours, limit_m3=limit, worth=WORTH, rest_days=tuple(sorted(rest))
    )
    assert out["volume_m3"].sum() <= limit
    assert (out["hours"] <= hours + 1e-9).all()
    assert not set(out["date"].dt.day_name().str.lower()) & rest
    assert (out["net_mm"] <= 80.0).all()


def turns(table: pd.DataFrame, state: pd.DataFrame, *told: Turn, **options: Any) -> pd.DataFrame:
    return turn_advice(state, table, CROPS, WaterOptions(turns=told, **options), AS_OF)


def test_take_reduce_skip() -> None:
    table = parcels({}, {}, {})
    # On the 14th 58, 33 and 8 mm are missing; the turn brings 100 gross, 50 net. The next comes in nine days.
    state = water(table, [40.0, 15.0, -10.0])
    out = turns(
        table,
        state,
        Turn(date=date(2022, 4, 14), depth_mm=100, least_mm=40),
        Turn(date=date(2022, 4, 23), depth_mm=100),
    )
    assert list(out["decision"]) == ["take", "reduce", "skip"]
    assert out["net_mm"].tolist() == pytest.approx([50.0, 33.0, 0.0])
    assert out["gross_mm"].tolist() == pytest.approx([100.0, 66.0, 0.0])
    assert out["volume_m3"].tolist() == pytest.approx([2000.0, 1320.0, 0.0])
    assert out["lost_if_taken_mm"].tolist() == pytest.approx([0.0, 17.0, 42.0])
    assert (out["next_turn"] == pd.Timestamp("2022-04-23")).all()


def test_all_or_nothing_is_taken_when_stress_would_come() -> None:
    table = parcels({})
    out = turns(
        table,
        water(table, [15.0]),
        Turn(date=date(2022, 4, 14), depth_mm=100),
        Turn(date=date(2022, 4, 25), depth_mm=100),
    )
    assert out["decision"].iloc[0] == "take" and out["lost_if_taken_mm"].iloc[0] == pytest.approx(17.0)


def test_the_days_beyond_the_outlook_count_until_the_next_turn() -> None:
    table = parcels({})
    state = water(table, [0.0], daily_mm=4.0)  # 40 at the end of the outlook, RAW 60
    first = Turn(date=date(2022, 4, 14), depth_mm=60, least_mm=10)
    soon = turns(table, state, first, Turn(date=date(2022, 4, 24), depth_mm=60))
    late = turns(table, state, first, Turn(date=date(2022, 5, 10), depth_mm=60))
    assert soon["decision"].iloc[0] == "skip" and late["decision"].iloc[0] != "skip"


def test_a_turn_taken_counts_in_the_next() -> None:
    table = parcels({})
    both = (Turn(date=date(2022, 4, 13), depth_mm=100), Turn(date=date(2022, 4, 16), depth_mm=100))
    out = turns(table, water(table, [45.0]), *both)
    assert list(out["decision"]) == ["take", "skip"]
    assert out["depletion_mm"].iloc[1] == pytest.approx(45 + 5 * 6 - 50)


def test_a_short_turn_is_shared_within_its_volume() -> None:
    table = parcels({}, {"agro:crop": "wheat_winter"})
    turn = Turn(date=date(2022, 4, 14), depth_mm=100, volume_m3=2500)
    out = turns(table, water(table, [40.0, 40.0]), turn, worth=WORTH)
    assert out["volume_m3"].sum() <= 2500
    assert list(out["decision"]) == ["take", "reduce"] and out["met_frac"].iloc[1] == pytest.approx(0.25, abs=1e-6)


def test_sectors_rainfed_and_days_gone() -> None:
    table = parcels({"agro:sector": "a"}, {"agro:sector": "b"}, {"agro:irrigation": "rainfed", "agro:sector": "a"})
    state = water(table, [50.0, 50.0, 50.0])
    out = turns(
        table, state, Turn(date=date(2022, 4, 13), depth_mm=80, sector="a"), Turn(date=date(2022, 4, 11), depth_mm=80)
    )
    assert list(out["parcel_uid"]) == ["p0"]
    with pytest.raises(ConfigError, match="no parcel in sector z"):
        turns(table, state, Turn(date=date(2022, 4, 13), depth_mm=80, sector="z"))
    with pytest.raises(ConfigError, match="two turns"):
        turns(
            table,
            state,
            Turn(date=date(2022, 4, 13), depth_mm=80),
            Turn(date=date(2022, 4, 13), depth_mm=80, sector="a"),
        )


def test_options_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(ValidationError, match="least_mm"):
        Turn(date=date(2022, 4, 13), depth_mm=30, least_mm=40)
    with pytest.raises(ValidationError, match="depletion_share"):
        WaterOptions(depletion_share={"olive": (1, 1, 9, 1)})
    with pytest.raises(ValidationError, match="rest day"):
        WaterOptions(rest_days=("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"))
    with pytest.raises(ValidationError):
        WaterOptions(rest_day=("monday",))  # type: ignore[call-arg]
