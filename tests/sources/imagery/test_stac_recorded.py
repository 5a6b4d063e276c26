"""Recorded answers of real STAC APIs, served again page by page."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from protocol_server import ProtocolServer, Received, Reply
from pyproj import Transformer

from agro.schema.grid import CELL_M, Cells
from agro.schema.region import ImagerySpec
from agro.sources.imagery import Remote, SearchResult, open_imagery
from agro.sources.net import Cache, Network

pytestmark = pytest.mark.real_data


def recorded_pages(path: Path) -> list[dict[str, Any]]:
    """Answers to searches, in order."""
    told = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    answers = [
        json.loads(one["response"]["body"]["string"])
        for one in told["interactions"]
        if one["request"]["uri"].endswith("/search")
    ]
    return [answer for answer in answers if answer["type"] == "FeatureCollection"]


def search(
    kind: str, pages: list[dict[str, Any]], folder: Path, place: tuple[float, float], crs: str, day: date
) -> tuple[SearchResult, ProtocolServer]:
    """Search the pages, each behind the next link of the one before; after the last comes an empty one."""
    server = ProtocolServer()
    asked = 0

    def answer(_request: Received) -> Reply:
        nonlocal asked
        page = (
            json.loads(json.dumps(pages[asked]))
            if asked < len(pages)
            else {"type": "FeatureCollection", "features": []}
        )
        asked += 1
        for link in page.get("links", []):
            if link["rel"] == "next":
                link["href"] = f"{server.url}/v1/search"
        return Reply(page)

    server.route("/v1/search", answer)
    try:
        x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*place)
        remote = Remote(Network(Cache(folder)), Cells(crs, ((int(x // CELL_M), int(y // CELL_M)),)))
        source = open_imagery(ImagerySpec(kind=kind, options={"url": f"{server.url}/v1"}), folder, remote)
        return source.search(day, day), server
    finally:
        server.close()


def test_planetary_computer(shared_data: Path, tmp_path: Path) -> None:
    pages = recorded_pages(shared_data / "http-stac" / "TestItemSearch.test_datetime_results.yaml")
    assert len(pages[0]["features"]) == 33
    found, _ = search("planetary-computer", pages[:1], tmp_path, (171.9, 56.3), "EPSG:32659", date(2019, 1, 1))
    by_id = {scene.scene_id: scene for scene in found.scenes}
    scene = by_id["S2A_MSIL2A_20190101T000001_R116_T59VNC_20201007T214703"]
    assert (scene.offset, scene.processing_baseline, scene.relative_orbit, scene.tile) == (0.0, "02.12", 116, "59VNC")
    assert scene.assets["red"].endswith("_B04_10m.tif") and "scl" in scene.assets
    assert len(found.scenes) < 10, "scenes away from the cell were taken"


def test_earth_search_with_its_next_link(shared_data: Path, tmp_path: Path) -> None:
    pages = recorded_pages(shared_data / "http-stac" / "TestCLISearch.test_filter[inprocess].yaml")
    assert len(pages) == 2
    found, server = search("earth-search", pages, tmp_path, (-39.5, -4.7), "EPSG:32724", date(2025, 7, 31))
    bodies = [request.json() for request in server.received]
    assert len(bodies) == 3 and bodies[1]["next"] != bodies[2]["next"]
    applied = {s.scene_id: s.offset for s in found.scenes if s.scene_id.startswith("S2B_24M")}
    raw = {s.scene_id: s.offset for s in found.scenes if s.scene_id.startswith("S2B_T24M")}
    # The old collection says that the offset is applied; the new one leaves it in the numbers.
    assert applied and set(applied.values()) == {0.0}
    assert raw and set(raw.values()) == {-1000.0}
    assert not [s for s in found.scenes if "L1C" in s.scene_id or s.scene_id.startswith("S1")]
    assert found.rejected["reason"].str.contains("Level-1C").any()
