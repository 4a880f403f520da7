"""One partition on the broker: its transactions, and its changelog read back.

A transaction holds outputs and state rows, the offsets read among them; now and then it tells the group of these, too.
Its id names the partition, so whoever opens a partition fences the one who had it before (aiokafka sends no group
metadata with offsets, so the id has to do it).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.producer import sender

from schemas import topics
from streams.changelog import Group, Restored
from streams.hosting import Work
from streams.snapshot import Record, Snapshot
from streams.topology import Outgoing

_log = logging.getLogger(__name__)

BATCH_BYTES = 900_000
REQUEST_BYTES = 8_000_000
COMMIT_LIMIT = 30.0
"""Seconds after which a transaction counts as lost; the partition is then opened anew from what was committed."""
STOP_LIMIT = 5.0
TRANSACTION_TIMEOUT = 60_000
RETRY_BACKOFF = 20
TELL_EVERY = 0.25
"""Seconds after which the group hears of offsets. Ours are in every transaction, with the state; the group's copy is
for operators, and to note it takes half of a short transaction's time."""
REWRITE_FROM = 50_000
"""Rows read one by one from which on the local file is written anew."""
# A transaction that begins while the last one's markers are being written waits so long, in seconds, and asks again.
sender.BACKOFF_OVERRIDE = 0.002
_NEVER_COUNTED: Callable[[int, int], None] = lambda done, total: None  # noqa: E731


class LogLostError(RuntimeError):
    """A transaction failed or its fate is unknown: open the partition again from what was committed."""


class FencedError(LogLostError):
    """Another process has opened the partition since."""


@dataclass(frozen=True)
class Cluster:
    """Where the broker is, and how this deployment names its topics and groups."""

    servers: str
    group: str = "renkei"
    prefix: str = ""
    folder: Path | None = None
    """Where snapshots are kept; without one every start reads the whole changelog."""
    session: float = 10.0
    """Seconds that a member of the group may be silent before others take its partitions over."""

    def topic(self, name: str) -> str:
        """The name of a topic on the broker."""
        return f"{self.prefix}{name}"

    def name(self, topic: str) -> str:
        """Our name of a topic on the broker."""
        return topic.removeprefix(self.prefix)

    def owner(self, number: int) -> str:
        """The transactional id of a partition."""
        return f"{self.prefix}{self.group}-{topics.FLOW}-{number}"


