"""A NetCDF or Zarr cube with time, y and x."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from pyproj import CRS
from pyproj.exceptions import CRSError

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.schema.tables import empty
from agro.sources.imagery.names import common_name
from agro.sources.imagery.protocol import Scene, SearchResult
from agro.sources.imagery.raster import as_classes

#: Largest digital number of a band; 65535 is nodata in several exports.
NODATA_DN = 65535


class CubeFile:
    """Variables named by band (``B04``, ``S2-L2A-B04``, ``red``, ``SCL``), dimensions time (or t), y, x.

    Parameters
    ----------
    path : Path
        NetCDF file or Zarr folder.
    scale, offset : float, optional
        Reflectance = (number + offset) * scale. Left out, the file's attributes decide, then its values:
        numbers up to 2 are reflectance, larger ones reflectance x 10000.
    crs : str, optional
        When the file states none.
    """

    name = "cube"

    def __init__(
        self, path: Path, scale: float | None = None, offset: float | None = None, crs: str | None = None
    ) -> None:
        self.path = path
        try:
            if path.suffix == ".zarr" or path.is_dir():
                cube = xr.open_zarr(path, mask_and_scale=False)
            else:
                cube = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)
        except (OSError, ValueError, KeyError) as error:
            raise SourceError(
                f"not a NetCDF or Zarr cube that can be read ({type(error).__name__})",
                where=str(path),
                do="Fetch the file again",
            ) from error
        self.cube = cube.rename(
            {
                old: new
                for old, new in {"t": "time", "lat": "y", "lon": "x", "latitude": "y", "longitude": "x"}.items()
                if old in cube.dims
            }
        )
        if not {"time", "y", "x"} <= set(self.cube.dims):
            raise SourceError(
                f"dimensions {', '.join(map(str, cube.dims))}; time (or t), y and x are needed",
                where=str(path),
                do="Export the cube again",
            )
        if any(self.cube.sizes[d] < 2 for d in ("y", "x")):
            raise SourceError("fewer than two rows or columns", where=str(path), do="Export the cube again")
        self.bands = {
            band: str(name)
            for name in self.cube.data_vars
            if (band := common_name(str(name))) and self.cube[name].ndim == 3
        }
        if not set(self.bands) - {"scl"}:
            raise SourceError(
                f"no variable is a band: {', '.join(map(str, self.cube.data_vars))}",
                where=str(path),
                do="Name variables B04, B08, SCL ...",
            )
        self.crs = self._crs(crs)
        self.scale, self.offset, self.note = self._scaling(scale, offset)

    def _crs(self, given: str | None) -> CRS:
        first = self.cube[next(iter(self.bands.values()))]
        names = [first.attrs.get("grid_mapping", first.encoding.get("grid_mapping")), "spatial_ref", "crs"]
        texts = [given]
        for name in filter(None, names):
            if name in self.cube.variables:
                attrs = self.cube[name].attrs
                texts += [attrs.get("crs_wkt"), attrs.get("spatial_ref")]
        texts.append(self.cube.attrs.get("crs"))
        for text in filter(None, texts):
            try:
                return CRS.from_user_input(text)
            except CRSError:
                continue
        raise SourceError(
            "the cube states no CRS", where=str(self.path), do="Say it: imagery.options.crs, e.g. EPSG:32629"
        )

    def _scaling(self, scale: float | None, offset: float | None) -> tuple[float, float | None, str]:
        variable = self.cube[next(name for band, name in self.bands.items() if band != "scl")]
        attributes = variable.attrs
        if scale is not None:
            return scale, offset, "scale from the options"
        if "scale_factor" in attributes:
            factor = float(attributes["scale_factor"])
            return factor, float(attributes.get("add_offset", 0.0)) / factor, "scale from the file's attributes"
        values = _clean(variable.values, variable.attrs)
        if not np.isfinite(values).any():
            raise SourceError("the cube holds no value", where=str(self.path), do="Export the cube again")
        if np.nanpercentile(values, 98) <= 2.0:
            return 1.0, 0.0 if offset is None else offset, "values up to 2: taken as reflectance"
        return 0.0001, offset, "values above 2: taken as reflectance x 10000"

    def search(self, start: date, end: date) -> SearchResult:
        """One scene a time step within the period."""
        days = pd.DatetimeIndex(self.cube["time"].values)
        scenes = []
        for number, moment in enumerate(days):
            if start <= moment.date() <= end:
                scenes.append(
                    Scene(
                        f"{self.path.stem}-{moment:%Y%m%dT%H%M}-{number:03d}", moment.date(), self.name,
                        {band: f"{name}@{number}" for band, name in sorted(self.bands.items())},
                        offset=self.offset, scale=self.scale, note=self.note,
                    )
                )  # fmt: skip
        return SearchResult(scenes, empty("rejected"))

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        name, _, number = scene.assets[band].partition("@")
        variable = self.cube[name].isel(time=int(number)).transpose("y", "x")
        values = _clean(variable.values, variable.attrs, classes=band == "scl")
        on_grid = self._on_grid(values, grid)
        return as_classes(on_grid) if band == "scl" else on_grid

    def _on_grid(self, values: np.ndarray, grid: Grid) -> np.ndarray:
        if not self.crs.equals(CRS.from_user_input(grid.crs), ignore_axis_order=True):
            raise ConfigError(
                f"the cube is in {self.crs.to_string()[:40]}, the parcels' grid in {grid.crs}", where=str(self.path),
                do=f"Set place.crs to {(self.crs.to_authority() and ':'.join(self.crs.to_authority())) or 'the CRS of the cube'}",
            )  # fmt: skip
        rows = _nearest(self.cube["y"].values, grid.top - (np.arange(grid.height) + 0.5) * grid.resolution_m)
        columns = _nearest(self.cube["x"].values, grid.left + (np.arange(grid.width) + 0.5) * grid.resolution_m)
        out = values[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))]
        out[rows < 0, :] = np.nan
        out[:, columns < 0] = np.nan
        return out


def _clean(values: np.ndarray, attributes: dict[str, object], classes: bool = False) -> np.ndarray:
    if str(attributes.get("_Unsigned", "false")).lower() == "true" and values.dtype.kind == "i":
        values = values.view(values.dtype.str.replace("i", "u"))
    out = values.astype("float64")
    for key in ("_FillValue", "missing_value"):
        if key in attributes:
            out[out == float(attributes[key])] = np.nan  # type: ignore[arg-type]
    if np.issubdtype(values.dtype, np.integer) and not classes:
        out[(values == 0) | (values == NODATA_DN)] = np.nan
    return out


def _nearest(centres: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the cell whose centre is nearest, -1 beyond half a cell of the edge."""
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    # The tiny shift keeps exact half-way cases on one side.
    index = np.floor((wanted - centres[0]) / step + 0.5 - 1e-6).astype(int)
    index[(index < 0) | (index >= len(centres))] = -1
    return index
