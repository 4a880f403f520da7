"""What one partition has read of several topics, handed on in the order of time.

A fused flow reads a topic per tab. In a backlog the topics would come one after another, and rules would see states
that never were; so the topic with the oldest record goes first, and one that is behind is waited for.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.topology import Incoming


class Batch(NamedTuple):
    """What was read of one topic and partition: all its records from offset ``start`` up to, not including, ``end``."""

    topic: str
    partition: int
    start: int
    end: int
    records: list[Incoming]


class Piece(NamedTuple):
    """Some records of one topic in order, and the offset up to which that is all there was."""

    topic: str
    records: list[Incoming]
    end: int


class _Inlet:
    """One topic: what waits, up to where it was read, and its turn among those of one time."""

    def __init__(self, end: int, turn: int) -> None:
        self.end, self.turn = end, turn
        self.records: deque[Incoming] = deque()


class Merge:
    """Puts the batches of several topics into one order."""

    def __init__(self, positions: dict[str, int], order: Sequence[str] = ()) -> None:
        """``positions``: the offset to read next, by topic; ``order``: topics that go first where times are equal."""
        first = {topic: turn - len(order) for turn, topic in enumerate(order)}
        self._inlets = {
            topic: _Inlet(positions[topic], first.get(topic, turn)) for turn, topic in enumerate(sorted(positions))
        }
        self._skips: set[str] = set()
        self.count = 0

    def put(self, batch: Batch) -> bool:
        """Take a batch, without what is here already; false if something before it is missing."""
        inlet = self._inlets[batch.topic]
        if batch.start > inlet.end:
            return False
        fresh = [one for one in batch.records if one.offset >= inlet.end] if batch.start < inlet.end else batch.records
        inlet.records.extend(fresh)
        if inlet.records:
            self._skips.discard(batch.topic)
        elif batch.end > inlet.end:
            self._skips.add(batch.topic)
        inlet.end = max(inlet.end, batch.end)
        self.count += len(fresh)
        return True

    @property
    def has_skips(self) -> bool:
        """Whether a topic was read on over offsets that hold no record: ends of transactions, and aborted ones."""
        return bool(self._skips)

    def skips(self) -> list[Piece]:
        """The topics that were read on without a record, as pieces that hold none."""
        skipped, self._skips = sorted(self._skips), set()
        return [Piece(topic, [], self._inlets[topic].end) for topic in skipped]

    def empty(self) -> dict[str, int]:
        """The topics of which nothing waits, with the offset up to which they were read."""
        return {topic: inlet.end for topic, inlet in self._inlets.items() if not inlet.records}

    def take(self, most: int) -> list[Piece]:
        """The oldest records, up to about so many, in pieces of one topic each; ties go by ``order``, then by name.

        It ends where a topic runs out: more of it may be older than what the others have.
        """
        pieces: list[Piece] = []
        heads = sorted(
            (inlet.records[0].at, inlet.turn, topic) for topic, inlet in self._inlets.items() if inlet.records
        )
        while most > 0 and heads:
            topic = heads.pop(0)[2]
            piece = self._piece(topic, heads[0] if heads else None, most)
            most -= len(piece.records)
            pieces.append(piece)
            inlet = self._inlets[topic]
            if not inlet.records:
                break
            insort(heads, (inlet.records[0].at, inlet.turn, topic))
        return pieces

    def clear(self, topics: Iterable[str], positions: dict[str, int]) -> None:
        """Forget what waits of these topics; they are read again from these offsets."""
        for topic in topics:
            inlet = self._inlets[topic]
            self.count -= len(inlet.records)
            inlet.records.clear()
            inlet.end = positions[topic]
            self._skips.discard(topic)

    def _piece(self, topic: str, rival: tuple[int, int, str] | None, most: int) -> Piece:
        """The records of a topic that come before the first one of all others: ``rival`` (time, turn, topic)."""
        inlet = self._inlets[topic]
        waiting = inlet.records
        records: list[Incoming] = []
        last = None
        if rival is not None:
            time, turn, _ = rival
            last = time if inlet.turn < turn else time - 1  # of one time (ms) those of the earlier turn go first
        while waiting and len(records) < most and (last is None or waiting[0].at <= last):
            records.append(waiting.popleft())
        self.count -= len(records)
        return Piece(topic, records, waiting[0].offset if waiting else inlet.end)
