"""The ``journeys`` stage: joins the records of each main record, and lets the rules decide over them.

A journey seeks the relation keys that its join wants, takes answers and facts in, and turns what changed into commands
and decisions (stage protocol, section 5). Rules see one message after another (D-05).
"""

import heapq
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import msgspec

from rules import evaluation, firing, replanning, ticking
from rules.book import Book
from rules.interest import Concerned, Interest
from rules.rounds import Change, Limits, Round
from rules.trees import Tree, TreeBuilder, names_key
from rules.view import View
from schemas import topics
from schemas.codec import Unpacker, pack
from schemas.events import Chain
from schemas.messages import Answer, Fact, Loaded, OutcomeOf, Resume, Seek, Signal, Tick, Unseek, Walk
from schemas.values import Ref, tab_of
from streams.differences import changes_of, edit
from streams.journeystate import Amended, Journey
from streams.stage import PARTITION_KEY, Changed, Output, Place, Rows, Source, States

PAGE = 500
_OF_PARTITION = frozenset({Loaded, Walk, Tick})


class PartitionBook(msgspec.Struct, array_like=True):
    """What one partition remembers beside its journeys: which tabs are loaded, and who has said so."""

    known: list[str] = []
    upstreams: dict[str, list[tuple[str, int]]] = {}
    calendars: dict[str, str] = {}
    """Per workflow the fingerprint of the calendar by which its timers are planned (D-56)."""


_unpack_book: Unpacker[PartitionBook] = Unpacker(PartitionBook)


