"""Statistics of parcels from Sentinel Hub; answers as they were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
from protocol_server import Reply
from pyproj import Transformer
from sentinelhub_server import CLIENT_ID, CLIENT_SECRET, CRS_CODE, SentinelHubServer, Tile
from shapely.geometry import Polygon, box

from agro import indices
from agro.schema.errors import BudgetError, PrivacyError, SourceError
from agro.schema.grid import CELL_M, Cells
from agro.schema.region import ObservationOptions
from agro.schema.tables import validate
from agro.sources.imagery import Remote
from agro.sources.imagery.sentinelhub.source import SentinelHub
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits

FIRST, LAST = date(2020, 6, 1), date(2020, 6, 30)
LEFT, BOTTOM = 117 * CELL_M, 684 * CELL_M
CELLS = Cells(CRS_CODE, ((117, 684),))
NDVI = {"ndvi": indices.catalogue()["ndvi"]}
UIDS = ("farm-of-fatima-1", "farm-of-fatima-2", "farm-of-fatima-3")
QUICK = RetryPolicy(attempts=2, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=3.0, stall_s=1.0)


def square(number: int, side_m: float = 110.0) -> Polygon:
    left = LEFT + 200 + 300 * number
    return box(left, BOTTOM + 500, left + side_m, BOTTOM + 500 + side_m)


def table(*outlines: Polygon) -> gpd.GeoDataFrame:
    frame = gpd.GeoDataFrame({"parcel_uid": list(UIDS[: len(outlines)])}, geometry=list(outlines), crs=CRS_CODE)
    return frame.to_crs("EPSG:4326")


def answer(day: str, count: int = 100, missing: int = 0, **stats: Any) -> dict[str, Any]:
    """As the provider gives it."""
    told = {
        "min": 0.1, "max": 0.9, "mean": 0.5, "stDev": 0.1, "sampleCount": count, "noDataCount": missing,
        "percentiles": {"10.0": 0.3, "50.0": 0.5, "90.0": 0.7}, **stats,
    }  # fmt: skip
    outputs = {"ndvi": {"bands": {"B0": {"stats": told}}}}
    return {
        "data": [{"interval": {"from": f"{day}T00:00:00Z", "to": f"{day}T23:59:59Z"}, "outputs": outputs}],
        "status": "OK",
    }


def tiles() -> list[Tile]:
    to_degrees = Transformer.from_crs(CRS_CODE, "EPSG:4326", always_xy=True)
    ground = to_degrees.transform_bounds(LEFT - 5e4, BOTTOM - 5e4, LEFT + 5e4, BOTTOM + 5e4)
    return [
        Tile(f"S2A_MSIL2A_{day}T110621_N0214_R137_T29SPR_{day}T110621", f"{day[:4]}-{day[4:6]}-{day[6:]}T11:15:00Z",
             (100, 670, 140, 700), ground)
        for day in ("20200607", "20200611", "20200612")
    ]  # fmt: skip


@pytest.fixture
def server() -> Iterator[SentinelHubServer]:
    running = SentinelHubServer(tiles(), page=100)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SH_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SH_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))


def opened(server: SentinelHubServer, folder: Path, outlines: bool = True, limits: Limits | None = None) -> SentinelHub:
    net = Network(
        Cache(folder / "cache"), Ledger(folder / "ledger.sqlite"), Budget(limits),
        OutboundGuard({*UIDS, "Fatima Zahra"}, outlines), region="haouz", policy=QUICK,
    )  # fmt: skip
    remote = Remote(net, CELLS, {(117, 684): UIDS}, ("nir", "red"))
    return SentinelHub(remote, url=server.url, token_url=f"{server.url}/token")


def answers(server: SentinelHubServer, *told: Any) -> None:
    """One for each square, told apart by its inner left edge."""
    server.statistics = {str(round(LEFT + 205 + 300 * number)): body for number, body in enumerate(told)}


@pytest.mark.real_data
class TestRecorded:
    @pytest.fixture
    def recorded(self, shared_data: Path, server: SentinelHubServer) -> SentinelHubServer:
        folder = shared_data / "http-sentinelhub"
        names = ("normal_stat_result", "normal_stat_partial_result", "normal_stat_failed_result")
        answers(server, *(json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))[0] for name in names))
        return server

    def test_ok_partial_and_failed(self, recorded: SentinelHubServer, tmp_path: Path) -> None:
        parcels = table(*(square(number) for number in range(3)))
        result = opened(recorded, tmp_path).statistics(parcels, FIRST, LAST, NDVI)
        rows = validate(result.observations, "observations")
        assert [(row.parcel_uid, str(row.date.date())) for row in rows.itertuples()] == [
            (UIDS[0], "2020-06-11"), (UIDS[1], "2020-06-12"),
        ]  # fmt: skip
        assert rows["mean"].tolist() == pytest.approx([0.38401383599010064] * 2)
        assert rows["sd"].tolist() == pytest.approx([0.11153442042832748] * 2)
        assert rows["median"].tolist() == pytest.approx([0.3445783257484436] * 2)
        assert rows[["p10", "p90"]].isna().all().all(), "the recorded answers hold the median alone"
        assert rows["pixels_effective"].tolist() == [109.0] * 2
        assert rows["valid_frac"].tolist() == [1.0] * 2, "more pixels than 100 m x 100 m have"
        assert rows["usable"].all()
        assert all(day in ids for day, ids in zip(("20200611", "20200612"), rows["scene_ids"], strict=True))
        said = dict(zip(result.rejected["item"], result.rejected["reason"], strict=True))
        assert said == {
            f"{UIDS[1]} 2020-06-07": "the provider failed: EXECUTION_ERROR",
            UIDS[2]: "the provider failed: COMMON_BAD_PAYLOAD",
        }

    def test_what_failed_is_asked_again_and_nothing_else(self, recorded: SentinelHubServer, tmp_path: Path) -> None:
        parcels = table(*(square(number) for number in range(3)))
        opened(recorded, tmp_path).statistics(parcels, FIRST, LAST, NDVI)
        assert len(recorded.asked("statistics")) == 3
        answers(recorded, *(answer("2020-06-12") for _ in range(3)))
        result = opened(recorded, tmp_path).statistics(parcels, FIRST, LAST, NDVI)
        assert len(recorded.asked("statistics")) == 5
        assert result.rejected.empty
        assert len(result.observations) == 3

    def test_batch_answers_are_failures_of_the_same_form(
        self, server: SentinelHubServer, shared_data: Path, tmp_path: Path
    ) -> None:
        file = shared_data / "http-sentinelhub" / "batch_stat_failed_results.json"
        failed, _, partial = (part.get("response") for part in json.loads(file.read_text(encoding="utf-8")))
        answers(server, failed, partial)
        result = opened(server, tmp_path).statistics(table(square(0), square(1)), FIRST, LAST, NDVI)
        assert dict(zip(result.rejected["item"], result.rejected["reason"], strict=True)) == {
            UIDS[0]: "the provider failed: FAILED",
            f"{UIDS[1]} 2020-06-09": "the provider failed: EXECUTION_ERROR",
        }
        [row] = result.observations.itertuples()
        assert (row.parcel_uid, row.mean) == (UIDS[1], pytest.approx(0.41071487963199604))


class TestRows:
    def test_reasons_are_those_of_observations(self, server: SentinelHubServer, tmp_path: Path) -> None:
        """100 pixels inside; samples outside the outline are counted as missing by the provider."""
        words = {"mean": "NaN", "stDev": "NaN", "percentiles": {"10.0": "NaN", "50.0": "NaN", "90.0": "NaN"}}
        answers(
            server,
            answer("2020-06-11", 130, 50),
            answer("2020-06-11", 130, 91),
            answer("2020-06-11", 130, 130, **words),
        )
        result = opened(server, tmp_path).statistics(table(*(square(number) for number in range(3))), FIRST, LAST, NDVI)
        rows = result.observations
        assert rows["pixels_effective"].tolist() == [80.0, 39.0, 0.0]
        assert rows["valid_frac"].tolist() == pytest.approx([0.8, 0.39, 0.0], abs=1e-3)
        assert rows["usable"].tolist() == [True, False, False]
        assert rows["reason"].tolist()[1:] == ["cloudy", "no_valid_pixels"]
        assert rows["p10"].tolist()[:2] == [0.3, 0.3]
        assert np.isnan(rows.loc[2, ["mean", "sd", "p10", "median", "p90"]].astype(float)).all()
        assert set(rows["source"]) == {"sentinelhub-cdse"}
        assert set(rows["buffer_m"]) == {5.0}

    def test_an_answer_without_days_or_indices_is_said(self, server: SentinelHubServer, tmp_path: Path) -> None:
        other = answer("2020-06-11")
        other["data"][0]["outputs"] = {"ndmi": other["data"][0]["outputs"]["ndvi"]}
        answers(server, {"data": [], "status": "OK"}, other)
        result = opened(server, tmp_path).statistics(table(square(0), square(1)), FIRST, LAST, NDVI)
        assert result.observations.empty
        assert result.rejected["item"].tolist() == list(UIDS[:2])
        assert result.rejected["reason"].iloc[0] == "no day in the answer"

    def test_a_parcel_too_small_is_not_paid_for(self, server: SentinelHubServer, tmp_path: Path) -> None:
        answers(server, answer("2020-06-11"))
        result = opened(server, tmp_path).statistics(table(square(0), square(1, 30.0)), FIRST, LAST, NDVI)
        assert len(server.asked("statistics")) == 1
        small = result.observations[result.observations["parcel_uid"] == UIDS[1]]
        assert small["reason"].tolist() == ["not_observable"] * 3, "on each day of imagery"
        assert not small["usable"].any()

    def test_without_imagery_nothing_is_asked(self, server: SentinelHubServer, tmp_path: Path) -> None:
        result = opened(server, tmp_path).statistics(table(square(0)), date(2020, 8, 1), date(2020, 8, 9), NDVI)
        assert result.observations.empty
        assert server.asked("statistics") == []

    def test_nonsense_costs_the_parcel(self, server: SentinelHubServer, tmp_path: Path) -> None:
        broken = {"data": [{"interval": {}}, *answer("2020-06-11")["data"]], "status": "OK"}
        answers(
            server,
            broken,
            ["what"],
            {"data": [{"interval": {"from": "2020-06-11T00:00:00Z"}, "outputs": {"ndvi": {}}}]},
        )
        result = opened(server, tmp_path).statistics(table(*(square(number) for number in range(3))), FIRST, LAST, NDVI)
        assert result.observations["parcel_uid"].tolist() == [UIDS[0]]
        assert result.rejected["item"].tolist() == list(UIDS)

    def test_a_refused_parcel_is_listed_and_the_others_go_on(self, server: SentinelHubServer, tmp_path: Path) -> None:
        answers(server, answer("2020-06-11"), answer("2020-06-11"))
        server.fault("statistics", reply=Reply({"error": {"message": "geometry too complex"}}, 400))
        result = opened(server, tmp_path).statistics(table(square(0), square(1)), FIRST, LAST, NDVI)
        assert len(result.observations) == 1
        assert "geometry too complex" in result.rejected["reason"].iloc[0]

    def test_nobody_served_is_an_error(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.fault("statistics", reply=Reply("no", 503), times=99)
        with pytest.raises(SourceError) as caught:
            opened(server, tmp_path).statistics(table(square(0), square(1)), FIRST, LAST, NDVI)
        assert caught.value.transient

    def test_the_budget_stops_it(self, server: SentinelHubServer, tmp_path: Path) -> None:
        answers(server, answer("2020-06-11"), answer("2020-06-11"))
        with pytest.raises(BudgetError):
            opened(server, tmp_path, limits=Limits(max_requests=3)).statistics(
                table(square(0), square(1)), FIRST, LAST, NDVI
            )
        assert len(server.received) <= 3


class TestRequest:
    def test_what_is_sent(self, server: SentinelHubServer, tmp_path: Path) -> None:
        answers(server, answer("2020-06-11"))
        source = opened(server, tmp_path)
        source.statistics(table(square(0)), FIRST, LAST, NDVI, ObservationOptions(buffer_m=5.0))
        [request] = server.asked("statistics")
        asked = request.json()
        ring = asked["input"]["bounds"]["geometry"]["coordinates"][0]
        assert {(round(x - LEFT, 1), round(y - BOTTOM, 1)) for x, y in ring} == {
            (205.0, 505.0), (305.0, 505.0), (305.0, 605.0), (205.0, 605.0),
        }  # fmt: skip
        assert asked["input"]["data"][0]["processing"]["harmonizeValues"] is False
        assert asked["aggregation"]["timeRange"] == {
            "from": "2020-06-01T01:00:00Z",
            "to": "2020-07-01T01:00:00Z",
        }, "solar days, to the hour"
        assert asked["aggregation"]["aggregationInterval"] == {"of": "P1D", "lastIntervalBehavior": "SHORTEN"}
        assert (asked["aggregation"]["resx"], asked["aggregation"]["resy"]) == (10.0, 10.0)
        assert asked["calculations"]["ndvi"]["statistics"]["default"]["percentiles"]["k"] == [10.0, 50.0, 90.0]
        for sent in server.received:
            assert "fatima" not in sent.everything.lower()
        assert source.remote.network.ledger is not None
        row = source.remote.network.ledger.table().iloc[-1]
        assert row["parcels"] == [UIDS[0]]
        assert row["estimated_pu"] == pytest.approx(0.01 * 3 / 3 * 2 * 3), "least area, 3 bands, 32 bits, 3 days"
        assert row["pu"] == pytest.approx(0.03)

    def test_outlines_stay_unless_the_region_says_so(self, server: SentinelHubServer, tmp_path: Path) -> None:
        with pytest.raises(PrivacyError, match="outlines: true"):
            opened(server, tmp_path, outlines=False).statistics(table(square(0)), FIRST, LAST, NDVI)
        assert server.received == []
