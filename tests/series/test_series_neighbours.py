from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import box

from agro.series import smooth
from agro.series.neighbours import MIN_SEEN, NEAREST, hazy_around, lowered_looks, near_parcels

Curve = Callable[[np.ndarray], np.ndarray]
DATES = np.arange(0, 250, 5)
HAZY = 25  # number of the date


def places(count: int, step_deg: float = 0.003) -> gpd.GeoDataFrame:
    corners = [(-7.5 + step_deg * (k % 8), 31.6 + step_deg * (k // 8)) for k in range(count)]
    return gpd.GeoDataFrame(
        {"parcel_uid": [f"f{k:03d}" for k in range(count)], "agro:crop": "wheat"},
        geometry=[box(x, y, x + 0.001, y + 0.001) for x, y in corners],
        crs="EPSG:4326",
    )


def region(looks: Any, curves: list[Curve], count: int, haze: float, seed: int = 0) -> pd.DataFrame:
    """Observations of `count` parcels, their seasons shifted, all of them lowered on one date."""
    random = np.random.default_rng(seed)
    parts = []
    for k in range(count):
        seen = (random.random(DATES.size) < 0.85) | (np.abs(np.arange(DATES.size) - HAZY) <= 1)
        value = curves[k % len(curves)](DATES + random.uniform(-20, 20)) + random.normal(0, 0.015, DATES.size)
        value[HAZY] -= haze * random.uniform(0.8, 1.2)
        parts.append(looks(DATES[seen], value[seen], uid=f"f{k:03d}"))
    return pd.concat(parts, ignore_index=True)


def day(number: int) -> date:
    return (pd.Timestamp("2026-01-01") + pd.Timedelta(days=int(number))).date()


def observed(series: pd.DataFrame, number: int) -> np.ndarray:
    at = series[series["date"] == pd.Timestamp(day(number))].sort_values("parcel_uid")
    return (at["flag"] == "observed").to_numpy()


def orchard(number: np.ndarray) -> np.ndarray:
    return 0.45 + 0.06 * np.sin(np.asarray(number) / 58.0)


def test_thin_haze_over_all_is_found_only_by_the_parcels_around(looks: Any, wheat: Curve) -> None:
    table, where = region(looks, [wheat, orchard], 40, haze=0.09), places(40)
    alone = smooth(table, day(245))
    together = smooth(table, day(245), places=where)
    assert observed(alone, DATES[HAZY]).mean() > 0.9
    assert observed(together, DATES[HAZY]).mean() < 0.2
    # And nothing else is lost.
    clear = [d for d in DATES if d != DATES[HAZY]]
    assert sum(observed(together, d).sum() for d in clear) == sum(observed(alone, d).sum() for d in clear)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_without_haze_no_look_is_lost(looks: Any, wheat: Curve, alfalfa: Curve, seed: int) -> None:
    table = region(looks, [wheat, alfalfa, orchard], 40, haze=0.0, seed=seed)
    pd.testing.assert_frame_equal(smooth(table, day(245), places=places(40)), smooth(table, day(245)))


def test_a_cut_of_one_field_is_kept_while_its_neighbours_grow(looks: Any, wheat: Curve, alfalfa: Curve) -> None:
    table = pd.concat([region(looks, [orchard], 39, haze=0.0), looks(DATES, alfalfa(DATES), uid="f039")])
    series = smooth(table, day(245), places=places(40))
    mine = series[series["parcel_uid"] == "f039"].set_index("date")
    assert (mine.loc[[pd.Timestamp(day(d)) for d in DATES], "flag"] == "observed").all()


def test_cuts_of_a_whole_perimeter_are_kept(looks: Any, alfalfa: Curve) -> None:
    table = region(looks, [lambda d: alfalfa(np.asarray(d) * 0.25 + DATES * 0.75)], 40, haze=0.0)
    alone, together = smooth(table, day(245)), smooth(table, day(245), places=places(40))
    kept = [(observed(together, d).sum(), observed(alone, d).sum()) for d in DATES]
    assert sum(k for k, _ in kept) > 0.98 * sum(n for _, n in kept)


def test_a_newest_look_that_fell_everywhere_waits_for_the_next(looks: Any) -> None:
    table = region(looks, [orchard], 30, haze=0.32)
    then = smooth(table, day(DATES[HAZY]), places=places(30))
    assert not observed(then, DATES[HAZY]).any()
    assert (then.loc[then["date"] == pd.Timestamp(day(DATES[HAZY])), "value"] > 0.35).all()
    # A fall that the following looks confirm counts.
    calm = region(looks, [orchard], 30, haze=0.0)
    fallen = calm.assign(mean=calm["mean"].where(calm["date"] < pd.Timestamp(day(DATES[HAZY])), calm["mean"] - 0.32))
    assert observed(smooth(fallen, day(245), places=places(30)), DATES[HAZY]).all()


def test_too_few_around_say_nothing(looks: Any) -> None:
    few = region(looks, [orchard], MIN_SEEN, haze=0.09)
    pd.testing.assert_frame_equal(smooth(few, day(245), places=places(MIN_SEEN)), smooth(few, day(245)))
    far = region(looks, [orchard], 40, haze=0.09)
    apart = places(40, step_deg=0.2)
    pd.testing.assert_frame_equal(smooth(far, day(245), places=apart), smooth(far, day(245)))


def test_parcels_that_are_not_in_the_table_are_judged_alone(looks: Any) -> None:
    table, where = region(looks, [orchard], 40, haze=0.09), places(40)
    series = smooth(table, day(245), places=where[where["parcel_uid"] != "f000"])
    seen = observed(series, DATES[HAZY])
    assert seen[0] and seen[1:].mean() < 0.2


@pytest.mark.parametrize(
    ("days", "values", "evidence", "doubtful"),
    [
        ([0, 5, 10], [0.5, 0.45, 0.5], [np.nan, 1, 0], [0, 1, 0]),
        ([0, 5, 10], [0.5, 0.49, 0.5], [np.nan, 0, 0], [0, 0, 0]),
        ([0, 5, 10], [0.4, 0.42, 0.54], [np.nan, np.nan, 0], [0, 1, 0]),  # grows, and bends
        ([0, 5, 10], [0.4, 0.47, 0.54], [np.nan, np.nan, 0], [0, 0, 0]),
        ([0, 5, 10], [0.8, 0.2, 0.2], [np.nan, np.nan, 0], [0, 1, 0]),  # harvest: doubtful only if all around is hazy
        ([0, 5, 25], [0.5, 0.4, 0.5], [np.nan, np.nan, np.nan], [0, 0, 0]),  # too long ago to compare
        ([0, 5, 10], [0.85, 0.3, 0.45], [np.nan, np.nan, 0], [0, 1, 0]),  # a cut
        ([0, 5, 18], [0.5, 0.45, 0.5], [np.nan, 0, 0], [0, 1, 0]),  # regained too late to tell
        ([0, 5], [0.5, 0.25], [np.nan, 1], [0, 1]),
        ([0, 5], [0.5, 0.35], [np.nan, 0], [0, 0]),  # as fast as ripening
        ([0, 2, 12], [0.50, 0.50, 0.59], [np.nan, 0, 0], [0, 0, 0]),  # the line runs by days, not by looks
        ([0, 10, 12], [0.50, 0.50, 0.59], [np.nan, 0, 0], [0, 1, 0]),
        ([0], [0.5], [np.nan], [0]),
    ],
)
def test_what_is_lowered(days: list[int], values: list[float], evidence: list[float], doubtful: list[int]) -> None:
    found, doubted = lowered_looks(np.array([days]), np.array([values]))
    np.testing.assert_array_equal(found[0], evidence)
    np.testing.assert_array_equal(doubted[0], np.array(doubtful, dtype=bool))


def test_series_of_unequal_length() -> None:
    values = np.array([[0.5, 0.4, 0.5, 0.5], [0.5, 0.2, np.nan, np.nan], [np.nan] * 4])
    days = np.array([[0, 5, 10, 15], [0, 5, 0, 0], [0] * 4])
    evidence, doubtful = lowered_looks(days, values)
    np.testing.assert_array_equal(evidence, [[np.nan, 1, 0, 0], [np.nan, 1, np.nan, np.nan], [np.nan] * 4])
    assert np.argwhere(doubtful).tolist() == [[0, 1], [1, 1]]


class TestNear:
    def test_the_nearest_first_and_never_oneself(self) -> None:
        random = np.random.default_rng(2)
        lon, lat = -7 + 0.04 * random.random(60), 31 + 0.04 * random.random(60)
        near = near_parcels(lon, lat)
        assert near.shape == (60, NEAREST)
        sphere = Geod(a=6_371_008.8, b=6_371_008.8)
        for k in range(60):
            distance = sphere.inv(np.full(60, lon[k]), np.full(60, lat[k]), lon, lat)[2]
            assert near[k].tolist() == np.argsort(distance)[1 : NEAREST + 1].tolist()

    def test_many_at_one_point(self) -> None:
        near = near_parcels(np.full(50, -7.0), np.full(50, 31.0))
        assert (near >= 0).all()
        assert not (near == np.arange(50)[:, None]).any()

    def test_unknown_places_and_far_ones(self) -> None:
        near = near_parcels(np.array([-7.0, -7.001, np.nan, -6.0]), np.array([31.0, 31.0, 31.0, 31.0]))
        assert near.tolist() == [[1, -1, -1], [0, -1, -1], [-1] * 3, [-1] * 3]
        assert near_parcels(np.array([-7.0]), np.array([31.0])).shape == (1, 0)


def test_two_thirds_of_twelve() -> None:
    near = np.array([[k for k in range(13) if k != j] for j in range(13)])
    lowered = np.zeros((13, 2))
    lowered[:9, 0], lowered[:8, 1] = 1, 1
    found = hazy_around(lowered, near)
    # Of the nine, each has eight of twelve around, and the others nine; of eight, each has seven, the others eight.
    assert found[:, 0].all()
    assert found[:, 1].tolist() == [False] * 8 + [True] * 5
