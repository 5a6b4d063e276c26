"""How long a text is as SMS: GSM 7-bit or UCS-2, and in how many parts.

Alphabet and lengths of 3GPP TS 23.038 (GSM 03.38), clause 6.2.1, and TS 23.040: 160 septets alone, 153 in each of several
parts; 70 code units of UCS-2 alone, 67 in each of several.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from typing import Literal

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Each takes two septets: an escape and itself.
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
_ALONE = {"gsm-7": 160, "ucs-2": 70}
_EACH = {"gsm-7": 153, "ucs-2": 67}
_PLAIN = str.maketrans({
    "\u00a0": " ", "\u202f": " ", "\u2009": " ", "–": "-", "—": "-", "‑": "-", "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"',
    "«": '"', "»": '"', "…": "..", "³": "3", "²": "2", "·": "-", "œ": "oe", "Œ": "OE", "×": "x", "°": "o",
})  # fmt: skip


@dataclass(frozen=True)
class SmsSize:
    """Length of a text as SMS: `units` are septets or 16-bit code units."""

    encoding: Literal["gsm-7", "ucs-2"]
    units: int
    parts: int


def sms_size(text: str) -> SmsSize:
    """Measure a text; an empty one is one part of no units."""
    if all(c in GSM_BASIC or c in GSM_EXTENSION for c in text):
        units = sum(2 if c in GSM_EXTENSION else 1 for c in text)
        return SmsSize(
            "gsm-7",
            units,
            1 if units <= _ALONE["gsm-7"] else _parts([2 if c in GSM_EXTENSION else 1 for c in text], _EACH["gsm-7"]),
        )
    widths = [2 if ord(c) > 0xFFFF else 1 for c in text]
    units = sum(widths)
    return SmsSize("ucs-2", units, 1 if units <= _ALONE["ucs-2"] else _parts(widths, _EACH["ucs-2"]))  # fmt: skip


def _parts(widths: list[int], room: int) -> int:
    """Parts needed when neither an escaped character nor a surrogate pair may be cut."""
    parts, used = 1, 0
    for width in widths:
        if used + width > room:
            parts, used = parts + 1, 0
        used += width
    return max(parts, math.ceil(sum(widths) / room))


def simple_text(text: str) -> str:
    """Text with typographic characters replaced by the plain ones of GSM; a Latin letter whose accent GSM lacks loses it.

    Arabic stays as it is, without the marks of direction: each would cost a character, and phones order the text themselves.
    """
    out = []
    for c in text.translate(_PLAIN):
        if c in GSM_BASIC or c in GSM_EXTENSION:
            out.append(c)
        elif unicodedata.category(c) != "Cf":
            base = unicodedata.normalize("NFKD", c)
            out.append(base[0] if base[0] in GSM_BASIC and base[0].isalpha() else c)
    return "".join(out)
