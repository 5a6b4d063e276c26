"""Observations of a region to its series, as the region file wants them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import pandas as pd

from agro.schema.errors import ConfigError
from agro.schema.region import SeriesOptions
from agro.series import crop_penalties, smooth


def region_series(
    observations: pd.DataFrame,
    parcels: pd.DataFrame,
    as_of: date,
    start: date | None,
    options: SeriesOptions,
    crops: Collection[str],
) -> pd.DataFrame:
    """Table ``series`` of all parcels.

    Parameters
    ----------
    observations, parcels : pandas.DataFrame
        Tables of these names.
    as_of, start : datetime.date
        See :func:`agro.series.smooth`.
    options : SeriesOptions
        Of the region file.
    crops : collection of str
        Crops that are known.

    Raises
    ------
    ConfigError
        A penalty is given for an unknown crop.
    """
    unknown = sorted(set(options.penalties) - set(crops))
    if unknown:
        raise ConfigError(
            f"unknown crop {', '.join(unknown)}", where="series.penalties", do=f"Known: {', '.join(sorted(crops))}"
        )
    lambda_ = None
    if options.penalty == "crop" or options.penalties:
        chosen = crop_penalties(
            observations, parcels, as_of, given=options.penalties, choose=options.penalty == "crop"
        ).dropna(subset="lambda_")  # fmt: skip
        lambda_ = dict(zip(chosen["parcel_uid"], chosen["lambda_"], strict=True))
    return smooth(
        observations, as_of, start=start, parcels=list(parcels["parcel_uid"]), lambda_=lambda_,
        places=parcels if options.neighbours else None,
    )  # fmt: skip
