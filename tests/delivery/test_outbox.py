from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "reports"))

from fake_run import HOSTILE_NAMES, ISSUED, World, make_world

from agro.delivery.contacts import Contact, read_contacts
from agro.delivery.outbox import make_outbox
from agro.reports.bulletin import Bulletin
from agro.reports.i18n import LANGUAGES, Translator
from agro.reports.publish import gather, publish
from agro.schema.errors import ConfigError

TRANSLATORS = {language: Translator(language) for language in LANGUAGES}


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Bulletin]:
    world = make_world(tmp_path_factory.mktemp("outbox"))
    return world, gather(world.store, world.run, world.published, world.awaiting)[0]


def test_contacts_are_read_and_wrong_ones_listed(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    rows = [
        "about,id,channel,address,language,form", "parcel,p1,email,a@b.org,ar,sms", "parcel,p1,email,a@b.org,ar,sms", "region,,folder,coop,fr,bulletin",
        "parcel,p1,fax,1,fr,sms", "parcel,,folder,a,fr,sms", "region,,folder,a,fr,sms", "parcel,p1,folder,a,de,sms", "farm,p1,folder,a,fr,sms",
        'parcel,p1,email,"a@b.org, c@d.org",fr,sms', "parcel,p1,folder,,fr,sms", 'parcel,p1,email,"a@b.org\nBcc: x@y.z",fr,sms',
    ]  # fmt: skip
    path.write_text("\ufeff" + "\n".join(rows), encoding="utf-8")
    contacts, rejected = read_contacts(path)
    assert contacts == [Contact("parcel", "p1", "email", "a@b.org", "ar", "sms"), Contact("region", "", "folder", "coop", "fr", "bulletin")]  # fmt: skip
    assert len(rejected) == 8 and all(row["reason"] for row in rejected)
    path.write_text("about,id\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="channel"):
        read_contacts(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_contacts(tmp_path / "none.csv")


def test_only_what_was_let_out_makes_items(week: tuple[World, Bulletin]) -> None:
    world, bulletin = week
    contacts = [Contact("parcel", line.parcel_uid, "webhook", "+1", "fr", form) for line in bulletin.lines for form in ("sms", "chat", "sheet")]  # fmt: skip
    items, rejected = make_outbox(world.store, world.run, bulletin, contacts, TRANSLATORS)
    let_out = {line.parcel_uid for line in bulletin.lines if line.state in ("irrigate", "hold", "inspect", "abstain")}
    held = {line.parcel_uid for line in bulletin.lines} - let_out
    assert let_out and {record.parcel_uid for record in world.awaiting} <= held
    assert {i.about.removeprefix("parcel ") for i in items} == let_out and len(items) == 3 * len(let_out)
    assert {r["item"].removeprefix("parcel ") for r in rejected} == held
    assert all(len(i.text) <= 160 or "\n" in i.text for i in items)


def test_reviewed_only_leaves_out_what_nobody_decided(week: tuple[World, Bulletin], tmp_path: Path) -> None:
    world, bulletin = week
    contacts = [Contact("parcel", line.parcel_uid, "webhook", "+1", "fr", "sms") for line in bulletin.lines]
    items, _ = make_outbox(world.store, world.run, bulletin, contacts, TRANSLATORS, reviewed_only=True)
    assert {i.about for i in items} == {"parcel p001", "parcel p006"}  # accepted and edited; p007 was refused
    _, rejected = make_outbox(world.store, world.run, bulletin, [Contact("region", "", "folder", "c", "fr", "bulletin")], TRANSLATORS, reviewed_only=True)  # fmt: skip
    assert "no person has reviewed" in rejected[0]["reason"]


def test_the_bulletin_is_the_published_one(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    bulletin = gather(world.store, world.run, world.published, world.awaiting)[0]
    contact = Contact("region", "", "folder", "coop", "en", "bulletin")
    items, rejected = make_outbox(world.store, world.run, bulletin, [contact], TRANSLATORS)
    assert items == [] and "no bulletin is published" in rejected[0]["reason"]
    publish(world.store, world.run, world.published, world.awaiting, ["en"])
    [one] = make_outbox(world.store, world.run, bulletin, [contact], TRANSLATORS)[0]
    assert one.attachments[0].content == (world.store.published(ISSUED) / "bulletin_en.pdf").read_bytes()
    assert one.subject.startswith("SIMULATED DATA ")


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "a\r\nBcc: x@y.z", "http://evil.example"])
def test_hostile_names_stay_text_in_subject_and_message(week: tuple[World, Bulletin], name: str) -> None:
    world, bulletin = week
    lines = tuple(dataclasses.replace(line, name=name, decision_reason=name) for line in bulletin.lines)
    hostile = dataclasses.replace(bulletin, lines=lines, region_name=dict.fromkeys(LANGUAGES, name), contact=None)
    contacts = [Contact("parcel", "p001", "webhook", "+1", language, form) for language in LANGUAGES for form in ("sms", "chat")]  # fmt: skip
    items, _ = make_outbox(world.store, world.run, hostile, contacts, TRANSLATORS)
    assert len(items) == 6
    for one in items:
        assert not set(one.subject) & set("\r\n\x00\u202e") and "://" not in one.subject + one.text
        assert "@" not in one.text and "\r" not in one.text and "\u202e" not in one.text


def test_the_same_week_gives_the_same_keys(week: tuple[World, Bulletin]) -> None:
    world, bulletin = week
    contacts = [Contact("parcel", "p001", "email", "a@b.org", "ar", "sheet"), Contact("grower", "o0", "email", "a@b.org", "ar", "sheet")]  # fmt: skip
    first, second = (make_outbox(world.store, world.run, bulletin, contacts, TRANSLATORS)[0] for _ in range(2))
    assert [i.key for i in first] == [i.key for i in second] and len({i.key for i in first}) == 2
