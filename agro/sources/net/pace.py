"""How fast a provider may be asked."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from agro.sources.net.budget import Estimate

_MINUTE_S = 60.0


class Pace:
    """Keeps calls within what an account is allowed a minute; one that does not fit waits.

    Parameters
    ----------
    requests_minute : int, optional
        Most requests within any 60 s; None: no limit.
    pu_minute : float, optional
        Most processing units; None: no limit. A call of more than that goes alone.
    clock, sleep : callable
        Seconds that pass, and how to let them.

    Notes
    -----
    Later attempts of a call are not counted: they wait as the provider says (``Retry-After``).
    """

    def __init__(
        self, requests_minute: int | None = None, pu_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self._requests = requests_minute
        self._pu = pu_minute
        self._clock = clock
        self._sleep = sleep
        self._made: deque[tuple[float, Estimate]] = deque()
        self._lock = threading.Lock()

    def wait(self, estimate: Estimate) -> None:
        """Return when a call of this cost may be made; at most a minute later, but for those that wait before it."""
        with self._lock:
            while not self._fits(estimate):
                self._sleep(max(0.0, self._made[0][0] + _MINUTE_S - self._clock()))
            self._made.append((self._clock(), estimate))

    def _fits(self, estimate: Estimate) -> bool:
        while self._made and self._clock() - self._made[0][0] >= _MINUTE_S:
            self._made.popleft()
        if not self._made:
            return True
        total = sum((made for _, made in self._made), estimate)
        return not (
            (self._requests is not None and total.requests > self._requests)
            or (self._pu is not None and total.pu > self._pu + 1e-9)
        )
