"""The group protocol of the streams: all partitions of one number go to one member, and members keep what they have."""

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from schemas.codec import pack
from streams.assigning import Claim, assigned, read_claim


class ByNumber(AbstractPartitionAssignor):  # type: ignore[misc]
    """Gives all partitions of one number to one member, and lets members keep what they have."""

    name = "renkei-by-number"
    claim = Claim(())
    """What this member has."""

    @classmethod
    def own(cls) -> type["ByNumber"]:
        """A class of one consumer's own: the client library hands out classes, and a claim belongs to one consumer."""
        return type("ByNumber", (cls,), {})

    @classmethod
    def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """The leader's part of a rebalance."""
        topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        claims = {member: read_claim(metadata.user_data) for member, metadata in members.items()}
        numbers = assigned(max(counts.values(), default=0), claims)
        return {
            member: ConsumerProtocolMemberAssignment(
                0, [(topic, [one for one in sorted(of) if one < counts[topic]]) for topic in topics], b""
            )
            for member, of in numbers.items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> Any:
        """What this member says of itself when it joins."""
        return ConsumerProtocolMemberMetadata(0, list(topics), pack(cls.claim))

    @classmethod
    def on_assignment(cls, assignment: Any) -> None:
        """Remember what this member has got."""
        cls.claim = Claim(tuple(sorted({one for _, numbers in assignment.assignment for one in numbers})))
