"""Earlier seasons of the same fields: yields as growers reported them, and the index as it was seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from agro.schema.tables import OPTIONAL, TABLES
from pipelines.sample_region import canopy, growth, landscape, management, reflectance, weather
from pipelines.sample_region.landscape import Field, Land

#: Years of harvest.
SEASONS = range(2016, 2022)
#: Error of a reported yield, as a share, and of an index value.
YIELD_ERROR_FRAC, INDEX_ERROR = 0.07, 0.02
#: Chance that a pass every ten days is clear.
CLEAR_FRAC = 0.65
EDGE_M = 5.0
#: Latest day of sowing from which maize is still harvested within the season.
LAST_SOWING_D = 219


def past_seasons(land: Land, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables ``yield_history`` and ``observations`` of the seasons before.

    Weather, day of sowing and the grower's care differ from season to season; the field, its soil and its crop do not.
    """
    yields, looks = [], []
    for season in SEASONS:
        days = pd.date_range(f"{season - 1}-09-01", f"{season}-07-31")
        true = weather.true_weather(days, rng, wetness=float(rng.uniform(0.6, 1.3)))
        shown = np.array([day for day in range(2, len(days), 10) if rng.random() < CLEAR_FRAC])
        for number, field in enumerate(land.fields):
            past = _as_it_was(field, rng)
            fc, wp = land.soil_of(number)
            net = management.true_irrigation(past, true, rng) * management.EFFICIENCY[past.system]
            grown = growth.grow(
                past.crop, fc, wp, true, net, past.sown_day, past.density, past.first_cut_d,
                management.WETTED_PCT[past.system], fallow=False,
            )  # fmt: skip
            told = grown.yield_t_ha * float(np.clip(rng.normal(1, YIELD_ERROR_FRAC), 0.75, 1.25))
            yields.append(
                {
                    "parcel_uid": field.uid, "season": season, "crop": field.crop, "yield_t_ha": round(told, 2),
                    "source": "reported, simulated",
                }
            )  # fmt: skip
            looks.append(_looks(past, grown, days, shown, rng))
    table = pd.concat(looks, ignore_index=True)[[c for c in TABLES["observations"].columns if c not in OPTIONAL]]
    return pd.DataFrame(yields), table


def _as_it_was(field: Field, rng: np.random.Generator) -> Field:
    sown = None if field.sown_day is None else min(field.sown_day + int(rng.integers(-8, 9)), LAST_SOWING_D)
    cut = 8 + (field.first_cut_d + int(rng.integers(0, 24))) % 24
    return replace(
        field, sown_day=sown, first_cut_d=cut, habit=float(np.clip(field.habit * rng.normal(1, 0.12), 0.45, 1.4))
    )


def _looks(
    field: Field, grown: growth.Season, days: pd.DatetimeIndex, shown: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    ground = canopy.ground(field.crop, grown.daily)
    index = reflectance.ndvi(ground.cover, ground.dry, ground.wet)[shown] + rng.normal(0, INDEX_ERROR, len(shown))
    pixels = round(landscape.inner_pixels(field.outline, EDGE_M), 1)
    usable = pixels >= 8
    return pd.DataFrame(
        {
            "parcel_uid": field.uid, "date": days[shown], "index": "ndvi", "source": "history, simulated", "mean": index.round(4), "median": index.round(4),
            "p10": (index - 0.04).round(4), "p90": (index + 0.04).round(4), "sd": 0.03, "pixels_effective": pixels, "valid_frac": 1.0, "buffer_m": EDGE_M,
            "scene_ids": "simulated", "usable": usable, "reason": None if usable else "not_observable",
        }
    )  # fmt: skip
