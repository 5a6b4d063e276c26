"""What the balance expects of the days ahead, as arrays: the ground that plans and turns stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.errors import ConfigError
from agro.schema.region import WaterOptions
from agro.water.state import efficiency, season_day

#: Depletion is never planned beyond this share of TAW, whatever share of RAW is asked for.
DEEPEST_OF_TAW = 0.95


@dataclass(frozen=True)
class Outlook:
    """Parcels that have a water state, day 0 the issue date; without irrigation in the outlook.

    ``dr_mm``, ``allowed_mm``: (parcels, members, days), depletion at the end of the day and the depletion at which water is given.
    ``rain_mm``, ``etc_mm``, ``et0_mm``: (parcels, days) means of the members. ``parcels``: their rows, in order.
    """

    parcels: pd.DataFrame
    days: pd.DatetimeIndex
    dr_mm: np.ndarray
    allowed_mm: np.ndarray
    rain_mm: np.ndarray
    etc_mm: np.ndarray
    et0_mm: np.ndarray
    efficiency_frac: np.ndarray

    @property
    def area_ha(self) -> np.ndarray:
        """Area of each parcel."""
        return self.parcels["metrics:area"].to_numpy(dtype=float) / 1e4

    @property
    def flow_m3_h(self) -> np.ndarray:
        """Flow at each parcel; NaN where unknown."""
        flow = self.parcels["agro:flow_m3_h"].to_numpy(dtype=float)
        return np.where(flow > 0, flow, np.nan)

    def volume_m3(self, net_mm: np.ndarray) -> np.ndarray:
        """Volume at the field inlet that brings a net depth to the root zone of each parcel."""
        return net_mm / self.efficiency_frac * 10.0 * self.area_ha


def stage_of(days_since_start: np.ndarray, crop: Crop) -> np.ndarray:
    """Stage (0 initial .. 3 late) of each day; before the start initial, after the end late."""
    ends = np.cumsum(crop.stages_d.value)[:3]
    return np.searchsorted(ends, days_since_start, side="right")


def outlook(
    water: pd.DataFrame, parcels: pd.DataFrame, crops: Mapping[str, Crop], options: WaterOptions, as_of: date
) -> Outlook:
    """Arrays of the outlook of all parcels that are in ``water``.

    Parameters
    ----------
    water, parcels : pandas.DataFrame
        Tables of the run; the members of the outlook where there are any, else the central run.
    crops : mapping
        Crop table.
    options : WaterOptions
        ``depletion_share`` by crop and stage.
    as_of : datetime.date
        Issue date.

    Raises
    ------
    ConfigError
        The options name a crop that is not in the table.
    """
    unknown = sorted((set(options.depletion_share) | set(options.worth)) - set(crops))
    if unknown:
        raise ConfigError(
            f"unknown crop {', '.join(unknown)}", where="water: depletion_share, worth", do=f"Known: {', '.join(crops)}"
        )
    known = parcels[parcels["parcel_uid"].isin(set(water["parcel_uid"]))].reset_index(drop=True)
    uids = list(known["parcel_uid"])
    today = pd.Timestamp(as_of)
    ahead = water[water["is_forecast"] & (water["date"] > today)]
    members = sorted(ahead.loc[ahead["member"] >= 0, "member"].unique()) or [-1]
    days = pd.DatetimeIndex([today, *sorted(ahead["date"].unique())])
    now = water[(water["member"] == -1) & (water["date"] == today)]

    def cube(name: str) -> np.ndarray:
        """(parcels, members, days); day 0 is the central run's for every member."""
        wide = ahead[ahead["member"].isin(members)].pivot(index=["parcel_uid", "member"], columns="date", values=name)
        wide = wide.reindex(pd.MultiIndex.from_product([uids, members]))
        first = now.set_index("parcel_uid")[name].reindex(uids).to_numpy(dtype=float)
        later = wide.to_numpy(dtype=float).reshape(len(uids), len(members), len(days) - 1)
        return np.concatenate((np.broadcast_to(first[:, None, None], (*later.shape[:2], 1)), later), axis=2)

    share = np.ones((len(uids), len(days)))
    for row, crop in enumerate(known["agro:crop"]):
        if crop in options.depletion_share:
            since = season_day(days, known["agro:sowing_date"].iloc[row], crops[crop])
            share[row] = np.asarray(options.depletion_share[crop])[stage_of(since, crops[crop])]
    allowed = np.minimum(cube("raw_mm") * share[:, None, :], DEEPEST_OF_TAW * cube("taw_mm"))
    et0 = cube("et0_mm")
    etc = (cube("kcb") + cube("ke")) * et0
    means = (cube("rain_mm").mean(axis=1), etc.mean(axis=1), et0.mean(axis=1))
    return Outlook(known, days, cube("dr_mm"), allowed, *means, efficiency(known)[0])


def limits_mm(parcels: pd.DataFrame, dose: Mapping[str, tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Least and most net depth that each parcel's system gives in one go."""
    both = np.array([dose[system] for system in parcels["agro:irrigation"]], dtype=float).reshape(-1, 2)
    return both[:, 0], both[:, 1]
