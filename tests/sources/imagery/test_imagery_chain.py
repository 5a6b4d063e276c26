"""The chain of imagery sources: which link serves, and what the rows and the list of failures say of the others."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from agro.schema.errors import AgroError, SourceError
from agro.schema.grid import Grid
from agro.sources.imagery.chain import ImageryChain
from agro.sources.imagery.protocol import Scene, SearchResult

DAY = date(2022, 3, 1)


class Given:
    """A source with scenes of some days, or one that cannot be searched."""

    def __init__(self, name: str, *days: date, failure: AgroError | None = None) -> None:
        self.name, self.days, self.failure = name, days, failure

    def search(self, start: date, end: date) -> SearchResult:
        if self.failure:
            raise self.failure
        scenes = [
            Scene(f"{self.name}-{day}", day, self.name, {"red": "r"}, offset=0.0, scale=1e-4)
            for day in self.days
            if start <= day <= end
        ]
        return SearchResult.of(scenes, [])

    def read(self, scene: Scene, band: str, grid: Grid) -> np.ndarray:
        return np.zeros(grid.shape)


def chain(*sources: Given, mixing: bool = False) -> ImageryChain:
    return ImageryChain([(source.name, lambda source=source: source) for source in sources], mixing)


def served(of: ImageryChain) -> list[tuple[str, str | None]]:
    return [(scene.provider, scene.source_reason) for scene in of.search(DAY, DAY).scenes]


def test_a_link_that_failed_is_said_also_where_the_others_have_no_scene():
    down = Given("a", failure=SourceError("down", where="a", transient=True))
    with pytest.raises(SourceError, match=r"a: down.*b: no scene") as told:
        chain(down, Given("b"), mixing=True).search(DAY, DAY)
    assert told.value.transient
    assert not chain(Given("a"), Given("b")).search(DAY, DAY).scenes


def test_a_chain_of_another_zone_keeps_to_the_link_that_serves_the_first():
    west = chain(Given("a", failure=SourceError("down", where="a")), Given("b", DAY))
    assert served(west) == [("b", "a: down")]
    east = chain(Given("a", DAY), Given("b", DAY))
    east.keep_to(west)
    assert served(east) == [("b", "a: down")]


def test_the_first_link_serves_both_zones_or_one_is_left_out():
    west = chain(Given("a", DAY), Given("b", DAY))
    assert served(west) == [("a", None)]
    east = chain(Given("a"), Given("b", DAY))
    east.keep_to(west)
    assert served(east) == []


def test_a_chain_that_served_nothing_binds_nobody():
    west = chain(Given("a"), Given("b"))
    assert served(west) == []
    east = chain(Given("a"), Given("b", DAY))
    east.keep_to(west)
    assert served(east)[0][0] == "b"


def test_a_link_passed_over_is_the_reason_of_the_next():
    both = chain(Given("a", DAY), Given("b", DAY))
    assert served(both) == [("a", None)]
    assert both.pass_over("statistics failed")
    assert served(both) == [("b", "a: statistics failed")]
    assert not both.pass_over("down, too")
