"""Parts of the generator by themselves."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agro.schema.errors import ConfigError
from pipelines.sample_region import landscape, management, reflectance, scenes, weather
from pipelines.sample_region.build import build_sample_region

PACKAGE = Path(weather.__file__).parent
DAYS = pd.date_range("2021-09-01", "2022-07-31")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_knows_nothing_of_the_pipeline() -> None:
    known = set()
    for file in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                known.add(node.module)
            elif isinstance(node, ast.Import):
                known.update(name.name for name in node.names)
    ours = {name for name in known if name.split(".")[0] == "agro"}
    assert ours and all(name.startswith("agro.schema") for name in ours)


def test_other_things_in_the_folder_are_not_harmed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"thesis\.txt"):
        build_sample_region(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_weather_follows_the_normals() -> None:
    years = [weather.true_weather(DAYS, rng(seed)) for seed in range(30)]
    table = pd.concat(years).groupby(lambda i: DAYS[i].month).mean(numeric_only=True)
    normals = weather.NORMALS.set_index("month").loc[table.index]
    assert np.allclose(table["tmax_c"], normals["tmax_c"], atol=1.5)
    assert np.allclose(table["rs_mj_m2"], normals["rs_mj_m2_d"], rtol=0.12)
    total = np.mean([year["rain_mm"].sum() for year in years])
    assert total == pytest.approx(normals["rain_mm_month"].sum(), rel=0.35)
    assert all((year["tmax_c"] > year["tmin_c"]).all() for year in years)


def test_local_rain_varies_but_its_mean_is_kept() -> None:
    true = weather.true_weather(DAYS, rng(1))
    x, y = rng(2).uniform(0, 2500, (2, 40))
    rain = weather.local_rain(true, x, y, rng(3))
    assert np.allclose(rain.mean(axis=1), true["rain_mm"])
    assert (rain >= 0).all() and rain[true["rain_mm"] == 0].sum() == 0
    assert rain[true["rain_mm"] > 5].std(axis=1).min() > 0.1


@given(cover=st.floats(0, 0.95), dry=st.floats(0, 1), wet=st.floats(0, 1))
def test_mixture_is_a_reflectance_and_green_raises_ndvi(cover: float, dry: float, wet: float) -> None:
    dry = min(dry, 1 - cover)
    one = np.ones(1)
    mixed = reflectance.mixture(cover * one, dry * one, wet * one, one, one)
    assert ((mixed > 0) & (mixed < 0.7)).all()
    more = min(dry, 1 - cover - 0.05)
    low = reflectance.ndvi(cover * one, more * one, wet * one)
    high = reflectance.ndvi((cover + 0.05) * one, more * one, wet * one)
    assert high[0] > low[0]


def test_ndvi_of_ends() -> None:
    bare, full = (float(reflectance.ndvi(np.array([c]), np.array([0.0]), np.array([0.2]))[0]) for c in (0.0, 1.0))
    assert 0.12 <= bare <= 0.18
    assert 0.85 <= full <= 0.93


def test_wet_soil_is_darker() -> None:
    zero, one = np.zeros(1), np.ones(1)
    dry, wet = (reflectance.mixture(zero, zero, state, one, one) for state in (zero, one))
    assert (wet < 0.6 * dry).all()


def test_reports_have_gaps_and_error() -> None:
    land = landscape.make_land(rng(5))
    true = weather.true_weather(DAYS, rng(6))
    whims = rng(7)
    for field in land.fields:
        gross = management.true_irrigation(field, true, whims)
        told = management.reported(field, gross, DAYS, whims)
        assert (gross[: field.sown_day or 0] == 0).all()
        assert (gross.sum() == 0) == (field.system == "rainfed")
        assert len(told) <= (gross > 0).sum()
        assert field.reports != "none" or told.empty


def test_sky_shadow_lies_beside_its_cloud() -> None:
    skies = [scenes.make_sky(rng(seed)) for seed in range(40)]
    assert any(sky.haze > 0 for sky in skies) and any((sky.opacity == 0).all() for sky in skies)
    for sky in skies:
        assert (sky.shadow[sky.opacity > 0.2] == 0).all()
