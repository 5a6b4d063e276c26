"""What the inputs say of each region's season by a lead time, as plain window means; no yield is read."""

from __future__ import annotations

import numpy as np
import pandas as pd

#: Share of the season gone at each lead time.
LEADS = {"mid": 0.50, "quarter": 0.75, "end": 1.0}
#: Quarters of the season, in agronomic words; cereals of the benchmark's calendars.
STAGES = ("establishment", "vegetative", "flowering", "filling")
RECENT = "last_30d"
RECENT_D = 30.0
#: Least observations in a window; fewer give NaN.
MIN_LOOKS = 2
#: Half the width of the widest interval between looks, after which a sample counts as known (days).
COMPOSITE_D = 10.0
#: Scale of the weights of neighbours (km), and the name that their means carry.
NEIGHBOUR_KM = 150.0
AROUND = "around_"
EARTH_KM = 6371.0


def season_windows(series: pd.DataFrame, regions: pd.DataFrame, years: range, lead_frac: float) -> pd.DataFrame:
    """Window means of every variable, region and year, from what is known at the lead time.

    Parameters
    ----------
    series : pandas.DataFrame
        adm_id, date, variable, value.
    regions : pandas.DataFrame
        Index adm_id; end_doy, season_length_d; further columns are not read.
    years : range
        Years of harvest.
    lead_frac : float
        Share of the season gone (0 to 1). A composite counts once its ten days lie before the lead date.

    Returns
    -------
    pandas.DataFrame
        adm_id, year and a column ``<variable>_<stage>`` for each quarter of the season begun at the lead time, and
        ``<variable>_last_30d``; NaN with fewer than two looks in the window.
    """
    known = series[series["adm_id"].isin(regions.index)]
    info = regions.loc[known["adm_id"], ["end_doy", "season_length_d"]]
    end_doy, length = info["end_doy"].to_numpy(), info["season_length_d"].to_numpy()
    day = known["date"]
    origin = np.datetime64("2000-01-01")
    number = (day.to_numpy() - origin) / np.timedelta64(1, "D")
    year = day.dt.year.to_numpy()
    # A date belongs to the harvest whose season's end comes next.
    year = year + (day.dt.day_of_year.to_numpy() > end_doy)
    first = (pd.to_datetime({"year": year, "month": 1, "day": 1}).to_numpy() - origin) / np.timedelta64(1, "D")
    to_end = first + end_doy - number
    gone = 1.0 - to_end / length
    to_lead = to_end - (1.0 - lead_frac) * length
    table = known[["adm_id", "variable", "value"]].assign(year=year, gone=gone, to_lead=to_lead)
    table = table[(table["to_lead"] >= COMPOSITE_D) & table["year"].isin(years)]
    parts = []
    for number_, stage in enumerate(STAGES):
        if number_ / len(STAGES) >= lead_frac:
            break
        here = table[(table["gone"] >= number_ / len(STAGES)) & (table["gone"] < (number_ + 1) / len(STAGES))]
        parts.append(_means(here, stage))
    parts.append(_means(table[table["to_lead"] < COMPOSITE_D + RECENT_D], RECENT))
    wide = pd.concat(parts, axis=1)
    full = pd.MultiIndex.from_product([sorted(regions.index), years], names=["adm_id", "year"])
    return wide.reindex(full).reset_index()


def _means(table: pd.DataFrame, stage: str) -> pd.DataFrame:
    grouped = table.groupby(["adm_id", "year", "variable"])["value"]
    mean = grouped.mean().where(grouped.count() >= MIN_LOOKS).unstack("variable")
    return mean.rename(columns=lambda v: f"{v}_{stage}")


def season_table(
    series: pd.DataFrame, regions: pd.DataFrame, years: range, lead_frac: float, reference: range | None = None
) -> pd.DataFrame:
    """What a model takes: adm_id as ``group``, year, the windows, those of the neighbours, and the soil's water.

    Arguments as for :func:`season_windows` and :func:`neighbour_means`; `regions` also with latitude, longitude (degrees) and awc.
    """
    windows = season_windows(series, regions, years, lead_frac)
    table = windows.merge(neighbour_means(windows, regions, reference), on=["adm_id", "year"])
    table["soil_awc"] = table["adm_id"].map(regions["awc"]).astype(float)
    return table.rename(columns={"adm_id": "group"})


def neighbour_means(windows: pd.DataFrame, regions: pd.DataFrame, reference: range | None = None) -> pd.DataFrame:
    """Departures of windows averaged over the region and those around it, Gaussian weights of 150 km.

    Departures are from each region's mean over the years of `reference`, those of the table by default; a model is to be
    asked with the years that it was trained with.

    A window missing in one region is left out of the average there; where no coordinates are known all regions weigh the same.
    """
    names = [c for c in windows.columns if c not in ("adm_id", "year")]
    order = sorted(regions.index)
    place = np.radians(regions.loc[order, ["latitude", "longitude"]].to_numpy(dtype=float))
    weights = np.exp(-0.5 * (_distances_km(place) / NEIGHBOUR_KM) ** 2)
    weights = np.where(np.isfinite(weights), weights, 1.0)
    out = windows[["adm_id", "year"]].copy()
    years = sorted(windows["year"].unique())
    full = windows.set_index(["adm_id", "year"]).reindex(pd.MultiIndex.from_product([order, years]))
    cube = full[names].to_numpy(dtype=float).reshape(len(order), len(years), len(names))
    # Regions differ in level: their departures are averaged, so that a gap in one does not move the others.
    kept = cube[:, [reference is None or y in reference for y in years], :]
    count = np.isfinite(kept).sum(axis=1, keepdims=True)
    cube = cube - np.where(count > 0, np.nansum(kept, axis=1, keepdims=True) / np.maximum(count, 1), np.nan)
    seen = np.isfinite(cube)
    total = np.einsum("rs,syf->ryf", weights, np.where(seen, cube, 0.0))
    weight = np.einsum("rs,syf->ryf", weights, seen.astype(float))
    mean = np.where(weight > 1e-6, total / np.maximum(weight, 1e-12), np.nan).reshape(-1, len(names))
    table = pd.DataFrame(mean, index=full.index, columns=[AROUND + n for n in names])
    return out.join(table, on=["adm_id", "year"])


def _distances_km(place: np.ndarray) -> np.ndarray:
    latitude, longitude = place[:, 0], place[:, 1]
    half = (
        np.sin((latitude[:, None] - latitude) / 2) ** 2
        + np.cos(latitude[:, None]) * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    )
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
