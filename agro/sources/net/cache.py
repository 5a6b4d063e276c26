"""Answers kept on disk by what was asked: shared by regions and processes, bounded, safe to kill at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from agro.schema.errors import AgroError, StorageError

#: Default bound, bytes.
MAX_BYTES = 20_000_000_000
#: When full, the oldest go until this share is left, so that not every answer starts a search.
_KEEP_SHARE = 0.9


def default_cache_folder() -> Path:
    """``AGRO_CACHE``, else ``agro`` in the user's cache folder (XDG Base Directory Specification)."""
    told = os.environ.get("AGRO_CACHE")
    return Path(told) if told else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agro"


@dataclass(frozen=True)
class Kept:
    """An answer found: its bytes, its headers of interest, and its age in seconds."""

    content: bytes
    headers: dict[str, str]
    age_s: float


class Cache:
    """A folder of answers.

    Parameters
    ----------
    folder : Path
        Made when absent.
    max_bytes : int
        Bound; the answers used longest ago go first.
    clock : callable
        Seconds since 1970: from it an answer has its age.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._clock = clock
        self.max_bytes = max_bytes
        # Full, so that the first answer of a process looks at the bound: many short runs fill the disk as one long one does.
        self._written = max_bytes
        try:
            (folder / "locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AgroError(
                f"the cache cannot be made: {error.strerror}", where=str(folder), do="Choose another: AGRO_CACHE=FOLDER"
            ) from error

    @staticmethod
    def key(identity: str) -> str:
        """Name of the answer to a request, from all that decides the answer."""
        return hashlib.sha256(identity.encode()).hexdigest()

    @contextmanager
    def fetching(self, key: str) -> Iterator[None]:
        """Hold a request for oneself: another process that wants the same answer waits and then finds it."""
        # A thread may hold one while it asks for another (a file and the token for it), and both may have one lock.
        with FileLock(self.folder / "locks" / f"{key[:3]}.lock", is_singleton=True):
            yield

    def find(self, key: str, ttl_s: float | None = None) -> Kept | None:
        """An answer not older than `ttl_s` (None: any age). A damaged one is removed and counts as absent."""
        path = self._path(key)
        try:
            blob = path.read_bytes()
            stat = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(
                f"the cache cannot be read: {error.strerror}", where=str(path), do="Check the disk"
            ) from error
        found = _unpacked(blob)
        if found is None:
            self.drop(key)
            return None
        at, headers, content = found
        age = max(0.0, self._clock() - at)
        if ttl_s is not None and age > ttl_s:
            return None
        # Used now: what was used longest ago goes first. Another process may just have removed it.
        with contextlib.suppress(OSError):
            os.utime(path, (time.time(), stat.st_mtime))
        return Kept(content, headers, age)

    def keep(self, key: str, content: bytes, headers: dict[str, str]) -> None:
        """Write an answer beside and move it into place; a full disk or a kill leaves the old state."""
        path = self._path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
            try:
                beside.write_bytes(_packed(self._clock(), headers, content))
                beside.replace(path)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"the cache cannot be written: {error.strerror}", where=str(self.folder),
                do="Free space, or choose another: AGRO_CACHE=FOLDER",
            ) from error  # fmt: skip
        self._written += len(content)
        if self._written > self.max_bytes * (1 - _KEEP_SHARE):
            self.shrink()
            self._written = 0

    def drop(self, key: str) -> None:
        """Forget an answer."""
        self._path(key).unlink(missing_ok=True)

    def part(self, key: str) -> Path:
        """Where the bytes of an unfinished download wait."""
        path = self._path(key).with_suffix(".part")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def shrink(self) -> int:
        """Remove the answers used longest ago until the bound holds; the bytes removed."""
        with FileLock(self.folder / "locks" / "shrink.lock"):
            found = [(stat.st_atime, stat.st_size, path) for path in self._files() if (stat := _stat(path))]
            total = sum(size for _, size, _ in found)
            removed = 0
            if total <= self.max_bytes:
                return 0
            for _, size, path in sorted(found):
                if total - removed <= self.max_bytes * _KEEP_SHARE:
                    break
                path.unlink(missing_ok=True)
                removed += size
            return removed

    def size_bytes(self) -> int:
        """Bytes that the answers take."""
        return sum(stat.st_size for path in self._files() if (stat := _stat(path)))

    def _files(self) -> Iterator[Path]:
        yield from (path for path in self.folder.glob("??/*") if path.is_file())

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / key


def _packed(at: float, headers: dict[str, str], content: bytes) -> bytes:
    """A digest of all that follows, what is known of the answer (JSON), and the answer; each on a line."""
    about = json.dumps({"at": at, "headers": headers}, sort_keys=True).encode() + b"\n"
    digest = hashlib.sha256(about)
    digest.update(content)
    return digest.hexdigest().encode() + b"\n" + about + content


def _unpacked(blob: bytes) -> tuple[float, dict[str, str], bytes] | None:
    """When it was kept, its headers and the answer; None for one that is damaged."""
    digest, _, rest = blob.partition(b"\n")
    if hashlib.sha256(rest).hexdigest().encode() != digest:
        return None
    head, _, content = rest.partition(b"\n")
    try:
        about: dict[str, Any] = json.loads(head)
        return float(about["at"]), dict(about["headers"]), content
    except (ValueError, KeyError, TypeError):  # written by another version
        return None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:  # another process was quicker
        return None
