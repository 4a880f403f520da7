"""The stages wired by hand: every message waits until the test hands it on, so any interleaving can be told."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any

from rules.book import Book
from rules.trees import relation_key
from schemas import topics
from schemas.decisions import Decision
from schemas.events import Chain, ChangeEvent, Operation
from schemas.messages import Loaded, Message, Seek, Tick, Unseek
from schemas.values import Image, Ref, Value, id_of, tab_of
from streams.journeys import Journeys
from streams.journeystate import Journey
from streams.keystate import Key
from streams.records import Records
from streams.relations import Relations
from streams.stage import Output, Place, Source
from streams.testing import START
from tests.protocol.storms import CHANNELS, LIMITS, Parts

Channel = tuple[str, str]
"""From a stage's partition to another's, as ``("relations/1", "journeys")``; first in, first out."""


class Wires:
    """One partition of ``records``, one of ``journeys``, and as many of ``relations`` as there are named keys to part.

    ``apart`` says which keys live in partitions of their own, by ``tab.field=value``; all others are in partition 0.
    """

    def __init__(self, book: Book, parts: Parts, *apart: str, page: int = 500, loaded: bool = True) -> None:
        self.now = START
        self._book, self._apart, self._position = book, [key_of(one) for one in apart], 0
        classes = parts.stages
        count = len(apart) + 1
        self.place = place = Place(relations=count)
        self.records: Records = classes.records(book, place, {})
        self.relations: list[Relations] = [
            classes.relations(place._replace(number=number), {}, page=page) for number in range(count)
        ]
        self.journeys: Journeys = classes.journeys(book, place, {}, limits=LIMITS, channels=CHANNELS)
        self.channels: dict[Channel, deque[Output]] = defaultdict(deque)
        self.delivered: list[tuple[str, str, Message]] = []
        """Everything that was handed on: to whom, under which key, what."""
        self.decisions: list[Decision] = []
        self._held: set[Channel] = set()
        self._offset = 0
        if loaded:
            self.load_all()

    # -- the world --------------------------------------------------------------

    def change(self, ref: Ref, image: Image | None = None, op: Operation = "update", *, load: bool = False) -> None:
        """A record changes; what ``records`` says of it waits in the channels. No image means that it is deleted."""
        self.now += 1000
        self._position += 1
        self.capture(self.event(ref, image, "delete" if image is None else op, self._position, load=load))

    def create(self, ref: Ref, **fields: Value) -> None:
        """A record is created."""
        self.change(ref, fields, "create")

    def event(self, ref: Ref, image: Image | None, op: Operation, position: int, *, load: bool = False) -> ChangeEvent:
        """A change event of now."""
        after = {**image, "id": id_of(ref)} if image is not None else None
        return ChangeEvent(
            tab=tab_of(ref), record_id=id_of(ref), op=op, after=after, committed_at=self.now, seen_at=self.now,
            source_position=position, load=load, origin=Chain(f"chain {position}"),
        )  # fmt: skip

    def capture(self, event: ChangeEvent) -> None:
        """A change event comes in, perhaps not for the first time."""
        self._offset += 1
        self._put("records", self.records.step(event.ref, event, Source(0, self._offset)))

    def loaded(self, *tabs: str) -> None:
        """The first load of these tabs is complete."""
        for tab in tabs:
            marker = Loaded(at=self.now, tab=tab, generation=0, upstream=("capture", 0))
            self._put("records", self.records.step("", marker, Source()))

    def load_all(self) -> None:
        """All tabs are loaded, and it has come to rest."""
        self.loaded(*self._book.read_fields)
        self.run()

    def tick(self, at: int) -> None:
        """The clock moves on."""
        self.now = at
        self._put("journeys", self.journeys.step("", Tick(at=at), Source()))

    # -- messages --------------------------------------------------------------

    def hold(self, source: str, target: str) -> None:
        """This channel is slow: nothing comes through until it is released."""
        self._held.add((source, target))

    def release(self, source: str = "", target: str = "") -> None:
        """The channel flows again, or all do."""
        self._held = self._held - {(source, target)} if source else set()

    def run(self) -> None:
        """Hand on everything that is not held, until nothing is left."""
        while self.step():
            pass

    def step(self) -> bool:
        """Hand on one message, of the first channel by name that has one; false if there is none."""
        for channel in sorted(self.channels):
            if self.channels[channel] and channel not in self._held:
                self.deliver(*channel)
                return True
        return False

    def deliver(self, source: str, target: str) -> Message:
        """Hand on the next message of a channel, held or not."""
        output = self.channels[source, target].popleft()
        message: Message = output.message
        self.delivered.append((target, output.key, message))
        self._put(target, self._stage(target).step(output.key, message, Source()))
        return message

    def until(self, wanted: Callable[[], bool]) -> None:
        """Hand messages on until something is so."""
        while not wanted():
            assert self.step(), "it came to rest before"

    def waiting(self, source: str, target: str) -> list[Message]:
        """What stands in a channel."""
        return [output.message for output in self.channels[source, target]]

    def _put(self, source: str, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if output.topic == topics.DECISIONS:
                self.decisions.append(output.message)
            elif output.topic in (topics.RELATIONS, topics.JOURNEYS):
                self.channels[source, self._target(output)].append(output)

    def _target(self, output: Output) -> str:
        if output.topic == topics.JOURNEYS:
            return "journeys"
        number = output.partition
        if number is None:
            number = self._apart.index(output.key) + 1 if output.key in self._apart else 0
        return f"relations/{number}"

    def _stage(self, target: str) -> Relations | Journeys:
        name, _, number = target.partition("/")
        return self.journeys if name == "journeys" else self.relations[int(number)]

    # -- what came of it --------------------------------------------------------------

    def journey(self, main: Ref) -> Journey:
        """A journey that there is."""
        journey = self.journeys.states.get(main)
        assert journey is not None, f"no journey {main}"
        return journey

    def members(self, main: Ref, alias: str) -> set[Ref]:
        """The records of an alias in a journey."""
        return set(self.journey(main).join.members[self.node(alias)])

    def complete(self, main: Ref, alias: str) -> bool:
        """Whether a journey knows all records of an alias."""
        return self.journeys.view(self.journey(main)).complete(self.node(alias))

    def truth(self, main: Ref, rule: str) -> bool | None:
        """What a rule said last, none for unknown."""
        truth = self.journey(main).rules.truth(f"w/{rule}", main)
        return None if truth.unknown else truth.value

    def fires(self, rule: str) -> int:
        """How often a rule fired."""
        return sum(one.kind == "fired" and one.rule == rule for one in self.decisions)

    def key(self, name: str) -> Key:
        """A relation key that there is, by ``tab.field=value``."""
        key = self.find_key(name)
        assert key is not None, f"no key {name}"
        return key

    def find_key(self, name: str) -> Key | None:
        """A relation key, if there is one."""
        found = (stage.states.get(key_of(name)) for stage in self.relations)
        return next((key for key in found if key is not None), None)

    def asked(self, kind: type[Seek] | type[Unseek]) -> list[str]:
        """The keys that got a Seek, or an Unseek, in order."""
        return [spoken(key) for _, key, message in self.delivered if isinstance(message, kind)]

    def told(self, kind: type[Any], journey: Ref) -> list[Any]:
        """The messages of a kind that a journey got, in order."""
        return [message for _, key, message in self.delivered if key == journey and isinstance(message, kind)]

    def node(self, alias: str) -> int:
        """The node of an alias of the only workflow."""
        return self._book.workflows[0].nodes[alias]


def key_of(name: str) -> str:
    """The relation key ``connection:Tab.field=value``; a field that ends in ``~`` matches folded text."""
    place, _, value = name.partition("=")
    tab, _, field = place.rpartition(".")
    return relation_key(tab, field.removesuffix("~"), value, field.endswith("~"))


def spoken(key: str) -> str:
    """A relation key as people write it."""
    tab, field, value = key.split("\x1f")
    return f"{tab}.{field}={value}"
