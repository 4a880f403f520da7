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
    """How far a file was told: the position of a page, how many of its events, the time reached, its first load."""

    page: bytes | None = None
    taken: int = 0
    at: int = 0
    loaded: bool = False


class _Told(NamedTuple):
    """One thing that a file tells: an event, the end of its first load, or the end of a page."""

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
        self._ahead = merge(*[_told(one, self._mark(one)) for one in files], key=_turn)
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


def _turn(told: _Told) -> tuple[int, bool]:
    """Times in order; the first load of a file is over when those of the same time in other files are."""
    return told.at, told.loaded and told.polled is None


def _told(one: Watched, mark: _Mark) -> Iterator[_Told]:
    """What a file tells from a mark on, in times that never go back."""
    page, taken, at, loaded = mark.page, mark.taken, mark.at, mark.loaded
    while True:
        polled = one.capture.poll(page, at)
        for number, event in enumerate(polled.events[taken:], taken):
            if number == polled.loads and not loaded:  # known from here on, however late the first event is (D-04)
                loaded = True
                yield _Told(at, one, _Mark(page, number, at, loaded), loaded=True)
            at = max(at, event.seen_at)
            yield _Told(at, one, _Mark(page, number + 1, at, loaded), event)
        page, taken, loaded = polled.position, 0, polled.loaded
        yield _Told(at, one, _Mark(page, 0, at, loaded), polled=polled, loaded=loaded)
        if not polled.more:
            return
