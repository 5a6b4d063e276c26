from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.tables import empty, validate
from agro.series import phenology, smooth

START = date(2026, 1, 1)


def day(number: int) -> date:
    return START + timedelta(days=int(number))


def number(when) -> int:
    return (pd.Timestamp(when) - pd.Timestamp(START)).days


def seasons(looks, curve, last=300, every=5, first=0, as_of=None):
    days = np.arange(first, last, every)
    return phenology(smooth(looks(days, curve(days)), as_of or day(days[-1])))


def test_one_season_has_its_start_peak_and_end(looks, wheat):
    found = seasons(looks, wheat)
    assert found["status"].tolist() == ["complete"]
    row = found.iloc[0]
    # A logistic rise about day 90 passes 20 % of its height 1.386 scales (12 d) before, the fall (9 d) as much after.
    assert number(row["start_date"]) == pytest.approx(90 - 1.386 * 12, abs=4)
    assert number(row["end_date"]) == pytest.approx(200 + 1.386 * 9, abs=4)
    assert 125 <= number(row["peak_date"]) <= 165
    assert row["peak_value"] == pytest.approx(0.8, abs=0.02)
    assert row["start_value"] == pytest.approx(0.15 + 0.2 * 0.65, abs=0.02)
    validate(found, "phenology")


@pytest.mark.parametrize(
    "as_of, has_start, has_peak", [(60, False, False), (100, True, False), (175, True, True), (200, True, True)]
)
def test_what_has_not_happened_is_not_said(looks, wheat, as_of, has_start, has_peak):
    row = seasons(looks, wheat, last=as_of + 1).iloc[0]
    assert pd.isna(row["end_date"]) and pd.isna(row["end_value"])
    assert row["status"] == ("growing" if has_start else "no_season")
    assert pd.notna(row["start_date"]) == has_start
    assert pd.notna(row["peak_date"]) == has_peak


@settings(max_examples=30, deadline=None)
@given(as_of=st.integers(30, 299))
def test_on_any_day_dates_are_in_order_and_near_what_will_be_seen_in_the_end(looks, wheat, as_of):
    final = seasons(looks, wheat).iloc[0]
    row = seasons(looks, wheat, last=as_of + 1).iloc[0]
    dates = [row[f"{name}_date"] for name in ("start", "peak", "end") if pd.notna(row[f"{name}_date"])]
    assert dates == sorted(dates) and all(number(d) <= as_of for d in dates)
    for name, tolerance in (("start", 10), ("end", 10)):
        if pd.notna(row[f"{name}_date"]):
            assert abs(number(row[f"{name}_date"]) - number(final[f"{name}_date"])) <= tolerance, name


def test_a_series_that_begins_on_the_way_up_has_no_start(looks, wheat):
    row = seasons(looks, wheat, first=90).iloc[0]
    assert pd.isna(row["start_date"]) and pd.notna(row["end_date"]) and row["status"] == "complete"


def test_two_crops_in_a_year_are_two_seasons_the_newest_first(looks, wheat):
    found = seasons(looks, lambda d: np.maximum(wheat(d), wheat(d - 190)), last=480)
    assert found["season"].tolist() == [0, 1] and found["status"].tolist() == ["complete"] * 2
    assert number(found["peak_date"].iloc[1]) < 190 < number(found["start_date"].iloc[0])


def test_a_shallow_dip_does_not_split_a_season(looks, wheat):
    def dented(d):
        return wheat(d) - 0.2 * np.exp(-(((d - 145) / 12.0) ** 2))

    found = seasons(looks, dented)
    assert found["status"].tolist() == ["complete"]
    assert number(found["end_date"].iloc[0]) > 200


def test_each_cut_of_alfalfa_ends_a_season(looks, alfalfa):
    found = seasons(looks, alfalfa, last=200)
    assert (found["status"].iloc[1:] == "complete").all()
    ends = sorted(number(d) for d in found["end_date"].dropna())
    # Seen at most one look after the cut.
    assert len(ends) == 6
    assert all(-5 <= end - cut <= 5 for end, cut in zip(ends, (32, 64, 96, 128, 160, 192), strict=True))


def test_an_evergreen_has_no_season(looks):
    found = seasons(looks, lambda d: 0.45 + 0.05 * np.sin(d / 58.0))
    assert found["status"].tolist() == ["no_season"]
    assert found[["start_date", "peak_date", "end_date"]].isna().all(axis=None)


def test_too_few_looks(looks, wheat):
    found = seasons(looks, wheat, every=80)
    assert found["status"].tolist() == ["too_few_observations"]


def test_every_parcel_has_a_row_and_another_index_has_none(looks, wheat):
    days = np.arange(0, 260, 5)
    table = pd.concat([looks(days, wheat(days)), looks(days[:2], wheat(days[:2]), uid="f2")])
    series = smooth(table, day(259), parcels=["f1", "f2", "f3"])
    found = phenology(series)
    assert found["status"].tolist() == ["complete", "too_few_observations", "too_few_observations"]
    assert not len(phenology(series, "ndmi"))
    assert not len(phenology(empty("series")))


@pytest.mark.parametrize("every, share, found_frac", [(5, 1.0, 0.98), (5, 0.75, 0.85), (3, 0.75, 0.93), (10, 0.9, 0.7)])
def test_cuts_are_found_and_none_invented(looks, every, share, found_frac):
    random = np.random.default_rng(7)
    tables, cuts, seen = [], {}, {}
    for k in range(20):
        cut = np.cumsum(random.integers(26, 42, 12)) - 20
        days = np.arange(300)
        since = days - cut[np.maximum(np.searchsorted(cut, days, side="right") - 1, 0)]
        value = 0.28 + 0.55 * np.clip(np.where(since >= 0, since, since + 30) / 24, 0, 1) ** 0.9
        at = np.arange(k % every, 300, every)
        at = at[random.random(at.size) < share]
        tables.append(looks(at, value[at] + random.normal(0, 0.03, at.size), uid=f"p{k:02d}"))
        cuts[f"p{k:02d}"], seen[f"p{k:02d}"] = cut[(cut > at[0]) & (cut <= at[-1])], at
    found = phenology(smooth(pd.concat(tables), day(299)))
    hits, invented, total = 0, 0, 0
    for uid, true in cuts.items():
        ends = [number(when) for when in found.loc[found["parcel_uid"] == uid, "end_date"].dropna()]
        at = seen[uid]
        # A cut is between the look before and the one after it; an end may fall a day beyond either.
        windows = [(at[at < cut].max() - 1, at[at >= cut].min() + 1) for cut in true]
        hit = [any(low <= end <= high for end in ends) for low, high in windows]
        hits, total = hits + sum(hit), total + len(hit)
        invented += sum(not any(low <= end <= high for low, high in windows) for end in ends)
    assert hits >= found_frac * total
    assert invented <= 0.02 * total
