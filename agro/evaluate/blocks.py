"""Blocks of neighbouring places, for validation in space."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

BLOCKS, SEED = 5, 0


def spatial_blocks(places: pd.DataFrame, blocks: int = BLOCKS) -> pd.Series:
    """Number of the block of each place, by k-means on the sphere (Roberts et al. 2017, doi 10.1111/ecog.02881).

    Parameters
    ----------
    places : pandas.DataFrame
        latitude, longitude (degrees) by place; NaN falls in a block of its own, -1.
    blocks : int
        Blocks wanted; fewer places give as many.
    """
    known = places[["latitude", "longitude"]].notna().all(axis=1)
    out = pd.Series(-1, index=places.index, dtype="int64")
    if known.any():
        lat, lon = np.radians(places.loc[known, "latitude"]), np.radians(places.loc[known, "longitude"])
        xyz = np.column_stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)])
        out[known] = KMeans(min(blocks, int(known.sum())), n_init=10, random_state=SEED).fit_predict(xyz)
    return out
