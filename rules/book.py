"""The workflow book: everything that is published, compiled once, in the form in which the stages read it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from rules.actions.base import Action
from rules.actions.sync import Sync
from rules.calendars import Calendar
from rules.criteria import Criteria
from rules.due import DuePlan, Lateness
from rules.recurrence import Recurrence
from rules.templates import Template, Text
from rules.trees import Tree
from rules.workflow_file import FieldUpdated, RepeatSource, SectionUpdated, WorkflowFile
from schemas.metadata import ConnectionMetadata


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Wakes when the anchor's own record is created, edited, deleted and so on."""

    kind: str
    fields: frozenset[str] | None = None
    """Of ``edited``: the fields whose change counts as an edit (D-11); none where the tab's fields are not known."""


@dataclass(frozen=True, slots=True)
class FieldTrigger:
    """Wakes when one of these fields is edited, to and from given values (D-119)."""

    fields: frozenset[str]
    part: FieldUpdated | SectionUpdated


@dataclass(frozen=True, slots=True)
class StateTrigger:
    """Wakes when the rule's criteria go from not true to true, whichever record caused it (D-30)."""


@dataclass(frozen=True, slots=True)
class DueTrigger:
    """Wakes at a date field of the anchor (D-50)."""

    field: str
    plan: DuePlan
    repeat: str


@dataclass(frozen=True, slots=True)
class RecurringTrigger:
    """Wakes at the times of a recurrence (D-58)."""

    recurrence: Recurrence
    catch_up: str


@dataclass(frozen=True, slots=True)
class NamedTrigger:
    """Wakes on a named signal; a manual start is the signal ``manual``."""

    name: str


CompiledTrigger = EventTrigger | FieldTrigger | StateTrigger | DueTrigger | RecurringTrigger | NamedTrigger


@dataclass(frozen=True)
class Step:
    """One action of a rule with its texts compiled, and the steps inside it by block."""

    path: str
    action: Action
    texts: Mapping[str, Text] = field(repr=False)
    criteria: Mapping[str, Criteria] = field(repr=False)
    template: Template | None = field(default=None, repr=False)
    blocks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name under which later steps read its outputs (D-46)."""
        return self.action.name or self.action.default_name


@dataclass(frozen=True)
class Scheduled:
    """Steps that run later than the fire (D-50)."""

    number: int
    plan: DuePlan
    date_field: str | None
    steps: tuple[str, ...]
    keep: str
    cancel_on_exit: bool
    recheck: bool
    lateness: Lateness
    again_if_moved: bool


@dataclass(frozen=True)
class Rule:
    """One rule, compiled. ``order`` is its place among all rules: priority first, then the files' order (D-45)."""

    id: str
    workflow: "Workflow"
    name: str
    alias: str
    node: int
    order: int
    triggers: tuple[CompiledTrigger, ...]
    criteria: Criteria | None
    repeat: RepeatSource | None
    value_fields: frozenset[str]
    steps: Mapping[str, Step] = field(repr=False)
    top: tuple[str, ...]
    scheduled: tuple[Scheduled, ...]
    reads: Mapping[int, frozenset[str]] = field(repr=False)
    """Per node the fields whose change may change the verdict (D-31)."""
    observed: tuple[tuple[str, str], ...] = ()
    """The aliases and fields of the criteria that mean one value each: the audit record of a fire holds them."""
    action_nodes: frozenset[int] = frozenset()
    """The nodes that its actions read: a fire waits until they are known (D-04)."""
    fresh: int | None = None
    hold: bool = True
    sync: Sync | None = None
    """Whether it is no rule that somebody wrote but keeps two tabs alike."""
    on_state: bool = False
    timed: bool = False
    """Whether the verdict can change with time alone (D-59)."""
    leaves_pending: bool = False
    """Whether a fire may leave something behind that an exit cancels: scheduled actions, a wait (D-51)."""

    on_event: bool = field(init=False)
    """Whether an event of the anchor's own record, or a signal, can wake it."""
    remembers: bool = field(init=False)
    """Whether truth is kept: plain event rules fire on each matching event and need none (D-13)."""
    follows_dates: bool = field(init=False)
    """Whether it plans anything by a date field or a recurrence."""

    def __post_init__(self) -> None:
        """What follows from the triggers is asked with every change: it is found once."""
        on_event = any(isinstance(trigger, EventTrigger | FieldTrigger | NamedTrigger) for trigger in self.triggers)
        timed = any(isinstance(trigger, DueTrigger | RecurringTrigger) for trigger in self.triggers)
        dated = timed or any(entry.date_field is not None for entry in self.scheduled)
        object.__setattr__(self, "on_event", on_event)
        object.__setattr__(self, "remembers", self.on_state or self.repeat not in (None, "every_time"))
        object.__setattr__(self, "follows_dates", dated)


@dataclass(frozen=True)
class Workflow:
    """One published workflow."""

    name: str
    version: str
    source: WorkflowFile = field(repr=False)
    main_tab: str
    nodes: Mapping[str, int]
    """Alias to node of the main tab's tree."""
    tabs: Mapping[str, str]
    """Alias to tab."""
    calendar: Calendar
    teams: Mapping[str, str]
    several: Mapping[int, str]
    """Per node of which not all matches count: ``none`` of several, the ``oldest``, or ``fail`` (D-35)."""

    def __hash__(self) -> int:
        return hash((self.name, self.version))


def joins_alike(one: str, other: str) -> bool:
    """Whether two fingerprints of books differ in calendars at most: then nothing has to be joined anew."""
    return one.partition("-")[0] == other.partition("-")[0]


@dataclass(frozen=True)
class Book:
    """All published workflows as the stages read them."""

    workflows: tuple[Workflow, ...] = ()
    trees: Mapping[str, Tree] = field(default_factory=dict)
    rules: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    """Per main tab, in ``order``."""
    read_fields: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per tab what some workflow reads; changes of anything else stop at ``records`` (D-31)."""
    trails: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stamps: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per tab the fields of which it is kept when they got their value: two tabs are synced by them."""
    modified: Mapping[str, str] = field(default_factory=dict)
    """Per tab that is written on a condition the field that says when a record was last changed (D-44)."""
    direct: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Per tab: fields whose value is a journey, and that journey's main tab."""
    indexed: Mapping[str, tuple[tuple[str, bool], ...]] = field(default_factory=dict)
    """Per tab: the fields of its relation keys, and whether their values fold."""
    metadata: Mapping[str, ConnectionMetadata] = field(default_factory=dict)
    key_fields: Mapping[str, str] = field(default_factory=dict)
    """Per connection the field that carries our key on records that we create (D-42)."""
    fingerprint: str = ""
    """Changes when something is published that makes the stages join, read or plan anew."""

    def rule(self, rule_id: str) -> Rule | None:
        """A rule by ``workflow/rule``, or none if it is no longer published."""
        return self._by_id.get(rule_id)

    def all_rules(self) -> Iterator[Rule]:
        """Every rule, in order per main tab."""
        for rules in self.rules.values():
            yield from rules

    @cached_property
    def calendars(self) -> dict[str, str]:
        """Per workflow the fingerprint of its calendar."""
        return {one.name: one.calendar.fingerprint for one in self.workflows}

    @cached_property
    def _by_id(self) -> dict[str, Rule]:
        return {rule.id: rule for rule in self.all_rules()}
