"""What a record of weather can get wrong, and what a forecast reaches."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agro.schema.errors import ConfigError
from agro.schema.region import Place, WeatherSpec
from agro.sources.weather import WeatherResult, load_weather
from agro.water.reference_et import actual_vapour_kpa, add_et0, penman_monteith_mm, wind_at_2m

PLACE = Place(id="here", name={"en": "x"}, latitude=31.7, longitude=-7.7, elevation_m=470)
START, AS_OF = date(2022, 4, 1), date(2022, 4, 11)


def write(folder: Path, **changed: Any) -> None:
    """Station, forecasts of the 8th and the 11th in three members, normals."""
    station = pd.DataFrame(
        {
            "date": pd.date_range(START, AS_OF),
            "tmin_c": 10.0,
            "tmax_c": 25.0,
            "rh_mean_pct": 50.0,
            "u2_m_s": 2.0,
            "rs_mj_m2": 20.0,
            "rain_mm": 0.0,
        }
    )
    forecast = pd.concat(
        pd.DataFrame(
            {
                "issued_at": issued,
                "date": pd.date_range(issued, periods=8)[1:],
                "member": m,
                "tmin_c": 11.0,
                "tmax_c": 26.0,
                "rain_mm": float(m),
            }
        )
        for issued in ("2022-04-08", "2022-04-11")
        for m in range(3)
    )
    normals = pd.DataFrame(
        {
            "month": range(1, 13),
            "tmax_c": 20,
            "tmin_c": 8,
            "rh_pct": 60,
            "wind_2m_m_s": 2,
            "rs_mj_m2_d": 15,
            "rain_mm_month": 30,
        }
    )
    for name, table in (("station", station), ("forecast", forecast), ("climatology", normals)):
        changed.get(name, lambda t: t)(table).to_csv(folder / f"{name}.csv", index=False)


def load(folder: Path, *kinds: str, as_of: date = AS_OF, **options: Any) -> WeatherResult:
    specs = [WeatherSpec(kind=k, path=f"{k}.csv", options=options if k == "station" else {}) for k in kinds]  # type: ignore[arg-type]
    return load_weather(specs, folder, START, as_of, 7, PLACE)


def test_radiation_above_the_clear_sky_is_estimated_instead(tmp_path: Path) -> None:
    # 39 MJ/m2 a day in April at 31.7 N is more than reaches the top of the air.
    write(tmp_path, station=lambda t: t.assign(rs_mj_m2=np.where(t.index == 4, 39.0, t["rs_mj_m2"])))
    done = load(tmp_path, "station", "climatology")
    assert "above the clear sky" in done.rejected["reason"].iloc[0]
    filled = add_et0(done.weather, PLACE.latitude, PLACE.elevation_m)
    row = filled[filled["date"] == "2022-04-05"].iloc[0]
    assert row["source"] == "station" and row["estimated"] == "rs_mj_m2" and 10 < row["rs_mj_m2"] < 30


def test_a_cell_that_is_no_number_is_listed(tmp_path: Path) -> None:
    write(
        tmp_path,
        station=lambda t: t.astype({"rain_mm": object}).assign(
            rain_mm=lambda x: x["rain_mm"].where(x.index != 2, "tr")
        ),
    )
    done = load(tmp_path, "station", "climatology")
    assert "'tr' is not a number" in done.rejected["reason"].iloc[0]
    assert done.weather.set_index("date")["source"].loc["2022-04-03"] == "climatology"


@pytest.mark.parametrize(
    ("columns", "vapour"),
    [
        ({"tdew_c": 8.0}, actual_vapour_kpa(10, 25, tdew_c=8.0)),
        ({"rhmin_pct": 30.0, "rhmax_pct": 90.0}, actual_vapour_kpa(10, 25, rhmin_pct=30.0, rhmax_pct=90.0)),
        ({"vapour_pressure_kpa": 1.1}, 1.1),
    ],
)
def test_et0_is_that_of_the_vapour_told(tmp_path: Path, columns: dict[str, float], vapour: float) -> None:
    write(tmp_path, station=lambda t: t.drop(columns=["rh_mean_pct", "u2_m_s"]).assign(wind_m_s=3.0, **columns))
    weather = load(tmp_path, "station", "climatology", wind_height_m=3).weather
    row = add_et0(weather, PLACE.latitude, PLACE.elevation_m).iloc[0]
    expected = penman_monteith_mm(10, 25, vapour, wind_at_2m(3.0, 3), 20.0, PLACE.latitude, PLACE.elevation_m, 91)
    assert row["et0_mm"] == pytest.approx(float(expected), abs=1e-9)
    assert pd.isna(row["estimated"])


def test_the_forecast_is_used_as_far_as_it_reaches(tmp_path: Path) -> None:
    write(tmp_path)
    done = load(tmp_path, "station", "forecast", "climatology", as_of=date(2022, 4, 10))
    ahead = done.weather[done.weather["is_forecast"]]
    assert (ahead["issued_at"] <= "2022-04-10").all()
    for _, member in ahead.groupby("member"):
        assert member["date"].tolist() == pd.date_range("2022-04-11", periods=7).tolist()
        assert member["source"].tolist() == ["forecast"] * 5 + ["climatology"] * 2
    assert "reaches 5 of 7 days" in done.rejected["reason"].iloc[0]


def test_a_member_with_a_hole_is_left_out_and_said(tmp_path: Path) -> None:
    write(tmp_path, forecast=lambda t: t[~((t["member"] == 1) & (t["date"] == pd.Timestamp("2022-04-14")))])
    done = load(tmp_path, "station", "forecast", "climatology")
    assert set(done.weather.loc[done.weather["is_forecast"], "member"]) == {0, 2}
    assert "1 member(s) even less" in done.rejected["reason"].iloc[0]


def test_no_outlook_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    done = load(tmp_path, "station")
    assert not done.weather["is_forecast"].any()
    assert "no weather ahead" in done.rejected["reason"].iloc[0]


@pytest.mark.parametrize("options", [{"wind_heigth_m": 3}, {"wind_height_m": "three"}, {"wind_height_m": -2}])
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="wind_h"):
        load(tmp_path, "station", **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"climatology": lambda t: t.assign(rh_pct=130)}, "rh_pct of month 1 is 130"),
        ({"climatology": lambda t: t.assign(rain_mm_month=-3)}, "rain_mm_month of month 1 is -3"),
        ({"climatology": lambda t: t.assign(tmin_c=22)}, "above its tmax"),
        ({"climatology": lambda t: t.assign(month="mars")}, "months 1 to 12"),
        ({"forecast": lambda t: t.assign(member="a")}, "member 'a'"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    write(tmp_path, **change)
    with pytest.raises(ConfigError, match=said):
        load(tmp_path, "station", "forecast", "climatology", as_of=date(2022, 4, 10))


def test_a_period_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(ConfigError, match="begins on"):
        load(tmp_path, "station", as_of=date(2022, 3, 1))


@pytest.mark.real_data
def test_normals_of_valladolid_make_a_year(shared_data: Path) -> None:
    specs = [WeatherSpec(kind="climatology", path="weather-normals-valladolid/normals.csv")]
    place = Place(id="valladolid", name={"en": "x"}, latitude=41.77, longitude=-4.87, elevation_m=800)
    weather = load_weather(specs, shared_data, date(2019, 1, 1), date(2019, 12, 31), 7, place).weather
    year = add_et0(weather[~weather["is_forecast"]], place.latitude, place.elevation_m)
    assert set(year["source"]) == {"climatology"} and year["estimated"].isna().all()
    assert year["rain_mm"].sum() == pytest.approx(433, abs=0.5)  # the sum of the twelve normals
    assert 1000 < year["et0_mm"].sum() < 1300  # northern meseta: 1100 to 1200 mm a year
