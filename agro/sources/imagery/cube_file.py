"""A NetCDF or Zarr cube with time, y and x."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from agro.schema.errors import ConfigError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.names import common_name, solar_day
from agro.sources.imagery.options import checked_scaling
from agro.sources.imagery.protocol import Scene, SearchResult
from agro.sources.imagery.raster import as_classes, pixel_centres

#: Nodata of several exports of uint16 numbers.
NODATA_DN = 65535
#: Numbers up to the first are reflectance, up to the second reflectance x 10000.
REFLECTANCE_HIGH, NUMBERS_HIGH = 2.0, 20000.0
#: Numbers looked at to tell the scale.
SAMPLE = 1000
_RENAMED = {"t": "time", "lat": "y", "lon": "x", "latitude": "y", "longitude": "x"}


class CubeFile:
    """Variables named by band (``B04``, ``S2-L2A-B04``, ``red``, ``SCL``), dimensions time (or t), y, x.

    The file is opened once; only the time steps and rows asked for are read.

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
        self.cube = _open(path)
        self.bands = _bands(self.cube, path)
        self.crs = self._crs(crs)
        self.scale, self.offset, self.note = self._scaling(*checked_scaling(scale, offset))

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
                if text == given:
                    raise ConfigError(
                        f"no such CRS: {given}", where="imagery.options.crs", do="Give one like EPSG:32629"
                    ) from None
        raise SourceError(
            "the cube states no CRS", where=str(self.path), do="Say it: imagery.options.crs, e.g. EPSG:32629"
        )

    def _scaling(self, scale: float | None, offset: float | None) -> tuple[float, float | None, str]:
        names = [name for band, name in self.bands.items() if band != "scl"]
        if scale is not None:
            return scale, offset, "scale from the options"
        stated = {_stated(self.cube[name].attrs) for name in names}
        if len(stated) > 1:
            raise SourceError(
                "bands of the cube state different scales or offsets", where=str(self.path), do="Say options.scale"
            )
        attributes = stated.pop()
        if attributes is not None:
            return attributes[0], attributes[1] if offset is None else offset, "scale from the file's attributes"
        high = self._high(names[0])
        if high <= REFLECTANCE_HIGH:
            return 1.0, offset or 0.0, "values up to 2: taken as reflectance"
        if high <= NUMBERS_HIGH:
            return 0.0001, offset, "values above 2: taken as reflectance x 10000"
        raise SourceError(
            f"values up to {high:g} are neither reflectance nor reflectance x 10000",
            where=f"{self.path} {names[0]}",
            do="Say options.scale",
        )

    def _high(self, name: str) -> float:
        """98th percentile of the first numbers found, a time step at a time."""
        seen: list[np.ndarray] = []
        for step in range(self.cube.sizes["time"]):
            values = self._values(name, step, slice(None), slice(None))
            seen.append(values[np.isfinite(values)])
            if sum(map(len, seen)) >= SAMPLE:
                break
        numbers = np.concatenate(seen) if seen else np.empty(0)
        if not numbers.size:
            raise SourceError("the cube holds no value", where=f"{self.path} {name}", do="Export the cube again")
        return float(np.percentile(numbers, 98))

    def search(self, start: date, end: date) -> SearchResult:
        """One scene a time step within the period."""
        moments = pd.DatetimeIndex(self.cube["time"].values)
        # Midnights are labels of days; other times are of the acquisition, in UTC.
        label = bool((moments == moments.normalize()).all())
        longitude = 0.0 if label else self._longitude()
        scenes = []
        for number, moment in enumerate(moments):
            day = moment.date() if label else solar_day(moment.to_pydatetime(), longitude)
            if start <= day <= end:
                scenes.append(
                    Scene(
                        f"{self.path.stem}-{moment:%Y%m%dT%H%M}-{number:03d}", day, self.name,
                        {band: f"{name}@{number}" for band, name in sorted(self.bands.items())},
                        offset=self.offset, scale=self.scale, note=self.note, files=(str(self.path),),
                    )
                )  # fmt: skip
        return SearchResult.of(scenes, [])

    def _longitude(self) -> float:
        middle = float(self.cube["x"].values.mean()), float(self.cube["y"].values.mean())
        return float(Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True).transform(*middle)[0])

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        name, _, number = scene.assets[band].rpartition("@")
        rows, columns = self._cells(grid)
        out = np.full(grid.shape, np.nan)
        seen = (rows >= 0) & (columns >= 0)
        if seen.any():
            top, left = int(rows[seen].min()), int(columns[seen].min())
            values = self._values(
                name, int(number), slice(top, int(rows[seen].max()) + 1), slice(left, int(columns[seen].max()) + 1),
                classes=band == "scl",
            )  # fmt: skip
            out[seen] = values[rows[seen] - top, columns[seen] - left]
        return as_classes(out) if band == "scl" else out

    def _cells(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """Row and column of the cell nearest to each pixel of `grid`, -1 off the cube; both (height, width)."""
        try:
            target = CRS.from_user_input(grid.crs)
        except CRSError as error:
            raise ConfigError(f"no such CRS: {grid.crs}", where="grid", do="Give one like EPSG:32629") from error
        x, y = np.meshgrid(*reversed(pixel_centres(grid)))
        if not self.crs.equals(target, ignore_axis_order=True):
            x, y = Transformer.from_crs(target, self.crs, always_xy=True).transform(x, y)
        return _nearest(self.cube["y"].values, y), _nearest(self.cube["x"].values, x)

    def _values(self, name: str, step: int, rows: slice, columns: slice, classes: bool = False) -> np.ndarray:
        """Part of one time step as float64, NaN = missing."""
        variable = self.cube[name].isel(time=step, y=rows, x=columns).transpose("y", "x")
        try:
            return _clean(variable.values, variable.attrs, classes)
        except (OSError, RuntimeError, ValueError) as error:
            raise SourceError(
                f"{name} at step {step} cannot be read ({type(error).__name__})", where=str(self.path),
                do="The file may be cut short: fetch it again",
            ) from error  # fmt: skip


def _open(path: Path) -> xr.Dataset:
    try:
        if path.suffix == ".zarr" or path.is_dir():
            cube = xr.open_zarr(path, mask_and_scale=False, consolidated=False)
        else:
            cube = xr.open_dataset(path, engine="netcdf4", mask_and_scale=False)
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise SourceError(
            f"not a NetCDF or Zarr cube that can be read ({type(error).__name__})",
            where=str(path),
            do="Fetch the file again",
        ) from error
    cube = cube.rename({old: new for old, new in _RENAMED.items() if old in cube.dims})
    if not {"time", "y", "x"} <= set(cube.dims):
        raise SourceError(
            f"dimensions {', '.join(map(str, cube.dims))}; time (or t), y and x are needed",
            where=str(path),
            do="Export the cube again",
        )
    for axis in ("time", "y", "x"):
        if axis not in cube.coords:
            raise SourceError(f"{axis} has no coordinates", where=str(path), do="Export the cube with coordinates")
    for axis in ("y", "x"):
        steps = np.diff(cube[axis].values.astype("float64"))
        if len(steps) == 0 or steps[0] == 0 or np.abs(steps - steps[0]).max() > 0.01 * abs(steps[0]):
            raise SourceError(
                f"{axis} is not evenly spaced, or holds fewer than two cells",
                where=str(path),
                do="Export the cube again",
            )
    if not np.issubdtype(cube["time"].dtype, np.datetime64) or bool(np.isnat(cube["time"].values).any()):
        raise SourceError("time does not hold dates", where=str(path), do="Export the cube with a CF time axis")
    return cube


def _bands(cube: xr.Dataset, path: Path) -> dict[str, str]:
    """Variable of each band."""
    bands: dict[str, str] = {}
    for name in map(str, cube.data_vars):
        band = common_name(name)
        if band is None or set(cube[name].dims) != {"time", "y", "x"}:
            continue
        if band in bands:
            raise SourceError(f"both {bands[band]} and {name} are {band}", where=str(path), do="Remove one of them")
        bands[band] = name
    if not set(bands) - {"scl"}:
        raise SourceError(
            f"no variable is a band: {', '.join(map(str, cube.data_vars))}",
            where=str(path),
            do="Name variables B04, B08, SCL ...",
        )
    return bands


def _stated(attributes: Mapping[Any, Any]) -> tuple[float, float] | None:
    """Scale, and offset in numbers, of a variable's attributes."""
    factor, added = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
    if factor == 0 or (factor, added) == (1.0, 0.0):
        return None
    return factor, added / factor


def _clean(values: np.ndarray, attributes: Mapping[Any, Any], classes: bool = False) -> np.ndarray:
    unsigned = str(attributes.get("_Unsigned", "false")).lower() == "true" and values.dtype.kind == "i"
    stored = values.dtype
    if unsigned:
        values = values.view(stored.str.replace("i", "u"))
    out = values.astype("float64")
    for key in ("_FillValue", "missing_value"):
        if key in attributes:
            missing = np.asarray(attributes[key], dtype="float64").ravel()
            if unsigned:
                missing = np.where(missing < 0, missing + 2.0 ** (8 * stored.itemsize), missing)
            out[np.isin(out, missing)] = np.nan
    if np.issubdtype(values.dtype, np.integer) and not classes:
        out[(values == 0) | (values == NODATA_DN)] = np.nan
    return out


def _nearest(centres: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the cell whose centre is nearest, -1 beyond half a cell of the edge."""
    step = (centres[-1] - centres[0]) / (len(centres) - 1)
    position = np.where(np.isfinite(wanted), (wanted - centres[0]) / step, -9.0)
    # The tiny shift keeps exact half-way cases on one side.
    index = np.floor(position + 0.5 - 1e-6).astype(int)
    index[(index < 0) | (index >= len(centres))] = -1
    return index
