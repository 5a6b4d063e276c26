"""A real cereal field seen on 33 dates, and 500 real parcels by the month."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from agro.series import phenology, smooth
from agro.series.whittaker import whittaker

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def cereal(shared_data, looks):
    """Mean NDVI of the clear pixels of the field."""
    with xr.open_dataset(shared_data / "s2-castilla-y-leon-2019" / "raw_s2_ndvi_field.nc") as data:
        clear = data.SCL.isin([4, 5, 7])
        ndvi = ((data.B08 - data.B04) / (data.B08 + data.B04)).where(clear)
        mean, count, days = ndvi.mean(("x", "y")).values, ndvi.count(("x", "y")).values, data.t.values
    share = count / count.max()
    first = np.datetime64("2019-01-01")
    numbers = ((days - first) / np.timedelta64(1, "D")).astype(int)
    return looks(
        numbers, mean, start="2019-01-01", pixels_effective=count.astype(float), valid_frac=share, usable=share >= 0.4
    )


def test_the_season_is_where_a_person_would_draw_it(cereal):
    found = phenology(smooth(cereal, date(2019, 12, 31)))
    season = found[found["status"] == "complete"]
    assert len(season) == 1
    row = season.iloc[0]
    assert pd.Timestamp("2019-03-01") <= row["start_date"] <= pd.Timestamp("2019-03-31")
    assert pd.Timestamp("2019-04-25") <= row["peak_date"] <= pd.Timestamp("2019-05-15")
    assert pd.Timestamp("2019-06-20") <= row["end_date"] <= pd.Timestamp("2019-07-15")
    assert 0.75 < row["peak_value"] < 0.85
    # The autumn's regrowth is a season that has not ended.
    assert found.loc[0, "status"] == "growing" and found.loc[0, "start_date"] > pd.Timestamp("2019-08-31")


@pytest.mark.parametrize("as_of", [date(2019, 5, 20), date(2019, 6, 5), date(2019, 6, 25)])
def test_before_the_harvest_no_end_is_invented(cereal, as_of):
    found = phenology(smooth(cereal, as_of))
    assert found["status"].tolist() == ["growing"]
    assert pd.isna(found.loc[0, "end_date"])
    assert pd.Timestamp("2019-03-01") <= found.loc[0, "start_date"] <= pd.Timestamp("2019-03-31")


def test_every_usable_look_is_observed_and_followed(cereal):
    series = smooth(cereal, date(2019, 12, 31)).set_index("date")
    used = cereal[cereal["usable"]].set_index("date")["mean"]
    assert (series.loc[used.index, "flag"] == "observed").all()
    assert np.sqrt(((series.loc[used.index, "value"] - used) ** 2).mean()) < 0.03


def test_looks_left_out_are_predicted_within_the_stated_doubt(cereal):
    used = cereal[cereal["usable"]].reset_index(drop=True)
    ratio = []
    for left_out in range(1, len(used) - 1):
        series = smooth(used.drop(index=left_out), date(2019, 12, 31)).set_index("date")
        at = series.loc[used.loc[left_out, "date"]]
        ratio.append((used.loc[left_out, "mean"] - at["value"]) / np.hypot(at["sd"], 0.02))
    ratio = np.abs(ratio)
    assert (ratio < 2).mean() > 0.85
    assert np.sqrt((ratio**2).mean()) < 1.5


def test_the_default_penalty_predicts_left_out_looks_best(cereal):
    """The choice of 300 for a cereal rests on this, not on habit."""
    used = cereal[cereal["usable"]]
    numbers = (used["date"] - used["date"].min()).dt.days.to_numpy()
    values, weights = np.full((1, numbers[-1] + 1), np.nan), np.zeros((1, numbers[-1] + 1))
    values[0, numbers], weights[0, numbers] = used["mean"], 1.0
    error = {}
    for penalty in (10.0, 300.0, 10000.0):
        smoothed, variance = whittaker(values, weights, penalty)
        error[penalty] = np.nanmean(((values - smoothed) / (1 - variance)) ** 2)
    assert error[300.0] < error[10.0] and error[300.0] < error[10000.0]


def test_all_corsican_parcels_come_out_as_series(shared_data):
    table = pd.read_parquet(shared_data / "parcels-corsica-2022" / "2022_FRA_LPIS_POLY_110.geoparquet")
    red, nir = (table[f"S2-L2A-{b}"].astype("float64").replace(65535, np.nan) for b in ("B04", "B08"))
    ndvi = (nir - red) / (nir + red)
    observations = pd.DataFrame(
        {
            "parcel_uid": table["sample_id"], "date": table["timestamp"], "index": "ndvi", "source": "table", "mean": ndvi, "median": ndvi,
            "p10": np.nan, "p90": np.nan, "sd": np.nan, "pixels_effective": ndvi.notna() * 1.0, "valid_frac": ndvi.notna() * 1.0,
            "buffer_m": 0.0, "scene_ids": "t", "usable": ndvi.notna(), "reason": None,
        }
    )  # fmt: skip
    series = smooth(observations, date(2023, 1, 31))
    assert series["parcel_uid"].nunique() == 500
    days = (pd.Timestamp("2023-01-31") - pd.Timestamp("2021-09-01")).days + 1
    assert (series.groupby("parcel_uid").size() == days).all()
    blind = series.groupby("parcel_uid")["value"].apply(lambda v: v.isna().all())
    assert blind.sum() == 2
    seen = series[~series["parcel_uid"].isin(blind.index[blind])]
    assert seen["value"].notna().all() and seen["sd"].notna().all()
    # A missing January is filled as a gap or held at the end, and its age says so.
    january = seen[seen["date"] == pd.Timestamp("2023-01-31")]
    assert set(january["clear_age_d"]) == {30, 61}
    assert seen["value"].between(-0.3, 1.1).all()
    found = phenology(series)
    assert found["parcel_uid"].nunique() == 500
    assert (found.loc[found["parcel_uid"].isin(blind.index[blind]), "status"] == "too_few_observations").all()
