"""Actions on one record beside writing its fields: delete, tag, note, lock, and moving it along a blueprint (D-49)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator

from rules.actions.base import (
    TEXT,
    Action,
    AliasName,
    Asked,
    Do,
    Draft,
    Fail,
    FieldTexts,
    Plan,
    Skip,
    StepContext,
    TextSource,
    Unready,
    filled,
)  # fmt: skip
from rules.criteria.scope import UNKNOWN, Unknown
from rules.templates.filters import text_of
from schemas.values import id_of, is_empty

_OF_ALL = frozenset(Action.model_fields)

Told = Mapping[str, Any] | Unknown | Fail
"""What a command tells the CRM; unknown while something that it reads is; a refusal where it cannot be meant."""


class OnRecord(Action):
    """One command about the one record that an alias means; a subclass says what it tells the CRM."""

    on_key: ClassVar[str] = ""
    """The key that names the record's tab; the verb's own where it is empty."""
    keyed: ClassVar[bool] = False

    @property
    def alias(self) -> str:
        """The tab of the record."""
        return str(getattr(self, self.on_key or self.verb))

    @property
    def default_name(self) -> str:
        """Such steps are called by their verb unless named."""
        return self.verb

    def single(self) -> Iterator[tuple[str, str]]:
        """The one record."""
        yield self.on_key or self.verb, self.alias

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """No field of the record by name."""
        yield self.alias, (), False

    def asks(self) -> Iterator[Asked]:
        """The operation of the verb, with the keys that the author gave it."""
        yield Asked(self.on_key or self.verb, self.alias, self.verb, tuple(sorted(self.model_fields_set - _OF_ALL)))

    def told(self, step: StepContext) -> Told:
        """The fields of the command."""
        return {}

    def plan(self, step: StepContext) -> Plan:
        """One command."""
        found, told = step.bound(self.alias), self.told(step)
        owner = step.who(named) if (named := getattr(self, "owner", None)) else ""
        if isinstance(found, Unknown) or isinstance(told, Unknown) or isinstance(owner, Unknown):
            return Unready()
        if found is None:
            return Skip(f"nothing to {self.verb}: no such record")
        if isinstance(told, Fail):
            return told
        target = step.target(self.alias)
        return Do((
            Draft(
                target.connection, target.tab, self.verb, id_of(found[0]), told, owner=owner or "", keyed=self.keyed,
                trigger_native=getattr(self, "trigger_native", True),
            ),
        ))  # fmt: skip


class Delete(OnRecord):
    """Deletes one record, from a tab that renkei.yaml permits this for (D-49); one that is gone already is done."""

    verb: ClassVar[str] = "delete"
    delete: AliasName = Field(description="The alias of the record.")
    trigger_native: bool = Field(True, description="Whether the CRM's own automation may react to this write.")


class _Tags(OnRecord):
    tags: Annotated[list[str], TEXT] = Field(min_length=1, description="The names of the tags.")

    @field_validator("tags")
    @classmethod
    def _have_names(cls, tags: list[str]) -> list[str]:
        if not all(tag.strip() for tag in tags):
            raise ValueError("a tag has a name")
        return tags

    def told(self, step: StepContext) -> Told:
        """The names, each once; an empty one is left out."""
        values = filled(step, self.tags)
        if isinstance(values, Unknown):
            return UNKNOWN
        tags = [tag for value in values for tag in (value if isinstance(value, list) else [value])]
        names = list(dict.fromkeys(name for tag in tags if (name := text_of(tag).strip())))
        return {"tags": names} if names else Fail("there is no tag: every name is empty")


class Tag(_Tags):
    """Puts tags on one record; one that is there already stays."""

    verb: ClassVar[str] = "tag"
    tag: AliasName = Field(description="The alias of the record.")


class Untag(_Tags):
    """Takes tags off one record; one that is not there is left alone."""

    verb: ClassVar[str] = "untag"
    untag: AliasName = Field(description="The alias of the record.")


class Note(OnRecord):
    """Writes a note on one record, once per fire."""

    verb: ClassVar[str] = "note"
    on_key: ClassVar[str] = "on"
    keyed: ClassVar[bool] = True
    note: TextSource = Field(description="What the note says.")
    on: AliasName = Field(description="The alias of the record that it hangs on.")
    title: TextSource | None = Field(None, description="Its title.")

    def told(self, step: StepContext) -> Told:
        """Title and text; a note that would say nothing is refused."""
        text, title = step.text(self.note), "" if self.title is None else step.text(self.title)
        if isinstance(text, Unknown) or isinstance(title, Unknown):
            return UNKNOWN
        if is_empty(text):
            return Fail("the note would be empty")
        return {"text": text_of(text), **({} if is_empty(title) else {"title": text_of(title)})}


class Lock(OnRecord):
    """Locks one record, so that people cannot edit it (Zoho)."""

    verb: ClassVar[str] = "lock"
    lock: AliasName = Field(description="The alias of the record.")
    reason: TextSource | None = Field(None, description="Why, as people see it.")

    def told(self, step: StepContext) -> Told:
        """The reason."""
        reason = "" if self.reason is None else step.text(self.reason)
        if isinstance(reason, Unknown):
            return reason
        return {} if is_empty(reason) else {"reason": text_of(reason)}


class Unlock(OnRecord):
    """Takes the lock off one record (Zoho)."""

    verb: ClassVar[str] = "unlock"
    unlock: AliasName = Field(description="The alias of the record.")


class Transition(OnRecord):
    """Moves one record along the CRM's own blueprint (Zoho), with the fields that the transition asks for (D-105)."""

    verb: ClassVar[str] = "transition"
    transition: AliasName = Field(description="The alias of the record.")
    take: TextSource = Field(description="The transition, by its name or id.")
    fields: FieldTexts = Field(default_factory=dict, description="The fields that it asks for, and their values.")

    def written(self) -> Iterator[tuple[str, Iterable[str], bool]]:
        """The fields given; the state field is the blueprint's own."""
        yield self.transition, tuple(self.fields), False

    def told(self, step: StepContext) -> Told:
        """Its name and the values."""
        name, values = step.text(self.take), filled(step, self.fields)
        if isinstance(name, Unknown) or isinstance(values, Unknown):
            return UNKNOWN
        if is_empty(name):
            return Fail("the transition to take is empty")
        return {"transition": text_of(name), **({"values": values} if values else {})}
