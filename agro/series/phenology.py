"""Start, peak and end of growing seasons from a smoothed series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from agro.schema.tables import empty, validate

#: A season rises and falls by at least this much of the index.
MIN_AMPLITUDE = 0.15
#: Start and end: where the curve passes this share of the amplitude on its side (TIMESAT's threshold method,
#: Jonsson & Eklundh 2004, doi 10.1016/j.cageo.2004.05.006).
THRESHOLD_FRAC = 0.2
#: Fewer looks than this say nothing about a season.
MIN_LOOKS = 5
#: At an edge of the series, a change above this is a curve still on its way.
FLAT_RISE = 0.05
#: ... looked at over so many days.
EDGE_D = 10
#: Height that a crop's season reaches at least, as a rule: it stands in while the curve still rises.
USUAL_AMPLITUDE = 0.5
#: Between two seasons the curve comes down below this share of the smaller one's height over the lowest value; a
#: shallower dip belongs to one season.
VALLEY_FRAC = 0.5


def phenology(series: pd.DataFrame, index: str = "ndvi") -> pd.DataFrame:
    """Seasons of each parcel, the newest first.

    Parameters
    ----------
    series : pandas.DataFrame
        Table ``series``.
    index : str
        Index to read.

    Returns
    -------
    pandas.DataFrame
        Table ``phenology``. ``complete`` when the season has ended within the series; ``growing`` when it has
        not (its end is empty rather than guessed, and its peak too while the curve still rises); ``no_season``
        when the index moves by less than 0.15; ``too_few_observations`` below five looks. Of an alfalfa or other
        cut crop, each cut that was seen ends a season.

    Notes
    -----
    Start and end are where the curve passes 20 % of the amplitude on their side of the peak (Jönsson & Eklundh
    2004, doi 10.1016/j.cageo.2004.05.006); while the curve still rises, an amplitude of at least 0.5 is taken, so that
    the start does not wander as the season grows. Only days from the first to the last look are read. A start on a curve
    that already rises at the first look, or an end on one that still falls at the last, is given only as far as the
    base of the other side tells it.
    """
    rows = [
        {"parcel_uid": curve.parcel_uid, "index": index, "season": number, **season}
        for curve in curves(series, index)
        for number, season in enumerate(_seasons(curve))
    ]
    return validate(pd.DataFrame(rows), "phenology") if rows else empty("phenology")


@dataclass(frozen=True)
class Curve:
    """One parcel's smoothed index from its first to its last look; empty without a look.

    Parameters
    ----------
    parcel_uid : str
    dates : numpy.ndarray
        (days,) datetime64, one a day.
    values : numpy.ndarray
        (days,) of the index.
    looks : int
        How many looks it rests on.
    """

    parcel_uid: str
    dates: np.ndarray
    values: np.ndarray
    looks: int


def curves(series: pd.DataFrame, index: str) -> Iterator[Curve]:
    """Curves of a table ``series``, parcels in order of their name."""
    table = series.loc[series["index"] == index, ["parcel_uid", "date", "value", "flag"]]
    table = table.sort_values(["parcel_uid", "date"])
    code, uids = pd.factorize(table["parcel_uid"])
    edges = np.searchsorted(code, np.arange(len(uids) + 1))
    dates, values = table["date"].to_numpy(), table["value"].to_numpy(dtype="float64", na_value=np.nan)
    observed = (table["flag"] == "observed").to_numpy()
    for number, uid in enumerate(uids):
        part = slice(edges[number], edges[number + 1])
        looks = np.flatnonzero(observed[part] & np.isfinite(values[part]))
        if looks.size:
            part = slice(part.start + looks[0], part.start + looks[-1] + 1)
        else:
            part = slice(part.start, part.start)
        yield Curve(str(uid), dates[part], values[part], int(looks.size))


def _row(status: str, **found: object) -> dict[str, object]:
    blank = {
        f"{k}_{s}": (pd.NaT if s == "date" else np.nan) for k in ("start", "peak", "end") for s in ("date", "value")
    }
    return {**blank, **found, "status": status}


def _seasons(curve: Curve) -> list[dict[str, object]]:
    if curve.looks < MIN_LOOKS:
        return [_row("too_few_observations")]
    v, day = curve.values, curve.dates
    if v.max() - v.min() < MIN_AMPLITUDE:
        return [_row("no_season")]
    peaks = _peaks(v)
    valleys = [0, *(a + int(np.argmin(v[a : b + 1])) for a, b in pairwise(peaks)), v.size - 1]
    found = [_one_season(v, day, valleys[k], peak, valleys[k + 1]) for k, peak in enumerate(peaks)]
    return list(reversed([s for s in found if s is not None])) or [_row("no_season")]


def _peaks(v: np.ndarray) -> list[int]:
    """Positions of the seasons' peaks."""
    # Padded with the lowest value, so that a curve rising or falling at an edge has a peak there.
    low = float(v.min())
    raw, _ = find_peaks(np.concatenate(([low], v, [low])), prominence=MIN_AMPLITUDE, plateau_size=(None, None))
    peaks = [int(p) for p in np.clip(raw - 1, 0, v.size - 1)]
    while len(peaks) > 1:
        # The shallowest valley, relative to the lower of its two peaks.
        share = [(v[a : b + 1].min() - low) / (min(v[a], v[b]) - low) for a, b in pairwise(peaks)]
        worst = int(np.argmax(share))
        if share[worst] <= VALLEY_FRAC:
            break
        lower = worst if v[peaks[worst]] < v[peaks[worst + 1]] else worst + 1
        del peaks[lower]
    return peaks


