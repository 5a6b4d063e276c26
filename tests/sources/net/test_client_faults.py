"""What providers do wrong: retried, routed round or reported, and never a hang."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from protocol_server import ProtocolServer, Received, Reply, file_reply
from quick_policy import QUICK

from agro.schema.errors import BudgetError, NoDataError, SourceError
from agro.sources.net import Budget, Cache, Call, Client, Network, RetryPolicy
from agro.sources.net.budget import Limits
from agro.sources.net.reply import retry_after_s

FILE = bytes(range(256)) * 400


def serve_file(server: ProtocolServer, content: bytes = FILE, etag: str = '"v1"') -> str:
    server.route("/file", lambda request: file_reply(request, content, etag))
    return f"{server.url}/file.tif"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: ProtocolServer, client: Client, status: int) -> None:
    server.route("/data", {"ok": 1})
    server.fault("/data", reply=Reply("busy", status), times=2)
    assert client.get_json(f"{server.url}/data") == {"ok": 1}
    assert len(server.asked("/data")) == 3


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_what_will_not_pass_is_reported_at_once_in_the_providers_words(
    server: ProtocolServer, client: Client, status: int
) -> None:
    server.route("/data", lambda _: Reply({"reason": "no such variable"}, status))
    with pytest.raises(SourceError, match=f"provider answers {status}: no such variable") as caught:
        client.get_json(f"{server.url}/data", {"latitude": 31.1})
    assert not caught.value.transient
    assert "31.1" not in str(caught.value)
    assert len(server.asked()) == 1


def test_after_all_attempts_the_failure_may_pass(server: ProtocolServer, client: Client) -> None:
    server.fault("", reply=Reply("busy", 503), times=99)
    with pytest.raises(SourceError, match=r"status 503 .4 attempts") as caught:
        client.get_json(f"{server.url}/data")
    assert caught.value.transient
    assert len(server.asked()) == QUICK.attempts


@pytest.mark.parametrize(
    ("text", "in_ms", "expected"),
    [("2", False, 2.0), ("1500", True, 1.5), ("0", False, 0.0), ("-3", False, 0.0), ("soon", False, None),
     ("nan", False, None), ("inf", False, None), (None, False, None), ("", False, None)],
)  # fmt: skip
def test_retry_after_is_seconds_or_milliseconds(text: str | None, in_ms: bool, expected: float | None) -> None:
    assert retry_after_s(text, in_ms) == expected


@pytest.mark.parametrize("zone", ["GMT", "-0000"])
def test_retry_after_may_be_a_date(zone: str) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=100)
    told = retry_after_s(format_datetime(moment, usegmt=True).replace("GMT", zone), False)
    assert told is not None and 90 < told <= 100
    assert retry_after_s("Mon, 02 Jan 2006 15:04:05 GMT", False) == 0.0


@pytest.mark.parametrize(("in_ms", "said"), [(False, "0.2"), (True, "200")])
def test_retry_after_goes_before_our_own_wait(server: ProtocolServer, network: Network, in_ms: bool, said: str) -> None:
    patient = replace(QUICK, first_wait_s=30.0, longest_wait_s=30.0, deadline_s=25.0)
    client = network.client("patient", patient, retry_after_in_ms=in_ms)
    server.route("/data", {"ok": 1})
    server.fault("/data", reply=Reply("slow down", 429, {"Retry-After": said}))
    # Our own wait would pass the deadline: only theirs lets the call through.
    assert client.get_json(f"{server.url}/data") == {"ok": 1}
    assert len(server.asked()) == 2


def test_a_wait_beyond_the_deadline_is_not_sat_out(server: ProtocolServer, client: Client) -> None:
    server.fault("", reply=Reply("slow down", 429, {"Retry-After": "86400"}), times=9)
    with pytest.raises(SourceError, match="asks to wait 86400 s") as caught:
        client.get_json(f"{server.url}/data")
    assert caught.value.transient
    assert len(server.asked()) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_slow_bytes_end_at_the_deadline(server: ProtocolServer, network: Network, packed: bool) -> None:
    body = gzip.compress(b'{"ok": 1}') if packed else b'{"ok": 1}' + b" " * 100
    server.route("/data", lambda _: Reply(body, headers={"Content-Encoding": "gzip"} if packed else {}))
    server.fault("/data", pause_s=0.1, times=9)
    client = network.client("slow", replace(QUICK, deadline_s=0.5))
    with pytest.raises(SourceError, match=r"too slow"):
        client.get_json(f"{server.url}/data")
    assert len(server.asked()) == 1


def test_a_silent_server_is_given_up(server: ProtocolServer, network: Network) -> None:
    def silent(_: Received) -> Reply:
        time.sleep(1.0)
        return Reply({})

    server.route("/data", silent)
    client = network.client("silent", replace(QUICK, deadline_s=0.4, stall_s=0.2))
    with pytest.raises(SourceError, match="nothing came in time") as caught:
        client.get_json(f"{server.url}/data")
    assert caught.value.transient


def test_nobody_there(network: Network) -> None:
    gone = ProtocolServer()
    gone.close()
    with pytest.raises(SourceError, match="no connection") as caught:
        network.client("gone").get_json(f"{gone.url}/data")
    assert caught.value.transient


def test_a_cut_download_goes_on_where_it_ended(server: ProtocolServer, client: Client) -> None:
    url = serve_file(server)
    server.fault("/file", cut_after=60_000)
    assert client.fetch(Call(url, expects="bytes")).content == FILE
    second = server.asked("/file")[1]
    assert second.headers["if-range"] == '"v1"'
    begin = int(second.headers["range"].removeprefix("bytes=").rstrip("-"))
    assert 0 < begin <= 60_000


def test_a_cut_download_goes_on_in_the_next_process(server: ProtocolServer, tmp_path: Path) -> None:
    url = serve_file(server)
    server.fault("/file", cut_after=60_000, times=1)
    once = replace(QUICK, attempts=1)
    first = Network(cache=Cache(tmp_path), policy=once)
    with pytest.raises(SourceError, match="cut"):
        first.client("p").fetch(Call(url, expects="bytes"))
    first.close()
    second = Network(cache=Cache(tmp_path), policy=once)
    assert second.client("p").fetch(Call(url, expects="bytes")).content == FILE
    assert server.asked("/file")[1].headers["range"].startswith("bytes=")
    assert not list(tmp_path.rglob("*.part*"))
    second.close()


def test_a_file_that_changed_is_fetched_anew(server: ProtocolServer, client: Client) -> None:
    server.fault("/file", cut_after=60_000)
    versions = iter([(FILE, '"v1"'), (FILE[::-1], '"v2"')])
    server.route("/file", lambda request: file_reply(request, *next(versions)))
    assert client.fetch(Call(f"{server.url}/file.tif", expects="bytes")).content == FILE[::-1]


def test_a_download_that_was_whole_but_not_entered_is_fetched_anew(server: ProtocolServer, tmp_path: Path) -> None:
    """The process died between the last byte and the cache: the rest is empty, which servers answer with 416."""
    url = serve_file(server)
    network = Network(cache=Cache(tmp_path), policy=QUICK)
    call = Call(url, expects="bytes")
    assert network.cache is not None
    part = network.cache.part(Cache.key(f"p\n{call.identity}"))
    part.write_bytes(FILE)
    part.with_suffix(".part.json").write_text('{"etag": "\\"v1\\""}')
    assert network.client("p").fetch(call).content == FILE
    assert [request.headers.get("range") for request in server.asked()] == [f"bytes={len(FILE)}-", None]
    network.close()


@pytest.mark.parametrize("wrong", ["bytes 0-5/102400", "bytes 70000-70005/102400"])
def test_another_part_than_the_one_asked_for_is_not_put_in(server: ProtocolServer, client: Client, wrong: str) -> None:
    url = serve_file(server)
    server.fault("/file", cut_after=60_000)
    server.fault("/file", reply=Reply(b"abcdef", 206, {"Content-Range": wrong, "ETag": '"v1"'}))
    assert client.fetch(Call(url, expects="bytes")).content == FILE


def test_without_etag_a_cut_download_begins_again(server: ProtocolServer, client: Client) -> None:
    server.route("/file", lambda _: Reply(FILE))
    server.fault("/file", cut_after=60_000)
    assert client.fetch(Call(f"{server.url}/file", expects="bytes")).content == FILE
    assert "range" not in server.asked()[1].headers


def test_json_cut_in_the_middle_is_asked_again(server: ProtocolServer, client: Client) -> None:
    server.route("/data", {"values": list(range(1000))})
    server.fault("/data", cut_after=100)
    assert client.get_json(f"{server.url}/data") == {"values": list(range(1000))}


@pytest.mark.parametrize("body", ["<html>maintenance</html>", "", '{"values": [1, 2'])
def test_what_is_not_json_is_asked_again_and_then_reported(server: ProtocolServer, client: Client, body: str) -> None:
    server.route("/data", {"ok": 1})
    server.fault("/data", reply=Reply(body, headers={"Content-Type": "text/html; charset=utf-8"}))
    assert client.get_json(f"{server.url}/data") == {"ok": 1}
    server.route("/other", lambda _: Reply(body, headers={"Content-Type": "text/html"}))
    with pytest.raises(SourceError, match="text/html instead of JSON") as caught:
        client.get_json(f"{server.url}/other")
    assert caught.value.transient


def test_a_web_page_is_no_file_and_is_not_gone_on_with(server: ProtocolServer, client: Client) -> None:
    url = serve_file(server)
    page = Reply("<html>come back</html>", headers={"Content-Type": "text/html", "ETag": '"page"'})
    server.fault("/file", reply=page)
    assert client.fetch(Call(url, expects="bytes")).content == FILE
    assert "range" not in server.asked()[1].headers


class Signer:
    """Counts how often it is asked to renew."""

    def __init__(self) -> None:
        self.renewals = 0
        self.asked: list[bool] = []

    def __call__(self, url: str, renew: bool) -> tuple[str, Mapping[str, str]]:
        self.asked.append(renew)
        self.renewals += renew
        return f"{url}?sig=s{self.renewals}", {"Authorization": f"Bearer t{self.renewals}"}


def test_a_signature_that_ran_out_is_renewed_once(server: ProtocolServer, client: Client) -> None:
    server.route("/data", lambda r: Reply({"ok": 1}) if r.headers["authorization"] == "Bearer t1" else Reply("", 401))
    server.fault("/data", reply=Reply("busy", 500), skip=1)
    signer = Signer()
    assert client.fetch(Call(f"{server.url}/data", signer=signer)).json() == {"ok": 1}
    assert signer.asked == [False, True, False]  # not for the busy server


@pytest.mark.parametrize("status", [401, 403])
def test_a_signature_is_never_renewed_twice(server: ProtocolServer, client: Client, status: int) -> None:
    server.route("/data", lambda _: Reply("no", status))
    signer = Signer()
    with pytest.raises(SourceError, match=f"refuses .{status}") as caught:
        client.fetch(Call(f"{server.url}/data", signer=signer))
    assert not caught.value.transient
    assert signer.asked == [False, True]
    with pytest.raises(SourceError, match="refuses"):
        client.get_json(f"{server.url}/data")
    assert len(server.asked()) == 3


def test_the_query_does_not_drive_out_the_signature(server: ProtocolServer, client: Client) -> None:
    server.route("/data", {})
    client.fetch(Call(f"{server.url}/data", params={"limit": 3}, signer=Signer()))
    assert server.asked()[0].query == {"limit": "3", "sig": "s0"}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_range_is_what_was_asked_for(server: ProtocolServer, client: Client, ranges: bool) -> None:
    server.route("/file", lambda r: file_reply(r, FILE) if ranges else Reply(FILE))
    answer = client.fetch(Call(f"{server.url}/file", expects="bytes", byte_range=(1000, 1999)))
    assert answer.content == FILE[1000:2000]


def test_the_last_range_is_as_long_as_the_file_has_bytes(server: ProtocolServer, client: Client) -> None:
    url = serve_file(server)
    asked = (len(FILE) - 10, len(FILE) + 1000)
    assert client.fetch(Call(url, expects="bytes", byte_range=asked)).content == FILE[-10:]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(FILE[:500], 206, {"Content-Range": "bytes 0-999/102400"}),  # too little
        Reply(FILE[:1001], 206, {"Content-Range": "bytes 0-999/102400"}),  # too much
        Reply(FILE[5:1005], 206, {"Content-Range": "bytes 5-1004/102400"}),  # another place
        Reply(b"", 206, {"Content-Range": "bytes 0-999/102400"}),
    ],
)
def test_a_wrong_range_is_asked_again(server: ProtocolServer, client: Client, reply: Reply) -> None:
    url = serve_file(server)
    server.fault("/file", reply=reply)
    assert client.fetch(Call(url, expects="bytes", byte_range=(0, 999))).content == FILE[:1000]
    assert len(server.asked()) == 2


def test_a_packed_answer_is_unpacked_and_a_damaged_one_asked_again(server: ProtocolServer, client: Client) -> None:
    packed = gzip.compress(b'{"ok": 1}')
    server.route("/data", lambda _: Reply(packed, headers={"Content-Encoding": "gzip"}))
    server.fault("/data", corrupt=slice(10, 14))
    server.fault("/data", reply=Reply(packed[:-9], headers={"Content-Encoding": "gzip"}))
    server.fault("/data", reply=Reply(packed, headers={"Content-Encoding": "zstd"}))
    assert client.get_json(f"{server.url}/data") == {"ok": 1}
    assert len(server.asked()) == 4
    assert server.asked()[0].headers["accept-encoding"] == "gzip"


def test_a_redirect_on_the_same_host_keeps_the_signature(server: ProtocolServer, client: Client) -> None:
    server.route("/new", {"ok": 1})
    server.route("/old", lambda _: Reply("", 307, {"Location": "/new"}))
    call = Call(f"{server.url}/old", method="POST", body={"limit": 1}, signer=Signer())
    assert client.fetch(call).json() == {"ok": 1}
    (request,) = server.asked("/new")
    assert request.json() == {"limit": 1}
    assert request.headers["authorization"] == "Bearer t0"


def test_a_redirect_to_another_host_takes_no_signature_along(server: ProtocolServer, client: Client) -> None:
    other = ProtocolServer()
    try:
        other.route("/new", lambda request: file_reply(request, FILE))
        server.route("/old", lambda _: Reply("", 302, {"Location": f"{other.url}/new", "Set-Cookie": "who=me"}))
        call = Call(
            f"{server.url}/old", expects="bytes", byte_range=(0, 9), signer=Signer(), headers={"X-Account": "secret-1"}
        )
        assert client.fetch(call).content == FILE[:10]
        (request,) = other.asked()
        for word in ("Bearer", "secret-1", "sig=", "who=me"):
            assert word not in request.everything
        assert server.asked()[0].headers["x-account"] == "secret-1"
    finally:
        other.close()


@pytest.mark.parametrize("status", [307, 308])
def test_a_body_never_goes_to_another_host(server: ProtocolServer, client: Client, status: int) -> None:
    other = ProtocolServer()
    try:
        server.route("/old", lambda _: Reply("", status, {"Location": f"{other.url}/new"}))
        with pytest.raises(SourceError, match="another host"):
            client.fetch(Call(f"{server.url}/old", method="POST", body={"limit": 1}))
        assert not other.asked()
    finally:
        other.close()


@pytest.mark.parametrize("target", ["/old", "ftp://127.0.0.1/x"])
def test_redirects_that_lead_nowhere(server: ProtocolServer, client: Client, target: str) -> None:
    server.route("/old", lambda _: Reply("", 302, {"Location": target}))
    with pytest.raises(SourceError):
        client.get_json(f"{server.url}/old")
    assert len(server.asked()) <= QUICK.attempts * 4


def test_an_address_that_is_none(client: Client) -> None:
    for url in ("http://[::1/x", "ftp://example.org/x", "no address"):
        with pytest.raises(SourceError):
            client.get_json(url)


def test_offline_serves_any_age_and_says_what_it_lacks(server: ProtocolServer, tmp_path: Path) -> None:
    server.route("/data", {"ok": 1})
    online = Network(cache=Cache(tmp_path), policy=QUICK)
    online.client("p").get_json(f"{server.url}/data", ttl_s=1e-9)
    online.close()
    offline = Network(cache=Cache(tmp_path), policy=QUICK, offline=True)
    answer = offline.client("p").fetch(Call(f"{server.url}/data", ttl_s=1e-9))
    assert answer.kept and answer.json() == {"ok": 1}
    with pytest.raises(NoDataError, match="the cache lacks forecast of p") as caught:
        offline.client("p").get_json(f"{server.url}/other", piece="forecast")
    assert "offline" in str(caught.value)
    with pytest.raises(NoDataError):
        offline.client("p").get_json(f"{server.url}/data", ttl_s=0)
    assert len(server.asked()) == 1
    offline.close()


def test_every_answer_is_checked_against_the_budget_as_it_comes(server: ProtocolServer, tmp_path: Path) -> None:
    """Chunked answers announce no size."""
    network = Network(budget=Budget(Limits(max_mb=0.05)), policy=QUICK)
    server.route("/file", lambda _: Reply(FILE, announced=False))
    with pytest.raises(BudgetError, match="MB"):
        network.client("p").fetch(Call(f"{server.url}/file", expects="bytes"))
    network.close()


def test_headers_that_come_drop_by_drop_end_at_the_deadline(network):
    """Each byte comes in time, and the answer never begins."""
    over = threading.Event()

    def drip(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not over.wait(0.02):
                connection.sendall(b"a")

    policy = RetryPolicy(attempts=1, deadline_s=0.5, stall_s=5.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=drip, args=(listening,), daemon=True)
        server.start()
        given_up = threading.Timer(20.0, over.set)  # without a deadline the test fails instead of hanging
        given_up.start()
        try:
            with pytest.raises(SourceError) as told:
                network.client("drip", policy).fetch(Call(f"http://127.0.0.1:{listening.getsockname()[1]}/x"))
            assert told.value.transient and not over.is_set()
        finally:
            over.set()
            given_up.cancel()
            server.join()
