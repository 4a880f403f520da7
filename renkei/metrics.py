"""What a running part of Renkei measures of itself, for Prometheus.

No global registry: each ``Meter`` has its own, and whoever runs a part hands it one. ``streams`` and ``connectors``
know only the methods that they call, as a Protocol of theirs.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from connectors.view import View

BATCH_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""A batch is tens of milliseconds; the last bounds are those at which a broker or a member loses patience."""
OUTCOMES = ("applied", "rejected", "uncertain")
"""What may become of a command."""


class Meter:
    """Counts and measures; each method is cheap and may be called from any thread. Labels never name records."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._batches = Histogram(
            "renkei_streams_batch_seconds", "From the first message of a batch to its commit",
            buckets=BATCH_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._events = self._counter("renkei_streams_events", "Messages that a stage has taken", "host", "partition")
        self._stalled = self._gauge(
            "renkei_streams_stalled", "1 while a partition grows and nothing of it is delivered", "topic", "partition"
        )
        self._restored = self._gauge("renkei_streams_restored_rows", "State rows read at the last restore")
        self._commands = self._counter("renkei_commands", "Commands by what became of them", "connection", "outcome")
        self._waiting = self._gauge(
            "renkei_commands_waiting", "Commands read that wait for a CRM", "connection", "lane"
        )
        self._captured = self._counter("renkei_capture_events", "Change events captured", "connection", "tab")
        self._parked = self._counter("renkei_parked", "Messages put aside for a person, by their topic", "topic")
        self._quota = self._gauge("renkei_limit_quota", "Units of a connection's day: used, left", "connection", "what")
        self._spent = self._gauge("renkei_limit_spent", "Units of a day by class of work", "connection", "class")
        self._concurrency = self._gauge("renkei_limit_concurrency", "Requests at once that go well", "connection")
        self._retries = self._gauge("renkei_limit_retries_left", "What is left of the retry budget", "connection")
        self._paused = self._gauge("renkei_limit_paused", "1 while a connection rests", "connection")
        self._up = self._gauge("renkei_connection_up", "1 while a connection answers", "connection")

    def events(self, host: str, partition: int, count: int = 1) -> None:
        """A stage, or the fused flow, has taken and committed so many messages of a partition."""
        self._events.labels(host, str(partition)).inc(count)

    def batch(self, seconds: float) -> None:
        """A batch was committed, so long after its first message came."""
        self._batches.observe(seconds)

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """A partition grows and nothing of it is delivered; or that is over."""
        self._stalled.labels(topic, str(partition)).set(is_stalled)

    def restored(self, rows: int) -> None:
        """So many rows of state were read since the restore began."""
        self._restored.set(rows)

    def serves(self, connection: str) -> None:
        """A worker serves this connection: each outcome is counted from 0, so that its first one is seen to come."""
        for outcome in OUTCOMES:
            self._commands.labels(connection, outcome)

    def reads(self, topic: str) -> None:
        """A stage or a worker reads this topic: what of it is parked is counted from 0."""
        self._parked.labels(topic)

    def command(self, connection: str, outcome: str, count: int = 1) -> None:
        """So many commands have come to an outcome: one of ``OUTCOMES``."""
        self._commands.labels(connection, outcome).inc(count)

    def waiting(self, connection: str, lane: str, count: int) -> None:
        """So many commands that were read wait now in a lane."""
        self._waiting.labels(connection, lane).set(count)

    def captured(self, connection: str, tab: str, count: int = 1) -> None:
        """So many change events of a tab were captured and written."""
        self._captured.labels(connection, tab).inc(count)

    def parked(self, topic: str, count: int = 1) -> None:
        """So many messages of this topic were put aside."""
        self._parked.labels(topic).inc(count)

    def up(self, connection: str, answers: bool) -> None:
        """A connection answers, or does not."""
        self._up.labels(connection).set(answers)

    def limits(self, connection: str, view: View) -> None:
        """How the limits of a connection stand."""
        for what, units in (("used", view.used), ("left", view.left)):
            if units is not None:
                self._quota.labels(connection, what).set(units)
        for rank, units in view.by_rank.items():
            self._spent.labels(connection, rank).set(units)
        self._concurrency.labels(connection).set(view.concurrency)
        self._retries.labels(connection).set(view.retries_left)
        self._paused.labels(connection).set(view.paused_until is not None)

    def itself(self) -> None:
        """Measure this program too: memory, files, processor time, and the collector."""
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)
