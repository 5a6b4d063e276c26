"""What the clients of all providers share in a run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

from agro.sources.net.budget import Budget
from agro.sources.net.cache import Cache
from agro.sources.net.call import RetryPolicy
from agro.sources.net.client import Client
from agro.sources.net.guard import OutboundGuard
from agro.sources.net.ledger import Ledger
from agro.sources.net.pace import Pace


class Network:
    """What the clients of all providers share in a run.

    Parameters
    ----------
    cache : Cache, optional
        None keeps nothing.
    ledger : Ledger, optional
    budget : Budget, optional
    guard : OutboundGuard, optional
    region : str
        In the ledger.
    offline : bool
        Nothing leaves; the cache serves what it has.
    policy : RetryPolicy
    clock : callable
        The present moment, with its zone: what a forecast was issued on, and what is too new to be final.
    """

    def __init__(
        self, cache: Cache | None = None, ledger: Ledger | None = None, budget: Budget | None = None,
        guard: OutboundGuard | None = None, region: str = "", offline: bool = False, policy: RetryPolicy | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:  # fmt: skip
        self.cache = cache
        self.ledger = ledger
        self.budget = budget or Budget()
        self.guard = guard or OutboundGuard()
        self.region = region
        self.offline = offline
        self.policy = policy or RetryPolicy()
        self.clock = clock
        self._clients: dict[str, Client] = {}
        self._lock = threading.Lock()

    def client(
        self,
        provider: str,
        policy: RetryPolicy | None = None,
        retry_after_in_ms: bool = False,
        pace: Pace | None = None,
    ) -> Client:
        """The client of a provider; one for all who ask, so that its circuit is one."""
        with self._lock:
            if provider not in self._clients:
                self._clients[provider] = Client(provider, self, policy, retry_after_in_ms, pace)
            return self._clients[provider]

    def close(self) -> None:
        """Close all connections and the ledger."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        if self.ledger:
            self.ledger.close()
