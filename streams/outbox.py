"""What a host says to others: each output encoded, framed and placed, gathered by topic and partition."""

from collections import defaultdict

from schemas import topics
from schemas.codec import pack
from schemas.commands import Command
from schemas.keys import home, in_workspace
from streams import wire
from streams.stage import Output
from streams.topology import ORIGIN, Headers, Outgoing, Topology

Outgoings = dict[tuple[str, int], list[Outgoing]]
"""Records to send, by topic and partition."""


class UnknownTopicError(RuntimeError):
    """A stage writes where nobody made a topic."""


class Outbox:
    """Gathers what is to be sent until it is taken."""

    def __init__(self, topology: Topology) -> None:
        self._topology, self._written = topology, topology.written()
        self._foreign, self._framing = topology.foreign, topology.framing
        self._gathered: Outgoings = defaultdict(list)

    def send(self, workspace: str, output: Output, at: int, origin: str = "") -> None:
        """Put in an output; ``at`` is its time where it names none, ``origin`` that of a message between stages.

        Raises:
            UnknownTopicError: its topic is one that nobody has made.
        """
        topic, message = output.topic, output.message
        if topic in self._foreign:
            key, content, place = self._foreign[topic].write(output.key, message)
            self.put(topic, place, Outgoing(key, content, [], output.at or at))
            return
        if topic.startswith("commands."):
            if isinstance(message, Command) and message.lane == "bulk":
                topic = topics.bulk(message.connection)
        elif topic not in self._written:
            _refuse_unnamed(topic)
            return
        value, headers = self._encoded(topic, output, origin)
        key = in_workspace(workspace, output.key)
        place = self._place(topic, workspace, output)
        self._gathered[topic, place].append(Outgoing(key, value, headers, output.at or at))

    def put(self, topic: str, place: int, record: Outgoing) -> None:
        """Put in a record as it stands."""
        self._gathered[topic, place].append(record)

    def take(self) -> Outgoings:
        """All that was put in since the last call."""
        gathered, self._gathered = self._gathered, defaultdict(list)
        return gathered

    def _encoded(self, topic: str, output: Output, origin: str) -> tuple[bytes, Headers]:
        """Value and headers: nouns are framed, messages between stages packed, a stranger's own bytes left alone."""
        message = output.message
        if (
            topic in wire.INNER
            or not wire.is_noun(topic)
            or (output.key == wire.MARKER and topic.startswith("changes."))
        ):
            value = message if isinstance(message, bytes) else pack(message)
            return value, [(ORIGIN, origin.encode())] if origin else []
        return self._framing.encode(message, topic)

    def _place(self, topic: str, workspace: str, output: Output) -> int:
        """Its partition. Commands are spread over their topic in any case: workers keep the order of each record."""
        if output.partition is not None:
            return output.partition
        if topic.startswith("commands."):
            return home(workspace, output.key, self._topology.partitions, spread=True)
        return self._topology.home(workspace, output.key)


def _refuse_unnamed(topic: str) -> None:
    """Of a tab that no workflow reads nothing is kept; another topic that nobody names is not there at all."""
    if not topic.startswith("changes."):
        raise UnknownTopicError(f"a stage writes to topic {topic}, which it does not name in `writes`")
