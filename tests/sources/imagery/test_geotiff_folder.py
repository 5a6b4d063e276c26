from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import small_scenes as small

from agro.schema.errors import NoDataError, SourceError
from agro.sources.imagery.geotiff_folder import GeotiffFolder
from agro.sources.imagery.protocol import Scene

FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)
DAY = small.DAYS[0]
RED = small.numbers(DAY, "red")


def scenes(folder: Path, **options: object) -> list[Scene]:
    return GeotiffFolder(folder, **options).search(FIRST, LAST).scenes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "scene_id"),
    [
        (["a_20211103_B04.tif", "a_20211103_B08.tif"], "a_20211103"),
        (["20211103/B04.tif", "20211103/B08.tif"], "20211103"),
        (["2021-11-03/red.tif", "2021-11-03/nir.tif"], "2021-11-03"),
        (["red/2021-11-03.tif", "nir/2021-11-03.tif"], "2021-11-03"),
        (["R10m/T29_20211103T110621_B04_10m.tif", "R20m/T29_20211103T110621_B08_20m.tif"], "T29_20211103T110621"),
        (["north/20211103_B04.tiff", "north/20211103_B08.tiff"], "north/20211103"),
    ],
)
def test_layouts(tmp_path: Path, names: list[str], scene_id: str) -> None:
    for name in names:
        small.write_tif(tmp_path / name, RED, 10)
    (one,) = scenes(tmp_path)
    assert (one.scene_id, one.date, set(one.assets)) == (scene_id, DAY, {"red", "nir"})
    assert sorted(one.files) == sorted(str(tmp_path / name) for name in names)


def test_two_tiles_of_a_day_are_two_scenes(tmp_path: Path) -> None:
    for tile in ("T29RPR", "T29SPR"):
        small.write_tif(tmp_path / f"{tile}_20211103_B04.tif", RED, 10)
    small.write_tif(tmp_path / "east" / "20211103_B04.tif", RED, 10)
    small.write_tif(tmp_path / "west" / "20211103_B04.tif", RED, 10)
    assert [s.scene_id for s in scenes(tmp_path)] == [
        "T29RPR_20211103", "T29SPR_20211103", "east/20211103", "west/20211103",
    ]  # fmt: skip


def test_bands_of_one_file_by_description(tmp_path: Path) -> None:
    stack = np.stack([RED, RED + 1, small.numbers(DAY, "nir")])
    small.write_tif(tmp_path / "s2_20211103.tif", stack, 10, descriptions=("B04", "quality", "nir"))
    (one,) = scenes(tmp_path)
    assert set(one.assets) == {"red", "nir"}
    source = GeotiffFolder(tmp_path)
    np.testing.assert_array_equal(source.read(one, "nir", small.GRID), small.on_grid(DAY, "nir"))
    np.testing.assert_array_equal(source.read(one, "red", small.GRID), small.on_grid(DAY, "red"))
    assert one.files == (str(tmp_path / "s2_20211103.tif"),)


def test_finest_file_of_a_band_wins_whatever_the_order(tmp_path: Path) -> None:
    small.write_tif(tmp_path / "R60m" / "x_20211103_B04_60m.tif", RED[::6, ::6], 60)
    small.write_tif(tmp_path / "R10m" / "x_20211103_B04_10m.tif", RED, 10)
    small.write_tif(tmp_path / "R20m" / "x_20211103_B04_20m.tif", RED[::2, ::2], 20)
    (one,) = scenes(tmp_path)
    assert one.assets["red"].endswith("B04_10m.tif")


def test_product_names_are_understood(tmp_path: Path) -> None:
    name = "S2B_MSIL2A_20211103T110621_N0301_R137_T29RPR_20211103T150000"
    small.write_tif(tmp_path / f"{name}_B04.tif", RED, 10)
    (one,) = scenes(tmp_path)
    assert (one.processing_baseline, one.relative_orbit, one.tile) == ("03.01", 137, "29RPR")
    assert one.offset is None  # an export may be harmonised or not: the pixels decide


