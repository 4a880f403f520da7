"""The broker as the benchmark sees it: topics made, slices written, the output read back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.join.partitions import partition_of
from benchmarks.join.task import ACCOUNTS, DEALS, PARTITIONS, Change, Marks, Row

OUTPUT = "joined"
_BATCH_BYTES = 64 * 1024
_SLICE_OF_POLL_MS = 100


class Writer:
    """Writes slices to the input topics, one millisecond of record time after another."""

    def __init__(self, producer: AIOKafkaProducer, prefix: str, began: int) -> None:
        self._producer, self._prefix, self._clock = producer, prefix, began

    async def write(self, changes: Iterable[Change]) -> int:
        """All of these, in their order per partition, and acknowledged; how many."""
        batches: dict[tuple[str, int], list[tuple[int, Change]]] = {}
        count = 0
        for count, change in enumerate(changes, 1):  # noqa: B007 - the last number is the answer
            self._clock += 1
            place = (f"{self._prefix}.{change.topic}", partition_of(change.key, PARTITIONS))
            batches.setdefault(place, []).append((self._clock, change))
        await asyncio.gather(*(self._fill(*place, rows) for place, rows in batches.items()))
        return count

    async def _fill(self, topic: str, partition: int, rows: list[tuple[int, Change]]) -> None:
        """One partition, batch by batch."""
        batch = self._producer.create_batch()
        sent = []
        for at, change in rows:
            if batch.append(key=change.key, value=change.value, timestamp=at) is None:
                sent.append(await self._producer.send_batch(batch, topic, partition=partition))
                batch = self._producer.create_batch()
                batch.append(key=change.key, value=change.value, timestamp=at)
        sent.append(await self._producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)


class Output:
    """The output topic as a reader of committed records sees it: the last row per key, and the marks."""

    def __init__(self, consumer: AIOKafkaConsumer, marks: Marks) -> None:
        self._consumer = consumer
        self._marks = dict.fromkeys(marks.keys, 0)
        self._last: dict[bytes, bytes] = {}
        self.rows = 0

    def done(self, number: int) -> bool:
        """Whether all marks of this slice have come out."""
        return all(seen >= number for seen in self._marks.values())

    async def read(self) -> int:
        """Take what has come since, waiting a moment for it; how many rows."""
        polled = await self._consumer.getmany(timeout_ms=_SLICE_OF_POLL_MS)
        rows = [row for found in polled.values() for row in found]
        for row in rows:
            self._take(row.key, row.value)
        return len(rows)

    def _take(self, key: bytes, value: bytes | None) -> None:
        self.rows += 1
        if value is None:
            self._last.pop(key, None)
            return
        self._last[key] = value
        if key in self._marks:
            self._marks[key] = max(self._marks[key], Marks.number(value))

    def view(self) -> Mapping[str, Row]:
        """The last row per deal."""
        return {key.decode(): json.loads(value) for key, value in self._last.items()}


@asynccontextmanager
async def topics(bootstrap: str, prefix: str, marks: Marks) -> AsyncIterator[tuple[Writer, Output]]:
    """Fresh topics of this prefix, with a writer of their input and a reader of their output."""
    await _create(bootstrap, [f"{prefix}.{name}" for name in (ACCOUNTS, DEALS, OUTPUT)])
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=_BATCH_BYTES, acks="all")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest",
        enable_auto_commit=False,
    )  # fmt: skip
    async with producer, consumer:
        consumer.assign([TopicPartition(f"{prefix}.{OUTPUT}", number) for number in range(PARTITIONS)])
        yield Writer(producer, prefix, int(time.time() * 1000) - 3_600_000), Output(consumer, marks)


async def _create(bootstrap: str, names: list[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        keep = {"cleanup.policy": "compact"}
        await admin.create_topics([NewTopic(name, PARTITIONS, 1, topic_configs=keep) for name in names])
    finally:
        await admin.close()
