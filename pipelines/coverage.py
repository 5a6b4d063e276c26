"""Coverage weights kept in the workspace: computed once for a parcel set, a grid and a buffer, whatever the day or run."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import version

import geopandas as gpd

from agro.parcels import CoverageWeights
from agro.schema.grid import Grid
from agro.schema.provenance import canonical_json, digest_of
from agro.store.atomic import replacing
from pipelines.units import Manifest, Unit

STEP = "coverage/1"


def parcels_digest(parcels: gpd.GeoDataFrame) -> str:
    """Digest of which parcels there are, in which order, and of their outlines."""
    return digest_of([list(parcels["parcel_uid"]), list(parcels["agro:geometry_digest"])])


def kept_weights(
    parcels: gpd.GeoDataFrame,
    grid: Grid,
    buffer_m: float,
    manifest: Manifest | None = None,
    created_at: datetime | None = None,
    piece: str = "region",
) -> CoverageWeights:
    """Weights from the workspace, or computed and entered there.

    Parameters
    ----------
    parcels : geopandas.GeoDataFrame
        Table ``parcels``.
    grid : Grid
    buffer_m : float
        Inner buffer.
    manifest : Manifest, optional
        Of the workspace; without one, or without `created_at`, nothing is kept.
    created_at : datetime, optional
        The run's clock.
    piece : str
        Which part of the region it is.
    """
    if manifest is None or created_at is None:
        return CoverageWeights.from_parcels(parcels, grid, buffer_m)
    unit = Unit(
        STEP,
        piece,
        inputs={"parcels": parcels_digest(parcels)},
        parameters={
            "grid": [*grid.transform, grid.width, grid.height],
            "crs": grid.crs,
            "buffer_m": buffer_m,
            "exactextract": version("exactextract"),
        },
    )
    path = manifest.folder / "coverage" / f"{piece}-{unit.key}.npz"
    if manifest.done(unit) is not None:
        return CoverageWeights.load(path)
    weights = CoverageWeights.from_parcels(parcels, grid, buffer_m)
    with replacing(path) as temporary:
        weights.save(temporary, canonical_json(unit.provenance("coverage", created_at)))
    manifest.enter(unit, [path], {"parcels": len(parcels), "pixels": int(weights.matrix.nnz)})
    return weights
