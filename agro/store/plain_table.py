"""Tables for people's own tools: CSV or Parquet, by the file's suffix."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agro.schema.errors import ConfigError
from agro.store.atomic import replacing


def write_plain_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table atomically as CSV or Parquet.

    Raises
    ------
    ConfigError
        Another suffix.
    """
    if path.suffix not in {".csv", ".parquet"}:
        raise ConfigError(
            f"unknown kind of table {path.suffix!r}", where=str(path), do="End the name in .csv or .parquet"
        )
    with replacing(path) as temporary:
        if path.suffix == ".csv":
            table.to_csv(temporary, index=False, float_format="%.6g", date_format="%Y-%m-%d")
        else:
            table.to_parquet(temporary, index=False)
