"""A folder of GeoTIFFs whose names say date and band."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.schema.tables import empty, validate
from agro.sources.imagery.names import common_name, day_in
from agro.sources.imagery.protocol import Scene, SearchResult
from agro.sources.imagery.raster import as_classes, band_names, read_window


class GeotiffFolder:
    """``<anything with a date>_<band>.tif``, ``<date>/<band>.tif``, or one file a date with named bands.

    Parameters
    ----------
    path : Path
        The folder; subfolders are searched.
    scale : float
        Reflectance of one digital number.
    offset : float, optional
        Added before scaling; left out, the pixels decide.
    pattern : str
        Which files to take.
    """

    name = "geotiff"

    def __init__(self, path: Path, scale: float = 0.0001, offset: float | None = None, pattern: str = "*.tif*") -> None:
        if not path.is_dir():
            raise ConfigError("not a folder", where=str(path), do="Give the folder that holds the GeoTIFFs")
        self.path, self.scale, self.offset, self.pattern = path, scale, offset, pattern

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the period; files without a date or a band are rejected by name."""
        groups: dict[tuple[str, date], dict[str, str]] = defaultdict(dict)
        rejected: list[dict[str, str]] = []
        for file in sorted(self.path.rglob(self.pattern)):
            relative = file.relative_to(self.path).as_posix()
            day = day_in(relative)
            if day is None:
                rejected.append(_row(relative, "no date in its name", "Name files like 2022-04-11_B04.tif"))
                continue
            if not start <= day <= end:
                continue
            band = common_name(file.stem)
            try:
                found = {band: str(file)} if band else self._bands_inside(file)
            except SourceError as error:
                rejected.append(_row(relative, error.what, error.do))
                continue
            if not found:
                rejected.append(
                    _row(
                        relative,
                        "neither its name nor its band descriptions name a band",
                        "Add B04, red ... to the name",
                    )
                )
                continue
            stem = file.stem if not band else (file.parent.name if day_in(file.parent.name) else day.isoformat())
            groups[(stem, day)].update(found)
        scenes = [
            Scene(
                stem,
                day,
                self.name,
                dict(sorted(assets.items())),
                offset=self.offset,
                scale=self.scale,
                note="scale and offset from the options" if self.offset is not None else "",
            )
            for (stem, day), assets in sorted(groups.items(), key=lambda item: (item[0][1], item[0][0]))
        ]
        return SearchResult(scenes, validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected"))

    def _bands_inside(self, file: Path) -> dict[str, str]:
        names = [common_name(text) for text in band_names(str(file))]
        return {name: f"{file}#{number}" for number, name in enumerate(names, start=1) if name}

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        path, _, number = scene.assets[band].partition("#")
        values = read_window(path, grid, int(number or 1), nodata=0)
        return as_classes(values) if band == "scl" else values


def _row(item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "imagery", "item": item, "reason": reason, "remedy": remedy}
