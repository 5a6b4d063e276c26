"""Sentinel Hub on this machine: token, Catalog, Process and Statistical API over made-up tiles of known numbers."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
from protocol_server import ProtocolServer, Received, Reply
from rasterio.io import MemoryFile
from rasterio.transform import from_origin

CRS_CODE = "EPSG:32629"
#: 200 km of ground that the tiles may cover, in cells of 5120 m.
WORLD = (110, 680)
CLIENT_ID, CLIENT_SECRET = "client-of-the-test", "secret-of-the-test"
NATIVE = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")
#: Pictures made once.
_PICTURES: dict[Any, tuple[bytes, float]] = {}


@dataclass(frozen=True)
class Tile:
    """A product: where it lies (cells: first column, first row, end column, end row) and when it was sensed."""

    product: str
    moment: str
    cells: tuple[int, int, int, int]
    box: tuple[float, float, float, float]
    cloud_pct: float = 10.0

    @property
    def shift(self) -> int:
        """What the files' numbers carry."""
        found = re.search(r"_N(\d{4})_", self.product)
        return 1000 if found and int(found.group(1)) >= 400 else 0

    def feature(self) -> dict[str, Any]:
        """As the catalogue shows it."""
        west, south, east, north = self.box
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {
            "stac_version": "1.0.0", "type": "Feature", "id": self.product, "bbox": list(self.box),
            "collection": "sentinel-2-l2a", "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {
                "datetime": self.moment, "platform": "sentinel-2" + self.product[2].lower(), "instruments": ["msi"],
                "constellation": "sentinel-2", "gsd": 10, "eo:cloud_cover": self.cloud_pct,
            },
        }  # fmt: skip


