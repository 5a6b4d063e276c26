"""Several imagery sources, the best first: the next one is asked when one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from agro.schema.errors import FINAL, AgroError, ConfigError, NoDataError, SourceError
from agro.schema.grid import Grid
from agro.schema.tables import validate
from agro.sources.imagery.protocol import ImagerySource, Scene, SearchResult


class ImageryChain:
    """Imagery sources in order of preference, as one.

    Parameters
    ----------
    links : sequence of (str, callable)
        Label and a function that opens the source; one is opened when its turn comes.
    mixing : bool
        Whether a day that one source cannot give may come from the next. If not, the first source that can be searched
        serves alone.
    """

    name = "chain"

    def __init__(self, links: Sequence[tuple[str, Callable[[], ImagerySource]]], mixing: bool = True) -> None:
        self._links = list(links)
        self.mixing = mixing
        self._opened: dict[int, ImagerySource] = {}
        self._serving = 0
        self._reasons: list[str] = []
        self._passed: dict[int, str] = {}
        self._has_served = False
        self._of: dict[str, int] = {}

    @property
    def concurrent(self) -> bool:
        """Whether days may be read at once: the serving source can, and no other one could be asked."""
        alone = not self.mixing or self._serving + 1 == len(self._links)
        return alone and bool(getattr(self.serving, "concurrent", False))

    def search(self, start: date, end: date) -> SearchResult:
        """Scenes of the first source that can be searched and has any.

        Raises
        ------
        NoDataError
            No source has a scene.
        SourceError
            No source could be searched, or one could not and the others have no scene.
        """
        self._reasons = []
        rows: list[dict[str, str]] = []
        empty_result: SearchResult | None = None
        for number, (label, _) in enumerate(self._links):
            if number in self._passed:
                self._reasons.append(self._passed[number])
                continue
            try:
                found = self._source(number).search(start, end)
            except FINAL:
                raise
            except AgroError as error:
                if len(self._links) == 1 or misspelt(error):
                    raise
                self._reasons.append(f"{label}: {error.what}")
                rows.append(_row(label, error, number + 1 < len(self._links)))
                continue
            if not found.scenes:
                empty_result = empty_result or found
                self._reasons.append(f"{label}: no scene from {start} to {end}")
                continue
            self._serving, self._has_served = number, True
            told = pd.concat([pd.DataFrame(rows, columns=found.rejected.columns), found.rejected], ignore_index=True)
            return SearchResult(self._marked(number, found.scenes), validate(told, "rejected"))
        if empty_result is not None and not rows:
            return empty_result
        raise SourceError(
            ("no imagery source could be searched: " if empty_result is None else "no scene: ") + "; ".join(self._reasons), where="imagery", transient=True,
            do="See what works with: agro doctor",
        )  # fmt: skip

    @property
    def serving(self) -> ImagerySource:
        """The source that gave the last search."""
        return self._source(self._serving)

    def pass_over(self, reason: str) -> bool:
        """Leave the source out that gave the last search, which failed as a whole; False where no other one is left."""
        self._passed[self._serving] = f"{self._links[self._serving][0]}: {reason}"
        return len(self._passed) < len(self._links)

    def keep_to(self, other: ImageryChain) -> None:
        """Use the source that serves `other`, a chain of the same links, and no other one; nothing if none served it."""
        if not other._has_served:
            return
        label = self._links[other._serving][0]
        for number, (name, _) in enumerate(self._links):
            if number != other._serving:
                told = other._passed.get(number, f"{name}: {label} serves other parcels, and mixing is off")
                self._passed.setdefault(number, told)
        # What was wrong with the sources before it is known, and is the reason of these rows, too.
        for number, told in enumerate(other._reasons[: other._serving]):
            self._passed[number] = told

    def alternatives(self, day: date, reason: str) -> Iterator[list[Scene]]:
        """The day's scenes from each source after the one that serves, where mixing is allowed."""
        if not self.mixing:
            return
        reasons = [*self._reasons, reason]
        for number in range(self._serving + 1, len(self._links)):
            try:
                found = self._source(number).search(day, day)
            except FINAL:
                raise
            except AgroError as error:
                reasons.append(f"{self._links[number][0]}: {error.what}")
                continue
            if found.scenes:
                yield self._marked(number, found.scenes, reasons)

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        """See :class:`~agro.sources.imagery.protocol.ImagerySource`."""
        return self._source(self._of[f"{scene.provider} {scene.scene_id}"]).read(scene, band, grid)

    def _source(self, number: int) -> ImagerySource:
        if number not in self._opened:
            self._opened[number] = self._links[number][1]()
        return self._opened[number]

    def _marked(self, number: int, scenes: Sequence[Scene], reasons: Sequence[str] | None = None) -> list[Scene]:
        told = "; ".join(self._reasons if reasons is None else reasons) or None
        for scene in scenes:
            self._of[f"{scene.provider} {scene.scene_id}"] = number
        return [replace(scene, source_reason=told) if number else scene for scene in scenes]


def misspelt(error: AgroError) -> bool:
    """Whether the region file is wrong, which a person has to mend; keys that are not set are another matter."""
    return isinstance(error, ConfigError) and error.where.startswith("imagery")


def _row(label: str, error: AgroError, more: bool) -> dict[str, str]:
    remedy = "The next source is used" if more and not isinstance(error, NoDataError) else error.do
    return {"input": "imagery", "item": label, "reason": error.what, "remedy": remedy or "The next source is used"}
