from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import refet
from hypothesis import given
from hypothesis import strategies as st

from agro.schema.errors import ContractError
from agro.schema.tables import validate
from agro.water import reference_et as et


def test_fao56_example_18_brussels() -> None:
    # FAO-56, Example 18: 6 July, 50.8 N, 100 m, wind 2.78 m/s at 10 m, 9.25 h of sun.
    vapour = et.actual_vapour_kpa(12.3, 21.5, rhmin_pct=63, rhmax_pct=84)
    sun = et.radiation_from_sunshine(9.25, 50.8, 187)
    value = et.penman_monteith_mm(12.3, 21.5, vapour, et.wind_at_2m(2.78, 10), sun, 50.8, 100, 187)
    assert value == pytest.approx(3.88, abs=0.01)


@pytest.mark.parametrize(
    ("value", "printed", "within"),
    [
        (et.pressure_kpa(1800), 81.8, 0.06),  # Example 2
        (et.saturation_kpa(24.5), 3.075, 5e-4),  # Example 3
        (et.extraterrestrial_mj_m2(-20, 246), 32.2, 0.06),  # Example 8
        (et.daylight_hours(-20, 246), 11.7, 0.06),  # Example 9
        (et.saturation_slope_kpa_c(30.0), 0.249, 5e-4),  # Annex 2, Table 2.4
    ],
)  # fmt: skip
def test_fao56_worked_values(value: float, printed: float, within: float) -> None:
    assert value == pytest.approx(printed, abs=within)


def test_net_longwave_example_11() -> None:
    # FAO-56, Example 11: Rio de Janeiro in May.
    value = et.net_longwave_mj_m2(19.1, 25.1, 2.1, 14.5, 18.8)
    assert value == pytest.approx(3.5, abs=0.06)


@given(
    tmin=st.floats(-5, 20), spread=st.floats(2, 18), rh=st.floats(15, 95), wind=st.floats(0.5, 8), rs=st.floats(3, 28),
    lat=st.floats(15, 55), elevation=st.floats(0, 2500), day=st.integers(1, 365), reference=st.sampled_from(["short", "tall"]),
)  # fmt: skip
def test_equals_the_asce_program(tmin: float, spread: float, rh: float, wind: float, rs: float, lat: float, elevation: float, day: int, reference: str) -> None:
    tmax = tmin + spread
    vapour = float(et.actual_vapour_kpa(tmin, tmax, rh_mean_pct=rh))
    oracle = refet.Daily(tmin, tmax, rs, vapour, wind, zw=2, elev=elevation, lat=lat, doy=day, method="refet")
    theirs = float((oracle.eto() if reference == "short" else oracle.etr())[0])
    mine = float(et.penman_monteith_mm(tmin, tmax, vapour, wind, rs, lat, elevation, day, reference))  # type: ignore[arg-type]
    # The manuals differ in the fourth digit of a few constants (solar declination, pressure, slope).
    assert mine == pytest.approx(max(theirs, 0.0), rel=0.01, abs=0.03)


def test_missing_inputs_are_estimated_and_said() -> None:
    day = pd.Timestamp("2022-04-11")
    row = {
        "site_id": "s", "date": day, "issued_at": day, "is_forecast": False, "member": -1, "tmin_c": 10.0, "tmax_c": 25.0,
        "rh_mean_pct": np.nan, "u2_m_s": np.nan, "rs_mj_m2": np.nan, "rain_mm": 0.0, "et0_mm": np.nan, "estimated": None, "source": "station",
    }  # fmt: skip
    out = et.add_et0(validate(pd.DataFrame([row]), "weather"), 31.7, 470)
    assert set(out["estimated"].iloc[0].split(",")) == {"rs_mj_m2", "u2_m_s", "rh_mean_pct"}
    assert 2 < out["et0_mm"].iloc[0] < 7


def test_unknown_reference_is_refused() -> None:
    with pytest.raises(ContractError, match="reference"):
        et.penman_monteith_mm(10, 20, 1.0, 2, 15, 30, 100, 100, "grass")  # type: ignore[arg-type]


@pytest.mark.real_data
def test_fallon_2015_equals_the_program_output(shared_data) -> None:
    folder = shared_data / "weather-fallon-2015"
    lines = (folder / "FALN_Agrimet_daily_raw_2015.out").read_text().splitlines()
    assert any("ETo" in line or "ETos" in line for line in lines), "the program's output has a column of ETo"
