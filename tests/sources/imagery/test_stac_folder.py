from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_scenes as small
import yaml

from agro.schema.errors import NoDataError, SourceError
from agro.sources.imagery.stac_folder import StacFolder
from agro.sources.imagery.stac_item import scene_from_item

FIRST, LAST = date(2000, 1, 1), date(2030, 1, 1)
TIF = "image/tiff; application=geotiff; profile=cloud-optimized"


def asset(href: str, **extra: Any) -> dict[str, Any]:
    return {"href": href, "type": TIF, **extra}


def scene(assets: dict[str, Any], **properties: Any) -> Any:
    return scene_from_item(small.item("x", "2022-04-11T11:10:00Z", assets, **properties), Path("/data"))


class TestOffset:
    def raster(self, offset: float | None) -> dict[str, Any]:
        part = {"scale": 0.0001} | ({} if offset is None else {"offset": offset})
        return {"red": asset("r.tif", **{"raster:bands": [part]})}

    def test_of_raster_bands(self) -> None:
        assert scene(self.raster(-0.1)).offset == -1000
        assert scene(self.raster(0)).offset == 0

    def test_of_stac_1_1(self) -> None:
        one = scene(
            {
                "r": asset(
                    "r.tif",
                    bands=[{"name": "B04", "eo:common_name": "red"}],
                    **{"raster:scale": 0.0001, "raster:offset": -0.1},
                )
            }
        )
        assert (one.offset, one.scale, list(one.assets)) == (-1000, 0.0001, ["red"])

    def test_flag_says_applied(self) -> None:
        one = scene(self.raster(-0.1), **{"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "05.11"})
        assert one.offset == 0
        assert "applied" in one.note

    def test_flag_says_not_applied(self) -> None:
        assert scene(self.raster(-0.1), **{"earthsearch:boa_offset_applied": False}).offset == -1000

    @pytest.mark.parametrize(("baseline", "offset"), [("04.00", -1000), ("N0512", -1000), ("03.01", 0), ("02.14", 0)])
    def test_of_the_baseline_as_a_number(self, baseline: str, offset: float) -> None:
        one = scene({"B04": asset("r.tif")}, **{"s2:processing_baseline": baseline})
        assert one.offset == offset
        assert "baseline" in one.note

    def test_not_said_at_all(self) -> None:
        assert scene({"B04": asset("r.tif")}).offset is None

    def test_contradiction_is_refused(self) -> None:
        assets = {**self.raster(0), "nir": asset("n.tif", **{"raster:bands": [{"scale": 0.0001, "offset": -0.1}]})}
        with pytest.raises(SourceError, match="different scales or offsets"):
            scene(assets)


def test_finest_pixels_and_geotiff_win() -> None:
    one = scene(
        {
            "B04_20m": asset("20.jp2") | {"type": "image/jp2"},
            "B04_10m": asset("10.jp2") | {"type": "image/jp2"},
            "SCL_60m": asset("60.tif"), "SCL_20m": asset("20.tif"),
            "nir-jp2": asset("n.jp2", gsd=10, **{"eo:bands": [{"name": "B08"}]}) | {"type": "image/jp2"},
            "nir": asset("n.tif", gsd=10, **{"eo:bands": [{"name": "B08"}]}),
            "B09_60m": asset("9.tif"),
            "visual": asset("v.tif", **{"eo:bands": [{"name": "B04"}, {"name": "B03"}, {"name": "B02"}]}),
            "thumbnail": asset("B04.jpg") | {"type": "image/jpeg"},
        }
    )  # fmt: skip
    assert {band: Path(href).name for band, href in one.assets.items()} == {
        "red": "10.jp2", "scl": "20.tif", "nir": "n.tif", "nir09": "9.tif",
    }  # fmt: skip


def test_hrefs() -> None:
    one = scene({"B04": asset("./a/r.tif"), "B08": asset("https://x/n.tif"), "B02": asset("/abs/b.tif")})
    assert one.assets == {"blue": "/abs/b.tif", "nir": "https://x/n.tif", "red": "/data/a/r.tif"}
    assert one.files == ("/abs/b.tif", "/data/a/r.tif")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"properties": {}}, "no datetime"),
        ({"properties": {"datetime": "yesterday"}}, "not a STAC item"),
        ({"assets": {}}, "no band known"),
        ({"assets": {"B04": {"type": TIF}}}, "not a STAC item"),
        ({"assets": None}, "not a STAC item"),
        ({"properties": {"datetime": "2022-04-11T11:00:00Z", "s2:product_type": "S2MSI1C"}}, "Level-1C"),
    ],
)
def test_broken_items_are_said(change: dict[str, Any], said: str) -> None:
    body = small.item("x", "2022-04-11T11:10:00Z", {"B04": asset("r.tif")}) | change
    with pytest.raises(SourceError, match=said):
        scene_from_item(body, Path("/data"))


