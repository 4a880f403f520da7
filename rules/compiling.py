"""Compiling one workflow: triggers, criteria and actions of its rules, every problem with its place."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rules.book import (
    CompiledTrigger,
    DueTrigger,
    EventTrigger,
    FieldTrigger,
    NamedTrigger,
    RecurringTrigger,
    Rule,
    Scheduled,
    StateTrigger,
    Workflow,
)  # fmt: skip
from rules.criteria import AliasContext, Context, Criteria, CriteriaError, compile_criteria
from rules.document import Document, Path
from rules.due import DuePlan, Lateness
from rules.durations import Duration
from rules.errors import Problem
from rules.project import Project
from rules.recurrence import Recurrence
from rules.steps import Read, StepCompiler
from rules.suggest import did_you_mean
from rules.tabs import single_aliases
from rules.trees import ID, Tree
from rules.validation import problem_in_text
from rules.workflow_file import (
    Becomes,
    DateTrigger,
    FieldUpdated,
    RulePart,
    ScheduledPart,
    ScheduleTrigger,
    ScoreTrigger,
    SectionUpdated,
    SignalTrigger,
    Trigger,
)  # fmt: skip

NOT_YET = "is not built yet"


class RuleCompiler:
    """Compiles the rules of one workflow. ``problems`` holds what is wrong; ``reads`` what ``records`` must keep."""

    def __init__(self, workflow: Workflow, tree: Tree, document: Document, project: Project) -> None:
        self._workflow, self._tree = workflow, tree
        self._document, self._project = document, project
        self._file = workflow.source
        self.problems: list[Problem] = []
        self.reads: set[Read] = set()
        self.trails: set[Read] = set()

    def rules(self) -> Iterator[tuple[RulePart, Rule]]:
        """The rules in file order; ``order`` is still the place in the file."""
        self._refuse_unbuilt()
        names: set[str] = set()
        for alias, parts in self._file.rules.items():
            at: Path = ("rules", alias)
            if alias not in self._file.tabs:
                hint = did_you_mean(alias, list(self._file.tabs)) or f"There are: {', '.join(self._file.tabs)}."
                self._tell(at, f"unknown tab '{alias}'", hint, key=True)
                continue
            for number, part in enumerate(parts):
                if part.name in names:
                    self._tell((*at, number, "name"), f"two rules are called '{part.name}'", "Rename one of them.")
                names.add(part.name)
                yield part, self._rule(alias, part, (*at, number), len(names))

    # -- one rule --------------------------------------------------------------

    def _rule(self, alias: str, part: RulePart, at: Path, order: int) -> Rule:
        node = self._workflow.nodes.get(alias, 0)
        triggers = tuple(self._triggers(alias, part, at))
        criteria = self._criteria(alias, part, triggers, at)
        steps = StepCompiler(self._file, self._document, self._project, self._context, alias)
        top = steps.block(part.actions, (*at, "actions"), "", frozenset())
        earlier = frozenset(step.name for step in steps.compiled.steps.values())
        scheduled = tuple(
            self._scheduled(alias, number, entry, steps, (*at, "scheduled_actions", number), earlier)
            for number, entry in enumerate(part.scheduled_actions)
        )
        self.problems += steps.problems
        if part.bulk is not None:
            self._tell((*at, "bulk"), f"`bulk` {NOT_YET}", "Leave it out.", key=True)
        context_reads = self._context_reads() if steps.compiled.steps else set()
        self._note_reads(alias, criteria, triggers, steps, context_reads)
        value_fields = frozenset(next(iter(part.repeat.values()))) if isinstance(part.repeat, dict) else frozenset()
        self.reads |= {(alias, name) for name in value_fields}
        return Rule(
            id=f"{self._workflow.name}/{part.name}",
            workflow=self._workflow,
            name=part.name,
            alias=alias,
            node=node,
            order=order,
            triggers=triggers,
            criteria=criteria,
            repeat=part.repeat,
            value_fields=value_fields,
            steps=steps.compiled.steps,
            top=top,
            scheduled=scheduled,
            reads=self._by_node(criteria.reads if criteria is not None else ()),
            action_nodes=frozenset(self._by_node({*steps.compiled.reads, *context_reads})),
            fresh=self._duration(part.fresh, (*at, "fresh")),
            hold=part.hold,
            on_state=any(isinstance(trigger, StateTrigger) for trigger in triggers),
            on_event=any(isinstance(trigger, EventTrigger | FieldTrigger | NamedTrigger) for trigger in triggers),
            timed=criteria is not None and criteria.timed,
        )

    def _criteria(self, alias: str, part: RulePart, triggers: tuple[CompiledTrigger, ...], at: Path) -> Criteria | None:
        becomes = next((one for one in _listed(part.trigger) if isinstance(one, Becomes)), None)
        source, path = (part.criteria, (*at, "criteria"))
        if becomes is not None:
            source, path = self._with_becomes(becomes, part, at)
        if source is None:
            if any(isinstance(trigger, StateTrigger) for trigger in triggers):
                self._tell((*at, "trigger"), "`criteria_met` needs `criteria:`", "Say what has to become true.")
            return None
        on_change = bool(triggers) and all(isinstance(one, EventTrigger | FieldTrigger) for one in triggers)
        try:
            return compile_criteria(source, self._context(alias, frozenset(), changes=on_change))
        except CriteriaError as error:
            self.problems.append(problem_in_text(self._document, path, error))
            return None

    def _with_becomes(self, becomes: Becomes, part: RulePart, at: Path) -> tuple[Any, Path]:
        path = (*at, "trigger", "becomes")
        if isinstance(part.trigger, list):
            self._tell((*at, "trigger"), "`becomes` goes alone", "Use `criteria_met` and `criteria:` beside others.")
        if part.criteria is None:
            return becomes.becomes, path
        if isinstance(part.criteria, str):
            return f"({becomes.becomes}) and ({part.criteria})", path
        self._tell((*at, "criteria"), "numbered criteria do not go with `becomes`",
                   "Use `trigger: criteria_met` and make the expression a row.", key=True)  # fmt: skip
        return becomes.becomes, path

    # -- triggers --------------------------------------------------------------

    def _triggers(self, alias: str, part: RulePart, at: Path) -> Iterator[CompiledTrigger]:
        several = isinstance(part.trigger, list)
        for number, trigger in enumerate(_listed(part.trigger)):
            path = (*at, "trigger", number) if several else (*at, "trigger")
            compiled = self._try(partial(self._trigger, alias, trigger, path), path)
            if compiled is not None:
                yield compiled

    def _trigger(self, alias: str, trigger: Trigger, at: Path) -> CompiledTrigger | None:  # noqa: PLR0911 - a table
        match trigger:
            case "criteria_met" | Becomes():
                return StateTrigger()
            case "manual":
                return NamedTrigger("manual")
            case "called":
                self._tell(at, f"the trigger `called` {NOT_YET}", "Use a trigger of the record itself.")
            case str():
                return EventTrigger(trigger)
            case FieldUpdated():
                return self._field_trigger(alias, trigger, at)
            case SectionUpdated():
                fields = self._file.sections.get(trigger.section_updated)
                if fields is None:
                    hint = did_you_mean(trigger.section_updated, list(self._file.sections))
                    self._tell(
                        at,
                        f"unknown section '{trigger.section_updated}'",
                        hint or "Name it under `sections:`.",
                    )
                    return None
                return FieldTrigger(self._own_fields(alias, fields, at), trigger)
            case SignalTrigger():
                return NamedTrigger(trigger.signal)
            case DateTrigger():
                (field,) = self._own_fields(alias, [trigger.date], at)
                form = {"field": field, "before": trigger.before, "after": trigger.after, "at": trigger.at}
                return DueTrigger(field, DuePlan.parse({**form, "repeat": trigger.repeat}), trigger.repeat)
            case ScheduleTrigger():
                return RecurringTrigger(Recurrence.parse(trigger.schedule), trigger.catch_up)
            case ScoreTrigger():
                self._tell(at, f"the trigger `score` {NOT_YET}", "Use a criterion on the field that holds the score.")
        return None

    def _field_trigger(self, alias: str, trigger: FieldUpdated, at: Path) -> FieldTrigger:
        names = trigger.field_updated if isinstance(trigger.field_updated, list) else [trigger.field_updated]
        if "to" in trigger.model_fields_set:
            hint = f"A record that is created with this value is only seen by `becomes: {names[0]} is …` (D-119)."
            problem = "`field_updated` with `to` fires on edits only"
            self.problems.append(self._document.problem(at, problem, hint, "warning"))
        return FieldTrigger(self._own_fields(alias, names, at), trigger)

    def _own_fields(self, alias: str, names: list[str], at: Path) -> frozenset[str]:
        tab = self._project.tab(self._workflow.tabs[alias])
        for name in names:
            self.reads.add((alias, name))
            if tab is not None and name not in tab.fields and name != ID:
                hint = did_you_mean(name, list(tab.fields))
                self._tell(at, f"unknown field '{name}' of {alias} ({self._file.tabs[alias].module})", hint)
        return frozenset(names)

    # -- scheduled actions --------------------------------------------------------------

    def _scheduled(
        self,
        alias: str,
        number: int,
        part: ScheduledPart,
        steps: StepCompiler,
        at: Path,
        earlier: frozenset[str],
    ) -> Scheduled:
        on = part.on
        form = {"after": part.after, "at": part.at}
        if on is not None:
            self._own_fields(alias, [on.field], (*at, "on", "field"))
            form = {"field": on.field, "before": on.before, "after": on.after, "at": part.at}
        plan = self._try(lambda: DuePlan.parse(form), at) or DuePlan()
        lateness = self._try(lambda: Lateness.parse(part.late), (*at, "late")) or Lateness()
        paths = steps.block(part.actions, (*at, "actions"), f"scheduled.{number}.", earlier)
        return Scheduled(
            number, plan, on.field if on is not None else None, paths, part.keep, part.cancel_on_exit, part.recheck,
            lateness, part.again_if_moved,
        )  # fmt: skip

    # -- names and reads --------------------------------------------------------------

    def _context(self, own: str, steps: frozenset[str], *, changes: bool = False) -> Context:
        nodes = self._workflow.nodes
        single = frozenset(single_aliases(self._tree, nodes, nodes[own])) if own in nodes else frozenset()
        aliases = {
            alias: AliasContext(
                self._project.tab(self._workflow.tabs[alias]),
                alias in single,
                frozenset(single_aliases(self._tree, nodes, node)),
            )
            for alias, node in nodes.items()
        }
        return Context(
            own=own, aliases=aliases, calendar=self._workflow.calendar, formulas=self._file.formulas,
            changes_allowed=changes, steps=steps, teams=self._file.teams,
        )  # fmt: skip

    def _context_reads(self) -> set[Read]:
        reads: set[Read] = set()
        for number, path in enumerate(self._file.context):
            alias, _, name = path.partition(".")
            if alias not in self._file.tabs or not name:
                hint = did_you_mean(alias, list(self._file.tabs))
                self._tell(("context", number), f"'{path}' names no field of a tab", hint)
            else:
                self._own_fields(alias, [name], ("context", number))
                reads.add((alias, name))
        return reads

    def _note_reads(
        self, alias: str, criteria: Criteria | None, triggers: tuple[CompiledTrigger, ...], steps: StepCompiler,
        context: set[Read],
    ) -> None:  # fmt: skip
        found = steps.compiled
        self.reads |= {*found.reads, *found.written, *found.conditions, *context}
        if criteria is not None:
            self.reads |= set(criteria.reads)
            self.trails |= set(criteria.trails)
        if any(isinstance(one, EventTrigger) and "edited" in one.kind for one in triggers):
            tab = self._project.tab(self._workflow.tabs[alias])
            self.reads |= {(alias, name) for name in (tab.fields if tab is not None else ())}

    def _by_node(self, reads: Any) -> dict[int, frozenset[str]]:
        nodes: dict[int, set[str]] = {}
        for alias, name in reads:
            if alias in self._workflow.nodes:
                nodes.setdefault(self._workflow.nodes[alias], set()).add(name)
        return {node: frozenset(names) for node, names in nodes.items()}

    def _refuse_unbuilt(self) -> None:
        for key in ("milestones", "approvals"):
            if getattr(self._file, key) is not None:
                self._tell((key,), f"`{key}` {NOT_YET}", "Take the block out to publish the rest.", key=True)
        for alias, part in self._file.tabs.items():
            if part.several == "fail":
                self._tell(("tabs", alias, "several"), f"`several: fail` {NOT_YET}", "Use none, oldest or all.")

    def _duration(self, text: str | None, at: Path) -> int | None:
        return self._try(lambda: Duration.parse(text).elapsed(), at) if text is not None else None

    def _try(self, compile_: Callable[[], Any], at: Path) -> Any:
        try:
            return compile_()
        except ValueError as error:
            self._tell(at, str(error))
            return None

    def _tell(self, at: Path, problem: str, hint: str = "", *, key: bool = False) -> None:
        place = self._document.place(at, key=key)
        self.problems.append(Problem(problem, hint, place))


def _listed(trigger: Trigger | list[Trigger]) -> list[Trigger]:
    return trigger if isinstance(trigger, list) else [trigger]
