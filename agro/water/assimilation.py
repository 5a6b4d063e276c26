"""Doubt about soil, crop, rain and irrigation as an ensemble of the profile, updated by what is observed.

Ensemble smoother with multiple data assimilation (Emerick and Reynolds 2013, doi 10.1016/j.cageo.2012.03.011): members are drawn from
the prior and moved, in a few steps, towards what probes, images and growers say. What was never logged is a member's own: every
suspected irrigation has a depth in each of them, none in half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from agro.schema.errors import ContractError
from agro.water.profile import (
    PARAMETERS,
    STORAGE_DEPTH_M,
    Course,
    Place,
    Plots,
    cover_members,
    effective,
    run_profile,
    share_above,
)

MEMBERS = 200
SEED = 20220411
STEPS = 4
#: Sd of what is observed: storage of a probe (mm), cover from an index (share), a reported irrigation (share of it).
OBSERVED_SD = {"storage": 4.0, "cover": 0.08, "irrigation": 0.15}
#: Sd of an irrigation nobody logged, mm; drawn about 0 and cut there.
UNREPORTED_SD_MM = 25.0
#: Where field capacity itself is in question: its relative sd, and from what difference on it is said to be wrong.
FC_SD = 0.25
FC_WRONG_FRAC = 0.10
#: Least readings from which a field capacity is judged.
FC_READINGS = 2
FC_MEMBERS = 600
#: Sd of a simulated storage against a reading over a few weeks, mm.
FC_SIMULATION_SD_MM = 6.0
#: Days after which a wetted profile has drained to field capacity, and what does not count as a wetting, mm.
DRAINED_D, SLIGHT_WETTING_MM = 2, 5.0
KINDS = tuple(OBSERVED_SD)


@dataclass(frozen=True)
class Observation:
    """``kind``: storage (mm above 1.0 m before the day), cover (share, on the day) or irrigation (mm on the day, as reported)."""

    kind: str
    day: int
    value: float

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ContractError(
                f"unknown observation {self.kind!r}", where="assimilation", do=f"Known: {', '.join(KINDS)}"
            )
        if not np.isfinite(self.value) or self.value < 0:
            raise ContractError(f"a {self.kind} of {self.value}", where="assimilation", do="Leave the observation out")


@dataclass(frozen=True)
class Assimilated:
    """Members after the update: standard scores (parameters, members), storage (days + 1, members), unlogged irrigation by day."""

    scores: np.ndarray
    storage_mm: np.ndarray
    unreported_mm: Mapping[int, np.ndarray]

    def interval_mm(self, share: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the members' storage by day, without the error of a reading."""
        low, high = np.quantile(self.storage_mm, [0.5 - share / 2, 0.5 + share / 2], axis=1)
        return low, high


@dataclass(frozen=True)
class FieldCapacity:
    """Field capacity down to 1.0 m as stated and as readings have it, mm, with the 90 % interval; ``wrong``: they contradict."""

    stated_mm: float
    estimate_mm: float
    low_mm: float
    high_mm: float
    wrong: bool


