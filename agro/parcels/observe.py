"""One day of imagery to parcel observations."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from agro.parcels.coverage import CoverageWeights
from agro.parcels.statistics import parcel_statistics
from agro.schema.errors import ContractError
from agro.schema.region import ObservationOptions
from agro.schema.tables import empty, validate

#: A parcel with less of its area on the grid than this is off the tile.
ON_TILE_FRAC = 0.5


def observe_day(
    cube: xr.Dataset,
    layers: Mapping[str, np.ndarray],
    parcels: gpd.GeoDataFrame,
    weights: CoverageWeights,
    options: ObservationOptions,
    source_name: str,
    source_reason: str | None = None,
) -> pd.DataFrame:
    """Statistics of each layer in each parcel.

    Parameters
    ----------
    cube : xarray.Dataset
        One day: ``qa`` (time = 1, y, x), coordinates ``time`` and ``scene_ids``.
    layers : mapping of str to numpy.ndarray
        (y, x) index values by key, NaN = missing.
    parcels : geopandas.GeoDataFrame
        Table ``parcels``, in the order of `weights`.
    weights : CoverageWeights
        Of these parcels on the cube's grid.
    options : ObservationOptions
        Least effective pixels, least valid share.
    source_name : str
        Said on each row.
    source_reason : str, optional
        Why it is not the first source of the chain; said on each row.

    Returns
    -------
    pandas.DataFrame
        Table ``observations``, a row for each parcel and layer. Statistics are NaN where no pixel is valid.
        Reasons of rows that are not usable: ``not_observable`` (too few pixels even under a clear sky: fewer
        than 8 by default, after Remote Sens. 12:2195), ``off_tile`` (more than half of the parcel is not on
        the grid), ``no_valid_pixels``, ``cloudy`` (too small a share, or too few pixels, left by the mask).

    Raises
    ------
    ContractError
        The cube is not of one day, or parcels, weights and pixels do not belong together.
    """
    if cube.sizes.get("time") != 1:
        raise ContractError(
            "the cube is not of one day", where=source_name, do="Give one day at a time: cube.isel(time=[i])"
        )
    if len(parcels) != weights.matrix.shape[0]:
        raise ContractError(
            f"weights of {weights.matrix.shape[0]} parcels on a table of {len(parcels)}", where=source_name,
            do="Compute the weights from these parcels",
        )  # fmt: skip
    _same_place(cube, weights, source_name)
    clear = np.asarray(cube["qa"].values[0] == 0)
    on_tile = np.nan_to_num(weights.on_grid_frac, nan=1.0)
    if not layers:
        return empty("observations")
    parts = []
    for key, layer in layers.items():
        table = parcel_statistics(weights, layer, clear)
        reason = np.select(
            [
                weights.pixels < options.min_pixels,
                on_tile < ON_TILE_FRAC,
                table["pixels_effective"] <= 0,
                (table["valid_frac"] < options.min_valid_frac) | (table["pixels_effective"] < options.min_pixels),
            ],
            ["not_observable", "off_tile", "no_valid_pixels", "cloudy"],
            default="",
        )
        table.insert(0, "parcel_uid", parcels["parcel_uid"].to_numpy())
        table["index"] = key
        table["usable"] = reason == ""
        table["reason"] = pd.Series(reason, dtype="str").where(reason != "")
        parts.append(table)
    out = pd.concat(parts, ignore_index=True)
    out["date"] = pd.Timestamp(cube["time"].values[0])
    out["source"] = source_name
    out["source_reason"] = source_reason
    out["buffer_m"] = weights.buffer_m
    out["scene_ids"] = str(np.atleast_1d(cube["scene_ids"].values)[0])
    return validate(out, "observations")


def _same_place(cube: xr.Dataset, weights: CoverageWeights, where: str) -> None:
    """Pixels of one grid must not be read with the weights of another."""
    grid = weights.grid
    centres = (grid.left + grid.resolution_m / 2, grid.top - grid.resolution_m / 2)
    if cube["qa"].shape[1:] != grid.shape or not np.allclose(
        (cube["x"].values[0], cube["y"].values[0]), centres, atol=0.01 * grid.resolution_m
    ):
        raise ContractError(
            "the cube and the weights are on different grids",
            where=where,
            do="Compute the weights on the grid of the cube",
        )
