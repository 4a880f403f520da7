"""The contracts as workers and captures speak them: on which topic a noun stands follows from the noun."""

from connectors.framing import Headers, Noun
from renkei.streaming import Nouns
from schemas import topics
from schemas.commands import Command, Report
from schemas.framing import Registry


class Contracts:
    """Writes change events and reports, reads commands: in Avro, as the streams do."""

    def __init__(self, registry: Registry | None = None) -> None:
        self._nouns = Nouns(registry)

    def encode(self, noun: Noun) -> tuple[bytes, Headers]:
        """The value and the headers of a message. Raises CodecError."""
        value, headers = self._nouns.encode(noun, _topic_of(noun))
        return value, tuple(headers)

    def decode(self, value: bytes, headers: Headers) -> Noun:
        """The command in a message; nothing else is read by those who work on a connection. Raises CodecError."""
        command: Noun = self._nouns.decode(value, headers, topics.commands(""))
        return command


def _topic_of(noun: Noun) -> str:
    if isinstance(noun, Report):
        return topics.OUTCOMES
    return topics.commands(noun.connection) if isinstance(noun, Command) else topics.changes(noun.tab)
