"""What an action is: a frozen model of its keys in the file, and one pure method that plans its effects."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from rules.criteria.scope import UNKNOWN, RelatedRow, Unknown, Verdict
from rules.templates import Rendered
from rules.workflow_file import Steps
from schemas.commands import OnUnknown
from schemas.values import Image, Ref, Value

# Marks on the fields of an action model, by which the book knows what to compile and check.
TEXT, CRITERIA, TEMPLATE, ALIAS, STEPS, WHO = "text", "criteria", "template", "alias", "steps", "who"

Conflict = Literal["ours", "theirs", "fail"]
"""What follows where somebody else changed a record between our look at it and our write (D-44)."""

TextSource = Annotated[str, TEXT]
"""A value that may hold merge fields: ``"Demo for {{ account.Account_Name }}"``."""
FieldTexts = Annotated[dict[str, Any], TEXT]
"""Field names and values, the values with merge fields."""
CriteriaText = Annotated[str, CRITERIA]
TemplateName = Annotated[str, TEMPLATE]
AliasName = Annotated[str, ALIAS]
Who = Annotated[str, WHO]
"""A person or group: ``team sales``, ``queue Tier 2``, ``user a@b.example``, ``deal.Owner``, ``manager of …``."""
Block = Annotated[Steps, STEPS]
"""Actions inside an action."""


@dataclass(frozen=True)
class Draft:
    """A command before the fire gives it its id, chain and origin."""

    connection: str
    tab: str
    operation: str
    record_id: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    owner: str = ""
    key: tuple[str, str] | None = None
    keyed: bool = False
    """A create: the command id goes into the connection's key field, so that a repeat is found (D-42)."""
    on_unknown: OnUnknown = "retry"
    trigger_native: bool = True
    part: str = ""
    """Tells the commands of one step apart; part of the id."""
    if_unmodified: int | None = None
    """Write only if the record was not changed after this time (D-44)."""

    @property
    def written(self) -> Mapping[str, Any]:
        """The fields of its record that it writes, which later steps see before they come back as a change (D-40)."""
        if self.operation == "update" or not self.record_id:
            return self.fields
        values: Mapping[str, Any] = self.fields.get("values", {})
        return values

    def part_of(self, other: "Draft") -> bool:
        """Whether this update can go along with another one of the same record in one write (D-40)."""
        mine, its = (
            (one.tab, one.record_id, one.operation, one.owner, one.trigger_native, one.if_unmodified)
            for one in (self, other)
        )
        return mine == its and self.operation == "update" and bool(self.record_id)


@dataclass(frozen=True)
class Do:
    """Send these commands; the step is done when all are applied. A ``note`` says what is worth telling of them."""

    drafts: tuple[Draft, ...]
    note: str = ""


@dataclass(frozen=True)
class Skip:
    """Nothing to send: the effect is there already, or there is nothing to act on."""

    reason: str
    outputs: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class Expand:
    """Run the steps of a block in place of this one, once for each bound row."""

    block: str
    rows: tuple[tuple[str, Ref], ...] = ()


@dataclass(frozen=True)
class WaitUntil:
    """Go on at this instant (milliseconds)."""

    at: int


@dataclass(frozen=True)
class Unready:
    """Something that the step reads is not known yet: try again when it is (D-04)."""


@dataclass(frozen=True)
class Fail:
    """The step cannot be done; the fire's failing-step policy applies (D-47)."""

    reason: str


Plan: TypeAlias = Do | Skip | Expand | WaitUntil | Unready | Fail


@dataclass(frozen=True)
class Target:
    """Where an alias leads, as actions need it."""

    alias: str
    tab: str
    link: tuple[str, Value | Unknown] | None
    """The field of a new record that ties it to the journey, and its value; none for the main tab."""
    fields: frozenset[str] | None
    """The fields of the tab, if its metadata is known."""

    @property
    def connection(self) -> str:
        """The connection of the tab."""
        return self.tab.partition(":")[0]


class Asked(NamedTuple):
    """What an action asks of a CRM that not every CRM can do, or not for every tab."""

    key: str
    """The key that names the tab, where a refusal points."""
    alias: str
    operation: str
    words: tuple[str, ...] = ()
    """The keys that the author gave."""


