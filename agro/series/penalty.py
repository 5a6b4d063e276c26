"""Roughness penalty of many series of one kind by the V-curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.errors import ContractError, NoDataError
from agro.series.looks import LOOK_SD, weighed_looks
from agro.series.whittaker import whittaker

#: Penalties compared: four a decade, from following every look to a straight line over a season.
GRID = 10.0 ** np.arange(-1.0, 5.26, 0.25)
#: A series with fewer looks tells nothing about its roughness.
MIN_LOOKS = 8
#: So many series tell as much as all of them.
SAMPLE = 500
#: Looks that scatter about their curves by more than this much (twice the noise of one) are of plants that move faster
#: than one curve for all can follow, e.g. between cuts.
MAX_RESIDUAL_SD = 2 * LOOK_SD
#: Penalty and source of a crop whose series choose for themselves.
OWN = (np.nan, "own")


@dataclass(frozen=True)
class VCurve:
    """The V-curve of a group of series.

    Parameters
    ----------
    lambda_ : float
        The penalty chosen: where `distance` is least.
    lambdas : numpy.ndarray
        Middles (geometric) of the steps between the penalties compared.
    distance : numpy.ndarray
        Length of the step of the L-curve at each of them, per unit of ln lambda.
    series : int
        How many series it rests on.
    residual_sd : float
        Of the looks about the curves at the penalty chosen (weighted root mean square).
    at_edge : bool
        The least is at the first or last step: the true one may lie beyond.
    """

    lambda_: float
    lambdas: np.ndarray
    distance: np.ndarray
    series: int
    residual_sd: float
    at_edge: bool


def v_curve(values: np.ndarray, weights: np.ndarray, grid: np.ndarray = GRID) -> VCurve:
    """One penalty for series that are of one kind, e.g. the parcels of a crop.

    The L-curve sets the logarithm of the misfit against that of the roughness for a row of penalties; its corner,
    where both hardly move, is where consecutive points are closest (Frasso & Eilers 2015, L- and V-curves for
    optimal smoothing, doi 10.1177/1471082X14549288). Unlike cross-validation it does not take errors that hang
    together from look to look for growth. Misfit and roughness are summed over the series, so that the group has
    one penalty and a few noisy series do not decide.

    Parameters
    ----------
    values, weights : numpy.ndarray
        (series, days), as :func:`~agro.series.whittaker.whittaker`. Series with fewer than eight looks are not
        read; of more than 500, 500 evenly spread in the order given.
    grid : numpy.ndarray
        Penalties compared, increasing, at least three.

    Raises
    ------
    ContractError
        The grid is not one.
    NoDataError
        No series has enough looks.
    """
    if grid.ndim != 1 or grid.size < 3 or not (grid > 0).all() or not (np.diff(grid) > 0).all():
        raise ContractError("penalties to compare must be three or more, positive and increasing")
    enough = np.flatnonzero((weights > 0).sum(axis=1) >= MIN_LOOKS)
    if not enough.size or values.shape[1] < 3:
        raise NoDataError(
            f"no series has {MIN_LOOKS} looks to choose a penalty by", do="Give the penalty, or wait for more images"
        )
    if enough.size > SAMPLE:
        enough = enough[np.linspace(0, enough.size - 1, SAMPLE).round().astype(int)]
    y, w = values[enough], weights[enough]
    tiny = np.finfo("float64").tiny
    misfit, roughness = np.empty(grid.size), np.empty(grid.size)
    for number, penalty in enumerate(grid):
        smoothed, _ = whittaker(y, w, float(penalty))
        misfit[number] = (w * np.where(w > 0, np.nan_to_num(y) - smoothed, 0.0) ** 2).sum()
        roughness[number] = (np.diff(smoothed, 2, axis=1) ** 2).sum()
    log_misfit, log_roughness = np.log(np.maximum(misfit, tiny)), np.log(np.maximum(roughness, tiny))
    distance = np.hypot(np.diff(log_misfit), np.diff(log_roughness)) / np.diff(np.log(grid))
    middles = np.sqrt(grid[1:] * grid[:-1])
    least = int(np.argmin(distance))
    residual_sd = float(np.sqrt(np.sqrt(misfit[least] * misfit[least + 1]) / w.sum()))
    at_edge = least in (0, distance.size - 1)
    return VCurve(float(middles[least]), middles, distance, int(enough.size), residual_sd, at_edge)


def crop_penalties(
    observations: pd.DataFrame,
    parcels: pd.DataFrame,
    as_of: date,
    index: str = "ndvi",
    given: Mapping[str, float] | None = None,
    choose: bool = True,
) -> pd.DataFrame:
    """A penalty for the parcels of each crop, for :func:`~agro.series.smooth.smooth`.

    Parameters
    ----------
    observations, parcels : pandas.DataFrame
        Tables ``observations`` and ``parcels``.
    as_of : datetime.date
        Later looks are not read.
    index : str
        Index to judge by; the penalty is then that of all indices of the parcel.
    given : mapping of str to float, optional
        Crop -> penalty that is not to be chosen.
    choose : bool
        False: only what is given.

    Returns
    -------
    pandas.DataFrame
        A row a parcel in the order of `parcels`: parcel_uid, crop, lambda_ (NaN: to be chosen for each series),
        source (``given``, ``v-curve``, or ``own``: fewer than eight looks, a curve without a corner among the penalties
        compared, or looks that scatter about it by more than 0.06, as those of a crop that is cut).
    """
    uids = parcels["parcel_uid"].tolist()
    looks = weighed_looks(observations, as_of, uids)
    looks = looks[(looks["index"] == index) & (looks["weight"] > 0)]
    crops = parcels["agro:crop"].to_numpy()
    chosen: dict[str, tuple[float, str]] = {}
    for crop in sorted(set(crops)):
        if given is not None and crop in given:
            chosen[crop] = (float(given[crop]), "given")
            continue
        if not choose:
            chosen[crop] = OWN
            continue
        members = parcels["parcel_uid"].to_numpy()[crops == crop]
        chosen[crop] = _chosen(looks[looks["parcel_uid"].isin(members)])
    return pd.DataFrame(
        {
            "parcel_uid": uids,
            "crop": crops,
            "lambda_": [chosen[crop][0] for crop in crops],
            "source": [chosen[crop][1] for crop in crops],
        }
    )


def _chosen(looks: pd.DataFrame) -> tuple[float, str]:
    counts = looks.groupby("parcel_uid").size()
    wanted = sorted(counts.index[counts >= MIN_LOOKS])
    if not wanted:
        return OWN
    if len(wanted) > SAMPLE:
        wanted = [wanted[k] for k in np.linspace(0, len(wanted) - 1, SAMPLE).round().astype(int)]
    looks = looks[looks["parcel_uid"].isin(wanted)]
    row = pd.Index(wanted).get_indexer(looks["parcel_uid"])
    column = (looks["date"] - looks["date"].min()).dt.days.to_numpy()
    values = np.full((len(wanted), int(column.max()) + 1), np.nan)
    weights = np.zeros(values.shape)
    values[row, column], weights[row, column] = looks["mean"].to_numpy(), looks["weight"].to_numpy()
    found = v_curve(values, weights)
    if found.at_edge or found.residual_sd > MAX_RESIDUAL_SD:
        return OWN
    return found.lambda_, "v-curve"
