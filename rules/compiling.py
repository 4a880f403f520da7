"""Compiling one workflow: triggers, criteria and actions of its rules, every problem with its place."""

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from rules.book import (
    CompiledTrigger,
    EventTrigger,
    FieldTrigger,
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
from rules.refusals import RuleRefusals, refusals_of_file
from rules.steps import Compiled, Read, StepCompiler
from rules.suggest import did_you_mean
from rules.sync_parts import SyncCompiler
from rules.tabs import single_aliases
from rules.trees import Tree
from rules.triggers import TriggerCompiler
from rules.validation import problem_in_text
from rules.workflow_file import Becomes, RulePart, ScheduledPart, Trigger


class RuleCompiler:
    """Compiles the rules of one workflow. ``problems`` holds what is wrong; ``reads`` what ``records`` must keep."""

    def __init__(self, workflow: Workflow, tree: Tree, document: Document, project: Project) -> None:
        self._workflow, self._tree = workflow, tree
        self._document, self._project = document, project
        self._file = workflow.source
        self.problems: list[Problem] = []
        self.reads: set[Read] = set()
        self.trails: set[Read] = set()
        self.stamped: set[Read] = set()
        """The fields that are synced."""
        self.conditional: set[str] = set()
        """The aliases that are written on a condition."""
        self._compiler = TriggerCompiler(workflow, document, project)

    def rules(self) -> Iterator[tuple[RulePart, Rule]]:
        """The rules in file order; ``order`` is still the place in the file."""
        self.problems += refusals_of_file(self._file, self._document)
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
        yield from self._syncs(names)
        self.problems += self._compiler.problems
        self.reads |= self._compiler.reads

    def _syncs(self, names: set[str]) -> Iterator[tuple[RulePart, Rule]]:
        compiler = SyncCompiler(self._workflow, self._tree, self._document, self._project)
        for number, part in enumerate(self._file.sync):
            if part.name in names:
                problem = f"a rule or another sync is called '{part.name}' too"
                self._tell(("sync", number, "name"), problem, "Rename one of them.")
            names.add(part.name)
            rule = compiler.rule(part, ("sync", number), len(names))
            if rule is not None:
                written = {"name": part.name, "trigger": "criteria_met", "actions": [{"sync": part.between}]}
                yield RulePart.model_validate(written), rule
        self.problems += compiler.problems
        self.reads |= compiler.reads
        self.stamped |= compiler.stamped
        self.conditional |= compiler.conditional

    # -- one rule --------------------------------------------------------------

    def _rule(self, alias: str, part: RulePart, at: Path, order: int) -> Rule:
        triggers = tuple(self._triggers(alias, part, at))
        criteria = self._criteria(alias, part, triggers, at)
        steps, top, scheduled = self._steps(alias, part, triggers, at)
        refusals = RuleRefusals(self._file, self._document, alias, part, at)
        self.problems += refusals.found(triggers, criteria, list(steps.steps.values()))
        context_reads = self._context_reads if steps.steps else frozenset()
        self._note_reads(criteria, steps, context_reads)
        value_fields = self._value_fields(alias, part, at)
        watched = {*(criteria.reads if criteria is not None else ()), *((alias, name) for name in value_fields)}
        waits = bool(scheduled) or any(step.action.verb == "wait" for step in steps.steps.values())
        return Rule(
            id=f"{self._workflow.name}/{part.name}",
            workflow=self._workflow,
            name=part.name,
            alias=alias,
            node=self._workflow.nodes.get(alias, 0),
            order=order,
            triggers=triggers,
            criteria=criteria,
            repeat=part.repeat,
            value_fields=value_fields,
            steps=steps.steps,
            top=top,
            scheduled=scheduled,
            reads=self._watched(self._by_node(watched)),
            action_nodes=frozenset(self._by_node({*steps.reads, *context_reads})),
            fresh=self._duration(part.fresh, (*at, "fresh")),
            hold=part.hold,
            on_state=any(isinstance(trigger, StateTrigger) for trigger in triggers),
            timed=criteria is not None and criteria.timed,
            leaves_pending=waits and not (criteria is not None and criteria.reads_changes),
        )

    def _steps(
        self, alias: str, part: RulePart, triggers: tuple[CompiledTrigger, ...], at: Path
    ) -> tuple[Compiled, tuple[str, ...], tuple[Scheduled, ...]]:
        """The compiled actions: all steps by path, the paths of those that run at once, and those that run later."""
        on_change = _on_change(triggers)
        steps = StepCompiler(self._file, self._document, self._project, self._context, alias, changes=on_change)
        top = steps.block(part.actions, (*at, "actions"), "", frozenset())
        earlier = frozenset(step.name for step in steps.compiled.steps.values())
        steps.changes = False  # a timer has no event that changed something (D-117)
        scheduled = tuple(
            self._scheduled(alias, number, entry, steps, (*at, "scheduled_actions", number), earlier)
            for number, entry in enumerate(part.scheduled_actions)
        )
        self.problems += steps.problems
        return steps.compiled, top, scheduled

    def _criteria(self, alias: str, part: RulePart, triggers: tuple[CompiledTrigger, ...], at: Path) -> Criteria | None:
        becomes = next((one for one in _listed(part.trigger) if isinstance(one, Becomes)), None)
        source, path = (part.criteria, (*at, "criteria"))
        if becomes is not None:
            source, path = self._with_becomes(becomes, part, at)
        if source is None:
            if any(isinstance(trigger, StateTrigger) for trigger in triggers):
                self._tell((*at, "trigger"), "`criteria_met` needs `criteria:`", "Say what has to become true.")
            return None
        try:
            return compile_criteria(source, self._context(alias, frozenset(), changes=_on_change(triggers)))
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
            compiled = self._compiler.compile(alias, trigger, path)
            if compiled is not None:
                yield compiled

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
            self._compiler.fields(alias, [on.field], (*at, "on", "field"))
            form = {"field": on.field, "before": on.before, "after": on.after, "at": part.at}
        plan = self._try(lambda: DuePlan.parse(form), at) or DuePlan()
        lateness = self._try(lambda: Lateness.parse(part.late), (*at, "late")) or Lateness()
        paths = steps.block(part.actions, (*at, "actions"), f"scheduled.{number}.", earlier)
        return Scheduled(
            number, plan, on.field if on is not None else None, paths, part.keep, part.cancel_on_exit, part.recheck,
            lateness, part.again_if_moved,
        )  # fmt: skip

    # -- names and reads --------------------------------------------------------------

    def _context(self, own: str, steps: frozenset[str], *, changes: bool = False, seen_from: str = "") -> Context:
        """What a text of the rule may name; ``seen_from`` is the tab whose record an enclosing ``for_each`` binds."""
        nodes = self._workflow.nodes
        near = nodes.get(seen_from or own)
        single = {*self._singles(near), seen_from} if near is not None else set()
        aliases = {
            alias: AliasContext(self._project.tab(self._workflow.tabs[alias]), alias in single, self._singles(node))
            for alias, node in nodes.items()
        }
        return Context(
            own=own, aliases=aliases, calendar=self._workflow.calendar, formulas=self._file.formulas,
            changes_allowed=changes, steps=steps, teams=self._file.teams,
            rates=self._project.rates,
        )  # fmt: skip

    def _singles(self, node: int) -> frozenset[str]:
        """The aliases that mean at most one record from a node; those of which one of several is chosen too (D-35)."""
        return frozenset(single_aliases(self._tree, self._workflow.nodes, node, self._workflow.several))

    @cached_property
    def _context_reads(self) -> frozenset[Read]:
        """The fields that are carried into records and messages; each must mean one record (D-94)."""
        reads: set[Read] = set()
        single = self._singles(0)
        for number, path in enumerate(self._file.context):
            alias, _, name = path.partition(".")
            if alias not in self._file.tabs or not name:
                hint = did_you_mean(alias, list(self._file.tabs))
                self._tell(("context", number), f"'{path}' names no field of a tab", hint)
            elif alias not in single:
                hint = "Name a field of the main tab or of a record that it looks up."
                self._tell(("context", number), f"there can be several records of tab {alias}", hint)
            else:
                self._compiler.fields(alias, [name], ("context", number))
                reads.add((alias, name))
        return frozenset(reads)

    def _value_fields(self, alias: str, part: RulePart, at: Path) -> frozenset[str]:
        if not isinstance(part.repeat, dict):
            return frozenset()
        return self._compiler.fields(alias, next(iter(part.repeat.values())), (*at, "repeat"))

    def _note_reads(self, criteria: Criteria | None, found: Compiled, context: Iterable[Read]) -> None:
        self.reads |= {*found.reads, *found.written, *found.conditions, *context}
        self.conditional |= found.conditional
        self.trails |= found.trails
        if criteria is not None:
            self.reads |= set(criteria.reads)
            self.trails |= set(criteria.trails)

    def _observed(self, alias: str, criteria: Criteria | None) -> tuple[Read, ...]:
        """What the criteria read of records of which there is one, seen from the anchor."""
        nodes = self._workflow.nodes
        if criteria is None or alias not in nodes:
            return ()
        single = set(single_aliases(self._tree, nodes, nodes[alias]))
        return tuple(sorted(read for read in criteria.reads if read[0] in single))

    def _watched(self, reads: dict[int, frozenset[str]]) -> dict[int, frozenset[str]]:
        """What is read, and the nodes above of which not all matches count: who comes or goes there matters (D-35)."""
        above = {one for node in reads for one in self._tree.path(node)}
        return {node: frozenset() for node in above & self._workflow.several.keys()} | reads

    def _by_node(self, reads: Any) -> dict[int, frozenset[str]]:
        nodes: dict[int, set[str]] = {}
        for alias, name in reads:
            if alias in self._workflow.nodes:
                nodes.setdefault(self._workflow.nodes[alias], set()).add(name)
        return {node: frozenset(names) for node, names in nodes.items()}

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


def _on_change(triggers: tuple[CompiledTrigger, ...]) -> bool:
    """Whether each waking event has a before image, so that criteria may ask what changed (D-117)."""
    return bool(triggers) and all(isinstance(one, EventTrigger | FieldTrigger) for one in triggers)


def _listed(trigger: Trigger | list[Trigger]) -> list[Trigger]:
    return trigger if isinstance(trigger, list) else [trigger]
