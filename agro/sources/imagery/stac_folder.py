"""A folder of STAC items with COGs beside them."""

from __future__ import annotations

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.schema.tables import empty, validate
from agro.sources.imagery.names import OFFSET_BASELINE, baseline_number, common_name, solar_day
from agro.sources.imagery.protocol import Scene, SearchResult
from agro.sources.imagery.raster import as_classes, read_window


class StacFolder:
    """Items found anywhere below a folder; hrefs relative to the item.

    Parameters
    ----------
    path : Path
        The folder.
    """

    name = "stac"

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError("not a folder", where=str(path), do="Give the folder that holds the STAC items")
        self.path = path

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the period; broken items are rejected by name."""
        scenes, rejected = [], []
        for file in sorted(self.path.rglob("*.json")):
            try:
                body = json.loads(file.read_text(encoding="utf-8"))
                if not isinstance(body, dict) or body.get("type") != "Feature":
                    continue
                scene = scene_from_item(body, file.parent)
            except (ValueError, KeyError, TypeError, SourceError) as error:
                rejected.append(
                    {
                        "input": "imagery",
                        "item": file.name,
                        "reason": f"not a STAC item: {error}",
                        "remedy": "Fetch the item again",
                    }
                )
                continue
            if start <= scene.date <= end:
                scenes.append(scene)
        scenes.sort(key=lambda s: (s.date, s.scene_id))
        return SearchResult(scenes, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        values = read_window(scene.assets[band], grid, nodata=0)
        return as_classes(values) if band == "scl" else values


def scene_from_item(item: dict[str, Any], folder: Path) -> Scene:
    """A scene from a STAC item of the Earth Search, Planetary Computer or CDSE kind.

    The offset is that of ``raster:bands`` (in digital numbers); with ``earthsearch:boa_offset_applied`` the
    pixels are said to have it already; without either, the processing baseline decides.

    Raises
    ------
    SourceError
        No date or no band in the item.
    """
    properties = item["properties"]
    moment_text = properties.get("datetime") or properties.get("start_datetime")
    if not moment_text:
        raise SourceError("the item has no datetime", where=str(item.get("id")))
    moment = datetime.fromisoformat(moment_text.replace("Z", "+00:00"))
    assets: dict[str, str] = {}
    offsets, scales = set(), set()
    for key, asset in sorted(item["assets"].items()):
        band = _band_of(key, asset)
        if band is None or band in assets:
            continue
        href = asset["href"]
        assets[band] = href if "://" in href or href.startswith("/vsi") else str((folder / href).resolve())
        if band != "scl":
            for part in asset.get("raster:bands", [])[:1]:
                scale = float(part.get("scale", 0.0001))
                scales.add(scale)
                if "offset" in part:
                    offsets.add(round(float(part["offset"]) / scale))
    if not set(assets) - {"scl"}:
        raise SourceError("the item has no band known", where=str(item.get("id")))
    if len(offsets) > 1 or len(scales) > 1:
        raise SourceError("bands of one item state different scales or offsets", where=str(item.get("id")))
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version")
    number = baseline_number(str(baseline) if baseline else None)
    note = ""
    offset: float | None
    if properties.get("earthsearch:boa_offset_applied") is True:
        offset, note = 0.0, "the provider says that the offset is applied"
    elif offsets:
        offset = float(offsets.pop())
    elif number is not None:
        offset, note = (-1000.0 if number >= OFFSET_BASELINE else 0.0), "offset from the processing baseline"
    else:
        offset = None
    box = item.get("bbox") or [0, 0, 0, 0]
    return Scene(
        scene_id=str(item["id"]),
        date=solar_day(moment, (box[0] + box[2]) / 2),
        provider="stac",
        assets=assets,
        processing_baseline=str(baseline) if baseline else None,
        relative_orbit=properties.get("sat:relative_orbit"),
        offset=offset,
        scale=scales.pop() if scales else 0.0001,
        tile=_tile(properties),
        datatake=properties.get("s2:datatake_id"),
        note=note,
    )


def _band_of(key: str, asset: dict[str, Any]) -> str | None:
    """Common name of an asset that is a raster of one band."""
    if not str(asset.get("type", "image/tiff")).startswith(("image/tiff", "image/jp2", "image/vnd.stac.geotiff")):
        return None
    if key.endswith(("-jp2", "_60m")) or key in {"visual", "preview", "thumbnail", "overview", "rendered_preview"}:
        return None
    bands = asset.get("eo:bands", [])
    if len(bands) > 1:
        return None
    # Keys first: providers give nir08 and rededge1..3 the same eo common name.
    return common_name(key) or (common_name(bands[0].get("name", "")) if bands else None)


def _tile(properties: dict[str, Any]) -> str | None:
    tile = properties.get("s2:mgrs_tile") or properties.get("grid:code")
    return str(tile).removeprefix("MGRS-") if tile else None
