"""The runtime of tests on a real broker: one program serves many stories at once, each a workspace with its own clock.

``Service`` runs ``Streams`` in a thread; ``OnKafka`` is one workspace of it, with the calls of any runtime.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from connectors.kafka_io import Admin, TopicSpec
from renkei.streaming import Nouns
from schemas import topics
from schemas.codec import from_json, pack
from schemas.commands import Command, Report
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.keys import home, in_workspace, parted
from schemas.messages import Loaded, OutcomeOf
from schemas.values import tab_of
from streams import wire
from streams.faust_runtime import Streams
from streams.flow import Flow
from streams.hosting import PartitionHost
from streams.partition_log import Cluster
from streams.runner import Status
from streams.topology import Topology, Workspace

PARTITIONS = 2
PATIENCE = 60.0
"""Seconds in which anything here comes to rest."""
LOOK = 0.05
ANY_TIME = {"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"}
"""Settings of topics whose records are of any time: of years to come, or of years ago."""

T = TypeVar("T")
Where = dict[tuple[str, int], int]
"""Positions by host, topic and partition."""


class Counted:
    """A meter that remembers, and wakes whoever waits for something to be committed."""

    def __init__(self) -> None:
        self.taken = self.largest = 0
        self.stalls: set[tuple[str, int]] = set()
        self.committed = asyncio.Event()

    def events(self, partition: int, count: int, seconds: float) -> None:
        self.taken += count
        self.largest = max(self.largest, count)
        self.committed.set()

    def parked(self, topic: str, count: int) -> None:
        pass

    def restored(self, partition: int, done: int, total: int) -> None:
        pass

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        if is_stalled:
            self.stalls.add((topic, partition))

    def told(self, partition: int, sentence: str) -> None:
        pass


class Service:
    """The streams of several workspaces in a thread; started and stopped as often as one likes."""

    def __init__(self, servers: str, prefix: str, workspaces: Mapping[str, Workspace], **topology: Any) -> None:
        """``prefix`` makes the topics its own; they are made here, and dropped by ``close``."""
        self.patience: float = topology.pop("patience", PATIENCE)
        self.clocks = dict.fromkeys(workspaces, 0)
        clocked = {name: replace(one, clock=self._clock(name)) for name, one in workspaces.items()}
        self.topology = Topology(clocked, topology.pop("partitions", PARTITIONS), Nouns(), **topology)
        self.cluster = Cluster(servers, f"{prefix}renkei", prefix)
        self.meter = Counted()
        self.admin = Admin(f"kafka://{servers}")
        self.admin.create(list(self._topics()))
        self.said: list[tuple[str, str, Any]] = []
        """What came out: topic, workspace, message."""
        self.programs: list[Streams] = []
        self._running: dict[Streams, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="streams")
        self._thread.start()
        self.call(self._open())

    def runtime(self, workspace: str) -> "OnKafka":
        """One workspace of it, as a runtime."""
        return OnKafka(self, workspace)

    def restart(self) -> None:
        """End the program, and begin another one on what is committed."""
        self.end()
        self.begin()

    def begin(self) -> Streams:
        """Begin one program more, and wait until all have their partitions open."""
        return self.call(self._begin())

    def end(self) -> None:
        """End the program that was begun first."""
        self.call(self._end())

    def close(self) -> None:
        """End it, and drop its topics."""
        while self.programs:
            self.end()
        self.call(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.cluster.prefix)])
        self.admin.close()

    def call(self, doing: Coroutine[Any, Any, T]) -> T:
        """Do something in the thread of the streams, within the time limit."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(doing, self.patience), self._loop).result()

    # -- in and out --------------------------------------------------------------

    async def put(self, records: Iterable[tuple[str, int, bytes, bytes, Sequence[tuple[str, bytes]], int]]) -> None:
        """Append records to topics of ours: topic, partition, key, value, headers, time."""
        sent = [
            await self._producer.send(
                self.cluster.topic(topic), value=value, key=key, partition=partition, timestamp_ms=at,
                headers=list(headers),
            )
            for topic, partition, key, value, headers, at in records
        ]  # fmt: skip
        await asyncio.gather(*sent)

    async def rest(self, workspace: str) -> None:
        """Wait until everything of a workspace was taken and committed, and no timer is due; then read what came out.

        Where the positions did not move while the ends were asked for, nothing was on its way.
        """
        while True:
            self.meter.committed.clear()
            before = self._positions(workspace)
            if before is not None:
                ends = await self.ends(before)
                if all(at >= ends[place] for place, at in before.items()):
                    if self._positions(workspace) == before:
                        break
                    continue
            try:
                await asyncio.wait_for(self.meter.committed.wait(), LOOK)
            except TimeoutError:
                self._raise_failure()
        await self._hear()

    def hosts(self, workspace: str) -> Iterator[tuple[Status, PartitionHost | None]]:
        """The hosts and partitions where a workspace may be at home."""
        at_home = home(workspace, "", self.topology.partitions, spread=False)
        for program in self.programs:
            for status in program.statuses():
                if self.topology.spread or status.partition == at_home:
                    yield status, program.partitions.host(status.partition)

    def _positions(self, workspace: str) -> Where | None:
        """Up to where everything is taken and committed; none where something is under way, or a timer is due."""
        found: Where = {}
        hosts = list(self.hosts(workspace))
        if len(hosts) != (self.topology.partitions if self.topology.spread else 1):
            return None
        for status, host in hosts:
            if host is None or host.positions.next != status.next or self._is_due(host, workspace):
                return None
            found |= {(topic, status.partition): offset for topic, offset in status.next.items()}
        return found

    def _is_due(self, host: PartitionHost, workspace: str) -> bool:
        flow = host.flow(workspace)
        due = None if flow is None else flow.next_due
        return due is not None and due <= self.clocks[workspace]

    def _raise_failure(self) -> None:
        for task in self._running.values():
            if task.done():
                task.result()

    # -- life --------------------------------------------------------------

    async def _open(self) -> None:
        servers = self.cluster.servers
        self._producer = AIOKafkaProducer(bootstrap_servers=servers)
        await self._producer.start()
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=servers, isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False, fetch_max_wait_ms=25,
        )  # fmt: skip
        await self._reader.start()
        self._asker = AIOKafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        await self._asker.start()
        self._outputs = [(name, number) for name in self._left() for number in range(self.topology.partitions)]
        self._reader.assign([self.tp(*one) for one in self._outputs])
        await self._begin()

    async def _hang_up(self) -> None:
        for one in (self._producer, self._reader, self._asker):
            await one.stop()

    async def _begin(self) -> Streams:
        program = Streams(self.topology, self.cluster, self.meter, lambda: 0)
        self.programs.append(program)
        self._running[program] = asyncio.create_task(program.run())
        try:
            while not self._is_shared_out():
                self._raise_failure()
                await asyncio.sleep(0.01)
        except Exception:
            self.programs.remove(program)
            del self._running[program]
            raise
        return program

    def _is_shared_out(self) -> bool:
        """Whether each partition is open in one program, and each program has its share."""
        shares = [len(one.statuses()) for one in self.programs]
        return (
            sum(shares) == self.topology.partitions and min(shares) > 0 and all(one.is_ready for one in self.programs)
        )

    async def _end(self) -> None:
        program = self.programs.pop(0)
        program.stop()
        await self._running.pop(program)

    async def ends(self, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Where partitions end, with what is not committed yet."""
        asked = {self.tp(*one): one for one in wanted}
        found = await self._asker.end_offsets(list(asked))
        return {asked[tp]: offset for tp, offset in found.items()}

    async def _hear(self) -> None:
        ends = {self.tp(*one): offset for one, offset in (await self.ends(self._outputs)).items()}
        while any([await self._reader.position(tp) < end for tp, end in ends.items()]):
            for tp, records in (await self._reader.getmany(timeout_ms=20)).items():
                topic = self.cluster.name(tp.topic)
                for one in records:
                    self.said.append((topic, parted(one.key)[0], self._read(topic, one)))

    def _read(self, topic: str, record: Any) -> Any:
        if topic == topics.PARKED:
            return from_json(record.value)["why"]
        return self.topology.framing.decode(record.value, record.headers, topic)

    # -- names --------------------------------------------------------------

    def _left(self) -> list[str]:
        connections = {name for one in self.topology.workspaces.values() for name in one.connections}
        lanes = [lane(name) for name in sorted(connections) for lane in (topics.commands, topics.bulk)]
        return [*lanes, topics.DECISIONS, topics.PARKED]

    def _topics(self) -> Iterator[TopicSpec]:
        prefix, count = self.cluster.prefix, self.topology.partitions
        for name in sorted({*self.topology.inputs(), *self._left()}):
            yield TopicSpec(prefix + name, count, 1, ANY_TIME)
        yield TopicSpec(prefix + topics.state(topics.FLOW), count, 1, {"cleanup.policy": "compact"})

    def tp(self, topic: str, number: int) -> TopicPartition:
        return TopicPartition(self.cluster.topic(topic), number)

    def _clock(self, workspace: str) -> Callable[[], int]:
        return lambda: self.clocks[workspace]


class OnKafka:
    """A runtime like ``Embedded``: one workspace of a service. It answers the same calls."""

    def __init__(self, service: Service, workspace: str) -> None:
        self._service, self.workspace = service, workspace

    def append(self, events: Iterable[ChangeEvent]) -> None:
        """Put change events in, as capture does."""
        self._service.call(self._service.put([self._change(event) for event in events]))

    def tell(self, journey: str, message: Any) -> None:
        """Put an outcome in, as a connector does, or a signal or an operator's word."""
        key, number = in_workspace(self.workspace, journey), self._home(journey)
        if isinstance(message, OutcomeOf):
            report = Report(
                at=message.at, connection=tab_of(journey).partition(":")[0], journey=journey, fire=message.fire,
                outcome=message.outcome, chain=message.chain,
            )  # fmt: skip
            value, headers = Nouns().encode(report, topics.OUTCOMES)
            record = (topics.OUTCOMES, number, key, value, headers, message.at)
        else:
            record = (topics.JOURNEYS, number, key, pack(message), [], message.at)
        self._service.call(self._service.put([record]))

    def mark_loaded(self, tabs: Iterable[str], at: int) -> None:
        """Say that first loads are complete: to every partition where records of the workspace may be."""
        topology = self._service.topology
        numbers = range(topology.partitions) if topology.spread else [self._home("")]
        key = in_workspace(self.workspace, wire.MARKER)
        self._service.call(self._service.put([
            (topics.changes(tab), number, key, pack(_loaded(tab, at)), [], at) for tab in tabs for number in numbers
        ]))  # fmt: skip

    def run(self, now: int | None = None) -> int:
        """Move the clock of the workspace, and wait until everything is at rest."""
        if now is not None:
            self._service.clocks[self.workspace] = now
        before = self._service.meter.taken
        self._service.call(self._service.rest(self.workspace))
        return self._service.meter.taken - before

    @property
    def next_due(self) -> int | None:
        """When the next timer is due."""
        return min(self._service.call(self._dues()), default=None)

    def commands(self) -> list[Command]:
        """All commands so far."""
        return [one for topic, one in self._said() if topic.startswith("commands.")]

    def decisions(self) -> list[Decision]:
        """All decisions so far."""
        return [one for topic, one in self._said() if topic == topics.DECISIONS]

    def parked(self) -> list[str]:
        """Why messages were set aside."""
        return [one for topic, one in self._said() if topic == topics.PARKED]

    def states(self, stage: str) -> Iterator[tuple[str, Any]]:
        """All keys of a stage with their states."""
        return iter(self._service.call(self._states(stage)))

    async def _dues(self) -> list[int]:
        return [due for flow in self._flows() if (due := flow.next_due) is not None]

    async def _states(self, stage: str) -> list[tuple[str, Any]]:
        states = [flow.states(stage) for flow in self._flows()]
        return [(key, one.get(key)) for one in states for key in one.names()]

    def _flows(self) -> list[Flow]:
        hosts = [host for _, host in self._service.hosts(self.workspace) if host is not None]
        return [flow for host in hosts if (flow := host.flow(self.workspace)) is not None]

    def _said(self) -> list[tuple[str, Any]]:
        return [(topic, one) for topic, workspace, one in self._service.said if workspace == self.workspace]

    def _change(self, event: ChangeEvent) -> tuple[str, int, bytes, bytes, Sequence[tuple[str, bytes]], int]:
        topic = topics.changes(event.tab)
        value, headers = Nouns().encode(event, topic)
        key = in_workspace(self.workspace, event.record_id)
        return topic, self._home(event.ref), key, value, headers, event.seen_at

    def _home(self, key: str) -> int:
        topology = self._service.topology
        return home(self.workspace, key, topology.partitions, topology.spread)


def _loaded(tab: str, at: int) -> Loaded:
    return Loaded(at=at, tab=tab, generation=0, upstream=("capture", 0))
