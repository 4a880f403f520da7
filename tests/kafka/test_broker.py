"""The practice broker keeps what it acknowledged, at the same address, whatever is done to it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from sandbox.broker.cluster import Cluster
from sandbox.broker.errors import AlreadyRunningError


def create(address: str, topic: str, **settings: int) -> None:
    """A topic with one partition."""
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=settings.get("copies", 1))])
    finally:
        admin.close()


@contextmanager
def producer(address: str) -> Iterator[KafkaProducer]:
    opened = KafkaProducer(bootstrap_servers=address, acks="all")
    try:
        yield opened
    finally:
        opened.close(timeout=5)


def send(address: str, topic: str, *values: bytes) -> None:
    """Send, and wait until all is acknowledged."""
    with producer(address) as out:
        for sent in [out.send(topic, value) for value in values]:
            sent.get(timeout=60)


def read(address: str, topic: str, count: int) -> list[bytes]:
    """The first records of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", consumer_timeout_ms=30_000)
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def test_a_record_comes_back(broker: Cluster, topics: str) -> None:
    create(broker.bootstrap, topics + "deals")
    send(broker.bootstrap, topics + "deals", "商談 🤝".encode())
    assert read(broker.bootstrap, topics + "deals", 1) == ["商談 🤝".encode()]


def test_a_stopped_and_a_killed_node_come_back_with_all_they_acknowledged(own: Cluster) -> None:
    address = own.bootstrap
    create(address, "deals")
    send(address, "deals", b"1", b"2")
    own.node(1).stop()
    assert own.node(1).pid is None
    own.node(1).start()
    send(address, "deals", b"3")
    own.node(1).kill()
    own.node(1).start()
    assert own.bootstrap == address
    assert read(address, "deals", 3) == [b"1", b"2", b"3"]


def test_a_second_start_says_where_the_first_runs(own: Cluster) -> None:
    with pytest.raises(AlreadyRunningError, match=rf"runs in .* already: kafka://{own.bootstrap} \(pid \d+\)"):
        Cluster(own.folder).start()
    assert own.node(1).known == {1}


def test_a_frozen_node_answers_again_when_it_goes_on(own: Cluster) -> None:
    node = own.node(1)
    node.pause()
    assert node.known == frozenset()
    node.resume()
    node.wait_until(lambda: node.known == {1})
    node.pause()
    node.stop(limit=10)
    assert node.pid is None


_TESTER = """
import pathlib, sandbox.broker.cluster
sandbox.broker.cluster.Cluster(pathlib.Path("kafka")).start()
print("up", flush=True)
input()
"""


def test_it_ends_with_the_program_that_started_it(kafka_here: None, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _TESTER]
    with subprocess.Popen(words, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as tester:
        assert tester.stdout is not None
        assert tester.stdout.readline() == b"up\n"
        node = Cluster.of(tmp_path / "kafka").node(1)
        assert node.pid is not None
        tester.kill()
    assert node.ends_within(20)
