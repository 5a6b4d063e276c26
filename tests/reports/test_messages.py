from __future__ import annotations

import dataclasses
import math
import re
from datetime import date, timedelta

import pytest
from fake_run import HOSTILE_NAMES, make_world
from hypothesis import given, settings
from hypothesis import strategies as st

from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.i18n import LANGUAGES, Translator
from agro.reports.messages import SENT_STATES, chat_message, plain_name, short_message
from agro.reports.publish import gather
from agro.reports.sms import GSM_BASIC, GSM_EXTENSION, simple_text, sms_size
from agro.schema.advice import Message

LINKS = re.compile(r"://|www\.\w|[A-Za-z]\.[A-Za-z]{2,}|@", re.IGNORECASE)


@pytest.fixture(scope="module")
def bulletin(tmp_path_factory: pytest.TempPathFactory) -> Bulletin:
    world = make_world(tmp_path_factory.mktemp("week"))
    return gather(world.store, world.run, world.published, world.awaiting)[0]


@pytest.mark.parametrize(
    ("text", "encoding", "units", "parts"),
    [
        ("", "gsm-7", 0, 1), ("a" * 160, "gsm-7", 160, 1), ("a" * 161, "gsm-7", 161, 2), ("a" * 306, "gsm-7", 306, 2), ("a" * 307, "gsm-7", 307, 3),
        ("é€", "gsm-7", 3, 1), ("€" * 80, "gsm-7", 160, 1), ("€" * 81, "gsm-7", 162, 2), ("a" * 152 + "€" * 77, "gsm-7", 306, 3),
        ("ê", "ucs-2", 1, 1), ("م" * 70, "ucs-2", 70, 1), ("م" * 71, "ucs-2", 71, 2), ("م" * 134, "ucs-2", 134, 2), ("م" * 135, "ucs-2", 135, 3),
        ("😀" * 35, "ucs-2", 70, 1), ("😀" * 36, "ucs-2", 72, 2),
    ],
)  # fmt: skip
def test_sizes_of_the_standard(text: str, encoding: str, units: int, parts: int) -> None:
    size = sms_size(text)
    assert (size.encoding, size.units, size.parts) == (encoding, units, parts)


def test_the_alphabet_has_its_128_places() -> None:
    assert len(GSM_BASIC) == 127 and len(GSM_EXTENSION) == 10  # the 128th is the escape itself


def test_typography_becomes_plain() -> None:
    assert simple_text("1\u202f234\u00a0m³ – « été » œuf…") == '1 234 m3 - " été " oeuf..'
    assert simple_text("ŝ ç ê î Ḧ") == "s c e i H"
    assert simple_text("\u2068حقل\u2069 7") == "حقل 7"


def extreme(line: ParcelLine, name: str, mm: float, area_ha: float, hours: float | None, days: int) -> ParcelLine:
    start = date(2019, 12, 28)
    return dataclasses.replace(
        line, name=name, state="irrigate", amount_mm=mm, volume_m3=mm * 10 * area_ha, area_ha=area_ha, hours=hours, window_start=start,
        window_end=start + timedelta(days=days), reasons=(Message(key="reason.canopy_declining", params={"change": -0.12}),),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    name=st.one_of(st.text(max_size=300), st.sampled_from([*HOSTILE_NAMES, "ضيعة " * 60, "W" * 400, "€" * 200, "😀" * 90])),
    mm=st.sampled_from([0.0, 0.4, 32.0, 399.9]), area=st.sampled_from([0.0, 0.04, 9999.0]),
    hours=st.sampled_from([None, 0.0, 3.25, 9999.0]), days=st.integers(0, 9), state=st.sampled_from(SENT_STATES),
)  # fmt: skip
def test_a_short_message_is_never_too_long(
    bulletin: Bulletin, name: str, mm: float, area: float, hours: float | None, days: int, state: str
) -> None:
    line = dataclasses.replace(extreme(bulletin.lines[0], name, mm, area, hours, days), state=state)
    for tr in (*map(Translator, LANGUAGES), Translator("ar", "arabic-indic")):
        message = short_message(bulletin, line, tr)
        assert message is not None and 0 < len(message.text) <= 160
        assert message.size == sms_size(message.text) and message.size.parts <= 2
        if message.size.encoding == "gsm-7":
            assert message.size.units <= 160
        assert "{" not in message.text.replace(plain_name(name), "") or "{" in name
        assert "\n" not in message.text and "nan" not in message.text.replace(plain_name(name)[:5], "")
        assert not LINKS.search(message.text), message.text
        if state == "irrigate" and area == 9999.0 and mm == 399.9:
            digits = re.sub(r"\D", "", message.text.translate(str.maketrans("٠١٢٣٤٥٦٧٨٩", "0123456789")))
            assert "39986001" in digits or "39986" in digits  # the volume is never what is cut


