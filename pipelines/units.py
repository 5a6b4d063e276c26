"""Units of work: named by what they depend on, entered in the manifest only when whole.

A unit is one step on one piece (a day of imagery, a run date). Its key is a digest of the step, the
step's version, its parameters and its inputs: changed inputs or parameters mean new work, the same ones
mean none. A unit without a manifest entry does not exist, whatever files lie about.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from agro import __version__
from agro.schema.errors import AgroError
from agro.schema.provenance import Provenance, digest_file, digest_of
from agro.store.atomic import write_text


@dataclass(frozen=True)
class Unit:
    """One piece of work.

    Parameters
    ----------
    step : str
        Step with its version, e.g. ``"observe/1"``.
    piece : str
        What it works on, e.g. a date.
    inputs : mapping of str to str
        Digests of what it reads.
    parameters : mapping
        Settings that change the result.
    """

    step: str
    piece: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Digest of everything that the result depends on."""
        return digest_of([self.step, self.piece, dict(self.inputs), dict(self.parameters), __version__])

    def provenance(self, artefact: str, created_at: datetime) -> Provenance:
        """Provenance of an artefact that this unit makes."""
        return Provenance(
            artefact=artefact,
            code_version=__version__,
            created_at=created_at,
            inputs=dict(self.inputs),
            parameters={"step": self.step, "piece": self.piece, "unit": self.key, **self.parameters},
        )


class Manifest:
    """Which units of a region are done, and with what files: one small file an entry.

    Parameters
    ----------
    folder : Path
        The region's folder; artefact paths in entries are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _entry(self, unit: Unit) -> Path:
        return self.folder / "units" / unit.step.replace("/", "-") / f"{unit.piece}-{unit.key}.json"

    def done(self, unit: Unit) -> dict[str, Any] | None:
        """The entry of a finished unit whose files are still whole, else None."""
        try:
            entry: dict[str, Any] = json.loads(self._entry(unit).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        for name, digest in entry["files"].items():
            path = self.folder / name
            if not path.exists() or digest_file(path) != digest:
                return None
        return entry

    def enter(self, unit: Unit, files: Sequence[Path], notes: Mapping[str, Any]) -> dict[str, Any]:
        """Enter a finished unit; its files must be in place already."""
        entry = {
            "unit": unit.key,
            "step": unit.step,
            "piece": unit.piece,
            "inputs": dict(unit.inputs),
            "files": {path.relative_to(self.folder).as_posix(): digest_file(path) for path in files},
            "notes": dict(notes),
        }
        write_text(
            self._entry(unit), json.dumps(entry, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n"
        )
        return entry


def one_line(error: Exception) -> str:
    """An error as one line for a report."""
    text = str(error) if isinstance(error, AgroError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())
