"""Sentinel-2 Level-2A products as delivered: SAFE folders, and zips of them read where they lie."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from agro.schema.errors import NoDataError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.names import product_in
from agro.sources.imagery.protocol import Scene, SearchResult, rejection
from agro.sources.imagery.raster import as_classes, read_window
from agro.sources.imagery.safe_metadata import NODATA_DN, SATURATED_DN, read_metadata
from agro.sources.imagery.safe_product import SafeProduct, open_products, product_paths


class SafeFolder:
    """``*.SAFE`` folders and zips anywhere below a folder, or one of them.

    The metadata of the product and of its tile decide on everything; names on disk are only held against them.
    JPEG 2000 files are read by window, in a zip without unpacking it.

    Parameters
    ----------
    path : Path
        A folder, a ``.SAFE`` folder or a zip.
    """

    name = "safe"
    concurrent = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the period; products that cannot be used, and files that they lack, are rejected by name.

        A product whose name says a day well outside the period is not opened.

        Raises
        ------
        NoDataError
            The path holds no product at all.
        """
        found = product_paths(self.path)
        if not found:
            raise NoDataError(
                "the folder holds no SAFE folder and no zip",
                where=str(self.path),
                do="Put Sentinel-2 L2A products there",
            )
        scenes: dict[str, Scene] = {}
        rejected: list[dict[str, str]] = []
        for path in found:
            where = path.name if path == self.path else path.relative_to(self.path).as_posix()
            if _outside(where, start, end):
                continue
            try:
                products = open_products(path)
            except SourceError as error:
                rejected.append(rejection(where, error.what, error.do))
                continue
            for product in products:
                item = f"{where} {product.root}".strip()
                try:
                    scene, lacking = _scene(product)
                except SourceError as error:
                    rejected.append(rejection(item, error.what, error.do))
                    continue
                if scene.scene_id in scenes:
                    rejected.append(rejection(item, "a second copy of this product", "Remove one of the two"))
                    continue
                scenes[scene.scene_id] = scene
                if lacking and start <= scene.date <= end:
                    reason = f"listed in the metadata and not there: {', '.join(lacking)}"
                    rejected.append(rejection(item, reason, "The other bands are used; fetch the product again"))
        return SearchResult.of((s for s in scenes.values() if start <= s.date <= end), rejected)

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`; saturated numbers are NaN too."""
        values = read_window(scene.assets[band], grid, nodata=NODATA_DN)
        if band == "scl":
            return as_classes(values)
        values[values == SATURATED_DN] = np.nan
        return values


def _scene(product: SafeProduct) -> tuple[Scene, tuple[str, ...]]:
    """A scene, and the files that it lacks."""
    said = read_metadata(product)
    scene = Scene(
        scene_id=said.product_id,
        date=said.date,
        provider=SafeFolder.name,
        assets={band: product.gdal_path(name) for band, name in sorted(said.bands.items())},
        processing_baseline=said.processing_baseline,
        relative_orbit=said.relative_orbit,
        offset=said.offset,
        scale=said.scale,
        tile=said.tile,
        datatake=said.datatake,
        note="; ".join(said.notes),
        files=product.files_of([*said.metadata_files, *sorted(said.bands.values())]),
    )
    return scene, said.lacking


def _outside(name: str, start: date, end: date) -> bool:
    """Whether a product's name says a day (UTC) that no solar day of the period can have."""
    product = product_in(name)
    if product is None:
        return False
    try:
        day = datetime.strptime(product.sensed, "%Y%m%dT%H%M%S").date()
    except ValueError:
        return False
    return not start - timedelta(days=1) <= day <= end + timedelta(days=1)
