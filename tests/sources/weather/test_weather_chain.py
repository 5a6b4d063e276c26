"""Weather links: aliases, bad values, gaps filled from the next link, forecasts known on the day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import Place, WeatherSpec
from agro.sources.weather import load_weather

PLACE = Place(id="here", name={"en": "x", "fr": "x", "ar": "x"}, latitude=31.7, longitude=-7.7, elevation_m=470)
START, AS_OF = date(2022, 4, 1), date(2022, 4, 11)
NORMALS = "month,tmax_c,tmin_c,rh_pct,wind_2m_m_s,rs_mj_m2_d,rain_mm_month\n" + "".join(
    f"{m},20,8,60,2,15,30\n" for m in range(1, 13)
)


def station(folder: Path, **columns: object) -> Path:
    days = pd.date_range(START, "2022-04-20")
    table = pd.DataFrame({"date": days, "tmin_c": 10.0, "tmax_c": 25.0, "rain_mm": 1.0}).assign(**columns)
    table.to_csv(folder / "station.csv", index=False)
    return folder / "station.csv"


def forecast(folder: Path, issued: str, members: int = 3) -> None:
    ahead = pd.date_range(pd.Timestamp(issued) + pd.Timedelta(days=1), periods=9)
    parts = [
        pd.DataFrame(
            {"issued_at": issued, "date": ahead, "member": m, "tmin_c": 11.0, "tmax_c": 27.0, "rain_mm": float(m)}
        )
        for m in range(members)
    ]
    pd.concat(parts).to_csv(folder / "forecast.csv", index=False)


def chain(folder: Path, *kinds: str) -> list[WeatherSpec]:
    (folder / "climatology.csv").write_text(NORMALS)
    return [WeatherSpec(kind=k, path=f"{k}.csv") for k in kinds]  # type: ignore[arg-type]


def load(folder: Path, *kinds: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    done = load_weather(chain(folder, *kinds), folder, START, AS_OF, 7, PLACE)
    return done.weather, done.rejected


def test_nothing_after_the_date_is_observed(tmp_path: Path) -> None:
    station(tmp_path)
    weather, _ = load(tmp_path, "station", "climatology")
    assert weather[~weather["is_forecast"]]["date"].max() == pd.Timestamp(AS_OF)
    ahead = weather[weather["is_forecast"]]
    assert len(ahead) == 7 and set(ahead["source"]) == {"climatology"}


def test_the_newest_forecast_known_is_taken(tmp_path: Path) -> None:
    station(tmp_path)
    forecast(tmp_path, "2022-04-11")
    weather, rejected = load(tmp_path, "station", "forecast", "climatology")
    ahead = weather[weather["is_forecast"]]
    assert set(ahead["source"]) == {"forecast"} and ahead["member"].nunique() == 3 and not len(rejected)


@pytest.mark.parametrize("issued", ["2022-04-14", "2022-04-01"])
def test_a_forecast_of_tomorrow_or_too_old_is_not_used(tmp_path: Path, issued: str) -> None:
    station(tmp_path)
    forecast(tmp_path, issued)
    weather, rejected = load(tmp_path, "station", "forecast", "climatology")
    assert set(weather[weather["is_forecast"]]["source"]) == {"climatology"}
    assert "no forecast issued" in rejected["reason"].iloc[0]


def test_bad_values_are_listed_and_filled_from_the_next_link(tmp_path: Path) -> None:
    path = station(tmp_path)
    table = pd.read_csv(path)
    table.loc[2, "rain_mm"] = -1
    table.loc[3, ["tmin_c", "tmax_c"]] = [30, 20]
    table.loc[4, "tmax_c"] = -999
    table.to_csv(path, index=False)
    weather, rejected = load(tmp_path, "station", "climatology")
    assert len(rejected) == 2  # a missing code is no fault of the record
    sources = weather.set_index("date")["source"]
    assert set(sources.loc["2022-04-03":"2022-04-05"]) == {"climatology"}
    assert sources.loc[pd.Timestamp("2022-04-02")] == "station"


def test_wind_of_another_height_is_brought_to_two_metres(tmp_path: Path) -> None:
    station(tmp_path, wind_m_s=3.2)
    (tmp_path / "climatology.csv").write_text(NORMALS)
    specs = [
        WeatherSpec(kind="station", path="station.csv", options={"wind_height_m": 10}),
        WeatherSpec(kind="climatology", path="climatology.csv"),
    ]
    weather = load_weather(specs, tmp_path, START, AS_OF, 7, PLACE).weather
    # FAO-56 Example 14: 3.2 m/s at 10 m is 2.4 m/s at 2 m.
    assert weather["u2_m_s"].iloc[0] == pytest.approx(2.4, abs=0.05)


def test_humidity_extremes_give_the_vapour_of_eq_17(tmp_path: Path) -> None:
    station(tmp_path, rhmin_pct=30.0, rhmax_pct=90.0)
    humidity = load(tmp_path, "station", "climatology")[0]["rh_mean_pct"].iloc[0]
    # FAO-56 eq. 17 by hand, e(10 C) = 1.228, e(25 C) = 3.168 kPa; their plain mean, 60 %, would overstate the vapour by a quarter.
    assert humidity == pytest.approx(100 * (1.228 * 0.9 + 3.168 * 0.3) / (1.228 + 3.168), abs=0.05)


def test_a_gap_without_a_next_link_is_named(tmp_path: Path) -> None:
    path = station(tmp_path)
    pd.read_csv(path).drop(index=[4]).to_csv(path, index=False)
    with pytest.raises(NoDataError, match="2022-04-05"):
        load(tmp_path, "station")


def test_climatology_keeps_the_month_total(tmp_path: Path) -> None:
    (tmp_path / "climatology.csv").write_text(NORMALS)
    done = load_weather(chain(tmp_path, "climatology"), tmp_path, date(2022, 4, 1), date(2022, 4, 30), 7, PLACE).weather
    assert done[~done["is_forecast"]]["rain_mm"].sum() == pytest.approx(30)


def test_a_month_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "climatology.csv").write_text("\n".join(NORMALS.splitlines()[:-1]))
    with pytest.raises(ConfigError, match="months 1 to 12"):
        load_weather([WeatherSpec(kind="climatology", path="climatology.csv")], tmp_path, START, AS_OF, 7, PLACE)


def test_a_repeated_day_counts_once(tmp_path: Path) -> None:
    path = station(tmp_path)
    table = pd.read_csv(path)
    pd.concat([table, table.iloc[[1]].assign(rain_mm=50.0)]).to_csv(path, index=False)
    weather, rejected = load(tmp_path, "station", "climatology")
    assert weather.set_index("date").loc["2022-04-02", "rain_mm"] == 1.0
    assert "stands twice" in rejected["reason"].iloc[0]
    assert np.isfinite(weather["rain_mm"]).all()
