from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agro.series import anomaly, neighbour_anomaly, recent_change

AS_OF = date(2026, 3, 20)


def on_the_day(values, ages=None, crop="wheat"):
    """Series and parcels of one day."""
    uids = [f"f{k:04d}" for k in range(len(values))]
    series = pd.DataFrame(
        {
            "parcel_uid": uids, "date": pd.Timestamp(AS_OF), "index": "ndvi", "value": values, "sd": 0.02, "flag": "observed",
            "clear_age_d": pd.array(ages if ages is not None else [0] * len(values), dtype="Int64"),
        }
    )  # fmt: skip
    return series, pd.DataFrame({"parcel_uid": uids, "agro:crop": crop})


def test_a_weak_field_among_its_neighbours():
    found = neighbour_anomaly(*on_the_day([0.70, 0.72, 0.68, 0.74, 0.66, 0.40]), AS_OF).set_index("parcel_uid")
    weak = found.loc["f0005"]
    assert (weak["count"], weak["median"]) == (5, pytest.approx(0.70))
    assert weak["mad"] == pytest.approx(0.02)
    assert weak["z"] == pytest.approx(-0.30 / 0.03)  # 1.4826 * 0.02 is less than the least spread
    assert abs(found.loc["f0000", "z"]) < 1


def test_fewer_than_five_neighbours_say_nothing():
    found = neighbour_anomaly(*on_the_day([0.7, 0.7, 0.7, 0.7, 0.3]), AS_OF)
    assert (found["count"] == 4).all() and found[["median", "mad", "z"]].isna().all(axis=None)
    assert found["value"].notna().all()


def test_only_the_same_crop_counts():
    series, parcels = on_the_day([0.7] * 6 + [0.3] * 6, crop=["wheat"] * 6 + ["olive"] * 6)
    found = neighbour_anomaly(series, parcels, AS_OF)
    assert found["median"].tolist() == pytest.approx([0.7] * 6 + [0.3] * 6)
    assert found["z"].abs().max() < 1e-9


def test_stale_and_unseen_parcels_neither_count_nor_are_judged():
    series, parcels = on_the_day([0.7] * 6 + [0.2, np.nan], ages=[0] * 6 + [40, None])
    parcels = pd.concat([parcels, pd.DataFrame({"parcel_uid": ["absent"], "agro:crop": ["wheat"]})])
    found = neighbour_anomaly(series, parcels, AS_OF).set_index("parcel_uid")
    assert len(found) == 9
    assert found.loc["f0000", "count"] == 5 and found.loc["f0006", "count"] == 6
    assert found.loc[["f0006", "f0007", "absent"], "z"].isna().all()
    assert found.loc["f0006", "value"] == 0.2


@given(st.lists(st.floats(0, 1), min_size=6, max_size=15))
def test_equal_to_plain_medians_of_the_others(values):
    found = neighbour_anomaly(*on_the_day(values), AS_OF)
    for k, row in found.iterrows():
        others = np.delete(values, k)
        assert row["median"] == pytest.approx(np.median(others))
        assert row["mad"] == pytest.approx(np.median(np.abs(others - np.median(others))))


def test_many_parcels_are_compared_with_all():
    count = anomaly.LEAVE_OUT_UP_TO + 1
    values = np.random.default_rng(0).normal(0.6, 0.05, count)
    found = neighbour_anomaly(*on_the_day(values), AS_OF)
    assert found["median"].unique() == pytest.approx(np.median(values))
    assert (found["count"] == count - 1).all()


def daily(values, ages):
    days = pd.date_range(end=pd.Timestamp(AS_OF), periods=len(values))
    return pd.DataFrame(
        {
            "parcel_uid": "f1",
            "date": days,
            "index": "ndvi",
            "value": values,
            "clear_age_d": pd.array(ages, dtype="Int64"),
        }
    )


def test_change_over_two_weeks():
    found = recent_change(daily(np.linspace(0.3, 0.6, 31), [k % 5 for k in range(31)]), AS_OF).iloc[0]
    assert (found["value"], found["before"]) == (pytest.approx(0.6), pytest.approx(0.46))
    assert found["change"] == pytest.approx(0.14)


@pytest.mark.parametrize(
    "ages",
    [
        list(range(31)),  # no look since
        [None] * 20 + list(range(11)),  # no look before
    ],
)
def test_change_that_nobody_saw_is_unknown(ages):
    found = recent_change(daily([0.5] * 31, ages), AS_OF)
    assert len(found) == 1 and found["change"].isna().all()


def test_a_series_too_short_for_a_change_still_has_its_row():
    found = recent_change(daily([0.5] * 5, [0] * 5), AS_OF)
    assert found["parcel_uid"].tolist() == ["f1"] and found["change"].isna().all() and found["value"].tolist() == [0.5]
