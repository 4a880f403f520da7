"""Polling a tab by modified time: overlap, paging, deletions, and dropping what was told already (D-03).

A vendor supplies a ``Reader``; what the poll finds becomes change events whose source position rises per record.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple, Protocol, runtime_checkable

import msgspec

from connectors.base import Capture, LoadProgress, NoAnswer, Polled, Response
from connectors.idset import pack, unpack
from schemas.events import ChangeEvent, Operation
from schemas.values import MINUTE, Image

TIE_BITS = 20
"""A source position is the modified time in milliseconds, shifted by this, plus a tie-break that rises."""

SETTLED = 2_000
"""Milliseconds after which the second of a modified time is over for sure, on clocks that nearly agree."""

GAP = 15 * MINUTE
"""After a longer silence a captured change is marked as one that may hide several (``coalesced``)."""

SWEEP_PACE = 10
"""Milliseconds that each id of a tab puts between two sweeps, so that they read a hundred ids a second at most."""

FRESH = 5_000
"""So many ids are kept as they are before they are packed with the others."""

_GONE = "-"


class CaptureFailed(Exception):  # noqa: N818
    """A CRM did not let us read a tab; the message says which and why, the position stays where it was."""


class Row(NamedTuple):
    """One record read; ``modified`` and ``created`` in milliseconds. A row may itself tell that it was deleted."""

    id: str
    image: Image
    modified: int
    created: int
    actor: str
    gone: bool = False


class Gone(NamedTuple):
    """One record that is deleted."""

    id: str
    at: int
    actor: str = ""


class Mark(NamedTuple):
    """How far a round has read: rows after this time, and at this time those with a greater id."""

    time: int = 0
    id: str = ""


class Page(NamedTuple):
    """Rows in order of modified time and id, and whether more follow."""

    rows: Sequence[Row]
    more: bool


class Reader(Protocol):
    """How one vendor's tab is read. All three raise NotSent, NoAnswer or CaptureFailed."""

    @property
    def overlap(self) -> int:
        """Milliseconds that a change may become visible late: each round starts this much before the last change."""
        ...

    @property
    def sweep_every(self) -> int:
        """Milliseconds between full readings of all ids, to find deletions; 0 where the vendor tells deletions."""
        ...

    def rows(self, after: Mark, loading: bool) -> Page:
        """One page of rows after a mark."""
        ...

    def gone(self, since: int, now: int) -> Iterable[Gone]:
        """Deletions since a time; told again where they were told before. Nothing where ``rows`` tells them."""
        ...

    def ids(self) -> set[str]:
        """The ids of all records, for a sweep."""
        ...


@runtime_checkable
class Counting(Protocol):
    """A reader whose CRM counts the records of a tab."""

    def count(self) -> int | None:
        """How many records a first load will read, about; none where the answer does not say.

        Raises NotSent, NoAnswer or CaptureFailed.
        """
        ...


@runtime_checkable
class LocalTimes(Protocol):
    """A reader whose CRM tells times of a zone without saying which of two equal ones is meant."""

    def repeated(self, now: int) -> int:
        """Milliseconds of local time that came twice lately: the clocks were put back. 0 at any other time."""
        ...


class _Seen(NamedTuple):
    modified: int
    digest: str
    tie: int


class _Position(msgspec.Struct, kw_only=True, omit_defaults=True):
    high: int = 0
    """The newest change told."""
    floor: int = 0
    """Where the round that is going on began."""
    mark: Mark | None = None
    """Where it is; none between rounds."""
    loaded: bool = False
    since: int = 0
    """When the first load began, by our clock."""
    polled_at: int = 0
    coalesced: bool = False
    seen: dict[str, _Seen] = {}
    """What was told of the overlap."""
    reach: int = 0
    """How far before the newest change the round that is going on began."""
    known: list[str] = []
    """The ids that were told, for sweeps; packed."""
    fresh: list[str] = []
    """The same, not packed yet."""
    swept_at: int = 0
    size: int = 0
    """How many records the last sweep found."""
    read: int = 0
    """How many rows the first load has read."""
    total: int | None = None
    """How many there were when it began."""


