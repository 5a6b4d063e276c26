"""What an answer says: its numbers, its body unpacked, and whether that is what was asked for."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping

from agro.sources.net.call import Call

#: Bodies beyond this are refused, bytes.
MAX_BODY = 600_000_000


class TransientError(Exception):
    """May pass; `retry_after_s` when the provider says how long to wait."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        self.what = what
        self.retry_after_s = retry_after_s
        super().__init__(what)


def as_expected(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """The body unpacked, and only the range asked for.

    Raises
    ------
    TransientError
        It is not what was asked for.
    """
    content = _decoded(body, headers)
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if call.expects == "json":
        try:
            json.loads(content)
        except (ValueError, RecursionError) as error:
            raise TransientError(f"{kind or 'something'} instead of JSON") from error
    elif kind in ("text/html", "application/xhtml+xml"):
        raise TransientError("a web page instead of data")
    if call.byte_range:
        content = _ranged(call.byte_range, status, headers, content)
    wrong = call.check(content) if call.check else ""
    if wrong:
        raise TransientError(wrong)
    return content


def _ranged(asked: tuple[int, int], status: int, headers: Mapping[str, str], content: bytes) -> bytes:
    first, last = asked
    wanted = last - first + 1
    if status == 200:  # the server knows no ranges
        content = content[first : last + 1]
        if not content:
            raise TransientError(f"nothing for a range from {first} on")
        return content
    told = _content_range(headers)
    if told and told[0] != first:
        raise TransientError(f"bytes from {told[0]} on for a range from {first} on")
    if told and told[2] is not None:
        wanted = min(wanted, told[2] - first)
    if len(content) != wanted:
        raise TransientError(f"{len(content)} bytes for a range of {wanted}")
    return content


def _content_range(headers: Mapping[str, str]) -> tuple[int, int, int | None] | None:
    """First and last byte and length of the whole (None: unknown), of RFC 9110, 14.4."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("content-range", "").strip())
    if not found:
        return None
    first, last, whole = found.groups()
    return int(first), int(last), None if whole == "*" else int(whole)


def _decoded(content: bytes, headers: Mapping[str, str]) -> bytes:
    """A body as it was before it was packed for the way."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return content
    if encoding not in ("gzip", "x-gzip"):
        raise TransientError(f"the answer is packed as {encoding}, which was not asked for")
    unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = unpack.decompress(content, MAX_BODY)
    except zlib.error as error:
        raise TransientError("the packed answer is damaged") from error
    if not unpack.eof:
        raise TransientError("the packed answer is incomplete")
    return plain
