"""The one way out: each request is guarded, budgeted, retried within a deadline, kept and entered in the ledger."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pybreaker
import tenacity

from agro import __version__
from agro.schema.errors import AgroError, BudgetError, ConfigError, OfflineError, PrivacyError, SourceError
from agro.sources.net.body import MAX_BODY, TransientError, as_expected
from agro.sources.net.budget import Estimate
from agro.sources.net.cache import Cache
from agro.sources.net.call import Answer, Call, RetryPolicy
from agro.sources.net.pace import Pace
from agro.sources.net.reply import PU_HEADER, charged_pu, number, retry_after_s, words_of
from agro.sources.net.resume import Resume
from agro.sources.net.watch import Watch

if TYPE_CHECKING:
    from agro.sources.net.network import Network

#: Answers that may be another one next time.
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504, 522, 524})
_KEPT_HEADERS = ("content-type", "content-range", "etag", "last-modified", PU_HEADER)
#: All that goes along to another host when a provider sends us there.
_SHOWN_TO_OTHERS = ("user-agent", "accept", "accept-encoding", "range", "if-range")
_MAX_REDIRECTS = 3


class _RefusedError(Exception):
    """401 or 403."""

    def __init__(self, status: int, said: str = "") -> None:
        self.status = status
        self.said = said
        super().__init__(status, said)


@dataclass
class _Tally:
    """What the attempts of a call came to."""

    attempts: int = 0
    bytes_received: int = 0
    pu: float = 0.0
    pu_reported: bool = False
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
            headers={"User-Agent": f"agro/{__version__}", "Accept-Encoding": "gzip"},
            limits=httpx.Limits(max_connections=8),
        )  # fmt: skip
        self._watch = Watch()
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
        raise OfflineError(
            f"offline, and the cache lacks {call.piece or 'this'} of {self.provider}", where=_shown(call.url),
            do="Run once without --offline",
        )  # fmt: skip

    def _guarded_by_circuit(self, call: Call, part: Path | None) -> Answer:
        if str(self.breaker.current_state) != "closed":
            # The breaker lets one call through when its time has come, and refuses before; others wait for that one.
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
        except (BudgetError, PrivacyError):
            raise  # nothing was asked: says nothing of the provider
        except AgroError as error:
            self._tell_breaker(error)
            raise
        self._tell_breaker(None)
        return answer

    def _tell_breaker(self, error: AgroError | None) -> None:
        """Count an outcome; another call may have opened the circuit meanwhile, which changes nothing for this one."""
        with contextlib.suppress(pybreaker.CircuitBreakerError, AgroError):
            self.breaker.call(_outcome, error)

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
        actual = Estimate(tally.attempts, tally.pu, tally.bytes_received / 1e6)
        self.network.budget.settle(tally.reserved, actual)
        if self.network.ledger:
            self.network.ledger.enter(
                provider=self.provider, region=self.network.region, piece=call.piece, parcels=call.parcels,
                estimated=call.estimate, actual=actual, pu_reported=tally.pu_reported, status=status,
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
                        f"{self.provider} refuses ({error.status})" + (f": {error.said}" if error.said else ""),
                        where=_shown(call.url), do="Check the account, its keys and what is left of its quota",
                    ) from error  # fmt: skip
                # The signature may have run out between signing and reading.
                state.update(renew=True, renewed=True)
                raise TransientError("the signature has run out", retry_after_s=0.0) from error

        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(policy.attempts), tenacity.stop_before_delay(policy.deadline_s)
            ),
            wait=_wait(policy),
            retry=tenacity.retry_if_exception_type(TransientError),
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TransientError as error:
            told = f"; it asks to wait {error.retry_after_s:g} s" if error.retry_after_s else ""
            raise SourceError(
                f"{self.provider} does not answer as it should: {error.what} ({tally.attempts} attempts{told})",
                where=_shown(call.url), do="Try again later, or name another provider in region.yaml", transient=True,
            ) from error  # fmt: skip

    def _attempt(self, call: Call, part: Path | None, deadline: float, tally: _Tally, renew: bool) -> Answer:
        url, signed_headers = call.signer(call.url, renew) if call.signer else (call.url, {})
        headers = {**call.headers, **signed_headers}
        resume = Resume(part if call.expects == "bytes" and call.byte_range is None and call.method == "GET" else None)
        if call.expects == "bytes":
            headers |= {"Accept-Encoding": "identity"}
        if call.byte_range:
            headers |= {"Range": f"bytes={call.byte_range[0]}-{call.byte_range[1]}"}
        headers |= resume.headers()
        try:
            # Not `params=`: that would put the call's query in the place of the signature.
            address = httpx.URL(url).copy_merge_params(dict(call.params or {}))
            request = self._http.build_request(
                call.method, address, json=call.body, data=dict(call.form) if call.form else None, headers=headers,
                timeout=httpx.Timeout(min(self.policy.stall_s, max(0.1, deadline - time.monotonic()))),
                extensions={"trace": self._watch.trace},
            )  # fmt: skip
            # The signature is the provider's own word; what is looked at is what we say.
            shown = request.url if not call.signer else request.url.copy_with(query=_unsigned_query(call))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise SourceError(f"{self.provider}: {error}", where=self.provider, do="Check the address") from error
        self.network.guard.check(call.method, str(shown), dict(call.headers), request.content, call.constants)
        self._reserve(call, tally)
        tally.attempts += 1
        response = None
        try:
            with self._watch.until(deadline):
                response = self._sent(call, request, tally)
            return self._read(call, response, resume, deadline, tally)
        except httpx.UnsupportedProtocol as error:
            raise SourceError(f"{self.provider}: {error}", where=_shown(call.url), do="Check the address") from error
        except httpx.RequestError as error:
            raise TransientError(_transport(error)) from error
        finally:
            resume.close()
            if response is not None:
                response.close()

    def _reserve(self, call: Call, tally: _Tally) -> None:
        """Set aside what the next attempt may cost; an attempt that was billed is paid again."""
        if tally.attempts == 0:
            more = Estimate(max(1, call.estimate.requests), call.estimate.pu, call.estimate.mb)
        else:
            more = Estimate(1, max(0.0, tally.pu + call.estimate.pu - tally.reserved.pu))
        self._reserve_more(call, tally, more)

    def _reserve_more(self, call: Call, tally: _Tally, more: Estimate) -> None:
        self.network.budget.reserve(more, f"{self.provider} {call.piece}".strip())
        tally.reserved += more

    def _reserve_bytes(self, call: Call, tally: _Tally, size: float) -> None:
        """Set aside that so many bytes come in all, before they are read."""
        missing = size / 1e6 - tally.reserved.mb
        if missing > 0:
            self._reserve_more(call, tally, Estimate(mb=missing))

    def _sent(self, call: Call, request: httpx.Request, tally: _Tally) -> httpx.Response:
        """The answer, after redirects: signatures and bodies do not go along to another host."""
        response = self._http.send(request, stream=True, follow_redirects=False)
        hops = 0
        while response.next_request is not None:
            following = response.next_request
            following.extensions.setdefault("timeout", request.extensions.get("timeout"))
            response.close()
            hops += 1
            if hops > _MAX_REDIRECTS:
                raise SourceError(
                    f"{self.provider} redirects in circles", where=_shown(call.url), do="Check the address"
                )
            if not _same_host(request.url, following.url):
                if following.method not in ("GET", "HEAD"):
                    raise SourceError(
                        f"{self.provider} would have the request go to another host ({following.url.host})",
                        where=_shown(call.url), do="Nothing was sent there. Correct the address",
                    )  # fmt: skip
                for name in set(following.headers) - {*_SHOWN_TO_OTHERS, "host"}:
                    del following.headers[name]
            self._reserve_more(call, tally, Estimate(1))
            tally.attempts += 1
            request = following
            response = self._http.send(request, stream=True, follow_redirects=False)
        return response

    def _read(self, call: Call, response: httpx.Response, resume: Resume, deadline: float, tally: _Tally) -> Answer:
        headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        if response.status_code in (401, 403):
            raise _RefusedError(response.status_code, words_of(response, deadline))
        if response.status_code in TRANSIENT_STATUS:
            raise TransientError(
                f"status {response.status_code}",
                retry_after_s(response.headers.get("retry-after"), self.retry_after_in_ms),
            )
        if response.status_code == 416 and resume.going_on:
            resume.done()
            raise TransientError("the rest of the file cannot be had", retry_after_s=0.0)
        if not response.is_success:
            self._lasting(call, response, deadline)
        # Billed, whatever becomes of the body.
        charged = charged_pu(headers)
        tally.pu += call.estimate.pu if charged is None else charged
        tally.pu_reported |= charged is not None
        before = tally.bytes_received
        self._reserve_bytes(call, tally, before + (number(response.headers.get("content-length")) or 0))
        body = resume.start(response)
        # As they come over the line: decoding first would hold bytes back from the deadline.
        for chunk in response.iter_raw():
            tally.bytes_received += len(chunk)
            body.write(chunk)
            self._reserve_bytes(call, tally, tally.bytes_received)
            if time.monotonic() > deadline:
                raise TransientError(f"the answer is too slow (deadline {self.policy.deadline_s:g} s)", float("inf"))
            if tally.bytes_received - before > MAX_BODY:
                raise SourceError(f"an answer of more than {MAX_BODY / 1e6:g} MB", where=_shown(call.url))
        try:
            content = as_expected(call, response.status_code, response.headers, body.whole())
        except TransientError:
            resume.done()  # what came is not the beginning of what is wanted
            raise
        resume.done()
        return Answer(content, headers)

    def _lasting(self, call: Call, response: httpx.Response, deadline: float) -> NoReturn:
        said = words_of(response, deadline)
        raise SourceError(
            f"{self.provider} answers {response.status_code}" + (f": {said}" if said else ""),
            where=_shown(call.url), do="Check the request's settings in region.yaml",
        )  # fmt: skip


def _wait(policy: RetryPolicy) -> Callable[[tenacity.RetryCallState], float]:
    backoff = tenacity.wait_exponential_jitter(
        multiplier=policy.first_wait_s, max=policy.longest_wait_s, jitter=policy.first_wait_s
    )

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TransientError) and error.retry_after_s is not None:
            return error.retry_after_s
        return backoff(state)

    return wait


def _is_lasting(error: BaseException) -> bool:
    """Whether an error says nothing of the provider's health."""
    return not (isinstance(error, SourceError) and error.transient)


def _outcome(error: AgroError | None) -> None:
    if error:
        raise error


def _transport(error: httpx.RequestError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "nothing came in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection was cut"


def _same_host(one: httpx.URL, other: httpx.URL) -> bool:
    """Same origin, or the same host with encryption now."""
    if (one.scheme, one.host, one.port) == (other.scheme, other.host, other.port):
        return True
    return (one.host, one.scheme, other.scheme, one.port, other.port) == (other.host, "http", "https", None, None)


def _unsigned_query(call: Call) -> bytes:
    return httpx.URL(call.url).copy_merge_params(dict(call.params or {})).query


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
