"""A worker's desk on Kafka: commands come from two lanes; rows, reports and offsets go out in one transaction each.

A claim carries the offsets with the group's generation, so whoever lost its partitions cannot claim (KIP-447). What an
earlier owner left open is waited for before anything is taken: first its offsets, then its ledger.
"""

import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from secrets import token_hex

import msgspec

from connectors.base import Connector
from connectors.framing import Framing
from connectors.kafka_bench import Bench, Parked, one_batch
from connectors.kafka_io import Admin, BrokerAway, Fenced, KafkaTrouble, Membership, Outgoing, Partition, Producer
from connectors.kafka_ledger import KEPT, SWEEP_EVERY, Restoring, Row, Rows
from connectors.kafka_reading import Consumer, Gap, Stalled
from connectors.kafka_spending import Spending
from connectors.lease import Lease
from connectors.ledger import Entry
from connectors.limits import Limiter
from connectors.patience import Policy
from connectors.worker import Settled
from schemas import keys, topics
from schemas.commands import Command, Outcome, Report

LONGEST_TURN = 5.0
"""Seconds after which a turn begins no further batch, so that a rebalance need not wait long."""
LIVE, BULK = "live", "bulk"
WINDOWS = {LIVE: 2_000, BULK: 2_000}
"""Commands that wait in memory at most, per partition and lane."""


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection's commands are worked on. Times in milliseconds.

    ``partitions`` is the count of every topic of the project. ``session``: how long a worker may be silent before
    others get its partitions. ``lease``: how long after its claim a request may still leave; less than
    ``Policy.first_look``, after which the next owner looks whether it left.
    """

    address: str
    connection: str
    partitions: int
    workspace: str = keys.MAIN
    prefix: str = ""
    spread: bool = False
    session: int = 10_000
    lease: int = Policy().first_look // 2
    first_look: int = Policy().first_look
    name: str = msgspec.field(default_factory=lambda: f"{socket.gethostname()}.{os.getpid()}.{token_hex(4)}")
    """Of this worker among all."""

    def topic(self, name: str) -> str:
        """A topic with the project's prefix."""
        return self.prefix + name

    @property
    def lanes(self) -> dict[str, str]:
        """The lane that each command topic is."""
        own = self.connection
        return {self.topic(topics.commands(own)): LIVE, self.topic(topics.bulk(own)): BULK}


