from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agro.schema.crops import load_textures
from agro.schema.errors import ConfigError
from agro.schema.region import SoilSpec
from agro.sources.soil import load_soil
from agro.water.tables import SOILS_FILE

PARCELS = pd.DataFrame({"parcel_uid": ["a", "b", "c"]})
TEXTURES = load_textures(SOILS_FILE)


def layers(folder: Path, rows: list[tuple[str, float, float, float, float]]) -> list[SoilSpec]:
    pd.DataFrame(rows, columns=["parcel_uid", "top_m", "bottom_m", "fc_m3_m3", "wp_m3_m3"]).to_csv(
        folder / "soil.csv", index=False
    )
    return [SoilSpec(kind="table", path="soil.csv", source="laboratory"), SoilSpec(kind="texture", texture="loam")]


def test_first_link_that_has_the_parcel_whole(tmp_path: Path) -> None:
    specs = layers(
        tmp_path, [("a", 0, 0.3, 0.25, 0.1), ("a", 0.3, 1, 0.2, 0.1), ("b", 0, 1, 0.1, 0.2), ("zz", 0, 1, 0.2, 0.1)]
    )
    done = load_soil(specs, tmp_path, PARCELS, TEXTURES)
    source = done.soil.groupby("parcel_uid")["source"].first()
    assert source.to_dict() == {"a": "laboratory", "b": "texture_default:loam", "c": "texture_default:loam"}
    assert any("not below field capacity" in r for r in done.rejected["reason"])
    assert any("no such parcel" in r for r in done.rejected["reason"])
    assert (done.soil["fc_sd_m3_m3"] > 0).all()


def test_layers_that_overlap_are_refused(tmp_path: Path) -> None:
    specs = layers(tmp_path, [("a", 0, 0.5, 0.25, 0.1), ("a", 0.3, 1, 0.2, 0.1)])
    done = load_soil(specs, tmp_path, PARCELS, TEXTURES)
    assert "overlap" in done.rejected["reason"].iloc[0]


def test_unknown_texture_lists_the_known() -> None:
    with pytest.raises(ConfigError, match="mud") as caught:
        load_soil([SoilSpec(kind="texture", texture="mud")], Path(), PARCELS, TEXTURES)
    assert "loam" in caught.value.do


def test_textures_hold_water() -> None:
    for name, texture in TEXTURES.items():
        assert 0.05 < texture.fc_m3_m3.value - texture.wp_m3_m3.value < 0.2, name


def test_each_row_says_why_no_earlier_link_serves_it(tmp_path: Path) -> None:
    specs = layers(tmp_path, [("a", 0, 1, 0.25, 0.1), ("b", 0, 1, 0.1, 0.2)])
    soil = load_soil(specs, tmp_path, PARCELS, TEXTURES).soil.set_index("parcel_uid")
    assert pd.isna(soil.loc["a", "source_reason"])
    assert "not below field capacity" in soil.loc["b", "source_reason"]
    assert soil.loc["c", "source_reason"] == "not in soil.csv"


def test_without_mixing_the_first_link_that_has_all_serves_alone(tmp_path: Path) -> None:
    specs = layers(tmp_path, [("a", 0, 1, 0.25, 0.1), ("b", 0, 1, 0.3, 0.2)])
    done = load_soil(specs, tmp_path, PARCELS, TEXTURES, mixing=False)
    assert done.soil["source"].unique().tolist() == ["texture_default:loam"]
    assert done.soil.set_index("parcel_uid").loc["c", "source_reason"] == "not in soil.csv"
    alone = load_soil(specs[:1], tmp_path, PARCELS, TEXTURES, mixing=False)
    assert alone.soil["parcel_uid"].tolist() == ["a", "b"]
    assert alone.rejected["item"].tolist() == ["1 parcel(s)"]
    whole = layers(tmp_path, [(uid, 0, 1, 0.25, 0.1) for uid in "abc"])
    assert load_soil(whole, tmp_path, PARCELS, TEXTURES, mixing=False).soil["source"].unique().tolist() == [
        "laboratory"
    ]
