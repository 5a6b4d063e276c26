"""Tables in, table out: the root-zone balance for people without images (see docs/balance_tables.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro.evaluate.scores import bias, nash_sutcliffe, rmse
from agro.schema.errors import ConfigError, ContractError, NoDataError
from agro.store.atomic import replacing
from agro.water.balance import Forcing, Soil, run_balance
from agro.water.coefficients import cover_from_kcb, kc_max, stage_kcb
from agro.water.reference_et import actual_vapour_kpa, penman_monteith_mm, saturation_kpa, wind_at_2m
from agro.water.soil import available_water_mm
from pipelines.pyfao56_files import read_pyfao56_folder

NEEDED = ("weather.csv", "station.csv", "soil.csv", "irrigation.csv", "crop_parameters.csv")
COLUMNS = {
    "weather.csv": {"date", "rs_mj_m2", "tmax_c", "tmin_c", "vapour_pressure_kpa", "tdew_c", "rhmax_pct", "rhmin_pct", "wind_m_s", "rain_mm", "et0_station_mm"},
    "station.csv": {"lat", "elevation_m", "wind_height_m", "reference"},
    "soil.csv": {"plot_id", "top_m", "bottom_m", "fc_m3_m3", "wp_m3_m3", "initial_m3_m3"},
    "irrigation.csv": {"plot_id", "date", "depth_mm", "wetted_fraction"},
    "crop_parameters.csv": {"name", "value", "meaning"},
    "kcb_observed.csv": {"date", "kcb", "height_m", "fcover"},
    "plots.csv": {"plot_id", "lat", "lon", "planting_date"},
    "measured.csv": {"plot_id", "date", "top_m", "bottom_m", "swc_m3_m3"},
}  # fmt: skip
PARAMETERS = (
    "Kcbini", "Kcbmid", "Kcbend", "Lini", "Ldev", "Lmid", "Lend", "hini", "hmax", "theta0", "Zrini", "Zrmax", "pbase", "Ze", "REW",
)  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """What a folder holds, checked.

    ``kcb`` overrides the stages on its dates; ``measured`` is None when nothing was measured.
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
    layered: bool = True


@dataclass(frozen=True)
class BalanceResult:
    """A row a plot and day, and scores where soil water was measured."""

    table: pd.DataFrame
    scores: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """What a person wants to know first."""
        days = self.table["date"]
        return {
            "plots": int(self.table["plot_id"].nunique()),
            "from": f"{days.min():%Y-%m-%d}",
            "to": f"{days.max():%Y-%m-%d}",
            "eta_mm": round(float(self.table.groupby("plot_id")["eta_mm"].sum().mean()), 1),
            "drainage_mm": round(float(self.table.groupby("plot_id")["drainage_mm"].sum().mean()), 1),
            **self.scores,
        }

    def write(self, path: Path) -> None:
        """Write the table as CSV or Parquet, by the file's suffix."""
        if path.suffix not in {".csv", ".parquet"}:
            raise ConfigError(
                f"unknown kind of table {path.suffix!r}", where=str(path), do="End the name in .csv or .parquet"
            )
        with replacing(path) as temporary:
            if path.suffix == ".csv":
                self.table.to_csv(temporary, index=False, float_format="%.6g", date_format="%Y-%m-%d")
            else:
                self.table.to_parquet(temporary, index=False)


def run_balance_folder(folder: Path) -> BalanceResult:
    """Run the balance of every plot of a folder.

    Parameters
    ----------
    folder : Path
        Tables as in docs/balance_tables.md, or the text files of pyfao56 (``.par``, ``.wth``, one or more
        ``.irr``, each a plot).

    Raises
    ------
    ConfigError, ContractError, NoDataError
        A file or column is absent or unknown, a day has no weather, an irrigation matches no day or plot, a water
        limit is impossible: named.
    """
    if not folder.is_dir():
        raise ConfigError("not a folder", where=str(folder), do="Give the folder of the tables")
    if any(folder.glob("*.par")):
        parts = read_pyfao56_folder(folder)
        tables = Tables(**parts)
    else:
        tables = read_tables(folder)
    table = simulate(tables)
    return BalanceResult(table, score_balance(table, tables) if tables.measured is not None else {})


