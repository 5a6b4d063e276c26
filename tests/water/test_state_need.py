"""From tables to water state and need."""

from __future__ import annotations

from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely.geometry import box

from agro.schema.crops import load_crops, load_textures
from agro.schema.errors import NoDataError
from agro.schema.region import SoilSpec
from agro.schema.tables import empty, validate
from agro.sources.soil import load_soil
from agro.water.scheduling import irrigation_need
from agro.water.state import MEMBERS, water_state
from agro.water.tables import CROPS_FILE, SOILS_FILE

START, AS_OF = date(2022, 1, 1), date(2022, 4, 11)
CROPS, TEXTURES = load_crops(CROPS_FILE), load_textures(SOILS_FILE)


def parcels(crops: dict[str, str]) -> gpd.GeoDataFrame:
    rows = [
        {
            "parcel_uid": uid, "name": uid, "metrics:area": 20_000.0, "agro:crop": crop, "agro:sowing_date": pd.Timestamp("2021-12-01"),
            "agro:irrigation": "rainfed" if uid == "r" else "sprinkler", "agro:flow_m3_h": 40.0, "agro:efficiency_frac": np.nan,
            "agro:cooperative": None, "agro:sector": None, "agro:owner_ref": None, "agro:geometry_digest": uid, "agro:repaired": None,
        }
        for uid, crop in crops.items()
    ]  # fmt: skip
    table = validate(pd.DataFrame(rows), "parcels")
    return gpd.GeoDataFrame(table, geometry=[box(0, 0, 0.001, 0.001)] * len(rows), crs="EPSG:4326")


def weather(rain: float = 0.0) -> pd.DataFrame:
    past = pd.date_range(START, AS_OF)
    rows = pd.DataFrame({"date": past, "member": -1, "is_forecast": False, "issued_at": past, "source": "station"})
    ahead = pd.date_range("2022-04-12", periods=7)
    parts = [
        rows,
        *(
            pd.DataFrame(
                {
                    "date": ahead,
                    "member": m,
                    "is_forecast": True,
                    "issued_at": pd.Timestamp(AS_OF),
                    "source": "forecast",
                }
            )
            for m in range(4)
        ),
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(
        site_id="s", tmin_c=10.0, tmax_c=24.0, rh_mean_pct=50.0, u2_m_s=2.0, rs_mj_m2=20.0, et0_mm=4.5, estimated=None
    )
    table["rain_mm"] = np.where(table["is_forecast"], rain, 0.3)
    return validate(table, "weather")


def soil(table: gpd.GeoDataFrame) -> pd.DataFrame:
    return load_soil([SoilSpec(kind="texture", texture="loam")], __import__("pathlib").Path(), table, TEXTURES).soil


def run(
    crops: dict[str, str], events: pd.DataFrame | None = None, rain: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = parcels(crops)
    events = empty("irrigation") if events is None else validate(events, "irrigation")
    state = water_state(table, empty("series"), weather(rain), soil(table), events, CROPS, START, AS_OF)
    return state, irrigation_need(state, table, weather(rain), events, soil(table), CROPS, AS_OF, 7)


def test_water_state_closes_and_has_members() -> None:
    state, _ = run({"a": "wheat_winter", "b": "olive", "c": "sugar_beet"})
    for _, one in state[state["member"] == -1].groupby("parcel_uid"):
        change = (
            -(one["rain_mm"] - one["runoff_mm"])
            - one["irrigation_mm"]
            + one["eta_mm"]
            + one["drainage_mm"]
            + one["root_growth_mm"]
        )
        assert (one["dr_mm"].diff() - change).abs().max() < 1e-6
    assert set(state["member"]) == set(range(-1, MEMBERS))
    assert state[state["member"] >= 0]["is_forecast"].all()
    assert (state["kcb_source"] == "table").all()


def test_reported_water_lowers_depletion_by_its_net_depth() -> None:
    dry, _ = run({"a": "wheat_winter"})
    wet, _ = run(
        {"a": "wheat_winter"},
        pd.DataFrame([{"parcel_uid": "a", "date": pd.Timestamp(AS_OF), "depth_mm": 20.0, "source": "reported"}]),
    )
    now = [t[(t["member"] == -1) & (t["date"] == pd.Timestamp(AS_OF))]["dr_mm"].iloc[0] for t in (dry, wet)]
    assert now[0] - now[1] == pytest.approx(20 * 0.75, abs=1.5)


def test_amounts_add_up() -> None:
    _, need = run({"a": "sugar_beet"})
    row = need.iloc[0]
    assert row["gross_mm"] == pytest.approx(row["net_mm"] / 0.75)
    assert row["volume_m3"] == pytest.approx(row["gross_mm"] * 10 * 2)  # 1 mm = 10 m3/ha, 2 ha
    assert row["hours"] == pytest.approx(row["volume_m3"] / 40)
    assert row["net_low_mm"] <= row["net_mm"] <= row["net_high_mm"]
    assert row["dr_low_mm"] <= row["dr_mm"] <= row["dr_high_mm"]


def test_heavy_rain_ahead_lowers_the_trigger() -> None:
    _, dry = run({"a": "wheat_winter"})
    _, wet = run({"a": "wheat_winter"}, rain=20.0)
    assert wet["trigger_prob_frac"].iloc[0] <= dry["trigger_prob_frac"].iloc[0]
    assert wet["net_mm"].iloc[0] <= dry["net_mm"].iloc[0]


def test_rainfed_gets_no_dose() -> None:
    _, need = run({"r": "wheat_winter"})
    assert need["net_mm"].iloc[0] == 0


def test_a_gap_in_the_weather_is_named() -> None:
    table = parcels({"a": "olive"})
    gappy = weather()
    gappy = gappy[gappy["date"] != pd.Timestamp("2022-02-03")]
    with pytest.raises(NoDataError, match="2022-02-03"):
        water_state(table, empty("series"), gappy, soil(table), empty("irrigation"), CROPS, START, AS_OF)


def test_a_parcel_without_soil_is_left_out_not_guessed() -> None:
    table = parcels({"a": "olive", "b": "olive"})
    known = soil(table)
    state = water_state(
        table, empty("series"), weather(), known[known["parcel_uid"] == "a"], empty("irrigation"), CROPS, START, AS_OF
    )
    assert set(state["parcel_uid"]) == {"a"}
