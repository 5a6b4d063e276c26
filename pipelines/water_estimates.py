"""Soil water of measured plots, estimated under a protocol that says which readings may be seen (see docs/water_evaluation.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd

from agro.water.calibration import Target, calibrate
from agro.water.correction import Corrected, LearnedCorrection, Samples, log_likelihood
from agro.water.profile import PARAMETERS, STORAGE_DEPTH_M, ProfileRun, root_depth_m, run_profile, share_above
from pipelines.water_inputs import Readings, Site

#: Readings of a plot that each protocol may see, the first being the start.
PROTOCOLS = {"blind": 1, "three-readings": 3}
#: Plots that must be there to learn a correction from; fewer only inform the effective parameters.
MIN_LEARNING_PLOTS = 5
#: Groups of plots; parameters and scales of a group are chosen without any of its plots.
GROUPS = 6
#: How far differences of stated soil and first reading between plots may be believed: one is chosen.
TRUSTS = (0.0, 0.5, 1.0)
#: Days over which irrigation is remembered as a covariate.
MEMORY_D = 30.0
#: Covariates are held within so many standard deviations of the plots learned from; a place further off is another place.
FARTHEST_SD = 3.0
PLACE = ("east", "north")
MEMBERS = 100
SEED = 20180504
#: Half a 90 % interval of a normal error, in sd.
Z_90 = 1.645
#: Error of a plot that parameters do not explain: sd of a reading, and what it gains by the root of the days since the start, mm.
READING_SD_MM, WALK_SD_MM = 2.5, 1.5
WEEK_D = 7
QUANTITIES = ("storage", "root_water")
#: What is corrected: the simulated water, and the first reading itself, which is as good where other plots were read on the same dates.
VIEWS = ("physics", "start")


@dataclass(frozen=True)
class Options:
    """``corrected``: with the learned correction, or physics alone."""

    protocol: str = "blind"
    corrected: bool = True

    @property
    def seen(self) -> int:
        """Readings of a plot that may be seen."""
        return PROTOCOLS[self.protocol]


@dataclass(frozen=True)
class Learned:
    """Chosen on some plots of a site: effective parameters, their covariance, and scales of the correction of each quantity."""

    scores: np.ndarray
    covariance: np.ndarray
    scales: Mapping[tuple[str, str], np.ndarray]


def estimate(
    site: Site, learned_from: Site | None, options: Options, doubt_mm: np.ndarray | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Estimate every reading that the protocol hides.

    A plot is estimated from the weather, its soil and irrigation, its own readings that may be seen, and all readings of other plots:
    those of `learned_from`, or without it those of the same site. Parameters and scales come from plots outside the plot's group.
    `doubt_mm` (days + 1, plots) is an sd that widens the intervals, of inputs that were inferred.

    Returns
    -------
    (table, warnings)
        A row a hidden reading: plot_id, date; of storage and depletion the estimate, its 90 % interval and the reading; raw_mm;
        physics_mm and the shares of the correction; what each term of the balance did in the week before.
    """
    count = len(site.names)
    doubt = np.zeros((len(site.days) + 1, count)) if doubt_mm is None else doubt_mm
    warnings: list[str] = []
    parts = []
    if learned_from is not None:
        same = _same_plots(site, learned_from)
        if len(same):
            told = ", ".join(learned_from.names[k] for k in same)
            warnings.append(f"not learned from, as they are scored themselves: {told}")
        lesson = np.setdiff1d(np.arange(len(learned_from.names)), same)
        learned = _learn(learned_from, lesson, options)
        parts = [_estimate_plot(site, p, learned_from, lesson, learned, options, doubt) for p in range(count)]
        sizes = [len(lesson)]
    else:
        groups = GROUPS if count >= 2 * GROUPS else count
        sizes = [count - 1]
        for group in range(groups):
            members = np.arange(group, count, groups)
            learned = _learn(site, np.setdiff1d(np.arange(count), members), options)
            for p in members:
                parts.append(
                    _estimate_plot(site, int(p), site, np.setdiff1d(np.arange(count), [p]), learned, options, doubt)
                )
    if min(sizes) == 0:
        warnings.append("no other plot to learn from: physics alone, with the tables' parameters; intervals are wide")
    elif min(sizes) < MIN_LEARNING_PLOTS:
        warnings.append(
            f"only {min(sizes)} other plot(s) to learn from: parameters are informed by them, no correction is learned"
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values(["plot_id", "date"], ignore_index=True), tuple(warnings)


def _same_plots(site: Site, other: Site) -> np.ndarray:
    """Plots of `other` that are plots of `site`: same first profile on the same date."""
    start = site.days[site.plots.start_day]
    theirs = other.days[other.plots.start_day]
    same = [
        k
        for k in range(len(other.names))
        if (
            (np.abs(other.plots.start_mm[:, [k]] - site.plots.start_mm).max(axis=0) < 1e-6) & (start == theirs[k])
        ).any()
    ]
    return np.array(same, dtype=int)


def _of(site: Site, plots: np.ndarray) -> Readings:
    """Readings of some plots after the first of each."""
    r = site.readings
    return r.where((r.rank > 0) & np.isin(r.plot, plots))


def _target(site: Site, readings: Readings) -> Target:
    return Target(site.course, site.plots, site.place, readings.day, readings.plot, readings.storage_mm)


def _run(site: Site, scores: np.ndarray) -> ProfileRun:
    return run_profile(site.course, site.plots, site.place, np.repeat(scores[:, None], len(site.names), axis=1))


def _learn(site: Site, plots: np.ndarray, options: Options) -> Learned:
    """Parameters first; how far stated differences between plots are to be believed by the likelihood of what is left."""
    readings = _of(site, plots)
    names = list(PARAMETERS)
    trust, rule = names.index("soil_trust_frac"), PARAMETERS["soil_trust_frac"]
    fixed = _fixed(site)
    if len(plots) < MIN_LEARNING_PLOTS:
        return Learned(*calibrate([_target(site, readings)], fixed=fixed), {})
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for believed in TRUSTS:
        start = np.zeros(len(names))
        start[trust] = (believed - rule.mean) / rule.sd
        scores, covariance = calibrate([_target(site, readings)], start, (*fixed, "soil_trust_frac"))
        run = _run(site, scores)
        samples = _teaching_samples(site, run, readings, options)
        likelihood = log_likelihood(samples, _errors(site, run, readings, "storage", "physics"))
        if best is None or likelihood > best[0]:
            best = likelihood, scores, covariance
    assert best is not None
    _, scores, covariance = best
    scales: dict[tuple[str, str], np.ndarray] = {}
    if options.corrected:
        run = _run(site, scores)
        samples = _teaching_samples(site, run, readings, options)
        for name, view in product(QUANTITIES, VIEWS):
            scales[name, view] = LearnedCorrection.fit(
                _seen_by(view, samples), _errors(site, run, readings, name, view)
            ).scales
    return Learned(scores, covariance, scales)


def _fixed(site: Site) -> tuple[str, ...]:
    """Where Kcb was observed, the stages' dates have no part in it."""
    return ("stage_delay_d",) if site.course.kcb_observed is not None else ()


def _teaching_samples(site: Site, run: ProfileRun, readings: Readings, options: Options) -> Samples:
    raw = _covariates(site, run, options)
    return _samples(site, readings, raw, _standard(raw, site, readings), 0)


def _seen_by(view: str, samples: Samples) -> Samples:
    """Without the simulation in the view ``start``: two views are worth more than one when they err apart."""
    if view == "physics":
        return samples
    return replace(samples, covariates={k: v for k, v in samples.covariates.items() if k != "simulated change"})


def _base(site: Site, run: ProfileRun, readings: Readings, name: str, view: str) -> np.ndarray:
    """What a correction is added to: the simulated water, or in the view ``start`` the first reading itself."""
    if view == "physics":
        return getattr(run, f"{name}_mm")[readings.day, readings.plot]
    first = site.plots.start_mm[:, readings.plot]
    depth = share_above(STORAGE_DEPTH_M) if name == "storage" else share_above(root_depth_m(site.course))[readings.day]
    return (depth * first.T).sum(axis=1)


def _errors(site: Site, run: ProfileRun, readings: Readings, name: str, view: str) -> np.ndarray:
    """Measured less the base of a view."""
    return getattr(readings, f"{name}_mm") - _base(site, run, readings, name, view)


Viewed = tuple[Corrected, np.ndarray, tuple[np.ndarray, np.ndarray]]


def _joined(physics: Viewed, start: Viewed) -> tuple[Corrected, np.ndarray]:
    """The two views weighed by their precision; half the 90 % interval from how both together miss plots left out.

    The share named ``mean change`` is what leaving the simulation for the first reading does.
    """
    (one, one_base, (one_left, one_sd)), (two, two_base, (two_left, two_sd)) = physics, start
    weight = two.sd_mm**2 / (one.sd_mm**2 + two.sd_mm**2)
    parts = {
        name: weight * one.parts_mm.get(name, 0.0) + (1 - weight) * two.parts_mm.get(name, 0.0)
        for name in one.parts_mm | two.parts_mm
    }
    parts["mean change"] = (1 - weight) * (two_base - one_base)
    # Errors of the views go together: their sd is averaged, not their variance.
    sd = weight * one.sd_mm + (1 - weight) * two.sd_mm
    taught = two_sd**2 / (one_sd**2 + two_sd**2)
    missed = np.abs(taught * one_left + (1 - taught) * two_left) / (taught * one_sd + (1 - taught) * two_sd)
    return Corrected(sum(parts.values(), np.zeros(len(sd))), sd, parts), float(np.nanquantile(missed, 0.9)) * sd


def _covariates(site: Site, run: ProfileRun, options: Options) -> dict[str, np.ndarray]:
    """How plots differ, in their own units: (days + 1, plots) or (plots,). Readings that are hidden have no part in it."""
    irrigation = site.plots.irrigation_mm
    remembered = np.zeros((len(irrigation) + 1, irrigation.shape[1]))
    keep = np.exp(-1.0 / MEMORY_D)
    for day, depth in enumerate(irrigation):
        remembered[day + 1] = remembered[day] * keep + depth
    start = site.plots.start_day
    lacking = site.plots.start_mm - site.plots.fc_mm
    out = {
        "recent irrigation": remembered,
        "simulated change": run.storage_mm - run.storage_mm[start, np.arange(len(start))],
        "first reading, topsoil": lacking[:2].sum(axis=0),
        "first reading, subsoil": lacking[6:8].sum(axis=0),
    }
    if site.xy_m is not None:
        out |= dict(zip(PLACE, site.xy_m.T, strict=True))
    if options.seen > 1:
        r = site.readings
        error, top = np.zeros(len(start)), np.zeros(len(start))
        for p in range(len(start)):
            own = np.flatnonzero((r.plot == p) & (r.rank < options.seen))
            last = own[np.argmax(r.rank[own])]
            error[p] = r.storage_mm[last] - run.storage_mm[r.day[last], p]
            top[p] = (r.profile_mm[last] - site.plots.start_mm[:, p])[:2].sum()
        out |= {"early error": error, "early change, topsoil": top}
    return out


def _at(values: np.ndarray, readings: Readings) -> np.ndarray:
    return values[readings.day, readings.plot] if values.ndim == 2 else values[readings.plot]


def _standard(raw: Mapping[str, np.ndarray], site: Site, readings: Readings) -> dict[str, tuple[float, float]]:
    """Mean and sd of each covariate over the readings learned from."""
    values = {name: _at(v, readings) for name, v in raw.items()}
    return {name: (float(v.mean()), float(max(v.std(), 1e-6))) for name, v in values.items()}


def _samples(
    site: Site,
    readings: Readings,
    raw: Mapping[str, np.ndarray],
    standard: Mapping[str, tuple[float, float]],
    offset: int,
) -> Samples:
    first = site.days[0].toordinal()
    covariates = {}
    for name, (mean, sd) in standard.items():
        z = (_at(raw[name], readings) - mean) / sd if name in raw else np.zeros(len(readings.day))
        covariates[name] = (
            np.where(np.abs(z) > FARTHEST_SD, 0.0, z) if name in PLACE else np.clip(z, -FARTHEST_SD, FARTHEST_SD)
        )
    start = site.plots.start_day[readings.plot]
    return Samples(
        (first + readings.day).astype(float), (first + start).astype(float), readings.plot + offset, covariates
    )


def _estimate_plot(
    site: Site, plot: int, teacher: Site, lesson: np.ndarray, learned: Learned, options: Options, doubt: np.ndarray
) -> pd.DataFrame:
    r = site.readings
    own = r.where(r.plot == plot)
    hidden, seen = own.where(own.rank >= options.seen), own.where((own.rank > 0) & (own.rank < options.seen))
    taught = _of(teacher, lesson)
    if learned.scales:
        run, theirs = _run(site, learned.scores), _run(teacher, learned.scores)
        raw = _covariates(teacher, theirs, options)
        standard = _standard(raw, teacher, taught)
        own_raw = raw if teacher is site else _covariates(site, run, options)
        offset = 0 if teacher is site else len(teacher.names)
        here, known = (_samples(site, of, own_raw, standard, offset) for of in (hidden, seen))
        there = _samples(teacher, taught, raw, standard, 0)
        said = {}
        for name in QUANTITIES:
            views = []
            for view in VIEWS:
                errors = _errors(teacher, theirs, taught, name, view)
                correction = LearnedCorrection.given(learned.scales[name, view], _seen_by(view, there), errors)
                found = correction.predict(
                    _seen_by(view, here), _seen_by(view, known), _errors(site, run, seen, name, view)
                )
                views.append(
                    (found, _base(site, run, hidden, name, view), correction.left_plot_out(taught.rank >= options.seen))
                )
            said[name] = _joined(*views)
    else:
        scores, covariance = learned.scores, learned.covariance
        if len(seen.day):
            scores, covariance = calibrate([_target(teacher, taught), _target(site, seen)], fixed=_fixed(site))
        run = _run(site, scores)
        said = _physics_alone(site, plot, hidden, run, scores, covariance)
    unsure = Z_90 * doubt[hidden.day, plot]
    said = {name: (found, np.hypot(half, unsure)) for name, (found, half) in said.items()}
    return _rows(site, plot, hidden, run, said)


def _physics_alone(
    site: Site, plot: int, hidden: Readings, run: ProfileRun, scores: np.ndarray, covariance: np.ndarray
) -> dict[str, tuple[Corrected, np.ndarray]]:
    """No correction; the spread of members over the parameters, and an error that grows with the days since the start."""
    rng = np.random.default_rng(SEED)
    members = scores + rng.multivariate_normal(np.zeros(len(scores)), covariance, MEMBERS, method="eigh")
    spread = run_profile(site.course, site.plots.take(np.full(MEMBERS, plot)), site.place, members.T)
    elapsed = hidden.day - site.plots.start_day[plot]
    said = {}
    for name in QUANTITIES:
        centre = getattr(run, f"{name}_mm")[hidden.day, plot]
        departure = getattr(spread, f"{name}_mm")[hidden.day] - centre[:, None]
        sd = np.sqrt((departure**2).mean(axis=1) + READING_SD_MM**2 + WALK_SD_MM**2 * elapsed)
        said[name] = (Corrected(np.zeros(len(sd)), sd), Z_90 * sd)
    return said


def _rows(
    site: Site, plot: int, hidden: Readings, run: ProfileRun, said: Mapping[str, tuple[Corrected, np.ndarray]]
) -> pd.DataFrame:
    day = hidden.day
    simulated = {name: getattr(run, f"{name}_mm")[day, plot] for name in QUANTITIES}
    storage, half = said["storage"][0], said["storage"][1]
    water = simulated["root_water"] + said["root_water"][0].mean_mm
    root_half = said["root_water"][1]
    fc = site.root_fc_mm[day, plot]
    estimate_mm = simulated["storage"] + storage.mean_mm

    def depletion(held: np.ndarray) -> np.ndarray:
        return np.maximum(fc - held, 0.0)

    raw = np.clip(site.course.depletion_p, 0.0, 1.0) * site.root_taw_mm[day, plot]
    before = np.maximum(day - WEEK_D, site.plots.start_day[plot])
    week = {}
    for name, values in run.terms_mm.items():
        total = np.concatenate(([0.0], np.cumsum(values[:, plot])))
        sign = 1.0 if name in {"rain_mm", "irrigation_mm"} else -1.0
        week[f"week_{name}"] = sign * (total[day] - total[before])
    table = pd.DataFrame(
        {
            "plot_id": site.names[plot], "date": site.days[0] + pd.to_timedelta(day, unit="D"),
            "storage_mm": estimate_mm, "storage_low_mm": estimate_mm - half, "storage_high_mm": estimate_mm + half,
            "storage_measured_mm": hidden.storage_mm, "depletion_mm": depletion(water), "depletion_low_mm": depletion(water + root_half),
            "depletion_high_mm": depletion(water - root_half), "depletion_measured_mm": depletion(hidden.root_water_mm), "raw_mm": raw,
            "physics_mm": simulated["storage"], "week_change_mm": simulated["storage"] - run.storage_mm[before, plot], **week,
        }
    )  # fmt: skip
    for part, share in storage.parts_mm.items():
        table[f"correction {part}"] = share
    return table
