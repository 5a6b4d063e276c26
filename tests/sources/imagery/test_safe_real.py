"""Metadata of three real products against the STAC items that another reader made of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_safe import write_jp2, zip_product
from small_scenes import write_tif

from agro.imagery import read_day
from agro.schema.grid import Grid
from agro.schema.region import ImagerySpec, MaskOptions
from agro.sources.imagery import Scene, open_imagery
from agro.sources.imagery.safe_metadata import read_metadata
from agro.sources.imagery.safe_product import open_products

pytestmark = pytest.mark.real_data

PRODUCTS = {
    "02.14": "esa_S2B_MSIL2A_20210122T133229_N0214_R081_T22HBD_20210122T155500.SAFE",
    "04.00": "S2B_MSIL2A_20220413T150759_N0400_R025_T33XWJ_20220414T082126.SAFE",
    "05.09": "S2A_MSIL2A_20230821T221941_N0509_R029_T01KAB_20230822T021825.SAFE",
}
STEP_M = {"blue": 10, "red": 10, "nir": 10, "swir22": 20, "scl": 20}
SIDE_M = 1200
EVER = (date(2015, 1, 1), date(2035, 1, 1))


@dataclass(frozen=True)
class Given:
    """A product with small images beside its real metadata, and what is expected of it."""

    root: Path
    item: dict[str, Any]
    grid: Grid
    numbers: dict[str, np.ndarray]


@pytest.fixture(params=sorted(PRODUCTS))
def given(request: pytest.FixtureRequest, shared_data: Path, tmp_path: Path) -> Given:
    name = PRODUCTS[request.param]
    root = tmp_path / "products" / name
    shutil.copytree(shared_data / "safe-metadata" / name, root)
    item = json.loads((root / "expected_output.json").read_text())
    (root / "expected_output.json").unlink()
    properties = item["properties"]
    crs = properties.get("proj:code") or f"EPSG:{properties['proj:epsg']}"
    left, _, _, top = item["assets"]["red"]["proj:bbox"]
    rng = np.random.default_rng(7)
    added = 1000 if request.param >= "04.00" else 0
    numbers = {}
    for band, step in STEP_M.items():
        shape = (SIDE_M // step, SIDE_M // step)
        values = rng.choice([4, 5], shape) if band == "scl" else rng.integers(200, 3000, shape) + added
        numbers[band] = values.astype("uint8" if band == "scl" else "uint16")
        # By the hrefs of the item: names of the product's files as another reader found them. One product is GeoTIFF.
        path = root / item["assets"][band]["href"]
        write = write_jp2 if path.suffix == ".jp2" else write_tif
        write(path, numbers[band], step, crs, left=left, top=top)
    return Given(root, item, Grid(crs, left, top, 10.0, SIDE_M // 10, SIDE_M // 10), numbers)


def scene_of(path: Path) -> tuple[Any, Scene]:
    source = open_imagery(ImagerySpec(kind="safe", path=path.name), path.parent)
    (scene,) = source.search(*EVER).scenes
    return source, scene


def test_scene_says_what_the_item_says(given: Given) -> None:
    _, scene = scene_of(given.root.parent)
    properties, assets = given.item["properties"], given.item["assets"]
    assert scene.scene_id == properties["s2:product_uri"].removesuffix(".SAFE")
    assert scene.processing_baseline == properties["s2:processing_baseline"]
    assert scene.relative_orbit == properties["sat:relative_orbit"]
    assert scene.datatake == properties["s2:datatake_id"]
    assert scene.tile == properties["grid:code"].removeprefix("MGRS-")
    raster = assets["red"]["raster:bands"][0]
    assert scene.scale == pytest.approx(raster["scale"])
    assert scene.offset == pytest.approx(raster.get("offset", 0) / raster["scale"])
    assert scene.note == ""
    moment = datetime.fromisoformat(properties["datetime"])
    assert read_metadata(open_products(given.root)[0]).started_at == moment
    # The middle of the tile is at most half a tile (0.6 degrees here) from the item's centroid.
    longitude = properties["proj:centroid"]["lon"]
    assert scene.date == (moment + timedelta(hours=longitude / 15)).date()
    for band in STEP_M:
        assert scene.assets[band] == str((given.root / assets[band]["href"]).resolve())


def test_the_real_products_are_of_both_formats(shared_data: Path) -> None:
    suffixes = set()
    for name in PRODUCTS.values():
        item = json.loads((shared_data / "safe-metadata" / name / "expected_output.json").read_text())
        suffixes.add(Path(item["assets"]["red"]["href"]).suffix)
    assert suffixes == {".jp2", ".tif"}


def test_beyond_the_date_line_the_solar_day_is_the_next(shared_data: Path) -> None:
    said = {
        name: read_product_date(shared_data / "safe-metadata" / folder) for name, folder in PRODUCTS.items()
    }  # fmt: skip
    # 22:19 UTC at 179.8 E is 10:18 of the day after; the two others were taken near noon UTC.
    assert said == {"02.14": date(2021, 1, 22), "04.00": date(2022, 4, 13), "05.09": date(2023, 8, 22)}


def read_product_date(root: Path) -> date:
    (product,) = open_products(root)
    listed = {
        f"{element.text}.jp2" for element in product.xml("MTD_MSIL2A.xml").iterfind(".//IMAGE_FILE")
    }  # fmt: skip
    return read_metadata(type(product)(product.container, "", product.names | listed)).date


@pytest.mark.parametrize("zipped", [False, True])
def test_same_reflectance_as_given_by_an_item_or_as_geotiffs(given: Given, tmp_path: Path, zipped: bool) -> None:
    bands = ["blue", "red", "nir", "swir22"]
    as_item = _as_item(given, tmp_path / "items")
    if zipped:
        zip_product(given.root)
    cubes = []
    for kind, path in (("safe", given.root.parent), ("stac", as_item), ("geotiff", as_item)):
        source = open_imagery(ImagerySpec(kind=kind, path=str(path), options=_options(kind, given)), tmp_path)
        scenes = source.search(*EVER).scenes
        day = read_day(source, scenes, given.grid, bands, MaskOptions())
        assert day.cube is not None, day.scenes["reason"].tolist()
        assert day.rejected.empty
        cubes.append(day.cube)
    safe, *others = cubes
    assert safe["offset_state"].item() == ("not_needed" if _offset(given) == 0 else "applied")
    expected = (given.numbers["red"] + _offset(given)) / 10000
    np.testing.assert_allclose(safe["red"].values[0], expected, rtol=1e-5)
    for other in others:
        for band in [*bands, "qa"]:
            np.testing.assert_array_equal(safe[band].values, other[band].values, err_msg=band)


def _offset(given: Given) -> float:
    return -1000.0 if given.item["properties"]["s2:processing_baseline"] >= "04.00" else 0.0


def _options(kind: str, given: Given) -> dict[str, Any]:
    return {"scale": 0.0001, "offset": _offset(given)} if kind == "geotiff" else {}


def _as_item(given: Given, folder: Path) -> Path:
    """The real item with the same pixels as GeoTIFFs."""
    item = json.loads(json.dumps(given.item))
    left, top = given.grid.left, given.grid.top
    day = item["properties"]["datetime"][:10]
    for band, step in STEP_M.items():
        write_tif(folder / f"{day}_{band}.tif", given.numbers[band], step, crs=given.grid.crs, left=left, top=top)
        item["assets"][band].update(href=f"./{day}_{band}.tif", type="image/tiff")
    item["assets"] = {band: item["assets"][band] for band in STEP_M}
    (folder / "item.json").write_text(json.dumps(item))
    return folder
