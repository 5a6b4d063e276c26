from __future__ import annotations

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from agro.parcels import read_parcels
from agro.schema.errors import ConfigError, NoDataError
from agro.schema.region import ParcelsSource
from agro.schema.tables import validate

CROPS = {"wheat", "olive"}
UTM = "EPSG:32629"


def frame(count: int = 3, crs: str = UTM) -> gpd.GeoDataFrame:
    """Fields of 200 m x 100 m in the Haouz."""
    shapes = [shapely.box(600000 + 300 * k, 3500000, 600200 + 300 * k, 3500100) for k in range(count)]
    table = {
        "parcel_uid": [f"f{k}" for k in range(count)],
        "name": [f"Champ {k}" for k in range(count)],
        "crop": ["wheat"] * count,
        "irrigation": ["drip"] * count,
    }
    return gpd.GeoDataFrame(table, geometry=shapes, crs=UTM).to_crs(crs)


def read(path, **settings):
    return read_parcels(ParcelsSource(path=path.name, **settings), path.parent, CROPS)


WRITERS = {
    "a.parquet": lambda t, p: t.to_parquet(p),
    "a.gpkg": lambda t, p: t.to_file(p, engine="pyogrio"),
    "a.geojson": lambda t, p: t.to_file(p, engine="pyogrio"),
    "a.shp": lambda t, p: t.to_file(p, engine="pyogrio"),
    "a.kml": lambda t, p: t.to_file(p, driver="KML", engine="pyogrio"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:26191", "EPSG:3857"])
def test_every_format_and_crs_gives_the_same_parcels(tmp_path, name, crs):
    if name.endswith(("json", "kml")):
        crs = "EPSG:4326"  # what their standards know
    path = tmp_path / name
    WRITERS[name](frame(crs=crs), path)
    columns = {"parcel_uid": "parcel_uid"[:10], "irrigation": "irrigation"[:10]} if name.endswith("shp") else {}
    found = read(path, columns=columns)
    assert not len(found.rejected)
    assert found.parcels.crs == "EPSG:4326"
    assert list(found.parcels["parcel_uid"]) == ["f0", "f1", "f2"]
    assert list(found.parcels["name"]) == ["Champ 0", "Champ 1", "Champ 2"]
    # The old Lambert zone sits on another datum: its transformation is good to metres, not to the shape.
    np.testing.assert_allclose(found.parcels["metrics:area"], 20000.0, rtol=2e-3)
    validate(pd.DataFrame(found.parcels.drop(columns="geometry")), "parcels")


def test_csv_with_wkt_needs_a_crs_and_takes_it(tmp_path):
    table = frame()
    path = tmp_path / "a.csv"
    pd.DataFrame(table.drop(columns="geometry")).assign(wkt=table.geometry.to_wkt()).to_csv(path, index=False, sep=";")
    with pytest.raises(ConfigError, match=r"states no CRS.*parcels.crs"):
        read(path)
    assert len(read(path, crs=UTM).parcels) == 3
    with pytest.raises(ConfigError, match="not degrees"):
        read(path, crs="EPSG:4326")
    with pytest.raises(ConfigError, match="unknown CRS"):
        read(path, crs="EPSG:nothing")


def test_shapefile_without_prj_asks_for_the_crs(tmp_path):
    path = tmp_path / "a.shp"
    frame().to_file(path, engine="pyogrio")
    path.with_suffix(".prj").unlink()
    with pytest.raises(ConfigError, match="states no CRS"):
        read(path)
    assert len(read(path, crs=UTM).parcels) == 3


@pytest.mark.parametrize("wrap", ["geometry", "feature", "collection"])
def test_geojson_of_any_top_level_kind(tmp_path, wrap):
    geometry = frame(1, "EPSG:4326").geometry.iloc[0].__geo_interface__
    feature = {"type": "Feature", "properties": None, "geometry": geometry}
    body = {
        "geometry": geometry,
        "feature": feature,
        "collection": {"type": "FeatureCollection", "features": [feature]},
    }
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(body[wrap]))
    found = read(path, defaults={"crop": "wheat", "irrigation": "bour"})
    assert found.parcels["agro:irrigation"].tolist() == ["rainfed"]
    assert found.parcels["parcel_uid"].iloc[0].startswith("p-")


def test_geojson_in_metres_with_and_without_the_old_crs_member(tmp_path):
    path = tmp_path / "a.geojson"
    body = json.loads(frame().to_json())
    body.pop("crs", None)
    path.write_text(json.dumps(body))
    with pytest.raises(ConfigError, match="not degrees"):
        read(path)
    assert len(read(path, crs=UTM).parcels) == 3
    body["crs"] = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32629"}}
    path.write_text(json.dumps(body))
    assert len(read(path).parcels) == 3
    with pytest.raises(ConfigError, match=r"states EPSG:32629, but parcels.crs says EPSG:4326"):
        read(path, crs="EPSG:4326")


def test_crs_said_twice_alike_is_no_contradiction(tmp_path):
    path = tmp_path / "a.parquet"
    frame(crs="OGC:CRS84").to_parquet(path)
    assert len(read(path, crs="EPSG:4326").parcels) == 3


@pytest.mark.parametrize(
    "true, stated, message",
    [("EPSG:4326", UTM, "look like degrees"), (UTM, "EPSG:4326", "not degrees"), ("EPSG:3857", UTM, "far outside")],
)
def test_a_crs_that_the_coordinates_contradict(tmp_path, true, stated, message):
    path = tmp_path / "a.gpkg"
    frame(crs=true).set_crs(stated, allow_override=True).to_file(path, engine="pyogrio")
    with pytest.raises(ConfigError, match=message):
        read(path)


def test_one_parcel_with_wrong_coordinates_does_not_stop_the_others(tmp_path):
    table = frame(3, "EPSG:4326")
    table.loc[1, "geometry"] = shapely.box(600000, 3500000, 600200, 3500100)
    path = tmp_path / "a.parquet"
    table.to_parquet(path)
    found = read(path)
    assert list(found.parcels["parcel_uid"]) == ["f0", "f2"]
    assert found.rejected.loc[0, "item"] == "parcel f1"
    assert "do not fit the CRS" in found.rejected.loc[0, "reason"]


def test_one_unusable_row_each_and_the_rest_goes_on(tmp_path):
    table = frame(16)
    square = table.geometry.iloc[0]
    cases = {
        1: ("geometry", square, "same outline as parcel f0"),
        2: ("geometry", shapely.affinity.translate(square, 2, 1), "nearly the same outline as parcel f0"),
        3: ("geometry", shapely.Point(600000, 3500000), "a Point, not a polygon"),
        4: ("geometry", None, "no outline"),
        5: ("geometry", shapely.Polygon([(610000, 3500000), (610100, 3500100), (610100, 3500000), (610000, 3500100)]), "10 %"),
        6: ("geometry", shapely.box(620000, 3500000, 620005, 3500005), "25 m2 is no parcel"),
        7: ("geometry", shapely.box(630000, 3500000, 640000, 3510000), "ha is no parcel"),
        8: ("crop", "banana", "unknown crop 'banana'"),
        9: ("crop", None, "no crop"),
        10: ("irrigation", "magic", "unknown irrigation system 'magic'"),
        11: ("parcel_uid", "f0", "taken by an earlier row"),
        12: ("sowing_date", "01/11/2025", "is not a date"),
        13: ("flow_m3_h", "-4", "outside 0"),
        14: ("efficiency_frac", "ninety", "not a number"),
    }  # fmt: skip
    for column in ("sowing_date", "flow_m3_h", "efficiency_frac"):
        table[column] = pd.Series([None] * len(table), dtype=object)
    for row, (column, value, _) in cases.items():
        table.loc[row, column] = value
    path = tmp_path / "a.parquet"
    table.to_parquet(path)
    found = read(path)
    assert list(found.parcels["parcel_uid"]) == ["f0", "f15"]
    assert len(found.parcels) + len(found.rejected) == len(table)
    reasons = dict(zip(found.rejected["item"], found.rejected["reason"], strict=True))
    for row, (column, _, reason) in cases.items():
        item = "parcel f0" if column == "parcel_uid" else f"parcel f{row}"
        assert reason in reasons[item], (row, reasons[item])
    assert (found.rejected["remedy"].str.len() > 5).all()
    assert "olive, wheat" in found.rejected.set_index("item").loc["parcel f8", "remedy"]


@pytest.mark.parametrize(
    "word, system",
    [
        ("Goutte-à-goutte", "drip"), ("goutte_a_goutte", "drip"), ("DRIP", "drip"), ("Aspersion", "sprinkler"), ("pivot", "sprinkler"),
        ("gravitaire", "surface"), ("Surface", "surface"), ("Bour", "rainfed"), ("rainfed", "rainfed"),
    ],
)  # fmt: skip
def test_systems_by_the_words_people_use(tmp_path, word, system):
    path = tmp_path / "a.parquet"
    frame(1).assign(irrigation=word).to_parquet(path)
    assert read(path).parcels["agro:irrigation"].tolist() == [system]


@pytest.mark.parametrize("given", ["2025-11-20", pd.Timestamp("2025-11-20"), pd.Timestamp("2025-11-20").date()])
def test_sowing_dates_that_can_be_read_one_way_only(tmp_path, given):
    path = tmp_path / "a.parquet"
    frame(1).assign(sowing_date=given).to_parquet(path)
    assert read(path).parcels["agro:sowing_date"].tolist() == [pd.Timestamp("2025-11-20")]


@pytest.mark.parametrize("given", ["20/11/2025", "11-20-2025", 45981, "0225-11-20", "soon"])
def test_sowing_dates_that_cannot(tmp_path, given):
    path = tmp_path / "a.parquet"
    frame(1).assign(sowing_date=given).to_parquet(path)
    found = read(path)
    assert not len(found.parcels)
    assert found.rejected["remedy"].tolist() == ["Write it as YYYY-MM-DD"]


def test_columns_crops_and_defaults_are_mapped(tmp_path):
    path = tmp_path / "a.gpkg"
    table = frame().rename(columns={"parcel_uid": "num", "crop": "culture"}).drop(columns="irrigation")
    table["num"] = [7.0, 8.0, np.nan]
    table["culture"] = ["Blé tendre", "olive", None]
    table.to_file(path, engine="pyogrio")
    settings = {
        "columns": {"parcel_uid": "num", "crop": "culture"},
        "crops": {"Blé tendre": "wheat"},
        "defaults": {"irrigation": "gravitaire", "crop": "olive", "flow_m3_h": 20},
    }
    found = read(path, **settings).parcels.set_index("parcel_uid")
    assert found.loc["7", "agro:crop"] == "wheat"
    assert found.loc["8", "agro:crop"] == "olive"
    assert (found["agro:irrigation"] == "surface").all() and (found["agro:flow_m3_h"] == 20).all()
    # Without an id: from the outline, the same on every reading.
    unnamed = found.index[~found.index.isin(["7", "8"])][0]
    assert unnamed == f"p-{found.loc[unnamed, 'agro:geometry_digest'][:12]}"


def test_an_id_from_the_outline_does_not_depend_on_name_row_or_format(tmp_path):
    table = frame(2, "EPSG:4326").drop(columns="parcel_uid")
    table.to_parquet(tmp_path / "a.parquet")
    table.iloc[::-1].assign(name="other").to_file(tmp_path / "b.gpkg", engine="pyogrio")
    a, b = read(tmp_path / "a.parquet"), read(tmp_path / "b.gpkg")
    assert list(a.parcels["parcel_uid"]) == list(b.parcels["parcel_uid"])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"columns": {"crop": "culture"}}, "no column culture.*It has: .*crop"),
        ({"columns": {"cropp": "crop"}}, "unknown cropp"),
        ({"defaults": {"iriggation": "drip"}}, "unknown iriggation"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(tmp_path, settings, message):
    path = tmp_path / "a.parquet"
    frame(1).to_parquet(path)
    with pytest.raises(ConfigError, match=message):
        read(path, **settings)


def test_layers(tmp_path):
    path = tmp_path / "a.gpkg"
    frame(1).to_file(path, layer="north", engine="pyogrio")
    frame(3).to_file(path, layer="south", engine="pyogrio")
    with pytest.raises(ConfigError, match=r"several layers.*north, south"):
        read(path)
    with pytest.raises(ConfigError, match=r"no layer 'east'.*north, south"):
        read(path, layer="east")
    assert len(read(path, layer="south").parcels) == 3


KML = """<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>"""
FOLDER = """<Folder><name>{0}</name><Placemark><name>Champ {0}</name><Polygon><outerBoundaryIs><LinearRing><coordinates>
-8.{0},31.6,420 -8.{0},31.603,420 -8.{0}5,31.603,420 -8.{0}5,31.6,420 -8.{0},31.6,420
</coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Folder>"""


def test_folders_of_a_kml_are_read_together(tmp_path):
    path = tmp_path / "a.kml"
    path.write_text(KML.format(FOLDER.format(1) + FOLDER.format(2)))
    found = read(path, defaults={"crop": "wheat", "irrigation": "drip"})
    assert sorted(found.parcels["name"]) == ["Champ 1", "Champ 2"]
    assert set(found.parcels["agro:repaired"]) == {"height dropped"}


def test_files_that_hold_nothing(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        read(tmp_path / "absent.gpkg")
    (tmp_path / "empty.geojson").touch()
    with pytest.raises(NoDataError, match="empty"):
        read(tmp_path / "empty.geojson")
    frame(0).to_parquet(tmp_path / "none.parquet")
    with pytest.raises(NoDataError, match="no parcel"):
        read(tmp_path / "none.parquet")
    (tmp_path / "none.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(NoDataError, match="no parcel"):
        read(tmp_path / "none.geojson")


@pytest.mark.parametrize("name", ["bad.gpkg", "bad.geojson", "bad.parquet", "bad.shp", "bad.kml", "bad.docx"])
def test_files_that_are_something_else(tmp_path, name):
    (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(ConfigError, match="cannot be read as field boundaries"):
        read(tmp_path / name)
    (tmp_path / "list.geojson").write_text("[1, 2]")
    with pytest.raises(ConfigError, match="not GeoJSON"):
        read(tmp_path / "list.geojson")


def test_the_csv_of_somebody_without_outlines(tmp_path):
    (tmp_path / "a.csv").write_text("parcel_uid,crop\nf0,wheat\n")
    with pytest.raises(ConfigError, match="no column wkt"):
        read(tmp_path / "a.csv", crs=UTM)
    (tmp_path / "b.csv").write_text("parcel_uid;crop;irrigation;wkt\nf0;wheat;drip;POLYGON((0 0, 1\n")
    found = read(tmp_path / "b.csv", crs=UTM)
    assert not len(found.parcels) and len(found.rejected) == 1


def test_outline_only_reads_nothing_else(tmp_path):
    path = tmp_path / "a.parquet"
    frame(1).assign(crop="banana", irrigation="magic").to_parquet(path)
    found = read(path, outline_only=True, defaults={"crop": "wheat", "irrigation": "drip"})
    assert found.parcels["agro:crop"].tolist() == ["wheat"]


def test_area_is_measured_in_the_zone_of_the_parcel(tmp_path):
    east = gpd.GeoSeries([shapely.box(300000, 3500000, 300200, 3500100)], crs="EPSG:32630").to_crs(UTM)
    table = frame(1)
    table.loc[1] = ["f1", "est", "wheat", "drip", east.iloc[0]]
    path = tmp_path / "a.parquet"
    gpd.GeoDataFrame(table, crs=UTM).to_parquet(path)
    np.testing.assert_allclose(read(path).parcels["metrics:area"], 20000.0, rtol=1e-5)
