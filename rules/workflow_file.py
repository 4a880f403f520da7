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

    field_updated: str | list[str] = Field(description="The field, or several of which one must have changed.")
    from_: Any = Field(None, alias="from", description="The value that it had before.")
    to: Any = Field(None, description="The value that it has now.")
    to_any_of: list[Any] | None = Field(None, description="The values of which it has one now.")
    increased_by: int | None = Field(None, description="It rose by at least so much.")
    decreased_by: int | None = Field(None, description="It fell by at least so much.")


class SectionUpdated(Part):
    """Any field of a named group was edited."""

    section_updated: str = Field(description="A name under `sections:`.")


class Becomes(Part):
    """The expression goes from not true to true: shorthand for ``criteria_met``."""

    becomes: str = Field(description="A condition.")


class DateTrigger(Part):
    """At a date field of the record, plus or minus an offset, at a clock time (D-50, D-58)."""

    date: str = Field(description="The date field of the rule's own tab.")
    before: str | None = Field(None, description="How long before that date.")
    after: str | None = Field(None, description="How long after that date.")
    at: str | None = Field(None, description="A clock time, as 09:00, in the workflow's time zone.")
    repeat: Literal["none", "monthly", "yearly"] = Field("none", description="Whether the date returns.")


class ScheduleTrigger(Part):
    """At the times of a recurrence, for every record that meets the criteria then (D-58)."""

    schedule: str = Field(description="Words, a cron line or an RRULE.")
    catch_up: Literal["last", "all", "none"] = Field(
        "last", description="Which of the times are made up that passed while nothing ran."
    )


class SignalTrigger(Part):
    """A named outside event."""

    signal: str = Field(description="The name of the signal.")


class ScoreTrigger(Part):
    """A score crossed, rose or fell (D-91)."""

    score: Any = Field(description="Not built yet.")


Trigger: TypeAlias = (
    EventKind | Becomes | FieldUpdated | SectionUpdated | DateTrigger | ScheduleTrigger | SignalTrigger | ScoreTrigger
)


class OnDate(Part):
    """A moment given by a date field."""

    field: str = Field(description="The date field of the rule's own tab.")
    before: str | None = Field(None, description="How long before that date.")
    after: str | None = Field(None, description="How long after that date.")


class ScheduledPart(Part):
    """Actions that run later, counted from the fire or from a date field (D-50 to D-54)."""

    after: str | None = Field(None, description="How long after the fire.")
    on: OnDate | None = Field(None, description="A date field to count from instead of the fire.")
    at: str | None = Field(None, description="A clock time, as 09:00.")
    actions: Steps = Field(description="What is done then.")
    keep: Literal["first", "latest", "all"] = Field(
        "latest", description="Which waiting timer stays when the rule fires again for the same record."
    )
    cancel_on_exit: bool = Field(True, description="Whether it is cancelled at once when the criteria stop holding.")
    recheck: bool = Field(True, description="Whether the criteria are asked again when the time has come.")
    late: str = Field("skip_after: 24 hours", description="run, or skip_after: a duration.")
    again_if_moved: bool = Field(False, description="Whether it runs again when its date moves after it ran.")


class RulePart(Part):
    """One rule: what wakes it, what must hold, what it does."""

    name: str = Field(
        pattern=r"^[\w][\w.-]*$", description="Unique in the file: letters, digits, `_`, `-`, `.`, no spaces."
    )
    description: str = Field("", description="What it is for, in your words.")
    trigger: Trigger | list[Trigger] = Field(description="What wakes the rule; a list means any of these.")
    criteria: CriteriaSource | None = Field(None, description="What must hold: one condition, or numbered rows.")
    repeat: RepeatSource | None = Field(None, description="When it fires again for the same record.")
    actions: Steps = Field([], description="What it does at once, in this order.")
    scheduled_actions: list[ScheduledPart] = Field([], description="What it does later.")
    fresh: str | None = Field(
        None,
        description="A length of time: records seen longer ago are read again from their CRM before the rule acts.",
    )
    priority: int = Field(0, description="Where two rules write one field, the higher number wins.")
    hold: bool = Field(True, description="Whether later fires of the journey wait while one needs attention.")
    loop: Literal["intended"] | None = Field(
        None, description="`intended` allows a loop; it needs criteria that end it."
    )
    bulk: Any = Field(None, description="Not built yet.")

    @model_validator(mode="after")
    def _does_something(self) -> "RulePart":
        if not self.actions and not self.scheduled_actions:
            raise ValueError("a rule needs `actions` or `scheduled_actions`")
        return self


