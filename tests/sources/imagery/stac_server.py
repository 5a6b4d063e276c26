"""The sample region's scenes behind a STAC API, as providers offer them."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from protocol_server import ProtocolServer, Received, Reply, file_reply


class StacServer(ProtocolServer):
    """Search with paging (POST, next link with merged body) and COGs with ranges.

    Parameters
    ----------
    folder : Path
        Items (JSON) with COGs beside them.
    page : int
        Items a page.
    signed : bool
        COGs need a token, given by ``/sas/token/{collection}``.
    """

    def __init__(self, folder: Path, page: int = 3, signed: bool = False) -> None:
        super().__init__()
        self.folder, self.page, self.signed = folder, page, signed
        self.tokens = 0
        paths = [path for path in folder.rglob("*.json") if path.name not in ("collection.json", "catalog.json")]
        self.items = sorted((self._served(path) for path in paths), key=lambda item: item["id"])
        self.route("/v1/search", self._search)
        self.route("/cog/", self._cog)
        self.route("/sas/token/", self._token)

    def _served(self, path: Path) -> dict[str, Any]:
        item: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for asset in item["assets"].values():
            place = (path.parent / asset["href"]).resolve().relative_to(self.folder.resolve())
            asset["href"] = f"{self.url}/cog/{place.as_posix()}"
        return item

    def _search(self, request: Received) -> Reply:
        asked = request.json()
        start, end = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in asked["datetime"].split("/"))
        west, south, east, north = asked["bbox"]
        found = [
            item
            for item in self.items
            if start <= datetime.fromisoformat(item["properties"]["datetime"].replace("Z", "+00:00")) <= end
            and item["bbox"][0] <= east and item["bbox"][2] >= west and item["bbox"][1] <= north and item["bbox"][3] >= south
        ]  # fmt: skip
        first = int(asked.get("token", 0))
        links = []
        if first + self.page < len(found):
            body = {"token": first + self.page}
            links.append(
                {"rel": "next", "method": "POST", "merge": True, "body": body, "href": f"{self.url}/v1/search"}
            )
        return Reply(
            {"type": "FeatureCollection", "features": copy.deepcopy(found[first : first + self.page]), "links": links}
        )

    def _token(self, _request: Received) -> Reply:
        self.tokens += 1
        return Reply({"token": f"sig={self.tokens}", "msft:expiry": "2999-01-01T00:00:00Z"})

    def _cog(self, request: Received) -> Reply:
        if self.signed and request.query.get("sig") != str(self.tokens):
            return Reply("signature has run out", 403, {"Content-Type": "text/plain"})
        return file_reply(request, (self.folder / request.path.removeprefix("/cog/")).read_bytes())
