"""Who gets what: a CSV that stays with the people who know the addresses, outside the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from agro.reports.i18n import LANGUAGES
from agro.schema.errors import ConfigError

COLUMNS = ("about", "id", "channel", "address", "language", "form")
#: Forms by what they are about: SMS and chat speak of parcels, the bulletin of the region.
FORMS = {"parcel": ("sms", "chat", "sheet"), "grower": ("sms", "chat", "sheet"), "region": ("bulletin",)}
CHANNELS = ("email", "folder", "webhook")


@dataclass(frozen=True)
class Contact:
    """One row: `about` is parcel, grower or region; `id` a parcel uid, a grower's pseudonym, or empty for the region."""

    about: str
    id: str
    channel: str
    address: str
    language: str
    form: str


def read_contacts(path: Path) -> tuple[list[Contact], list[dict[str, str]]]:
    """Read contacts; rows that cannot be used come back as rows of the ``rejected`` table.

    Raises
    ------
    ConfigError
        The file is missing, is no CSV, or lacks a column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"the contacts cannot be read ({error})", where=str(path), do="Give a CSV in UTF-8") from error  # fmt: skip
    if missing := [c for c in COLUMNS if c not in table]:
        raise ConfigError(f"no column {missing[0]}", where=str(path), do=f"Give {', '.join(COLUMNS)}")
    contacts, rejected = [], []
    for number, row in enumerate(table[list(COLUMNS)].to_dict("records"), start=2):
        contact = Contact(**{str(k): str(v).strip() for k, v in row.items()})
        if reason := _wrong(contact):
            rejected.append({"input": "contacts", "item": f"line {number}", "reason": reason, "remedy": "Correct the line"})  # fmt: skip
        elif contact not in contacts:
            contacts.append(contact)
    return contacts, rejected


def _wrong(contact: Contact) -> str:
    if contact.about not in FORMS:
        return f"about is {contact.about!r}, not parcel, grower or region"
    if contact.form not in FORMS[contact.about]:
        return f"form is {contact.form!r}, not {', '.join(FORMS[contact.about])}"
    if contact.about != "region" and not contact.id:
        return "no id"
    if contact.channel not in CHANNELS:
        return f"channel is {contact.channel!r}, not {', '.join(CHANNELS)}"
    if contact.language not in LANGUAGES:
        return f"language is {contact.language!r}, not {', '.join(LANGUAGES)}"
    if not contact.address or not contact.address.isprintable():
        return "no address, or one with control characters"
    if contact.channel == "email" and (
        contact.address.count("@") != 1 or any(c in contact.address for c in ' ,;<>"()')
    ):
        return "not one mail address"
    return ""
