"""Which day, how much: the irrigations of the outlook, as the system, the pump, the calendar and the volume allow them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.errors import ConfigError
from agro.schema.region import WaterOptions
from agro.schema.tables import empty, validate
from agro.water.allocation import Shares, share_volume
from agro.water.coefficients import stage_kcb
from agro.water.outlook import Outlook, limits_mm, outlook
from agro.water.scheduling import DOSE_MM

#: Share of the members that must be at the allowed depletion before water is given.
AGREEING = 0.5
#: Rain expected within so many days after an irrigation is left room in the soil.
ROOM_FOR_RAIN_D = 2
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def open_days(days: pd.DatetimeIndex, options: WaterOptions) -> np.ndarray:
    """Whether water may be given on each day: no rest day, no closed date."""
    resting = [WEEKDAYS[day.weekday()] in options.rest_days for day in days]
    closed = days.isin(pd.DatetimeIndex(options.closed_dates))
    return ~(np.array(resting, dtype=bool) | closed)


def irrigation_plan(
    water: pd.DataFrame,
    parcels: pd.DataFrame,
    crops: Mapping[str, Crop],
    options: WaterOptions,
    as_of: date,
) -> pd.DataFrame:
    """Irrigations of each parcel in the outlook, day after day.

    Water is given on the day on which half of the members reach the allowed depletion (management-allowed: RAW, times the
    share that the region sets for the crop's stage), or on the last open day before, when the next ones are closed. The depth
    refills to field capacity, less the mean rain of the two days after it, within what the system gives in one go and the pump
    in a day; what is left over comes on the next open day. Drip goes by its interval: every so many open days what was used
    since, as soon as that is a depth it can give. Members do not see each other's irrigations: a depth given is taken off all.

    Parameters
    ----------
    water, parcels : pandas.DataFrame
        Tables of the run.
    crops : mapping
        Crop table.
    options : WaterOptions
        Practice of the region; with ``limit_m3`` the plan is cut to that volume by :func:`agro.water.allocation.share_volume`.
    as_of : datetime.date
        Issue date; the first irrigation is of the day after.

    Returns
    -------
    pandas.DataFrame
        Table ``plan``.

    Raises
    ------
    ConfigError
        A volume is to be shared and the worth of a crop, or its yield response, is not known.
    BudgetError
        The floors alone need more than the volume.
    """
    if not len(water):
        return empty("plan")
    ahead = outlook(water, parcels, crops, options, as_of)
    least, most = limits_mm(ahead.parcels, DOSE_MM)
    drip = (ahead.parcels["agro:irrigation"] == "drip").to_numpy()
    by_pump = options.max_hours_d * ahead.flow_m3_h * ahead.efficiency_frac / (10.0 * ahead.area_ha)
    most_today = np.fmin(most, by_pump)
    allowed_days = open_days(ahead.days, options)
    # ``owed``: what the pump could not bring of the last dose.
    applied, owed = np.zeros(len(ahead.parcels)), np.zeros(len(ahead.parcels))
    parts, opened = [], 0
    for day in map(int, np.flatnonzero(allowed_days)):
        if day == 0:
            continue
        later = np.flatnonzero(allowed_days[day + 1 :])
        until = day + 1 + (later[0] if len(later) else len(ahead.days) - day - 1)
        left = ahead.dr_mm - applied[:, None, None]
        reached = (left[:, :, day:until] >= ahead.allowed_mm[:, :, day:until]).any(axis=2).mean(axis=1)
        room = ahead.rain_mm[:, day + 1 : day + 1 + ROOM_FOR_RAIN_D].sum(axis=1)
        wanted = left[:, :, day].mean(axis=1) - room
        due = (reached >= AGREEING) | (drip & (opened % options.drip_interval_d == 0) & (wanted >= least))
        opened += 1
        fresh = np.where(due & (wanted > 0), np.clip(wanted, least, most), 0.0)
        # Rain since then has paid for part of what is owed.
        dose = np.where((owed > 0) | (fresh == 0), np.minimum(owed, np.maximum(wanted, 0.0)), fresh)
        net = np.minimum(dose, most_today)
        owed = dose - net
        before = left[:, :, day].mean(axis=1)
        applied = applied + net
        given = np.flatnonzero(net > 0)
        parts.append(
            pd.DataFrame(
                {
                    "parcel_uid": ahead.parcels["parcel_uid"].to_numpy()[given], "date": ahead.days[day], "net_mm": net[given],
                    "probability_frac": reached[given], "depletion_mm": before[given],
                    "allowed_mm": ahead.allowed_mm[:, :, day].mean(axis=1)[given], "row": given,
                }
            )
        )  # fmt: skip
    plan = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    if not len(plan):
        return empty("plan")
    met = np.ones(len(ahead.parcels))
    if options.limit_m3 is not None:
        need = plan.groupby("row")["net_mm"].sum().reindex(range(len(met)), fill_value=0.0).to_numpy()
        met = limited(ahead, need, crops, options, options.limit_m3).table["met_frac"].to_numpy()
    row = plan.pop("row").to_numpy()
    plan["met_frac"] = met[row]
    plan["net_mm"] *= met[row]
    return validate(with_amounts(plan, ahead, row).query("net_mm > 0").reset_index(drop=True), "plan")


def with_amounts(table: pd.DataFrame, ahead: Outlook, row: np.ndarray) -> pd.DataFrame:
    """Add gross depth, volume and hours to net depths; ``row`` names each line's parcel."""
    gross = table["net_mm"] / ahead.efficiency_frac[row]
    volume = gross * 10.0 * ahead.area_ha[row]
    return table.assign(gross_mm=gross, volume_m3=volume, hours=volume / ahead.flow_m3_h[row]).sort_values(
        ["parcel_uid", "date"], ignore_index=True
    )


def limited(
    ahead: Outlook,
    need_mm: np.ndarray,
    crops: Mapping[str, Crop],
    options: WaterOptions,
    volume_m3: float,
) -> Shares:
    """Share a volume over the parcels of an outlook by what water is worth on each.

    Raises
    ------
    ConfigError
        The worth of a crop, or its yield response, is not known.
    """
    keys = ahead.parcels["agro:crop"]
    needed = sorted(set(keys[need_mm > 0]))
    for what, have in (
        ("water: worth", options.worth),
        ("yield_response_ky", {k for k in needed if crops[k].yield_response_ky}),
    ):
        absent = [key for key in needed if key not in have]
        if absent:
            raise ConfigError(
                f"a volume is to be shared and {what} is not known of {', '.join(absent)}", where="region", do="Add it"
            )
    # Where nothing is needed nothing is weighed: any number does.
    worth = [options.worth.get(key) for key in keys]
    ky = [parameter.value if (parameter := crops[key].yield_response_ky) else 0.0 for key in keys]
    et0 = ahead.et0_mm.mean(axis=1)
    demand = pd.DataFrame(
        {
            "parcel_uid": ahead.parcels["parcel_uid"], "area_ha": ahead.area_ha, "need_mm": need_mm,
            "efficiency_frac": ahead.efficiency_frac, "ky": ky,
            "etm_mm": [season_etm_mm(crops[key], day) for key, day in zip(keys, et0, strict=True)],
            "yield_t_ha": [w.yield_t_ha if w else 0.0 for w in worth], "price_per_t": [w.price_per_t if w else 0.0 for w in worth],
        }
    )  # fmt: skip
    return share_volume(demand, volume_m3, floor_frac=options.floor_frac)


def season_etm_mm(crop: Crop, et0_mm_d: float) -> float:
    """ET of a whole season without stress at a mean ET0: the single Kc of the table, day by day."""
    days = np.arange(int(sum(crop.stages_d.value)))
    return float(stage_kcb(days, crop.stages_d.value, crop.kc.value).sum() * max(et0_mm_d, 0.1))
