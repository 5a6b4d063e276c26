"""Water of a soil profile layer by layer, anchored on a measured profile: for estimates that readings can check.

A column is a plot with one set of effective parameters. Where the root-zone balance (:mod:`agro.water.balance`) starts from field
capacity and keeps depletion, this one starts from what was measured and keeps water in fixed layers, so that an error of the stated
field capacity does not become an error of the storage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from agro.schema.errors import ContractError
from agro.water.coefficients import cover_from_kcb, kc_max, stage_kcb

#: Layer limits, m: fine where evaporation and first roots are, and with an edge at 1.0 m.
EDGES_M = np.array([0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0])
THICKNESS_M = np.diff(EDGES_M)
#: Depth over which storage is scored, m.
STORAGE_DEPTH_M = 1.0
#: Rain from which the whole surface counts as wetted, mm (FAO-56 Table 20).
WETTING_RAIN_MM = 3.0


@dataclass(frozen=True)
class Parameter:
    """An effective parameter: what is believed before any reading. ``log``: the spread is relative."""

    mean: float
    sd: float
    log: bool = True
    low: float = -np.inf
    high: float = np.inf


#: Effective parameters. Means are the tables' own values; spreads are what such tables are known to miss by.
PARAMETERS: dict[str, Parameter] = {
    "kcb_factor": Parameter(1.0, 0.15),
    "stage_delay_d": Parameter(0.0, 8.0, log=False),
    "root_depth_factor": Parameter(1.2, 0.25),
    # Field capacity goes this share of the way to the first reading where that is wetter, or drier, than stated.
    "anchor_wet_frac": Parameter(0.8, 0.25, log=False, low=0.0, high=1.5),
    "anchor_dry_frac": Parameter(0.2, 0.25, log=False, low=0.0, high=1.5),
    "fc_factor": Parameter(1.0, 0.08),
    "wp_factor": Parameter(1.0, 0.12),
    "drainage_time_d": Parameter(1.0, 0.8),
    "depletion_p_shift": Parameter(0.0, 0.12, log=False),
    "root_shape": Parameter(0.5, 0.7, log=False, low=0.0),
    "evaporation_factor": Parameter(1.0, 0.2),
    "irrigation_factor": Parameter(0.95, 0.08),
    "rain_factor": Parameter(1.0, 0.10),
    # How far differences of stated soil and first reading between plots of one place are to be believed.
    "soil_trust_frac": Parameter(0.5, 0.3, log=False, low=0.0, high=1.0),
}


def effective(x: np.ndarray) -> dict[str, np.ndarray]:
    """Parameter values from standard scores ``(parameters, columns)``; 0 is the prior mean."""
    out = {}
    for row, (name, rule) in zip(x, PARAMETERS.items(), strict=True):
        value = rule.mean * np.exp(rule.sd * row) if rule.log else rule.mean + rule.sd * row
        out[name] = np.clip(value, rule.low, rule.high)
    return out


@dataclass(frozen=True)
class Course:
    """What all plots of a place share, by day; observed values are NaN where the stages speak."""

    et0_mm: np.ndarray
    rain_mm: np.ndarray
    u2_m_s: np.ndarray
    rhmin_pct: np.ndarray
    reference: str
    stages_d: tuple[float, float, float, float]
    stage_kcb: tuple[float, float, float]
    height_m: tuple[float, float]
    root_depth_m: tuple[float, float]
    depletion_p: float
    surface_depth_m: float
    rew_mm: float
    kcb_observed: np.ndarray | None = None
    height_observed_m: np.ndarray | None = None
    cover_observed_frac: np.ndarray | None = None
    #: Day of the season that the arrays begin with.
    first_day: int = 0

    def between(self, begin: int, end: int) -> Course:
        """Some days of it; the season's stages keep their dates."""
        cut = {
            f.name: getattr(self, f.name)[begin:end]
            for f in fields(self)
            if isinstance(getattr(self, f.name), np.ndarray)
        }
        return replace(self, first_day=self.first_day + begin, **cut)

    def __post_init__(self) -> None:
        for name in ("et0_mm", "rain_mm", "u2_m_s", "rhmin_pct"):
            if not np.isfinite(getattr(self, name)).all():
                raise ContractError(f"a gap in {name}", where="profile balance", do="Fill it before the balance is run")


