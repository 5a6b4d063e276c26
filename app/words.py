"""The application's words: its own catalogues beside those of the bulletin."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from agro.reports.i18n import LANGUAGES, Translator

LOCALE_DIR = Path(__file__).parent / "locale"
LANGUAGE_NAMES = {"fr": "Français", "ar": "العربية", "en": "English"}


@lru_cache(maxsize=len(LANGUAGES))
def translator(language: str) -> Translator:
    """Give the translator of the bulletin's and the application's words."""
    return Translator(language, extra=[LOCALE_DIR])


def index_name(index: str) -> str:
    """Name of a spectral index as people write it: ndvi -> NDVI."""
    known = {"evi2": "EVI2", "cire": "CIre", "fcover": "fCover", "lai": "LAI"}
    return known.get(index, index.upper())
