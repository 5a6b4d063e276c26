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
from pipelines.sample_region import canopy, history, landscape, reflectance, scenes, truth, weather
from pipelines.sample_region.landscape import CRS, SIZE_PX, Land
from pipelines.sample_region.texts import README, REGION
from pipelines.sample_region.truth import FieldTruth

#: Chosen among others for a season of near normal rain, with some in the week that the demonstration shows.
SEED = 2037
START, END = "2021-09-01", "2022-07-31"
#: A search with a cloud filter would not have found cloudier scenes.
MAX_CLOUD_FRAC = 0.65
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
    true = weather.true_weather(days, streams["weather"], wetness=0.9)
    rain = _rain(land, true, streams["rain"])
    _write_weather(out, true, rain[:, -1], streams)
    lived = truth.live_through(land, true, rain, streams["growers"])
    _write_truth(out, truth.tables(lived, days[-1].year))
    _write_survey(out, land, streams["survey"])
    _write_parcels(out, land, days)
    _write_scenes(out / "imagery", land, lived, days, streams)
    yields, looks = history.past_seasons(land, streams["history"])
    _csv(yields, out / "history" / "yields.csv")
    looks.to_parquet(out / "history" / "index.parquet", index=False, compression="zstd")
    (out / "region.yaml").write_text(REGION, encoding="utf-8")
    (out / "README.md").write_text(README, encoding="utf-8")


def _csv(table: pd.DataFrame, path: Path) -> None:
    table.to_csv(path, index=False, date_format="%Y-%m-%d", lineterminator="\n")


def _rain(land: Land, true: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Rain of each day at each field, and at the station in the last column."""
    places = [(field.outline.centroid.x, field.outline.centroid.y) for field in land.fields]
    x_m, y_m = np.array([*places, landscape.STATION_M]).T
    return weather.local_rain(true, x_m, y_m, rng)


def _write_weather(
    out: Path, true: pd.DataFrame, station_rain_mm: np.ndarray, streams: dict[str, np.random.Generator]
) -> None:
    _csv(weather.station(true.assign(rain_mm=station_rain_mm), streams["station"]), out / "weather" / "station.csv")
    _csv(weather.forecasts(true, streams["forecast"]), out / "weather" / "forecast.csv")
    _csv(weather.NORMALS, out / "weather" / "climatology.csv")


def _write_truth(out: Path, tables: dict[str, pd.DataFrame]) -> None:
    tables["soil_water"].to_parquet(out / "truth" / "soil_water.parquet", index=False, compression="zstd")
    _csv(tables["irrigation"], out / "truth" / "irrigation.csv")
    _csv(tables["yield"], out / "truth" / "yield.csv")
    _csv(tables["reported"], out / "irrigation" / "reported.csv")


def _write_survey(out: Path, land: Land, rng: np.random.Generator) -> None:
    """A soil survey with error; some fields were not visited."""
    rows = []
    for number, field in enumerate(land.fields):
        if number in range(3, 3 + 7 * UNSURVEYED, 7):
            continue
        fc, wp = land.soil_of(number)
        for layer, (top, bottom) in enumerate(((0.0, 0.4), (0.4, 1.5)), start=1):
            rows.append(
                {
                    "parcel_uid": field.uid, "layer": layer, "top_m": top, "bottom_m": bottom, "fc_m3_m3": round(fc + rng.normal(0, 0.015), 3),
                    "wp_m3_m3": round(wp + rng.normal(0, 0.01), 3), "fc_sd_m3_m3": 0.015, "wp_sd_m3_m3": 0.01, "stones_frac": 0.0, "source": "survey",
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


def _write_scenes(
    folder: Path, land: Land, lived: list[FieldTruth], days: pd.DatetimeIndex, streams: dict[str, np.random.Generator]
) -> None:
    rng, noise = streams["sky"], streams["scenes"]
    grain = ndimage.gaussian_filter(noise.standard_normal((2, SIZE_PX, SIZE_PX)), (0, 1.5, 1.5))
    grain /= grain.std(axis=(1, 2), keepdims=True)
    brightness, texture = 1 + 0.06 * land.soil + 0.012 * grain[0], 0.025 * grain[1]
    written: list[pd.Timestamp] = []
    passes = [day for day in days if (day - days[0]).days % 5 == 2]
    for day in passes:
        sky = scenes.make_sky(rng)
        at = (day - days[0]).days
        surface = _surface(land, lived, at, brightness, texture)
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


def _surface(land: Land, lived: list[FieldTruth], at: int, brightness: np.ndarray, texture: np.ndarray) -> np.ndarray:
    """Reflectance of the ground on a day, (bands, y, x)."""
    cover = np.where(land.other == 1, 0.18, np.where(land.other == 2, 0.05, 0.08))
    season = float(canopy.weeds(np.array([at]))[0])
    cover = cover + np.where(land.other > 0, 0.22, 0.1) * season
    dry = np.where(land.other == 1, 0.2, 0.05) + 0.1 * (1 - season)
    wet = np.full((SIZE_PX, SIZE_PX), 0.1 + 0.3 * season)
    vigour = np.ones((SIZE_PX, SIZE_PX))
    for number, one in enumerate(lived):
        like, ground = land.other == landscape.GROWN_LIKE + number, one.zones[0].ground
        cover[like], dry[like] = 0.95 * ground.cover[at], ground.dry[at]
        wet[like], vigour[like] = ground.wet[at], ground.vigour[at]
    for zone in (zone for one in lived for zone in one.zones):
        cover[zone.mask], dry[zone.mask] = zone.ground.cover[at], zone.ground.dry[at]
        wet[zone.mask], vigour[zone.mask] = zone.ground.wet[at], zone.ground.vigour[at]
    cover = np.clip(cover * (1 + texture), 0, 0.98)
    mixed = reflectance.mixture(cover, np.clip(dry, 0, 1 - cover), np.clip(wet, 0, 1), brightness, vigour)
    # The instrument sees a little of the neighbours (point spread).
    return ndimage.gaussian_filter(mixed, (0, 0.45, 0.45))
