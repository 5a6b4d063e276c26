"""How long tests try."""

from __future__ import annotations

from agro.sources.net import RetryPolicy

#: Quick enough for tests, long enough for a loaded machine.
QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.05, deadline_s=20.0, stall_s=5.0)
