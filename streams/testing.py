"""The driver for tests: a small CRM world with a clock that moves only when told, on any runtime.

It is a product: ``renkei test`` runs the stories of workflow files with it, and so can packages that extend Renkei.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from rules.book import Book
from rules.durations import Duration
from rules.rounds import Limits
from schemas.abilities import CONVERTED
from schemas.commands import CHANGED_MEANWHILE, Applied, Command, Outcome, Rejected
from schemas.decisions import Decision
from schemas.events import Chain, ChangeEvent, Operation
from schemas.messages import OutcomeOf, Resume, Signal
from schemas.values import SECOND, Image, Ref, Value, format_instant, id_of, parse_instant, ref, tab_of
from streams.embedded import Embedded
from streams.hostile import Hostile, Torment
from streams.store import Store

CHANNELS = {"email": "mail", "webhook": "webhook"}
"""The connections of messages in tests."""
_MAKING = frozenset({"create", "upsert", "note", "task", "event", "call"})
START = parse_instant("2026-01-05T09:00:00Z")  # a Monday


class Runtime(Protocol):
    """What the driver asks of a runtime."""

    def append(self, events: Iterable[ChangeEvent]) -> None:
        """Put change events in."""
        ...

    def tell(self, journey: str, message: Any) -> None:
        """Put a message to a journey."""
        ...

    def mark_loaded(self, tabs: Iterable[str], at: int) -> None:
        """Say that first loads are complete."""
        ...

    def run(self, now: int | None = None) -> int:
        """Run until everything is at rest."""
        ...

    @property
    def next_due(self) -> int | None:
        """When the next timer is due."""
        ...

    def commands(self) -> list[Command]:
        """All commands so far, each once."""
        ...

    def decisions(self) -> list[Decision]:
        """All decisions so far, each once."""
        ...

    def parked(self) -> Sequence[str]:
        """Why messages were set aside."""
        ...

    def states(self, stage: str) -> Iterator[tuple[str, Any]]:
        """All keys of a stage with their states."""
        ...


def embedded(book: Book, store: Store | None = None, limits: Limits | None = None) -> Embedded:
    """The embedded runtime, in memory where no store is given."""
    return Embedded(store or Store(":memory:"), book, limits=limits, channels=CHANNELS)


def hostile(book: Book, torment: Torment | None = None, limits: Limits | None = None) -> Hostile:
    """The runtime that is made to fail."""
    return Hostile(book, torment or Torment(), limits=limits, channels=CHANNELS)


class Driver:
    """Records are created, edited and deleted by name; commands come out and, unless told otherwise, are applied.

    An applied create comes back as a change event with its causal chain, as it does from a real CRM.
    """

    def __init__(
        self,
        book: Book,
        runtime: Runtime | None = None,
        *,
        loaded: bool = True,
        applies: bool = True,
    ) -> None:
        """Without a runtime, the embedded one in memory."""
        self.book, self.now, self.applies = book, START, applies
        self.runtime: Runtime = runtime or embedded(book)
        self.records: dict[Ref, Image] = {}
        self._position = 0
        self._answered: set[str] = set()
        self._refusals: dict[str, Rejected | None] = {}
        if loaded:
            self.loaded(*book.read_fields)

    # -- the world --------------------------------------------------------------

    def create(self, tab: str, record_id: str, chain: Chain | None = None, **fields: Value) -> None:
        """A record is created, and everything that follows comes to rest."""
        image = self.store(ref(tab, record_id), {**fields, "id": record_id})
        self.say(self.event(tab, record_id, "create", image, chain))

    def update(self, tab: str, record_id: str, chain: Chain | None = None, **fields: Value) -> None:
        """Fields of a record are edited."""
        image = self.store(ref(tab, record_id), {**self.records[ref(tab, record_id)], **fields})
        self.say(self.event(tab, record_id, "update", image, chain))

    def delete(self, tab: str, record_id: str) -> None:
        """A record is deleted."""
        del self.records[ref(tab, record_id)]
        self.say(self.event(tab, record_id, "delete", None))

    def load(self, tab: str, record_id: str, **fields: Value) -> None:
        """A first load finds a record."""
        image = self.store(ref(tab, record_id), {**fields, "id": record_id})
        self.say(self.event(tab, record_id, "create", image, load=True))

    def store(self, record: Ref, fields: Image) -> Image:
        """The CRM holds this now; where workflows write on a condition, it says since when (D-44)."""
        name = self.book.modified.get(tab_of(record))
        image = self.records[record] = fields if name is None else {**fields, name: format_instant(self.now)}
        return image

    def loaded(self, *tabs: str) -> None:
        """The first load of these tabs is complete."""
        self.runtime.mark_loaded(tabs, self.now)
        self.settle()

    def signal(self, record: Ref, name: str, **values: Value) -> None:
        """A named outside event happens to a record; its journey is the record itself if its tab is a main tab."""
        self._position += 1
        self.runtime.tell(record, Signal(at=self.now, name=name, ref=record, position=self._position, values=values))
        self.settle()

    def say(self, *events: ChangeEvent) -> None:
        """These change events arrive, and everything that follows comes to rest."""
        self.runtime.append(events)
        self.settle()

    def event(
        self,
        tab: str,
        record_id: str,
        op: Operation,
        after: Image | None,
        chain: Chain | None = None,
        *,
        load: bool = False,
    ) -> ChangeEvent:
        """A change event of now, with the next source position."""
        self._position += 1
        return ChangeEvent(
            tab=tab, record_id=record_id, op=op, after=dict(after) if after is not None else None,
            committed_at=self.now, seen_at=self.now, source_position=self._position, origin=chain, load=load,
        )  # fmt: skip

    # -- time --------------------------------------------------------------

    def advance(self, duration: str) -> None:
        """Move the clock on, and let everything run that is due on the way."""
        self.move_to(self.now + Duration.parse(duration).elapsed())

    def move_to(self, instant: int | str) -> None:
        """Move the clock to an instant, stopping at every timer that is due on the way."""
        goal = parse_instant(instant) if isinstance(instant, str) else instant
        while (due := self.runtime.next_due) is not None and self.now < due <= goal:
            self.jump_to(due)
        self.jump_to(goal)

    def jump_to(self, instant: int) -> None:
        """Move the clock at once, as after an outage: what was due on the way is late (D-54)."""
        self.now = instant
        self.settle()

    # -- what came out --------------------------------------------------------------

    def commands(self) -> list[Command]:
        """All commands so far, each once."""
        return self.runtime.commands()

    def decisions(self, kind: str | None = None) -> list[Decision]:
        """All decisions so far, or those of a kind."""
        return [one for one in self.runtime.decisions() if kind is None or one.kind == kind]

    def fires(self, rule: str | None = None) -> list[Decision]:
        """What fired, or what a rule fired."""
        return [one for one in self.decisions("fired") if rule is None or one.rule == rule]

    # -- answers --------------------------------------------------------------

    def refuse(self, operation: str, code: str, reason: str = "refused") -> None:
        """From now on the CRM refuses this operation."""
        self._refusals[operation] = Rejected(command_id="", code=code, reason=reason)

    def accept(self, operation: str) -> None:
        """From now on the CRM accepts this operation again."""
        self._refusals.pop(operation, None)

    def answer(self, command: Command, outcome: Outcome) -> None:
        """A connector reports what became of a command."""
        self._answered.add(command.id)
        message = OutcomeOf(at=self.now, chain=command.chain, fire=command.fire, outcome=outcome)
        self.runtime.tell(command.journey, message)
        self.settle()

    def resume(self, journey: Ref, fire: str, how: str) -> None:
        """An operator says how to go on with a fire that needs attention."""
        self.runtime.tell(journey, Resume(at=self.now, fire=fire, how=how))
        self.settle()

    def settle(self) -> None:
        """Run to rest, applying the commands that come out on the way."""
        self.runtime.run(self.now)
        while self.applies and (waiting := [one for one in self.commands() if one.id not in self._answered]):
            for command in waiting:
                self._answered.add(command.id)
                self._apply(command)
            self.runtime.run(self.now)

    def _apply(self, command: Command) -> None:
        refusal = self._refusals.get(command.operation)
        if refusal is not None:
            self._report(command, Rejected(command_id=command.id, code=refusal.code, reason=refusal.reason))
            return
        if self._is_overtaken(command):
            self._report(command, Rejected(command_id=command.id, code=CHANGED_MEANWHILE, reason="it was changed"))
            return
        record_id = command.record_id
        if command.operation in _MAKING:
            record_id = f"new-{command.id[:8]}"
        target = ref(command.tab, record_id)
        url = f"https://crm.example/{target}"
        told = self._told(command, target)
        self._report(command, Applied(command_id=command.id, record_id=record_id, url=url, fields=told))
        if command.tab in self.book.read_fields:
            self._come_back(command, target)

    def _told(self, command: Command, target: Ref) -> dict[str, Any]:
        """What the CRM says that it stored; of a conversion, the records that it made or joined."""
        if command.operation == "read":
            return dict(self.records.get(target, {}))
        if command.operation != "convert":
            name = self.book.modified.get(command.tab)
            return {**command.fields, **({} if name is None else {name: format_instant(self.now)})}
        wishes = {name: command.fields.get(name.lower()) for name in CONVERTED}
        made = {name: f"new-{command.id[:8]}-{name}" for name, wish in wishes.items() if wish}
        return made | {name: wish for name, wish in wishes.items() if isinstance(wish, str)}

    def _come_back(self, command: Command, target: Ref) -> None:
        if command.operation == "delete":
            if self.records.pop(target, None) is not None:
                self.runtime.append([self.event(tab_of(target), id_of(target), "delete", None, command.chain)])
        elif command.operation == "transition":
            self._echo(command, target, command.fields.get("values", {}))
        elif command.operation in ("create", "upsert", "update"):
            self._echo(command, target, command.fields)

    def _is_overtaken(self, command: Command) -> bool:
        """Whether the condition of a write does not hold, compared in whole seconds as the CRMs do (D-44)."""
        stored = self.records.get(ref(command.tab, command.record_id), {}).get(self.book.modified.get(command.tab, ""))
        if command.if_unmodified is None or stored is None:
            return False
        return parse_instant(stored) // SECOND > command.if_unmodified // SECOND

    def _echo(self, command: Command, target: Ref, fields: Mapping[str, Any]) -> None:
        """The write comes back as a change event that carries the chain (D-60)."""
        known = target in self.records
        self.store(target, {**self.records.get(target, {}), **fields, "id": id_of(target)})
        op: Operation = "update" if known else "create"
        event = self.event(tab_of(target), id_of(target), op, self.records[target], command.chain)
        self.runtime.append([event])

    def _report(self, command: Command, outcome: Outcome) -> None:
        message = OutcomeOf(at=self.now, chain=command.chain, fire=command.fire, outcome=outcome)
        self.runtime.tell(command.journey, message)