def _csv(folder: Path, name: str, required: bool = True) -> pd.DataFrame | None:
    path = folder / name
    if not path.exists():
        if required:
            raise ConfigError(f"no {name}", where=str(folder), do=f"A folder needs {', '.join(NEEDED)}")
        return None
    try:
        table = pd.read_csv(path, dtype={"plot_id": "str"}, encoding="utf-8-sig")
    except (ValueError, pd.errors.EmptyDataError) as error:
        raise ConfigError(f"not a CSV table ({error})", where=str(path), do="Save it as UTF-8 CSV") from error
    unknown = set(table.columns) - COLUMNS[name]
    if unknown:
        raise ContractError(
            f"unknown column {', '.join(sorted(unknown))}",
            where=str(path),
            do=f"Known: {', '.join(sorted(COLUMNS[name]))}",
        )
    if "date" in table.columns:
        days = pd.to_datetime(table["date"], errors="coerce", format="ISO8601")
        if days.isna().any():
            raise ContractError(
                f"{table['date'][days.isna()].iloc[0]!r} is not a date", where=str(path), do="Write dates as YYYY-MM-DD"
            )
        table["date"] = days
    return table


def read_tables(folder: Path) -> Tables:
    """Read and check a folder of tables; see :func:`run_balance_folder`."""
    weather, station, soil, irrigation, parameters = (_csv(folder, name) for name in NEEDED)
    assert (
        weather is not None
        and station is not None
        and soil is not None
        and irrigation is not None
        and parameters is not None
    )
    values = dict(zip(parameters["name"], parameters["value"].astype(float), strict=True))
    absent = [name for name in PARAMETERS if name not in values]
    if absent:
        raise ContractError(
            f"no parameter {', '.join(absent)}", where=str(folder / "crop_parameters.csv"), do="Add the rows"
        )
    site = station.iloc[0]
    daily = _daily(weather, site, folder / "weather.csv")
    layers = _layers(soil, folder / "soil.csv")
    kcb, measured, plots = (
        _csv(folder, name, required=False) for name in ("kcb_observed.csv", "measured.csv", "plots.csv")
    )
    if plots is not None:
        unknown = set(layers) - set(plots["plot_id"])
        if unknown:
            raise ContractError(
                f"plot {', '.join(sorted(unknown))} has soil and is not in plots.csv", where=str(folder), do="Add it"
            )
    for name, table in (("irrigation.csv", irrigation), ("measured.csv", measured)):
        unknown = set() if table is None else set(table["plot_id"]) - set(layers)
        if unknown:
            raise ContractError(
                f"unknown plot {', '.join(sorted(unknown))}",
                where=str(folder / name),
                do=f"Plots with soil: {', '.join(layers)}",
            )
    start = kcb["date"].min() if kcb is not None else daily.index.min()
    if plots is not None and "planting_date" in plots:
        start = pd.to_datetime(plots["planting_date"]).min()
    end = daily.index.max()
    if measured is not None:
        end = min(end, measured["date"].max())
    outside = irrigation[(irrigation["depth_mm"] > 0) & ~irrigation["date"].isin(daily.index)]
    if len(outside):
        row = outside.iloc[0]
        raise ContractError(
            f"the irrigation of plot {row['plot_id']} on {row['date']:%Y-%m-%d} matches no day of the weather",
            where=str(folder / "irrigation.csv"),
            do="Correct the date",
        )
    if (irrigation["depth_mm"] < 0).any():
        row = irrigation[irrigation["depth_mm"] < 0].iloc[0]
        raise ContractError(
            f"an irrigation of {row['depth_mm']:g} mm on {row['date']:%Y-%m-%d}",
            where=str(folder / "irrigation.csv"),
            do="Correct the depth",
        )
    return Tables(
        daily,
        float(site["wind_height_m"]),
        str(site["reference"]),
        values,
        layers,
        irrigation,
        start,
        end,
        kcb,
        measured,
    )


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
            where=str(where),
            do="Complete the record",
        )
    if table.index.has_duplicates:
        raise ContractError(
            f"{table.index[table.index.duplicated()][0]:%Y-%m-%d} stands twice", where=str(where), do="Remove one row"
        )
    if (table["rain_mm"] < 0).any():
        raise ContractError(
            f"rain below zero on {table.index[table['rain_mm'] < 0][0]:%Y-%m-%d}",
            where=str(where),
            do="Correct the record",
        )
    out = pd.DataFrame({"rain_mm": table["rain_mm"], "wind_m_s": table["wind_m_s"]})
    station = table["et0_station_mm"] if "et0_station_mm" in table else pd.Series(np.nan, index=table.index)

    def column(name: str) -> np.ndarray:
        return table[name].to_numpy(dtype=float) if name in table else np.full(len(table), np.nan)

    tmin, tmax = column("tmin_c"), column("tmax_c")
    vapour = actual_vapour_kpa(
        tmin, tmax, rhmin_pct=column("rhmin_pct"), rhmax_pct=column("rhmax_pct"), tdew_c=column("tdew_c")
    )
    given = column("vapour_pressure_kpa")
    vapour = np.where(np.isnan(given), vapour, given)
    et0 = penman_monteith_mm(
        tmin, tmax, vapour, wind_at_2m(column("wind_m_s"), site["wind_height_m"]), column("rs_mj_m2"), site["lat"], site["elevation_m"],
        pd.DatetimeIndex(table.index).day_of_year.to_numpy(), site["reference"],
    )  # fmt: skip
    out["et0_mm"] = station.where(station.notna(), et0)
    out["rhmin_pct"] = np.where(np.isnan(column("rhmin_pct")), 100 * vapour / saturation_kpa(tmax), column("rhmin_pct"))
    for name in ("rain_mm", "et0_mm", "wind_m_s", "rhmin_pct"):
        if out[name].isna().any():
            raise NoDataError(
                f"no {name} on {out.index[out[name].isna()][0]:%Y-%m-%d}", where=str(where), do="Complete the record"
            )
    return out


