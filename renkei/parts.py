"""The running parts of a project on one machine: captures, the flow, and a worker per connection.

Each part does one synchronous turn at a time; ``runner.py`` gives each a thread, the demo and tests turn them in a row.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from connectors.base import BadLine, Capture, Connector, LoadProgress, NoAnswer, NotSent, Polled
from connectors.capture import CaptureFailed
from connectors.kafka_io import Fenced, KafkaTrouble, Refused
from connectors.ledger import Entry, Ledger
from connectors.limits import Limiter
from connectors.traces import book_of
from connectors.worker import Worker
from renkei.timetable import Hints, Timetable, Wake
from schemas import topics
from schemas.codec import pack, to_json
from schemas.commands import Lane
from schemas.events import ChangeEvent
from schemas.messages import Loaded
from schemas.values import HOUR, SECOND
from streams import wire
from streams.embedded import Embedded
from streams.store import NewEntry, Store

ECHO_WINDOW = HOUR
"""How long after a write its echo is looked for (D-60)."""


@dataclass(frozen=True)
class Turned:
    """What a turn did: whether anything, when the next one is due (milliseconds; none: when woken), what is wrong."""

    busy: bool
    next_at: int | None = None
    problem: str = ""


Clock: TypeAlias = Callable[[], int]
"""Milliseconds since the epoch, now."""


class Part(Protocol):
    """Something that takes turns."""

    name: str

    def turn(self, now: int) -> Turned:
        """Do what there is to do by now."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...


class Watched(NamedTuple):
    """One capture of a connection: the name that its position is kept under, and the tabs that it tells of."""

    name: str
    capture: Capture
    tabs: tuple[str, ...]


class Notes(Protocol):
    """What a capture remembers by name."""

    def note(self, name: str) -> bytes | None:
        """What is remembered, if anything."""
        ...

    def set_note(self, name: str, value: bytes) -> None:
        """Remember this, once what belongs to it is durable."""
        ...


