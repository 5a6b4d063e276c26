from __future__ import annotations

import io
import re
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from fake_run import HOSTILE_NAMES, ISSUED, World, make_world
from pypdf import PdfReader

from agro.reports.bulletin import Bulletin
from agro.reports.i18n import LANGUAGES, Translator, clean_text
from agro.reports.publish import gather
from agro.reports.sheet_figures import parcel_histories
from agro.reports.sheets import owners, render_sheets, sheet_stem, write_sheets
from agro.schema.errors import ConfigError

TRANSLATORS = [Translator(language) for language in LANGUAGES]


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Bulletin]:
    world = make_world(tmp_path_factory.mktemp("sheets"))
    return world, gather(world.store, world.run, world.published, world.awaiting)[0]


@pytest.fixture(scope="module")
def sheets(week: tuple[World, Bulletin]) -> dict[tuple[str, str, str], bytes]:
    world, bulletin = week
    return {(k, lang, form): body for k, lang, form, body in render_sheets(world.run, bulletin, TRANSLATORS)}


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u2066-\u2069\u202f\xa0]", "", text)


def words(html: bytes) -> str:
    import html as entities

    body = html.decode().split("<main>")[0].split("<header>")[1] + html.decode().split("<main>")[1]
    return squeezed(entities.unescape(re.sub(r"<[^>]*>", "", body)))


def printed(pdf: bytes) -> str:
    return squeezed("".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages))


def test_every_parcel_has_a_sheet_of_one_page_in_every_language(
    week: tuple[World, Bulletin], sheets: dict[tuple[str, str, str], bytes]
) -> None:
    assert {(line.parcel_uid, lang, form) for line in week[1].lines for lang in LANGUAGES for form in ("html", "pdf")} == set(sheets)  # fmt: skip
    for (uid, language, form), body in sheets.items():
        if form == "pdf":
            assert len(PdfReader(io.BytesIO(body)).pages) == 1, (uid, language)
        else:
            head = body.decode()
            assert f'<html lang="{language}" dir="{"rtl" if language == "ar" else "ltr"}">' in head


def test_names_that_attack_are_shown_and_do_nothing(
    week: tuple[World, Bulletin], sheets: dict[tuple[str, str, str], bytes]
) -> None:
    names = {f"p{i:03d}": name for i, name in enumerate(HOSTILE_NAMES)}
    for line in week[1].lines:
        shown = squeezed(clean_text(names[line.parcel_uid], 60))
        for language in LANGUAGES:
            page = sheets[line.parcel_uid, language, "html"]
            assert shown in words(page)
            assert not re.search(rb"<(script|b>|iframe|i18n|link|a )", page.split(b"</style>")[1])
            assert b"default-src 'none'" in page and b'href="' not in page
            if shown.isascii():
                text = printed(sheets[line.parcel_uid, language, "pdf"])
                assert shown.rstrip("…")[:25] in text, shown


def test_amounts_are_those_of_the_advice_and_an_awaiting_parcel_has_none(
    week: tuple[World, Bulletin], sheets: dict[tuple[str, str, str], bytes]
) -> None:
    world, bulletin = week
    tr = Translator("en")
    for line in bulletin.in_state("irrigate"):
        assert squeezed(tr.quantity(line.volume_m3, "m3", 0)) in words(sheets[line.parcel_uid, "en", "html"])
    assert world.awaiting
    for record in world.awaiting:
        assert record.volume_m3 is not None and record.amount_mm is not None
        for form, read in (("html", words), ("pdf", printed)):
            text = read(sheets[record.parcel_uid, "en", form])
            assert "awaitsanagronomist" in text
            assert squeezed(tr.quantity(record.volume_m3, "m3", 0)) not in text
            assert squeezed(tr.text("column.dose")) not in text


