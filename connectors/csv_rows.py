"""The rows of a CSV export of a tab as change events."""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import msgspec

from connectors.base import BadLine, Capture, LoadProgress, Polled
from connectors.capture import TIE_BITS
from connectors.fields import boolean, instant, milliseconds, number
from connectors.lines import LONGEST_LINE, Position, fits, next_line, opened, reachable
from schemas.events import ChangeEvent
from schemas.metadata import FieldType
from schemas.values import Value, parse_date


class CsvTab(msgspec.Struct, frozen=True, kw_only=True):
    """A CSV export of a tab: which column is the id, which the time of change, and what types the columns have.

    Without a time column the rows are a first load (D-82); with one they are creates at that time. With ``history`` a
    row was seen at its time, and a first load before all else.
    """

    path: Path
    tab: str
    id: str
    time: str | None = None
    types: dict[str, FieldType] = {}
    rename: dict[str, str] = {}
    history: bool = False


class CsvRows(Capture):
    """The rows of a CSV export as change events, read in a stream."""

    def __init__(self, table: CsvTab, *, limit: int = 10_000, longest: int = LONGEST_LINE) -> None:
        self._table = table
        self._limit = limit
        self._longest = longest

    def poll(self, position: bytes | None, now: int) -> Polled:
        """Up to ``limit`` rows.

        Raises:
            NotSent: the file cannot be read.
        """
        at = msgspec.json.decode(position, type=Position) if position else Position()
        events: list[ChangeEvent] = []
        bad: list[BadLine] = []
        with opened(self._table.path) as stream:
            header = next(csv.reader(_decoded(stream, Position(), self._longest)), [])
            start = stream.tell() if at.offset == 0 else at.offset
            at.line = max(at.line, 1)
            at.offset = start
            stream.seek(start)
            more = self._read(stream, [name.removeprefix("\ufeff") for name in header], at, now, events, bad)
        lives = self._table.time is not None
        return Polled(
            events=events, position=msgspec.json.encode(at), more=more, loaded=lives or not more,
            loads=0 if lives else None, bad=bad, progress=None if lives else LoadProgress(at.line),
        )  # fmt: skip

    def _read(
        self, stream: BinaryIO, header: list[str], at: Position, now: int,
        events: list[ChangeEvent], bad: list[BadLine],
    ) -> bool:  # fmt: skip
        for _ in range(self._limit):
            first = at.line + 1
            found = self._next(stream, header, at, now)
            if found is None:
                return False
            if isinstance(found, ChangeEvent):
                events.append(found)
            elif found:
                bad.append(BadLine(found, self._table.path.name, first))
        return True

    def _next(self, stream: BinaryIO, header: list[str], at: Position, now: int) -> ChangeEvent | str | None:
        """One row: an event, a reason, nothing for a blank line, none at the end."""
        first = at.line + 1
        try:
            row = next(csv.reader(_decoded(stream, at, self._longest), strict=True), None)
        except (csv.Error, ValueError) as error:
            return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        if row is None:
            return None
        if not row:
            return ""
        if len(row) != len(header):
            return f"{len(row)} columns instead of {len(header)}"
        if any("\0" in cell for cell in row):
            return "a NUL byte"
        return self._event(dict(zip(header, row, strict=True)), first, now)

    def _event(self, row: Mapping[str, str], line: int, now: int) -> ChangeEvent | str:
        table = self._table
        record_id = row.get(table.id, "").strip()
        now = 0 if table.history else now
        at = milliseconds(row.get(table.time, "")) if table.time else now
        if not record_id or at is None:
            return f"column {(table.time if record_id else table.id)!r} is empty or cannot be read"
        if not reachable(at):
            return f"column {table.time!r} is before 1692 or after 2247"
        after: dict[str, Value] = {"id": record_id}
        for name, cell in row.items():
            value = _cell(cell, table.types.get(name, "text"))
            if value is _BAD:
                return f"column {name!r} is not of type {table.types[name]}"
            after[table.rename.get(name, name)] = value  # type: ignore[assignment]  # the sentinel is gone
        position = (at << TIE_BITS) | (line % 2**TIE_BITS)
        return ChangeEvent(
            tab=table.tab, record_id=record_id, op="create", after=after, committed_at=at,
            seen_at=at if table.history else now,
            source_position=position, load=table.time is None,
        )  # fmt: skip


_BAD = object()


def _decoded(stream: BinaryIO, at: Position, longest: int) -> Iterator[str]:
    """Lines as text; ``at`` follows what was read. Raises ValueError on a line that is too long or not UTF-8."""
    while line := next_line(stream, longest):
        at.offset += line.size
        at.line += 1
        if line.content is None:
            raise ValueError(f"longer than {longest} bytes")
        yield line.content.decode()


def _cell(cell: str, kind: FieldType) -> object:
    if not cell.strip():
        return None
    if kind == "number":
        found = number(cell.strip())
        return _BAD if isinstance(found, str) or not fits([found]) else found
    if kind == "date":
        return _day(cell.strip())
    if kind == "datetime":
        return instant(cell.strip()) if milliseconds(cell.strip()) is not None else _BAD
    if kind == "boolean":
        return boolean(cell)
    return [part.strip() for part in cell.split(";")] if kind == "multipicklist" else cell


def _day(cell: str) -> object:
    try:
        return parse_date(cell).isoformat()
    except ValueError:
        return _BAD
