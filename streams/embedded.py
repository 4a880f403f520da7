"""The embedded runtime: all stages of one process on one SQLite file, fused.

One change runs to rest through the three stages, and its outputs, state and position are committed together; messages
between the stages are never written (stage protocol, section 9).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rules.book import Book
from rules.rounds import Limits
from schemas import topics
from schemas.batches import collector_at_rest
from schemas.codec import CodecError, from_json, pack, to_json
from schemas.commands import Command
from schemas.decisions import Decision
from schemas.events import ChangeEvent
from schemas.messages import Tick
from streams import wire
from streams.flow import Flow, loaded, moved_timers, without_joins
from streams.journeystate import HEAD, SEEN
from streams.stage import Place, Source, Stage
from streams.store import Entry, NewEntry, Store, StoreError

POSITION = "position.flow"
FINGERPRINT = "fingerprint"
BATCH = 10_000
"""Inputs per commit where so many wait: a backlog goes faster, and what is live is committed as it comes."""
PAGE = 500
"""Inputs read at a time."""


class Progress(NamedTuple):
    """What one turn did."""

    read: int
    parked: int


class Embedded:
    """Hosts the stages over a store. Not to be shared between threads."""

    def __init__(  # noqa: PLR0913 - all that a runtime is opened with
        self,
        store: Store,
        book: Book,
        *,
        limits: Limits | None = None,
        channels: Mapping[str, str] | None = None,
        more_stages: Sequence[Callable[[], Stage]] = (),
        history: bool = False,
        tell: Callable[[int, int], None] = lambda done, total: None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """Open the stages; under other workflows than before all is joined anew first.

        ``tell`` hears how far that is, ``say`` what a changed calendar has moved (D-56).
        """
        self.store, self.book = store, book
        self._limits, self._channels = limits or Limits(), dict(channels or {})
        self._more_stages, self._history = more_stages, history
        self._open()
        if store.note(FINGERPRINT) != book.fingerprint.encode():
            self._publish(tell, say)

    # -- input --------------------------------------------------------------

    def append(self, events: Iterable[ChangeEvent]) -> None:
        """Put change events into the log, durably."""
        with collector_at_rest(), self.store.transaction():
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
        try:
            with collector_at_rest():
                return self._batch(limit)
        except StoreError:
            self._open()
            raise
        except Exception:
            self._open()  # what is in memory may be half-way: begin again from what was committed
            return self._one_by_one(self.store.flow(self.position, limit))

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
        return self._flow.next_due

    def tick(self, now: int) -> bool:
        """Put a Tick into the log if a timer is due; true if it did."""
        due = self.next_due
        if due is None or due > now:
            return False
        with self.store.transaction():
            self.store.append([NewEntry(topics.JOURNEYS, wire.MARKER, now, pack(Tick(at=now)))])
        return True

    # -- what came out --------------------------------------------------------------

    def commands(self) -> list[Command]:
        """All commands so far, in order."""
        entries = [entry for topic in self.store.topics("commands.") for entry in self.store.read(topic)]
        return [wire.read_entry(entry) for entry in sorted(entries, key=lambda entry: entry.seq)]

    def decisions(self) -> list[Decision]:
        """All decisions so far, in order."""
        return [wire.read_entry(entry) for entry in self.store.read(topics.DECISIONS)]

    def parked(self) -> list[str]:
        """Why messages were set aside."""
        return [from_json(entry.value)["why"] for entry in self.store.read(topics.PARKED)]

    def states(self, stage: str) -> Iterator[tuple[str, Any]]:
        """All keys of a stage with their states."""
        states = self._flow.states(stage)
        for key in states.names():
            yield key, states.get(key)

    # -- inside --------------------------------------------------------------

    def _open(self, *, joins: bool = True) -> None:
        """Open the stages on what is committed; without joins, journeys keep only what their rules remember."""
        self.position = int(self.store.note(POSITION) or 0)
        stored = self.store.stored()
        self._flow = Flow(
            self.book, Place(), stored.rows if joins else without_joins(stored.rows), stored.dues.get("journeys"),
            limits=self._limits, channels=self._channels, more_stages=self._more_stages, history=self._history,
        )  # fmt: skip
        self.records, self.journeys = self._flow.records, self._flow.journeys

    def _batch(self, limit: int) -> Progress:
        """Take up to so many inputs and commit once; they are read in pages, so that few are in memory at a time."""
        outputs: list[NewEntry] = []
        position, read, parked = self.position, 0, 0
        while read < limit:
            page = self.store.flow(position, min(PAGE, limit - read))
            for entry in page:
                parked += self._take(entry, outputs)
            if page:
                position, read = page[-1].seq, read + len(page)
            if len(page) < PAGE:
                break
        if read:
            self._commit(outputs, position)
        return Progress(read, parked)

    def _take(self, entry: Entry, outputs: list[NewEntry]) -> bool:
        """Run one input to rest; true if it could not be read and is parked."""
        try:
            message = wire.read_entry(entry)
        except CodecError as error:
            outputs.append(_parked(entry, str(error)))
            return True
        leaving = self._flow.feed(entry.topic, entry.key, message, entry.at, Source(0, entry.seq))
        if leaving:
            outputs += [wire.to_entry(output, entry.at) for output in leaving]
        return False

    def _one_by_one(self, entries: Sequence[Entry]) -> Progress:
        """After a failure: commit each input alone, and park the one that fails with its reason."""
        parked = 0
        for entry in entries:
            try:
                outputs: list[NewEntry] = []
                parked += self._take(entry, outputs)
                self._commit(outputs, entry.seq)
            except StoreError:
                self._open()
                raise
            except Exception as error:
                self._open()
                self._commit([_parked(entry, f"{type(error).__name__}: {error}")], entry.seq)
                parked += 1
        return Progress(len(entries), parked)

    def _commit(self, outputs: list[NewEntry], position: int) -> None:
        with self.store.transaction():
            self._write(outputs, position)
        self.position = position

    def _write(self, outputs: list[NewEntry], position: int) -> None:
        self.store.append(outputs)
        self.store.write(self._flow.changed())
        self.store.set_note(POSITION, str(position).encode())

    def _publish(self, tell: Callable[[int, int], None], say: Callable[[str], None]) -> None:
        """Let new workflows see the records that are known: join everything anew, firing nothing (D-82).

        Truths, timers, fires and marks are kept; relations and joins are built again from the stored images, and
        committed together with the mark that this was done. What a changed calendar moved is said once it is so.
        """
        at = self.store.last_at()
        self._open(joins=False)
        leaving = self._flow.rejoin(at, tell)
        outputs = [wire.to_entry(output, at) for output in leaving]
        with self.store.transaction():
            self.store.drop("relations")
            self.store.drop("journeys", SEEN)
            self.store.drop("journeys", HEAD)
            self._write(outputs, self.position)
            self.store.set_note(FINGERPRINT, self.book.fingerprint.encode())
        count = len(self.records.states)
        tell(count, count)
        for sentence in moved_timers(leaving):
            say(sentence)


def _marker(tab: str, at: int) -> NewEntry:
    return NewEntry(topics.changes(tab), wire.MARKER, at, pack(loaded(tab, at)))


def _parked(entry: Entry, why: str) -> NewEntry:
    """A message that could not be read or taken, kept whole with the reason and the way to try again."""
    note = {
        "topic": entry.topic, "key": entry.key, "offset": entry.seq, "why": why,
        "how": f"renkei parked retry {entry.seq}",
    }  # fmt: skip
    return NewEntry(topics.PARKED, entry.key, entry.at, to_json(note))
