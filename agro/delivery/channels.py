"""Ways out: mail by SMTP, a folder, a webhook. Each says whether an item went out, did not, or may have."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
from base64 import b64encode
from datetime import UTC, datetime, time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Literal, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field

from agro.delivery.item import Item
from agro.schema.errors import AgroError, ConfigError, SourceError
from agro.store.atomic import write_bytes


class UnsureError(AgroError):
    """The connection broke after the item was handed over: it may have gone out."""


class Channel(Protocol):
    """A way out."""

    repeatable: bool  # the same item again changes nothing at the receiver's

    def send(self, item: Item) -> None:
        """Hand an item over.

        Raises
        ------
        SourceError
            It surely did not go out.
        UnsureError
            Nobody can say.
        """


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SmtpSettings(_Strict):
    """A mail server. The password is read from the environment, never from the file."""

    host: str
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str
    user: str | None = None
    password_env: str = "AGRO_SMTP_PASSWORD"
    timeout_s: float = Field(30.0, gt=0)


class FolderSettings(_Strict):
    """A folder that another program, a sync or a bucket's mount picks up."""

    path: Path


class WebhookSettings(_Strict):
    """A gateway for SMS or chat: JSON by POST. `repeatable` when it honours ``Idempotency-Key``."""

    url: str = Field(pattern=r"^https?://")
    token_env: str | None = None
    repeatable: bool = False
    timeout_s: float = Field(30.0, gt=0)


class SendSettings(_Strict):
    """Ways out of a region, by channel; a channel that is not described is not used."""

    email: SmtpSettings | None = None
    folder: FolderSettings | None = None
    webhook: WebhookSettings | None = None
    reviewed_only: bool = False  # only what a person accepted or edited; else what needs no decision goes out too

    def open(self) -> dict[str, Channel]:
        """Channels that are described, by name."""
        ways: dict[str, Channel] = {}
        if self.email is not None:
            ways["email"] = SmtpChannel(self.email)
        if self.folder is not None:
            ways["folder"] = FolderChannel(self.folder)
        if self.webhook is not None:
            ways["webhook"] = WebhookChannel(self.webhook)
        return ways


def _secret(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"the environment has no {name}", where="send settings", do=f"Set {name}")
    return value


class SmtpChannel:
    """Mail: plain text with attachments."""

    repeatable = False

    def __init__(self, settings: SmtpSettings) -> None:
        self.settings = settings

    def send(self, item: Item) -> None:
        """Send one mail; see :class:`Channel`."""
        mail = self._mail(item)
        handed_over = accepted = False
        try:
            with self._connect() as server:
                for code, words in (server.mail(self.settings.sender), server.rcpt(item.address)):
                    if code not in (250, 251):
                        raise SourceError(
                            f"the mail server refuses ({code} {words.decode(errors='replace')})",
                            where=item.address,
                            transient=400 <= code < 500,
                        )
                handed_over = True
                code, words = server.data(mail.as_bytes(policy=SMTP))
                handed_over, accepted = False, code == 250
                if not accepted:
                    raise SourceError(
                        f"the mail server refuses the mail ({code} {words.decode(errors='replace')})",
                        where=item.address,
                        transient=400 <= code < 500,
                    )
        except smtplib.SMTPDataError as error:  # refused before the text was taken
            raise SourceError(
                f"the mail server refuses the mail ({error.smtp_code})",
                where=item.address,
                transient=400 <= error.smtp_code < 500,
            ) from error
        except (OSError, smtplib.SMTPException) as error:
            if accepted:
                return  # the farewell failed, not the mail
            if handed_over:
                raise UnsureError("the connection broke while the mail was handed over", where=item.address) from error
            raise SourceError(
                f"the mail server cannot be used ({type(error).__name__}: {error})",
                where=f"{self.settings.host}:{self.settings.port}",
                transient=True,
            ) from error

    def _connect(self) -> smtplib.SMTP:
        s = self.settings
        context = ssl.create_default_context()
        server: smtplib.SMTP
        if s.security == "tls":
            server = smtplib.SMTP_SSL(s.host, s.port, timeout=s.timeout_s, context=context)
        else:
            server = smtplib.SMTP(s.host, s.port, timeout=s.timeout_s)
        server.ehlo_or_helo_if_needed()
        if s.security == "starttls":
            server.starttls(context=context)
        if s.user:
            server.login(s.user, _secret(s.password_env))
        return server

    def _mail(self, item: Item) -> EmailMessage:
        mail = EmailMessage()
        try:
            mail["From"], mail["To"], mail["Subject"] = self.settings.sender, item.address, item.subject
        except ValueError as error:  # a line break would add a header
            raise SourceError("an address or subject that cannot be in a mail", where=repr(item.address)) from error
        # Same item, same id: mail programs show it once.
        mail["Message-ID"] = f"<{item.key}@agro.invalid>"
        mail["Date"] = datetime.combine(item.issued_on, time(6), UTC)
        mail["Content-Language"] = item.language
        mail.set_content(item.text)
        for part in item.attachments:
            kind, _, sub = part.media_type.partition("/")
            mail.add_attachment(part.content, maintype=kind, subtype=sub, filename=part.name)
        if mail.is_multipart():
            mail.set_boundary(f"=={item.key}==")
        return mail