@pytest.mark.parametrize("language", LANGUAGES)
def test_usual_messages_take_one_part(bulletin: Bulletin, language: str) -> None:
    tr = Translator(language)
    real = dataclasses.replace(bulletin, simulated=False)
    for state in SENT_STATES:
        name = "حقل الزيتون" if language == "ar" else "Parcelle 12, bloc B"
        line = dataclasses.replace(extreme(real.lines[0], name, 32.0, 9.5, 44.0, 1), state=state)
        message = short_message(real, line, tr)
        assert message is not None and message.size.parts == 1 and name in message.text
        assert message.size.encoding == ("ucs-2" if language == "ar" else "gsm-7")


def test_nothing_is_said_of_what_was_not_let_out(bulletin: Bulletin) -> None:
    for line in bulletin.lines:
        said = short_message(bulletin, line, Translator("fr")), chat_message(bulletin, line, Translator("fr"))
        assert (said == (None, None)) == (line.state in ("awaiting", "rejected", "missing"))


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "http://evil.example/x", "www.evil.example", "evil.example", "@all", "*bold*", "a\nFrom: b\r\n\r\nhi", "javascript:alert(1)"])  # fmt: skip
@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_text_adds_no_line_link_or_mark(bulletin: Bulletin, name: str, language: str) -> None:
    line = extreme(bulletin.lines[0], name, 32.0, 2.0, None, 1)
    bare = dataclasses.replace(bulletin, contact=None)
    hostile = dataclasses.replace(line, crop=name, decision_reason=name)
    tr = Translator(language)
    chat, calm = chat_message(bare, hostile, tr), chat_message(bare, dataclasses.replace(line, name="A", crop="wheat", decision_reason="ok"), tr)  # fmt: skip
    assert chat is not None and calm is not None
    assert chat.count("\n") == calm.count("\n")
    assert not re.search(r"[*_~`<>]", chat) and not LINKS.search(chat), chat
    assert "\u202e" not in chat and "\x00" not in chat
    message = short_message(bare, hostile, tr)
    assert message is not None and not LINKS.search(message.text) and not re.search(r"[*~`<>]", message.text)


def test_a_negative_change_keeps_its_sign_in_chat(bulletin: Bulletin) -> None:
    line = extreme(bulletin.lines[0], "A", 32.0, 2.0, None, 1)
    for language, shown in (("fr", "-0,12"), ("en", "-0.12"), ("ar", "\u2066-0,12\u2069")):
        text = chat_message(bulletin, line, Translator(language))
        assert text is not None and shown in text and not math.isnan(line.amount_mm or 0)


def test_waiting_is_advised_for_as_long_as_the_advice_says(bulletin: Bulletin) -> None:
    line = dataclasses.replace(bulletin.lines[0], state="hold", edited=False, message=Message(key="advice.hold", params={"days": 3}))  # fmt: skip
    for language, said in (("fr", "pendant 3 jours"), ("en", "within 3 days"), ("ar", "3 أيام")):
        tr = Translator(language)
        message = short_message(bulletin, line, tr)
        assert message is not None and said in message.text
        decided = short_message(bulletin, dataclasses.replace(line, edited=True), tr)
        assert decided is not None and "3" not in decided.text.replace(plain_name(line.name)[:6], "")
