"""How messages stand in the embedded log: which type each topic holds, and how it is read back."""

from typing import Any

from schemas import topics
from schemas.codec import CodecError, Unpacker, pack
from schemas.commands import Command
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.messages import StageMessage
from streams.stage import Output
from streams.store import NO_ORIGIN, Entry, NewEntry, Origin

INNER = frozenset({topics.RELATIONS, topics.JOURNEYS})
"""The topics of what the stages say to each other."""
MARKER = ""
"""The key of messages for a whole partition: markers, walks and ticks."""

_unpack_message: Unpacker[StageMessage] = Unpacker(StageMessage)
_unpack_event: Unpacker[ChangeEvent] = Unpacker(ChangeEvent)
_unpack_command: Unpacker[Command] = Unpacker(Command)
_unpack_decision: Unpacker[Decision] = Unpacker(Decision)


def to_entry(output: Output, at: int, partition: int = 0, origin: Origin = NO_ORIGIN) -> NewEntry:
    """An output as it is appended to the log; ``at`` is its time where it names none."""
    said_at = at if output.at is None else output.at
    return NewEntry(output.topic, output.key, said_at, pack(output.message), partition, origin)


def change_entry(event: ChangeEvent, partition: int = 0) -> NewEntry:
    """A change event as it is appended to the topic of its tab."""
    return NewEntry(topics.changes(event.tab), event.record_id, event.seen_at, pack(event), partition)


def read_entry(entry: Entry) -> Any:
    """The message of a log entry.

    Raises:
        CodecError: the bytes are not what this topic holds.
    """
    if entry.topic.startswith("changes."):
        return _unpack_event(entry.value) if entry.key != MARKER else _unpack_message(entry.value)
    if entry.topic in (topics.JOURNEYS, topics.RELATIONS):
        return _unpack_message(entry.value)
    if entry.topic.startswith("commands."):
        return _unpack_command(entry.value)
    if entry.topic == topics.DECISIONS:
        return _unpack_decision(entry.value)
    raise CodecError(f"nobody knows what topic {entry.topic} holds")


def stage_of(topic: str) -> str:
    """The stage that reads a topic; empty for topics that leave the flow."""
    if topic in INNER:
        return topic
    return "records" if topic.startswith("changes.") else ""


def is_noun(topic: str) -> bool:
    """Whether a topic holds what crosses the border of the flow: change events, commands, outcomes, decisions."""
    return topic.startswith(("changes.", "commands.")) or topic in (topics.OUTCOMES, topics.DECISIONS)
