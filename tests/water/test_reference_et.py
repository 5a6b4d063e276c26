from __future__ import annotations

from pathlib import Path

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
        (et.saturation_slope_kpa_c(30.0), 0.243, 6e-4),  # Annex 2, Table 2.4
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
def test_equals_the_asce_program(
    tmin: float,
    spread: float,
    rh: float,
    wind: float,
    rs: float,
    lat: float,
    elevation: float,
    day: int,
    reference: str,
) -> None:
    tmax = tmin + spread
    vapour = float(et.actual_vapour_kpa(tmin, tmax, rh_mean_pct=rh))
    oracle = refet.Daily(tmin, tmax, rs=rs, ea=vapour, uz=wind, zw=2, elev=elevation, lat=lat, doy=day, method="asce")
    theirs = max(float((oracle.eto() if reference == "short" else oracle.etr())[0]), 0.0)
    args = (tmin, tmax, vapour, et.wind_at_2m(wind, 2), rs, lat, elevation, day, reference)
    assert float(et.penman_monteith_mm(*args, standard="asce")) == pytest.approx(theirs, abs=1e-5)  # type: ignore[arg-type]
    full = refet.Daily(
        tmin, tmax, rs=rs, ea=vapour, uz=wind, zw=2, elev=elevation, lat=lat, doy=day, method="asce", rso_type="full"
    )
    assert float(et.clear_sky_of_humid_air_mj_m2(vapour, elevation, lat, day)) == pytest.approx(
        float(full.rso[0]), rel=1e-6
    )
    # FAO-56 rounds two constants otherwise.
    assert float(et.penman_monteith_mm(*args)) == pytest.approx(theirs, abs=0.01)  # type: ignore[arg-type]


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
def test_fallon_2015_equals_the_program_output(shared_data: Path) -> None:
    """Each day of the year against the Ref-ET program, to its printed digits (0.01 mm) and the rounding of its inputs."""
    folder = shared_data / "weather-fallon-2015"
    printed = []
    for line in (folder / "FALN_Agrimet_daily_raw_2015.out").read_text().splitlines():
        parts = line.split()
        if len(parts) >= 10 and parts[2] == "2015" and parts[0].isdigit():
            printed.append([float(x) for x in parts[:10]])
    theirs = pd.DataFrame(printed, columns=["month", "day", "year", "tmax", "tmin", "rs", "wind", "dew", "etr", "eto"])
    assert len(theirs) == 365
    # The inputs before they were rounded for the printout: F, langley, mph. The program filled one windless day.
    raw = pd.read_csv(folder / "FALN_Agrimet_daily_raw_2015.csv", na_values="NO RECORD")
    tmin, tmax, dew = ((raw[c] - 32) / 1.8 for c in ("MN", "MX", "YM"))
    day = pd.to_datetime(raw[["YEAR", "MONTH", "DAY"]].set_axis(["year", "month", "day"], axis=1)).dt.day_of_year
    # A mile an hour is 0.447 m/s to the program.
    wind, rs = et.wind_at_2m(raw["UA"] * 0.447, 3), raw["SR"] * 0.041868
    known = raw["UA"].notna()
    assert known.sum() == 364
    vapour = et.actual_vapour_kpa(tmin, tmax, tdew_c=dew)
    rso = et.clear_sky_of_humid_air_mj_m2(vapour, 1208.5, 39.4575, day, "refet")
    for reference, column in (("short", "eto"), ("tall", "etr")):
        mine = et.penman_monteith_mm(tmin, tmax, vapour, wind, rs, 39.4575, 1208.5, day, reference, "refet", rso)  # type: ignore[arg-type]
        # From 10 mm on there is one decimal. What lies on the edge between two digits may fall to either side: 0.001 mm.
        digit = np.where(theirs[column] >= 9.95, 0.1, 0.01)
        assert (np.abs(mine - theirs[column]) <= digit / 2 + 0.001)[known].all(), reference
        same = np.isclose(np.round(mine / digit) * digit, theirs[column], atol=1e-9)
        assert same[known].sum() >= 355, reference
        # The standardised equation as the manual rounds it stays within a printed digit.
        manual = et.penman_monteith_mm(
            tmin, tmax, vapour, wind, rs, 39.4575, 1208.5, day, reference, "asce",
            et.clear_sky_of_humid_air_mj_m2(vapour, 1208.5, 39.4575, day),
        )  # type: ignore[arg-type]  # fmt: skip
        assert (np.abs(manual - theirs[column]) <= digit / 2 + 0.007)[known].all(), reference
