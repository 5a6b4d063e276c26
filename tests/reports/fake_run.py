"""A whole fake run of twelve fields, or of more, with names that try to break out of every format."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import MultiPolygon, Polygon

from agro.schema.advice import AdviceRecord, Counterfactual, Evidence, Message, Reason
from agro.schema.provenance import Provenance
from agro.store.workspace import RegionStore, RunFolder

ISSUED = date(2019, 5, 20)
HOSTILE_NAMES = [
    "<script>alert(1)</script>", "#eval(\"1+1\")", "=1+1", "Parcelle de la famille au nom si long qu'il ne tient sur aucune ligne du tableau " * 2,
    "حقل الزيتون الكبير", "$\\frac{1}{0}$ & 5 % #set text(red)", "{{ 7*7 }}{% for %}", "a\u202egnirts\u202c\x00\n*b* _c_ `d` \\ @e", "'; DROP TABLE parcels;--",
    "قطعة (رقم 7) <b>", "Douar 12/7 – bloc \"A\"", "]#import \"/etc/passwd\"[",
]  # fmt: skip
CROPS = ["wheat", "olive", "citrus", "sugar_beet", "alfalfa", "wheat"]
SYSTEMS = ["drip", "sprinkler", "surface", "drip", "sprinkler", "rainfed"]


class World(NamedTuple):
    store: RegionStore
    run: RunFolder
    published: list[tuple[AdviceRecord, dict[str, Any] | None]]
    awaiting: list[AdviceRecord]


def provenance(artefact: str) -> Provenance:
    return Provenance(artefact=artefact, code_version="0.1.0+test", created_at=datetime(2019, 5, 20, 6, tzinfo=UTC))


def make_parcels(count: int) -> gpd.GeoDataFrame:
    rng = np.random.default_rng(7)
    columns = math.ceil(math.sqrt(count * 1.5))
    shapes, rows = [], []
    for i in range(count):
        x, y = 600000 + 230 * (i % columns), 3500000 + 210 * (i // columns)
        w, h = rng.uniform(90, 215), rng.uniform(80, 195)
        shape: Any = Polygon([(x, y), (x + w, y + rng.uniform(-8, 8)), (x + w, y + h), (x + rng.uniform(0, 20), y + h)])
        if i == 4:
            shape = MultiPolygon([shape, Polygon([(x, y + h + 5), (x + 40, y + h + 5), (x + 20, y + h + 14)])])
        shapes.append(shape)
        name: str | None = HOSTILE_NAMES[i] if i < len(HOSTILE_NAMES) else f"Parcelle {i + 1}"
        rows.append(
            {
                "parcel_uid": f"p{i:03d}", "name": None if i == 13 else name, "metrics:area": shape.area, "agro:crop": CROPS[i % 6],
                "agro:sowing_date": pd.Timestamp("2018-11-25") if i % 6 in (0, 5) else pd.NaT, "agro:irrigation": SYSTEMS[i % 6],
                "agro:flow_m3_h": np.nan if i % 5 == 2 else 24.0 + i, "agro:efficiency_frac": np.nan, "agro:cooperative": "Coopérative <i>A</i>",
                "agro:sector": "S1", "agro:owner_ref": f"o{i}", "agro:geometry_digest": f"{i:016x}", "agro:repaired": None,
            }
        )  # fmt: skip
    return gpd.GeoDataFrame(pd.DataFrame(rows), geometry=shapes, crs="EPSG:32629").to_crs("EPSG:4326")


def _series(uids: list[str], rng: np.random.Generator) -> pd.DataFrame:
    parts = []
    days = pd.date_range("2018-03-01", ISSUED)
    season = np.clip((days - pd.Timestamp("2018-11-25")).days.to_numpy() / 180.0, -1.6, 1.1)
    for i, uid in enumerate(uids):
        if i == 10:
            continue  # never seen
        value = (
            0.17
            + (0.72 - 0.03 * (i % 7)) * np.exp(-(((season - 0.72) / 0.33) ** 2))
            + 0.25 * np.exp(-(((season + 1.25) / 0.3) ** 2))
        )
        value = np.clip(value + rng.normal(0, 0.004, len(days)), 0, 0.95)
        age = np.arange(len(days))[::-1] % 9 if i != 3 else np.arange(len(days)) % 60
        part = pd.DataFrame({"date": days, "value": value, "sd": 0.02, "clear_age_d": age})
        part["flag"] = np.where(part["clear_age_d"] == 0, "observed", "interpolated")
        part["parcel_uid"], part["index"] = uid, "ndvi"
        parts.append(part if i % 3 else part[part["date"] >= "2018-09-01"])
    return pd.concat(parts, ignore_index=True)


def _weather(rng: np.random.Generator, members: int) -> pd.DataFrame:
    rows = []
    for d in pd.date_range("2018-09-01", ISSUED):
        rain = float(rng.choice([0, 0, 0, 0, 3.2, 11.5]))
        rows.append(
            (
                d,
                d,
                False,
                -1,
                rain,
                3.0 + 2.4 * math.sin((d.day_of_year - 80) / 58),
                "station" if d.day != 17 else "climatology",
            )
        )
    rows.extend(
        (d, pd.Timestamp(ISSUED), True, m, float(rng.gamma(0.3, 4.0)), float(rng.normal(5.4, 0.5)), "forecast")
        for d in pd.date_range(ISSUED + timedelta(days=1), periods=7)
        for m in range(members)
    )
    table = pd.DataFrame(rows, columns=["date", "issued_at", "is_forecast", "member", "rain_mm", "et0_mm", "source"])
    return table.assign(
        site_id="s", tmin_c=9.0, tmax_c=26.0, rh_mean_pct=55.0, u2_m_s=2.0, rs_mj_m2=22.0, estimated=None
    ).assign(estimated=lambda t: np.where(t["date"].dt.day == 12, "rs_mj_m2,u2_m_s", None))


def _record(i: int, row: dict[str, Any], need: dict[str, Any]) -> AdviceRecord:
    kind = ["irrigate", "hold", "irrigate", "abstain", "inspect", "hold_rainfed"][i % 6]
    area_ha = row["metrics:area"] / 1e4
    action = "hold" if kind == "hold_rainfed" else kind
    amounts: dict[str, Any] = {}
    start, end = ISSUED + timedelta(days=1), ISSUED + timedelta(days=1 + i % 4)
    if action == "irrigate":
        amounts = {
            "amount_mm": need["net_mm"], "amount_low_mm": need["net_low_mm"], "amount_high_mm": need["net_high_mm"], "gross_mm": need["gross_mm"],
            "volume_m3": need["gross_mm"] * 10 * area_ha, "hours": None if math.isnan(row["agro:flow_m3_h"]) else need["gross_mm"] * 10 * area_ha / row["agro:flow_m3_h"],
            "window_start": start, "window_end": end,
        }  # fmt: skip
    messages = {
        "irrigate": Message(key="advice.irrigate_hours" if amounts.get("hours") else "advice.irrigate", params={k: v for k, v in amounts.items() if v is not None}),
        "hold": Message(key="advice.hold", params={"days": 1 + i % 7}),
        "hold_rainfed": Message(key="advice.hold_rainfed"),
        "inspect": Message(key="advice.inspect", params={"what": "inspect.behind_neighbours"}),
        "abstain": Message(key="advice.abstain", params={"why": "abstain.clear_look", "days": 23}),
    }  # fmt: skip
    reasons = [
        Reason(message=Message(key="reason.depletion_above_raw", params={"dr_mm": need["dr_mm"], "raw_mm": need["raw_mm"]}), direction="for", weight=0.9),
        Reason(message=Message(key="reason.no_rain_expected", params={"days": 7}), direction="for", weight=0.5),
        Reason(message=Message(key="reason.canopy_behind_neighbours", params={"value": 0.41, "median": 0.63, "count": 6}), direction="against", weight=0.2),
    ]  # fmt: skip
    escalated = i % 6 == 2 and i % 12 == 2
    return AdviceRecord(
        advice_id=f"a{i}", region_id="haouz", parcel_uid=row["parcel_uid"], crop=row["agro:crop"], issued_on=ISSUED, action=action, **amounts,
        confidence=0.35 + 0.05 * (i % 12), confidence_label=["low", "medium", "high"][i % 3], reasons=tuple(reasons),
        evidence=(Evidence(name="evidence.depletion", value=need["dr_mm"], unit="mm", date=ISSUED, source="water"),), rule_ids=("r1",),
        escalated=escalated, message=messages[kind], last_clear_date=ISSUED - timedelta(days=3 + i % 9) if i != 10 else None,
        escalation=(Message(key="escalate.default_soil"), Message(key="escalate.interval_wide", params={"width_mm": 61.0, "raw_mm": 48.5})) if escalated else (),
        counterfactual=Counterfactual(
            message=Message(key="counterfactual.rain", params={"rain_mm": 12.0, "date": end.isoformat()}), variable="forecast_rain_mm",
            value=0.0, changed_to=12.0, unit="mm", flips_to="hold", verified=True,
        ) if action == "irrigate" else None,
        simulated=True,
    )  # fmt: skip


def make_world(folder: Path, count: int = 12, issued_on: date = ISSUED, members: int = 20, **description: Any) -> World:
    rng = np.random.default_rng(1)
    store = RegionStore(folder / "haouz")
    store.write_description(
        {
            "name": {"en": "Haouz plain", "fr": "Plaine du Haouz", "ar": "سهل الحوز"},
            "simulated": True,
            "contact": "conseil@example.org",
            **description,
        }
    )
    run = store.run(issued_on)
    parcels = make_parcels(count)
    uids = list(parcels["parcel_uid"])
    dr = np.linspace(96, 8, count)
    need = pd.DataFrame(
        {
            "parcel_uid": uids, "as_of": pd.Timestamp(issued_on), "dr_mm": dr, "taw_mm": 130.0, "raw_mm": 65.0, "dr_low_mm": dr * 0.8,
            "dr_high_mm": dr * 1.2, "trigger_date": pd.Timestamp(issued_on), "trigger_prob_frac": 0.8, "forecast_rain_mm": 2.0,
            "forecast_et0_mm": 38.0, "net_mm": dr * 0.5, "net_low_mm": dr * 0.4, "net_high_mm": dr * 0.65, "gross_mm": dr * 0.5 / 0.9,
            "volume_m3": dr * 5, "hours": 3.0, "efficiency_frac": 0.9, "efficiency_source": "table", "stress_days": np.arange(count) % 5.0,
            "last_irrigation_date": pd.NaT, "irrigation_reported": [i % 4 != 0 for i in range(count)], "soil_source": ["survey", "texture_default"] * (count // 2),
            "weather_source": "station", "kcb_source": "ndvi",
        }
    )  # fmt: skip
    days = pd.date_range(issued_on - timedelta(days=20), issued_on)
    water = pd.concat(
        pd.DataFrame(
            {
                "parcel_uid": uid, "date": days, "member": -1, "is_forecast": False, "dr_mm": np.linspace(5, dr[i], len(days)), "dr_sd_mm": 4.0,
                "taw_mm": 130.0, "raw_mm": 65.0, "kcb": 0.9, "kcb_source": "ndvi", "ke": 0.1, "ks": 1.0, "fc_frac": 0.8, "zr_m": 1.0, "et0_mm": 5.0,
                "eta_mm": 4.6, "rain_mm": 0.4, "runoff_mm": 0.0, "irrigation_mm": 12.0 * (days.day == 16), "irrigation_source": None, "drainage_mm": 0.0, "root_growth_mm": 0.0,
            }
        )
        for i, uid in enumerate(uids) if i != 11
    )  # fmt: skip
    observed = pd.DataFrame(
        {
            "parcel_uid": uids, "date": pd.Timestamp(issued_on) - pd.Timedelta(days=4), "index": "ndvi", "source": "sentinel-2-l2a", "mean": 0.6,
            "median": 0.6, "p10": 0.5, "p90": 0.7, "sd": 0.05, "pixels_effective": 80.0, "valid_frac": 0.98, "buffer_m": 5.0, "scene_ids": "x",
            "usable": [i not in (3, 10) for i in range(count)], "reason": None,
        }
    )  # fmt: skip
    scene_days = pd.date_range(issued_on - timedelta(days=34), issued_on - timedelta(days=1), freq="5D")
    scenes = pd.DataFrame(
        {
            "scene_id": [f"S2_{d:%Y%m%d}" for d in scene_days], "date": scene_days, "provider": "stac_folder", "processing_baseline": "05.00",
            "offset_state": "applied", "relative_orbit": 94, "clear_frac": np.linspace(0.2, 1, len(scene_days)),
            "used": [i % 3 != 1 for i in range(len(scene_days))],
            "reason": [None if i % 3 != 1 else "the file <cut> is truncated" for i in range(len(scene_days))],
        }
    )  # fmt: skip
    irrigation = pd.DataFrame(
        {
            "parcel_uid": [uids[0], uids[1], uids[2]],
            "date": pd.Timestamp(issued_on) - pd.Timedelta(days=4),
            "depth_mm": [30.0, 22.0, 18.5],
            "source": "reported",
        }
    )
    phenology = pd.DataFrame(
        {
            "parcel_uid": uids, "index": "ndvi", "season": 0, "start_date": pd.Timestamp("2018-12-20"), "peak_date": pd.Timestamp("2019-04-04"),
            "end_date": pd.NaT, "start_value": 0.3, "peak_value": 0.8, "end_value": np.nan,
            "status": ["complete", "growing", "too_few_observations"] * (count // 3),
        }
    )  # fmt: skip
    forecast = pd.DataFrame(
        {
            "parcel_uid": uids, "crop": parcels["agro:crop"], "season": 2019, "as_of": pd.Timestamp(issued_on),
            "yield_t_ha": [np.nan if i == 10 else 4.2 + 0.1 * i for i in range(count)], "low_t_ha": [np.nan if i == 10 else 3.1 for i in range(count)],
            "high_t_ha": [np.nan if i == 10 else 6.2 for i in range(count)], "level_frac": 0.9, "mean_t_ha": [np.nan if i == 10 else 4.5 for i in range(count)],
            "model": "extra trees", "label": "trained_on_simulated", "abstain_reason": [None if i != 10 else "never_seen" for i in range(count)],
        }
    )  # fmt: skip
    rejected = pd.DataFrame(
        {
            "input": ["parcels", "weather"],
            "item": ["row <7>", "2019-05-11"],
            "reason": ["crosses itself", "rain below 0"],
            "remedy": "mend",
        }
    )
    tables = {
        "parcels": parcels, "need": need, "water": water, "series": _series(uids, rng), "weather": _weather(rng, members), "observations": observed,
        "scenes": scenes, "irrigation": irrigation, "phenology": phenology, "yield": forecast, "rejected": rejected,
    }  # fmt: skip
    for name, table in tables.items():
        run.write(name, table, provenance(name))
    rows = parcels.drop(columns="geometry").to_dict("records")
    records = [_record(i, row, need.iloc[i].to_dict()) for i, row in enumerate(rows) if i != 11]
    run.write_advice(records)
    decisions: dict[str, dict[str, Any]] = {
        "a6": {"decision": "edit", "amount_mm": 20.0, "reason": "Tour d'eau limité <b>", "reviewer": "agronome-1"},
        "a7": {"decision": "reject", "amount_mm": None, "reason": "#panic()", "reviewer": "agronome-1"},
        "a1": {"decision": "accept", "amount_mm": None, "reason": None, "reviewer": "agronome-1"},
    }
    published = [(r, decisions.get(r.advice_id)) for r in records if not r.escalated]
    return World(store, run, published, [r for r in records if r.escalated])
