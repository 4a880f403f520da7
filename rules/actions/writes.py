"""Actions that write records: create, update, upsert, assign, task."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from rules.actions.base import (
    CRITERIA,
    Action,
    AliasName,
    Asked,
    Conflict,
    CriteriaText,
    Do,
    Draft,
    Fail,
    FieldTexts,
    Plan,
    Skip,
    StepContext,
    Target,
    TextSource,
    Unready,
    Who,
    due_duration,
    filled,
)  # fmt: skip
from rules.actions.conditional import unless_changed
from rules.criteria.scope import UNKNOWN, RelatedRow, Unknown
from rules.durations import Duration
from rules.trees import ID
from schemas.values import Image, Ref, Value, id_of, is_empty, same


def _due(source: str) -> str:
    """``created + 1 day`` or a bare duration."""
    Duration.parse(due_duration(source))
    return source


class Create(Action):
    """Creates a related record, once per fire; with ``unless_exists`` one made by hand is adopted (D-43)."""

    verb: ClassVar[str] = "create"
    create: AliasName = Field(description="The alias of the tab.")
    fields: FieldTexts = Field(default_factory=dict, description="Its fields and their values.")
    unless_exists: bool | Annotated[str, CRITERIA] = Field(
        False, description="`true`: one that is there already is taken. A condition: one that meets it is."
    )
    owner: Who | None = Field(None, description="The owner of the new record.")
    fallback: Who | None = Field(None, description="The owner if the CRM refuses the first.")
    trigger_native: bool = Field(True, description="Whether the CRM's own automation may react to this write.")

    @property
    def rows_alias(self) -> str | None:
        """``unless_exists`` is asked of the rows of the tab in which a record would be created."""
        return self.create

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The new record's fields."""
        yield self.create, tuple(self.fields), True

    def plan(self, step: StepContext) -> Plan:
        """One keyed create, or the adoption of what is there."""
        found = self._existing(step)
        if isinstance(found, Unknown):
            return Unready()
        if found is not None:
            return Skip("adopted: it exists already", {ID: id_of(found.ref)})
        target = step.target(self.create)
        values = filled(step, self.fields)
        owner = step.who(_owner(step, self.owner, self.fallback)) if self.owner else ""
        if isinstance(values, Unknown) or isinstance(owner, Unknown) or _is_unknown_link(target):
            return Unready()
        link = {} if target.link is None else {target.link[0]: target.link[1]}
        fields = {**_carried(step, target), **link, **_given(values)}
        if any(is_empty(fields[name]) for name in link):
            return Fail(f"there is no record that a new {self.create} could hang on: {next(iter(link))} would be empty")
        return Do((
            Draft(
                target.connection, target.tab, "create", fields=fields, owner=owner or "", keyed=True,
                trigger_native=self.trigger_native,
            ),
        ))  # fmt: skip

    def _existing(self, step: StepContext) -> RelatedRow | Unknown | None:
        if self.unless_exists is False:
            return None
        rows = step.rows(self.create)
        if isinstance(rows, Unknown):
            return rows
        if self.unless_exists is True:
            return rows[0] if rows else None
        verdicts = [(step.holds(self.unless_exists, self.create, row), row) for row in rows]
        found = next((row for verdict, row in verdicts if verdict), None)
        return UNKNOWN if found is None and any(verdict is None for verdict, _ in verdicts) else found


class Update(Action):
    """Gives fields of related records new values; a value that is there already is not written (D-44)."""

    verb: ClassVar[str] = "update"
    update: AliasName = Field(description="The alias of the tab.")
    fields: FieldTexts = Field(description="The fields and their new values.")
    where: CriteriaText | None = Field(None, description="A condition on each related record.")
    all: bool = Field(False, description="Whether all related records are meant.")
    if_unmodified: bool = Field(False, description="Whether to write only what nobody has changed since it was seen.")
    conflict: Conflict | None = Field(
        None, description="What to do if somebody has: `ours` writes on what is there now, `theirs` gives way, `fail`."
    )
    trigger_native: bool = Field(True, description="Whether the CRM's own automation may react to this write.")

    @model_validator(mode="after")
    def _on_condition(self) -> "Update":
        if self.conflict is not None and not self.if_unmodified:
            raise ValueError("`conflict` says what follows from `if_unmodified: true`: add that, or take it out")
        return self

    @property
    def on_condition(self) -> Conflict | None:
        """``fail`` where nothing else is said."""
        return (self.conflict or "fail") if self.if_unmodified else None

    @property
    def rows_alias(self) -> str | None:
        """``where`` is asked of each related record."""
        return self.update

    def single(self) -> Iterator[tuple[str, str]]:
        """One record, unless the action says which of several."""
        if self.where is None and not self.all:
            yield "update", self.update

    def for_several(self, alias: str) -> str:
        """The two ways to mean several."""
        return "`where:` with a condition, or `all: true`"

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The fields given."""
        yield self.update, tuple(self.fields), False

    def plan(self, step: StepContext) -> Plan:
        """One write per record that differs."""
        targets = _targets(step, self.update, self.where, self.all)
        values = filled(step, self.fields)
        if isinstance(targets, Unknown) or isinstance(values, Unknown):
            return Unready()
        if not targets:
            return Skip("nothing to update: no such record")
        target = step.target(self.update)
        drafts = tuple(
            Draft(
                target.connection, target.tab, "update", id_of(ref), changed, part=ref,
                trigger_native=self.trigger_native,
            )
            for ref, image in targets
            if (changed := _differing(image, values))
        )  # fmt: skip
        if not drafts:
            return Skip("unchanged: the values are there already", {ID: id_of(targets[0][0])})
        return unless_changed(step, drafts) if self.if_unmodified else Do(drafts)


class Upsert(Action):
    """Updates the record that has a key value, or creates it."""

    verb: ClassVar[str] = "upsert"
    upsert: AliasName = Field(description="The alias of the tab.")
    key: FieldTexts = Field(description="One field and the value by which the record is found.")
    fields: FieldTexts = Field(default_factory=dict, description="Its other fields and their values.")
    owner: Who | None = Field(None, description="The owner of the record.")

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The key and the fields given."""
        yield self.upsert, (*self.key, *self.fields), True

    def plan(self, step: StepContext) -> Plan:
        """One upsert by key."""
        target = step.target(self.upsert)
        key, values = filled(step, self.key), filled(step, self.fields)
        owner = step.who(self.owner) if self.owner else ""
        if isinstance(key, Unknown) or isinstance(values, Unknown) or isinstance(owner, Unknown):
            return Unready()
        if len(key) != 1 or any(is_empty(value) for value in key.values()):
            return Fail("`key` takes one field with a value that is not empty")
        ((name, value),) = key.items()
        fields = {name: value, **_given(values)}
        return Do(
            (
                Draft(
                    target.connection,
                    target.tab,
                    "upsert",
                    fields=fields,
                    owner=owner or "",
                    key=(name, str(value)),
                ),
            )
        )


