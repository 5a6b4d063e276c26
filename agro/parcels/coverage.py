"""How much of each pixel lies in each parcel: computed once, used for every band and date."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from zipfile import BadZipFile

import geopandas as gpd
import numpy as np
from scipy import sparse

from agro.schema.errors import ContractError
from agro.schema.grid import Grid


@dataclass(frozen=True)
class CoverageWeights:
    """Coverage fractions of a parcel set on a grid.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array
        (parcels, height * width), the share 0..1 of each pixel within the buffered parcel.
    pixels : numpy.ndarray
        (parcels,) area of the buffered parcel in pixels, on the grid or not.
    buffer_m : float
        Inner buffer.
    grid : Grid
        The grid.
    """

    matrix: sparse.csr_array
    pixels: np.ndarray
    buffer_m: float
    grid: Grid

    @cached_property
    def rows(self) -> np.ndarray:
        """Row of each entry of the matrix."""
        return np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))

    @property
    def on_grid_frac(self) -> np.ndarray:
        """(parcels,) share of the buffered parcel that lies on the grid; NaN where the buffer left nothing."""
        covered = np.asarray(self.matrix.sum(axis=1)).ravel()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.pixels > 0, np.minimum(covered / self.pixels, 1.0), np.nan)

    def save(self, path: Path, provenance: str) -> None:
        """Write an ``npz`` file; equal weights give equal bytes.

        Parameters
        ----------
        path : Path
        provenance : str
            JSON of the artefact's provenance, kept in the file.
        """
        grid = self.grid
        with path.open("wb") as file:
            np.savez_compressed(
                file, data=self.matrix.data, indices=self.matrix.indices, indptr=self.matrix.indptr,
                pixels=self.pixels, buffer_m=self.buffer_m, crs=grid.crs,
                grid=np.array([grid.left, grid.top, grid.resolution_m, grid.width, grid.height], dtype="float64"),
                agro=provenance,
            )  # fmt: skip

    @classmethod
    def load(cls, path: Path) -> CoverageWeights:
        """Read a file of :meth:`save`.

        Raises
        ------
        ContractError
            The file is not one, or is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                left, top, resolution_m, width, height = (float(v) for v in file["grid"])
                grid = Grid(str(file["crs"]), left, top, resolution_m, int(width), int(height))
                pixels = file["pixels"]
                shape = (pixels.size, grid.height * grid.width)
                matrix = sparse.csr_array((file["data"], file["indices"], file["indptr"]), shape=shape)
                matrix.check_format()
                return cls(matrix, pixels, float(file["buffer_m"]), grid)
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise ContractError(
                f"no coverage weights can be read ({type(error).__name__})",
                where=str(path),
                do="Delete it and run again",
            ) from error

    @classmethod
    def from_parcels(cls, parcels: gpd.GeoDataFrame, grid: Grid, buffer_m: float = 0.0) -> CoverageWeights:
        """Compute the fractions with ``exactextract``.

        Parameters
        ----------
        parcels : geopandas.GeoDataFrame
            In any CRS; rows in the order of the result.
        grid : Grid
            Projected grid.
        buffer_m : float
            Metres taken off along the boundary, in the grid's CRS. A parcel that vanishes keeps no pixel.

        Raises
        ------
        ContractError
            Parcels without a CRS, or a negative buffer.
        """
        from exactextract import exact_extract
        from exactextract.raster import NumPyRasterSource

        if parcels.crs is None:
            raise ContractError("parcels without a CRS cannot be laid on a grid", do="Set it: parcels.set_crs(...)")
        if buffer_m < 0:
            raise ContractError(f"an inner buffer of {buffer_m:g} m", do="Give metres to take off, 0 or more")
        shapes = parcels.geometry.to_crs(grid.crs)
        if buffer_m > 0:
            shapes = shapes.buffer(-buffer_m, join_style="mitre")
        area = shapes.area.to_numpy() / grid.resolution_m**2
        left, bottom, right, top = grid.bounds
        # One number seen everywhere: only the position of cells is asked, so a tile costs no memory.
        nothing = np.broadcast_to(np.zeros(1, dtype="float32"), grid.shape)
        raster = NumPyRasterSource(nothing, xmin=left, ymin=bottom, xmax=right, ymax=top, srs_wkt=shapes.crs.to_wkt())
        rows, columns, values = [], [], []
        present = np.flatnonzero(area > 0)
        if present.size:
            frame = gpd.GeoDataFrame({"row": present}, geometry=shapes.iloc[present].to_numpy(), crs=shapes.crs)
            found = exact_extract(raster, frame, ["cell_id", "coverage"], include_cols=["row"], output="pandas")
            for row, cells, fractions in zip(found["row"], found["cell_id"], found["coverage"], strict=True):
                take = np.asarray(fractions) > 0
                columns.append(np.asarray(cells)[take].astype("int64"))
                values.append(np.asarray(fractions, dtype="float64")[take])
                rows.append(np.full(int(take.sum()), row, dtype="int64"))
        shape = (len(parcels), grid.height * grid.width)
        if not rows:
            return cls(sparse.csr_array(shape, dtype="float64"), area, buffer_m, grid)
        matrix = sparse.coo_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
        )
        return cls(matrix.tocsr(), area, buffer_m, grid)
