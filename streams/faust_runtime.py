"""The Faust runtime: group membership, reading and agents by Faust; state, positions and transactions are ours.

Faust is kept away from what loses records (its acks, its offsets, its tables): the consumer hands over whole batches,
and what was read of each partition is kept in the state itself (docs/decisions.md). The only file that imports faust.
"""

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import aiokafka
import faust
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers import aiokafka as driver
from yarl import URL

from schemas.topics import FLOW
from streams import unpacking
from streams.by_number import ByNumber
from streams.merging import Batch
from streams.partition_log import Cluster
from streams.partitions import Partitions
from streams.runner import Status
from streams.surroundings import Meter
from streams.topology import HaltedError, Topology

VERSION = "0.15.3"
POLL = 0.25
FETCH_WAIT_MS = 100
"""A fetch holds back partitions that were not in it for so long at most."""
WATCH_EVERY = 10.0
YOUNG = (1_000_000, 20, 100)
"""When the garbage collector looks: state is kept for long, and to look through it often is for nothing."""
COLLECT_EVERY = 60.0
"""How often it looks at all that is new, in seconds: a tenth of a second after a minute's work."""

_RELIED_ON: tuple[tuple[Any, str], ...] = (
    (driver.Consumer, "_new_consumer_thread"),
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"),
    (driver.AIOKafkaConsumerThread, "_fetch_records"),
    (driver.AIOKafkaConsumerThread, "_ensure_consumer"),
    (driver.AIOKafkaConsumerThread, "call_thread"),
    (ThreadDelegateConsumer, "_drain_messages"),
    (ThreadDelegateConsumer, "_getmany"),
    (ThreadDelegateConsumer, "_wait_next_records"),
    (driver.Transport, "Consumer"),
    (Fetcher, "_create_fetch_waiter"),
    (PartitionRecords, "_consumer_record"),
)


class FaustMismatchError(HaltedError):
    """This version of Faust is not the one that the runtime was built against."""


def check_faust(version: str = faust.__version__, relied_on: Sequence[tuple[Any, str]] = _RELIED_ON) -> None:
    """Refuse another version of Faust, or one without the private names that this file relies on.

    Raises:
        FaustMismatchError: it says which version or name.
    """
    if version != VERSION:
        raise FaustMismatchError(
            f"faust-streaming {version} is installed; this version of Renkei was built and tested against "
            f"{VERSION} and relies on private names of it. Type: pip install faust-streaming=={VERSION}"
        )
    missing = [f"{owner.__name__}.{name}" for owner, name in relied_on if not hasattr(owner, name)]
    if missing:
        raise FaustMismatchError(
            f"faust-streaming {version} lacks {', '.join(missing)}. Install the package from its index again."
        )


class BatchThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, reading committed records in batches with their bounds."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[ByNumber.own()],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 300) * 1000),
            retry_backoff_ms=50,
            metadata_max_age_ms=30_000,
        )

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        """What was read per partition, with the bounds of each batch; ends of transactions alone are a batch too."""
        try:
            fetched = await self._unpacked(consumer, active_partitions, timeout)
        except NoOffsetForPartitionError:  # a rebalance made it forget where we read; we seek after each
            return {}
        owner = cast(BatchConsumer, self.consumer)
        batches = {}
        for tp in active_partitions & consumer.assignment():
            known, end = consumer.last_stable_offset(tp), await consumer.position(tp)
            records = unpacking.ours(fetched.get(tp, []))
            start = owner.read_up_to.get(tp, records[0].offset if records else end)
            # In this order: runners ask from another thread, and this batch is not with them yet.
            owner.read_up_to[tp] = end
            owner.is_behind[tp] = known is None or end < known
            if start < end:
                batches[tp] = Batch(owner.cluster.name(tp.topic), tp.partition, start, end, records)
        return batches

    async def _unpacked(self, consumer: Any, wanted: Any, timeout: float | None) -> Any:
        """What was read per partition, after a while of waiting for it; its records are unpacked as ours at once."""
        fetcher = consumer._fetcher
        if self.consumer.flow_active and wanted.isdisjoint(fetcher._records):
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    await fetcher._create_fetch_waiter()
        for tp in wanted & fetcher._records.keys():
            unpacking.as_ours(fetcher._records[tp])
        return await super()._fetch_records(consumer, wanted, 0, None)

    async def seek_all(self, positions: Mapping[Any, int]) -> None:
        """Read on from these offsets; partitions that are no longer ours are left alone."""
        consumer, owner = self._ensure_consumer(), cast(BatchConsumer, self.consumer)
        for tp, offset in positions.items():
            with suppress(IllegalStateError):
                consumer.seek(tp, offset)
                owner.read_up_to[tp] = offset
                owner.is_behind.pop(tp, None)
                owner.open.add(tp)

    async def ends_of(self, partitions: Iterable[Any]) -> dict[Any, int]:
        """The last stable offsets, as far as the consumer has heard of them."""
        consumer = self._ensure_consumer()
        known = {tp: consumer.last_stable_offset(tp) for tp in partitions if tp in consumer.assignment()}
        return {tp: offset for tp, offset in known.items() if offset is not None}


