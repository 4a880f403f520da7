"""An operator's word to a project on a broker: signals, decisions on commands, and parked messages put in again.

Each is one transaction of its own; whatever runs meanwhile takes it like any other message.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from secrets import token_hex

import msgspec

from connectors.kafka_archive import Archive
from connectors.kafka_bench import AGAIN
from connectors.kafka_desk import LIVE
from connectors.kafka_io import Delivered, Outgoing, Producer
from connectors.kafka_ledger import Row, Rows
from connectors.ledger import Entry, asked_for
from renkei.doubts import Doubt, Word, fire_of, outcome_of, resumed, waits_for
from renkei.folder import Folder
from renkei.mirror import Mirror
from renkei.streaming import Nouns, registry_of
from rules.errors import refuse
from schemas import keys, topics
from schemas.codec import CodecError, from_json, pack, to_json
from schemas.messages import Resume, Signal
from schemas.values import Ref
from streams.parking import Parked
from streams.topology import ORIGIN

AT_ONCE = 200
"""Parked messages that are put in again in one transaction."""
_RETRIED = "retried"


def parked_there(archive: Archive, prefix: str = "") -> list[Parked]:
    """What is parked on a broker and was not put in again since, oldest first.

    Raises:
        KafkaTrouble: the broker did not answer, or refuses.
    """
    found: dict[int, Parked] = {}
    retried: set[str] = set()
    for told in archive.all(topics.PARKED):
        try:
            note = from_json(told.value or b"")
        except CodecError:
            continue
        if _RETRIED in note:
            retried.add(note[_RETRIED])
        else:
            found[told.offset] = _parked(told, note, prefix)
    return [one for one in found.values() if one.place not in retried]


def _parked(told: Delivered, note: dict[str, object], prefix: str) -> Parked:
    topic = str(note.get("topic", "")).removeprefix(prefix)
    place = f"{topic}/{note['partition']}/{note['offset']}" if "offset" in note else ""
    return Parked(
        seq=told.offset, at=told.at, topic=topic, why=str(note.get("why", "")), how=str(note.get("how", "")),
        place=place, key=str(note.get("key", "")), file=str(note.get("file", "")), line=int(str(note.get("line") or 0)),
    )  # fmt: skip


class Operator:
    """Writes to the topics of a project. Where one raises KafkaTrouble, nothing of that transaction was written."""

    def __init__(self, folder: Folder, producer: Producer) -> None:
        self._folder, self._producer = folder, producer
        self._workspace, self._kafka = folder.settings.workspace, folder.settings.kafka

    def tell(self, messages: Iterable[tuple[Ref, Signal | Resume]]) -> None:
        """Say something to journeys, together."""
        self._write([self._told(journey, message) for journey, message in messages])

    def decide(self, mirror: Mirror, doubt: Doubt, word: Word, now: int, record: str = "") -> None:
        """Follow an operator's word on a command of unknown effect, as ``doubts.decide`` does on one machine.

        Raises:
            WorkflowError: the journey has not heard yet that the effect is unknown, so it would miss the word.
        """
        command = doubt.command
        fire = fire_of(mirror.store, command)
        if fire is not None and command.id in fire.awaits:
            hint = "Start the streams, or wait until they have come so far: renkei lag"
            refuse(f"the journey of command {command.id} has not heard yet that its effect is unknown", hint)
        done = msgspec.structs.replace(
            doubt.entry, state="done", outcome=outcome_of(command, word, record), updated_at=now
        )
        if fire is not None and waits_for(fire, command):
            self._write([self._row(doubt, done), self._told(command.journey, resumed(command, word, now, record))])
        elif word == "retry":
            row = Entry(command=asked_for(command), state="planned", attempts=doubt.entry.attempts, updated_at=now)
            self._write([self._row(doubt, row), self._again(doubt)])
        else:
            self._write([self._row(doubt, done)])

    def put_again(self, archive: Archive, messages: Sequence[Parked], now: int) -> list[Parked]:
        """Put the originals of parked messages at the end of their topics and partitions; those that were found.

        A message of a record that has changed since is dropped by the flow as stale: the newest state wins (D-03).
        """
        done: list[Parked] = []
        by_place = {one.place: one for one in messages if one.place}
        found = list(_originals(archive, by_place))
        for start in range(0, len(found), AT_ONCE):
            some = found[start : start + AT_ONCE]
            self._write([out for place, told in some for out in (self._original(told, now), self._mark(place, now))])
            done += [by_place[place] for place, _ in some]
        return done

    # -- messages ------------------------------------------------------------------

    def _told(self, journey: Ref, message: Signal | Resume) -> Outgoing:
        number = keys.home(self._workspace, journey, self._kafka.partitions, self._kafka.spread)
        key = keys.in_workspace(self._workspace, journey)
        return Outgoing(self._topic(topics.JOURNEYS), key, pack(message), (), number, message.at)

    def _row(self, doubt: Doubt, entry: Entry) -> Outgoing:
        assert doubt.place is not None
        number, lane, offset = doubt.place
        topic = self._topic(topics.ledger(doubt.connection))
        return Rows(self._workspace).outgoing(topic, number, lane, Row(entry, offset))

    def _again(self, doubt: Doubt) -> Outgoing:
        """The command once more: a worker that has its row in memory is told by a header to forget it."""
        command, place = asked_for(doubt.command), doubt.place
        assert place is not None
        topic = topics.commands(doubt.connection) if place.lane == LIVE else topics.bulk(doubt.connection)
        value, headers = Nouns(registry_of(self._folder)).encode(command, topic)
        key = f"{command.tab}/{command.record_id}" if command.record_id else command.journey
        named = keys.in_workspace(self._workspace, key)
        return Outgoing(self._topic(topic), named, value, (*headers, (AGAIN, b"1")), place.partition)

    def _original(self, told: Delivered, now: int) -> Outgoing:
        # Without its origin, by which it would be known as a repetition; with the time of now, by which it is kept.
        headers = tuple(one for one in told.headers if one[0] != ORIGIN)
        return Outgoing(told.partition.topic, told.key, told.value, headers, told.partition.number, now)

    def _mark(self, place: str, now: int) -> Outgoing:
        key = keys.in_workspace(self._workspace, "")
        return Outgoing(self._topic(topics.PARKED), key, to_json({_RETRIED: place}), (), 0, now)

    def _topic(self, name: str) -> str:
        return self._kafka.prefix + name

    def _write(self, messages: Iterable[Outgoing]) -> None:
        with self._producer.transaction() as transaction:
            for one in messages:
                transaction.send(one)


def _originals(archive: Archive, places: Iterable[str]) -> Iterator[tuple[str, Delivered]]:
    """The messages at these places, as far as the broker still has them."""
    wanted: dict[str, dict[int, set[int]]] = {}
    for place in places:
        topic, number, offset = place.rsplit("/", 2)
        wanted.setdefault(topic, {}).setdefault(int(number), set()).add(int(offset))
    for topic, offsets in wanted.items():
        left = sum(map(len, offsets.values()))
        for told in archive.all(topic, offsets, {number: min(some) for number, some in offsets.items()}):
            if told.offset in offsets[told.partition.number]:
                yield f"{topic}/{told.partition.number}/{told.offset}", told
                left -= 1
            if not left:
                break


@contextmanager
def operating(folder: Folder, address: str) -> Iterator[Operator]:
    """An operator of a project on a broker. Its transactions fence nobody: each has an id of its own."""
    producer = Producer(address, transactional_id=f"{folder.settings.kafka.prefix}renkei.operator.{token_hex(8)}")
    try:
        yield Operator(folder, producer)
    finally:
        producer.close()
