"""What a weekly bulletin says, free of language and layout: numbers, keys and people's decisions.

Built from the tables of one run and from advice that a person has let out. Advice that still awaits a decision comes
in without its amount, so that no template can print it by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from agro.reports.quality import DataQuality, data_quality
from agro.reports.weather import WeatherWeek, weather_week
from agro.schema.advice import AdviceRecord, Message
from agro.schema.errors import ContractError, NoDataError
from agro.store.workspace import RegionStore, RunFolder

#: What the bulletin shows for a parcel, in the order of the table: the advice's action, or what stands in its way.
STATES = ("irrigate", "awaiting", "inspect", "abstain", "hold", "rejected", "missing")
#: Fewest same-crop fields for a comparison with neighbours.
MIN_NEIGHBOURS = 5
#: Days of water stress in a week that put a parcel on the watch list.
STRESS_DAYS = 3.0
_CURVES = 4


@dataclass(frozen=True)
class ParcelLine:
    """One parcel of the bulletin. Depths in mm over the parcel; NaN is not known."""

    parcel_uid: str
    name: str
    crop: str
    irrigation_system: str
    area_ha: float
    state: str  # of STATES
    edited: bool
    stage: str | None  # growing, peak, declining, ended
    eta_mm: float  # actual crop ET, past 7 days
    rain_mm: float  # past 7 days
    irrigation_mm: float  # net, past 7 days
    dr_mm: float
    taw_mm: float
    raw_mm: float
    stress_days: float
    ndvi: float
    last_clear_date: date | None
    amount_mm: float | None = None  # net; None unless `state` is irrigate
    amount_low_mm: float | None = None
    amount_high_mm: float | None = None
    gross_mm: float | None = None
    volume_m3: float | None = None
    hours: float | None = None
    window_start: date | None = None
    window_end: date | None = None
    confidence: float | None = None
    confidence_label: str | None = None
    message: Message | None = None
    reasons: tuple[Message, ...] = ()
    escalation: tuple[Message, ...] = ()
    counterfactual: Message | None = None
    decision_reason: str | None = None
    reviewer: str | None = None

    @property
    def depletion_frac(self) -> float:
        """Depletion as a share of total available water; NaN where either is not known."""
        return self.dr_mm / self.taw_mm if self.taw_mm > 0 else float("nan")


@dataclass(frozen=True)
class Curve:
    """An index through the season for one parcel, with the same date last season and same-crop neighbours."""

    parcel_uid: str
    name: str
    crop: str
    current: pd.DataFrame  # date, value, flag; to the issue date
    last_season: pd.DataFrame | None  # date (moved to this season), value
    neighbours: pd.DataFrame | None  # date, value (median)
    neighbour_count: int


@dataclass(frozen=True)
class YieldGroup:
    """Yield outlook of one crop. Area-weighted means, t/ha; the interval is that of the median field."""

    crop: str
    season: int
    parcels: int
    abstained: int
    yield_t_ha: float
    low_t_ha: float
    high_t_ha: float
    level_frac: float
    mean_t_ha: float
    labels: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class FollowUp:
    """Last bulletin's advice against what was reported since."""

    issued_on: date
    confirmed: bool  # from what was published, not from what the run proposed
    advised_parcels: int
    advised_m3: float
    reported_parcels: int  # advised and irrigation reported since
    reported_m3: float
    hold_parcels: int
    irrigated_anyway_parcels: int
    irrigated_anyway_m3: float
    new_to_irrigate: int  # irrigate now, not then


@dataclass(frozen=True)
class Bulletin:
    """Everything a bulletin shows."""

    region_id: str
    region_name: Mapping[str, str]
    issued_on: date
    simulated: bool
    lines: tuple[ParcelLine, ...]
    weather: WeatherWeek
    curves: tuple[Curve, ...]
    yields: tuple[YieldGroup, ...]
    previous_on: date | None
    follow_up: FollowUp | None
    quality: DataQuality
    contact: str | None
    water_price_per_m3: float | None
    currency: str
    price_date: date | None
    crop_names: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def in_state(self, *states: str) -> list[ParcelLine]:
        """Lines in one of the states, in the table's order."""
        return [line for line in self.lines if line.state in states]

    @property
    def total_m3(self) -> float:
        """Volume advised, m3 at the inlet."""
        return float(sum(line.volume_m3 or 0.0 for line in self.lines))

    @property
    def watch(self) -> list[ParcelLine]:
        """Parcels to keep an eye on: to be visited, without advice, or short of water most of last week."""
        return [
            line for line in self.lines
            if line.state in ("inspect", "abstain") or (line.stress_days >= STRESS_DAYS and line.state not in ("awaiting", "missing"))
        ]  # fmt: skip