class PartitionLog:
    """The broker's side of one partition. Open, restore, then commit one piece of work after another."""

    def __init__(self, cluster: Cluster, number: int, at: Callable[[str], None] = lambda point: None) -> None:
        """``at`` is called at the point ``outputs_sent``, where a test may end the process."""
        self._cluster, self.number, self._at = cluster, number, at
        self._changelog = TopicPartition(cluster.topic(topics.state(topics.FLOW)), number)
        self._producer: AIOKafkaProducer | None = None
        self._snapshot: Snapshot | None = None
        self._keeps_snapshot = True
        self._untold: dict[str, int] = {}
        """Per topic read, the offset to read next of which the group has not heard."""
        self._told_at = 0.0

    async def open(self) -> None:
        """Fence whoever had the partition, and settle what they left unfinished.

        Raises:
            LogLostError: the broker could not be reached.
        """
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self._cluster.servers,
            transactional_id=self._cluster.owner(self.number),
            transaction_timeout_ms=TRANSACTION_TIMEOUT,
            max_batch_size=BATCH_BYTES,
            max_request_size=REQUEST_BYTES,
            request_timeout_ms=int(COMMIT_LIMIT * 1000),
            retry_backoff_ms=RETRY_BACKOFF,
        )
        with _losses("open"):
            async with asyncio.timeout(COMMIT_LIMIT):
                await self._producer.start()

    async def restore(
        self, inputs: Sequence[str], tell: Callable[[int, int], None] = _NEVER_COUNTED
    ) -> tuple[Restored, dict[str, int]]:
        """All rows of the partition, from the local snapshot as far as it tells and from the changelog beyond.

        And per input topic the first offset that the broker still has. ``tell`` hears how far it is of how much, in
        offsets of the changelog.

        Raises:
            LogLostError: the broker could not be reached.
            CodecError: the changelog holds what is not a state row.
        """
        restored = Restored()
        topics_of = {TopicPartition(self._cluster.topic(name), self.number): name for name in inputs}
        with _losses("restore"):
            async with self._reader() as reader:
                async with asyncio.timeout(COMMIT_LIMIT):
                    begins = await reader.beginning_offsets([self._changelog, *topics_of])
                earliest = begins.pop(self._changelog)
                end = (await reader.end_offsets([self._changelog]))[self._changelog]
                start = max(self._from_snapshot(restored, earliest, end), earliest)
                if start < end:
                    reader.assign([self._changelog])
                    reader.seek(self._changelog, start)
                    await self._tail(reader, restored, start, end, tell)
        self._tidy(restored)
        return restored, {topics_of[to]: offset for to, offset in begins.items()}

    def owe(self, positions: Mapping[str, int]) -> None:
        """Tell the group of these offsets before long: who had the partition before may not have come to it."""
        self._untold = {**positions}
        self._told_at = time.monotonic()

    def owes(self) -> float | None:
        """Seconds until the group is to hear of offsets; none if it has heard of all."""
        return max(0.0, self._told_at + TELL_EVERY - time.monotonic()) if self._untold else None

    async def commit(self, work: Work, tells: bool = False) -> None:
        """Commit outputs and rows as one, and with ``tells`` the group's copy of the offsets.

        Raises:
            FencedError: another process has the partition.
            LogLostError: it failed, or nobody knows whether it did.
        """
        assert self._producer is not None, "open first"
        self._untold |= work.next
        offsets = self._untold if tells else {}
        with _losses("commit"):
            async with asyncio.timeout(COMMIT_LIMIT):
                end = await self._transaction(self._producer, work, offsets)
        if tells:
            self._untold, self._told_at = {}, time.monotonic()
        if self._snapshot is not None and end is not None:
            self._note(self._snapshot, work.rows, end)

    async def close(self) -> None:
        """Let go of the partition; what was not committed never happened."""
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, TimeoutError, OSError):
                async with asyncio.timeout(STOP_LIMIT):
                    await producer.stop()

    # -- transactions --------------------------------------------------------------

    async def _transaction(self, producer: AIOKafkaProducer, work: Work, offsets: Mapping[str, int]) -> int | None:
        """The next offset of the changelog behind the rows, or none if there are no rows."""
        await producer.begin_transaction()
        sent: list[_Sent] = []
        for (name, partition), records in work.outputs.items():
            sent += await _send(producer, TopicPartition(self._cluster.topic(name), partition), records)
        now = _now()
        noted = await _send(producer, self._changelog, [Outgoing(key, value, [], now) for key, value in work.rows])
        if offsets:
            read = {TopicPartition(self._cluster.topic(name), self.number): at for name, at in offsets.items()}
            await producer.send_offsets_to_transaction(read, self._cluster.group)
        # The client would commit the rest of a transaction of which the broker has refused a batch.
        await asyncio.gather(*(one.told for one in [*sent, *noted]))
        if noted:
            self._at("outputs_sent")
        await producer.commit_transaction()
        return int(noted[-1].told.result().offset) + noted[-1].records if noted else None

    # -- restoring --------------------------------------------------------------

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=25,
            fetch_max_bytes=52_428_800,
            max_partition_fetch_bytes=8_388_608,
        )
        async with asyncio.timeout(COMMIT_LIMIT):
            await reader.start()
        try:
            yield reader
        finally:
            await reader.stop()

    async def _tail(
        self, reader: AIOKafkaConsumer, restored: Restored, start: int, end: int, tell: Callable[[int, int], None]
    ) -> None:
        position, told = start, time.monotonic()
        while position < end:
            fetched = await reader.getmany(self._changelog, timeout_ms=25)
            records: list[Record] = [(one.key, one.value) for one in fetched.get(self._changelog, ())]
            position = await reader.position(self._changelog)
            if records:
                restored.take(records)
                told = time.monotonic()
                if self._snapshot is not None:
                    self._note(self._snapshot, records, position)
                tell(position, end)
            elif time.monotonic() - told > COMMIT_LIMIT:
                raise LogLostError(f"the changelog {self._changelog.topic} stopped at {position} of {end}")

    def _from_snapshot(self, restored: Restored, earliest: int, end: int) -> int:
        """Take what the local file tells; where the changelog has to be read from."""
        folder = self._cluster.folder
        if folder is None or not self._keeps_snapshot:
            return earliest
        path = folder / f"{self._cluster.owner(self.number)}.snapshot"
        try:
            return self._told_by(path, restored, earliest, end)
        except OSError as error:
            # It may be half read, so the partition is opened anew, without it.
            self._go_without(path, error)
            raise LogLostError(f"the snapshot {path} cannot be used: {error.strerror}") from error

    def _told_by(self, path: Path, restored: Restored, earliest: int, end: int) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._snapshot = Snapshot(path)
        for chunk in self._snapshot.read(_now(), earliest, end):
            if isinstance(chunk, Group):
                restored.take_group(chunk)
            else:
                restored.take(chunk)
        return self._snapshot.end

    def _tidy(self, restored: Restored) -> None:
        """Write the local file anew where much of it was read row by row: the next start is quicker then."""
        if self._snapshot is not None and restored.loose > max(REWRITE_FROM, restored.live // 2):
            with suppress(OSError):  # a full disk: the long file does as well
                self._snapshot.rewrite(restored.groups(), restored.notes(), self._snapshot.end, _now())

    def _note(self, snapshot: Snapshot, rows: Sequence[Record], end: int) -> None:
        """Copy rows to the local file; on a full disk go on without it, since the changelog has them."""
        try:
            snapshot.append(rows, end, _now())
        except OSError as error:
            self._go_without(snapshot.path, error)

    def _go_without(self, path: Path, error: OSError) -> None:
        """Keep no snapshot from now on, and leave no torn one behind."""
        self._keeps_snapshot = False
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None
        with suppress(OSError):
            path.unlink(missing_ok=True)
        _log.warning(
            "the snapshot %s cannot be kept (%s). Nothing is lost: the changelog has it all, and the next start reads "
            "it from there. Make room or make the folder writable, and start again.", path, error.strerror,
        )  # fmt: skip


class _Sent(NamedTuple):
    """A batch on its way: what will be told of it, and how many records it holds."""

    told: asyncio.Future[Any]
    records: int


async def _send(producer: AIOKafkaProducer, to: TopicPartition, records: Sequence[Outgoing]) -> list[_Sent]:
    """Send records in batches."""
    sent: list[_Sent] = []
    batch = producer.create_batch()
    for one in records:
        while batch.append(key=one.key, value=one.value, timestamp=one.at, headers=one.headers) is None:
            if not batch.record_count():
                raise LogLostError(f"a record of {to.topic} is larger than {BATCH_BYTES:,} bytes")
            sent.append(await _submit(producer, batch, to))
            batch = producer.create_batch()
    if batch.record_count():
        sent.append(await _submit(producer, batch, to))
    return sent


async def _submit(producer: AIOKafkaProducer, batch: Any, to: TopicPartition) -> _Sent:
    count = batch.record_count()
    batch.close()
    return _Sent(await producer.send_batch(batch, to.topic, partition=to.partition), count)


class _losses:  # noqa: N801 - read as a phrase: with _losses("commit")
    """Tells the broker's errors as ours."""

    def __init__(self, doing: str) -> None:
        self._doing = doing

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProducerFenced):
            raise FencedError("another process has opened this partition") from error
        # The client asserts that it knows a broker; one that has just come back tells it of none.
        if isinstance(error, KafkaError | TimeoutError | OSError | AssertionError):
            raise LogLostError(f"could not {self._doing}: {type(error).__name__} {error}".strip()) from error


def _now() -> int:
    return time.time_ns() // 1_000_000
