"""What a run may ask for, and what it has asked for so far."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from agro.schema.errors import BudgetError


@dataclass(frozen=True)
class Estimate:
    """What requests cost.

    Parameters
    ----------
    requests : int
        Number of requests.
    pu : float
        Processing units (Sentinel Hub).
    mb : float
        Megabytes (10^6 bytes) that come back.
    """

    requests: int = 0
    pu: float = 0.0
    mb: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        """Sum, term by term."""
        return Estimate(self.requests + other.requests, self.pu + other.pu, self.mb + other.mb)


@dataclass(frozen=True)
class Limits:
    """Most that a run may ask for; None is no limit."""

    max_requests: int | None = None
    max_pu: float | None = None
    max_mb: float | None = None


class Budget:
    """Keeps a run within its limits: a request that could pass one is refused before it is made.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.spent = Estimate()
        self._lock = threading.Lock()

    def reserve(self, estimate: Estimate, where: str) -> None:
        """Set the estimate aside.

        Raises
        ------
        BudgetError
            It would pass a limit; nothing is set aside.
        """
        with self._lock:
            after = self.spent + estimate
            for name, limit, value, unit in (
                ("max-requests", self.limits.max_requests, after.requests, "requests"),
                ("max-pu", self.limits.max_pu, after.pu, "PU"),
                ("max-mb", self.limits.max_mb, after.mb, "MB"),
            ):
                if limit is not None and value > limit + 1e-9:
                    raise BudgetError(
                        f"the next request would bring the run to {value:g} {unit}, more than the {limit:g} allowed",
                        where=where, do=f"What was fetched is kept; raise --{name} and run again",
                    )  # fmt: skip
            self.spent = after

    def settle(self, reserved: Estimate, actual: Estimate) -> None:
        """Put the actual cost in the place of what was set aside."""
        with self._lock:
            self.spent = Estimate(
                self.spent.requests - reserved.requests + actual.requests,
                self.spent.pu - reserved.pu + actual.pu,
                self.spent.mb - reserved.mb + actual.mb,
            )
