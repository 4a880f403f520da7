"""A few words with a broker: make a topic, send, read."""

from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic


def create(address: str, topic: str, copies: int = 1) -> None:
    """Make a topic with one partition."""
    admin = KafkaAdminClient(bootstrap_servers=address)
    try:
        admin.create_topics([NewTopic(name=topic, num_partitions=1, replication_factor=copies)])
    finally:
        admin.close()


@contextmanager
def producer(address: str) -> Iterator[KafkaProducer]:
    """A producer that waits for all copies and does not wait long for an answer."""
    opened = KafkaProducer(bootstrap_servers=address, acks="all", request_timeout_ms=5000, linger_ms=5)
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


def grow(address: str, topic: str, partitions: int) -> None:
    """Give a topic more partitions."""
    admin = KafkaAdminClient(bootstrap_servers=address.removeprefix("kafka://"))
    try:
        admin.create_partitions({topic: partitions})
    finally:
        admin.close()
