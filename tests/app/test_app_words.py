from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from agro.reports.i18n import LANGUAGES
from app import charts, words

APP = Path(words.__file__).parent


def catalogue(language: str) -> dict[str, str]:
    with (words.LOCALE_DIR / language / "LC_MESSAGES" / "app.po").open("rb") as handle:
        return {str(m.id): str(m.string) for m in read_po(handle, locale=language, abort_invalid=True) if m.id}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_languages_have_the_same_keys_and_placeholders() -> None:
    english = catalogue("en")
    for language in ("fr", "ar"):
        other = catalogue(language)
        assert other.keys() == english.keys()
        assert all(other.values())
        for key, text in english.items():
            assert placeholders(other[key]) == placeholders(text), key


def test_every_key_in_the_code_has_words_and_every_word_a_use() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in APP.rglob("*.py"))
    used = set(
        re.findall(
            r'"((?:app|column|section|evidence|watch|fields|yield|abstain|bulletin|range|count)\.[a-z_.]+)"', code
        )
    )
    used -= {
        name
        for name in used
        if name.endswith(".parquet") or (APP / (name.removeprefix("app.").replace(".", "/") + ".py")).exists()
    }
    families = {*re.findall(r'f"(app\.[a-z_.]+)\{', code), *re.findall(r'tr\.word\("(app\.[a-z_]+)"', code)}
    used -= families
    for language in LANGUAGES:
        tr = words.translator(language)
        assert sorted(key for key in used if not tr.has(key)) == []
    unused = [k for k in catalogue("en") if k not in used and not any(k.startswith(f) for f in families)]
    assert unused == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_chart_keys_and_months_speak_the_language(language: str) -> None:
    tr = words.translator(language)
    for items in charts.KEYS.values():
        assert all(tr.text(key) for _, _, key in items)
    names = charts.time_locale(tr)
    assert len(names["months"]) == len(names["shortMonths"]) == 12
    assert len(names["days"]) == 7
    assert names["days"][0] == {"fr": "dimanche", "ar": "الأحد", "en": "Sunday"}[language]
    assert names["months"][7] == {"fr": "août", "ar": "غشت", "en": "August"}[language]
