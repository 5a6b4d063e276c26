"""From checked tables to what the profile estimator takes: course, plots and readings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agro.schema.errors import NoDataError
from agro.water.profile import (
    EDGES_M,
    STORAGE_DEPTH_M,
    Course,
    Place,
    Plots,
    layers_from_table,
    root_depth_m,
    share_above,
)
from agro.water.reference_et import wind_at_2m
from pipelines.balance_tables import LAYER_SLACK_M, Tables

#: A reading may end so much above 1.0 m and still stand for it (the lowest goes on below), m.
DEEPEST_GAP_M = 0.1
METRES_A_DEGREE = 111_320.0


@dataclass(frozen=True)
class Readings:
    """Complete readings, by plot and date: ``day`` counts from the first of the tables, water in mm.

    ``profile_mm`` (readings, layers) is the whole profile in the layers of :data:`agro.water.profile.EDGES_M`.
    """

    plot: np.ndarray
    day: np.ndarray
    profile_mm: np.ndarray
    storage_mm: np.ndarray
    root_water_mm: np.ndarray
    rank: np.ndarray  # 0: the plot's first reading

    def where(self, chosen: np.ndarray) -> Readings:
        """Those of a mask or an index."""
        return Readings(
            self.plot[chosen], self.day[chosen], self.profile_mm[chosen], self.storage_mm[chosen], self.root_water_mm[chosen],
            self.rank[chosen],
        )  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A folder, ready for the estimator; plots without a complete reading are left out and named in ``warnings``."""

    names: tuple[str, ...]
    days: pd.DatetimeIndex
    course: Course
    plots: Plots
    place: Place
    readings: Readings
    root_fc_mm: np.ndarray  # (days + 1, plots): stated field capacity over the nominal rooting depth
    root_taw_mm: np.ndarray
    xy_m: np.ndarray | None
    warnings: tuple[str, ...]


def course_of(tables: Tables, days: pd.DatetimeIndex) -> Course:
    """Weather and crop by day.

    Raises
    ------
    NoDataError
        A day without weather.
    """
    daily, q = tables.weather.reindex(days), tables.parameters
    if daily.isna().any().any():
        first = daily.index[daily.isna().any(axis=1)][0]
        raise NoDataError(f"no weather on {first:%Y-%m-%d}", where="weather", do="Complete the record")
    seen: dict[str, np.ndarray | None] = {"kcb": None, "height_m": None, "fcover": None}
    if tables.kcb is not None:
        observed = tables.kcb.set_index("date").reindex(index=days)
        seen = {c: observed[c].to_numpy(dtype=float) if c in observed else None for c in seen}
    return Course(
        daily["et0_mm"].to_numpy(), daily["rain_mm"].to_numpy(), wind_at_2m(daily["wind_m_s"].to_numpy(), tables.wind_height_m),
        daily["rhmin_pct"].to_numpy(), tables.reference, (q["Lini"], q["Ldev"], q["Lmid"], q["Lend"]),
        (q["Kcbini"], q["Kcbmid"], q["Kcbend"]), (q["hini"], q["hmax"]), (q["Zrini"], q["Zrmax"]), q["pbase"], q["Ze"], q["REW"],
        seen["kcb"], seen["height_m"], seen["fcover"],
    )  # fmt: skip


def complete_readings(
    tables: Tables, names: list[str], days: pd.DatetimeIndex, zones: np.ndarray
) -> tuple[Readings, int]:
    """Readings without a missing layer from the surface to 1.0 m, and how many others there were."""
    of_plot: list[int] = []
    on_day: list[int] = []
    profiles: list[np.ndarray] = []
    left_out = 0
    above = share_above(STORAGE_DEPTH_M)
    assert tables.measured is not None
    for _, reading in tables.measured.groupby(["plot_id", "date"], sort=True):
        plot, date = str(reading["plot_id"].iloc[0]), pd.Timestamp(reading["date"].iloc[0])
        told = reading.sort_values("top_m")
        needed = told[told["top_m"] < STORAGE_DEPTH_M - LAYER_SLACK_M]
        gap = (needed["top_m"].to_numpy()[1:] - needed["bottom_m"].to_numpy()[:-1] > LAYER_SLACK_M).any()
        elapsed = int((date - days[0]).days)
        if (
            needed["swc_m3_m3"].isna().any()
            or gap
            or not len(needed)
            or needed["top_m"].iloc[0] > LAYER_SLACK_M
            or needed["bottom_m"].iloc[-1] < STORAGE_DEPTH_M - DEEPEST_GAP_M
            or elapsed < 0
        ):
            left_out += 1
            continue
        known = told.dropna(subset=["swc_m3_m3"])
        layers = layers_from_table(
            known["top_m"].to_numpy(), known["bottom_m"].to_numpy(), known["swc_m3_m3"].to_numpy()
        )
        of_plot.append(names.index(plot))
        on_day.append(elapsed)
        profiles.append(layers)
    at, day = np.array(of_plot, dtype=int), np.array(on_day, dtype=int)
    profile = np.array(profiles, dtype=float).reshape(len(day), len(EDGES_M) - 1)
    rank = pd.DataFrame({"at": at, "day": day}).groupby("at")["day"].rank(method="first").to_numpy(dtype=int) - 1
    return Readings(at, day, profile, profile @ above, (profile * zones[day]).sum(axis=1), rank), left_out


