"""The workspace: where a region's artefacts are, on a local disk.

::

    WORKSPACE/<region>/
      region.json                       name, position, languages, digest of the region folder
      manifest.json                     unit key -> artefacts; what has no entry does not exist
      observations/<date>.parquet       parcels read off one day of imagery (+ scenes-<date>.parquet)
      runs/<date>/                      what was known and said on that day
        parcels.parquet rejected.parquet scenes.parquet observations.parquet series.parquet
        phenology.parquet weather.parquet soil.parquet irrigation.parquet water.parquet need.parquet
        yield.parquet advice.parquet advice.json run.json
        plan.parquet turns.parquet      where the region says how water comes and is given
      published/<date>/                 bulletin_<lang>.html and .pdf, parcels_<lang>.xlsx, parcels.csv, parcels.gpkg, sheets/
      review.sqlite                     decisions, append-only
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError, ContractError, NoDataError
from agro.schema.provenance import Provenance, canonical_json
from agro.schema.tables import validate
from agro.store.atomic import replacing, write_text

_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}$")


class RunFolder:
    """Artefacts of one region and one issue date."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def issued_on(self) -> date:
        """Date for which the run was made."""
        return date.fromisoformat(self.path.name)

    def has(self, name: str) -> bool:
        """Whether the table was written."""
        return (self.path / f"{name}.parquet").exists()

    def write(self, name: str, table: pd.DataFrame, provenance: Provenance) -> Path:
        """Validate a table and write it as Parquet, with its provenance in the file's metadata."""
        path = self.path / f"{name}.parquet"
        write_table(path, name, table, provenance)
        return path

    def read(self, name: str) -> pd.DataFrame:
        """Read and validate a table; ``parcels`` comes as a GeoDataFrame in EPSG:4326.

        Raises
        ------
        NoDataError
            The run has no such table.
        ContractError
            The file is broken or breaks its contract.
        """
        return read_table(self.path / f"{name}.parquet", name)

    def write_advice(self, records: list[AdviceRecord]) -> Path:
        """Write the records as JSON, in the order of parcel uid."""
        ordered = sorted(records, key=lambda r: r.parcel_uid)
        body = "[\n" + ",\n".join(canonical_json(r) for r in ordered) + "\n]\n"
        write_text(self.path / "advice.json", body)
        return self.path / "advice.json"

    def advice(self) -> list[AdviceRecord]:
        """The advice records of the run."""
        path = self.path / "advice.json"
        if not path.exists():
            raise NoDataError("this run has no advice yet", where=str(self.path), do="Run: agro run weekly")
        try:
            return [AdviceRecord.model_validate(item) for item in json.loads(path.read_text(encoding="utf-8"))]
        except ValueError as error:
            raise ContractError("the advice file is broken", where=str(path), do="Run the week again") from error

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Write ``run.json``: what was read, skipped, failed and why."""
        write_text(
            self.path / "run.json", json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
        )

    def report(self) -> dict[str, Any]:
        """The run report; empty while the run is under way."""
        path = self.path / "run.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class RegionStore:
    """One region's folder of a workspace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def region_id(self) -> str:
        """Identifier of the region."""
        return self.path.name

    def describe(self) -> dict[str, Any]:
        """Content of ``region.json``."""
        path = self.path / "region.json"
        if not path.exists():
            raise NoDataError("no region here", where=str(self.path), do="Run: agro run weekly")
        return json.loads(path.read_text(encoding="utf-8"))

    def write_description(self, description: Mapping[str, Any]) -> None:
        """Write ``region.json``."""
        write_text(
            self.path / "region.json", json.dumps(description, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        )

    def run(self, issued_on: date) -> RunFolder:
        """Folder of one issue date, existing or not."""
        return RunFolder(self.path / "runs" / issued_on.isoformat())

    def run_dates(self) -> list[date]:
        """Issue dates that have advice, oldest first."""
        runs = self.path / "runs"
        if not runs.exists():
            return []
        return sorted(
            date.fromisoformat(p.name) for p in runs.iterdir() if _DATE.match(p.name) and (p / "advice.json").exists()
        )

    def published(self, issued_on: date) -> Path:
        """Folder of the published bulletin of one date."""
        return self.path / "published" / issued_on.isoformat()

    @property
    def review_database(self) -> str:
        """SQLAlchemy URL of the review store."""
        return f"sqlite:///{(self.path / 'review.sqlite').as_posix()}"


class Workspace:
    """A folder that holds the artefacts of one or more regions."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def region(self, region_id: str) -> RegionStore:
        """Folder of one region, existing or not."""
        return RegionStore(self.root / region_id)

    def regions(self) -> list[RegionStore]:
        """Regions that have been run, by name."""
        if not self.root.exists():
            return []
        return [RegionStore(p) for p in sorted(self.root.iterdir()) if (p / "region.json").exists()]


def write_table(path: Path, name: str, table: pd.DataFrame, provenance: Provenance) -> None:
    """Write a validated table as Parquet; equal content gives equal bytes."""
    import geopandas as gpd
    import pyarrow as pa
    import pyarrow.parquet as pq

    checked = validate(pd.DataFrame(table), name, where=f"writing {path.name}").reset_index(drop=True)
    meta = {b"agro": canonical_json(provenance).encode()}
    with replacing(path) as temporary:
        if name == "parcels":
            frame = gpd.GeoDataFrame(checked, geometry=table["geometry"].to_numpy(), crs=table.crs)
            frame.to_parquet(temporary, index=False, compression="zstd", schema_version="1.1.0")
            arrow = pq.read_table(temporary)
        else:
            arrow = pa.Table.from_pandas(checked, preserve_index=False)
        pq.write_table(
            arrow.replace_schema_metadata({**(arrow.schema.metadata or {}), **meta}), temporary, compression="zstd"
        )


def read_table(path: Path, name: str) -> pd.DataFrame:
    """Read and validate a table written by :func:`write_table`."""
    if not path.exists():
        raise NoDataError(f"no {name} here", where=str(path), do="Run: agro run weekly")
    try:
        if name == "parcels":
            import geopandas as gpd

            frame = gpd.read_parquet(path)
            checked = validate(pd.DataFrame(frame.drop(columns="geometry")), name, where=str(path))
            return gpd.GeoDataFrame(checked, geometry=frame.geometry.to_numpy(), crs=frame.crs)
        return validate(pd.read_parquet(path), name, where=str(path))
    except AgroError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a broken file
        raise ContractError(
            f"the file is broken ({type(error).__name__})", where=str(path), do="Delete it and run again"
        ) from error


def read_provenance(path: Path) -> Provenance:
    """Provenance kept in a table's file."""
    import pyarrow.parquet as pq

    try:
        return Provenance.model_validate_json((pq.read_schema(path).metadata or {})[b"agro"])
    except (KeyError, ValueError, OSError) as error:
        raise ContractError("no provenance in this file", where=str(path)) from error
