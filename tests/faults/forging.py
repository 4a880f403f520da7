"""What operators and other programs may do to a broker behind our back."""

from collections.abc import Mapping
from typing import Any

import kafka
from kafka.structs import OffsetAndMetadata, TopicPartition

from connectors.framing import Noun
from connectors.kafka_io import servers
from renkei.contracts import Contracts
from schemas import keys
from schemas.commands import Command
from tests.faults.plant import Plant


def _admin(plant: Plant) -> Any:
    return kafka.KafkaAdminClient(bootstrap_servers=servers(plant.near))


def forget_records(plant: Plant, topic: str) -> None:
    """The broker deletes all that a topic holds, as retention does."""
    admin = _admin(plant)
    numbers = [TopicPartition(plant.prefix + topic, number) for number in range(plant.partitions)]
    admin.delete_records(dict.fromkeys(numbers, -1))
    admin.close()


def forged(noun: Noun) -> tuple[bytes, bytes, Any]:
    """Key, value and headers of a message that anybody may write."""
    value, headers = Contracts().encode(noun)
    key = noun.record_id or noun.journey if isinstance(noun, Command) else getattr(noun, "record_id", "")
    return keys.in_workspace("main", key), value, headers


def move_offsets(plant: Plant, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
    """Somebody sets the offsets of a group; nobody may be in it."""
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=servers(plant.near), group_id=plant.prefix + group, enable_auto_commit=False
    )
    wanted = {TopicPartition(plant.prefix + topic, number): at for (topic, number), at in offsets.items()}
    consumer.assign(list(wanted))
    consumer.commit({one: OffsetAndMetadata(at, "", -1) for one, at in wanted.items()})
    consumer.close()


def add_partitions(plant: Plant, topic: str, count: int) -> None:
    """Somebody gives a topic more partitions."""
    admin = _admin(plant)
    admin.create_partitions({plant.prefix + topic: count})
    admin.close()
