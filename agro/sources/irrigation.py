"""Irrigation as growers report it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd

from agro.schema.errors import ConfigError
from agro.schema.tables import empty, validate

#: More in one day is a slip of the pen, mm.
MAX_DEPTH_MM = 400.0


def load_irrigation(path: Path | None, parcels: pd.DataFrame, as_of: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events known on a day.

    Parameters
    ----------
    path : Path or None
        CSV with parcel_uid, date, depth_mm (gross, over the parcel) and, where told apart, source.
    parcels : pandas.DataFrame
        Table ``parcels``.
    as_of : datetime.date
        Later events are not read.

    Returns
    -------
    tuple of pandas.DataFrame
        Table ``irrigation``, several events of a day added up; and table ``rejected``: unknown parcel, wrong
        date, negative or absurd depth.

    Raises
    ------
    ConfigError
        The file or a column is absent.
    """
    if path is None:
        return empty("irrigation"), empty("rejected")
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype={"parcel_uid": "str"})
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), do="Correct irrigation in region.yaml") from error
    except pd.errors.EmptyDataError:
        return empty("irrigation"), empty("rejected")
    absent = [c for c in ("parcel_uid", "date", "depth_mm") if c not in table.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=str(path), do=f"It has: {', '.join(table.columns)}")
    known = set(parcels["parcel_uid"])
    days = pd.to_datetime(table["date"], errors="coerce", format="ISO8601").dt.normalize()
    depths = pd.to_numeric(table["depth_mm"], errors="coerce")
    rejected, rows = [], []
    for number, (uid, told, day, depth) in enumerate(
        zip(table["parcel_uid"], table["date"], days, depths, strict=True), start=2
    ):
        reason = ""
        if uid not in known:
            reason = f"no such parcel {uid}"
        elif pd.isna(day):
            reason = f"{told!r} is not a date"
        elif pd.isna(depth) or not 0 <= depth <= MAX_DEPTH_MM:
            reason = f"a depth of {table['depth_mm'].iloc[number - 2]} mm"
        if reason:
            rejected.append(
                {
                    "input": "irrigation",
                    "item": f"{path.name} row {number}",
                    "reason": reason,
                    "remedy": "The row is not used; correct it",
                }
            )
        elif day <= pd.Timestamp(as_of) and depth > 0:
            rows.append(
                {
                    "parcel_uid": uid,
                    "date": day,
                    "depth_mm": float(depth),
                    "source": str(table.get("source", pd.Series("reported", index=table.index)).iloc[number - 2]),
                }
            )
    events = empty("irrigation")
    if rows:
        events = (
            pd.DataFrame(rows)
            .groupby(["parcel_uid", "date"], as_index=False)
            .agg({"depth_mm": "sum", "source": "first"})
        )
    return validate(events, "irrigation"), validate(pd.DataFrame(rejected), "rejected") if rejected else empty(
        "rejected"
    )
