"""Hand items over, each at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from agro.delivery.channels import Channel, UnsureError
from agro.delivery.item import Item
from agro.delivery.sent import SentRecord, plain_address
from agro.schema.errors import SourceError

Outcome = Literal["would send", "sent", "sent before", "opted out", "no channel", "failed", "unsure"]


@dataclass(frozen=True)
class Delivery:
    """What became of an item."""

    item: Item
    outcome: Outcome
    note: str = ""

    @property
    def done(self) -> bool:
        """Whether nothing remains to be done about it."""
        return self.outcome in ("would send", "sent", "sent before", "opted out")


def deliver(
    items: Sequence[Item],
    channels: Mapping[str, Channel],
    record: SentRecord,
    clock: Callable[[], datetime],
    *,
    dry_run: bool = True,
    retry_unsure: bool = False,
) -> list[Delivery]:
    """Send what was not sent before.

    Parameters
    ----------
    items : sequence of Item
    channels : mapping of str to Channel
    record : SentRecord
    clock : callable
        Gives the moment, with its time zone, that is entered in the record.
    dry_run : bool
        Say what would be sent; nothing is sent or written.
    retry_unsure : bool
        Send again what was begun and never ended, at the risk of sending it twice.

    Returns
    -------
    list of Delivery
        One for each item, in order. A failure stops nothing else.
    """
    return [_one(item, channels, record, clock, dry_run, retry_unsure) for item in items]


def _one(
    item: Item, channels: Mapping[str, Channel], record: SentRecord, clock: Callable[[], datetime], dry_run: bool, retry_unsure: bool
) -> Delivery:  # fmt: skip
    # Looked at anew for each item: somebody may opt out while a long run is under way.
    if (item.channel, plain_address(item.address)) in record.opted_out():
        return Delivery(item, "opted out")
    channel = channels.get(item.channel)
    if channel is None:
        return Delivery(item, "no channel", f"the settings describe no {item.channel}")
    again = retry_unsure or channel.repeatable
    state = record.states().get(item.key)
    if state == "sent":
        return Delivery(item, "sent before")
    if state == "begun" and not again:
        return Delivery(item, "unsure", "begun before and never ended; see --retry-unsure")
    if dry_run:
        return Delivery(item, "would send")
    if not record.begin(item.key, item.channel, item.address, item.about, item.issued_on.isoformat(), clock(), again):
        return Delivery(item, "sent before", "by another process, or under way there")
    try:
        channel.send(item)
    except UnsureError as error:
        return Delivery(item, "unsure", str(error))  # stays begun
    except SourceError as error:
        record.end(item.key, False, clock(), str(error))
        return Delivery(item, "failed", str(error))
    record.end(item.key, True, clock())
    return Delivery(item, "sent")
