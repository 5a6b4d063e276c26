"""Facts of one parcel on one day, from the stages' tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal

import numpy as np
import pandas as pd

from agro.advice.rules import Rules
from agro.schema.crops import Crop
from agro.schema.errors import ContractError
from agro.schema.region import Region


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
class Outlook:
    """Depletion ahead, without irrigation: the central course and the members (days, members), mm."""

    days: np.ndarray
    central_mm: np.ndarray
    central_raw_mm: np.ndarray
    members_mm: np.ndarray
    members_raw_mm: np.ndarray


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

    @property
    def weather_is_average(self) -> bool:
        """Whether the week past or ahead rests on climatology."""
        return "climatology" in self.weather_source

    @property
    def no_crop(self) -> bool:
        """Whether the field of an annual crop lies bare, before sowing or after the season."""
        return bool(self.values["season_over"] or self.values["not_sown"])

    def shifted(self, water_mm: float) -> Facts:
        """The same parcel with so much more water in the root zone (less where negative), every course moved by it."""
        if self.need is None or self.outlook is None:
            return self
        taw = self.need["taw_mm"]

        def move(values: np.ndarray) -> np.ndarray:
            return np.clip(values - water_mm, 0.0, taw)

        out = self.outlook
        moved = replace(out, central_mm=move(out.central_mm), members_mm=move(out.members_mm))
        dr = float(move(np.asarray(self.need["dr_mm"])))
        net = max(self.need["net_mm"] - water_mm, 0.0) if water_mm > 0 else max(self.need["net_mm"], -water_mm)
        values = {**self.values, **_timing(moved, dr, self.need["raw_mm"], self.lead_d), "net_mm": net}
        values["dr_of_raw"] = dr / self.need["raw_mm"] if self.need["raw_mm"] > 0 else None
        return replace(self, outlook=moved, values=values)


def _timing(outlook: Outlook, dr: float, raw: float, lead_d: int) -> dict[str, Any]:
    """When the central course reaches RAW, and the share of members that reach it.

    ``days_to_trigger`` is 0 when the depletion is there today, None beyond the outlook; ``next_trigger_d`` leaves
    today out; ``lead_prob`` is the share within the lead time, ``trigger_prob`` within the outlook. Without members
    the central course stands for them.
    """
    above = np.flatnonzero(outlook.central_mm >= outlook.central_raw_mm)
    following = int(above[0]) + 1 if above.size else None
    reached = outlook.members_mm >= outlook.members_raw_mm
    if reached.size:
        lead, whole = float(reached[:lead_d].any(axis=0).mean()), float(reached.any(axis=0).mean())
    elif outlook.central_mm.size:
        lead, whole = float(following is not None and following <= lead_d), float(following is not None)
    else:  # nothing is known ahead: today's depletion has to decide
        lead = whole = float(dr >= raw)
    return {
        "days_to_trigger": 0 if dr >= raw else following, "next_trigger_d": following, "lead_prob": lead,
        "trigger_prob": whole,
    }  # fmt: skip


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
    week = inputs.weather[~inputs.weather["is_forecast"] & (inputs.weather["date"] > today - pd.Timedelta(days=7))]
    water = dict(iter(inputs.water.groupby("parcel_uid"))) if len(inputs.water) else {}
    newest = inputs.observations.sort_values("date", kind="stable").drop_duplicates("parcel_uid", keep="last")
    small = set(newest.loc[newest["reason"] == "not_observable", "parcel_uid"])
    rain_ahead = tuple(float(r) for r in ahead.groupby("date")["rain_mm"].mean().sort_index())
    strong_ks = inputs.rules.thresholds["strong_stress_ks"].value
    bare_ndvi = inputs.rules.thresholds["bare_ndvi"].value
    lead_d = int(inputs.rules.thresholds["lead_days"].value)
    pixels = (
        inputs.observations.groupby("parcel_uid")["pixels_effective"].max()
        if len(inputs.observations)
        else pd.Series(dtype=float)
    )
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
        outlook = _outlook(water[uid]) if uid in water and n is not None else None
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
                **(_timing(outlook, n["dr_mm"], raw, lead_d) if outlook else {}),
            )  # fmt: skip
        out.append(
            Facts(
                uid=uid, crop=row["agro:crop"], area_ha=row["metrics:area"] / 1e4, need=n, outlook=outlook, values=values, ndvi=ndvi,
                last_clear=None if age is None else (today - pd.Timedelta(days=age)).date(),
                neighbour_median=_number(near.get("median")), kcb=_today(water.get(uid), today, "kcb"),
                weather_source="none" if n is None else n["weather_source"],
                has_forecast=bool((~ahead["source"].str.contains("climatology")).any()), outlook_d=inputs.region.advice.outlook_d, lead_d=lead_d, rain_ahead_mm=rain_ahead,
                pixels=float(pixels.get(uid, 0.0)), rain_week_mm=float(week["rain_mm"].sum()), et0_week_mm=float(week["et0_mm"].sum()),
            )
        )  # fmt: skip
    return out


def _today(water: pd.DataFrame | None, today: pd.Timestamp, column: str) -> float | None:
    """A value of the central run on the issue date."""
    if water is None:
        return None
    row = water[(water["member"] == -1) & (water["date"] == today)]
    return float(row[column].iloc[0]) if len(row) else None


def _stressed(water: pd.DataFrame | None, today: pd.Timestamp, strong_ks: float) -> int | None:
    """Days of the last 30 on which the central run's Ks was no more than `strong_ks`."""
    if water is None:
        return None
    past = water[(water["member"] == -1) & (water["date"] <= today) & (water["date"] > today - pd.Timedelta(days=30))]
    return int((past["ks"] <= strong_ks).sum())


def _outlook(water: pd.DataFrame) -> Outlook:
    ahead = water[water["is_forecast"]]
    central = ahead[ahead["member"] == -1].sort_values("date")
    members = ahead[ahead["member"] >= 0]
    table = {c: members.pivot(index="date", columns="member", values=c).sort_index() for c in ("dr_mm", "raw_mm")}
    return Outlook(
        central["date"].to_numpy(), central["dr_mm"].to_numpy(), central["raw_mm"].to_numpy(), table["dr_mm"].to_numpy(),
        table["raw_mm"].to_numpy(),
    )  # fmt: skip


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
