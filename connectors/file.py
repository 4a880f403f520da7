"""Change events from files: JSON lines of events, and CSV exports of a tab. Bad lines are told, never
fatal.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import msgspec

from connectors.base import BadLine, Capture, Connector, Polled, Request, Response, Send
from connectors.capture import TIE_BITS
from connectors.fields import boolean, instant, milliseconds, number
from schemas.commands import Command, Outcome, Rejected
from schemas.events import ChangeEvent
from schemas.metadata import FieldType
from schemas.values import Amount, Value, parse_date

LONGEST_LINE = 2**20
"""Bytes; a longer line is a bad line."""


class FileConnector(Connector):
    """Reads change events from the file that the connection's url names (``file:/path`` or a path);
    writes nothing.
    """

    kind = "file"
    batch: ClassVar[Mapping[str, int]] = {}

    def refuse(self, command: Command) -> Rejected:
        """Refuses every command."""
        return Rejected(command_id=command.id, code="read_only", reason="a connection of kind file is only read")

    def request(self, commands: Sequence[Command]) -> Request:
        """Never asked for: every command is refused."""
        return Request(method="NONE", path="")

    def outcomes(self, commands: Sequence[Command], response: Response) -> list[Outcome]:
        """Every command is refused."""
        return [self.refuse(command) for command in commands]

    def capture(self, tab: str, send: Send, fields: Sequence[str] = ()) -> Capture:
        """The events of the file, whatever their tab."""
        return JsonLines(Path(self.settings.url.removeprefix("file:")))


class _Position(msgspec.Struct, omit_defaults=True):
    offset: int = 0
    line: int = 0


class _Line(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A change event as people write it: times also as ISO text, and what can be derived left out."""

    tab: str
    record_id: str
    op: str
    committed_at: int | str
    after: dict[str, Any] | None = None
    seen_at: int | str | None = None
    source_position: int | None = None
    changed_fields: tuple[str, ...] = ()
    actor: str = ""
    origin: Any = None
    load: bool = False
    coalesced: bool = False
    partial: bool = False
    into: str = ""


_events = msgspec.json.Decoder(ChangeEvent, float_hook=Amount)
_lines = msgspec.json.Decoder(_Line, float_hook=Amount)


class JsonLines:
    """Change events, one JSON object per line; a growing file may be followed."""

    def __init__(self, path: Path, *, limit: int = 10_000, longest: int = LONGEST_LINE) -> None:
        self._path = path
        self._limit = limit
        self._longest = longest

    def poll(self, position: bytes | None, now: int) -> Polled:
        """Up to ``limit`` lines. A last line without its end is left until it is whole."""
        at = msgspec.json.decode(position, type=_Position) if position else _Position()
        events: list[ChangeEvent] = []
        bad: list[BadLine] = []
        with self._path.open("rb") as stream:
            stream.seek(at.offset)
            more = False
            for _ in range(self._limit):
                content = stream.readline(self._longest + 1)
                # The fast path: a whole line that is an event.
                found = read_event(content, at.line + 1, now) if content.endswith(b"\n") else ""
                if isinstance(found, ChangeEvent):
                    events.append(found)
                    at.offset, at.line = at.offset + len(content), at.line + 1
                elif not content or not self._take(_whole(stream, content, self._longest), at, now, events, bad):
                    break
            else:
                more = True
        return Polled(events=events, position=msgspec.json.encode(at), more=more, loaded=not more, bad=bad)

    def _take(self, line: "_Raw", at: _Position, now: int, events: list[ChangeEvent], bad: list[BadLine]) -> bool:
        """Whether the line was whole; then it is an event, a bad line, or blank."""
        reason = ""
        if line.content is None:
            reason = f"longer than {self._longest} bytes"
        elif line.content.strip():
            found = read_event(line.content, at.line + 1, now)
            if isinstance(found, ChangeEvent):
                events.append(found)
            elif not line.whole:
                return False
            else:
                reason = found
        at.offset += line.size
        at.line += 1
        if reason:
            bad.append(BadLine(reason, self._path.name, at.line))
        return True


class _Raw(msgspec.Struct, frozen=True):
    content: bytes | None
    size: int
    whole: bool


def _line(stream: BinaryIO, longest: int) -> _Raw | None:
    """The next line, none at the end; of a line that is too long only the size, read in pieces."""
    content = stream.readline(longest + 1)
    return _whole(stream, content, longest) if content else None


def _whole(stream: BinaryIO, content: bytes, longest: int) -> _Raw:
    """The line that begins with what was read already."""
    whole = content.endswith(b"\n")
    if whole or len(content) <= longest:
        return _Raw(content, len(content), whole)
    size = len(content)
    while not whole and (piece := stream.readline(longest)):
        size += len(piece)
        whole = piece.endswith(b"\n")
    return _Raw(None, size, whole)


