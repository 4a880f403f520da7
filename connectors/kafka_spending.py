"""What a connection's day was used for, kept on Kafka with the partitions: whoever is given them counts on (D-101)."""

from collections.abc import Callable, Iterable

from connectors.kafka_bench import Bench
from connectors.kafka_io import Outgoing
from connectors.limits import Limiter
from connectors.quota import Spent
from schemas.values import SECOND

EVERY = 5 * SECOND
"""Milliseconds between two notes at least; what a worker that is killed has spent since the last one is forgotten."""


class Spending:
    """The count of one worker, which is that of its partitions: each has a note in the ledger's partition.

    What the worker spends is put down to the first of them, so that all notes together are what was spent in all.
    """

    def __init__(self, limiter: Limiter, clock: Callable[[], int]) -> None:
        self._limiter, self._clock = limiter, clock
        self._noted_at = 0

    def open(self, benches: Iterable[Bench]) -> None:
        """The partitions are these from now on, with their ledgers read."""
        whole = Spent()
        for bench in benches:
            whole.join(bench.rows.spent(bench.lane))
        self._limiter.count_from(whole)

    def note(self, topic: str, benches: Iterable[Bench], *, at_last: bool = False) -> Outgoing | None:
        """What is to be written to the ledger's topic, if there are news and it is time."""
        now = self._clock()
        bench = min((one for one in benches if one.is_open), key=lambda one: one.partition, default=None)
        if bench is None or (now - self._noted_at < EVERY and not at_last) or not (news := self._limiter.news()).steps:
            return None
        self._noted_at = now
        return bench.rows.outgoing_spent(topic, bench.partition.number, bench.lane, news)
