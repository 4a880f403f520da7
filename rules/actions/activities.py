"""Actions that plan time with a customer: events and calls, as records that the CRM keeps in its calendar (D-49)."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from rules.actions.base import (
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
    Who,
    due_duration,
    filled,
)  # fmt: skip
from rules.criteria.scope import UNKNOWN, Unknown
from rules.durations import Duration
from rules.recurrence_forms import read_clock
from rules.templates.filters import text_of
from schemas.values import format_instant, is_empty, parse_instant

_MORNING = "09:00"
_DAY = len("2026-01-31")


def _when(source: str) -> str:
    """``created + 2 days``, or a text with the value of a field."""
    if "{{" not in source:
        Duration.parse(due_duration(source))
    return source


def _length(source: str) -> str:
    Duration.parse(source).elapsed()
    return source


def _clock(source: str) -> str:
    read_clock(source)
    return source


class _Activity(Action):
    on: AliasName = Field(description="The alias of the record that it is about.")
    starts: Annotated[TextSource, AfterValidator(_when)] = Field(
        description="When: `created + 2 days`, or the value of a field that holds a day or an instant."
    )
    at: Annotated[str, AfterValidator(_clock)] | None = Field(
        None, description="The time of that day, in the workflow's zone; of a field that holds a day: 09:00."
    )
    lasts: Annotated[str, AfterValidator(_length)] = Field("1 hour", description="How long.")
    owner: Who | None = Field(None, description="Whose it is.")
    fields: FieldTexts = Field(default_factory=dict, description="Further fields, in the words of the CRM.")

    @property
    def subject(self) -> str:
        """What it is about, in words."""
        return str(getattr(self, self.verb))

    @property
    def default_name(self) -> str:
        """Such steps are called by their verb unless named."""
        return self.verb

    def single(self) -> Iterator[tuple[str, str]]:
        """The record that it is about."""
        yield "on", self.on

    def asks(self) -> Iterator[Asked]:
        """Not every connection keeps such records."""
        yield Asked("on", self.on, self.verb)

    def plan(self, step: StepContext) -> Plan:
        """One keyed record of the CRM's calendar."""
        found, start = step.bound(self.on), self._start(step)
        subject, values = step.text(self.subject), filled(step, self.fields)
        owner = step.who(self.owner) if self.owner else ""
        if isinstance(start, Fail):
            return start
        if isinstance(found, Unknown) or any(isinstance(part, Unknown) for part in (start, subject, values, owner)):
            return Unready()
        if found is None or isinstance(start, Unknown):
            return Skip(f"no {self.verb}: no such record")
        connection = step.target(self.on).connection
        times = {
            "start": format_instant(start), "end": format_instant(start + Duration.parse(self.lasts).elapsed()),
            "day": step.day(start),
        }  # fmt: skip
        fields = {"subject": subject, "about": found[0], **times, **values}
        tab, whose = f"{connection}:{self.verb}", str(owner or "")
        return Do((Draft(connection, tab, self.verb, fields=fields, owner=whose, keyed=True),))

    def _start(self, step: StepContext) -> int | Unknown | Fail:
        if "{{" not in self.starts:
            return step.moment(str(step.due_day(self.starts)), self.at) if self.at else self._later(step)
        value = step.text(self.starts)
        if isinstance(value, Unknown):
            return UNKNOWN
        if is_empty(value):
            return Fail(f"the {self.verb} has no start: the field is empty")
        return self._of_value(step, text_of(value))

    def _later(self, step: StepContext) -> int:
        return step.later(due_duration(self.starts))

    def _of_value(self, step: StepContext, value: str) -> int | Fail:
        try:
            if len(value) == _DAY:
                return step.moment(value, self.at or _MORNING)
            at = parse_instant(value)
            return step.moment(step.day(at), self.at) if self.at else at
        except ValueError:
            return Fail(f"the start of the {self.verb} is neither a day nor an instant")


class Event(_Activity):
    """Puts an event about a record into the CRM's calendar, once per fire."""

    verb: ClassVar[str] = "event"
    event: TextSource = Field(description="What it is.")


class Call(_Activity):
    """Plans a call about a record, once per fire."""

    verb: ClassVar[str] = "call"
    call: TextSource = Field(description="What it is about.")
    lasts: Annotated[str, AfterValidator(_length)] = Field("30 minutes", description="How long.")
