from __future__ import annotations

import shutil
import zipfile
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import small_safe
import small_scenes as small
from small_safe import offset_list, product_name, write_product, zip_product

from agro.imagery import read_day
from agro.schema.errors import ConfigError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.schema.region import ImagerySpec, MaskOptions
from agro.sources.imagery import Scene, SearchResult, detect_kind, open_imagery
from agro.sources.imagery.safe_folder import SafeFolder

DAY = small.DAYS[0]
EVER = (date(2015, 1, 1), date(2035, 1, 1))


def search(path: Path) -> SearchResult:
    return SafeFolder(path).search(*EVER)


def only(path: Path) -> Scene:
    found = search(path)
    assert found.rejected.empty
    (scene,) = found.scenes
    return scene


def reason(path: Path) -> str:
    """Why the only product cannot be used."""
    found = search(path)
    assert found.scenes == []
    (row,) = found.rejected.itertuples()
    assert row.remedy
    return str(row.reason)


class TestMetadata:
    def test_scene_says_what_the_metadata_says(self, tmp_path: Path) -> None:
        write_product(tmp_path, DAY)
        scene = only(tmp_path)
        assert scene.scene_id == product_name(DAY)
        assert (scene.date, scene.tile, scene.relative_orbit) == (DAY, "29RPR", 137)
        assert scene.datatake == f"GS2A_{DAY:%Y%m%d}T110621_033239_N03.01"
        assert (scene.provider, scene.processing_baseline, scene.offset, scene.note) == ("safe", "03.01", 0.0, "")

    @pytest.mark.parametrize("baseline", ["04.00", "05.10", "05.12"])
    def test_offset_is_read_and_applied_once(self, tmp_path: Path, baseline: str) -> None:
        write_product(tmp_path, DAY, added=1000, baseline=baseline)
        source = SafeFolder(tmp_path)
        scene = only(tmp_path)
        assert (scene.offset, scene.processing_baseline) == (-1000.0, baseline)
        cube = read_day(source, [scene], small.GRID, ["red"], MaskOptions(dilate_m=0)).cube
        assert cube is not None
        np.testing.assert_allclose(cube["red"].values[0], small.on_grid(DAY, "red") / 1e4, rtol=1e-6)
        assert cube["offset_state"].item() == "applied"

    @pytest.mark.parametrize(("baseline", "expected"), [("05.12", -1000.0), ("99.99", None), ("02.14", 0.0)])
    def test_a_list_that_lacks_is_said(self, tmp_path: Path, baseline: str, expected: float | None) -> None:
        write_product(tmp_path, DAY, baseline=baseline, offsets="")
        scene = only(tmp_path)
        assert scene.offset == expected
        assert ("states no BOA_ADD_OFFSET" in scene.note) == (expected != 0.0)

    @pytest.mark.parametrize(
        ("offsets", "said"),
        [
            ({3: -1000, 7: 0, 11: -1000}, "differs between bands"),
            ({3: -1000, 7: -1000}, "lacking for a band"),
            ({3: -1000, 7: -1000, 77: -1000}, "unknown band '77'"),
            ({3: float("nan"), 7: -1000, 11: -1000}, "BOA_ADD_OFFSET 'nan' is not a number"),
        ],
    )
    def test_offsets_that_contradict_are_refused(self, tmp_path: Path, offsets: dict[int, float], said: str) -> None:
        write_product(tmp_path, DAY, baseline="05.10", offsets=offset_list(offsets))
        assert said in reason(tmp_path)

    def test_offset_of_a_band_that_is_not_delivered_does_not_count(self, tmp_path: Path) -> None:
        offsets = {**dict.fromkeys(range(13), -1000.0), 10: 0.0}  # B10 is none of Level-2A
        write_product(tmp_path, DAY, added=1000, baseline="05.10", offsets=offset_list(offsets))
        assert only(tmp_path).offset == -1000.0

    def test_name_on_disk_that_disagrees_is_noted(self, tmp_path: Path) -> None:
        called = product_name(DAY, "04.00", 94)
        write_product(tmp_path, DAY, added=1000, baseline="05.10", called=called)
        scene = only(tmp_path)
        assert scene.processing_baseline == "05.10"
        assert "file name says baseline 04.00, the metadata 05.10" in scene.note
        assert "file name says relative orbit 94, the metadata 137" in scene.note
        read = read_day(SafeFolder(tmp_path), [scene], small.GRID, ["red"], MaskOptions())
        assert "baseline 04.00" in str(read.scenes["reason"][0])

    def test_a_name_of_the_users_own_is_no_disagreement(self, tmp_path: Path) -> None:
        write_product(tmp_path, DAY, called="autumn")
        scene = only(tmp_path)
        assert (scene.scene_id, scene.note) == (product_name(DAY), "")

    def test_solar_day_is_that_of_the_tile(self, tmp_path: Path) -> None:
        # 02:50 UTC at 7.4 W is still the evening before, at the sun's place.
        root = write_product(tmp_path, DAY)
        file = next(root.rglob("MTD_TL.xml"))
        file.write_text(file.read_text().replace("T11:16:40", "T00:10:00"))
        assert only(tmp_path).date == date(DAY.year, DAY.month, DAY.day - 1)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("<BOA_QUANTIFICATION_VALUE unit", "<OTHER unit", "not XML"),
            ('"none">10000<', '"none">0<', "not above zero"),
            ('"none">10000<', '"none">ten thousand<', "'ten thousand' is not a number"),
            (">65535<", ">4095<", "SATURATED is 4095, not 65535"),
            ("PROCESSING_BASELINE>", "PB>", "PROCESSING_BASELINE is missing"),
            (">137<", "><", "SENSING_ORBIT_NUMBER is empty"),
            ("T11:06:21.024Z", "", "is not a time"),
            ("datatakeIdentifier", "identifier", "datatakeIdentifier is missing"),
            (".SAFE</PRODUCT_URI", "/../x</PRODUCT_URI", "not the name of a product"),
            ("GRANULE/L2A_T29RPR", "GRANULE/../../L2A_T29RPR", "no image files below GRANULE"),
            ("GRANULE/L2A_T29RPR", "/etc/L2A_T29RPR", "no image files below GRANULE"),
        ],
    )
    def test_entries_that_are_wrong_are_named(self, tmp_path: Path, old: str, new: str, said: str) -> None:
        root = write_product(tmp_path, DAY)
        file = root / "MTD_MSIL2A.xml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new if new != "" else "T99"))
        assert said in reason(tmp_path)

    def test_a_product_of_two_tiles(self, tmp_path: Path) -> None:
        extra = "<IMAGE_FILE>GRANULE/other/IMG_DATA/R10m/T29SPR_B04_10m</IMAGE_FILE>"
        root = write_product(tmp_path, DAY)
        file = root / "MTD_MSIL2A.xml"
        file.write_text(file.read_text().replace("</Granule>", f"{extra}</Granule>"))
        assert "2 tiles" in reason(tmp_path)


