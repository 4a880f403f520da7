"""Change events from files of JSON lines. Bad lines are told, never fatal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from connectors.base import BadLine, Capture, Connector, Polled, Request, Response, Send
from connectors.capture import TIE_BITS
from connectors.fields import milliseconds
from connectors.lines import LONGEST_LINE, Position, RawLine, fits, opened, reachable, whole_line
from schemas.batches import collector_at_rest
from schemas.codec import UNREADABLE
from schemas.commands import Command, Outcome, Rejected
from schemas.events import ChangeEvent
from schemas.values import Amount


class FileConnector(Connector):
    """Reads change events from the file that the connection's url names (``file:/path`` or a path); writes nothing."""

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


class JsonLines(Capture):
    """Change events, one JSON object per line; a growing file may be followed.

    The ``load`` events at its beginning are the first load; it is complete where another event follows, or the file
    ends. With a ``connection`` every line has to name a tab of it. ``history`` says that the file is finished: an event
    was seen when it was committed unless it says otherwise, and a last line without its end is a bad line.
    """

    def __init__(
        self, path: Path, *, connection: str = "", history: bool = False, limit: int = 10_000,
        longest: int = LONGEST_LINE,
    ) -> None:  # fmt: skip
        self._path, self._connection, self._history = path, connection, history
        self._limit, self._longest = limit, longest

    def poll(self, position: bytes | None, now: int) -> Polled:
        """Up to ``limit`` lines. A last line without its end is left until it is whole.

        Raises:
            NotSent: the file cannot be read.
        """
        at = msgspec.json.decode(position, type=Position) if position else Position()
        events: list[ChangeEvent] = []
        bad: list[BadLine] = []
        with collector_at_rest(), opened(self._path) as stream:
            stream.seek(at.offset)
            more = False
            for _ in range(self._limit):
                content = stream.readline(self._longest + 1)
                # The fast path: a whole line that is an event.
                found = self._read(content, at.line + 1, now) if content.endswith(b"\n") else ""
                if isinstance(found, ChangeEvent):
                    events.append(found)
                    at.offset, at.line = at.offset + len(content), at.line + 1
                elif not content or not self._take(whole_line(stream, content, self._longest), at, now, events, bad):
                    break
            else:
                more = True
        loads = None if at.loaded else next((n for n, event in enumerate(events) if not event.load), None)
        at.loaded = at.loaded or loads is not None
        return Polled(
            events=events, position=msgspec.json.encode(at), more=more, loaded=at.loaded or not more, loads=loads,
            bad=bad,
        )  # fmt: skip

    def _take(self, line: RawLine, at: Position, now: int, events: list[ChangeEvent], bad: list[BadLine]) -> bool:
        """Whether the line was whole; then it is an event, a bad line, or blank."""
        reason = ""
        if line.content is None:
            reason = f"longer than {self._longest} bytes"
        elif line.content.strip():
            found = self._read(line.content, at.line + 1, now)
            if isinstance(found, ChangeEvent):
                events.append(found)
            elif not line.whole and not self._history:
                return False
            else:
                reason = found if line.whole else f"the file ends inside this line: {found}"
        at.offset += line.size
        at.line += 1
        if reason:
            bad.append(BadLine(reason, self._path.name, at.line))
        return True

    def _read(self, line: bytes, number_: int, now: int) -> ChangeEvent | str:
        found = read_event(line, number_, None if self._history else now)
        if not isinstance(found, ChangeEvent):
            return found
        connection, colon, name = found.tab.partition(":")
        if not (colon and name) or "/" in found.tab:
            return "not a change event: `$.tab` is not written connection:Tab"
        if self._connection and connection != self._connection:
            return f"not a change event of connection '{self._connection}': `$.tab`"
        return found if found.record_id else "not a change event: `$.record_id` is empty"


def read_event(line: bytes, number_: int, now: int | None) -> ChangeEvent | str:
    """The event of a line, or why it is none; the reason quotes no values.

    An event that does not say when it was seen was seen ``now``; none: when it was committed.
    """
    if b"\0" in line:
        return "a NUL byte"
    try:
        event = _events.decode(line)
    except msgspec.ValidationError:
        found = _lenient(line, number_, now)
        return found if isinstance(found, str) else _wrong(found, line) or found
    except UNREADABLE as error:
        return _why(error)
    return _wrong(event, line) or event


def _wrong(event: ChangeEvent, line: bytes) -> str:
    """What is wrong with an event whose shape is right."""
    if b"\\u0000" in line and _has_nul([event.record_id, event.tab, event.actor, event.after]):
        return "a NUL byte"
    # Only a nested object needs a closer look: the event itself and its image are two.
    if line.count(b"{") > 2 and event.after and not _plain(list(event.after.values())):
        return "a field value is an object"
    if not reachable(event.committed_at) or not reachable(event.seen_at):
        return "a time is before 1692 or after 2247"
    if not fits([event.source_position]) or (event.after and not fits(event.after.values())):
        return "a whole number of more than 63 bits"
    return ""


def _lenient(line: bytes, number_: int, now: int | None) -> ChangeEvent | str:
    try:
        found = _lines.decode(line)
    except UNREADABLE as error:
        return _why(error)
    committed = _moment(found.committed_at)
    seen = (committed if now is None else now) if found.seen_at is None else _moment(found.seen_at)
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
        return msgspec.convert(told, ChangeEvent)
    except msgspec.ValidationError as error:
        return _why(error)


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
