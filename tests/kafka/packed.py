"""Messages as msgpack, for tests of the workers in which nobody else reads."""

from connectors.framing import Headers, Noun
from schemas.codec import CodecError, Unpacker, pack
from schemas.commands import Command, Report
from schemas.events import ChangeEvent


class Packed:
    """Writes and reads messages as msgpack, their kind in a header."""

    HEADER = "renkei"

    def __init__(self) -> None:
        self._readers: dict[bytes, Unpacker[Noun]] = {
            kind.__name__.encode(): Unpacker(kind) for kind in (ChangeEvent, Command, Report)
        }

    def encode(self, noun: Noun) -> tuple[bytes, Headers]:
        """The value and its kind."""
        return pack(noun), ((self.HEADER, type(noun).__name__.encode()),)

    def decode(self, value: bytes, headers: Headers) -> Noun:
        """What the message says. Raises CodecError on an unknown kind, or on bytes of another shape."""
        kind = dict(headers).get(self.HEADER, b"")
        reader = self._readers.get(kind)
        if reader is None:
            raise CodecError(f"no message of a known kind: {kind[:40].decode(errors='replace') or 'none is named'}")
        return reader(value)
