"""What readings say against a folder's own inputs: field capacity, and irrigation that nobody logged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from agro.evaluate.scores import bias, coverage_frac, rmse
from agro.schema.errors import NoDataError
from agro.water.assimilation import judge_field_capacity
from agro.water.inferred_irrigation import infer_irrigation, totals_mm
from agro.water.profile import PARAMETERS, Place, demand_members
from pipelines.water_inputs import Site

WINDOW_D = 15
WEEK_D = 7
#: Sd of what is supposed to be given after the last reading seen, as a share of it.
INFERRED_SD_FRAC = 0.3


def field_capacity_warnings(site: Site, seen: int) -> list[str]:
    """Plots whose stated field capacity the readings that may be seen contradict, with what they say instead."""
    r = site.readings
    out = []
    for plot, name in enumerate(site.names):
        shown = (r.plot == plot) & (r.rank > 0) & (r.rank < seen)
        found = judge_field_capacity(site.course, site.plots.take(np.array([plot])), r.day[shown], r.storage_mm[shown])
        if found is not None and found.wrong:
            out.append(
                f"plot {name}: the field capacity stated, {found.stated_mm:.0f} mm to 1.0 m, contradicts the first {seen} readings; "
                f"they say {found.estimate_mm:.0f} mm ({found.low_mm:.0f} .. {found.high_mm:.0f})"
            )
    return out


def score_hidden_log(site: Site) -> dict[str, Any]:
    """Infer the irrigation of every plot from its readings with the whole log hidden, and score sums of 15 days.

    Parameters are the prior's: nothing is learned. An inferred depth is spread evenly over the days between its two readings.

    Returns
    -------
    dict
        windows; rmse_15d_mm, bias_15d_mm, correlation; season_bias_frac (pooled); coverage_90, of what was given between two readings; and
        events_inferred.

    Raises
    ------
    NoDataError
        The readings do not span 15 days.
    """
    r, logged = site.readings, site.plots.irrigation_mm
    hidden = replace(site.plots, irrigation_mm=np.zeros_like(logged))
    events = infer_irrigation(site.course, hidden, site.place, r.plot, r.day, r.profile_mm, r.storage_mm)
    spread, given = np.zeros_like(logged), []
    for plot, begin, end, depth in zip(events.plot, events.from_day, events.to_day, events.depth_mm, strict=True):
        spread[begin:end, plot] += depth / (end - begin)
        given.append(logged[begin:end, plot].sum())
    said, true = [], []
    for plot in range(len(site.names)):
        days = r.day[r.plot == plot]
        said.append(totals_mm(spread[:, [plot]], days.min(), days.max(), WINDOW_D).ravel())
        true.append(totals_mm(logged[:, [plot]], days.min(), days.max(), WINDOW_D).ravel())
    s, t = np.concatenate(said), np.concatenate(true)
    if not len(s):
        raise NoDataError(
            f"the readings of no plot span {WINDOW_D} days", where="measured.csv", do="Give more readings"
        )
    return {
        "windows": len(s),
        "rmse_15d_mm": round(rmse(s, t), 2),
        "bias_15d_mm": round(bias(s, t), 2),
        "correlation": round(float(np.corrcoef(s, t)[0, 1]), 3) if s.std() > 0 and t.std() > 0 else None,
        "season_bias_frac": round(float(s.sum() / t.sum() - 1.0), 3) if t.sum() > 0 else None,
        "coverage_90": round(coverage_frac(events.low_mm, events.high_mm, np.array(given)), 3),
        "events_inferred": int((events.depth_mm > 0).sum()),
    }


def with_inferred_irrigation(site: Site, seen: int) -> tuple[Site, np.ndarray, list[str]]:
    """Plots without a logged irrigation, held against the readings that may be seen.

    Where those ask for water that nobody logged, likely events take its place between them, and after the last of them a grower who
    goes on giving what the crop asks for, week by week. All of it is inferred and said to be; the estimate is the less sure by
    :data:`INFERRED_SD_FRAC` of it.

    Returns
    -------
    (site, doubt_mm, warnings)
        The site with inferred events; sd that they add (days + 1, plots); what was done, and plots whose readings ask for nothing.
    """
    plots, r = site.plots, site.readings
    irrigation = plots.irrigation_mm.copy()
    doubt = np.zeros((len(irrigation) + 1, len(site.names)))
    warnings = []
    dry = [p for p in range(len(site.names)) if not (irrigation[plots.start_day[p] :, p] > 0).any()]
    for plot in dry:
        name, own = site.names[plot], plots.take(np.array([plot]))
        shown = np.flatnonzero((r.plot == plot) & (r.rank < seen))
        events = None
        if len(shown) > 1:
            events = infer_irrigation(
                site.course, own, Place.of(own), np.zeros(len(shown), dtype=int), r.day[shown], r.profile_mm[shown], r.storage_mm[shown]
            )  # fmt: skip
        if events is None or not (events.low_mm > 0).any():
            warnings.append(f"plot {name}: no irrigation is logged; taken as rainfed")
            continue
        before = irrigation[:, plot].copy()
        np.add.at(irrigation[:, plot], events.day, events.depth_mm)
        last, capacity = int(r.day[shown].max()), float(own.fc_mm.sum() - own.wp_mm.sum())
        need = demand_members(site.course, np.zeros((len(PARAMETERS), 1)))[:, 0] - site.course.rain_mm
        for end in range(last + WEEK_D, len(irrigation), WEEK_D):
            irrigation[end, plot] += max(need[end - WEEK_D : end].sum(), 0.0)
        supposed = irrigation[:, plot] - before
        supposed[:last] = 0.0
        doubt[1:, plot] = np.minimum(INFERRED_SD_FRAC * np.cumsum(supposed), capacity / 4)
        told = ", ".join(
            f"{site.days[d]:%Y-%m-%d} {mm:.0f} mm" for d, mm in zip(events.day, events.depth_mm, strict=True) if mm > 0
        )
        warnings.append(
            f"plot {name}: no irrigation is logged and its readings ask for some; inferred, not logged: {told}; from then on weekly "
            "what the crop asks for; the intervals are wider"
        )
    return replace(site, plots=replace(plots, irrigation_mm=irrigation)), doubt, warnings
