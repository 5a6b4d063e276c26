"""A request, its answer, and how long to try for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agro.schema.provenance import canonical_json
from agro.sources.net.budget import Estimate

#: (address, renew) -> (address to use now, headers to add); called just before each attempt.
Signer = Callable[[str, bool], tuple[str, Mapping[str, str]]]


@dataclass(frozen=True)
class RetryPolicy:
    """How long to try.

    Parameters
    ----------
    attempts : int
        Most attempts of one call.
    first_wait_s, longest_wait_s : float
        Exponential wait with jitter between attempts; ``Retry-After`` goes before it.
    deadline_s : float
        One call, with all its attempts and waits, ends by then.
    stall_s : float
        A connection that gives nothing for so long is given up.
    circuit_failures : int
        Calls failed in a row after which the provider is left alone.
    circuit_reset_s : float
        After so long one call is let through; if it works the circuit is closed.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    deadline_s: float = 240.0
    stall_s: float = 30.0
    circuit_failures: int = 3
    circuit_reset_s: float = 120.0


@dataclass(frozen=True)
class Call:
    """A request.

    Parameters
    ----------
    url : str
        Address, without signature.
    method : str
    params : mapping, optional
        Query.
    body : any, optional
        Sent as JSON.
    form : mapping, optional
        Sent as a form instead.
    headers : mapping
    expects : {"json", "bytes"}
        What the answer has to be.
    check : callable, optional
        Says what is wrong with a body, "" when nothing is; a wrong one is not kept, and asked for again.
    version : str
        Tells answers apart where the request alone does not, such as the products behind a mosaic; not sent.
    ttl_s : float, optional
        Age up to which a kept answer serves; None for ever, 0 never kept.
    byte_range : tuple of int, optional
        First and last byte wanted.
    signer : callable, optional
        See :data:`Signer`; asked to renew once when the provider refuses.
    estimate : Estimate
        What it is thought to cost.
    piece : str
        What it is for, in the ledger.
    parcels : tuple of str
        Parcels served, in the ledger (on this machine only).
    constants : frozenset of str
        Texts of the request that do not depend on the region.
    """

    url: str
    method: str = "GET"
    params: Mapping[str, str | int | float] | None = None
    body: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    expects: Literal["json", "bytes"] = "json"
    check: Callable[[bytes], str] | None = None
    version: str = ""
    ttl_s: float | None = None
    byte_range: tuple[int, int] | None = None
    signer: Signer | None = None
    estimate: Estimate = field(default_factory=lambda: Estimate(requests=1))
    piece: str = ""
    parcels: tuple[str, ...] = ()
    constants: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """All that decides the answer: what it is kept under."""
        asked = [self.method, self.url, dict(self.params or {}), self.body, self.byte_range, self.expects]
        headers = {name.lower(): value for name, value in self.headers.items()}
        return canonical_json([*asked, headers, dict(self.form or {}), self.version])


@dataclass(frozen=True)
class Answer:
    """What came back.

    Parameters
    ----------
    content : bytes
    headers : mapping
        Lower-case names.
    kept : bool
        From the cache.
    age_s : float
        Age of a kept answer.
    """

    content: bytes
    headers: Mapping[str, str]
    kept: bool = False
    age_s: float = 0.0

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.content)