def assimilate(
    course: Course,
    plot: Plots,
    observations: list[Observation],
    suspected_days: tuple[int, ...] = (),
    question_fc: bool = False,
    members: int = MEMBERS,
    seed: int = SEED,
) -> Assimilated:
    """Update the ensemble of one plot.

    Parameters
    ----------
    course : Course
        Weather and crop.
    plot : Plots
        One plot; its logged irrigation is certain but for its efficiency.
    observations : list of Observation
        In any order. A reported irrigation must be on a suspected day.
    suspected_days : tuple of int
        Days on which an irrigation may have been given without a log.
    question_fc : bool
        True: field capacity is spread by :data:`FC_SD`, and drawn towards the first reading by any share.
    """
    rng = np.random.default_rng(seed)
    names = list(PARAMETERS)
    scores = _prior(rng, members, question_fc)
    unreported = rng.normal(0.0, 1.0, (len(suspected_days), members))
    state = np.vstack([scores, unreported])
    columns = plot.take(np.zeros(members, dtype=int))
    place = Place.of(plot)

    def simulate(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        irrigation = columns.irrigation_mm.copy()
        depth = np.maximum(at[len(names) :], 0.0) * UNREPORTED_SD_MM
        for row, day in enumerate(suspected_days):
            irrigation[day] += depth[row]
        wet = Plots(columns.fc_mm, columns.wp_mm, columns.start_mm, columns.start_day, irrigation, columns.wetted_frac)
        return run_profile(course, wet, place, at[: len(names)]).storage_mm, depth

    def observed(at: np.ndarray) -> np.ndarray:
        storage, depth = simulate(at)
        cover = cover_members(course, at[: len(names)])
        rows = []
        for o in observations:
            if o.kind == "irrigation":
                if o.day not in suspected_days:
                    raise ContractError(f"an irrigation reported on day {o.day}, which is not suspected", where="assimilation",
                                        do="Put it into the log, or among the suspected days")  # fmt: skip
                rows.append(depth[suspected_days.index(o.day)])
            else:
                rows.append(storage[o.day] if o.kind == "storage" else cover[o.day])
        return np.array(rows)

    if observations:
        said = np.array([o.value for o in observations])
        sd = np.array(
            [OBSERVED_SD[o.kind] * (max(o.value, 5.0) if o.kind == "irrigation" else 1.0) for o in observations]
        )
        for _ in range(STEPS):
            seen = observed(state)
            inflated = sd * np.sqrt(STEPS)
            away, about = state - state.mean(axis=1, keepdims=True), seen - seen.mean(axis=1, keepdims=True)
            gain = away @ about.T @ np.linalg.inv(about @ about.T + (members - 1) * np.diag(inflated**2))
            noise = rng.standard_normal(seen.shape) * inflated[:, None]
            state = state + gain @ (said[:, None] + noise - seen)
    storage, depth = simulate(state)
    return Assimilated(state[: len(names)], storage, dict(zip(suspected_days, depth, strict=True)))


def _prior(rng: np.random.Generator, members: int, question_fc: bool) -> np.ndarray:
    """Standard scores (parameters, members); with field capacity in question, wide, and drawn towards the first reading by any share."""
    names = list(PARAMETERS)
    scores = rng.standard_normal((len(names), members))
    if question_fc:
        scores[names.index("fc_factor")] *= FC_SD / PARAMETERS["fc_factor"].sd
        wet, dry = PARAMETERS["anchor_wet_frac"], PARAMETERS["anchor_dry_frac"]
        # A layer that was read wetter than it is said to hold may hold it, or not: every share alike.
        scores[names.index("anchor_wet_frac")] = (rng.uniform(0.0, 1.0, members) - wet.mean) / wet.sd
        scores[names.index("anchor_dry_frac")] = -dry.mean / dry.sd
    return scores


def judge_field_capacity(course: Course, plot: Plots, days: np.ndarray, storage_mm: np.ndarray) -> FieldCapacity | None:
    """Hold a stated field capacity against readings of storage after the first.

    It is wrong when the 90 % interval of the members leaves it outside and the median differs by :data:`FC_WRONG_FRAC`, or when all
    readings that were not taken just after a wetting are wetter by as much: water above field capacity drains in a day or two.
    None with fewer than :data:`FC_READINGS` readings.
    """
    if len(days) < FC_READINGS:
        return None
    last = int(days.max())
    until = course.between(0, last)
    short = Plots(
        plot.fc_mm, plot.wp_mm, plot.start_mm, plot.start_day, plot.irrigation_mm[:last], plot.wetted_frac[:last]
    )
    scores = _prior(np.random.default_rng(SEED), FC_MEMBERS, question_fc=True)
    columns = short.take(np.zeros(FC_MEMBERS, dtype=int))
    simulated = run_profile(until, columns, Place.of(short), scores).storage_mm[days.astype(int)]
    # Weighted members, not moved ones: above what the readings ask for, one field capacity is as good as the next, and a linear
    # update would run on.
    surprise = 0.5 * (((simulated - storage_mm[:, None]) / FC_SIMULATION_SD_MM) ** 2).sum(axis=0)
    chance = np.exp(-(surprise - surprise.min()))
    g, above = effective(scores), share_above(STORAGE_DEPTH_M)
    layers = plot.fc_mm * g["fc_factor"]
    held = above @ (layers + g["anchor_wet_frac"] * np.maximum(plot.start_mm - layers, 0.0))
    order = np.argsort(held)
    share = np.cumsum(chance[order]) / chance.sum()
    stated = float(above @ plot.fc_mm[:, 0])
    low, middle, high = (float(held[order][np.searchsorted(share, q)]) for q in (0.05, 0.5, 0.95))
    wrong = not (low <= stated <= high) and abs(middle - stated) > FC_WRONG_FRAC * stated
    wetting = course.rain_mm[:last] + plot.irrigation_mm[:last, 0]
    settled = np.array([wetting[max(d - DRAINED_D, 0) : d].sum() < SLIGHT_WETTING_MM for d in days])
    wetter = settled.sum() >= FC_READINGS and bool((storage_mm[settled] > (1 + FC_WRONG_FRAC) * stated).all())
    if wetter and middle < storage_mm[settled].min():
        middle = float(storage_mm[settled].min())
        high = max(high, middle)
    wrong = wrong or wetter
    return FieldCapacity(stated, middle, low, high, bool(wrong))
