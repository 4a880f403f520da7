"""Commands whose effect nobody can tell, and an operator's word on them (D-42, D-47)."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from connectors.ledger import Entry, Ledger, asked_for
from renkei.folder import Folder
from rules.state import Fire
from schemas import topics
from schemas.codec import pack
from schemas.commands import Applied, Command, Outcome, Rejected
from schemas.messages import Resume
from schemas.values import ref
from streams.history import rules_of_journeys
from streams.store import PATIENCE, NewEntry, Store

Word = Literal["retry", "skip", "done"]


class LedgerPlace(NamedTuple):
    """Where a row stands in a ledger on a broker, and at which offset of its lane its command does."""

    partition: int
    lane: str
    offset: int


class Doubt(NamedTuple):
    """A command of unknown effect and its connection."""

    connection: str
    entry: Entry
    place: LedgerPlace | None = None
    """On a broker."""

    @property
    def command(self) -> Command:
        """What was asked for."""
        return self.entry.command


def doubts(folder: Folder, file: Path) -> list[Doubt]:
    """All commands of unknown effect, per connection the oldest first."""
    found: list[Doubt] = []
    for name in folder.settings.connections:
        with ledger(file, name) as book:
            found += [Doubt(name, entry) for entry in book.unknown()]
    return found


def decide(file: Path, doubt: Doubt, word: Word, now: int, record: str = "") -> None:
    """Follow an operator's word: ``retry`` does it again, ``skip`` goes on without, ``done`` says that it happened.

    ``record`` is the id of the record that it made, for the steps that come after it (D-46).

    A fire that waits for the word goes on with it; else only the command itself is sent again, or let go.
    """
    command = doubt.command
    store = Store(file)
    try:
        fire = fire_of(store, command)
        stopped = fire is not None and waits_for(fire, command)
        if stopped:
            _append(store, NewEntry(topics.JOURNEYS, command.journey, now, pack(resumed(command, word, now, record))))
        with ledger(file, doubt.connection) as book:
            if word == "retry" and not stopped:
                book.again(command.id, now)
                key = f"{command.tab}/{command.record_id}" if command.record_id else command.journey
                _append(store, NewEntry(topics.commands(doubt.connection), key, now, pack(asked_for(command))))
            else:
                outcome = outcome_of(command, word, record)
                book.write([msgspec.structs.replace(doubt.entry, state="done", outcome=outcome)], now)
    finally:
        store.close()


@contextmanager
def ledger(file: Path, connection: str) -> Iterator[Ledger]:
    """The effect ledger of a connection in a state file."""
    with closing(sqlite3.connect(file, timeout=PATIENCE)) as database:
        database.execute("PRAGMA synchronous = FULL")
        yield Ledger(database, connection)


def _append(store: Store, entry: NewEntry) -> None:
    with store.transaction():
        store.append([entry])


def fire_of(store: Store, command: Command) -> Fire | None:
    """The fire that planned a command, if it is still on its way."""
    for key, memory in rules_of_journeys(store):
        if key == command.journey:
            return memory.fires.get(command.fire)
    return None


def waits_for(fire: Fire, command: Command) -> bool:
    """Whether a fire stands at the step of this command and waits for a word on it."""
    return fire.state == "attention" and (not fire.todo or fire.todo[0][0] == command.step or bool(fire.reads))


def resumed(command: Command, word: Word, now: int, record: str = "") -> Resume:
    """The word as the command's fire is told it."""
    if word != "done":
        return Resume(at=now, fire=command.fire, how=word)
    applied = _applied(command, record, command.fields)
    written = ref(command.tab, command.record_id) if command.record_id else ""
    return Resume(at=now, fire=command.fire, how=word, applied=applied, record=written)


def _applied(command: Command, record: str, fields: dict[str, Any]) -> Applied:
    return Applied(command_id=command.id, record_id=record or command.record_id, fields=fields, duplicate=True)


def outcome_of(command: Command, word: Word, record: str = "") -> Outcome:
    """What the ledger says of a command on which the word was given."""
    if word == "done":
        return _applied(command, record, {})
    reason = "an operator lets it go" if word == "skip" else "an operator has it done again, as a new command"
    return Rejected(command_id=command.id, code=f"operator_{word}", reason=reason)
