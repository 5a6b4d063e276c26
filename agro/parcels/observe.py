"""One day of imagery to parcel observations."""

from __future__ import annotations

from collections.abc import Mapping

import geopandas as gpd
import numpy as np
import pandas as pd
import xarray as xr

from agro.parcels.coverage import CoverageWeights
from agro.parcels.statistics import parcel_statistics
from agro.schema.region import ObservationOptions
from agro.schema.tables import validate

#: A parcel with less of its area on the grid than this is off the tile.
ON_TILE_FRAC = 0.5


def observe_day(
    cube: xr.Dataset,
    layers: Mapping[str, np.ndarray],
    parcels: gpd.GeoDataFrame,
    weights: CoverageWeights,
    options: ObservationOptions,
    source_name: str,
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

    Returns
    -------
    pandas.DataFrame
        Table ``observations``. Reasons of rows that are not usable: ``not_observable`` (too few pixels even
        under a clear sky: fewer than 8 by default, after Remote Sens. 12:2195), ``off_tile``,
        ``no_valid_pixels``, ``cloudy``.
    """
    clear = np.asarray(cube["qa"].values[0] == 0)
    on_grid = np.asarray(weights.matrix.sum(axis=1)).ravel()
    with np.errstate(invalid="ignore", divide="ignore"):
        on_tile = np.where(weights.pixels > 0, on_grid / weights.pixels, 1.0)
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
    out["buffer_m"] = weights.buffer_m
    out["scene_ids"] = str(np.atleast_1d(cube["scene_ids"].values)[0])
    return validate(out, "observations")
