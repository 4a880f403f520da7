"""Where captures put changes on Kafka: events, markers and positions in one transaction, by one process at a time."""

from collections.abc import Callable, Iterator, Sequence

from connectors.base import Polled
from connectors.framing import Framing
from connectors.kafka_desk import Office
from connectors.kafka_io import Admin, KafkaTrouble, Membership, Outgoing, Partition, Producer
from connectors.kafka_ledger import LedgerTail
from connectors.kafka_reading import Consumer, everything
from connectors.kafka_spending import EVERY
from connectors.ledger import Entry
from connectors.limits import Limiter
from connectors.quota import Spent
from renkei.parts import (
    ECHO_WINDOW,
    Clock,
    Watched,
    bad_line_note,
    loaded_by,
    loaded_marker,
    note_progress,
    position_note,
)
from renkei.topology import LARGEST
from schemas import keys, topics
from schemas.codec import CodecError, Unpacker, pack, to_json
from schemas.events import ChangeEvent
from streams.wire import MARKER

SPENT_NOTE = "spent"
"""The name under which it is kept what captures have used of the day."""


class KafkaSink:
    """The topics of one connection's changes.

    Any number of processes may run; the one that is given the only partition of ``positions.<connection>`` captures. It
    takes the transactional id over, so whoever captured before is fenced, and reads the positions only after that.
    """

    def __init__(
        self,
        office: Office,
        framing: Framing,
        captures: Sequence[Watched],
        clock: Clock,
        *,
        echoes: bool = True,
        at: Callable[[str], None] = lambda point: None,
        limiter: Limiter | None = None,
    ) -> None:
        self._office, self._framing, self._captures, self._clock = office, framing, captures, clock
        self._echoes, self._at, self._limiter = echoes, at, limiter
        self._spent, self._spent_at = Spent(), 0
        self._positions = Partition(office.topic(topics.positions(office.connection)), 0)
        self._name = f"renkei.capture.{office.workspace}.{office.connection}"
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None
        self._tail: LedgerTail | None = None
        self._is_ours = False
        self._notes: dict[str, bytes] = {}
        self._pending: dict[str, bytes] = {}

    def is_open(self) -> bool:
        """Whether this process captures the connection; it takes over when it is asked after another one left."""
        self._join().poll(50)
        if self._is_ours and self._producer is None:
            self._take_over()
        return self._is_ours

    def note(self, name: str) -> bytes | None:
        """What is remembered of a capture."""
        return self._pending.get(name, self._notes.get(name))

    def set_note(self, name: str, value: bytes) -> None:
        """Remember this with the next transaction."""
        self._pending[name] = value

    def keep(self, one: Watched, polled: Polled, now: int) -> int:
        """Write events, markers and position in one transaction."""
        assert self._producer is not None
        out = [self._event(event, now) for event in polled.events]
        if polled.loaded:
            at = len(out) if polled.loads is None else polled.loads
            out[at:at] = [marker for tab in loaded_by(self, self._captures, one) for marker in self._markers(tab, now)]
        out += [self._parked(bad_line_note(bad, one.name)) for bad in polled.bad]
        self.set_note(position_note(one.name), polled.position)
        note_progress(self, one, polled)
        self._note_spent(now)
        with self._producer.transaction() as transaction:
            for message in (*out, *self._noted()):
                transaction.send(message)
            transaction.flush()
            self._at("produced")
        self._at("committed")
        self._notes |= self._pending
        self._pending.clear()
        return len(out)

    def recent(self, since: int) -> list[Entry]:
        """What workers anywhere did on this connection since a time."""
        return [] if self._tail is None else self._tail.recent(since)

    def start_over(self, error: KafkaTrouble) -> None:
        """Leave, and stand in line again: whoever is given the partition next goes on from what is committed."""
        self._give_up()
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def close(self) -> None:
        """End; a standby takes over at once."""
        self._give_up()
        if self._consumer is not None:
            self._consumer.close()

    def _note_spent(self, now: int) -> None:
        """Whoever captures next counts on where this one ended (D-101)."""
        if self._limiter is None or now - self._spent_at < EVERY:
            return
        self._spent_at = now
        self._spent.join(self._limiter.news(of_capture=True))
        self._spent.trim()
        self.set_note(SPENT_NOTE, pack(self._spent))

    # -- who captures ------------------------------------------------------

    def _join(self) -> Consumer:
        if self._consumer is None:
            office = self._office
            self._consumer = Consumer(office.address, group=office.topic(self._name), session=office.session)
            self._consumer.subscribe([self._positions.topic], self._assigned, self._revoked)
        return self._consumer

    def _assigned(self, partitions: frozenset[Partition], member: Membership) -> None:
        self._is_ours = self._positions in partitions

    def _revoked(self, partitions: frozenset[Partition]) -> None:
        self._give_up()

    def _give_up(self) -> None:
        self._is_ours = False
        self._pending.clear()
        for one in (self._producer, self._tail):
            if one is not None:
                one.close()
        self._producer = self._tail = None

    def _take_over(self) -> None:
        office = self._office
        name = office.topic(f"capture.{office.workspace}.{office.connection}")
        producer = Producer(office.address, transactional_id=name, timeout=office.session)
        try:
            producer.begin()
            self._notes = dict(self._read())
            self._spent = read_spent(self._notes.get(SPENT_NOTE, b""))
            if self._limiter is not None:
                self._limiter.count_from(self._spent, of_capture=True)
            if self._echoes:
                ledger = office.topic(topics.ledger(office.connection))
                since = self._clock() - ECHO_WINDOW
                self._tail = LedgerTail(office.address, ledger, office.partitions, office.workspace, since)
        except KafkaTrouble:
            producer.close()
            raise
        self._producer = producer

    def _read(self) -> Iterator[tuple[str, bytes]]:
        """The notes of this workspace, to the end of what any earlier one may have written."""
        admin = Admin(self._office.address)
        try:
            ends = admin.ends([self._positions])
        finally:
            admin.close()
        reader = Consumer(self._office.address, name=self._name)
        try:
            for told in everything(reader, ends):
                workspace, name = keys.parted(told.key or b"")
                if workspace == self._office.workspace and told.value is not None:
                    yield name, told.value
        finally:
            reader.close()

    # -- messages ------------------------------------------------------

    def _event(self, event: ChangeEvent, now: int) -> Outgoing:
        office = self._office
        value, headers = self._framing.encode(event)
        if len(value) > LARGEST - 65_536:
            return self._parked(_too_large(event, len(value)))
        number = keys.home(office.workspace, event.ref, office.partitions, office.spread)
        key = keys.in_workspace(office.workspace, event.record_id)
        # The time of the message is ours: by it the broker keeps it, however old the change is.
        return Outgoing(office.topic(topics.changes(event.tab)), key, value, headers, number, now)

    def _markers(self, tab: str, now: int) -> Iterator[Outgoing]:
        """Where a workspace is spread, every partition has to hear that the tab is loaded."""
        office = self._office
        home = keys.home(office.workspace, "", office.partitions, spread=False)
        key, value = keys.in_workspace(office.workspace, MARKER), pack(loaded_marker(tab, now))
        for number in range(office.partitions) if office.spread else (home,):
            yield Outgoing(office.topic(topics.changes(tab)), key, value, (), number, now)

    def _parked(self, note: bytes) -> Outgoing:
        return Outgoing(self._office.topic(topics.PARKED), keys.in_workspace(self._office.workspace, ""), note)

    def _noted(self) -> Iterator[Outgoing]:
        for name, value in self._pending.items():
            yield Outgoing(self._positions.topic, keys.in_workspace(self._office.workspace, name), value, (), 0)


def read_spent(kept: bytes) -> Spent:
    """What was kept; nothing where nothing was, or by another release."""
    try:
        return _spent(kept)
    except CodecError:
        return Spent()


_spent: Unpacker[Spent] = Unpacker(Spent)


def _too_large(event: ChangeEvent, size: int) -> bytes:
    return to_json({
        "topic": topics.changes(event.tab), "key": event.record_id, "why": f"the change has {size:,} bytes: too many",
        "how": "make the record smaller; its next change is captured again",
    })  # fmt: skip
