"""Tables in, table out: the root-zone balance for people without images (see docs/balance_tables.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agro.evaluate.scores import bias, nash_sutcliffe, rmse
from agro.schema.errors import ConfigError, ContractError, NoDataError
from agro.store.plain_table import write_plain_table
from agro.water.balance import Forcing, Soil, run_balance
from agro.water.coefficients import cover_from_kcb, kc_max, root_depth_m, stage_kcb
from agro.water.kcb import assimilate_kcb, kcb_from_index
from agro.water.reference_et import wind_at_2m
from agro.water.soil import available_water_mm
from pipelines.balance_tables import CURVE_NUMBER, LAYER_SLACK_M, Tables, read_tables
from pipelines.pyfao56_files import read_pyfao56_folder

#: Readings may end so much above the roots and still stand for them (the lowest goes on below), m.
DEEPEST_GAP_M = 0.1


@dataclass(frozen=True)
class BalanceResult:
    """A row a plot and day, scores where soil water was measured, and what was left aside."""

    table: pd.DataFrame
    scores: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

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
            "warnings": list(self.warnings),
        }

    def write(self, path: Path) -> None:
        """Write the table as CSV or Parquet, by the file's suffix."""
        write_plain_table(self.table, path)


def run_balance_folder(folder: Path, runoff: bool = False) -> BalanceResult:
    """Run the balance of every plot of a folder.

    Parameters
    ----------
    folder : Path
        Tables as in docs/balance_tables.md, or the text files of pyfao56 (``.par``, ``.wth``, one or more
        ``.irr``, each a plot).
    runoff : bool
        Let rain run off by the parameter CN2.

    Raises
    ------
    ConfigError, ContractError, NoDataError
        A file or column is absent or unknown, a day has no weather, an irrigation matches no day or plot, a water
        limit is impossible: named.
    """
    if not folder.is_dir():
        raise ConfigError("not a folder", where=str(folder), do="Give the folder of the tables")
    tables = Tables(**read_pyfao56_folder(folder)) if any(folder.glob("*.par")) else read_tables(folder)
    table = simulate(tables, runoff)
    scores = score_balance(table, tables) if tables.measured is not None else {}
    return BalanceResult(table, scores, tables.warnings)