class SyncPart(Part):
    """Two tabs whose records are kept alike, whichever of them is edited."""

    name: str = Field(
        pattern=r"^[\w][\w.-]*$", description="Unique in the file, as the names of rules are: `explain` calls it so."
    )
    description: str = Field("", description="What it is for, in your words.")
    between: list[str] = Field(
        min_length=2, max_length=2, description="The aliases of the two tabs; one hangs directly on the other."
    )
    fields: dict[str, str] = Field(
        min_length=1, description="The fields: that of the first tab, and that of the second which is to hold the same."
    )
    conflict: str = Field(
        "newest", description="Who wins if both were changed: `newest`, one of the two aliases, or nobody: `fail`."
    )
    trigger_native: bool = Field(True, description="Whether the CRM's own automation may react to these writes.")


class StagePart(Part):
    """A stage of the journey, for reports and hand-over times."""

    name: str = Field(description="The stage as reports call it.")
    tab: str = Field(description="The alias of the tab whose record stands for the stage.")
    teams: list[str] = Field([], description="The teams that hand over to each other, the receiving one last.")
    expected: str | None = Field(None, description="How long the stage should take, as 10 business days.")


class TestPart(Part):
    """A story that the file itself tells and ``renkei test`` runs."""

    __test__ = False  # pytest: not a test class

    name: str = Field(description="What the story shows.")
    given: Steps = Field([], description="What there is before it begins; this fires nothing.")
    when: Steps = Field(description="What happens.")
    expect: Steps = Field(description="What must have come of it.")


class WorkflowFile(Part):
    """A whole workflow file."""

    workflow: str = Field(pattern=r"^[\w][\w.-]*$", description="Its name, unique in the project, without spaces.")
    description: str = Field("", description="What it is for, in your words.")
    owner: str = Field("", description="Who answers for it.")
    timezone: str = Field("UTC", description="The zone of its dates and clock times, as Asia/Tokyo.")
    calendar: str | None = Field(
        None, description="Opening hours and holidays: a name under `calendars:` of renkei.yaml."
    )
    main_tab: str = Field(description="The alias of the tab that a journey is about.")
    tabs: dict[str, TabPart] = Field(description="The tabs by alias, and how each hangs on another.")
    teams: dict[str, str] = Field({}, description="Short names for groups, and how the CRM calls each.")
    context: list[str] = Field(
        [], description="Fields that are carried into created records, notifications and webhooks."
    )
    stages: list[StagePart] = Field([], description="The stages of the journey, for hand-over times.")
    sections: dict[str, list[str]] = Field({}, description="Named groups of fields, for `section_updated`.")
    formulas: dict[str, str] = Field({}, description="Named expressions, for criteria and texts.")
    existing_records: Literal["baseline", "enrol", "ignore"] = Field(
        "baseline", description="What a new rule does with records for which its criteria hold already."
    )
    rules: dict[str, list[RulePart]] = Field({}, description="The rules, under the alias of the tab that each watches.")
    sync: list[SyncPart] = Field([], description="Pairs of tabs that are kept alike, whichever of them is edited.")
    milestones: Any = Field(None, description="Not built yet.")
    approvals: Any = Field(None, description="Not built yet.")
    tests: list[TestPart] = Field([], description="Stories that `renkei test` runs.")

    def names(self) -> list[str]:
        """The names of all rules in file order, those that syncs stand for last."""
        rules = [part.name for parts in self.rules.values() for part in parts]
        return rules + [part.name for part in self.sync]
