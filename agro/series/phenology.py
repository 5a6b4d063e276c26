"""Start, peak and end of growing seasons from a smoothed series."""

from __future__ import annotations

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
#: At the newest look, a rise below this over the last ten days is a curve that has flattened.
FLAT_RISE = 0.05
#: Two peaks closer than this are one season.
MIN_SEASON_D = 60


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
        Table ``phenology``. ``complete`` when start, peak and end lie within the series; ``growing`` when the
        season has started and not ended (its end is empty rather than guessed; the newest look is its peak
        only where the curve has flattened); ``no_season`` when the index moves by less than 0.15; ``too_few_observations`` below five
        looks. A side that the series does not reach down to the threshold gives no date.
    """
    table = series[series["index"] == index]
    if not len(table):
        return empty("phenology")
    rows: list[dict[str, object]] = []
    for uid, one in table.groupby("parcel_uid", sort=True):
        ordered = one.sort_values("date")
        for number, season in enumerate(_seasons(ordered)):
            rows.append({"parcel_uid": uid, "index": index, "season": number, **season})
    return validate(pd.DataFrame(rows), "phenology")


def _row(status: str, **found: object) -> dict[str, object]:
    blank = {
        f"{k}_{s}": (pd.NaT if s == "date" else np.nan) for k in ("start", "peak", "end") for s in ("date", "value")
    }
    return {**blank, **found, "status": status}


def _seasons(one: pd.DataFrame) -> list[dict[str, object]]:
    looks = (one["flag"] == "observed").to_numpy()
    value = one["value"].to_numpy()
    if looks.sum() < MIN_LOOKS or not np.isfinite(value).any():
        return [_row("too_few_observations")]
    dates = one["date"].to_numpy()
    first, last = np.flatnonzero(looks)[[0, -1]]
    v = value[first : last + 1]
    day = dates[first : last + 1]
    if v.max() - v.min() < MIN_AMPLITUDE:
        return [_row("no_season")]
    # Pad with the lowest value, so that a curve still rising or falling at an edge counts as a peak there.
    padded = np.concatenate(([v.min()], v, [v.min()]))
    peaks, _ = find_peaks(padded, prominence=MIN_AMPLITUDE, distance=MIN_SEASON_D, plateau_size=(None, None))
    peaks = np.clip(peaks - 1, 0, v.size - 1)
    found = []
    for number, peak in enumerate(peaks):
        left = 0 if number == 0 else int(peaks[number - 1])
        right = v.size - 1 if number == peaks.size - 1 else int(peaks[number + 1])
        found.append(_one_season(v, day, left, int(peak), right))
    return list(reversed([s for s in found if s is not None])) or [_row("no_season")]


def _one_season(v: np.ndarray, day: np.ndarray, left: int, peak: int, right: int) -> dict[str, object] | None:
    low_left = left + int(np.argmin(v[left : peak + 1]))
    low_right = peak + int(np.argmin(v[peak : right + 1]))
    if max(v[peak] - v[low_left], v[peak] - v[low_right]) < MIN_AMPLITUDE:
        return None
    out: dict[str, object] = {}
    rising = peak == v.size - 1 and v[peak] - v[max(left, peak - 10)] >= FLAT_RISE
    if not rising:
        out.update(peak_date=day[peak], peak_value=float(v[peak]))
    rise = v[peak] - v[low_left]
    if rise >= MIN_AMPLITUDE:
        threshold = v[low_left] + THRESHOLD_FRAC * rise
        above = np.flatnonzero(v[low_left : peak + 1] <= threshold)
        start = low_left + int(above[-1])
        out.update(start_date=day[start], start_value=float(v[start]))
    # The end needs a fall that has come down nearly as far as the season rose, or has levelled out.
    base = v[low_left] if rise >= MIN_AMPLITUDE else v[low_right]
    fall = v[peak] - v[low_right]
    if fall >= MIN_AMPLITUDE and v[low_right] <= base + (2 * THRESHOLD_FRAC) * (v[peak] - base):
        threshold = v[low_right] + THRESHOLD_FRAC * fall
        below = np.flatnonzero(v[peak : low_right + 1] <= threshold)
        end = peak + int(below[0])
        if low_right < v.size - 1 or v.size - 1 - end >= 5:
            out.update(end_date=day[end], end_value=float(v[end]))
    return _row("complete" if "end_date" in out else "growing", **out)
