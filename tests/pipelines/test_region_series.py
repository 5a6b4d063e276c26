from __future__ import annotations

from datetime import date

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from shapely.geometry import box

from agro.schema.errors import ConfigError
from agro.schema.region import SeriesOptions
from agro.schema.tables import empty
from agro.series import smooth
from pipelines.region_series import region_series

CROPS = ("wheat_winter", "olive", "citrus")
AS_OF, START = date(2026, 9, 1), date(2026, 1, 1)


@pytest.fixture(scope="module")
def parcels() -> gpd.GeoDataFrame:
    crops = ["wheat_winter", "olive"] * 15
    uids = [f"p{k:02d}" for k in range(30)]
    outlines = [box(-7.5 + 0.002 * k, 31.6, -7.499 + 0.002 * k, 31.601) for k in range(30)]
    return gpd.GeoDataFrame({"parcel_uid": uids, "agro:crop": crops}, geometry=outlines, crs="EPSG:4326")


@pytest.fixture(scope="module")
def observations(parcels: gpd.GeoDataFrame) -> pd.DataFrame:
    """A look every five days, lowered by 0.1 in all parcels on one date."""
    random = np.random.default_rng(1)
    days = np.arange(0, 240, 5)
    parts = []
    for uid, crop in zip(parcels["parcel_uid"], parcels["agro:crop"], strict=True):
        value = 0.4 + 0.06 * np.sin(days / 58.0)
        if crop == "wheat_winter":
            value = 0.15 + 0.65 * (1 / (1 + np.exp(-(days - 90) / 12)) - 1 / (1 + np.exp(-(days - 200) / 9)))
        value = value + random.normal(0, 0.015, days.size) - 0.1 * (days == 150)
        parts.append(
            pd.DataFrame(
                {
                    "parcel_uid": uid, "date": pd.Timestamp(START) + pd.to_timedelta(days, "D"), "index": "ndvi",
                    "source": "made", "mean": value, "median": value, "p10": np.nan, "p90": np.nan, "sd": 0.02,
                    "pixels_effective": 100.0, "valid_frac": 1.0, "buffer_m": 5.0, "scene_ids": "s", "usable": True,
                    "reason": None,
                }
            )
        )  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def test_neighbours_are_asked_unless_the_region_says_no(parcels: gpd.GeoDataFrame, observations: pd.DataFrame) -> None:
    hazy = pd.Timestamp(START) + pd.Timedelta(days=150)
    for asked, seen in ((True, 0), (False, 30)):
        series = region_series(observations, parcels, AS_OF, START, SeriesOptions(neighbours=asked), CROPS)
        at = series[series["date"] == hazy]
        assert abs((at["flag"] == "observed").sum() - seen) <= 2


def test_penalties_given_go_first_and_the_others_choose(parcels: gpd.GeoDataFrame, observations: pd.DataFrame) -> None:
    def of(series: pd.DataFrame, crop: str) -> np.ndarray:
        uids = parcels.loc[parcels["agro:crop"] == crop, "parcel_uid"]
        return series.loc[series["parcel_uid"].isin(uids), "value"].to_numpy()

    own = region_series(observations, parcels, AS_OF, START, SeriesOptions(), CROPS)
    given = region_series(observations, parcels, AS_OF, START, SeriesOptions(penalties={"olive": 77.0}), CROPS)
    crop = region_series(
        observations, parcels, AS_OF, START, SeriesOptions(penalty="crop", penalties={"olive": 77.0}), CROPS
    )
    stated = smooth(observations, AS_OF, start=START, lambda_=77.0, places=parcels)
    np.testing.assert_array_equal(of(given, "olive"), of(stated, "olive"))
    np.testing.assert_array_equal(of(crop, "olive"), of(stated, "olive"))
    np.testing.assert_array_equal(of(given, "wheat_winter"), of(own, "wheat_winter"))
    assert np.abs(of(crop, "wheat_winter") - of(own, "wheat_winter")).max() > 1e-3


@pytest.mark.parametrize("penalty", ["each", "crop"])
def test_no_image_at_all(parcels: gpd.GeoDataFrame, penalty: str) -> None:
    options = SeriesOptions.model_validate({"penalty": penalty})
    series = region_series(empty("observations"), parcels, AS_OF, START, options, CROPS)
    assert series["parcel_uid"].nunique() == 30
    assert series["value"].isna().all()


def test_an_unknown_crop_is_said(parcels: gpd.GeoDataFrame, observations: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"unknown crop oliv.*Known: citrus, olive"):
        region_series(observations, parcels, AS_OF, START, SeriesOptions(penalties={"oliv": 3.0}), CROPS)


@pytest.mark.parametrize(
    "wrong", [{"penalty": "v"}, {"penalties": {"olive": 0}}, {"penalties": {"olive": "stiff"}}, {"x": 1}]
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SeriesOptions.model_validate(wrong)
