"""Build the sample region: the same seed gives the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
from scipy import ndimage

from agro.schema.errors import ConfigError
from agro.schema.tables import TABLES
from pipelines.sample_region import growth, landscape, management, reflectance, scenes, weather
from pipelines.sample_region.landscape import CRS, SIZE_PX, Field, Land
from pipelines.sample_region.texts import README, REGION

SEED = 2022
START, END = "2021-09-01", "2022-07-31"
ZONES = 2
#: A search with a cloud filter would not have found cloudier scenes.
MAX_CLOUD_FRAC = 0.7
HISTORY = range(2016, 2022)
#: Parcels that the soil survey missed.
UNSURVEYED = 4
MADE = ("imagery", "weather", "soil", "irrigation", "history", "truth", "parcels.geojson", "region.yaml", "README.md")


def build_sample_region(out: Path, seed: int = SEED) -> None:
    """Write the sample region into a folder; what an earlier build left there is replaced.

    Raises
    ------
    ConfigError
        The folder holds something else, or AquaCrop is not installed.
    """
    foreign = [p.name for p in out.iterdir() if p.name not in MADE] if out.exists() else []
    if foreign:
        raise ConfigError(
            f"holds other things: {', '.join(sorted(foreign)[:5])}", where=str(out), do="Choose an empty folder"
        )
    for name in MADE:
        path = out / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for name in ("imagery", "weather", "soil", "irrigation", "history", "truth"):
        (out / name).mkdir(parents=True)
    streams = {
        name: np.random.default_rng([seed, number])
        for number, name in enumerate(
            ("land", "weather", "station", "forecast", "growers", "survey", "sky", "scenes", "history", "rain")
        )
    }
    land = landscape.make_land(streams["land"])
    days = pd.date_range(START, END)
    true = weather.true_weather(days, streams["weather"], wetness=0.75)
    _write_weather(out, true, streams)
    truth = _season(land, true, days, streams)
    _write_truth(out, land, truth)
    _write_survey(out, land, streams["survey"])
    _write_parcels(out, land, days)
    _write_scenes(out / "imagery", land, truth, days, streams)
    _write_history(out, land, streams["history"])
    (out / "region.yaml").write_text(REGION, encoding="utf-8")
    (out / "README.md").write_text(README, encoding="utf-8")


def _csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, date_format="%Y-%m-%d", lineterminator="\n")


def _write_weather(out: Path, true: pd.DataFrame, streams: dict[str, np.random.Generator]) -> None:
    _csv(weather.station(true, streams["station"]), out / "weather" / "station.csv")
    _csv(weather.forecasts(true, streams["forecast"]), out / "weather" / "forecast.csv")
    _csv(weather.NORMALS, out / "weather" / "climatology.csv")


class Truth:
    """What happened in one field: its zones' soil and season, and its irrigation."""

    def __init__(
        self, zones: list[tuple[float, float, growth.Season, np.ndarray]], gross: np.ndarray, told: pd.DataFrame
    ) -> None:
        self.zones, self.gross, self.told = zones, gross, told


def _season(
    land: Land, true: pd.DataFrame, days: pd.DatetimeIndex, streams: dict[str, np.random.Generator]
) -> list[Truth]:
    """Run every zone of every field with its own rain, irrigation and soil."""
    rng = streams["growers"]
    showers = ndimage.gaussian_filter1d(streams["rain"].standard_normal((len(days), len(land.fields))), 0.1, axis=0)
    found = []
    for number, field in enumerate(land.fields):
        local = true.assign(rain_mm=true["rain_mm"] * np.clip(1 + 0.18 * showers[:, number], 0.2, None))
        gross = management.true_irrigation(field, local, rng)
        told = management.reported(field, gross, days, rng)
        net = gross * management.EFFICIENCY[field.system]
        inside = land.pixel_field == number
        values = land.soil[inside] if inside.any() else np.zeros(1)
        middle = float(np.median(values))
        zones = []
        for part in range(ZONES):
            mask = inside & ((land.soil <= middle) if part == 0 else (land.soil > middle))
            level = float(land.soil[mask].mean()) if mask.any() else middle
            fc, wp = landscape.soil_limits(level)
            # A field is not watered evenly.
            share = 1.05 if part == 0 else 0.95
            zones.append(
                (
                    float(fc),
                    float(wp),
                    growth.grow(field.crop, float(fc), float(wp), local, net * share, field.sown_day),
                    mask,
                )
            )
        found.append(Truth(zones, gross, told))
    return found


