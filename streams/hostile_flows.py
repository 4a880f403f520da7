"""Hostile mode as a spread workspace runs on Kafka: one flow per partition, and messages only from one to another.

Each topic of a partition is still read by itself, in any order, with duplicates; a flow is killed as a whole.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partialmethod
from typing import Any

from rules.book import Book
from rules.trees import at_home_with
from schemas import topics
from streams import wire
from streams.flow import THE_STAGES, Flow, Stages, staying
from streams.hostile import Host, Hostile, Position, Torment, write
from streams.relations import Relations
from streams.stage import Output, Source
from streams.store import Entry, Origin


class HostileFlows(Hostile):
    """A hostile runtime whose stages of one partition are one flow, committed in one transaction."""

    def __init__(self, book: Book, torment: Torment, *, stages: Stages = THE_STAGES, **more: Any) -> None:
        stages = stages._replace(relations=_paged(stages.relations, torment.page))
        super().__init__(book, replace(torment, commit="transaction"), stages=stages, **more)

    def partition(self, stage: str, number: int) -> Any:
        """The stage in memory, opened with its flow from what is committed if that is not."""
        return getattr(self._flow(number), stage)

    def take(self, host: Host, size: int) -> None:
        """Let the flow of a partition take the next messages of one of its topics, and commit what follows from them.

        Raises:
            Killed: it died on the way; what is committed stays.
        """
        flow, position = self._flow(host.number), Position(host.position.next, dict(host.position.seen))
        outputs: list[tuple[Output, int, Origin]] = []
        for entry in host.inputs[position.next : position.next + size]:
            position.next += 1
            if self.repeated(position, entry):
                self.counts["duplicates dropped"] += 1
            else:
                outputs += self._fed(host, flow, entry)
        changed = list(flow.changed())
        self.maybe_crash()
        self.send(outputs)
        for stage, row in changed:
            write(self.host(stage, host.number), [row])
        host.position = position
        self.maybe_crash()

    def home(self, key: str) -> int:
        """The partition of a key: that of its record, where it has one."""
        return super().home(at_home_with(key))

    def stays(self, number: int) -> Callable[[Output], bool]:
        """Tells what the flow of this partition says to itself."""
        return staying(number, self.home)

    def _fed(self, host: Host, flow: Flow, entry: Entry) -> list[tuple[Output, int, Origin]]:
        source = Source(host.number, entry.seq)
        told = flow.feed(entry.topic, entry.key, wire.read_entry(entry), entry.at, source)
        self.counts["steps"] += 1
        return [(one, entry.at, Origin(f"{host.stage}/{host.number}", entry.seq, n)) for n, one in enumerate(told)]

    def _flow(self, number: int) -> Flow:
        """The flow of a partition; one of which a stage was killed is opened anew."""
        hosts = [self.host(stage, number) for stage in topics.STAGES]
        if any(host.alive is None for host in hosts):
            opened = self._opened(number, hosts)
            for host in hosts:
                host.alive = opened
        flow: Flow = hosts[0].alive
        return flow

    def _opened(self, number: int, hosts: list[Host]) -> Flow:
        stored = {host.stage: {key: dict(parts) for key, parts in host.rows.items()} for host in hosts}
        dues = {key: due for (key, _), due in self.host("journeys", number).dues.items()}
        return Flow(
            self.book, self.place._replace(number=number), stored, dues, limits=self.limits, channels=self.channels,
            stages=self.stages, stays=self.stays(number),
        )  # fmt: skip


def _paged(kind: type[Relations], page: int) -> type[Relations]:
    """The same with pages of this size."""
    return type("Paged", (kind,), {"__init__": partialmethod(kind.__init__, page=page)})
