from __future__ import annotations

import string
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from babel.messages.pofile import read_po

from agro.reports.i18n import LANGUAGES, LOCALE_DIR, MISSING, Translator, clean_text
from agro.schema.advice import Message
from agro.schema.errors import ConfigError, ContractError
from agro.schema.messages import MESSAGES

EXTREMES = (0, 1, 2, 3, 11, 100, 9999, -5, 0.04, 1234567.89, float("nan"), None)
LONG = "الضيعة الكبرى " * 12 + "<script>" * 6


def _value(name: str, number: object) -> object:
    if name == "what":
        return "inspect.stress"
    if name == "why":
        return "abstain.clear_look"
    if name == "source":
        return LONG
    if name in ("date", "window_start"):
        return "2019-05-20"
    if name == "window_end":
        return date(2019, 5, 22)
    return number


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("digits", ["latin", "arabic-indic"])
def test_every_advice_key_renders_with_extreme_values(language: str, digits: str) -> None:
    tr = Translator(language, digits)
    for key, names in MESSAGES.items():
        for number in EXTREMES:
            params = {n: _value(n, number) for n in names} | {"days": number}
            shown = tr.message(Message(key=key, params=params))
            assert shown.strip() and "{" not in shown and "nan" not in shown and "None" not in shown
            assert shown.count("\u2066") + shown.count("\u2068") == shown.count("\u2069")
            if tr.digits == "arabic-indic":
                words = shown.replace("\u2068" + clean_text(LONG) + "\u2069", "")
                assert not set(words) & set("123456789")


def _catalogues() -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for language in LANGUAGES:
        found[language] = {}
        for path in sorted((LOCALE_DIR / language / "LC_MESSAGES").glob("*.po")):
            with path.open("rb") as handle:
                messages = {
                    m.id[0] if isinstance(m.id, tuple) else m.id: m for m in read_po(handle, locale=language) if m.id
                }
            assert not set(messages) & set(found[language]), path
            found[language] |= messages
    return found


def test_the_three_catalogues_have_the_same_keys_and_placeholders() -> None:
    catalogues = _catalogues()
    keys = {language: set(c) for language, c in catalogues.items()}
    assert keys["en"] == keys["fr"] == keys["ar"]
    for key in keys["en"]:
        fields = {}
        for language, catalogue in catalogues.items():
            strings = catalogue[key].string  # type: ignore[attr-defined]
            forms = strings if isinstance(strings, tuple) else (strings,)
            assert all(forms), f"{key} untranslated in {language}"
            # Arabic says "two days" without a figure, so only the last form has to carry all of them.
            fields[language] = {f for _, f, _, _ in string.Formatter().parse(forms[-1]) if f}
        assert fields["en"] == fields["fr"] == fields["ar"], key


def test_every_placeholder_of_an_advice_sentence_is_a_declared_parameter() -> None:
    for language, catalogue in _catalogues().items():
        for key, names in MESSAGES.items():
            strings = catalogue[key].string  # type: ignore[attr-defined]
            for form in strings if isinstance(strings, tuple) else (strings,):
                used = {f for _, f, _, _ in string.Formatter().parse(form) if f}
                assert used <= set(names), (language, key)
                if not isinstance(strings, tuple):
                    assert used == set(names), (language, key)


def test_arabic_wording_is_arabic_and_not_a_copy() -> None:
    ar, en = Translator("ar"), Translator("en")
    for key in MESSAGES:
        params = {n: _value(n, 3) for n in MESSAGES[key]} | {"days": 3, "source": "station"}
        shown = ar.text(key, **params)
        assert shown != en.text(key, **params)
        assert sum("\u0600" <= c <= "\u06ff" for c in shown) > 4


def test_numbers_by_locale() -> None:
    assert Translator("fr").number(1234.5, 1) == "1\u202f234,5"
    assert Translator("en").number(1234.5, 1) == "1,234.5"
    assert Translator("ar").number(1234.5, 1) == "1\u202f234,5"
    assert Translator("ar", "arabic-indic").number(1234.5, 1) == "١٬٢٣٤٫٥"
    assert Translator("ar").number(-3) == "\u2066-3\u2069"
    assert Translator("fr").number(0.004, 2, signed=True) == "0,00"
    assert Translator("fr").number(0.04, 2, signed=True) == "+0,04"
    assert Translator("en").number(-0.01) == "0"
    assert Translator("en").number(np.float64("nan")) == MISSING
    assert Translator("en").quantity(32.04, "mm") == "32\u00a0mm"
    assert Translator("en").quantity(3.25, "mm") == "3.3\u00a0mm"


