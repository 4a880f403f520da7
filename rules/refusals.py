"""What a file may not ask for: things that cannot be meant, and things that are not built yet."""

from collections.abc import Iterator

from rules.book import CompiledTrigger, DueTrigger, EventTrigger, RecurringTrigger, Step
from rules.criteria import Criteria
from rules.criteria.tree import Field
from rules.criteria.walking import walk
from rules.document import Document, Path
from rules.durations import Duration
from rules.errors import Problem
from rules.suggest import did_you_mean
from rules.triggers import NOT_YET
from rules.workflow_file import RulePart, WorkflowFile

_LEAVING = frozenset({"deleted", "merged"})


def refusals_of_file(file: WorkflowFile, document: Document) -> Iterator[Problem]:
    """What is wrong with the file outside its rules."""
    for key in ("milestones", "approvals"):
        if getattr(file, key) is not None:
            place = document.place((key,), key=True)
            yield Problem(f"`{key}` {NOT_YET}", "Take the block out to publish the rest.", place)
    yield from _of_stages(file, document)


def _of_stages(file: WorkflowFile, document: Document) -> Iterator[Problem]:
    for number, stage in enumerate(file.stages):
        at: Path = ("stages", number)
        if stage.tab not in file.tabs:
            hint = did_you_mean(stage.tab, list(file.tabs))
            yield document.problem((*at, "tab"), f"unknown tab '{stage.tab}'", hint)
        for place, team in enumerate(stage.teams):
            if team not in file.teams:
                hint = did_you_mean(team, list(file.teams)) or "Name it under `teams:`."
                yield document.problem((*at, "teams", place), f"unknown team '{team}'", hint)
        try:
            Duration.parse(stage.expected or "1 day")
        except ValueError as error:
            yield document.problem((*at, "expected"), str(error))


class RuleRefusals:
    """What is wrong with one rule as a whole: parts that are sound alone and do not go together."""

    def __init__(self, file: WorkflowFile, document: Document, alias: str, part: RulePart, at: Path) -> None:
        self._file, self._document, self._alias, self._part, self._at = file, document, alias, part, at

    def found(
        self, triggers: tuple[CompiledTrigger, ...], criteria: Criteria | None, steps: list[Step]
    ) -> Iterator[Problem]:
        """All of it."""
        if self._part.bulk is not None:
            yield self._key("bulk", f"`bulk` {NOT_YET}", "Leave it out.")
        timed = bool(triggers) and all(isinstance(one, DueTrigger | RecurringTrigger) for one in triggers)
        if timed and self._part.repeat not in (None, "once", "every_time"):
            problem = "a rule that only times wake has no edge to repeat on"
            yield self._key("repeat", problem, "Use `once` or `every_time`, or leave it out.")
        if criteria is not None and criteria.reads_changes:
            yield from self._asked_again()
        if any(isinstance(one, EventTrigger) and one.kind in _LEAVING for one in triggers):
            yield from self._of_leaving(criteria, steps)

    def _asked_again(self) -> Iterator[Problem]:
        for number, entry in enumerate(self._part.scheduled_actions):
            if entry.recheck or entry.cancel_on_exit:
                yield self._document.problem(
                    (*self._at, "scheduled_actions", number),
                    "criteria about a change cannot be asked again when these actions are due (D-117)",
                    "Put the change into `trigger: field_updated`,\n"
                    "or write `recheck: false` and `cancel_on_exit: false`.",
                )

    def _of_leaving(self, criteria: Criteria | None, steps: list[Step]) -> Iterator[Problem]:
        """Of a deleted record only what it was before can be asked, and nothing can be written to it (D-11)."""
        gone = set(self._file.tabs) if self._alias == self._file.main_tab else {self._alias}
        nodes = walk(criteria.tree) if criteria is not None else iter(())
        for name in sorted({node.alias for node in nodes if isinstance(node, Field)} & gone):
            hint = "Ask what the record held before, as in before.Stage."
            yield self._key("criteria", f"there is no {name} any more when this rule wakes", hint)
        for step in steps:
            for written, _, creates in step.action.written():
                if written in gone and not creates:
                    problem = f"`{step.action.verb}: {written}` writes to a record that is no longer there"
                    yield self._key("actions", problem, "Write to a related record, or notify somebody.")

    def _key(self, key: str, problem: str, hint: str) -> Problem:
        return Problem(problem, hint, self._document.place((*self._at, key), key=True))
