"""What we rely on of a broker and its client library: transactions, fencing, rebalances, stalls, gaps."""

import time
from collections.abc import Callable, Iterator

import kafka.errors
import pytest

from connectors.kafka_io import (
    Admin,
    BrokerAway,
    Delivered,
    Fenced,
    KafkaTrouble,
    Membership,
    Outgoing,
    Partition,
    Producer,
    Refused,
    TopicSpec,
    servers,
    theirs,
    trouble,
)
from connectors.kafka_reading import Consumer, Gap, first_at
from sandbox.broker.cluster import Cluster
from tests.kafka.clients import grow

Opened = list[Producer | Consumer | Admin]


@pytest.fixture
def address(broker: Cluster) -> str:
    return f"kafka://{broker.bootstrap}"


@pytest.fixture
def closing() -> Iterator[Opened]:
    """What a test opens, closed at its end."""
    opened: Opened = []
    yield opened
    for one in opened:
        one.close()


@pytest.fixture
def topic(address: str, topics: str) -> Iterator[str]:
    admin = Admin(address)
    name = f"{topics}things"
    admin.create([TopicSpec(name, 2, 1)])
    yield name
    admin.delete([name])
    admin.close()


def put(producer: Producer, topic: str, *values: str, number: int = 0) -> None:
    with producer.transaction() as transaction:
        for value in values:
            transaction.send(Outgoing(topic, b"k", value.encode(), partition=number))


def abort(producer: Producer, topic: str, before: Callable[[], None] = lambda: None) -> None:
    """Write a message in a transaction that is not committed, and look around before it ends."""
    with producer.transaction() as transaction:
        transaction.send(Outgoing(topic, b"k", b"never", partition=0))
        transaction.flush()
        before()
        raise ZeroDivisionError


def commit_offset(producer: Producer, topic: str, member: Membership) -> None:
    with producer.transaction() as transaction:
        transaction.send(Outgoing(topic, b"k", b"with the offset", partition=0))
        transaction.offsets({Partition(topic, 0): 1}, member)


def read(consumer: Consumer, count: int) -> list[Delivered]:
    """As many messages as are waited for, or those that came in ten seconds."""
    found: list[Delivered] = []
    deadline = time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        found += consumer.poll(200)
    return found


def values(found: list[Delivered]) -> list[str]:
    return [(one.value or b"").decode() for one in found]


class Member:
    """One consumer of a group that reads from the beginning of what it is assigned."""

    def __init__(self, address: str, group: str, topic: str, session: int = 6_000) -> None:
        self.consumer = Consumer(address, group=group, session=session)
        self.ours: frozenset[Partition] = frozenset()
        self.member: Membership | None = None
        self.consumer.subscribe([topic], self._assigned, self._revoked)

    def _assigned(self, partitions: frozenset[Partition], member: Membership) -> None:
        self.ours, self.member = partitions, member
        for one in partitions:
            self.consumer.seek(one, self.consumer.committed(one) or 0)

    def _revoked(self, partitions: frozenset[Partition]) -> None:
        self.ours -= partitions

    def close(self) -> None:
        self.consumer.close()


def until(holds: Callable[[], bool], *members: Member) -> list[Delivered]:
    """Poll members in turn until something holds; what they read meanwhile."""
    found: list[Delivered] = []
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        for member in members:
            found += member.consumer.poll(100)
    return found


@pytest.mark.parametrize("wrong", ["localhost:9092", "kafka://", "kafka://host", "http://host:1", "kafka://a:1,b"])
def test_an_address_that_is_none_is_refused_with_the_way_to_write_it(wrong: str) -> None:
    with pytest.raises(Refused, match="kafka://host:port"):
        servers(wrong)


def test_an_address_may_name_several_servers() -> None:
    assert servers("kafka://a:1, b:2") == ["a:1", "b:2"]


UNKNOWN = kafka.errors.UnknownError()
TIMED_OUT = kafka.errors.RequestTimedOutError("Request timed out after 15000 ms")