class PollingCapture(Capture):
    """Watches one tab through a reader: first everything (``load``), then every change once."""

    def __init__(self, tab: str, reader: Reader) -> None:
        self._tab = tab
        self._reader = reader

    def poll(self, position: bytes | None, now: int) -> Polled:
        """One page of changes; deletions come with the last page of a round."""
        at = msgspec.json.decode(position, type=_Position) if position else self._first(now)
        if at.mark is None:
            self._begin(at, now)
        assert at.mark is not None
        page = self._reader.rows(at.mark, not at.loaded)
        progress = None if at.loaded else self._counted(at, page)
        events = [event for row in page.rows if (event := self._row(at, row, now))]
        if page.more:
            last = page.rows[-1]
            at.mark = Mark(last.modified, last.id)
        else:
            events += self._deletions(at, now)
            at.mark, at.loaded = None, True
        self._prune(at)
        events.sort(key=lambda event: event.source_position)
        return Polled(
            events=events, position=msgspec.json.encode(at), more=page.more, loaded=at.loaded, progress=progress
        )

    def _first(self, now: int) -> _Position:
        """The beginning of the first load; a CRM that does not count holds nothing up."""
        try:
            total = self._reader.count() if isinstance(self._reader, Counting) else None
        except (NoAnswer, CaptureFailed):
            total = None
        return _Position(since=now, polled_at=now, total=total)

    def _counted(self, at: _Position, page: Page) -> LoadProgress:
        """How far the first load is; records that came meanwhile are read too."""
        at.read += len(page.rows)
        return LoadProgress(at.read, None if at.total is None else max(at.total, at.read))

    def _begin(self, at: _Position, now: int) -> None:
        twice = self._reader.repeated(now) if isinstance(self._reader, LocalTimes) else 0
        at.reach = self._reader.overlap + twice
        at.floor = max(0, at.high - at.reach)
        at.mark = Mark(at.floor)
        at.coalesced = now - at.polled_at > GAP
        at.polled_at = now

    def _row(self, at: _Position, row: Row, now: int) -> ChangeEvent | None:
        if row.gone:
            told = at.loaded and self._was_told(at, row.id)
            return self._delete(at, Gone(row.id, row.modified, row.actor), now) if told else None
        before = at.seen.get(row.id)
        digest = blake2b(repr(sorted(row.image.items())).encode(), digest_size=9).hexdigest()
        if before and (before.digest == digest or self._is_stale(at, row, before)):
            return None
        op = _operation(at, row, before)
        position = self._remember(at, row.id, row.modified, digest, now)
        return ChangeEvent(
            tab=self._tab, record_id=row.id, op=op, after=row.image, actor=row.actor, load=not at.loaded,
            committed_at=row.modified, seen_at=now, source_position=position,
            coalesced=at.coalesced and at.loaded,
        )  # fmt: skip

    def _was_told(self, at: _Position, record_id: str) -> bool:
        """Whether a record was told; yes where nobody keeps ids for sweeps."""
        return not self._reader.sweep_every or record_id in at.seen or record_id in _told(at)

    def _is_stale(self, at: _Position, row: Row, before: _Seen) -> bool:
        """Whether a row is older than what was told; in an hour that comes twice, its time does not tell."""
        return row.modified < before.modified and at.reach <= self._reader.overlap

    def _deletions(self, at: _Position, now: int) -> list[ChangeEvent]:
        if not at.loaded and not self._reader.sweep_every:
            return []
        since = at.floor or max(0, at.since - self._reader.overlap)
        found = self._swept(at, now) if self._reader.sweep_every else self._reader.gone(since, now)
        return [event for gone in found if gone.at >= since and (event := self._delete(at, gone, now))]

    def _swept(self, at: _Position, now: int) -> list[Gone]:
        if at.loaded and now - at.swept_at < max(self._reader.sweep_every, at.size * SWEEP_PACE):
            return []
        there = self._reader.ids()
        told = _told(at) or there
        at.known, at.fresh, at.swept_at, at.size = pack(there & told), [], now, len(there)
        return [Gone(known, now) for known in sorted(told - there)]

    def _delete(self, at: _Position, gone: Gone, now: int) -> ChangeEvent | None:
        before = at.seen.get(gone.id)
        if before and (before.digest == _GONE or gone.at < before.modified):
            return None  # told already, or restored since
        if before is None and gone.at < at.since - self._reader.overlap:
            return None  # gone before the first load began, so never told
        position = self._remember(at, gone.id, gone.at, _GONE, now)
        return ChangeEvent(
            tab=self._tab, record_id=gone.id, op="delete", actor=gone.actor,
            committed_at=gone.at, seen_at=now, source_position=position,
        )  # fmt: skip

    def _remember(self, at: _Position, record_id: str, modified: int, digest: str, now: int) -> int:
        before = at.seen.get(record_id)
        # A second may hold several changes. How far into it we looked breaks the tie, so that a position rises even
        # where we died after telling a change and tell the next one of that second without knowing of the first.
        tie = min(max(0, now - modified), SETTLED)
        if before and before.modified >= modified:
            modified, tie = before.modified, max(tie, before.tie + 1)
        at.seen[record_id] = _Seen(modified, digest, tie)
        at.high = max(at.high, modified)
        if self._reader.sweep_every and digest != _GONE and (before is None or before.digest == _GONE):
            self._note(at, record_id)
        return (modified << TIE_BITS) | tie

    def _note(self, at: _Position, record_id: str) -> None:
        at.fresh.append(record_id)
        if len(at.fresh) >= FRESH:
            at.known, at.fresh = pack(_told(at)), []

    def _prune(self, at: _Position) -> None:
        floor = at.high - at.reach
        at.seen = {name: seen for name, seen in at.seen.items() if seen.modified >= floor}


def _told(at: _Position) -> set[str]:
    """The ids that were told and are not known to be gone."""
    return unpack(at.known) | set(at.fresh)


def resumed(high: int) -> bytes:
    """The position of a tab of which everything until this time was told, by other means: what follows may hide much.

    The next round begins an overlap before it. 0: everything is read once more, as changes and not as a first load.
    """
    return msgspec.json.encode(_Position(high=high, since=high, loaded=True))


def _operation(at: _Position, row: Row, before: _Seen | None) -> Operation:
    if before and before.digest == _GONE:
        return "undelete"
    # Whatever was told of the overlap is remembered, so an unknown record that was born inside it is new to us.
    born = before is None and row.created >= at.floor
    return "create" if born or not at.loaded else "update"


def readable(response: Response, tab: str, statuses: tuple[int, ...] = (200,)) -> Any:
    """The answer to a reading. Raises CaptureFailed on another status, or what is not JSON."""
    if response.status not in statuses:
        raise CaptureFailed(f"reading {tab}: the CRM answered {response.status}")
    if response.status in {204, 304}:
        return {}
    try:
        return response.json()
    except ValueError:
        raise CaptureFailed(f"reading {tab}: the answer is not JSON") from None
