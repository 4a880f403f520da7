"""Watching a Salesforce object by Change Data Capture: a first load by polling, then what the stream tells.

Polling leads until the stream has said where it is and one whole round of reading has begun after that; then the
stream leads. When it loses its place (overflow, replay id too old), polling leads again, from what was told last.
An event holds only what changed: the stages lay it over the image that they know. What events never tell (formulas,
a person's whole name) is read for the records concerned, one query for a batch.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from connectors.base import AuthenticationFailed, Capture, NotSent, Polled
from connectors.capture import SETTLED, TIE_BITS, resumed
from connectors.fields import milliseconds
from connectors.salesforce.bus import MOST, Batch, Bus, Lost, Subscription
from connectors.salesforce.events import Change, Unreadable
from connectors.salesforce.rereading import Reread
from schemas.events import ChangeEvent, Operation
from schemas.metadata import FieldType
from schemas.values import MINUTE, Image

LONGEST_TRANSACTION = 15 * MINUTE
"""How long before a commit its changes may have been made: where to read on when the stream has lost its place."""

_TIE = 4 * SETTLED
"""Above every tie-break of polling: an event of the second in which a record was read still counts as newer."""

_REMEMBERED = 100
_OPERATIONS: Mapping[str, Operation] = {
    "CREATE": "create", "UPDATE": "update", "DELETE": "delete", "UNDELETE": "undelete", "GAP_CREATE": "create",
    "GAP_UPDATE": "update", "GAP_DELETE": "delete", "GAP_UNDELETE": "undelete",
}  # fmt: skip


class _Place(msgspec.Struct, kw_only=True, omit_defaults=True, tag_field="capture", tag="pubsub"):
    streams: bool = False
    """Whether the stream leads; else polling does."""
    polling: bytes = b""
    within: bool = False
    """Whether a round of polling is going on."""
    rounds: int = 0
    """Rounds that polling has to end until the stream leads."""
    replay: bytes = b""
    """The stream's place; empty until it has told one."""
    reached: int = 0
    """The highest source position that an event got."""
    told_at: int = 0
    """The newest change told, in milliseconds."""
    ids: list[str] = []
    """Digests of the newest events: after maintenance a replay id may bring them again."""


class _Found(NamedTuple):
    """What a batch says: changes in order, and from which time to read on where the stream has lost its place."""

    changes: list[Change]
    lost_from: int | None = None


