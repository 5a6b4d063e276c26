"""Cells of pixels from the Process API."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from pyproj import Transformer
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from sentinelhub import CRS, BBox, DataCollection, MimeType, SentinelHubRequest, SHConfig

from agro.schema.grid import CELL_M, Grid
from agro.sources.imagery.raster import pixel_centres
from agro.sources.imagery.remote import Remote
from agro.sources.imagery.sentinelhub.account import Account
from agro.sources.imagery.sentinelhub.catalogue import Acquisition
from agro.sources.imagery.sentinelhub.cost import PIXEL_M, cell_estimate
from agro.sources.imagery.sentinelhub.evalscript import pixels_script
from agro.sources.net import Call, Client, Estimate

#: Pixels along a cell's side.
SIDE = round(CELL_M / PIXEL_M)
#: Requests under way at once.
WORKERS = 4

Cell = tuple[int, int]
T = TypeVar("T")
R = TypeVar("R")


class Pixels:
    """Whole cells, all wanted bands in one request; kept in the network's cache.

    Parameters
    ----------
    config : SHConfig
    collection : DataCollection
    remote : Remote
    client : Client
    account : Account, optional
        None offline.
    max_cloud_frac : float
        Products with more cloud are left out of the picture.
    """

    def __init__(
        self, config: SHConfig, collection: DataCollection, remote: Remote, client: Client, account: Account | None,
        max_cloud_frac: float,
    ) -> None:  # fmt: skip
        self._config = config
        self._collection = collection
        self._remote = remote
        self._client = client
        self._account = account
        self._limit = cloud_limit(max_cloud_frac)
        #: (west, south, east, north) of the cells in degrees; they stay here.
        self.boxes = {cell: remote.cell_box(cell) for cell in remote.cells.members}
        # Bands are read one after the other: the cells of one scene are held meanwhile.
        self._held: tuple[tuple[str, tuple[str, ...]], dict[Cell, np.ndarray]] = (("", ()), {})
        self._lock = threading.Lock()

    def read(self, scene: Acquisition, bands: tuple[str, ...], band: str, grid: Grid) -> np.ndarray:
        """Numbers of a band on `grid`, float64 with NaN = nodata, from requests for `bands`.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`agro.sources.net.Client.fetch`.
        """
        out = np.full(grid.shape, np.nan)
        places = _places(self._remote.cells.members, self._remote.cells.crs, grid)
        touched = [cell for cell in places if scene.over(self.boxes[cell])]
        if not touched:
            return out
        stacks = self._stacks(scene, bands, touched)
        number = bands.index(band)
        for cell in touched:
            place = places[cell]
            values = stacks[cell][number][place.rows, place.columns].astype("float64")
            missing = stacks[cell][-1][place.rows, place.columns] == 0
            if not scene.harmonised:
                # In the files 0 is nodata; with the offset removed it may be a reflectance cut off at 0.
                missing |= values == 0
            out[place.here] = np.where(missing, np.nan, values)
        return out

    def estimate(self, scene: Acquisition, bands: tuple[str, ...]) -> Estimate:
        """Cost of the cells of a scene that the cache lacks."""
        total = Estimate()
        for cell in self._remote.cells.members:
            if scene.over(self.boxes[cell]):
                call = self._call(scene, bands, cell)
                total += Estimate() if self._client.kept(call) else call.estimate
        return total

    def _stacks(self, scene: Acquisition, bands: tuple[str, ...], cells: Sequence[Cell]) -> dict[Cell, np.ndarray]:
        key = (scene.scene_id, bands)
        with self._lock:
            held = dict(self._held[1]) if self._held[0] == key else {}
        lacking = [cell for cell in cells if cell not in held]
        if lacking:
            held |= dict(zip(lacking, together(lambda cell: self._fetch(scene, bands, cell), lacking), strict=True))
            with self._lock:
                self._held = (key, held)
        return held

    def _fetch(self, scene: Acquisition, bands: tuple[str, ...], cell: Cell) -> np.ndarray:
        return _decoded(self._client.fetch(self._call(scene, bands, cell)).content)

    def _call(self, scene: Acquisition, bands: tuple[str, ...], cell: Cell) -> Call:
        script = pixels_script(bands)
        request = SentinelHubRequest(
            script,
            [
                SentinelHubRequest.input_data(
                    self._collection,
                    other_args={
                        "dataFilter": {"timeRange": {"from": scene.begins, "to": scene.ends}, **self._limit},
                        "processing": {
                            "upsampling": "NEAREST", "downsampling": "NEAREST", "harmonizeValues": scene.harmonised,
                        },
                    },
                )
            ],
            [SentinelHubRequest.output_response("default", MimeType.TIFF)],
            bbox=BBox(self._remote.cells.bounds(cell), CRS(self._remote.cells.crs)),
            size=(SIDE, SIDE),
            config=self._config,
        ).download_list[0]  # fmt: skip
        count = len(bands) + 1
        return Call(
            str(request.url), method="POST", body=request.post_values, headers=request.headers, expects="bytes",
            check=lambda content: _fault(content, count), version=",".join(scene.over(self.boxes[cell])),
            signer=self._account.sign if self._account else None, estimate=cell_estimate(len(bands)),
            piece=f"{scene.date} cell {cell[0]},{cell[1]}", parcels=self._remote.parcels.get(cell, ()),
            constants=frozenset({script, self._collection.api_id, *request.headers.values()}),
        )  # fmt: skip


def cloud_limit(max_cloud_frac: float) -> dict[str, int]:
    """The limit as the provider takes it: whole percent, upward."""
    return {"maxCloudCoverage": math.ceil(max_cloud_frac * 100 - 1e-9)} if max_cloud_frac < 1 else {}


def together(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Results in the order of the items, a few at once; after the first error no further one is begun."""
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        begun = [pool.submit(work, item) for item in items]
        try:
            return [one.result() for one in begun]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _decoded(content: bytes) -> np.ndarray:
    """(bands, rows, columns) of a GeoTIFF."""
    with MemoryFile(content) as memory, memory.open() as dataset:
        values: np.ndarray = dataset.read()
        return values


