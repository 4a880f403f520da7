"""Lag on a real broker: groups commit for real, the clock of whoever looks is moved."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from connectors.kafka_io import Admin, Outgoing, Partition, Producer, TopicSpec
from connectors.kafka_reading import Consumer
from connectors.lag_reader import COMMITS, BrokerObserver, home, wall_clock
from renkei.lag.burrow import Status
from renkei.lag.watch import LagWatch, PartitionLag
from renkei.lag.window import Frame
from sandbox.broker.cluster import Cluster
from tests.kafka.committing import commit, forget
from tests.lag.scraping import eventually

FRAME = Frame()
STEP = FRAME.step
STEPS = 2 * FRAME.slots


@dataclass
class World:
    """A topic, groups, and somebody who looks at them with a clock that is moved by hand."""

    address: str
    topic: str
    admin: Admin
    producer: Producer
    skew: int = 0
    readers: list[BrokerObserver] = field(default_factory=list)

    @property
    def now(self) -> int:
        """The time of whoever looks."""
        return wall_clock() + self.skew

    def write(self, count: int, partition: int = 0, *, at: int | None = None) -> None:
        """Committed records, and the marker behind them: the broker writes it after it has answered."""
        part = Partition(self.topic, partition)
        before = self.admin.ends([part])[part]
        with self.producer.transaction() as transaction:
            for _ in range(count):
                transaction.send(Outgoing(self.topic, b"k", "予約 🎫".encode(), partition=partition, at=at))
        eventually(lambda: self.admin.ends([part])[part] == before + count + 1)

    def abort(self, count: int) -> None:
        """Records that reach the broker in a transaction that fails."""
        part = Partition(self.topic, 0)
        before = self.admin.ends([part])[part]
        with suppress(ZeroDivisionError), self.producer.transaction() as transaction:
            for _ in range(count):
                transaction.send(Outgoing(self.topic, b"k", b"v", partition=0))
            eventually(lambda: self.admin.ends([part])[part] == before + count)
            raise ZeroDivisionError
        eventually(lambda: self.admin.ends([part])[part] == before + count + 1)

    def commit(self, group: str, offset: int, partition: int = 0) -> None:
        """A consumer of the group commits."""
        commit(self.address, self.topic + group, {Partition(self.topic, partition): offset})

    def watch(self, *groups: str) -> "Looking":
        """Somebody who looks at these groups."""
        wanted = {self.topic + group for group in groups}
        reader = BrokerObserver(self.address, wanted.__contains__, lambda: self.now)
        self.readers.append(reader)
        return Looking(self, LagWatch(reader, FRAME))


@dataclass
class Looking:
    """Looks, and moves the clock on."""

    world: World
    watch: LagWatch

    def look(self) -> list[PartitionLag]:
        """One look, by partition."""
        return sorted(self.watch.look(), key=lambda row: (row.group, row.partition))

    def run(self, steps: int, act: Callable[[int], object] = lambda step: None) -> PartitionLag:
        """So many looks, a step apart, at the one partition there is; before each something happens."""
        for step in range(steps):
            act(step)
            self.world.skew += STEP
            (row,) = self.look()
        return row


@pytest.fixture
def world(broker: Cluster, topics: str) -> Iterator[World]:
    address = f"kafka://{broker.bootstrap}"
    admin = Admin(address)
    admin.create([TopicSpec(f"{topics}t", 1, 1)])
    producer = Producer(address, transactional_id=f"{topics}p")
    made = World(address, f"{topics}t", admin, producer)
    yield made
    for reader in made.readers:
        reader.close()
    producer.close()
    admin.close()


def test_lag_age_and_rate_of_a_group_without_members(world: World) -> None:
    world.write(5, at=world.now - 90_000)
    world.write(5, at=world.now - 30_000)
    world.commit("g", 2)
    watch = world.watch("g")
    (row,) = watch.look()
    assert (row.committed, row.lag) == (2, 10)  # eight records, and the marker behind each five
    assert 90 <= (row.age or 0) < 100
    world.commit("g", 8)
    world.skew += STEP
    (row,) = watch.look()
    assert row.rate == pytest.approx(6 / 60, rel=0.1)
    assert 30 + 60 <= (row.age or 0) < 110


def test_markers_and_failed_transactions_are_no_lag(world: World) -> None:
    world.write(3)
    world.abort(4)
    world.commit("g", 3)
    (row,) = world.watch("g").look()
    assert (row.committed, row.end, row.lag, row.age) == (3, 9, 0, None)


def test_an_open_transaction_is_no_lag_yet(world: World) -> None:
    world.write(1)
    world.commit("g", 2)
    other = Producer(world.address, transactional_id=f"{world.topic}other")
    watch, part = world.watch("g"), Partition(world.topic, 0)
    with other.transaction() as transaction:
        transaction.send(Outgoing(world.topic, b"k", b"v", partition=0))
        eventually(lambda: world.admin.ends([part])[part] == 3)
        assert [row.lag for row in watch.look()] == [0]
    other.close()
    assert [row.lag > 0 for row in watch.look()] == [True]


def test_a_stopped_consumer_is_named(world: World) -> None:
    world.write(10)
    world.commit("g", 4)
    row = world.watch("g").run(STEPS)
    assert (row.status, row.committed, row.drain) == (Status.STOP, 4, None)


def test_a_stalled_consumer_is_named(world: World) -> None:
    world.write(10)
    row = world.watch("g").run(STEPS, lambda _: world.commit("g", 4))
    assert (row.status, row.committed, row.rate) == (Status.STALL, 4, 0)


def test_a_rewound_consumer_is_named_until_it_has_regained(world: World) -> None:
    world.write(60)
    watch = world.watch("g")
    watch.run(FRAME.slots + 1, lambda step: world.commit("g", 20 + step))
    assert watch.run(1, lambda _: world.commit("g", 3)).status == Status.REWIND
    assert watch.run(3, lambda step: world.commit("g", 10 + step)).status == Status.REWIND
    assert watch.run(1, lambda _: world.commit("g", 30)).status == Status.OK


def test_a_consumer_that_keeps_up_is_fine(world: World) -> None:
    def keep_up(step: int) -> None:
        world.write(2)
        world.commit("g", 3 * (step + 1))

    row = world.watch("g").run(STEPS, keep_up)
    assert (row.status, row.lag, row.complete) == (Status.OK, 0, 1)


def test_a_partition_that_was_never_committed_waits_from_its_start(world: World) -> None:
    world.admin.create([TopicSpec(f"{world.topic}2", 2, 1)])
    world.topic = f"{world.topic}2"
    world.write(4, 0)
    world.write(7, 1)
    world.commit("g", 5, 0)
    assert [(row.partition, row.committed, row.lag) for row in world.watch("g").look()] == [(0, 5, 0), (1, 0, 8)]


def test_two_groups_on_one_partition_have_ages_of_their_own(world: World) -> None:
    world.write(1, at=world.now - 60_000)
    world.write(1, at=world.now - 10_000)
    world.commit("a", 0)
    world.commit("b", 1)
    assert [round(row.age or 0, -1) for row in world.watch("a", "b").look()] == [60, 10]


def test_only_wanted_groups_are_looked_at_and_forgotten_ones_are_gone(world: World) -> None:
    world.write(1)
    world.commit("a", 0)
    world.commit("b", 0)
    watch = world.watch("b", "c")
    assert [row.group for row in watch.look()] == [f"{world.topic}b"]
    forget(world.address, f"{world.topic}b")
    assert watch.look() == []


def test_a_topic_that_is_gone_leaves_no_row(world: World) -> None:
    world.write(1)
    world.commit("g", 0)
    watch = world.watch("g")
    assert len(watch.look()) == 1
    world.admin.delete([world.topic])
    assert watch.look() == []


def test_a_group_is_at_home_where_the_broker_keeps_it(world: World) -> None:
    """The broker puts the commits of a group where our own reckoning of its hash expects them, whatever its sign."""
    world.write(1)
    world.commit("first", 0)
    count = world.admin.partitions([COMMITS])[COMMITS]
    consumer = Consumer(world.address)
    for group in ("renkei", "renkei.connectors.zoho", "顧客 🎫", *map(str, range(6))):
        part = Partition(COMMITS, home(f"{world.topic}{group}", count))
        before = consumer.ends([part])[part]
        world.commit(group, 0)
        assert consumer.ends([part])[part] > before, group
    consumer.close()
