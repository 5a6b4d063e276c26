from __future__ import annotations

import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.schema.crops import Crop
from agro.schema.errors import ContractError
from agro.schema.region import Region
from agro.schema.tables import empty, validate
from agro.yields.card import load, model_card, model_digest, save
from agro.yields.features import season_features, season_of
from agro.yields.forecast import YieldModel, evaluate, predict, train

DAY = date(2022, 4, 11)
SEASONS = tuple(range(2014, 2022))


def crop(kind: str = "annual") -> Crop:
    def parameter(value: Any) -> dict[str, Any]:
        return {"value": value, "unit": "1", "source": "test"}

    return Crop.model_validate(
        {
            "name": {"en": "c", "fr": "c", "ar": "c"}, "kind": kind, "stages_d": parameter([20, 50, 60, 30]),
            "kcb": parameter([0.15, 1.1, 0.15]), "kc": parameter([0.3, 1.15, 0.25]), "height_m": parameter(1.0),
            "root_depth_m": parameter([0.3, 1.5]), "depletion_p": parameter(0.55), "season_start": parameter([12, 1]),
        }
    )  # fmt: skip


CROPS = {"wheat": crop(), "olive": crop("orchard")}


def region(simulated: bool = True) -> Region:
    return Region.model_validate(
        {
            "place": {"id": "r1", "name": {"en": "R"}, "latitude": 31.6, "longitude": -7.7, "elevation_m": 450.0, "simulated": simulated},
            "parcels": {"path": "p"}, "imagery": {"kind": "stac", "path": "i"},
            "weather": [{"kind": "station", "path": "w"}], "soil": [{"kind": "table", "path": "s"}],
        }
    )  # fmt: skip


def looks(uid: str, season: int, peak: float, last_day: int = 330) -> list[dict[str, Any]]:
    start = pd.Timestamp(season - 1, 9, 1)
    out = []
    for day in range(60, last_day, 10):
        value = 0.15 + (peak - 0.15) * np.exp(-(((day - 215) / 55) ** 2))
        out.append(
            {
                "parcel_uid": uid, "date": start + pd.Timedelta(days=day), "index": "ndvi", "source": "s2", "mean": value, "median": value,
                "p10": value, "p90": value, "sd": 0.01, "pixels_effective": 90.0, "valid_frac": 1.0, "buffer_m": 5.0,
                "scene_ids": "a", "usable": True, "reason": None,
            }
        )  # fmt: skip
    return out