class PubSubCapture(Capture):
    """Watches one object; ``renew`` drops a login that was refused."""

    def __init__(  # noqa: PLR0913
        self,
        tab: str,
        topic: str,
        bus: Bus,
        polling: Capture,
        rereading: Reread,
        renew: Callable[[], None],
        *,
        types: Mapping[str, FieldType],
        wait: float = 0.2,
    ) -> None:
        self._tab, self._topic, self._bus, self._polling = tab, topic, bus, polling
        self._rereading, self._renew, self._types, self._wait = rereading, renew, types, wait
        self._stream: Subscription | None = None
        self._at = b""
        self._renewed = False

    def poll(self, position: bytes | None, now: int) -> Polled:
        """What polling or the stream has. Raises NotSent, NoAnswer or CaptureFailed; nothing is lost by that."""
        place = _place(position)
        try:
            return self._follow(place, now) if place.streams else self._lead(place, now)
        except Lost:
            self._let_go()
            return self._lead(_restarted(place, place.told_at - LONGEST_TRANSACTION), now)
        except AuthenticationFailed as refused:
            self._let_go()
            if self._renewed:
                raise
            self._renew()
            self._renewed = True
            raise NotSent(f"{refused}: logging in anew") from None
        except Exception:
            self._let_go()  # what was taken off the stream comes again
            raise

    def close(self) -> None:
        """End the subscription and its connection."""
        self._let_go()
        self._polling.close()

    def _lead(self, place: _Place, now: int) -> Polled:
        """A page of polling, while the stream finds its place."""
        if not place.replay and (learned := self._learn(0.0 if place.within else self._wait)):
            place.replay, place.rounds = learned, 1 + place.within
        polled = self._polling.poll(place.polling or None, now)
        place.polling, place.within = polled.position, polled.more
        place.told_at = max([place.told_at, *(event.committed_at for event in polled.events)])
        if place.replay and not polled.more:
            place.rounds -= 1
            if place.rounds <= 0:
                place.streams, place.polling = True, b""
        events = [_after_the_stream(place, event) for event in polled.events]
        return msgspec.structs.replace(
            polled, events=events, position=_encoded(place), more=polled.more or place.streams
        )

    def _learn(self, wait: float) -> bytes:
        """Where the stream is, once it has told that; a service that is away does not hold up polling."""
        try:
            if self._stream is None:
                self._stream = self._bus.subscribe(self._topic, b"")
                self._stream.ask(1)
            batches = self._stream.take(wait)
        except AuthenticationFailed:
            raise
        except NotSent:
            self._let_go()
            return b""
        if batches:
            self._renewed = False
            self._let_go()
        return batches[-1].latest if batches else b""

    def _follow(self, place: _Place, now: int) -> Polled:
        """What the stream has, in the order of its commits."""
        batches = self._taken(place)
        found = self._read(place, batches)
        events = self._events(place, found.changes, now)
        if found.lost_from is not None:
            self._let_go()
            place = _restarted(place, found.lost_from)
        elif batches:
            self._at = place.replay = batches[-1].latest
        many = sum(len(batch.events) for batch in batches) >= MOST
        return Polled(events=events, position=_encoded(place), more=many or not place.streams)

    def _taken(self, place: _Place) -> list[Batch]:
        if self._stream is None or self._at != place.replay:
            self._let_go()
            self._stream, self._at = self._bus.subscribe(self._topic, place.replay), place.replay
        self._stream.ask(MOST)
        batches = self._stream.take(self._wait)
        self._renewed = self._renewed and not batches
        return batches

    def _read(self, place: _Place, batches: Iterable[Batch]) -> _Found:
        """The changes of batches, up to one that tells of more than it names."""
        changes: list[Change] = []
        for told in (one for batch in batches for one in batch.events):
            if _is_known(place, told[0]):
                continue
            try:
                change = self._bus.schema(told[1]).read(told[2], self._types)
            except Unreadable:
                return _Found(changes, place.told_at - LONGEST_TRANSACTION)
            if change.kind == "GAP_OVERFLOW":
                return _Found(changes, min(place.told_at or change.at, change.at) - LONGEST_TRANSACTION)
            if any(record.endswith("*") for record in change.records):
                return _Found(changes, 0)  # a field was converted in records whose modified time stayed
            changes.append(change)
        return _Found(changes)

    def _events(self, place: _Place, changes: Sequence[Change], now: int) -> list[ChangeEvent]:
        images = self._rereading.images(changes)
        events: list[ChangeEvent] = []
        for change in changes:
            place.told_at = max(place.told_at, change.at)
            place.reached = max(change.at << TIE_BITS | _TIE, place.reached + 1)
            told = (self._event(place, change, record, images.get(record), now) for record in change.records)
            events += [event for event in told if event is not None]
        return events

    def _event(self, place: _Place, change: Change, record: str, read: Image | None, now: int) -> ChangeEvent | None:
        """The change of one record; none where it has to be read and is not there any more: that is told next."""
        event = ChangeEvent(
            tab=self._tab, record_id=record, op=_OPERATIONS[change.kind], actor=change.user, client=change.client,
            committed_at=change.at, seen_at=now, source_position=place.reached, changed_fields=change.changed,
            coalesced=change.kind.startswith("GAP_"),
        )  # fmt: skip
        if event.op == "delete":
            return event
        if self._rereading.is_whole(change):
            if read is None:
                return None
            position = _as_read(place.reached, read, now)
            return msgspec.structs.replace(event, after=read, source_position=position, changed_fields=())
        image = {"id": record, **self._rereading.laid_out(change, read)}
        return msgspec.structs.replace(event, after=image, partial=change.kind == "UPDATE")

    def _let_go(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._bus.close()


def _place(position: bytes | None) -> _Place:
    """Where a capture is; a position of polling alone goes on from there."""
    if position is None:
        return _Place()
    if b'"capture":"pubsub"' not in position:
        return _Place(polling=position, within=True)
    return msgspec.json.decode(position, type=_Place)


def _encoded(place: _Place) -> bytes:
    return msgspec.json.encode(place)


def _restarted(place: _Place, since: int) -> _Place:
    """Polling leads again, from a time; changes found so may hide several (D-03)."""
    return msgspec.structs.replace(
        place, streams=False, polling=resumed(max(0, since)), replay=b"", rounds=0, within=False
    )


def _after_the_stream(place: _Place, event: ChangeEvent) -> ChangeEvent:
    """The event as newer than all that the stream told: a modified time has seconds only, a commit has more."""
    if event.source_position > place.reached:
        return event
    place.reached += 1
    return msgspec.structs.replace(event, source_position=place.reached)


def _is_known(place: _Place, event_id: str) -> bool:
    digest = blake2b(event_id.encode(), digest_size=6).hexdigest()
    known = digest in place.ids
    place.ids = place.ids if known else [*place.ids[-_REMEMBERED + 1 :], digest]
    return known


def _as_read(reached: int, image: Image, now: int) -> int:
    """The source position of a record that was read: events of commits before its modified time are older."""
    modified = milliseconds(image.get("SystemModstamp")) or 0
    return max(reached, modified << TIE_BITS | min(max(0, now - modified), SETTLED))