class FolderChannel:
    """Files named by the item's key: the same item again is the same file."""

    repeatable = True

    def __init__(self, settings: FolderSettings) -> None:
        self.settings = settings

    def send(self, item: Item) -> None:
        """Write text and attachments; see :class:`Channel`."""
        place = "".join(c if c.isalnum() or c in "-_+" else "_" for c in item.address)[:80] or "_"
        folder = self.settings.path / item.issued_on.isoformat() / place
        try:
            for part in item.attachments:
                write_bytes(folder / f"{item.key}_{Path(part.name).name}", part.content)
            write_bytes(folder / f"{item.key}.txt", f"{item.subject}\n\n{item.text}\n".encode())
        except OSError as error:
            raise SourceError(f"cannot write: {error.strerror}", where=str(folder), transient=True) from error


class WebhookChannel:
    """JSON by POST, with ``Idempotency-Key``."""

    def __init__(self, settings: WebhookSettings) -> None:
        self.settings = settings
        self.repeatable = settings.repeatable

    def send(self, item: Item) -> None:
        """Post one item; see :class:`Channel`."""
        s = self.settings
        body = {
            "key": item.key, "to": item.address, "region": item.region_id, "issued_on": item.issued_on.isoformat(), "about": item.about,
            "language": item.language, "subject": item.subject, "text": item.text,
            "attachments": [{"name": a.name, "type": a.media_type, "base64": b64encode(a.content).decode()} for a in item.attachments],
        }  # fmt: skip
        headers = {"Content-Type": "application/json", "Idempotency-Key": item.key}
        if s.token_env:
            headers["Authorization"] = f"Bearer {_secret(s.token_env)}"
        try:
            with httpx.Client(timeout=s.timeout_s, follow_redirects=False, trust_env=False) as client:
                answer = client.post(s.url, content=json.dumps(body, ensure_ascii=False).encode(), headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise SourceError(f"the webhook cannot be reached ({type(error).__name__})", where=s.url, transient=True) from error  # fmt: skip
        except httpx.HTTPError as error:
            raise UnsureError(f"the webhook's answer did not come ({type(error).__name__})", where=s.url) from error
        if answer.status_code in (500, 502, 504):
            raise UnsureError(f"the webhook failed ({answer.status_code})", where=s.url)
        if not 200 <= answer.status_code < 300:
            raise SourceError(f"the webhook refuses ({answer.status_code})", where=s.url, transient=answer.status_code in (429, 503))  # fmt: skip
