from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from season_fixture import panel

from agro.schema.errors import ContractError
from agro.yields.drift import watch
from agro.yields.models import GaussianProcessYield, LevelYield, MeanYield, RidgeYield, TreesYield
from agro.yields.registry import load_models, models_digest, save_models
from agro.yields.season_model import SeasonModel, predict_season_model, train_season_model

FAMILIES = {
    "ridge": RidgeYield(), "pooled_ridge": RidgeYield(pooled=True), "trees": TreesYield(trees=10), "gp": GaussianProcessYield(),
}  # fmt: skip


def trained(name: str) -> tuple[SeasonModel, pd.DataFrame, np.ndarray]:
    X, y = panel()
    model = train_season_model(X, y, {"mean": MeanYield(), name: FAMILIES[name]}, stack=False)
    assert model.choice.name == name
    return model, X, y


@pytest.mark.parametrize("name", list(FAMILIES))
def test_a_saved_model_forecasts_the_same(name: str, tmp_path: Path) -> None:
    model, X, _ = trained(name)
    digest = save_models(tmp_path / "m.skops", {"end": model}, {"crop": "wheat"})
    again, about, said = load_models(tmp_path / "m.skops")
    assert said == digest == models_digest(again) == models_digest({"end": trained(name)[0]}) and about == {
        "crop": "wheat"
    }
    pd.testing.assert_frame_equal(predict_season_model(model, X), predict_season_model(again["end"], X))


def test_the_digest_tells_models_apart() -> None:
    model, X, y = trained("ridge")
    other = train_season_model(X, y * 1.01, {"mean": MeanYield(), "ridge": RidgeYield()}, stack=False)
    assert models_digest({"end": model}) != models_digest({"end": other}) != models_digest({"mid": other})


class Stranger:
    pass


def test_unknown_types_are_refused(tmp_path: Path) -> None:
    skops.io.dump({"format": 1, "about": {}, "digest": "", "models": {"end": Stranger()}}, tmp_path / "a.skops")
    (tmp_path / "b.skops").write_bytes(pickle.dumps({"format": 1}))
    skops.io.dump({"format": 99}, tmp_path / "d.skops")
    for name, said in (("a", "not trusted"), ("b", "not a model"), ("c", "not a model"), ("d", "format 99")):
        with pytest.raises(ContractError, match=said):
            load_models(tmp_path / f"{name}.skops")


def test_a_model_changed_on_disk_is_refused(tmp_path: Path) -> None:
    model, _, _ = trained("ridge")
    path = tmp_path / "m.skops"
    save_models(path, {"end": model}, {})
    body = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    body["models"]["end"]["fitted"]["ridge"].coef_[0] += 0.5
    skops.io.dump(body, path)
    with pytest.raises(ContractError, match="changed after it was saved"):
        load_models(path)


def test_a_tree_that_points_outside_itself_is_refused(tmp_path: Path) -> None:
    model, _, _ = trained("trees")
    tree = model.fitted["trees"].trees_.estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"]["feature"][0] = 10_000
    tree.__setstate__(state)
    save_models(tmp_path / "m.skops", {"end": model}, {})
    with pytest.raises(ContractError, match="not a model file"):
        load_models(tmp_path / "m.skops")


def test_drift_of_inputs_and_errors_is_seen() -> None:
    model, X, y = trained("ridge")
    last = (X["year"] == 2015).to_numpy()
    calm = watch(model, X[last], y[last])
    assert not calm["inputs_drift"] and not calm["errors_drift"] and calm["shifted"] == {}
    assert json.dumps(calm)
    moved = watch(model, X[last].assign(ndvi_vegetative=1.5))
    assert moved["inputs_drift"] and "ndvi_vegetative" in moved["shifted"] and "rmse_t_ha" not in moved
    lost = watch(model, X[last], y[last] * 0.2)
    assert lost["errors_drift"] and lost["bias_t_ha"] > 1 and lost["covered_frac"] < 0.3
    unknown = watch(model, X[last], np.full(last.sum(), np.nan))
    assert unknown["errors_drift"] is None


def test_a_level_only_model_needs_no_area(tmp_path: Path) -> None:
    X, y = panel(told=0.0, noise=0.2)
    model = train_season_model(X, y, {"mean": MeanYield(), "level": LevelYield()})
    assert model.area is None and not predict_season_model(model, X)["outside"].any()