def _mean(truth: Truth, column: str) -> np.ndarray:
    return np.mean([zone[2].daily[column].to_numpy() for zone in truth.zones], axis=0)


def _write_truth(out: Path, land: Land, truth: list[Truth]) -> None:
    water, irrigation, yields, told = [], [], [], []
    for field, true in zip(land.fields, truth, strict=True):
        days = true.zones[0][2].daily["date"]
        water.append(
            pd.DataFrame(
                {
                    "parcel_uid": field.uid, "date": days, "storage_0_1m_mm": _mean(true, "storage_mm").round(1), "depletion_mm": _mean(true, "depletion_mm").round(1),
                    "eta_mm": _mean(true, "eta_mm").round(2), "stress_frac": _mean(true, "stress_frac").round(3),
                }
            )
        )  # fmt: skip
        given = true.gross > 0
        irrigation.append(pd.DataFrame({"parcel_uid": field.uid, "date": days[given], "gross_mm": true.gross[given]}))
        told.append(true.told)
        yields.append(
            {
                "parcel_uid": field.uid,
                "crop": field.crop,
                "season": 2022,
                "yield_t_ha": round(float(np.mean([z[2].yield_t_ha for z in true.zones])), 2),
            }
        )
    pd.concat(water, ignore_index=True).to_parquet(
        out / "truth" / "soil_water.parquet", index=False, compression="zstd"
    )
    _csv(pd.concat(irrigation, ignore_index=True), out / "truth" / "irrigation.csv")
    _csv(pd.DataFrame(yields), out / "truth" / "yield.csv")
    _csv(
        pd.concat([t for t in told if len(t)], ignore_index=True).sort_values(["parcel_uid", "date"]),
        out / "irrigation" / "reported.csv",
    )


def _write_survey(out: Path, land: Land, rng: np.random.Generator) -> None:
    """A soil survey with error; some fields were not visited."""
    rows = []
    for number, field in enumerate(land.fields):
        if number in range(3, 3 + 7 * UNSURVEYED, 7):
            continue
        inside = land.pixel_field == number
        fc, wp = landscape.soil_limits(float(land.soil[inside].mean()) if inside.any() else 0.0)
        for layer, (top, bottom) in enumerate(((0.0, 0.4), (0.4, 1.5)), start=1):
            rows.append(
                {
                    "parcel_uid": field.uid, "layer": layer, "top_m": top, "bottom_m": bottom, "fc_m3_m3": round(float(fc) + rng.normal(0, 0.015), 3),
                    "wp_m3_m3": round(float(wp) + rng.normal(0, 0.01), 3), "fc_sd_m3_m3": 0.015, "wp_sd_m3_m3": 0.01, "stones_frac": 0.0, "source": "survey",
                }
            )  # fmt: skip
    _csv(pd.DataFrame(rows), out / "soil" / "soil.csv")


