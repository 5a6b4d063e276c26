"""A country whose seasons tell its yields, or do not."""

from __future__ import annotations

import numpy as np
import pandas as pd


def panel(
    told: float = 0.25, regions: int = 10, years: range = range(2006, 2016), seed: int = 1, noise: float = 0.05
) -> tuple[pd.DataFrame, np.ndarray]:
    """Features and yields (t/ha): a season one standard deviation above the usual adds the share `told`."""
    rng = np.random.default_rng(seed)
    level = np.linspace(2.0, 5.0, regions)
    rows, y = [], []
    for year in years:
        common = rng.normal()
        for number in range(regions):
            season = 0.7 * common + 0.7 * rng.normal()
            rows.append(
                {
                    "group": f"r{number}", "year": year, "ndvi_vegetative": 0.5 + 0.1 * season + rng.normal(0, 0.01),
                    "fpar_last_30d": 0.4 + 0.05 * season + rng.normal(0, 0.02), "around_ndvi_vegetative": 0.1 * common,
                    "soil_awc": 10.0 + number,
                }
            )  # fmt: skip
            y.append(level[number] * (1 + told * season + noise * rng.normal()))
    return pd.DataFrame(rows), np.maximum(np.array(y), 0.0)
