"""A provider is asked no faster than it allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agro.sources.net import Estimate, Pace


class Time:
    """Passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += max(seconds, 1e-3)


def starts(costs: list[Estimate], **limits: float) -> list[float]:
    passing = Time()
    pace = Pace(**limits, clock=passing.clock, sleep=passing.sleep)  # type: ignore[arg-type]
    out = []
    for cost in costs:
        pace.wait(cost)
        out.append(passing.now - 1000.0)
    return out


def test_within_the_limit_nobody_waits() -> None:
    assert starts([Estimate(1, 1.0)] * 3, requests_minute=3, pu_minute=3) == [0.0, 0.0, 0.0]
    assert starts([Estimate(1, 9.0)] * 3) == [0.0, 0.0, 0.0]


def test_one_too_many_waits_for_the_minute() -> None:
    assert starts([Estimate(1)] * 4, requests_minute=3) == [0.0, 0.0, 0.0, 60.0]
    assert starts([Estimate(1, 2.0)] * 3, requests_minute=300, pu_minute=5) == [0.0, 0.0, 60.0]


def test_what_is_dearer_than_a_minute_goes_alone() -> None:
    assert starts([Estimate(1, 9.0), Estimate(1, 1.0)], pu_minute=5) == [0.0, 60.0]


@given(st.lists(st.floats(0.01, 4.0), min_size=1, max_size=60), st.integers(1, 20), st.floats(4.0, 30.0))
def test_no_minute_holds_more(costs: list[float], requests: int, units: float) -> None:
    at = starts([Estimate(1, pu) for pu in costs], requests_minute=requests, pu_minute=units)
    for begin in at:
        within = [pu for moment, pu in zip(at, costs, strict=True) if begin <= moment < begin + 60.0 - 1e-6]
        assert len(within) <= requests
        assert sum(within) <= units + 1e-6
