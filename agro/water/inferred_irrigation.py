"""Irrigation that nobody logged, inferred from successive readings of a profile: what the balance lacks between two of them.

From each reading the profile is run to the next with a range of depths given at one likely date between, and each depth is weighed by
how near it ends to the next reading, and by the prior that a grower gives about what the crop asks for. Members of the parameters make
the doubt. Water that drained unseen cannot be told from the readings: there the prior speaks, and the interval is wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agro.water.profile import PARAMETERS, Course, Place, Plots, demand_members, run_profile

#: Depths that are tried, mm, and the least that counts as an event.
DEPTHS_MM = np.concatenate([np.arange(0.0, 100.0, 15.0), np.arange(100.0, 301.0, 40.0)])
LEAST_EVENT_MM = 5.0
MEMBERS = 24
SEED = 20220411
#: Sd of a storage run from one reading to the next, mm.
STORAGE_SD_MM = 8.0
#: What is given is the crop's demand, with an sd that is a share of it and a least, mm; and bare soil evaporates so much of ET0.
GIVEN_SD_FRAC, GIVEN_SD_MM = 0.5, 10.0
SOIL_KE = 0.1
FINE_MM = np.arange(0.0, 301.0, 5.0)


@dataclass(frozen=True)
class InferredEvents:
    """A row an interval between two readings: plot, the days of both, depth (mm) with its 90 % interval, likely day; all inferred.

    ``depth_mm`` below :data:`LEAST_EVENT_MM` is told as 0: no event.
    """

    plot: np.ndarray
    from_day: np.ndarray
    to_day: np.ndarray
    day: np.ndarray
    depth_mm: np.ndarray
    low_mm: np.ndarray
    high_mm: np.ndarray

    def daily_mm(self, days: int, plots: int) -> np.ndarray:
        """Depth as events on their likely days: (days, plots)."""
        out = np.zeros((days, plots))
        np.add.at(out, (self.day, self.plot), self.depth_mm)
        return out


def infer_irrigation(
    course: Course,
    plots: Plots,
    place: Place,
    plot: np.ndarray,
    day: np.ndarray,
    profile_mm: np.ndarray,
    storage_mm: np.ndarray,
    scores: np.ndarray | None = None,
    covariance: np.ndarray | None = None,
) -> InferredEvents:
    """Infer the irrigation between successive readings.

    Parameters
    ----------
    course, plots, place : Course, Plots, Place
        As for the profile; ``plots.irrigation_mm`` is what is logged and stays.
    plot, day : numpy.ndarray
        (readings,) of which plot, before which day.
    profile_mm, storage_mm : numpy.ndarray
        (readings, layers) and (readings,) what was read.
    scores : numpy.ndarray, optional
        (parameters,) about which members are drawn; the prior by default.
    covariance : numpy.ndarray, optional
        (parameters, parameters) of the draw; the prior's by default.

    Returns
    -------
    InferredEvents
        Depth as given at the field (before losses by ``irrigation_factor``), the median over the members.
    """
    order = np.lexsort((day, plot))
    plot, day, profile_mm, storage_mm = plot[order], day[order], profile_mm[order], storage_mm[order]
    first = np.flatnonzero((plot[1:] == plot[:-1]) & (day[1:] > day[:-1]))
    at, begin, end = plot[first], day[first], day[first + 1]
    middle = (begin + end) // 2
    names = list(PARAMETERS)
    centre = np.zeros(len(names)) if scores is None else scores.copy()
    rng = np.random.default_rng(SEED)
    spread = np.eye(len(names)) if covariance is None else covariance
    draws = centre + rng.multivariate_normal(np.zeros(len(names)), spread, MEMBERS, method="eigh")
    draws[0] = centre
    # Each interval begins with what was read in the plot itself.
    own = PARAMETERS["soil_trust_frac"]
    draws[:, names.index("soil_trust_frac")] = (1.0 - own.mean) / own.sd
    demand = demand_members(course, draws.T) + SOIL_KE * course.et0_mm[:, None]
    demand = np.concatenate([np.zeros((1, MEMBERS)), np.cumsum(demand, axis=0)])
    rain = np.concatenate([[0.0], np.cumsum(course.rain_mm)])
    anchor = plots.start_mm if plots.anchor_mm is None else plots.anchor_mm
    chances = np.empty((len(first), len(FINE_MM)))
    for start in np.unique(begin):
        rows = np.flatnonzero(begin == start)
        last = int(end[rows].max())
        # Columns: interval by member by depth.
        row, member, depth_at = (
            a.ravel() for a in np.meshgrid(rows, np.arange(MEMBERS), np.arange(len(DEPTHS_MM)), indexing="ij")
        )
        irrigation = plots.irrigation_mm[start:last, at[row]].copy()
        irrigation[middle[row] - start, np.arange(len(row))] += DEPTHS_MM[depth_at]
        columns = Plots(
            plots.fc_mm[:, at[row]], plots.wp_mm[:, at[row]], profile_mm[first[row]].T, np.zeros(len(row), dtype=int), irrigation,
            plots.wetted_frac[start:last, at[row]], anchor[:, at[row]],
        )  # fmt: skip
        run = run_profile(course.between(int(start), last), columns, place, draws[member].T)
        reached = run.storage_mm[end[row] - start, np.arange(len(row))].reshape(len(rows), MEMBERS, -1)
        for k, interval in enumerate(rows):
            a, b = begin[interval], end[interval]
            logged = plots.irrigation_mm[a:b, at[interval]].sum()
            expected = np.maximum(demand[b] - demand[a] - (rain[b] - rain[a]) - logged, 0.0)
            doubt = GIVEN_SD_MM + GIVEN_SD_FRAC * expected
            ends = np.stack([np.interp(FINE_MM, DEPTHS_MM, line) for line in reached[k]])
            away = (ends - storage_mm[first[interval] + 1]) / STORAGE_SD_MM
            surprise = (
                0.5 * away**2 + 0.5 * ((FINE_MM - expected[:, None]) / doubt[:, None]) ** 2 + np.log(doubt)[:, None]
            )
            chance = np.exp(-(surprise - surprise.min())).sum(axis=0)
            chances[interval] = np.cumsum(chance / chance.sum())
    low, depth, high = (FINE_MM[(chances >= q).argmax(axis=1)] for q in (0.05, 0.5, 0.95))
    depth = np.where(depth < LEAST_EVENT_MM, 0.0, depth)
    return InferredEvents(at, begin, end, middle, depth, low, high)


def totals_mm(daily_mm: np.ndarray, first_day: int, last_day: int, window_d: int = 15) -> np.ndarray:
    """Sums over successive whole windows of days, (windows, plots)."""
    count = (last_day - first_day) // window_d
    return daily_mm[first_day : first_day + count * window_d].reshape(count, window_d, -1).sum(axis=1)