def read_site(tables: Tables) -> Site:
    """Everything the estimator needs of a folder.

    Raises
    ------
    NoDataError
        Nothing was measured, or no plot has two complete readings down to 1.0 m.
    """
    if tables.measured is None or not len(tables.measured):
        raise NoDataError(
            "nothing was measured", where="measured.csv", do="Give plot_id, date, top_m, bottom_m, swc_m3_m3"
        )
    days = pd.date_range(tables.start, tables.end)
    course = course_of(tables, days)
    zones = share_above(root_depth_m(course))
    names = list(tables.soil)
    readings, incomplete = complete_readings(tables, names, days, zones)
    counts = np.bincount(readings.plot, minlength=len(names))
    kept = [name for name, count in zip(names, counts, strict=True) if count >= 2]
    if not kept:
        raise NoDataError(
            f"no plot has two readings without a missing layer from the surface to {STORAGE_DEPTH_M:g} m",
            where="measured.csv", do="Give complete readings",
        )  # fmt: skip
    warnings = list(tables.warnings)
    if incomplete:
        warnings.append(f"{incomplete} reading(s) have a missing layer above {STORAGE_DEPTH_M:g} m and are not used")
    lost = [name for name in names if name not in kept]
    if lost:
        warnings.append(f"without two complete readings, not estimated: {', '.join(lost)}")
    old = np.array([names.index(name) for name in kept])
    readings = readings.where(np.isin(readings.plot, old))
    renumbered = np.full(len(names), -1)
    renumbered[old] = np.arange(len(kept))
    readings = Readings(
        renumbered[readings.plot],
        readings.day,
        readings.profile_mm,
        readings.storage_mm,
        readings.root_water_mm,
        readings.rank,
    )
    soils = [tables.soil[name] for name in kept]

    def stated(column: str) -> np.ndarray:
        parts = [
            layers_from_table(s["top_m"].to_numpy(), s["bottom_m"].to_numpy(), s[column].to_numpy(dtype=float))
            for s in soils
        ]
        return np.stack(parts, axis=1)

    fc, wp = stated("fc_m3_m3"), stated("wp_m3_m3")
    first = readings.where(readings.rank == 0)
    order = np.argsort(first.plot)
    events = tables.irrigation.groupby(["date", "plot_id"])
    depth = events["depth_mm"].sum().unstack().reindex(index=days, columns=kept).fillna(0.0).to_numpy()
    wetted = np.ones_like(depth)
    if "wetted_fraction" in tables.irrigation:
        wetted = events["wetted_fraction"].last().unstack().reindex(index=days, columns=kept).fillna(1.0).to_numpy()
    plots = Plots(fc, wp, first.profile_mm[order].T, first.day[order], depth, wetted)
    return Site(
        tuple(kept),
        days,
        course,
        plots,
        Place.of(plots),
        readings,
        zones @ fc,
        zones @ (fc - wp),
        _metres(tables, kept),
        tuple(warnings),
    )


def _metres(tables: Tables, names: list[str]) -> np.ndarray | None:
    """Places of the plots, m east (as on the equator) and north; None where they are not told."""
    if tables.places is None:
        return None
    at = tables.places.set_index("plot_id").reindex(names)[["lon", "lat"]].to_numpy(dtype=float)
    if not np.isfinite(at).all():
        return None
    # One scale for all folders, so that places of two folders compare.
    return at * METRES_A_DEGREE
