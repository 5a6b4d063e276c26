"""``agro send``: what was let out goes to those who asked for it, once; by default it only says what it would send."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pipelines.printing import DateOption, JsonOption, WorkspaceOption, err, out, print_json

#: Record of what was sent, in the region's folder of the workspace.
SENT_FILE = "sent.sqlite"


def send_command(
    workspace: WorkspaceOption,
    as_of: DateOption,
    contacts: Annotated[Path, typer.Option("--contacts", "-c", help="CSV: about, id, channel, address, language, form.")],
    settings: Annotated[Path, typer.Option("--settings", "-s", help="YAML: email, folder, webhook, reviewed_only.")],
    region: Annotated[str | None, typer.Option("--region", "-r", help="Region id; not needed when there is one.")] = None,
    really: Annotated[bool, typer.Option("--really", help="Send. Without it nothing leaves and nothing is written.")] = False,
    retry_unsure: Annotated[bool, typer.Option("--retry-unsure", help="Send again what was cut off, at the risk of sending it twice.")] = False,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """Send sheets, messages and bulletins of advice that was let out.

    Example: agro send -w demo -d 2022-04-11 -c contacts.csv -s send.yaml --really
    """
    from pydantic import ValidationError

    from agro.delivery.channels import SendSettings
    from agro.delivery.contacts import read_contacts
    from agro.delivery.deliver import deliver
    from agro.delivery.outbox import make_outbox
    from agro.delivery.sent import SentRecord
    from agro.reports.publish import translators_of
    from agro.schema.crops import parse_error, read_yaml
    from pipelines.status import region_of
    from pipelines.weekly import bulletin_of

    try:
        ways = SendSettings.model_validate(read_yaml(settings) or {})
    except ValidationError as error:
        raise parse_error(error, settings) from error
    store = region_of(workspace, region)
    run = store.run(as_of)
    people, rejected = read_contacts(contacts)
    translators = {tr.language: tr for tr in translators_of(store, sorted({p.language for p in people}))}
    items, nothing = make_outbox(store, run, bulletin_of(store, run), people, translators, ways.reviewed_only)
    record = SentRecord(store.path / SENT_FILE)
    deliveries = deliver(
        items, ways.open(), record, lambda: datetime.now(UTC), dry_run=not really, retry_unsure=retry_unsure
    )  # fmt: skip
    left = [*rejected, *nothing]
    if as_json:
        rows = [
            {"channel": d.item.channel, "address": d.item.address, "about": d.item.about, "outcome": d.outcome, "note": d.note, "key": d.item.key}
            for d in deliveries
        ]  # fmt: skip
        print_json({"dry_run": not really, "deliveries": rows, "left_out": left})
    else:
        for d in deliveries:
            note = f" ({d.note})" if d.note else ""
            out.print(
                escape(f"  {d.outcome:<12}{d.item.channel} {d.item.address}: {d.item.about}, {d.item.language}{note}")
            )
        for row in left:
            err.print("[yellow]left out[/] " + escape(f"{row['item']}: {row['reason']} ({row['remedy']})"))
        counts = Counter(d.outcome for d in deliveries)
        out.print("; ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())) or "nothing to send")
    raise typer.Exit(0 if all(d.done for d in deliveries) and not left else 3)


def opt_out_command(
    workspace: WorkspaceOption,
    channel: Annotated[str, typer.Argument(help="email, folder or webhook.")],
    address: Annotated[str, typer.Argument(help="Address as in the contacts.")],
    region: Annotated[
        str | None, typer.Option("--region", "-r", help="Region id; not needed when there is one.")
    ] = None,
) -> None:
    """Keep that somebody wants nothing more on a channel; no contacts file brings them back.

    Example: agro opt-out -w demo webhook +212600000000
    """
    from agro.delivery.contacts import CHANNELS
    from agro.delivery.sent import SentRecord
    from agro.schema.errors import ConfigError
    from pipelines.status import region_of

    if channel not in CHANNELS:
        raise ConfigError(f"unknown channel {channel!r}", where="opt-out", do=f"Choose {', '.join(CHANNELS)}")
    SentRecord(region_of(workspace, region).path / SENT_FILE).opt_out(channel, address, datetime.now(UTC))
    out.print(escape(f"  {address} gets nothing more by {channel}"))
