"""What stands on a broker's topics, for somebody who looks: no group is joined, and nothing is committed or written."""

from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Self

from connectors.kafka_io import Admin, Delivered, Partition
from connectors.kafka_reading import Consumer, everything


class Archive:
    """Reads what is committed on the topics of a project, by their names without its prefix.

    Belongs to one thread, and reads one thing at a time. Everything raises BrokerAway or Refused. What was written
    after a transaction began that is still open is not seen.
    """

    def __init__(self, address: str, prefix: str = "") -> None:
        self._prefix = prefix
        self._admin = Admin(address, "look")
        self._reader = Consumer(address, name="look")

    def all(
        self, topic: str, numbers: Collection[int] = (), since: Mapping[int, int] | None = None
    ) -> Iterator[Delivered]:
        """What a topic holds in these partitions, or in all; of each partition in its order.

        ``since``: by partition, the first offset that is wanted, where that is not the first there is.
        """
        partitions = self._partitions(topic, numbers)
        ends = self._reader.ends(partitions)
        starts = self._admin.starts(partitions)
        for one in partitions:
            starts[one] = max(starts[one], (since or {}).get(one.number, 0))
        left = {one: end for one, end in ends.items() if starts[one] < end}
        if left:
            yield from everything(self._reader, left, starts)

    def ends(self, topic: str, numbers: Collection[int] = ()) -> dict[int, int]:
        """By partition, where what is committed ends."""
        return {one.number: end for one, end in self._reader.ends(self._partitions(topic, numbers)).items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """How far a group, named without the prefix, has read a topic; partitions that it never read are left out."""
        name = self._prefix + topic
        found = self._admin.committed(self._prefix + group)
        return {one.number: offset for one, offset in found.items() if one.topic == name}

    def close(self) -> None:
        """End."""
        self._reader.close()
        self._admin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _partitions(self, topic: str, numbers: Collection[int] = ()) -> list[Partition]:
        name = self._prefix + topic
        count = self._admin.partitions([name]).get(name, 0)
        return [Partition(name, number) for number in range(count) if not numbers or number in numbers]
