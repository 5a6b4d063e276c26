"""One bad row of the soil table costs that parcel, never the batch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from agro.schema.crops import load_textures
from agro.schema.errors import ConfigError
from agro.schema.region import SoilSpec
from agro.sources.soil import SoilResult, load_soil
from agro.water.tables import SOILS_FILE

PARCELS = pd.DataFrame({"parcel_uid": ["a", "007"]})
TEXTURES = load_textures(SOILS_FILE)
LAYERS = {
    "parcel_uid": ["a", "a", "007"], "top_m": [0.0, 0.3, 0.0], "bottom_m": [0.3, 1.0, 1.0], "fc_m3_m3": [0.25, 0.2, 0.3],
    "wp_m3_m3": [0.1, 0.1, 0.1], "stones_frac": [0.0, 0.1, 0.0], "fc_sd_m3_m3": [0.02, 0.02, 0.02],
}  # fmt: skip


def soil(folder: Path, table: pd.DataFrame) -> SoilResult:
    table.to_csv(folder / "soil.csv", index=False)
    return load_soil(
        [SoilSpec(kind="table", path="soil.csv"), SoilSpec(kind="texture", texture="loam")], folder, PARCELS, TEXTURES
    )


def test_names_of_parcels_are_text_and_layers_are_numbered(tmp_path: Path) -> None:
    done = soil(tmp_path, pd.DataFrame(LAYERS).iloc[::-1])
    assert done.soil[["parcel_uid", "layer", "top_m"]].to_numpy().tolist() == [
        ["007", 1, 0.0],
        ["a", 1, 0.0],
        ["a", 2, 0.3],
    ]
    assert done.rejected.empty


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("stones_frac", 1.5, "stones_frac 1.5 is outside 0 .. 0.95"),
        ("stones_frac", "many", "stones_frac is not a number"),
        ("fc_sd_m3_m3", -1, "fc_sd_m3_m3 -1 is outside"),
        ("fc_m3_m3", 30, "fc_m3_m3 30 is outside 0 .. 0.7"),  # per cent
        ("fc_m3_m3", None, "fc_m3_m3 is not a number"),
        ("top_m", 0.4, "the first layer begins at 0.4 m"),
        ("bottom_m", 0, "overlap"),
    ],
)
def test_a_bad_parcel_falls_to_the_next_link_alone(tmp_path: Path, column: str, value: object, said: str) -> None:
    table = pd.DataFrame(LAYERS).astype({column: object})
    table.loc[2, column] = value
    done = soil(tmp_path, table)
    assert done.soil.groupby("parcel_uid")["source"].first().to_dict() == {"007": "texture_default:loam", "a": "survey"}
    assert said in done.rejected["reason"].iloc[0] and "007" in done.rejected["item"].iloc[0]


def test_a_row_without_a_parcel_is_listed(tmp_path: Path) -> None:
    table = pd.DataFrame(LAYERS)
    table.loc[2, "parcel_uid"] = None
    assert "no parcel_uid" in soil(tmp_path, table).rejected["reason"].iloc[0]


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "soil.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="not a CSV table"):
        load_soil([SoilSpec(kind="table", path="soil.csv")], tmp_path, PARCELS, TEXTURES)
