"""The streams of a project on a broker: which workspaces and workflows, how nouns are framed, and who measures."""

from collections.abc import Callable, Sequence
from typing import Any

import typer

from connectors.schema_registry import opened as opened_registry
from connectors.settings import ConnectionSettings
from renkei.folder import Folder
from renkei.metrics import Meter
from renkei.options import broker_of
from renkei.topology import is_commanded
from renkei.web import Health
from renkei.wiring import stages_of, tabs_of
from rules.book import Book
from rules.durations import Duration
from schemas import topics
from schemas.framing import Framings, Registry
from schemas.values import SECOND
from streams.partition_log import Cluster
from streams.topology import Headers, Topology, Workspace

SNAPSHOTS = "snapshots"
REGISTRY = "schema_registry"
"""The name under which its credentials are kept: RENKEI_SCHEMA_REGISTRY_USER and so on."""


class Nouns:
    """How nouns stand on the topics of the flow."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._framings = Framings(registry)
        self._decoders: dict[str, Callable[[bytes, Headers], Any]] = {}

    def encode(self, noun: Any, topic: str) -> tuple[bytes, list[tuple[str, bytes]]]:
        """Value and headers. Raises CodecError."""
        return self._framings.of(topic).encode(noun)

    def decode(self, value: bytes, headers: Headers, topic: str) -> Any:
        """The noun. Raises CodecError."""
        decode = self._decoders.get(topic)
        if decode is None:
            decode = self._decoders[topic] = self._framings.of(topic).decode
        return decode(value, headers)


class Measured:
    """Tells the metrics and the health of a program what its runners do."""

    def __init__(self, meter: Meter, health: Health) -> None:
        self._meter, self._health = meter, health

    def events(self, partition: int, count: int, seconds: float) -> None:
        """A piece of work was committed."""
        self._meter.events(topics.FLOW, partition, count)
        self._meter.batch(seconds)

    def parked(self, topic: str, count: int) -> None:
        """Records were set aside."""
        self._meter.parked(topic, count)

    def restored(self, partition: int, done: int, total: int) -> None:
        """A changelog is read back so far."""
        self._meter.restored(done)
        self._health.waits(f"partition {partition}", f"restored {done:,} of {total:,} rows")

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """A partition stands still, or moves again."""
        self._meter.stalled(topic, partition, is_stalled)

    def told(self, partition: int, sentence: str) -> None:
        """Something that the person who published should hear."""
        typer.echo(f"partition {partition}: {sentence}", err=True)


def registry_of(folder: Folder) -> Registry | None:
    """The schema registry of a project, or none."""
    url = folder.settings.kafka.schema_registry
    if not url:
        return None
    named = folder.credentials(REGISTRY)
    secrets = {name: named.text(name) for name in ("user", "password") if named.text(name)}
    return opened_registry(ConnectionSettings(connection=REGISTRY, kind=REGISTRY, url=url), secrets)


def topology_of(folder: Folder, book: Book) -> Topology:
    """What the streams of a project host."""
    settings = folder.settings
    applied: Sequence[str] = [name for name, part in settings.connections.items() if is_commanded(folder, part)]
    one = Workspace(
        book, applied, settings.limits.limits(), folder.channels(), stages_of(folder),
        history=settings.history, order=_order(folder, book) if settings.history else (),
    )  # fmt: skip
    return Topology(
        {settings.workspace: one}, settings.kafka.partitions, Nouns(registry_of(folder)), spread=settings.kafka.spread
    )


def cluster_of(folder: Folder, broker: str = "") -> Cluster:
    """Where the streams of a project find their broker, and keep their snapshots."""
    kafka = folder.settings.kafka
    servers = broker_of(folder, broker).removeprefix("kafka://")
    session = Duration.parse(kafka.session).elapsed() / SECOND
    return Cluster(servers, f"{kafka.prefix}renkei", kafka.prefix, folder.state / SNAPSHOTS, session)


def _order(folder: Folder, book: Book) -> list[str]:
    """The tabs of a history in the order of its files; a file that names no tab may tell of all: those go by name."""
    known, found = tabs_of(book), dict[str, None]()
    for name, part in folder.settings.connections.items():
        named = [file.tab for file in part.files if file.tab is not None]
        found.update((f"{name}:{tab}", None) for tab in [*named, *known.get(name, [])] if tab in known.get(name, []))
    return [*found]
