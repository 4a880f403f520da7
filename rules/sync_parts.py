"""Compiling the ``sync:`` block: each part becomes a rule that wakes when its two records come to differ."""

from collections.abc import Iterable

from rules.actions.sync import Sync
from rules.book import Rule, StateTrigger, Step, Workflow
from rules.document import Document, Path
from rules.errors import Problem
from rules.merging import Policy
from rules.project import Project
from rules.suggest import did_you_mean
from rules.trees import ID, Edge, Tree
from rules.workflow_file import SyncPart
from schemas.metadata import Field

_OF_ONE_CRM = frozenset({"lookup", "user", "id"})
"""Types whose values name something inside one CRM."""


class SyncCompiler:
    """Compiles parts one by one. ``problems`` holds what is wrong; the rest what has to be kept of the two tabs."""

    def __init__(self, workflow: Workflow, tree: Tree, document: Document, project: Project) -> None:
        self._workflow, self._tree = workflow, tree
        self._document, self._project = document, project
        self.problems: list[Problem] = []
        self.reads: set[tuple[str, str]] = set()
        self.stamped: set[tuple[str, str]] = set()
        self.conditional: set[str] = set()

    def rule(self, part: SyncPart, at: Path, order: int) -> Rule | None:
        """The rule of one part; none if it names tabs that cannot be synced, which is then among the problems."""
        before = len(self.problems)
        edge = self._edge(part, at)
        if edge is None:
            return None
        self._check_fields(part, edge, at)
        sync = self._action(part, at)
        if len(self.problems) > before:
            return None
        anchor = self._hanging(part.between)
        return Rule(
            id=f"{self._workflow.name}/{part.name}", workflow=self._workflow, name=part.name, alias=anchor,
            node=self._workflow.nodes[anchor], order=order, triggers=(StateTrigger(),), criteria=None,
            repeat="every_time", value_fields=frozenset(), steps={"0": Step("0", sync, {}, {})}, top=("0",),
            scheduled=(), reads=self._reads(sync), on_state=True, sync=sync,
        )  # fmt: skip

    def _action(self, part: SyncPart, at: Path) -> Sync:
        left, right = part.between
        for alias, names in ((left, part.fields), (right, part.fields.values())):
            self.stamped |= {(alias, name) for name in names}
            self.reads |= {(alias, name) for name in names}
            self.conditional.add(alias)
        tabs = [self._workflow.tabs[alias] for alias in part.between]
        return Sync.model_validate({
            "left": left, "right": right, "pairs": part.fields, "policy": self._policy(part, at),
            "tie": "left" if tabs[0] < tabs[1] else "right", "trigger_native": part.trigger_native,
        })  # fmt: skip

    def _policy(self, part: SyncPart, at: Path) -> Policy:
        left, right = part.between
        known: dict[str, Policy] = {"newest": "newest", left: "left", right: "right", "fail": "fail"}
        if part.conflict not in known:
            hint = did_you_mean(part.conflict, list(known)) or f"Write one of {', '.join(known)}."
            self._tell((*at, "conflict"), f"nobody is called '{part.conflict}' here", hint)
        return known.get(part.conflict, "newest")

    def _reads(self, sync: Sync) -> dict[int, frozenset[str]]:
        """All that may make the two differ, and their modified times: who was overtaken looks again at the next."""
        reads: dict[int, frozenset[str]] = {}
        for alias, names, _ in sync.written():
            tab = self._workflow.tabs[alias]
            modified = self._project.modified_fields.get(tab.partition(":")[0], ID)
            reads[self._workflow.nodes[alias]] = frozenset({*names, modified})
        return reads

    # -- the two tabs --------------------------------------------------------------

    def _edge(self, part: SyncPart, at: Path) -> Edge | None:
        """The equality that ties the two together; none if they are no pair."""
        nodes = self._workflow.nodes
        for number, alias in enumerate(part.between):
            if alias not in nodes:
                hint = did_you_mean(alias, list(nodes)) or f"There are: {', '.join(nodes)}."
                self._tell((*at, "between", number), f"unknown tab '{alias}'", hint)
                return None
            self._check_times(alias, (*at, "between", number))
        if self._workflow.tabs[part.between[0]] == self._workflow.tabs[part.between[1]]:
            self._tell((*at, "between"), "a tab is not synced with itself", "Name two tabs.")
            return None
        hanging = self._hanging(part.between)
        if not hanging:
            problem = f"{part.between[0]} and {part.between[1]} do not hang directly on each other"
            self._tell((*at, "between"), problem, "Tie them together under `tabs:`, by `lookup:`, `by:` or `match:`.")
            return None
        return self._tree.nodes[nodes[hanging]].up

    def _hanging(self, between: list[str]) -> str:
        """The one of the two that hangs on the other; empty if neither does."""
        nodes = self._workflow.nodes
        for child, parent in (between, reversed(between)):
            if self._tree.nodes[nodes[child]].parent == nodes[parent]:
                return child
        return ""

    def _check_times(self, alias: str, at: Path) -> None:
        connection = self._workflow.tabs[alias].partition(":")[0]
        if connection not in self._project.modified_fields:
            problem = f"{connection} does not say when a record was changed, so that {alias} cannot be synced"
            self._tell(at, problem, "Sync tabs of CRM connections.")

    # -- the fields --------------------------------------------------------------

    def _check_fields(self, part: SyncPart, edge: Edge, at: Path) -> None:
        tying = {edge.near_field, edge.far_field} - {ID}
        given: set[str] = set()
        for name, other in part.fields.items():
            path = (*at, "fields", name)
            if other in given:
                self._tell(path, f"{part.between[1]}.{other} is given by two fields", "Take one of them out.")
            given.add(other)
            for alias, one in zip(part.between, (name, other), strict=True):
                self._check_field(alias, one, path)
            if tying & {name, other}:
                self._tell(path, f"{name} ties the two together, and cannot be synced", "Take it out.")
        self._check_choices(part, at)

    def _check_field(self, alias: str, name: str, at: Path) -> None:
        tab = self._project.tab(self._workflow.tabs[alias])
        if tab is None:
            return
        field = tab.fields.get(name)
        if field is None:
            self._tell(at, f"unknown field '{name}' of {alias}", did_you_mean(name, list(tab.fields)))
        elif not field.writable:
            self._tell(at, f"{alias}.{name} cannot be written", "Sync a field that people can edit.")
        elif field.type in _OF_ONE_CRM:
            problem = f"{alias}.{name} names something of its own CRM ({field.type}), which the other one does not know"
            self._tell(at, problem, "Sync a field that holds a value.")

    def _check_choices(self, part: SyncPart, at: Path) -> None:
        """A value that the other picklist does not have would be refused when it comes."""
        for name, other in part.fields.items():
            mine, its = self._field(part.between[0], name), self._field(part.between[1], other)
            apart = set(_choices(mine)) ^ set(_choices(its)) if _choices(mine) and _choices(its) else set()
            if apart:
                problem = f"the picklists {name} and {other} do not have the same values: {_list(apart)}"
                hint = "A value that the other side does not have will need attention. Give both the same."
                self.problems.append(self._document.problem((*at, "fields", name), problem, hint, "warning"))

    def _field(self, alias: str, name: str) -> Field | None:
        tab = self._project.tab(self._workflow.tabs[alias])
        return tab.fields.get(name) if tab is not None else None

    def _tell(self, at: Path, problem: str, hint: str = "") -> None:
        self.problems.append(self._document.problem(at, problem, hint))


def _choices(field: Field | None) -> tuple[str, ...]:
    return field.values if field is not None and field.restricted else ()


def _list(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:6]) + (" …" if len(listed) > 6 else "")