@pytest.mark.parametrize(
    ("error", "means"),
    [
        # Seen of a broker that had been suspended, when a capture committed; the worst it can be is a repetition.
        (kafka.errors.KafkaError(f"Unhandled error in EndTxnResponse: {UNKNOWN}"), BrokerAway),
        (
            kafka.errors.KafkaError(f"Could not execute transactional request for unknown reasons: {TIMED_OUT}"),
            BrokerAway,
        ),
        (UNKNOWN, BrokerAway),
        (TIMED_OUT, BrokerAway),
        (ConnectionResetError(), BrokerAway),
        (kafka.errors.ProducerFencedError(), Fenced),
        (kafka.errors.TopicAuthorizationFailedError("things"), Refused),
        (kafka.errors.MessageSizeTooLargeError(), Refused),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else type(one).__name__,
)
def test_only_what_the_broker_clearly_refuses_ends_whoever_asked(error: Exception, means: type[KafkaTrouble]) -> None:
    """What nobody knows the outcome of is read and tried again, as where there was no answer at all."""
    assert type(trouble(error, "writing")) is means


def test_nobody_there_is_told_as_a_broker_that_is_away() -> None:
    with pytest.raises(BrokerAway, match="Is the broker running"):
        Admin("kafka://127.0.0.1:9")


def test_what_is_aborted_is_never_read(address: str, topic: str, closing: Opened) -> None:
    producer, consumer = Producer(address, transactional_id=f"{topic}p"), Consumer(address)
    closing += [producer, consumer]
    put(producer, topic, "日本", "b")
    with pytest.raises(ZeroDivisionError):
        abort(producer, topic)
    put(producer, topic, "d")
    consumer.assign([Partition(topic, 0)])
    consumer.seek(Partition(topic, 0), 0)
    assert values(read(consumer, 3)) == ["日本", "b", "d"]
    assert consumer.position(Partition(topic, 0)) == consumer.ends([Partition(topic, 0)])[Partition(topic, 0)]


def test_a_second_producer_of_one_name_fences_the_first(address: str, topic: str, closing: Opened) -> None:
    first, second = (Producer(address, transactional_id=f"{topic}p") for _ in range(2))
    closing += [first, second]
    put(first, topic, "a")
    put(second, topic, "b")
    with pytest.raises(Fenced):
        put(first, topic, "c")
    assert first.is_fenced
    with pytest.raises(Fenced):
        put(first, topic, "c")
    put(second, topic, "d")
    consumer = Consumer(address)
    closing.append(consumer)
    consumer.assign([Partition(topic, 0)])
    consumer.seek(Partition(topic, 0), 0)
    assert values(read(consumer, 3)) == ["a", "b", "d"]


def test_offsets_of_a_generation_that_is_over_are_refused_and_nothing_with_them(
    address: str, topic: str, closing: Opened
) -> None:
    """KIP-447: whoever was stopped and woke up cannot write for partitions that others have now."""
    admin, producer = Admin(address), Producer(address, transactional_id=f"{topic}p")
    first = Member(address, f"{topic}g", topic)
    closing += [admin, producer, first.consumer]
    until(lambda: len(first.ours) == 2, first)
    stale = first.member
    assert stale is not None
    second = Member(address, f"{topic}g", topic)
    closing.append(second.consumer)
    until(lambda: len(first.ours) == len(second.ours) == 1, first, second)
    with pytest.raises(Fenced):
        commit_offset(producer, topic, stale)
    assert not producer.is_fenced
    assert admin.committed(f"{topic}g") == {}
    newest = first.member
    assert newest is not None
    assert newest.generation > stale.generation
    commit_offset(producer, topic, newest)
    # The broker answers a commit before all see it; whoever takes over asks until nothing is open any more.
    assert first.consumer.committed(Partition(topic, 0)) == 1
    assert admin.committed(f"{topic}g") == {Partition(topic, 0): 1}


def test_offsets_of_nobody_are_not_even_sent(address: str, topic: str, closing: Opened) -> None:
    """A broker takes offsets without a member unasked, so a consumer that fell out of its group must not send them."""
    producer = Producer(address, transactional_id=f"{topic}p")
    closing.append(producer)
    with pytest.raises(Fenced):
        commit_offset(producer, topic, Membership(f"{topic}g", -1, ""))


def test_nothing_is_read_of_what_was_assigned_before_somebody_says_from_where(
    address: str, topic: str, closing: Opened
) -> None:
    producer, consumer = Producer(address, transactional_id=f"{topic}p"), Consumer(address, group=f"{topic}g")
    closing += [producer, consumer]
    put(producer, topic, "a", "b")
    told: list[frozenset[Partition]] = []
    consumer.subscribe([topic], lambda partitions, _: told.append(partitions), lambda _: None)
    found: list[Delivered] = []
    deadline = time.monotonic() + 10
    while not any(told) and time.monotonic() < deadline:
        found += consumer.poll(100)
    found += consumer.poll(500)
    assert told[-1] == {Partition(topic, 0), Partition(topic, 1)}
    assert found == []
    consumer.seek(Partition(topic, 0), 1)
    assert values(read(consumer, 1)) == ["b"]


def test_a_topic_that_is_not_there_is_told_and_not_waited_for_in_silence(
    address: str, topics: str, closing: Opened
) -> None:
    consumer = Consumer(address, group=f"{topics}g")
    closing.append(consumer)
    with pytest.raises(BrokerAway, match="renkei topics"):
        consumer.subscribe([f"{topics}nothing"], lambda *_: None, lambda _: None)


def test_what_retention_took_is_a_gap_and_not_a_silent_reset(address: str, topic: str, closing: Opened) -> None:
    consumer = Consumer(address)
    closing.append(consumer)
    consumer.assign([Partition(topic, 0)])
    consumer.seek(Partition(topic, 0), 1000)
    with pytest.raises(Gap) as caught:
        read(consumer, 1)
    assert caught.value.lost == {Partition(topic, 0): 1000}
    assert isinstance(caught.value, KafkaTrouble)


def test_a_partition_that_grows_and_is_never_fetched_is_noticed(address: str, topic: str, closing: Opened) -> None:
    """kafka-python 3131: a client that stopped fetching a partition, without any error."""
    producer, consumer = Producer(address, transactional_id=f"{topic}p"), Consumer(address, stalled=0.4)
    closing += [producer, consumer]
    put(producer, topic, "a")
    consumer.assign([Partition(topic, 0), Partition(topic, 1)])
    for number in range(2):
        consumer.seek(Partition(topic, number), 0)
    assert values(read(consumer, 1)) == ["a"]
    consumer._inner.pause(theirs(Partition(topic, 0)))  # behind our back, as the client did
    put(producer, topic, "b")
    with pytest.raises(BrokerAway, match="grows to"):
        read(consumer, 1)


def test_idle_partitions_are_not_taken_for_stalled(address: str, topic: str, closing: Opened) -> None:
    producer, consumer = Producer(address, transactional_id=f"{topic}p"), Consumer(address, stalled=0.2)
    closing += [producer, consumer]
    put(producer, topic, "a")
    consumer.assign([Partition(topic, 0)])
    consumer.seek(Partition(topic, 0), 0)
    assert values(read(consumer, 1)) == ["a"]
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        assert consumer.poll(100) == []


def test_a_time_is_found_for_an_offset_and_an_offset_for_a_time(address: str, topic: str, closing: Opened) -> None:
    producer, consumer = Producer(address), Consumer(address)
    closing += [producer, consumer]
    now = int(time.time() * 1000)
    for number in range(3):
        producer.send(Outgoing(topic, b"k", b"v", partition=0, at=now + number * 1000))
    producer.flush()
    assert first_at(address, Partition(topic, 0), 1) == now + 1000
    assert first_at(address, Partition(topic, 0), 3) is None
    assert consumer.offsets_at([Partition(topic, 0)], now + 500) == {Partition(topic, 0): 1}
    assert consumer.offsets_at([Partition(topic, 0)], now + 5000) == {Partition(topic, 0): None}


def test_what_an_open_transaction_wrote_counts_as_an_end_only_for_the_admin(
    address: str, topic: str, closing: Opened
) -> None:
    """Whoever takes over has to wait for what its predecessor left open."""
    admin, producer, consumer = Admin(address), Producer(address, transactional_id=f"{topic}p"), Consumer(address)
    closing += [admin, producer, consumer]
    one = Partition(topic, 0)
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        abort(producer, topic, lambda: seen.extend((admin.ends([one])[one], consumer.ends([one])[one])))
    assert seen == [1, 0]


def test_a_member_whose_rebalance_began_in_a_poll_that_did_not_wait_takes_it_up(
    address: str, topic: str, closing: Opened
) -> None:
    """A topic that grows makes the leader join anew; who looks in now and then only must not stay outside for it."""
    member = Member(address, f"{topic}g", topic)
    closing.append(member.consumer)
    until(lambda: len(member.ours) == 2, member)
    for count in range(3, 9):
        grow(address, topic, count)
        member.consumer._inner._cluster.request_update()
        deadline = time.monotonic() + 5
        while len(member.ours) < count:
            assert time.monotonic() < deadline, f"it still has {len(member.ours)} of {count} partitions"
            member.consumer.poll(200 if member.consumer.is_moving() else 0)
            be_busy(member.consumer)


def test_a_join_that_ends_between_two_polls_is_taken_up_and_not_begun_anew(
    address: str, topic: str, closing: Opened
) -> None:
    """On a crowded machine every join takes longer than a short poll waits."""
    member = Member(address, f"{topic}g", topic)
    closing.append(member.consumer)
    deadline = time.monotonic() + 10
    while len(member.ours) < 2:
        assert time.monotonic() < deadline, "it joins for ever"
        member.consumer.poll(0)
        be_busy(member.consumer)


def be_busy(consumer: Consumer) -> None:
    """Do other things for as long as the broker takes to answer what the last poll asked."""
    asked = consumer._inner._coordinator._join_task
    asked = getattr(asked, "inner", asked)
    deadline = time.monotonic() + 5
    while asked is not None and not asked.is_done and time.monotonic() < deadline:
        pass


def test_what_was_fetched_before_a_partition_was_held_is_delivered_after_it(
    address: str, topic: str, closing: Opened
) -> None:
    """What was fetched stays with the library meanwhile, and another partition is read."""
    producer, consumer = Producer(address, transactional_id=f"{topic}p"), Consumer(address)
    closing += [producer, consumer]
    big, small = Partition(topic, 0), Partition(topic, 1)
    put(producer, topic, *map(str, range(30)))
    consumer.assign([big, small])
    consumer.seek(big, 0)
    consumer.seek(small, 0)
    found = read_most(consumer, 10)
    consumer.hold([big])
    put(producer, topic, "other", number=1)
    assert values(read(consumer, 1)) == ["other"]
    consumer.hold([])
    found += read(consumer, 20)
    assert values(found) == [str(number) for number in range(30)]


def read_most(consumer: Consumer, most: int) -> list[Delivered]:
    """The first messages, so many at most."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := consumer.poll(100, most):
            return found
    return []
