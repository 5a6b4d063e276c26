"""A folder of GeoTIFFs whose names say date and band."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath

import numpy as np

from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.names import common_name, day_in, product_in, resolution_in, without_band
from agro.sources.imagery.options import checked_scaling
from agro.sources.imagery.protocol import Scene, SearchResult, rejection
from agro.sources.imagery.raster import RasterHeader, as_classes, read_header, read_window

_BAND_OF_FILE = re.compile(r"#(\d+)$")
#: Floating point numbers up to this are reflectance, up to the next reflectance x 10000.
REFLECTANCE_HIGH, NUMBERS_HIGH = 2.0, 20000.0


@dataclass
class _Group:
    """Files of one scene."""

    day: date
    assets: dict[str, str] = field(default_factory=dict)
    resolutions: dict[str, float] = field(default_factory=dict)


class GeotiffFolder:
    """``<scene>_<band>.tif``, ``<date>/<band>.tif``, ``<band>/<date>.tif``, or one file a scene with named bands.

    The date (YYYYMMDD or YYYY-MM-DD) is in the name of the file or of a folder above it. What is left of the
    name without the band tells the scenes of one day apart.

    Parameters
    ----------
    path : Path
        The folder; subfolders are searched.
    scale, offset : float, optional
        Reflectance = (number + offset) * scale. Left out: what the file states; floating point numbers up to 2
        are reflectance; everything else is reflectance x 10000, and the pixels decide on the offset.
    pattern : str
        Which files to take.
    """

    name = "geotiff"
    concurrent = True

    def __init__(
        self, path: Path, scale: float | None = None, offset: float | None = None, pattern: str = "*.tif*"
    ) -> None:
        if not path.is_dir():
            raise ConfigError("not a folder", where=str(path), do="Give the folder that holds the GeoTIFFs")
        self.path, self.pattern = path, str(pattern)
        self.scale, self.offset = checked_scaling(scale, offset)

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the period; files without a date or a band are rejected by name.

        Raises
        ------
        NoDataError
            No file of the pattern in the folder.
        """
        files = sorted(f for f in self.path.rglob(self.pattern) if f.suffix.lower() != ".xml")
        if not files:
            raise NoDataError(
                f"the folder holds no {self.pattern}",
                where=str(self.path),
                do="Put files like 2022-04-11_B04.tif there",
            )
        groups: dict[str, _Group] = {}
        rejected: list[dict[str, str]] = []
        for file in files:
            try:
                self._place(file, start, end, groups)
            except SourceError as error:
                rejected.append(rejection(file.relative_to(self.path).as_posix(), error.what, error.do))
        scenes = []
        for scene_id, group in groups.items():
            try:
                scenes.append(self._scene(scene_id, group))
            except SourceError as error:
                rejected.append(rejection(scene_id, error.what, error.do))
        return SearchResult.of(scenes, rejected)

    def _place(self, file: Path, start: date, end: date, groups: dict[str, _Group]) -> None:
        """Put a file into the group of its scene."""
        relative = PurePosixPath(file.relative_to(self.path).as_posix())
        day = day_in(relative.name) or day_in(str(relative))
        if day is None:
            raise SourceError("no date in its name", do="Name files like 2022-04-11_B04.tif")
        if not start <= day <= end:
            return
        parents = list(relative.parent.parts)
        band = common_name(file.stem) or next(filter(None, map(common_name, reversed(parents))), None)
        found = {band: str(file)} if band else _bands_inside(file)
        if not found:
            raise SourceError(
                "neither its name nor its band descriptions name a band", do="Add B04, red ... to the name"
            )
        kept = [p for p in parents if not common_name(p) and not re.fullmatch(r"R?\d{2}m", p, re.IGNORECASE)]
        rest = without_band(file.stem) if common_name(file.stem) else file.stem
        scene_id = "/".join(filter(None, [*kept, rest])) or day.isoformat()
        group = groups.setdefault(scene_id, _Group(day))
        resolution = float(resolution_in(file.stem) or np.inf)
        for name, asset in found.items():
            known = group.resolutions.get(name)
            if known is not None and known == resolution:
                raise SourceError(f"a second file of {name} of scene {scene_id}", do="Remove one of the two")
            if known is None or resolution < known:
                group.assets[name], group.resolutions[name] = asset, resolution

    def _scene(self, scene_id: str, group: _Group) -> Scene:
        product = product_in(scene_id)
        if product and product.level == "L1C":
            raise SourceError("Level-1C is reflectance at the top of the atmosphere", do="Fetch the Level-2A product")
        scale, offset, note = self._scaling(path for band, path in group.assets.items() if band != "scl")
        return Scene(
            scene_id,
            group.day,
            self.name,
            dict(sorted(group.assets.items())),
            processing_baseline=product.baseline if product else None,
            relative_orbit=product.relative_orbit if product else None,
            offset=offset,
            scale=scale,
            tile=product.tile if product else None,
            datatake=product.datatake if product else None,
            note=note,
            files=tuple(sorted({_split(asset)[0] for asset in group.assets.values()})),
        )

    def _scaling(self, assets: Iterable[str]) -> tuple[float, float | None, str]:
        if self.scale is not None:
            return self.scale, self.offset, "scale from the options"
        for asset in assets:
            try:
                header = read_header(_split(asset)[0])
            except SourceError:
                # Said when the band itself is read; another file of the scene tells the scale.
                continue
            if header.is_float and np.isnan(header.high):
                continue
            return _from_header(header, self.offset)
        return 0.0001, self.offset, "scale taken as 0.0001"

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        path, number = _split(scene.assets[band])
        values = read_window(path, grid, number, nodata=0)
        return as_classes(values) if band == "scl" else values


def _from_header(header: RasterHeader, offset: float | None) -> tuple[float, float | None, str]:
    if header.scale is not None and header.offset is not None:
        return header.scale, header.offset / header.scale if offset is None else offset, "scale stated by the file"
    if not header.is_float:
        return 0.0001, offset, ""
    if header.high <= REFLECTANCE_HIGH:
        return 1.0, offset or 0.0, "values up to 2: taken as reflectance"
    if header.high <= NUMBERS_HIGH:
        return 0.0001, offset, "values above 2: taken as reflectance x 10000"
    raise SourceError(
        f"values up to {header.high:g} are neither reflectance nor reflectance x 10000", do="Say options.scale"
    )


def _bands_inside(file: Path) -> dict[str, str]:
    names: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(read_header(str(file)).band_names, start=1):
        name = common_name(text)
        if name:
            names[name].append(number)
    twice = [name for name, numbers in names.items() if len(numbers) > 1]
    if twice:
        raise SourceError(f"two bands are described as {twice[0]}", do="Correct the band descriptions")
    return {name: f"{file}#{numbers[0]}" for name, numbers in names.items()}


def _split(asset: str) -> tuple[str, int]:
    """Path and band number of an asset."""
    found = _BAND_OF_FILE.search(asset)
    if not found or Path(asset).exists():
        return asset, 1
    return asset[: found.start()], int(found.group(1))
