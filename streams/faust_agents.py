"""Plain Faust agents of data engineers: an app and a group of their own, so that they never delay the flow.

Faust reads and delivers record by record here; what it would lose, its offsets that pass a record in flight and a
record on which an agent raised, is kept by a consumer of ours. Beside ``faust_runtime`` nobody else imports faust.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, TypeAlias, cast

import faust
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from yarl import URL

from schemas import topics
from schemas.codec import CodecError, Unpacker, from_json, to_json
from schemas.keys import parted
from schemas.messages import StageMessage
from streams import wire
from streams.faust_runtime import FaustMismatchError, check_faust
from streams.partition_log import Cluster
from streams.topology import Framing

COMMIT_EVERY = 1.0
"""Seconds between two commits: so much is seen again after a crash, about."""
LOOK_EVERY = 0.2
BUFFER = 1024

_RELIED_ON = (
    "_new_offset",
    "_add_gap",
    "_acked",
    "_acked_index",
    "_committed_offset",
    "_read_offset",
    "on_partitions_revoked",
)

_read_message: Unpacker[StageMessage] = Unpacker(StageMessage)


class AgentFailedError(RuntimeError):
    """An agent raised; its record and those behind it come again at the next start."""


class Told(Protocol):
    """Who counts, for operators."""

    def taken(self, topic: str, partition: int, count: int) -> None:
        """Agents are done with so many records."""
        ...

    def unreadable(self, topic: str, partition: int, offset: int, why: str) -> None:
        """A record cannot be read, and no agent gets it."""
        ...


class Key(NamedTuple):
    """The key of a record: whose it is, and the record, journey or relation key."""

    workspace: str
    key: str


class _NothingRead(dict[Any, Any]):
    """In the place of Faust's book of what was read of each partition: what is read again is delivered again.

    By that book Faust drops what comes again after a seek, also where the first delivery was thrown away meanwhile.
    """

    def __getitem__(self, tp: Any) -> None:
        return None


class OffsetKeeper:
    """A mixin of a Faust consumer: the offset that is committed never passes a record that is still in flight.

    Faust 0.15.3 takes one slow record for a gap of compaction and commits behind it (its issue 606). Here a record is
    in flight from when it is handed over until it is acked, and nothing is committed beyond the oldest of these.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        this = cast(Any, self)
        self._in_flight: dict[Any, dict[int, Any]] = {}
        self._behind: dict[Any, int] = {}
        """Per partition the offset behind the newest record that was acked."""
        self.is_stuck = False
        """Whether an agent has failed: nothing is committed any more, since Faust acks its record all the same."""
        this._read_offset = _NothingRead()
        deliver = this.callback

        async def delivered(message: Any) -> None:
            self.begin(message)
            await deliver(message)
            if not message.refcount and not message.acked:
                self._in_flight[message.tp].pop(message.offset, None)  # nobody wanted it

        this.callback = delivered

    def begin(self, message: Any) -> None:
        """A record is about to be handed to agents."""
        if cast(Any, self).app.topics.acks_enabled_for(message.topic):
            self._in_flight.setdefault(message.tp, {})[message.offset] = message

    def _new_offset(self, tp: Any) -> int | None:
        """The offset up to which all is done, gaps or not; none where nothing is new.

        What is done says the record itself: Faust's compiled streams note an ack without calling ``ack``.
        """
        this = cast(Any, self)
        this._acked[tp].clear()
        this._acked_index[tp].clear()
        waiting = self._in_flight.get(tp, {})
        done = [offset for offset, message in waiting.items() if message.acked]
        for offset in done:
            del waiting[offset]
        if done:
            self._behind[tp] = max(*done, self._behind.get(tp, 0) - 1) + 1
            self.finished(tp, len(done))
        if self.is_stuck or tp not in self._behind:
            return None
        committed = this._committed_offset[tp] or 0
        return min((offset for offset in waiting if offset >= committed), default=self._behind[tp])

    def finished(self, tp: Any, count: int) -> None:
        """So many records of a partition are done."""

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Gaps need no book: what is not in flight is done or was never there."""

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Forget what was in flight: it is delivered anew to whoever has the partition then."""
        self._forget(revoked)
        await cast(Any, super()).on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        """Begin anew with these."""
        self._forget(assigned)
        await cast(Any, super()).on_partitions_assigned(assigned, generation_id)

    def _forget(self, partitions: Any) -> None:
        for tp in partitions:
            self._in_flight.pop(tp, None)
            self._behind.pop(tp, None)


