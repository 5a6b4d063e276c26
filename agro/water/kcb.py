"""Kcb of a crop from what the satellite sees: by its relation or through cover, and weighed against the table.

Order of trust: an observed Kcb, the crop's own index relation, cover (orchards and crops without a relation; Allen & Pereira
2009, doi 10.1007/s00271-009-0182-z), the table. Under plastic no index is valid.
"""

from __future__ import annotations

import numpy as np

from agro.schema.crops import Crop
from agro.schema.errors import ContractError
from agro.water.coefficients import kcb_from_cover, relation

#: Relative standard deviation of the table's Kcb for one field, and days over which a departure from it lasts (the time in
#: which a canopy changes).
TABLE_SD_FRAC, MEMORY_D = 0.15, 20.0


def kcb_from_index(crop: Crop, index: np.ndarray, table_kcb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kcb and ground cover from an index; NaN where the index is.

    Parameters
    ----------
    crop : Crop
        Its ``kcb_relation`` where it has one, else its ``cover_relation`` and Kcb through cover: annual crops scaled from the
        largest Kcb of the table at full cover, orchards and forage from the day's at the cover the table stands for.
    index, table_kcb : numpy.ndarray
        Values of the relation's index and Kcb of the table, same shape, days along the first axis.

    Raises
    ------
    ContractError
        The crop grows under cover, or nothing relates it to an index.
    """
    if crop.kind == "covered":
        raise ContractError(
            f"{crop.name['en']}: no index is valid under plastic",
            where="Kcb",
            do="Use the crop table or a measured Kcb",
        )
    if crop.cover_relation is None:
        raise ContractError(
            f"{crop.name['en']}: no relation to an index", where="Kcb", do="Add cover_relation to the crop"
        )
    cover = relation(index, crop.cover_relation)
    if crop.kcb_relation is not None:
        return relation(index, crop.kcb_relation), cover
    level = table_kcb if crop.kind == "orchard" else np.broadcast_to(np.max(table_kcb, axis=0), table_kcb.shape)
    return np.where(np.isnan(cover), np.nan, kcb_from_cover(cover, crop, level)), cover


def assimilate_kcb(
    table_kcb: np.ndarray,
    observed_kcb: np.ndarray,
    observed_sd: np.ndarray | float,
    table_sd_frac: float = TABLE_SD_FRAC,
    memory_d: float = MEMORY_D,
) -> tuple[np.ndarray, np.ndarray]:
    """Kcb of each day from the table as prior and the observations so far, each weighed by the inverse of its variance.

    The field's departure from the table is a first-order autoregressive process (Kalman filter of one state): an observation
    pulls Kcb towards it by the share that its variance deserves, and without new ones Kcb falls back to the table over
    ``memory_d`` days. Nothing later than the day itself is used.

    Parameters
    ----------
    table_kcb : numpy.ndarray
        (days, ...) Kcb of the table.
    observed_kcb : numpy.ndarray
        The same shape, NaN on days without.
    observed_sd : numpy.ndarray or float
        Standard deviation of the observations, above 0.
    table_sd_frac, memory_d : float
        Standard deviation of the table as a share of its Kcb, and how long a departure lasts, days.

    Returns
    -------
    kcb, sd : numpy.ndarray
        Estimate (at least 0) and its standard deviation.
    """
    observed, prior = np.asarray(observed_kcb, dtype=float), np.asarray(table_kcb, dtype=float)
    noise = np.broadcast_to(np.asarray(observed_sd, dtype=float), prior.shape)
    seen = np.isfinite(observed)
    if observed.shape != prior.shape or (noise[seen] <= 0).any() or not np.isfinite(noise[seen]).all():
        raise ContractError(
            f"observed Kcb {observed.shape} for a table {prior.shape}, or an sd that is not above 0", where="Kcb",
            do="Give the same shape and an sd for each observation",
        )  # fmt: skip
    if table_sd_frac <= 0 or memory_d <= 0:
        raise ContractError("table_sd_frac and memory_d must be above 0", where="Kcb")
    keep = np.exp(-1.0 / memory_d)
    # In units of the table's Kcb, so that the departure keeps its meaning while the crop grows.
    scale = np.maximum(prior, 0.05)
    kcb, sd = np.empty_like(prior), np.empty_like(prior)
    mean, variance = np.zeros(prior.shape[1:]), np.full(prior.shape[1:], table_sd_frac**2)
    for day in range(len(prior)):
        if day:
            mean, variance = keep * mean, keep**2 * variance + (1.0 - keep**2) * table_sd_frac**2
        gain = np.where(seen[day], variance / (variance + (noise[day] / scale[day]) ** 2), 0.0)
        departure = np.where(seen[day], (observed[day] - prior[day]) / scale[day], 0.0)
        mean, variance = mean + gain * (departure - mean), (1.0 - gain) * variance
        kcb[day], sd[day] = np.maximum(prior[day] + scale[day] * mean, 0.0), scale[day] * np.sqrt(variance)
    return kcb, sd