class BatchConsumer(driver.Consumer):
    """Faust's consumer, handing whole batches to the agents: no task, no ack and no offset per record."""

    _thread: BatchThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.open: set[Any] = set()
        """The partitions whose batches may be handed over."""
        self.read_up_to: dict[Any, int] = {}
        self.is_behind: dict[Any, bool] = {}
        """Of each partition, whether the last fetch left something to read."""
        self.cluster = cast("StreamsApp", self.app).cluster

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        wanted = self.open & active_partitions
        if wanted:
            return await self._thread.getmany(wanted, POLL)
        await asyncio.sleep(POLL / 10)
        return {}

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's reading loop: one batch per partition straight to the queue of the agents that read its topic."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                batches, _ = await self._wait_next_records(POLL)
                for tp, batch in (batches or {}).items():
                    if not self.flow_active:
                        break  # a rebalance: all is read again from where the state is
                    for channel in cast(Any, self.app.topics)._tp_index[tp]:
                        await channel.queue.put(batch)
        except (asyncio.CancelledError, ConsumerStoppedError):
            if not self.app.should_stop:
                raise

    async def perform_seek(self) -> None:
        """Positions are in the state, so there is nothing to ask the group for."""

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Offsets go with the transaction of what follows from the records."""
        return False

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Our own watchdog looks after partitions that stand still."""

    async def seek_to(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Read on from these offsets, topics by our names."""
        await self._thread.call_thread(self._thread.seek_all, {self._tp(*to): at for to, at in positions.items()})

    def shut(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over no more batches of these."""
        self.open -= {self._tp(*one) for one in partitions}

    def behind(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Whether any of these has something to read, or on its way, behind its offset here; or was not asked yet."""
        asked = ((self._tp(*one), end) for one, end in ends.items())
        return any(self.is_behind.get(tp, True) or self.read_up_to.get(tp, 0) > end for tp, end in asked)

    def let(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over batches of these again."""
        self.open |= {tp for one in partitions if (tp := self._tp(*one)) in self.read_up_to}

    async def ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The offsets behind what may be read."""
        wanted = {self._tp(*one): one for one in partitions}
        found = await self._thread.call_thread(self._thread.ends_of, list(wanted))
        return {wanted[tp]: offset for tp, offset in found.items()}

    def _tp(self, topic: str, partition: int) -> Any:
        return TopicPartition(self.cluster.topic(topic), partition)


class BatchTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = BatchConsumer


class StreamsApp(faust.App):
    """A Faust app that knows its cluster."""

    cluster: Cluster


class StreamsGate:
    """The consumer of an app as runners use it, also before there is one."""

    def __init__(self, app: StreamsApp) -> None:
        self._app = app

    @property
    def _consumer(self) -> BatchConsumer:
        return cast(BatchConsumer, self._app.consumer)

    async def seek(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Read on from these offsets."""
        await self._consumer.seek_to(positions)

    def shut(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over no more."""
        self._consumer.shut(partitions)

    def behind(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Whether something is left to read."""
        return self._consumer.behind(ends)

    def let(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over again."""
        self._consumer.let(partitions)

    async def ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where the partitions end."""
        return await self._consumer.ends(partitions)


class Streams:
    """The flow of one process on Kafka. ``run`` it in an event loop; ``stop`` may be called from any thread."""

    def __init__(
        self,
        topology: Topology,
        cluster: Cluster,
        meter: Meter,
        clock: Callable[[], int],
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """``clock`` tells milliseconds; ``at`` is called at named points (``Partitions``).

        Raises:
            FaustMismatchError: another Faust is installed than the one this was built against.
        """
        check_faust()
        self._app = _app(cluster)
        self.partitions = Partitions(topology, cluster, StreamsGate(self._app), meter, clock, at)
        self.partitions.on_failure = self.stop
        self.stalled: list[str] = []
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_assigned = False
        self._register()

    async def run(self) -> None:
        """Serve until stopped; then every transaction in flight is ended.

        Raises:
            Exception: why a partition cannot go on.
        """
        self._loop = asyncio.get_running_loop()
        watching = [asyncio.create_task(self._watch()), asyncio.create_task(self._collect())]
        usual = gc.get_threshold()
        gc.set_threshold(*YOUNG)
        await self._app.start()
        try:
            await self._app.wait(self._stop.wait())  # also over when a part of the app crashed
        finally:
            for one in watching:
                one.cancel()
            gc.set_threshold(*usual)
            await self.partitions.close()
            await self._app.stop()
        failure = self.partitions.failure or self._app.crash_reason
        if failure is not None:
            raise failure

    def stop(self) -> None:
        """Ask it to end."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def statuses(self) -> list[Status]:
        """How each partition is."""
        return self.partitions.statuses()

    @property
    def is_ready(self) -> bool:
        """Whether partitions were assigned, and all of them are open."""
        return self.is_assigned and all(one.state == "open" for one in self.statuses())

    def _register(self) -> None:
        app, partitions = self._app, self.partitions
        app.on_partitions_revoked.connect(cast(Any, self._revoked), weak=False)
        app.on_partitions_assigned.connect(cast(Any, self._assigned), weak=False)
        topic = app.topic(*map(app.cluster.topic, partitions.topics), key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=FLOW)(_agent(partitions))

    async def _revoked(self, app: Any, revoked: set[Any], **_: Any) -> None:
        await self.partitions.revoke()

    async def _assigned(self, app: Any, assigned_: set[Any], **_: Any) -> None:
        self.is_assigned = True
        await self.partitions.assign(sorted({tp.partition for tp in assigned_}))

    async def _watch(self) -> None:
        """Name what stands still."""
        while True:
            await asyncio.sleep(WATCH_EVERY)
            if self.is_ready:
                self.stalled = await self.partitions.watch()

    async def _collect(self) -> None:
        """Let the collector look at what is new only: state is looked at once."""
        while True:
            await asyncio.sleep(COLLECT_EVERY)
            if self.is_ready:
                gc.collect()
                gc.freeze()


def _agent(partitions: Partitions) -> Callable[[Any], Any]:
    async def agent(stream: Any) -> None:
        async for batch in stream:
            partitions.take(batch)

    return agent


def _app(cluster: Cluster) -> StreamsApp:
    url = f"kafka://{cluster.servers.replace(',', ';kafka://')}"
    app = StreamsApp(
        cluster.group,
        broker=url,
        store="memory://",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        reply_create_topic=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=256,
        broker_session_timeout=cluster.session,
        broker_request_timeout=40.0,
        broker_heartbeat_interval=cluster.session / 5,
        broker_commit_interval=3600.0,
        consumer_max_fetch_size=2_097_152,
        datadir="/nonexistent",
    )
    app.cluster = cluster
    app.transport = BatchTransport([URL(one) for one in url.split(";")], app)
    return app
