"""The state of one relation key: members, seekers, recent leavers, and the pages still to serve."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.codec import Unpacker, pack
from schemas.messages import Fact, Row
from schemas.values import Ref
from streams.stage import Changed, Rows

MEMBER, SEEKER, LEFT, PASSES = "m\x1f", "s\x1f", "l\x1f", "p"


class Member(msgspec.Struct, frozen=True, array_like=True):
    """A record whose field has the key's value."""

    home: int
    version: int
    image: dict[str, Any]
    position: int
    born: int | None = None


class Left(msgspec.Struct, frozen=True, array_like=True):
    """A record that moved to another value a while ago, with the image that says where to."""

    home: int
    version: int
    image: dict[str, Any]
    position: int
    since: int


class Pass(msgspec.Struct, frozen=True, array_like=True):
    """A Fact on its way round the seekers: a page each time, from ``cursor`` on, until ``end`` is reached again."""

    cursor: Ref
    end: Ref
    wrapped: bool
    fact: Fact

    @property
    def done(self) -> bool:
        """Whether every seeker was told."""
        return self.wrapped and self.cursor >= self.end

    def next_page(self, seekers: list[Ref], size: int) -> tuple[list[Ref], "Pass"]:
        """The next seekers to tell, and the pass after that; past the last name it goes on from the first."""
        start = bisect_right(seekers, self.cursor) if self.cursor else 0
        stop = bisect_right(seekers, self.end) if self.wrapped else len(seekers)
        page = seekers[start : min(start + size, stop)]
        if start + size < stop:
            return page, Pass(page[-1], self.end, self.wrapped, self.fact)
        if self.wrapped or not self.end:
            return page, Pass(self.end, self.end, True, self.fact)
        return page, Pass("", self.end, True, self.fact)


class _Pages(msgspec.Struct, array_like=True):
    passes: dict[Ref, Pass]
    answers: dict[Ref, Ref]
    pumping: bool


_unpack_member: Unpacker[Member] = Unpacker(Member)
_unpack_left: Unpacker[Left] = Unpacker(Left)
_unpack_seek: Unpacker[int] = Unpacker(int)
_unpack_pages: Unpacker[_Pages] = Unpacker(_Pages)


@dataclass
class Key:
    """One relation key. Changes go through its methods, so that only the rows that changed are written."""

    members: dict[Ref, Member] = field(default_factory=dict)
    seekers: dict[Ref, int] = field(default_factory=dict)
    left: dict[Ref, Left] = field(default_factory=dict)
    passes: dict[Ref, Pass] = field(default_factory=dict)
    answers: dict[Ref, Ref] = field(default_factory=dict)
    pumping: bool = False
    _changed: set[str] = field(default_factory=set)
    _names: list[Ref] | None = None
    _had_pages: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is here and no Go is under way, so that the key can be forgotten."""
        return not (self.members or self.seekers or self.left or self.passes or self.pumping)

    @property
    def parts(self) -> Iterator[str]:
        """The rows that may have been written of it."""
        yield PASSES
        yield from self._changed  # also of those who have gone since the last writing
        yield from (MEMBER + ref for ref in self.members)
        yield from (SEEKER + journey for journey in self.seekers)
        yield from (LEFT + ref for ref in self.left)

    def born(self, ref: Ref) -> int | None:
        """When a member was created live, if it was."""
        member = self.members.get(ref)
        return member.born if member is not None else None

    def join(self, ref: Ref, member: Member) -> None:
        """The record is here now, with this image."""
        self.members[ref] = member
        self._changed.add(MEMBER + ref)
        if self.left.pop(ref, None) is not None:
            self._changed.add(LEFT + ref)

    def leave(self, ref: Ref, left: Left | None) -> None:
        """The record is no longer here; it left a row that tells where to, or none."""
        del self.members[ref]
        self._changed.add(MEMBER + ref)
        if left is not None:
            self.left[ref] = left
            self._changed.add(LEFT + ref)

    def forget_left(self, before: int) -> bool:
        """Forget those who left earlier than that; whether there were any."""
        late = [ref for ref, row in self.left.items() if row.since < before]
        for ref in late:
            del self.left[ref]
            self._changed.add(LEFT + ref)
        return bool(late)

    def seek(self, journey: Ref, number: int) -> None:
        """The journey wants to be told, under this seek number."""
        if self._names is not None and journey not in self.seekers:
            insort(self._names, journey)
        self.seekers[journey] = number
        self._changed.add(SEEKER + journey)

    def unseek(self, journey: Ref, number: int) -> None:
        """The journey no longer wants to be told, unless it has asked anew since."""
        if self.seekers.get(journey) != number:
            return
        del self.seekers[journey]
        self.answers.pop(journey, None)
        self._changed.add(SEEKER + journey)
        if self._names is not None:
            del self._names[bisect_left(self._names, journey)]

    def sorted_seekers(self) -> list[Ref]:
        """The seekers in the order in which passes go round."""
        if self._names is None:
            self._names = sorted(self.seekers)
        return self._names

    def sorted_refs(self) -> list[Ref]:
        """Members and recent leavers, in the order in which answers list them."""
        return sorted([*self.members, *self.left])

    def row(self, ref: Ref) -> Row:
        """A member or leaver as an answer tells it."""
        member = self.members.get(ref)
        if member is not None:
            return Row(ref, member.home, member.version, member.image, member.born, member.position)
        left = self.left[ref]
        return Row(ref, left.home, left.version, left.image, None, left.position)

    def take_changed(self, key: str) -> Iterator[Changed]:
        """The rows to write since the last call."""
        for part in sorted(self._changed):
            yield Changed(key, part, self._content(part))
        self._changed.clear()
        has_pages = bool(self.passes or self.answers or self.pumping)
        if has_pages or self._had_pages:
            pages = pack(_Pages(self.passes, self.answers, self.pumping)) if has_pages else None
            yield Changed(key, PASSES, pages)
        self._had_pages = has_pages

    def _content(self, part: str) -> bytes | None:
        kind, ref = part[:2], part[2:]
        rows: Mapping[Ref, Any] = self.members if kind == MEMBER else self.seekers if kind == SEEKER else self.left
        return pack(rows[ref]) if ref in rows else None


def open_passes(rows: Rows) -> list[Ref]:
    """The records whose passes a stored key has open."""
    return list(_unpack_pages(rows[PASSES]).passes) if PASSES in rows else []


def leaving_times(rows: Rows) -> list[int]:
    """When the recent leavers of a stored key left it."""
    return [_unpack_left(content).since for part, content in rows.items() if part.startswith(LEFT)]


def read_key(_key: str, rows: Rows) -> Key:
    """A key from its stored rows."""
    state = Key()
    for part, content in rows.items():
        kind, ref = part[:2], part[2:]
        if kind == MEMBER:
            state.members[ref] = _unpack_member(content)
        elif kind == SEEKER:
            state.seekers[ref] = _unpack_seek(content)
        elif kind == LEFT:
            state.left[ref] = _unpack_left(content)
        else:
            pages = _unpack_pages(content)
            state.passes, state.answers, state.pumping = pages.passes, pages.answers, pages.pumping
            state._had_pages = True
    return state