def _write_parcels(out: Path, land: Land, days: pd.DatetimeIndex) -> None:
    table = pd.DataFrame(
        [
            {
                "parcel_uid": f.uid, "name": f"{f.sector}-{n:02d}", "crop": f.crop, "sowing_date": None if f.sown_day is None else f"{days[f.sown_day]:%Y-%m-%d}",
                "irrigation": f.system, "flow_m3_h": f.flow_m3_h or None, "cooperative": f.cooperative, "sector": f.sector, "owner_ref": f.owner_ref,
                "metrics:area": round(f.outline.area, 1),
            }
            for n, f in enumerate(land.fields, start=1)
        ]
    )  # fmt: skip
    shapes = gpd.GeoSeries([f.outline for f in land.fields], crs=CRS).to_crs("EPSG:4326")
    features = [
        {
            "type": "Feature", "id": row["parcel_uid"], "properties": {k: (None if pd.isna(v) else v) for k, v in row.items()},
            "geometry": {"type": "Polygon", "coordinates": [[[round(x, 7), round(y, 7)] for x, y in shape.exterior.coords]]},
        }
        for row, shape in zip(table.to_dict("records"), shapes, strict=True)
    ]  # fmt: skip
    body = {"type": "FeatureCollection", "description": "SIMULATED parcels", "features": features}
    (out / "parcels.geojson").write_text(json.dumps(body, indent=0) + "\n", encoding="utf-8")


def _dry(daily: pd.DataFrame) -> np.ndarray:
    """Cover of dry plants: what has been green and is no more, until the field is cleared."""
    return (daily["peak_cover"] - daily["cover"]).clip(0, 1).to_numpy() * reflectance.DRY_LEFT


