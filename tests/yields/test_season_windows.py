from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agro.yields.seasons import LEADS, neighbour_means, season_table, season_windows

REGIONS = pd.DataFrame(
    {
        "end_doy": [180.0, 180.0, 180.0], "season_length_d": [200.0] * 3, "latitude": [40.0, 40.1, 52.0],
        "longitude": [-4.0, -4.0, 5.0], "awc": [10.0, 12.0, np.nan],
    },
    index=["A", "B", "C"],
)  # fmt: skip


def series(value: float = 0.5) -> pd.DataFrame:
    days = pd.date_range("2009-06-01", "2012-12-31", freq="5D")
    return pd.DataFrame([{"adm_id": a, "date": d, "variable": "ndvi", "value": value} for a in "ABC" for d in days])


@pytest.mark.parametrize("lead", list(LEADS))
def test_nothing_after_the_lead_date_is_read(lead: str) -> None:
    before = series()
    end = pd.Timestamp("2011-06-29")  # day 180
    cut = end - pd.Timedelta(days=(1 - LEADS[lead]) * 200)
    later = before.assign(value=before["value"].where(before["date"] <= cut - pd.Timedelta(days=9), 9.0))
    years = range(2011, 2012)
    pd.testing.assert_frame_equal(
        season_windows(before, REGIONS, years, LEADS[lead]), season_windows(later, REGIONS, years, LEADS[lead])
    )
    too_early = before.assign(value=before["value"].where(before["date"] <= cut - pd.Timedelta(days=15), 9.0))
    changed = season_windows(too_early, REGIONS, years, LEADS[lead])
    assert (changed["ndvi_last_30d"] > 0.5).all(), "what is known is read"


def test_stages_by_lead() -> None:
    mid = season_windows(series(), REGIONS, range(2011, 2012), LEADS["mid"])
    assert [c for c in mid if c.startswith("ndvi")] == ["ndvi_establishment", "ndvi_vegetative", "ndvi_last_30d"]
    end = season_windows(series(), REGIONS, range(2011, 2012), LEADS["end"])
    assert {"ndvi_flowering", "ndvi_filling"} <= set(end)
    assert np.allclose(end.filter(like="ndvi"), 0.5)


def test_neighbours_are_averaged_and_the_far_are_not() -> None:
    table = series()
    high = (table["adm_id"] == "A") & (table["date"].dt.year == 2011)
    windows = season_windows(table.assign(value=table["value"].where(~high, 0.7)), REGIONS, range(2010, 2013), 1.0)
    around = neighbour_means(windows, REGIONS).set_index(["adm_id", "year"])["around_ndvi_filling"]
    assert around["A", 2011] > around["A", 2010] + 0.05
    assert around["B", 2011] == pytest.approx(around["A", 2011], abs=0.01)
    assert around["C", 2011] == pytest.approx(0.0, abs=1e-6)


def test_a_season_without_looks_is_nan_and_stays() -> None:
    table = season_table(series(), REGIONS, range(2011, 2016), 0.5)
    assert len(table) == 15 and table.loc[table["year"] == 2015, "ndvi_vegetative"].isna().all()
    assert table.loc[table["group"] == "C", "soil_awc"].isna().all()
