from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from agro.delivery.channels import (
    FolderChannel,
    FolderSettings,
    SendSettings,
    SmtpChannel,
    SmtpSettings,
    UnsureError,
    WebhookChannel,
    WebhookSettings,
)
from agro.delivery.deliver import deliver
from agro.delivery.item import Attachment, Item
from agro.delivery.sent import SentRecord
from agro.schema.errors import ConfigError, ContractError, SourceError

NOW = datetime(2019, 5, 20, 7, tzinfo=UTC)


def item(channel: str = "folder", address: str = "g1", text: str = "اسق 32 مم", **more: Any) -> Item:
    return Item(channel, address, "haouz", date(2019, 5, 20), "parcel p1", "ar", "Conseil é", text, **more)


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.refuse_recipient = self.refuse_data = False

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.refuse_recipient:
            return "550 unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse_data:
            return "452 full"
        self.mails.append(envelope.content)
        return "250 taken"


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, SmtpChannel]]:
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=0, server_hostname="localhost")
    # The controller asks the port it was given whether it answers; take a free one first.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    try:
        yield (
            box,
            SmtpChannel(
                SmtpSettings(
                    host="127.0.0.1", port=controller.port, security="none", sender="a@example.org", timeout_s=5
                )
            ),
        )
    finally:
        controller.stop()


class Hook:
    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.status = 202
        self.hang_up = False


@pytest.fixture
def hook() -> Iterator[tuple[Hook, WebhookSettings]]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.posts.append((dict(self.headers), body))
            if state.hang_up:
                self.close_connection = True
                return
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state, WebhookSettings(url=f"http://127.0.0.1:{server.server_address[1]}/send")
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def record(tmp_path: Path) -> SentRecord:
    return SentRecord(tmp_path / "sent.sqlite")


def run(items: list[Item], channels: dict[str, Any], record: SentRecord, **more: Any) -> list[str]:
    return [d.outcome for d in deliver(items, channels, record, lambda: NOW, **{"dry_run": False, **more})]


def test_dry_run_is_the_default_and_writes_nothing(record: SentRecord, tmp_path: Path) -> None:
    channels = {"folder": FolderChannel(FolderSettings(path=tmp_path / "out"))}
    assert [d.outcome for d in deliver([item()], channels, record, lambda: NOW)] == ["would send"]
    assert list(tmp_path.iterdir()) == []


def test_mail_arrives_once_with_text_and_file(mail: tuple[Mailbox, SmtpChannel], record: SentRecord) -> None:
    box, channel = mail
    one = item("email", "b@example.org", attachments=(Attachment("a.pdf", "application/pdf", b"%PDF-1.7 x"),))
    assert run([one, one], {"email": channel}, record) == ["sent", "sent before"]
    assert run([one], {"email": channel}, record) == ["sent before"]
    assert len(box.mails) == 1
    got = message_from_bytes(box.mails[0], policy=default)
    assert got["To"] == "b@example.org" and got["Subject"] == "Conseil é" and one.key in got["Message-ID"]
    assert got.get_body().get_content().strip() == "اسق 32 مم"
    assert [a.get_content() for a in got.iter_attachments()] == [b"%PDF-1.7 x"]


def test_a_correction_is_something_new(mail: tuple[Mailbox, SmtpChannel], record: SentRecord) -> None:
    box, channel = mail
    assert (
        run([item("email", "b@example.org"), item("email", "b@example.org", "other")], {"email": channel}, record)
        == ["sent"] * 2
    )
    assert len(box.mails) == 2


@pytest.mark.parametrize("what", ["refuse_recipient", "refuse_data"])
def test_a_refusal_is_tried_again_and_stops_nothing(
    mail: tuple[Mailbox, SmtpChannel], record: SentRecord, what: str
) -> None:
    box, channel = mail
    setattr(box, what, True)
    assert run([item("email", "b@example.org")], {"email": channel}, record) == ["failed"]
    setattr(box, what, False)
    assert run([item("email", "b@example.org")], {"email": channel}, record) == ["sent"]
    assert len(box.mails) == 1


def test_a_server_that_is_not_there_is_a_failure(record: SentRecord) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    gone = {
        "email": SmtpChannel(
            SmtpSettings(host="127.0.0.1", port=port, security="none", sender="a@example.org", timeout_s=2)
        ),
        "webhook": WebhookChannel(WebhookSettings(url=f"http://127.0.0.1:{port}/")),
    }
    assert run([item("email", "b@example.org"), item("webhook", "+2126")], gone, record) == ["failed", "failed"]


