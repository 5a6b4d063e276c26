from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from agro.schema.errors import ContractError, NoDataError
from agro.series import crop_penalties, smooth
from agro.series.penalty import GRID, v_curve
from agro.series.whittaker import whittaker

Curve = Callable[[np.ndarray], np.ndarray]


def looked(curve: Curve, noise: float, every: int = 5, count: int = 40, seed: int = 1) -> tuple[np.ndarray, ...]:
    """Values, weights and truth, (series, days)."""
    random = np.random.default_rng(seed)
    days = np.arange(260)
    truth = np.array([curve(days + shift) for shift in random.uniform(-10, 10, count)])
    values, weights = np.full(truth.shape, np.nan), np.zeros(truth.shape)
    at = days[::every]
    values[:, at] = truth[:, at] + random.normal(0, noise, (count, at.size))
    weights[:, at] = random.random((count, at.size)) < 0.8
    return values, weights, truth


def dense_v_curve(values: np.ndarray, weights: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Frasso & Eilers by the book, one series and full matrices at a time."""
    second = np.diff(np.eye(values.shape[1]), 2, axis=0)
    points = []
    for penalty in grid:
        misfit = rough = 0.0
        for y, w in zip(values, weights, strict=True):
            z = np.linalg.solve(np.diag(w) + penalty * second.T @ second, w * np.nan_to_num(y))
            misfit += float((w * (np.nan_to_num(y) - z) ** 2).sum())
            rough += float(((second @ z) ** 2).sum())
        points.append((np.log(misfit), np.log(rough)))
    steps = np.diff(np.array(points), axis=0)
    return np.hypot(steps[:, 0], steps[:, 1]) / np.diff(np.log(grid))


def test_equal_to_the_definition(wheat: Curve) -> None:
    values, weights = (array[:, 40:160] for array in looked(wheat, 0.03, count=3)[:2])
    found = v_curve(values, weights)
    np.testing.assert_allclose(found.distance, dense_v_curve(values, weights, GRID), rtol=1e-6)
    assert found.lambda_ == found.lambdas[np.argmin(found.distance)]
    assert (found.series, found.at_edge) == (3, False)


@pytest.mark.parametrize("noise", [0.02, 0.04])
def test_error_is_near_the_least_that_any_penalty_reaches(wheat: Curve, noise: float) -> None:
    values, weights, truth = looked(wheat, noise)

    def error(penalty: float) -> float:
        return float(np.sqrt(((whittaker(values, weights, penalty)[0] - truth)[:, :256] ** 2).mean()))

    found = v_curve(values, weights)
    assert error(found.lambda_) < 1.15 * min(error(p) for p in GRID)
    assert found.residual_sd == pytest.approx(noise, rel=0.2)


def test_calm_crops_get_a_stiffer_curve(wheat: Curve) -> None:
    calm = v_curve(*looked(lambda d: 0.45 + 0.08 * np.sin(d / 58.0), 0.03)[:2]).lambda_
    lively = v_curve(*looked(wheat, 0.03)[:2]).lambda_
    assert calm > 10 * lively


def test_of_many_series_a_part_is_enough(wheat: Curve) -> None:
    values, weights, _ = looked(wheat, 0.03, count=1200)
    found = v_curve(values, weights)
    assert found.series == 500
    every = v_curve(values[::3], weights[::3])
    assert found.lambda_ == pytest.approx(every.lambda_, rel=0.8)  # at most one step of the grid


def test_too_few_looks_and_wrong_grids() -> None:
    values, weights = np.full((2, 50), 0.5), np.zeros((2, 50))
    weights[:, :7] = 1
    with pytest.raises(NoDataError, match="no series has 8 looks"):
        v_curve(values, weights)
    for grid in (np.array([1.0, 2.0]), np.array([1.0, 3.0, 2.0]), np.array([0.0, 1.0, 2.0])):
        with pytest.raises(ContractError, match="increasing"):
            v_curve(values, weights, grid)


def parcels_of(crops: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"parcel_uid": list(crops), "agro:crop": list(crops.values())})


@pytest.fixture(scope="module")
def mixed(looks: Any, wheat: Curve, alfalfa: Curve) -> tuple[pd.DataFrame, pd.DataFrame]:
    random = np.random.default_rng(8)
    days = np.arange(0, 255, 5)
    curves = {"wheat": wheat, "alfalfa": alfalfa, "olive": lambda d: 0.4 + 0.06 * np.sin(d / 58.0)}
    crops, parts = {}, []
    for k in range(24):
        crop = list(curves)[k % 3]
        crops[f"p{k:02d}"] = crop
        value = curves[crop](days + random.uniform(-10, 10)) + random.normal(0, 0.02, days.size)
        parts.append(looks(days, value, uid=f"p{k:02d}"))
    crops["bare"] = "fallow"
    return pd.concat(parts), parcels_of(crops)


def test_a_penalty_by_crop(mixed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, parcels = mixed
    as_of = pd.Timestamp("2026-09-12").date()
    found = crop_penalties(table, parcels, as_of)
    assert found["parcel_uid"].tolist() == parcels["parcel_uid"].tolist()
    by_crop = found.drop_duplicates(["crop", "lambda_", "source"]).set_index("crop")
    assert by_crop.index.is_unique
    assert by_crop["source"].to_dict() == {"wheat": "v-curve", "alfalfa": "own", "olive": "v-curve", "fallow": "own"}
    assert by_crop.loc["olive", "lambda_"] > by_crop.loc["wheat", "lambda_"]
    assert by_crop.loc[["alfalfa", "fallow"], "lambda_"].isna().all()
    stated = crop_penalties(table, parcels, as_of, given={"wheat": 42.0}).drop_duplicates("crop").set_index("crop")
    assert stated.loc["wheat"].tolist()[1:] == [42.0, "given"]
    assert stated.loc["olive", "lambda_"] == by_crop.loc["olive", "lambda_"]


def test_smoothing_takes_a_penalty_a_parcel(mixed: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    table, parcels = mixed
    as_of = pd.Timestamp("2026-09-12").date()
    found = crop_penalties(table, parcels, as_of).dropna(subset="lambda_")
    given = dict(zip(found["parcel_uid"], found["lambda_"], strict=True))
    series = smooth(table, as_of, lambda_=given).set_index("parcel_uid")
    own = smooth(table, as_of).set_index("parcel_uid")
    one = smooth(table, as_of, lambda_=given["p00"]).set_index("parcel_uid")
    pd.testing.assert_frame_equal(series.loc[["p00"]], one.loc[["p00"]])
    pd.testing.assert_frame_equal(series.loc[["p01"]], own.loc[["p01"]])  # alfalfa: chosen for itself
    assert not np.allclose(series.loc["p00", "value"], own.loc["p00", "value"], atol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf")])
def test_a_wrong_penalty_is_said(mixed: tuple[pd.DataFrame, pd.DataFrame], wrong: float) -> None:
    with pytest.raises(ContractError, match="not above zero"):
        smooth(mixed[0], pd.Timestamp("2026-09-12").date(), lambda_={"p00": wrong})


@pytest.mark.real_data
def test_a_real_cereal_gets_the_penalty_that_predicts_its_looks_best(shared_data: Any) -> None:
    with xr.open_dataset(shared_data / "s2-castilla-y-leon-2019" / "raw_s2_ndvi_field.nc") as data:
        ndvi = ((data.B08 - data.B04) / (data.B08 + data.B04)).where(data.SCL.isin([4, 5, 7]))
        pixels = ndvi.stack(pixel=("x", "y")).transpose("pixel", "t").values
        number = ((data.t.values - data.t.values[0]) / np.timedelta64(1, "D")).astype(int)
    pixels = pixels[np.isfinite(pixels).sum(axis=1) >= 20]
    values = np.full((len(pixels), number[-1] + 1), np.nan)
    values[:, number] = pixels
    weights = np.isfinite(values).astype("float64")
    found = v_curve(values, weights)
    error = {}
    for penalty in (found.lambda_, found.lambda_ / 30, found.lambda_ * 30):
        smoothed, variance = whittaker(values, weights, penalty)
        error[penalty] = float(np.nanmean(((values - smoothed) / (1 - variance)) ** 2))
    assert min(error, key=lambda p: error[p]) == found.lambda_
    assert 100 < found.lambda_ < 1500
