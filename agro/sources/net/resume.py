"""Downloads that go on where they were cut."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import IO

import httpx

from agro.schema.errors import StorageError


class Resume:
    """The body of an answer, kept on disk while it comes where the server can go on from the middle.

    Parameters
    ----------
    part : Path, optional
        Where the bytes wait; None keeps them in memory only.
    """

    def __init__(self, part: Path | None) -> None:
        self._part = part
        self._about = part.with_suffix(".part.json") if part else None
        self._memory = bytearray()
        # Held open: the cache may remove the file to make room, which must not make a hole in it.
        self._handle: IO[bytes] | None = None
        self._from = 0
        self._tag = ""

    @property
    def going_on(self) -> bool:
        """Whether the rest of a file was asked for."""
        return self._from > 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest, provided that the file is still the same (RFC 9110, 13.1.5)."""
        if not self._part or not self._about:
            return {}
        try:
            self._tag = str(json.loads(self._about.read_text(encoding="utf-8"))["etag"])
            self._from = self._part.stat().st_size
        except (ValueError, KeyError, TypeError, OSError):
            return {}
        return {"Range": f"bytes={self._from}-", "If-Range": self._tag} if self._from else {}

    def start(self, response: httpx.Response) -> Resume:
        """Begin anew, or go on where the last attempt ended."""
        if not self._part or not self._about:
            return self
        if response.status_code == 206 and self.going_on:
            told = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
            if told and int(told.group(1)) == self._from and response.headers.get("etag", self._tag) == self._tag:
                with contextlib.suppress(OSError):  # removed meanwhile to make room
                    self._handle = self._part.open("r+b")
                    if self._handle.seek(0, 2) == self._from:
                        return self
            self.done()
            raise httpx.RemoteProtocolError("another part than the one asked for")
        self.close()
        tag = response.headers.get("etag", "")
        if tag and not tag.startswith("W/") and "content-encoding" not in response.headers:
            try:
                self._about.unlink(missing_ok=True)
                self._handle = self._part.open("w+b")
                self._about.write_text(json.dumps({"etag": tag}), encoding="utf-8")
            except OSError as error:
                self.close()
                raise _cannot_write(error, self._part) from error
        return self

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        if self._handle is None or self._part is None:
            self._memory += chunk
            return
        try:
            self._handle.write(chunk)
            self._handle.flush()
        except OSError as error:
            self.done()
            raise _cannot_write(error, self._part) from error

    def whole(self) -> bytes:
        """All bytes so far."""
        if self._handle is None:
            return bytes(self._memory)
        self._handle.seek(0)
        return self._handle.read()

    def close(self) -> None:
        """Let go of the file; what came stays for the next attempt."""
        if self._handle is not None:
            with contextlib.suppress(OSError):  # a full disk tells it again
                self._handle.close()
            self._handle = None
        self._from = 0

    def done(self) -> None:
        """Forget the unfinished download."""
        self.close()
        for path in (self._part, self._about):
            if path:
                path.unlink(missing_ok=True)


def _cannot_write(error: OSError, path: Path) -> StorageError:
    return StorageError(
        f"the cache cannot be written: {error.strerror}", where=str(path.parent),
        do="Free space, or choose another: AGRO_CACHE=FOLDER",
    )  # fmt: skip
