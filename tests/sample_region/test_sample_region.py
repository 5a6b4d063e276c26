"""The simulated sample region: what it promises, and that it can be made again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest
import rasterio

from agro.schema.region import load_region
from agro.schema.tables import validate
from pipelines.sample_region.build import build_sample_region


def items(sample_tiles: Path) -> list[dict]:  # type: ignore[type-arg]
    found = [json.loads(p.read_text(encoding="utf-8")) for p in sorted((sample_tiles / "imagery").glob("*.json"))]
    return [i for i in found if i["type"] == "Feature"]


def test_size_and_name(sample_tiles: Path) -> None:
    total = sum(p.stat().st_size for p in sample_tiles.rglob("*") if p.is_file())
    assert total <= 12_000_000
    assert load_region(sample_tiles).place.simulated
    assert "SIMULATED" in (sample_tiles / "README.md").read_text(encoding="utf-8")
    assert all("SIMULATED" in i["properties"]["description"] for i in items(sample_tiles))


def test_parcels_crops_and_systems(sample_tiles: Path) -> None:
    body = json.loads((sample_tiles / "parcels.geojson").read_text(encoding="utf-8"))
    rows = pd.DataFrame([f["properties"] for f in body["features"]])
    assert len(rows) == 60 and rows["parcel_uid"].is_unique
    assert set(rows["crop"]) == {"wheat_winter", "olive", "citrus", "sugar_beet", "alfalfa", "maize_silage"}
    assert {"drip", "sprinkler", "surface"} <= set(rows["irrigation"])
    assert rows["metrics:area"].between(1_000, 120_000).all()


def test_scenes_have_native_resolutions_offset_and_faults(sample_tiles: Path) -> None:
    scenes = items(sample_tiles)
    assert len(scenes) >= 40
    broken = []
    for item in scenes:
        late = item["properties"]["datetime"] >= "2022-01-25"
        baseline = float(item["properties"]["s2:processing_baseline"])
        for band, asset in item["assets"].items():
            path = sample_tiles / "imagery" / asset["href"]
            with rasterio.open(path) as data:
                assert data.res[0] == (10 if band in {"blue", "green", "red", "nir"} else 20)
                assert data.dtypes[0] == ("uint8" if band == "scl" else "uint16")
                try:
                    values = data.read(1)
                except rasterio.errors.RasterioIOError:
                    broken.append((item["id"], band))
                    continue
            if band == "blue":
                assert asset["raster:bands"][0]["offset"] == (-0.1 if baseline >= 4 else 0.0)
                assert baseline < 4 or values[values > 0].min() >= 1000
        assert late or baseline < 4 or item["id"].endswith("_1_L2A")
    assert len(broken) == 1
    days = pd.Series([i["properties"]["datetime"][:10] for i in scenes]).value_counts()
    assert (days == 2).sum() == 2  # the duplicate and the halves


def test_what_the_pipeline_sees_is_not_the_truth(sample_tiles: Path) -> None:
    told = pd.read_csv(sample_tiles / "irrigation" / "reported.csv")
    true = pd.read_csv(sample_tiles / "truth" / "irrigation.csv")
    assert 0.4 * len(true) < len(told) < 0.95 * len(true)
    assert true["parcel_uid"].nunique() - told["parcel_uid"].nunique() >= 2  # some growers never report
    assert load_region(sample_tiles).index_history
    assert "truth" not in (sample_tiles / "region.yaml").read_text(encoding="utf-8")


def test_truth_is_plausible(sample_tiles: Path) -> None:
    yields = pd.read_csv(sample_tiles / "truth" / "yield.csv").groupby("crop")["yield_t_ha"].mean()
    # Usual in Morocco, wide: wheat 2-9, beet 40-90, silage maize 30-75, alfalfa 8-25, olive 1-8, citrus 10-45 t/ha.
    for crop, (low, high) in {
        "wheat_winter": (2, 9),
        "sugar_beet": (40, 90),
        "maize_silage": (30, 75),
        "alfalfa": (8, 25),
        "olive": (1, 8),
        "citrus": (10, 45),
    }.items():
        assert low < yields[crop] < high, crop
    water = pd.read_parquet(sample_tiles / "truth" / "soil_water.parquet")
    assert water["stress_frac"].between(0, 1).all() and (water["stress_frac"] > 0.1).any()
    assert water["depletion_mm"].dropna().between(0, 300).all()


def test_history_obeys_its_contracts(sample_tiles: Path) -> None:
    validate(pd.read_csv(sample_tiles / "history" / "yields.csv"), "yield_history")
    index = validate(pd.read_parquet(sample_tiles / "history" / "index.parquet"), "observations")
    assert index["date"].max() < pd.Timestamp("2021-09-01")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_made_again_it_is_the_same_to_the_byte(sample_tiles: Path, tmp_path: Path) -> None:
    pytest.importorskip("aquacrop", reason="the generator's extra is not installed")
    build_sample_region(tmp_path / "again")

    def digests(folder: Path) -> dict[str, str]:
        return {
            p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }

    assert digests(tmp_path / "again") == digests(sample_tiles)