class Sink(Protocol):
    """Where the changes of one connection go, together with how far each capture has come."""

    def is_open(self) -> bool:
        """Whether this is the one that captures now; another one may be at it."""
        ...

    def note(self, name: str) -> bytes | None:
        """What is remembered under a name."""
        ...

    def keep(self, one: Watched, polled: Polled, now: int) -> int:
        """Make a poll durable, events and position together; how many messages that were."""
        ...

    def recent(self, since: int) -> list[Entry]:
        """What our own workers did on this connection since a time, oldest first."""
        ...

    def start_over(self, error: KafkaTrouble) -> None:
        """Forget what may not be durable."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class LogSink:
    """The embedded log."""

    def __init__(self, store: Store, captures: Sequence[Watched], ledger: Ledger | None = None) -> None:
        self._store, self._captures, self._ledger = store, captures, ledger

    def is_open(self) -> bool:
        """Always: a lock on the state folder keeps others away."""
        return True

    def note(self, name: str) -> bytes | None:
        """What the store remembers."""
        return self._store.note(name)

    def keep(self, one: Watched, polled: Polled, now: int) -> int:
        """Append events, markers and bad lines, and set the position, in one transaction."""
        entries = [wire.change_entry(event) for event in polled.events]
        with self._store.transaction():
            if polled.loaded:
                at = len(entries) if polled.loads is None else polled.loads
                seen_at = polled.events[at - 1].seen_at if at else 0
                entries[at:at] = mark_loaded(self._store, self._captures, one, now, seen_at)
            entries += [bad_line(bad, one.name, now) for bad in polled.bad]
            self._store.append(entries)
            note_progress(self._store, one, polled)
            self._store.set_note(position_note(one.name), polled.position)
        return len(entries)

    def recent(self, since: int) -> list[Entry]:
        """What the ledger of this machine says was done."""
        return [] if self._ledger is None else self._ledger.recent(since)

    def start_over(self, error: KafkaTrouble) -> None:
        """Nothing to forget: a transaction of a file is done or not."""

    def close(self) -> None:
        """Close the store and the ledger."""
        self._store.close()
        if self._ledger is not None:
            self._ledger.close()


class CapturePart:
    """Watches the tabs of one connection and hands their changes on, position included."""

    def __init__(  # noqa: PLR0913
        self,
        connection: str,
        captures: Sequence[Watched],
        sink: Sink,
        interval: int,
        connector: Connector | None = None,
        at: Callable[[str], None] = lambda point: None,
        *,
        hints: Hints | None = None,
        wait: Callable[[int], int] = lambda now: 0,
    ) -> None:
        self.name = f"capture {connection}"
        self._captures, self._sink = captures, sink
        self._timetable = Timetable([one.name for one in captures], interval, hints)
        self._connector, self._at, self._wait = connector, at, wait
        self.captured = 0
        self.by_tab: Counter[str] = Counter()
        """What was captured, by tab."""
        self.loading: dict[str, LoadProgress] = {}
        """How far the first loads are that are going on, by capture."""
        self.is_ready = False

    def turn(self, now: int) -> Turned:
        """Poll every tab that is due, if it is this one that captures."""
        try:
            if not self._sink.is_open():
                self.is_ready = True  # to take over
                return Turned(False, now + SECOND // 4)
            return self._poll(now)
        except Refused:
            raise
        except KafkaTrouble as error:
            self._sink.start_over(error)
            self._timetable.ask_now()
            return Turned(False, now + SECOND, "" if isinstance(error, Fenced) else str(error))

    def ask_now(self) -> None:
        """Poll at the next turn, whatever the interval says."""
        self._timetable.ask_now()

    def wake_by(self, wake: Wake) -> None:
        """Hear from now on what the CRM tells by itself."""
        self._timetable.open(wake)

    def close(self) -> None:
        """Close the sink, and let the captures go."""
        self._timetable.close()
        for one in self._captures:
            one.capture.close()
        self._sink.close()

    def _poll(self, now: int) -> Turned:
        busy, problem = False, self._timetable.listen(now)
        for one in self._captures:
            if not self._timetable.is_due(one.name, now):
                continue
            if wait := self._wait(now):  # who applies goes first
                self._timetable.put_off(one.name, now + wait)
                continue
            try:
                polled = one.capture.poll(self._sink.note(position_note(one.name)), now)
            except (NotSent, NoAnswer, CaptureFailed) as error:
                self._timetable.failed(one.name, now)
                problem = f"{one.name.replace(':', '.', 1)}: {error}"
                continue
            self._at("polled")
            self._timetable.polled(one.name, polled, now)
            busy = self._keep(one, polled, now) or busy
        self.is_ready = True
        return Turned(busy, self._timetable.next_at, problem)

    def _keep(self, one: Watched, polled: Polled, now: int) -> bool:
        polled = msgspec.structs.replace(polled, events=self._stamped(polled.events, now))
        kept = self._sink.keep(one, polled, now)
        if polled.progress is None or polled.loaded:
            self.loading.pop(one.name, None)
        else:
            self.loading[one.name] = polled.progress
        self.captured += len(polled.events)
        self.by_tab.update(event.tab.partition(":")[2] for event in polled.events)
        return bool(kept) or polled.more

    def _stamped(self, events: list[ChangeEvent], now: int) -> list[ChangeEvent]:
        """Our own writes come back with the chain that they belong to (D-60)."""
        if self._connector is None or not events:
            return events
        recent = self._sink.recent(now - ECHO_WINDOW)
        book = book_of(recent, self._connector, self._connector.settings.user)
        return [book.stamp(event) for event in events]


class FlowPart:
    """The stages."""

    name = "flow"

    def __init__(self, flow: Embedded, *, history: bool = False) -> None:
        self.flow, self._history = flow, history
        self.taken = 0

    def turn(self, now: int) -> Turned:
        """Take all inputs to rest, and run what is due; with history as the clock, only what history passed."""
        taken = self.flow.run(None if self._history else now)
        self.taken += taken
        return Turned(taken > 0, self.flow.journeys.next_due)

    def close(self) -> None:
        """Close the store."""
        self.flow.store.close()


class WorkerPart:
    """Applies the commands of one lane of a connection."""

    def __init__(
        self, connection: str, worker: Worker, limiter: Limiter, closing: Callable[[], None],
        keep: Callable[[int], None] = lambda now: None, lane: Lane = "live",
    ) -> None:  # fmt: skip
        self.name = f"worker {connection}" if lane == "live" else f"worker {connection} {lane}"
        self.connection, self.worker, self.limiter = connection, worker, limiter
        self._keep, self._closing = keep, closing
        self._limiting: Callable[[], AbstractContextManager[None]] = limiter.urgent if lane == "live" else nullcontext
        self.applied = self.rejected = self.unknown = 0

    def turn(self, now: int) -> Turned:
        """One round of the worker."""
        with self._limiting():
            turn = self.worker.turn(now)
        self._keep(now)
        self.applied += turn.applied
        self.rejected += turn.rejected
        self.unknown += turn.unknown
        return Turned(bool(turn.applied + turn.rejected + turn.unknown), turn.idle_until, turn.problem)

    def close(self) -> None:
        """Close the store and the ledger."""
        self._closing()


def mark_loaded(notes: Notes, captures: Sequence[Watched], one: Watched, now: int, seen_at: int) -> list[NewEntry]:
    """Note that a capture's first load is complete; the markers of the tabs that are loaded by that (D-04)."""
    return [
        NewEntry(topics.changes(tab), wire.MARKER, seen_at, pack(loaded_marker(tab, now)))
        for tab in loaded_by(notes, captures, one)
    ]


