"""A region of one parcel whose facts a test sets one by one."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from agro.advice.advise import AdviceInputs
from agro.advice.rules import load_rules
from agro.schema.crops import Crop
from agro.schema.region import Region
from agro.schema.tables import empty

DAY = date(2022, 4, 11)
TODAY = pd.Timestamp(DAY)
UID = "p1"
RULES = load_rules()
EMPTY = {
    name: empty(name) for name in ("need", "series", "phenology", "water", "weather", "soil", "observations", "yield")
}


def crop(kind: str = "annual") -> Crop:
    def parameter(value: Any, unit: str = "1") -> dict[str, Any]:
        return {"value": value, "unit": unit, "source": "test"}

    return Crop.model_validate(
        {
            "name": {"en": "c", "fr": "c", "ar": "c"}, "kind": kind, "stages_d": parameter([20, 50, 60, 30]),
            "kcb": parameter([0.15, 1.1, 0.15]), "kc": parameter([0.3, 1.15, 0.25]), "height_m": parameter(1.0),
            "root_depth_m": parameter([0.3, 1.5]), "depletion_p": parameter(0.55), "season_start": parameter([12, 1]),
        }
    )  # fmt: skip


def region(**more: Any) -> Region:
    place = {"id": "r1", "name": {"en": "R"}, "latitude": 31.6, "longitude": -7.7, "elevation_m": 450.0}
    body: dict[str, Any] = {
        "place": place, "parcels": {"path": "p.geojson"}, "imagery": {"kind": "stac", "path": "i"},
        "weather": [{"kind": "station", "path": "w.csv"}], "soil": [{"kind": "table", "path": "s.csv"}],
        "yield_history": "y.csv",
    }  # fmt: skip
    return Region.model_validate({**body, **more})


def inputs(
    *, dr: float = 40.0, raw: float = 80.0, taw: float = 150.0, spread: float = 20.0, daily: float = 3.0,
    member_sd: float = 2.0, rain: float = 0.0, ndvi: float | None = 0.7, age: int | None = 3, change: float = 0.0,
    ks: float = 1.0, stress_days: float = 0.0, z: float = 0.0, neighbours: int = 8, irrigation: str = "drip",
    kind: str = "annual", sowing: str | None = "2022-01-15", soil_source: str = "survey", weather_source: str = "forecast+station",
    ahead_source: str = "forecast", reported: bool = True, hours: float = 12.0, reason: str | None = None,
    has_need: bool = True, has_soil: bool = True, has_weather: bool = True, season_end: str | None = None,
    outlook_d: int = 7, region_keys: dict[str, Any] | None = None,
) -> AdviceInputs:  # fmt: skip
    """Inputs of one drip-irrigated parcel (at most 30 mm in one go); depletion rises by `daily` mm a day, `rain` mm fall tomorrow."""
    days = pd.date_range(TODAY - pd.Timedelta(days=40), TODAY + pd.Timedelta(days=outlook_d))
    offsets = np.linspace(-1.5, 1.5, 8) * member_sd
    rows = []
    for member in (-1, *range(8)):
        shift, before = (0.0 if member < 0 else offsets[member]), dr
        for day in days:
            ahead = (day - TODAY).days
            if ahead <= 0 and member >= 0:
                continue
            # Each day ahead closes; members depart from the central run on the first day.
            falls, apart = (rain if ahead == 1 else 0.0), (shift if ahead == 1 else 0.0)
            open_mm = before + daily + apart - falls
            after = float(np.clip(open_mm, 0, taw)) if ahead > 0 else dr
            rows.append(
                {
                    "parcel_uid": UID, "date": day, "member": member, "is_forecast": ahead > 0,
                    "dr_mm": after, "dr_sd_mm": spread / 3.29, "taw_mm": taw, "raw_mm": raw, "kcb": 1.0,
                    "kcb_source": "ndvi", "ke": 0.1, "ks": ks, "fc_frac": 0.8, "zr_m": 1.0, "et0_mm": 5.0, "eta_mm": daily,
                    "rain_mm": falls, "runoff_mm": 0.0, "irrigation_mm": 0.0, "irrigation_source": None, "drainage_mm": max(-open_mm, 0.0),
                    "root_growth_mm": apart + min(after - open_mm, 0.0) if ahead > 0 else 0.0,
                }
            )  # fmt: skip
            before = after
    net = min(max(dr - (0.0 if dr >= raw else rain), 0.0), 30.0)
    need = {
        "parcel_uid": UID, "as_of": TODAY, "dr_mm": dr, "taw_mm": taw, "raw_mm": raw, "dr_low_mm": max(dr - spread / 2, 0.0),
        "dr_high_mm": max(dr - spread / 2, 0.0) + spread, "trigger_date": pd.NaT, "trigger_prob_frac": 0.5,
        "forecast_rain_mm": rain, "forecast_et0_mm": 35.0, "net_mm": net, "net_low_mm": net * 0.8, "net_high_mm": net,
        "gross_mm": net / 0.9, "volume_m3": net / 0.9 * 20, "hours": hours, "efficiency_frac": 0.9, "efficiency_source": "default",
        "stress_days": stress_days, "last_irrigation_date": TODAY - pd.Timedelta(days=9) if reported else pd.NaT,
        "irrigation_reported": reported, "soil_source": soil_source, "weather_source": weather_source, "kcb_source": "ndvi",
    }  # fmt: skip
    parcel = {
        "parcel_uid": UID, "name": "F", "metrics:area": 20000.0, "agro:crop": "wheat", "agro:irrigation": irrigation,
        "agro:sowing_date": pd.Timestamp(sowing) if sowing else pd.NaT, "agro:flow_m3_h": 20.0, "agro:efficiency_frac": np.nan,
        "agro:cooperative": None, "agro:sector": None, "agro:owner_ref": None, "agro:geometry_digest": "d", "agro:repaired": None,
    }  # fmt: skip
    series = {
        "parcel_uid": UID, "date": TODAY, "index": "ndvi", "value": np.nan if ndvi is None else ndvi, "sd": 0.02,
        "flag": "interpolated", "clear_age_d": age,
    }  # fmt: skip
    weather = [
        {
            "site_id": "s", "date": day, "issued_at": min(day, TODAY), "is_forecast": day > TODAY, "member": 0 if day > TODAY else -1,
            "tmin_c": 10.0, "tmax_c": 25.0, "rh_mean_pct": 50.0, "u2_m_s": 2.0, "rs_mj_m2": 20.0,
            "rain_mm": rain if (day - TODAY).days == 1 else 0.0, "et0_mm": 5.0, "estimated": None,
            "source": ahead_source if day > TODAY else "station",
        }
        for day in days
    ]  # fmt: skip
    looks = {
        "parcel_uid": UID, "date": TODAY - pd.Timedelta(days=age or 0), "index": "ndvi", "source": "s2", "mean": ndvi, "median": ndvi,
        "p10": ndvi, "p90": ndvi, "sd": 0.01, "pixels_effective": 4.0 if reason else 90.0, "valid_frac": 1.0, "buffer_m": 5.0,
        "scene_ids": "a", "usable": reason is None, "reason": reason,
    }  # fmt: skip
    seasons = {
        "parcel_uid": UID, "index": "ndvi", "season": 0, "start_date": TODAY - pd.Timedelta(days=90), "peak_date": pd.NaT,
        "end_date": pd.Timestamp(season_end) if season_end else pd.NaT, "start_value": 0.2, "peak_value": np.nan,
        "end_value": np.nan, "status": "growing",
    }  # fmt: skip
    layer = {
        "parcel_uid": UID, "layer": 1, "top_m": 0.0, "bottom_m": 1.5, "fc_m3_m3": 0.3, "wp_m3_m3": 0.15, "fc_sd_m3_m3": 0.02,
        "wp_sd_m3_m3": 0.02, "stones_frac": 0.0, "source": soil_source,
    }  # fmt: skip

    # Columns are those that advice reads; checking the contracts again for each of hundreds of cases is slow.
    def table(name: str, rows: list[dict[str, Any]], there: bool = True) -> pd.DataFrame:
        return pd.DataFrame(rows) if there and rows else EMPTY[name]

    return AdviceInputs(
        region=region(**(region_keys or {})), as_of=DAY, parcels=pd.DataFrame([parcel]),
        need=table("need", [need], has_need and has_soil and has_weather), series=table("series", [series]),
        phenology=table("phenology", [seasons]), water=table("water", rows, has_need and has_soil and has_weather),
        weather=table("weather", weather, has_weather), soil=table("soil", [layer], has_soil), yields=EMPTY["yield"],
        neighbours=pd.DataFrame([{"parcel_uid": UID, "value": ndvi, "median": 0.6, "mad": 0.05, "count": neighbours, "z": z}]),
        change=pd.DataFrame([{"parcel_uid": UID, "value": ndvi, "before": 0.7, "change": change}]),
        observations=table("observations", [looks], age is not None or reason is not None), crops={"wheat": crop(kind)},
        rules=RULES,
    )  # fmt: skip
