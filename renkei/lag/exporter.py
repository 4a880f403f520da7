"""Consumer lag as metrics: a thread that looks again and again, and what it saw last."""

import sys
import threading
from collections.abc import Callable, Iterator
from math import inf
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import CollectorRegistry

from renkei.lag.burrow import Status
from renkei.lag.watch import PartitionLag

_LABELS = ("group", "topic", "partition")


class Looker(Protocol):
    """Who looks once, such as a ``LagWatch``."""

    def look(self) -> tuple[PartitionLag, ...]:
        """Every partition that is watched."""


class LagMetrics:
    """The newest look as metrics. Partitions that are gone leave no series behind."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._rows: tuple[PartitionLag, ...] = ()
        registry.register(self)

    def show(self, rows: tuple[PartitionLag, ...]) -> None:
        """Show these from now on."""
        self._rows = rows

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is measured only to learn the names."""
        return list(_families(()))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What is scraped."""
        return _families(self._rows)


class LagExporter:
    """Looks every ``interval`` seconds, in a thread of its own. A look that fails is told once, and tried again."""

    def __init__(
        self, watch: Looker, metrics: LagMetrics, interval: float = 30.0, tell: Callable[[str], None] | None = None
    ) -> None:
        self._watch, self._metrics, self._interval = watch, metrics, interval
        self._tell = tell or (lambda text: print(text, file=sys.stderr))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._problem = ""

    @property
    def is_running(self) -> bool:
        """Whether its thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Look for the first time now, in the thread."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; a look that is under way is waited for a little."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(15.0)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._metrics.show(self._watch.look())
                self._problem = ""
            except Exception as error:  # measuring does not end because a broker is away
                self._say(f"lag is not measured: {error}")
            self._ended.wait(self._interval)

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._tell(problem)


def _families(rows: tuple[PartitionLag, ...]) -> Iterator[GaugeMetricFamily]:
    lag = _gauge("renkei_lag_messages", "Offsets before the consumer, to the last stable offset")
    age = _gauge("renkei_lag_age_seconds", "How long the oldest unread record has waited; 0 without lag")
    rate = _gauge("renkei_lag_rate_per_second", "Offsets that the consumer commits per second")
    drain = _gauge("renkei_lag_drain_seconds", "Time until the lag is gone at this pace; +Inf if it never is")
    status = _gauge("renkei_lag_status", "1 for the verdict on the consumer, by Burrow's rules", "status")
    at = GaugeMetricFamily("renkei_lag_observed_timestamp_seconds", "When this was last measured")
    for row in rows:
        key = [row.group, row.topic, str(row.partition)]
        lag.add_metric(key, row.lag)
        if row.lag == 0 or row.age is not None:
            age.add_metric(key, row.age or 0.0)
        if row.rate is not None:
            rate.add_metric(key, row.rate)
            drain.add_metric(key, inf if row.drain is None else row.drain)
        for one in Status:
            status.add_metric([*key, one.value.lower()], float(row.status == one))
    if rows:
        at.add_metric([], max(row.at for row in rows) / 1000)
    yield from (lag, age, rate, drain, status, at)


def _gauge(name: str, text: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[*_LABELS, *more])
