from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from fake_run import HOSTILE_NAMES, ISSUED, World, provenance
from pypdf import PdfReader

from agro.reports.i18n import LANGUAGES, Translator, clean_text
from agro.reports.publish import publish
from agro.schema.advice import AdviceRecord
from agro.schema.errors import AgroError, ConfigError, ContractError, NoDataError


class Page(HTMLParser):
    """Elements, attributes and text of a page, as a browser would find them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def go(world: World, *languages: str, **more: Any) -> dict[str, Path]:
    paths = publish(world.store, world.run, world.published, world.awaiting, languages or ("en",), **more)
    return {p.name: p for p in paths}


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u2066-\u2069\u202f\xa0]", "", text)


def pdf_text(path: Path) -> str:
    return squeezed("".join(page.extract_text() for page in PdfReader(path).pages))


@pytest.fixture(scope="module")
def edition(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, dict[str, Path]]:
    from fake_run import make_world

    world = make_world(tmp_path_factory.mktemp("edition"))
    return world, go(world, *LANGUAGES)


def test_all_files_are_written_and_nothing_else(edition: tuple[World, dict[str, Path]]) -> None:
    world, files = edition
    expected = {f"bulletin_{lang}.{kind}" for lang in LANGUAGES for kind in ("html", "pdf")} | {
        *(f"parcels_{lang}.xlsx" for lang in LANGUAGES),
        "parcels.csv",
        "parcels.gpkg",
        "published.json",
    }
    assert set(files) == expected == {p.name for p in world.store.published(ISSUED).iterdir()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_html_is_one_accessible_page_in_its_direction(edition: tuple[World, dict[str, Path]], language: str) -> None:
    page = Page(edition[1][f"bulletin_{language}.html"].read_text(encoding="utf-8"))
    assert page.all("html") == [{"lang": language, "dir": "rtl" if language == "ar" else "ltr", "data-digits": "latin"}]
    assert len(page.all("h1")) == 1 and len(page.all("h2")) == 9
    images = page.all("img")
    assert len(images) == 5 and all(len(i["alt"] or "") > 30 for i in images)
    assert all((i["src"] or "").startswith("data:image/svg+xml;base64,") for i in images)
    assert all(th["scope"] in ("col", "row") for th in page.all("th"))
    mark = Translator(language).text("bulletin.simulated")
    assert page.text.count(mark) == 10  # once at the head, once in every section


def test_html_calls_nothing_outside(edition: tuple[World, dict[str, Path]]) -> None:
    html = edition[1]["bulletin_fr.html"].read_text(encoding="utf-8")
    page = Page(html)
    assert "default-src 'none'" in html
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "b-script", "a", "i18n", "form"}
    assert not [
        v
        for _, attrs in page.tags
        for k, v in attrs.items()
        if k in ("href", "src") and not (v or "").startswith("data:")
    ]
    assert not [k for _, attrs in page.tags for k in attrs if k.startswith("on")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_are_shown_as_they_are_and_do_nothing(
    edition: tuple[World, dict[str, Path]], language: str
) -> None:
    _, files = edition
    page = Page(files[f"bulletin_{language}.html"].read_text(encoding="utf-8"))
    assert "script" not in {tag for tag, _ in page.tags}
    shown, printed = squeezed(page.text), pdf_text(files[f"bulletin_{language}.pdf"])
    for name in HOSTILE_NAMES:
        text = squeezed(clean_text(name, 60))
        assert text in shown
        if text.isascii():
            assert text.rstrip("…")[:25] in printed, name
    assert "Tourd'eaulimité<b>" in shown and "panic" in printed
    assert "\u202e" not in page.text
    assert "49" not in [t.strip() for t in page.texts if "7*7" in t]


def test_every_page_of_the_pdf_says_simulated(edition: tuple[World, dict[str, Path]]) -> None:
    reader = PdfReader(edition[1]["bulletin_en.pdf"])
    assert all("SIMULATED DATA" in page.extract_text() for page in reader.pages)
    assert len(reader.pages) >= 4
    assert {tuple(sorted(round(float(v)) for v in page.mediabox[2:])) for page in reader.pages} == {(595, 842)}


def test_pdf_carries_its_fonts(edition: tuple[World, dict[str, Path]]) -> None:
    fonts = set()
    for page in PdfReader(edition[1]["bulletin_ar.pdf"]).pages:
        for font in page["/Resources"]["/Font"].values():
            descendant = font.get_object()["/DescendantFonts"][0].get_object()
            assert "/FontFile2" in descendant["/FontDescriptor"] or "/FontFile3" in descendant["/FontDescriptor"]
            fonts.add(str(font.get_object()["/BaseFont"]).split("+")[1])
    assert {"NotoSans-Regular", "NotoSansArabic-Regular"} <= fonts
    assert all(name.startswith("NotoSans") for name in fonts)


def test_no_simulated_mark_on_real_data(build_world: Callable[..., World]) -> None:
    world = build_world(simulated=False)
    real = [(r.model_copy(update={"simulated": False}), d) for r, d in world.published]
    waiting = [r.model_copy(update={"simulated": False}) for r in world.awaiting]
    files = {p.name: p for p in publish(world.store, world.run, real, waiting, ["en"])}
    text = Page(files["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "SIMULATED" not in text and "Contains modified Copernicus Sentinel data (2019)" in text
    assert "SIMULATED" not in pdf_text(files["bulletin_en.pdf"])


def test_one_simulated_record_is_enough_for_the_mark(build_world: Callable[..., World]) -> None:
    world = build_world(simulated=False)
    assert "SIMULATED DATA" in Page(go(world)["bulletin_en.html"].read_text(encoding="utf-8")).text


def test_same_inputs_same_bytes(build_world: Callable[..., World]) -> None:
    first = {name: path.read_bytes() for name, path in go(build_world("a"), "ar", "fr").items()}
    time.sleep(1.1)  # a clock anywhere would show by the second
    second = {name: path.read_bytes() for name, path in go(build_world("b"), "ar", "fr").items()}
    assert [name for name in first if first[name] != second[name]] == []


def test_amounts_that_await_a_person_are_published_nowhere(build_world: Callable[..., World]) -> None:
    world = build_world()
    marked: list[AdviceRecord] = []
    for record in world.awaiting:
        assert record.amount_mm is not None
        params = {**record.message.params, "amount_mm": 3171.7, "volume_m3": 77777.0}
        message = record.message.model_copy(update={"params": params})
        marked.append(
            record.model_copy(
                update={
                    "amount_mm": 3171.7,
                    "gross_mm": 3193.3,
                    "volume_m3": 77777.0,
                    "hours": 7133.0,
                    "message": message,
                }
            )
        )
    assert marked
    world = world._replace(awaiting=marked)
    files = go(world)
    for name in ("bulletin_en.html", "published.json"):
        assert not re.search(
            r"\b(3,?171|3,?172|3,?193|31,?933|77,?777|7,?133)\b", Page(files[name].read_text(encoding="utf-8")).text
        ), name
    assert not re.search(r"3,171|3,172|3,193|31,933|77,777|7,133", pdf_text(files["bulletin_en.pdf"]))
    layer = gpd.read_file(files["parcels.gpkg"], layer="parcels_advice")
    waiting = layer[layer["state"] == "awaiting"]
    assert len(waiting) == len(marked)
    assert (
        waiting[["amount_mm", "amount_low_mm", "amount_high_mm", "gross_mm", "volume_m3", "hours", "window_start"]]
        .isna()
        .all()
        .all()
    )
    assert (waiting["sentence"].fillna("") == "").all()
    text = Page(files["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "The soil is assumed from a default texture." in text


def test_geopackage_reads_back(edition: tuple[World, dict[str, Path]]) -> None:
    world, files = edition
    layer = gpd.read_file(files["parcels.gpkg"], layer="parcels_advice").set_index("parcel_uid")
    parcels = world.run.read("parcels").set_index("parcel_uid")
    assert layer.crs.to_epsg() == 4326 and set(layer.index) == set(parcels.index)
    for uid in layer.index:
        assert layer.geometry[uid].symmetric_difference(parcels.geometry[uid]).area < 1e-15
    record = next(r for r, d in world.published if r.parcel_uid == "p000")
    assert layer.loc["p000", "amount_mm"] == pytest.approx(record.amount_mm)
    assert layer.loc["p000", "name"] == "<script>alert(1)</script>"
    assert layer.loc["p000", "depletion_frac"] == pytest.approx(96 / 130)
    with sqlite3.connect(files["parcels.gpkg"]) as connection:
        rows = connection.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles"
        ).fetchall()
        geometry = connection.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
        stamps = {row[0] for row in connection.execute("SELECT last_change FROM gpkg_contents")}
    assert [(rows[0][0], rows[0][1])] == geometry and rows[0][2] == 1
    assert stamps == {"2019-05-20T00:00:00Z"}
    from xml.etree import ElementTree

    style = ElementTree.fromstring(rows[0][3])
    assert {c.get("value") for c in style.iter("category")} >= set(layer["state"])


def test_edits_change_the_volume_in_proportion_and_rejects_have_no_amount(
    edition: tuple[World, dict[str, Path]],
) -> None:
    world, files = edition
    layer = gpd.read_file(files["parcels.gpkg"], layer="parcels_advice").set_index("parcel_uid")
    record = next(r for r, d in world.published if r.advice_id == "a6")
    assert record.amount_mm and record.volume_m3 and record.hours
    assert layer.loc["p006", "amount_mm"] == 20.0 and layer.loc["p006", "edited"]
    assert layer.loc["p006", "volume_m3"] == pytest.approx(record.volume_m3 * 20 / record.amount_mm)
    assert layer.loc["p006", "hours"] == pytest.approx(record.hours * 20 / record.amount_mm)
    assert np.isnan(layer.loc["p006", "amount_low_mm"])
    assert layer.loc["p007", "state"] == "rejected" and np.isnan(layer.loc["p007", "amount_mm"])
    assert layer.loc["p011", "state"] == "missing"


def test_an_edit_to_nothing_holds_and_an_edit_of_a_hold_irrigates(world: World) -> None:
    decisions = {"a0": 0.0, "a1": 12.0}
    published = [
        (
            r,
            {"decision": "edit", "amount_mm": decisions[r.advice_id], "reason": "x", "reviewer": "y"}
            if r.advice_id in decisions
            else d,
        )
        for r, d in world.published
    ]
    layer = gpd.read_file(go(world._replace(published=published))["parcels.gpkg"], layer="parcels_advice").set_index(
        "parcel_uid"
    )
    assert layer.loc["p000", "state"] == "hold" and np.isnan(layer.loc["p000", "amount_mm"])
    area_ha = layer.loc["p001", "area_ha"]
    assert layer.loc["p001", "state"] == "irrigate"
    assert layer.loc["p001", "volume_m3"] == pytest.approx(12 / 0.9 * 10 * area_ha)
    assert layer.loc["p001", "hours"] == pytest.approx(12 / 0.9 * 10 * area_ha / 25.0)


def test_last_weeks_advice_against_what_was_reported(build_world: Callable[..., World]) -> None:
    earlier = build_world(water_price_per_m3=0.5, currency="DH", price_date="2019-01-01")
    week_before = ISSUED - timedelta(days=7)
    old_run = earlier.store.run(week_before)
    old = [
        (r.model_copy(update={"issued_on": week_before}), None)
        for r, _ in earlier.published
        if r.parcel_uid in ("p000", "p001", "p008")
    ]
    for name in ("parcels", "need", "water", "weather", "series", "scenes", "observations"):
        old_run.write(name, earlier.run.read(name), provenance(name))
    old_run.write_advice([r for r, _ in old])
    # Not yet published: compared with what was proposed, and says so.
    unconfirmed = Page(go(earlier, previous_run=old_run)["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "was not published: the comparison is with what the run proposed" in unconfirmed
    publish(earlier.store, old_run, old, [], ["en"])
    said = {
        item["parcel_uid"]: item
        for item in json.loads((earlier.store.published(week_before) / "published.json").read_text())
    }
    assert (
        said["p000"]["state"] == "irrigate" and said["p001"]["state"] == "hold" and said["p002"]["state"] == "missing"
    )
    text = Page(go(earlier, previous_run=old_run)["bulletin_en.html"].read_text(encoding="utf-8")).text
    area = earlier.run.read("parcels").set_index("parcel_uid")["metrics:area"] / 1e4
    advised = said["p000"]["volume_m3"] + said["p008"]["volume_m3"]
    tr = Translator("en")
    assert f"Advised to irrigate 2 {tr.number(advised, 0)}" in text
    assert f"of which irrigation reported 1 {tr.number(300 * area['p000'], 0)}" in text
    assert f"Advised to hold 1 — of which irrigation reported 1 {tr.number(220 * area['p001'], 0)}" in text
    assert f"advised {tr.number(0.5 * advised, 0)} DH" in text and "1 January 2019" in text
    assert "1 more field to irrigate" in text and "was not published" not in text


def test_without_an_earlier_run_it_says_so(edition: tuple[World, dict[str, Path]]) -> None:
    text = Page(edition[1]["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "First bulletin of this region" in text and "No earlier run" in text


def test_optional_tables_may_be_absent(build_world: Callable[..., World]) -> None:
    world = build_world()
    for name in ("series", "phenology", "yield", "scenes", "observations", "irrigation", "rejected"):
        (world.run.path / f"{name}.parquet").unlink()
    text = Page(go(world, *LANGUAGES)["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "No yield outlook in this run." in text
    (world.run.path / "water.parquet").unlink()
    with pytest.raises(NoDataError):
        go(world)


def test_an_outlook_of_climate_normals_says_so(build_world: Callable[..., World]) -> None:
    world = build_world(members=1)
    weather = world.run.read("weather")
    weather.loc[weather["is_forecast"], "source"] = "climatology"
    world.run.write("weather", weather, provenance("weather"))
    text = Page(go(world)["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "rest on climate normals alone" in text and "its spread is not known" in text
    world.run.write("weather", weather[~weather["is_forecast"]], provenance("weather"))
    text = Page(go(world)["bulletin_en.html"].read_text(encoding="utf-8")).text
    assert "No weather outlook for the days ahead." in text


def test_nothing_let_out_is_a_bulletin_too(world: World) -> None:
    files = {
        p.name: p
        for p in publish(world.store, world.run, [], [r for r, _ in world.published] + world.awaiting, ["fr", "ar"])
    }
    text = Page(files["bulletin_fr.html"].read_text(encoding="utf-8")).text
    assert "Aucune irrigation n'est conseillée cette semaine." in text
    assert "À décider par un agronome : 11 parcelles" in text


def test_arabic_indic_digits(world: World) -> None:
    page = Page(go(world, "ar", digits="arabic-indic")["bulletin_ar.html"].read_text(encoding="utf-8"))
    head = page.text.split("<script>")[0]
    assert "٢٠ ماي ٢٠١٩" in page.text and not re.search(
        "[0-9]", re.sub(r"ET0|FAO-56|2A|2019-05-20|L2A", "", head.split("النشرة", 2)[2])
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {"published": [*w.published, w.published[0]]}, "two advices"),
        (lambda w: {"awaiting": [w.published[0][0]]}, "two advices"),
        (
            lambda w: {"published": [(w.published[0][0].model_copy(update={"parcel_uid": "nope"}), None)]},
            "does not have",
        ),
        (
            lambda w: {
                "published": [(w.published[0][0].model_copy(update={"issued_on": ISSUED - timedelta(days=1)}), None)]
            },
            "bulletin of",
        ),
        (lambda w: {"published": [(w.published[0][0], {"decision": "maybe"})]}, "unknown decision"),
        (lambda w: {"published": [(w.published[0][0], {"decision": "edit"})]}, "without an amount"),
    ],
)
def test_advice_that_does_not_fit_is_refused_and_nothing_is_written(
    world: World, change: Callable[[World], dict[str, Any]], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        go(world._replace(**change(world)))
    assert not world.store.published(ISSUED).exists()


def test_unknown_language_and_none(world: World) -> None:
    with pytest.raises(ConfigError, match="'de'"):
        go(world, "fr", "de")
    with pytest.raises(ConfigError, match="no language"):
        publish(world.store, world.run, world.published, world.awaiting, [])


def test_a_failure_leaves_the_earlier_edition_whole(world: World) -> None:
    before = {name: path.read_bytes() for name, path in go(world).items()}
    odd = world.published[0][0].model_copy(
        update={"message": world.published[0][0].message.model_copy(update={"key": "advice.unheard_of"})}
    )
    with pytest.raises(AgroError):
        publish(world.store, world.run, [(odd, None)], [], ["en"])
    folder = world.store.published(ISSUED)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_numbers_of_the_page_come_from_the_tables(edition: tuple[World, dict[str, Path]]) -> None:
    world, files = edition
    tr, text = Translator("en"), Page(files["bulletin_en.html"].read_text(encoding="utf-8")).text
    weather = world.run.read("weather")
    week = weather[~weather["is_forecast"] & (weather["date"] > pd.Timestamp(ISSUED) - pd.Timedelta(days=7))]
    ahead = weather[weather["is_forecast"]].groupby("member")["rain_mm"].sum()
    past = (
        f"Past week: {tr.quantity(week['rain_mm'].sum(), 'mm')} of rain for {tr.quantity(week['et0_mm'].sum(), 'mm')}"
    )
    assert squeezed(past) in squeezed(text)
    spread = f"{tr.number(ahead.quantile(0.1), 0)}–{tr.number(ahead.quantile(0.9), 0)}"
    assert squeezed(f"{tr.quantity(ahead.mean(), 'mm', 0)} ({spread}) of rain") in squeezed(text)
    assert "58 of" not in text and "10 of 12" in text and "9 of 12" in text
    assert "Model trained on simulated seasons" in text and "Alfalfa: no outlook for 1 field." in text


@pytest.mark.slow
def test_sixty_parcels_in_three_languages_are_small(build_world: Callable[..., World]) -> None:
    world = build_world(count=60)
    files = go(world, *LANGUAGES)
    assert all(path.stat().st_size < 5e6 for path in files.values())


def test_pictures_have_no_date_and_no_script(edition: tuple[World, dict[str, Path]]) -> None:
    import base64

    for attrs in Page(edition[1]["bulletin_ar.html"].read_text(encoding="utf-8")).all("img"):
        svg = base64.b64decode((attrs["src"] or "").split(",", 1)[1]).decode()
        assert "<script" not in svg and "dc:date" not in svg
        assert "<text" not in svg  # outlines: no font is needed to read it