class TestFolder:
    def test_broken_ones_do_not_stop_the_rest(self, tmp_path: Path) -> None:
        small.write_stac(tmp_path)
        (tmp_path / "cut.json").write_text('{"type": "Feature", "id": "cut"')
        (tmp_path / "latin.json").write_bytes(b'{"type": "\xe9"}')
        (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
        (tmp_path / "list.json").write_text("[1, 2]")
        (tmp_path / "collection.json").write_text(json.dumps({"type": "Collection", "id": "c"}))
        (tmp_path / "parcels.geojson").write_text(
            json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": None}]})
        )  # fmt: skip
        (tmp_path / "copy").mkdir()
        first = next(tmp_path.glob("S2A*.json"))
        (tmp_path / "copy" / "copy.json").write_text(first.read_text())
        found = StacFolder(tmp_path).search(FIRST, LAST)
        assert len(found.scenes) == 2
        assert sorted(item.split()[0] for item in found.rejected["item"]) == [
            "copy/copy.json", "cut.json", "gone.json", "latin.json",
        ]  # fmt: skip
        assert found.rejected["reason"].str.contains("second item of this id").sum() == 1

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        with pytest.raises(NoDataError, match="holds no STAC item"):
            StacFolder(tmp_path).search(FIRST, LAST)

    def test_only_broken_items_are_listed(self, tmp_path: Path) -> None:
        (tmp_path / "cut.json").write_text("{")
        found = StacFolder(tmp_path).search(FIRST, LAST)
        assert found.scenes == []
        assert len(found.rejected) == 1

    def test_solar_day_is_that_of_the_place(self, tmp_path: Path) -> None:
        body = small.item("nz", "2022-04-10T22:20:00Z", {"B04": asset("r.tif")}) | {
            "bbox": [172.0, -44.0, 173.0, -43.0]
        }
        (tmp_path / "nz.json").write_text(json.dumps(body))
        assert StacFolder(tmp_path).search(FIRST, LAST).scenes[0].date == date(2022, 4, 11)

    def test_date_line_and_heights_in_the_box(self) -> None:
        body = small.item("fiji", "2022-04-10T22:20:00Z", {"B04": asset("r.tif")})
        assert scene_from_item(body | {"bbox": [178.0, -18.0, -179.5, -17.0]}, Path()).date == date(2022, 4, 11)
        assert scene_from_item(body | {"bbox": [172.0, -44.0, 0.0, 173.0, -43.0, 9.0]}, Path()).date == date(
            2022, 4, 11
        )


class TestUnreadable:
    def scene(self, folder: Path) -> tuple[StacFolder, Any]:
        small.write_stac(folder)
        source = StacFolder(folder)
        return source, source.search(FIRST, LAST).scenes[0]

    def test_cut_short(self, tmp_path: Path) -> None:
        source, one = self.scene(tmp_path)
        path = Path(one.assets["red"])
        # Big enough that the cut is in the pixels, not in the header.
        small.write_tif(
            path,
            np.random.default_rng(1).integers(1, 9999, (400, 400)).astype("uint16"),
            10,
            tiled=True,
            blockxsize=64,
            blockysize=64,
        )
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        with pytest.raises(SourceError, match=r"red\.tif: cannot be read.*cut short"):
            source.read(one, "red", small.Grid(small.CRS_CODE, small.LEFT, small.TOP, 10.0, 400, 400))

    def test_absent(self, tmp_path: Path) -> None:
        source, one = self.scene(tmp_path)
        Path(one.assets["nir"]).unlink()
        with pytest.raises(SourceError, match=r"nir\.tif"):
            source.read(one, "nir", small.GRID)

    def test_not_a_raster(self, tmp_path: Path) -> None:
        source, one = self.scene(tmp_path)
        Path(one.assets["scl"]).write_text("<html>504</html>")
        with pytest.raises(SourceError, match=r"scl\.tif"):
            source.read(one, "scl", small.GRID)

    def test_no_crs(self, tmp_path: Path) -> None:
        source, one = self.scene(tmp_path)
        small.write_tif(Path(one.assets["red"]), small.numbers(one.date, "red"), 10, crs=None)
        with pytest.raises(SourceError, match="states no CRS"):
            source.read(one, "red", small.GRID)

    def test_remote(self, tmp_path: Path) -> None:
        source, _ = self.scene(tmp_path)
        body = small.item("far", "2022-04-11T11:10:00Z", {"B04": asset("https://example.org/r.tif")})
        with pytest.raises(SourceError, match="not on this machine"):
            source.read(scene_from_item(body, tmp_path), "red", small.GRID)

    def test_wrong_crs_puts_it_elsewhere(self, tmp_path: Path) -> None:
        source, one = self.scene(tmp_path)
        small.write_tif(Path(one.assets["red"]), small.numbers(one.date, "red"), 10, crs="EPSG:32719")
        assert np.isnan(source.read(one, "red", small.GRID)).all()


@pytest.mark.real_data
class TestRecordedItems:
    """Items as two providers answered; no pixels."""

    def answers(self, path: Path) -> Iterator[dict[str, Any]]:
        for turn in yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]:
            body = turn["response"]["body"]["string"]
            yield json.loads(body.decode() if isinstance(body, bytes) else body)

    def test_earth_search(self, shared_data: Path, tmp_path: Path) -> None:
        answers = list(self.answers(shared_data / "http-stac" / "TestCLISearch.test_filter[inprocess].yaml"))
        (tmp_path / "search.json").write_text(json.dumps(answers[2]))
        (tmp_path / "radar.json").write_text(json.dumps(answers[1]))
        found = StacFolder(tmp_path).search(FIRST, LAST)
        applied = [s for s in found.scenes if s.scene_id.endswith("_0_L2A")]
        raw = [s for s in found.scenes if s not in applied]
        assert applied
        assert raw
        assert {s.offset for s in applied} == {0.0}
        assert {s.offset for s in raw} == {-1000.0}
        for scene in found.scenes:
            assert set(scene.assets) >= {
                "blue",
                "green",
                "red",
                "rededge1",
                "rededge3",
                "nir",
                "nir08",
                "swir16",
                "swir22",
                "scl",
            }
            assert not any(href.endswith(".jp2") for href in scene.assets.values())
            assert (scene.processing_baseline, scene.relative_orbit) == ("05.11", 95)
            assert scene.tile
            assert scene.files == ()
        offered = [f["collection"] for answer in answers[1:] for f in answer["features"]]
        reasons = found.rejected["reason"]
        assert reasons.str.contains("Level-1C").sum() == offered.count("sentinel-2-l1c") == 5
        assert reasons.str.contains("not of Sentinel-2").sum() == offered.count("sentinel-1-grd") == 3
        assert len(found.scenes) + len(found.rejected) == len(offered)

    def test_planetary_computer(self, shared_data: Path, tmp_path: Path) -> None:
        first = next(self.answers(shared_data / "http-stac" / "TestItemSearch.test_datetime_results.yaml"))
        (tmp_path / "search.json").write_text(json.dumps(first))
        found = StacFolder(tmp_path).search(FIRST, LAST)
        assert len(found.scenes) == len(first["features"]) == 33
        assert found.rejected.empty
        assert {s.offset for s in found.scenes} == {0.0}  # baseline 02.12
        assert {len(s.assets) for s in found.scenes} == {13}  # 12 bands and the classes
        assert all("B8A" in s.assets["nir08"] and "B05" in s.assets["rededge1"] for s in found.scenes)

    def test_folder_of_both_styles(self, shared_data: Path) -> None:
        found = StacFolder(shared_data / "http-stac").search(FIRST, LAST)
        by_id = {s.scene_id: s for s in found.scenes}
        assert len(by_id) == 15  # 13 of tile 35MNM, one v0 item, one with eo:bands
        old = by_id["S2A_28QCH_20200714_0_L2A"]
        assert (old.processing_baseline, old.offset, old.relative_orbit, old.tile) == ("02.14", 0.0, 123, "28QCH")
        assert old.date == date(2020, 7, 14)
