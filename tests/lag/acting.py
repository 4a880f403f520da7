"""A consumer that a test leads: it appends, commits and moves the clock, and looks as the observer would."""

from dataclasses import dataclass, field

from renkei.lag.burrow import Status
from renkei.lag.watch import History, LagWatch, PartitionLag
from renkei.lag.window import Frame
from schemas.lag import Observation

STEP = 60_000
FRAME = Frame(span=10 * STEP, slots=10)
START = 1_700_000_000_000


@dataclass
class Topic:
    """One partition of a topic with one consumer, both led by hand. ``tells``: the broker tells commit times."""

    tells: bool = True
    now: int = START
    committed: int = 0
    committed_at: int = START
    stamps: list[int] = field(default_factory=list)

    def append(self, count: int) -> None:
        """Records of now."""
        self.stamps += [self.now] * count

    def commit(self, offset: int) -> None:
        """The consumer commits, perhaps the same offset again."""
        self.committed, self.committed_at = offset, self.now

    def catch_up(self) -> None:
        """The consumer takes all there is."""
        self.commit(len(self.stamps))

    def observe(self) -> list[Observation]:
        """One look."""
        oldest = self.stamps[self.committed] if self.committed < len(self.stamps) else None
        told = self.committed_at if self.tells else None
        return [Observation("g", "t", 0, self.committed, len(self.stamps), oldest, told, self.now)]


class Led:
    """A watch over such a topic."""

    def __init__(self, *, tells: bool = True, history: History | None = None, allowed: int = 0) -> None:
        self.topic = Topic(tells)
        self.watch = LagWatch(self.topic, FRAME, allowed, history)

    def look(self, *, after: int = STEP) -> PartitionLag:
        """The clock moves on, then somebody looks."""
        self.topic.now += after
        (row,) = self.watch.look()
        return row

    def run(self, steps: int, *, inflow: int = 10, take: int | None = None) -> Status:
        """Some steps in which records come in, and are taken; all of them unless a number is given."""
        status = Status.OK
        for _ in range(steps):
            self.topic.append(inflow)
            taken = len(self.topic.stamps) if take is None else self.topic.committed + take
            if taken > self.topic.committed:
                self.topic.commit(min(taken, len(self.topic.stamps)))
            status = self.look().status
        return status
