"""Weather from providers through the chain: values, gaps, what was known when, fallbacks and faults."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from protocol_server import Reply
from weather_server import WeatherServer, weather_of

from agro.schema.errors import BudgetError, ConfigError, NoDataError, SourceError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits
from agro.sources.weather import WeatherResult, load_weather, power
from agro.sources.weather.openmeteo import call_weight
from agro.sources.weather.plan import weather_cost
from agro.water.reference_et import add_et0

NOW = date(2026, 3, 18)
START = date(2026, 1, 20)
PLACE = Place(
    id="oulad-secret", name={"en": "Oulad Secret"}, latitude=31.6834567, longitude=-7.6512345, elevation_m=468.3
)
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=2.0, stall_s=1.0, circuit_failures=3)
NORMALS = "month,tmax_c,tmin_c,rh_pct,wind_2m_m_s,rs_mj_m2_d,rain_mm_month\n" + "".join(
    f"{m},20,8,60,2,15,30\n" for m in range(1, 13)
)


class Moment:
    """A clock that the test sets, for network and cache alike."""

    def __init__(self, day: date, hour: int = 9) -> None:
        self.set(day, hour)

    def set(self, day: date, hour: int = 9) -> None:
        self.now = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@pytest.fixture
def server() -> Iterator[WeatherServer]:
    made = WeatherServer(NOW)
    yield made
    made.close()


@pytest.fixture
def clock() -> Moment:
    return Moment(NOW)


@pytest.fixture
def network(tmp_path: Path, clock: Moment) -> Iterator[Network]:
    made = network_of(tmp_path, clock)
    yield made
    made.close()


def network_of(folder: Path, clock: Moment, limits: Limits | None = None, offline: bool = False) -> Network:
    return Network(
        Cache(folder / "cache", clock=clock.seconds), Ledger(folder / "requests.sqlite"), Budget(limits or Limits()),
        OutboundGuard({"Oulad Secret", "oulad-secret", "farmer-007"}), "region", offline, QUICK, clock,
    )  # fmt: skip


def chain(folder: Path, server: WeatherServer, *kinds: str, **options: Any) -> list[WeatherSpec]:
    (folder / "climatology.csv").write_text(NORMALS)
    known = {"openmeteo": server.openmeteo | options, "power": {"url": f"{server.url}/power"}}
    return [
        WeatherSpec(kind=kind, options=known[kind]) if kind in known else WeatherSpec(kind=kind, path=f"{kind}.csv")  # type: ignore[arg-type]
        for kind in kinds
    ]


def load(
    folder: Path, server: WeatherServer, network: Network | None, *kinds: str, as_of: date = NOW, start: date = START,
    mixing: bool = True, outlook_d: int = 7, **options: Any,
) -> WeatherResult:  # fmt: skip
    specs = chain(folder, server, *kinds, **options)
    return load_weather(specs, folder, start, as_of, outlook_d, PLACE, network, mixing)


def past(result: WeatherResult) -> pd.DataFrame:
    return result.weather[~result.weather["is_forecast"]].set_index("date")


def ahead(result: WeatherResult) -> pd.DataFrame:
    return result.weather[result.weather["is_forecast"]]


def station(folder: Path, last: date, without: date | None = None) -> None:
    table = pd.DataFrame({"date": pd.date_range(START, last), "tmin_c": 10.0, "tmax_c": 25.0, "rain_mm": 1.0})
    table[table["date"] != pd.Timestamp(without or "1900-01-01")].to_csv(folder / "station.csv", index=False)


def test_open_meteo_alone_gives_past_and_ensemble(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    result = load(tmp_path, server, network, "openmeteo")
    days = past(result)
    assert set(result.weather["source"]) == {"openmeteo"} and not len(result.rejected)
    assert list(days.index) == list(pd.date_range(START, NOW))
    for day, row in days.iterrows():
        true = weather_of(day.date())
        assert (row["tmax_c"], row["tmin_c"], row["rain_mm"], row["rs_mj_m2"]) == (
            true["tmax"], true["tmin"], true["rain"], true["rs"],
        )  # fmt: skip
        # FAO-56 eq. 47: the factor from 10 m to 2 m is 0.748.
        assert row["u2_m_s"] == pytest.approx(3.0 * 0.748, abs=0.001)
        # FAO-56 eq. 14 and 12: the vapour pressure is that of the dew point.
        e = [0.6108 * np.exp(17.27 * t / (t + 237.3)) for t in (6.0, true["tmax"], true["tmin"])]
        assert row["rh_mean_pct"] == pytest.approx(200 * e[0] / (e[1] + e[2]), rel=1e-6)
    rows = ahead(result)
    assert set(rows["member"]) == set(range(5)) and set(rows["issued_at"]) == {pd.Timestamp(NOW)}
    assert sorted(rows.groupby("member")["rain_mm"].first()) == [1.0, 2.0, 3.0, 4.0, 5.0]  # perturbed ones, no control
    assert list(rows[rows["member"] == 0]["date"]) == list(pd.date_range(NOW + timedelta(days=1), periods=7))


def test_days_that_the_archive_lacks_are_said_on_the_rows(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    notes = past(load(tmp_path, server, network, "openmeteo"))["source_reason"]
    newest = pd.date_range(NOW - timedelta(days=4), NOW)
    assert notes[notes.notna()].index.equals(newest)
    assert set(notes[newest[:-1]]) == {"openmeteo: not in the archive yet, from the forecast model"}
    assert "the day was not over" in notes[newest[-1]]


def test_past_months_are_asked_for_once(tmp_path: Path, server: WeatherServer, clock: Moment) -> None:
    first = network_of(tmp_path, clock)
    before = load(tmp_path, server, first, "openmeteo")
    asked = len(server.received)
    assert len(server.asked("/archive")) == 3  # January, February, March so far
    again = load(tmp_path, server, network_of(tmp_path, clock), "openmeteo")
    assert len(server.received) == asked
    pd.testing.assert_frame_equal(before.weather, again.weather)
    clock.set(NOW + timedelta(days=7))
    server.now = NOW + timedelta(days=7)
    load(tmp_path, server, network_of(tmp_path, clock), "openmeteo", as_of=server.now)
    assert [request.query["start_date"] for request in server.asked("/archive")[3:]] == ["2026-03-01"]


def test_recent_days_and_forecasts_are_asked_for_again_after_hours(
    tmp_path: Path, server: WeatherServer, network: Network, clock: Moment
) -> None:
    load(tmp_path, server, network, "openmeteo")
    counts = [len(server.asked(path)) for path in ("/archive", "/forecast", "/ensemble")]
    clock.set(NOW, 13)  # four hours on: the forecast is old, the days before are not
    load(tmp_path, server, network, "openmeteo")
    assert [len(server.asked(path)) for path in ("/archive", "/forecast", "/ensemble")] == [counts[0], counts[1], 2]
    clock.set(NOW, 17)
    load(tmp_path, server, network, "openmeteo")
    assert [len(server.asked(path)) for path in ("/archive", "/forecast", "/ensemble")] == [
        counts[0] + 1,
        counts[1] + 1,
        3,
    ]


def test_power_leaves_its_missing_days_to_the_next_link(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    days = past(load(tmp_path, server, network, "power", "climatology"))
    late = pd.date_range(NOW - timedelta(days=2), NOW)
    assert set(days.loc[late, "source"]) == {"climatology"}
    assert set(days.loc[late, "source_reason"]) == {"power: no value"}
    mine = days.drop(late)
    assert set(mine["source"]) == {"power"} and mine["source_reason"].isna().all()
    assert mine["tmax_c"].tolist() == [weather_of(day.date())["tmax"] for day in mine.index]
    assert (mine["u2_m_s"] == 3.0).all()  # told at 2 m
    assert mine["rs_mj_m2"].isna().sum() == 2 and mine["rs_mj_m2"].isna().iloc[-1]  # radiation comes later still


def test_a_settled_month_that_lacks_a_value_is_asked_for_again(
    tmp_path: Path, server: WeatherServer, clock: Moment
) -> None:
    server.now = date(2026, 2, 1)  # the provider is far behind
    load(tmp_path, server, network_of(tmp_path, clock), "power", "climatology")
    server.now = NOW
    days = past(load(tmp_path, server, network_of(tmp_path, clock), "power", "climatology"))
    assert days.loc["2026-02-10", "source"] == "power"
    assert [r.query["start"] for r in server.asked("/power")] == [
        "20260101",
        "20260201",
        "20260301",
        "20260101",
        "20260201",
    ]


def test_only_days_that_the_station_lacks_are_asked_for(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    station(tmp_path, NOW, without=date(2026, 2, 10))
    days = past(load(tmp_path, server, network, "station", "openmeteo"))
    assert [r.query["start_date"] for r in server.asked("/archive")] == ["2026-02-01"]
    assert days.loc["2026-02-10", ["source", "source_reason"]].tolist() == ["openmeteo", "station: no value"]
    assert set(days["source"].drop(pd.Timestamp("2026-02-10"))) == {"station"}


def test_a_station_without_gaps_asks_for_nothing_past(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    station(tmp_path, NOW)
    result = load(tmp_path, server, network, "station", "openmeteo", "power")
    assert {request.path for request in server.received} == {"/ensemble"}
    assert set(past(result)["source"]) == {"station"} and set(ahead(result)["source"]) == {"openmeteo"}


def test_without_mixing_the_first_link_that_has_all_days_serves_alone(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    station(tmp_path, NOW, without=date(2026, 2, 10))
    result = load(tmp_path, server, network, "station", "power", "openmeteo", "climatology", mixing=False)
    assert set(past(result)["source"]) == {"openmeteo"}
    assert past(result)["source_reason"].str.startswith("station: lacks 1 of 58 days").all()
    reasons = result.rejected.set_index("item")["reason"]
    assert reasons["station station.csv"] == "lacks 1 of 58 days" and reasons["power"] == "lacks 3 of 58 days"


def test_without_mixing_a_forecast_that_ends_early_gives_way(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    station(tmp_path, NOW)
    pd.DataFrame(
        {
            "issued_at": str(NOW), "date": pd.date_range(NOW + timedelta(days=1), periods=3), "member": 0,
            "tmin_c": 9.0, "tmax_c": 19.0, "rain_mm": 0.0,
        }
    ).to_csv(tmp_path / "forecast.csv", index=False)  # fmt: skip
    kinds = ("station", "forecast", "openmeteo", "climatology")
    alone = ahead(load(tmp_path, server, network, *kinds, mixing=False))
    assert set(alone["source"]) == {"openmeteo"}
    assert set(alone["source_reason"]) == {"forecast: the forecast reaches 3 of 7 days"}
    mixed = ahead(load(tmp_path, server, network, *kinds))
    assert list(mixed["source"]) == ["forecast"] * 3 + ["climatology"] * 4
    assert mixed["source_reason"].isna().tolist() == [True] * 3 + [False] * 4


def test_a_forecast_of_a_past_day_is_the_one_kept_that_day(
    tmp_path: Path, server: WeatherServer, clock: Moment
) -> None:
    issued_that_day = ahead(load(tmp_path, server, network_of(tmp_path, clock), "openmeteo", "climatology"))
    clock.set(NOW + timedelta(days=10))
    server.now = NOW + timedelta(days=10)
    later = ahead(load(tmp_path, server, network_of(tmp_path, clock), "openmeteo", "climatology"))
    pd.testing.assert_frame_equal(issued_that_day, later)
    assert not server.asked("/runs")


def test_a_forecast_of_a_past_day_that_was_not_kept_is_that_days_run(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    day = date(2026, 3, 2)
    rows = ahead(load(tmp_path, server, network, "openmeteo", "climatology", as_of=day))
    assert set(rows["source"]) == {"openmeteo"} and set(rows["issued_at"]) == {pd.Timestamp(day)}
    assert set(rows["tmax_c"]) == {30.61}  # the 61st day of the year: nothing known later
    assert server.asked("/runs")[0].query["run"] == "2026-03-02T00:00"
    assert not server.asked("/ensemble") and not server.asked("/forecast")


def test_no_forecast_of_a_past_day_is_climatology_and_said(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    server.route("/runs", lambda _: Reply({"error": True, "reason": "modelRunUnavailable"}, 400))
    result = load(tmp_path, server, network, "openmeteo", "climatology", as_of=date(2026, 3, 2))
    rows = ahead(result)
    assert set(rows["source"]) == {"climatology"}
    assert "no forecast of 2026-03-02 was kept" in rows["source_reason"].iloc[0]
    assert "modelRunUnavailable" in result.rejected["reason"].iloc[0]


def test_without_ensemble_the_single_forecast_serves_and_it_is_said(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    server.route("/ensemble", lambda _: Reply({"error": True, "reason": "no such model"}, 400))
    result = load(tmp_path, server, network, "openmeteo")
    assert set(ahead(result)["member"]) == {0} and set(ahead(result)["source"]) == {"openmeteo"}
    assert "no such model" in result.rejected["reason"].iloc[0]


@pytest.mark.parametrize("members", [0, 2])
def test_members_asked_for(tmp_path: Path, server: WeatherServer, network: Network, members: int) -> None:
    rows = ahead(load(tmp_path, server, network, "openmeteo", members=members))
    assert rows["member"].nunique() == max(1, members)
    assert bool(server.asked("/ensemble")) is bool(members)


def test_no_network_is_a_rejected_row_and_the_next_link(tmp_path: Path, server: WeatherServer) -> None:
    result = load(tmp_path, server, None, "openmeteo", "power", "climatology")
    assert set(result.weather["source"]) == {"climatology"}
    assert set(result.weather["source_reason"]) == {"openmeteo: offline: this run has no network"}
    assert list(result.rejected["item"]) == ["openmeteo", "power", "openmeteo (days ahead)"]


def test_offline_serves_what_was_kept_and_says_what_it_lacks(
    tmp_path: Path, server: WeatherServer, clock: Moment
) -> None:
    online = load(tmp_path, server, network_of(tmp_path, clock), "openmeteo", "climatology")
    asked = len(server.received)
    offline = load(tmp_path, server, network_of(tmp_path, clock, offline=True), "openmeteo", "climatology")
    pd.testing.assert_frame_equal(online.weather, offline.weather)
    earlier = load(
        tmp_path,
        server,
        network_of(tmp_path, clock, offline=True),
        "openmeteo",
        "climatology",
        start=date(2025, 12, 20),
    )
    assert len(server.received) == asked
    assert "lacks archive 2025-12-01 to 2025-12-31" in earlier.rejected["reason"].iloc[0]
    days = past(earlier)
    assert set(days["source"][:"2025-12-31"]) == {"climatology"} and set(days["source"]["2026-01-01":]) == {"openmeteo"}


@pytest.mark.parametrize(
    "fault",
    [
        {"reply": Reply({"reason": "wait"}, 429, {"Retry-After": "0"})}, {"reply": Reply("", 500)}, {"reply": Reply("", 503)},
        {"cut_after": 40}, {"reply": Reply("<html>sorry</html>", 200, {"Content-Type": "text/html"})},
    ],
    ids=["429", "500", "503", "cut", "html"],
)  # fmt: skip
def test_faults_that_pass_change_nothing(
    tmp_path: Path, server: WeatherServer, network: Network, fault: dict[str, Any]
) -> None:
    server.fault("/archive", times=2, **fault)
    server.fault("/ensemble", times=1, **fault)
    server.fault("/power", times=2, **fault)
    result = load(tmp_path, server, network, "openmeteo", "climatology")
    assert set(result.weather["source"]) == {"openmeteo"} and not len(result.rejected)
    assert set(past(load(tmp_path, server, network, "power", "climatology"))["source"][:"2026-03-15"]) == {"power"}


@pytest.mark.parametrize("path", ["/archive", "/forecast", "/ensemble", ""])
def test_a_provider_that_fails_is_said_and_the_next_serves(
    tmp_path: Path, server: WeatherServer, network: Network, path: str
) -> None:
    for kind in ("/archive", "/forecast", "/ensemble", "/runs"):
        if kind.startswith(path):
            server.fault(kind, times=1000, reply=Reply("", 503))
    result = load(tmp_path, server, network, "openmeteo", "power", "climatology")
    assert list(past(result).index) == list(pd.date_range(START, NOW)) and len(ahead(result))
    assert result.rejected["reason"].str.contains("status 503").any()
    days = past(result)
    if path == "":
        assert days["source"].tolist()[:-3] == ["power"] * (len(days) - 3)
        assert days["source_reason"].str.contains("openmeteo: .*503").all()
        assert set(ahead(result)["source"]) == {"climatology"}
    if path == "/archive":  # the forecast address knows 92 days
        assert set(days["source"]) == {"openmeteo"} and days["source_reason"].str.contains("the archive failed").all()


def test_slow_bytes_do_not_hang(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    server.fault("/power", times=1000, pause_s=0.05)
    days = past(load(tmp_path, server, network, "power", "climatology"))
    assert set(days["source"]) == {"climatology"} and days["source_reason"].str.contains("too slow").all()


def test_a_wrong_unit_is_refused_and_not_kept(tmp_path: Path, server: WeatherServer, clock: Moment) -> None:
    answer = server._routes["/power"]

    def in_kwh(request: Any) -> Reply:
        reply = answer(request)
        reply.body["parameters"]["ALLSKY_SFC_SW_DWN"]["units"] = "kW-hr/m^2/day"
        return reply

    server.route("/power", in_kwh)
    result = load(tmp_path, server, network_of(tmp_path, clock), "power", "climatology")
    assert "kW-hr/m^2/day" in result.rejected["reason"].iloc[0] and set(past(result)["source"]) == {"climatology"}
    server.route("/power", answer)
    assert (
        past(load(tmp_path, server, network_of(tmp_path, clock), "power", "climatology"))["source"].iloc[0] == "power"
    )


def test_what_arrives_is_checked(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    answer = server._routes["/power"]

    def spoilt(request: Any) -> Reply:
        reply = answer(request)
        values = reply.body["properties"]["parameter"]
        if "20260210" in values["T2M_MIN"]:
            values["T2M_MIN"]["20260210"] = 40.0  # above the maximum
            values["ALLSKY_SFC_SW_DWN"]["20260211"] = 44.0  # no such sky in February
            values["T2MDEW"]["20260212"], values["RH2M"]["20260212"] = -999.0, 130.0
        return reply

    server.route("/power", spoilt)
    result = load(tmp_path, server, network, "power", "climatology")
    days, reasons = past(result), result.rejected["reason"]
    assert days.loc["2026-02-10", "source"] == "climatology"
    assert np.isnan(days.loc["2026-02-11", "rs_mj_m2"]) and np.isnan(days.loc["2026-02-12", "rh_mean_pct"])
    for text in ("tmin 40 above tmax", "above the clear sky", "130 is outside 0 .. 100"):
        assert reasons.str.contains(text, regex=False).any()


def test_a_limit_of_the_person_stops_the_run(tmp_path: Path, server: WeatherServer, clock: Moment) -> None:
    with pytest.raises(BudgetError, match="more than the 2 allowed"):
        load(tmp_path, server, network_of(tmp_path, clock, Limits(max_requests=2)), "openmeteo", "climatology")
    assert len(server.received) == 2


def test_requests_are_in_the_ledger(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    load(tmp_path, server, network, "openmeteo")
    assert network.ledger is not None
    rows = network.ledger.table()
    assert set(rows["provider"]) == {"openmeteo"} and rows["requests"].sum() == len(server.received) == 5
    assert rows["piece"].iloc[0] == "archive 2026-01-01 to 2026-01-31"


@pytest.mark.parametrize("as_of", [NOW, date(2026, 3, 2)])
def test_the_plan_is_what_is_asked_and_nothing_after_it(
    tmp_path: Path, server: WeatherServer, network: Network, as_of: date
) -> None:
    server.members = 50
    specs = chain(tmp_path, server, "openmeteo", "power", "climatology")
    planned = {cost.kind: cost for cost in weather_cost(specs, START, as_of, 7, PLACE, network)}
    assert not server.received
    load_weather(specs, tmp_path, START, as_of, 7, PLACE, network)
    assert network.ledger is not None
    spent = network.ledger.table()
    assert planned["openmeteo"].estimate.requests == spent["requests"].sum()
    assert planned["openmeteo"].estimate.mb == pytest.approx(spent["mb"].sum(), rel=0.35)
    assert planned["power"].estimate.requests == 3  # January, February, March so far
    again = {cost.kind: cost for cost in weather_cost(specs, START, as_of, 7, PLACE, network)}
    assert again["openmeteo"].estimate.requests == 0 and again["openmeteo"].calls == 0
    assert again["power"] == planned["power"]  # it was not needed


def test_the_weight_of_a_plan_by_hand(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    (cost,) = weather_cost(chain(tmp_path, server, "openmeteo"), START, NOW, 7, PLACE, network)
    # Seven variables: January 31, February 28, March 18 days; five newest days; 51 members of the ensemble.
    assert cost.calls == pytest.approx(0.7 * 31 / 14 + 0.7 * 28 / 14 + 1.0 + 1.0 + 0.7 * 51)


def test_a_forecast_of_the_morning_serves_when_the_provider_fails_at_night(
    tmp_path: Path, server: WeatherServer, network: Network, clock: Moment
) -> None:
    morning = ahead(load(tmp_path, server, network, "openmeteo", "climatology"))
    clock.set(NOW, 20)
    server.fault("", times=1000, reply=Reply("", 503))
    result = load(tmp_path, server, network, "openmeteo", "climatology")
    pd.testing.assert_frame_equal(ahead(result), morning)
    assert set(past(result)["source"]) == {"openmeteo"}
    assert result.rejected["reason"].str.contains("503").all() and len(result.rejected) == 2


def test_an_error_told_with_status_200_is_an_error_and_not_kept(
    tmp_path: Path, server: WeatherServer, network: Network
) -> None:
    for path in ("/archive", "/forecast", "/ensemble"):
        server.fault(path, times=9, reply=Reply({"error": True, "reason": "Daily API request limit exceeded"}))
    result = load(tmp_path, server, network, "openmeteo", "climatology")
    assert set(result.weather["source"]) == {"climatology"} and len(result.rejected) == 2
    assert result.rejected["reason"].str.contains("Daily API request limit exceeded").all()
    server.faults.clear()
    assert past(load(tmp_path, server, network, "openmeteo", "climatology"))["source"].eq("openmeteo").all()


def test_days_beyond_any_forecast_are_climatology(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    rows = ahead(load(tmp_path, server, network, "openmeteo", "climatology", as_of=NOW + timedelta(days=30)))
    assert set(rows["source"]) == {"climatology"} and "no forecast reaches" in rows["source_reason"].iloc[0]


def test_a_wrong_time_zone_is_said(tmp_path: Path, network: Network) -> None:
    place = PLACE.model_copy(update={"timezone": "Africa/Marrakech_"})
    with pytest.raises(ConfigError, match="time zone"):
        load_weather([WeatherSpec(kind="openmeteo")], tmp_path, START, NOW, 7, place, network)


def test_no_byte_sent_shows_more_than_a_rounded_point(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    load(tmp_path, server, network, "openmeteo", "power", "climatology")
    load(tmp_path, server, network, "power", "climatology")
    load(tmp_path, server, network, "openmeteo", as_of=date(2026, 3, 2))
    assert {request.path for request in server.received} == {"/archive", "/forecast", "/ensemble", "/runs", "/power"}
    for request in server.received:
        assert (request.query["latitude"], request.query["longitude"]) == ("31.7", "-7.7")
        sent = request.everything.casefold()
        for secret in ("oulad", "secret", "farmer", "region", "31.68", "7.65", "468"):
            assert secret not in sent
        without_host = re.sub(r"127\.0\.0\.1(:\d+)?|agro/[\d.]+", "", sent)
        assert all(len(digits) <= 1 for digits in re.findall(r"\d+\.(\d+)", without_host.replace("http/1.1", "")))


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("openmeteo", {"member": 3}, "unknown option member"), ("openmeteo", {"members": True}, "members"),
        ("openmeteo", {"members": 99}, "members"), ("openmeteo", {"url": "ftp://x"}, "not an address"),
        ("openmeteo", {"ensemble_model": "a b"}, "ensemble_model"), ("power", {"community": "RE"}, "unknown option"),
        ("power", {"url": "https://name:pw@x"}, "not an address"),
    ],
)  # fmt: skip
def test_wrong_options_are_refused_before_anything_is_sent(
    tmp_path: Path, network: Network, kind: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        load_weather([WeatherSpec(kind=kind, options=options)], tmp_path, START, NOW, 7, PLACE, network)  # type: ignore[arg-type]


def test_days_that_nobody_covers_name_the_failures(tmp_path: Path, server: WeatherServer, network: Network) -> None:
    server.fault("/power", times=1000, reply=Reply({"messages": ["out of range"]}, 422))
    with pytest.raises(NoDataError, match=r"58 of 58 days.*power answers 422.*out of range"):
        load(tmp_path, server, network, "power")


def test_the_weight_of_a_call_is_the_providers() -> None:
    # The provider's page shows 4.0 for one variable of a 40-member ensemble over 7 days.
    assert call_weight(1, 7, models=40) == pytest.approx(4.0)
    assert call_weight(7, 7) == 1.0
    assert call_weight(10, 28) == pytest.approx(2.0)
    assert call_weight(7, 31, places=2) == pytest.approx(2 * 0.7 * 31 / 14)


@pytest.mark.parametrize("first", ["openmeteo", "power"])
def test_reference_evapotranspiration_follows_and_says_what_it_estimated(
    tmp_path: Path, server: WeatherServer, network: Network, first: str
) -> None:
    result = load(tmp_path, server, network, first, "openmeteo", "climatology")
    table = add_et0(result.weather, PLACE.latitude, PLACE.elevation_m)
    assert table["et0_mm"].between(1.0, 9.0).all()
    told = table.loc[table["estimated"].notna() & ~table["is_forecast"], "estimated"]
    # POWER's radiation comes two days after the rest.
    assert list(told) == ([] if first == "openmeteo" else ["rs_mj_m2"] * 2)


@pytest.mark.real_data
def test_names_units_and_missing_code_are_those_of_a_recorded_answer(shared_data: Path) -> None:
    import json

    from agro.sources.weather.power import DAILY
    from agro.sources.weather.tables import MISSING_CODES

    tape = json.loads((shared_data / "http-nasapower" / "daily_ag_point.json").read_text())["http_interactions"][0]
    body = tape["response"]["body"]["string"]
    for parameter in (
        "parameters=",
        "community=",
        "start=",
        "end=",
        "longitude=",
        "latitude=",
        "format=",
        "time-standard=",
    ):
        assert parameter in tape["request"]["uri"]
    units = dict(re.findall(r"^(\w+) .*\(([^)]+)\) *\r?$", body, re.MULTILINE))
    for theirs, _, unit in DAILY:
        if theirs in units:
            assert units[theirs] == unit
    assert {"T2M_MAX", "T2M_MIN", "RH2M"} <= set(units)
    assert float(re.search(r"availability range: (\S+)", body).group(1)) in MISSING_CODES  # type: ignore[union-attr]


@pytest.mark.parametrize("told", ["C", ["C"], 5, None])
def test_power_without_a_unit_is_refused(told: object) -> None:
    series = {name: {"20220401": 5.0} for name, _, _ in power.DAILY}
    document = {
        "header": {"fill_value": -999}, "properties": {"parameter": series}, "parameters": dict.fromkeys(series, told),
    }  # fmt: skip
    with pytest.raises(SourceError, match="not in C"):
        power.daily_table(document)
