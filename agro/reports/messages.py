"""Advice as a short message of at most 160 characters and as a chat message, from advice let out only.

The wording is in the catalogues (``sms.*``, ``chat.*``). What people typed cannot add a line, a link or a mark of
formatting: see :func:`plain_name`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agro.reports.bulletin import Bulletin, ParcelLine
from agro.reports.i18n import Translator, clean_text
from agro.reports.sms import SmsSize, simple_text, sms_size
from agro.reports.view import notes_of, region_name, sentence_of

#: States of which there is something to say; advice that awaits a person, was refused or is missing is never sent.
SENT_STATES = ("irrigate", "hold", "inspect", "abstain")
MOST_CHARACTERS = 160
_LONGEST_NAME = 40
_SHORTEST_NAME = 6
_CHAT_MARKS = re.compile(r"[*_~`|<>\[\]]+")


@dataclass(frozen=True)
class ShortMessage:
    """A text and its size."""

    text: str
    size: SmsSize


def plain_name(text: str, limit: int = _LONGEST_NAME) -> str:
    """A name that no phone or chat turns into a link, a mention, a command or bold type: told by its words alone."""
    shown = _CHAT_MARKS.sub(" ", clean_text(text))
    shown = re.sub(r"\b[A-Za-z][A-Za-z0-9+.-]*:/+|:/+|//+|\\+", " ", shown)
    shown = re.sub(r"(?<=[^\W_])[.。．](?=[^\W\d_])", ". ", shown)
    shown = " ".join(shown.replace("@", " ").split()).lstrip("=+-/!#. ")
    return clean_text(shown, limit) or "?"


def short_message(bulletin: Bulletin, line: ParcelLine, tr: Translator) -> ShortMessage | None:
    """Say a parcel's advice as SMS.

    Parameters
    ----------
    bulletin : Bulletin
    line : ParcelLine
    tr : Translator

    Returns
    -------
    ShortMessage or None
        At most 160 characters. The full wording where it fits one part, else the brief one, and the name cut down to six
        characters before a second part is used (Arabic: 70 characters a part). None where nothing may be said.
    """
    if line.state not in SENT_STATES:
        return None
    key, params = _key(line), _params(line, tr)
    mark = f"{tr.text('sms.simulated')} " if bulletin.simulated else ""
    name = plain_name(line.name)
    best = ""
    for form in ("full", "brief"):
        for length in dict.fromkeys((_LONGEST_NAME, 24, 16, 10, _SHORTEST_NAME)):
            # Cut before it is made plain: an ellipsis becomes two points.
            best = simple_text(mark + tr.text(f"sms.{key}.{form}", name=tr.name(clean_text(name, length)), **params))
            if sms_size(best).parts == 1 and len(best) <= MOST_CHARACTERS:
                return ShortMessage(best, sms_size(best))
    best = best if len(best) <= MOST_CHARACTERS else best[: MOST_CHARACTERS - 2].rstrip() + ".."
    return ShortMessage(best, sms_size(best))


def chat_message(bulletin: Bulletin, line: ParcelLine, tr: Translator) -> str | None:
    """Say a parcel's advice with its reasons as plain lines for a chat; None where nothing may be said."""
    if line.state not in SENT_STATES:
        return None
    head = tr.text(
        "chat.head", region=tr.isolate(plain_name(region_name(bulletin, tr))), day=tr.date(bulletin.issued_on, "long")
    )
    about = tr.text(
        "chat.field", name=tr.isolate(plain_name(line.name)), crop=tr.isolate(plain_name(tr.word("crop", line.crop, bulletin.crop_names))), area_ha=line.area_ha,
    )  # fmt: skip
    notes = [f"- {note}" for note in map(_without_marks, notes_of(line, tr))]
    lines = [head, about, "", _without_marks(sentence_of(line, tr)), *notes]
    if bulletin.simulated:
        lines.insert(0, tr.text("bulletin.simulated"))
    if bulletin.contact:
        lines += ["", tr.text("sheet.contact", contact=tr.name(bulletin.contact, 120))]
    return "\n".join(lines)


def _without_marks(text: str) -> str:
    """A sentence of ours in which a person's reason may stand: no marks of formatting and no link."""
    plain = _CHAT_MARKS.sub(" ", text)
    plain = re.sub(r"[A-Za-z][A-Za-z0-9+.-]*:/+|//+", " ", plain)
    plain = re.sub(r"(?<=[^\W\d_])[.](?=[^\W\d_])", ". ", plain)
    return " ".join(plain.replace("@", " ").split(" "))


def _key(line: ParcelLine) -> str:
    if line.state == "hold" and _hold_days(line) is not None:
        return "hold_days"
    if line.state != "irrigate":
        return line.state
    return "irrigate_hours" if line.hours is not None else "irrigate"


def _params(line: ParcelLine, tr: Translator) -> Mapping[str, Any]:
    if line.state != "irrigate":
        return {"days": _hold_days(line)}
    same = line.window_end in (None, line.window_start)
    start, end = tr.date(line.window_start, "short"), tr.date(line.window_end, "short")
    window = start if same else tr.text("range.compact", low=start, high=end)
    hours = {} if line.hours is None else {"running_h": tr.quantity(line.hours, "h", 0 if line.hours >= 10 else 1)}
    return {"amount_mm": line.amount_mm, "volume_m3": line.volume_m3, "window": window, **hours}


def _hold_days(line: ParcelLine) -> Any:
    """Days without need that the advice names; None when a person decided or the crop is rainfed."""
    return line.message.params.get("days") if line.message is not None and not line.edited else None