@dataclass(frozen=True)
class Plots:
    """Layers as in :data:`EDGES_M`: arrays (layers, plots) in mm; ``start_day``: the day before which ``start_mm`` was read."""

    fc_mm: np.ndarray
    wp_mm: np.ndarray
    start_mm: np.ndarray
    start_day: np.ndarray
    irrigation_mm: np.ndarray  # (days, plots)
    wetted_frac: np.ndarray  # (days, plots)
    #: What field capacity is drawn towards, (layers, plots); the start by default.
    anchor_mm: np.ndarray | None = None

    def take(self, index: np.ndarray) -> Plots:
        """Some plots, in that order; with the means of the place kept by the caller."""
        anchor = None if self.anchor_mm is None else self.anchor_mm[:, index]
        return Plots(
            self.fc_mm[:, index], self.wp_mm[:, index], self.start_mm[:, index], self.start_day[index],
            self.irrigation_mm[:, index], self.wetted_frac[:, index], anchor,
        )  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Means over the plots of a place (layers,), towards which differences between plots are shrunk."""

    fc_mm: np.ndarray
    wp_mm: np.ndarray
    start_mm: np.ndarray

    @classmethod
    def of(cls, plots: Plots) -> Place:
        """Means over some plots."""
        return cls(plots.fc_mm.mean(axis=1), plots.wp_mm.mean(axis=1), plots.start_mm.mean(axis=1))


@dataclass(frozen=True)
class ProfileRun:
    """Result, mm. Water is that before each day (days + 1, columns); terms are of the day (days, columns).

    Over :data:`STORAGE_DEPTH_M`: storage[d + 1] - storage[d] = rain + irrigation - evaporation - transpiration - percolation,
    exactly, from the column's start on.
    """

    storage_mm: np.ndarray
    root_water_mm: np.ndarray
    terms_mm: Mapping[str, np.ndarray]


def layers_from_table(top_m: np.ndarray, bottom_m: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Water of a column of any layers (m3/m3) in the layers of :data:`EDGES_M`, mm; the lowest goes on below."""
    edges = np.concatenate(([0.0], bottom_m))
    held = np.concatenate(([0.0], np.cumsum(1000.0 * values * np.diff(edges))))
    if edges[-1] < EDGES_M[-1]:
        held = np.append(held, held[-1] + 1000.0 * values[-1] * (EDGES_M[-1] - edges[-1]))
        edges = np.append(edges, EDGES_M[-1])
    return np.diff(np.interp(EDGES_M, edges, held))


def share_above(depth_m: np.ndarray | float) -> np.ndarray:
    """Share of each layer that lies above a depth: (..., layers)."""
    return np.clip((np.asarray(depth_m, dtype=float)[..., None] - EDGES_M[:-1]) / THICKNESS_M, 0.0, 1.0)


