from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from agro.schema.tables import empty, validate
from agro.series import phenology, season_metrics, smooth

Curve = Callable[[np.ndarray], np.ndarray]


def series_of(values: np.ndarray, uid: str = "f1", start: str = "2026-01-01") -> pd.DataFrame:
    """Table `series` with a look a day: the curve is what is given."""
    days = pd.Timestamp(start) + pd.to_timedelta(np.arange(values.size), "D")
    table = {"parcel_uid": uid, "date": days, "index": "ndvi", "value": values, "sd": 0.01, "flag": "observed"}
    return validate(pd.DataFrame({**table, "clear_age_d": 0}), "series")


def triangle(up: int = 50, down: int = 25, low: float = 0.2, high: float = 0.7, after: float = 0.1) -> np.ndarray:
    """Ten days at `low`, a straight rise to `high`, a straight fall to `after`, ten days there."""
    return np.concatenate(
        (np.full(10, low), np.linspace(low, high, up + 1), np.linspace(high, after, down + 1)[1:], np.full(10, after))
    )


def test_a_triangle_by_hand() -> None:
    series = series_of(triangle())
    seasons = phenology(series)
    (row,) = season_metrics(series, seasons).itertuples()
    assert row.amplitude == pytest.approx(0.7 - 0.15)
    assert row.base_value == pytest.approx(0.15)
    assert row.rise_per_d == pytest.approx(0.5 / 50)
    assert row.fall_per_d == pytest.approx(0.6 / 25)
    # 20 % of the rise is passed on day 10 + 10, of the fall 20 days after the peak on day 60.
    assert row.length_d == 60
    # 80 %: ten days before the peak, and five after it.
    assert row.middle_date == pd.Timestamp("2026-01-01") + pd.Timedelta(days=60 - 2)  # 57.5, rounded to even
    area = (0.3 + 0.7) / 2 * 40 + (0.7 + 0.22) / 2 * 20
    assert row.large_integral_d == pytest.approx(area)
    assert row.small_integral_d == pytest.approx(area - 0.15 * 60)


def test_a_season_that_grows_has_its_rise_alone() -> None:
    series = series_of(triangle()[:65])
    seasons = phenology(series)
    assert seasons["status"].tolist() == ["growing"]
    (row,) = season_metrics(series, seasons).itertuples()
    assert row.rise_per_d == pytest.approx(0.01)
    assert np.isnan([row.fall_per_d, row.length_d, row.amplitude, row.large_integral_d, row.small_integral_d]).all()
    assert pd.isna(row.middle_date)


def test_two_seasons_each_by_its_own_valley() -> None:
    series = series_of(np.concatenate((triangle(after=0.2), triangle(up=30, high=0.6, low=0.2, after=0.2))))
    found = season_metrics(series, phenology(series))
    assert found["season"].tolist() == [0, 1]
    np.testing.assert_allclose(found["amplitude"], [0.4, 0.5])
    np.testing.assert_allclose(found["rise_per_d"], [0.4 / 30, 0.5 / 50])


def test_figures_are_those_of_each_parcel(looks: Any, wheat: Curve, alfalfa: Curve) -> None:
    days = np.arange(0, 260, 5)
    table = pd.concat(
        [looks(days, wheat(days), uid="a"), looks(days, alfalfa(days), uid="b"), looks([1], [0.4], uid="c")]
    )
    series = smooth(table, pd.Timestamp("2026-09-15").date())
    seasons = phenology(series)
    found = season_metrics(series, seasons)
    peaks = seasons[seasons["peak_date"].notna()]
    keys = ["parcel_uid", "season"]
    assert found[keys].to_numpy().tolist() == peaks[keys].to_numpy().tolist()
    both = found.merge(seasons, on=["parcel_uid", "index", "season"])
    length = (both["end_date"] - both["start_date"]).dt.days
    pd.testing.assert_series_equal(both["length_d"], length.astype("float64"), check_names=False)
    whole = both.dropna(subset="length_d")
    assert (whole["start_date"] <= whole["middle_date"]).all() and (whole["middle_date"] <= whole["end_date"]).all()
    np.testing.assert_allclose(
        whole["large_integral_d"] - whole["small_integral_d"], whole["base_value"] * whole["length_d"]
    )  # fmt: skip
    assert (whole["small_integral_d"] > 0).all()


def test_nothing_in_nothing_out() -> None:
    assert not len(season_metrics(empty("series"), empty("phenology")))
    flat = series_of(np.full(60, 0.4))
    assert not len(season_metrics(flat, phenology(flat)))
