"""Bodies looked at before they are kept, forms, versions of an answer, and tokens renewed once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from protocol_server import ProtocolServer, Received, Reply

from agro.schema.errors import PrivacyError, SourceError
from agro.sources.net import Cache, Call, Network, OutboundGuard, RetryPolicy

QUICK = RetryPolicy(attempts=4, first_wait_s=0.01, longest_wait_s=0.02, deadline_s=3.0, stall_s=1.0)


@pytest.fixture
def server() -> Iterator[ProtocolServer]:
    running = ProtocolServer()
    yield running
    running.close()


def network(folder: Path, *words: str) -> Network:
    return Network(Cache(folder), guard=OutboundGuard(words), policy=QUICK)


def test_a_wrong_body_is_asked_for_again_and_not_kept(server: ProtocolServer, tmp_path: Path) -> None:
    bodies = [b"bad", b"bad", b"good"]
    server.route("/data", lambda _request: Reply(bodies.pop(0) if len(bodies) > 1 else bodies[0]))
    call = Call(
        f"{server.url}/data", expects="bytes", check=lambda body: "" if body == b"good" else "spoilt"
    )  # fmt: skip
    client = network(tmp_path).client("x")
    assert client.kept(call) is None
    assert client.fetch(call).content == b"good"
    assert len(server.received) == 3
    kept = client.kept(call)
    assert kept is not None and kept.content == b"good" and kept.kept
    client.forget(call)
    assert client.kept(call) is None


def test_a_body_that_stays_wrong_ends_with_what_is_wrong(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", {"token": None})
    call = Call(f"{server.url}/data", check=lambda _body: "no token in the answer")
    with pytest.raises(SourceError, match="no token in the answer") as caught:
        network(tmp_path).client("x").fetch(call)
    assert caught.value.transient
    assert len(server.received) == QUICK.attempts


def test_a_form_is_sent_as_one_and_guarded(server: ProtocolServer, tmp_path: Path) -> None:
    server.route(
        "/token", lambda request: Reply({"kind": request.headers["content-type"], "said": request.body.decode()})
    )
    client = network(tmp_path, "parcel-of-ali").client("x")
    call = Call(f"{server.url}/token", "POST", form={"grant_type": "client_credentials", "scope": "a b"}, ttl_s=0)
    assert client.fetch(call).json() == {
        "kind": "application/x-www-form-urlencoded", "said": "grant_type=client_credentials&scope=a+b",
    }  # fmt: skip
    with pytest.raises(PrivacyError):
        client.fetch(Call(f"{server.url}/token", "POST", form={"name": "parcel-of-ali"}, ttl_s=0))
    assert len(server.received) == 1


def test_versions_of_an_answer_are_kept_apart(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", lambda _request: Reply({"count": len(server.received)}))
    client = network(tmp_path).client("x")
    plain, old, new = (Call(f"{server.url}/data", version=version) for version in ("", "tiles a", "tiles a,b"))
    assert [client.fetch(call).json()["count"] for call in (plain, old, new, old, plain)] == [1, 2, 3, 2, 1]
    assert all("tiles" not in request.everything for request in server.received)


def test_a_token_is_renewed_once_and_serves_the_later_attempts(server: ProtocolServer, tmp_path: Path) -> None:
    replies = [Reply("", 401), Reply("", 500), Reply("", 500), Reply({"ok": True})]
    server.route("/data", lambda _request: replies[len(server.received) - 1])
    renewals: list[bool] = []

    def sign(url: str, renew: bool) -> tuple[str, dict[str, str]]:
        renewals.append(renew)
        return url, {"Authorization": "Bearer x"}

    assert network(tmp_path).client("x").fetch(Call(f"{server.url}/data", signer=sign)).json() == {"ok": True}
    assert renewals == [False, True, False, False]


def test_a_signer_sees_every_attempt_but_the_guard_never_its_headers(server: ProtocolServer, tmp_path: Path) -> None:
    """The provider's own token may hold any word."""

    def answer(request: Received) -> Reply:
        return Reply({"said": request.headers["authorization"]})

    server.route("/data", answer)
    client = network(tmp_path, "secret-word").client("x")
    call = Call(f"{server.url}/data", signer=lambda url, _renew: (url, {"Authorization": "secret-word"}))
    assert client.fetch(call).json() == {"said": "secret-word"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (
            403,
            {"error": {"status": 403, "reason": "Forbidden", "message": "no units left"}},
            "refuses (403): no units left",
        ),
        (403, {"error": {"message": "no units left"}}, "refuses (403): no units left"),
        (400, {"description": "no such collection"}, "answers 400: no such collection"),
        (404, "<html>", "answers 404"),
    ],
)
def test_the_providers_words_are_told(
    server: ProtocolServer, tmp_path: Path, status: int, body: object, said: str
) -> None:
    server.route("/data", lambda _request: Reply(body, status))
    with pytest.raises(SourceError) as caught:
        network(tmp_path).client("x").fetch(Call(f"{server.url}/data"))
    assert caught.value.what.endswith(said)
    assert not caught.value.transient


def test_a_refusal_that_drips_ends_at_the_deadline(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", lambda _request: Reply({"error": "x" * 300}, 400))
    server.fault("/data", pause_s=0.05)
    quick = RetryPolicy(attempts=2, first_wait_s=0.01, deadline_s=0.4, stall_s=1.0)
    client = Network(Cache(tmp_path), policy=quick).client("x")
    with pytest.raises(SourceError, match="answers 400"):
        client.fetch(Call(f"{server.url}/data"))
