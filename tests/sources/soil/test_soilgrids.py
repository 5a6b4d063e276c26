"""SoilGrids by tiles: values, errors, gaps, outages, and what the provider learns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from protocol_server import Reply
from pyproj import Transformer
from quick_policy import QUICK
from shapely.affinity import translate
from shapely.geometry import box
from soilgrids_server import CRS, SIDE, SoilGridsServer, even

from agro.schema.crops import load_textures
from agro.schema.errors import BudgetError, ConfigError, SourceError
from agro.schema.region import SoilSpec
from agro.sources.net import Budget, Cache, Ledger, Network, OutboundGuard
from agro.sources.net.budget import Limits
from agro.sources.soil import SoilResult, load_soil, plan_soil, probe_soil
from agro.sources.soil.pedotransfer import FC_ERROR_M3_M3, WP_ERROR_M3_M3, saxton_rawls
from agro.water.tables import SOILS_FILE

TEXTURES = load_textures(SOILS_FILE)
TO_MAP = Transformer.from_crs("EPSG:4326", CRS, always_xy=True).transform
FROM_MAP = Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform
#: South-west corner of a pixel near Marrakech, in the middle of a tile.
X0, Y0 = (round(metres / 250) * 250 for metres in TO_MAP(-7.95, 31.65))
UID = "parcel-0a1b"


@pytest.fixture
def server() -> Iterator[SoilGridsServer]:
    running = SoilGridsServer(X0, Y0)
    yield running
    running.close()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    made = online(tmp_path)
    yield made
    made.close()


def online(folder: Path, **more: Any) -> Network:
    return Network(cache=Cache(folder / "cache"), guard=OutboundGuard([UID, "parcel-0c2d"]), policy=QUICK, **more)


def field(left: float, bottom: float, wide: float, high: float) -> Any:
    """A rectangle on the maps, metres from the corner of a pixel, as an outline in degrees."""
    outline = box(X0 + left, Y0 + bottom, X0 + left + wide, Y0 + bottom + high).segmentize(20)
    return shapely.transform(outline, FROM_MAP, interleaved=False)


def parcels(*shapes: Any) -> gpd.GeoDataFrame:
    names = [UID, "parcel-0c2d", "parcel-0e3f"][: len(shapes)]
    return gpd.GeoDataFrame({"parcel_uid": names}, geometry=list(shapes), crs="EPSG:4326")


def load(server: SoilGridsServer, network: Network | None, table: gpd.GeoDataFrame, **options: str) -> SoilResult:
    specs = [
        SoilSpec(kind="soilgrids", options={"url": server.folder, **options}), SoilSpec(kind="texture", texture="loam")
    ]  # fmt: skip
    return load_soil(specs, Path(), table, TEXTURES, network)


ONE = parcels(field(60, 60, 100, 100))


def test_six_layers_with_error_and_stones(server: SoilGridsServer, network: Network) -> None:
    done = load(server, network, ONE)
    soil = done.soil
    assert done.rejected.empty
    assert soil["source"].unique().tolist() == ["soilgrids"]
    assert soil["source_reason"].isna().all()
    assert soil["top_m"].tolist() == [0.0, 0.05, 0.15, 0.3, 0.6, 1.0]
    assert soil["bottom_m"].tolist() == [0.05, 0.15, 0.3, 0.6, 1.0, 2.0]
    assert soil["fc_m3_m3"].to_numpy() == pytest.approx(0.28)
    assert soil["wp_m3_m3"].to_numpy() == pytest.approx(0.13)
    assert soil["fc_sd_m3_m3"].to_numpy() == pytest.approx(0.160 / 3.29)
    assert soil["stones_frac"].to_numpy() == pytest.approx(0.12)


def test_a_field_takes_each_pixel_by_the_area_it_covers(server: SoilGridsServer, network: Network) -> None:
    def stripes(layer: str, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return even(layer, columns, rows) + (40 * (columns - X0 / 250) if "wv0033" in layer else 0)

    server.ground = stripes
    # 50 m on pixel -1, 100 m on pixel 0; the second lies whole on pixel 2.
    done = load(server, network, parcels(field(-50, 10, 150, 40), field(510, 10, 100, 100)))
    fc = done.soil.groupby("parcel_uid")["fc_m3_m3"].first()
    assert fc[UID] == pytest.approx(0.28 - 0.04 / 3, abs=2e-5)
    assert fc["parcel-0c2d"] == pytest.approx(0.36)


def test_rows_of_the_map_run_south(server: SoilGridsServer, network: Network) -> None:
    server.ground = lambda layer, c, r: even(layer, c, r) + (20 * (r - Y0 / 250) if "wv0033" in layer else 0)
    done = load(server, network, parcels(field(60, 310, 100, 100)))
    assert done.soil["fc_m3_m3"].to_numpy() == pytest.approx(0.30)


def test_layers_differ(server: SoilGridsServer, network: Network) -> None:
    depths = ["0-5cm", "5-15cm", "15-30cm", "30-60cm", "60-100cm", "100-200cm"]
    server.ground = lambda layer, c, r: even(layer, c, r) + 5 * depths.index(layer.split("_")[1])
    found = load(server, network, ONE).soil
    assert found["wp_m3_m3"].to_numpy() == pytest.approx(0.13 + 0.005 * np.arange(6))
    assert found["fc_sd_m3_m3"].to_numpy() == pytest.approx(0.160 / 3.29)


def test_what_lies_on_no_soil_takes_the_next_link(server: SoilGridsServer, network: Network) -> None:
    """A lake in column 2; the first parcel keeps two thirds of itself on soil, the second none."""
    server.ground = lambda layer, c, r: np.where(c == X0 / 250 + 2, -32768, even(layer, c, r))
    done = load(server, network, parcels(field(400, 10, 150, 40), field(510, 10, 100, 100)))
    assert done.soil.groupby("parcel_uid")["source"].first().to_dict() == {
        UID: "soilgrids", "parcel-0c2d": "texture_default:loam",
    }  # fmt: skip
    second = done.soil[done.soil["parcel_uid"] == "parcel-0c2d"]
    assert "no value on the maps" in second["source_reason"].iloc[0]
    assert done.soil.loc[done.soil["parcel_uid"] == UID, "fc_m3_m3"].to_numpy() == pytest.approx(0.28)
    assert done.rejected["item"].tolist() == ["soilgrids parcel parcel-0c2d"]


def test_far_from_all_tiles(server: SoilGridsServer, network: Network) -> None:
    done = load(server, network, parcels(translate(ONE.geometry[0], 5.0)))
    assert done.soil["source"].tolist() == ["texture_default:loam"]
    assert "outside" in done.soil["source_reason"].iloc[0]


def test_without_maps_of_water_texture_serves(network: Network) -> None:
    server = SoilGridsServer(X0, Y0, properties=("clay", "sand", "soc", "cfvo"))
    try:
        done = load(server, network, ONE)
        fc, wp = saxton_rawls(np.array([0.41]), np.array([0.21]), np.array([0.87 * 1.724]))
        assert done.soil["source"].unique().tolist() == ["soilgrids:pedotransfer"]
        assert done.soil["fc_m3_m3"].to_numpy() == pytest.approx(fc[0])
        assert done.soil["wp_m3_m3"].to_numpy() == pytest.approx(wp[0])
        assert done.soil["fc_sd_m3_m3"].unique().tolist() == [FC_ERROR_M3_M3]
        assert done.soil["wp_sd_m3_m3"].unique().tolist() == [WP_ERROR_M3_M3]
        assert "no maps of water retention" in done.soil["source_reason"].iloc[0]
        only_maps = load(server, network, ONE, method="maps")
        assert only_maps.soil["source"].tolist() == ["texture_default:loam"]
        assert "404" in only_maps.rejected["reason"].iloc[0]
    finally:
        server.close()


def test_an_outage_is_for_the_next_link_and_is_said(server: SoilGridsServer, network: Network) -> None:
    server.fault("", reply=Reply("<html>maintenance</html>", 200, {"Content-Type": "text/html"}), times=99)
    done = load(server, network, ONE)
    assert done.soil["source"].tolist() == ["texture_default:loam"]
    assert "soilgrids" in done.soil["source_reason"].iloc[0]
    assert "a web page instead of data" in done.rejected["reason"].iloc[0]
    server.faults.clear()
    assert load(server, network, ONE).soil["source"].unique().tolist() == ["soilgrids"]


@pytest.mark.parametrize(
    "fault",
    [{"reply": Reply("busy", 503)}, {"reply": Reply("slow", 429, {"Retry-After": "0.01"})}, {"cut_after": 200},
     {"reply": Reply("<html>", 200, {"Content-Type": "text/html"})}, {"reply": Reply("not a map")},
     {"corrupt": slice(-60, -1)}],
)  # fmt: skip
@pytest.mark.parametrize("path", ["wv0033_0-5cm_mean.vrt", "wv1500_30-60cm_mean/"])
def test_faults_that_pass_change_nothing(
    server: SoilGridsServer, network: Network, fault: dict[str, Any], path: str
) -> None:
    if "corrupt" in fault and path.endswith("vrt"):
        fault = {"corrupt": slice(0, 100)}
    server.fault(path, **fault)
    done = load(server, network, ONE)
    assert done.rejected.empty
    assert done.soil["wp_m3_m3"].to_numpy() == pytest.approx(0.13)
    assert not [f for f in server.faults if f.times], "the fault was met"


def test_a_tile_damaged_at_the_provider(server: SoilGridsServer, network: Network) -> None:
    server.fault("wv1500_30-60cm_mean/", corrupt=slice(-60, -1), times=99)
    done = load(server, network, ONE)
    assert done.soil["source"].tolist() == ["texture_default:loam"]
    assert "damaged, also when fetched again" in done.rejected["reason"].iloc[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [("<VRTDataset", "<!DOCTYPE x [<!ENTITY a 'b'>]><VRTDataset"), ("wv0033_0-5cm_mean/tile", "../../secret/tile"),
     ("wv0033_0-5cm_mean/tile", "http://elsewhere.example/tile"), ("Homolosine", "Mercator"), ("2.5e+02", "x"),
     ("</VRTDataset>", "")],
)  # fmt: skip
def test_a_list_that_cannot_be_trusted_is_not_followed(
    server: SoilGridsServer, network: Network, old: str, new: str
) -> None:
    text = server.vrt("wv0033_0-5cm_mean").replace(old, new)
    server.route("/data/wv0033/wv0033_0-5cm_mean.vrt", lambda _: Reply(text))
    done = load(server, network, ONE, method="maps")
    assert done.soil["source"].tolist() == ["texture_default:loam"]
    assert "list of tiles" in done.rejected["reason"].iloc[0]
    assert not [request for request in server.asked() if request.path.endswith(".tif")]


def test_a_layer_that_is_cut_otherwise_has_its_own_list(server: SoilGridsServer, network: Network) -> None:
    layer = "wv1500_60-100cm_Q0.95"
    server.lists[layer] = {f"other/{name.split('/')[1]}": place for name, place in server.tiles.items()}
    done = load(server, network, ONE)
    assert done.soil["source"].unique().tolist() == ["soilgrids"]
    assert len(server.asked(f"{layer}.vrt")) == 1


def test_a_coarse_tile_speaks_only_where_no_finer_one_lies(server: SoilGridsServer, network: Network) -> None:
    """Some tiles are published much coarser than the others and reach over them."""
    name = next(iter(server.tiles))
    column, row = server.tiles[name][:2]
    coarse = {"coarse/coarse_1-1.tif": (column - 3 * SIDE, row - SIDE, 15, 15000.0)}
    server.lists[""] = {**coarse, **server.tiles}
    server.ground = lambda layer, c, r: even(layer, c, r) + (100 if c.size == 225 and "wv0033" in layer else 0)
    far = field(-250.0 * SIDE * 2, 60, 100, 100)
    done = load(server, network, parcels(ONE.geometry[0], far))
    fc = done.soil.groupby("parcel_uid")["fc_m3_m3"].first()
    assert fc[UID] == pytest.approx(0.28)
    assert fc["parcel-0c2d"] == pytest.approx(0.38)


def test_what_leaves_shows_no_more_than_a_tile(server: SoilGridsServer, network: Network) -> None:
    """Another parcel in the same box of 0.1 degree gives the very same requests."""
    load(server, network, ONE)
    first = [request.everything for request in server.asked()]
    assert len(first) == 3 + 6 * 7  # lists of three properties; 2 x (mean and two quantiles) and stones, by depth
    for text in first:
        assert UID not in text
        # Tiles' numbers and depths; no decimal number of any position.
        path = text.splitlines()[0].split()[1]
        assert re.fullmatch(
            r"/data/\w+/\w+_[\d-]+cm_(mean|Q0\.05|Q0\.95)(\.vrt|/tileSG-\d{3}-\d{3}/tileSG-\d{3}-\d{3}_1-1\.tif)", path
        )
    assert not [request for request in server.asked() if request.body or "range" in request.headers]
    moved = SoilGridsServer(X0, Y0)
    other = Network(policy=QUICK)
    try:
        load(moved, other, parcels(translate(ONE.geometry[0], 0.003, -0.002)))
        port = re.compile(r"127\.0\.0\.1:\d+")
        assert [port.sub("", r.everything) for r in moved.asked()] == [port.sub("", text) for text in first]
    finally:
        moved.close()
        other.close()


def test_once_for_all_regions_and_offline_after(server: SoilGridsServer, tmp_path: Path) -> None:
    network = online(tmp_path, ledger=Ledger(tmp_path / "l.sqlite"), region="haouz")
    first = load(server, network, ONE)
    asked = len(server.asked())
    table = network.ledger.table() if network.ledger else None
    assert table is not None and len(table) == asked and set(table["provider"]) == {"soilgrids"}
    assert table["parcels"].iloc[0] == [UID]
    network.close()
    again = online(tmp_path, offline=True)
    assert load(server, again, ONE).soil.equals(first.soil)
    lacking = load(server, again, ONE, url=f"{server.folder}/elsewhere")
    assert "offline, and the cache lacks" in lacking.rejected["reason"].iloc[0]
    again.close()
    assert len(server.asked()) == asked


def test_the_budget_stops_it(server: SoilGridsServer, tmp_path: Path) -> None:
    network = online(tmp_path, budget=Budget(Limits(max_requests=5)))
    with pytest.raises(BudgetError):
        load(server, network, ONE)
    assert len(server.asked()) == 5
    network.close()


def test_without_a_network_the_next_link_serves_and_says_why(server: SoilGridsServer) -> None:
    done = load(server, None, ONE)
    assert done.soil["source_reason"].tolist() == ["soilgrids: there is no network here"]
    assert "no network" in done.rejected["reason"].iloc[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"methd": "maps"}, "unknown option methd"),
        ({"method": "best"}, "method 'best'"),
        ({"url": "ftp://x"}, "address"),
    ],
)
def test_wrong_options(network: Network, options: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_soil([SoilSpec(kind="soilgrids", options=options)], Path(), ONE, TEXTURES, network)


def test_the_plan_is_near_what_is_asked(server: SoilGridsServer, network: Network) -> None:
    spec = SoilSpec(kind="soilgrids", options={"url": server.folder})
    load(server, network, ONE)
    planned = plan_soil(spec, ONE)
    assert planned.requests == len(server.asked()) == network.budget.spent.requests
    texture = plan_soil(SoilSpec(kind="soilgrids", options={"method": "pedotransfer"}), ONE)
    assert texture.requests == 4 + 6 * 4 and texture.mb < planned.mb
    wide = parcels(ONE.geometry[0], translate(ONE.geometry[0], 2.0, 2.0))
    assert plan_soil(spec, wide).requests > 4 * planned.requests
    assert plan_soil(SoilSpec(kind="texture", texture="loam"), ONE).requests == 0


def test_the_probe_is_one_small_request(server: SoilGridsServer, network: Network) -> None:
    spec = SoilSpec(kind="soilgrids", options={"url": server.folder})
    assert "wv0033 0-5cm mean" in probe_soil(spec, network)
    (request,) = server.asked()
    assert request.headers["range"] == "bytes=0-1023"
    server.route("/data/", lambda _: Reply("<html>", headers={"Content-Type": "text/html"}))
    with pytest.raises(SourceError, match="web page"):
        probe_soil(spec, network)
    with pytest.raises(ConfigError):
        probe_soil(SoilSpec(kind="texture", texture="loam"), network)
