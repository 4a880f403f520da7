"""Hostile mode: the same stages, each by itself over several partitions, with everything that a cluster can do to them.

Every message may arrive twice, at once or late; partitions take turns at random, one of them starved; a stage is
killed at any write and begins again from what was committed. All of it follows from one seed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal
from zlib import crc32

import msgspec

from rules.book import Book
from rules.rounds import Limits
from schemas import topics
from schemas.codec import pack
from schemas.commands import Command
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.messages import Loaded, Tick
from streams import wire
from streams.flow import THE_STAGES, Stages
from streams.relations import PAGE
from streams.stage import PARTITION_KEY, Changed, Noting, Output, Place, Source
from streams.store import Entry, Origin

CommitModel = Literal["transaction", "ordered"]
"""One transaction, or outputs first, then key states, the position row last (stage protocol, section 6)."""

MOST_STEPS = 2_000_000


@dataclass(frozen=True)
class Torment:
    """How hostile it is. ``crash`` and ``duplicate`` are shares of the steps and messages."""

    seed: int = 0
    partitions: int = 3
    crash: float = 0.2
    duplicate: float = 0.4
    batch: int = 4
    page: int = PAGE
    commit: CommitModel = "transaction"
    starved: bool = True


class Killed(Exception):  # noqa: N818 - it is what happens, not what is wrong
    """The stage was killed at this point."""


@dataclass
class Position:
    """The position row of one stage and partition: next offset, and the last origin of each upstream (section 6)."""

    next: int = 0
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass
class Host:
    """One stage of one partition: what is committed, and the stage in memory while it lives."""

    stage: str
    number: int
    inputs: list[Entry] = field(default_factory=list)
    rows: dict[str, dict[str, bytes]] = field(default_factory=dict)
    dues: dict[tuple[str, str], int] = field(default_factory=dict)
    """When the row of a key and part next needs a Tick."""
    applied: dict[str, int] = field(default_factory=dict)
    position: Position = field(default_factory=Position)
    alive: Any = None

    @property
    def behind(self) -> bool:
        """Whether there is anything to read."""
        return self.position.next < len(self.inputs)


class Hostile:
    """A runtime like ``Embedded``, made to fail. It answers the same calls."""

    def __init__(
        self,
        book: Book,
        torment: Torment,
        *,
        limits: Limits | None = None,
        channels: Mapping[str, str] | None = None,
        stages: Stages = THE_STAGES,
    ) -> None:
        self.book, self.torment = book, torment
        self.stages = stages
        self.limits, self.channels = limits or Limits(), dict(channels or {})
        self._random = Random(torment.seed)  # noqa: S311 - chance, not secrecy
        count = torment.partitions
        self.place = Place(records=count, relations=count, journeys=count)
        self.hosts = [Host(stage, number) for stage in topics.STAGES for number in range(count)]
        self._by_name = {(host.stage, host.number): host for host in self.hosts}
        self._left: list[Entry] = []
        self._late: list[tuple[Host, Entry]] = []
        self._clock = 0
        self.counts: Counter[str] = Counter()
        self.widest: Counter[str] = Counter()
        """The most messages, markers left out, that one step of each stage has said."""

    # -- the calls of a runtime --------------------------------------------------------------

    def append(self, events: Iterable[ChangeEvent]) -> None:
        """Put change events into the partitions of their records."""
        for event in events:
            entry = wire.change_entry(event)
            self._put("records", self.home(event.ref), entry.topic, entry.key, entry.at, entry.value)

    def tell(self, journey: str, message: Any) -> None:
        """Put an outcome, a signal or an operator's word to the journey."""
        self._put("journeys", self.home(journey), topics.JOURNEYS, journey, message.at, pack(message))

    def mark_loaded(self, tabs: Iterable[str], at: int) -> None:
        """Mark the end of a first load in every partition."""
        for tab in tabs:
            for number in range(self.torment.partitions):
                marker = pack(Loaded(at=at, tab=tab, generation=0, upstream=("capture", 0)))
                self._put("records", number, topics.changes(tab), wire.MARKER, at, marker)

    def run(self, now: int | None = None) -> int:
        """Run until everything has come to rest by ``now``; the steps that it took."""
        for steps in range(MOST_STEPS):
            if not self.step() and not (now is not None and self._tick(now)):
                return steps
        raise RuntimeError("hostile mode does not come to rest")

    def commands(self) -> list[Command]:
        """The commands so far, each once, in the order in which they first left."""
        found = {entry.value: entry for entry in self._left if entry.topic.startswith("commands.")}
        unique = {command.id: command for command in map(wire.read_entry, found.values())}
        return list(unique.values())

    def decisions(self) -> list[Decision]:
        """The decisions so far, each once: a reader of the topic drops repetitions as the stages do."""
        position = Position()
        told = [entry for entry in self._left if entry.topic == topics.DECISIONS]
        return [wire.read_entry(entry) for entry in told if not self.repeated(position, entry)]

    def parked(self) -> Sequence[str]:
        """Nothing: what cannot be taken is raised."""
        return ()

    # -- one step --------------------------------------------------------------

    def step(self) -> bool:
        """Let one partition, chosen by chance, take a few messages; false if there is nothing to do."""
        self._deliver_late()
        ready = [host for host in self.hosts if host.behind]
        if not ready:
            return False
        if self.torment.starved and len(ready) > 1 and self._random.random() < 0.9:
            ready = [host for host in ready if host.number != self.torment.seed % self.torment.partitions] or ready
        host = self._random.choice(ready)
        try:
            self.take(host, self._random.randint(1, self.torment.batch))
        except Killed:
            host.alive = None
            self.counts["crashes"] += 1
        return True

    def partition(self, stage: str, number: int) -> Any:
        """The stage in memory, opened from what is committed if it is not."""
        host = self._by_name[(stage, number)]
        if host.alive is None:
            host.alive = self._open(host)
        return host.alive

    def host(self, stage: str, number: int) -> Host:
        """One stage of one partition."""
        return self._by_name[(stage, number)]

    def take(self, host: Host, size: int) -> None:
        """Let one stage of one partition take its next messages and commit what follows from them.

        Raises:
            Killed: it died on the way; what is committed stays.
        """
        stage = self.partition(host.stage, host.number)
        position = Position(host.position.next, dict(host.position.seen))
        outputs: list[tuple[Output, int, Origin]] = []
        for entry in host.inputs[position.next : position.next + size]:
            position.next += 1
            if self.repeated(position, entry):
                self.counts["duplicates dropped"] += 1
                continue
            outputs += self._fold(host, stage, entry)
        if self.torment.commit == "transaction":
            self._commit_at_once(host, stage, position, outputs)
        else:
            self._commit_in_order(host, stage, position, outputs)

    def _commit_at_once(
        self, host: Host, stage: Any, position: Position, outputs: list[tuple[Output, int, Origin]]
    ) -> None:
        changed = list(stage.changed())
        self.maybe_crash()
        self.send(outputs)
        write(host, changed)
        host.position = position
        self.maybe_crash()

    def _commit_in_order(
        self, host: Host, stage: Any, position: Position, outputs: list[tuple[Output, int, Origin]]
    ) -> None:
        self._send_or_die(outputs)
        by_key: dict[str, list[Changed]] = {}
        for row in stage.changed():
            by_key.setdefault(row.key, []).append(row)
        of_partition = by_key.pop(PARTITION_KEY, [])
        for key, rows in by_key.items():
            self.maybe_crash()
            write(host, rows)
            host.applied[key] = position.next - 1
        self.maybe_crash()
        write(host, of_partition)  # the position row is written last, and this is part of it
        host.position = position

    def _send_or_die(self, outputs: list[tuple[Output, int, Origin]]) -> None:
        """Send all of it, or be killed somewhere on the way."""
        if self.dies():
            self.send(outputs[: self._random.randint(0, len(outputs))])
            raise Killed
        self.send(outputs)

    def _fold(self, host: Host, stage: Any, entry: Entry) -> list[tuple[Output, int, Origin]]:
        """One message through the stage, unless its key has applied it before the last crash."""
        message = wire.read_entry(entry)
        if self._applied(host, entry):
            self.counts["applied already"] += 1
            if isinstance(stage, Noting):
                stage.note(entry.key, message)
            return []
        told = stage.step(entry.key, message, Source(host.number, entry.seq))
        self.counts["steps"] += 1
        said = sum(not isinstance(one.message, Loaded) for one in told if wire.stage_of(one.topic))
        self.widest[host.stage] = max(self.widest[host.stage], said)
        upstream = f"{host.stage}/{host.number}"
        return [(one, entry.at, Origin(upstream, entry.seq, index)) for index, one in enumerate(told)]

    def _applied(self, host: Host, entry: Entry) -> bool:
        """Whether the state of the message's key was written with it already; markers have no key of their own."""
        return bool(entry.key) and host.applied.get(entry.key, -1) >= entry.seq

    def repeated(self, position: Position, entry: Entry) -> bool:
        """Whether the origin is not greater than the last one of that upstream partition (section 6)."""
        origin = entry.origin
        if not origin.upstream:
            return False
        last = position.seen.get(origin.upstream, (-1, -1))
        if (origin.offset, origin.number) <= last:
            return True
        position.seen[origin.upstream] = (origin.offset, origin.number)
        return False

    # -- messages --------------------------------------------------------------

    def send(self, outputs: list[tuple[Output, int, Origin]]) -> None:
        """Put messages where they belong, some of them twice, now or late."""
        for output, at, origin in outputs:
            stage = wire.stage_of(output.topic)
            entry = Entry(0, output.topic, 0, output.key, at, pack(output.message), origin)
            if not stage:
                self._left.append(entry)
                continue
            number = output.partition if output.partition is not None else self.home(output.key)
            host = self._by_name[(stage, number)]
            self._arrive(host, entry)
            if self._random.random() < self.torment.duplicate:
                if self._random.random() < 0.5:
                    self._arrive(host, entry)
                else:
                    self._late.append((host, entry))

    def _deliver_late(self) -> None:
        if self._late and self._random.random() < 0.3:
            host, entry = self._late.pop(self._random.randrange(len(self._late)))
            self._arrive(host, entry)

    def _arrive(self, host: Host, entry: Entry) -> None:
        host.inputs.append(msgspec.structs.replace(entry, seq=len(host.inputs)))

    def _put(self, stage: str, number: int, topic: str, key: str, at: int, value: bytes) -> None:
        self._arrive(self._by_name[(stage, number)], Entry(0, topic, 0, key, at, value, Origin()))

    @property
    def next_due(self) -> int | None:
        """When the next timer of any partition is due."""
        dues = [self.partition("journeys", number).next_due for number in range(self.torment.partitions)]
        return min((due for due in dues if due is not None), default=None)

    def _tick(self, now: int) -> bool:
        ticked = False
        for number in range(self.torment.partitions):
            due = self.partition("journeys", number).next_due
            if due is not None and due <= now:
                self._put("journeys", number, topics.JOURNEYS, wire.MARKER, now, pack(Tick(at=now)))
                ticked = True
        return ticked

    # -- hosts --------------------------------------------------------------

    def _open(self, host: Host) -> Any:
        place = self.place._replace(number=host.number)
        rows = {key: dict(parts) for key, parts in host.rows.items()}
        if host.stage == "records":
            return self.stages.records(self.book, place, rows)
        if host.stage == "relations":
            return self.stages.relations(place, rows, page=self.torment.page)
        dues = {key: due for (key, _), due in host.dues.items()}
        return self.stages.journeys(self.book, place, rows, dues, limits=self.limits, channels=self.channels)

    def home(self, key: str) -> int:
        """The partition of a key."""
        return crc32(key.encode()) % self.torment.partitions

    def dies(self) -> bool:
        """Whether the stage is killed before its next write."""
        return self._random.random() < self.torment.crash

    def maybe_crash(self) -> None:
        """Die here, perhaps."""
        if self.dies():
            raise Killed

    def states(self, stage: str) -> Iterator[tuple[str, Any]]:
        """All keys of a stage with their states, from what is committed."""
        for number in range(self.torment.partitions):
            states = self.partition(stage, number).states
            for key in states.names():
                yield key, states.get(key)


def write(host: Host, changed: Iterable[Changed]) -> None:
    """Commit rows of a stage."""
    for row in changed:
        if row.content is not None:
            host.rows.setdefault(row.key, {})[row.part] = row.content
        elif row.key in host.rows:
            host.rows[row.key].pop(row.part, None)
            if not host.rows[row.key]:
                del host.rows[row.key]
        host.dues.pop((row.key, row.part), None)
        if row.due is not None:
            host.dues[row.key, row.part] = row.due
