"""Soil layers of parcels from a table of the laboratory or a survey."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import SoilSpec
from agro.schema.tables import TABLES, empty
from agro.sources.soil.link import LinkResult

#: Sd where a table gives none, m3/m3 (pedotransfer functions: 0.03 .. 0.05).
DEFAULT_SD = 0.03


#: What the numbers of a row may be, as in the contract.
LIMITS = {
    "top_m": (0.0, 10.0), "bottom_m": (0.0, 20.0), "fc_m3_m3": (0.0, 0.7), "wp_m3_m3": (0.0, 0.6), "fc_sd_m3_m3": (0.0, 0.3),
    "wp_sd_m3_m3": (0.0, 0.3), "stones_frac": (0.0, 0.95),
}  # fmt: skip
#: A first layer that begins deeper does not tell the surface, m.
SURFACE_M = 0.05


def table_link(path: Path, spec: SoilSpec, uids: list[str], known: set[str]) -> LinkResult:
    """Layers of the parcels that the table has whole.

    Parameters
    ----------
    path : Path
    spec : SoilSpec
    uids : list of str
        Parcels wanted.
    known : set of str
        All parcels of the region; others of the table are named.

    Raises
    ------
    ConfigError, NoDataError
        The file or a column is absent, it is no table, or it is empty.
    """
    rejected: list[dict[str, str]] = []
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype={"parcel_uid": "str"})
    except FileNotFoundError as error:
        raise ConfigError("no such file", where=str(path), do="Correct soil.path") from error
    except pd.errors.EmptyDataError as error:
        raise NoDataError("the file is empty", where=str(path), do="Check that it is the right file") from error
    except (ValueError, OSError) as error:
        raise ConfigError(f"not a CSV table ({error})", where=str(path), do="Save it as UTF-8 CSV") from error
    needed = ("parcel_uid", "top_m", "bottom_m", "fc_m3_m3", "wp_m3_m3")
    absent = [c for c in needed if c not in table.columns]
    if absent:
        raise ConfigError(f"no column {', '.join(absent)}", where=str(path), do=f"It has: {', '.join(table.columns)}")
    for column, value in (
        ("fc_sd_m3_m3", DEFAULT_SD),
        ("wp_sd_m3_m3", DEFAULT_SD),
        ("stones_frac", 0.0),
        ("source", spec.source),
    ):
        table[column] = table[column].fillna(value) if column in table.columns else value
    unnamed = int(table["parcel_uid"].isna().sum())
    if unnamed:
        rejected.append(_row(path, f"{unnamed} row(s)", "no parcel_uid", "Name the parcel"))
    good = []
    strangers: list[str] = []
    reasons = dict.fromkeys(uids, f"not in {path.name}")
    for name, layers in table.groupby("parcel_uid", sort=True):
        uid = str(name)
        if uid not in known:
            strangers.append(uid)
            continue
        reason = _wrong(layers)
        if reason:
            rejected.append(
                _row(path, f"parcel {uid}", reason, "The next link of the chain is used; correct the table")
            )
            reasons[uid] = f"{path.name}: {reason}"
        elif uid in uids:
            ordered = layers.sort_values("top_m")
            numbers = ordered[list(LIMITS)].apply(pd.to_numeric)
            good.append(ordered.assign(**numbers, layer=range(1, len(ordered) + 1), source_reason=None))
    if strangers:
        # One line for all: a survey may well hold more parcels than the region.
        more = f" and {len(strangers) - 1} more of the table" if len(strangers) > 1 else ""
        rejected.append(_row(path, strangers[0], f"no such parcel{more}", "Correct the ids, or leave the rows"))
    soil = pd.concat(good)[list(TABLES["soil"].columns)] if good else empty("soil")
    return LinkResult(soil, reasons, rejected)


def _wrong(layers: pd.DataFrame) -> str:
    """Why the layers of a parcel cannot be used, or nothing."""
    numbers = layers[list(LIMITS)].apply(pd.to_numeric, errors="coerce")
    if numbers.isna().any().any():
        return f"{numbers.columns[numbers.isna().any()][0]} is not a number"
    if (numbers["wp_m3_m3"] >= numbers["fc_m3_m3"]).any():
        row = numbers[numbers["wp_m3_m3"] >= numbers["fc_m3_m3"]].iloc[0]
        return f"wilting point {row['wp_m3_m3']:g} is not below field capacity {row['fc_m3_m3']:g}"
    for column, (low, high) in LIMITS.items():
        beyond = ~numbers[column].between(low, high)
        if beyond.any():
            return f"{column} {numbers.loc[beyond, column].iloc[0]:g} is outside {low:g} .. {high:g}"
    ordered = numbers.sort_values("top_m")
    if (ordered["bottom_m"] <= ordered["top_m"]).any() or (
        abs(ordered["top_m"].to_numpy()[1:] - ordered["bottom_m"].to_numpy()[:-1]) > 0.011
    ).any():
        return "layers overlap or leave a gap"
    if ordered["top_m"].iloc[0] > SURFACE_M:
        return f"the first layer begins at {ordered['top_m'].iloc[0]:g} m"
    return ""


def _row(path: Path, item: str, reason: str, remedy: str) -> dict[str, str]:
    return {"input": "soil", "item": f"{path.name} {item}", "reason": reason, "remedy": remedy}
