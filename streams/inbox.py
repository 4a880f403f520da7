"""What a host reads: each record as workspace, key and message, and none for a repetition."""

from typing import Any

from schemas.codec import Unpacker
from schemas.keys import parted
from schemas.messages import StageMessage
from streams import wire
from streams.changelog import Positions
from streams.topology import ORIGIN, Incoming, Topology

_unpack: Unpacker[StageMessage] = Unpacker(StageMessage)
_NOTHING_SEEN = (-1, -1)


class Inbox:
    """Reads the records of one host and partition, and remembers the origins of messages between stages."""

    def __init__(self, topology: Topology, positions: Positions) -> None:
        self._foreign, self._framing, self._is_spread = topology.foreign, topology.framing, topology.spread
        self._seen = positions.seen

    def read(self, topic: str, record: Incoming) -> tuple[str, str, Any] | None:
        """Workspace, key in it and message of a record; none for a repetition.

        Raises:
            ValueError: it cannot be read (CodecError), or its key is none of ours.
        """
        if topic in self._foreign:
            return self._foreign[topic].read(record)
        workspace, key = parted(record.key or b"")
        if self._is_spread and self._is_repeated(topic, record):
            return None
        if topic in wire.INNER or key == wire.MARKER:
            return workspace, key, _unpack(record.value or b"")
        return workspace, key, self._framing.decode(record.value or b"", record.headers, topic)

    def _is_repeated(self, topic: str, record: Incoming) -> bool:
        """Whether the origin is not greater than the last one of that upstream (stage protocol, section 6).

        Each topic counts for itself: between two of them there is no order.
        """
        for name, value in record.headers:
            if name == ORIGIN:
                upstream, offset, index = value.decode().rsplit(":", 2)
                channel, origin = f"{upstream}>{topic}", (int(offset), int(index))
                if origin <= self._seen.get(channel, _NOTHING_SEEN):
                    return True
                self._seen[channel] = origin
        return False
