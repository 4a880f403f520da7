"""The history of several files: their events in the order of their times, so that time runs once and forwards."""

from collections.abc import Iterator, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

import msgspec

from connectors.base import NotSent, Polled
from renkei.parts import Turned, Watched, bad_line, mark_loaded, position_note
from schemas.events import ChangeEvent
from streams import wire
from streams.store import NewEntry, Store

SLICE = 5_000
"""How many events are put into the log at once."""


class _Mark(msgspec.Struct, frozen=True):
    """How far a file was told: the position of a page, how many of its events, and the time reached."""

    page: bytes | None = None
    taken: int = 0
    at: int = 0


class _Told(NamedTuple):
    """One thing that a file tells: an event, or the end of a page, of its first load, or of both."""

    at: int
    source: Watched
    mark: _Mark
    event: ChangeEvent | None = None
    polled: Polled | None = None
    loaded: bool = False


class HistoryPart:
    """Puts the events of all files into the log by their times; events of one time in the order of the files.

    A file is taken to be in order: an event that is earlier than the one before it in the file comes right after it.
    """

    name = "history"

    def __init__(self, files: Sequence[Watched], store: Store, *, slice_: int = SLICE) -> None:
        self._files, self._store, self._slice = files, store, slice_
        self._ahead = merge(*[_told(one, self._mark(one)) for one in files], key=lambda told: told.at)
        self.captured = 0

    def turn(self, now: int) -> Turned:
        """Put the next events into the log, their positions included; nothing once a file cannot be read."""
        try:
            slice_ = list(islice(self._ahead, self._slice))
        except NotSent as error:
            return Turned(False, problem=str(error))
        with self._store.transaction():
            for told in slice_:
                self._store.append(self._entries(told))
            for one, mark in {told.source: told.mark for told in slice_}.items():
                self._store.set_note(position_note(one.name), msgspec.msgpack.encode(mark))
        self.captured += sum(told.event is not None for told in slice_)
        return Turned(bool(slice_))

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _entries(self, told: _Told) -> list[NewEntry]:
        entries: list[NewEntry] = []
        name = told.source.name
        if told.loaded:
            entries += mark_loaded(self._store, self._files, told.source, told.at, told.at)
        if told.event is not None:
            entries.append(wire.change_entry(told.event))
        if told.polled is not None:
            entries += [bad_line(bad, name, told.at) for bad in told.polled.bad]
        return entries

    def _mark(self, one: Watched) -> _Mark:
        kept = self._store.note(position_note(one.name))
        return msgspec.msgpack.decode(kept, type=_Mark) if kept else _Mark()


def _told(one: Watched, mark: _Mark) -> Iterator[_Told]:
    """What a file tells from a mark on, in times that never go back."""
    page, taken, at = mark.page, mark.taken, mark.at
    while True:
        polled = one.capture.poll(page, at)
        for number, event in enumerate(polled.events[taken:], taken):
            at = max(at, event.seen_at)
            yield _Told(at, one, _Mark(page, number + 1, at), event, loaded=number == polled.loads)
        page, taken = polled.position, 0
        yield _Told(at, one, _Mark(page, 0, at), polled=polled, loaded=polled.loaded)
        if not polled.more:
            return
