from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from agro.schema.crops import load_textures
from agro.schema.errors import ConfigError
from agro.schema.region import SoilSpec
from agro.sources.irrigation import load_irrigation
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


def test_irrigation_rows_are_judged_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "i.csv"
    path.write_text(
        "parcel_uid,date,depth_mm\na,2022-04-01,20\na,2022-04-01,10\nb,2022-04-02,-5\nz,2022-04-02,10\nb,soon,10\nb,2022-04-03,9000\nc,2022-05-01,30\n"
    )
    events, rejected = load_irrigation(path, PARCELS, date(2022, 4, 11))
    assert events[["parcel_uid", "depth_mm"]].to_numpy().tolist() == [["a", 30.0]]
    assert len(rejected) == 4  # the later event is not bad, only not known yet
    assert load_irrigation(None, PARCELS, date(2022, 4, 11))[0].empty
