"""One thing to be sent to one recipient, and its key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date

from agro.schema.provenance import digest_of


@dataclass(frozen=True)
class Attachment:
    """A file that goes along."""

    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True)
class Item:
    """What one recipient gets on one date.

    Attributes
    ----------
    channel : {"email", "folder", "webhook"}
    address : str
        Mail address, name of the folder's subfolder, or the receiver's handle (a telephone number).
    subject, text : str
        Plain text.
    """

    channel: str
    address: str
    region_id: str
    issued_on: date
    about: str  # "parcel <uid>", "grower <owner_ref>" or "region"
    language: str
    subject: str
    text: str
    attachments: tuple[Attachment, ...] = ()

    @property
    def key(self) -> str:
        """Identity: recipient, date, subject matter and content. The same again is never sent; a correction is something new."""
        body = [hashlib.sha256(a.content).hexdigest() for a in self.attachments]
        return digest_of(
            [self.channel, self.address, self.region_id, self.issued_on.isoformat(), self.about, self.language, self.subject, self.text, body]
        )  # fmt: skip
