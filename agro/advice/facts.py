"""Facts of one parcel on one day, from the stages' tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from agro.advice.outlook import Outlook
from agro.advice.rules import Rules
from agro.schema.crops import Crop
from agro.schema.errors import ContractError
from agro.schema.region import Region

#: Doses no further apart than this are the same, mm.
LIKE_MM = 0.05


@dataclass(frozen=True)
class AdviceInputs:
    """Tables of the run, the region, the crops and the rules.

    ``neighbours``: parcel_uid, value, median, mad, count, z. ``change``: parcel_uid, value, before, change.
    """

    region: Region
    as_of: date
    parcels: pd.DataFrame
    need: pd.DataFrame
    series: pd.DataFrame
    phenology: pd.DataFrame
    water: pd.DataFrame
    weather: pd.DataFrame
    soil: pd.DataFrame
    yields: pd.DataFrame
    neighbours: pd.DataFrame | None
    change: pd.DataFrame | None
    observations: pd.DataFrame
    crops: Mapping[str, Crop]
    rules: Rules


@dataclass(frozen=True)
class Facts:
    """What is known of a parcel. None is unknown."""

    uid: str
    crop: str
    area_ha: float
    need: Mapping[str, Any] | None
    outlook: Outlook | None
    values: Mapping[str, Any]
    ndvi: float | None
    last_clear: date | None
    neighbour_median: float | None
    kcb: float | None
    weather_source: str
    has_forecast: bool
    outlook_d: int
    lead_d: int
    pixels: float = 0.0
    #: mean forecast rain of the days ahead, first the day after the issue date, mm
    rain_ahead_mm: tuple[float, ...] = ()
    rain_week_mm: float = 0.0
    et0_week_mm: float = 0.0
    #: gross depth of the last reported irrigation, mm
    last_irrigation_mm: float | None = None

    @property
    def weather_is_average(self) -> bool:
        """Whether the week past or ahead rests on climatology."""
        return "climatology" in self.weather_source

    @property
    def no_crop(self) -> bool:
        """Whether the field of an annual crop lies bare, before sowing or after the season."""
        return bool(self.values["season_over"] or self.values["not_sown"])

    def replayed(self, added_now_mm: float = 0.0, rain_mm: float = 0.0) -> Facts:
        """The same parcel with other water: what the balance would give, see :meth:`Outlook.replayed`."""
        if self.need is None or self.outlook is None:
            return self
        taw, raw = self.need["taw_mm"], self.need["raw_mm"]
        moved = self.outlook.replayed(added_now_mm, rain_mm)
        dr = float(np.clip(self.need["dr_mm"] - added_now_mm, 0.0, taw))
        values = {**self.values, **moved.timing(dr, raw, self.lead_d)}
        values["dr_of_raw"] = dr / raw if raw > 0 else None
        values["net_mm"] = self._dose_mm(dr, rain_mm, values["days_to_trigger"])
        return replace(self, outlook=moved, values=values)

    def told_of(self, irrigation_mm: float) -> Facts:
        """The same parcel, had its grower reported an irrigation of so much (net) that is in the root zone by now.

        Members may suppose irrigations that nobody told; with a record none would, so the central run speaks.
        """
        if self.outlook is None:
            return self
        told = replace(self, outlook=self.outlook.central()).replayed(irrigation_mm)
        return replace(told, values={**told.values, "reported": True})

    def _dose_mm(self, dr_mm: float, more_rain_mm: float, trigger_d: int | None) -> float:
        """Net dose of the need table's rule, depletion less rain before the trigger, on changed water.

        The limits of the system are not in the table: a dose that they have cut or raised shows where they are.
        """
        need: Mapping[str, Any] = self.need or {}

        def wanted(dr: float, more: float, trigger: int | None) -> float:
            rain = list(self.rain_ahead_mm[: self.outlook_d])
            if rain:
                rain[0] += more
            return dr - sum(rain if trigger is None else rain[: max(trigger - 1, 0)])

        new = wanted(dr_mm, more_rain_mm, trigger_d)
        old = wanted(need["dr_mm"], 0.0, self.values["days_to_trigger"])
        if new <= 0:
            return 0.0
        given = float(need["net_mm"])
        least = given if given > old + LIKE_MM else 0.0
        most = given if 0 < given < old - LIKE_MM else np.inf
        return float(np.clip(new, least, most))


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def build_facts(inputs: AdviceInputs) -> list[Facts]:
    """Facts of every parcel, in the order of the parcels table."""
    today = pd.Timestamp(inputs.as_of)
    need: dict[str, Any] = {row["parcel_uid"]: row for row in inputs.need.to_dict("records")}
    now = inputs.series[(inputs.series["index"] == "ndvi") & (inputs.series["date"] == today)].set_index("parcel_uid")
    neighbours = {} if inputs.neighbours is None else {r["parcel_uid"]: r for r in inputs.neighbours.to_dict("records")}
    change = {} if inputs.change is None else {r["parcel_uid"]: r["change"] for r in inputs.change.to_dict("records")}
    seasons = inputs.phenology[(inputs.phenology["season"] == 0) & (inputs.phenology["index"] == "ndvi")].set_index(
        "parcel_uid"
    )
    ahead = inputs.weather[inputs.weather["is_forecast"]]
    past = inputs.weather[~inputs.weather["is_forecast"] & (inputs.weather["date"] <= today)]
    week = past[past["date"] > today - pd.Timedelta(days=7)]
    water = dict(iter(inputs.water.groupby("parcel_uid"))) if len(inputs.water) else {}
    looks = inputs.observations[inputs.observations["date"] <= today]
    newest = looks.sort_values("date", kind="stable").drop_duplicates("parcel_uid", keep="last")
    small = set(newest.loc[newest["reason"] == "not_observable", "parcel_uid"])
    rain_ahead = tuple(float(r) for r in ahead.groupby("date")["rain_mm"].mean().sort_index())
    strong_ks = inputs.rules.thresholds["strong_stress_ks"].value
    bare_ndvi = inputs.rules.thresholds["bare_ndvi"].value
    lead_d = int(inputs.rules.thresholds["lead_days"].value)
    pixels = looks.groupby("parcel_uid")["pixels_effective"].max() if len(looks) else pd.Series(dtype=float)
    soil_of = set(inputs.soil["parcel_uid"])
    out = []
    for row in inputs.parcels.to_dict("records"):
        uid, crop = row["parcel_uid"], inputs.crops.get(row["agro:crop"])
        if crop is None:
            raise ContractError(
                f"crop {row['agro:crop']} has no entry in the crop table",
                where=f"parcel {uid}",
                do="Add it to crops.yaml",
            )
        n = need.get(uid)
        looked = now.loc[uid] if uid in now.index else None
        age = None if looked is None or pd.isna(looked["clear_age_d"]) else int(looked["clear_age_d"])
        ndvi = None if looked is None else _number(looked["value"])
        near = neighbours.get(uid, {})
        outlook = Outlook.from_water(water[uid]) if uid in water and n is not None else None
        season = seasons.loc[uid] if uid in seasons.index else None
        late = _late(crop, row["agro:sowing_date"], today, season, ndvi, bare_ndvi)
        values: dict[str, Any] = {
            "observable": uid not in small,
            "covered": crop.kind == "covered",
            "seen": age is not None,
            "clear_age_d": age,
            "has_weather": len(inputs.weather) > 0,
            "has_balance": outlook is not None,
            "has_soil": uid in soil_of,
            "irrigated": row["agro:irrigation"] != "rainfed",
            "season_over": late == "over",
            "not_sown": late == "before",
            "may_fall": late != "no" or crop.kind == "cut",
            "ndvi": ndvi,
            "ndvi_change": _number(change.get(uid)),
            "neighbour_z": _number(near.get("z")),
            "neighbour_count": near.get("count"),
        }
        if n is not None:
            raw = n["raw_mm"]
            values.update(
                interval_of_taw=(n["dr_high_mm"] - n["dr_low_mm"]) / n["taw_mm"] if n["taw_mm"] > 0 else None,
                dr_of_raw=n["dr_mm"] / raw if raw > 0 else None, stress_days=n["stress_days"], net_mm=n["net_mm"],
                reported=bool(n["irrigation_reported"]),
                long_stress_d=_stressed(water.get(uid), today, strong_ks),
                **(outlook.timing(n["dr_mm"], raw, lead_d) if outlook else {}),
            )  # fmt: skip
        out.append(
            Facts(
                uid=uid, crop=row["agro:crop"], area_ha=row["metrics:area"] / 1e4, need=n, outlook=outlook, values=values, ndvi=ndvi,
                last_clear=None if age is None else (today - pd.Timedelta(days=age)).date(),
                neighbour_median=_number(near.get("median")), kcb=_today(water.get(uid), today, "kcb"),
                weather_source="none" if n is None else n["weather_source"],
                has_forecast=bool((~ahead["source"].str.contains("climatology")).any()), outlook_d=inputs.region.advice.outlook_d, lead_d=lead_d, rain_ahead_mm=rain_ahead,
                pixels=float(pixels.get(uid, 0.0)), rain_week_mm=float(week["rain_mm"].sum()), et0_week_mm=float(week["et0_mm"].sum()),
                last_irrigation_mm=_last_irrigation(water.get(uid), n),
            )
        )  # fmt: skip
    return out


def _today(water: pd.DataFrame | None, today: pd.Timestamp, column: str) -> float | None:
    """A value of the central run on the issue date."""
    if water is None:
        return None
    row = water[(water["member"] == -1) & (water["date"] == today)]
    return float(row[column].iloc[0]) if len(row) else None


def _last_irrigation(water: pd.DataFrame | None, need: Mapping[str, Any] | None) -> float | None:
    """Gross depth of the last reported irrigation, as its grower knows it."""
    if need is None or pd.isna(need["last_irrigation_date"]):
        return None
    net = _today(water, need["last_irrigation_date"], "irrigation_mm")
    return None if net is None else net / need["efficiency_frac"]


def _stressed(water: pd.DataFrame | None, today: pd.Timestamp, strong_ks: float) -> int | None:
    """Days of the last 30 on which the central run's Ks was no more than `strong_ks`."""
    if water is None:
        return None
    past = water[(water["member"] == -1) & (water["date"] <= today) & (water["date"] > today - pd.Timedelta(days=30))]
    return int((past["ks"] <= strong_ks).sum())


def _late(
    crop: Crop, sowing: Any, today: pd.Timestamp, season: Any, ndvi: float | None, bare_ndvi: float
) -> Literal["no", "before", "late", "over"]:
    """``late`` when an annual crop may be ripening, ``over`` when its field is bare after the season, ``before`` sowing."""
    if crop.kind != "annual":
        return "no"
    bare = ndvi is None or ndvi < bare_ndvi
    if not pd.isna(sowing) and pd.Timestamp(sowing) > today and bare:
        return "before"
    if season is not None and not pd.isna(season["end_date"]) and bare:
        # A crop sown after that season has ended is not over, it has not begun.
        return "no" if not pd.isna(sowing) and pd.Timestamp(sowing) > season["end_date"] else "over"
    if not pd.isna(sowing):
        days = (today - pd.Timestamp(sowing)).days
        stages = crop.stages_d.value
        if days > sum(stages) + 30:
            return "over"
        ripening = days > sum(stages[:3]) - 10
    else:
        ripening = season is not None and not pd.isna(season["peak_date"]) and (today - season["peak_date"]).days > 20
    if ripening:
        return "over" if bare and ndvi is not None else "late"
    return "no"
