from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agro.evaluate.blocks import spatial_blocks
from agro.evaluate.yearly import sign_test, skill, summary, yearly_scores

YEAR = np.array([1, 1, 2, 2])
MEASURED = np.array([2.0, 4.0, 1.0, 3.0])


def test_scores_of_a_year_by_hand() -> None:
    scores = yearly_scores(np.array([3.0, 4.0, 1.0, 3.0]), MEASURED, YEAR)
    assert scores.loc[1, "nrmse_pct"] == pytest.approx(100 * np.sqrt(0.5) / 3)
    assert scores.loc[1, "mape_pct"] == pytest.approx(25.0) and scores.loc[1, "r2"] == pytest.approx(0.5)
    assert scores.loc[2, "nrmse_pct"] == 0 and scores.loc[2, "r2"] == 1


def test_skill_and_years_won() -> None:
    perfect, mean = MEASURED, np.full(4, 2.5)
    assert skill(perfect, mean, MEASURED) == 1 and skill(mean, mean, MEASURED) == 0
    won = sign_test(yearly_scores(perfect, MEASURED, YEAR), yearly_scores(mean, MEASURED, YEAR))
    assert won == {"years_won": 2, "years_tied": 0, "years": 2, "sign_test_p": pytest.approx(0.25)}
    tied = sign_test(yearly_scores(mean, MEASURED, YEAR), yearly_scores(mean, MEASURED, YEAR))
    assert tied == {"years_won": 0, "years_tied": 2, "years": 2, "sign_test_p": 1.0}


def test_coverage_of_the_worst_year() -> None:
    found = summary(MEASURED, MEASURED, MEASURED, YEAR, MEASURED - 1, MEASURED + np.array([1, 1, -0.5, 1]))
    assert found["coverage_90"] == 0.75 and found["worst_year_coverage_90"] == 0.5 and found["worst_year"] == 2
    assert found["width_t_ha"] == pytest.approx((2 + 2 + 0.5 + 2) / 4)


def test_blocks_hold_neighbours_together() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat([[40.0, -4.0], [52.0, 5.0], [31.0, -8.0]], 4, axis=0)
    places = pd.DataFrame(centres + rng.normal(0, 0.2, centres.shape), columns=["latitude", "longitude"])
    blocks = spatial_blocks(
        pd.concat([places, pd.DataFrame({"latitude": [np.nan], "longitude": [1.0]})], ignore_index=True), 3
    )
    assert blocks.iloc[:4].nunique() == blocks.iloc[4:8].nunique() == blocks.iloc[8:12].nunique() == 1
    assert blocks.iloc[:12].nunique() == 3 and blocks.iloc[12] == -1
