"""What operators see of running parts: health pages, and metrics that are read off the parts themselves."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated

import typer

from connectors.view import view
from renkei.kafka_parts import KafkaWorkerPart
from renkei.metrics import Meter
from renkei.parts import CapturePart, FlowPart, Part, WorkerPart
from renkei.runner import Runner, wall_clock
from renkei.web import Health, WebServer

MetricsPort = Annotated[
    int, typer.Option("--metrics-port", min=0, max=65535, metavar="PORT", help="For /livez, /readyz and /metrics.")
]
MetricsHost = Annotated[str, typer.Option("--metrics-host", metavar="HOST", help="Where these listen.")]


@dataclass
class Observed:
    """The pages of one process, and what was last read off its parts."""

    meter: Meter
    health: Health
    address: str
    _counted: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def look(self, runner: Runner) -> None:
        """Read the counts off the parts, and keep the health true."""
        self.health.turn()
        parts, problems = dict(runner.parts), set(runner.problems)
        for part in parts.values():
            self._read(part)
        for connection, names in _by_connection(parts).items():
            self.meter.up(connection, problems.isdisjoint(names))
        if runner.is_ready:
            self.health.ready("start")
        else:
            self.health.waits("start", "not every part has begun its work")

    def _read(self, part: Part) -> None:
        if isinstance(part, KafkaWorkerPart | WorkerPart):
            self._read_worker(part)
        elif isinstance(part, CapturePart):
            connection = part.name.partition(" ")[2]
            for tab, count in self._news(connection, part.by_tab).items():
                self.meter.captured(connection, tab, count)
        elif isinstance(part, FlowPart):
            for count in self._news(part.name, {"taken": part.taken}).values():
                self.meter.events(part.name, 0, count)

    def _read_worker(self, part: KafkaWorkerPart | WorkerPart) -> None:
        now, connection = wall_clock(), part.connection
        self.meter.limits(connection, view(part.limiter.state(now), now))
        self.meter.serves(connection)
        found = {"applied": part.applied, "rejected": part.rejected, "uncertain": part.unknown}
        for outcome, count in self._news(part.name, found).items():
            self.meter.command(connection, outcome, count)
        if isinstance(part, KafkaWorkerPart):
            for lane, count in part.waiting.items():
                self.meter.waiting(connection, lane, count)
            for topic in part.parked:
                self.meter.reads(topic)
            for topic, count in self._news("", part.parked).items():
                self.meter.parked(topic, count)

    def _news(self, connection: str, counts: Mapping[str, int]) -> dict[str, int]:
        """What was counted since the last look."""
        news = {name: count - self._counted[(connection, name)] for name, count in dict(counts).items()}
        for name, count in news.items():
            self._counted[(connection, name)] += count
        return {name: count for name, count in news.items() if count}


def _by_connection(names: Iterable[str]) -> dict[str, list[str]]:
    """The parts of each connection: ``worker zoho``, ``worker zoho bulk`` and ``capture zoho`` all tell of it."""
    found: dict[str, list[str]] = {}
    for name in names:
        kind, _, rest = name.partition(" ")
        if kind in ("worker", "capture"):
            found.setdefault(rest.partition(" ")[0], []).append(name)
    return found


@contextmanager
def observed(host: str, port: int) -> Iterator[Observed]:
    """Health pages and metrics of this process while it runs. Port 0 takes a free one."""
    meter, health = Meter(), Health()
    meter.itself()
    with WebServer(health, meter.registry, host, port) as web:
        yield Observed(meter, health, web.address)
