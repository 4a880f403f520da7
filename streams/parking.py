"""Messages that were parked with the reason, and putting them into the log again (design, section 6)."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from schemas import topics
from schemas.codec import from_json
from streams.history import entry_at, repeated
from streams.store import Entry, Store

_RETRIED = "parked.retried"


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was set aside.

    ``number`` is its place in the log, ``place`` that on a broker (topic, partition and offset, with slashes); a line
    of a file has neither.
    """

    seq: int
    at: int
    topic: str
    why: str
    how: str
    number: int = 0
    place: str = ""
    key: str = ""
    file: str = ""
    line: int = 0

    @property
    def where(self) -> str:
        """Where it came from, as a person finds it again."""
        return self.place or (f"{self.file}:{self.line}" if self.file else f"{self.topic} {self.key}".strip())


def parked_messages(store: Store) -> list[Parked]:
    """What is parked and was not tried again since, oldest first."""
    retried = _retried(store)
    return [_parked(entry) for entry in store.read(topics.PARKED) if entry.seq not in retried]


def try_again(store: Store, messages: Sequence[Parked]) -> int:
    """Append the original messages once more, together; how many. Those that have none in the log are left out.

    A message of a record that has changed since is dropped by the flow as stale: the newest state wins (D-03).
    """
    found = [(one, entry) for one in messages if one.number and (entry := entry_at(store, one.number)) is not None]
    if found:
        with store.transaction():
            store.append([repeated(entry) for _, entry in found])
            store.set_note(_RETRIED, json.dumps(sorted(_retried(store) | {one.seq for one, _ in found})).encode())
    return len(found)


def _retried(store: Store) -> frozenset[int]:
    return frozenset(json.loads(store.note(_RETRIED) or b"[]"))


def _parked(entry: Entry) -> Parked:
    note: dict[str, Any] = from_json(entry.value)
    return Parked(
        seq=entry.seq, at=entry.at, topic=note.get("topic", ""), why=note.get("why", ""), how=note.get("how", ""),
        number=int(note.get("offset") or 0), key=note.get("key", ""), file=note.get("file", ""),
        line=int(note.get("line") or 0),
    )  # fmt: skip