def test_a_parcel_without_tables_still_has_a_sheet(sheets: dict[tuple[str, str, str], bytes]) -> None:
    # p011 has neither advice nor water; p010 was never seen from space
    assert "isnotknown" in words(sheets["p011", "en", "html"]) and "Noadviceispublished" in words(sheets["p011", "en", "html"])  # fmt: skip
    assert b"data:image/svg" in sheets["p009", "en", "html"]
    assert sheets["p010", "en", "html"].count(b"data:image/svg") == 1


def test_a_grower_sees_own_parcels_only(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    parcels = world.run.read("parcels")
    parcels["agro:owner_ref"] = ["#eval(1) <b>", "#eval(1) <b>", "#eval(1) <b>", *["o-2"] * 8, None]
    from fake_run import provenance

    world.run.write("parcels", parcels, provenance("parcels"))
    assert owners(parcels) == {"#eval(1) <b>": ["p000", "p001", "p002"], "o-2": [f"p{i:03d}" for i in range(3, 11)]}
    bulletin = gather(world.store, world.run, world.published, world.awaiting)[0]
    paths = write_sheets(tmp_path / "out", world.run, bulletin, TRANSLATORS, "grower")
    assert len(paths) == 12 and all(path.resolve().is_relative_to((tmp_path / "out").resolve()) for path in paths)
    mine = [p for p in paths if "eval" in p.name and p.suffix == ".html" and p.parent.name == "en"]
    text = words(mine[0].read_bytes())
    assert squeezed("#eval(1) <b>") in text and "=1+1" in text and "DROPTABLE" not in text
    volume = sum(line.volume_m3 or 0 for line in bulletin.lines if line.parcel_uid in ("p000", "p001", "p002"))
    assert squeezed(Translator("en").quantity(volume, "m3", 0)) in text


def test_file_names_stay_in_their_folder() -> None:
    assert sheet_stem("parcel", "p-001") == "parcel_p-001"
    stems = {
        sheet_stem("parcel", key) for key in ("../../etc/passwd", "..\\..\\etc\\passwd", "a" * 500, "", "حقل", "حقول")
    }
    assert len(stems) == 6
    assert all(re.fullmatch(r"parcel_[A-Za-z0-9_-]{0,60}_[0-9a-f]{8}", stem) for stem in stems)


def test_neighbours_are_the_median_of_the_others() -> None:
    days = pd.date_range("2019-05-01", ISSUED)
    series = pd.concat(
        pd.DataFrame({"parcel_uid": f"p{i}", "date": days, "index": "ndvi", "value": 0.1 * i}) for i in range(7)
    )
    water = pd.DataFrame({c: [] for c in ("parcel_uid", "member", "is_forecast", "dr_mm", "raw_mm", "rain_mm", "irrigation_mm")})  # fmt: skip
    water = water.assign(date=pd.to_datetime([]), is_forecast=water["is_forecast"].astype(bool))
    crops = {f"p{i}": "wheat" if i < 6 else "olive" for i in range(7)}
    histories = parcel_histories(water, series, crops, ISSUED)
    neighbours = histories["p0"].neighbours
    assert neighbours is not None and neighbours.iloc[-1] == pytest.approx(0.3)
    assert histories["p6"].neighbours is None and histories["p6"].last_season is None
    assert parcel_histories(water, None, crops, date(2019, 5, 20))["p0"].ndvi is None


def test_unknown_keys_and_formats_are_refused(week: tuple[World, Bulletin]) -> None:
    world, bulletin = week
    with pytest.raises(ConfigError, match="'nope'"):
        list(render_sheets(world.run, bulletin, TRANSLATORS, only=["nope"]))
    with pytest.raises(ConfigError, match="'docx'"):
        list(render_sheets(world.run, bulletin, TRANSLATORS, formats=["docx"]))


def test_same_inputs_same_bytes(week: tuple[World, Bulletin], sheets: dict[tuple[str, str, str], bytes]) -> None:
    world, bulletin = week
    again = {(k, lang, form): body for k, lang, form, body in render_sheets(world.run, bulletin, TRANSLATORS, only=["p000"])}  # fmt: skip
    assert len(again) == 6 and all(sheets[key] == body for key, body in again.items())
