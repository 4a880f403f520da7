"""A project's state on a broker, read into a store of its own, so that it is looked at like the state of one machine.

Nothing is written and no group is joined: what is running there does not notice.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import islice

from connectors.kafka_archive import Archive
from connectors.kafka_io import BrokerAway, Delivered
from connectors.kafka_ledger import Rows
from connectors.quota import Spent
from renkei.doubts import Doubt, LedgerPlace
from renkei.folder import Folder
from renkei.kafka_parts import office_of
from renkei.kafka_sink import SPENT_NOTE, read_spent
from renkei.lag.opening import GROUP
from renkei.streaming import Nouns, cluster_of, registry_of
from rules.book import Book
from rules.errors import Place, refuse
from schemas import keys, topics
from schemas.codec import CodecError, pack
from schemas.commands import Command, Report
from schemas.messages import OutcomeOf
from schemas.values import Ref
from streams import gathering
from streams.changelog import Restored
from streams.partition_log import LogLostError, PartitionLog
from streams.store import NewEntry, Store

MOST = 1_000
"""Messages that are counted one by one; beyond that offsets tell about how many there are."""


class Mirror:
    """The state of a project on a broker as it is now. ``tell`` hears how many rows have been read."""

    def __init__(
        self, folder: Folder, address: str, archive: Archive, tell: Callable[[int], None] = lambda done: None
    ) -> None:
        kafka = folder.settings.kafka
        self.folder, self.address, self.archive = folder, address, archive
        self._workspace, self._partitions, self._spread = folder.settings.workspace, kafka.partitions, kafka.spread
        self._nouns = Nouns(registry_of(folder))
        self._tell = tell

    # -- the state ------------------------------------------------------------------

    @cached_property
    def store(self) -> Store:
        """The rows of all stages, read when they are first wanted.

        Raises:
            KafkaTrouble: the broker did not answer, or refuses.
            CodecError: a state topic holds something else than state.
            WorkflowError: the state was written over another partition count, or not as ``spread`` says.
        """
        return gathering.gather(self._restored, self._workspace)

    @cached_property
    def _restored(self) -> dict[int, Restored]:
        home = keys.home(self._workspace, "", self._partitions, spread=False)
        wanted = range(self._partitions) if self._spread else (home,)
        state = topics.state(topics.FLOW)
        if not self.archive.ends(state):
            refuse(f"there is no topic {self.folder.settings.kafka.prefix}{state}", "Make it: renkei topics")
        try:
            found = asyncio.run(self._restore(wanted))
        except LogLostError as error:
            raise BrokerAway(f"reading the state: {error}") from None
        for number, restored in found.items():
            self._check(number, restored)
        return found

    async def _restore(self, numbers: Iterable[int]) -> dict[int, Restored]:
        """What the changelogs hold, read as the streams read them, but without a snapshot and without their fence."""
        cluster = replace(cluster_of(self.folder, self.address), folder=None)
        found: dict[int, Restored] = {}
        for number in numbers:
            found[number], _ = await PartitionLog(cluster, number).restore([])
            self._tell(sum(one.loose for one in found.values()))
        return found

    def _check(self, number: int, restored: Restored) -> None:
        layout = restored.layout
        if layout is not None and (layout.partitions, layout.spread) != (self._partitions, self._spread):
            refuse(
                f"the state of partition {number} was written over {layout.partitions} partitions "
                f"(spread: {layout.spread}), and the project says {self._partitions} (spread: {self._spread})",
                "Correct `partitions` and `spread` below `kafka:`.", Place("renkei.yaml"),
            )  # fmt: skip

    def barriers(self) -> list[str]:
        """Where the first load of a tab is not told on yet, in words."""
        return [
            f"partition {number}: the first load of {tab.replace(':', '.', 1)} waits for {count} answers"
            for number, tab, count in gathering.barriers(self._restored, self._workspace)
        ]

    def captured(self, connection: str) -> dict[str, bytes]:
        """What the captures of a connection keep, by name: positions, and how far first loads are."""
        found: dict[str, bytes] = {}
        for told in self.archive.all(topics.positions(connection)):
            if self._is_ours(told) and told.value is not None:
                found[keys.parted(told.key or b"")[1]] = told.value
        return found

    # -- how far it is ------------------------------------------------------------------

    def taken(self, book: Book) -> tuple[int, int]:
        """How many offsets of their inputs the streams have taken, and how many messages wait for them."""
        taken = waiting = 0
        inputs = sorted({topics.OUTCOMES, topics.JOURNEYS, *map(topics.changes, book.read_fields)})
        for number, restored in self._restored.items():
            for topic in inputs:
                position = restored.positions.next.get(topic, 0)
                taken += position
                waiting += self._waiting(topic, number, position)
        return taken, waiting

    def _waiting(self, topic: str, number: int, position: int) -> int:
        end = self.archive.ends(topic, [number]).get(number, 0)
        if end - position > MOST:
            return end - position
        return sum(1 for told in self.archive.all(topic, [number], {number: position}) if self._is_ours(told))

    def commands(self) -> dict[str, int]:
        """Per connection how many commands wait to be applied, at most ``MOST`` each."""
        counts = {name: self._waiting_commands(name) for name in self._applied}
        return {name: count for name, count in counts.items() if count}

    def _waiting_commands(self, connection: str) -> int:
        ledger = self._ledgers[connection]
        open_ = (
            1
            for topic, lane in self._lanes(connection).items()
            for told in self.archive.all(topic, since=self.archive.committed(f"{GROUP}.connectors.{connection}", topic))
            if (command := self._command(told)) is not None
            and ledger[told.partition.number].settled_to(lane, command.id) < told.offset
        )
        return sum(islice(open_, MOST))

    # -- commands of unknown effect ------------------------------------------------------------------

    def doubts(self) -> list[Doubt]:
        """All commands of unknown effect, per connection the oldest first."""
        found = [
            Doubt(name, row.entry, LedgerPlace(number, lane, row.offset))
            for name, ledger in self._ledgers.items()
            for number, rows in ledger.items()
            for lane, row in rows.unknown()
        ]
        return sorted(found, key=lambda one: (one.connection, one.entry.updated_at))

    @cached_property
    def _ledgers(self) -> dict[str, dict[int, Rows]]:
        return {name: self._ledger(name) for name in self._applied}

    def _ledger(self, connection: str) -> dict[int, Rows]:
        rows = {number: Rows(self._workspace) for number in range(self._partitions)}
        for told in self.archive.all(topics.ledger(connection)):
            rows[told.partition.number].fold(told)
        return rows

    @property
    def _applied(self) -> list[str]:
        return [name for name, part in self.folder.settings.connections.items() if part.kind != "file"]

    # -- limits ------------------------------------------------------------------

    def spent(self, connection: str) -> Spent:
        """What a connection's day was used for, as its workers and its capture have noted it (D-101)."""
        whole = read_spent(self.captured(connection).get(SPENT_NOTE, b""))
        for rows in self._ledgers[connection].values():
            for lane in self._lanes(connection).values():
                whole.join(rows.spent(lane))
        return whole

    # -- what was decided ------------------------------------------------------------------

    def recall(self, journeys: Iterable[Ref]) -> None:
        """Put what was decided about these journeys into the store, as far as the topic still has it."""
        wanted = {keys.in_workspace(self._workspace, journey): journey for journey in journeys}
        homes = {keys.home(self._workspace, one, self._partitions, self._spread) for one in wanted.values()}
        if wanted:
            told = self.archive.all(topics.DECISIONS, homes)
            self._keep(topics.DECISIONS, self._read(topics.DECISIONS, (one for one in told if one.key in wanted)))

    def find(self, name: str) -> None:
        """Put the commands of this id, or of the fire of this id, into the store, with all that came of them."""
        found: list[Command] = []
        for connection in self._applied:
            for topic in self._lanes(connection):
                told = (one for one in self.archive.all(topic) if name.encode() in (one.value or b""))
                entries = [
                    (one, noun)
                    for one, noun in self._read(topic, told)
                    if isinstance(noun, Command) and name in (noun.id, noun.fire)
                ]
                self._keep(topics.commands(connection), entries)
                found += [noun for _, noun in entries]
        self.recall({command.journey for command in found})
        self._keep(topics.JOURNEYS, self._outcomes({command.id for command in found}))

    def _outcomes(self, ids: Collection[str]) -> Iterator[tuple[Delivered, OutcomeOf]]:
        """Reports as journeys read them."""
        for told, noun in self._read(topics.OUTCOMES, self.archive.all(topics.OUTCOMES) if ids else ()):
            if isinstance(noun, Report) and noun.outcome.command_id in ids:
                yield told, OutcomeOf(at=noun.at, chain=noun.chain, fire=noun.fire, outcome=noun.outcome)

    def _keep(self, topic: str, found: Iterable[tuple[Delivered, object]]) -> None:
        with self.store.transaction():
            self.store.append(
                NewEntry(topic, keys.parted(told.key or b"")[1], getattr(noun, "at", told.at), pack(noun))
                for told, noun in found
            )

    # -- messages ------------------------------------------------------------------

    def _lanes(self, connection: str) -> Mapping[str, str]:
        office = office_of(self.folder, "", connection)
        return {topic.removeprefix(office.prefix): lane for topic, lane in office.lanes.items()}

    def _read(self, topic: str, messages: Iterable[Delivered]) -> Iterator[tuple[Delivered, object]]:
        """The nouns of this workspace; what cannot be read is left out, since it is parked by whoever takes it."""
        for told in messages:
            if told.value is not None and self._is_ours(told):
                try:
                    yield told, self._nouns.decode(told.value, told.headers, topic)
                except CodecError:
                    continue

    def _command(self, told: Delivered) -> Command | None:
        noun = next((noun for _, noun in self._read(topics.commands(""), [told])), None)
        return noun if isinstance(noun, Command) else None

    def _is_ours(self, told: Delivered) -> bool:
        return (told.key or b"").startswith(keys.in_workspace(self._workspace, ""))


@contextmanager
def mirrored(folder: Folder, address: str, tell: Callable[[int], None] = lambda done: None) -> Iterator[Mirror]:
    """The state of a project on a broker, to be looked at.

    Raises:
        KafkaTrouble: the broker did not answer, or refuses.
    """
    with Archive(address, folder.settings.kafka.prefix) as archive:
        yield Mirror(folder, address, archive, tell)
