"""The effect ledger on Kafka: rows of a compacted topic, held in memory by whoever has the commands' partitions."""

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from connectors.kafka_io import PATIENCE, Admin, BrokerAway, Delivered, Outgoing, Partition
from connectors.kafka_reading import Consumer
from connectors.ledger import Entry, State
from connectors.quota import Spent
from schemas import keys
from schemas.codec import CodecError, Unpacker, pack
from schemas.values import DAY, HOUR

KEPT = 30 * DAY
"""How long a row stays after its command is done; unknown ones stay until somebody decides."""
FINAL: frozenset[State] = frozenset({"done", "unknown"})


class Row(msgspec.Struct, frozen=True):
    """A ledger entry, and the offset at which its command stands in its lane.

    The row of a settled command is written in one transaction with its report, so it says that the command at this
    offset, and whatever stood before it under the same id, is reported.
    """

    entry: Entry
    offset: int


class _Final(NamedTuple):
    """A settled row as it is kept: in bytes, since most are never looked at again."""

    state: State
    offset: int
    updated_at: int
    content: bytes


_read: Unpacker[Row] = Unpacker(Row)
_spent: Unpacker[Spent] = Unpacker(Spent)


class Rows:
    """The rows of one ledger partition and workspace, by lane and command id."""

    def __init__(self, workspace: str) -> None:
        self._workspace = workspace
        self._open: dict[str, Row] = {}
        self._final: dict[str, _Final] = {}
        self._spent: dict[str, Spent] = {}
        self.read_to = 0
        """The offset up to which the ledger's partition is in here."""

    def get(self, lane: str, command_id: str) -> Row | None:
        """The row of a command."""
        name = f"{lane}/{command_id}"
        if (final := self._final.get(name)) is not None:
            return _read(final.content)
        return self._open.get(name)

    def settled_to(self, lane: str, command_id: str) -> int:
        """The offset up to which a command of this id is reported; -1: not at all."""
        final = self._final.get(f"{lane}/{command_id}")
        return -1 if final is None else final.offset

    def unknown(self) -> Iterator[tuple[str, Row]]:
        """The rows of commands whose effect nobody can tell, each with its lane: an operator decides about them."""
        for name, final in self._final.items():
            if final.state == "unknown":
                yield name.partition("/")[0], _read(final.content)

    def spent(self, lane: str) -> Spent:
        """What the day was used for by those who had this partition of a lane, as far as they noted it."""
        return self._spent.get(lane, Spent())

    def put(self, lane: str, row: Row) -> None:
        """Keep a row that was written."""
        self._keep(f"{lane}/{row.entry.command.id}", row, pack(row))

    def outgoing(self, topic: str, number: int, lane: str, row: Row) -> Outgoing:
        """A row as it is written."""
        key = keys.in_workspace(self._workspace, f"{lane}/{row.entry.command.id}")
        return Outgoing(topic, key, pack(row), partition=number)

    def outgoing_spent(self, topic: str, number: int, lane: str, news: Spent) -> Outgoing:
        """What the day was used for with these news, as it is written and kept: under the lane's name."""
        whole = self._spent.setdefault(lane, Spent())
        whole.join(news)
        whole.trim()
        return Outgoing(topic, keys.in_workspace(self._workspace, lane), pack(whole), partition=number)

    def tombstone(self, topic: str, number: int, name: str) -> Outgoing:
        """What deletes a row."""
        return Outgoing(topic, keys.in_workspace(self._workspace, name), None, partition=number)

    def fold(self, told: Delivered) -> None:
        """Take in what the topic says; rows of other workspaces and rows that cannot be read are not ours."""
        self.read_to = max(self.read_to, told.offset + 1)
        try:
            workspace, name = keys.parted(told.key or b"")
            if workspace != self._workspace:
                return
            if told.value is None:
                self.forget(name)
            elif "/" not in name:
                self._spent[name] = _spent(told.value)
            else:
                self._keep(name, _read(told.value), told.value)
        except (CodecError, ValueError):
            return

    def old(self, before: int, most: int) -> list[str]:
        """The names of rows of commands that were done before a time."""
        found = (name for name, row in self._final.items() if row.state == "done" and row.updated_at < before)
        return [name for name, _ in zip(found, range(most), strict=False)]

    def forget(self, name: str) -> None:
        """Drop a row by its name, lane and id."""
        self._open.pop(name, None)
        self._final.pop(name, None)

    def __len__(self) -> int:
        return len(self._open) + len(self._final)

    def _keep(self, name: str, row: Row, content: bytes) -> None:
        self.forget(name)
        if row.entry.state in FINAL:
            self._final[name] = _Final(row.entry.state, row.offset, row.entry.updated_at, content)
        else:
            self._open[name] = row


class Restoring:
    """Reads ledger partitions up to what stands in them now, a while at a time.

    What an earlier owner's open transaction holds back is waited for: the broker ends it.
    """

    def __init__(self, admin: Admin, reader: Consumer, topic: str, rows: dict[int, Rows]) -> None:
        self._reader, self._rows, self._topic = reader, rows, topic
        partitions = [Partition(topic, number) for number in rows]
        self._ends = admin.ends(partitions)
        starts = admin.starts(partitions)
        reader.assign(partitions)
        for one in partitions:
            reader.seek(one, max(rows[one.number].read_to, starts[one]))

    def go_on(self, seconds: float) -> bool:
        """Read for so long at most; true once all is read."""
        deadline = time.monotonic() + seconds
        while left := [one for one in self._ends if (self._reader.position(one) or 0) < self._ends[one]]:
            if time.monotonic() > deadline:
                return False
            self._reader.hold(one for one in self._ends if one not in left)
            for told in self._reader.poll(100, 5_000):
                self._rows[told.partition.number].fold(told)
        return True


class LedgerTail:
    """The newest rows of a connection's whole ledger, for whoever recognises our own writes (D-60)."""

    def __init__(self, address: str, topic: str, partitions: int, workspace: str, since: int) -> None:
        self._workspace = workspace
        self._partitions = [Partition(topic, number) for number in range(partitions)]
        self._entries: dict[str, Entry] = {}
        self._reader = Consumer(address, name=f"tail {topic}")
        self._reader.assign(self._partitions)
        ends = self._reader.ends(self._partitions)
        for one, offset in self._reader.offsets_at(self._partitions, since).items():
            self._reader.seek(one, ends[one] if offset is None else offset)

    def recent(self, since: int) -> list[Entry]:
        """What was done since a time, oldest first; all that was committed before this call is in it."""
        self._read_on()
        self._entries = {name: one for name, one in self._entries.items() if one.updated_at >= since}
        return sorted(self._entries.values(), key=lambda entry: entry.updated_at)

    def close(self) -> None:
        """End."""
        self._reader.close()

    def _read_on(self) -> None:
        ends = self._reader.ends(self._partitions)
        deadline = time.monotonic() + PATIENCE / 1000
        while any((self._reader.position(one) or 0) < end for one, end in ends.items()):
            if time.monotonic() > deadline:
                raise BrokerAway("the ledger is not delivered to its end")
            for entry in _done(self._reader.poll(100, 5_000), self._workspace):
                self._entries.pop(entry.command.id, None)
                self._entries[entry.command.id] = entry


def _done(delivered: Iterable[Delivered], workspace: str) -> Iterator[Entry]:
    for told in delivered:
        try:
            ours = keys.parted(told.key or b"")[0] == workspace
            row = _read(told.value) if ours and told.value is not None else None
        except (CodecError, ValueError):
            continue
        if row is not None and row.entry.state == "done":
            yield row.entry


SWEEP_EVERY = HOUR
