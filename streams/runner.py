"""The runner of one partition: opens it, restores it, folds what was read and commits what follows as one.

Positions are the state's own: what the consumer skipped or repeated is seen, and read again or dropped.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from schemas.values import SECOND
from streams.hosting import LayoutChangedError, PartitionHost
from streams.merging import Batch, Merge, Piece
from streams.partition_log import FencedError, LogLostError, PartitionLog
from streams.surroundings import Owner
from streams.topology import HaltedError

WAIT_STEP = 0.02
LONGEST_TAB = 1.0
"""Seconds that a tab which is behind is waited for, before the others go on without it."""
LONGEST_STRAGGLER = 60.0
"""The same in a history, where order is all."""
MOST_RECORDS = 20_000
"""Records folded into one transaction, about: of a key that changed more than once, one row is written."""
LONGEST_TURN = 1.0
"""Seconds of folding after which they are committed, however few they are: a rebalance waits for them."""
SLICE = 500  # folded without looking up: some ten milliseconds
MOST_WAITING = 20_000
"""Records waiting for one runner, before reading its partitions is paused."""
DRAIN_LIMIT = 5.0
"""Seconds that a revoked partition gets to end the transaction in flight; after that it is fenced instead."""
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
FENCED_WAIT = 3.0
"""Seconds that a fenced partition waits: if it is another's now, the group will have said so by then."""

RunnerState = Literal["closed", "opening", "restoring", "open", "fenced", "lost", "failed"]


@dataclass
class Status:
    """How one runner is."""

    partition: int
    state: RunnerState = "closed"
    problem: str = ""
    next: dict[str, int] = field(default_factory=dict)
    taken: int = 0
    parked: int = 0


class RetentionError(HaltedError):
    """The broker has deleted what was not read yet; nothing may be skipped silently."""

    def __init__(self, topic: str, partition: int, known: int, start: int) -> None:
        super().__init__(
            f"{topic}/{partition} begins at offset {start}, and {known} was to be read next: retention has deleted "
            f"{start - known} messages unread. Their records have to be loaded anew: restore the topic, or load the "
            "tab into topics of another prefix"
        )


