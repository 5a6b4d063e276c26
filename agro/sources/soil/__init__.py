"""Soil layers of parcels: a table first, then the default of a texture class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agro.schema.crops import Texture
from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import SoilSpec
from agro.schema.tables import TABLES, empty, validate

#: Depth that a texture default stands for, m.
DEFAULT_DEPTH_M = 2.0
#: Sd where a table gives none, m3/m3 (pedotransfer functions: 0.03 .. 0.05).
DEFAULT_SD = 0.03

#: What the numbers of a row may be, as in the contract.
LIMITS = {
    "top_m": (0.0, 10.0), "bottom_m": (0.0, 20.0), "fc_m3_m3": (0.0, 0.7), "wp_m3_m3": (0.0, 0.6), "fc_sd_m3_m3": (0.0, 0.3),
    "wp_sd_m3_m3": (0.0, 0.3), "stones_frac": (0.0, 0.95),
}  # fmt: skip
#: A first layer that begins deeper does not tell the surface, m.
SURFACE_M = 0.05

__all__ = ["SoilResult", "load_soil"]


@dataclass(frozen=True)
class SoilResult:
    """Table ``soil``, layers for every parcel that a link covers, and table ``rejected``."""

    soil: pd.DataFrame
    rejected: pd.DataFrame


def load_soil(
    specs: Sequence[SoilSpec], folder: Path, parcels: pd.DataFrame, textures: Mapping[str, Texture]
) -> SoilResult:
    """Soil of each parcel from the first link that has it whole.

    Parameters
    ----------
    specs : sequence of SoilSpec
        The chain, best first.
    folder : Path
        Relative paths start here.
    parcels : pandas.DataFrame
        Table ``parcels``.
    textures : mapping
        Texture classes.

    Raises
    ------
    ConfigError
        A file or column is absent, or a texture is unknown.
    """
    wanted = list(parcels["parcel_uid"])
    parts: list[pd.DataFrame] = []
    rejected: list[dict[str, str]] = []
    for spec in specs:
        open_uids = [uid for uid in wanted if not any(uid in set(p["parcel_uid"]) for p in parts)]
        if spec.kind == "texture":
            parts.append(_default(spec, open_uids, textures))
        else:
            if spec.path is None:
                raise ConfigError("a soil table needs a path", where="soil", do="Add path: soil.csv")
            parts.append(_table((folder / spec.path).resolve(), spec, open_uids, set(wanted), rejected))
    soil = pd.concat([p for p in parts if len(p)] or [empty("soil")], ignore_index=True)
    soil = soil.sort_values(["parcel_uid", "layer"], ignore_index=True)
    return SoilResult(
        validate(soil, "soil"), validate(pd.DataFrame(rejected), "rejected") if rejected else empty("rejected")
    )


def _default(spec: SoilSpec, uids: list[str], textures: Mapping[str, Texture]) -> pd.DataFrame:
    if spec.texture is None or spec.texture not in textures:
        raise ConfigError(f"unknown texture {spec.texture!r}", where="soil", do=f"Known: {', '.join(textures)}")
    t = textures[spec.texture]
    return pd.DataFrame(
        {
            "parcel_uid": uids, "layer": 1, "top_m": 0.0, "bottom_m": DEFAULT_DEPTH_M, "fc_m3_m3": t.fc_m3_m3.value,
            "wp_m3_m3": t.wp_m3_m3.value, "fc_sd_m3_m3": t.fc_sd_m3_m3.value, "wp_sd_m3_m3": t.wp_sd_m3_m3.value,
            "stones_frac": 0.0, "source": f"texture_default:{spec.texture}",
        }
    )  # fmt: skip


def _table(
    path: Path, spec: SoilSpec, uids: list[str], known: set[str], rejected: list[dict[str, str]]
) -> pd.DataFrame:
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
        elif uid in uids:
            ordered = layers.sort_values("top_m")
            numbers = ordered[list(LIMITS)].apply(pd.to_numeric)
            good.append(ordered.assign(**numbers, layer=range(1, len(ordered) + 1), source_reason=None))
    if strangers:
        # One line for all: a survey may well hold more parcels than the region.
        more = f" and {len(strangers) - 1} more of the table" if len(strangers) > 1 else ""
        rejected.append(_row(path, strangers[0], f"no such parcel{more}", "Correct the ids, or leave the rows"))
    return pd.concat(good)[list(TABLES["soil"].columns)] if good else empty("soil")


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