def past(
    learnable: bool, parcels: int = 8, seasons: tuple[int, ...] = SEASONS, seed: int = 3
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Yields and index of past seasons; the index tells the yield only where `learnable`."""
    rng = np.random.default_rng(seed)
    rows, observed = [], []
    for season in seasons:
        year = rng.normal(0, 0.06)
        for i in range(parcels):
            peak = float(np.clip(0.68 + year + rng.normal(0, 0.05), 0.3, 0.9))
            told = 12 * (peak - 0.68) if learnable else rng.normal(0, 0.9)
            rows.append(
                {
                    "parcel_uid": f"p{i}", "season": season, "crop": "wheat", "source": "test",
                    "yield_t_ha": max(5.0 + 0.1 * i + told + rng.normal(0, 0.1), 0.0),
                }
            )  # fmt: skip
            observed += looks(f"p{i}", season, peak)
    return validate(pd.DataFrame(rows), "yield_history"), validate(pd.DataFrame(observed), "observations")


def parcels(crop: str = "wheat", count: int = 8) -> pd.DataFrame:
    return pd.DataFrame({"parcel_uid": [f"p{i}" for i in range(count)], "agro:crop": crop})


def now(peak: float = 0.7, count: int = 8, last_day: int = 330) -> pd.DataFrame:
    return validate(
        pd.DataFrame([r for i in range(count) for r in looks(f"p{i}", 2022, peak, last_day)]), "observations"
    )


@pytest.fixture(scope="module")
def learnt() -> YieldModel:
    return train(*past(True), DAY, CROPS)


@pytest.fixture(scope="module")
def unlearnable() -> YieldModel:
    return train(*past(False), DAY, CROPS)


@pytest.mark.parametrize(
    ("day", "season"), [(date(2021, 9, 1), 2022), (date(2022, 8, 31), 2022), (date(2022, 1, 1), 2022)]
)
def test_season_is_the_year_of_harvest(day: date, season: int) -> None:
    assert season_of(day) == season


def test_features_by_hand() -> None:
    flat = [{**row, "mean": 0.35} for row in looks("p0", 2022, 0.5, 110)]  # looks on days 60, 70 ... 100
    (one,) = season_features(validate(pd.DataFrame(flat), "observations"), 100).to_dict("records")
    assert [one["peak"], one["mean_30d"]] == pytest.approx([0.35, 0.35])
    assert one["integral"] == pytest.approx(0.20 * 41)  # days 60 to 100, above bare soil's 0.15
    assert not len(season_features(validate(pd.DataFrame(flat[:4]), "observations"), 100))


def test_where_the_index_tells_the_yield_it_is_learnt(learnt: YieldModel) -> None:
    (scores,) = evaluate(learnt).to_dict("records")
    assert scores["model"].startswith("ridge")
    assert scores["skill_against_mean"] > 0.5
    assert scores["coverage_frac"] >= 0.85
    low, high = (predict(learnt, now(p), parcels(), DAY, region())["yield_t_ha"].mean() for p in (0.55, 0.8))
    assert high > low + 1.0


def test_where_it_does_not_the_mean_is_kept(unlearnable: YieldModel) -> None:
    assert unlearnable.crops["wheat"].name == "mean"
    assert evaluate(unlearnable)["coverage_frac"].item() >= 0.85
    # The mean needs no image.
    table = predict(unlearnable, empty("observations"), parcels(), DAY, region())
    assert table["yield_t_ha"].between(4, 7).all()


def test_nothing_later_than_the_issue_date_is_read(learnt: YieldModel) -> None:
    history, index = past(True)
    later = pd.concat(
        [index, pd.DataFrame([r for i in range(8) for r in looks(f"p{i}", 2022, 0.9)])], ignore_index=True
    )
    harvest = history[history["season"] == 2021].assign(season=2022, yield_t_ha=50.0)
    other = train(pd.concat([history, harvest], ignore_index=True), later, DAY, CROPS)
    assert model_digest(other) == model_digest(learnt)
    # Looks of past seasons after the same day of the season are not read either.
    day = index["date"].dt.day_of_year
    changed = index.assign(mean=index["mean"].where((day <= 101) | (day > 240), 0.9))
    assert model_digest(train(history, changed, DAY, CROPS)) == model_digest(learnt)
    seen = now()
    end = pd.Timestamp(DAY)
    pd.testing.assert_frame_equal(
        predict(learnt, seen, parcels(), DAY, region()),
        predict(learnt, seen[seen["date"] <= end], parcels(), DAY, region()),
    )


def test_olives_of_this_autumn_are_not_known_in_october() -> None:
    history, index = past(False)
    olives = history.assign(crop="olive")
    assert 2021 not in train(olives, index, date(2021, 10, 15), CROPS).crops["olive"].season.years
    assert 2021 in train(olives, index, date(2022, 1, 15), CROPS).crops["olive"].season.years


def test_before_the_season_has_features_the_mean_stands() -> None:
    model = train(*past(True), date(2021, 10, 15), CROPS)
    assert model.crops["wheat"].name == "mean" and model.crops["wheat"].season.rows == 8 * len(SEASONS)
    table = predict(model, empty("observations"), parcels(), date(2021, 10, 15), region())
    assert table["yield_t_ha"].notna().all()


@pytest.mark.parametrize(
    ("seasons", "count"), [((), 8), (SEASONS[:2], 8), (SEASONS[:3], 2)], ids=["none", "two seasons", "six rows"]
)
def test_too_little_history_abstains(seasons: tuple[int, ...], count: int) -> None:
    history, index = past(True, count, seasons) if seasons else (empty("yield_history"), empty("observations"))
    table = predict(train(history, index, DAY, CROPS), now(), parcels(), DAY, region())
    assert (table["abstain_reason"] == "no_history").all() and (table["label"] == "unvalidated").all()
    assert table[["yield_t_ha", "low_t_ha", "high_t_ha"]].isna().all(axis=None)


def test_a_model_for_a_later_day_of_the_season_is_refused(learnt: YieldModel) -> None:
    with pytest.raises(ContractError, match="Train it for this date"):
        predict(learnt, now(), parcels(), date(2022, 3, 1), region())
    assert len(predict(learnt, now(), parcels(), date(2022, 5, 1), region())) == 8


def test_a_row_a_parcel_with_its_label(learnt: YieldModel) -> None:
    mixed = pd.concat([parcels(count=3), parcels("maize", 9).iloc[3:5]])
    seen = now(count=2)
    table = predict(learnt, seen, mixed, DAY, region(simulated=False)).set_index("parcel_uid")
    assert list(table.index) == ["p0", "p1", "p2", "p3", "p4"]
    assert table.loc["p0", "label"] == "trained_on_history" and pd.isna(table.loc["p0", "abstain_reason"])
    assert table.loc["p2", "abstain_reason"] == "no_index" and np.isnan(table.loc["p2", "yield_t_ha"])
    assert table.loc["p3", "abstain_reason"] == "no_history"
    assert set(predict(learnt, seen, parcels(count=2), DAY, region())["label"]) == {"trained_on_simulated"}


@settings(max_examples=30, deadline=None)
@given(peak=st.floats(0.0, 1.0))
def test_intervals_are_ordered_and_never_negative(learnt: YieldModel, peak: float) -> None:
    table = predict(learnt, now(peak, 3), parcels(count=3), DAY, region())
    told = table[table["abstain_reason"].isna()]
    assert (told["low_t_ha"] >= 0).all()
    assert ((told["low_t_ha"] <= told["yield_t_ha"]) & (told["yield_t_ha"] <= told["high_t_ha"])).all()
    assert table.loc[table["abstain_reason"].notna(), ["yield_t_ha", "low_t_ha", "high_t_ha"]].isna().all(axis=None)
    if 0.64 <= peak <= 0.72:
        assert len(told) == 3, "as seen before"


def test_few_seasons_that_share_their_weather_make_a_wide_interval() -> None:
    history, index = past(False, seasons=SEASONS[:4])
    year = history["season"].map({2014: 1.0, 2015: -1.0, 2016: 0.5, 2017: -0.5})
    common = history.assign(yield_t_ha=5.0 + year)
    model = train(common, index, DAY, CROPS).crops["wheat"].season
    # Four seasons are four looks, whatever the parcels: the worst season left out lies within.
    assert model.interval.effective_rows == pytest.approx(4.0)
    assert model.interval.half_frac * 5.0 >= 1.0


def test_a_season_unlike_all_before_abstains(learnt: YieldModel) -> None:
    table = predict(learnt, now(3.0), parcels(), DAY, region())
    assert (table["abstain_reason"] == "outside_area").all() and table["yield_t_ha"].isna().all()


def test_a_saved_model_forecasts_the_same(learnt: YieldModel, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    digest = save(learnt, path, model_card(learnt, "test", "trained_on_simulated"))
    again = load(path)
    assert digest == model_digest(again) == save(again, path, {})
    pd.testing.assert_frame_equal(
        predict(learnt, now(), parcels(), DAY, region()), predict(again, now(), parcels(), DAY, region())
    )


def test_card_is_plain_json(learnt: YieldModel, tmp_path: Path) -> None:
    save(learnt, tmp_path / "model.skops", model_card(learnt, "test", "trained_on_simulated"))
    card = json.loads((tmp_path / "model.card.json").read_text())
    assert card["crops"]["wheat"]["seasons"] == list(SEASONS)
    assert card["label"] == "trained_on_simulated"


class Stranger:
    pass


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    skops.io.dump({"cut_day": 1, "crops": {"wheat": Stranger()}}, tmp_path / "a.skops")
    (tmp_path / "b.skops").write_bytes(pickle.dumps({"cut_day": 1}))
    for name, said in (("a.skops", "not trusted"), ("b.skops", "not a model"), ("c.skops", "not a model")):
        with pytest.raises(ContractError, match=said):
            load(tmp_path / name)


@settings(max_examples=25, deadline=None)
@given(
    days=st.lists(st.integers(-5, 200), min_size=5, max_size=15, unique=True),
    cut=st.integers(20, 200),
    seed=st.integers(0, 99),
)
def test_features_are_those_of_a_curve_drawn_straight_between_looks(days: list[int], cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    start = pd.Timestamp(2021, 9, 1)
    kept = sorted(d for d in days if 0 <= d <= cut)
    value = dict(zip(sorted(days), rng.uniform(0, 1, len(days)), strict=True))
    table = pd.DataFrame(
        [
            {"parcel_uid": "p", "date": start + pd.Timedelta(days=d), "index": "ndvi", "usable": True, "mean": value[d]}
            for d in days
        ]
    )
    found = season_features(table, cut)
    found = found[found["season"] == 2022]
    if len(kept) < 5:
        assert found.empty
        return
    grid = np.arange(kept[0], cut + 1)
    curve = np.interp(grid, kept, [value[d] for d in kept])
    wanted = [max(value[d] for d in kept), np.clip(curve - 0.15, 0, None).sum(), curve[-30:].mean(), curve[-90:].mean()]
    assert found[["peak", "integral", "mean_30d", "mean_90d"]].iloc[0].tolist() == pytest.approx(wanted)