class Journeys:
    """Folds facts, answers, outcomes, signals and ticks into the journeys of one partition."""

    name: ClassVar[str] = "journeys"
    reads: ClassVar[tuple[str, ...]] = (topics.JOURNEYS,)
    kind: ClassVar[type[Journey]] = Journey

    def __init__(
        self,
        book: Book,
        place: Place,
        stored: dict[str, dict[str, bytes]],
        dues: Mapping[str, int] | None = None,
        *,
        limits: Limits | None = None,
        channels: Mapping[str, str] | None = None,
    ) -> None:
        rows = stored.pop(PARTITION_KEY, None)
        self._partition = _unpack_book(rows[""]) if rows else PartitionBook([], {}, book.calendars)
        self._recalendared = frozenset(
            name for name, one in self._partition.calendars.items() if book.calendars.get(name, one) != one
        )
        self._known = frozenset(self._partition.known)
        self._book, self._place = book, place
        self._limits, self._channels = limits or Limits(), channels or {}
        self._interest = Interest(book)
        self._dues: dict[Ref, int] = dict(dues or {})
        self._heap: list[tuple[int, Ref]] = [(due, key) for key, due in self._dues.items()]
        heapq.heapify(self._heap)
        self._walks: dict[str, list[Ref]] = {}
        """Per tab the names that a walk under way goes through."""
        self.states: States[Journey] = States(stored, self._read)

    def step(self, key: str, message: Any, source: Source) -> list[Output]:
        """What one message brings about in its journey."""
        kind = type(message)
        if kind in _OF_PARTITION:
            return self._of_partition(message)
        journey = self.states.get(key)
        if journey is None:
            tree = self._book.trees.get(tab_of(key))
            if tree is None or not isinstance(message, Fact):
                return []
            journey = self.kind(tree, key)
            self.states.put(key, journey)
        now = message.at
        if now > journey.head.now:  # noqa: PLR1730 - faster than a call, and this is done for every message
            journey.head.now = now
        outputs = self._fact(key, journey, message) if kind is Fact else self._take(key, journey, message)
        self._keep(key, journey)
        return outputs

    def changed(self) -> Iterator[Changed]:
        """The images, heads and rule memories that changed."""
        yield from self.states.take_gone()
        for key, journey in self.states.take_touched():
            yield from journey.take_changed(key)
        yield Changed(PARTITION_KEY, "", pack(self._partition))

    @property
    def next_due(self) -> int | None:
        """When the next Tick is wanted (milliseconds)."""
        while self._heap:
            due, key = self._heap[0]
            if self._dues.get(key) == due:
                return due
            heapq.heappop(self._heap)
        return None

    def forget_tabs(self) -> list[str]:
        """Take every tab as not loaded again; returns those that were. ``replan`` has to follow."""
        known, self._partition = self._partition.known, PartitionBook([], {})
        self._known = frozenset()
        return known

    def replan(self, at: int) -> list[Output]:
        """Plan the timers of workflows again whose calendar is another one than they were planned by (D-56)."""
        outputs: list[Output] = []
        tabs = {one.main_tab for one in self._book.workflows if one.name in self._recalendared}
        for key in self.states.names() if tabs else ():
            journey = self.states.get(key) if tab_of(key) in tabs else None
            if journey is None:
                continue
            journey.head.now = max(journey.head.now, at)
            journey.head_changed = journey.rules_changed = True
            round_ = self.round_of(key, journey)
            replanning.replan(round_)
            outputs += _decided(round_)
            self._keep(key, journey)
        self._partition.calendars, self._recalendared = self._book.calendars, frozenset()
        return outputs

    def view(self, journey: Journey) -> View:
        """The journey's joined state, as rules see it."""
        return View(self._book, journey.join, self._known, journey.open_keys)

    def round_of(self, key: Ref, journey: Journey, chain: Any = None) -> Round:
        """A round of decisions over the journey as it stands."""
        return Round(
            self._book, self._limits, key, journey.rules, self.view(journey), journey.head.now, chain,
            journey.seen_at, self._channels, recalendared=self._recalendared,
        )  # fmt: skip

    # -- messages of one journey --------------------------------------------------------------

    def _take(self, key: Ref, journey: Journey, message: Any) -> list[Output]:
        journey.head_changed = journey.rules_changed = True
        match message:
            case Answer():
                return self._answer(key, journey, message)
            case OutcomeOf():
                round_ = self.round_of(key, journey, message.chain)
                firing.take_outcome(round_, message.fire, message.outcome)
                return _decided(round_)
            case Resume():
                round_ = self.round_of(key, journey, message.chain)
                firing.resume(round_, message)
                return _decided(round_)
            case Signal():
                return self._signal(key, journey, message)
        raise TypeError(f"journeys does not read {type(message).__name__}")

    def _fact(self, key: Ref, journey: Journey, fact: Fact) -> list[Output]:
        if fact.key and not journey.is_current(fact.key, fact.seek):
            journey.head_changed = True  # told under an earlier subscription: only its time counts
            return []
        amended = journey.amend(fact)
        if amended is not None:
            return self._amended(key, journey, fact, amended)
        journey.head_changed = journey.rules_changed = True
        newer = journey.take(fact, fact.at, load=fact.load)
        if fact.key:
            journey.list_at(fact.key, fact.ref, fact.image is not None and names_key(fact.key, fact.image))
        touched = [fact.ref] if newer or fact.key else []
        return self._settle(key, journey, touched, fact, fact.at, completed=False)

    def _amended(self, key: Ref, journey: Journey, fact: Fact, amended: Amended) -> list[Output]:
        """The common case: a record that stays where it is has other values now."""
        if fact.key:
            journey.list_at(fact.key, fact.ref, True)
        edits: list[tuple[Change, Concerned]] = []
        if amended.fields:
            for concerned in self._interest.concerned(journey.tree.main_tab, amended.tab, amended.fields):
                if journey.join.stands(concerned.node, fact.ref):
                    edits.append((edit(concerned.node, fact, amended), concerned))  # noqa: PERF401 - quicker for one
        outputs: list[Output] = []
        if edits or journey.rules.is_stalled:
            journey.rules_changed = True
            round_ = self.round_of(key, journey, fact.chain)
            evaluation.evaluate_edits(round_, edits)
            outputs = _decided(round_)
        if journey.head.floors:
            journey.head_changed = True
            journey.forget_floors(journey.head.now)
        return outputs

    def _answer(self, key: Ref, journey: Journey, answer: Answer) -> list[Output]:
        if not journey.is_current(answer.key, answer.seek):
            return []  # an answer to an earlier seek
        if answer.as_of is not None:
            journey.head.want[answer.key].as_of = answer.as_of
        touched: list[Ref] = []
        for row in answer.rows:
            journey.take(row, answer.at)
            journey.list_at(answer.key, row.ref, names_key(answer.key, row.image))
            touched.append(row.ref)
        if answer.last:
            touched += [ref for ref in journey.answered(answer.key) if ref not in touched]
        return self._settle(key, journey, touched, answer, answer.at, completed=answer.last)

    def _signal(self, key: Ref, journey: Journey, signal: Signal) -> list[Output]:
        kinds = frozenset({f"signal:{signal.name}"})
        name = f"{signal.ref}@{signal.name}:{signal.position}"
        image = journey.join.shown.get(signal.ref)
        changes = [
            Change(node, signal.ref, kinds, frozenset(), None, image, name, chain=signal.chain)
            for node, members in enumerate(journey.join.members)
            if signal.ref in members
        ]
        return self._decide(key, journey, changes, signal.chain, completed=False)

    def _settle(
        self,
        key: Ref,
        journey: Journey,
        touched: list[Ref],
        message: Fact | Answer,
        at: int,
        *,
        completed: bool,
    ) -> list[Output]:
        settled = journey.settle(touched, at)
        outputs = [
            Output(
                topics.RELATIONS,
                relation,
                Seek(at=at, journey=key, seek=number) if seek else Unseek(at=at, journey=key, seek=number),
            )
            for relation, number, seek in settled.asks
        ]
        changes = changes_of(journey, settled.edits, message)
        completed = completed or settled.closed
        if changes or completed:
            outputs += self._decide(key, journey, changes, message.chain, completed=completed)
        if journey.head.floors:
            journey.forget_floors(journey.head.now)
        return outputs

    def _decide(
        self, key: Ref, journey: Journey, changes: list[Change], chain: Chain | None, *, completed: bool
    ) -> list[Output]:
        """What the rules say to these changes of the join."""
        round_ = self.round_of(key, journey, chain)
        evaluation.evaluate_changes(round_, changes, completed=completed)
        return _decided(round_)

    def _of_partition(self, message: Loaded | Walk | Tick) -> list[Output]:
        match message:
            case Loaded():
                return self._loaded(message)
            case Walk():
                return self._walk(message)
            case Tick():
                return self._tick(message)

    # -- messages of the partition --------------------------------------------------------------

    def _loaded(self, message: Loaded) -> list[Output]:
        """Count a marker; once all of ``records`` and ``relations`` have sent it the tab is known here."""
        upstreams = self._partition.upstreams.setdefault(f"{message.tab}/{message.generation}", [])
        if message.upstream not in upstreams:
            upstreams.append(message.upstream)
        if len(upstreams) < self._place.records + self._place.relations or message.tab in self._known:
            return []
        self._partition.known.append(message.tab)
        self._known = frozenset(self._partition.known)
        return self._walk(Walk(at=message.at, tab=message.tab, after=""))

    def _walk(self, walk: Walk) -> list[Output]:
        """Look again at a page of journeys: what was unknown for want of the tab may be known now."""
        if not walk.after or walk.tab not in self._walks:
            # Those that come later know the tab already, so that one look at all names does for the whole walk.
            self._walks[walk.tab] = self.states.names()
        names = self._walks[walk.tab]
        start = bisect_right(names, walk.after)
        page = names[start : start + PAGE]
        outputs: list[Output] = []
        for key in page:
            journey = self.states.get(key)
            if journey is not None and self._has_tab(journey.tree, walk.tab):
                journey.head.now = max(journey.head.now, walk.at)
                journey.head_changed = journey.rules_changed = True
                outputs += self._decide(key, journey, [], None, completed=True)
                self._keep(key, journey)
        if start + PAGE < len(names):
            following = Walk(at=walk.at, tab=walk.tab, after=page[-1])
            outputs.append(Output(topics.JOURNEYS, "", following, self._place.number))
        else:
            del self._walks[walk.tab]
        return outputs

    def _tick(self, tick: Tick) -> list[Output]:
        """Run what is due, journey after journey in order of due time."""
        outputs: list[Output] = []
        for _ in range(PAGE):
            due = self.next_due
            if due is None or due > tick.at:
                return outputs
            key = heapq.heappop(self._heap)[1]
            del self._dues[key]
            journey = self.states.get(key)
            assert journey is not None
            journey.head.now = max(journey.head.now, tick.at)
            journey.head_changed = journey.rules_changed = True
            outputs += [
                Output(topics.RELATIONS, relation, Seek(at=tick.at, journey=key, seek=number))
                for relation, number in journey.ask_again(journey.head.now)
            ]
            round_ = self.round_of(key, journey)
            ticking.run_due(round_)
            outputs += _decided(round_)
            self._keep(key, journey)
        outputs.append(Output(topics.JOURNEYS, "", Tick(at=tick.at), self._place.number))
        return outputs

    def _keep(self, key: Ref, journey: Journey) -> None:
        if not journey.seen and journey.is_empty:
            self.states.drop(key, journey.parts)
        else:
            self.states.touch(key)
        if not journey.rules_changed and not journey.head_changed:
            return  # nothing that could be due has changed
        due = journey.due
        if due is None:
            self._dues.pop(key, None)
        elif self._dues.get(key) != due:
            self._dues[key] = due
            heapq.heappush(self._heap, (due, key))

    def _read(self, key: str, rows: Rows) -> Journey:
        return self.kind.read(self._book.trees.get(tab_of(key)) or _lone(tab_of(key)), key, rows)

    @staticmethod
    def _has_tab(tree: Tree, tab: str) -> bool:
        return tab == tree.main_tab or tab in tree.of_tab


def _decided(round_: Round) -> list[Output]:
    """Commands by target record, so that its writes keep their order; decisions by journey."""
    if not round_.decisions and not round_.commands:
        return []
    outputs = [
        Output(
            topics.commands(command.connection),
            f"{command.tab}/{command.record_id}" if command.record_id else command.journey,
            command,
        )
        for command in round_.commands
    ]
    return outputs + [Output(topics.DECISIONS, round_.journey, decision) for decision in round_.decisions]


def _lone(tab: str) -> Tree:
    return TreeBuilder(tab).build()