def build_bulletin(
    region: RegionStore,
    run: RunFolder,
    parcels: pd.DataFrame,
    published: Sequence[tuple[AdviceRecord, Mapping[str, Any] | None]],
    awaiting: Sequence[AdviceRecord],
    previous: Sequence[Mapping[str, Any]] | None,
    previous_on: date | None,
    previous_confirmed: bool,
    issued_on: date,
    crop_names: Mapping[str, Mapping[str, str]] | None = None,
) -> Bulletin:
    """Gather a run's tables and the advice let out of it.

    Parameters
    ----------
    region : RegionStore
        Its description gives the name, contact and the water price when the region has one.
    run : RunFolder
        Tables ``parcels``, ``weather``, ``water`` and ``need`` must be there; others add their section when present.
    parcels : geopandas.GeoDataFrame
        The run's parcels.
    published : sequence of (AdviceRecord, decision or None)
        Advice let out, with the decision of the person who let it (keys ``decision``, ``amount_mm``, ``reason``,
        ``reviewer``); None where none was needed.
    awaiting : sequence of AdviceRecord
        Advice that waits for a person. Only the reasons for waiting are taken from it.
    previous, previous_on, previous_confirmed
        What was advised before (:func:`published_lines`), when, and whether it was what was published.
    issued_on : datetime.date
        Date of the bulletin.
    crop_names : mapping, optional
        Names of crops by language, over those of the catalogue.

    Raises
    ------
    ContractError
        An advice given twice, for an unknown parcel or of another day, or an unknown decision.
    """
    described = region.describe()
    known = set(parcels["parcel_uid"])
    _check_advice(published, awaiting, known, issued_on)
    water, need = run.read("water"), run.read("need")
    facts = _facts(run, parcels, water, need, issued_on)
    lines: dict[str, ParcelLine] = {}
    for record, decision in published:
        lines[record.parcel_uid] = _published_line(facts[record.parcel_uid], record, decision)
    for record in awaiting:
        seen = record.last_clear_date or facts[record.parcel_uid]["last_clear_date"]
        lines[record.parcel_uid] = _line(
            {**facts[record.parcel_uid], "last_clear_date": seen}, state="awaiting", escalation=record.escalation
        )
    for uid in known - set(lines):
        lines[uid] = _line(facts[uid], state="missing")
    ordered = tuple(sorted(lines.values(), key=_rank))
    everyone = [record for record, _ in published] + list(awaiting)
    name = described.get("name", region.region_id)
    return Bulletin(
        region_id=region.region_id,
        region_name=dict(name) if isinstance(name, Mapping) else {lang: str(name) for lang in ("en", "fr", "ar")},
        issued_on=issued_on,
        simulated=bool(described.get("simulated", False)) or any(record.simulated for record in everyone),
        lines=ordered,
        weather=weather_week(run.read("weather"), issued_on),
        curves=_curves(run, ordered, issued_on),
        yields=_yields(run, parcels),
        previous_on=previous_on,
        follow_up=_follow_up(run, parcels, ordered, previous, previous_on, previous_confirmed, issued_on),
        quality=data_quality(run, issued_on, len(known), previous_on),
        contact=described.get("contact"),
        water_price_per_m3=described.get("water_price_per_m3"),
        currency=str(described.get("currency", "MAD")),
        price_date=date.fromisoformat(str(described["price_date"])) if described.get("price_date") else None,
        crop_names=crop_names or {},
    )


def published_lines(bulletin: Bulletin) -> list[dict[str, Any]]:
    """Give what was let out, as plain values, to be compared with what is done in the week that follows."""
    return [
        {
            "parcel_uid": line.parcel_uid,
            "state": line.state,
            **{k: _three(getattr(line, k)) for k in ("amount_mm", "gross_mm", "volume_m3")},
        }
        for line in sorted(bulletin.lines, key=lambda line: line.parcel_uid)
    ]