def _one_season(v: np.ndarray, day: np.ndarray, left: int, peak: int, right: int) -> dict[str, object] | None:
    low_left = left + int(np.argmin(v[left : peak + 1]))
    low_right = peak + int(np.argmin(v[peak : right + 1]))
    rise, fall = v[peak] - v[low_left], v[peak] - v[low_right]
    if max(rise, fall) < MIN_AMPLITUDE:
        return None
    # What each side's base is worth: nothing where the series begins on the way up or stops on the way down.
    climbing = low_left == 0 and v[min(EDGE_D, peak)] - v[0] > FLAT_RISE
    falling = low_right == v.size - 1 and v[max(v.size - 1 - EDGE_D, peak)] - v[-1] > FLAT_RISE
    known = [v[low] for low, unknown in ((low_left, climbing), (low_right, falling)) if not unknown]
    bases = (
        min(known, default=np.nan) if climbing else v[low_left],
        min(known, default=np.nan) if falling else v[low_right],
    )
    out: dict[str, object] = {}
    rising = peak == v.size - 1 and v[peak] - v[max(left, peak - EDGE_D)] >= FLAT_RISE
    if not rising:
        out.update(peak_date=day[peak], peak_value=float(v[peak]))
    if rise >= MIN_AMPLITUDE:
        height = v[peak] - bases[0]
        height = max(height, USUAL_AMPLITUDE) if rising else height
        before = np.flatnonzero(v[low_left : peak + 1] <= bases[0] + THRESHOLD_FRAC * height)
        if before.size:
            start = low_left + int(before[-1])
            out.update(start_date=day[start], start_value=float(v[start]))
    # An end needs a fall that has come down nearly as far as the season rose.
    base = v[low_left] if rise >= MIN_AMPLITUDE and not climbing else v[low_right]
    if fall >= MIN_AMPLITUDE and v[low_right] <= base + 2 * THRESHOLD_FRAC * (v[peak] - base):
        after = np.flatnonzero(v[peak : low_right + 1] <= bases[1] + THRESHOLD_FRAC * (v[peak] - bases[1]))
        if after.size:
            end = peak + int(after[0])
            out.update(end_date=day[end], end_value=float(v[end]))
    return _row("complete" if "end_date" in out else "growing", **out)
