"""Observations to a daily series, knowing only what was known on the day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.errors import ContractError
from agro.schema.tables import empty, validate
from agro.series.estimate import daily
from agro.series.looks import weighed_looks
from agro.series.whittaker import CHUNK


def smooth(
    observations: pd.DataFrame,
    as_of: date,
    *,
    start: date | None = None,
    indices: Sequence[str] | None = None,
    parcels: Sequence[str] | None = None,
    lambda_: float | Mapping[str, float] | None = None,
    places: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Smooth and fill each parcel's index to a value a day.

    Parameters
    ----------
    observations : pandas.DataFrame
        Table ``observations``. Looks after `as_of` and looks that are not usable are not read.
    as_of : datetime.date
        Last day of the series.
    start : datetime.date, optional
        First day given; earlier looks still count. Default: the first usable look of any parcel.
    indices : sequence of str, optional
        Default: all in the table, or ``ndvi`` when it is empty.
    parcels : sequence of str, optional
        Parcels that must come out even without any look; default: those in the table.
    lambda_ : float or mapping of str to float, optional
        Roughness penalty, see :func:`~agro.series.whittaker.whittaker`, of all series or of each parcel (e.g. from
        :func:`~agro.series.penalty.crop_penalties`). Default, and for parcels not in the mapping: chosen for each
        series.
    places : pandas.DataFrame, optional
        Table ``parcels``: with it a look is held against those of the parcels around, see
        :func:`~agro.series.neighbours.hazy_around`.

    Returns
    -------
    pandas.DataFrame
        Table ``series``, a row for each parcel, index and day. ``observed`` on days with a look that counts,
        ``interpolated`` between looks, ``extrapolated`` before the first and after the last, where the smoothed
        value is held and its sd grows with the square root of time, the faster the more the parcel has moved between
        its looks so far. ``clear_age_d`` counts days since the last look that counts, NA before the first. Value and
        sd are NaN for a parcel never seen.

    Notes
    -----
    Which looks count, and for how much: :func:`~agro.series.looks.weighed_looks`.

    Penalty: that with the least leave-one-out error (exact from the diagonal of the inverse) among those whose
    residuals are within the noise of a look, so that a sudden cut is not smoothed away for the sake of a calm curve.
    The sd is that of the penalised estimate, scaled by the scatter of the parcel's own looks, LOOK_SD counting as
    four looks. Noise and haze limits are for indices within about 0..1; an index that spans more is scaled by its span.
    """
    task = _task(observations, as_of, start, indices, parcels, lambda_, places)
    if task is None:
        return empty("series")
    # By index, then parcel, whatever the batches.
    batches = list(_batches(task, CHUNK))
    ordered = [batch[number] for number in range(len(task.names)) for batch in batches]
    return validate(pd.concat(ordered, ignore_index=True), "series")


def smooth_batches(
    observations: pd.DataFrame, as_of: date, *, batch: int = CHUNK, **options: Any
) -> Iterator[pd.DataFrame]:
    """The rows of :func:`smooth`, some parcels at a time: memory does not grow with the length of the result.

    Parameters
    ----------
    observations, as_of
        As :func:`smooth`.
    batch : int
        Parcels in a table.
    **options
        As :func:`smooth`.

    Yields
    ------
    pandas.DataFrame
        Table ``series`` of a batch of parcels with all their indices, parcels in order of their name.
    """
    task = _task(
        observations, as_of, *(options.pop(key, None) for key in ("start", "indices", "parcels", "lambda_", "places"))
    )
    if options:
        raise TypeError(f"smooth has no option {', '.join(options)}")
    for parts in _batches(task, batch) if task is not None else ():
        yield validate(pd.concat(parts, ignore_index=True), "series")


@dataclass(frozen=True)
class _Task:
    """What is to be smoothed."""

    looks: pd.DataFrame
    names: list[str]
    uids: list[str]
    days: pd.DatetimeIndex
    grid: pd.DatetimeIndex  # from the first look, even when the days wanted begin later
    lambdas: np.ndarray  # (parcels,), NaN = to be chosen


def _task(
    observations: pd.DataFrame,
    as_of: date,
    start: date | None,
    indices: Sequence[str] | None,
    parcels: Sequence[str] | None,
    lambda_: float | Mapping[str, float] | None,
    places: pd.DataFrame | None,
) -> _Task | None:
    """None when there is no day or no parcel."""
    known = observations[observations["date"] <= pd.Timestamp(as_of)]
    usable = known[known["usable"] & known["mean"].notna()]
    names = list(indices) if indices is not None else sorted(known["index"].unique()) or ["ndvi"]
    uids = sorted(set(parcels) if parcels is not None else set(known["parcel_uid"]))
    first = pd.Timestamp(start) if start else (usable["date"].min() if len(usable) else pd.Timestamp(as_of))
    days = pd.date_range(first, pd.Timestamp(as_of), freq="D")
    if not len(days) or not uids:
        return None
    given = dict.fromkeys(uids, lambda_) if lambda_ is None or isinstance(lambda_, (int, float)) else lambda_
    lambdas = np.array([given.get(uid) for uid in uids], dtype="float64")
    if not (np.isnan(lambdas) | ((lambdas > 0) & np.isfinite(lambdas))).all():
        raise ContractError("a penalty is not above zero", where="smooth", do="Give one like 300, or none")
    looks = weighed_looks(usable, as_of, uids, places)
    grid = pd.date_range(min(days[0], looks["date"].min()) if len(looks) else days[0], days[-1], freq="D")
    return _Task(looks, names, uids, days, grid, lambdas)


def _batches(task: _Task, batch: int) -> Iterator[list[pd.DataFrame]]:
    """A table an index, for some parcels at a time."""
    where = pd.Series(np.arange(len(task.uids)), index=task.uids)
    row = where[task.looks["parcel_uid"]].to_numpy()  # the looks are sorted by parcel
    for low in range(0, len(task.uids), batch):
        high = min(low + batch, len(task.uids))
        looks = task.looks.iloc[np.searchsorted(row, low) : np.searchsorted(row, high)]
        row_in_batch = row[np.searchsorted(row, low) : np.searchsorted(row, high)] - low
        parts = []
        for name in task.names:
            mine = (looks["index"] == name).to_numpy()
            parts.append(_smooth_index(task, name, looks[mine], row_in_batch[mine], slice(low, high)))
        yield parts


def _smooth_index(task: _Task, name: str, looks: pd.DataFrame, row: np.ndarray, part: slice) -> pd.DataFrame:
    uids, days, grid = task.uids[part], task.days, task.grid
    values, weights = np.full((len(uids), len(grid)), np.nan), np.zeros((len(uids), len(grid)))
    column = grid.get_indexer(pd.DatetimeIndex(looks["date"]))
    values[row, column] = looks["mean"].to_numpy()
    weights[row, column] = looks["weight"].to_numpy()
    wanted = len(grid) - len(days)
    value, sd, age, flag = (array[:, wanted:].ravel() for array in daily(values, weights, task.lambdas[part]))
    return pd.DataFrame(
        {
            "parcel_uid": np.repeat(uids, len(days)),
            "date": np.tile(days, len(uids)),
            "index": name,
            "value": value,
            "sd": sd,
            "flag": flag,
            "clear_age_d": pd.array(age, dtype="Int64"),
        }
    ).assign(clear_age_d=lambda t: t["clear_age_d"].mask(t["clear_age_d"] < 0))
