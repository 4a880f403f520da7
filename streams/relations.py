"""The ``relations`` stage: an index by relation key that answers who is here and tells seekers of changes.

It knows no trees and no paths and never writes to another key (stage protocol, sections 1 and 5).
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from rules.trees import key_parts, names_key
from schemas import topics
from schemas.codec import Unpacker, pack
from schemas.messages import Answer, Fact, Go, Loaded, Seek, Unseek
from schemas.values import HOUR, Image, Ref
from streams.keystate import Key, Left, Member, Pass, read_key
from streams.stage import ALL_PARTS, Changed, Output, Place, Source, States

PAGE = 500
LEFT_TTL = HOUR
"""How long a key remembers where a record went: longer than any partition lags in health."""
BOOK_KEY = "\x1fpartition"


class Barrier(msgspec.Struct, array_like=True):
    """A Loaded marker that waits for the passes which were open when it came."""

    tab: str
    generation: int
    waits_for: list[tuple[str, Ref]]


class PartitionBook(msgspec.Struct, array_like=True):
    """What one partition remembers beside its keys."""

    heard: dict[str, dict[int, int]] = {}
    """Per tab the newest change seen here of each home partition."""
    upstreams: dict[str, list[int]] = {}
    """Per ``tab/generation`` the partitions of ``records`` that have loaded it."""
    barriers: list[Barrier] = []
    open_passes: list[tuple[str, Ref]] = []


_unpack_book: Unpacker[PartitionBook] = Unpacker(PartitionBook)


class Relations:
    """Keeps the members and seekers of the relation keys of one partition."""

    name: ClassVar[str] = "relations"
    reads: ClassVar[tuple[str, ...]] = (topics.RELATIONS,)

    def __init__(self, place: Place, stored: dict[str, dict[str, bytes]], *, page: int = PAGE) -> None:
        rows = stored.pop(BOOK_KEY, None)
        self._book = _unpack_book(rows[""]) if rows else PartitionBook(heard={}, upstreams={})
        self._place = place
        self._page = page
        self.states: States[Key] = States(stored, read_key)

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """What a key says to one message: at most two pages and two messages more, or one Fact per seeker."""
        if isinstance(message, Loaded):
            return self._loaded(message)
        state = self.states.get(key)
        if state is None:
            if isinstance(message, Unseek | Go):
                return []
            state = Key()
        outputs = self._answer(key, state, message)
        state.forget_left(message.at - LEFT_TTL)
        if (state.passes or state.answers) and not state.pumping:
            state.pumping = True
            outputs.append(Output(topics.RELATIONS, key, Go(at=message.at)))
        if state.is_empty:
            self.states.drop(key)
        else:
            self.states.put(key, state)
        return outputs

    def changed(self) -> Iterator[Changed]:
        """The members, seekers and cursors that changed, row by row."""
        for key, state in self.states.take_touched():
            if state is None:
                yield Changed(key, ALL_PARTS, None)
            else:
                yield from state.take_changed(key)
        yield Changed(BOOK_KEY, "", pack(self._book))

    def _answer(self, key: str, state: Key, message: Any) -> list[Output]:
        match message:
            case Fact():
                return self._fact(key, state, message)
            case Seek():
                return self._seek(key, state, message)
            case Unseek():
                state.unseek(message.journey, message.seek)
                return []
            case Go():
                return self._go(key, state, message)
        raise TypeError(f"relations does not read {type(message).__name__}")

    # -- facts --------------------------------------------------------------

    def _fact(self, key: str, state: Key, fact: Fact) -> list[Output]:
        heard = self._book.heard.setdefault(key_parts(key)[0], {})
        heard[fact.home] = max(fact.version, heard.get(fact.home, 0))
        here = fact.image is not None and names_key(key, fact.image)
        if not here and fact.ref not in state.members:
            return []  # one writer per record and key, in order: nothing to compare
        if here:
            assert fact.image is not None
            state.join(fact.ref, _member(state, fact, fact.image))
        else:
            state.leave(fact.ref, self._left(key, fact))
        if len(state.seekers) <= self._page and fact.ref not in state.passes:
            return [
                Output(topics.JOURNEYS, journey, _through(fact, key, seek)) for journey, seek in state.seekers.items()
            ]
        self._open_pass(key, state, fact)
        return []

    def _left(self, key: str, fact: Fact) -> Left | None:
        """Where a record went that is still somewhere: one that was deleted leaves nothing (protocol, section 6)."""
        image = fact.image
        if image is None or not image.get(key_parts(key)[1]):
            return None
        return Left(fact.home, fact.version, image, fact.position, fact.at)

    def _open_pass(self, key: str, state: Key, fact: Fact) -> None:
        running = state.passes.get(fact.ref)
        if running is not None:  # overtaken: go on where it is with the new image, and once round
            state.passes[fact.ref] = Pass(
                running.cursor, running.cursor, False, msgspec.structs.replace(fact, coalesced=True)
            )
            return
        state.passes[fact.ref] = Pass("", "", False, fact)
        self._book.open_passes.append((key, fact.ref))

    # -- seekers --------------------------------------------------------------

    def _seek(self, key: str, state: Key, message: Seek) -> list[Output]:
        state.seek(message.journey, message.seek)
        state.answers.pop(message.journey, None)
        heard = self._book.heard.get(key_parts(key)[0], {})
        return [self._page_of_answer(key, state, message.journey, "", message.at, dict(heard))]

    def _page_of_answer(
        self, key: str, state: Key, journey: Ref, after: Ref, at: int, as_of: dict[int, int] | None
    ) -> Output:
        refs = state.sorted_refs()
        start = bisect_right(refs, after) if after else 0
        page = refs[start : start + self._page]
        last = start + self._page >= len(refs)
        if last:
            state.answers.pop(journey, None)
        else:
            state.answers[journey] = page[-1]
        rows = tuple(state.row(ref) for ref in page)
        seek = state.seekers[journey]
        return Output(topics.JOURNEYS, journey, Answer(at=at, key=key, seek=seek, rows=rows, last=last, as_of=as_of))

    def _go(self, key: str, state: Key, message: Go) -> list[Output]:
        state.pumping = False
        outputs: list[Output] = []
        if state.passes:
            outputs += self._serve_pass(key, state)
        if state.answers:
            journey, after = next(iter(state.answers.items()))
            del state.answers[journey]
            outputs.append(self._page_of_answer(key, state, journey, after, message.at, None))
        return outputs

    def _serve_pass(self, key: str, state: Key) -> list[Output]:
        ref, running = next(iter(state.passes.items()))
        del state.passes[ref]
        page, running = running.next_page(state.sorted_seekers(), self._page)
        outputs = [
            Output(topics.JOURNEYS, journey, _through(running.fact, key, state.seekers[journey])) for journey in page
        ]
        if running.done:
            return outputs + self._pass_ended(key, ref)
        state.passes[ref] = running
        return outputs

    # -- markers --------------------------------------------------------------

    def _loaded(self, message: Loaded) -> list[Output]:
        """Pass the marker on once all of ``records`` has sent it and the passes open now are through."""
        name = f"{message.tab}/{message.generation}"
        upstreams = self._book.upstreams.setdefault(name, [])
        if message.upstream[1] in upstreams:
            return []
        upstreams.append(message.upstream[1])
        if len(upstreams) < self._place.records:
            return []
        waits = [(key, ref) for key, ref in self._book.open_passes if key_parts(key)[0] == message.tab]
        self._book.barriers.append(Barrier(message.tab, message.generation, waits))
        return self._lift_barriers(message.at)

    def _pass_ended(self, key: str, ref: Ref) -> list[Output]:
        self._book.open_passes.remove((key, ref))
        for barrier in self._book.barriers:
            if (key, ref) in barrier.waits_for:
                barrier.waits_for.remove((key, ref))
        return self._lift_barriers(0)

    def _lift_barriers(self, at: int) -> list[Output]:
        lifted = [barrier for barrier in self._book.barriers if not barrier.waits_for]
        self._book.barriers = [barrier for barrier in self._book.barriers if barrier.waits_for]
        upstream = (self.name, self._place.number)
        return [
            Output(
                topics.JOURNEYS,
                "",
                Loaded(at=at, tab=barrier.tab, generation=barrier.generation, upstream=upstream),
                partition,
            )
            for barrier in lifted
            for partition in range(self._place.journeys)
        ]


def _member(state: Key, fact: Fact, image: Image) -> Member:
    born = fact.born if fact.born is not None else state.born(fact.ref)
    return Member(fact.home, fact.version, image, fact.position, born)


def _through(fact: Fact, key: str, seek: int) -> Fact:
    return Fact(
        at=fact.at, chain=fact.chain, ref=fact.ref, home=fact.home, version=fact.version, image=fact.image, op=fact.op,
        position=fact.position, load=fact.load, old=fact.old, coalesced=fact.coalesced, born=fact.born,
        key=key, seek=seek,
    )  # fmt: skip
