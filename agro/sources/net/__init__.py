"""How anything leaves this machine: one client for all providers, with guard, budget, ledger, cache and circuit."""

from agro.sources.net.budget import Budget, Estimate
from agro.sources.net.cache import Cache
from agro.sources.net.call import Answer, Call, RetryPolicy, Signer
from agro.sources.net.client import Client, checked_url
from agro.sources.net.guard import OutboundGuard
from agro.sources.net.ledger import Ledger
from agro.sources.net.network import Network
from agro.sources.net.pace import Pace

__all__ = [
    "Answer",
    "Budget",
    "Cache",
    "Call",
    "Client",
    "Estimate",
    "Ledger",
    "Network",
    "OutboundGuard",
    "Pace",
    "RetryPolicy",
    "Signer",
    "checked_url",
]