def stage_course(course: Course, delay_d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kcb of the stages and the share of growth (0 .. 1, never falling), (days, columns)."""
    days = np.arange(course.first_day + course.et0_mm.size)[:, None] - np.atleast_1d(delay_d)[None]
    ini, mid, _ = course.stage_kcb
    kcb = stage_kcb(days, course.stages_d, course.stage_kcb)
    grown = np.maximum.accumulate(np.clip((kcb - ini) / (mid - ini), 0.0, 1.0), axis=0)
    return kcb[course.first_day :], grown[course.first_day :]


def root_depth_m(course: Course) -> np.ndarray:
    """Nominal rooting depth by day (days + 1,), as the stages and the table say; the last day is held."""
    _, grown = stage_course(course, np.zeros(1))
    first, deepest = course.root_depth_m
    depth = first + (deepest - first) * grown[:, 0]
    return np.append(depth, depth[-1])


def _canopy(course: Course, g: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Kcb, its upper limit with evaporation, cover, and share of growth: (days, columns)."""
    table, grown = stage_course(course, g["stage_delay_d"])
    kcb = table * g["kcb_factor"]
    height = course.height_m[0] + (course.height_m[1] - course.height_m[0]) * grown
    cover: np.ndarray | None = None
    if course.kcb_observed is not None:
        seen = course.kcb_observed[:, None]
        kcb = np.where(seen > 0, seen * g["kcb_factor"], kcb)
        table = np.where(seen > 0, seen, table)
        if course.height_observed_m is not None:
            height = np.where(course.height_observed_m[:, None] > 0, course.height_observed_m[:, None], height)
        if course.cover_observed_frac is not None:
            cover = np.broadcast_to(course.cover_observed_frac[:, None], kcb.shape)
    limit = kc_max(kcb, np.maximum(height, 0.01), course.u2_m_s[:, None], course.rhmin_pct[:, None], course.reference)
    fcover = cover_from_kcb(table, course.stage_kcb[0], limit, height)
    if cover is not None:
        fcover = np.where(cover > 0, np.clip(cover, 0.0, 0.99), fcover)
    return kcb, limit, fcover, grown


def cover_members(course: Course, x: np.ndarray) -> np.ndarray:
    """Ground cover by day for standard scores ``(parameters, columns)``; observed cover, where given, is that of all."""
    return _canopy(course, effective(x))[2]


def demand_members(course: Course, x: np.ndarray) -> np.ndarray:
    """Transpiration without stress by day (days, columns), mm, for standard scores ``(parameters, columns)``."""
    return _canopy(course, effective(x))[0] * course.et0_mm[:, None]


def run_profile(course: Course, plots: Plots, place: Place, x: np.ndarray) -> ProfileRun:
    """Step the columns through the days.

    Parameters
    ----------
    course : Course
        Weather and crop.
    plots : Plots
        One plot a column.
    place : Place
        Means that differences are shrunk towards by ``soil_trust_frac``.
    x : numpy.ndarray
        (parameters, columns) standard scores, see :func:`effective`.

    Notes
    -----
    Per day: Ke by the surface layer's depletion (FAO-56 eq. 71-79), Ks by the depletion of the root zone (eq. 84) with p adjusted
    (Table 22 note), transpiration shared over the layers by root length (falling exponentially with depth) and water available, water
    above field capacity passes down with a time constant. Before its start a column only keeps its surface layer's books.
    """
    g = effective(x)
    days, columns = plots.irrigation_mm.shape
    trust = g["soil_trust_frac"]

    def shrunk(own: np.ndarray, mean: np.ndarray) -> np.ndarray:
        return mean[:, None] + trust * (own - mean[:, None])

    stated_fc, wp = shrunk(plots.fc_mm, place.fc_mm), shrunk(plots.wp_mm, place.wp_mm)
    start = shrunk(plots.start_mm, place.start_mm)
    fc = stated_fc * g["fc_factor"]
    anchor = start if plots.anchor_mm is None else shrunk(plots.anchor_mm, place.start_mm)
    fc = fc + np.where(anchor > fc, g["anchor_wet_frac"], g["anchor_dry_frac"]) * (anchor - fc)
    wp = np.minimum(wp * g["wp_factor"], 0.85 * fc)
    kcb, limit, fcover, grown = _canopy(course, g)
    first, deepest = course.root_depth_m
    roots = np.minimum(first + (deepest * g["root_depth_factor"] - first) * grown, EDGES_M[-1])
    p0 = course.depletion_p + g["depletion_p_shift"]
    tew = 1000.0 * course.surface_depth_m * (stated_fc[0] - 0.5 * wp[0]) / (1000.0 * THICKNESS_M[0])
    tew = np.maximum(tew * g["evaporation_factor"], course.rew_mm + 0.5)
    leak = 1.0 - np.exp(-1.0 / g["drainage_time_d"])
    shape = g["root_shape"]
    # What shrinking took from the first reading comes back unchanged: the estimate starts at the reading.
    offset = plots.start_mm - start
    above, zones = share_above(STORAGE_DEPTH_M), share_above(root_depth_m(course))
    above_rows = above > 0
    water, surface, wetted = start.copy(), 0.9 * tew, np.ones(columns)
    storage, root_water = np.empty((days + 1, columns)), np.empty((days + 1, columns))
    names = ("rain_mm", "irrigation_mm", "evaporation_mm", "transpiration_mm", "percolation_mm")
    terms = {name: np.zeros((days, columns)) for name in names}
    middle = 0.5 * (EDGES_M[1:] + EDGES_M[:-1])
    last = int(np.flatnonzero(above_rows)[-1])
    waiting_until = int(plots.start_day.max(initial=0))
    for day in range(days + 1):
        if day <= waiting_until:
            water = np.where(day <= plots.start_day, start, water)
        storage[day] = above @ (water + offset)
        root_water[day] = zones[day] @ (water + offset)
        if day == days:
            break
        et0, rain = course.et0_mm[day], course.rain_mm[day] * g["rain_factor"]
        irrigation = plots.irrigation_mm[day] * g["irrigation_factor"]
        wetted = np.where(irrigation > 0, plots.wetted_frac[day], np.where(rain >= WETTING_RAIN_MM, 1.0, wetted))
        few = np.clip(np.minimum(1.0 - fcover[day], wetted), 0.01, 1.0)
        reduced = np.clip((tew - surface) / (tew - course.rew_mm), 0.0, 1.0)
        ke = np.maximum(np.minimum(reduced * (limit[day] - kcb[day]), few * limit[day]), 0.0)
        rooted = share_above(roots[day]).T
        taw = (rooted * (fc - wp)).sum(axis=0)
        depletion = (rooted * (fc - water)).sum(axis=0)
        p = np.clip(p0 + 0.04 * (5.0 - (kcb[day] + ke) * et0), 0.1, 0.8)
        ks = np.clip((taw - depletion) / ((1.0 - p) * taw), 0.0, 1.0)
        available = np.clip((water - wp) / (fc - wp), 0.0, 1.5)
        weight = (
            rooted * THICKNESS_M[:, None] * np.exp(-shape * np.minimum(middle[:, None] / roots[day], 1.0)) * available
        )
        total = weight.sum(axis=0)
        uptake = np.where(total > 0, weight / np.where(total > 0, total, 1.0), 0.0) * (ks * kcb[day] * et0)
        uptake = np.minimum(uptake, np.maximum(water - wp, 0.0))
        water = water - uptake
        room = np.maximum(water[:2] - 0.5 * wp[:2], 0.0)
        evaporation = np.minimum(ke * et0, room.sum(axis=0))
        taken = np.minimum(evaporation, room[0])
        water[0] -= taken
        water[1] -= evaporation - taken
        surface = np.clip(surface - rain - irrigation / wetted + evaporation / few, 0.0, tew)
        water[0] += rain + irrigation
        percolation = np.zeros(columns)
        for layer in range(len(THICKNESS_M)):
            passing = np.maximum(water[layer] - fc[layer], 0.0) * leak
            water[layer] -= passing
            if layer + 1 < len(THICKNESS_M):
                water[layer + 1] += passing
            if layer == last:
                percolation = passing
        done = (rain, irrigation, evaporation, uptake[above_rows].sum(axis=0), percolation)
        running = day >= plots.start_day
        for name, value in zip(names, done, strict=True):
            terms[name][day] = np.where(running, value, 0.0)
    return ProfileRun(storage, root_water, terms)
