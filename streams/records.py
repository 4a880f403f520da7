"""The ``records`` stage: versions each change, drops what changes nothing, and tells who needs to know.

No CRM gives old values, so the last image of each record is kept here and every delta is computed against it (D-02).
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar

import msgspec

from rules.book import Book
from rules.trees import ID, join_values, journey_ref, relation_key
from schemas import topics
from schemas.codec import Unpacker, pack
from schemas.events import ChangeEvent
from schemas.messages import Fact, Loaded
from schemas.values import STAMP, TRAIL, Image, Ref, Value, same
from streams.stage import Changed, Output, Place, Rows, Source, States

ERA_SHIFT = 48
TRAIL_LENGTH = 64  # entries of a field's history that stay with the image


class RecordState(msgspec.Struct, array_like=True):
    """The last known image of one record; none once it is deleted, while version and position stay."""

    image: Image | None
    version: int
    position: int
    born: int | None = None


_unpack: Unpacker[RecordState] = Unpacker(RecordState)


def _read(_key: str, rows: Rows) -> RecordState:
    return _unpack(rows[""])


class Reading(msgspec.Struct, frozen=True):
    """What the workflows read of one tab, and who has to be told of its records."""

    fields: tuple[str, ...]
    """The projection, in an order that is the same everywhere: images are compared and kept byte for byte."""
    compared: tuple[str, ...]
    """Those that can differ between two images of a record."""
    edges: frozenset[str]
    hidden: tuple[str, ...]
    """What is kept beside the fields themselves: their earlier values, and since when they have the present one."""
    is_main: bool
    direct: tuple[tuple[str, str], ...]
    indexed: tuple[tuple[str, bool], ...]
    is_alone: bool
    """Whether its records are told to their own journeys and to nobody else."""


class Records:
    """Folds the change events of one partition into Facts (stage protocol, section 5)."""

    name: ClassVar[str] = "records"
    reads: ClassVar[tuple[str, ...]] = ("changes.*",)

    def __init__(self, book: Book, place: Place, stored: dict[str, dict[str, bytes]]) -> None:
        self._book = book
        self._place = place
        self._readings = _readings(book)
        self.states: States[RecordState] = States(stored, _read)

    def step(self, key: str, message: ChangeEvent | Loaded, source: Source) -> list[Output]:
        """Facts about one change; none if it is stale, repeated, or of fields that nobody reads."""
        if isinstance(message, Loaded):
            return self._loaded(message)
        ref = f"{message.tab}/{message.record_id}"
        version = source.era << ERA_SHIFT | source.offset
        state = self.states.get(ref)
        if state is None:
            after = self._image(message, None)
            born = message.seen_at if message.op == "create" and not message.load else None
            self.states.put(ref, RecordState(after, version, message.source_position, born))
            return self._tell(ref, message, source.upstream, (version, -1), None, after)
        if self._is_stale(message, state):
            return []  # capture repeats itself, out of order (D-03)
        before, previous = state.image, state.version
        after = self._image(message, before)
        state.image, state.version, state.position = after, version, message.source_position
        self.states.touch(ref)
        return self._tell(ref, message, source.upstream, (version, previous), before, after)

    def reload(self, ref: str, at: int) -> list[Output]:
        """Tell a stored record anew, as loaded: the workflows that read it have changed (D-82)."""
        state = self.states.get(ref)
        before = state.image if state is not None else None
        if state is None or before is None:
            return []
        tab, _, record_id = ref.partition("/")
        event = ChangeEvent(
            tab=tab, record_id=record_id, op="update", committed_at=at, seen_at=at,
            source_position=state.position, load=True,
        )  # fmt: skip
        image = self._with_trails(tab, before, before, at)
        return self._tell(ref, event, self._place.number, (state.version, -1), None, image)

    def changed(self) -> Iterator[Changed]:
        """The images that changed."""
        for ref, state in self.states.take_touched():
            yield Changed(ref, "", pack(state))

    def _is_stale(self, event: ChangeEvent, state: RecordState) -> bool:
        return event.source_position <= state.position

    def _named(self, field: str, folds: bool, before: Image | None, after: Image | None) -> Sequence[str]:
        """The values of the old image, which has to be told that the record left, and of the new one; each once."""
        old = join_values(before, field, folds) if before is not None else ()
        new = join_values(after, field, folds) if after is not None else ()
        if old == new or not old:
            return new
        return [*old, *(value for value in new if value not in old)]

    def _image(self, event: ChangeEvent, before: Image | None) -> Image | None:
        if event.op in ("delete", "merge"):
            return None
        after = event.after or {}
        plain = event.tab not in self._book.trails and event.tab not in self._book.stamps
        if after.get(ID) == event.record_id and not event.partial and plain:
            return after  # nobody writes into images, so that the event's own will do
        image: Image = {**before, **after} if event.partial and before else dict(after)
        image[ID] = event.record_id
        ours = event.op == "create" and event.origin is not None  # made by us of what was there: nobody's edit
        image = self._with_stamps(event.tab, before, image, 0 if ours else event.committed_at)
        return self._with_trails(event.tab, before, image, event.seen_at)

    def _with_stamps(self, tab: str, before: Image | None, image: Image, at: int) -> Image:
        """Each field that is synced says when its record was changed to the value that it has, where that was seen."""
        for field in sorted(self._book.stamps.get(tab, ())):
            name = STAMP + field
            if before is None or not same(before.get(field), image.get(field)):
                image[name] = at
            elif name in before:
                image[name] = before[name]
        return image

    def _with_trails(self, tab: str, before: Image | None, image: Image, at: int) -> Image:
        trails = self._book.trails.get(tab)
        for field in sorted(trails) if trails else ():
            trail = list((before or {}).get(TRAIL + field) or ())
            value = image.get(field)
            if not trail or not same(trail[-1][1], value):
                trail.append([at, value])
            image[TRAIL + field] = trail[-TRAIL_LENGTH:]
        return image

    def _tell(
        self,
        ref: Ref,
        event: ChangeEvent,
        home: int,
        versions: tuple[int, int],
        before: Image | None,
        after: Image | None,
    ) -> list[Output]:
        reading = self._readings.get(event.tab)
        if reading is None:
            return []  # no workflow knows this tab
        old: dict[str, Value] = {}
        if before is not None and after is not None:
            old = _old_values(reading, before, after)
            if not old and event.op != "undelete":
                return []  # a no-op, or a change that nobody reads
        fact = Fact(
            at=event.seen_at,
            chain=event.origin,
            ref=ref,
            home=home,
            version=versions[0],
            previous=versions[1],
            image=_project(reading, after),
            op="update" if event.op == "create" and before is not None else event.op,
            position=event.source_position,
            load=event.load,
            old=old,
            coalesced=event.coalesced,
            born=event.seen_at if event.op == "create" and not event.load and before is None else None,
        )
        moved = before is None or after is None or not reading.edges.isdisjoint(old)
        return self._spread(event.tab, reading, fact, before if moved else None, after)

    def _spread(
        self, tab: str, reading: Reading, fact: Fact, before: Image | None, after: Image | None
    ) -> list[Output]:
        """The Fact to the journeys and relation keys that the old or the new image names, each once.

        Of a record that stays where it is the new image alone says all.
        """
        if reading.is_alone:
            return [Output(topics.JOURNEYS, fact.ref, fact)]
        journeys = [fact.ref] if reading.is_main else []
        for field, main_tab in reading.direct:
            for value in self._named(field, False, before, after):
                journey = journey_ref(main_tab, value)
                if journey not in journeys:
                    journeys.append(journey)
        outputs = [Output(topics.JOURNEYS, journey, fact) for journey in journeys]
        for field, folds in reading.indexed:
            outputs += [
                Output(topics.RELATIONS, relation_key(tab, field, value, folds), fact)
                for value in self._named(field, folds, before, after)
            ]
        return outputs

    def _loaded(self, message: Loaded) -> list[Output]:
        told = msgspec.structs.replace(message, upstream=(self.name, self._place.number))
        return [
            Output(topic, "", told, partition)
            for topic, count in (
                (topics.RELATIONS, self._place.relations),
                (topics.JOURNEYS, self._place.journeys),
            )
            for partition in range(count)
        ]


def _readings(book: Book) -> dict[str, Reading]:
    edges: dict[str, frozenset[str]] = {}
    for tree in book.trees.values():
        for tab, fields in tree.edge_fields.items():
            edges[tab] = edges.get(tab, frozenset()) | fields
    return {
        tab: Reading(
            fields=tuple(sorted(fields)),
            compared=tuple(sorted(fields - {ID})),
            edges=edges.get(tab, frozenset()),
            hidden=tuple(sorted(_hidden(book, tab))),
            is_main=tab in book.trees,
            direct=book.direct.get(tab, ()),
            indexed=book.indexed.get(tab, ()),
            is_alone=tab in book.trees and not book.direct.get(tab) and not book.indexed.get(tab),
        )
        for tab, fields in book.read_fields.items()
    }


def _hidden(book: Book, tab: str) -> Iterator[str]:
    yield from (TRAIL + field for field in book.trails.get(tab, ()))
    yield from (STAMP + field for field in book.stamps.get(tab, ()))


def _project(reading: Reading, image: Image | None) -> Image | None:
    if image is None:
        return None
    try:
        projected = {field: image[field] for field in reading.fields}
    except KeyError:
        projected = {field: image[field] for field in reading.fields if field in image}
    for name in reading.hidden:
        if name in image:
            projected[name] = image[name]
    return projected


def _old_values(reading: Reading, before: Image, after: Image) -> dict[str, Value]:
    """The values before of the fields that changed. On an edge a blank counts: the key takes values as they are."""
    old: dict[str, Value] = {}
    for field in reading.compared:
        try:  # both have it as a rule, and to ask for it is quicker than to get it
            was, now = before[field], after[field]
        except KeyError:
            was, now = before.get(field), after.get(field)
        if was == now and type(was) is type(now):
            continue
        if was != now if field in reading.edges else not same(was, now):
            old[field] = was
    return old
