"""Windows of raster files on a grid."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.schema.provenance import digest_of
from agro.sources.net.range_file import RangeFile

#: Largest class of the Sentinel-2 scene classification; anything else is no class.
LAST_CLASS = 11


def read_window(path: str, grid: Grid, band: int = 1, nodata: float | None = None) -> np.ndarray:
    """One band of a file on `grid`, by nearest neighbour.

    Only the blocks under the grid are read. In the grid's own CRS a pixel of the grid takes the file's pixel
    that holds its centre; any other CRS goes through GDAL's warper.

    Parameters
    ----------
    path : str
        File that GDAL opens.
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
        The file is absent, remote, truncated, not a raster or has no CRS.
    ConfigError
        The grid's CRS is not one.
    """
    if is_remote(path):
        raise SourceError(
            "the file is not on this machine", where=path, do="Fetch it beside the item and make its href relative"
        )
    try:
        with rasterio.open(path) as dataset:
            return _from(dataset, grid, band, nodata)
    except RasterioError as error:
        raise SourceError(
            f"cannot be read ({_short(error)})", where=path, do="The file may be cut short: fetch it again"
        ) from error


def read_remote(
    file: RangeFile, grid: Grid, windows: Sequence[tuple[slice, slice]], nodata: float | None = None
) -> np.ndarray:
    """First band of a remote file on windows of `grid`; only the blocks under them are fetched.

    Parameters
    ----------
    file : RangeFile
        COG or JPEG 2000.
    grid : Grid
        Where to.
    windows : sequence of (slice, slice)
        Rows and columns of `grid`, as of :meth:`agro.schema.grid.Cells.windows`.
    nodata : float, optional
        Used when the file states none.

    Returns
    -------
    numpy.ndarray
        (height, width) float64, NaN where nodata, outside the file or outside the windows.

    Raises
    ------
    SourceError, NoDataError, BudgetError, PrivacyError
        The file cannot be fetched, or is damaged when fetched twice.
    """
    for last in (False, True):
        try:
            return _read_remote(file, grid, windows, nodata)
        except SourceError:
            if last or not file.changed:
                raise
            # Pieces kept of the old file would fail for ever.
            file.forget()
        except RasterioError as error:
            if file.failure and not (file.changed and not last):
                raise file.failure from error
            # Damaged on the way, or at the provider: fetched once more to tell.
            file.forget()
            if last:
                raise SourceError(
                    f"is damaged ({_short(error)}), also when fetched again", where=file.url,
                    do="The other scenes go on; try another provider for this one",
                ) from error  # fmt: skip
    raise AssertionError("unreachable")


def _read_remote(
    file: RangeFile, grid: Grid, windows: Sequence[tuple[slice, slice]], nodata: float | None
) -> np.ndarray:
    file.failure = None
    file.open()
    name = f"{digest_of(file.url)}{PurePosixPath(urlsplit(file.url).path).suffix}"

    def opener(path: str, mode: str = "rb") -> io.RawIOBase:
        # GDAL also looks for side files, which remote scenes do not have.
        if PurePosixPath(path).name != name:
            raise FileNotFoundError(path)
        return file.handle()

    out = np.full(grid.shape, np.nan)
    # The JPEG 2000 driver would open the file again in threads that know no opener, and give noise for pixels.
    with rasterio.Env(GDAL_NUM_THREADS="1"), rasterio.open(name, opener=opener) as dataset:
        for rows, columns in windows:
            out[rows, columns] = _from(dataset, grid.part(rows, columns), 1, nodata)
    if file.failure:
        # GDAL took a part that did not come for the end of the file.
        raise file.failure
    return out


def _from(dataset: rasterio.DatasetReader, grid: Grid, band: int, nodata: float | None) -> np.ndarray:
    if dataset.crs is None:
        raise SourceError("the raster states no CRS", where=dataset.name, do="Write its CRS into the file")
    missing = dataset.nodata if dataset.nodata is not None else nodata
    step = dataset.transform
    if dataset.crs == _crs(grid) and step.b == 0 and step.d == 0 and step.e < 0 < step.a:
        return _by_centres(dataset, grid, band, missing)
    return _by_warping(dataset, grid, band, missing)


def _crs(grid: Grid) -> CRS:
    try:
        return CRS.from_user_input(grid.crs)
    except CRSError as error:
        raise ConfigError(f"no such CRS: {grid.crs}", where="grid", do="Give one like EPSG:32629") from error


def _by_centres(dataset: rasterio.DatasetReader, grid: Grid, band: int, missing: float | None) -> np.ndarray:
    y, x = pixel_centres(grid)
    rows = np.floor((y - dataset.transform.f) / dataset.transform.e).astype(int)
    columns = np.floor((x - dataset.transform.c) / dataset.transform.a).astype(int)
    inside_y = (rows >= 0) & (rows < dataset.height)
    inside_x = (columns >= 0) & (columns < dataset.width)
    out = np.full(grid.shape, np.nan)
    if not inside_y.any() or not inside_x.any():
        return out
    rows, columns = rows[inside_y], columns[inside_x]
    window = Window(columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
    values = _without(dataset.read(band, window=window).astype("float64"), missing)
    out[np.ix_(inside_y, inside_x)] = values[np.ix_(rows - rows[0], columns - columns[0])]
    return out


def _by_warping(dataset: rasterio.DatasetReader, grid: Grid, band: int, missing: float | None) -> np.ndarray:
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
        return _without(values, missing)


def _without(values: np.ndarray, missing: float | None) -> np.ndarray:
    if missing is not None and not np.isnan(missing):
        values[values == missing] = np.nan
    return values


def pixel_centres(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Northings of the rows and eastings of the columns, at the pixels' centres (m)."""
    y = grid.top - (np.arange(grid.height) + 0.5) * grid.resolution_m
    x = grid.left + (np.arange(grid.width) + 0.5) * grid.resolution_m
    return y, x


