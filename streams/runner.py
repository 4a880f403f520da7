"""The runner of one partition: opens it, restores it, folds what was read and commits what follows as one.

Positions are the state's own: what the consumer skipped or repeated is seen, and read again or dropped.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from schemas.values import SECOND
from streams.hosting import LayoutChangedError, PartitionHost
from streams.partition_log import Cluster, FencedError, LogLostError, PartitionLog
from streams.topology import Incoming, Topology

MOST_RECORDS = 2_000
"""Records folded into one transaction, about."""
MOST_WAITING = 20_000
"""Records waiting for one runner, before reading its partitions is paused."""
DRAIN_LIMIT = 5.0
"""Seconds that a revoked partition gets to end the transaction in flight; after that it is fenced instead."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
FENCED_WAIT = 3.0
"""Seconds that a fenced partition waits: if it is another's now, the group will have said so by then."""

RunnerState = Literal["closed", "opening", "restoring", "open", "fenced", "lost", "failed"]


class Batch(NamedTuple):
    """What was read of one topic and partition: all its records from offset ``start`` up to, not including, ``end``."""

    topic: str
    partition: int
    start: int
    end: int
    records: list[Incoming]


class Gate(Protocol):
    """The consumer, as runners use it; topics by our names."""

    async def seek(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets on, and let their batches through."""
        ...

    def shut(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over no more batches of these partitions."""
        ...

    def let(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over batches of these partitions again, from where they were shut."""
        ...

    async def ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The offset behind the newest record that may be read, per partition."""
        ...


class Meter(Protocol):
    """Who counts, for operators."""

    def events(self, host: str, partition: int, count: int, seconds: float) -> None:
        """So many records were folded and committed in one piece, within so many seconds."""
        ...

    def parked(self, topic: str, count: int) -> None:
        """So many records of a topic were set aside."""
        ...

    def restored(self, host: str, partition: int, done: int, total: int) -> None:
        """A changelog is read back so far."""
        ...

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """A partition has something to read, and does not move."""
        ...


@dataclass
class Status:
    """How one runner is."""

    host: str
    partition: int
    state: RunnerState = "closed"
    problem: str = ""
    next: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    parked: int = 0


class Owner(Protocol):
    """What a runner needs of those who hold all runners."""

    topology: Topology
    cluster: Cluster
    gate: Gate
    meter: Meter
    clock: Callable[[], int]
    gaps: int

    async def seek(self, inputs: Iterable[tuple[str, int]]) -> None:
        """Read these on from where the state is."""
        ...

    def fail(self, error: Exception) -> None:
        """Stop all."""
        ...


class Runner:
    """Serves one host of one partition until it is closed."""

    def __init__(self, owner: Owner, host: str, number: int) -> None:
        self.status = Status(host, number)
        self._owner = owner
        self._inputs = [(topic, number) for topic in owner.topology.hosts()[host]]
        self._log = PartitionLog(owner.cluster, host, number)
        self._host: PartitionHost | None = None
        self._waiting: deque[Batch] = deque()
        self._count = 0
        self._news = asyncio.Event()
        self._paused = False
        self._idle = asyncio.Event()
        self._careful: dict[str, int] = {}
        """Per topic the offset up to which records are taken one at a time, since one of them cannot be taken."""
        self._task = asyncio.create_task(self._run(), name=f"{host}/{number}")

    # -- what the owner says --------------------------------------------------------------

    def put(self, batch: Batch) -> None:
        """Take a batch that was read."""
        self._waiting.append(batch)
        self._count += len(batch.records)
        if self._count > MOST_WAITING:
            self._owner.gate.shut(self._inputs)
        self._news.set()

    async def pause(self) -> None:
        """End the transaction in flight and begin no other; what waits is dropped, since it will be read again."""
        self._paused = True
        self._owner.gate.shut(self._inputs)
        self._drop_waiting()
        self._news.set()
        if self.status.state == "open":
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), DRAIN_LIMIT)

    async def resume(self) -> None:
        """Go on after a rebalance that left the partition here; if it was elsewhere meanwhile, we are fenced."""
        self._paused = False
        self._news.set()
        if self._host is not None:
            self._drop_waiting()
            await self._owner.seek(self._inputs)

    async def close(self) -> None:
        """Let go of the partition."""
        self._owner.gate.shut(self._inputs)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._host = None
        self.status.state = "closed"

    # -- life --------------------------------------------------------------

    async def _run(self) -> None:
        wait = FIRST_WAIT
        try:
            while True:
                try:
                    await self._open()
                    wait = FIRST_WAIT
                    await self._serve()
                except FencedError as error:
                    self._fell("fenced", error)
                    await asyncio.sleep(FENCED_WAIT)
                except LogLostError as error:
                    self._fell("lost", error)
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, LONGEST_WAIT)
        except LayoutChangedError as error:
            self._owner.fail(error)
        except Exception as error:
            self._fell("failed", error)
            self._owner.fail(error)
        finally:
            self._idle.set()
            await self._log.close()

    def _fell(self, state: RunnerState, error: Exception) -> None:
        self.status.state, self.status.problem = state, str(error)
        self._host = None
        self._owner.gate.shut(self._inputs)
        self._drop_waiting()

    async def _open(self) -> None:
        """Fence the former owner, restore what is committed, and read on from there."""
        await self._log.close()
        self.status.state = "opening"
        await self._log.open()
        self.status.state = "restoring"
        host, number = self.status.host, self.status.partition
        restored = await self._log.restore(lambda done, total: self._owner.meter.restored(host, number, done, total))
        starts = await self._log.starts([topic for topic, _ in self._inputs])
        self._host = PartitionHost(self._owner.topology, host, number, restored)
        for topic, start in starts.items():
            known = self._host.positions.next.setdefault(topic, start)
            if known < start:
                raise RetentionError(topic, number, known, start)
        self._drop_waiting()
        self.status.state, self.status.problem = "open", ""
        self.status.next = dict(self._host.positions.next)
        await self._owner.seek(self._inputs)
        self._news.set()

    async def _serve(self) -> None:
        host = self._host
        assert host is not None
        while True:
            await self._wait(host)
            started = time.perf_counter()
            try:
                taken = await self._turn(host)
            except (LogLostError, LayoutChangedError):
                raise
            except Exception as error:
                await self._stumbled(error)
                return
            finally:
                self._idle.set()
            if taken:
                self._owner.meter.events(host.name, host.number, taken, time.perf_counter() - started)

    async def _turn(self, host: PartitionHost) -> int:
        """Fold what waits, and the timers that are due, and commit what follows."""
        self._idle.clear()
        taken = 0
        while self._waiting and taken < MOST_RECORDS and not self._paused:
            batch = self._waiting.popleft()
            self._count -= len(batch.records)
            taken += len(batch.records)
            if not await self._fold(host, batch):
                break
        if not self._paused:
            host.ticks(self._owner.clock())
        await self._commit(host)
        if self._count <= MOST_WAITING // 2 and not self._paused:
            self._owner.gate.let(self._inputs)
        return taken

    async def _fold(self, host: PartitionHost, batch: Batch) -> bool:
        """Fold one batch; false if something before it is missing, which is then read again."""
        known = host.positions.next.get(batch.topic, 0)
        if batch.start > known:
            self._owner.gaps += 1
            self._drop_waiting()
            await self._owner.seek([(batch.topic, host.number)])
            return False
        if self._careful.get(batch.topic, 0) > known:
            await self._one_by_one(host, batch)
            return True
        self._last = batch
        host.fold(batch.topic, batch.records, batch.end)
        return True

    async def _commit(self, host: PartitionHost) -> None:
        work = host.work()
        if work.is_empty:
            return
        await self._log.commit(work)
        self.status.next = dict(host.positions.next)
        self.status.taken += work.taken
        self.status.parked += work.parked
        if work.parked:
            self._owner.meter.parked(host.name, work.parked)

    # -- what cannot be taken --------------------------------------------------------------

    async def _stumbled(self, error: Exception) -> None:
        """A stage raised: what is in memory may be half-way. Open again, and take that batch record by record."""
        self._careful[self._last.topic] = self._last.end
        self._fell("lost", error)

    async def _one_by_one(self, host: PartitionHost, batch: Batch) -> None:
        """Commit each record alone; the one that cannot be taken is parked when it comes again."""
        for record in batch.records:
            if record.offset < host.positions.next.get(batch.topic, 0):
                continue
            at = (batch.topic, record.offset)
            if self._bad is not None and self._bad[0] == at:
                host.park(batch.topic, record, self._bad[1])
                self._bad = None
            else:
                try:
                    host.fold(batch.topic, [record], record.offset + 1)
                except Exception as error:
                    self._bad = at, f"{type(error).__name__}: {error}"
                    raise
            await self._commit(host)
        host.fold(batch.topic, [], batch.end)

    _last: Batch = Batch("", 0, 0, 0, [])
    _bad: tuple[tuple[str, int], str] | None = None

    # -- inside --------------------------------------------------------------

    async def _wait(self, host: PartitionHost) -> None:
        """Until there is something to take, or a timer is due."""
        while self._paused or not self._waiting:
            if not self._paused and (due := host.next_due) is not None and due <= self._owner.clock():
                return
            self._idle.set()
            self._news.clear()
            due = None if self._paused else host.next_due
            limit = None if due is None else max(0.001, (due - self._owner.clock()) / SECOND)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), limit)

    def position(self, topic: str) -> int | None:
        """The offset to read next of a topic, if the state is there to tell it."""
        return None if self._host is None else self._host.positions.next.get(topic)

    def _drop_waiting(self) -> None:
        self._waiting.clear()
        self._count = 0


class RetentionError(RuntimeError):
    """The broker has deleted what was not read yet; nothing may be skipped silently."""

    def __init__(self, topic: str, partition: int, known: int, start: int) -> None:
        super().__init__(
            f"{topic}/{partition} begins at offset {start}, and {known} was to be read next: retention has deleted "
            f"{start - known} messages unread. Load the tab anew (renkei capture --load), then go on with "
            f"renkei streams --skip {topic}/{partition}"
        )