def _storage_mm(layers: pd.DataFrame, column: str | np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """Water of a column of the layers down to a depth, mm."""
    values = layers[column].to_numpy(dtype=float) if isinstance(column, str) else column
    zero = np.zeros(len(layers))
    return available_water_mm(layers["top_m"].to_numpy(), layers["bottom_m"].to_numpy(), values, zero, zero, depth_m)


@dataclass(frozen=True)
class PlotCanopy:
    """Kcb, height (m), cover and upper limit of Kc, (days, plots); rooting depth (days,), m."""

    kcb: np.ndarray
    height_m: np.ndarray
    fc_frac: np.ndarray
    kc_max: np.ndarray
    roots_m: np.ndarray


def _by_plot(told: pd.DataFrame, name: str, days: pd.DatetimeIndex, plots: list[str]) -> np.ndarray:
    """A column of a table as (days, plots), NaN where nothing is told; rows without plot stand for all plots."""
    if name not in told:
        return np.full((len(days), len(plots)), np.nan)
    if "plot_id" not in told:
        one = told.set_index("date")[name].reindex(days).to_numpy(dtype=float)
        return np.repeat(one[:, None], len(plots), axis=1)
    return (
        told.pivot(index="date", columns="plot_id", values=name)
        .reindex(index=days, columns=plots)
        .to_numpy(dtype=float)
    )


def plot_canopy(tables: Tables, days: pd.DatetimeIndex, daily: pd.DataFrame) -> PlotCanopy:
    """Kcb of the stages; between the first and last look of an index the index's; observed Kcb on their dates.

    Observed Kcb with a standard deviation (``kcb_sd``) are weighed against what stages or index say, and the departure
    lasts for a while (:func:`agro.water.kcb.assimilate_kcb`); without one they stand as they are, on their dates alone.

    Height follows Kcb and does not fall, cover follows Kcb (eq. 76) where neither observation nor index tells it; roots follow
    the stages.

    Raises
    ------
    ContractError
        An index of a crop under cover, or of one without a relation.
    """
    q, plots = tables.parameters, list(tables.soil)
    stages = (q["Lini"], q["Ldev"], q["Lmid"], q["Lend"])
    since = np.arange(len(days))
    table = stage_kcb(since, stages, (q["Kcbini"], q["Kcbmid"], q["Kcbend"]))
    kcb = np.repeat(table[:, None], len(plots), axis=1)
    height, cover = np.full(kcb.shape, np.nan), np.full(kcb.shape, np.nan)
    if tables.index is not None and tables.crops is not None:
        looks = pd.DataFrame(_by_plot(tables.index, "ndvi", days, plots)).interpolate(limit_area="inside").to_numpy()
        for column, plot in enumerate(plots):
            if np.isfinite(looks[:, column]).any():
                seen, covered = kcb_from_index(tables.crops[plot], looks[:, column], table)
                kcb[:, column] = np.where(np.isnan(seen), table, seen)
                cover[:, column] = covered
    if tables.kcb is not None:
        observed = {name: _by_plot(tables.kcb, name, days, plots) for name in ("kcb", "height_m", "fcover")}
        if "kcb_sd" in tables.kcb:
            seen = np.where(observed["kcb"] > 0, observed["kcb"], np.nan)
            kcb, _ = assimilate_kcb(kcb, seen, _by_plot(tables.kcb, "kcb_sd", days, plots))
        else:
            kcb = np.where(observed["kcb"] > 0, observed["kcb"], kcb)
        height = observed["height_m"]
        cover = np.where(observed["fcover"] > 0, observed["fcover"], cover)
    share = (kcb - q["Kcbini"]) / (q["Kcbmid"] - q["Kcbini"])
    grown, tallest = np.empty(kcb.shape), np.full(len(plots), 0.001)
    for day, value in enumerate(q["hini"] + (q["hmax"] - q["hini"]) * share):
        tallest = np.where(height[day] > 0, height[day], np.maximum(tallest, value))
        grown[day] = tallest
    wind = wind_at_2m(daily["wind_m_s"].to_numpy(), tables.wind_height_m)
    limit = kc_max(kcb, grown, wind[:, None], daily["rhmin_pct"].to_numpy()[:, None], tables.reference)
    fc = np.where(cover > 0, np.minimum(cover, 0.99), cover_from_kcb(kcb, q["Kcbini"], limit, grown))
    # Never shallower again, as a late Kcb below the initial one would have it.
    roots = np.maximum.accumulate(root_depth_m(since, stages, (q["Zrini"], q["Zrmax"])))
    return PlotCanopy(kcb, grown, fc, limit, roots)


def simulate(tables: Tables, runoff: bool = False) -> pd.DataFrame:
    """Balance of every plot, day by day.

    The start is the soil's ``initial_m3_m3``, else ``theta0``. With `runoff`, rain runs off by the parameter CN2.

    Returns
    -------
    pandas.DataFrame
        Columns as in docs/balance_tables.md.

    Raises
    ------
    NoDataError
        A day without weather.
    ContractError
        No surface layer left above REW, or runoff asked for without CN2.
    """
    q = tables.parameters
    days = pd.date_range(tables.start, tables.end)
    daily = tables.weather.reindex(days)
    if daily.isna().any().any():
        first = daily.index[daily.isna().any(axis=1)][0]
        raise NoDataError(
            f"no weather on {first:%Y-%m-%d}", where="weather", do="Complete the record or shorten the period"
        )
    if runoff and not 1 <= q.get(CURVE_NUMBER, 0) <= 100:
        raise ContractError("runoff needs CN2, 1 .. 100", where="crop_parameters", do="Add the row")
    can = plot_canopy(tables, days, daily)
    roots = can.roots_m
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
        if tew[column] <= q["REW"]:
            raise ContractError(
                f"plot {plot}: REW {q['REW']:g} mm is not below the evaporable water of the surface layer, {tew[column]:.1f} mm",
                where="crop_parameters", do="Correct REW or Ze",
            )  # fmt: skip
    events = tables.irrigation.groupby(["date", "plot_id"])
    depth = events["depth_mm"].sum().unstack().reindex(index=days, columns=plots).fillna(0.0).to_numpy()
    wetted = np.ones((len(days), n))
    if "wetted_fraction" in tables.irrigation:
        wetted = events["wetted_fraction"].last().unstack().reindex(index=days, columns=plots).fillna(1.0).to_numpy()

    def spread(values: np.ndarray) -> np.ndarray:
        return np.repeat(np.asarray(values, dtype=float)[:, None], n, axis=1)

    forcing = Forcing(
        spread(daily["et0_mm"].to_numpy()), spread(daily["rain_mm"].to_numpy()), depth, wetted, can.kcb, can.kc_max, can.fc_frac, taw
    )  # fmt: skip
    setup = Soil(
        tew, np.full(n, q["REW"]), np.full(n, q["pbase"]), np.full(n, q[CURVE_NUMBER]) if runoff else None,
        taw_full_mm=full if tables.layered else None, closed=False,
    )  # fmt: skip
    done = run_balance(forcing, setup, dr0, tew, dr_full0_mm=full0 if tables.layered else None)
    columns = {
        "et0_mm": forcing.et0_mm, "rain_mm": forcing.rain_mm, "irrigation_mm": depth, "kcb": forcing.kcb, "ke": done.ke, "ks": done.ks,
        "fc_frac": forcing.fc_frac, "zr_m": spread(roots), "taw_mm": taw, "raw_mm": done.raw_mm, "etc_mm": done.etc_mm,
        "eta_mm": done.eta_mm, "runoff_mm": done.runoff_mm, "drainage_mm": done.drainage_mm, "dr_mm": done.dr_mm,
        "dr_full_mm": done.dr_full_mm,
    }  # fmt: skip
    table = pd.DataFrame(
        {"plot_id": np.tile(plots, len(days)), "date": np.repeat(days, n), **{k: v.ravel() for k, v in columns.items()}}
    )
    return table.sort_values(["plot_id", "date"], ignore_index=True)


def measured_water(tables: Tables, table: pd.DataFrame) -> pd.DataFrame:
    """Each reading against the simulated soil water.

    A reading is of the morning, so it is held against the end of the day before. Depletion is field capacity less what was
    measured, over that day's rooting depth (below 0, wetter than field capacity, it counts as 0); storage is the water
    down to the deepest roots, and does not depend on the rooting depth assumed.

    Returns
    -------
    pandas.DataFrame
        plot_id, date (of the reading), measured_mm, simulated_mm (depletion), measured_storage_mm,
        simulated_storage_mm (NaN where the readings do not reach so deep, or where only the root zone was kept).
    """
    assert tables.measured is not None
    simulated = table.set_index(["plot_id", "date"])[["zr_m", "dr_mm", "dr_full_mm"]].to_dict("index")
    deepest = np.asarray(tables.parameters["Zrmax"])
    rows = []
    for _, reading in tables.measured.dropna(subset=["swc_m3_m3"]).groupby(["plot_id", "date"], sort=True):
        plot, day = str(reading["plot_id"].iloc[0]), pd.Timestamp(reading["date"].iloc[0])
        now = simulated.get((plot, day - pd.Timedelta(days=1)))
        ordered = reading.sort_values("top_m").reset_index(drop=True)
        gaps = (ordered["top_m"].to_numpy()[1:] - ordered["bottom_m"].to_numpy()[:-1] > LAYER_SLACK_M).any()
        if (
            now is None
            or gaps
            or ordered["top_m"].iloc[0] > 0
            or ordered["bottom_m"].max() < now["zr_m"] - DEEPEST_GAP_M
        ):
            continue
        soil, depth = tables.soil[plot], np.asarray(now["zr_m"])
        lacking = float(_storage_mm(soil, "fc_m3_m3", depth) - _storage_mm(ordered, "swc_m3_m3", depth))
        whole = ordered["bottom_m"].max() >= float(deepest) - DEEPEST_GAP_M
        rows.append(
            {
                "plot_id": plot, "date": day, "measured_mm": max(lacking, 0.0), "simulated_mm": now["dr_mm"],
                "measured_storage_mm": float(_storage_mm(ordered, "swc_m3_m3", deepest)) if whole else np.nan,
                "simulated_storage_mm": float(_storage_mm(soil, "fc_m3_m3", deepest)) - now["dr_full_mm"],
            }
        )  # fmt: skip
    columns = ["plot_id", "date", "measured_mm", "simulated_mm", "measured_storage_mm", "simulated_storage_mm"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[2:], float))


def score_balance(table: pd.DataFrame, tables: Tables) -> dict[str, Any]:
    """Scores of root-zone depletion and of storage down to the deepest roots, all plots pooled.

    ``readings_left_out``: readings without a simulated day before, with a layer missing, or that do not reach the roots.
    """
    assert tables.measured is not None
    pairs = measured_water(tables, table)
    readings = len(tables.measured.drop_duplicates(["plot_id", "date"]))
    out: dict[str, Any] = {"depletion_readings": len(pairs), "readings_left_out": readings - len(pairs)}
    for name, s, m in (
        ("depletion", pairs["simulated_mm"].to_numpy(), pairs["measured_mm"].to_numpy()),
        ("storage", pairs["simulated_storage_mm"].to_numpy(), pairs["measured_storage_mm"].to_numpy()),
    ):
        if (np.isfinite(s) & np.isfinite(m)).any():
            out[f"{name}_rmse_mm"] = round(rmse(s, m), 2)
            out[f"{name}_bias_mm"] = round(bias(s, m), 2)
            out[f"{name}_nse"] = round(nash_sutcliffe(s, m), 3)
    return out