def _write_scenes(
    folder: Path, land: Land, truth: list[Truth], days: pd.DatetimeIndex, streams: dict[str, np.random.Generator]
) -> None:
    rng, noise = streams["sky"], streams["scenes"]
    brightness = 1 + 0.06 * land.soil + 0.015 * noise.standard_normal((SIZE_PX, SIZE_PX))
    texture = ndimage.gaussian_filter(noise.standard_normal((SIZE_PX, SIZE_PX)), 1.2)
    texture = 0.03 * texture / texture.std()
    written: list[pd.Timestamp] = []
    passes = [day for day in days if (day - days[0]).days % 5 == 2]
    for day in passes:
        sky = scenes.make_sky(rng)
        at = (day - days[0]).days
        surface = _surface(land, truth, at, brightness, texture)
        image = scenes.seen(surface, sky, noise)
        green = (surface[6] - surface[2]) / (surface[6] + surface[2])
        scl = scenes.classes(sky, green)
        if np.isin(scl, (8, 9, 10)).mean() > MAX_CLOUD_FRAC:
            continue
        baseline = "04.00" if day >= scenes.OFFSET_DAY else "03.01"
        number = len(written)
        if number == 12:
            # The pass lies at the seam of two deliveries: each holds one half.
            left = np.zeros((SIZE_PX, SIZE_PX), dtype=bool)
            left[:, : SIZE_PX // 2 + 5 - (SIZE_PX // 2 + 5) % 2] = True
            scenes.write_scene(folder, day, image, scl, baseline=baseline, valid=left)
            scenes.write_scene(folder, day, image, scl, baseline=baseline, sequence=1, valid=~left)
        elif number == 22:
            # Delivered twice: once as processed at first, once again with a later baseline.
            scenes.write_scene(folder, day, image, scl, baseline="03.01")
            scenes.write_scene(folder, day, image, scl, baseline="04.00", sequence=1)
        else:
            scenes.write_scene(folder, day, image, scl, baseline=baseline, truncate="swir16" if number == 27 else None)
        written.append(day)
    scenes.write_collection(folder, written[0], written[-1])


def _surface(land: Land, truth: list[Truth], at: int, brightness: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Reflectance of the ground on a day, (bands, y, x)."""
    cover = np.where(land.other == 1, 0.18, np.where(land.other == 2, 0.05, 0.08))
    # Weeds follow the rains of winter.
    season = np.clip(np.sin((at - 60) / 230 * np.pi), 0, 1)
    cover = cover + np.where(land.other > 0, 0.22, 0.1) * season
    dry = np.where(land.other == 1, 0.2, 0.05) + 0.1 * (1 - season)
    wet = np.full((SIZE_PX, SIZE_PX), 0.1 + 0.3 * season)
    vigour = np.ones((SIZE_PX, SIZE_PX))
    for field, true in zip(land.fields, truth, strict=True):
        for _, _, grown, mask in true.zones:
            daily = grown.daily
            green = float(daily["cover"].iloc[at])
            weeds = 0.12 * season if field.crop in growth.TREES else 0.03 * season
            cover[mask] = min(green + weeds * (1 - green), 0.98)
            dry[mask] = float(_dry(daily)[at]) if field.crop in {"wheat_winter", "maize_silage"} else 0.03
            surface = daily["surface_frac"].iloc[at]
            wet[mask] = 0.2 if np.isnan(surface) else float(surface)
            recent = daily["stress_frac"].iloc[max(at - 7, 0) : at + 1].mean()
            vigour[mask] = 1.05 - 0.5 * float(recent)
    cover = np.clip(cover * (1 + texture), 0, 0.98)
    mixed = reflectance.mixture(cover, np.clip(dry, 0, 1 - cover), np.clip(wet, 0, 1), brightness, vigour)
    # The instrument sees a little of the neighbours (point spread).
    return ndimage.gaussian_filter(mixed, (0, 0.45, 0.45))


def _write_history(out: Path, land: Land, rng: np.random.Generator) -> None:
    """Earlier seasons: yields as growers reported them, and the index as it was seen."""
    yields, looks = [], []
    for season in HISTORY:
        days = pd.date_range(f"{season - 1}-09-01", f"{season}-07-31")
        true = weather.true_weather(days, rng, wetness=float(rng.uniform(0.45, 1.1)))
        sky = rng.random(len(days)) > 0.35
        shown = [day for day in range(2, len(days), 10) if sky[day]]
        for number, field in enumerate(land.fields):
            inside = land.pixel_field == number
            fc, wp = landscape.soil_limits(float(land.soil[inside].mean()) if inside.any() else 0.0)
            gross = management.true_irrigation(field, true, rng)
            grown = growth.grow(
                field.crop, float(fc), float(wp), true, gross * management.EFFICIENCY[field.system], field.sown_day
            )
            told = grown.yield_t_ha * float(np.clip(rng.normal(1, 0.07), 0.75, 1.25))
            yields.append(
                {
                    "parcel_uid": field.uid,
                    "season": season,
                    "crop": field.crop,
                    "yield_t_ha": round(told, 2),
                    "source": "reported, simulated",
                }
            )
            looks.append(_looks(field, grown, days, shown, rng))
    _csv(pd.DataFrame(yields), out / "history" / "yields.csv")
    table = pd.concat(looks, ignore_index=True)[list(TABLES["observations"].columns)]
    table.to_parquet(out / "history" / "index.parquet", index=False, compression="zstd")


def _looks(
    field: Field, grown: growth.Season, days: pd.DatetimeIndex, shown: list[int], rng: np.random.Generator
) -> pd.DataFrame:
    daily = grown.daily
    weeds = 0.1 if field.crop in growth.TREES else 0.0
    dry = _dry(daily) if field.crop in {"wheat_winter", "maize_silage"} else np.full(len(days), 0.03)
    wet = daily["surface_frac"].fillna(0.2).to_numpy()
    index = reflectance.ndvi(np.clip(daily["cover"].to_numpy() + weeds, 0, 0.98), dry, wet)[
        shown
    ] + 0.02 * rng.standard_normal(len(shown))
    pixels = round(field.outline.area / 100 * 0.85, 1)
    usable = pixels >= 8 and min(field.outline.minimum_rotated_rectangle.area, 1e9) > 2500
    return pd.DataFrame(
        {
            "parcel_uid": field.uid, "date": days[shown], "index": "ndvi", "source": "history, simulated", "mean": index.round(4), "median": index.round(4),
            "p10": (index - 0.04).round(4), "p90": (index + 0.04).round(4), "sd": 0.03, "pixels_effective": pixels, "valid_frac": 1.0, "buffer_m": 5.0,
            "scene_ids": "simulated", "usable": usable, "reason": None if usable else "not_observable",
        }
    )  # fmt: skip
