"""The record of what was sent, and of who wants nothing: nothing goes out twice, whatever is interrupted.

An item is entered before it is handed over (``begun``) and again after (``sent``, ``failed``). What is found ``begun`` when a
later run comes was cut off in between: nobody here can know whether it arrived. Such an item is not sent again unless a
person says so, or its channel gives the same result when repeated.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from agro.schema.errors import AgroError, ContractError

_TABLES = """
CREATE TABLE IF NOT EXISTS sent (
    key TEXT PRIMARY KEY, channel TEXT NOT NULL, address TEXT NOT NULL, about TEXT NOT NULL, issued_on TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('begun', 'sent', 'failed')), note TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS opted_out (channel TEXT NOT NULL, address TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (channel, address));
"""


def plain_address(address: str) -> str:
    """An address as it is compared: no blanks around, no difference of case."""
    return address.strip().casefold()


class SentRecord:
    """SQLite file of a region; nothing is created until something is entered.

    Parameters
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")  # what is entered survives a power cut
                connection.executescript(_TABLES)
                yield connection
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise ContractError(f"the record of what was sent cannot be used: {error}", where=str(self.path), do="Restore it; without it things would be sent twice") from error  # fmt: skip

    def states(self) -> dict[str, str]:
        """State by item key."""
        if not self.path.exists():
            return {}
        with self._open() as connection:
            return dict(connection.execute("SELECT key, state FROM sent"))

    def begin(
        self, key: str, channel: str, address: str, about: str, issued_on: str, at: datetime, again: bool
    ) -> bool:
        """Enter an item before it is handed over.

        Returns
        -------
        bool
            False when it was sent, or was begun and `again` is false, or another process has just begun it: leave it.
        """
        row = (key, channel, address, about, issued_on, _moment(at))
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = connection.execute("SELECT state FROM sent WHERE key = ?", (key,)).fetchone()
            if found is not None and (found[0] == "sent" or (found[0] == "begun" and not again)):
                connection.execute("ROLLBACK")
                return False
            connection.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?, ?, 'begun', '', ?)", row)
            connection.execute("COMMIT")
            return True

    def end(self, key: str, sent: bool, at: datetime, note: str = "") -> None:
        """Enter the outcome: `sent`, or known not to have gone out, so that a later run may try again."""
        with self._open() as connection:
            changed = connection.execute(
                "UPDATE sent SET state = ?, note = ?, at = ? WHERE key = ?", ("sent" if sent else "failed", note[:300], _moment(at), key)
            )  # fmt: skip
            if changed.rowcount != 1:
                raise AgroError("an item was ended that was never begun", where=key)

    def opt_out(self, channel: str, address: str, at: datetime) -> None:
        """Keep that a recipient wants nothing more on this channel."""
        with self._open() as connection:
            connection.execute("INSERT OR IGNORE INTO opted_out VALUES (?, ?, ?)", (channel, plain_address(address), _moment(at)))  # fmt: skip

    def opted_out(self) -> set[tuple[str, str]]:
        """Channel and address of all who want nothing."""
        if not self.path.exists():
            return set()
        with self._open() as connection:
            return {(c, a) for c, a in connection.execute("SELECT channel, address FROM opted_out")}


def _moment(at: datetime) -> str:
    if at.tzinfo is None:
        raise ContractError("the moment has no time zone", do="Give it in UTC")
    return at.isoformat(timespec="seconds")