class TestSafety:
    def test_document_type_is_refused(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        file = root / "MTD_MSIL2A.xml"
        laughs = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
        file.write_text(file.read_text().replace("?>\n", f"?>\n{laughs}", 1).replace(">03.01<", ">&b;<"))
        assert "declares a document type" in reason(tmp_path)

    def test_external_entity_is_not_read(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("03.01")
        root = write_product(tmp_path / "in", DAY)
        file = next(root.rglob("MTD_TL.xml"))
        text = f'<!DOCTYPE x [<!ENTITY s SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
        file.write_text(file.read_text().replace("?>\n", f"?>\n{text}", 1).replace("N03.01<", "N&s;<"))
        assert "declares a document type" in reason(tmp_path / "in")

    def test_huge_metadata_is_not_read(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        file = root / "MTD_MSIL2A.xml"
        file.write_bytes(file.read_bytes() + b" " * 17_000_000)
        archive = zip_product(root, method=zipfile.ZIP_DEFLATED)
        assert archive.stat().st_size < 1_000_000  # a bomb: small on disk
        assert "larger than 16 MB" in reason(tmp_path)

    @pytest.mark.parametrize(
        "member", ["../../evil.xml", "/etc/evil.xml", "C:/evil.xml", "a\\..\\evil.xml", "a//b.xml"]
    )
    def test_names_that_lead_out_of_the_zip(self, tmp_path: Path, member: str) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        with zipfile.ZipFile(archive, "a") as out:
            out.writestr(member, "x")
        assert "leads outside it" in reason(tmp_path)

    def test_links_in_a_zip(self, tmp_path: Path) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        link = zipfile.ZipInfo("x.SAFE/link.xml")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        with zipfile.ZipFile(archive, "a") as out:
            out.writestr(link, "/etc/passwd")
        assert "is a link" in reason(tmp_path)

    def test_two_members_of_one_name(self, tmp_path: Path) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        with zipfile.ZipFile(archive, "a") as out, pytest.warns(UserWarning, match="Duplicate name"):
            out.writestr(f"{product_name(DAY)}.SAFE/MTD_MSIL2A.xml", "<other/>")
        assert "two members" in reason(tmp_path)

    def test_an_encrypted_zip(self, tmp_path: Path) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        content = bytearray(archive.read_bytes())
        # The flag of encryption, in the last entry of the central directory.
        content[content.rindex(b"PK\x01\x02") + 8] |= 1
        archive.write_bytes(content)
        assert "encrypted" in reason(tmp_path)


class TestBroken:
    def test_level_1c(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        (root / "MTD_MSIL2A.xml").rename(root / "MTD_MSIL1C.xml")
        assert "top of the atmosphere" in reason(tmp_path)

    @pytest.mark.parametrize("name", ["MTD_MSIL2A.xml", "MTD_TL.xml"])
    def test_metadata_that_lacks(self, tmp_path: Path, name: str) -> None:
        root = write_product(tmp_path, DAY)
        next(root.rglob(name)).unlink()
        assert f"{name} " in reason(tmp_path)
        assert "missing" in reason(tmp_path)

    def test_a_band_that_lacks_costs_the_band(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        next(root.rglob("*_B08_10m.jp2")).unlink()
        found = search(tmp_path)
        assert set(found.scenes[0].assets) == {"red", "swir16", "scl"}
        (row,) = found.rejected.itertuples()
        assert row.item == root.name
        assert "B08_10m.jp2" in row.reason

    def test_a_coarser_file_in_place_of_a_finer_is_said(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        fine = next(root.rglob("*_B04_10m.jp2"))
        coarse = fine.parents[1] / "R20m" / fine.name.replace("10m", "20m")
        small_safe.write_jp2(coarse, small.numbers(DAY, "red")[::2, ::2], 20)
        file = root / "MTD_MSIL2A.xml"
        listed = coarse.relative_to(root).with_suffix("").as_posix()
        file.write_text(file.read_text().replace("</Granule>", f"<IMAGE_FILE>{listed}</IMAGE_FILE></Granule>"))
        assert only(tmp_path).assets["red"] == str(fine)
        fine.unlink()
        found = search(tmp_path)
        assert found.scenes[0].assets["red"] == str(coarse)
        assert "B04_20m.jp2 read in place of a finer file" in found.scenes[0].note
        assert fine.name in found.rejected["reason"][0]

    def test_a_geotiff_beside_is_read_in_place(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        image = next(root.rglob("*_B04_10m.jp2"))
        small.write_tif(image.with_suffix(".tif"), small.numbers(DAY, "red"), 10)
        assert only(tmp_path).assets["red"] == str(image.with_suffix(".tif"))
        image.unlink()
        scene = only(tmp_path)
        np.testing.assert_array_equal(SafeFolder(tmp_path).read(scene, "red", small.GRID), small.on_grid(DAY, "red"))

    def test_without_its_classification_a_product_is_refused(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        next(root.rglob("*_SCL_20m.jp2")).unlink()
        assert "classification (SCL) is missing" in reason(tmp_path)

    def test_a_zip_cut_short(self, tmp_path: Path) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        archive.write_bytes(archive.read_bytes()[:-500])
        assert "not a whole zip" in reason(tmp_path)

    def test_damaged_metadata_in_a_zip(self, tmp_path: Path) -> None:
        archive = zip_product(write_product(tmp_path, DAY))
        content = archive.read_bytes()
        archive.write_bytes(content.replace(b"<PROCESSING_BASELINE>03.01", b"<PROCESSING_BASELINE>05.09", 1))
        assert "MTD_MSIL2A.xml cannot be read (Bad CRC-32" in reason(tmp_path)

    def test_a_damaged_band_in_a_zip_costs_the_band(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        image = next(root.rglob("*_B08_10m.jp2"))
        image.write_bytes(image.read_bytes()[:200])
        zip_product(root)
        source = SafeFolder(tmp_path)
        scene = only(tmp_path)
        day = read_day(source, [scene], small.GRID, ["red", "nir"], MaskOptions(dilate_m=0))
        assert day.cube is not None
        assert np.isnan(day.cube["nir"].values).all()
        assert np.isfinite(day.cube["red"].values).any()
        assert day.rejected["item"].tolist() == [f"{scene.scene_id} nir"]

    def test_another_kind_of_zip(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "parcels.zip", "w") as out:
            out.writestr("parcels.shp", "x")
        assert "no Sentinel-2 product" in reason(tmp_path)

    def test_the_rest_goes_on(self, tmp_path: Path) -> None:
        write_product(tmp_path, small.DAYS[1])
        (tmp_path / "empty.SAFE").mkdir()
        (tmp_path / "x.zip").write_bytes(b"PK")
        found = search(tmp_path)
        assert [s.date for s in found.scenes] == [small.DAYS[1]]
        assert sorted(found.rejected["item"]) == ["empty.SAFE", "x.zip"]

    def test_a_second_copy(self, tmp_path: Path) -> None:
        root = write_product(tmp_path / "a", DAY)
        shutil.copytree(root, tmp_path / "b" / root.name)
        zip_product(tmp_path / "b" / root.name)
        found = search(tmp_path)
        assert len(found.scenes) == 1
        assert found.scenes[0].assets["red"].startswith(str(root))  # the folder before the zip
        assert found.rejected["reason"].tolist() == ["a second copy of this product"]

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(NoDataError, match="no SAFE folder and no zip"):
            search(tmp_path)


class TestPlaces:
    def test_one_folder_or_one_zip(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        assert detect_kind(root) == "safe"
        assert only(root).date == DAY
        archive = zip_product(root, tmp_path / "my {products} of it.zip")
        assert detect_kind(archive) == "safe"
        scene = only(archive)
        assert scene.files == (str(archive),)
        source = open_imagery(ImagerySpec(kind="safe", path=archive.name), tmp_path)
        np.testing.assert_array_equal(source.read(scene, "red", small.GRID), small.on_grid(DAY, "red"))

    def test_a_zip_of_the_content_alone_and_one_of_two_products(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        with zipfile.ZipFile(tmp_path / "bare.zip", "w") as out:
            for file in root.rglob("*"):
                out.write(file, file.relative_to(root).as_posix())
        bare = tmp_path / "bare.zip"
        np.testing.assert_array_equal(SafeFolder(bare).read(only(bare), "scl", small.GRID), small.on_grid(DAY, "scl"))
        both = write_product(tmp_path / "both", small.DAYS[1]).parent
        shutil.move(root, both / root.name)
        with zipfile.ZipFile(tmp_path / "both.zip", "w") as out:
            for file in both.rglob("*"):
                out.write(file, file.relative_to(tmp_path).as_posix())
        assert [s.date for s in search(tmp_path / "both.zip").scenes] == list(small.DAYS)

    def test_products_outside_the_period_are_not_opened(self, tmp_path: Path) -> None:
        (tmp_path / f"{product_name(date(2019, 5, 1))}.zip").write_bytes(b"PK")
        source = SafeFolder(tmp_path)
        assert source.search(date(2020, 1, 1), date(2020, 12, 31)).rejected.empty
        assert len(source.search(date(2019, 5, 1), date(2019, 5, 2)).rejected) == 1

    def test_kind_is_told_from_json_beside_and_within(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        (root / "item.json").write_text("{}")
        assert detect_kind(tmp_path) == "safe"
        (tmp_path / "item.json").write_text("{}")
        assert detect_kind(tmp_path) == "stac"

    def test_files_follow_a_change(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        files = {Path(file) for file in only(tmp_path).files}
        assert files == {f for f in root.rglob("*") if f.is_file() and not f.name.endswith(".aux.xml")}

    def test_a_path_that_is_no_product(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("x")
        with pytest.raises(ConfigError, match="no imagery known here"):
            detect_kind(tmp_path)
        assert "not a whole zip" in reason(tmp_path / "notes.txt")


class TestPixels:
    def test_saturated_and_nodata_are_missing(self, tmp_path: Path) -> None:
        root = write_product(tmp_path, DAY)
        values = small.numbers(DAY, "red")
        values[10, 5] = 65535
        small_safe.write_jp2(next(root.rglob("*_B04_10m.jp2")), values, 10)
        read = SafeFolder(tmp_path).read(only(tmp_path), "red", small.GRID)
        assert np.argwhere(np.isnan(read[2:])).tolist() == [[8, 5]]
        assert np.isnan(read[:2]).all()

    @pytest.mark.parametrize("zipped", [False, True])
    def test_only_the_blocks_under_the_grid_are_read(self, tmp_path: Path, zipped: bool) -> None:
        root = write_product(tmp_path, DAY)
        image = next(root.rglob("*_B04_10m.jp2"))
        values = np.random.default_rng(5).integers(1000, 3000, (512, 512)).astype("uint16")
        with rasterio.open(
            image, "w", driver="JP2OpenJPEG", height=512, width=512, count=1, dtype="uint16", crs=small.CRS_CODE,
            transform=rasterio.transform.from_origin(small.LEFT, small.TOP, 10, 10), QUALITY="100", REVERSIBLE="YES",
            BLOCKXSIZE=128, BLOCKYSIZE=128,
        ) as out:  # fmt: skip
            out.write(values, 1)
        # The second half of the file is damaged: what lies under the grid is in the first.
        content = image.read_bytes()
        half = len(content) // 2
        image.write_bytes(content[:half] + bytes(len(content) - half))
        if zipped:
            zip_product(root)
        source, scene = SafeFolder(tmp_path), only(tmp_path)
        grid = Grid(small.CRS_CODE, small.LEFT + 30, small.TOP - 50, 10.0, 60, 70)
        np.testing.assert_array_equal(source.read(scene, "red", grid), values[5:75, 3:63])
        with pytest.raises(SourceError, match="cut short"):
            source.read(scene, "red", Grid(small.CRS_CODE, small.LEFT + 4500, small.TOP - 4500, 10.0, 60, 60))

    def test_two_baselines_of_one_day_count_once(self, tmp_path: Path) -> None:
        write_product(tmp_path, DAY)
        newer = write_product(tmp_path, DAY, added=1000, baseline="05.10")
        found = search(tmp_path)
        day = read_day(SafeFolder(tmp_path), found.scenes, small.GRID, ["red"], MaskOptions(dilate_m=0))
        assert day.cube is not None
        assert day.cube["scene_ids"].item() == newer.name.removesuffix(".SAFE")
        np.testing.assert_allclose(day.cube["red"].values[0], small.on_grid(DAY, "red") / 1e4, rtol=1e-6)
        assert pd.Series(day.scenes["used"]).sum() == 1
