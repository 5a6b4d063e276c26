"""Digests and the provenance that travels with every artefact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = "1"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"cannot digest {type(value).__name__}")


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: equal content gives equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def digest_of(value: Any) -> str:
    """SHA-256 (first 16 hex digits) of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


def digest_file(path: Path) -> str:
    """SHA-256 (first 16 hex digits) of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]


class Provenance(BaseModel):
    """Where an artefact comes from.

    ``created_at`` is injected by the pipeline's clock, never read from the machine, so that the same
    inputs give the same bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    artefact: str
    schema_version: str = SCHEMA_VERSION
    code_version: str
    created_at: datetime
    inputs: Mapping[str, str] = {}
    parameters: Mapping[str, Any] = {}