class Runner:
    """Serves one partition until it is closed."""

    def __init__(self, owner: Owner, number: int) -> None:
        self.status = Status(number)
        self._owner = owner
        self._inputs = [(topic, number) for topic in owner.topology.inputs()]
        self._log = PartitionLog(owner.cluster, number, owner.at)
        self._host: PartitionHost | None = None
        self._merge = Merge({})
        self._gaps: set[str] = set()
        """Topics of which something was skipped: they are read again from where the state is."""
        self._waits_since: float | None = None
        self._piece = Piece("", [], 0)
        self._taken = 0  # folded since the last commit
        self._careful = 0
        """How many records are still to be taken one at a time, since one of them cannot be taken."""
        self._bad: tuple[str, int, str] | None = None
        """The record that could not be taken, by topic and offset, and why."""
        self._news = asyncio.Event()
        self._idle = asyncio.Event()
        self._paused = False
        self._task = asyncio.create_task(self._run(), name=f"partition {number}")

    # -- what the owner says --------------------------------------------------------------

    def put(self, batch: Batch) -> None:
        """Take a batch that was read; one that does not follow the last is dropped, and read again."""
        if self._host is None or self._paused:
            return
        if not self._merge.put(batch):
            self._owner.gaps += 1
            self._gaps.add(batch.topic)
        if self._merge.count > MOST_WAITING:
            self._owner.gate.shut(self._inputs)
        self._news.set()

    async def pause(self) -> None:
        """End the transaction in flight and begin no other; what waits is dropped, since it will be read again."""
        self._paused = True
        self._owner.gate.shut(self._inputs)
        if self._must_tell:
            self._idle.clear()
        self._news.set()
        if self.status.state == "open":
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_LIMIT):
                    await self._idle.wait()

    async def resume(self) -> None:
        """Go on after a rebalance that left the partition here; if it was elsewhere meanwhile, we are fenced."""
        self._paused = False
        if self._host is not None:
            self._merge = self._merging(self._host)
            await self._owner.seek(self._inputs)
        self._news.set()

    async def close(self) -> None:
        """Let go of the partition."""
        self._owner.gate.shut(self._inputs)
        while not self._task.done():  # a client that waits with a limit may swallow it (CPython 86296)
            self._task.cancel()
            await asyncio.wait([self._task], timeout=1)
        self._host = None
        self.status.state = "closed"

    @property
    def host(self) -> PartitionHost | None:
        """The state in memory, while the partition is open."""
        return self._host

    def position(self, topic: str) -> int | None:
        """The offset to read next of a topic, if the state is there to tell it."""
        return None if self._host is None else self._host.positions.next.get(topic)

    # -- life --------------------------------------------------------------

    async def _run(self) -> None:
        try:
            await self._live()
        except HaltedError as error:
            self._owner.fail(error)
        except Exception as error:
            self._fell("failed", error)
            self._owner.fail(error)
        finally:
            self._idle.set()
            await self._log.close()

    async def _live(self) -> None:
        """Open and serve, again and again: what was committed is never lost, what was not is done anew."""
        wait = FIRST_WAIT
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

    def _fell(self, state: RunnerState, error: Exception) -> None:
        self.status.state, self.status.problem = state, str(error)
        self._host = None
        self._owner.gate.shut(self._inputs)

    async def _open(self) -> None:
        """Fence the former owner, restore what is committed, and read on from there."""
        await self._log.close()
        self.status.state = "opening"
        await self._log.open()
        self.status.state = "restoring"
        number, meter = self.status.partition, self._owner.meter
        restored, starts = await self._log.restore(
            [topic for topic, _ in self._inputs], lambda done, total: meter.restored(number, done, total)
        )
        host = PartitionHost(self._owner.topology, number, restored)
        for sentence in host.news:
            meter.told(number, sentence)
        self._log.owe(host.positions.next)
        for topic, start in starts.items():
            known = host.positions.next.setdefault(topic, start)
            if known < start:
                raise RetentionError(topic, number, known, start)
        self._host, self._merge = host, self._merging(host)
        self.status.state, self.status.problem = "open", ""
        self.status.next = dict(host.positions.next)
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
                self._stumbled(error)
                return
            finally:
                self._idle.set()
            if taken:
                self._owner.meter.events(host.number, taken, time.perf_counter() - started)

    async def _wait(self, host: PartitionHost) -> None:
        """Until there is something to take or to tell, or a timer is due."""
        while not self._must_tell and (self._paused or not self._has_work(host)):
            self._idle.set()
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience(host)):
                    await self._news.wait()

    def _merging(self, host: PartitionHost) -> Merge:
        """What puts the records of all topics into one order, from where the state is."""
        return Merge(dict(host.positions.next), self._owner.topology.order())

    @property
    def _must_tell(self) -> bool:
        """Whether the group is to hear of our offsets now."""
        owes = self._log.owes()
        return owes is not None and (self._paused or owes <= 0)

    def _has_work(self, host: PartitionHost) -> bool:
        return self._is_ready(host) or self._is_due(host) or self._merge.has_skips

    def _is_due(self, host: PartitionHost) -> bool:
        left = host.wait(self._owner.clock())
        return left is not None and left <= 0

    def _patience(self, host: PartitionHost) -> float | None:
        """How long to wait for news, in seconds."""
        if self._paused:
            return None
        if self._merge.count or host.is_clocked:
            return WAIT_STEP
        left = host.wait(self._owner.clock())
        waits = [self._log.owes(), None if left is None else left / SECOND]
        return max(0.001, min(known)) if (known := [wait for wait in waits if wait is not None]) else None

    def _is_ready(self, host: PartitionHost) -> bool:
        """Whether to take what waits: no topic of which nothing is here is behind, or it was waited for long enough."""
        if self._gaps or not self._merge.count:
            return bool(self._gaps)
        empty = {(topic, host.number): end for topic, end in self._merge.empty().items()}
        if not empty or not self._owner.gate.behind(empty):
            self._waits_since = None
            return True
        self._owner.gate.let(empty)  # the others may have enough waiting
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        return now - self._waits_since > (LONGEST_STRAGGLER if host.is_history else LONGEST_TAB)

    # -- one turn --------------------------------------------------------------

    async def _turn(self, host: PartitionHost) -> int:
        """Fold what waits, and the timers that are due, and commit what follows."""
        self._idle.clear()
        if self._gaps and not self._paused:
            await self._read_again(host)
        for piece in [] if self._paused else self._merge.skips():
            self._fold(host, piece)
        self._taken, most, end = 0, 1 if self._careful else MOST_RECORDS, time.monotonic() + LONGEST_TURN
        while self._merge.count and not (self._paused or self._gaps) and self._is_ready(host) and self._taken < most:
            for piece in self._merge.take(1 if self._careful else SLICE):
                self._fold(host, piece)
                self._taken += len(piece.records)
            if time.monotonic() > end:
                break
            await asyncio.sleep(0)  # other partitions' transactions go on meanwhile
        if not self._paused:
            host.ticks(self._owner.clock())
        await self._commit(host)
        if self._merge.count <= MOST_WAITING // 2 and not self._paused:
            self._owner.gate.let(self._inputs)
        return self._taken

    def _fold(self, host: PartitionHost, piece: Piece) -> None:
        """Fold a piece; a record that could not be taken before is set aside now."""
        self._careful = max(0, self._careful - len(piece.records))
        first = piece.records[0] if piece.records else None
        bad = self._bad
        if bad is not None and first is not None and (piece.topic, first.offset) == bad[:2]:
            self._bad = None
            host.park(piece.topic, first, bad[2])
            return
        self._piece = piece
        host.fold(piece.topic, piece.records, piece.end)

    def _stumbled(self, error: Exception) -> None:
        """A stage raised, and what is in memory may be half-way: open again, and take what waited record by record.

        The one that raises alone is parked with the reason when it comes again.
        """
        if len(self._piece.records) == 1:
            record = self._piece.records[0]
            self._bad = self._piece.topic, record.offset, f"{type(error).__name__}: {error}"
        self._careful = self._taken + len(self._piece.records) + SLICE
        self._fell("lost", error)

    async def _read_again(self, host: PartitionHost) -> None:
        """Read topics again of which something is missing."""
        gaps, self._gaps = self._gaps, set()
        self._merge.clear(gaps, host.positions.next)
        await self._owner.seek([(topic, host.number) for topic in gaps])

    async def _commit(self, host: PartitionHost) -> None:
        work, tells = host.work(), self._must_tell
        if work.is_empty:
            if tells:
                await self._log.commit(work, tells)
            return
        self._owner.at("consumed")
        await self._log.commit(work, tells)
        self._owner.at("committed")
        self.status.next = dict(host.positions.next)
        self.status.taken += work.taken
        self.status.parked += work.parked.total()
        for topic, count in work.parked.items():
            self._owner.meter.parked(topic, count)
