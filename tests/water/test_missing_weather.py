"""FAO-56 chapter 3 by its worked examples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agro.schema.errors import ContractError
from agro.schema.tables import validate
from agro.water import missing_weather as gaps
from agro.water import reference_et as et


def test_example_15_radiation_from_temperature_at_lyon() -> None:
    # July, 45.72 N: 26.6 / 14.8 C; the Ra of the 15th, 40.6, gives 22.3 MJ.
    ra = et.extraterrestrial_mj_m2(45.72, 196)
    assert ra == pytest.approx(40.6, abs=0.1)
    assert gaps.radiation_from_temperature_mj_m2(14.8, 26.6, ra) == pytest.approx(22.3, abs=0.06)
    ratio = gaps.radiation_from_temperature_mj_m2(14.8, 26.6, ra, "coast") / 22.3
    assert ratio == pytest.approx(0.19 / 0.16, abs=0.01)


@pytest.mark.parametrize(
    ("value", "printed", "within"),
    [
        ((et.saturation_kpa(24.5) + et.saturation_kpa(15.0)) / 2, 2.39, 0.006),  # Example 3
        (gaps.vapour_from_psychrometer_kpa(25.6, 19.5, 87.9), 1.91, 0.006),  # Example 4: 1200 m
        (et.actual_vapour_kpa(18.0, 25.0, rhmax_pct=82.0, rhmin_pct=54.0), 1.70, 0.006),  # Example 5
        (et.radiation_from_sunshine(7.1, -22.9, 135), 14.5, 0.06),  # Example 10
        (et.wind_at_2m(3.2, 10.0), 2.4, 0.05),  # Example 14
        (gaps.soil_heat_of_month_mj_m2(14.1, 18.8), 0.33, 0.005),  # Example 13
    ],
)  # fmt: skip
def test_worked_values(value: float, printed: float, within: float) -> None:
    assert float(value) == pytest.approx(printed, abs=within)


def test_example_17_bangkok_in_april() -> None:
    # Monthly means: 34.8 / 25.6 C, ea 2.85 kPa, wind 2 m/s, 8.5 h of sun, March 29.2 C; 13.73 N, 2 m.
    rs = et.radiation_from_sunshine(8.5, 13.7333, 105)
    heat = 0.14 * (30.2 - 29.2)  # eq. 44
    value = et.penman_monteith_mm(25.6, 34.8, 2.85, 2.0, rs, 13.7333, 2.0, 105, soil_heat_mj_m2=heat)
    assert float(rs) == pytest.approx(22.65, abs=0.06)
    assert float(value) == pytest.approx(5.72, abs=0.01)


def test_island_neighbour_and_hargreaves() -> None:
    assert gaps.radiation_on_island_mj_m2(30.0, 22.5) == pytest.approx(17.0)
    assert gaps.radiation_on_island_mj_m2(60.0, 30.0) == 30.0  # never above the clear sky
    assert gaps.radiation_from_neighbour_mj_m2(20.0, 40.0, 30.0) == pytest.approx(15.0)
    # eq. 52 by hand: 0.0023 (20 + 17.8) sqrt(16) 0.408 * 30
    assert gaps.hargreaves_mm(12.0, 28.0, 30.0) == pytest.approx(0.0023 * 37.8 * 4 * 12.24)
    assert np.isnan(gaps.hargreaves_mm(np.nan, 28.0, 30.0))


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(ContractError, match="setting"):
        gaps.radiation_from_temperature_mj_m2(10, 20, 30, "sea")  # type: ignore[arg-type]


def test_a_dry_station_and_the_coast_change_what_is_estimated() -> None:
    day = pd.Timestamp("2022-07-11")
    row = {
        "site_id": "s", "date": day, "issued_at": day, "is_forecast": False, "member": -1, "tmin_c": 18.0, "tmax_c": 38.0,
        "rh_mean_pct": np.nan, "u2_m_s": 2.0, "rs_mj_m2": np.nan, "rain_mm": 0.0, "et0_mm": np.nan, "estimated": None, "source": "station",
    }  # fmt: skip
    table = validate(pd.DataFrame([row]), "weather")
    usual = et.add_et0(table, 31.7, 470)
    dry = et.add_et0(table, 31.7, 470, arid_station=True)
    coast = et.add_et0(table, 31.7, 470, setting="coast")
    assert dry["et0_mm"].iloc[0] > usual["et0_mm"].iloc[0] + 0.1
    assert coast["rs_mj_m2"].iloc[0] > usual["rs_mj_m2"].iloc[0] * 1.1