def _fault(content: bytes, count: int) -> str:
    """What is wrong with a picture."""
    try:
        values = _decoded(content)
    except RasterioError as error:
        return f"no GeoTIFF that can be read ({' '.join(str(error.__cause__ or error).split())[:120]})"
    if values.shape != (count, SIDE, SIDE) or values.dtype != np.uint16:
        return f"a picture of {values.shape} {values.dtype} in the place of {(count, SIDE, SIDE)} uint16"
    return ""


@dataclass(frozen=True)
class _Place:
    """Pixels of a grid that a cell holds (`here`), and their rows and columns in the cell."""

    here: tuple[np.ndarray, ...]
    rows: np.ndarray
    columns: np.ndarray


def _places(cells: Sequence[Cell], crs: str, grid: Grid) -> dict[Cell, _Place]:
    """Where each cell under a grid goes; a pixel of the grid takes the pixel of the cell that holds its centre."""
    y, x = pixel_centres(grid)
    if grid.crs != crs:
        # Another zone: every pixel by itself.
        x2, y2 = Transformer.from_crs(grid.crs, crs, always_xy=True).transform(*np.meshgrid(x, y))
        rows2, columns2 = np.indices(grid.shape)
    found = {}
    for column, row in cells:
        left, top = column * CELL_M, (row + 1) * CELL_M
        if grid.crs == crs:
            rows = np.flatnonzero((y <= top) & (y > top - CELL_M))
            columns = np.flatnonzero((x >= left) & (x < left + CELL_M))
            if rows.size and columns.size:
                inside_rows, inside_columns = np.ix_(_step(top - y[rows]), _step(x[columns] - left))
                found[column, row] = _Place(np.ix_(rows, columns), inside_rows, inside_columns)
        else:
            inside = (y2 <= top) & (y2 > top - CELL_M) & (x2 >= left) & (x2 < left + CELL_M)
            if inside.any():
                here = (rows2[inside], columns2[inside])
                found[column, row] = _Place(here, _step(top - y2[inside]), _step(x2[inside] - left))
    return found


def _step(distance_m: np.ndarray) -> np.ndarray:
    return np.minimum(np.floor(distance_m / PIXEL_M).astype(int), SIDE - 1)
