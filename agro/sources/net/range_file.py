"""A remote file that is read in parts, each kept: what GDAL reads through, so that its bytes pass the one way out."""

from __future__ import annotations

import io
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from agro.schema.errors import AgroError, OfflineError, SourceError
from agro.sources.net.budget import Estimate
from agro.sources.net.cache import Cache
from agro.sources.net.call import Call, Signer
from agro.sources.net.client import Client

#: Bytes are fetched and kept in pieces of this size: headers take one, a block of 1024 x 1024 pixels about ten.
PIECE = 131_072
#: Pieces held in memory by one file: 32 MB.
HELD = 256


@dataclass(frozen=True)
class Purpose:
    """What a file is read for, in the ledger."""

    piece: str = ""
    parcels: tuple[str, ...] = ()


class RangeFile:
    """Only the pieces that are read are fetched, neighbours in one request.

    Parameters
    ----------
    client : Client
    url : str
        Address without signature: what the pieces are kept under.
    signer : callable, optional
        Signs late, just before each request.
    purpose : Purpose

    Notes
    -----
    GDAL takes an exception for an end of file. The last one is therefore kept in :attr:`failure`, for the caller to
    raise in the place of GDAL's own.
    """

    def __init__(self, client: Client, url: str, signer: Signer | None = None, purpose: Purpose | None = None) -> None:
        self.client = client
        self.url = url
        self.signer = signer
        self.purpose = purpose or Purpose()
        self.failure: AgroError | None = None
        #: The provider has another file by now than the one whose pieces are kept.
        self.changed = False
        self.size = -1
        self._tag: str | None = None
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.RLock()

    def open(self) -> None:
        """Learn the size.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`Client.fetch`.
        """
        if self.size < 0:
            with self._lock:
                self._need(range(1))

    def handle(self) -> io.RawIOBase:
        """A reader with a position of its own."""
        return _Handle(self)

    def read_at(self, offset: int, size: int) -> bytes:
        """Bytes from `offset`; fewer at the end of the file.

        Raises
        ------
        SourceError, NoDataError, BudgetError, PrivacyError
            As :meth:`Client.fetch`.
        """
        with self._lock:
            self.open()
            end = self.size if size < 0 else min(self.size, offset + size)
            if end <= offset:
                return b""
            numbers = range(offset // PIECE, (end - 1) // PIECE + 1)
            pieces = self._need(numbers)
            start = offset - numbers.start * PIECE
            return b"".join(pieces[number] for number in numbers)[start : start + end - offset]

    def forget(self) -> None:
        """Drop what is kept of this file: it was damaged."""
        with self._lock:
            cache = self.client.network.cache
            if cache is not None:
                for number in range(-(-max(self.size, 1) // PIECE)):
                    cache.drop(self._key(number))
            self._held.clear()
            self.size, self._tag, self.failure, self.changed = -1, None, None, False

    def _need(self, numbers: range) -> dict[int, bytes]:
        """The pieces, from memory, from the cache, and the rest from the provider in one request a run."""
        found = {number: self._held[number] for number in numbers if number in self._held}
        cache = self.client.network.cache
        lacking = [number for number in numbers if number not in found]
        if cache is None:
            found |= self._fetch(lacking)
        elif lacking:
            found |= self._kept(lacking)
            lacking = [number for number in lacking if number not in found]
            if lacking:
                # One process at a time fetches from one file; the next finds the pieces.
                with cache.fetching(Cache.key(self.url)):
                    found |= self._kept(lacking)
                    found |= self._fetch([number for number in lacking if number not in found])
        for number in numbers:
            self._held[number] = found[number]
            self._held.move_to_end(number)
        while len(self._held) > max(HELD, len(numbers)):
            self._held.popitem(last=False)
        return found

    def _kept(self, numbers: list[int]) -> dict[int, bytes]:
        cache = self.client.network.cache
        found: dict[int, bytes] = {}
        if cache is None:
            return found
        for number in numbers:
            kept = cache.find(self._key(number))
            if kept and self._same_file(kept.headers):
                found[number] = kept.content
        return found

    def _fetch(self, numbers: list[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        if numbers and self.client.network.offline:
            raise OfflineError(
                f"offline, and the cache lacks a part of {self.purpose.piece or 'a file'} of {self.client.provider}",
                where=self.url, do="Run once without --offline",
            )  # fmt: skip
        runs: list[list[int]] = []
        for number in numbers:
            if runs and runs[-1][-1] == number - 1:
                runs[-1].append(number)
            else:
                runs.append([number])
        for run in runs:
            first, last = run[0] * PIECE, (run[-1] + 1) * PIECE - 1
            if self.size > 0:
                last = min(last, self.size - 1)
            answer = self.client.fetch(
                Call(
                    self.url, expects="bytes", byte_range=(first, last), ttl_s=0, signer=self.signer,
                    estimate=Estimate(1, 0.0, (last - first + 1) / 1e6), piece=self.purpose.piece,
                    parcels=self.purpose.parcels,
                )
            )  # fmt: skip
            self._learn(answer.headers)
            expected = min(last, self.size - 1) - first + 1
            if len(answer.content) != expected:
                raise SourceError(
                    f"{len(answer.content)} bytes came for a range of {expected}", where=self.url, transient=True,
                    do="Run it again",
                )  # fmt: skip
            cache = self.client.network.cache
            for place, number in enumerate(run):
                found[number] = answer.content[place * PIECE : (place + 1) * PIECE]
                if cache:
                    about = {"size": str(self.size), "tag": self._tag or ""}
                    cache.keep(self._key(number), found[number], about)
        return found

    def _learn(self, headers: Mapping[str, str]) -> None:
        total = re.search(r"/(\d+)$", headers.get("content-range", ""))
        if not total:
            raise SourceError(
                "the provider gives no ranges of this file", where=self.url, do="Use another provider for it"
            )
        tag = headers.get("etag") or headers.get("last-modified") or ""
        if self.size >= 0 and (int(total.group(1)) != self.size or tag != self._tag):
            self.changed = True
            raise SourceError("the file changed while it was read", where=self.url, do="Run it again", transient=True)
        self.size, self._tag = int(total.group(1)), tag

    def _same_file(self, headers: dict[str, str]) -> bool:
        """Whether a kept piece is of the file as known so far; the first one tells."""
        size, tag = int(headers.get("size", -1)), headers.get("tag", "")
        if self.size < 0:
            self.size, self._tag = size, tag
        return (size, tag) == (self.size, self._tag)

    def _key(self, number: int) -> str:
        return Cache.key(f"{self.client.provider}\n{self.url}\npiece {number} of {PIECE}")


class _Handle(io.RawIOBase):
    """What GDAL holds: seekable, read-only."""

    def __init__(self, file: RangeFile) -> None:
        self.file = file
        self._at = 0

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.file.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: max(self.file.size, 0)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        try:
            found = self.file.read_at(self._at, size)
        except AgroError as error:
            self.file.failure = error
            return b""
        self._at += len(found)
        return found
