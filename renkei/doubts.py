"""Commands whose effect nobody can tell, and an operator's word on them (D-42, D-47)."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from connectors.ledger import Entry, Ledger
from renkei.folder import Folder
from schemas import topics
from schemas.codec import pack
from schemas.commands import Applied, Command, Outcome, Rejected
from schemas.messages import Resume
from schemas.values import Ref
from streams.history import rules_of_journeys
from streams.store import NewEntry, Store

Word = Literal["retry", "skip", "done"]


class Doubt(NamedTuple):
    """A command of unknown effect and its connection."""

    connection: str
    entry: Entry

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


def decide(file: Path, doubt: Doubt, word: Word, now: int) -> None:
    """Follow an operator's word: ``retry`` does it again, ``skip`` goes on without, ``done`` says that it happened.

    A fire that waits for the word goes on with it; else only the command itself is sent again, or let go.
    """
    command = doubt.command
    store = Store(file)
    try:
        stopped = _is_stopped(store, command.journey, command.fire)
        if stopped:
            message = Resume(at=now, fire=command.fire, how="retry" if word == "retry" else "skip")
            _append(store, NewEntry(topics.JOURNEYS, command.journey, now, pack(message)))
        with ledger(file, doubt.connection) as book:
            if word == "retry" and not stopped:
                book.again(command.id, now)
                key = f"{command.tab}/{command.record_id}" if command.record_id else command.journey
                _append(store, NewEntry(topics.commands(doubt.connection), key, now, pack(command)))
            else:
                book.write([msgspec.structs.replace(doubt.entry, state="done", outcome=_outcome(command, word))], now)
    finally:
        store.close()


@contextmanager
def ledger(file: Path, connection: str) -> Iterator[Ledger]:
    """The effect ledger of a connection in a state file."""
    with closing(sqlite3.connect(file, timeout=30.0)) as database:
        database.execute("PRAGMA synchronous = FULL")
        yield Ledger(database, connection)


def _append(store: Store, entry: NewEntry) -> None:
    with store.transaction():
        store.append([entry])


def _is_stopped(store: Store, journey: Ref, fire: str) -> bool:
    """Whether the fire of a command waits for somebody to look at it."""
    for key, memory in rules_of_journeys(store):
        if key == journey:
            found = memory.fires.get(fire)
            return found is not None and found.state == "attention"
    return False


def _outcome(command: Command, word: Word) -> Outcome:
    if word == "done":
        return Applied(command_id=command.id, record_id=command.record_id, duplicate=True)
    reason = "an operator lets it go" if word == "skip" else "an operator has it done again, as a new command"
    return Rejected(command_id=command.id, code=f"operator_{word}", reason=reason)
