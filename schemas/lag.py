"""How far a consumer of a topic has come, as one look at the broker shows it."""

from dataclasses import dataclass
from typing import Protocol

NO_TIME = -1
"""The timestamp of a record that carries none."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one partition of a consumer group. Times are milliseconds since 1970.

    ``end`` is the last stable offset: what a consumer that reads committed messages can reach. ``oldest_at`` is the
    timestamp of the first record at or after ``committed``; none where there is no record (what lies between may be
    markers of transactions, or compacted away), ``NO_TIME`` where the record carries no time. ``committed_at`` is when
    the consumer last committed, also if it committed the same offset again; none where the broker does not tell it.
    """

    group: str
    topic: str
    partition: int
    committed: int
    end: int
    oldest_at: int | None
    committed_at: int | None
    at: int

    @property
    def lag(self) -> int:
        """How many offsets lie before the consumer; 0 if none of them is a record."""
        return max(0, self.end - self.committed) if self.oldest_at is not None else 0

    @property
    def age(self) -> float | None:
        """Seconds that the oldest unread record has waited; none without lag, or where its time is not known."""
        if self.lag == 0 or self.oldest_at is None or self.oldest_at == NO_TIME:
            return None
        return max(0, self.at - self.oldest_at) / 1000


class Observer(Protocol):
    """Who looks at the broker."""

    def observe(self) -> list[Observation]:
        """One look at every partition of every group that is watched, also of groups without members."""
