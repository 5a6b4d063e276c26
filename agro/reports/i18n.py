"""The bulletin's and the application's words: gettext catalogues read at run time, numbers and dates by locale.

A message is a key (``msgid``); its wording is in ``locale/<language>/LC_MESSAGES/*.po``, where every language,
English too, has its own sentence. Parameters are formatted by their name: ``amount_mm`` becomes "32 mm" or "32 مم",
``days`` becomes "3 days", ``date`` becomes "Tue 21 May", so the catalogues hold only ``{amount_mm}``.

An entry with a plural names the parameter that it counts in a comment, ``# plural: count``, and its forms come in
the order of the CLDR categories zero, one, two, few, many, other that the language has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

from babel import Locale
from babel.dates import format_date
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal

from agro.schema.advice import Message
from agro.schema.errors import ConfigError, ContractError

Digits = Literal["latin", "arabic-indic"]

LANGUAGES: tuple[str, ...] = ("fr", "ar", "en")
LOCALE_DIR = Path(__file__).parent / "locale"
#: Shown for a missing number, date or name.
MISSING = "—"

# Day before month in all three; Morocco's own month names in Arabic (غشت, not أغسطس).
_LOCALES = {"en": "en_GB", "fr": "fr", "ar": "ar_MA"}
_PLURALS = {"en": ("one", "other"), "fr": ("one", "other"), "ar": ("zero", "one", "two", "few", "many", "other")}
_DATE_PATTERNS = {
    "day": {"en": "EEE d MMM", "fr": "EEE d MMM", "ar": "EEEE d MMMM"},
    "short": {"en": "d MMM", "fr": "d MMM", "ar": "d MMM"},
    "month": {"en": "MMM", "fr": "MMM", "ar": "MMMM"},
    "long": {"en": "d MMMM y", "fr": "d MMMM y", "ar": "d MMMM y"},
    "full": {"en": "EEEE d MMMM y", "fr": "EEEE d MMMM y", "ar": "EEEE d MMMM y"},
}
_TO_ARABIC_INDIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
_FIRST_STRONG_ISOLATE, _LEFT_TO_RIGHT_ISOLATE, _POP_ISOLATE = "\u2068", "\u2066", "\u2069"
_NARROW_NO_BREAK_SPACE = "\u202f"
_DATE_NAMES = ("date", "window_start", "window_end")
_UNITS = ("m3_ha", "t_ha", "q_ha", "m3_h", "mm", "m3", "ha", "pct")
_PLURAL_COMMENT = re.compile(r"plural:\s*(\w+)")


#: Two stops at the end of a sentence, with direction marks between them or not; not the three of an ellipsis.
_TWO_STOPS = re.compile(r"(?<!\.)\.([\u2066-\u2069\u200e\u200f]*)\.(?=\s|$)")


#: Local units: what they are of, and how many of them one of it is. 1 mm over 1 ha is 10 m3; 1 t is 10 quintals.
_LOCAL_UNITS = {"mm": ("mm", 1.0), "m3_ha": ("mm", 10.0), "t_ha": ("t_ha", 1.0), "q_ha": ("t_ha", 10.0)}
_DOSE_NAMES = ("amount_mm", "depth_mm")


class Shown(str):
    """Text already in the form that is shown: as a parameter of another sentence it is set as it is."""

    __slots__ = ()


class _Entry:
    """One message of a catalogue: its forms, and the parameter that chooses among them."""

    __slots__ = ("counted", "forms")

    def __init__(self, forms: tuple[str, ...], counted: str | None) -> None:
        self.forms = forms
        self.counted = counted


def clean_text(text: str, limit: int | None = None) -> str:
    """Free text made safe to set: no control, bidirectional-override or unassigned characters, one line.

    Parameters
    ----------
    text : str
        What a person typed: a field's name, a note.
    limit : int, optional
        Longest result in characters; what is cut ends in an ellipsis.
    """
    kept = "".join(" " if unicodedata.category(c) in ("Zl", "Zp") or c in "\t\n\r" else c for c in str(text))
    # Zero-width joiners shape Persian and Arabic words and stay; the other format characters can reorder a line.
    kept = "".join(
        c for c in kept if c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Cn", "Co")
    )
    kept = " ".join(kept.split())
    return kept if limit is None or len(kept) <= limit else kept[: limit - 1].rstrip() + "…"


def is_missing(value: Any) -> bool:
    """Whether a parameter stands for nothing: None, NaN or NaT."""
    return value is None or bool(value != value)


@lru_cache(maxsize=32)
def _read_catalogue(path: Path, language: str) -> dict[str, _Entry]:
    try:
        with path.open("rb") as handle:
            catalogue = read_po(handle, locale=language, abort_invalid=True)
    except (PoFileError, ValueError) as error:
        raise ContractError(f"not a gettext catalogue: {error}", where=str(path), do="Mend the line named") from error
    entries: dict[str, _Entry] = {}
    for message in catalogue:
        if not message.id or message.fuzzy:
            continue
        plural = isinstance(message.id, (tuple, list))
        key = str(message.id[0] if plural else message.id)
        strings = message.string if isinstance(message.string, (tuple, list)) else (message.string,)
        forms = tuple(str(form or "") for form in strings)
        if not all(forms):
            continue  # untranslated: asking for it is an error, never another language's words
        counted = None
        if plural:
            found = _PLURAL_COMMENT.search(" ".join([*message.user_comments, *message.auto_comments]))
            if found is None:
                raise ContractError(
                    f"plural entry {key} does not say what it counts",
                    where=str(path),
                    do="Add a comment: # plural: NAME",
                )
            counted = found.group(1)
            if len(forms) != len(_PLURALS[language]):
                raise ContractError(
                    f"{key} has {len(forms)} plural forms",
                    where=str(path),
                    do=f"Give {len(_PLURALS[language])}: {', '.join(_PLURALS[language])}",
                )
        entries[key] = _Entry(forms, counted)
    return entries


class Translator:
    """Speaks one language.

    Parameters
    ----------
    language : {"en", "fr", "ar"}
        Language of the words, and with it the locale of dates and numbers.
    digits : {"latin", "arabic-indic"}
        Shape of digits. Morocco writes Latin digits in Arabic text; other languages ignore the setting.
    extra : iterable of pathlib.Path
        Further locale folders, each with ``<language>/LC_MESSAGES/*.po``; a later one overrides an earlier one.
    dose_unit : {"mm", "m3_ha"}
        Unit of water to be given (``amount_mm``, ``depth_mm``); rain and evapotranspiration stay in mm.
    yield_unit : {"t_ha", "q_ha"}

    Raises
    ------
    ConfigError
        A language without a catalogue, a folder without this language, or an unknown unit.
    ContractError
        A catalogue that is not valid.
    """

    def __init__(
        self, language: str, digits: Digits = "latin", extra: Iterable[Path] = (), *, dose_unit: str = "mm", yield_unit: str = "t_ha"
    ) -> None:  # fmt: skip
        if language not in _LOCALES:
            raise ConfigError(
                f"no catalogue in language {language!r}", where="languages", do=f"Choose among {', '.join(LANGUAGES)}"
            )
        if digits not in ("latin", "arabic-indic"):
            raise ConfigError(f"unknown digits {digits!r}", where="digits", do="Choose latin or arabic-indic")
        for unit, measured in ((dose_unit, "mm"), (yield_unit, "t_ha")):
            if _LOCAL_UNITS.get(unit, ("", 1.0))[0] != measured:
                raise ConfigError(f"{unit!r} is no unit of {measured}", where="reports", do="Choose mm or m3_ha, t_ha or q_ha")  # fmt: skip
        self.dose_unit, self.yield_unit = dose_unit, yield_unit
        self.language = language
        self.digits: Digits = digits if language == "ar" else "latin"
        self.locale = Locale.parse(_LOCALES[language])
        self._entries: dict[str, _Entry] = {}
        for folder in (LOCALE_DIR, *extra):
            files = sorted((Path(folder) / language / "LC_MESSAGES").glob("*.po"))
            if not files:
                raise ConfigError(
                    f"no catalogue in language {language!r}", where=str(folder), do="Add <language>/LC_MESSAGES/*.po"
                )
            for path in files:
                self._entries.update(_read_catalogue(path, language))

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """Writing direction, as HTML's ``dir``."""
        return "rtl" if self.language == "ar" else "ltr"

    @property
    def keys(self) -> frozenset[str]:
        """Keys that have a translation."""
        return frozenset(self._entries)

    def has(self, key: str) -> bool:
        """Whether the key has a translation."""
        return key in self._entries

    def text(self, key: str, **params: Any) -> Shown:
        """Say the sentence of `key` with its parameters formatted for the language.

        Parameters
        ----------
        key : str
            ``msgid`` of the catalogue.
        **params
            Values of the placeholders. The name decides the format: a unit's suffix (``_mm _m3 _m3_ha _ha _t_ha
            _q_ha _pct``), ``_frac`` (shown as percent), ``date`` / ``*_date`` / ``window_*`` (a date or ISO text),
            ``days`` and ``hours`` (number and word), ``change`` (signed), ``value`` and ``median`` (two decimals),
            ``source`` (a key ``source.*``), ``what`` and ``why`` (a message key, a mapping with ``key`` and
            ``params``, or a :class:`Message`, given the outer parameters too). None and NaN show as a dash.

        Raises
        ------
        ContractError
            No translation, or a placeholder without a parameter.
        """
        if is_one_day(params) and f"{key}.one_day" in self._entries:
            key = f"{key}.one_day"
        entry = self._entries.get(key)
        if entry is None:
            raise ContractError(
                f"no {self.language} wording for {key!r}", where="message catalogue", do="Add it to the .po file"
            )
        form = entry.forms[0]
        try:
            if entry.counted is not None:
                form = entry.forms[self._plural_index(params[entry.counted])]
            # A short date may end in a stop of its own, as in "18 avr.".
            return Shown(_TWO_STOPS.sub(r".\1", form.format_map(_Formatted(self, params))))
        except KeyError as error:
            raise ContractError(
                f"{key!r} needs the parameter {error.args[0]!r}", where="message", do="Give the parameter"
            ) from error

    def message(self, message: Message) -> Shown:
        """Say the sentence of an advice record's :class:`~agro.schema.advice.Message`."""
        return self.text(message.key, **message.params)

    def number(
        self, value: float | None, decimals: int | None = None, signed: bool = False, grouped: bool = True
    ) -> Shown:
        """Write a number in the locale's shape; a dash for None and NaN.

        Parameters
        ----------
        value : float or None
            The number.
        decimals : int, optional
            Digits after the separator; by default none from 10 up or for whole numbers, one below.
        signed : bool
            Write the plus sign too.
        grouped : bool
            Separate thousands; not for a year.
        """
        if is_missing(value):
            return Shown(MISSING)
        rounded = _rounded(value, decimals)
        places = max(0, -int(rounded.as_tuple().exponent))
        pattern = ("#,##0" if grouped else "0") + ("." + "0" * places if places else "")
        if signed:
            pattern = f"+{pattern};-{pattern}"
            if rounded == 0:
                pattern = pattern.split(";")[0][1:]
        if self.language != "ar":
            return Shown(format_decimal(rounded, pattern, locale=self.locale, group_separator=True))
        shown = format_decimal(
            rounded, pattern, locale=self.locale, numbering_system="arab" if self.digits == "arabic-indic" else "latn"
        )
        if self.digits == "latin":
            # CLDR groups ar_MA by a point; beside the French bulletin "1.234 m3" would read as little more than 1.
            shown = shown.replace(".", _NARROW_NO_BREAK_SPACE)
        else:
            shown = shown.translate(_TO_ARABIC_INDIC)
        shown = re.sub(r"[\u061c\u200e\u200f]", "", shown)
        # A sign before digits would jump to their other side in right-to-left text.
        return Shown(f"{_LEFT_TO_RIGHT_ISOLATE}{shown}{_POP_ISOLATE}" if shown[0] in "-+" else shown)

    def quantity(self, value: float | None, unit: str, decimals: int | None = None) -> Shown:
        """Write a number with its unit, `unit` being a key ``unit.*``: mm, m3, m3_ha, ha, pct ..."""
        if is_missing(value):
            return Shown(MISSING)
        return self._entry_text(f"unit.{unit}", self.number(value, decimals))

    def local(self, value: float | None, unit: str) -> float | None:
        """Turn mm into the dose unit, or t/ha into the yield unit, `unit` being one of the two; missing stays missing."""
        return None if value is None else float(value) * _LOCAL_UNITS[unit][1]

    def dose(self, mm: float | None) -> Shown:
        """Write a depth of water to be given in the region's unit, in whole mm or m3/ha."""
        return self.quantity(self.local(mm, self.dose_unit), self.dose_unit, 0)

    def signed_percent(self, value: float | None) -> Shown:
        """Write a change in percent with its sign."""
        if is_missing(value):
            return Shown(MISSING)
        return self._entry_text("unit.pct", self.number(value, 0, signed=True))

    def unit(self, unit: str) -> Shown:
        """Write a unit alone, for a table's head."""
        return Shown(self._entry_text(f"unit.{unit}", "").strip(" \u00a0\u202f"))

    def date(self, value: date | str | None, form: Literal["day", "short", "month", "long", "full"] = "day") -> Shown:
        """Write a date; `form` is day ("Tue 21 May"), short ("21 May"), month, long (with the year) or full (all of it)."""
        if is_missing(value):
            return Shown(MISSING)
        shown = format_date(_as_date(value), _DATE_PATTERNS[form][self.language], locale=self.locale)
        return Shown(shown.translate(_TO_ARABIC_INDIC) if self.digits == "arabic-indic" else shown)

    def name(self, text: str | None, limit: int | None = None) -> Shown:
        """Write free text (a field's name, an identifier), cleaned, and isolated where its direction is another."""
        if is_missing(text):
            return Shown(MISSING)
        shown = clean_text(str(text), limit)
        return self.isolate(shown) if shown else Shown(MISSING)

    def isolate(self, text: str) -> Shown:
        """Keep text of another direction from disturbing its surroundings."""
        kinds = {unicodedata.bidirectional(c) for c in text}
        other = kinds & ({"L", "EN"} if self.direction == "rtl" else {"R", "AL", "AN"})
        return Shown(f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}" if other else text)

    def word(self, group: str, key: str | None, names: Mapping[str, Mapping[str, str]] | None = None) -> Shown:
        """Say the word of an open vocabulary: ``<group>.<key>`` of the catalogue, else `names`, else the key itself.

        Crops, soil and weather sources can be added by a region without touching the catalogues.
        """
        if is_missing(key):
            return Shown(MISSING)
        if names and self.language in names.get(str(key), {}):
            return self.name(names[str(key)][self.language])
        entry = f"{group}.{key}"
        return Shown(self._entries[entry].forms[0]) if entry in self._entries else self.name(_spoken(str(key)))

    def _entry_text(self, key: str, shown: str) -> Shown:
        entry = self._entries.get(key)
        if entry is None:
            raise ContractError(
                f"no {self.language} wording for {key!r}", where="message catalogue", do="Add it to the .po file"
            )
        filled = entry.forms[0].format(n=shown)
        if key == "unit.pct" and _LEFT_TO_RIGHT_ISOLATE in filled:  # the sign and the percent sign hold together
            bare = filled.replace(_LEFT_TO_RIGHT_ISOLATE, "").replace(_POP_ISOLATE, "")
            filled = f"{_LEFT_TO_RIGHT_ISOLATE}{bare}{_POP_ISOLATE}"
        return Shown(filled)

    def _plural_index(self, value: Any) -> int:
        if is_missing(value):
            return len(_PLURALS[self.language]) - 1
        category = self.locale.plural_form(abs(_rounded(value, None)))
        tags = _PLURALS[self.language]
        return tags.index(category) if category in tags else len(tags) - 1

    def _format(self, name: str, value: Any, params: Mapping[str, Any]) -> str:
        if isinstance(value, Shown):
            return value
        if is_missing(value):
            return MISSING
        if name in ("what", "why"):
            return self._nested(value, params)
        if name == "source":
            return self.word("source", str(value))
        if isinstance(value, date) or name in _DATE_NAMES or name.endswith("_date"):
            return self.date(value)
        if isinstance(value, Real) and not isinstance(value, bool):
            if name in ("days", "hours"):
                return self.text(f"count.{name}", n=value)
            if name in ("value", "median"):
                return self.number(float(value), 2)
            if name == "change":
                return self.number(float(value), 2, signed=True)
            if name in ("count", "pixels"):
                return self.number(float(value), 0)
            if name.endswith("_frac"):
                return self.quantity(100 * float(value), "pct", 0)
            if name in _DOSE_NAMES and self.dose_unit != "mm":
                return self.dose(float(value))
            for unit in _UNITS:
                if name.endswith(f"_{unit}"):
                    return self.quantity(float(value), unit, 0 if unit in ("pct", "m3", "m3_ha") else None)
            return self.number(float(value))
        return self.name(str(value))

    def _nested(self, value: Any, params: Mapping[str, Any]) -> str:
        if isinstance(value, Message):
            return self.text(value.key, **{**params, **value.params})
        if isinstance(value, Mapping):
            return self.text(str(value["key"]), **{**params, **value.get("params", {})})
        return self.text(str(value), **{k: v for k, v in params.items() if k not in ("what", "why")})


class _Formatted(dict[str, str]):
    """Parameters formatted as a sentence asks for them; a value is never itself read as a template."""

    def __init__(self, translator: Translator, params: Mapping[str, Any]) -> None:
        super().__init__()
        self._translator = translator
        self._params = params

    def __missing__(self, name: str) -> str:
        return self._translator._format(name, self._params[name], self._params)


def _spoken(key: str) -> str:
    return key.replace("_", " ") if re.fullmatch(r"\w+", key) else key


def is_one_day(params: Mapping[str, Any]) -> bool:
    """Whether the window of a message begins and ends on the same day."""
    start, end = params.get("window_start"), params.get("window_end")
    return not is_missing(start) and not is_missing(end) and _as_date(start) == _as_date(end)


def _rounded(value: Any, decimals: int | None) -> Decimal:
    exact = Decimal(int(value)) if isinstance(value, Integral) else Decimal(repr(float(value)))
    if decimals is None:
        tenth = exact.quantize(Decimal("0.1"), ROUND_HALF_UP)
        decimals = 0 if abs(tenth) >= 10 or tenth == tenth.to_integral_value() else 1
    rounded = exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return abs(rounded) if rounded == 0 else rounded  # never "-0"


def _as_date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise ContractError(f"{value!r} is not a date", where="message", do="Give YYYY-MM-DD") from error
