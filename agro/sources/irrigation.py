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
    except (ValueError, OSError) as error:
        raise ConfigError(f"not a CSV table ({error})", where=str(path), do="Save it as UTF-8 CSV") from error
    absent = [c for c in ("parcel_uid", "date", "depth_mm") if c not in table.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=str(path), do=f"It has: {', '.join(table.columns)}")
    known = set(parcels["parcel_uid"])
    days = pd.to_datetime(table["date"], errors="coerce", format="ISO8601").dt.normalize()
    depths = pd.to_numeric(table["depth_mm"], errors="coerce")
    sources = (
        table["source"].astype("str").fillna("reported")
        if "source" in table.columns
        else pd.Series("reported", index=table.index)
    )
    rejected, rows = [], []
    strangers: dict[str, int] = {}
    for number, (uid, told, day, depth) in enumerate(
        zip(table["parcel_uid"], table["date"], days, depths, strict=True), start=2
    ):
        reason = ""
        if not pd.isna(uid) and uid not in known:
            strangers.setdefault(str(uid), number)
            continue
        if pd.isna(uid):
            reason = "no parcel_uid"
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
                    "source": str(sources.iloc[number - 2]),
                }
            )
    if strangers:
        # One line for all: the record may well hold more parcels than the region.
        uid, number = next(iter(strangers.items()))
        more = f" and {len(strangers) - 1} more parcels of the record" if len(strangers) > 1 else ""
        rejected.append(
            {
                "input": "irrigation",
                "item": f"{path.name} row {number}",
                "reason": f"no such parcel {uid}{more}",
                "remedy": "Their rows are not used; correct the ids",
            }
        )
    events = empty("irrigation")
    if rows:
        events = (
            pd.DataFrame(rows)
            .groupby(["parcel_uid", "date"], as_index=False)
            .agg({"depth_mm": "sum", "source": "first"})
        )
        absurd = events["depth_mm"] > MAX_DEPTH_MM
        rejected += [
            {
                "input": "irrigation",
                "item": f"{path.name} {row.parcel_uid} {row.date:%Y-%m-%d}",
                "reason": f"the day's events come to {row.depth_mm:g} mm",
                "remedy": "The day is not used; is an event written twice?",
            }
            for row in events[absurd].itertuples()
        ]
        events = events[~absurd]
    return validate(events, "irrigation"), validate(pd.DataFrame(rejected), "rejected") if rejected else empty(
        "rejected"
    )