class KafkaDesk:
    """Rows and command source of one connection's ``Worker``, live lane first.

    Everything raises BrokerAway or Fenced; then call ``start_over``, and nothing that was in memory counts any more.
    """

    def __init__(
        self,
        office: Office,
        framing: Framing,
        connector: Connector,
        clock: Callable[[], int],
        lease: Lease,
        limiter: Limiter,
    ) -> None:
        self._office, self._framing, self._connector = office, framing, connector
        self._clock, self._lease, self._limiter = clock, lease, limiter
        self._spending = Spending(self._limiter, clock)
        self._ledger = office.topic(topics.ledger(office.connection))
        self._admin: Admin | None = None
        self._reader: Consumer | None = None
        self._consumer: Consumer | None = None
        self._producer = self._new_producer()
        self._member: Membership | None = None
        self._benches: dict[Partition, Bench] = {}
        self._rows: dict[int, Rows] = {}
        self._restoring: Restoring | None = None
        self._taken: dict[str, tuple[Bench, int]] = {}
        self._unreported: list[tuple[Bench, Row]] = []
        self._began = 0.0
        self._idle = True
        self._sweep_at = 0
        self.parked = {topic.removeprefix(office.prefix): 0 for topic in office.lanes}
        """How many messages were set aside so far, by topic."""

    # -- what a worker asks ------------------------------------------------------

    def take(self, limit: int) -> Sequence[Command]:
        """The commands to look at: those of the live lane, and behind them one batch of the bulk lane."""
        self._began = time.monotonic()
        now = self._clock()
        self._taken.clear()
        self._unreported.clear()
        self._lease.end()
        self._read()
        if not self._is_open():
            return []
        self._look_after(now)
        commands = self._chosen(LIVE, limit)
        if self._limiter.spare(now):
            commands += one_batch(self._chosen(BULK, limit), self.entry, self._connector, now)
        self._idle = not any(self._due(command, now) for command in commands)
        return commands

    def entries(self, ids: Sequence[str]) -> dict[str, Entry]:
        """The rows of commands that were taken."""
        return {one: entry for one in ids if (entry := self.entry(one)) is not None}

    def entry(self, command_id: str) -> Entry | None:
        """The row of a command that was taken."""
        bench, _ = self._taken[command_id]
        row = bench.rows.get(bench.lane, command_id)
        return None if row is None else row.entry

    def write(self, entries: Sequence[Entry], now: int) -> None:
        """Notes rows; a claim is committed with the offsets of its partitions, or Fenced."""
        rows = [(self._taken[entry.command.id][0], self._row(entry, now)) for entry in entries]
        if any(entry.outcome for entry in entries):
            self._unreported = rows
            return
        is_claim = any(entry.state == "sent" and not entry.lookups for entry in entries)
        if is_claim:
            self._lease.begin()  # it counts from before: a process may be stopped while it commits
        else:
            self._lease.end()
        self._commit(rows)

    def settle(self, outcomes: Sequence[Settled]) -> None:
        """Reports outcomes, with their rows and offsets in one transaction."""
        now = self._clock()
        self._lease.end()
        rows = {row.entry.command.id: (bench, row) for bench, row in self._unreported}
        self._unreported = []
        for command, _ in outcomes:  # one that came again is noted at its new place
            if command.id not in rows and (entry := self.entry(command.id)) is not None:
                rows[command.id] = (self._taken[command.id][0], self._row(entry, entry.updated_at))
        self._commit(list(rows.values()), [self._report(command, outcome, now) for command, outcome in outcomes])

    # -- what else a part asks ------------------------------------------------------

    def may_go_on(self) -> bool:
        """Whether another batch may begin before the group is looked at again."""
        moving = self._consumer is None or self._consumer.is_moving()
        return not moving and time.monotonic() - self._began < LONGEST_TURN

    @property
    def is_ready(self) -> bool:
        """Whether this worker is a member of its group, with all its ledgers read."""
        return self._member is not None and all(bench.is_open for bench in self._benches.values())

    @property
    def share(self) -> float:
        """The share of the connection's live partitions that is this worker's."""
        live = sum(bench.lane == LIVE for bench in self._benches.values())
        return live / self._office.partitions

    def waiting(self) -> dict[str, int]:
        """How many commands wait in memory, by lane."""
        found = {LIVE: 0, BULK: 0}
        for bench in self._benches.values():
            found[bench.lane] += len(bench.waiting)
        return found

    def start_over(self, error: KafkaTrouble) -> None:
        """Forget what may not have been committed, and read it anew."""
        self._producer.close()
        self._producer = self._new_producer()
        self._benches = {one: self._bench(one) for one in self._benches}
        self._restoring = None
        if isinstance(error, Stalled):
            self._leave()

    def close(self) -> None:
        """Leave the group and end; what was claimed and not answered is looked up by whoever comes next."""
        with suppress(KafkaTrouble):
            self._note_spent(at_last=True)
        self._leave()
        for one in (self._reader, self._admin, self._producer):
            if one is not None:
                one.close()

    # -- partitions ------------------------------------------------------

    def _join(self) -> Consumer:
        office = self._office
        if self._consumer is None:
            group = office.topic(f"renkei.connectors.{office.connection}")
            self._consumer = Consumer(office.address, group=group, session=office.session)
            self._consumer.subscribe(list(office.lanes), self._assigned, self._revoked)
        return self._consumer

    def _leave(self) -> None:
        consumer, self._consumer, self._member = self._consumer, None, None
        self._benches.clear()
        if consumer is not None:
            consumer.close()

    def _assigned(self, partitions: frozenset[Partition], member: Membership) -> None:
        self._member = member
        self._benches = {one: self._bench(one) for one in sorted(partitions)}
        self._restoring = None

    def _revoked(self, partitions: frozenset[Partition]) -> None:
        for one in partitions:
            self._benches.pop(one, None)
        self._member = None

    def _bench(self, one: Partition) -> Bench:
        rows = self._rows.setdefault(one.number, Rows(self._office.workspace))
        return Bench(one, self._office.lanes[one.topic], rows)

    def _read(self) -> None:
        """Take in what came; sleep a little where nothing waits."""
        consumer = self._join()
        parked: list[tuple[Bench, Parked]] = []
        for number in range(8):
            try:
                wait = 300 if consumer.is_moving() else 100 if self._idle and not number else 0
                found = consumer.poll(wait, 1_000)
            except Gap as gap:
                self._over_the_gap(consumer, gap)
                continue
            for told in found:
                if (bench := self._benches.get(told.partition)) is not None and bench.is_open:
                    parked += [(bench, one) for one in bench.accept(told, self._framing, self._office)]
            consumer.hold(one for one, bench in self._benches.items() if len(bench.waiting) >= WINDOWS[bench.lane])
            if not found:
                break
        # What was read before the partitions were given out anew is read again, or by another worker.
        self._park([(bench, one) for bench, one in parked if self._benches.get(bench.partition) is bench])

    def _is_open(self) -> bool:
        """Read the ledgers of partitions that are new, a while at a time; whether all are read."""
        closed = [bench for bench in self._benches.values() if not bench.is_open]
        if not closed:
            return bool(self._benches)
        consumer = self._join()
        if self._restoring is None:
            for bench in closed:
                bench.start_at(consumer.committed(bench.partition))
            numbers = {one.number for one in self._benches}
            self._rows = {number: rows for number, rows in self._rows.items() if number in numbers}
            self._admin = self._admin or Admin(self._office.address)
            self._reader = self._reader or Consumer(self._office.address, name=f"ledger {self._office.connection}")
            self._restoring = Restoring(self._admin, self._reader, self._ledger, self._rows)
        if not self._restoring.go_on(1.0):
            return False
        self._restoring = None
        look_at = self._clock() + self._office.first_look
        for bench in closed:
            bench.open(self._first_of(bench) if bench.low < 0 else bench.low, look_at)
            consumer.seek(bench.partition, bench.next)
        self._spending.open(self._benches.values())
        return False  # nothing is read yet

    def _first_of(self, bench: Bench) -> int:
        assert self._admin is not None
        return self._admin.starts([bench.partition])[bench.partition]

    def _over_the_gap(self, consumer: Consumer, gap: Gap) -> None:
        """Go on behind what the broker deleted before anybody applied it, and leave a note for a person."""
        self._admin = self._admin or Admin(self._office.address)
        for one, start in self._admin.starts(gap.lost).items():
            if (bench := self._benches.get(one)) is None:
                continue
            why = f"commands {bench.next} to {start - 1} were deleted by retention before they were applied"
            self._park([(bench, Parked(bench.next, why, None))])
            bench.open(start, 0)
            consumer.seek(one, start)

    # -- choosing ------------------------------------------------------

    def _chosen(self, lane: str, limit: int) -> list[Command]:
        """The oldest open commands of a lane, of all its partitions in turn; each id once."""
        chosen: list[Command] = []
        for bench in self._benches.values():
            if bench.lane != lane:
                continue
            for offset, command in bench.waiting.items():
                if len(chosen) >= limit:
                    return chosen
                if command.id not in self._taken:
                    self._taken[command.id] = (bench, offset)
                    chosen.append(command)
        return chosen

    def _due(self, command: Command, now: int) -> bool:
        entry = self.entry(command.id)
        return entry is None or entry.next_at <= now

    # -- writing ------------------------------------------------------

    def _new_producer(self) -> Producer:
        office = self._office
        name = office.topic(f"renkei.connectors.{office.connection}.{office.name}")
        return Producer(office.address, transactional_id=f"{name}.{token_hex(2)}", timeout=office.session)

    def _row(self, entry: Entry, now: int) -> Row:
        offset = self._taken[entry.command.id][1]
        return Row(msgspec.structs.replace(entry, updated_at=now), offset)

    def _report(self, command: Command, outcome: Outcome, now: int) -> Outgoing:
        office = self._office
        report = Report(
            at=now, connection=office.connection, journey=command.journey, fire=command.fire, outcome=outcome,
            chain=command.chain,
        )  # fmt: skip
        value, headers = self._framing.encode(report)
        partition = keys.home(office.workspace, command.journey, office.partitions, office.spread)
        key = keys.in_workspace(office.workspace, command.journey)
        return Outgoing(office.topic(topics.OUTCOMES), key, value, headers, partition, now)

    def _commit(self, rows: Sequence[tuple[Bench, Row]], others: Sequence[Outgoing] = ()) -> None:
        """Rows, reports and offsets together; in memory only once they are committed."""
        if self._member is None:
            raise Fenced("this worker's partitions are being given out anew")
        done = {bench.partition: bench for bench, _ in rows}
        settled = [(bench, row) for bench, row in rows if row.entry.outcome]
        lows = {
            one: bench.low_without({row.offset for at, row in settled if at is bench}) for one, bench in done.items()
        }
        with self._producer.transaction() as transaction:
            for bench, row in rows:
                transaction.send(bench.rows.outgoing(self._ledger, bench.partition.number, bench.lane, row))
            for out in others:
                transaction.send(out)
            transaction.offsets(lows, self._member)
        for bench, row in rows:
            bench.rows.put(bench.lane, row)
        for bench, row in settled:
            bench.waiting.pop(row.offset, None)
        for one, low in lows.items():
            done[one].low = low

    def _park(self, parked: Sequence[tuple[Bench, Parked]]) -> None:
        """Put what cannot be taken aside, with the reason, and move on."""
        if not parked:
            return
        topic = self._office.topic(topics.PARKED)
        self._move([one.outgoing(topic, bench.partition) for bench, one in parked], {bench for bench, _ in parked})
        for bench, _ in parked:
            self.parked[bench.partition.topic.removeprefix(self._office.prefix)] += 1

    def _move(self, out: Iterable[Outgoing], benches: Iterable[Bench]) -> None:
        if self._member is None:
            raise Fenced("this worker's partitions are being given out anew")
        lows = {bench.partition: bench.low_without(set()) for bench in benches}
        with self._producer.transaction() as transaction:
            for one in out:
                transaction.send(one)
            transaction.offsets(lows, self._member)
        for at, low in lows.items():
            self._benches[at].low = low

    def _look_after(self, now: int) -> None:
        """Commit how far is read where nothing else does, and drop rows of a month ago."""
        idle = [bench for bench in self._benches.values() if not bench.waiting and bench.low < bench.next]
        if idle:
            self._move([], idle)
        self._note_spent()
        if now < self._sweep_at:
            return
        self._sweep_at = now + SWEEP_EVERY
        with suppress(BrokerAway):
            self._sweep(now - KEPT)

    def _note_spent(self, *, at_last: bool = False) -> None:
        """What was spent of the day stays with the partitions."""
        if out := self._spending.note(self._ledger, self._benches.values(), at_last=at_last):
            self._move([out], self._benches.values())

    def _sweep(self, before: int) -> None:
        for bench in self._benches.values():
            names = bench.rows.old(before, 1_000)
            if not names:
                continue
            number = bench.partition.number
            self._move([bench.rows.tombstone(self._ledger, number, name) for name in names], [bench])
            for name in names:
                bench.rows.forget(name)