def test_misfits_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    small.write_tif(tmp_path / "a_20211103_B04.tif", RED, 10)
    small.write_tif(tmp_path / "b" / "a_20211103_B08.tif", RED, 10)
    small.write_tif(tmp_path / "nodate_B04.tif", RED, 10)
    small.write_tif(tmp_path / "c_20211103.tif", RED, 10)
    small.write_tif(tmp_path / "d_20211103_B04.tif", RED, 10)
    small.write_tif(tmp_path / "d_20211103_red.tif", RED, 10)
    small.write_tif(tmp_path / "S2B_MSIL1C_20211103T110621_N0301_R137_T29RPR_20211103T150000_B04.tif", RED, 10)
    (tmp_path / "e_20211103.tif").write_bytes(b"II*\0not a tiff")
    small.write_tif(tmp_path / "f_20211103.tif", np.stack([RED, RED]), 10, descriptions=("B04", "red"))
    found = GeotiffFolder(tmp_path).search(FIRST, LAST)
    assert [s.scene_id for s in found.scenes] == ["a_20211103", "b/a_20211103", "d_20211103"]
    said = dict(zip(found.rejected["item"], found.rejected["reason"], strict=True))
    assert said["nodate_B04.tif"] == "no date in its name"
    assert "neither its name nor its band descriptions" in said["c_20211103.tif"]
    assert "a second file of red" in said["d_20211103_red.tif"]
    assert "cannot be opened" in said["e_20211103.tif"]
    assert "two bands are described as red" in said["f_20211103.tif"]
    assert any("Level-1C" in reason for reason in said.values())
    assert len(said) == 6
    assert (found.rejected["input"] == "imagery").all()


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match=r"holds no \*\.tif"):
        GeotiffFolder(tmp_path).search(FIRST, LAST)
    small.write_tif(tmp_path / "a_20211103_B04.tif", RED, 10)
    with pytest.raises(NoDataError, match=r"holds no \*\.jp2"):
        GeotiffFolder(tmp_path, pattern="*.jp2").search(FIRST, LAST)


class TestScale:
    def one(self, folder: Path, values: np.ndarray, **extra: object) -> Path:
        return small.write_tif(folder / "a_20211103_B04.tif", values, 10, **extra)

    def test_whole_numbers_are_times_10000(self, tmp_path: Path) -> None:
        self.one(tmp_path, RED)
        assert (scenes(tmp_path)[0].scale, scenes(tmp_path)[0].offset) == (0.0001, None)

    def test_floats_up_to_2_are_reflectance(self, tmp_path: Path) -> None:
        self.one(tmp_path, (RED / 10000).astype("float32"), nodata=np.nan)
        (one,) = scenes(tmp_path)
        assert (one.scale, one.offset) == (1.0, 0.0)
        assert "taken as reflectance" in one.note

    def test_floats_above_are_times_10000(self, tmp_path: Path) -> None:
        self.one(tmp_path, RED.astype("float32"), nodata=np.nan)
        assert scenes(tmp_path)[0].scale == 0.0001

    def test_floats_beyond_sense_are_refused(self, tmp_path: Path) -> None:
        self.one(tmp_path, (RED * 100.0).astype("float32"), nodata=np.nan)
        found = GeotiffFolder(tmp_path).search(FIRST, LAST)
        assert found.scenes == []
        assert "neither reflectance nor" in found.rejected["reason"][0]

    def test_stated_by_the_file(self, tmp_path: Path) -> None:
        import rasterio

        path = self.one(tmp_path, RED)
        with rasterio.open(path, "r+") as dataset:
            dataset.scales, dataset.offsets = (0.0001,), (-0.1,)
        (one,) = scenes(tmp_path)
        assert one.scale == pytest.approx(0.0001)
        assert one.offset == pytest.approx(-1000)

    def test_options_go_first(self, tmp_path: Path) -> None:
        self.one(tmp_path, RED)
        (one,) = scenes(tmp_path, scale=0.001, offset=-5)
        assert (one.scale, one.offset, one.note) == (0.001, -5.0, "scale from the options")
        assert scenes(tmp_path, offset=-1000)[0].offset == -1000

    def test_a_broken_file_leaves_the_scale_to_another(self, tmp_path: Path) -> None:
        (tmp_path / "a_20211103_B02.tif").write_bytes(b"cut")
        self.one(tmp_path, (RED / 10000).astype("float32"), nodata=np.nan)
        (one,) = scenes(tmp_path)
        assert one.scale == 1.0
        with pytest.raises(SourceError, match="B02"):
            GeotiffFolder(tmp_path).read(one, "blue", small.GRID)
