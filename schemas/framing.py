"""How a reader learns by which schema a message was written: a registry's id before the body, or a header.

With a registry: Confluent's wire format, a zero byte, the schema id in four bytes (big-endian), the Avro body. Without:
the Avro body, and the schema's CRC-64-AVRO fingerprint in the header ``avro-fingerprint``. Reading takes both, so that
a topic's history stays readable when a registry is added. Markers (an empty key after the workspace) are not framed.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Generic, Protocol

from schemas import packaged, topics
from schemas.codec import CodecError
from schemas.contracts import CHANGE_EVENT, COMMAND, DECISION, OUTCOME, Contract, T
from schemas.layout import Layout, title_of

FINGERPRINT = "avro-fingerprint"
"""The header with the fingerprint: 8 bytes, little-endian as in Avro's single-object encoding."""

Headers = list[tuple[str, bytes]]

_MAGIC = b"\x00"
_FRAME = 5


class RegistryUnavailable(Exception):  # noqa: N818
    """The schema registry cannot be asked now: the same message can be read or written later."""


class Registry(Protocol):
    """What framing needs of a schema registry; the answers are kept, each question is asked once.

    Raises RegistryUnavailable where asking again may help, CodecError where it does not.
    """

    def register(self, subject: str, schema: str) -> int:
        """The id of a schema under a subject; the same schema has the same id."""
        ...

    def schema(self, schema_id: int) -> str:
        """The schema with this id, as JSON."""
        ...


class Framing(Generic[T]):
    """Reads and writes the messages of one topic.

    ``known`` are schemas beside the released ones, those of a newer release for instance, which are known by their
    fingerprint from then on.
    """

    def __init__(
        self, contract: Contract[T], topic: str, registry: Registry | None = None, known: Iterable[str] = ()
    ) -> None:
        self._contract, self._topic, self._registry = contract, topic, registry
        self._by_id: dict[int, Layout] = {}
        self._prefixes: dict[str, bytes] = {}
        texts = [*packaged.released(contract.name).values(), *known]
        layouts = [*map(contract.layout, texts), contract.current]
        self._by_fingerprint = {layout.fingerprint: layout for layout in layouts}

    def encode(self, noun: T) -> tuple[bytes, Headers]:
        """The value and the headers of a message. Raises CodecError, RegistryUnavailable."""
        body, layout = self._contract.encode(noun), self._contract.layout_of(noun)
        if self._registry is None:
            return body, [(FINGERPRINT, layout.fingerprint)]
        prefix = self._prefixes.get(layout.text) or self._registered(layout, self._registry)
        return prefix + body, []

    def decode(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> T:
        """The noun in a message, with what a newer release added. Raises CodecError, RegistryUnavailable."""
        for name, content in headers:
            if name == FINGERPRINT:
                layout = self._by_fingerprint.get(content) or self._unknown(content)
                return self._contract.decode(value, layout)
        if value[:1] != _MAGIC or len(value) < _FRAME:
            raise CodecError(self._unframed(value))
        schema_id = int.from_bytes(value[1:_FRAME], "big")
        return self._contract.decode(value[_FRAME:], self._by_id.get(schema_id) or self._fetched(schema_id))

    def _registered(self, layout: Layout, registry: Registry) -> bytes:
        schema_id = registry.register(f"{self._topic}-value", layout.text)
        prefix = self._prefixes[layout.text] = _MAGIC + schema_id.to_bytes(4, "big")
        return prefix

    def _fetched(self, schema_id: int) -> Layout:
        if self._registry is None:
            raise CodecError(
                f"topic {self._topic}: a message of schema id {schema_id}, and no schema registry is configured: "
                "configure the one by which it was written"
            )
        layout = self._by_id[schema_id] = self._contract.layout(self._registry.schema(schema_id))
        return layout

    def _unknown(self, fingerprint: bytes) -> Layout:
        raise CodecError(
            f"topic {self._topic}: a message of schema {fingerprint.hex()}, which no release of {self._contract.title} "
            "up to this one has: upgrade the reader, configure a schema registry, or give it the newer schema"
        )

    def _unframed(self, value: bytes) -> str:
        found = f"magic byte {value[:1].hex()}" if value[:1] not in (b"", _MAGIC) else f"only {len(value)} bytes"
        return (
            f"topic {self._topic}: {found} and no header {FINGERPRINT}: written by something else than Renkei; write "
            "it in Confluent's wire format (magic byte 00), or with the header"
        )


def contract_of(topic: str) -> Contract[Any] | None:
    """What stands on a topic of the flow; none for topics that are not Avro (``schemas.topics``)."""
    if topic.startswith("changes."):
        return CHANGE_EVENT
    if topic.startswith("commands."):
        return COMMAND
    if topic == topics.OUTCOMES:
        return OUTCOME
    return DECISION if topic == topics.DECISIONS else None


class Framings:
    """The framing of every Avro topic; one per topic, made when it is first asked for."""

    def __init__(self, registry: Registry | None = None, known: Iterable[str] = ()) -> None:
        self._registry = registry
        self._known = [(title_of(schema), schema) for schema in known]
        self._framings: dict[str, Framing[Any]] = {}

    def of(self, topic: str) -> Framing[Any]:
        """The framing of a topic. Raises CodecError for a topic that holds no Avro."""
        found = self._framings.get(topic)
        if found is None:
            contract = contract_of(topic)
            if contract is None:
                raise CodecError(f"topic {topic} holds no Avro messages")
            known = [schema for title, schema in self._known if title == contract.title]
            found = self._framings[topic] = Framing(contract, topic, self._registry, known)
        return found
