"""How messages stand on Kafka: bytes and headers, handed in, so that a contract can be plugged in."""

from typing import Protocol, TypeAlias

from schemas.commands import Command, Report
from schemas.events import ChangeEvent

Headers: TypeAlias = tuple[tuple[str, bytes], ...]
Noun: TypeAlias = ChangeEvent | Command | Report


class Framing(Protocol):
    """Writes and reads what crosses Kafka."""

    def encode(self, noun: Noun) -> tuple[bytes, Headers]:
        """The value and the headers of a message."""
        ...

    def decode(self, value: bytes, headers: Headers) -> Noun:
        """What a message says. Raises CodecError on what cannot be read."""
        ...
