"""What leaves together: unsent updates of one record as one row, and rows of one kind as one request."""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from connectors.base import Connector
from connectors.ledger import Entry
from connectors.limits import RANKS, Rank
from schemas.commands import Command


class Unit(msgspec.Struct, frozen=True):
    """One row of a request: one command, or several updates of one record of which the later values win."""

    entries: tuple[Entry, ...]
    command: Command
    """What is asked of the CRM; its id is that of the last command."""

    @property
    def is_sent(self) -> bool:
        """Whether a request with it has left, and nobody knows what became of it."""
        return self.entries[0].state == "sent"

    @property
    def next_at(self) -> int:
        """When it is due."""
        return max(entry.next_at for entry in self.entries)

    @property
    def repeated(self) -> int:
        """How many of its commands were sent before."""
        return sum(entry.attempts > 0 for entry in self.entries)


def unit(entries: Sequence[Entry]) -> Unit:
    """The entries as one row."""
    last = entries[-1].command
    if len(entries) == 1:
        return Unit(tuple(entries), last)
    fields: dict[str, object] = {}
    for entry in entries:
        fields |= entry.command.fields
    return Unit(tuple(entries), msgspec.structs.replace(last, fields=fields))


def joins(first: Entry, entry: Entry) -> bool:
    """Whether a command may be one row with an earlier one of its record: plain updates that mean to be written alike.

    Those that left together stay together, so that their effect is looked up as it was written.
    """
    one, other = first.command, entry.command
    if not (_is_plain(one) and _is_plain(other)) or first.state != entry.state:
        return False
    alike = (one.tab, one.owner, one.trigger_native, one.on_unknown) == (
        other.tab, other.owner, other.trigger_native, other.on_unknown,
    )  # fmt: skip
    return alike and (entry.state == "planned" or first.sent_at == entry.sent_at)


def _is_plain(command: Command) -> bool:
    return command.operation == "update" and command.key is None and command.if_unmodified is None


def lane_of(command: Command) -> str:
    """Commands of one lane wait for each other: those of one record, or of one key."""
    if command.record_id:
        return f"{command.tab}/{command.record_id}"
    return f"{command.tab}?{command.key[0]}={command.key[1]}" if command.key else command.id


def group_of(command: Command) -> tuple[object, ...]:
    """Commands of one group may leave in one request."""
    return (command.tab, *_manner(command))


def _manner(command: Command) -> tuple[object, ...]:
    """What commands of one request share besides their tab."""
    key = command.key[0] if command.key else ""
    return (command.operation, key, command.trigger_native, command.if_unmodified)


def rank_of(commands: Iterable[Command]) -> Rank:
    """Of which class a request is: that of its most urgent command (D-101)."""
    return min((_rank(command) for command in commands), key=RANKS.index)


def worth(entries: Iterable[Entry]) -> int:
    """The place of some rows in the order of ranks: the least goes first."""
    return RANKS.index(rank_of(entry.command for entry in entries))


def _rank(command: Command) -> Rank:
    return command.rank or ("rule" if command.lane == "live" else "bulk")


def batches(ready: Sequence[Unit], connector: Connector, most: Callable[[Command], int]) -> list[list[Unit]]:
    """Batches that one request can carry; those to be looked up go alone. In order of rank, then of age.

    Rows of several tabs share a request where the vendor takes them. One that was sent before goes with its own tab
    only: a row of another tab may be why the whole request was refused.
    """
    groups: dict[tuple[object, ...], list[Unit]] = {}
    for one in sorted(ready, key=lambda one: worth(one.entries)):
        command = one.command
        alone = command.id if one.is_sent or connector.looks_first(command) else ""
        tab = "" if not one.repeated and _tabs(command, connector) > 1 else command.tab
        groups.setdefault((*_manner(command), tab, alone), []).append(one)
    found = [batch for units in groups.values() for batch in _filled(units, connector, most(units[0].command))]
    return sorted(found, key=lambda units: worth(units[0].entries))


def _filled(units: Sequence[Unit], connector: Connector, size: int) -> list[list[Unit]]:
    """Each unit in the first batch that has room for it, and for its tab."""
    tabs_at_once = _tabs(units[0].command, connector)
    found: list[list[Unit]] = []
    open_: list[tuple[list[Unit], set[str]]] = []
    for one in units:
        tab = one.command.tab
        place = next((place for place in open_ if tab in place[1] or len(place[1]) < tabs_at_once), None)
        if place is None:
            place = ([], set())
            found.append(place[0])
            open_.append(place)
        place[0].append(one)
        place[1].add(tab)
        if len(place[0]) >= size:
            open_.remove(place)
    return found


def _tabs(command: Command, connector: Connector) -> int:
    """How many tabs may share a request with this command."""
    plain = command.key is None and command.if_unmodified is None
    return connector.tabs_at_once.get(command.operation, 1) if plain else 1
