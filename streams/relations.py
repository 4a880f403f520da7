"""The ``relations`` stage: an index by relation key that answers who is here and tells seekers of changes.

It knows no trees and no paths and never writes to another key (stage protocol, sections 1 and 5).
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from rules.trees import key_parts, names_key
from schemas import topics
from schemas.codec import Unpacker, pack
from schemas.messages import Answer, Fact, Go, Loaded, Seek, Unseek
from schemas.values import HOUR, Image, Ref
from streams.keystate import Key, Left, Member, Pass, leaving_times, open_passes, read_key
from streams.stage import PARTITION_KEY, Changed, Output, Place, Source, States

PAGE = 500
LEFT_TTL = HOUR
"""How long a key remembers where a record went: longer than any partition lags in health."""
SWEEP = 100
"""How many keys one step sweeps at most."""


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


_unpack_book: Unpacker[PartitionBook] = Unpacker(PartitionBook)


class Relations:
    """Keeps the members and seekers of the relation keys of one partition."""

    name: ClassVar[str] = "relations"
    reads: ClassVar[tuple[str, ...]] = (topics.RELATIONS,)

    def __init__(self, place: Place, stored: dict[str, dict[str, bytes]], *, page: int = PAGE) -> None:
        rows = stored.pop(PARTITION_KEY, None)
        self._book = _unpack_book(rows[""]) if rows else PartitionBook(heard={}, upstreams={}, barriers=[])
        self._place = place
        self._page = page
        self._open = {(key, ref) for key, parts in stored.items() for ref in open_passes(parts)}
        self._leaving = [(since, key) for key, parts in stored.items() for since in leaving_times(parts)]
        heapq.heapify(self._leaving)
        self.states: States[Key] = States(stored, read_key)

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """What a key says to one message: at most two pages and two messages more, and markers that waited for it."""
        self._sweep(message.at - LEFT_TTL)
        if isinstance(message, Loaded):
            self._loaded(message)
            return self._lift_barriers(message.at)
        self._hear(key, message)
        state = self.states.get(key)
        if state is None:
            if isinstance(message, Unseek | Go):
                return []
            state = Key()
        outputs = self._answer(key, state, message)
        if self._wants_go(state):
            state.pumping = True
            outputs.append(Output(topics.RELATIONS, key, Go(at=message.at)))
        self._keep(key, state)
        return outputs + self._lift_barriers(message.at)

    def note(self, key: str, message: Any) -> None:
        """Hear of a message that its key has applied already: also the markers that waited for it were sent then."""
        self._hear(key, message)
        self._book.barriers = [one for one in self._book.barriers if not self._open.isdisjoint(one.waits_for)]

    def _hear(self, key: str, message: Any) -> None:
        """Remember how new the changes are that were seen here of each home partition."""
        if isinstance(message, Fact):
            heard = self._book.heard.setdefault(key_parts(key)[0], {})
            heard[message.home] = max(message.version, heard.get(message.home, 0))

    def changed(self) -> Iterator[Changed]:
        """The members, seekers and cursors that changed, row by row."""
        yield from self.states.take_gone()
        for key, state in self.states.take_touched():
            yield from state.take_changed(key)
        yield Changed(PARTITION_KEY, "", pack(self._book))

    def _wants_go(self, state: Key) -> bool:
        """Whether pages are left to serve and no Go is under way."""
        return bool(state.passes or state.answers) and not state.pumping

    def _keep(self, key: str, state: Key) -> None:
        if state.is_empty:
            self.states.drop(key, state.parts)
        else:
            self.states.put(key, state)

    def _sweep(self, before: int) -> None:
        """Free the rows of those who left long ago, also at keys that nobody touches any more (protocol, section 6)."""
        swept = 0
        while swept < SWEEP and self._leaving and self._leaving[0][0] < before:
            _, key = heapq.heappop(self._leaving)
            state = self.states.get(key)
            if state is not None and state.forget_left(before):
                self._keep(key, state)
                swept += 1

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
        here = fact.image is not None and names_key(key, fact.image)
        if not here and fact.ref not in state.members:
            return []  # one writer per record and key, in order: nothing to compare
        if here:
            assert fact.image is not None
            state.join(fact.ref, _member(state, fact, fact.image))
        else:
            self._leave(key, state, fact)
        if len(state.seekers) <= self._page and fact.ref not in state.passes:
            return self._tell(key, state, fact, state.sorted_seekers())
        self._open_pass(key, state, fact)
        return []

    def _leave(self, key: str, state: Key, fact: Fact) -> None:
        left = self._left(key, fact)
        state.leave(fact.ref, left)
        if left is not None:
            heapq.heappush(self._leaving, (left.since, key))

    def _tell(self, key: str, state: Key, fact: Fact, journeys: list[Ref]) -> list[Output]:
        """The Fact to each of these seekers, always in the same order: a repetition must say the same."""
        return [Output(topics.JOURNEYS, one, _through(fact, key, state.seekers[one])) for one in journeys]

    def _left(self, key: str, fact: Fact) -> Left | None:
        """Where a record went that is still somewhere: one that was deleted leaves nothing (protocol, section 6)."""
        image = fact.image
        if image is None or not image.get(key_parts(key)[1]):
            return None
        return Left(fact.home, fact.version, image, fact.position, fact.at)

    def _open_pass(self, key: str, state: Key, fact: Fact) -> None:
        running = state.passes.get(fact.ref)
        state.passes[fact.ref] = self._overtake(running, fact) if running is not None else Pass("", "", False, fact)
        self._open.add((key, fact.ref))

    def _overtake(self, running: Pass, fact: Fact) -> Pass:
        """Go on where the pass is with the new image, and once round, so that the last seekers never starve."""
        return Pass(running.cursor, running.cursor, False, msgspec.structs.replace(fact, coalesced=True))

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
        if running.done:
            self._open.discard((key, ref))
        else:
            state.passes[ref] = running
        return self._tell(key, state, running.fact, page)

    # -- markers --------------------------------------------------------------

    def _loaded(self, message: Loaded) -> None:
        """Count a marker; once all of ``records`` has sent it, it waits for the passes that are open now."""
        upstreams = self._book.upstreams.setdefault(f"{message.tab}/{message.generation}", [])
        if message.upstream[1] in upstreams:
            return
        upstreams.append(message.upstream[1])
        if len(upstreams) == self._place.records:
            barrier = Barrier(message.tab, message.generation, self._passes_of(message.tab))
            self._book.barriers.append(barrier)

    def _passes_of(self, tab: str) -> list[tuple[str, Ref]]:
        return sorted((key, ref) for key, ref in self._open if key_parts(key)[0] == tab)

    def _lift_barriers(self, at: int) -> list[Output]:
        """Pass on the markers whose passes are through."""
        lifted = [one for one in self._book.barriers if self._open.isdisjoint(one.waits_for)]
        if not lifted:
            return []
        self._book.barriers = [one for one in self._book.barriers if one not in lifted]
        upstream = (self.name, self._place.number)
        markers = [Loaded(at=at, tab=one.tab, generation=one.generation, upstream=upstream) for one in lifted]
        return [
            Output(topics.JOURNEYS, "", marker, partition)
            for marker in markers
            for partition in range(self._place.journeys)
        ]


def _member(state: Key, fact: Fact, image: Image) -> Member:
    born = fact.born if fact.born is not None else state.born(fact.ref)
    return Member(fact.home, fact.version, image, fact.position, born)


def _through(fact: Fact, key: str, seek: int) -> Fact:
    return Fact(
        at=fact.at, chain=fact.chain, ref=fact.ref, home=fact.home, version=fact.version, image=fact.image, op=fact.op,
        position=fact.position, load=fact.load, old=fact.old, previous=fact.previous, coalesced=fact.coalesced,
        born=fact.born, key=key, seek=seek,
    )  # fmt: skip