class StepContext(Protocol):
    """What an action may ask while it plans. Everything comes from the journey's state; nothing is fetched."""

    now: int
    anchor: Ref
    fallback: bool
    """Whether the owner was refused, so that the step's ``fallback`` is meant (D-48)."""

    @property
    def command_id(self) -> str:
        """The id that the step's first command will have."""
        ...

    def text(self, source: str) -> Value | Unknown:
        """The value of one of the action's texts, merge fields filled in."""
        ...

    def holds(self, source: str, alias: str | None = None, row: RelatedRow | None = None) -> Verdict:
        """Whether one of the action's criteria holds, here or for one related record."""
        ...

    def render(self) -> Rendered | Unknown:
        """The action's template, filled in."""
        ...

    def target(self, alias: str) -> Target:
        """Where an alias leads."""
        ...

    def one(self, alias: str) -> tuple[Ref, Image] | Unknown | None:
        """The one record that an alias means here."""
        ...

    def rows(self, alias: str) -> tuple[RelatedRow, ...] | Unknown:
        """All related records of an alias, by name; unknown while some may be missing."""
        ...

    def bound(self, alias: str) -> tuple[Ref, Image] | Unknown | None:
        """The record that an enclosing ``for_each`` binds to the alias, else ``one``."""
        ...

    def context_fields(self) -> Mapping[str, Value]:
        """The workflow's ``context:`` values by field name: carried into records and messages."""
        ...

    def context_lines(self) -> tuple[str, ...]:
        """The same as lines of a message: ``Amount: 12.50``."""
        ...

    def modified(self, record: Ref) -> int | Unknown | None:
        """When a record was last changed, ours included; unknown while a write of ours is out; none if nobody tells."""
        ...

    def agreed(self) -> Mapping[str, Value]:
        """Of a sync: what both sides held when they were last alike, by the field of the left one."""
        ...

    def who(self, source: str) -> str | Unknown | None:
        """A person or group as connectors resolve it: ``team:Sales``, ``user:…``, ``manager:…``; none if empty."""
        ...

    def channel(self, kind: str) -> str:
        """The name of the connection of a kind: ``channel("email")``."""
        ...

    def later(self, duration: str) -> int:
        """Now plus a duration in the workflow's calendar."""
        ...

    def due_day(self, source: str) -> Value:
        """The day of ``created + 1 day`` and the like: now plus a duration, as an ISO date."""
        ...

    def until(self, clock: str) -> int:
        """The next time the clock shows this in the workflow's zone."""
        ...

    def moment(self, day: str, clock: str) -> int:
        """When the clock shows this on an ISO day, in the workflow's zone. Raises ValueError: that is no day."""
        ...

    def day(self, at: int) -> str:
        """The ISO day of an instant in the workflow's zone."""
        ...


