"""Which looks of a parcel count, and for how much."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import shapely

from agro.series.neighbours import hazy_around, lowered_looks, near_parcels
from agro.series.outliers import haze_weights

#: Sd of one look of a parcel's mean index under a clear sky: atmosphere, geometry, registration.
LOOK_SD = 0.03
#: Indices that cloud and haze lower, in the order in which they are trusted to show it.
GREENNESS = ("ndvi", "evi2", "evi", "savi", "msavi", "osavi", "gndvi", "ndre", "fapar", "fcover")


def weighed_looks(
    observations: pd.DataFrame, as_of: date, uids: list[str], places: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Usable looks known on a day, one a parcel, date and index, with their weights.

    Parameters
    ----------
    observations : pandas.DataFrame
        Table ``observations``.
    as_of : datetime.date
        Later looks are not read.
    uids : list of str
        Parcels to read.
    places : pandas.DataFrame, optional
        Table ``parcels``: with it the parcels around are asked too.

    Returns
    -------
    pandas.DataFrame
        Rows of `observations` sorted by parcel, date and index, of several sources on a day the one with most
        pixels, and ``weight`` (0 to 1).

    Notes
    -----
    Weight: inverse variance relative to a whole, clear parcel, where the variance is ``LOOK_SD**2 / valid_frac +
    sd**2 (1 - valid_frac + 1 / pixels_effective)``: cloud nearby makes haze likely, and the part seen may differ from
    the whole as much as the parcel varies within. It is multiplied by the belief in the look
    (:func:`~agro.series.outliers.haze_weights`, :func:`~agro.series.neighbours.hazy_around`), judged on the NDVI (or
    the next of :data:`GREENNESS` in the table) and valid for every index of that look.
    """
    usable = observations[(observations["date"] <= pd.Timestamp(as_of)) & observations["usable"]]
    usable = usable[usable["mean"].notna() & usable["parcel_uid"].isin(uids)]
    order = ["parcel_uid", "date", "index", "pixels_effective", "source"]
    usable = usable.sort_values(order).drop_duplicates(["parcel_uid", "date", "index"], keep="last")
    weight = _clear_weights(usable)
    judge = next((key for key in GREENNESS if (usable["index"] == key).any()), None)
    if judge is not None:
        judged = usable[usable["index"] == judge]
        belief = judged[["parcel_uid", "date"]].assign(belief=_belief(judged, places))
        factor = usable[["parcel_uid", "date"]].merge(belief, on=["parcel_uid", "date"], how="left")["belief"]
        weight = weight * factor.fillna(1.0).to_numpy()
    return usable.assign(weight=weight)


def _clear_weights(looks: pd.DataFrame) -> np.ndarray:
    seen = np.clip(looks["valid_frac"].to_numpy(), 0.05, 1.0)
    pixels = np.maximum(looks["pixels_effective"].to_numpy(), 1.0)
    within = np.nan_to_num(looks["sd"].to_numpy())
    groups = looks.groupby(["parcel_uid", "index"])["mean"]
    scale = np.maximum(1.0, groups.transform("max").to_numpy() - groups.transform("min").to_numpy())
    clear = (LOOK_SD * scale) ** 2
    return clear / (clear / seen + within**2 * (1 - seen + 1 / pixels))


def _belief(looks: pd.DataFrame, places: pd.DataFrame | None) -> np.ndarray:
    """Belief in each look of one index, sorted by parcel and date."""
    row, uids = pd.factorize(looks["parcel_uid"])
    at = looks.groupby("parcel_uid").cumcount().to_numpy()
    shape = (int(row.max()) + 1, int(at.max()) + 1)
    values, day = np.full(shape, np.nan), np.zeros(shape, dtype="int64")
    values[row, at] = looks["mean"].to_numpy()
    day[row, at] = (looks["date"] - looks["date"].min()).dt.days.to_numpy()
    belief = haze_weights(day, values)[row, at]
    if places is not None:
        evidence, doubtful = lowered_looks(day, values)
        column, dates = pd.factorize(looks["date"])
        by_date = np.full((shape[0], len(dates)), np.nan, dtype="float32")
        by_date[row, column] = evidence[row, at]
        hazy = hazy_around(by_date, near_parcels(*_points(places, uids)))
        belief[hazy[row, column] & doubtful[row, at]] = 0.0
    return belief


def _points(places: pd.DataFrame, uids: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of the parcels' centroids, NaN for one that is not in the table."""
    middle = shapely.centroid(np.asarray(places["geometry"].array, dtype=object))
    found = pd.DataFrame({"x": shapely.get_x(middle), "y": shapely.get_y(middle)}, index=places["parcel_uid"])
    found = found.reindex(uids)
    return found["x"].to_numpy(), found["y"].to_numpy()