def numbers(band: str, day: str, east: np.ndarray, north: np.ndarray) -> np.ndarray:
    """Reflectance x 10000 at pixels (counted in 10 m); some below zero, classes from 4 to 9."""
    base = (east[None, :] * 7 + north[:, None] * 3) % 1500 + int(day.replace("-", "")) % 97
    if band == "SCL":
        return 4 + ((east[None, :] // 40 + north[:, None] // 40) % 6)
    return base + 40 * NATIVE.index(band) - 160


@dataclass
class SentinelHubServer(ProtocolServer):
    """Answers as the provider documents it; counts what it would charge."""

    tiles: list[Tile]
    page: int = 2
    lifetime_s: int = 3600
    statistics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.issued = 0
        self.pu = 0.0
        self._guard = threading.Lock()
        self.route("/token", self._token)
        self.route("/api/v1/catalog/1.0.0/search", self._search)
        self.route("/api/v1/process", self._process)
        self.route("/api/v1/statistics", self._statistics)

    def expire(self) -> None:
        """No token given so far is good any more."""
        with self._guard:
            self.tokens.clear()

    def _token(self, request: Received) -> Reply:
        form = dict(parse_qsl(request.body.decode()))
        if form.get("grant_type") != "client_credentials" or "form-urlencoded" not in request.headers["content-type"]:
            return Reply({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return Reply({"error": "invalid_client", "error_description": "Invalid client credentials"}, 401)
        with self._guard:
            self.issued += 1
            token = f"token{self.issued}"
            self.tokens.add(token)
        return Reply({"access_token": token, "expires_in": self.lifetime_s, "token_type": "Bearer"})

    def _refused(self, request: Received) -> Reply | None:
        with self._guard:
            known = request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens
        return None if known else Reply({"error": {"status": 401, "reason": "Unauthorized"}}, 401)

    def _search(self, request: Received) -> Reply:
        refused = self._refused(request)
        if refused:
            return refused
        asked = request.json()
        if asked["collections"] != ["sentinel-2-l2a"]:
            return Reply({"code": 404, "description": "no such collection"}, 404)
        start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in asked["datetime"].split("/"))
        west, south, east, north = asked["bbox"]
        limit = float(re.search(r"<= ([\d.]+)", asked["filter"]).group(1)) if asked.get("filter") else 100.0  # type: ignore[union-attr]
        found = [
            tile
            for tile in self.tiles
            if start <= datetime.fromisoformat(tile.moment.replace("Z", "+00:00")) <= end
            and tile.box[0] <= east and tile.box[2] >= west and tile.box[1] <= north and tile.box[3] >= south
            and tile.cloud_pct <= limit
        ]  # fmt: skip
        first = int(asked.get("next", 0))
        page = found[first : first + self.page]
        context: dict[str, Any] = {"limit": asked["limit"], "returned": len(page)}
        if first + self.page < len(found):
            context["next"] = first + self.page
        return self._charged(
            Reply({"type": "FeatureCollection", "features": [t.feature() for t in page], "context": context}), 0.01
        )

    def _process(self, request: Received) -> Reply:
        refused = self._refused(request)
        if refused:
            return refused
        asked = request.json()
        key = (tuple(self.tiles), request.body)
        if key not in _PICTURES:
            _PICTURES[key] = self._picture(asked)
        content, cost = _PICTURES[key]
        return self._charged(Reply(content, 200, {"Content-Type": "image/tiff"}), cost)

    def _picture(self, asked: dict[str, Any]) -> tuple[bytes, float]:
        bands = json.loads(re.search(r"bands: (\[.*?\])", asked["evalscript"]).group(1))  # type: ignore[union-attr]
        assert 'units: "DN"' in asked["evalscript"] and 'sampleType: "UINT16"' in asked["evalscript"]
        assert asked["output"]["responses"] == [{"identifier": "default", "format": {"type": "image/tiff"}}]
        data = asked["input"]["data"][0]
        left, bottom, right, top = asked["input"]["bounds"]["bbox"]
        width, height = asked["output"]["width"], asked["output"]["height"]
        assert asked["input"]["bounds"]["properties"]["crs"].endswith("/32629")
        assert ((right - left) / width, (top - bottom) / height) == (10.0, 10.0)
        stack = np.zeros((len(bands), height, width), dtype="uint16")
        begins, ends = data["dataFilter"]["timeRange"]["from"], data["dataFilter"]["timeRange"]["to"]
        limit = data["dataFilter"].get("maxCloudCoverage", 100)
        east = np.arange(int(left // 10), int(right // 10))
        north = np.arange(int(top // 10) - 1, int(bottom // 10) - 1, -1)
        for tile in sorted(self.tiles, key=lambda t: t.moment, reverse=True):
            if not begins <= tile.moment <= ends or tile.cloud_pct > limit:
                continue
            first_column, first_row, end_column, end_row = (edge * 512 for edge in tile.cells)
            inside = ((north >= first_row) & (north < end_row))[:, None] & (
                (east >= first_column) & (east < end_column)
            )
            empty = inside & (stack[-1] == 0)
            for number, band in enumerate(bands[:-1]):
                values = numbers(band, tile.moment[:10], east, north)
                if band != "SCL":
                    if data["processing"].get("harmonizeValues", True):
                        values = np.maximum(values, 0)
                    else:
                        values = np.maximum(values + tile.shift, 1)
                stack[number][empty] = values[empty]
            stack[-1][empty] = 1
        with MemoryFile() as memory:
            with memory.open(
                driver="GTiff", width=width, height=height, count=len(bands), dtype="uint16", compress="deflate",
                crs=CRS_CODE, transform=from_origin(left, top, 10, 10),
            ) as out:  # fmt: skip
                out.write(stack)
            content = memory.read()
        cost = width * height / 512**2 * (len(bands) - 1) / 3
        return content, cost

    def _statistics(self, request: Received) -> Reply:
        refused = self._refused(request)
        if refused:
            return refused
        asked = request.json()
        ring = asked["input"]["bounds"]["geometry"]["coordinates"][0]
        return self._charged(Reply(self.statistics[str(round(min(point[0] for point in ring)))]), 0.03)

    def _charged(self, reply: Reply, pu: float) -> Reply:
        with self._guard:
            self.pu += pu
        reply.headers["x-processingunits-spent"] = f"{pu:.6f}"
        return reply
