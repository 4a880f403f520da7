"""State rows as they stand on a compacted topic: one record per row, so that a key with many rows costs little.

The key of a record names host stage, workspace, key and part; its value begins with the time at which the key next
needs a Tick. A record without a value deletes the row. Positions and the layout are rows too: one transaction for all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import msgspec

from schemas.codec import UNREADABLE, CodecError, Unpacker, pack
from streams.stage import Changed

_SIGNED = 0xFF
"""The first byte of a negative number: no Tick is wanted."""
_DUE = 8
_NEVER = (-1).to_bytes(_DUE, "big", signed=True)
_KEYS = 20_000
"""Keys of one group."""

POSITION_ROW = "\x1fposition"
LAYOUT_ROW = "\x1flayout"
FINGERPRINT_ROW = "\x1ffingerprint"


class RowKey(NamedTuple):
    """Which row: of a stage, in a workspace, of a key, its part."""

    stage: str
    workspace: str
    key: str
    part: str


class Positions(msgspec.Struct, array_like=True):
    """The position row of one partition (stage protocol, section 6).

    ``next`` is the offset to read next, per topic; ``seen`` the last origin taken, as (offset, index), of each upstream
    and topic; ``at`` the newest time of an input (milliseconds).
    """

    next: dict[str, int] = {}
    seen: dict[str, tuple[int, int]] = {}
    at: int = 0


class Layout(msgspec.Struct, array_like=True):
    """What the rows of a partition were written under; another layout would send keys to other partitions."""

    partitions: int
    spread: bool
    era: int = 0


_encoder = msgspec.msgpack.Encoder()
_row_key: msgspec.msgpack.Decoder[tuple[str, str, str, str]] = msgspec.msgpack.Decoder(tuple[str, str, str, str])
_unpack_positions: Unpacker[Positions] = Unpacker(Positions)
_unpack_layout: Unpacker[Layout] = Unpacker(Layout)


@dataclass
class StoredStage:
    """The rows of one stage and workspace, by key and part, and when keys need a Tick."""

    rows: dict[str, dict[str, bytes]] = field(default_factory=dict)
    due_rows: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def dues(self) -> dict[str, int]:
        """When keys need a Tick."""
        return {key: due for (key, _), due in self.due_rows.items()}

    def put(self, key: str, part: str, value: bytes | None) -> None:
        """Take the newest value of a row; none deletes it."""
        self.due_rows.pop((key, part), None)
        if value is None:
            parts = self.rows.get(key)
            if parts is not None and parts.pop(part, None) is not None and not parts:
                del self.rows[key]
            return
        self.rows.setdefault(key, {})[part] = value[_DUE:]
        if value[0] != _SIGNED:
            self.due_rows[(key, part)] = int.from_bytes(value[:_DUE], "big", signed=True)


class Group(NamedTuple):
    """Many rows of one stage and workspace as they are kept in memory: all rows of each of its keys."""

    stage: str
    workspace: str
    rows: dict[str, dict[str, bytes]]
    dues: list[tuple[str, str, int]]
    """Key, part and time of the rows that want a Tick."""


class Restored:
    """What a changelog says: the newest value of every row, gathered record by record in order."""

    def __init__(self) -> None:
        self.stages: dict[tuple[str, str], StoredStage] = {}
        self.positions = Positions({}, {})
        self.layout: Layout | None = None
        self.fingerprints: dict[str, str] = {}
        self.loose = 0
        """How many records were taken one by one."""

    def take(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take records in the order of the topic; a later one replaces an earlier one of its key.

        Raises:
            CodecError: a record is not a state row.
        """
        stages, decode = self.stages, _row_key.decode
        try:
            for name, value in records:
                stage, workspace, key, part = decode(name)
                self.loose += 1
                if not stage:
                    self._note(workspace, part, value)
                    continue
                stored = stages.get((stage, workspace))
                if stored is None:
                    stored = stages[(stage, workspace)] = StoredStage()
                stored.put(key, part, value)
        except UNREADABLE as error:
            raise CodecError(f"not a state row: {error}") from None

    def take_group(self, group: Group) -> None:
        """Take many rows at once; nothing was taken of these keys before."""
        stored = self.stages.setdefault((group.stage, group.workspace), StoredStage())
        if stored.rows:
            stored.rows.update(group.rows)
        else:
            stored.rows = group.rows
        stored.due_rows.update(((key, part), due) for key, part, due in group.dues)

    def of(self, stage: str, workspace: str) -> StoredStage:
        """The rows of a stage in a workspace; they are taken out, since the stage keeps them from now on."""
        return self.stages.pop((stage, workspace), None) or StoredStage()

    @property
    def live(self) -> int:
        """How many rows there are now."""
        return sum(len(parts) for stored in self.stages.values() for parts in stored.rows.values())

    def groups(self) -> Iterator[Group]:
        """The newest values of all rows, in groups of some ten thousand keys."""
        for (stage, workspace), stored in self.stages.items():
            items = iter(stored.rows.items())
            while some := dict(islice(items, _KEYS)):
                dues = [(key, part, due) for (key, part), due in stored.due_rows.items() if key in some]
                yield Group(stage, workspace, some, dues)

    def notes(self) -> Iterator[tuple[bytes, bytes]]:
        """Positions, layout and fingerprints as records."""
        yield position_row(self.positions)
        if self.layout is not None:
            yield layout_row(self.layout)
        yield from (fingerprint_row(workspace, found) for workspace, found in self.fingerprints.items())

    def workspaces(self) -> list[str]:
        """The workspaces that have rows."""
        return sorted({workspace for _, workspace in self.stages})

    def _note(self, workspace: str, part: str, value: bytes | None) -> None:
        if value is None:
            return
        if part == POSITION_ROW:
            self.positions = _unpack_positions(value)
        elif part == LAYOUT_ROW:
            self.layout = _unpack_layout(value)
        elif part == FINGERPRINT_ROW:
            self.fingerprints[workspace] = value.decode()


def row(stage: str, workspace: str, changed: Changed) -> tuple[bytes, bytes | None]:
    """A changed row as key and value of a record."""
    name = _encoder.encode((stage, workspace, changed.key, changed.part))
    if changed.content is None:
        return name, None
    due = _NEVER if changed.due is None else changed.due.to_bytes(_DUE, "big", signed=True)
    return name, due + changed.content


def position_row(positions: Positions) -> tuple[bytes, bytes]:
    """The position row; it is part of the transaction of what it tells of."""
    return _note_key("", POSITION_ROW), pack(positions)


def layout_row(layout: Layout) -> tuple[bytes, bytes]:
    """The row by which another partition count is recognised."""
    return _note_key("", LAYOUT_ROW), pack(layout)


def fingerprint_row(workspace: str, fingerprint: str) -> tuple[bytes, bytes]:
    """The row that tells under which workflows the rows of a workspace were joined."""
    return _note_key(workspace, FINGERPRINT_ROW), fingerprint.encode()


def _note_key(workspace: str, part: str) -> bytes:
    return _encoder.encode(("", workspace, "", part))
