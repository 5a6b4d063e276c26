"""What growers do, and what they tell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipelines.sample_region.landscape import Field

#: True application efficiency; not told to anybody.
EFFICIENCY = {"drip": 0.88, "sprinkler": 0.74, "surface": 0.58, "rainfed": 1.0}
#: Share of the ground that a system wets (AquaCrop reference manual, 15-40 % under drippers).
WETTED_PCT = {"drip": 35.0, "sprinkler": 100.0, "surface": 100.0, "rainfed": 100.0}
#: Net depth that brings a sown crop up, mm.
EMERGENCE_MM = 25.0
#: Days between irrigations: shortest and longest.
INTERVAL_D = {"drip": (3, 5), "sprinkler": (8, 11), "surface": (18, 24)}
#: A rough course of water use against reference ET, as growers feel it: (days since sowing, factor).
DEMAND = {
    "wheat_winter": ((0, 20, 70, 135, 165), (0.3, 0.4, 1.0, 1.0, 0.0)),
    "sugar_beet": ((0, 45, 120, 215, 230), (0.4, 0.5, 1.05, 0.9, 0.0)),
    "maize_silage": ((0, 25, 60, 100, 112), (0.4, 0.5, 1.1, 1.0, 0.0)),
}
PERENNIAL_DEMAND = {"alfalfa": 0.85, "olive": 0.65, "citrus": 0.75}
#: Rain that makes a grower skip, mm in three days.
SKIP_RAIN_MM = 15.0


def true_irrigation(field: Field, weather: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Gross depth of each day, mm: by habit, not by need; late when the turn is late."""
    n = len(weather)
    out = np.zeros(n)
    if field.system == "rainfed":
        return out
    et0, rain = weather["et0_true_mm"].to_numpy(), weather["rain_mm"].to_numpy()
    day = (field.sown_day or 0) + int(rng.integers(0, 4))
    since = 0.0
    last = day
    if field.sown_day is not None:
        out[day] = round(EMERGENCE_MM / EFFICIENCY[field.system] * float(rng.uniform(0.9, 1.1)), 1)
        day += int(rng.integers(9, 14))
    shortest, longest = INTERVAL_D[field.system]
    while day < n:
        span = slice(last, day + 1)
        if field.sown_day is None:
            factor = np.full(day + 1 - last, PERENNIAL_DEMAND[field.crop])
        else:
            factor = np.interp(np.arange(last, day + 1) - field.sown_day, *DEMAND[field.crop])
        since += float((et0[span] * factor).sum() - 0.7 * rain[span].sum())
        since = max(since, 0.0)
        last = day + 1
        growing = factor[-1] > 0.05
        if growing and rain[max(day - 2, 0) : day + 1].sum() < SKIP_RAIN_MM and since > 4:
            if field.system == "surface":
                depth = float(rng.normal(75, 8)) if since > 20 else 0.0
            else:
                depth = since * field.habit / EFFICIENCY[field.system] * float(rng.uniform(0.85, 1.15))
            if depth > 2:
                out[day] = round(depth, 1)
                since = 0.0
        # Now and then a pump breaks or a turn is missed.
        late = int(rng.integers(6, 14)) if rng.random() < 0.06 else 0
        day += int(rng.integers(shortest, longest + 1)) + late
    return out


def reported(field: Field, true: np.ndarray, days: pd.DatetimeIndex, rng: np.random.Generator) -> pd.DataFrame:
    """What the grower writes down: with gaps, rounded, a day off at times."""
    rows = []
    for at in np.flatnonzero(true > 0):
        miss = {"all": 0.04, "some": 0.4, "none": 1.0}[field.reports]
        if rng.random() < miss:
            continue
        told = true[at] * float(np.clip(rng.normal(1.0, 0.12), 0.7, 1.35))
        step = 1 if field.system == "drip" else 5
        shifted = int(np.clip(at + rng.choice([-1, 0, 0, 0, 1]), 0, len(days) - 1))
        rows.append(
            {
                "parcel_uid": field.uid,
                "date": days[shifted],
                "depth_mm": float(max(step, round(told / step) * step)),
                "source": "reported",
            }
        )
    return pd.DataFrame(rows, columns=["parcel_uid", "date", "depth_mm", "source"])
