"""A broker with the topics of the workload, streams processes over it, and a producer that feeds and answers them."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks import workload
from benchmarks.join.cpu import cpu_seconds
from renkei.streaming import Nouns
from schemas import topics
from schemas.codec import pack
from schemas.commands import Applied, Command, Report
from schemas.events import ChangeEvent
from schemas.keys import home, in_workspace
from schemas.messages import Loaded

PATIENCE = 240.0
"""Seconds in which a step has to be done."""
COMMANDS = topics.commands("zoho")


class Plant:
    """What is measured, and what drives it. Times in seconds; one prefix of topics per plant."""

    def __init__(self, servers: str, folder: Path, *, workspaces: int = 12, partitions: int = 12, spread: bool = False):
        self.servers, self.folder = servers, folder
        self.workspaces, self.partitions, self.spread = workspaces, partitions, spread
        self.prefix = f"p{time.time_ns()}."
        self.children: list[subprocess.Popen[str]] = []
        self.took: list[float] = []
        self._nouns = Nouns()
        self.worlds: dict[str, workload.World] = {}

    async def __aenter__(self) -> "Plant":
        await self._make_topics()
        self.producer = AIOKafkaProducer(bootstrap_servers=self.servers, linger_ms=5, max_batch_size=500_000, acks=1)
        await self.producer.start()
        self.reader = AIOKafkaConsumer(
            bootstrap_servers=self.servers, isolation_level="read_committed", auto_offset_reset="earliest",
            fetch_max_wait_ms=10,
        )  # fmt: skip
        await self.reader.start()
        self.reader.assign([TopicPartition(self.prefix + COMMANDS, one) for one in range(self.partitions)])
        self.group = AIOKafkaConsumer(
            bootstrap_servers=self.servers, group_id=f"{self.prefix}renkei", enable_auto_commit=False
        )
        await self.group.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()
        await self.producer.stop()
        await self.reader.stop()
        await self.group.stop()

    # -- processes --------------------------------------------------------------

    def start(self, count: int = 1, *, snapshots: bool = True) -> None:
        """Start streams processes, and wait until all partitions are open; ``took`` says how long that was."""
        begun = [self._launch(number, snapshots) for number in range(count)]
        self.children += begun
        self.took = [self._ready(one) for one in begun]

    def stop(self) -> None:
        """End all streams processes in order."""
        for one in self.children:
            one.terminate()
        for one in self.children:
            one.wait(20)
        self.children.clear()

    def cpu(self) -> float:
        """CPU seconds of the streams processes so far."""
        return sum(cpu_seconds(one.pid) for one in self.children)

    def cpus(self) -> list[float]:
        """CPU seconds of each streams process so far."""
        return [cpu_seconds(one.pid) for one in self.children]

    def _launch(self, number: int, snapshots: bool) -> subprocess.Popen[str]:
        order = {
            "servers": self.servers, "prefix": self.prefix, "workspaces": self.workspaces, "spread": self.spread,
            "partitions": self.partitions, "folder": str(self.folder / f"{self.prefix}{number}") if snapshots else "",
        }  # fmt: skip
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.flow.streams", json.dumps(order)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def _ready(self, child: subprocess.Popen[str]) -> float:
        assert child.stdout is not None
        for line in child.stdout:
            told: dict[str, Any] = json.loads(line)
            if "ready" in told:
                return float(told["ready"])
        raise RuntimeError("a streams process ended before it was ready")

    # -- feeding --------------------------------------------------------------

    async def load(self, deals: int) -> int:
        """Put the first load of every workspace in; how many records in all."""
        count = 0
        for number in range(self.workspaces):
            name = f"w{number}"
            self.worlds[name] = workload.World(deals, seed=number + 1)
            await self._mark(name)
            count += await self.feed((name, event) for event in self.worlds[name].found())
        await self.settle()
        return count

    async def edit(self, count: int) -> int:
        """Put so many edits in, spread over the workspaces, while the streams are stopped; how many."""
        names = list(self.worlds)
        edits = [(name, event) for name in names for event in self.worlds[name].edited(count // len(names))]
        self._signal(signal.SIGSTOP)
        try:
            return await self.feed(edits)
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for one in self.children:
            one.send_signal(number)

    async def feed(self, events: Iterable[tuple[str, ChangeEvent]]) -> int:
        """Put change events in; how many."""
        count = 0
        for workspace, event in events:
            await self.send(workspace, event)
            count += 1
        await self.producer.flush()
        return count

    async def send(self, workspace: str, event: ChangeEvent) -> "asyncio.Future[Any]":
        """Put one change event in; the future of its acknowledgement."""
        topic = topics.changes(event.tab)
        value, headers = self._nouns.encode(event, topic)
        place = home(workspace, event.ref, self.partitions, self.spread)
        sent: asyncio.Future[Any] = await self.producer.send(
            self.prefix + topic, value, in_workspace(workspace, event.record_id), place, event.seen_at or 1, headers
        )
        return sent

    async def answer(self) -> int:
        """Report every command that came out as applied, as workers would; how many there were."""
        commands = [one async for one in self.commands()]
        for workspace, command in commands:
            applied = Applied(command_id=command.id, record_id=command.record_id)
            report = Report(at=0, connection="zoho", journey=command.journey, fire=command.fire, outcome=applied)
            value, headers = self._nouns.encode(report, topics.OUTCOMES)
            place = home(workspace, command.journey, self.partitions, self.spread)
            await self.producer.send(
                self.prefix + topics.OUTCOMES, value, in_workspace(workspace, command.journey), place, 1, headers
            )
        await self.producer.flush()
        await self.settle()
        return len(commands)

    def stamped(self, event: ChangeEvent, at: int) -> ChangeEvent:
        """An event that was seen at another time."""
        return msgspec.structs.replace(event, seen_at=at, committed_at=at)

    async def commands(self, wait: int = 300) -> AsyncIterator[tuple[str, Command]]:
        """The commands that came out since the last call, with their workspaces; until none came for so many ms."""
        while fetched := await self.reader.getmany(timeout_ms=wait):
            for records in fetched.values():
                for record in records:
                    command: Command = self._nouns.decode(record.value, record.headers, COMMANDS)
                    yield record.key.decode().partition("\x1f")[0], command

    async def settle(self) -> None:
        """Wait until everything that was put in is committed as taken."""
        deadline = time.monotonic() + PATIENCE
        while await self._behind():
            if time.monotonic() > deadline:
                raise TimeoutError(f"still {await self._behind()} messages behind")
            await asyncio.sleep(0.02)

    async def _behind(self) -> int:
        names = [topics.changes(tab) for tab in workload.TABS] + [topics.OUTCOMES]
        names += [topics.RELATIONS, topics.JOURNEYS] if self.spread else []
        tps = [TopicPartition(self.prefix + name, one) for name in names for one in range(self.partitions)]
        ends = await self.group.end_offsets(tps)
        waiting = [tp for tp in tps if ends[tp]]
        taken = [await self.group.committed(tp) for tp in waiting]
        behind: int = sum(max(0, ends[tp] - (done or 0)) for tp, done in zip(waiting, taken, strict=True))
        return behind if not self.spread else max(0, behind - 2 * len(waiting))

    async def _mark(self, workspace: str) -> None:
        for tab in workload.TABS:
            marker = pack(Loaded(at=0, tab=tab, generation=0, upstream=("capture", 0)))
            places = range(self.partitions) if self.spread else [home(workspace, "", self.partitions, False)]
            for place in places:
                await self.producer.send(
                    self.prefix + topics.changes(tab), marker, in_workspace(workspace, ""), place, 1
                )

    async def _make_topics(self) -> None:
        read = [*map(topics.changes, workload.TABS), topics.RELATIONS, topics.JOURNEYS, topics.OUTCOMES]
        names = [*read, topics.DECISIONS, COMMANDS, topics.PARKED]
        compact = {"cleanup.policy": "compact"}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await admin.start()
        try:
            await admin.create_topics(
                [NewTopic(self.prefix + name, self.partitions, 1) for name in names]
                + [NewTopic(self.prefix + topics.state(topics.FLOW), self.partitions, 1, topic_configs=compact)]
            )
        finally:
            await admin.close()
