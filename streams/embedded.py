"""The embedded runtime: all stages of one process on one SQLite file, fused.

One change runs to rest through the three stages, and its outputs, state and position are committed together; messages
between the stages are never written (stage protocol, section 9).
"""

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from rules.book import Book
from rules.rounds import Limits
from schemas import topics
from schemas.codec import CodecError, pack, to_json
from schemas.events import ChangeEvent
from schemas.messages import Loaded, Tick
from streams import wire
from streams.journeys import Journeys
from streams.journeystate import HEAD, SEEN
from streams.records import Records
from streams.relations import Relations
from streams.stage import Output, Place, Source, Stage
from streams.store import Entry, NewEntry, Store, StoreError

POSITION = "position.flow"
FINGERPRINT = "fingerprint"
BATCH = 10_000
"""Inputs per commit where so many wait: a backlog goes faster, and what is live is committed as it comes."""
MOST_STEPS = 1_000_000  # of one input before it comes to rest: a bound against a bug, not a limit


NO_SOURCE = Source()


class Progress(NamedTuple):
    """What one turn did."""

    read: int
    parked: int


class Embedded:
    """Hosts the stages over a store. Not to be shared between threads."""

    def __init__(
        self,
        store: Store,
        book: Book,
        *,
        limits: Limits | None = None,
        channels: Mapping[str, str] | None = None,
        more_stages: Sequence[Callable[[], Stage]] = (),
        history: bool = False,
        tell: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.store, self.book = store, book
        self._limits, self._channels = limits or Limits(), dict(channels or {})
        self._more_stages, self._history = more_stages, history
        self._open()
        if store.note(FINGERPRINT) != book.fingerprint.encode():
            self._publish(tell)

    # -- input --------------------------------------------------------------

    def append(self, events: Iterable[ChangeEvent]) -> None:
        """Put change events into the log, durably."""
        with self.store.transaction():
            self.store.append([wire.change_entry(event) for event in events])

    def tell(self, journey: str, message: Any) -> None:
        """Put an outcome, a signal or an operator's word into the log, durably."""
        with self.store.transaction():
            self.store.append([NewEntry(topics.JOURNEYS, journey, message.at, pack(message))])

    def mark_loaded(self, tabs: Iterable[str], at: int) -> None:
        """Say that the first load of these tabs is complete: their absence of records can be believed (D-04)."""
        with self.store.transaction():
            self.store.append([_marker(tab, at) for tab in tabs])

    # -- the flow --------------------------------------------------------------

    def turn(self, limit: int = BATCH) -> Progress:
        """Take the next inputs through the stages and commit; nothing if there are none.

        Raises:
            StoreError: the state file cannot be written; nothing was taken, and nothing is parked for it.
        """
        entries = self.store.flow(self.position, limit)
        if not entries:
            return Progress(0, 0)
        try:
            with _collector_at_rest():
                return self._batch(entries)
        except StoreError:
            self._open()
            raise
        except Exception:
            self._open()  # what is in memory may be half-way: begin again from what was committed
            return self._one_by_one(entries)

    def run(self, now: int | None = None) -> int:
        """Turn until there is nothing left to do by ``now``; how many inputs were taken."""
        taken = 0
        while True:
            progress = self.turn()
            taken += progress.read
            if not progress.read and not (now is not None and self.tick(now)):
                return taken

    @property
    def next_due(self) -> int | None:
        """When the next timer is due (milliseconds)."""
        return self.journeys.next_due

    def tick(self, now: int) -> bool:
        """Put a Tick into the log if a timer is due; true if it did."""
        due = self.journeys.next_due
        if due is None or due > now:
            return False
        with self.store.transaction():
            self.store.append([NewEntry(topics.JOURNEYS, wire.MARKER, now, pack(Tick(at=now)))])
        return True

    # -- inside --------------------------------------------------------------

    def _open(self, *, joins: bool = True) -> None:
        """Open the stages on what is committed; without joins, journeys keep only what their rules remember."""
        place, store = Place(), self.store
        self.position = int(store.note(POSITION) or 0)
        self.records = Records(self.book, place, store.stored("records").rows)
        self.relations = Relations(place, store.stored("relations").rows if joins else {})
        journeys = store.stored("journeys")
        rows = journeys.rows if joins else _without_joins(journeys.rows)
        self.journeys = Journeys(self.book, place, rows, journeys.dues, limits=self._limits, channels=self._channels)
        self._stages: dict[str, Stage] = {
            "records": self.records, "relations": self.relations, "journeys": self.journeys,
        }  # fmt: skip
        self._extra = [make() for make in self._more_stages]
        for stage in self._extra:
            restore = getattr(stage, "restore", None)
            if restore is not None:
                restore(store.stored(stage.name).rows)

    def _batch(self, entries: Sequence[Entry]) -> Progress:
        outputs: list[NewEntry] = []
        parked = 0
        for entry in entries:
            try:
                message = wire.read_entry(entry)
            except CodecError as error:
                outputs.append(_parked(entry, str(error)))
                parked += 1
                continue
            if not isinstance(message, Tick):
                outputs += self._ticks_before(entry.at)
            outputs += self._to_rest(entry, message)
        self._commit(outputs, entries[-1].seq)
        return Progress(len(entries), parked)

    def _one_by_one(self, entries: Sequence[Entry]) -> Progress:
        """After a failure: commit each input alone, and park the one that fails with its reason."""
        parked = 0
        for entry in entries:
            try:
                parked += self._batch([entry]).parked
            except StoreError:
                self._open()
                raise
            except Exception as error:
                self._open()
                self._commit([_parked(entry, f"{type(error).__name__}: {error}")], entry.seq)
                parked += 1
        return Progress(len(entries), parked)

    def _ticks_before(self, at: int) -> list[NewEntry]:
        """Timers that were due before this input's time run first: in a history each at its own time, as it was then;
        live, at the time that it has become, so that what an outage made late is seen to be late (D-54).
        """
        outputs: list[NewEntry] = []
        while (due := self.journeys.next_due) is not None and due < at:
            now = due if self._history else at
            outputs += self._spread(due, now, [Output(topics.JOURNEYS, wire.MARKER, Tick(at=now))])
        return outputs

    def _to_rest(self, entry: Entry, message: Any) -> list[NewEntry]:
        first = Output(entry.topic, entry.key, message)
        return self._spread(message, entry.at, [first], Source(0, entry.seq))

    def _spread(self, message: Any, at: int, first: Iterable[Output], source: Source = NO_SOURCE) -> list[NewEntry]:
        """Run messages through the stages until nothing is left; what leaves the flow is returned."""
        leaving: list[NewEntry] = []
        queue = deque(first)
        for _ in range(MOST_STEPS):
            if not queue:
                return leaving
            output = queue.popleft()
            stage = self._stages.get(wire.stage_of(output.topic))
            if stage is not None:
                queue.extend(stage.step(output.key, output.message, source))
            else:
                leaving.append(wire.to_entry(output, at))
            for extra in self._extra:
                if any(fnmatchcase(output.topic, pattern) for pattern in extra.reads):
                    queue.extend(extra.step(output.key, output.message, source))
        raise RuntimeError(f"{type(message).__name__} does not come to rest")

    def _commit(self, outputs: list[NewEntry], position: int) -> None:
        with self.store.transaction():
            self._write(outputs, position)
        self.position = position

    def _write(self, outputs: list[NewEntry], position: int) -> None:
        self.store.append(outputs)
        for stage in (*self._stages.values(), *self._extra):
            self.store.write(stage.name, list(stage.changed()))
        self.store.set_note(POSITION, str(position).encode())

    def _publish(self, tell: Callable[[int, int], None]) -> None:
        """Let new workflows see the records that are known: join everything anew, firing nothing (D-82).

        Truths, timers, fires and marks are kept; relations and joins are built again from the stored images, and
        committed together with the mark that this was done.
        """
        at = self.store.last_at()
        self._open(joins=False)
        known = self.journeys.forget_tabs()
        outputs: list[NewEntry] = []
        refs = self.records.states.names()
        for number, ref in enumerate(refs):
            outputs += self._spread(ref, at, self.records.reload(ref, at))
            if number % 1000 == 0:
                tell(number, len(refs))
        for tab in known:
            outputs += self._spread(tab, at, [Output(topics.changes(tab), wire.MARKER, _loaded(tab, at))])
        with self.store.transaction():
            self.store.drop("relations")
            self.store.drop("journeys", SEEN)
            self.store.drop("journeys", HEAD)
            self._write(outputs, self.position)
            self.store.set_note(FINGERPRINT, self.book.fingerprint.encode())
        tell(len(refs), len(refs))


def _without_joins(rows: dict[str, dict[str, bytes]]) -> dict[str, dict[str, bytes]]:
    return {
        key: {part: content for part, content in parts.items() if part != HEAD and not part.startswith(SEEN)}
        for key, parts in rows.items()
    }


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the garbage collector out of a batch: it would look through all state again and again for nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _loaded(tab: str, at: int) -> Loaded:
    return Loaded(at=at, tab=tab, generation=0, upstream=("capture", 0))


def _marker(tab: str, at: int) -> NewEntry:
    return NewEntry(topics.changes(tab), wire.MARKER, at, pack(_loaded(tab, at)))


def _parked(entry: Entry, why: str) -> NewEntry:
    """A message that could not be read or taken, kept whole with the reason and the way to try again."""
    note = {
        "topic": entry.topic, "key": entry.key, "offset": entry.seq, "why": why,
        "how": f"renkei parked retry {entry.seq}",
    }  # fmt: skip
    return NewEntry(topics.PARKED, entry.key, entry.at, to_json(note))