def read_event(line: bytes, number_: int, now: int) -> ChangeEvent | str:
    """The event of a line, or why it is none; the reason quotes no values."""
    if b"\0" in line:
        return "a NUL byte"
    try:
        event = _events.decode(line)
    except msgspec.ValidationError:
        return _lenient(line, number_, now)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _why(error)
    if b"\\u0000" in line and _has_nul([event.record_id, event.tab, event.actor, event.after]):
        return "a NUL byte"
    # Only a nested object needs a closer look: the event itself and its image are two.
    if line.count(b"{") > 2 and event.after and not _plain(list(event.after.values())):
        return "a field value is an object"
    return event


def _lenient(line: bytes, number_: int, now: int) -> ChangeEvent | str:
    try:
        found = _lines.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _why(error)
    committed, seen = _moment(found.committed_at), now if found.seen_at is None else _moment(found.seen_at)
    if committed is None or seen is None:
        return "a time is neither ISO text nor milliseconds"
    position = found.source_position
    position = (committed << TIE_BITS) | (number_ % 2**TIE_BITS) if position is None else position
    told = {
        **msgspec.structs.asdict(found),
        "committed_at": committed,
        "seen_at": seen,
        "source_position": position,
    }
    try:
        event = msgspec.convert(told, ChangeEvent)
    except msgspec.ValidationError as error:
        return _why(error)
    return event if event.after is None or _plain(list(event.after.values())) else "a field value is an object"


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        where = str(error).rpartition(" - at ")[2] if " - at " in str(error) else ""
        return f"not a change event: {where}" if where else f"not a change event: {error}"
    return "not JSON"


def _moment(raw: int | str) -> int | None:
    return raw if isinstance(raw, int) else milliseconds(raw)


def _has_nul(value: Any) -> bool:
    if isinstance(value, dict):
        return _has_nul(list(value)) or _has_nul(list(value.values()))
    return any(map(_has_nul, value)) if isinstance(value, list) else isinstance(value, str) and "\0" in value


def _plain(values: list[Any]) -> bool:
    return all(_plain(value) if isinstance(value, list) else not isinstance(value, dict | float) for value in values)


class CsvTab(msgspec.Struct, frozen=True, kw_only=True):
    """A CSV export of a tab: which column is the id, which the time of change, and what types the
    columns have.

    Without a time column the rows are a first load (D-82); with one they are creates at that time.
    """

    path: Path
    tab: str
    id: str
    time: str | None = None
    types: dict[str, FieldType] = {}
    rename: dict[str, str] = {}


class CsvRows:
    """The rows of a CSV export as change events, read in a stream."""

    def __init__(self, table: CsvTab, *, limit: int = 10_000, longest: int = LONGEST_LINE) -> None:
        self._table = table
        self._limit = limit
        self._longest = longest

    def poll(self, position: bytes | None, now: int) -> Polled:
        """Up to ``limit`` rows."""
        at = msgspec.json.decode(position, type=_Position) if position else _Position()
        events: list[ChangeEvent] = []
        bad: list[BadLine] = []
        with self._table.path.open("rb") as stream:
            header = next(csv.reader(_decoded(stream, _Position(), self._longest)), [])
            start = stream.tell() if at.offset == 0 else at.offset
            at.line = max(at.line, 1)
            at.offset = start
            stream.seek(start)
            more = self._read(stream, [name.removeprefix("\ufeff") for name in header], at, now, events, bad)
        return Polled(events=events, position=msgspec.json.encode(at), more=more, loaded=not more, bad=bad)

    def _read(
        self, stream: BinaryIO, header: list[str], at: _Position, now: int,
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

    def _next(self, stream: BinaryIO, header: list[str], at: _Position, now: int) -> ChangeEvent | str | None:
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
        at = milliseconds(row.get(table.time, "")) if table.time else now
        if not record_id or at is None:
            return f"column {table.id if not record_id else table.time!r} is empty or cannot be read"
        after: dict[str, Value] = {"id": record_id}
        for name, cell in row.items():
            value = _cell(cell, table.types.get(name, "text"))
            if value is _BAD:
                return f"column {name!r} is not of type {table.types[name]}"
            after[table.rename.get(name, name)] = value  # type: ignore[assignment]  # the sentinel is gone
        position = (at << TIE_BITS) | (line % 2**TIE_BITS)
        return ChangeEvent(
            tab=table.tab, record_id=record_id, op="create", after=after, committed_at=at, seen_at=now,
            source_position=position, load=table.time is None,
        )  # fmt: skip


_BAD = object()


def _decoded(stream: BinaryIO, at: _Position, longest: int) -> Iterator[str]:
    """Lines as text; ``at`` follows what was read. Raises ValueError on a line that is too long or
    not UTF-8.
    """
    while line := _line(stream, longest):
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
        return _BAD if isinstance(found, str) else found
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