def test_dates_by_locale() -> None:
    day = date(2019, 8, 20)
    assert Translator("fr").date(day) == "mar. 20 août"
    assert Translator("en").date("2019-08-20") == "Tue 20 Aug"
    assert Translator("ar").date(pd.Timestamp(day), "long") == "20 غشت 2019"
    assert Translator("ar", "arabic-indic").date(day, "long") == "٢٠ غشت ٢٠١٩"
    assert Translator("fr").date(pd.NaT) == MISSING
    with pytest.raises(ContractError, match="not a date"):
        Translator("fr").date("soon")


@pytest.mark.parametrize(
    ("language", "days", "expected"),
    [
        ("en", 1, "1 day"), ("en", 0, "0 days"), ("fr", 0, "0 jour"), ("fr", 1.5, "1,5 jour"), ("fr", 2, "2 jours"),
        ("ar", 1, "يوم واحد"), ("ar", 2, "يومين"), ("ar", 7, "7 أيام"), ("ar", 15, "15 يوما"), ("ar", 100, "100 يوم"),
    ],
)  # fmt: skip
def test_plurals(language: str, days: float, expected: str) -> None:
    assert Translator(language).text("count.days", n=days) == expected


def test_a_window_of_one_day_is_said_as_one_day() -> None:
    params = {"amount_mm": 30, "volume_m3": 900.4, "window_start": "2019-05-20", "window_end": date(2019, 5, 20)}
    assert Translator("en").text("advice.irrigate", **params).endswith("on Mon 20 May.")
    assert "et le" not in Translator("fr").text("advice.irrigate", **params)


def test_nested_messages() -> None:
    tr = Translator("en")
    flat = tr.text("advice.abstain", why="abstain.clear_look", days=20)
    assert "20 days old" in flat
    assert tr.text("advice.abstain", why={"key": "abstain.clear_look", "params": {"days": 20}}) == flat
    assert tr.text("advice.abstain", why=Message(key="abstain.clear_look", params={"days": 20})) == flat


def test_missing_wording_and_parameters_are_errors() -> None:
    tr = Translator("fr")
    with pytest.raises(ContractError, match=r"advice\.unheard_of"):
        tr.text("advice.unheard_of")
    with pytest.raises(ContractError, match="days"):
        tr.text("advice.hold")
    with pytest.raises(ContractError, match=r"abstain\.nothing"):
        tr.text("advice.abstain", why="abstain.nothing")
    with pytest.raises(ConfigError, match="'xx'"):
        Translator("xx")
    with pytest.raises(ConfigError, match="digits"):
        Translator("ar", "roman")  # type: ignore[arg-type]


def test_values_are_never_templates() -> None:
    shown = Translator("en").text("confidence.soil_source", source="{days} {0.__class__}")
    assert "{days} {0.__class__}" in shown


def test_free_text_loses_control_and_override_characters() -> None:
    assert clean_text("a\u202eb\x00c\nd\u2066e\u2028f") == "abc de f"
    assert clean_text("x" * 50, 10) == "x" * 9 + "…"
    assert Translator("ar").name("Parcel 7") == "\u2068Parcel 7\u2069"
    assert Translator("ar").name("حقل") == "حقل"
    assert Translator("fr").name("حقل") == "\u2068حقل\u2069"
    assert Translator("fr").name("\u202e") == MISSING


def test_extra_catalogues(tmp_path: Path) -> None:
    folder = tmp_path / "fr" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "app.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "app.title"\nmsgstr "Bonjour {who}"\n\n'
        'msgid "app.empty"\nmsgstr ""\n',
        encoding="utf-8",
    )
    tr = Translator("fr", extra=[tmp_path])
    assert tr.text("app.title", who="le champ") == "Bonjour le champ"
    assert tr.has("advice.hold") and not Translator("fr").has("app.title")
    with pytest.raises(ContractError, match=r"app\.empty"):
        tr.text("app.empty")
    with pytest.raises(ConfigError, match="'ar'"):
        Translator("ar", extra=[tmp_path])


def test_broken_catalogues_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "en" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n'
    (folder / "app.po").write_text(
        head + 'msgid "a"\nmsgid_plural "a"\nmsgstr[0] "x"\nmsgstr[1] "y"\n', encoding="utf-8"
    )
    with pytest.raises(ContractError, match="what it counts"):
        Translator("en", extra=[tmp_path])
    (folder / "app2.po").write_text(head + "msgid nonsense\n", encoding="utf-8")
    (folder / "app.po").unlink()
    with pytest.raises(ContractError, match="not a gettext catalogue"):
        Translator("en", extra=[tmp_path])
