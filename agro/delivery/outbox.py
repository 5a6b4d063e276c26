"""What each contact is to get of a week, from advice let out only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agro.delivery.contacts import Contact
from agro.delivery.item import Attachment, Item
from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.i18n import Translator
from agro.reports.messages import SENT_STATES, chat_message, plain_name, short_message
from agro.reports.sheets import SheetKind, owners, render_sheets, sheet_stem
from agro.reports.view import region_name
from agro.schema.errors import NoDataError
from agro.store.workspace import RegionStore, RunFolder


def make_outbox(
    store: RegionStore,
    run: RunFolder,
    bulletin: Bulletin,
    contacts: Sequence[Contact],
    translators: Mapping[str, Translator],
    reviewed_only: bool = False,
) -> tuple[list[Item], list[dict[str, str]]]:
    """Make the items of all contacts.

    Parameters
    ----------
    store, run, bulletin
        What was let out; advice that awaits a person, was refused or is missing makes no item.
    contacts : sequence of Contact
    translators : mapping of str to Translator
        By language.
    reviewed_only : bool
        Leave out what no person has decided on; a sheet or bulletin that holds any of it is left out whole.

    Returns
    -------
    items : list of Item
    rejected : list of dict
        Contacts for whom there is nothing, and why: ``input, item, reason, remedy``.
    """
    lines = {line.parcel_uid: line for line in bulletin.lines}
    groups = owners(run.read("parcels"))
    items: list[Item] = []
    rejected: list[dict[str, str]] = []
    for contact in contacts:
        try:
            items += _items(contact, store, run, bulletin, lines, groups, translators[contact.language], reviewed_only)
        except NoDataError as error:
            rejected.append(
                {"input": "contacts", "item": f"{contact.about} {contact.id}".strip(), "reason": error.what, "remedy": error.do or "Nothing is sent"}
            )  # fmt: skip
    return items, rejected


def _items(
    contact: Contact, store: RegionStore, run: RunFolder, bulletin: Bulletin, lines: Mapping[str, ParcelLine],
    groups: Mapping[str, Sequence[str]], tr: Translator, reviewed_only: bool,
) -> list[Item]:  # fmt: skip
    if contact.about == "region":
        return [_bulletin(contact, store, bulletin, tr, reviewed_only)]
    uids = [contact.id] if contact.about == "parcel" else groups.get(contact.id, [])
    mine = [lines[uid] for uid in uids if uid in lines]
    if not mine:
        raise NoDataError(f"no such {contact.about} in this run", do="Correct the id")
    let_out = [line for line in mine if line.state in SENT_STATES]
    said = [line for line in let_out if line.reviewer or not reviewed_only]
    if not said:
        raise NoDataError("nothing let out that could be sent", do="Decide on the advice first")
    if contact.form == "sheet":
        if len(said) < len(let_out):
            raise NoDataError("the sheet holds advice that no person has reviewed", do="Decide on the advice first")
        kind: SheetKind = "parcel" if contact.about == "parcel" else "grower"
        [(key, _, form, content)] = render_sheets(run, bulletin, [tr], kind, [contact.id], ["pdf"])
        part = Attachment(f"{sheet_stem(kind, key)}_{tr.language}.{form}", "application/pdf", content)
        title = tr.text(f"sheet.title_{kind}")
        return [_item(contact, bulletin, tr, title, title, (part,))]
    write = chat_message if contact.form == "chat" else lambda b, line, t: getattr(short_message(b, line, t), "text", None)  # fmt: skip
    made = []
    for line in said:
        text = write(bulletin, line, tr)
        if text is not None:
            made.append(_item(contact, bulletin, tr, plain_name(line.name), text, (), f"parcel {line.parcel_uid}"))
    return made


def _bulletin(contact: Contact, store: RegionStore, bulletin: Bulletin, tr: Translator, reviewed_only: bool) -> Item:
    if reviewed_only and any(line.state in SENT_STATES and not line.reviewer for line in bulletin.lines):
        raise NoDataError("the bulletin holds advice that no person has reviewed", do="Decide on the advice first")
    path = store.published(bulletin.issued_on) / f"bulletin_{tr.language}.pdf"
    if not path.exists():
        raise NoDataError("no bulletin is published in this language", do="Run: agro publish")
    part = Attachment(path.name, "application/pdf", path.read_bytes())
    title = tr.text("bulletin.title")
    return _item(contact, bulletin, tr, title, title, (part,))


def _item(
    contact: Contact, bulletin: Bulletin, tr: Translator, title: str, text: str, parts: tuple[Attachment, ...], about: str = ""
) -> Item:  # fmt: skip
    day = tr.date(bulletin.issued_on, "long")
    mark = f"{tr.text('bulletin.simulated')} " if bulletin.simulated else ""
    subject = f"{mark}{title} - {plain_name(region_name(bulletin, tr))} - {day}"
    return Item(
        contact.channel, contact.address, bulletin.region_id, bulletin.issued_on, about or f"{contact.about} {contact.id}".strip(),
        tr.language, subject, text, parts,
    )  # fmt: skip
