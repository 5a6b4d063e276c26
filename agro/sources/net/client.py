"""The one way out: each request is guarded, budgeted, retried within a deadline, kept and entered in the ledger."""

from __future__ import annotations

import email.utils
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pybreaker
import tenacity

from agro import __version__
from agro.schema.errors import AgroError, ConfigError, NoDataError, SourceError
from agro.sources.net.budget import Budget, Estimate
from agro.sources.net.cache import Cache
from agro.sources.net.call import Answer, Call, RetryPolicy
from agro.sources.net.guard import OutboundGuard
from agro.sources.net.ledger import Ledger
from agro.sources.net.pace import Pace
from agro.sources.net.resume import Resume

#: Answers that may be another one next time.
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 522, 524})
#: Bodies beyond this are refused, bytes.
MAX_BODY = 600_000_000
#: Header in which Sentinel Hub says what it charged.
PU_HEADER = "x-processingunits-spent"
_KEPT_HEADERS = ("content-type", "content-range", "etag", "last-modified", PU_HEADER)


class _RefusedError(Exception):
    """401 or 403."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class _TransientError(Exception):
    """May pass; `retry_after_s` when the provider says how long to wait."""

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        self.what = what
        self.retry_after_s = retry_after_s
        super().__init__(what)


@dataclass
class _Tally:
    """What the attempts of a call came to."""

    attempts: int = 0
    bytes_received: int = 0
    pu: float | None = None
    reserved: Estimate = field(default_factory=Estimate)


class Client:
    """Requests to one provider.

    Parameters
    ----------
    provider : str
        Name in ledger, rows and messages.
    network : Network
        What all providers share.
    policy : RetryPolicy
    retry_after_in_ms : bool
        The provider gives ``Retry-After`` in milliseconds (Sentinel Hub).
    pace : Pace, optional
        How fast it may be asked.
    """

    def __init__(
        self, provider: str, network: Network, policy: RetryPolicy | None = None, retry_after_in_ms: bool = False,
        pace: Pace | None = None,
    ) -> None:  # fmt: skip
        self.provider = provider
        self.network = network
        self.policy = policy or network.policy
        self.retry_after_in_ms = retry_after_in_ms
        self.pace = pace
        self._http = httpx.Client(
            follow_redirects=True, max_redirects=3, headers={"User-Agent": f"agro/{__version__}"},
            limits=httpx.Limits(max_connections=8),
        )  # fmt: skip
        self.breaker = pybreaker.CircuitBreaker(
            fail_max=self.policy.circuit_failures, reset_timeout=self.policy.circuit_reset_s,
            exclude=[_is_lasting], throw_new_error_on_trip=False, name=provider,
        )  # fmt: skip

    def fetch(self, call: Call) -> Answer:
        """Make a call, or take its answer from the cache.

        Raises
        ------
        SourceError
            The provider cannot be reached, refuses or answers nonsense; ``transient`` tells whether to come back.
        NoDataError
            Offline, and the cache lacks the answer.
        BudgetError, PrivacyError
            The request was not made.
        """
        cache = self.network.cache
        if cache is None or call.ttl_s == 0:
            if self.network.offline:
                self._lacking(call)
            return self._guarded_by_circuit(call, None)
        key = self._key(call)
        # Offline any age serves: it is what there is.
        age = None if self.network.offline else call.ttl_s
        kept = cache.find(key, age)
        if kept is None and self.network.offline:
            self._lacking(call)
        if kept is None:
            with cache.fetching(key):
                kept = cache.find(key, age)
                if kept is None:
                    answer = self._guarded_by_circuit(call, cache.part(key))
                    cache.keep(key, answer.content, dict(answer.headers))
                    return answer
        return Answer(kept.content, kept.headers, kept=True, age_s=kept.age_s)

    def get_json(self, url: str, params: Mapping[str, str | int | float] | None = None, **more: Any) -> Any:
        """The JSON at an address; see :class:`Call` for `more`."""
        return self.fetch(Call(url, params=params, **more)).json()

    def kept(self, call: Call) -> Answer | None:
        """The answer that the cache has, of whatever age; None if it has none. Nothing leaves."""
        cache = self.network.cache
        kept = cache.find(self._key(call)) if cache else None
        return Answer(kept.content, kept.headers, kept=True, age_s=kept.age_s) if kept else None

    def forget(self, call: Call) -> None:
        """Throw a kept answer away that turned out not to be what was asked for; the next call asks again."""
        if self.network.cache:
            self.network.cache.drop(self._key(call))

    def _key(self, call: Call) -> str:
        return Cache.key(f"{self.provider}\n{call.identity}")

    @property
    def circuit_open(self) -> bool:
        """Whether the provider is being left alone."""
        return str(self.breaker.current_state) == "open"

    def close(self) -> None:
        """Close connections."""
        self._http.close()

    def _lacking(self, call: Call) -> NoReturn:
        raise NoDataError(
            f"offline, and the cache lacks {call.piece or 'this'} of {self.provider}", where=_shown(call.url),
            do="Run once without --offline",
        )  # fmt: skip

    def _guarded_by_circuit(self, call: Call, part: Path | None) -> Answer:
        if self.circuit_open:
            # The breaker lets one call through when its time has come, and refuses before.
            try:
                answer: Answer = self.breaker.call(self._call, call, part)
            except pybreaker.CircuitBreakerError as error:
                raise SourceError(
                    f"{self.provider} failed {self.policy.circuit_failures} times in a row and is left alone for "
                    f"{self.policy.circuit_reset_s:g} s",
                    where=_shown(call.url), do="The next provider is used", transient=True,
                ) from error  # fmt: skip
            return answer
        # The breaker holds a lock while it calls, so it is told of the outcome afterwards.
        try:
            answer = self._call(call, part)
        except AgroError as error:
            self.breaker.call(_raise, error)
            raise
        self.breaker.call(lambda: None)
        return answer

    def _call(self, call: Call, part: Path | None) -> Answer:
        tally = _Tally()
        status = "failed"
        if self.pace:
            self.pace.wait(call.estimate)
        try:
            answer = self._retried(call, part, tally)
            status = "ok"
            return answer
        finally:
            self._settle(call, tally, status)

    def _settle(self, call: Call, tally: _Tally, status: str) -> None:
        if not tally.attempts:
            return
        # Only answers of kind 2xx are billed.
        pu = tally.pu if tally.pu is not None else (call.estimate.pu if status == "ok" else 0.0)
        actual = Estimate(tally.attempts, pu, tally.bytes_received / 1e6)
        self.network.budget.settle(tally.reserved, actual)
        if self.network.ledger:
            self.network.ledger.enter(
                provider=self.provider, region=self.network.region, piece=call.piece, parcels=call.parcels,
                estimated=call.estimate, actual=actual, pu_reported=tally.pu is not None, status=status,
            )  # fmt: skip

    def _retried(self, call: Call, part: Path | None, tally: _Tally) -> Answer:
        policy = self.policy
        deadline = time.monotonic() + policy.deadline_s
        state = {"renew": False, "renewed": False}

        def attempt() -> Answer:
            renew, state["renew"] = state["renew"], False
            try:
                return self._attempt(call, part, deadline, tally, renew)
            except _RefusedError as error:
                if call.signer is None or state["renewed"]:
                    raise SourceError(
                        f"{self.provider} refuses ({error.status})", where=_shown(call.url),
                        do="Check the account and its keys (see docs/providers.md)",
                    ) from error  # fmt: skip
                # The signature may have run out between signing and reading.
                state.update(renew=True, renewed=True)
                raise _TransientError("the signature has run out", retry_after_s=0.0) from error

        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(policy.attempts), tenacity.stop_before_delay(policy.deadline_s)
            ),
            wait=_wait(policy),
            retry=tenacity.retry_if_exception_type(_TransientError),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _TransientError as error:
            told = f"; it asks to wait {error.retry_after_s:g} s" if error.retry_after_s else ""
            raise SourceError(
                f"{self.provider} does not answer as it should: {error.what} ({tally.attempts} attempts{told})",
                where=_shown(call.url), do="Try again later, or name another provider in region.yaml", transient=True,
            ) from error  # fmt: skip

    def _attempt(self, call: Call, part: Path | None, deadline: float, tally: _Tally, renew: bool) -> Answer:
        url, signed_headers = call.signer(call.url, renew) if call.signer else (call.url, {})
        headers = {**call.headers, **signed_headers}
        resume = Resume(part if call.expects == "bytes" and call.byte_range is None and call.method == "GET" else None)
        if call.byte_range:
            headers |= {"Range": f"bytes={call.byte_range[0]}-{call.byte_range[1]}", "Accept-Encoding": "identity"}
        headers |= resume.headers()
        request = self._http.build_request(
            call.method, url, params=dict(call.params) if call.params else None, json=call.body,
            data=dict(call.form) if call.form else None, headers=headers,
            timeout=httpx.Timeout(min(self.policy.stall_s, max(0.1, deadline - time.monotonic()))),
        )  # fmt: skip
        # The signature is the provider's own word; what is looked at is what we say.
        shown = request.url if not call.signer else request.url.copy_with(query=_unsigned_query(call))
        self.network.guard.check(call.method, str(shown), dict(call.headers), request.content, call.constants)
        more = call.estimate if tally.attempts == 0 else Estimate(requests=1)
        self.network.budget.reserve(more, f"{self.provider} {call.piece}".strip())
        tally.reserved += more
        tally.attempts += 1
        try:
            response = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise _TransientError(_transport(error)) from error
        except (httpx.InvalidURL, httpx.TooManyRedirects) as error:
            raise SourceError(f"{self.provider}: {error}", where=_shown(call.url), do="Check the address") from error
        try:
            return self._read(call, response, resume, deadline, tally)
        except httpx.TransportError as error:
            raise _TransientError(_transport(error)) from error
        finally:
            response.close()

    def _read(self, call: Call, response: httpx.Response, resume: Resume, deadline: float, tally: _Tally) -> Answer:
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        if response.status_code in (401, 403):
            raise _RefusedError(response.status_code)
        if response.status_code in TRANSIENT_STATUS:
            raise _TransientError(
                f"status {response.status_code}", self._retry_after_s(response.headers.get("retry-after"))
            )
        if not response.is_success:
            self._lasting(call, response)
        charged = _charged(response.headers)
        if charged is not None:
            # Charged with the answer, even if its body is cut and it is asked for again.
            tally.pu = (tally.pu or 0.0) + charged
        announced = int(response.headers.get("content-length") or 0)
        self.network.budget.check_mb(tally.reserved, (tally.bytes_received + announced) / 1e6, self.provider)
        body = resume.start(response)
        for chunk in response.iter_bytes():
            tally.bytes_received += len(chunk)
            body.write(chunk)
            if time.monotonic() > deadline:
                raise _TransientError(f"the answer is too slow (deadline {self.policy.deadline_s:g} s)", float("inf"))
            if tally.bytes_received > MAX_BODY:
                raise SourceError(f"an answer of more than {MAX_BODY / 1e6:g} MB", where=_shown(call.url))
        content = body.whole()
        content = self._as_expected(call, response, content)
        resume.done()
        return Answer(content, headers)

    def _as_expected(self, call: Call, response: httpx.Response, content: bytes) -> bytes:
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if call.expects == "json":
            try:
                json.loads(content)
            except ValueError as error:
                raise _TransientError(f"{kind or 'something'} instead of JSON") from error
        elif kind in ("text/html", "application/xhtml+xml"):
            raise _TransientError("a web page instead of data")
        if call.byte_range:
            first, last = call.byte_range
            if response.status_code == 200:  # the server knows no ranges
                content = content[first : last + 1]
            if not content or len(content) > last - first + 1:
                raise _TransientError(f"{len(content)} bytes for a range of {last - first + 1}")
        wrong = call.check(content) if call.check else ""
        if wrong:
            raise _TransientError(wrong)
        return content

    def _lasting(self, call: Call, response: httpx.Response) -> NoReturn:
        response.read()
        said = ""
        try:
            document = response.json()
            told = (
                document.get("reason") or document.get("detail") or document.get("description")
                or document.get("messages") or document.get("error")
            )  # fmt: skip
            said = told if isinstance(told, str) else json.dumps(told) if told else ""
        except (ValueError, AttributeError):
            pass
        raise SourceError(
            f"{self.provider} answers {response.status_code}" + (f": {said[:200]}" if said else ""),
            where=_shown(call.url), do="Check the request's settings in region.yaml",
        )  # fmt: skip

    def _retry_after_s(self, text: str | None) -> float | None:
        """Seconds to wait as the provider says them: a number (its own unit) or a date (RFC 9110, 10.2.3)."""
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            try:
                moment = email.utils.parsedate_to_datetime(text)
            except ValueError:
                return None
            return max(0.0, (moment - datetime.now(UTC)).total_seconds())
        return max(0.0, number / 1000 if self.retry_after_in_ms else number)


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


def _wait(policy: RetryPolicy) -> Callable[[tenacity.RetryCallState], float]:
    backoff = tenacity.wait_exponential_jitter(
        initial=policy.first_wait_s, max=policy.longest_wait_s, jitter=policy.first_wait_s
    )

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, _TransientError) and error.retry_after_s is not None:
            return error.retry_after_s
        return backoff(state)

    return wait


def _charged(headers: Mapping[str, str]) -> float | None:
    """Processing units that the provider says it took."""
    try:
        units = float(headers.get(PU_HEADER, ""))
    except ValueError:
        return None
    return units if math.isfinite(units) and units >= 0 else None


def _is_lasting(error: BaseException) -> bool:
    """Whether an error says nothing of the provider's health."""
    return not (isinstance(error, SourceError) and error.transient)


def _raise(error: AgroError) -> NoReturn:
    raise error


def _transport(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection was cut"


def _unsigned_query(call: Call) -> bytes:
    return str(httpx.QueryParams(dict(call.params))).encode() if call.params else httpx.URL(call.url).query


def _shown(url: str) -> str:
    """An address without its query: signatures and positions stay out of logs."""
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}{parts.path}"


def checked_url(text: str, where: str) -> str:
    """An http(s) address of a region file, without a slash at its end.

    Raises
    ------
    ConfigError
        Anything else.
    """
    try:
        parts = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise ConfigError(f"{text!r} is not an address", where=where, do="Give https://...") from error
    if parts.scheme not in ("http", "https") or not parts.host or parts.userinfo:
        raise ConfigError(f"{text!r} is not an address", where=where, do="Give https://..., without a password in it")
    return text.rstrip("/")
