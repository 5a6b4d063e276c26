"""A provider that fails is left alone for a while; one that answers, whatever it answers, is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from protocol_server import ProtocolServer, Received, Reply
from quick_policy import QUICK

from agro.schema.errors import BudgetError, PrivacyError, SourceError
from agro.sources.net import Budget, Call, Client, Estimate, Network, OutboundGuard
from agro.sources.net.budget import Limits

POLICY = replace(QUICK, attempts=1, circuit_failures=2, circuit_reset_s=0.5)


@pytest.fixture
def client() -> Iterator[Client]:
    network = Network(policy=POLICY, budget=Budget(Limits(max_pu=1)), guard=OutboundGuard(["alaoui"]))
    yield network.client("provider")
    network.close()


def fail(client: Client, server: ProtocolServer, path: str = "/bad") -> SourceError:
    with pytest.raises(SourceError) as caught:
        client.get_json(server.url + path)
    return caught.value


@pytest.fixture
def opened(client: Client, server: ProtocolServer) -> ProtocolServer:
    """A server whose circuit has just opened."""
    server.route("/bad", lambda _: Reply("down", 503))
    server.route("/good", {"ok": 1})
    for _ in range(POLICY.circuit_failures):
        assert not client.circuit_open
        assert "status 503" in str(fail(client, server))
    assert client.circuit_open
    return server


def test_an_open_circuit_refuses_without_asking(client: Client, opened: ProtocolServer) -> None:
    refused = fail(client, opened, "/good")
    assert refused.transient
    assert "failed 2 times in a row and is left alone" in str(refused)
    assert not opened.asked("/good")


def test_it_closes_by_itself_when_the_provider_works_again(client: Client, opened: ProtocolServer) -> None:
    time.sleep(POLICY.circuit_reset_s + 0.05)
    assert client.get_json(f"{opened.url}/good") == {"ok": 1}
    assert not client.circuit_open
    fail(client, opened)
    assert not client.circuit_open  # the count begins anew


def test_it_stays_open_when_the_provider_still_fails(client: Client, opened: ProtocolServer) -> None:
    time.sleep(POLICY.circuit_reset_s + 0.05)
    asked = len(opened.asked())
    assert "status 503" in str(fail(client, opened))
    assert len(opened.asked()) == asked + 1
    assert client.circuit_open
    assert "left alone" in str(fail(client, opened, "/good"))


def test_one_is_let_through_and_the_others_wait_for_it(client: Client, opened: ProtocolServer) -> None:
    time.sleep(POLICY.circuit_reset_s + 0.05)
    before = len(opened.asked())

    def slow(_: Received) -> Reply:
        time.sleep(0.2)
        return Reply("down", 503)

    opened.route("/bad", slow)
    errors: list[SourceError] = []
    threads = [threading.Thread(target=lambda: errors.append(fail(client, opened))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 5
    assert len(opened.asked()) == before + 1


def test_calls_under_way_end_as_they_end(client: Client, server: ProtocolServer) -> None:
    """A circuit that opens meanwhile does not take the answer from a call that has one."""
    started, go = threading.Event(), threading.Event()

    def late(_: Received) -> Reply:
        started.set()
        go.wait(5)
        return Reply({"late": 1})

    server.route("/late", late)
    server.route("/bad", lambda _: Reply("down", 503))
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(client.get_json(f"{server.url}/late")))
    thread.start()
    assert started.wait(5)
    for _ in range(POLICY.circuit_failures):
        fail(client, server)
    assert client.circuit_open
    go.set()
    thread.join()
    assert answers == [{"late": 1}]


@pytest.mark.parametrize("status", [400, 401, 404])
def test_errors_of_the_request_do_not_open_it(client: Client, server: ProtocolServer, status: int) -> None:
    server.route("/bad", lambda _: Reply({}, status))
    for _ in range(5):
        fail(client, server)
    assert not client.circuit_open


def test_what_was_not_sent_does_not_count(client: Client, server: ProtocolServer) -> None:
    server.route("/bad", lambda _: Reply("down", 503))
    fail(client, server)
    with pytest.raises(BudgetError):
        client.fetch(Call(f"{server.url}/good", estimate=Estimate(1, pu=5)))
    with pytest.raises(PrivacyError):
        client.get_json(f"{server.url}/good", {"who": "Alaoui"})
    fail(client, server)
    assert client.circuit_open  # the two failures were in a row


def test_each_provider_has_its_own(client: Client, opened: ProtocolServer) -> None:
    assert client.network.client("provider") is client
    assert client.network.client("another").get_json(f"{opened.url}/good") == {"ok": 1}
