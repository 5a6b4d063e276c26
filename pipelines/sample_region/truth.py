"""What really happened in each field in the season: the part that no pipeline may read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.sample_region import canopy, growth, landscape, management
from pipelines.sample_region.landscape import Field, Land

#: A field is not watered evenly: share of the mean depth that the lighter and the heavier soil get.
EVENNESS = (1.05, 0.95)


@dataclass(frozen=True)
class Zone:
    """One soil of a field: its season, what it looks like, its pixels and its share of the field."""

    season: growth.Season
    ground: canopy.Ground
    mask: np.ndarray
    share_frac: float


@dataclass(frozen=True)
class FieldTruth:
    """One field: zones, true gross irrigation a day (mm), and what the grower wrote down."""

    field: Field
    zones: tuple[Zone, ...]
    gross_mm: np.ndarray
    told: pd.DataFrame

    def mean(self, column: str) -> np.ndarray:
        """Mean of the zones, by area, of a column of the daily truth."""
        return np.sum([zone.share_frac * zone.season.daily[column].to_numpy() for zone in self.zones], axis=0)

    @property
    def yield_t_ha(self) -> float:
        """Yield of the field."""
        return sum(zone.share_frac * zone.season.yield_t_ha for zone in self.zones)


def live_through(land: Land, true: pd.DataFrame, rain_mm: np.ndarray, rng: np.random.Generator) -> list[FieldTruth]:
    """Run every zone of every field with its own rain, irrigation and soil.

    Parameters
    ----------
    land : Land
        Fields and soil.
    true : pandas.DataFrame
        True weather.
    rain_mm : numpy.ndarray
        (days, fields or more) rain at each field.
    rng : numpy.random.Generator
        The growers' whims.
    """
    days = pd.DatetimeIndex(true["date"])
    found = []
    for number, field in enumerate(land.fields):
        local = true.assign(rain_mm=rain_mm[:, number])
        gross = management.true_irrigation(field, local, rng)
        told = management.reported(field, gross, days, rng)
        inside = land.pixel_field == number
        middle = float(np.median(land.soil[inside])) if inside.any() else 0.0
        zones = []
        for evenness, mask in zip(
            EVENNESS, (inside & (land.soil <= middle), inside & (land.soil > middle)), strict=True
        ):
            fc, wp = landscape.soil_limits(float(land.soil[mask].mean()) if mask.any() else middle)
            net = gross * management.EFFICIENCY[field.system] * evenness
            season = growth.grow(
                field.crop, float(fc), float(wp), local, net, field.sown_day, field.density, field.first_cut_d,
                management.WETTED_PCT[field.system],
            )  # fmt: skip
            share = float(mask.sum() / inside.sum()) if inside.any() else 1 / len(EVENNESS)
            zones.append(Zone(season, canopy.ground(field.crop, season.daily), mask, share))
        found.append(FieldTruth(field, tuple(zones), gross, told))
    return found


def tables(truth: list[FieldTruth], season: int) -> dict[str, pd.DataFrame]:
    """Tables ``soil_water``, ``irrigation``, ``yield`` and ``reported``."""
    water, given, yields = [], [], []
    for one in truth:
        days = one.zones[0].season.daily["date"]
        water.append(
            pd.DataFrame(
                {
                    "parcel_uid": one.field.uid, "date": days, "storage_0_1m_mm": one.mean("storage_mm").round(1),
                    "depletion_mm": one.mean("depletion_mm").round(1), "eta_mm": one.mean("eta_mm").round(2),
                    "stress_frac": one.mean("stress_frac").clip(0, 1).round(3),
                }
            )
        )  # fmt: skip
        wet = one.gross_mm > 0
        given.append(pd.DataFrame({"parcel_uid": one.field.uid, "date": days[wet], "gross_mm": one.gross_mm[wet]}))
        yields.append((one.field.uid, one.field.crop, season, round(one.yield_t_ha, 2)))
    told = pd.concat([one.told for one in truth if len(one.told)], ignore_index=True)
    return {
        "soil_water": pd.concat(water, ignore_index=True),
        "irrigation": pd.concat(given, ignore_index=True),
        "yield": pd.DataFrame(yields, columns=["parcel_uid", "crop", "season", "yield_t_ha"]),
        "reported": told.sort_values(["parcel_uid", "date"]),
    }
