"""Pixels from Sentinel Hub, whatever happens on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from protocol_server import Reply
from pyproj import Transformer
from sentinelhub_server import CLIENT_ID, CLIENT_SECRET, CRS_CODE, SentinelHubServer, Tile, numbers

from agro.imagery import group_by_day, read_day
from agro.schema.errors import BudgetError, ConfigError, ContractError, NoDataError, PrivacyError, SourceError
from agro.schema.grid import CELL_M, Cells, Grid
from agro.schema.region import ImagerySpec, MaskOptions
from agro.schema.tables import validate
from agro.sources.imagery import ImagerySource, Remote, Scene, open_imagery
from agro.sources.imagery.sentinelhub.catalogue import Acquisition
from agro.sources.imagery.sentinelhub.source import SentinelHub
from agro.sources.net import Budget, Cache, Estimate, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits

FIRST, LAST = date(2021, 11, 1), date(2022, 3, 31)
CELLS = Cells(CRS_CODE, ((117, 684), (117, 685), (118, 684)))
PARCELS = {(117, 684): ("parcel-of-fatima",), (117, 685): ("parcel-of-ali",), (118, 684): ("parcel-of-fatima",)}
#: Over parts of all cells, and of one beside them that holds no parcel.
GRID = Grid(CRS_CODE, 118 * CELL_M - 400, 685 * CELL_M + 300, 10.0, 80, 60)
QUICK = RetryPolicy(
    attempts=4, first_wait_s=0.01, longest_wait_s=0.05, deadline_s=3.0, stall_s=1.0, circuit_failures=3,
    circuit_reset_s=60.0,
)  # fmt: skip
WEST, EAST, NORTH_AWAY = (100, 670, 118, 700), (118, 670, 140, 700), (100, 686, 118, 700)


def tile(product: str, moment: str, cells: tuple[int, int, int, int], **more: Any) -> Tile:
    left, bottom, right, top = (edge * CELL_M for edge in cells)
    to_degrees = Transformer.from_crs(CRS_CODE, "EPSG:4326", always_xy=True)
    return Tile(product, moment, cells, tuple(to_degrees.transform_bounds(left, bottom, right, top)), **more)


def product(sensed: str, baseline: str, name: str = "T29SPR", platform: str = "S2A", orbit: int = 137) -> str:
    return f"{platform}_MSIL2A_{sensed}_N{baseline}_R{orbit:03d}_{name}_{sensed}.SAFE"


#: Two passes of two tiles, before and after baseline 04.00, and one cloudy pass of one.
TILES = [
    tile(product("20211103T112141", "0301"), "2021-11-03T11:28:40Z", WEST),
    tile(product("20211103T112141", "0301", "T29SQR"), "2021-11-03T11:28:37Z", EAST),
    tile(product("20220303T111109", "0400", platform="S2B", orbit=37), "2022-03-03T11:18:11Z", WEST, cloud_pct=90.0),
    tile(product("20220308T112109", "0400"), "2022-03-08T11:28:44Z", WEST),
    tile(product("20220308T112109", "0400", "T29SQR"), "2022-03-08T11:28:41Z", EAST),
]


@pytest.fixture
def server() -> Iterator[SentinelHubServer]:
    running = SentinelHubServer(list(TILES))
    yield running
    running.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SH_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("SH_CLIENT_SECRET", CLIENT_SECRET)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("SH_PROFILE", raising=False)


def network(folder: Path, **more: Any) -> Network:
    limits = more.pop("limits", None)
    words = {uid for uids in PARCELS.values() for uid in uids} | {"Fatima Zahra"}
    return Network(
        Cache(folder / "cache"), Ledger(folder / "ledger.sqlite"), Budget(limits),
        OutboundGuard(words, more.pop("outlines", False)), region="haouz", policy=more.pop("policy", QUICK), **more,
    )  # fmt: skip


def opened(
    server: SentinelHubServer, net: Network, told: tuple[str, ...] = ("red", "nir"), **options: Any
) -> SentinelHub:
    options = {"url": server.url, "token_url": f"{server.url}/token", **options}
    source = open_imagery(
        ImagerySpec(kind="sentinelhub", options=options), Path(), Remote(net, CELLS, PARCELS, told)
    )  # fmt: skip
    assert isinstance(source, SentinelHub)
    return source


def expected(band: str, day: str, shift: int, grid: Grid = GRID, columns: tuple[int, int] = (100, 140)) -> np.ndarray:
    """What the tiles hold in the cells that hold parcels; NaN elsewhere."""
    east = np.arange(grid.width) + round(grid.left / 10)
    north = round(grid.top / 10) - 1 - np.arange(grid.height)
    values = numbers(band, day, east, north).astype("float64")
    if band != "SCL":
        values = np.maximum(values + shift, 1)
    cell_column, cell_row = east[None, :] // 512, north[:, None] // 512
    known = np.zeros(grid.shape, dtype=bool)
    for column, row in CELLS.members:
        known |= (cell_column == column) & (cell_row == row) & (columns[0] <= column < columns[1])
    return np.where(known, values, 0 if band == "SCL" else np.nan)


def everything(source: SentinelHub, days: int = 3) -> dict[str, Any]:
    """Cubes of the first days, as the pipeline makes them, and what was rejected."""
    found = source.search(FIRST, LAST)
    out: dict[str, Any] = {"rejected": len(found.rejected)}
    for day, scenes in list(group_by_day(found.scenes).items())[:days]:
        read = read_day(source, scenes, GRID, ["red", "nir"], MaskOptions())
        assert read.cube is not None, read.rejected.to_string()
        out[day.isoformat()] = {name: read.cube[name].values for name in ("red", "nir", "qa")}
        out["rejected"] += len(read.rejected)
    return out


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Without faults."""
    running = SentinelHubServer(list(TILES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SH_CLIENT_ID", CLIENT_ID)
        patch.setenv("SH_CLIENT_SECRET", CLIENT_SECRET)
        out = everything(opened(running, network(tmp_path_factory.mktemp("plain"))))
    running.close()
    assert out["rejected"] == 0
    return out


def assert_same(one: dict[str, Any], plain: dict[str, Any]) -> None:
    assert one["rejected"] == 0
    assert len(one) > 1
    for day, cube in one.items():
        if day != "rejected":
            for name, values in cube.items():
                np.testing.assert_array_equal(values, plain[day][name], err_msg=f"{day} {name}")


class TestSearch:
    def test_one_scene_a_pass(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        assert isinstance(source, ImagerySource)
        assert source.name == "sentinelhub-cdse"
        found = source.search(FIRST, LAST)
        assert validate(found.rejected, "rejected").empty
        assert [scene.date for scene in found.scenes] == [date(2021, 11, 3), date(2022, 3, 3), date(2022, 3, 8)]
        assert [scene.processing_baseline for scene in found.scenes] == ["03.01", "04.00", "04.00"]
        assert [scene.relative_orbit for scene in found.scenes] == [137, 37, 137]
        assert [scene.offset for scene in found.scenes] == [0.0, -1000.0, -1000.0]
        assert found.scenes[0].datatake == "S2A_20211103T112141"
        assert set(found.scenes[0].assets) == {"red", "nir", "scl"}
        assert len(server.asked("catalog")) == 3, "two products a page"
        assert len(server.asked("/token")) == 1

    def test_ends_count(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        assert [s.date for s in source.search(date(2022, 3, 3), date(2022, 3, 3)).scenes] == [date(2022, 3, 3)]
        assert source.search(date(2022, 3, 4), date(2022, 3, 7)).scenes == []

    def test_cloudy_products_are_not_asked_for(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path), max_cloud_frac=0.5)
        assert date(2022, 3, 3) not in {scene.date for scene in source.search(FIRST, LAST).scenes}

    def test_passes_beside_the_cells_are_none(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.tiles = [tile(TILES[0].product, TILES[0].moment, (100, 687, 140, 700))]
        source = opened(server, network(tmp_path))
        assert source.search(FIRST, LAST).scenes == []
        assert source.search(FIRST, LAST).rejected.empty

    def test_a_late_tile_makes_another_scene(self, server: SentinelHubServer, tmp_path: Path) -> None:
        late = server.tiles.pop()
        before = opened(server, network(tmp_path / "one")).search(FIRST, LAST).scenes[-1]
        server.tiles.append(late)
        after = opened(server, network(tmp_path / "two")).search(FIRST, LAST).scenes[-1]
        assert before.date == after.date
        assert before.scene_id != after.scene_id

    def test_a_product_twice_counts_once(self, server: SentinelHubServer, tmp_path: Path) -> None:
        plain = opened(server, network(tmp_path / "one")).search(FIRST, LAST)
        server.tiles = [server.tiles[0], *server.tiles, server.tiles[0]]
        twice = opened(server, network(tmp_path / "two")).search(FIRST, LAST)
        assert [s.scene_id for s in twice.scenes] == [s.scene_id for s in plain.scenes]

    def test_pages_in_a_circle_end_and_are_said(self, server: SentinelHubServer, tmp_path: Path) -> None:
        circle = {"features": [TILES[0].feature()], "context": {"next": 2}}
        server.fault("catalog", reply=Reply(circle), skip=1, times=50)
        found = opened(server, network(tmp_path)).search(FIRST, LAST)
        assert found.scenes, "what came before the circle is kept"
        assert found.rejected["reason"].str.contains("circle").any()
        assert len(server.asked("catalog")) < 6

    def test_an_empty_page_is_passed(self, server: SentinelHubServer, tmp_path: Path) -> None:
        plain = opened(server, network(tmp_path / "plain")).search(FIRST, LAST)
        server.fault("catalog", reply=Reply({"features": [], "context": {"next": 0}}))
        found = opened(server, network(tmp_path / "empty")).search(FIRST, LAST)
        assert found.scenes == plain.scenes
        assert found.rejected.empty

    def test_a_broken_item_costs_itself(self, server: SentinelHubServer, tmp_path: Path) -> None:
        page = {"features": [{"id": "broken"}, "nothing", TILES[0].feature()], "context": {}}
        server.fault("catalog", reply=Reply(page))
        found = opened(server, network(tmp_path)).search(FIRST, LAST)
        assert len(found.scenes) == 1
        assert list(found.rejected["item"]) == ["broken", "item"]


class TestRead:
    @pytest.mark.parametrize(("band", "native"), [("red", "B04"), ("nir", "B08"), ("scl", "SCL")])
    def test_numbers_come_as_they_are(self, server: SentinelHubServer, tmp_path: Path, band: str, native: str) -> None:
        source = opened(server, network(tmp_path))
        scenes = source.search(FIRST, LAST).scenes
        for scene, day, shift in ((scenes[0], "2021-11-03", 0), (scenes[2], "2022-03-08", 1000)):
            values = source.read(scene, band, GRID)
            assert values.dtype == ("uint8" if band == "scl" else "float64")
            np.testing.assert_array_equal(values, expected(native, day, shift))

    def test_reflectance_below_zero_stays(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.tiles = [t for t in TILES if "20220308" in t.product]
        source = opened(server, network(tmp_path), told=("coastal",))
        scene = source.search(FIRST, LAST).scenes[0]
        assert (
            np.nanmin(source.read(scene, "coastal", Grid(CRS_CODE, 118 * CELL_M, 685 * CELL_M, 10.0, 300, 300))) < 1000
        )

    def test_the_cube_is_reflectance_whatever_the_baseline(self, plain: dict[str, Any]) -> None:
        for day in ("2021-11-03", "2022-03-08"):
            truth = expected("B04", day, 1000) - 1000 if day > "2022" else expected("B04", day, 0)
            np.testing.assert_allclose(plain[day]["red"][0], truth / 1e4, rtol=1e-6, atol=1e-9)
            np.testing.assert_array_equal(plain[day]["qa"][0] & 1 == 1, np.isnan(truth))

    def test_two_runs_at_once_do_not_fetch_twice(self, server: SentinelHubServer, tmp_path: Path) -> None:
        sources = [opened(server, network(tmp_path)) for _ in range(3)]
        scene = sources[0].search(FIRST, LAST).scenes[0]
        with ThreadPoolExecutor() as pool:
            read = list(pool.map(lambda source: source.read(scene, "red", GRID), sources))
        for values in read:
            np.testing.assert_array_equal(values, expected("B04", "2021-11-03", 0))
        assert len(server.asked("process")) == 3, "three cells"

    def test_where_a_tile_ends_is_nodata_and_not_asked_for(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.tiles = [tile(TILES[0].product, TILES[0].moment, (100, 685, 118, 700))]
        source = opened(server, network(tmp_path))
        values = source.read(source.search(FIRST, LAST).scenes[0], "red", GRID)
        assert np.isfinite(values[:30, :40]).all()
        assert np.isnan(values[30:]).all()
        assert np.isnan(values[:, 40:]).all()

    def test_one_request_a_cell_for_all_bands(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        scene = source.search(FIRST, LAST).scenes[0]
        for band in ("scl", "red", "nir"):
            source.read(scene, band, GRID)
        assert len(server.asked("process")) == 3, "three cells"

    def test_only_cells_under_the_grid(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        source.read(source.search(FIRST, LAST).scenes[0], "red", Grid(CRS_CODE, 118 * CELL_M, 685 * CELL_M, 10.0, 5, 5))
        assert len(server.asked("process")) == 1
        elsewhere = Grid(CRS_CODE, 10 * CELL_M, 685 * CELL_M, 10.0, 5, 5)
        assert np.isnan(source.read(source.search(FIRST, LAST).scenes[0], "red", elsewhere)).all()
        assert len(server.asked("process")) == 1

    def test_a_band_not_told_costs_a_request_of_its_own(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path), told=())
        scene = source.search(FIRST, LAST).scenes[0]
        assert {"blue", "swir22", "nir09", "scl"} <= set(scene.assets), "all are offered when nobody said which"
        part = Grid(CRS_CODE, 118 * CELL_M, 685 * CELL_M, 10.0, 9, 7)
        for band in ("scl", "red", "nir", "rededge1", "swir16"):
            source.read(scene, band, part)
        assert len(server.asked("process")) == 1
        np.testing.assert_array_equal(source.read(scene, "swir22", part), expected("B12", "2021-11-03", 0, part))
        assert len(server.asked("process")) == 2

    def test_another_zone_takes_the_nearest_pixel(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        scene = source.search(FIRST, LAST).scenes[0]
        to_30 = Transformer.from_crs(CRS_CODE, "EPSG:32630", always_xy=True)
        x, y = to_30.transform(118 * CELL_M + 1000, 685 * CELL_M - 1000)
        turned = Grid("EPSG:32630", round(x), round(y), 10.0, 12, 9)
        values = source.read(scene, "red", turned)
        east, north = np.meshgrid(turned.left + 10 * (np.arange(12) + 0.5), turned.top - 10 * (np.arange(9) + 0.5))
        east, north = Transformer.from_crs("EPSG:32630", CRS_CODE, always_xy=True).transform(east, north)
        truth = [
            numbers("B04", "2021-11-03", np.array([int(e // 10)]), np.array([int(n // 10)]))[0, 0]
            for e, n in zip(east.ravel(), north.ravel(), strict=True)
        ]
        np.testing.assert_array_equal(values.ravel(), np.maximum(truth, 1))

    def test_baselines_that_meet_in_a_pass_are_harmonised(self, server: SentinelHubServer, tmp_path: Path) -> None:
        """The picture could hold numbers with and without the offset: the provider removes it."""
        server.tiles = [TILES[3], tile(product("20220308T112109", "0301", "T29SQR"), "2022-03-08T11:28:41Z", EAST)]
        source = opened(server, network(tmp_path))
        scene = source.search(FIRST, LAST).scenes[0]
        assert scene.offset == 0.0
        assert "offset removed by the provider" in scene.note
        values = source.read(scene, "red", GRID)
        truth = expected("B04", "2022-03-08", 0)
        np.testing.assert_array_equal(values, np.where(np.isnan(truth), np.nan, np.maximum(truth, 0)))

    def test_a_product_without_a_baseline_is_harmonised(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.tiles = [tile("0b1d-no-product-name", "2022-03-08T11:28:44Z", (100, 670, 140, 700))]
        source = opened(server, network(tmp_path))
        scene = source.search(FIRST, LAST).scenes[0]
        assert (scene.offset, scene.processing_baseline, scene.relative_orbit) == (0.0, None, None)
        body = server.asked("process") or [source.read(scene, "red", GRID), *server.asked("process")]
        assert body[-1].json()["input"]["data"][0]["processing"]["harmonizeValues"] is True

    def test_a_scene_of_another_source_or_no_band(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        with pytest.raises(ContractError, match="another source"):
            source.read(Scene("x", date(2022, 3, 8), "stac", {"red": "x"}), "red", GRID)
        with pytest.raises(ContractError, match="no band 'cirrus'"):
            source.read(source.search(FIRST, LAST).scenes[0], "cirrus", GRID)


class TestCost:
    def test_a_second_run_fetches_nothing(
        self, server: SentinelHubServer, tmp_path: Path, plain: dict[str, Any]
    ) -> None:
        assert_same(everything(opened(server, network(tmp_path))), plain)
        count = len(server.received)
        net = network(tmp_path)
        assert_same(everything(opened(server, net)), plain)
        assert len(server.received) == count
        assert net.budget.spent == Estimate()

    def test_estimate_before_and_ledger_after(self, server: SentinelHubServer, tmp_path: Path) -> None:
        net = network(tmp_path)
        source = opened(server, net)
        scenes = source.search(FIRST, LAST).scenes
        plan = source.estimate(scenes)
        assert plan.requests == 9, "three passes over three cells"
        everything(source)
        asked = len(server.asked("process"))
        assert plan.requests == asked
        assert plan.pu == pytest.approx(asked * 1.0), "three bands of a cell"
        assert source.estimate(scenes) == Estimate(), "all of it is kept now"
        assert net.ledger is not None
        table = net.ledger.table()
        assert table["requests"].sum() == len(server.received)
        assert table["pu"].sum() == pytest.approx(server.pu, abs=1e-4)
        assert net.budget.spent.pu == pytest.approx(server.pu, abs=1e-4)
        cells = table[table["piece"].str.contains("cell")]
        assert cells["pu_reported"].all()
        assert cells["estimated_pu"].sum() == pytest.approx(plan.pu)
        assert set(cells["parcels"].map(tuple)) == {("parcel-of-fatima",), ("parcel-of-ali",)}
        assert cells["mb"].sum() <= plan.mb

    def test_the_budget_stops_before_the_overrun(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path, limits=Limits(max_pu=2.5)))
        scene = source.search(FIRST, LAST).scenes[0]
        with pytest.raises(BudgetError, match=r"more than the 2\.5 allowed"):
            source.read(scene, "red", GRID)
        assert server.pu <= 2.5

    def test_offline_serves_what_it_has_and_says_what_it_lacks(
        self, server: SentinelHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = opened(server, network(tmp_path))
        scenes = source.search(FIRST, LAST).scenes
        values = source.read(scenes[0], "red", GRID)
        monkeypatch.delenv("SH_CLIENT_SECRET")
        count = len(server.received)
        offline = opened(server, network(tmp_path, offline=True))
        np.testing.assert_array_equal(offline.read(offline.search(FIRST, LAST).scenes[0], "red", GRID), values)
        with pytest.raises(NoDataError, match="2022-03-08 cell"):
            offline.read(scenes[2], "red", GRID)
        assert len(server.received) == count


HTML = Reply("<html>busy</html>", 200, {"Content-Type": "text/html"})
FAULTS: dict[str, dict[str, Any]] = {
    "429 in ms": {"reply": Reply({"error": "slow down"}, 429, {"Retry-After": "40"})},
    "500": {"reply": Reply({"error": "oops"}, 500)},
    "503": {"reply": Reply("no", 503, {"Content-Type": "text/plain"})},
    "cut": {"cut_after": 60},
    "html": {"reply": HTML},
    "corrupt": {"corrupt": slice(0, 40)},
}


class TestFaults:
    @pytest.mark.parametrize("path", ["/token", "catalog", "process"])
    @pytest.mark.parametrize("fault", sorted(FAULTS))
    def test_same_cube_as_without(
        self, server: SentinelHubServer, tmp_path: Path, plain: dict[str, Any], path: str, fault: str
    ) -> None:
        days, calls = (3, 9) if path == "process" else (1, 3)
        server.fault(path, times=2, **FAULTS[fault])
        net = network(tmp_path)
        began = time.monotonic()
        assert_same(everything(opened(server, net), days), plain)
        assert time.monotonic() - began < 20, "Retry-After is in milliseconds"
        assert sum(f.times for f in server.faults) == 0, "the faults were met"
        assert net.ledger is not None
        table = net.ledger.table()
        assert table["requests"].sum() == len(server.received)
        assert len(table) == 1 + 3 + calls, "a row a call, however often it was tried"
        if fault in ("cut", "corrupt"):
            assert table["pu"].sum() == pytest.approx(server.pu, abs=1e-4), "answers that came broken are charged too"

    def test_an_expired_token_is_renewed_once(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        scenes = source.search(FIRST, LAST).scenes
        server.expire()
        np.testing.assert_array_equal(source.read(scenes[0], "red", GRID), expected("B04", "2021-11-03", 0))
        assert server.issued == 2, "three requests were refused, and one new token served them all"

    def test_a_renewed_token_that_is_refused_ends_it(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        server.fault("catalog", reply=Reply({"error": "no"}, 403), times=50)
        with pytest.raises(SourceError, match=r"refuses \(403\)") as caught:
            source.search(FIRST, LAST)
        assert not caught.value.transient
        assert len(server.asked("catalog")) == 2

    def test_tokens_that_live_shortly_are_used_twice(self, server: SentinelHubServer, tmp_path: Path) -> None:
        server.lifetime_s = 60
        everything(opened(server, network(tmp_path)))
        assert server.issued == 1

    def test_slow_bytes_end_at_the_deadline(self, server: SentinelHubServer, tmp_path: Path) -> None:
        quick = RetryPolicy(attempts=3, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=0.6, stall_s=0.5)
        source = opened(server, network(tmp_path, policy=quick))
        scene = source.search(FIRST, LAST).scenes[0]
        server.fault("process", pause_s=0.05, times=50)
        with pytest.raises(SourceError, match=r"too slow|in time") as caught:
            source.read(scene, "red", GRID)
        assert caught.value.transient

    def test_the_circuit_opens(self, server: SentinelHubServer, tmp_path: Path) -> None:
        net = network(tmp_path)
        source = opened(server, net)
        scenes = source.search(FIRST, LAST).scenes
        server.fault("process", reply=Reply("no", 500), times=500)
        for scene in scenes:
            with pytest.raises(SourceError):
                source.read(scene, "red", GRID)
        count = len(server.received)
        with pytest.raises(SourceError, match="left alone"):
            source.read(scenes[0], "red", GRID)
        assert len(server.received) == count

    def test_a_lasting_refusal_is_told_in_the_providers_words(self, server: SentinelHubServer, tmp_path: Path) -> None:
        source = opened(server, network(tmp_path))
        scene = source.search(FIRST, LAST).scenes[0]
        server.fault(
            "process", reply=Reply({"error": {"reason": "Bad Request", "message": "no such band"}}, 400), times=9
        )
        with pytest.raises(SourceError, match="no such band"):
            source.read(scene, "red", GRID)


class TestPrivacy:
    def test_every_byte_sent(self, server: SentinelHubServer, tmp_path: Path) -> None:
        """Cells and rounded boxes; no id, no name, no position finer than a cell."""
        everything(opened(server, network(tmp_path)))
        assert len(server.received) == 1 + 3 + 9
        for request in server.received:
            said = request.everything.lower()
            for word in ("fatima", "parcel", "haouz", "polygon", "coordinates", "geometry", "intersects"):
                assert word not in said, f"{word}: {said[:400]}"
            assert (CLIENT_SECRET in said) == (request.path == "/token")
        for request in server.asked("process"):
            bounds = request.json()["input"]["bounds"]
            assert set(bounds) == {"bbox", "properties"}
            assert all(edge % CELL_M == 0 for edge in bounds["bbox"])
            assert tuple(int(edge // CELL_M) for edge in bounds["bbox"][:2]) in CELLS.members
        for request in server.asked("catalog"):
            assert all(abs(edge * 10 - round(edge * 10)) < 1e-9 for edge in request.json()["bbox"])

    def test_statistics_need_leave(self, server: SentinelHubServer, tmp_path: Path) -> None:
        import geopandas as gpd

        with pytest.raises(PrivacyError, match="outline"):
            opened(server, network(tmp_path)).statistics(gpd.GeoDataFrame(), FIRST, LAST, {})
        assert server.received == []


class TestAccount:
    @pytest.mark.parametrize(
        ("unset", "said"),
        [(("SH_CLIENT_SECRET",), "SH_CLIENT_SECRET not set"),
         (("SH_CLIENT_ID", "SH_CLIENT_SECRET"), "SH_CLIENT_ID and SH_CLIENT_SECRET not set")],
    )  # fmt: skip
    def test_missing_credentials_are_named(
        self,
        server: SentinelHubServer,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        unset: tuple[str, ...],
        said: str,
    ) -> None:
        for name in unset:
            monkeypatch.delenv(name)
        with pytest.raises(ConfigError, match=said):
            opened(server, network(tmp_path))
        assert server.received == []
        assert not (tmp_path / "settings" / "sentinelhub").exists(), "the package's file is not made"

    def test_the_users_profile_serves(
        self, server: SentinelHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SH_CLIENT_ID")
        monkeypatch.delenv("SH_CLIENT_SECRET")
        file = tmp_path / "settings" / "sentinelhub" / "config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(
            f'[farms]\nsh_client_id = "{CLIENT_ID}"\nsh_client_secret = "{CLIENT_SECRET}"\n', encoding="utf-8"
        )
        assert opened(server, network(tmp_path), profile="farms").search(FIRST, LAST).scenes
        with pytest.raises(ConfigError, match="profile cannot be read"):
            opened(server, network(tmp_path), profile="others")

    def test_wrong_credentials(
        self, server: SentinelHubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SH_CLIENT_SECRET", "outdated")
        with pytest.raises(SourceError, match="does not know the credentials") as caught:
            opened(server, network(tmp_path)).search(FIRST, LAST)
        assert "SH_CLIENT_SECRET" in caught.value.do
        assert "outdated" not in str(caught.value)

    @pytest.mark.parametrize(
        "options",
        [{"deployment": "mars"}, {"token_url": "http://elsewhere.example/token"}, {"url": "ftp://x"}, {"bands": ["B99"]},
         {"bands": []}, {"max_cloud_frac": 90}, {"max_cloud_frac": "all"}, {"tiles": 3}],
    )  # fmt: skip
    def test_wrong_options(self, server: SentinelHubServer, tmp_path: Path, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            opened(server, network(tmp_path), **options)

    def test_a_crs_that_the_provider_does_not_know(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="knows no CRS"):
            SentinelHub(Remote(network(tmp_path), Cells("+proj=utm +zone=29", ((117, 684),))))

    def test_deployments_have_their_own_circuit(self, server: SentinelHubServer, tmp_path: Path) -> None:
        net = network(tmp_path)
        commercial = opened(server, net, deployment="commercial")
        assert commercial.name == "sentinelhub"
        assert isinstance(commercial.search(FIRST, LAST).scenes[0], Acquisition)
        assert net.ledger is not None
        assert set(net.ledger.table()["provider"]) == {"sentinelhub", "sentinelhub-sign-in"}
