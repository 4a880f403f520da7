"""The commands of one connection in the embedded log, as its workers take and settle them, a lane each (D-101)."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import msgspec

from connectors.worker import Settled
from renkei.parts import Clock
from schemas import topics
from schemas.codec import pack
from schemas.commands import Command, Lane, Outcome
from schemas.messages import OutcomeOf
from streams import wire
from streams.store import Entry as LogEntry
from streams.store import NewEntry, Store

_AT_ONCE = 1_000
_TABLE = "CREATE TABLE IF NOT EXISTS settled (name TEXT, seq INTEGER, PRIMARY KEY (name, seq)) WITHOUT ROWID"
LANES: tuple[Lane, ...] = ("live", "bulk")


class _Position(msgspec.Struct):
    """How far a lane's commands are settled: all up to ``low``, and those named beyond it."""

    low: int = 0
    settled: set[int] = msgspec.field(default_factory=set)


class LoggedCommands:
    """What waits in one lane of a connection. What was read is kept in memory, so that looking again costs nothing."""

    def __init__(self, store: Store, connection: str, clock: Clock, lane: Lane = "live") -> None:
        self._clock, self._lane = clock, lane
        self._store, self._topic = store, topics.commands(connection)
        self._note = _note(connection, lane)
        if store.note(_note(connection, "bulk")) is None:  # until now both lanes were one
            store.set_note(_note(connection, "bulk"), store.note(_note(connection, "live")) or b"{}")
        self._position = _position(store, connection, lane)
        self._low = self._read_to = self._position.low
        self._open: dict[int, Command] = {}
        self._places: dict[str, list[int]] = {}

    def take(self, limit: int) -> list[Command]:
        """The oldest commands of the lane that are not settled, in order."""
        while len(self._open) < limit:
            entries = self._store.read(self._topic, self._read_to, _AT_ONCE)
            self._accept(entries)
            if len(entries) < _AT_ONCE:
                break
        return list(islice(self._open.values(), limit))

    def settle(self, outcomes: Sequence[Settled]) -> None:
        """Report outcomes to the journeys and move on, together."""
        done = self._settled(command.id for command, _ in outcomes)
        low = next((seq for seq in self._open if seq not in done), self._read_to + 1) - 1
        now = self._clock()
        with self._store.transaction():
            self._store.append([_report(command, outcome, now) for command, outcome in outcomes])
            self._move(low, [seq for seq in done if seq > low])
        for seq, command_id in done.items():
            self._forget(command_id, seq)

    def _settled(self, command_ids: Iterable[str]) -> dict[int, str]:
        """Where these commands stand; one that is named twice stands at its first two places."""
        done: dict[int, str] = {}
        for one in command_ids:
            place = next((seq for seq in self._places.get(one, ()) if seq not in done), None)
            if place is not None:
                done[place] = one
        return done

    def _accept(self, entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            self._read_to = entry.seq
            command = wire.read_entry(entry)
            if command.lane == self._lane and entry.seq not in self._position.settled:
                self._open[entry.seq] = command
                self._places.setdefault(command.id, []).append(entry.seq)

    def _forget(self, command_id: str, seq: int) -> None:
        del self._open[seq]
        self._places[command_id].remove(seq)
        if not self._places[command_id]:
            del self._places[command_id]

    def _move(self, low: int, beyond: Sequence[int]) -> None:
        database = self._store.database
        if self._position.settled or beyond:
            database.execute(_TABLE)
            old, self._position.settled = self._position.settled, set()
            rows = [(self._note, seq) for seq in {*old, *beyond} if seq > low]
            database.executemany("INSERT OR IGNORE INTO settled VALUES (?, ?)", rows)
        if low > self._low:
            self._low = low
            if _has_table(database):
                database.execute("DELETE FROM settled WHERE name = ? AND seq <= ?", (self._note, low))
        self._store.set_note(self._note, msgspec.json.encode(_Position(low)))


def waiting(store: Store, connection: str) -> Iterator[LogEntry]:
    """The messages of all commands of a connection that are not settled, in order."""
    positions = {lane: _position(store, connection, lane) for lane in LANES}
    after = min(one.low for one in positions.values())
    for entry in store.read(topics.commands(connection), after):
        position = positions[wire.read_entry(entry).lane]
        if entry.seq > position.low and entry.seq not in position.settled:
            yield entry


def _note(connection: str, lane: Lane) -> str:
    return f"position.{topics.commands(connection) if lane == 'live' else topics.bulk(connection)}"


def _position(store: Store, connection: str, lane: Lane) -> _Position:
    """How far a lane is; one that was never moved alone is where both were as one."""
    for name in dict.fromkeys([_note(connection, lane), _note(connection, "live")]):
        if kept := store.note(name):
            position = msgspec.json.decode(kept, type=_Position)
            if _has_table(store.database):
                rows = store.database.execute("SELECT seq FROM settled WHERE name = ?", (name,))
                position.settled |= {seq for (seq,) in rows}
            return position
    return _Position()


def _has_table(database: sqlite3.Connection) -> bool:
    found = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'settled'")
    return found.fetchone() is not None


def _report(command: Command, outcome: Outcome, now: int) -> NewEntry:
    message = OutcomeOf(at=now, chain=command.chain, fire=command.fire, outcome=outcome)
    return NewEntry(topics.JOURNEYS, command.journey, message.at, pack(message))
