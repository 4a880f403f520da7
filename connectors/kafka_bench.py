"""One partition of one lane at a worker's desk: what waits there, and how far it is settled."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from connectors.base import Connector
from connectors.framing import Framing
from connectors.kafka_io import Delivered, Outgoing, Partition, Refused
from connectors.kafka_ledger import FINAL, Row, Rows
from connectors.ledger import Entry
from connectors.limits import Rank
from connectors.units import group_of, joins, lane_of, rank_of
from schemas import keys
from schemas.codec import CodecError, to_json
from schemas.commands import Command

WORST = 50
"""Messages in a row that cannot be read, after which a partition stops: then it is not the messages that are wrong."""
AGAIN = "again"
"""The header of a command that an operator has sent once more: what became of it before does not count."""


class Serves(Protocol):
    """Whose commands a worker takes."""

    @property
    def workspace(self) -> str:
        """The workspace."""
        ...

    @property
    def connection(self) -> str:
        """The connection."""
        ...


class Parked(NamedTuple):
    """A message that cannot be taken: where it stood, why, and the message as it came."""

    offset: int
    why: str
    told: Delivered | None

    def outgoing(self, topic: str, partition: Partition) -> Outgoing:
        """The note for a person; the message itself goes along in a header."""
        note = {
            "topic": partition.topic, "partition": partition.number, "offset": self.offset, "why": self.why,
            "how": "mend what wrote it, and let it write again; nothing else of the partition is held up",
        }  # fmt: skip
        key = None if self.told is None else self.told.key
        original = b"" if self.told is None else self.told.value or b""
        return Outgoing(topic, key, to_json(note), (("original", original),), 0)


class Bench:
    """The commands of one partition that wait, by offset. ``low``: all before it are settled; -1 while unknown."""

    def __init__(self, partition: Partition, lane: str, rows: Rows) -> None:
        self.partition, self.lane, self.rows = partition, lane, rows
        self.waiting: dict[int, Command] = {}
        self.low = -1
        self.next = -1
        self.is_open = False
        self._bad = 0

    def start_at(self, committed: int | None) -> None:
        """How far the group has settled this partition, if it has begun."""
        self.low = -1 if committed is None else committed

    def open(self, low: int, look_at: int) -> None:
        """Begin, with the ledger read. What another one sent is not looked up before ``look_at``: it may just leave."""
        self.low = self.next = low
        self.waiting.clear()
        self.is_open = True
        self._look_at = look_at

    def accept(self, told: Delivered, framing: Framing, serves: Serves) -> Iterator[Parked]:
        """Let a message wait, or say why it cannot be taken; what is settled already is passed over.

        Raises:
            Refused: too many in a row cannot be read; something is wrong with whoever writes, or with this reader.
        """
        if told.offset < self.next:
            return
        self.next = told.offset + 1
        try:
            command = _read(told, framing, serves)
        except (CodecError, ValueError) as error:
            self._bad += not isinstance(error, NotServed)
            if self._bad > WORST:
                place = f"{told.partition.topic} {told.partition.number}"
                raise Refused(f"{place}: {self._bad} messages in a row cannot be read: {error}") from None
            yield Parked(told.offset, str(error), told)
            return
        self._bad = 0
        if self.rows.settled_to(self.lane, command.id) < told.offset:
            if any(name == AGAIN for name, _ in told.headers):
                self._begin_again(command)
            self.waiting[told.offset] = command
            self._found_sent(command)

    def low_without(self, settled: set[int]) -> int:
        """Up to which offset all is settled once these are."""
        return next((offset for offset in self.waiting if offset not in settled), self.next)

    def _begin_again(self, command: Command) -> None:
        """What became of it before does not count: the row that says so may be of before an operator's word."""
        row = self.rows.get(self.lane, command.id)
        if row is not None and row.entry.state in FINAL:
            planned = Entry(command=command, state="planned", attempts=row.entry.attempts)
            self.rows.put(self.lane, Row(planned, row.offset))

    def _found_sent(self, command: Command) -> None:
        """A claim of somebody else is looked up a while after we came, by our own clock."""
        row = self.rows.get(self.lane, command.id)
        if row is not None and row.entry.state == "sent" and row.entry.next_at < self._look_at:
            later = msgspec.structs.replace(row.entry, next_at=self._look_at)
            self.rows.put(self.lane, Row(later, row.offset))


class NotServed(ValueError):  # noqa: N818
    """A message for a workspace or a connection that this worker does not serve."""


def _read(told: Delivered, framing: Framing, serves: Serves) -> Command:
    if told.value is None:
        raise CodecError("the message is empty")
    workspace, _ = keys.parted(told.key or b"")
    if workspace != serves.workspace:
        raise NotServed(f"workspace '{workspace}' is not served by this worker, which serves '{serves.workspace}'")
    command = framing.decode(told.value, told.headers)
    if not isinstance(command, Command):
        raise CodecError(f"a {type(command).__name__} is no command")
    if command.connection != serves.connection:
        raise NotServed(f"a command for connection '{command.connection}' stands here by mistake")
    return command


def one_batch(
    commands: Sequence[Command], entry: Callable[[str], Entry | None], connector: Connector, now: int
) -> list[Command]:
    """Of commands in order, one request's worth: the first of the highest rank that is due, others of its kind, and
    what is one row with one of them. None overtakes another command of its record.
    """
    best = _best(commands, entry, now)
    chosen: list[Command] = []
    first_of: dict[str, Entry] = {}
    most, group, busy = 1, None, set[str]()
    for command in commands:
        lane = lane_of(command)
        row = entry(command.id) or Entry(command=command, state="planned")
        if lane in busy:
            continue
        is_too_low = not chosen and rank_of([command]) != best
        if is_too_low or row.next_at > now or (lane in first_of and not joins(first_of[lane], row)):
            busy.add(lane)
        elif lane in first_of:
            chosen.append(command)
        elif not chosen or (row.state != "sent" and group_of(command) == group and len(first_of) < most):
            chosen.append(command)
            first_of[lane] = row
            if len(chosen) == 1:  # what was sent is looked up alone
                group, most = group_of(command), connector.most(command) if row.state != "sent" else 1
        else:
            busy.add(lane)
    return chosen


def _best(commands: Sequence[Command], entry: Callable[[str], Entry | None], now: int) -> Rank | None:
    """The highest rank of those that are due and first of their record; none where nothing is."""
    heads = {lane_of(command): command for command in reversed(commands)}.values()
    due = [one for one in heads if (row := entry(one.id)) is None or row.next_at <= now]
    return rank_of(due) if due else None
