"""Commits of consumer groups, made as any consumer makes them."""

from collections.abc import Mapping

import kafka
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.kafka_io import Partition, servers


def commit(address: str, group: str, offsets: Mapping[Partition, int]) -> None:
    """A consumer that was given its partitions commits these offsets, and ends."""
    consumer = kafka.KafkaConsumer(bootstrap_servers=servers(address), group_id=group, enable_auto_commit=False)
    consumer.assign([TopicPartition(*one) for one in offsets])
    consumer.commit({TopicPartition(*one): OffsetAndMetadata(offset, "", -1) for one, offset in offsets.items()})
    consumer.close()


def forget(address: str, group: str) -> None:
    """The broker forgets a group and its offsets."""
    admin = kafka.KafkaAdminClient(bootstrap_servers=servers(address))
    admin.delete_groups([group])
    admin.close()
