"""A made-up run that keeps every contract, for looking at pages without running the pipeline."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely.geometry import MultiPolygon, Polygon

from agro.schema.advice import AdviceRecord, Counterfactual, Evidence, Message, Reason
from agro.schema.provenance import Provenance
from agro.store.workspace import RunFolder, Workspace

ISSUED = date(2019, 4, 15)
SEASON_START = date(2018, 9, 1)
REGION = "haouz-test"
CROPS = ("wheat", "olive", "citrus", "sugar_beet", "alfalfa", "maize")
SYSTEMS = ("drip", "drip", "sprinkler", "surface", "sprinkler", "rainfed")
ACTIONS = ("irrigate", "hold", "irrigate", "hold", "inspect", "hold", "irrigate", "abstain")
HOSTILE = "<script>alert(1)</script>"


def make_workspace(root: Path, count: int = 30, days: tuple[date, ...] = (date(2019, 4, 8), ISSUED)) -> Path:
    """Write a workspace with one region and a run for each of `days`."""
    store = Workspace(root).region(REGION)
    store.path.mkdir(parents=True, exist_ok=True)
    store.write_description(
        {
            "name": {"en": "Haouz test plain", "fr": "Plaine d'essai du Haouz", "ar": "سهل الحوز التجريبي"},
            "simulated": True, "crops": {"wheat": {"en": "Wheat of the Haouz", "fr": "Blé du Haouz", "ar": "قمح الحوز"}}, "latitude": 31.66, "longitude": -7.75, "languages": ["fr", "ar", "en"],
        }
    )  # fmt: skip
    parcels = make_parcels(count)
    for day in days:
        write_run(store.run(day), parcels, day)
    return root


def _provenance(name: str, day: date) -> Provenance:
    return Provenance(artefact=name, code_version="test", created_at=datetime(day.year, day.month, day.day, tzinfo=UTC))


def make_parcels(count: int) -> gpd.GeoDataFrame:
    """Fields of uneven size on a loose grid; one in two parts, one without a name, one with markup for a name."""
    rng = np.random.default_rng(11)
    columns = math.ceil(math.sqrt(count * 1.3))
    shapes, rows = [], []
    for i in range(count):
        x, y = 597_000 + 290 * (i % columns) + rng.uniform(-10, 10), 3_503_000 + 250 * (i // columns)
        w, h = rng.uniform(150, 270), rng.uniform(120, 230)
        shape: Any = Polygon(
            [(x, y), (x + w, y + rng.uniform(-12, 12)), (x + w - rng.uniform(0, 30), y + h), (x + 8, y + h)]
        )
        if i == 4:
            shape = MultiPolygon([shape, Polygon([(x, y + h + 4), (x + 60, y + h + 4), (x + 20, y + h + 16)])])
        shapes.append(shape)
        names = {1: None, 2: HOSTILE, 3: "حقل الزيتون الكبير"}
        rows.append(
            {
                "parcel_uid": f"p{i + 1:03d}", "name": names.get(i, f"Parcelle {i + 1}"), "metrics:area": shape.area,
                "agro:crop": CROPS[i % 6], "agro:sowing_date": pd.Timestamp("2018-11-25") if i % 6 == 0 else pd.NaT,
                "agro:irrigation": SYSTEMS[i % 6], "agro:flow_m3_h": np.nan if i % 6 == 5 else 25.0 + i,
                "agro:efficiency_frac": np.nan, "agro:cooperative": "A" if i % 2 else "B", "agro:sector": "S1",
                "agro:owner_ref": f"o{i}", "agro:geometry_digest": f"{i:016x}", "agro:repaired": None,
            }
        )  # fmt: skip
    return gpd.GeoDataFrame(pd.DataFrame(rows), geometry=shapes, crs="EPSG:32629").to_crs("EPSG:4326")


def write_run(run: RunFolder, parcels: gpd.GeoDataFrame, day: date) -> None:
    """Write the tables and the advice of one issue date."""
    rng = np.random.default_rng(day.toordinal())
    uids = list(parcels["parcel_uid"])
    images = [d.date() for d in pd.date_range(SEASON_START + timedelta(days=3), day - timedelta(days=2), freq="5D")]
    clear = {d: bool(rng.random() > 0.35) for d in images}
    tables = {
        "parcels": parcels,
        "scenes": _scenes(clear),
        "observations": _observations(uids, clear, rng),
        "series": _series(uids, [d for d, ok in clear.items() if ok], day),
        "water": _water(uids, day, rng),
        "yield": _yield(parcels, day),
    }
    need = _need(parcels, tables["water"], day)
    tables["need"] = need
    for name, table in tables.items():
        run.write(name, table, _provenance(name, day))
    last = max(d for d, ok in clear.items() if ok)
    records = [
        _record(i, row, need.iloc[i].to_dict(), day, last) for i, row in enumerate(parcels.drop(columns="geometry").to_dict("records"))
    ]  # fmt: skip
    run.write_advice(records[:-1])  # the last field has no advice
    run.write_report({"status": "partly"})


def _truth(i: int, days: pd.DatetimeIndex, index: str) -> np.ndarray:
    season = (days - pd.Timestamp("2018-11-25")).days.to_numpy() / 120.0
    peak = 0.72 - 0.035 * (i % 8)
    shape = (
        0.16 + peak * np.exp(-(((season - 1.0) / 0.5) ** 2))
        if i % 6 in (0, 3, 5)
        else 0.35 + 0.1 * np.sin(season) + 0.03 * (i % 5)
    )
    return shape * {"ndvi": 1.0, "evi2": 0.8, "ndmi": 0.5}[index]


def _scenes(clear: dict[date, bool]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scene_id": [f"S2_{d:%Y%m%d}" for d in clear], "date": [pd.Timestamp(d) for d in clear], "provider": "local",
            "processing_baseline": "05.00", "offset_state": "applied", "relative_orbit": 37,
            "clear_frac": [0.9 if ok else 0.1 for ok in clear.values()], "used": list(clear.values()),
            "reason": [None if ok else "cloudy" for ok in clear.values()],
        }
    )  # fmt: skip


def _observations(uids: list[str], clear: dict[date, bool], rng: np.random.Generator) -> pd.DataFrame:
    days, parts = pd.DatetimeIndex(list(clear)), []
    good = np.array(list(clear.values()))
    for i, uid in enumerate(uids):
        if i == 7:
            continue  # never seen
        for index in ("ndvi", "evi2", "ndmi"):
            mean = (
                _truth(i, days, index)
                + rng.normal(0, 0.015, len(days))
                - np.where(good, 0, rng.uniform(0.05, 0.3, len(days)))
            )
            parts.append(
                pd.DataFrame(
                    {
                        "parcel_uid": uid, "date": days, "index": index, "source": "local", "mean": mean, "median": mean,
                        "p10": mean - 0.05, "p90": mean + 0.05, "sd": 0.03, "pixels_effective": np.where(good, 180.0, 30.0),
                        "valid_frac": np.where(good, 0.97, 0.2), "buffer_m": 5.0, "scene_ids": [f"S2_{d:%Y%m%d}" for d in days],
                        "usable": good, "reason": [None if ok else "cloudy" for ok in good],
                    }
                )
            )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _series(uids: list[str], looks: list[date], day: date) -> pd.DataFrame:
    days, parts = pd.date_range(SEASON_START, day), []
    seen = np.isin(days, pd.DatetimeIndex(looks))
    last_seen = pd.Series(np.where(seen, np.arange(len(days)), np.nan)).ffill()
    age = pd.Series(np.arange(len(days)) - last_seen).astype("Int64")
    flag = np.where(seen, "observed", np.where(days > pd.Timestamp(looks[-1]), "extrapolated", "interpolated"))
    for i, uid in enumerate(uids):
        if i == 7:
            continue
        parts += [
            pd.DataFrame(
                {
                    "parcel_uid": uid, "date": days, "index": index, "value": _truth(i, days, index),
                    "sd": 0.012 + 0.002 * age.fillna(20).astype(float), "flag": flag, "clear_age_d": age + (i % 4) * 3,
                }
            )
            for index in ("ndvi", "evi2", "ndmi")
        ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def _water(uids: list[str], day: date, rng: np.random.Generator) -> pd.DataFrame:
    past = pd.date_range(SEASON_START, day)
    ahead = pd.date_range(day + timedelta(days=1), periods=7)
    wet = np.where(rng.random(len(past)) > 0.9, rng.gamma(2.0, 6.0, len(past)), 0.0)
    et0 = 3.2 + 2.2 * np.sin((past.day_of_year.to_numpy() - 100) / 58)
    rows = []
    for i, uid in enumerate(uids):
        taw = 90.0 + 8 * (i % 9)
        raw, dr = 0.55 * taw, 0.3 * taw
        kcb = np.clip(0.2 + 1.1 * (_truth(i, past, "ndvi") - 0.14), 0.15, 1.1)
        for n, when in enumerate(past):
            gift = 30.0 if dr > raw * (1.25 if i % 3 == 0 else 0.9) and i % 6 != 5 and n < len(past) - 12 else 0.0
            ks = float(np.clip((taw - dr) / (taw - raw), 0, 1))
            eta = (ks * kcb[n] + 0.1) * et0[n]
            spent = dr - wet[n] - gift + eta
            dr = float(np.clip(spent, 0, taw))
            rows.append(
                (
                    uid,
                    when,
                    -1,
                    False,
                    dr,
                    4 + 0.04 * n,
                    taw,
                    raw,
                    kcb[n],
                    ks,
                    et0[n],
                    eta,
                    wet[n],
                    gift,
                    max(0.0, -spent),
                )
            )
        for member in range(6):
            level = dr
            for when in ahead:
                rain = float(rng.gamma(0.3, 5.0)) * (rng.random() > 0.6)
                eta = 4.2 * float(kcb[-1]) * (1 - 0.4 * max(0.0, level - raw) / taw)
                level = float(np.clip(level - rain + eta, 0, taw))
                rows.append((uid, when, member, True, level, np.nan, taw, raw, kcb[-1], 0.9, 4.2, eta, rain, 0.0, 0.0))
    columns = ["parcel_uid", "date", "member", "is_forecast", "dr_mm", "dr_sd_mm", "taw_mm", "raw_mm", "kcb", "ks", "et0_mm", "eta_mm", "rain_mm", "irrigation_mm", "drainage_mm"]  # fmt: skip
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(
        kcb_source="ndvi", ke=0.1, fc_frac=0.6, zr_m=1.0, runoff_mm=0.0, root_growth_mm=0.0,
        irrigation_source=np.where(table["irrigation_mm"] > 0, "reported", None),
    )  # fmt: skip


def _need(parcels: gpd.GeoDataFrame, water: pd.DataFrame, day: date) -> pd.DataFrame:
    now = (
        water[(water["date"] == pd.Timestamp(day)) & (water["member"] == -1)]
        .set_index("parcel_uid")
        .loc[list(parcels["parcel_uid"])]
    )
    gross = now["dr_mm"] / 0.8
    volume = 10 * gross.to_numpy() * parcels["metrics:area"].to_numpy() / 1e4
    return pd.DataFrame(
        {
            "parcel_uid": list(parcels["parcel_uid"]), "as_of": pd.Timestamp(day), "dr_mm": now["dr_mm"].to_numpy(),
            "taw_mm": now["taw_mm"].to_numpy(), "raw_mm": now["raw_mm"].to_numpy(), "dr_low_mm": 0.8 * now["dr_mm"].to_numpy(),
            "dr_high_mm": 1.2 * now["dr_mm"].to_numpy(), "trigger_date": pd.Timestamp(day + timedelta(days=2)),
            "trigger_prob_frac": 0.8, "forecast_rain_mm": 3.0, "forecast_et0_mm": 29.4, "net_mm": now["dr_mm"].to_numpy(),
            "net_low_mm": 0.8 * now["dr_mm"].to_numpy(), "net_high_mm": 1.2 * now["dr_mm"].to_numpy(), "gross_mm": gross.to_numpy(),
            "volume_m3": volume, "hours": volume / parcels["agro:flow_m3_h"].to_numpy(), "efficiency_frac": 0.8,
            "efficiency_source": "table", "stress_days": 1.0, "last_irrigation_date": pd.Timestamp(day - timedelta(days=15)),
            "irrigation_reported": True, "soil_source": "survey", "weather_source": "station", "kcb_source": "ndvi",
        }
    )  # fmt: skip


def _yield(parcels: gpd.GeoDataFrame, day: date) -> pd.DataFrame:
    typical = {"wheat": 5.2, "sugar_beet": 68.0}
    known = parcels["agro:crop"].map(typical)
    return pd.DataFrame(
        {
            "parcel_uid": list(parcels["parcel_uid"]), "crop": list(parcels["agro:crop"]), "season": day.year, "as_of": pd.Timestamp(day),
            "yield_t_ha": known.to_numpy(), "low_t_ha": (0.8 * known).to_numpy(), "high_t_ha": (1.2 * known).to_numpy(), "level_frac": 0.8,
            "mean_t_ha": (0.95 * known).to_numpy(), "model": "ridge", "label": "trained_on_simulated",
            "abstain_reason": [None if crop in typical else "no_training_seasons" for crop in parcels["agro:crop"]],
        }
    )  # fmt: skip


def _record(i: int, row: dict[str, Any], need: dict[str, Any], day: date, last_clear: date) -> AdviceRecord:
    action = "hold" if row["agro:irrigation"] == "rainfed" else ACTIONS[i % len(ACTIONS)]
    start, end = day + timedelta(days=1), day + timedelta(days=3)
    amounts: dict[str, Any] = {}
    if action == "irrigate":
        hours = None if math.isnan(need["hours"]) else need["hours"]
        amounts = {
            "amount_mm": need["net_mm"], "amount_low_mm": need["net_low_mm"], "amount_high_mm": need["net_high_mm"],
            "gross_mm": need["gross_mm"], "volume_m3": need["volume_m3"], "hours": hours, "window_start": start, "window_end": end,
        }  # fmt: skip
    said = {
        key: value
        for key, value in amounts.items()
        if key in ("amount_mm", "volume_m3", "hours", "window_start", "window_end")
    }
    said = {
        key: value.isoformat() if isinstance(value, date) else value for key, value in said.items() if value is not None
    }
    message = {
        "irrigate": Message(key="advice.irrigate_hours" if "hours" in said else "advice.irrigate", params=said),
        "hold": Message(key="advice.hold", params={"days": 4}),
        "inspect": Message(key="advice.inspect", params={"what": "inspect.behind_neighbours"}),
        "abstain": Message(key="advice.abstain", params={"why": "abstain.clear_look", "days": 23}),
    }[action]
    escalated = i % 7 == 2
    return AdviceRecord(
        advice_id=f"adv-{day:%Y%m%d}-{i + 1:03d}", region_id=REGION, parcel_uid=row["parcel_uid"], crop=row["agro:crop"], issued_on=day,
        action=action, **amounts, confidence=0.3 + 0.06 * (i % 11), confidence_label=("low", "medium", "high")[(i % 11) // 4],
        confidence_drivers=(Message(key="confidence.clear_age", params={"days": 6}), Message(key="confidence.soil_source", params={"source": "survey"})),
        reasons=(
            Reason(message=Message(key="reason.depletion_above_raw", params={"dr_mm": need["dr_mm"], "raw_mm": need["raw_mm"]}), direction="for", weight=0.9),
            Reason(message=Message(key="reason.no_rain_expected", params={"days": 7}), direction="for", weight=0.45),
            Reason(message=Message(key="reason.canopy_behind_neighbours", params={"value": 0.41, "median": 0.63, "count": 6}), direction="against", weight=0.25),
        ),
        evidence=(
            Evidence(name="evidence.depletion", value=need["dr_mm"], unit="mm", date=day, source="water_balance", threshold=need["raw_mm"]),
            Evidence(name="evidence.taw", value=need["taw_mm"], unit="mm", date=day, source="survey"),
            Evidence(name="evidence.ndvi", value=0.61, unit="1", date=last_clear, source="sentinel-2-l2a"),
            Evidence(name="evidence.rain_outlook", value=3.0, unit="mm", date=end, source="forecast"),
            Evidence(name="evidence.trigger_prob", value=0.8, unit="frac", date=day, source="forecast"),
            Evidence(name="evidence.last_irrigation", value=(day - timedelta(days=12)).isoformat(), unit="", date=day - timedelta(days=12), source="reported"),
            Evidence(name="evidence.soil", value="survey", unit="", date=None, source="survey"),
        ),
        counterfactual=Counterfactual(
            message=Message(key="counterfactual.rain", params={"rain_mm": 14.0, "date": end.isoformat()}), variable="forecast_rain_mm",
            value=3.0, changed_to=14.0, unit="mm", flips_to="hold", verified=True,
        ) if action == "irrigate" else None,
        rule_ids=("irrigate.depletion", "rain.wait"), escalated=escalated, message=message,
        escalation=(Message(key="escalate.default_soil"), Message(key="escalate.interval_wide", params={"width_mm": 61.0, "raw_mm": 48.5})) if escalated else (),
        last_clear_date=None if i == 7 else last_clear, simulated=True,
    )  # fmt: skip


if __name__ == "__main__":
    import sys

    make_workspace(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 60)
