"""From a project to a watch over its consumers: which groups are its own, and where the history is kept."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry

from connectors.lag_reader import BrokerObserver
from renkei.folder import Folder
from renkei.lag.exporter import LagExporter, LagMetrics
from renkei.lag.watch import FILE, History, LagWatch
from renkei.lag.window import Frame

GROUP = "renkei"
"""The group of the streams; those of the workers are ``renkei.connectors.<connection>``."""


def ours(prefix: str) -> Callable[[str], bool]:
    """Whether a group belongs to a project with this prefix."""
    streams = prefix + GROUP
    return lambda group: group == streams or group.startswith(f"{streams}.")


@contextmanager
def watching(
    folder: Folder, address: str, groups: Collection[str] = (), *, frame: Frame | None = None, allowed: int = 0
) -> Iterator[LagWatch]:
    """A watch over these groups, or over the project's own; what it sees is kept in the project's state."""
    wanted = groups.__contains__ if groups else ours(folder.settings.kafka.prefix)
    observer = BrokerObserver(address, wanted)
    try:
        yield LagWatch(observer, frame, allowed, History(folder.state / FILE))
    finally:
        observer.close()


@contextmanager
def measuring(
    folder: Folder, address: str, registry: CollectorRegistry, interval: float = 30.0
) -> Iterator[LagExporter]:
    """Lag among the metrics of a running part: what ``--lag`` turns on."""
    with watching(folder, address) as watch:
        exporter = LagExporter(watch, LagMetrics(registry), interval)
        exporter.start()
        try:
            yield exporter
        finally:
            exporter.close()
