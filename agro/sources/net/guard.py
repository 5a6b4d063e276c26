"""What may leave this machine: cells and rounded points, never an outline, a name or an id.

A parcel's outline tied to its holder is personal data (Moroccan law 09-08). The sources ask for whole cells and
rounded points; the guard is the second lock: it reads each request before it is sent and refuses one that shows more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from agro.schema.errors import PrivacyError
from agro.schema.grid import CELL_M

#: Degrees to which points and boxes are rounded: about 11 km, the mesh of the global weather grids.
STEP_DEG = 0.1
_GEOMETRIES = {"Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon", "GeometryCollection"}
_POINT_KEYS = {"latitude", "longitude", "lat", "lon", "lng", "x", "y"}
_BOX_KEYS = {"bbox", "area"}
_WKT = re.compile(r"\b(POINT|LINESTRING|POLYGON|MULTI\w+)\s*\(", re.IGNORECASE)


class OutboundGuard:
    """Reads requests before they leave.

    Parameters
    ----------
    private_words : collection of str
        Ids, names and references of parcels, growers and cooperatives. Words of fewer than four characters, and plain
        numbers of fewer than six digits, are too common to be looked for.
    outlines_allowed : bool
        The region says that outlines may be sent (``outbound.outlines: true``); words still may not.
    """

    def __init__(self, private_words: Collection[str] = (), outlines_allowed: bool = False) -> None:
        self.outlines_allowed = outlines_allowed
        words = sorted({w.strip().casefold() for w in private_words if _telling(w.strip())}, key=len, reverse=True)
        self._words = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)") for word in words]

    def check(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, constants: Collection[str] = ()
    ) -> None:
        """Let a request pass or refuse it.

        Parameters
        ----------
        method, url, headers, body
            The request as it will be sent.
        constants : collection of str
            Texts that are the same for every region (scripts, collections, variables); not searched for words.

        Raises
        ------
        PrivacyError
            It holds a private word, an outline, or a position finer than a cell.
        """
        parts = urlsplit(url)
        where = f"{method} {parts.hostname}{parts.path}"
        fixed = {text.casefold() for text in constants}
        query = parse_qsl(parts.query, keep_blank_values=True)
        texts = [unquote(parts.path), *(value for _, value in query), *headers.values()]
        document = _document(body)
        if document is None:
            texts += [unquote(body.decode("utf-8", "replace"))]
        else:
            texts += list(_strings(document))
        for text in texts:
            self._words_in(text, fixed, where)
        if self.outlines_allowed:
            return
        for key, value in query:
            self._position(key.lower(), _plain(value), where)
            if _WKT.search(value):
                self._refuse("a geometry", where)
        if document is not None:
            self._positions_in(document, where)

    def _words_in(self, text: str, fixed: set[str], where: str) -> None:
        lowered = text.casefold()
        if lowered in fixed:
            return
        for word in self._words:
            if word.search(lowered):
                # The word itself is not repeated: the message ends in logs.
                raise PrivacyError(
                    "the request holds an id or a name of the region's parcels or growers", where=where,
                    do="Nothing was sent. Report it; if the word is a harmless one, rename the parcel",
                )  # fmt: skip

    def _positions_in(self, value: Any, where: str) -> None:
        if isinstance(value, dict):
            if value.get("type") in _GEOMETRIES and ("coordinates" in value or "geometries" in value):
                if not _is_box(value):
                    self._refuse("an outline", where)
                self._coarse(list(_numbers(value["coordinates"])), where)
                return
            for key, inner in value.items():
                self._position(str(key).lower(), inner, where)
                self._positions_in(inner, where)
        elif isinstance(value, list):
            for inner in value:
                self._positions_in(inner, where)

    def _position(self, key: str, value: Any, where: str) -> None:
        if key in _POINT_KEYS or (key in _BOX_KEYS and isinstance(value, list)):
            self._coarse(list(_numbers(value)), where)
        elif key == "intersects" and isinstance(value, dict):
            self._positions_in(value, where)

    def _coarse(self, numbers: list[float], where: str) -> None:
        degrees = all(abs(number) <= 360 for number in numbers)
        step = STEP_DEG if degrees else CELL_M
        for number in numbers:
            if abs(number / step - round(number / step)) > 1e-6:
                self._refuse(f"a position finer than {step:g} {'degree' if degrees else 'm'}", where)

    def _refuse(self, what: str, where: str) -> None:
        raise PrivacyError(
            f"the request holds {what}, which would show where a field is", where=where,
            do="Nothing was sent. If the region may show outlines, say so: outbound: {outlines: true}",
        )  # fmt: skip


def _telling(word: str) -> bool:
    return len(word) >= (6 if word.isdigit() else 4)


def _document(body: bytes) -> Any:
    if not body:
        return {}
    try:
        return json.loads(body)
    except ValueError:
        return None


def _plain(text: str) -> Any:
    """A query value as JSON, a list of numbers, or the text."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, bool):
        return
    if isinstance(value, (int, float)):
        yield float(value)
    elif isinstance(value, str):
        try:
            yield float(value)
        except ValueError:
            return
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)


def _is_box(geometry: Mapping[str, Any]) -> bool:
    """Whether a polygon is one rectangle along the axes."""
    rings = geometry.get("coordinates")
    if geometry.get("type") != "Polygon" or not isinstance(rings, list) or len(rings) != 1 or len(rings[0]) != 5:
        return False
    return len({point[0] for point in rings[0]}) == 2 and len({point[1] for point in rings[0]}) == 2