class Assign(Action):
    """Gives a record another owner: a user, a team's owner or a queue (D-48)."""

    verb: ClassVar[str] = "assign"
    assign: AliasName = Field(description="The alias of the record.")
    owner: Who = Field(description="Its new owner.")
    fallback: Who | None = Field(None, description="The owner if the CRM refuses the first.")

    def single(self) -> Iterator[tuple[str, str]]:
        """The record whose owner changes."""
        yield "assign", self.assign

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """No field of its own: the connector knows the CRM's owner field."""
        yield self.assign, (), False

    def plan(self, step: StepContext) -> Plan:
        """One owner change."""
        found, owner = step.bound(self.assign), step.who(_owner(step, self.owner, self.fallback))
        if isinstance(found, Unknown) or isinstance(owner, Unknown):
            return Unready()
        if found is None:
            return Skip("nothing to assign: no such record")
        if not owner:
            return Fail("the owner to assign is empty")
        target = step.target(self.assign)
        return Do((Draft(target.connection, target.tab, "update", id_of(found[0]), owner=owner),))


class Task(Action):
    """Opens a task on a record, due some time after its creation (list item 68: ``due: created + 1 day``)."""

    verb: ClassVar[str] = "task"
    task: TextSource = Field(description="What is to be done.")
    on: AliasName = Field(description="The alias of the record that it is about.")
    owner: Who | None = Field(None, description="Who does it.")
    due: Annotated[str, AfterValidator(_due)] | None = Field(None, description="Until when: `created + 1 day`.")
    fields: FieldTexts = Field(default_factory=dict, description="Further fields of the task and their values.")

    @property
    def default_name(self) -> str:
        """Tasks are called so unless named."""
        return "task"

    def single(self) -> Iterator[tuple[str, str]]:
        """The record that the task is about."""
        yield "on", self.on

    def asks(self) -> Iterator[Asked]:
        """A record of the CRM's own tab of tasks."""
        yield Asked("on", self.on, self.verb)

    def plan(self, step: StepContext) -> Plan:
        """One keyed task."""
        found = step.bound(self.on)
        subject, values = step.text(self.task), filled(step, self.fields)
        owner = step.who(self.owner) if self.owner else ""
        if any(isinstance(part, Unknown) for part in (found, subject, values, owner)):
            return Unready()
        if found is None or isinstance(found, Unknown):
            return Skip("no task: no such record")
        target = step.target(self.on)
        fields = {"subject": subject, "about": found[0], **values}
        if self.due:
            fields["due"] = step.due_day(self.due)
        return Do(
            (
                Draft(
                    target.connection,
                    f"{target.connection}:task",
                    "task",
                    fields=fields,
                    owner=str(owner or ""),
                    keyed=True,
                ),
            )
        )


def _targets(step: StepContext, alias: str, where: str | None, every: bool) -> list[tuple[Ref, Image]] | Unknown:
    if where is None and not every:
        found = step.bound(alias)
        if isinstance(found, Unknown):
            return found
        return [] if found is None else [found]
    rows = step.rows(alias)
    if isinstance(rows, Unknown):
        return rows
    verdicts = [(row, True if where is None else step.holds(where, alias, row)) for row in rows]
    if any(verdict is None for _, verdict in verdicts):
        return UNKNOWN
    return [(row.ref, row.image) for row, verdict in verdicts if verdict]


def _owner(step: StepContext, owner: str, fallback: str | None) -> str:
    """The owner to ask for: the named fallback once the owner itself was refused (D-48)."""
    return fallback if step.fallback and fallback is not None else owner


def _differing(image: Image, values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not same(image.get(name), value)}


def _given(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not is_empty(value)}


def _carried(step: StepContext, target: Target) -> dict[str, Any]:
    """The workflow's context fields that the new record has a place for."""
    if target.fields is None:
        return {}
    carried = step.context_fields().items()
    return {name: value for name, value in carried if name in target.fields and not is_empty(value)}


def _is_unknown_link(target: Target) -> bool:
    return target.link is not None and isinstance(target.link[1], Unknown)