def is_remote(path: str) -> bool:
    """Whether GDAL would have to open a connection for this path."""
    return "://" in path or path.startswith(("/vsicurl", "/vsis3", "/vsigs", "/vsiaz"))


def _short(error: Exception) -> str:
    cause = error.__cause__ or error
    return " ".join(str(cause).split())[:160]


@dataclass(frozen=True)
class RasterHeader:
    """What a file says of itself.

    Parameters
    ----------
    band_names : list of str
        Descriptions of the bands ("" where there is none).
    scale, offset : float or None
        Reflectance = number * scale + offset, when the file states it.
    is_float : bool
        Numbers are floating point.
    high : float
        98th percentile of the finite numbers of the first band, read coarsely; NaN when there are none.
        Only read for floating point files.
    """

    band_names: list[str]
    scale: float | None
    offset: float | None
    is_float: bool
    high: float


def read_header(path: str) -> RasterHeader:
    """Header of a file.

    Raises
    ------
    SourceError
        The file cannot be opened.
    """
    try:
        with rasterio.open(path) as dataset:
            stated = (dataset.scales[0], dataset.offsets[0]) != (1.0, 0.0)
            is_float = np.dtype(dataset.dtypes[0]).kind == "f"
            high = np.nan
            if is_float:
                shape = (min(dataset.height, 256), min(dataset.width, 256))
                sample = _without(dataset.read(1, out_shape=shape).astype("float64"), dataset.nodata)
                high = float(np.percentile(sample[np.isfinite(sample)], 98)) if np.isfinite(sample).any() else np.nan
            return RasterHeader(
                [text or "" for text in dataset.descriptions],
                float(dataset.scales[0]) if stated else None,
                float(dataset.offsets[0]) if stated else None,
                is_float,
                high,
            )
    except RasterioError as error:
        raise SourceError(
            f"cannot be opened ({_short(error)})", where=path, do="Fetch it again or remove it"
        ) from error


def as_classes(values: np.ndarray) -> np.ndarray:
    """Scene classes as uint8; 0 (nodata) where missing or not a class."""
    known = np.isfinite(values) & (values >= 0) & (values <= LAST_CLASS)
    return np.where(known, values, 0).astype("uint8")
