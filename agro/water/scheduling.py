"""When and how much: the need of each parcel for the system at hand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from agro.schema.crops import Crop
from agro.schema.tables import empty, validate
from agro.water.state import efficiency

#: Half width of a 90 % interval in standard deviations.
Z90 = 1.645
#: Net depth that a system can usefully give in one go: least and most, mm (practice; to be set locally).
DOSE_MM = {"drip": (3.0, 30.0), "sprinkler": (10.0, 50.0), "surface": (30.0, 80.0), "rainfed": (0.0, 0.0)}
#: A record within so many days shows that the grower reports.
REPORTING_D = 30
#: A day with less is a day of stress.
STRESS_KS = 0.95
#: Days over which past stress is counted.
LOOK_BACK_D = 7


def irrigation_need(
    water: pd.DataFrame,
    parcels: pd.DataFrame,
    weather: pd.DataFrame,
    irrigation: pd.DataFrame,
    soil: pd.DataFrame,
    crops: Mapping[str, Crop],
    as_of: date,
    outlook_d: int,
) -> pd.DataFrame:
    """Trigger date, amount and doubt of each parcel.

    The trigger is the first day on which depletion passes RAW (management-allowed depletion) in the outlook
    without irrigation. The net amount brings the root zone back to field capacity on the issue date, less the
    mean rain expected before the trigger (all of the outlook's rain when there is none), within what the
    system can give in one go.

    Parameters
    ----------
    water, parcels, weather, irrigation, soil : pandas.DataFrame
        Tables of the run.
    crops : mapping
        Crop table.
    as_of : datetime.date
        Issue date.
    outlook_d : int
        Days ahead.

    Returns
    -------
    pandas.DataFrame
        Table ``need``: a row for each parcel that has a water state.
    """
    if not len(water):
        return empty("need")
    today, last = pd.Timestamp(as_of), pd.Timestamp(as_of) + pd.Timedelta(days=outlook_d)
    ahead = weather[weather["is_forecast"] & (weather["date"] <= last)]
    mean_rain = ahead.groupby("date")["rain_mm"].mean()
    et0_sum = float(ahead.groupby("date")["et0_mm"].mean().sum())
    past_source = weather[~weather["is_forecast"] & (weather["date"] > today - pd.Timedelta(days=LOOK_BACK_D))][
        "source"
    ]
    # The weakest link of the week past and ahead is what the advice rests on.
    sources = set(past_source) | set(ahead["source"])
    weather_source = "climatology" if "climatology" in sources or not len(ahead) else "+".join(sorted(sources))
    eff, eff_source = efficiency(parcels)
    soil_source = soil.groupby("parcel_uid")["source"].first()
    events = irrigation.groupby("parcel_uid")["date"].max()
    groups = dict(iter(water.groupby("parcel_uid")))
    rows = []
    for position, uid in enumerate(parcels["parcel_uid"]):
        if uid not in groups:
            continue
        one = groups[uid]
        central = one[one["member"] == -1].set_index("date")
        now: Any = central.loc[today]
        coming = central[central["is_forecast"]]
        trigger = today if now["dr_mm"] >= now["raw_mm"] else _first(coming)
        members = one[(one["member"] >= 0) & (one["date"] <= last)]
        reached = (members["dr_mm"] >= members["raw_mm"]).groupby(members["member"]).any()
        probability = float(reached.mean()) if len(reached) else float(not pd.isna(trigger))
        sd = 0.0 if np.isnan(now["dr_sd_mm"]) else float(now["dr_sd_mm"])
        low, high = (float(np.clip(now["dr_mm"] + s * Z90 * sd, 0.0, now["taw_mm"])) for s in (-1, 1))
        before = mean_rain[mean_rain.index < trigger] if not pd.isna(trigger) else mean_rain
        system = parcels["agro:irrigation"].iloc[position]
        net, net_low, net_high = (_dose(dr - float(before.sum()), system) for dr in (float(now["dr_mm"]), low, high))
        area_ha = parcels["metrics:area"].iloc[position] / 1e4
        gross = net / eff[position]
        flow = parcels["agro:flow_m3_h"].iloc[position]
        volume = gross * 10.0 * area_ha  # 1 mm on 1 ha is 10 m3
        recent = central[(central.index > today - pd.Timedelta(days=LOOK_BACK_D)) & (central.index <= today)]
        last_event = events.get(uid, pd.NaT)
        rows.append(
            {
                "parcel_uid": uid, "as_of": today, "dr_mm": now["dr_mm"], "taw_mm": now["taw_mm"], "raw_mm": now["raw_mm"],
                "dr_low_mm": low, "dr_high_mm": high, "trigger_date": trigger, "trigger_prob_frac": probability,
                "forecast_rain_mm": float(mean_rain.sum()), "forecast_et0_mm": et0_sum, "net_mm": net, "net_low_mm": net_low,
                "net_high_mm": max(net_high, net), "gross_mm": gross, "volume_m3": volume,
                "hours": volume / flow if flow and flow > 0 else np.nan, "efficiency_frac": eff[position],
                "efficiency_source": eff_source[position], "stress_days": float((recent["ks"] < STRESS_KS).sum()),
                "last_irrigation_date": last_event,
                "irrigation_reported": bool(not pd.isna(last_event) and last_event > today - pd.Timedelta(days=REPORTING_D)),
                "soil_source": soil_source[uid], "weather_source": weather_source, "kcb_source": now["kcb_source"],
            }
        )  # fmt: skip
    return validate(pd.DataFrame(rows), "need")


def _first(coming: pd.DataFrame) -> Any:
    above = coming.index[coming["dr_mm"] >= coming["raw_mm"]]
    return above[0] if len(above) else pd.NaT


def _dose(wanted_mm: float, system: str) -> float:
    """Net depth within what the system gives in one go; 0 when nothing is wanted."""
    least, most = DOSE_MM[system]
    return 0.0 if wanted_mm <= 0 or most == 0 else float(np.clip(wanted_mm, least, most))
