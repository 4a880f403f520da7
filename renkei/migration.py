"""Moving an embedded project onto Kafka: state, history, positions, ledger, and the commands that still wait.

Two transactions: first all that there is, then the rows by which the flow knows how far it is. A move that was cut
short is known by the mark in the state file and by the header of what it wrote, and goes on from there.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from typing import Literal, NamedTuple

import msgspec

from connectors.kafka_desk import LIVE
from connectors.kafka_io import Admin, BrokerAway, Outgoing, Partition, Producer, TopicSpec
from connectors.kafka_ledger import KEPT, Row, Rows
from connectors.kafka_reading import Consumer, everything, first_record_at
from connectors.ledger import Ledger
from renkei.folder import Folder
from renkei.logged import waiting
from renkei.moving import Move, move_of, note_move
from renkei.streaming import Nouns, registry_of, topology_of
from renkei.topology import require, topics_of
from renkei.wiring import open_flow
from rules.book import Book
from rules.errors import Place, refuse
from schemas import topics
from schemas.codec import CodecError, from_json, to_json
from schemas.keys import home, in_workspace
from streams import changelog, wire
from streams.changelog import Layout, Positions
from streams.embedded import FINGERPRINT
from streams.stage import Changed
from streams.store import Entry, Store

ERA = 1
"""Versions are ``era << 48 | offset``: those of the embedded log are of era 0, so all that come on Kafka are newer."""
HEADER = "renkei-move"
PAGE = 5_000
BEGIN_TRIES = 3
OPEN_FOR = 600_000
"""Milliseconds that the first transaction may take."""
_PLACE = Place("renkei.yaml")
_CAPTURE_NOTES = ("position.capture.", "loaded.capture.", "loaded.tab.")

Standing = Literal["nothing", "rows", "all"]
"""What of a move stands on the broker: nothing, all but how far the flow is, or all."""
Tell = Callable[[int, int], None]


class Piece(NamedTuple):
    """One message, and what it is counted as."""

    kind: str
    out: Outgoing


class Cargo:
    """What a state file holds, as messages."""

    def __init__(self, folder: Folder, store: Store, specs: Sequence[TopicSpec], now: int) -> None:
        kafka = folder.settings.kafka
        self._store, self._now, self._workspace = store, now, folder.settings.workspace
        self._prefix, self._partitions = kafka.prefix, kafka.partitions
        self._there = {spec.name for spec in specs}
        self._connections = [name for name, one in folder.settings.connections.items() if one.kind != "file"]
        self._framing = Nouns(registry_of(folder))
        self.home = home(self._workspace, "", kafka.partitions, spread=False)
        self.left = 0
        """How many messages cannot be read; they were parked when they came."""

    def topic(self, name: str) -> str:
        """Its name on the broker."""
        return self._prefix + name

    def count(self) -> int:
        """How many pieces there are, about."""
        query = "SELECT (SELECT count(*) FROM state) + (SELECT count(*) FROM log)"
        return int(self._store.database.execute(query).fetchone()[0])

    def pieces(self) -> Iterator[Piece]:
        """Everything but the rows that say how far the flow is."""
        yield from self._state()
        for name in (*self._store.topics("changes."), topics.DECISIONS, topics.PARKED):
            yield from self._history(name)
        for connection in self._connections:
            yield from self._commands(connection)
            yield from self._ledger(connection)
        yield from self._positions()

    def last(self, ends: dict[str, int], tabs_at: int) -> Iterator[Outgoing]:
        """How far the flow is, and under which layout and workflows its rows stand."""
        layout = Layout(self._partitions, spread=False, era=ERA)
        fingerprint = (self._store.note(FINGERPRINT) or b"").decode()
        rows = [
            changelog.fingerprint_row(self._workspace, fingerprint), changelog.layout_row(layout),
            changelog.position_row(Positions(next=ends, seen={}, at=tabs_at)),
        ]  # fmt: skip
        return (self._row(key, value) for key, value in rows)

    # -- state --------------------------------------------------------------

    def _state(self) -> Iterator[Piece]:
        query = "SELECT stage, key, part, content, due FROM state WHERE partition = 0"
        for stage, key, part, content, due in self._store.database.execute(query):
            yield Piece("state", self._row(*changelog.row(stage, self._workspace, Changed(key, part, content, due))))

    def _row(self, key: bytes, value: bytes | None) -> Outgoing:
        return Outgoing(self.topic(topics.state(topics.FLOW)), key, value, (), self.home, self._now)

    # -- what happened --------------------------------------------------------------

    def _history(self, name: str) -> Iterator[Piece]:
        if self.topic(name) not in self._there:
            return  # a tab that no workflow reads any more; its images are among the state
        for entry in self._entries(name):
            try:
                value, headers = self._framed(entry)
            except CodecError:
                self.left += 1
                continue
            number = 0 if name == topics.PARKED else self.home
            key = in_workspace(self._workspace, entry.key)
            out = Outgoing(self.topic(name), key, value, tuple(headers), number, entry.at)
            yield Piece(name.partition(".")[0], out)

    def _framed(self, entry: Entry) -> tuple[bytes, list[tuple[str, bytes]]]:
        if entry.topic == topics.PARKED:
            note = from_json(entry.value)
            note["how"] = "it was parked before the project moved: change the record in its CRM once more"
            return to_json(note), []
        if entry.key == wire.MARKER:
            return entry.value, []
        return self._framing.encode(wire.read_entry(entry), entry.topic)

    def _entries(self, name: str) -> Iterator[Entry]:
        after = 0
        while page := self._store.read(name, after, PAGE):
            yield from page
            after = page[-1].seq

    # -- what is still to be done --------------------------------------------------------------

    def _commands(self, connection: str) -> Iterator[Piece]:
        """Only those that wait: of the others the ledger tells."""
        name = topics.commands(connection)
        for entry in waiting(self._store, connection):
            value, headers = self._framing.encode(wire.read_entry(entry), name)
            key = in_workspace(self._workspace, entry.key)
            yield Piece("commands", Outgoing(self.topic(name), key, value, tuple(headers), self._lane(entry), entry.at))

    def _lane(self, entry: Entry) -> int:
        """The partition of a command: spread in any case, as the flow does it."""
        return home(self._workspace, entry.key, self._partitions, spread=True)

    def _ledger(self, connection: str) -> Iterator[Piece]:
        """Every row of the last month and those that are not done, where the command of the row is at home.

        No offset: whether a command was reported is known by its not waiting any more.
        """
        numbers = self._numbers(topics.commands(connection))
        rows, topic = Rows(self._workspace), self.topic(topics.ledger(connection))
        for entry in Ledger(self._store.database, connection).all(self._now - KEPT):
            number = numbers.get(entry.command.id, 0)
            yield Piece("ledger", rows.outgoing(topic, number, LIVE, Row(entry, -1)))

    def _numbers(self, name: str) -> dict[str, int]:
        return {wire.read_entry(entry).id: self._lane(entry) for entry in self._entries(name)}

    def _positions(self) -> Iterator[Piece]:
        """How far each capture is, under the names by which captures ask for it."""
        for name, value in self._store.database.execute("SELECT name, value FROM notes ORDER BY name"):
            told = next((one for one in _CAPTURE_NOTES if name.startswith(one)), None)
            if told is None:
                continue
            topic = self.topic(topics.positions(name.removeprefix(told).partition(":")[0]))
            if topic in self._there:
                yield Piece("positions", Outgoing(topic, in_workspace(self._workspace, name), bytes(value), (), 0))


class Mover:
    """Brings the project of a state file to a broker. The state folder has to be locked meanwhile."""

    def __init__(
        self,
        folder: Folder,
        book: Book,
        address: str,
        store: Store,
        now: int,
        at: Callable[[str], None] = lambda point: None,
    ) -> None:
        """``at`` is called at marked, copied and placed, where a test may end the process."""
        self._store, self._address, self._at = store, address, at
        self._specs = topics_of(folder, book)
        self._cargo = Cargo(folder, store, self._specs, now)
        self._inputs = topology_of(folder, book).inputs()
        self._prefix, self._workspace = folder.settings.kafka.prefix, folder.settings.workspace
        self._state = Partition(self._cargo.topic(topics.state(topics.FLOW)), self._cargo.home)

    def move(self, tell: Tell) -> Counter[str]:
        """Move, or go on with a move that was cut short; what was written now, by kind.

        Raises:
            WorkflowError: there is something already where it is to go, or it has moved.
            BrokerAway: nobody knows how far it came: type it again.
        """
        name = f"{self._prefix}renkei.migrate.{self._workspace}"
        with (
            closing(Admin(self._address)) as admin,
            closing(Producer(self._address, transactional_id=name, timeout=OPEN_FOR)) as producer,
        ):
            require(admin, self._specs)
            _take_over(producer)
            move, standing = self._begin(admin)
            self._at("marked")
            counts = self._write_all(producer, move, tell) if standing == "nothing" else Counter[str]()
            self._at("copied")
            if standing != "all":
                self._end(admin, producer, move)
            self._at("placed")
            note_move(self._store, msgspec.structs.replace(move, is_done=True))
        return counts

    def _begin(self, admin: Admin) -> tuple[Move, Standing]:
        """The mark, and what of the move is there."""
        move = move_of(self._store)
        if move is None:
            self._require_empty(admin)
            move = Move(to=self._address, prefix=self._prefix)
            note_move(self._store, move)
            return move, "nothing"
        if move.is_done:
            refuse(f"this project has moved to {move.where} already", "Run it there: renkei streams", _PLACE)
        if (move.to, move.prefix) != (self._address, self._prefix):
            refuse(f"a move to {move.where} was begun and did not end", "Name that broker and prefix again.", _PLACE)
        standing = self._standing(admin, move)
        if standing == "nothing":
            self._require_empty(admin)
        return move, standing

    def _require_empty(self, admin: Admin) -> None:
        """Nothing may be there: what is there would be mixed with what comes."""
        everywhere = [Partition(spec.name, number) for spec in self._specs for number in range(spec.partitions)]
        starts, ends = admin.starts(everywhere), admin.ends(everywhere)
        with closing(Consumer(self._address, name="renkei migrate")) as reader:
            for one in everywhere:
                if starts[one] < ends[one] and first_record_at(reader, one, starts[one]) is not None:
                    hint = "Move into topics of another `prefix` below `kafka:`, or delete these topics."
                    refuse(f"topic {one.topic} holds messages already; nothing was moved", hint, _PLACE)

    def _standing(self, admin: Admin, move: Move) -> Standing:
        """What an earlier try has committed."""
        ours = (HEADER, move.id.encode())
        names: set[bytes | None] = set()
        with closing(Consumer(self._address, name="renkei migrate")) as reader:
            names = {told.key for told in everything(reader, admin.ends([self._state])) if ours in told.headers}
        if changelog.position_row(Positions())[0] in names:
            return "all"
        return "rows" if names else "nothing"

    def _write_all(self, producer: Producer, move: Move, tell: Tell) -> Counter[str]:
        counts, total = Counter[str](), self._cargo.count()
        try:
            with producer.transaction() as transaction:
                # Known by this even where there is nothing to move.
                for number, piece in enumerate((self._first(), *self._cargo.pieces())):
                    transaction.send(_marked(piece.out, move))
                    counts[piece.kind] += 1
                    if number % PAGE == 0:
                        transaction.flush()
                        tell(min(number, total), total)
        except BrokerAway:
            raise
        except BaseException:
            note_move(self._store, None)  # nothing of it was committed
            raise
        counts["unreadable"] = self._cargo.left
        tell(total, total)
        return counts

    def _first(self) -> Piece:
        return Piece("state", next(self._cargo.last({}, 0)))

    def _end(self, admin: Admin, producer: Producer, move: Move) -> None:
        """Say how far the flow is: behind all that was written, so that nothing of it is taken again."""
        inputs = {name: Partition(self._cargo.topic(name), self._cargo.home) for name in self._inputs}
        ends = admin.ends(inputs.values())
        position = {name: ends[one] for name, one in inputs.items()}
        with producer.transaction() as transaction:
            for out in self._cargo.last(position, self._store.last_at()):
                transaction.send(_marked(out, move))


def _take_over(producer: Producer) -> None:
    """Fence whoever tried before, and undo what they left open. A broker's first transaction may take it long."""
    for _ in range(BEGIN_TRIES - 1):
        with suppress(BrokerAway):
            return producer.begin()
    return producer.begin()


def _marked(out: Outgoing, move: Move) -> Outgoing:
    return out._replace(headers=(*out.headers, (HEADER, move.id.encode())))


def bring_to_rest(folder: Folder, book: Book, store: Store, say: Callable[[str], None]) -> None:
    """Let the flow take what waits for it, so that its state is all that there is to move.

    ``say`` hears what publishing has moved.
    """
    if move_of(store) is not None:
        return
    flow = open_flow(folder, book, store.path, say=say)
    try:
        flow.run()
    finally:
        flow.store.close()
