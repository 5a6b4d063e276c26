"""What covers the ground of a field on a day: from AquaCrop's canopy to the shares that reflect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipelines.sample_region.growth import TREES

#: Cover of dry plants that a crop leaves when it ripens, as a share of what was green.
DRY_LEFT = 0.7
#: Crops that leave dry plants, and the share of the ground that stubble covers.
RIPEN = {"wheat_winter": 0.4, "maize_silage": 0.12}
#: Days that straw and stubble stay.
STUBBLE_D = 45


@dataclass(frozen=True)
class Ground:
    """Shares of a field's ground and the state of its plants, one number a day."""

    cover: np.ndarray  # green, 0..1
    dry: np.ndarray  # dry plants, 0..1
    wet: np.ndarray  # moisture of the surface, 0 dry .. 1 wet
    vigour: np.ndarray  # chlorophyll and leaf water, about 1


def weeds(days: np.ndarray) -> np.ndarray:
    """Course of weeds that come with the winter's rain, 0..1; days since 1 September."""
    return np.clip(np.sin((days - 60) / 230 * np.pi), 0, 1)


def ground(crop: str, daily: pd.DataFrame) -> Ground:
    """Ground of a field through the season.

    Parameters
    ----------
    crop : str
        Crop key.
    daily : pandas.DataFrame
        A row a day, as :func:`~pipelines.sample_region.growth.grow` gives.
    """
    green = daily["cover"].to_numpy()
    under = (0.16 if crop in TREES else 0.03) * weeds(np.arange(len(daily)))
    cover = np.minimum(green + under * (1 - green), 0.98)
    dry = np.full(len(daily), 0.03)
    if crop in RIPEN:
        peak = daily["peak_cover"].to_numpy()
        dry += DRY_LEFT * np.clip(peak - green, 0, 1)
        # Straw and stubble outlast the crop, then they are grazed and ploughed in.
        before = pd.Series(peak).rolling(STUBBLE_D, min_periods=1).max().to_numpy()
        dry += np.where(peak == 0, RIPEN[crop] * before, 0.0)
    stress = daily["stress_frac"].rolling(8, min_periods=1).mean().to_numpy()
    return Ground(cover, np.minimum(dry, 1 - cover), daily["surface_frac"].fillna(0.2).to_numpy(), 1.05 - 0.5 * stress)
