"""The partitions that this process has, each with its runner.

The runtime tells which partitions are assigned and hands over what it read.
"""

import asyncio
import time
from collections.abc import Callable, Iterable

from streams.hosting import LayoutChangedError, PartitionHost
from streams.merging import Batch
from streams.partition_log import Cluster
from streams.runner import Runner, Status
from streams.surroundings import Gate, Meter
from streams.topology import Topology

STALL = 30.0
"""Seconds without progress on a partition that has something to read, before it counts as stalled."""


class Partitions:
    """The runners of all partitions that are assigned to this process."""

    def __init__(
        self,
        topology: Topology,
        cluster: Cluster,
        gate: Gate,
        meter: Meter,
        clock: Callable[[], int],
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """``at`` is called at consumed, outputs_sent and committed, where a test may end the process."""
        self.topology, self.cluster, self.gate, self.meter = topology, cluster, gate, meter
        self.clock, self.at = clock, at
        self._runners: dict[int, Runner] = {}
        self.failure: Exception | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.gaps = 0
        """How often a batch came that did not follow the last one, and was read again."""
        self._moved: dict[tuple[str, int], tuple[int, float]] = {}

    @property
    def topics(self) -> list[str]:
        """The topics to read, by our names."""
        return sorted(self.topology.inputs())

    def take(self, batch: Batch) -> None:
        """Hand a batch to the runner of its partition; without one it is read again by whoever has that."""
        runner = self._runners.get(batch.partition)
        if runner is not None:
            runner.put(batch)

    async def revoke(self) -> None:
        """Prepare for a rebalance: every transaction in flight ends, or will be fenced."""
        await asyncio.gather(*(runner.pause() for runner in self._runners.values()))

    async def assign(self, numbers: Iterable[int]) -> None:
        """Serve just these partitions from now on; those that stay keep their state.

        A number that the project does not know ends all: a topic was given more partitions.
        """
        numbers = set(numbers)
        if max(numbers, default=0) >= self.topology.partitions:
            self.fail(LayoutChangedError(_too_many(max(numbers) + 1, self.topology.partitions)))
            numbers = set()
        await asyncio.gather(*(self._runners.pop(one).close() for one in [*self._runners] if one not in numbers))
        for number in sorted(numbers):
            runner = self._runners.get(number)
            if runner is None:
                self._runners[number] = Runner(self, number)
            else:
                await runner.resume()

    async def close(self) -> None:
        """Let go of all."""
        await self.revoke()
        await self.assign([])

    async def seek(self, inputs: Iterable[tuple[str, int]]) -> None:
        """Read these partitions on from where the state is."""
        positions: dict[tuple[str, int], int] = {}
        for topic, number in inputs:
            runner = self._runners.get(number)
            position = None if runner is None else runner.position(topic)
            if position is not None:
                positions[(topic, number)] = position
        await self.gate.seek(positions)

    def statuses(self) -> list[Status]:
        """How each runner is, in order."""
        return [self._runners[number].status for number in sorted(self._runners)]

    def host(self, number: int) -> PartitionHost | None:
        """The state in memory of a partition, if it is open here."""
        runner = self._runners.get(number)
        return None if runner is None else runner.host

    def fail(self, error: Exception) -> None:
        """Stop all: one partition cannot go on, and an operator has to look."""
        self.failure = self.failure or error
        self.on_failure()

    async def watch(self, stall: float = STALL) -> list[str]:
        """Name the partitions that have something to read and have not moved for so many seconds; read each anew."""
        positions = {
            (topic, one.partition): offset
            for one in self.statuses()
            if one.state == "open"
            for topic, offset in one.next.items()
        }
        for gone in self._moved.keys() - positions.keys():
            del self._moved[gone]
            self.meter.stalled(*gone, False)
        ends = await self.gate.ends(positions)
        now, stalled = time.monotonic(), []
        for name, position in positions.items():
            last = self._moved.get(name)
            if last is None or last[0] != position or position >= ends.get(name, 0):
                self._moved[name] = position, now
            elif now - last[1] > stall:
                stalled.append(name)
            self.meter.stalled(*name, name in stalled)
        await self.seek(stalled)
        return [f"{topic}/{number}" for topic, number in stalled]


def _too_many(found: int, known: int) -> str:
    return (
        f"a topic of the flow has {found} partitions now, and the project says {known}: the partition count may not "
        "change, since keys would part from their state. Nothing more is taken. `renkei topics` names the topic; make "
        "it anew with the former count, or begin anew under another `prefix`."
    )
