"""The effect ledger: what became of every command, so that each has one effect (D-42)."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import msgspec

from schemas.codec import Unpacker, pack
from schemas.commands import Command, Outcome, Uncertain

State = Literal["planned", "sent", "done", "unknown"]

_TABLE = """
CREATE TABLE IF NOT EXISTS ledger (
    command_id TEXT PRIMARY KEY,
    connection TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('planned', 'sent', 'done', 'unknown')),
    attempts INTEGER NOT NULL,
    lookups INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    sent_at INTEGER,
    updated_at INTEGER NOT NULL,
    command BLOB NOT NULL,
    outcome BLOB
) WITHOUT ROWID
"""
_BY_TIME = "CREATE INDEX IF NOT EXISTS ledger_by_time ON ledger (connection, state, updated_at)"
_WRITE = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_READ = "SELECT state, attempts, lookups, next_at, sent_at, updated_at, command, outcome FROM ledger WHERE "


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One command's row. ``next_at``: not before this time; ``lookups``: how often its effect was asked about."""

    command: Command
    state: State
    attempts: int = 0
    lookups: int = 0
    next_at: int = 0
    sent_at: int | None = None
    updated_at: int = 0
    outcome: Outcome | None = None


class EffectRows(Protocol):
    """Where a worker notes what became of each command: a ledger."""

    def entries(self, ids: Sequence[str]) -> dict[str, Entry]:
        """The rows of these commands, by id."""
        ...

    def write(self, entries: Sequence[Entry], now: int) -> None:
        """Notes these rows, all or none: durable when it returns.

        Rows with an outcome, and those written with them, may wait for the ``settle`` that follows, to be durable
        together with the report.
        """
        ...


class Ledger:
    """The rows of one connection, in a database that is this ledger's alone to commit. Times in milliseconds.

    Open it with ``synchronous=FULL`` where a power cut must not forget that a request was sent.
    """

    def __init__(self, database: sqlite3.Connection, connection: str) -> None:
        self._database = database
        self._connection = connection
        self._commands: Unpacker[Command] = Unpacker(Command)
        self._outcomes: Unpacker[Outcome] = Unpacker(Outcome)
        with database:
            database.execute(_TABLE)
            database.execute(_BY_TIME)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def entries(self, ids: Sequence[str]) -> dict[str, Entry]:
        """The rows of these commands, by id."""
        found: dict[str, Entry] = {}
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            marks = ", ".join("?" * len(some))
            for entry in self._select(f"command_id IN ({marks})", some):
                found[entry.command.id] = entry
        return found

    def write(self, entries: Iterable[Entry], now: int) -> None:
        """Notes these rows durably, all or none."""
        rows = [self._row(entry, now) for entry in entries]
        with self._database:
            self._database.executemany(_WRITE, rows)

    def unknown(self) -> list[Entry]:
        """The commands whose effect nobody can tell, oldest first: an operator decides about them."""
        return self._select("connection = ? AND state = 'unknown' ORDER BY updated_at", [self._connection])

    def recent(self, since: int) -> list[Entry]:
        """What was done since a time, oldest first: by this our own writes are recognised (D-60)."""
        where = "connection = ? AND state = 'done' AND updated_at >= ? ORDER BY updated_at"
        return self._select(where, [self._connection, since])

    def all(self, since: int) -> list[Entry]:
        """All rows but those of commands that were done before a time, oldest first."""
        where = "connection = ? AND (state <> 'done' OR updated_at >= ?) ORDER BY updated_at, command_id"
        return self._select(where, [self._connection, since])

    def again(self, command_id: str, now: int) -> bool:
        """Lets an unknown command be sent once more, on an operator's word; false where there is no such one."""
        entry = self.entries([command_id]).get(command_id)
        if entry is None or entry.state != "unknown":
            return False
        self.write([Entry(command=asked_for(entry.command), state="planned", attempts=entry.attempts)], now)
        return True

    def forget(self, before: int) -> int:
        """Drops what was done before a time; how many rows. Unknown ones stay until they are decided."""
        query = "DELETE FROM ledger WHERE connection = ? AND state = 'done' AND updated_at < ?"
        with self._database:
            return self._database.execute(query, [self._connection, before]).rowcount

    def _row(self, entry: Entry, now: int) -> tuple[object, ...]:
        outcome = None if entry.outcome is None else pack(entry.outcome)
        return (
            entry.command.id, self._connection, entry.state, entry.attempts, entry.lookups, entry.next_at,
            entry.sent_at, now, pack(entry.command), outcome,
        )  # fmt: skip

    def _select(self, where: str, values: Sequence[object]) -> list[Entry]:
        return [self._entry(row) for row in self._database.execute(_READ + where, values)]

    def _entry(self, row: tuple[State, int, int, int, int | None, int, bytes, bytes | None]) -> Entry:
        state, attempts, lookups, next_at, sent_at, updated_at, command, outcome = row
        return Entry(
            command=self._commands(command), state=state, attempts=attempts, lookups=lookups, next_at=next_at,
            sent_at=sent_at, updated_at=updated_at,
            outcome=None if outcome is None else self._outcomes(outcome),
        )  # fmt: skip


class Remembered:
    """A ledger's rows of the commands that are looked at, kept in memory by the one who writes them."""

    def __init__(self, rows: EffectRows) -> None:
        self._rows = rows
        self._known: dict[str, Entry | None] = {}

    def entries(self, ids: Sequence[str]) -> dict[str, Entry]:
        """The rows of these commands, by id; those of others are not kept."""
        new = [one for one in ids if one not in self._known]
        found = self._rows.entries(new) if new else {}
        known = self._known
        self._known = {one: known[one] if one in known else found.get(one) for one in ids}
        return {one: entry for one, entry in self._known.items() if entry is not None}

    def write(self, entries: Sequence[Entry], now: int) -> None:
        """Notes these rows durably, all or none."""
        self._rows.write(entries, now)
        self._known.update((entry.command.id, entry) for entry in entries)


def asked_for(command: Command) -> Command:
    """The command as one that a person waits for: of those that wait it goes first (D-101)."""
    return msgspec.structs.replace(command, rank="interactive")


def nobody_knows(command: Command) -> Uncertain:
    """The last word on a command whose effect cannot be told."""
    return Uncertain(
        command_id=command.id, reason="sent, not answered, and it cannot be looked up: see `renkei unknown`"
    )
