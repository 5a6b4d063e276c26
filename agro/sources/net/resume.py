"""Downloads that go on where they were cut."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from agro.schema.errors import AgroError


class Resume:
    """The body of an answer, kept on disk while it comes where the server can go on from the middle."""

    def __init__(self, part: Path | None) -> None:
        self._part = part
        self._about = part.with_suffix(".part.json") if part else None
        self._memory = bytearray()
        self._on_disk = False

    def headers(self) -> dict[str, str]:
        """Ask for the rest, provided that the file is still the same (RFC 9110, 13.1.5)."""
        if not self._part or not self._about or not self._part.exists() or not self._about.exists():
            return {}
        try:
            tag = str(json.loads(self._about.read_text(encoding="utf-8"))["etag"])
        except (ValueError, KeyError, OSError):
            return {}
        size = self._part.stat().st_size
        return {"Range": f"bytes={size}-", "If-Range": tag, "Accept-Encoding": "identity"} if size else {}

    def start(self, response: httpx.Response) -> Resume:
        """Begin anew, or go on where the last attempt ended."""
        if not self._part or not self._about:
            return self
        tag = response.headers.get("etag", "")
        going_on = response.status_code == 206
        if going_on or (tag and not tag.startswith("W/") and "content-encoding" not in response.headers):
            self._on_disk = True
            try:
                if not going_on:
                    self._part.write_bytes(b"")
                    self._about.write_text(json.dumps({"etag": tag}), encoding="utf-8")
            except OSError as error:
                raise _cannot_write(error, self._part) from error
        return self

    def write(self, chunk: bytes) -> None:
        """Add bytes."""
        if self._on_disk and self._part:
            try:
                with self._part.open("ab") as handle:
                    handle.write(chunk)
            except OSError as error:
                raise _cannot_write(error, self._part) from error
        else:
            self._memory += chunk

    def whole(self) -> bytes:
        """All bytes so far."""
        return self._part.read_bytes() if self._on_disk and self._part else bytes(self._memory)

    def done(self) -> None:
        """Forget the unfinished download."""
        for path in (self._part, self._about):
            if path:
                path.unlink(missing_ok=True)


def _cannot_write(error: OSError, path: Path) -> AgroError:
    return AgroError(
        f"the cache cannot be written: {error.strerror}", where=str(path.parent),
        do="Free space, or choose another: AGRO_CACHE=FOLDER",
    )  # fmt: skip