def _layers(soil: pd.DataFrame, where: Path) -> dict[str, pd.DataFrame]:
    found = {}
    for plot, layers in soil.groupby("plot_id", sort=True):
        ordered = layers.sort_values("top_m").reset_index(drop=True)
        wrong = ordered[ordered["wp_m3_m3"] >= ordered["fc_m3_m3"]]
        if len(wrong):
            raise ContractError(
                f"plot {plot}: wilting point {wrong['wp_m3_m3'].iloc[0]:g} is not below field capacity {wrong['fc_m3_m3'].iloc[0]:g}",
                where=str(where),
                do="Correct the row",
            )
        found[str(plot)] = ordered
    return found


def _storage_mm(layers: pd.DataFrame, column: str | np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """Water of a column of the layers down to a depth, mm."""
    values = layers[column].to_numpy(dtype=float) if isinstance(column, str) else column
    zero = np.zeros(len(layers))
    return available_water_mm(layers["top_m"].to_numpy(), layers["bottom_m"].to_numpy(), values, zero, zero, depth_m)


def simulate(tables: Tables) -> pd.DataFrame:
    """Balance of every plot, day by day.

    Kcb, height, roots and cover follow the stages of ``crop_parameters.csv`` from the first day, or the observed
    values where given. The start is the soil's ``initial_m3_m3``, else ``theta0``.

    Returns
    -------
    pandas.DataFrame
        Columns as in docs/balance_tables.md.
    """
    q = tables.parameters
    days = pd.date_range(tables.start, tables.end)
    daily = tables.weather.reindex(days)
    if daily.isna().any().any():
        first = daily.index[daily.isna().any(axis=1)][0]
        raise NoDataError(
            f"no weather on {first:%Y-%m-%d}", where="weather", do="Complete the record or shorten the period"
        )
    table_kcb = stage_kcb(
        np.arange(len(days)), (q["Lini"], q["Ldev"], q["Lmid"], q["Lend"]), (q["Kcbini"], q["Kcbmid"], q["Kcbend"])
    )
    kcb, height, cover = table_kcb.copy(), np.full(len(days), np.nan), np.full(len(days), np.nan)
    if tables.kcb is not None:
        seen = tables.kcb.set_index("date").reindex(days)
        kcb = np.where(seen["kcb"] > 0, seen["kcb"], kcb)
        height, cover = seen["height_m"].to_numpy(dtype=float), seen["fcover"].to_numpy(dtype=float)
    share = (kcb - q["Kcbini"]) / (q["Kcbmid"] - q["Kcbini"])
    grown = np.empty(len(days))
    tallest = 0.001
    for day, value in enumerate(q["hini"] + (q["hmax"] - q["hini"]) * share):
        tallest = height[day] if height[day] > 0 else max(tallest, value)
        grown[day] = tallest
    roots = np.maximum.accumulate(
        q["Zrini"] + (q["Zrmax"] - q["Zrini"]) * (table_kcb - q["Kcbini"]) / (q["Kcbmid"] - q["Kcbini"])
    )
    limit = kc_max(
        kcb,
        grown,
        wind_at_2m(daily["wind_m_s"].to_numpy(), tables.wind_height_m),
        daily["rhmin_pct"].to_numpy(),
        tables.reference,
    )
    fc = np.where(cover > 0, cover, cover_from_kcb(kcb, q["Kcbini"], limit, grown))
    plots = list(tables.soil)
    n = len(plots)
    taw = np.empty((len(days), n))
    full, dr0, full0, tew = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for column, plot in enumerate(plots):
        layers = tables.soil[plot]
        held = (layers["fc_m3_m3"] - layers["wp_m3_m3"]).to_numpy()
        first = (
            layers["initial_m3_m3"].to_numpy(dtype=float)
            if "initial_m3_m3" in layers
            else np.full(len(layers), q["theta0"])
        )
        missing = layers["fc_m3_m3"].to_numpy() - first
        taw[:, column] = _storage_mm(layers, held, roots)
        full[column] = _storage_mm(layers, held, np.asarray(q["Zrmax"]))
        dr0[column] = np.clip(_storage_mm(layers, missing, np.asarray(q["Zrini"])), 0.0, taw[0, column])
        full0[column] = np.clip(_storage_mm(layers, missing, np.asarray(q["Zrmax"])), 0.0, full[column])
        tew[column] = _storage_mm(
            layers, (layers["fc_m3_m3"] - 0.5 * layers["wp_m3_m3"]).to_numpy(), np.asarray(q["Ze"])
        )
    events = tables.irrigation.groupby(["date", "plot_id"])
    depth = events["depth_mm"].sum().unstack().reindex(index=days, columns=plots).fillna(0.0).to_numpy()
    wetted = np.ones((len(days), n))
    if "wetted_fraction" in tables.irrigation:
        wetted = events["wetted_fraction"].last().unstack().reindex(index=days, columns=plots).fillna(1.0).to_numpy()

    def spread(values: np.ndarray) -> np.ndarray:
        return np.repeat(np.asarray(values, dtype=float)[:, None], n, axis=1)

    forcing = Forcing(
        spread(daily["et0_mm"].to_numpy()),
        spread(daily["rain_mm"].to_numpy()),
        depth,
        wetted,
        spread(kcb),
        spread(limit),
        spread(fc),
        taw,
    )
    setup = Soil(
        tew, np.full(n, q["REW"]), np.full(n, q["pbase"]), taw_full_mm=full if tables.layered else None, closed=False
    )
    done = run_balance(forcing, setup, dr0, tew, dr_full0_mm=full0 if tables.layered else None)
    columns = {
        "et0_mm": forcing.et0_mm, "rain_mm": forcing.rain_mm, "irrigation_mm": depth, "kcb": forcing.kcb, "ke": done.ke, "ks": done.ks,
        "fc_frac": forcing.fc_frac, "zr_m": spread(roots), "taw_mm": taw, "raw_mm": done.raw_mm, "etc_mm": done.etc_mm,
        "eta_mm": done.eta_mm, "runoff_mm": done.runoff_mm, "drainage_mm": done.drainage_mm, "dr_mm": done.dr_mm,
    }  # fmt: skip
    table = pd.DataFrame(
        {"plot_id": np.tile(plots, len(days)), "date": np.repeat(days, n), **{k: v.ravel() for k, v in columns.items()}}
    )
    return table.sort_values(["plot_id", "date"], ignore_index=True)


def measured_depletion(tables: Tables, table: pd.DataFrame) -> pd.DataFrame:
    """Root-zone depletion of each reading, mm: field capacity less what was measured, over the day's rooting depth.

    A reading is of the morning, so it is held against the end of the day before.

    Returns
    -------
    pandas.DataFrame
        plot_id, date (of the reading), measured_mm, simulated_mm.
    """
    assert tables.measured is not None
    simulated = {(row["plot_id"], row["date"]): row for row in table.to_dict("records")}
    rows = []
    for name, reading in tables.measured.groupby(["plot_id", "date"], sort=True):
        plot, day = str(name[0]), pd.Timestamp(reading["date"].iloc[0])
        key = (plot, day - pd.Timedelta(days=1))
        if key not in simulated:
            continue
        now = simulated[key]
        ordered = reading.sort_values("top_m").reset_index(drop=True).dropna(subset=["swc_m3_m3"])
        if ordered["bottom_m"].max() < now["zr_m"] - 0.1 or ordered["top_m"].min() > 0:
            continue
        depth = np.asarray(now["zr_m"])
        lacking = _storage_mm(tables.soil[plot], "fc_m3_m3", depth) - _storage_mm(ordered, "swc_m3_m3", depth)
        rows.append(
            {
                "plot_id": plot,
                "date": day,
                "measured_mm": float(np.clip(lacking, 0.0, None)),
                "simulated_mm": now["dr_mm"],
            }
        )
    return pd.DataFrame(rows, columns=["plot_id", "date", "measured_mm", "simulated_mm"])


def score_balance(table: pd.DataFrame, tables: Tables) -> dict[str, Any]:
    """Scores of root-zone depletion, all plots pooled."""
    pairs = measured_depletion(tables, table)
    if not len(pairs):
        return {"depletion_readings": 0}
    s, m = pairs["simulated_mm"].to_numpy(), pairs["measured_mm"].to_numpy()
    return {
        "depletion_readings": len(pairs),
        "depletion_rmse_mm": round(rmse(s, m), 2),
        "depletion_bias_mm": round(bias(s, m), 2),
        "depletion_nse": round(nash_sutcliffe(s, m), 3),
    }
