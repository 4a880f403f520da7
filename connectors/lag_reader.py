"""Looks at a Kafka broker to see how far consumer groups have come, also groups whose members are gone.

Offset lag is measured to the last stable offset, as a consumer that reads committed messages sees it. Two things need
more than offsets: how long the oldest unread record has waited (it is read), and when a group last committed (it is
read from the broker's own topic of commits, so that a consumer that commits the same offset again is told from one that
commits nothing; without permission to read that topic, both look the same).
"""

import struct
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from connectors.kafka_io import PATIENCE, Admin, BrokerAway, Delivered, KafkaTrouble, Partition, Refused
from connectors.kafka_reading import Consumer
from schemas.lag import Observation

COMMITS = "__consumer_offsets"
BACK = 20 * 60_000
"""How far back (ms) commits are read at the first look."""


def wall_clock() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Groups(Protocol):
    """What is asked of an administrator of the broker."""

    def groups(self) -> frozenset[str]:
        """The groups that the broker knows, also those without members."""

    def committed(self, group: str) -> dict[Partition, int]:
        """The offsets that a group has committed."""

    def partitions(self, topics: Iterable[str]) -> dict[str, int]:
        """How many partitions each topic has; those that are gone are left out."""

    def starts(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The offset of the oldest message that is still there."""


class Records(Protocol):
    """What is asked of a consumer that reads committed messages and belongs to no group."""

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Read exactly these partitions."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from this offset."""

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Read these no further."""

    def poll(self, wait: int, most: int = 500) -> list[Delivered]:
        """What came within ``wait`` milliseconds."""

    def position(self, partition: Partition) -> int | None:
        """The next offset to be read."""

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where what is committed ends."""

    def offsets_at(self, partitions: Iterable[Partition], at: int) -> dict[Partition, int | None]:
        """The first offset of each partition that is not older than a time; none: all are older."""


class Committed(NamedTuple):
    """What a message of the broker's own topic says: this group committed this offset; none: it was forgotten."""

    group: str
    partition: Partition
    offset: int | None


class CommitTimes:
    """When groups last committed, from the broker's own topic of commits; it goes on where it stopped."""

    def __init__(self, records: Records, admin: Groups, clock: Callable[[], int]) -> None:
        self._records, self._clock = records, clock
        self._count = admin.partitions([COMMITS]).get(COMMITS, 0)
        self._positions: dict[Partition, int] = {}
        self._times: dict[tuple[str, Partition], int] = {}

    def read(self, groups: Iterable[str]) -> Mapping[tuple[str, Partition], int]:
        """The time (ms) of the newest commit of each partition of these groups, as far as it is known."""
        homes = {Partition(COMMITS, home(group, self._count)) for group in groups} if self._count else set()
        if not homes:
            return self._times
        ends = self._records.ends(homes)
        self._begin(homes - self._positions.keys(), ends)
        open_ = {one for one in homes if self._positions[one] < ends[one]}
        self._records.assign(homes)
        for one in homes:
            self._records.seek(one, self._positions[one])
        self._records.hold(homes - open_)
        for message in _drained(self._records, {one: ends[one] for one in open_}):
            self._note(message)
        self._positions |= {one: self._records.position(one) or self._positions[one] for one in homes}
        return self._times

    def _begin(self, new: set[Partition], ends: Mapping[Partition, int]) -> None:
        found = self._records.offsets_at(new, self._clock() - BACK) if new else {}
        self._positions |= {one: ends[one] if offset is None else offset for one, offset in found.items()}

    def _note(self, message: Delivered) -> None:
        commit = commit_of(message.key, message.value)
        if commit is None:
            return
        key = (commit.group, commit.partition)
        if commit.offset is None:
            self._times.pop(key, None)
        else:
            self._times[key] = message.at


class LagReader:
    """Observes groups through an administrator and consumers of its own. Belongs to one thread.

    ``wanted``: which groups are looked at. Of a topic that a group reads, all partitions are, also those where it has
    not committed yet: all that is in them waits.
    """

    def __init__(
        self,
        admin: Groups,
        records: Records,
        wanted: Callable[[str], bool],
        *,
        times: CommitTimes | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._admin, self._records, self._wanted, self._times = admin, records, wanted, times
        self._clock = clock or wall_clock
        self._oldest: dict[tuple[Partition, int], int] = {}

    def observe(self) -> list[Observation]:
        """One look at every partition of every wanted group.

        Raises:
            KafkaTrouble: the broker did not answer, or refuses.
        """
        committed = {
            group: self._admin.committed(group) for group in sorted(self._admin.groups()) if self._wanted(group)
        }
        read = self._read(committed)
        partitions = {one for offsets in read.values() for one in offsets}
        ends = self._records.ends(partitions)
        known = self._commit_times(read)
        oldest = self._oldest_of({(one, offset) for offsets in read.values() for one, offset in offsets.items()}, ends)
        now = self._clock()
        return [
            Observation(
                group, one.topic, one.number, offset, ends[one], oldest.get((one, offset)),
                known.get((group, one)) if one in committed[group] else None, now,
            )
            for group, offsets in read.items() for one, offset in sorted(offsets.items())
        ]  # fmt: skip

    def _read(self, committed: Mapping[str, Mapping[Partition, int]]) -> dict[str, dict[Partition, int]]:
        """How far each group has read all partitions of its topics; a topic that is gone is left out."""
        counts = self._admin.partitions({one.topic for offsets in committed.values() for one in offsets})
        starts = self._admin.starts(Partition(topic, number) for topic in counts for number in range(counts[topic]))
        found = {}
        for group, offsets in committed.items():
            topics = {one.topic for one in offsets}
            ours = {one: start for one, start in starts.items() if one.topic in topics}
            # What retention has deleted before it was read does not wait any more.
            found[group] = {one: max(start, offsets.get(one, start)) for one, start in ours.items()}
        return found

    def _commit_times(self, groups: Iterable[str]) -> Mapping[tuple[str, Partition], int]:
        if self._times is None:
            return {}
        try:
            return self._times.read(groups)
        except Refused:  # such as no right to read them: not worth more than a poorer verdict
            return {}

    def _oldest_of(
        self, positions: set[tuple[Partition, int]], ends: Mapping[Partition, int]
    ) -> dict[tuple[Partition, int], int]:
        """The time of the first record at each position; left out where there is none. Each is read only once."""
        behind = {(one, offset) for one, offset in positions if offset < ends[one]}
        known = {at: told for at, told in self._oldest.items() if at in behind}
        left = sorted(behind - known.keys(), key=lambda at: at[1])
        while left:  # a partition twice, where two groups read it: one after the other
            batch = dict(reversed(left))
            known |= first_records(self._records, batch, ends)
            left = [(one, offset) for one, offset in left if batch[one] != offset]
        self._oldest = known
        return known


def first_records(
    records: Records, positions: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> dict[tuple[Partition, int], int]:
    """The time (ms) of the first record at or after each position, before the end; left out where there is none."""
    found: dict[tuple[Partition, int], int] = {}
    records.assign(positions)
    for one, offset in positions.items():
        records.seek(one, offset)
    records.hold(())
    open_ = {one: ends[one] for one in positions}
    for message in _drained(records, open_, only_first=True):
        found.setdefault((message.partition, positions[message.partition]), message.at)
    return found


def _drained(records: Records, ends: dict[Partition, int], *, only_first: bool = False) -> Iterable[Delivered]:
    """What is read until all ends are reached, or the first message of each partition."""
    deadline = time.monotonic() + PATIENCE / 1000
    every, ends = frozenset(ends), dict(ends)
    while ends:
        if time.monotonic() > deadline:
            names = ", ".join(f"{one.topic} {one.number}" for one in sorted(ends))
            raise BrokerAway(f"looking at lag: nothing is delivered of {names}")
        for message in records.poll(100):
            if not only_first or message.partition in ends:
                yield message
            if only_first:
                ends.pop(message.partition, None)
        ends = {one: end for one, end in ends.items() if (records.position(one) or 0) < end}
        records.hold(every - ends.keys())


def home(group: str, count: int) -> int:
    """The partition of the broker's topic of commits where a group's are: Java's hash of its name, without the sign."""
    units = struct.unpack(f"<{len(group.encode('utf-16-le')) // 2}H", group.encode("utf-16-le"))
    number = 0
    for unit in units:
        number = (31 * number + unit) & 0xFFFFFFFF
    signed = number - (1 << 32) if number >> 31 else number
    return 0 if signed == -(1 << 31) else abs(signed) % count


def commit_of(key: bytes | None, value: bytes | None) -> Committed | None:
    """What a message of the broker's topic of commits says; none if it is of another kind (Kafka's OffsetCommitKey)."""
    if key is None or int.from_bytes(key[:2]) > 1:
        return None
    try:
        group, rest = _text(key[2:])
        topic, rest = _text(rest)
        (number,) = struct.unpack(">i", rest)
        offset = None if value is None else struct.unpack_from(">q", value, 2)[0]
    except (struct.error, UnicodeDecodeError):
        return None
    return Committed(group, Partition(topic, number), offset)


class BrokerObserver:
    """Observes the groups of a broker over connections of its own, made at the first look and anew after any trouble.

    Belongs to the thread that looks, until it is closed.
    """

    def __init__(self, address: str, wanted: Callable[[str], bool], clock: Callable[[], int] = wall_clock) -> None:
        self._address, self._wanted, self._clock = address, wanted, clock
        self._opened: list[Admin | Consumer] = []
        self._reader: LagReader | None = None

    def observe(self) -> list[Observation]:
        """One look. Raises KafkaTrouble where the broker did not answer, or refuses; the next look connects anew."""
        try:
            self._reader = self._reader or self._open()
            return self._reader.observe()
        except KafkaTrouble:
            self.close()
            raise

    def close(self) -> None:
        """End the connections."""
        self._reader = None
        while self._opened:
            self._opened.pop().close()

    def _open(self) -> LagReader:
        admin = Admin(self._address, "lag")
        self._opened.append(admin)
        records, commits = (self._consumer() for _ in range(2))
        times = CommitTimes(commits, admin, self._clock)
        return LagReader(admin, records, self._wanted, times=times, clock=self._clock)

    def _consumer(self) -> Consumer:
        consumer = Consumer(self._address, name="lag")
        self._opened.append(consumer)
        return consumer


def _text(packed: bytes) -> tuple[str, bytes]:
    (length,) = struct.unpack_from(">h", packed)
    return packed[2 : 2 + length].decode(), packed[2 + length :]
