"""Windows of raster files on a grid."""

from __future__ import annotations

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.vrt import WarpedVRT

from agro.schema.errors import SourceError
from agro.schema.grid import Grid


def read_window(path: str, grid: Grid, band: int = 1, nodata: float | None = None) -> np.ndarray:
    """One band of a file on `grid`, by nearest neighbour.

    Only the blocks under the grid are read.

    Parameters
    ----------
    path : str
        File or URL that GDAL opens.
    grid : Grid
        Where to.
    band : int
        Band of the file, from 1.
    nodata : float, optional
        Used when the file states none.

    Returns
    -------
    numpy.ndarray
        (height, width) float64, NaN where nodata or outside the file.

    Raises
    ------
    SourceError
        The file is absent, truncated, not a raster or has no CRS.
    """
    try:
        with rasterio.open(path) as dataset:
            if dataset.crs is None:
                raise SourceError("the raster states no CRS", where=path, do="Write its CRS into the file")
            missing = dataset.nodata if dataset.nodata is not None else nodata
            with WarpedVRT(
                dataset,
                crs=grid.crs,
                transform=Affine(*grid.transform),
                width=grid.width,
                height=grid.height,
                resampling=Resampling.nearest,
                src_nodata=missing,
                nodata=missing,
                add_alpha=missing is None,
            ) as view:
                values = view.read(band).astype("float64")
                if missing is None:
                    values[view.read(view.count) == 0] = np.nan
                elif not np.isnan(missing):
                    values[values == missing] = np.nan
                return values
    except (RasterioIOError, RasterioError) as error:
        raise SourceError(
            f"cannot be read ({_short(error)})", where=path, do="The file may be cut short: fetch it again"
        ) from error


def _short(error: Exception) -> str:
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[:160]


def band_names(path: str) -> list[str]:
    """Band descriptions of a file ("" where there is none).

    Raises
    ------
    SourceError
        The file cannot be opened.
    """
    try:
        with rasterio.open(path) as dataset:
            return [text or "" for text in dataset.descriptions]
    except RasterioIOError as error:
        raise SourceError(
            f"cannot be opened ({_short(error)})", where=path, do="Fetch it again or remove it"
        ) from error


def as_classes(values: np.ndarray) -> np.ndarray:
    """Scene classes as uint8, 0 where missing."""
    return np.nan_to_num(values, nan=0.0).astype("uint8")