def loaded_by(notes: Notes, captures: Sequence[Watched], one: Watched) -> list[str]:
    """Note that a capture's first load is complete; the tabs that are loaded by that.

    A tab is loaded once all captures that tell of it are. Call it inside a transaction of the notes.
    """
    if notes.note(_loaded_note(one.name)) is None:
        notes.set_note(_loaded_note(one.name), b"1")
    found: list[str] = []
    for tab in one.tabs:
        tellers = [other.name for other in captures if tab in other.tabs]
        if notes.note(_known_note(tab)) is None and all(notes.note(_loaded_note(name)) is not None for name in tellers):
            notes.set_note(_known_note(tab), b"1")
            found.append(tab)
    return found


def note_progress(notes: Notes, one: Watched, polled: Polled) -> None:
    """Note how far a first load is, together with what was read: for those who look at it."""
    if polled.progress is not None:
        notes.set_note(progress_note(one.name), to_json(polled.progress))


def loaded_marker(tab: str, now: int) -> Loaded:
    """What says that a tab's first load is complete."""
    return Loaded(at=now, tab=tab, generation=0, upstream=("capture", 0))


def bad_line(bad: BadLine, capture: str, now: int) -> NewEntry:
    """A line that cannot be read, as it is parked."""
    return NewEntry(topics.PARKED, "", now, bad_line_note(bad, capture))


def bad_line_note(bad: BadLine, capture: str) -> bytes:
    """What is parked of a line that cannot be read: its place and the reason, never its content."""
    note = {
        "topic": topics.changes(capture), "file": bad.file, "line": bad.line, "why": bad.reason,
        "how": "correct the line and load the file again; nothing else of it is lost",
    }  # fmt: skip
    return to_json(note)


def position_note(capture: str) -> str:
    """The name under which the position of a capture is kept."""
    return f"position.capture.{capture}"


def progress_note(capture: str) -> str:
    """The name under which it is kept how far a capture's first load is."""
    return f"progress.capture.{capture}"


def _loaded_note(capture: str) -> str:
    return f"loaded.capture.{capture}"


def _known_note(tab: str) -> str:
    return f"loaded.tab.{tab}"
