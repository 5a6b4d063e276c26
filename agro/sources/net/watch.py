"""Ends a wait that the pause between two bytes does not end: headers that come drop by drop."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

#: Events of httpcore (its extension "trace") that bring a connection.
_CONNECTED = ("connection.connect_tcp.complete", "connection.start_tls.complete")
#: A connection that gives nothing at all ends by its own limit at the same moment, and says so better.
_GRACE_S = 0.2


class Watch:
    """Cuts the connections of a client when an answer has not begun by its deadline.

    Which connection a request has is not told before its answer begins, so all are cut; the client's other calls, if there
    are any, try again.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()

    def trace(self, event: str, told: Mapping[str, Any]) -> None:
        """Learn of a new connection."""
        if event in _CONNECTED:
            with self._lock:
                self._sockets.add(told["return_value"].get_extra_info("socket"))

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """What is waited for inside has to come by `deadline`, on ``time.monotonic()``."""
        timer = threading.Timer(max(0.0, deadline - time.monotonic()) + _GRACE_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)
