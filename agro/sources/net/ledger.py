"""What was asked of providers and what it cost: a row a request, estimate beside actual."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, create_engine, insert, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateTable

from agro.schema.errors import StorageError
from agro.sources.net.budget import Estimate

_META = MetaData()
_REQUESTS = Table(
    "requests", _META,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),  # UTC
    Column("provider", String, nullable=False),
    Column("region", String, nullable=False),
    Column("piece", String, nullable=False),  # what it was for: a day, a cell, a period
    Column("parcels", String, nullable=False),  # ids served, a JSON list; stays on this machine
    Column("estimated_requests", Integer, nullable=False),
    Column("estimated_pu", Float, nullable=False),
    Column("estimated_mb", Float, nullable=False),
    Column("requests", Integer, nullable=False),
    Column("pu", Float, nullable=False),
    Column("mb", Float, nullable=False),
    Column("pu_reported", Integer, nullable=False),  # 1: the provider said what it charged
    Column("status", String, nullable=False),
)  # fmt: skip


class Ledger:
    """An SQLite file of requests; several processes may write at once.

    Parameters
    ----------
    path : Path
        The file; made when absent.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
            with self._engine.begin() as connection:
                # Not `create_all`: it looks first and makes then, and another process may come between.
                connection.execute(CreateTable(_REQUESTS, if_not_exists=True))
        except (OSError, SQLAlchemyError) as error:
            raise self._unusable(error) from error

    def enter(
        self, *, provider: str, region: str, piece: str, parcels: tuple[str, ...], estimated: Estimate, actual: Estimate,
        pu_reported: bool, status: str, at: datetime | None = None,
    ) -> None:  # fmt: skip
        """Add a request that was made; `at` defaults to now (UTC)."""
        row = {
            "at": (at or datetime.now(UTC)).isoformat(timespec="seconds"), "provider": provider, "region": region,
            "piece": piece, "parcels": json.dumps(list(parcels)), "estimated_requests": estimated.requests,
            "estimated_pu": estimated.pu, "estimated_mb": estimated.mb, "requests": actual.requests, "pu": actual.pu,
            "mb": actual.mb, "pu_reported": int(pu_reported), "status": status,
        }  # fmt: skip
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(_REQUESTS), row)
        except SQLAlchemyError as error:
            raise self._unusable(error) from error

    def table(self) -> pd.DataFrame:
        """All rows, oldest first; ``at`` is a UTC timestamp and ``parcels`` a list."""
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(select(_REQUESTS).order_by(_REQUESTS.c.id)).mappings().all()
        except SQLAlchemyError as error:
            raise self._unusable(error) from error
        frame = pd.DataFrame([dict(row) for row in rows], columns=[c.name for c in _REQUESTS.columns])
        frame["at"] = pd.to_datetime(frame["at"], utc=True)
        frame["parcels"] = [json.loads(text) for text in frame["parcels"]]
        return frame

    def _unusable(self, error: Exception) -> StorageError:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return StorageError(
            f"the ledger of requests cannot be used: {cause}", where=str(self.path),
            do="Free space, or move the file away: a new one is begun",
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