class Action(BaseModel):
    """One action. Subclasses name their ``verb``, declare their keys, and plan.

    Mark keys with the annotations above so that the book compiles and checks them. ``plan`` is pure: the same context
    gives the same plan (design principle 2).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
    verb: ClassVar[str]

    name: str | None = Field(None, description="The step's name, by which later steps read what it gave.")
    on_error: Literal["stop", "continue"] | Block = Field(
        "stop", description="What follows a refusal: `stop`, `continue`, or a list of actions."
    )

    @property
    def default_name(self) -> str:
        """The step name if the author gives none: the action's object, as in ``steps.project``."""
        value = getattr(self, self.verb.replace(" ", "_"), None)
        return value if isinstance(value, str) else self.verb

    def plan(self, step: StepContext) -> Plan:
        """What the action calls for now."""
        raise NotImplementedError

    def texts(self) -> Iterator[str]:
        """The sources of all texts to compile."""
        for _, value in self.marked(TEXT):
            yield from texts_in(value)
        for _, value in self.marked(WHO):
            for one in value if isinstance(value, list) else [value]:
                yield from who_texts(one)

    def conditions(self) -> Iterator[tuple[str, str | None]]:
        """The sources of all criteria to compile, each with the alias whose rows it is asked of, if any."""
        for _, value in self.marked(CRITERIA):
            if isinstance(value, str):
                yield value, self.rows_alias

    def blocks(self) -> Iterator[tuple[str, Steps]]:
        """The blocks of actions inside this one, by name."""
        for key, value in self.marked(STEPS):
            if isinstance(value, list):
                yield key, value

    @property
    def rows_alias(self) -> str | None:
        """The alias whose rows the action's criteria are asked of; none if they are asked of the anchor."""
        return None

    @property
    def binds(self) -> str:
        """The alias of which the action's blocks see one record at a time; empty if it binds none."""
        return ""

    def single(self) -> Iterator[tuple[str, str]]:
        """The keys that name a tab of which exactly one record is meant, with the alias."""
        return iter(())

    def for_several(self, alias: str) -> str:
        """What to write where a tab has several records."""
        return f"put it into `for_each: {alias}`"

    @property
    def on_condition(self) -> Conflict | None:
        """What follows where a record was changed meanwhile; none for writes that ask for no condition (D-44)."""
        return None

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """What the action writes: alias, fields, and whether it creates; for the checker and for D-44."""
        return iter(())

    def asks(self) -> Iterator[Asked]:
        """The operations that it asks of a CRM beside writing a record's fields; for the checker."""
        return iter(())

    def will_make(self, name: str) -> bool:
        """Whether it makes what an ability calls so; a conversion may make less than it can."""
        return True

    def marked(self, mark: str) -> Iterator[tuple[str, Any]]:
        """The declared keys with this mark, by name, those not given left out."""
        for key, declared in type(self).model_fields.items():
            value = getattr(self, key)
            if value is not None and (mark in declared.metadata or _inner_mark(declared.annotation, mark)):
                yield declared.alias or key, value


def texts_in(value: Any) -> Iterator[str]:
    """All strings inside a marked value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)


_GROUPS = ("team", "queue", "role", "user")


def who_texts(source: str) -> tuple[str, ...]:
    """The texts to compile for a person or group: a path as ``deal.Owner`` is read as a merge field."""
    subject = source.removeprefix("manager of ").strip()
    if subject.partition(" ")[0] in _GROUPS and " " in subject:
        return ()
    if "{{" in subject:
        return (subject,)
    return () if "@" in subject else (f"{{{{ {subject} }}}}",)


def who_named(source: str, teams: Mapping[str, str], text: Value | Unknown) -> str | Unknown | None:
    """The person or group in connectors' form; ``text`` is the value of its merge field, if it has one."""
    manager = source.startswith("manager of ")
    subject = source.removeprefix("manager of ").strip()
    if who_texts(source):
        if isinstance(text, Unknown):
            return text
        return f"{'manager' if manager else 'user'}:{text}" if text else None
    group, _, name = subject.partition(" ")
    if "@" in subject and group not in _GROUPS:
        return f"user:{subject}"
    return f"{group}:{teams.get(name.strip(), name.strip()) if group == 'team' else name.strip()}"


def due_duration(source: str) -> str:
    """The duration in ``created + 1 day``."""
    return source.removeprefix("created").strip().removeprefix("+").strip()


def filled(step: StepContext, value: Any) -> Any:
    """A marked value with every text in it filled in; UNKNOWN if any part is unknown."""
    if isinstance(value, str):
        return step.text(value)
    if isinstance(value, dict):
        return _all_known({key: filled(step, inner) for key, inner in value.items()})
    if isinstance(value, list):
        filled_items = [filled(step, inner) for inner in value]
        return UNKNOWN if any(item is UNKNOWN for item in filled_items) else filled_items
    return value


def _all_known(values: dict[str, Any]) -> Any:
    return UNKNOWN if any(value is UNKNOWN for value in values.values()) else values


def _inner_mark(annotation: Any, mark: str) -> bool:
    """Whether a mark stands inside a union, as in ``TextSource | None``."""
    if mark in getattr(annotation, "__metadata__", ()):
        return True
    return any(_inner_mark(inner, mark) for inner in getattr(annotation, "__args__", ()))
