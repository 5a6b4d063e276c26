"""ERA5-Land through cdsapi against a local store: queue, faults, what is sent, what is kept."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from era5land_files import fields, netcdf, truth
from protocol_server import ProtocolServer, Received, Reply, file_reply

from agro.schema.errors import BudgetError, ConfigError
from agro.schema.region import Place, WeatherSpec
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits
from agro.sources.weather import WeatherResult, load_weather

NOW = datetime(2026, 3, 18, 9, tzinfo=UTC)
START, AS_OF = date(2026, 2, 20), date(2026, 3, 18)
PLACE = Place(
    id="oulad-secret", name={"en": "Oulad Secret"}, latitude=31.6834567, longitude=-7.6512345, elevation_m=468.3
)
QUICK = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=3.0, stall_s=1.0)
NORMALS = "month,tmax_c,tmin_c,rh_pct,wind_2m_m_s,rs_mj_m2_d,rain_mm_month\n" + "".join(
    f"{m},20,8,60,2,15,30\n" for m in range(1, 13)
)


class Store(ProtocolServer):
    """The Climate Data Store's processes, jobs and results."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.polls = folder, 2
        self.state = "successful"
        self.jobs: list[dict[str, Any]] = []
        self._seen: dict[str, int] = {}
        self.truth = truth("2026-01-31", "2026-03-18")
        self.route("/api/catalogue/v1/messages", {"messages": []})
        self.route("/api/retrieve/v1/processes/reanalysis-era5-land", self._process)
        self.route("/api/retrieve/v1/jobs/", self._job)
        self.route(
            "/files/", lambda r: file_reply(r, self._file(int(r.path.rsplit("/", 1)[1])), kind="application/netcdf")
        )

    def _process(self, request: Received) -> Reply:
        if request.headers.get("private-token") != "key-of-the-test":
            return Reply({"title": "Unauthorized"}, 401)
        if request.method != "POST":
            return Reply({"id": "reanalysis-era5-land", "links": []})
        self.jobs.append(request.json()["inputs"])
        address = f"{self.url}/api/retrieve/v1/jobs/{len(self.jobs) - 1}"
        return Reply(
            {"jobID": str(len(self.jobs) - 1), "status": "accepted", "links": [{"rel": "monitor", "href": address}]},
            201,
        )

    def _job(self, request: Received) -> Reply:
        name = request.path.removeprefix("/api/retrieve/v1/jobs/")
        if name.endswith("/results"):
            if self.state == "failed":
                return Reply({"title": "The job has failed", "detail": "None of the data is available yet"}, 400)
            number = int(name.split("/")[0])
            made = {
                "href": f"{self.url}/files/{number}",
                "file:size": len(self._file(number)),
                "type": "application/netcdf",
            }
            return Reply({"asset": {"value": made}})
        self._seen[name] = self._seen.get(name, 0) + 1
        status = "running" if self._seen[name] <= self.polls else self.state
        return Reply(
            {
                "jobID": name,
                "status": status,
                "links": [{"rel": "results", "href": f"{self.url}{request.path}/results"}],
            }
        )

    def _file(self, number: int) -> bytes:
        path = self.folder / f"made-{number}.nc"
        if not path.exists():
            asked = self.jobs[number]
            days = [f"{asked['year']}-{asked['month']}-{day}" for day in asked["day"]]
            hours = fields(self.truth)
            north, west, _, _ = asked["area"]
            there = pd.DatetimeIndex(hours.index).strftime("%Y-%m-%d").isin(days)
            netcdf(path, hours[there], north - 0.1, west + 0.1)
        return path.read_bytes()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in [n for n in os.environ if n.startswith("CDSAPI")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CDSAPI_KEY", "key-of-the-test")
    made = Store(tmp_path)
    yield made
    made.close()


def network_of(folder: Path, limits: Limits | None = None, offline: bool = False) -> Network:
    return Network(
        Cache(folder / "cache", clock=NOW.timestamp), Ledger(folder / "requests.sqlite"), Budget(limits or Limits()),
        OutboundGuard({"Oulad Secret", "oulad-secret"}), "region", offline, QUICK, lambda: NOW,
    )  # fmt: skip


def load(folder: Path, store: Store, network: Network, **options: Any) -> WeatherResult:
    (folder / "climatology.csv").write_text(NORMALS)
    specs = [
        WeatherSpec(kind="era5land", options={"url": f"{store.url}/api", **options}),
        WeatherSpec(kind="climatology", path="climatology.csv"),
    ]
    return load_weather(specs, folder, START, AS_OF, 7, PLACE, network)


def past(result: WeatherResult) -> pd.DataFrame:
    return result.weather[~result.weather["is_forecast"]].set_index("date")


def test_days_come_from_the_store_and_the_newest_from_the_next_link(tmp_path: Path, store: Store) -> None:
    network = network_of(tmp_path)
    result = load(tmp_path, store, network)
    days = past(result)
    mine = days[days["source"] == "era5land"]
    assert not len(result.rejected) and mine["source_reason"].isna().all()
    # The last UTC day out is the 13th; its last hour is told at 00 UTC of the 14th.
    assert mine.index[0] == pd.Timestamp(START) and mine.index[-1] == pd.Timestamp("2026-03-12")
    assert set(days["source_reason"].loc["2026-03-13":]) == {"era5land: no value"}
    local = (pd.DatetimeIndex(store.truth.index) - pd.Timedelta(hours=1)).tz_convert(PLACE.timezone).tz_localize(None)
    rain = store.truth["rain_m"].groupby(local.normalize()).sum() * 1000
    assert mine["rain_mm"].tolist() == pytest.approx(rain[mine.index].tolist(), abs=1e-3)
    assert mine["u2_m_s"].tolist() == pytest.approx([5 * 0.748] * len(mine), abs=1e-3)
    assert (mine["tmax_c"] > mine["tmin_c"]).all() and mine["rh_mean_pct"].between(20, 90).all()
    assert network.ledger is not None
    rows = network.ledger.table()
    assert set(rows["provider"]) == {"era5land"} and set(rows["status"]) == {"ok"}
    assert rows["requests"].sum() == network.budget.spent.requests == len(store.received)
    assert rows["mb"].sum() == pytest.approx(sum(p.stat().st_size for p in tmp_path.glob("made-*.nc")) / 1e6)


def test_what_is_kept_is_not_asked_for_again(tmp_path: Path, store: Store) -> None:
    first = load(tmp_path, store, network_of(tmp_path))
    asked = len(store.received)
    again = load(tmp_path, store, network_of(tmp_path))
    offline = load(tmp_path, store, network_of(tmp_path, offline=True))
    assert len(store.received) == asked
    pd.testing.assert_frame_equal(first.weather, again.weather)
    pd.testing.assert_frame_equal(first.weather, offline.weather)


def test_no_byte_sent_shows_more_than_a_rounded_box(tmp_path: Path, store: Store) -> None:
    load(tmp_path, store, network_of(tmp_path))
    assert [job["area"] for job in store.jobs] == [[31.8, -7.8, 31.6, -7.6]] * 2
    for request in store.received:
        sent = re.sub(r"127\.0\.0\.1(:\d+)?|http/1\.1", "", request.everything.casefold())
        for secret in ("oulad", "secret", "31.68", "7.65", "468"):
            assert secret not in sent


def test_a_job_that_fails_is_said_and_the_next_link_serves(tmp_path: Path, store: Store) -> None:
    store.state = "failed"
    result = load(tmp_path, store, network_of(tmp_path))
    assert set(past(result)["source"]) == {"climatology"}
    assert "None of the data is available yet" in result.rejected["reason"].iloc[0]
    assert past(result)["source_reason"].str.contains("era5land does not answer as it should").all()


def test_a_queue_that_does_not_end_is_left(tmp_path: Path, store: Store) -> None:
    store.polls = 10**9
    result = load(tmp_path, store, network_of(tmp_path), wait_s=0.1)
    assert "had not made the file after 0.1 s" in result.rejected["reason"].iloc[0]
    assert len(store.jobs) == 1  # no second job behind the first


@pytest.mark.parametrize(
    ("path", "fault"),
    [("processes", {"reply": Reply("", 503)}), ("jobs", {"reply": Reply("", 502)}), ("files", {"cut_after": 500}), ("files", {"reply": Reply("<html>", 200, {"Content-Type": "text/html"})})],
    ids=["503", "502", "cut", "html"],
)  # fmt: skip
def test_faults_that_pass_change_nothing(tmp_path: Path, store: Store, path: str, fault: dict[str, Any]) -> None:
    store.fault(path, times=1, **fault)
    result = load(tmp_path, store, network_of(tmp_path))
    assert not len(result.rejected) and (past(result)["source"] == "era5land").sum() == 21


def test_a_wrong_key_is_said(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CDSAPI_KEY", "another")
    reason = load(tmp_path, store, network_of(tmp_path)).rejected["reason"].iloc[0]
    assert "401" in reason and "another" not in reason


def test_a_limit_of_the_person_stops_the_run(tmp_path: Path, store: Store) -> None:
    with pytest.raises(BudgetError):
        load(tmp_path, store, network_of(tmp_path, Limits(max_requests=3)))
    assert len(store.received) <= 3


def test_without_the_package_it_is_said_how_to_get_it(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cdsapi", None)
    with pytest.raises(ConfigError, match=re.escape("pip install 'agro[era5]'")):
        load(tmp_path, store, network_of(tmp_path))


@pytest.mark.parametrize("options", [{"wait_s": 0}, {"wait_s": "long"}, {"key": "never here"}])
def test_wrong_options_are_refused(tmp_path: Path, store: Store, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        load(tmp_path, store, network_of(tmp_path), **options)
