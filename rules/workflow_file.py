"""The shape of a workflow file (semantics F), as strict models: unknown keys are errors.

Actions stay raw mappings here, since a stranger's package may bring more of them: ``rules.book`` reads each with the
model of its verb.
"""

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

Steps: TypeAlias = list[dict[str, Any]]
CriteriaSource: TypeAlias = str | dict[int | str, str]

Repeat = Literal["once", "when_becomes_true", "every_time"]
RepeatSource: TypeAlias = Repeat | dict[Literal["when_value_changes"], list[str]]
EventKind = Literal[
    "created", "edited", "created_or_edited", "deleted", "undeleted", "merged", "converted", "linked", "unlinked",
    "criteria_met", "manual", "called",
]  # fmt: skip


class Part(BaseModel):
    """A part of the file: frozen, and closed to keys that nobody reads."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, populate_by_name=True)


class TabPart(Part):
    """A tab of the workflow's tree and how it hangs on its parent (D-10, D-35)."""

    module: str = Field(description="The tab in its CRM, as connection.Tab.")
    lookup: str | None = Field(None, description="alias.field: the parent's lookup field that names this record.")
    related_to: str | None = Field(None, description="The alias of the parent that this tab's `by` field names.")
    by: str | None = Field(None, description="This tab's lookup field to the parent.")
    match: dict[str, str] | None = Field(None, description="This tab's field and the parent's alias.field it equals.")
    several: Literal["none", "oldest", "fail", "all"] = Field("all", description="What several matches mean.")

    @model_validator(mode="after")
    def _one_way(self) -> "TabPart":
        if (self.related_to is None) != (self.by is None):
            raise ValueError("`related_to` and `by` go together")
        if sum(way is not None for way in (self.lookup, self.related_to, self.match)) > 1:
            raise ValueError("a tab hangs on its parent by one of `lookup`, `related_to` or `match`")
        if self.match is not None and len(self.match) != 1:
            raise ValueError("`match` takes one pair: this tab's field and the parent's alias.field")
        return self


class FieldUpdated(Part):
    """Given fields were edited (D-11, D-119)."""

    field_updated: str | list[str]
    from_: Any = Field(None, alias="from")
    to: Any = None
    to_any_of: list[Any] | None = None
    increased_by: int | None = None
    decreased_by: int | None = None


class SectionUpdated(Part):
    """Any field of a named group was edited."""

    section_updated: str


class Becomes(Part):
    """The expression goes from not true to true: shorthand for ``criteria_met``."""

    becomes: str


class DateTrigger(Part):
    """At a date field of the record, plus or minus an offset, at a clock time (D-50, D-58)."""

    date: str
    before: str | None = None
    after: str | None = None
    at: str | None = None
    repeat: Literal["none", "monthly", "yearly"] = "none"


class ScheduleTrigger(Part):
    """At the times of a recurrence, for every record that meets the criteria then (D-58)."""

    schedule: str
    catch_up: Literal["last", "all", "none"] = "last"


class SignalTrigger(Part):
    """A named outside event."""

    signal: str


class ScoreTrigger(Part):
    """A score crossed, rose or fell (D-91)."""

    score: Any


Trigger: TypeAlias = (
    EventKind | Becomes | FieldUpdated | SectionUpdated | DateTrigger | ScheduleTrigger | SignalTrigger | ScoreTrigger
)


class OnDate(Part):
    """A moment given by a date field."""

    field: str
    before: str | None = None
    after: str | None = None


class ScheduledPart(Part):
    """Actions that run later, counted from the fire or from a date field (D-50 to D-54)."""

    after: str | None = None
    on: OnDate | None = None
    at: str | None = Field(None, description="A clock time, as 09:00.")
    actions: Steps
    keep: Literal["first", "latest", "all"] = "latest"
    cancel_on_exit: bool = True
    recheck: bool = True
    late: str = Field("skip_after: 24 hours", description="run, or skip_after: a duration.")
    again_if_moved: bool = False


class RulePart(Part):
    """One rule: what wakes it, what must hold, what it does."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    description: str = ""
    trigger: Trigger | list[Trigger]
    criteria: CriteriaSource | None = None
    repeat: RepeatSource | None = None
    actions: Steps = []
    scheduled_actions: list[ScheduledPart] = []
    fresh: str | None = None
    priority: int = 0
    hold: bool = True
    loop: Literal["intended"] | None = None
    bulk: Any = None

    @model_validator(mode="after")
    def _does_something(self) -> "RulePart":
        if not self.actions and not self.scheduled_actions:
            raise ValueError("a rule needs `actions` or `scheduled_actions`")
        return self


class StagePart(Part):
    """A stage of the journey, for reports and hand-over times."""

    name: str
    tab: str
    teams: list[str] = []
    expected: str | None = None


class TestPart(Part):
    """A story that the file itself tells and ``renkei test`` runs."""

    __test__ = False  # pytest: not a test class

    name: str
    given: Steps = []
    when: Steps
    expect: Steps


class WorkflowFile(Part):
    """A whole workflow file."""

    workflow: str = Field(pattern=r"^[\w][\w.-]*$")
    description: str = ""
    owner: str = ""
    timezone: str = "UTC"
    calendar: str | None = None
    main_tab: str
    tabs: dict[str, TabPart]
    teams: dict[str, str] = {}
    context: list[str] = []
    stages: list[StagePart] = []
    sections: dict[str, list[str]] = {}
    formulas: dict[str, str] = {}
    existing_records: Literal["baseline", "enrol", "ignore"] = "baseline"
    rules: dict[str, list[RulePart]] = {}
    milestones: Any = None
    approvals: Any = None
    tests: list[TestPart] = []
