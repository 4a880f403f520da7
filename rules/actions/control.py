"""Actions that steer the fire: branch, for each, wait."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from rules.actions.base import (
    STEPS,
    Action,
    AliasName,
    Block,
    CriteriaText,
    Expand,
    Plan,
    Skip,
    StepContext,
    Unready,
    WaitUntil,
)  # fmt: skip
from rules.criteria.scope import Unknown
from rules.durations import Duration
from rules.recurrence_forms import read_clock
from rules.workflow_file import Part, Steps


class Arm(Part):
    """One way of a branch: ``if`` with ``then``, or ``otherwise`` alone."""

    if_: str | None = Field(None, alias="if", description="A condition.")
    then: Steps | None = Field(None, description="The actions of this way.")
    otherwise: Steps | None = Field(None, description="The actions if no way before it was taken.")

    @model_validator(mode="after")
    def _whole(self) -> "Arm":
        if (self.if_ is None) != (self.then is None) or (self.if_ is None) == (self.otherwise is None):
            raise ValueError("a way of a branch is `if` with `then`, or `otherwise`")
        return self


class Branch(Action):
    """Runs the first way whose condition holds."""

    verb: ClassVar[str] = "branch"
    branch: Annotated[list[Arm], STEPS] = Field(description="The ways; the first whose `if` holds is taken.")

    @property
    def default_name(self) -> str:
        """Branches have no outputs."""
        return "branch"

    def conditions(self) -> Iterator[tuple[str, str | None]]:
        """The condition of each way."""
        for arm in self.branch:
            if arm.if_ is not None:
                yield arm.if_, None

    def blocks(self) -> Iterator[tuple[str, Any]]:
        """The ways by number."""
        for number, arm in enumerate(self.branch):
            yield str(number), arm.then if arm.then is not None else arm.otherwise
        if isinstance(self.on_error, list):
            yield "on_error", self.on_error

    def plan(self, step: StepContext) -> Plan:
        """The first way that holds; unknown conditions wait."""
        for number, arm in enumerate(self.branch):
            verdict = True if arm.if_ is None else step.holds(arm.if_)
            if verdict is None:
                return Unready()
            if verdict:
                return Expand(str(number))
        return Skip("no way of the branch holds")


class ForEach(Action):
    """Runs a block once for each related record that meets a condition, in order of their names."""

    verb: ClassVar[str] = "for_each"
    for_each: AliasName = Field(description="The alias of the related tab.")
    where: CriteriaText | None = Field(None, description="A condition on each related record.")
    do: Block = Field(description="The actions; inside, the alias means the one record.")

    @property
    def rows_alias(self) -> str | None:
        """``where`` is asked of each related record."""
        return self.for_each

    @property
    def binds(self) -> str:
        """Each related record in turn."""
        return self.for_each

    def plan(self, step: StepContext) -> Plan:
        """The block for every row that holds."""
        rows = step.rows(self.for_each)
        if isinstance(rows, Unknown):
            return Unready()
        verdicts = [(row, True if self.where is None else step.holds(self.where, self.for_each, row)) for row in rows]
        if any(verdict is None for _, verdict in verdicts):
            return Unready()
        chosen = tuple((self.for_each, row.ref) for row, verdict in verdicts if verdict)
        return Expand("do", chosen) if chosen else Skip("no related record to do this for")


def _moment(source: str) -> str:
    """A duration, or ``until`` with a clock time."""
    clock = source.removeprefix("until ")
    if clock != source:
        read_clock(clock)
    else:
        Duration.parse(source)
    return source


class Wait(Action):
    """Pauses the fire: ``wait: 2 business days`` in the workflow's calendar, or ``wait: until 09:00``."""

    verb: ClassVar[str] = "wait"
    wait: Annotated[str, AfterValidator(_moment)] = Field(description="A duration, or `until` and a clock time.")

    @property
    def default_name(self) -> str:
        """Waits have no outputs."""
        return "wait"

    @property
    def business_time(self) -> Duration | None:
        """How long, where that is counted in business time; else none."""
        duration = None if self.wait.startswith("until ") else Duration.parse(self.wait)
        return duration if duration is not None and duration.is_business else None

    def plan(self, step: StepContext) -> Plan:
        """The instant to go on at."""
        clock = self.wait.removeprefix("until ")
        return WaitUntil(step.until(clock) if clock != self.wait else step.later(self.wait))
