"""Read and check the tables of a balance (see docs/balance_tables.md): whatever is wrong is named, nothing becomes zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from agro.schema.crops import Crop, load_crops
from agro.schema.errors import ConfigError, ContractError, NoDataError
from agro.water.reference_et import actual_vapour_kpa, penman_monteith_mm, saturation_kpa, wind_at_2m
from agro.water.tables import CROPS_FILE

#: Rows of ``crop_parameters.csv`` that the balance uses.
PARAMETERS = (
    "Kcbini", "Kcbmid", "Kcbend", "Lini", "Ldev", "Lmid", "Lend", "hini", "hmax", "theta0", "Zrini", "Zrmax", "pbase", "Ze", "REW",
)  # fmt: skip
#: Rows that such files also carry and this balance has no use for (single coefficients, curve number, whole-soil limits).
UNUSED_PARAMETERS = ("Kcmini", "Kcmmid", "Kcmend", "CN2", "thetaFC", "thetaWP")
#: Of these, the curve number is used when runoff is asked for.
CURVE_NUMBER = "CN2"
#: Layers may differ by so much where one ends and the next begins, m.
LAYER_SLACK_M = 0.011


@dataclass(frozen=True)
class Column:
    """What a column may hold. ``required``: the column must be there; ``whole``: without an empty cell."""

    kind: str = "number"  # number, date, text
    required: bool = True
    whole: bool = True
    low: float = -np.inf
    high: float = np.inf


def _optional(low: float = -np.inf, high: float = np.inf) -> Column:
    return Column(required=False, whole=False, low=low, high=high)


DATE, TEXT = Column("date"), Column("text")
COLUMNS: dict[str, dict[str, Column]] = {
    "weather.csv": {
        "date": DATE, "rain_mm": Column(high=1000), "wind_m_s": Column(low=0, high=60), "rs_mj_m2": _optional(0, 50),
        "tmax_c": _optional(-60, 65), "tmin_c": _optional(-60, 65), "vapour_pressure_kpa": _optional(0, 10), "tdew_c": _optional(-60, 50),
        "rhmax_pct": _optional(0, 110), "rhmin_pct": _optional(0, 110), "et0_station_mm": _optional(0, 30),
    },
    "station.csv": {
        "lat": Column(low=-90, high=90), "elevation_m": Column(low=-430, high=9000), "wind_height_m": Column(low=0.5, high=100),
        "reference": TEXT,
    },
    "soil.csv": {
        "plot_id": TEXT, "top_m": Column(low=0), "bottom_m": Column(low=0), "fc_m3_m3": Column(low=0, high=0.8),
        "wp_m3_m3": Column(low=0, high=0.8), "initial_m3_m3": Column(required=False, low=0, high=0.9),
    },
    "irrigation.csv": {
        "plot_id": TEXT, "date": DATE, "depth_mm": Column(low=0, high=1000), "wetted_fraction": Column(required=False, low=0.01, high=1.0),
    },
    "crop_parameters.csv": {"name": TEXT, "value": Column(), "meaning": Column("text", required=False, whole=False)},
    "kcb_observed.csv": {
        "plot_id": Column("text", required=False), "date": DATE, "kcb": Column(whole=False, low=0, high=2), "height_m": _optional(0, 30), "fcover": _optional(0, 1),
        "kcb_sd": Column(required=False, low=0.005, high=1),
    },
    "index.csv": {"plot_id": Column("text", required=False), "date": DATE, "ndvi": Column(low=-1, high=1)},
    "plots.csv": {
        "plot_id": TEXT, "lat": _optional(-90, 90), "lon": _optional(-180, 180), "planting_date": Column("date", required=False),
        "crop": Column("text", required=False),
    },
    "measured.csv": {
        "plot_id": TEXT, "date": DATE, "top_m": Column(low=0), "bottom_m": Column(low=0), "swc_m3_m3": Column(whole=False, low=0, high=1),
    },
}  # fmt: skip
NEEDED = ("weather.csv", "station.csv", "soil.csv", "irrigation.csv", "crop_parameters.csv")
#: Columns that together name a row once.
KEYS = {
    "weather.csv": ["date"], "soil.csv": ["plot_id", "top_m"], "crop_parameters.csv": ["name"], "kcb_observed.csv": ["plot_id", "date"],
    "index.csv": ["plot_id", "date"],
    "plots.csv": ["plot_id"], "measured.csv": ["plot_id", "date", "top_m"],
}  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """What a folder holds, checked.

    ``kcb`` (date, kcb, height_m, fcover) overrides the stages on its dates; ``measured`` is None when nothing was
    measured; ``warnings`` say what is left aside and why.
    """

    weather: pd.DataFrame  # by date: et0_mm, rain_mm, wind_m_s, rhmin_pct
    wind_height_m: float
    reference: str
    parameters: dict[str, float]
    soil: dict[str, pd.DataFrame]
    irrigation: pd.DataFrame
    start: pd.Timestamp
    end: pd.Timestamp
    kcb: pd.DataFrame | None = None
    measured: pd.DataFrame | None = None
    #: (date, ndvi and, where told by plot, plot_id); Kcb through the relations of ``crops``, plot -> crop.
    index: pd.DataFrame | None = None
    crops: Mapping[str, Crop] | None = None
    layered: bool = True
    warnings: tuple[str, ...] = ()
    #: plot_id, lat, lon where given.
    places: pd.DataFrame | None = None


def read_tables(folder: Path) -> Tables:
    """Read and check a folder of tables.

    Raises
    ------
    ConfigError, ContractError, NoDataError
        A file, column or row is absent, unknown, doubled or out of its limits; an irrigation or reading matches no
        day or plot; the weather has a gap. Each is named.
    """
    absent = [name for name in NEEDED if not (folder / name).exists()]
    if absent:
        raise ConfigError(f"no {', '.join(absent)}", where=str(folder), do=f"A folder needs {', '.join(NEEDED)}")
    weather, station, soil, irrigation, parameters = (read_csv(folder / name) for name in NEEDED)
    kcb, measured, plots, index = (
        read_csv(folder / name) if (folder / name).exists() else None
        for name in ("kcb_observed.csv", "measured.csv", "plots.csv", "index.csv")
    )
    for name, table in (
        ("weather.csv", weather),
        ("station.csv", station),
        ("soil.csv", soil),
        ("kcb_observed.csv", kcb),
        ("index.csv", index),
    ):
        if table is not None and not len(table):
            raise NoDataError("the table has no row", where=str(folder / name), do="Check that it is the right file")
    values = check_parameters(
        dict(zip(parameters["name"], parameters["value"].astype(float), strict=True)),
        str(folder / "crop_parameters.csv"),
    )
    site = station.iloc[0]
    daily = _daily(weather, site, folder / "weather.csv")
    layers = _layers(soil, folder / "soil.csv")
    for name, table in (
        ("irrigation.csv", irrigation),
        ("measured.csv", measured),
        ("kcb_observed.csv", kcb),
        ("index.csv", index),
    ):
        unknown = set() if table is None or "plot_id" not in table else set(table["plot_id"]) - set(layers)
        if unknown:
            raise ContractError(
                f"unknown plot {', '.join(sorted(unknown))}",
                where=str(folder / name),
                do=f"Plots with soil: {', '.join(layers)}",
            )
    if plots is not None and set(plots["plot_id"]) != set(layers):
        odd = ", ".join(sorted(set(plots["plot_id"]) ^ set(layers)))
        raise ContractError(
            f"plot {odd} is only in one of plots.csv and soil.csv", where=str(folder), do="Complete the other"
        )
    if kcb is not None:
        check_dates(kcb["date"], daily.index, "an observed Kcb", str(folder / "kcb_observed.csv"))
    crops = _crops(plots, folder / "plots.csv")
    if index is not None:
        check_dates(index["date"], daily.index, "an index value", str(folder / "index.csv"))
        if crops is None:
            raise ConfigError(
                "an index says nothing without the crop", where=str(folder), do="Add the column crop to plots.csv"
            )
    start, end = daily.index.min(), daily.index.max()
    if plots is not None and "planting_date" in plots:
        start = plots["planting_date"].min()
        check_dates(plots["planting_date"], daily.index, "a planting date", str(folder / "plots.csv"))
    elif kcb is not None:
        start = kcb["date"].min()
    if measured is not None and len(measured):
        check_dates(measured["date"], daily.index, "a reading", str(folder / "measured.csv"))
        end = measured["date"].max()
        if end <= start:
            raise ContractError(f"the last reading, {end:%Y-%m-%d}, is not after the first day, {start:%Y-%m-%d}",
                                where=str(folder / "measured.csv"), do="Correct the dates")  # fmt: skip
    check_irrigation(irrigation, daily.index, str(folder / "irrigation.csv"))
    return Tables(
        daily, float(site["wind_height_m"]), str(site["reference"]), values, layers, irrigation, start, end, kcb, measured,
        index, crops,
        warnings=(*outside_the_period(irrigation, start, end), *_shallow(layers, values["Zrmax"])),
        places=None if plots is None or not {"lat", "lon"} <= set(plots) else plots[["plot_id", "lat", "lon"]],
    )  # fmt: skip


def _crops(plots: pd.DataFrame | None, where: Path) -> dict[str, Crop] | None:
    """Crop of each plot, where told."""
    if plots is None or "crop" not in plots:
        return None
    known = load_crops(CROPS_FILE)
    unknown = sorted(set(plots["crop"]) - set(known))
    if unknown:
        raise ContractError(f"unknown crop {', '.join(unknown)}", where=str(where), do=f"Known: {', '.join(known)}")
    return {plot: known[key] for plot, key in zip(plots["plot_id"], plots["crop"], strict=True)}


def read_csv(path: Path) -> pd.DataFrame:
    """One table, its columns and cells checked against :data:`COLUMNS`."""
    name = path.name
    try:
        table = pd.read_csv(
            path, dtype={c: "str" for c, rule in COLUMNS[name].items() if rule.kind == "text"}, encoding="utf-8-sig"
        )
    except (ValueError, OSError, pd.errors.EmptyDataError) as error:
        raise ConfigError(f"not a CSV table ({error})", where=str(path), do="Save it as UTF-8 CSV") from error
    known = COLUMNS[name]
    unknown = [str(c) for c in table.columns if c not in known]
    if unknown:
        raise ContractError(f"unknown column {', '.join(unknown)}", where=str(path), do=f"Known: {', '.join(known)}")
    absent = [c for c, rule in known.items() if rule.required and c not in table.columns]
    if absent:
        raise ContractError(
            f"no column {', '.join(absent)}",
            where=str(path),
            do=f"Needed: {', '.join(c for c, r in known.items() if r.required)}",
        )
    for column, rule in known.items():
        if column in table.columns:
            table[column] = _cells(table[column], rule, path)
    keys = [c for c in KEYS.get(name, []) if c in table.columns]
    if keys and table.duplicated(keys).any():
        row = table[table.duplicated(keys)].iloc[0]
        raise ContractError(
            f"{' '.join(_said(row[c]) for c in keys)} stands twice", where=str(path), do="Remove one row"
        )
    return table


def _said(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def _cells(told: pd.Series, rule: Column, path: Path) -> pd.Series:
    """The cells of a column as what they should be."""

    def first(bad: pd.Series, what: str, do: str) -> ContractError:
        row = int(np.flatnonzero(bad.to_numpy())[0])
        return ContractError(f"column {told.name}: {what.format(told.iloc[row])}", where=f"{path} row {row + 2}", do=do)

    if rule.whole and told.isna().any():
        raise first(told.isna(), "an empty cell", "Fill it, or leave the row or the column out")
    if rule.kind == "text":
        return told
    if rule.kind == "date":
        days = pd.to_datetime(told, errors="coerce", format="ISO8601")
        if days.isna().any():
            raise first(days.isna(), "{!r} is not a date", "Write dates as YYYY-MM-DD")
        return days.dt.normalize()
    numbers = pd.to_numeric(told, errors="coerce").astype(float)
    if (numbers.isna() & told.notna()).any():
        raise first(numbers.isna() & told.notna(), "{!r} is not a number", "Correct the cell")
    if rule.low == 0 and (numbers < 0).any():
        raise first(numbers < 0, "{} is below zero", "Correct the cell")
    beyond = (numbers < rule.low) | (numbers > rule.high)
    if beyond.any():
        raise first(beyond, "{} is outside " + f"{rule.low:g} .. {rule.high:g}", "Correct the cell")
    return numbers


def check_dates(dates: pd.Series, days: pd.Index, what: str, where: str) -> None:
    """Refuse dates that match no day of the weather."""
    lost = dates[~dates.isin(days)]
    if len(lost):
        raise ContractError(
            f"{what} on {lost.iloc[0]:%Y-%m-%d} matches no day of the weather", where=where, do="Correct the date"
        )


def check_irrigation(events: pd.DataFrame, days: pd.Index, where: str) -> None:
    """Refuse events that match no day of the weather; a depth of zero is no event."""
    lost = events[(events["depth_mm"] > 0) & ~events["date"].isin(days)]
    if len(lost):
        row = lost.iloc[0]
        raise ContractError(
            f"the irrigation of plot {row['plot_id']} on {row['date']:%Y-%m-%d} matches no day of the weather",
            where=where,
            do="Correct the date",
        )


def check_parameters(values: dict[str, float], where: str) -> dict[str, float]:
    """Refuse a crop without the parameters of the balance, or with ones that contradict each other."""
    absent = [name for name in PARAMETERS if name not in values]
    if absent:
        raise ContractError(f"no parameter {', '.join(absent)}", where=where, do="Add the rows")
    unknown = [name for name in values if name not in PARAMETERS + UNUSED_PARAMETERS]
    if unknown:
        raise ContractError(
            f"unknown parameter {', '.join(unknown)}", where=where, do=f"Known: {', '.join(PARAMETERS)}"
        )
    if not 0 <= values["Kcbini"] < values["Kcbmid"]:
        raise ContractError("Kcbmid is not above Kcbini", where=where, do="Correct the rows")
    if not 0 < values["Zrini"] <= values["Zrmax"]:
        raise ContractError("Zrmax is below Zrini, or Zrini is not above 0", where=where, do="Correct the rows")
    if not 0 < values["pbase"] < 1:
        raise ContractError(f"pbase {values['pbase']:g} is outside 0 .. 1", where=where, do="Correct the row")
    if min(values[n] for n in ("Lini", "Ldev", "Lmid", "Lend")) <= 0:
        raise ContractError(
            "a stage of no length", where=where, do="Give each of Lini, Ldev, Lmid, Lend a day at least"
        )
    return values


def outside_the_period(events: pd.DataFrame, start: pd.Timestamp, end: pd.Timestamp) -> tuple[str, ...]:
    """What is said of irrigation before the first or after the last day of the balance."""
    out = []
    for which, when in ((events["date"] < start, "before the first day"), (events["date"] > end, "after the last day")):
        lost = events[which & (events["depth_mm"] > 0)]
        if len(lost):
            out.append(
                f"{len(lost)} irrigation(s), {lost['depth_mm'].sum():.1f} mm in all, first {lost['date'].min():%Y-%m-%d}, lie {when} of "
                f"the balance ({start:%Y-%m-%d} .. {end:%Y-%m-%d}) and are not counted"
            )
    return tuple(out)


def _daily(weather: pd.DataFrame, site: pd.Series, where: Path) -> pd.DataFrame:
    if site["reference"] not in {"short", "tall"}:
        raise ContractError(
            f"unknown reference {site['reference']!r}",
            where=str(where.with_name("station.csv")),
            do="Give short or tall",
        )
    table = weather.set_index("date").sort_index()
    gap = pd.date_range(table.index.min(), table.index.max()).difference(pd.DatetimeIndex(table.index))
    if len(gap):
        raise NoDataError(
            f"no row for {gap[0]:%Y-%m-%d}" + (f" and {len(gap) - 1} more days" if len(gap) > 1 else ""),
            where=str(where), do="Complete the record",
        )  # fmt: skip

    if (table["rain_mm"] < 0).any():
        day = table.index[table["rain_mm"] < 0][0]
        raise ContractError(f"rain below zero on {day:%Y-%m-%d}", where=str(where), do="Correct the record")

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(dtype=float) if name in table else np.full(len(table), np.nan)

    tmin, tmax, rhmin = column("tmin_c"), column("tmax_c"), column("rhmin_pct")
    # Without humidity, the minimum temperature would stand for the dew point (eq. 48): here it is asked for.
    humid = ~np.isnan(column("tdew_c")) | (~np.isnan(rhmin) & ~np.isnan(column("rhmax_pct")))
    vapour = actual_vapour_kpa(tmin, tmax, rhmin_pct=rhmin, rhmax_pct=column("rhmax_pct"), tdew_c=column("tdew_c"))
    given = column("vapour_pressure_kpa")
    vapour = np.where(np.isnan(given), np.where(humid, vapour, np.nan), given)
    et0 = penman_monteith_mm(
        tmin, tmax, vapour, wind_at_2m(column("wind_m_s"), site["wind_height_m"]), column("rs_mj_m2"), site["lat"], site["elevation_m"],
        pd.DatetimeIndex(table.index).day_of_year.to_numpy(), site["reference"], standard="asce",
    )  # fmt: skip
    station = column("et0_station_mm")
    out = pd.DataFrame({"rain_mm": table["rain_mm"], "wind_m_s": table["wind_m_s"]})
    out["et0_mm"] = np.where(np.isnan(station), et0, station)
    out["rhmin_pct"] = np.where(np.isnan(rhmin), 100 * vapour / saturation_kpa(tmax), rhmin)
    for name, needs in (
        (
            "et0_mm",
            "et0_station_mm, or rs_mj_m2, tmax_c, tmin_c and one of vapour_pressure_kpa, tdew_c, rhmax_pct with rhmin_pct",
        ),
        ("rhmin_pct", "rhmin_pct, or tmax_c and one of vapour_pressure_kpa, tdew_c"),
    ):
        if out[name].isna().any():
            raise NoDataError(
                f"no {name} on {out.index[out[name].isna()][0]:%Y-%m-%d}", where=str(where), do=f"Give {needs}"
            )
    return out


def _shallow(soil: dict[str, pd.DataFrame], deepest_m: float) -> list[str]:
    ends = {plot: float(layers["bottom_m"].iloc[-1]) for plot, layers in soil.items()}
    short = [plot for plot, bottom in ends.items() if bottom < deepest_m - LAYER_SLACK_M]
    if not short:
        return []
    return [
        f"roots reach {deepest_m:g} m and the soil of {', '.join(short)} is not told so deep: its lowest layer is taken to go on"
    ]


def _layers(soil: pd.DataFrame, where: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for plot, layers in soil.groupby("plot_id", sort=True):
        ordered = layers.sort_values("top_m").reset_index(drop=True)
        wrong = ordered[ordered["wp_m3_m3"] >= ordered["fc_m3_m3"]]
        if len(wrong):
            raise ContractError(
                f"plot {plot}: wilting point {wrong['wp_m3_m3'].iloc[0]:g} is not below field capacity {wrong['fc_m3_m3'].iloc[0]:g}",
                where=str(where), do="Correct the row",
            )  # fmt: skip
        edges = ordered["top_m"].to_numpy()[1:] - ordered["bottom_m"].to_numpy()[:-1]
        if (
            ordered["top_m"].iloc[0] > LAYER_SLACK_M
            or (ordered["bottom_m"] <= ordered["top_m"]).any()
            or (abs(edges) > LAYER_SLACK_M).any()
        ):
            raise ContractError(
                f"plot {plot}: layers overlap, leave a gap or do not begin at the surface",
                where=str(where),
                do="Correct top_m and bottom_m",
            )
        found[str(plot)] = ordered
    return found
