"""What the runner of a partition meets: the consumer, who counts for operators, and who holds all runners."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from streams.partition_log import Cluster
from streams.topology import Topology


class Gate(Protocol):
    """The consumer, as runners use it; topics by our names."""

    async def seek(self, positions: Mapping[tuple[str, int], int]) -> None:
        """Read these partitions from these offsets on, and let their batches through."""
        ...

    def shut(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over no more batches of these partitions."""
        ...

    def let(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Hand over batches of these partitions again, from where they were shut."""
        ...

    def behind(self, ends: Mapping[tuple[str, int], int]) -> bool:
        """Whether any of these partitions has something behind its offset here, or nobody knows."""
        ...

    async def ends(self, partitions: Iterable[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """The offset behind the newest record that may be read, per partition."""
        ...


class Meter(Protocol):
    """Who counts, for operators."""

    def events(self, partition: int, count: int, seconds: float) -> None:
        """So many records were folded and committed in one piece, within so many seconds."""
        ...

    def parked(self, topic: str, count: int) -> None:
        """So many records of a topic were set aside."""
        ...

    def restored(self, partition: int, done: int, total: int) -> None:
        """A changelog is read back so far."""
        ...

    def stalled(self, topic: str, partition: int, is_stalled: bool) -> None:
        """A partition has something to read, and does not move."""
        ...

    def told(self, partition: int, sentence: str) -> None:
        """A person should hear this of a partition that was opened."""
        ...


class Owner(Protocol):
    """What a runner needs of those who hold all runners."""

    topology: Topology
    cluster: Cluster
    gate: Gate
    meter: Meter
    clock: Callable[[], int]
    at: Callable[[str], None]
    gaps: int

    async def seek(self, inputs: Iterable[tuple[str, int]]) -> None:
        """Read these on from where the state is."""
        ...

    def fail(self, error: Exception) -> None:
        """Stop all."""
        ...
