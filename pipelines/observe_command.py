"""``agro observe``: indices per parcel from any imagery on disk, without a region."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from agro import indices
from agro.parcels import observe_table, read_parcels
from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import ImagerySpec, MaskOptions, ObservationOptions, ParcelsSource
from agro.schema.tables import empty
from agro.series import smooth
from agro.sources.imagery import detect_kind, open_imagery
from agro.sources.imagery.names import common_name
from agro.store.plain_table import write_plain_table
from pipelines.observed_tables import rejected_counts, stack
from pipelines.observing import Progress, observe_region, quiet

#: A crop that means "not asked": observing needs none.
ANY_CROP = "any"
FIRST, LAST = date(1984, 1, 1), date(2100, 1, 1)


def observe_files(
    imagery: Path,
    parcels: Path | None,
    out_file: Path,
    *,
    indices_wanted: tuple[str, ...] = (),
    start: date | None = None,
    end: date | None = None,
    crs: str | None = None,
    buffer_m: float = 5.0,
    series_file: Path | None = None,
    progress: Progress = quiet,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Observe and write the table; a summary and what was left out come back.

    Raises
    ------
    ConfigError
        A path is wrong, or imagery needs parcels and none are given.
    NoDataError
        No parcel or scene.
    """
    wanted = indices_wanted or ObservationOptions().indices
    rejected, places = empty("rejected"), None
    if imagery.is_file() and imagery.suffix.lower() in {".parquet", ".geoparquet", ".csv"}:
        bands = {key: index.bands for key, index in indices.catalogue().items()}
        observations, given = observe_table(imagery, wanted, bands, indices.compute, common_name)
        if start or end:
            days = observations["date"]
            observations = observations[(days >= pd.Timestamp(start or FIRST)) & (days <= pd.Timestamp(end or LAST))]
    else:
        if parcels is None:
            raise ConfigError(
                "imagery needs field boundaries", where=str(imagery), do="Give the parcels as second argument"
            )
        if not imagery.exists():
            raise ConfigError("no such file or folder", where=str(imagery), do="Check the path")
        source = open_imagery(ImagerySpec(kind=detect_kind(imagery), path=str(imagery.resolve())), Path("/"))
        found = read_parcels(_silent(parcels, crs), Path.cwd(), {ANY_CROP})
        if not len(found.parcels):
            raise NoDataError(
                "no parcel can be used: " + "; ".join(found.rejected["reason"].head(3)),
                where=str(parcels),
                do="Correct the outlines",
            )
        options = ObservationOptions(indices=wanted, buffer_m=buffer_m)
        grid_crs = getattr(source, "crs", None)
        done = observe_region(
            lambda _: source, found.parcels, start or FIRST, end or LAST, mask=MaskOptions(), options=options,
            crs=grid_crs.to_string() if grid_crs is not None else None, progress=progress,
        )  # fmt: skip
        observations, given, places = done.observations, list(done.indices), found.parcels
        rejected = stack([found.rejected, done.rejected], "rejected")
    write_plain_table(observations, out_file)
    summary = {
        "parcels": int(observations["parcel_uid"].nunique()),
        "dates": int(observations["date"].nunique()),
        "indices": ", ".join(given),
        "rows": len(observations),
        "usable": int(observations["usable"].sum()),
        "left_out": rejected_counts(rejected),
        "wrote": str(out_file),
    }
    if series_file:
        last = end or observations["date"].max().date()
        write_plain_table(smooth(observations, last, places=places), series_file)
        summary["series"] = str(series_file)
    return summary, rejected


def _silent(path: Path, crs: str | None) -> ParcelsSource:
    """Parcels of which only outline and id matter."""
    return ParcelsSource(
        path=str(path), crs=crs, defaults={"crop": ANY_CROP, "irrigation": "rainfed"}, outline_only=True
    )