def test_mail_cut_off_after_the_text_is_unsure_and_not_repeated(record: SentRecord) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def talk() -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rwb") as line:
            line.write(b"220 hi\r\n")
            line.flush()
            for answer in (b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                line.readline()
                line.write(answer)
                line.flush()
            while (text := line.readline()) not in (b".\r\n", b""):
                seen.append(text)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    channel = SmtpChannel(
        SmtpSettings(
            host="127.0.0.1", port=server.getsockname()[1], security="none", sender="a@example.org", timeout_s=5
        )
    )
    assert run([item("email", "b@example.org")], {"email": channel}, record) == ["unsure"]
    thread.join(5)
    server.close()
    assert seen
    assert run([item("email", "b@example.org")], {"email": channel}, record) == ["unsure"]
    assert run([item("email", "b@example.org")], {"email": channel}, record, retry_unsure=True) == [
        "failed"
    ]  # nobody listens now


def test_headers_cannot_be_smuggled_in(mail: tuple[Mailbox, SmtpChannel]) -> None:
    box, channel = mail
    for bad in (
        item("email", "b@example.org\r\nBcc: all@example.org"),
        Item("email", "b@example.org", "r", date(2019, 5, 20), "x", "fr", "a\r\nBcc: all@example.org", "t"),
    ):
        with pytest.raises(SourceError, match="cannot be in a mail"):
            channel.send(bad)
    assert not box.mails


def test_the_webhook_gets_json_with_a_key(
    hook: tuple[Hook, WebhookSettings], record: SentRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, settings = hook
    channel = WebhookChannel(settings.model_copy(update={"token_env": "AGRO_TEST_TOKEN"}))
    with pytest.raises(ConfigError, match="AGRO_TEST_TOKEN"):
        channel.send(item("webhook", "+2126"))
    monkeypatch.setenv("AGRO_TEST_TOKEN", "s3cret")
    assert run([item("webhook", "+2126")] * 2, {"webhook": channel}, record) == ["sent", "sent before"]
    [(headers, body)] = state.posts
    assert (
        headers["Authorization"] == "Bearer s3cret"
        and headers["Idempotency-Key"] == body["key"] == item("webhook", "+2126").key
    )
    assert body["to"] == "+2126" and body["text"] == "اسق 32 مم"


@pytest.mark.parametrize(
    ("status", "outcomes"),
    [(400, ["failed", "sent"]), (429, ["failed", "sent"]), (302, ["failed", "sent"]), (502, ["unsure", "unsure"])],
)
def test_answers_of_the_webhook(
    hook: tuple[Hook, WebhookSettings], record: SentRecord, status: int, outcomes: list[str]
) -> None:
    state, settings = hook
    channels = {"webhook": WebhookChannel(settings)}
    state.status = status
    first = run([item("webhook", "+2126")], channels, record)
    state.status = 200
    assert first + run([item("webhook", "+2126")], channels, record) == outcomes


def test_a_webhook_that_hangs_up_is_unsure_unless_it_may_be_repeated(
    hook: tuple[Hook, WebhookSettings], record: SentRecord
) -> None:
    state, settings = hook
    state.hang_up = True
    assert run([item("webhook", "+2126")], {"webhook": WebhookChannel(settings)}, record) == ["unsure"]
    state.hang_up = False
    assert run([item("webhook", "+2126")], {"webhook": WebhookChannel(settings)}, record) == ["unsure"]
    again = WebhookChannel(settings.model_copy(update={"repeatable": True}))
    assert run([item("webhook", "+2126")], {"webhook": again}, record) == ["sent"]
    assert len(state.posts) == 2


def test_opting_out_is_kept(record: SentRecord, tmp_path: Path) -> None:
    channels = {"folder": FolderChannel(FolderSettings(path=tmp_path / "out"))}
    record.opt_out("folder", " G1 ", NOW)
    record.opt_out("folder", "g1", NOW)
    assert run([item(), item(address="g2"), item(address="G1")], channels, record) == ["opted out", "sent", "opted out"]
    assert run([item("webhook", "g1")], channels, record) == ["no channel"]
    with pytest.raises(ContractError, match="time zone"):
        record.opt_out("folder", "x", datetime(2019, 5, 20))


def test_a_folder_address_stays_inside(tmp_path: Path) -> None:
    channel = FolderChannel(FolderSettings(path=tmp_path / "out"))
    channel.send(item(address="../../../etc", attachments=(Attachment("../../x.pdf", "application/pdf", b"x"),)))
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 2 and all(p.is_relative_to(tmp_path / "out" / "2019-05-20") for p in files)


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from datetime import UTC, date, datetime
    from pathlib import Path
    from agro.delivery.deliver import deliver
    from agro.delivery.item import Item
    from agro.delivery.sent import SentRecord

    class Channel:
        repeatable = False
        def send(self, item):
            if sys.argv[2] == "before" and item.address == "2":
                os.kill(os.getpid(), signal.SIGKILL)
            with open(sys.argv[1] + "/log", "a") as log:
                log.write(item.address + "\\n")
            if sys.argv[2] == "after" and item.address == "2":
                os.kill(os.getpid(), signal.SIGKILL)

    items = [Item("webhook", str(i), "r", date(2019, 5, 20), "x", "fr", "s", "t") for i in range(5)]
    done = deliver(items, {"webhook": Channel()}, SentRecord(Path(sys.argv[1]) / "sent.sqlite"), lambda: datetime(2019, 5, 20, tzinfo=UTC), dry_run=False)
    print(",".join(d.outcome for d in done))
    """
)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_in_the_middle_nothing_goes_out_twice(tmp_path: Path, moment: str) -> None:
    def go(when: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), when],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ},
        )

    assert go(moment).returncode == -signal.SIGKILL
    second = go("never")
    assert second.stdout.strip() == "sent before,sent before,unsure,sent,sent"
    sent = (tmp_path / "log").read_text().split()
    assert sorted(sent) == (["0", "1", "2", "3", "4"] if moment == "after" else ["0", "1", "3", "4"])
    assert go("never").stdout.strip() == "sent before,sent before,unsure,sent before,sent before"


def test_settings_are_strict() -> None:
    with pytest.raises(ValueError, match="extra"):
        SendSettings.model_validate({"email": {"host": "h", "sender": "a@b", "password": "x"}})
    assert SendSettings().open() == {}
    assert issubclass(UnsureError, Exception)
