"""A folder of STAC items with COGs beside them."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np

from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.protocol import Scene, SearchResult, rejection
from agro.sources.imagery.raster import as_classes, read_window
from agro.sources.imagery.stac_item import items_in, scene_from_item


class StacFolder:
    """Items found anywhere below a folder, one a file or in feature collections; hrefs relative to the file.

    Parameters
    ----------
    path : Path
        The folder.
    """

    name = "stac"
    concurrent = True

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise ConfigError("not a folder", where=str(path), do="Give the folder that holds the STAC items")
        self.path = path

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the period; broken items and second ones of an id are rejected by name.

        Raises
        ------
        NoDataError
            The folder holds no STAC item at all.
        """
        scenes: dict[str, Scene] = {}
        rejected: list[dict[str, str]] = []
        for file in sorted([*self.path.rglob("*.json"), *self.path.rglob("*.geojson")]):
            where = file.relative_to(self.path).as_posix()
            try:
                items = list(items_in(json.loads(file.read_text(encoding="utf-8"))))
            except (OSError, ValueError) as error:
                rejected.append(rejection(where, f"not JSON that can be read ({error})", "Fetch the item again"))
                continue
            for item in items:
                name = f"{where} {item.get('id', '')}".strip()
                try:
                    scene = scene_from_item(item, file.parent)
                except SourceError as error:
                    rejected.append(rejection(name, error.what, error.do))
                    continue
                if scene.scene_id in scenes:
                    rejected.append(rejection(name, "a second item of this id", "Remove one of the two"))
                    continue
                scenes[scene.scene_id] = scene
        if not scenes and not rejected:
            raise NoDataError(
                "the folder holds no STAC item", where=str(self.path), do="Put items (JSON) and their COGs there"
            )
        return SearchResult.of((s for s in scenes.values() if start <= s.date <= end), rejected)

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        values = read_window(scene.assets[band], grid, nodata=0)
        return as_classes(values) if band == "scl" else values
