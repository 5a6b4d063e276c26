"""STAC APIs give the same scenes and numbers as the same files in a folder, also when they misbehave."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from protocol_server import ProtocolServer, Reply, file_reply
from rasterio.io import MemoryFile
from rasterio.transform import from_origin
from stac_server import StacServer

from agro.parcels import read_parcels
from agro.parcels.cells import cells_by_parcel
from agro.schema.crops import load_crops
from agro.schema.errors import BudgetError, ConfigError, NoDataError, SourceError
from agro.schema.grid import CELL_M, Cells, Grid
from agro.schema.region import ImagerySpec, load_region
from agro.sources.imagery import Remote, open_imagery
from agro.sources.imagery.raster import read_remote
from agro.sources.imagery.stac_folder import StacFolder
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard, RetryPolicy
from agro.sources.net.budget import Limits
from agro.sources.net.range_file import PIECE, RangeFile
from agro.water.tables import CROPS_FILE

CRS = "EPSG:32629"
START, END = date(2022, 3, 1), date(2022, 4, 11)
QUICK = RetryPolicy(
    attempts=4, first_wait_s=0.01, longest_wait_s=0.05, deadline_s=3.0, stall_s=2.0, circuit_failures=50
)


@pytest.fixture(scope="module")
def parcels(sample_tiles: Path) -> gpd.GeoDataFrame:
    region = load_region(sample_tiles)
    return read_parcels(region.parcels, region.folder, set(load_crops(CROPS_FILE))).parcels


@pytest.fixture
def server(sample_tiles: Path) -> Iterator[StacServer]:
    made = StacServer(sample_tiles / "imagery")
    yield made
    made.close()


def source_of(server: StacServer, parcels: gpd.GeoDataFrame, folder: Path, kind: str = "earth-search", **more):
    limits, offline = more.pop("limits", None), more.pop("offline", False)
    network = Network(
        Cache(folder / "cache"), Ledger(folder / "requests.sqlite"), Budget(limits or Limits()),
        OutboundGuard(set(parcels["parcel_uid"])), "region", offline, QUICK,
    )  # fmt: skip
    served = cells_by_parcel(parcels, CRS, 300.0)
    remote = Remote(network, Cells(CRS, tuple(served)), {cell: tuple(uids) for cell, uids in served.items()})
    return open_imagery(ImagerySpec(kind=kind, options={"url": f"{server.url}/v1", **more}), folder, remote)


def first_item(sample_tiles: Path) -> Path:
    return min(path for path in (sample_tiles / "imagery").rglob("*.json") if path.name != "collection.json")


def grid_of(parcels: gpd.GeoDataFrame) -> Grid:
    left, bottom, right, top = parcels.to_crs(CRS).total_bounds
    return Grid.covering((left - 300, bottom - 300, right + 300, top + 300), CRS, 10.0)


def same_numbers(source, local: StacFolder, grid: Grid, count: int = 2) -> None:
    theirs, ours = source.search(START, END).scenes, local.search(START, END).scenes
    assert [s.scene_id for s in theirs] == [s.scene_id for s in ours] and len(theirs) > count
    for remote_scene, local_scene in list(zip(theirs, ours, strict=True))[:count]:
        for band in ("red", "scl"):
            got, expected = source.read(remote_scene, band, grid), local.read(local_scene, band, grid)
            np.testing.assert_array_equal(got, expected)
            assert np.isfinite(got).any()


def test_same_scenes_and_numbers_as_the_folder_and_nothing_twice(server, parcels, sample_tiles, tmp_path):
    local, grid = StacFolder(sample_tiles / "imagery"), grid_of(parcels)
    same_numbers(source_of(server, parcels, tmp_path), local, grid)
    pages = len(server.asked("/v1/search"))
    assert pages > 1, "the search has to be paged to be tested"
    before = len(server.received)
    again = source_of(server, parcels, tmp_path)
    same_numbers(again, local, grid)
    assert len(server.received) == before, "a second run asked for what it has"
    assert again.remote.network.budget.spent.requests == 0


def test_offline_serves_what_it_has_and_says_what_it_lacks(server, parcels, sample_tiles, tmp_path):
    local, grid = StacFolder(sample_tiles / "imagery"), grid_of(parcels)
    same_numbers(source_of(server, parcels, tmp_path), local, grid, count=1)
    before = len(server.received)
    offline = source_of(server, parcels, tmp_path, offline=True)
    same_numbers(offline, local, grid, count=1)
    scenes = offline.search(START, END).scenes
    with pytest.raises(NoDataError, match=f"{scenes[1].date} red"):
        offline.read(scenes[1], "red", grid)
    assert len(server.received) == before


@pytest.mark.parametrize(
    "fault",
    [
        {"reply": Reply("", 429, {"Retry-After": "0"})},
        {"reply": Reply("", 500)},
        {"reply": Reply("<html>busy</html>", 503, {"Content-Type": "text/html"})},
        {"reply": Reply("<html>hello</html>", 200, {"Content-Type": "text/html"})},
        {"cut_after": 100},
    ],
    ids=["429", "500", "503", "html", "cut"],
)
@pytest.mark.parametrize("path", ["/v1/search", "/cog/"])
def test_faults_that_pass_change_nothing(server, parcels, sample_tiles, tmp_path, fault, path):
    server.fault(path, times=2, skip=1, **fault)
    same_numbers(source_of(server, parcels, tmp_path), StacFolder(sample_tiles / "imagery"), grid_of(parcels), count=1)
    assert sum(f.times for f in server.faults) == 0, "the fault was never met"


def test_a_block_damaged_on_the_way_is_fetched_again(server, parcels, sample_tiles, tmp_path):
    server.fault("/cog/", corrupt=slice(2000, 6000))
    same_numbers(source_of(server, parcels, tmp_path), StacFolder(sample_tiles / "imagery"), grid_of(parcels), count=1)
    assert len({r.path for r in server.asked("/cog/")}) < len(server.asked("/cog/")), "nothing was fetched again"


def test_a_file_damaged_at_the_provider_is_said_and_not_kept(server, parcels, tmp_path):
    source = source_of(server, parcels, tmp_path)
    scene = source.search(START, END).scenes[0]
    server.fault("/cog/", times=99, corrupt=slice(2000, 6000))
    with pytest.raises(SourceError, match="damaged"):
        source.read(scene, "red", grid_of(parcels))
    server.faults.clear()
    assert np.isfinite(source.read(scene, "red", grid_of(parcels))).any()


def test_slow_bytes_end_at_the_deadline(server, parcels, tmp_path):
    source = source_of(server, parcels, tmp_path)
    scene = source.search(START, END).scenes[0]
    server.fault("/cog/", times=99, pause_s=0.05)
    with pytest.raises(SourceError, match="too slow") as told:
        source.read(scene, "red", grid_of(parcels))
    assert told.value.transient


def test_signature_that_runs_out_in_the_middle_of_a_read_is_renewed_once(sample_tiles, parcels, tmp_path):
    server = StacServer(sample_tiles / "imagery", signed=True)
    try:
        source = source_of(server, parcels, tmp_path, "planetary-computer", signing_url=f"{server.url}/sas")
        scenes = source.search(START, END).scenes
        grid = grid_of(parcels)
        first = source.read(scenes[0], "red", grid)
        server.tokens += 1  # what was given is void now
        second = source.read(scenes[0], "nir", grid)
        assert np.isfinite(first).any() and np.isfinite(second).any() and server.tokens == 3
        assert sum(bool(r.query.get("sig")) for r in server.asked("/cog/")) == len(server.asked("/cog/"))
        # No signature is kept in the ledger, nor asked for on a second run.
        assert "sig=" not in source.remote.network.ledger.table().to_csv()
    finally:
        server.close()


def test_storage_keys_are_asked_for_and_sign_the_request(server, parcels, tmp_path, monkeypatch):
    monkeypatch.delenv("CDSE_S3_ACCESS_KEY_ID", raising=False)
    with pytest.raises(ConfigError, match="CDSE_S3_ACCESS_KEY_ID"):
        source_of(server, parcels, tmp_path, "cdse-stac", storage_url=server.url)
    monkeypatch.setenv("CDSE_S3_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("CDSE_S3_SECRET_ACCESS_KEY", "secret")
    for item in server.items:
        for asset in item["assets"].values():
            asset["href"] = asset["href"].replace(f"{server.url}/cog/", "s3://cog/")
    source = source_of(server, parcels, tmp_path, "cdse-stac", storage_url=server.url)
    scene = source.search(START, END).scenes[0]
    assert np.isfinite(source.read(scene, "red", grid_of(parcels))).any()
    request = server.asked("/cog/")[0]
    assert request.query["X-Amz-Credential"].startswith("me/") and len(request.query["X-Amz-Signature"]) == 64
    assert not any("secret" in r.everything for r in server.received)


def test_offline_what_is_kept_of_the_storage_needs_no_keys(server, parcels, tmp_path, monkeypatch):
    monkeypatch.setenv("CDSE_S3_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("CDSE_S3_SECRET_ACCESS_KEY", "secret")
    for item in server.items:
        for asset in item["assets"].values():
            asset["href"] = asset["href"].replace(f"{server.url}/cog/", "s3://cog/")
    grid = grid_of(parcels)
    source = source_of(server, parcels, tmp_path, "cdse-stac", storage_url=server.url)
    expected = source.read(source.search(START, END).scenes[0], "red", grid)
    monkeypatch.delenv("CDSE_S3_ACCESS_KEY_ID")
    monkeypatch.delenv("CDSE_S3_SECRET_ACCESS_KEY")
    offline = source_of(server, parcels, tmp_path, "cdse-stac", storage_url=server.url, offline=True)
    np.testing.assert_array_equal(offline.read(offline.search(START, END).scenes[0], "red", grid), expected)


@pytest.mark.parametrize("told", [{"detail": "busy"}, [], {"token": None}, {"token": "sig=1", "msft:expiry": "soon"}])
def test_a_signing_service_that_gives_no_token_is_a_failure_that_may_pass(sample_tiles, parcels, tmp_path, told):
    server = StacServer(sample_tiles / "imagery", signed=True)
    try:
        server.route("/sas/token/", told)
        source = source_of(server, parcels, tmp_path, "planetary-computer", signing_url=f"{server.url}/sas")
        scene = source.search(START, END).scenes[0]
        with pytest.raises(SourceError, match="token") as raised:
            source.read(scene, "red", grid_of(parcels))
        assert raised.value.transient
    finally:
        server.close()


def test_a_file_that_was_replaced_at_the_provider_is_fetched_anew(parcels, tmp_path):
    grid = grid_of(parcels)
    rng = np.random.default_rng(1)

    def written(height: int) -> bytes:
        profile = {"driver": "GTiff", "width": grid.width, "height": height, "count": 1, "dtype": "int32"}
        with MemoryFile() as memory:
            with memory.open(
                crs=grid.crs, transform=from_origin(grid.left, grid.top, 10, 10), nodata=0, **profile
            ) as out:
                out.write(rng.integers(1, 9000, (height, grid.width)).astype("int32"), 1)
            return memory.read()

    old, new = written(grid.height), written(grid.height + 1)
    assert len(old) > 2 * PIECE, "the pixels have to lie in another piece than the header"
    server = ProtocolServer()
    try:
        server.route("/file.tif", lambda request: file_reply(request, old, '"old"'))
        network = Network(Cache(tmp_path / "cache"), policy=QUICK)
        RangeFile(network.client("p"), f"{server.url}/file.tif").open()
        server.route("/file.tif", lambda request: file_reply(request, new, '"new"'))
        whole = [(slice(0, grid.height), slice(0, grid.width))]
        got = read_remote(RangeFile(network.client("p"), f"{server.url}/file.tif"), grid, whole)
    finally:
        server.close()
    with MemoryFile(new) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(got, dataset.read(1)[: grid.height])


def test_other_sensors_and_levels_in_the_answer_are_left_out_by_name(server, parcels, tmp_path):
    expected = source_of(server, parcels, tmp_path / "a").search(START, END)
    one = next(item for item in server.items if item["id"] == expected.scenes[0].scene_id)
    landsat, raw = copy.deepcopy(one), copy.deepcopy(one)
    landsat["id"], landsat["properties"]["platform"] = "LC09_L2SP_202038_20220320_02_T1", "landsat-9"
    raw["id"], raw["collection"] = "S2A_29SPR_20220320_0_L1C", "sentinel-2-l1c"
    server.items = [*server.items, landsat, raw]
    found = source_of(server, parcels, tmp_path / "b").search(START, END)
    assert [s.scene_id for s in found.scenes] == [s.scene_id for s in expected.scenes]
    told = found.rejected.set_index("item")["reason"]
    assert "landsat-9" in told[landsat["id"]] and "top of the atmosphere" in told[raw["id"]]


def test_jpeg2000_is_read_in_parts(parcels, sample_tiles, tmp_path):
    import json

    import rasterio

    folder = tmp_path / "jp2"
    folder.mkdir()
    path = first_item(sample_tiles)
    item = json.loads(path.read_text())
    href = item["assets"]["red"]["href"]
    with rasterio.open((path.parent / href).resolve()) as cog:
        numbers, profile = cog.read(1), cog.profile
    big = np.tile(numbers, (4, 4))
    keep = {key: profile[key] for key in ("crs", "transform", "dtype", "nodata")}
    with rasterio.open(
        folder / "B04_10m.jp2", "w", driver="JP2OpenJPEG", width=big.shape[1], height=big.shape[0], count=1,
        QUALITY=100, REVERSIBLE="YES", BLOCKXSIZE=256, BLOCKYSIZE=256, **keep,
    ) as out:  # fmt: skip
        out.write(big, 1)
    item["assets"] = {"red": {"href": "B04_10m.jp2", "type": "image/jp2"}}
    (folder / "item.json").write_text(json.dumps(item))
    server = StacServer(folder)
    try:
        day = date.fromisoformat(item["properties"]["datetime"][:10])
        source = source_of(server, parcels, tmp_path)
        (scene,) = source.search(day, day).scenes
        (local,) = StacFolder(folder).search(day, day).scenes
        grid = grid_of(parcels)
        got = source.read(scene, "red", grid)
        whole = StacFolder(folder).read(local, "red", grid)
        for rows, columns in source.remote.cells.windows(grid):
            np.testing.assert_array_equal(got[rows, columns], whole[rows, columns])
        assert np.isfinite(got).any()
    finally:
        server.close()


def test_a_next_link_that_leads_back_ends_the_search_and_is_said(server, parcels, tmp_path):
    first = server._search

    def looping(request):
        reply = first(request)
        reply.body["links"] = [
            {"rel": "next", "method": "POST", "href": f"{server.url}/v1/search", "body": {"token": 0}, "merge": True}
        ]
        return reply

    server.route("/v1/search", looping)
    found = source_of(server, parcels, tmp_path).search(START, END)
    assert len(found.scenes) == server.page
    assert "leads back" in found.rejected["reason"].iloc[0]


def test_a_next_link_to_another_host_is_not_followed(server, parcels, tmp_path):
    first = server._search

    def elsewhere(request):
        reply = first(request)
        reply.body["links"] = [
            {"rel": "next", "method": "POST", "href": "http://localhost:1/v1/search", "body": {"token": 3}}
        ]
        return reply

    server.route("/v1/search", elsewhere)
    found = source_of(server, parcels, tmp_path).search(START, END)
    assert len(found.scenes) == server.page and "another host" in found.rejected["reason"].iloc[0]


def test_an_item_that_comes_twice_counts_once_and_an_empty_page_ends(server, parcels, tmp_path):
    expected = source_of(server, parcels, tmp_path / "a").search(START, END)
    server.items = [*server.items, *server.items[:20]]
    twice = source_of(server, parcels, tmp_path / "b").search(START, END)
    assert [s.scene_id for s in twice.scenes] == [s.scene_id for s in expected.scenes]
    server.route(
        "/v1/search",
        {
            "type": "FeatureCollection",
            "features": [],
            "links": [{"rel": "next", "href": f"{server.url}/v1/search?page=2"}],
        },
    )
    assert not source_of(server, parcels, tmp_path / "c").search(START, END).scenes


def test_what_leaves_shows_no_parcel(server, parcels, tmp_path):
    source = source_of(server, parcels, tmp_path)
    source.read(source.search(START, END).scenes[0], "red", grid_of(parcels))
    sent = "\n".join(request.everything for request in server.received)
    assert not [uid for uid in parcels["parcel_uid"] if str(uid) in sent]
    for request in server.asked("/v1/search"):
        assert all(abs(number * 10 - round(number * 10)) < 1e-9 for number in request.json()["bbox"])
    for outline in parcels.geometry:
        for x, y in outline.convex_hull.exterior.coords:
            assert f"{x:.4f}" not in sent and f"{y:.4f}" not in sent


def test_only_parts_under_the_cells_are_fetched(parcels, sample_tiles, tmp_path):
    import json

    import rasterio

    folder = tmp_path / "tile"
    folder.mkdir()
    path = first_item(sample_tiles)
    item = json.loads(path.read_text())
    with rasterio.open((path.parent / item["assets"]["red"]["href"]).resolve()) as cog:
        crs, transform = cog.crs, cog.transform
    size = 5120
    numbers = np.random.default_rng(1).integers(1, 9000, (size, size)).astype("uint16")
    with rasterio.open(
        folder / "B04.tif", "w", driver="COG", width=size, height=size, count=1, dtype="uint16", crs=crs, nodata=0,
        transform=transform, BLOCKSIZE=512, COMPRESS="DEFLATE", OVERVIEWS="NONE",
    ) as out:  # fmt: skip
        out.write(numbers, 1)
    item["assets"] = {"red": {"href": "B04.tif", "type": "image/tiff; application=geotiff"}}
    (folder / "item.json").write_text(json.dumps(item))
    server = StacServer(folder)
    try:
        day = date.fromisoformat(item["properties"]["datetime"][:10])
        source = source_of(server, parcels, tmp_path)
        (scene,) = source.search(day, day).scenes
        got = source.read(scene, "red", grid_of(parcels))
        assert np.isfinite(got).any()
        whole = (folder / "B04.tif").stat().st_size
        spent = source.remote.network.ledger.table()
        assert spent["mb"].sum() * 1e6 < whole / 10
    finally:
        server.close()


def test_the_budget_stops_before_it_is_passed(server, parcels, tmp_path):
    source = source_of(server, parcels, tmp_path, limits=Limits(max_requests=3))
    scenes = source.search(START, END).scenes if server.page > 60 else None
    with pytest.raises(BudgetError, match="max-requests"):
        for scene in scenes or source.search(START, END).scenes:
            source.read(scene, "red", grid_of(parcels))
    assert len(server.received) == 3


def test_cells_cover_each_parcel(parcels):
    cells = Cells(CRS, tuple(cells_by_parcel(parcels, CRS, 300.0)))
    grid = grid_of(parcels)
    covered = np.zeros(grid.shape, dtype=bool)
    for rows, columns in cells.windows(grid):
        assert not covered[rows, columns].any()
        covered[rows, columns] = True
    for outline in parcels.to_crs(CRS).geometry:
        left, bottom, right, top = outline.bounds
        rows = slice(int((grid.top - top) // 10), int((grid.top - bottom) // 10) + 1)
        columns = slice(int((left - grid.left) // 10), int((right - grid.left) // 10) + 1)
        assert covered[rows, columns].all()
    assert all(cells.grid(member, 10.0).shape == (512, 512) for member in cells.members) and CELL_M == 5120
