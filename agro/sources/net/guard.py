"""What may leave this machine: cells and rounded points, never an outline, a name or an id.

A parcel's outline tied to its holder is personal data (Moroccan law 09-08). The sources ask for whole cells and
rounded points; the guard is the second lock: it reads each request before it is sent and refuses one that shows more.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus, urlsplit

from agro.schema.errors import PrivacyError
from agro.sources.net import positions
from agro.sources.net.positions import STEP_DEG

__all__ = ["STEP_DEG", "OutboundGuard"]

#: Times that a text is freed of percent signs, which may be put on top of each other.
_LAYERS = 3


class OutboundGuard:
    """Reads requests before they leave.

    Parameters
    ----------
    private_words : collection of str
        Ids, names and references of parcels, growers and cooperatives. Words of fewer than four characters, and plain
        numbers of fewer than six digits, are too common to be looked for.
    outlines_allowed : bool
        The region says that outlines may be sent (``outbound.outlines: true``); words still may not.

    Notes
    -----
    It finds positions by key (``bbox``, ``lat`` ...), by form (GeoJSON, WKT, lists) and in plain text by precision: two
    numbers of three or more decimals side by side. What a source would hide on purpose it does not find.
    """

    def __init__(self, private_words: Collection[str] = (), outlines_allowed: bool = False) -> None:
        self.outlines_allowed = outlines_allowed
        words = sorted({_folded(w.strip()) for w in private_words if _telling(w.strip())}, key=len, reverse=True)
        # An underscore parts words here: "parcel_p0001" tells p0001.
        together = "|".join(re.escape(word) for word in words)
        self._words = re.compile(rf"(?<![^\W_])(?:{together})(?![^\W_])") if words else None

    def check(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, constants: Collection[str] = ()
    ) -> None:
        """Let a request pass or refuse it.

        Parameters
        ----------
        method, url, headers, body
            The request as it will be sent.
        constants : collection of str
            Texts that are the same for every region (scripts, collections, variables); nothing is looked for in them.

        Raises
        ------
        PrivacyError
            It holds a private word, an outline, or a position finer than a cell.
        """
        parts = urlsplit(url)
        # Without the path: the message ends in logs, and the word may be there.
        where = f"{method} {parts.hostname}"
        fixed = {_folded(text) for text in constants}
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        texts = [parts.netloc, parts.path, *(f"{name}: {value}" for name, value in headers.items())]
        document = _document(body)
        if document is None:
            said = body.decode("utf-8", "replace")
            form = parse_qsl(said, keep_blank_values=True)
            pairs += form
            texts += [] if form else [said]
        else:
            texts += list(_strings(document))
        for key, value in pairs:
            texts.append(key)
            if not positions.is_numbers_under_key(key, value):
                texts.append(value)
        for text in texts:
            self._look_in(text, fixed, where)
        if self.outlines_allowed:
            return
        for key, value in pairs:
            if _folded(value) not in fixed:
                self._refuse(positions.under_key(key, value), where)
        if document is not None:
            self._refuse(positions.in_document(document), where)

    def _look_in(self, text: str, fixed: set[str], where: str) -> None:
        if _folded(text) in fixed:
            return
        for variant in _variants(text):
            folded = _folded(variant)
            if self._words and self._words.search(folded):
                # The word itself is not repeated: the message ends in logs.
                raise PrivacyError(
                    "the request holds an id or a name of the region's parcels or growers", where=where,
                    do="Nothing was sent. Report it; if the word is a harmless one, rename the parcel",
                )  # fmt: skip
            if not self.outlines_allowed:
                self._refuse(positions.in_text(folded), where)

    def _refuse(self, what: str, where: str) -> None:
        if what:
            raise PrivacyError(
                f"the request holds {what}, which would show where a field is", where=where,
                do="Nothing was sent. If the region may show outlines, say so: outbound: {outlines: true}",
            )  # fmt: skip


def _telling(word: str) -> bool:
    return len(word) >= (6 if word.isdigit() else 4)


def _folded(text: str) -> str:
    """One form for all spellings of a text: letter case, composed and decomposed accents, wide letters."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _variants(text: str) -> Iterator[str]:
    """The text as it stands and freed of percent signs, in which a plus may be a space."""
    yield text
    for free in (unquote, unquote_plus):
        freed = text
        for _ in range(_LAYERS):
            before, freed = freed, free(freed)
            if freed == before:
                break
            yield freed


def _document(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _strings(value: Any) -> Iterator[str]:
    """All texts of a document, and whole numbers that stand by themselves: an id may be one."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            if not (str(key).lower() in positions.POINT_KEYS | positions.BOX_KEYS and _is_numbers(inner)):
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _is_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_numbers(inner) for inner in value)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
