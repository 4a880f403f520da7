"""Kafka's reading side: a consumer whose rebalances, stalls and gaps are seen by whoever reads.

Beside ``kafka_io`` the only file that imports kafka-python.
"""

import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from connectors.kafka_io import (
    PATIENCE,
    BrokerAway,
    Delivered,
    KafkaTrouble,
    Membership,
    Partition,
    asking,
    network,
    theirs,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka
    import kafka.errors
    from kafka.consumer.subscription_state import ConsumerRebalanceListener
    from kafka.coordinator.assignors.range import RangePartitionAssignor

STALLED = 30.0
"""Seconds after which a partition that grows and is not read is fetched anew; after twice that we give up."""


class Gap(KafkaTrouble):
    """The broker no longer has what was to be read next: retention overtook us."""

    def __init__(self, lost: Mapping[Partition, int]) -> None:
        self.lost = dict(lost)
        where = ", ".join(f"{one.topic} {one.number} at {offset}" for one, offset in sorted(self.lost.items()))
        super().__init__(f"the broker deleted messages before they were read: {where}")


Assigned: TypeAlias = Callable[[frozenset[Partition], Membership], None]
"""Told in the thread that polls, once for each generation, with all partitions of this member: seek there."""
Revoked: TypeAlias = Callable[[frozenset[Partition]], None]
"""Told in the thread that polls: these partitions may already be another one's."""


class Stalled(BrokerAway):
    """A partition grows, but nothing of it is delivered any more: make a new consumer."""


class _Change(NamedTuple):
    partitions: frozenset[Partition]
    member: Membership | None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Notes rebalances as they happen, in the library's own thread; the generation as it was at that moment.

    A later look at the generation could find a newer one, of which the assignment is not yet known.
    """

    def __init__(self, changes: "deque[_Change]", member: Callable[[], Membership]) -> None:
        self._changes, self._member = changes, member

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._changes.append(_Change(frozenset(Partition(*one) for one in assigned), self._member()))

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._changes.append(_Change(frozenset(Partition(*one) for one in revoked), None))


class _Join:
    """A join that counts as under way until the library has heard how it ended."""

    is_done = False

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.add_callback, self.add_errback = inner.add_callback, inner.add_errback


class _Watched(NamedTuple):
    """When a partition was last seen to move, or to have nothing to read."""

    position: int
    end: int
    since: float
    sought: bool = False


class Consumer:
    """Reads what is committed, by group or by partitions that are named. Nothing is committed by itself.

    ``stalled``: seconds of the watchdog; ``session``: milliseconds after which a silent member loses its partitions.
    """

    def __init__(
        self, address: str, *, group: str = "", session: int = 10_000, stalled: float = STALLED, name: str = ""
    ) -> None:
        settings = {
            **network(address, name or group), "group_id": group or None, "enable_auto_commit": False,
            "isolation_level": "read_committed", "auto_offset_reset": "none", "session_timeout_ms": session,
            "heartbeat_interval_ms": max(200, session // 5), "partition_assignment_strategy": (RangePartitionAssignor,),
            "allow_auto_create_topics": False, "metadata_max_age_ms": 30_000, "fetch_max_wait_ms": 250,
            "retry_backoff_ms": 50,
        }  # fmt: skip
        self._group, self._stalled = group, stalled
        self._changes: deque[_Change] = deque()
        self._told: tuple[Assigned, Revoked] | None = None
        self._watched: dict[Partition, _Watched] = {}
        self._look_at = 0.0
        self._unsought: set[Partition] = set()
        self._held: frozenset[Partition] = frozenset()
        with asking(f"connecting to {address}"):
            self._inner: Any = kafka.KafkaConsumer(**settings)

    # -- what to read --------------------------------------------------------------

    def subscribe(self, topics: Sequence[str], assigned: Assigned, revoked: Revoked) -> None:
        """Share these topics with the members of the group. A partition is read once ``seek`` said from where."""
        self._told = (assigned, revoked)
        with asking("subscribing"):
            self._know(topics)
            self._inner.subscribe(list(topics), listener=_Listener(self._changes, self._member))

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Read exactly these partitions; seek in each that is new."""
        with asking("assigning"):
            self._inner.assign([theirs(one) for one in partitions])

    def seek(self, partition: Partition, offset: int) -> None:
        """Read on from this offset."""
        self._unsought.discard(partition)
        self._watched.pop(partition, None)
        self._seek(partition, offset)
        self._pause()

    def hold(self, partitions: Iterable[Partition]) -> None:
        """Read these no further until the next call, and all others."""
        held = frozenset(partitions)
        if held != self._held:
            self._held = held
            self._pause()

    # -- reading --------------------------------------------------------------

    def poll(self, wait: int, most: int = 500) -> list[Delivered]:
        """What came within ``wait`` milliseconds; partitions that changed hands are told first.

        Raises:
            Gap: what was to be read next is gone from the broker.
            Stalled: a partition grows, but is not delivered for long: make a new consumer.
        """
        self._go_on_joining()
        self._unpark()
        with asking("reading"):
            try:
                found = self._inner.poll(timeout_ms=wait, max_records=most)
            except kafka.errors.OffsetOutOfRangeError as error:
                raise Gap({Partition(*at): offset for at, offset in error.args[0].items()}) from None
            except kafka.errors.NoOffsetForPartitionError:  # assigned in this poll, so nobody has said from where yet
                found = {}
        delivered = [_delivered(Partition(*at), one) for at, records in found.items() for one in records]
        if self._changes:
            self._changed()
            delivered = []  # it may be of before
        self._watch({one.partition for one in delivered})
        return delivered

    def partitions(self) -> frozenset[Partition]:
        """What is read now."""
        return frozenset(Partition(*one) for one in self._inner.assignment() or ())

    def position(self, partition: Partition) -> int | None:
        """The next offset to be read; none where that is not settled, or the partition is not ours."""
        with asking("asking for a position"):
            try:
                position = self._inner.position(theirs(partition), timeout_ms=0)
            except (kafka.errors.IllegalStateError, kafka.errors.NoOffsetForPartitionError, KeyError):
                return None
        return None if position is None else int(position)

    def committed(self, partition: Partition) -> int | None:
        """How far the group has read, once no transaction that says so is open (KIP-447); none: not at all.

        Raises:
            BrokerAway: a transaction of the partition's former reader is still open: ask again.
        """
        with asking(f"asking how far {partition.topic} {partition.number} is read"):
            offset = self._inner.committed(theirs(partition), timeout_ms=PATIENCE)
        return None if offset is None else int(offset)

    def ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Where what is committed ends, an open transaction being the end too."""
        wanted = [theirs(one) for one in partitions]
        with asking("asking for ends"):
            found = self._inner.end_offsets(wanted, timeout_ms=PATIENCE) if wanted else {}
        return {Partition(*at): int(offset) for at, offset in found.items()}

    def offsets_at(self, partitions: Iterable[Partition], at: int) -> dict[Partition, int | None]:
        """The first offset of each partition that is not older than a time in milliseconds; none: all are older."""
        wanted = {theirs(one): at for one in partitions}
        with asking("asking for offsets by time"):
            found = self._inner.offsets_for_times(wanted, timeout_ms=PATIENCE) if wanted else {}
        return {Partition(*one): None if told is None else int(told.offset) for one, told in found.items()}

    def membership(self) -> Membership | None:
        """Who this consumer is in its group at this moment; none while it is no member."""
        member = self._member()
        return member if member.member and member.generation >= 0 else None

    def is_moving(self) -> bool:
        """Whether the group is about to give its partitions out anew; it needs polls that wait a little."""
        coordinator = self._inner._coordinator
        return bool(coordinator.rejoining or coordinator.need_rejoin()) or self.membership() is None

    def close(self) -> None:
        """Leave the group and end."""
        with suppress(kafka.errors.KafkaError, OSError):
            self._inner.close(autocommit=False, timeout_ms=2_000)

    # -- inside --------------------------------------------------------------

    def _go_on_joining(self) -> None:
        """Wait on for a join that is under way, or take up one that ended between two polls.

        The library throws one that ended away, and begins another: where the broker is slower than our polls, the group
        would be given out anew for ever, and nobody would read. Where new metadata began it, the library sees no reason
        for it any more as soon as it is half done: no heartbeat would be sent, and the member be silent.
        """
        coordinator = self._inner._coordinator
        if not self._group or not coordinator.rejoining:
            return
        if not coordinator.rejoin_needed:
            coordinator.request_rejoin()
        if coordinator._join_task is not None and not isinstance(coordinator._join_task, _Join):
            coordinator._join_task = _Join(coordinator._join_task)

    def _unpark(self) -> None:
        """What was fetched of a partition while it was held is put aside, and taken up where the place for it is free.

        The library takes a place that holds nothing any more for one that is in use, and fetches nothing of such a
        partition ever again.
        """
        fetcher = self._inner._fetcher
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None

    def _know(self, topics: Sequence[str]) -> None:
        """Learn of topics before joining a group about them.

        The library forgets to ask where an earlier question is under way. A leader that does not know the topics gives
        nobody any partition, and asks again after minutes.
        """
        cluster = self._inner._cluster
        cluster.set_topics(topics)
        deadline = time.monotonic() + PATIENCE / 1000
        while missing := [one for one in topics if cluster.partitions_for_topic(one) is None]:
            if time.monotonic() > deadline:
                raise BrokerAway(f"the broker says nothing of topic {missing[0]}. Is it there? renkei topics")
            with suppress(kafka.errors.KafkaTimeoutError, kafka.errors.UnknownTopicOrPartitionError):
                self._inner._net.run(self._inner._manager.wait_for, cluster.request_update(), 1_000)
            time.sleep(0.02)  # a topic that was just made is not yet known to every broker

    def _member(self) -> Membership:
        found = self._inner.group_metadata()
        return Membership(self._group, found.generation_id, found.member_id)

    def _seek(self, partition: Partition, offset: int) -> None:
        # A partition that is no longer ours cannot be sought; the next poll tells so.
        with suppress(AssertionError, KeyError, kafka.errors.IllegalStateError, ValueError):
            self._inner.seek(theirs(partition), offset)

    def _pause(self) -> None:
        ours, paused = self.partitions(), frozenset(Partition(*one) for one in self._inner.paused())
        wanted = (self._held | self._unsought) & ours
        with suppress(KeyError, kafka.errors.IllegalStateError):
            self._inner.pause(*map(theirs, wanted - paused))
            self._inner.resume(*map(theirs, (paused & ours) - wanted))

    def _changed(self) -> None:
        """Tell of rebalances in their order. Nothing is read of what was assigned before somebody seeks in it."""
        assert self._told is not None
        assigned, revoked = self._told
        while self._changes:
            change = self._changes.popleft()
            self._watched.clear()
            if change.member is None:
                self._unsought -= change.partitions
                revoked(change.partitions)
                continue
            self._unsought = set(change.partitions)
            for one in change.partitions:
                self._seek(one, 0)
            self._pause()
            assigned(change.partitions, change.member)

    def _watch(self, moved: set[Partition]) -> None:
        """Notice partitions that grow and are not read: clients have silently stopped fetching some."""
        now = time.monotonic()
        for one in moved:
            self._watched.pop(one, None)
        if now < self._look_at:
            return
        self._look_at = now + self._stalled / 4
        watched = self.partitions() - self._unsought - self._held
        ends = self.ends(watched)
        for one in watched:
            position = self.position(one)
            if position is not None:
                self._look(one, position, ends.get(one, 0), now)

    def _look(self, one: Partition, position: int, end: int, now: float) -> None:
        before = self._watched.get(one)
        if before is None or before.position != position or end <= position:
            self._watched[one] = _Watched(position, end, now)
        elif now - before.since >= 2 * self._stalled:
            self._watched.clear()
            raise Stalled(
                f"{one.topic} {one.number} grows to {end}, but nothing after {position} is delivered: reading it anew"
            )
        elif now - before.since >= self._stalled and not before.sought:
            self._seek(one, position)
            self._watched[one] = before._replace(sought=True)


def everything(
    consumer: Consumer, ends: Mapping[Partition, int], starts: Mapping[Partition, int] | None = None
) -> Iterator[Delivered]:
    """All that stands in partitions before these ends, with a consumer that is used for nothing else meanwhile.

    ``starts``: the first offset to be read, where that is not 0.

    Raises:
        BrokerAway: for long nothing was delivered before the end; perhaps a transaction is still open: ask again.
    """
    consumer.assign(ends)
    for one in ends:
        consumer.seek(one, (starts or {}).get(one, 0))
    deadline = time.monotonic() + 2 * PATIENCE / 1000
    while open_ := {one for one, end in ends.items() if (consumer.position(one) or 0) < end}:
        if time.monotonic() > deadline:
            raise BrokerAway(f"{next(iter(open_)).topic} is not delivered to its end; a transaction is open")
        consumer.hold(ends.keys() - open_)
        delivered = consumer.poll(100, 5_000)
        if delivered:
            deadline = time.monotonic() + 2 * PATIENCE / 1000
        yield from delivered
    consumer.hold(())


def first_at(address: str, partition: Partition, offset: int, name: str = "") -> int | None:
    """The time of the first message at or after an offset, in milliseconds; none where there is none."""
    consumer = Consumer(address, name=name)
    try:
        return first_record_at(consumer, partition, offset)
    finally:
        consumer.close()


def first_record_at(consumer: Consumer, partition: Partition, offset: int) -> int | None:
    """The same with a consumer that is used for nothing else."""
    end = consumer.ends([partition])[partition]
    consumer.assign([partition])
    consumer.seek(partition, offset)
    deadline = time.monotonic() + PATIENCE / 1000
    while (consumer.position(partition) or 0) < end and time.monotonic() < deadline:
        for one in consumer.poll(250, 1):
            return one.at
    return None


def _delivered(partition: Partition, record: Any) -> Delivered:
    headers = tuple(record.headers or ())
    return Delivered(partition, record.offset, record.timestamp, record.key, record.value, headers)