class CommittedThread(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread, reading what is committed: the flow's outputs are transactional."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer: Any = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"
        return consumer

    async def seek_to_committed(self) -> Any:
        """Read every partition on from what is committed."""
        return await self.call_thread(self._seek_back)

    async def _seek_back(self) -> Any:
        """The client seeks only where an offset above 0 is committed, and leaves the others wherever they are.

        Faust drops what it reads while partitions are paused (during recovery, in a rebalance) and relies on this.
        """
        consumer: Any = self._ensure_consumer()
        committed = await consumer.seek_to_committed()
        logs = cast(Any, self.app.tables).changelog_topics
        unset = [tp for tp, offset in committed.items() if not offset and tp.topic not in logs]
        if unset:
            for tp, start in (await consumer.beginning_offsets(unset)).items():
                consumer.seek(tp, start)
        return committed


class AgentsConsumer(OffsetKeeper, driver.Consumer):
    """Faust's consumer with our offsets."""

    def _new_consumer_thread(self) -> CommittedThread:
        return CommittedThread(self, loop=self.loop, beacon=self.beacon)

    def finished(self, tp: Any, count: int) -> None:
        """Count what is done."""
        app = cast(AgentsApp, self.app)
        app.told.taken(app.cluster.name(tp.topic), tp.partition, count)


class AgentsTransport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer = AgentsConsumer


class ReadableTopic(faust.Topic):
    """A topic of which unreadable records are told and passed over; Faust would throw them at the agent."""

    async def on_key_decode_error(self, exc: Exception, message: Any) -> None:
        """The key is not of ours."""
        self._tell(exc, message)

    async def on_value_decode_error(self, exc: Exception, message: Any) -> None:
        """The value cannot be read."""
        self._tell(exc, message)

    def _tell(self, exc: Exception, message: Any) -> None:
        app = cast(AgentsApp, self.app)
        app.told.unreadable(app.cluster.name(message.topic), message.partition, message.offset, str(exc))


class AgentsApp(faust.App):
    """The app that agents are registered with. An agent that raises stops it, and nothing is committed behind that."""

    cluster: Cluster
    told: Told
    failure: Exception | None = None

    async def _on_agent_error(self, agent: Any, exc: BaseException) -> None:
        """Faust calls it before it acks the record."""
        cast(AgentsConsumer, self.consumer).is_stuck = True
        self.failure = self.failure or AgentFailedError(
            f"agent {agent.name} raised {type(exc).__name__}. Its record is not lost: mend the agent and start again. "
            "To go on without a record, catch the exception inside the loop."
        )
        self.failure.__cause__ = exc


class _Ours(faust.Schema[Any, Any]):
    """How our records are read and written: keys parted, values as nouns."""

    def __init__(self, cluster: Cluster, framing: Framing) -> None:
        super().__init__(key_serializer="raw", value_serializer="raw")
        self._cluster, self._framing = cluster, framing

    def loads_key(self, app: Any, message: Any, **_: Any) -> Key:
        """Workspace and key."""
        try:
            return Key(*parted(message.key or b""))
        except ValueError as error:
            raise KeyDecodeError(str(error)) from error

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The noun, or what the stages say to each other."""
        topic = self._cluster.name(message.topic)
        try:
            is_inner = topic in (topics.RELATIONS, topics.JOURNEYS)
            if is_inner or parted(message.key)[1] == wire.MARKER:
                return _read_message(message.value or b"")
            return self._framing.decode(message.value or b"", list(message.headers or ()), topic)
        except (CodecError, ValueError) as error:
            raise ValueDecodeError(str(error)) from error


class _Json(faust.Schema[Any, Any]):
    """How the records of an agent's own topics are read and written: text keys, JSON values, exact numbers."""

    def __init__(self) -> None:
        super().__init__(key_serializer="raw", value_serializer="raw")

    def loads_key(self, app: Any, message: Any, **_: Any) -> str:
        """The key as text."""
        return (message.key or b"").decode(errors="replace")

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """Parsed JSON."""
        try:
            return from_json(message.value or b"")
        except CodecError as error:
            raise ValueDecodeError(str(error)) from error

    def dumps_key(self, app: Any, key: Any, *, serializer: Any = None, headers: Any) -> tuple[Any, Any]:
        """Text as UTF-8."""
        return (None if key is None else str(key).encode()), headers

    def dumps_value(self, app: Any, value: Any, *, serializer: Any = None, headers: Any) -> tuple[Any, Any]:
        """JSON."""
        return to_json(value), headers


class Topics:
    """The topics of a project for ``app.agent``: keys come as ``Key``, values as our nouns. Write only to your own."""

    def __init__(self, app: AgentsApp, framing: Framing) -> None:
        self._app, self._ours, self._json = app, _Ours(app.cluster, framing), _Json()
        self.owned: set[str] = set()
        """The names on the broker of the topics of their own that agents asked for."""

    def changes(self, *tabs: str) -> Any:
        """``ChangeEvent`` of these tabs, named as ``zoho:Deals``; under an empty key ``Loaded``: a first load ends."""
        return self._topic(*map(topics.changes, tabs))

    def decisions(self) -> Any:
        """``Decision``: what fired, what did not and why."""
        return self._topic(topics.DECISIONS)

    def commands(self, *connections: str) -> Any:
        """``Command``: what a connection is asked to do."""
        return self._topic(*map(topics.commands, connections))

    def outcomes(self) -> Any:
        """``Report``: what became of commands."""
        return self._topic(topics.OUTCOMES)

    def journeys(self) -> Any:
        """``StageMessage``: signals and ticks; where a workspace is spread, also facts from other partitions."""
        return self._topic(topics.JOURNEYS)

    def own(self, name: str) -> Any:
        """A topic of the agents' own, made when they start: text keys, JSON values."""
        self.owned.add(self._app.cluster.topic(name))
        return self._app.topic(self._app.cluster.topic(name), schema=self._json)

    def _topic(self, *names: str) -> Any:
        return self._app.topic(*map(self._app.cluster.topic, names), schema=self._ours)


Register: TypeAlias = Callable[[faust.App, Topics], None]
"""What a package names under ``renkei.agents``: it declares its agents and tables on the app."""


class Agents:
    """The agents of all packages in one process; any number of processes share the partitions."""

    def __init__(
        self, cluster: Cluster, partitions: int, framing: Framing, registers: Mapping[str, Register], told: Told
    ) -> None:
        """``partitions`` of every topic of the project: tables need as many.

        Raises:
            FaustMismatchError: another Faust is installed than the one this was built against.
        """
        check_faust()
        missing = [name for name in _RELIED_ON if name not in [*dir(FaustConsumer), *FaustConsumer.__annotations__]]
        if missing:
            raise FaustMismatchError(f"faust-streaming {faust.__version__} lacks Consumer.{missing[0]}")
        self.app = _app(cluster, partitions, told)
        self.topics = Topics(self.app, framing)
        for register in registers.values():
            register(self.app, self.topics)
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.is_assigned = False
        self.app.on_partitions_assigned.connect(cast(Any, self._assigned), weak=False)

    async def run(self) -> None:
        """Serve until stopped.

        Raises:
            AgentFailedError: an agent raised.
        """
        self._loop = asyncio.get_running_loop()
        await self.app.start()
        try:
            while not self._stop.is_set() and not self._is_broken:
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._stop.wait()
        finally:
            await self.app.stop()
        if self.app.failure is not None:
            raise self.app.failure
        if self.app.crash_reason is not None:
            raise self.app.crash_reason

    def stop(self) -> None:
        """Ask it to end; from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)

    @property
    def _is_broken(self) -> bool:
        return self.app.failure is not None or self.app.crashed

    async def _assigned(self, app: Any, assigned: Any, **_: Any) -> None:
        self.is_assigned = True


def _app(cluster: Cluster, partitions: int, told: Told) -> AgentsApp:
    url = f"kafka://{cluster.servers.replace(',', ';kafka://')}"
    app = AgentsApp(
        f"{cluster.group}.agents",
        broker=url,
        store="memory://",
        Topic=ReadableTopic,
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=partitions,
        reply_create_topic=False,
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFER,
        broker_commit_interval=COMMIT_EVERY,
        broker_session_timeout=15.0,
        broker_request_timeout=40.0,
        broker_heartbeat_interval=3.0,
        datadir="/nonexistent",
    )
    app.cluster, app.told = cluster, told
    app.transport = AgentsTransport([URL(one) for one in url.split(";")], app)
    return app