def _three(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def proposed_lines(records: Sequence[AdviceRecord]) -> list[dict[str, Any]]:
    """Give the same from a run's own advice, for a week whose bulletin was never published; what awaited a person is left out."""
    return [
        {"parcel_uid": r.parcel_uid, "state": r.action, "amount_mm": r.amount_mm, "gross_mm": r.gross_mm, "volume_m3": r.volume_m3}
        for r in sorted(records, key=lambda r: r.parcel_uid)
        if not r.escalated
    ]  # fmt: skip


def _check_advice(
    published: Sequence[tuple[AdviceRecord, Mapping[str, Any] | None]],
    awaiting: Sequence[AdviceRecord],
    known: set[str],
    issued_on: date,
) -> None:
    seen: set[str] = set()
    for record in [*(record for record, _ in published), *awaiting]:
        if record.parcel_uid in seen:
            raise ContractError(
                "two advices for one parcel",
                where=f"parcel {record.parcel_uid}",
                do="Publish only the one that supersedes",
            )
        if record.parcel_uid not in known:
            raise ContractError(
                "advice for a parcel that the run does not have",
                where=f"parcel {record.parcel_uid}",
                do="Run the week again",
            )
        if record.issued_on != issued_on:
            raise ContractError(
                f"advice of {record.issued_on} in the bulletin of {issued_on}", where=f"advice {record.advice_id}"
            )
        seen.add(record.parcel_uid)
    for record, decision in published:
        if decision is None:
            continue
        if decision.get("decision") not in ("accept", "edit", "reject"):
            raise ContractError(
                f"unknown decision {decision.get('decision')!r}",
                where=f"advice {record.advice_id}",
                do="accept, edit or reject",
            )
        if decision["decision"] == "edit" and decision.get("amount_mm") is None:
            raise ContractError(
                "an edit without an amount",
                where=f"advice {record.advice_id}",
                do="Give amount_mm, 0 for no irrigation",
            )


def _rank(line: ParcelLine) -> tuple[Any, ...]:
    depletion = line.depletion_frac
    return (STATES.index(line.state), -(0.0 if np.isnan(depletion) else depletion), line.name, line.parcel_uid)


def _facts(
    run: RunFolder, parcels: pd.DataFrame, water: pd.DataFrame, need: pd.DataFrame, issued_on: date
) -> dict[str, dict[str, Any]]:
    """Per parcel what was measured or computed, whatever the advice."""
    day = pd.Timestamp(issued_on)
    past = water[(water["member"] == -1) & ~water["is_forecast"] & (water["date"] <= day)]
    week = (
        past[past["date"] > day - pd.Timedelta(days=7)]
        .groupby("parcel_uid")[["eta_mm", "rain_mm", "irrigation_mm"]]
        .sum()
    )
    state = past.sort_values("date").groupby("parcel_uid").last()[["dr_mm", "taw_mm", "raw_mm"]]
    asked = need.set_index("parcel_uid")[["stress_days", "efficiency_frac"]]
    ndvi = pd.DataFrame(columns=["value", "clear_age_d"])
    if run.has("series"):
        series = run.read("series")
        series = series[(series["index"] == "ndvi") & (series["date"] <= day)].sort_values("date")
        ndvi = series.groupby("parcel_uid").last()[["value", "clear_age_d"]]
        ndvi.loc[series.groupby("parcel_uid")["date"].max().reindex(ndvi.index) < day, :] = np.nan
    stages = _stages(run, day)
    facts: dict[str, dict[str, Any]] = {}
    week_columns, state_columns = ("eta_mm", "rain_mm", "irrigation_mm"), ("dr_mm", "taw_mm", "raw_mm")
    # itertuples cannot hold names such as "agro:crop"
    for row in parcels.drop(columns="geometry", errors="ignore").to_dict("records"):
        uid = row["parcel_uid"]
        age = ndvi["clear_age_d"].get(uid)
        facts[uid] = {
            "parcel_uid": uid,
            "name": uid if pd.isna(row["name"]) or not str(row["name"]).strip() else str(row["name"]),
            "crop": row["agro:crop"],
            "irrigation_system": row["agro:irrigation"],
            "area_ha": row["metrics:area"] / 1e4,
            "stage": stages.get(uid),
            **{c: float(week[c].get(uid, np.nan)) for c in week_columns},
            **{c: float(state[c].get(uid, np.nan)) for c in state_columns},
            "stress_days": float(asked["stress_days"].get(uid, np.nan)),
            "ndvi": float(ndvi["value"].get(uid, np.nan)),
            "last_clear_date": None if age is None or pd.isna(age) else issued_on - timedelta(days=int(age)),
            "_efficiency_frac": float(asked["efficiency_frac"].get(uid, np.nan)),
            "_flow_m3_h": float(row["agro:flow_m3_h"]),
        }
    return facts


def _stages(run: RunFolder, day: pd.Timestamp) -> dict[str, str]:
    if not run.has("phenology"):
        return {}
    table = run.read("phenology")
    stages: dict[str, str] = {}
    rows: Any = table[(table["index"] == "ndvi") & (table["season"] == 0)].itertuples()
    for row in rows:
        if row.status in ("no_season", "too_few_observations") or pd.isna(row.start_date) or row.start_date > day:
            continue
        if not pd.isna(row.end_date) and row.end_date <= day:
            stage = "ended"
        elif row.status == "growing" or pd.isna(row.peak_date) or row.peak_date > day + pd.Timedelta(days=7):
            stage = "growing"
        elif abs((row.peak_date - day).days) <= 7:
            stage = "peak"
        else:
            stage = "declining"
        stages[str(row.parcel_uid)] = stage
    return stages


def _line(facts: Mapping[str, Any], state: str, edited: bool = False, **advice: Any) -> ParcelLine:
    return ParcelLine(**{k: v for k, v in facts.items() if not k.startswith("_")}, state=state, edited=edited, **advice)


def _published_line(facts: Mapping[str, Any], record: AdviceRecord, decision: Mapping[str, Any] | None) -> ParcelLine:
    facts = {**facts, "last_clear_date": record.last_clear_date or facts["last_clear_date"]}
    said: dict[str, Any] = (
        {"decision_reason": decision.get("reason"), "reviewer": decision.get("reviewer")} if decision else {}
    )
    shared = {
        "confidence": record.confidence,
        "confidence_label": record.confidence_label,
        "escalation": record.escalation,
        **said,
    }
    if decision and decision["decision"] == "reject":
        return _line(facts, state="rejected", escalation=record.escalation, **said)
    reasons = tuple(reason.message for reason in sorted(record.reasons, key=lambda r: -r.weight))
    if decision and decision["decision"] == "edit":
        return _line(
            facts, edited=True, reasons=reasons, **_edited(facts, record, float(decision["amount_mm"])), **shared
        )
    amounts = (
        "amount_mm",
        "amount_low_mm",
        "amount_high_mm",
        "gross_mm",
        "volume_m3",
        "hours",
        "window_start",
        "window_end",
    )
    advised: dict[str, Any] = {name: getattr(record, name) for name in amounts} if record.action == "irrigate" else {}
    return _line(
        facts, state=record.action, message=record.message, reasons=reasons, **advised, **shared,
        counterfactual=record.counterfactual.message if record.counterfactual else None,
    )  # fmt: skip


def _edited(facts: Mapping[str, Any], record: AdviceRecord, amount_mm: float) -> dict[str, Any]:
    """Amounts that follow from a depth set by a person; the model's own interval no longer belongs to it."""
    if amount_mm <= 0:
        return {"state": "hold"}
    efficiency = facts["_efficiency_frac"]
    if record.amount_mm and record.gross_mm:
        efficiency = record.amount_mm / record.gross_mm
    if np.isnan(efficiency):
        raise ContractError(
            "no irrigation efficiency to turn the edited depth into a volume", where=f"advice {record.advice_id}"
        )
    gross = amount_mm / efficiency
    volume = gross * 10 * facts["area_ha"]
    flow = facts["_flow_m3_h"]
    if record.hours and record.volume_m3:
        flow = record.volume_m3 / record.hours
    return {
        "state": "irrigate", "amount_mm": amount_mm, "gross_mm": gross, "volume_m3": volume,
        "hours": volume / flow if flow > 0 else None, "window_start": record.window_start, "window_end": record.window_end,
    }  # fmt: skip


def _curves(run: RunFolder, lines: Sequence[ParcelLine], issued_on: date) -> tuple[Curve, ...]:
    """NDVI curves of the first parcels of the table, of as many crops as there are."""
    if not run.has("series"):
        return ()
    day = pd.Timestamp(issued_on)
    series = run.read("series")
    series = series[(series["index"] == "ndvi") & (series["date"] <= day) & series["value"].notna()].sort_values("date")
    start = max(series["date"].min(), day - pd.Timedelta(days=300)) if len(series) else day
    season = series[series["date"] >= start]
    by_parcel = dict(list(season.groupby("parcel_uid")))
    crops = {line.parcel_uid: line.crop for line in lines}
    seen = [line for line in lines if len(by_parcel.get(line.parcel_uid, ())) > 1]
    first_of_crop = list({line.crop: line for line in reversed(seen)}.values())
    chosen = sorted(first_of_crop, key=seen.index)[:_CURVES]
    chosen += [line for line in seen if line not in chosen][: _CURVES - len(chosen)]
    curves = []
    for line in chosen:
        others = season[season["parcel_uid"].map(crops).eq(line.crop) & season["parcel_uid"].ne(line.parcel_uid)]
        count = int(others["parcel_uid"].nunique())
        median = others.groupby("date")["value"].median().reset_index() if count >= MIN_NEIGHBOURS else None
        before = series[(series["parcel_uid"] == line.parcel_uid)].assign(
            date=lambda t: t["date"] + pd.DateOffset(years=1)
        )
        before = before[(before["date"] >= start) & (before["date"] <= day)][["date", "value"]]
        curves.append(
            Curve(
                line.parcel_uid,
                line.name,
                line.crop,
                by_parcel[line.parcel_uid][["date", "value", "flag"]],
                before if len(before) > 1 else None,
                median,
                count,
            )
        )
    return tuple(curves)


def _yields(run: RunFolder, parcels: pd.DataFrame) -> tuple[YieldGroup, ...]:
    if not run.has("yield"):
        return ()
    table = run.read("yield").merge(parcels[["parcel_uid", "metrics:area"]], on="parcel_uid", how="inner")
    groups = []
    grouped: Any = table.groupby(["crop", "season"])
    for (crop, season), rows in grouped:
        given = rows[rows["yield_t_ha"].notna()]
        compared = given[given["mean_t_ha"].notna()]
        groups.append(
            YieldGroup(
                crop=str(crop),
                season=int(season),
                parcels=len(given),
                abstained=len(rows) - len(given),
                yield_t_ha=_weighted(given, "yield_t_ha"),
                low_t_ha=float(given["low_t_ha"].median()),
                high_t_ha=float(given["high_t_ha"].median()),
                level_frac=float(rows["level_frac"].iloc[0]),
                mean_t_ha=_weighted(compared, "mean_t_ha"),
                labels=tuple(sorted(rows["label"].unique())),
                models=tuple(sorted(rows["model"].unique())),
            )
        )
    return tuple(groups)


def _weighted(rows: pd.DataFrame, column: str) -> float:
    return float(np.average(rows[column], weights=rows["metrics:area"])) if len(rows) else float("nan")


def _follow_up(
    run: RunFolder, parcels: pd.DataFrame, lines: Sequence[ParcelLine], previous: Sequence[Mapping[str, Any]] | None,
    previous_on: date | None, confirmed: bool, issued_on: date,
) -> FollowUp | None:  # fmt: skip
    if previous is None or previous_on is None:
        return None
    try:
        events = run.read("irrigation")
    except NoDataError:
        return None
    events = events[
        (events["date"] > pd.Timestamp(previous_on))
        & (events["date"] <= pd.Timestamp(issued_on))
        & (events["source"] == "reported")
    ]
    area_ha = parcels.set_index("parcel_uid")["metrics:area"] / 1e4
    given_m3 = (
        (events["depth_mm"] * 10 * events["parcel_uid"].map(area_ha)).groupby(events["parcel_uid"]).sum().dropna()
    )
    advised = {item["parcel_uid"]: item for item in previous if item["state"] == "irrigate"}
    held = {item["parcel_uid"] for item in previous if item["state"] == "hold"}
    done = given_m3[given_m3.index.isin(list(advised)) & (given_m3 > 0)]
    anyway = given_m3[given_m3.index.isin(list(held)) & (given_m3 > 0)]
    return FollowUp(
        issued_on=previous_on,
        confirmed=confirmed,
        advised_parcels=len(advised),
        advised_m3=float(sum(item["volume_m3"] or 0.0 for item in advised.values())),
        reported_parcels=len(done),
        reported_m3=float(done.sum()),
        hold_parcels=len(held),
        irrigated_anyway_parcels=len(anyway),
        irrigated_anyway_m3=float(anyway.sum()),
        new_to_irrigate=sum(line.state == "irrigate" and line.parcel_uid not in advised for line in lines),
    )
