"""From workflow files to the book: read, compile, merge the trees, and refuse the lot if anything is wrong."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.analysis import rule_node
from rules.book import Book, Rule, Workflow
from rules.calendars import Calendar
from rules.compiling import RuleCompiler
from rules.document import Document
from rules.errors import Problem, Problems, WorkflowError
from rules.lint import RuleNode, lint
from rules.placed import Placed, places
from rules.project import Project
from rules.source import read_yaml
from rules.suggest import did_you_mean
from rules.tabs import Tabs
from rules.trees import ID, Tree, TreeBuilder
from rules.validation import validate
from rules.workflow_file import RulePart, WorkflowFile


@dataclass(frozen=True)
class Draft:
    """One workflow file that was read."""

    file: WorkflowFile
    document: Document


@dataclass(frozen=True)
class Edition:
    """What compiling a set of workflow files gives: a book, and all problems, warnings too."""

    book: Book
    problems: Problems
    drafts: tuple[Draft, ...] = ()


def read_workflow(text: str | bytes, name: str) -> Draft:
    """One workflow file by its text and name.

    Raises:
        WorkflowError: it is no YAML of ours, or has keys and values that the model refuses.
    """
    document = read_yaml(text, name)
    return Draft(validate(WorkflowFile, document), document)


def publish(files: Mapping[str, str | bytes], project: Project) -> Book:
    """The book of these files, by name.

    Raises:
        WorkflowError: with every error of every file.
    """
    edition = compile_files(files, project)
    edition.problems.refuse()
    return edition.book


def compile_files(files: Mapping[str, str | bytes], project: Project) -> Edition:
    """Compile all files together, whatever is wrong with them."""
    drafts: list[Draft] = []
    problems = Problems()
    for name, text in files.items():
        try:
            drafts.append(read_workflow(text, name))
        except WorkflowError as error:
            problems += error.problems
    edition = compile_drafts(drafts, project)
    return Edition(edition.book, problems + edition.problems, edition.drafts)


def compile_drafts(drafts: Iterable[Draft], project: Project) -> Edition:
    """Compile files that were read."""
    return _Publisher(tuple(drafts), project).edition()


class _Publisher:
    def __init__(self, drafts: tuple[Draft, ...], project: Project) -> None:
        self._drafts, self._project = drafts, project
        self._problems: list[Problem] = []
        self._reads: dict[str, set[str]] = {}
        self._trails: dict[str, set[str]] = {}
        self._stamped: dict[str, set[str]] = {}
        self._modified: dict[str, str] = {}
        self._rules: dict[str, list[tuple[RulePart, Rule]]] = {}
        self._workflows: list[Workflow] = []
        self._nodes: list[RuleNode] = []

    def edition(self) -> Edition:
        tabs = [Tabs(draft.file, draft.document, self._project) for draft in self._drafts]
        for one in tabs:
            self._problems += one.problems
        self._refuse_doubles()
        sound = [(draft, one) for draft, one in zip(self._drafts, tabs, strict=True) if not one.problems]
        builders = {one.main: TreeBuilder(one.main) for _, one in sound}
        nodes = [one.place(builders[one.main]) for _, one in sound]
        trees = {main: builder.build() for main, builder in builders.items()}
        for (draft, one), placed in zip(sound, nodes, strict=True):
            self._compile(draft, one, placed, trees[one.main])
        self._problems += lint(self._nodes)
        return Edition(self._book(trees), Problems.of(self._problems), self._drafts)

    def _refuse_doubles(self) -> None:
        names: dict[str, str] = {}
        for draft in self._drafts:
            other = names.setdefault(draft.file.workflow, draft.document.name)
            if other != draft.document.name:
                problem = f"two workflows are called '{draft.file.workflow}'"
                self._problems.append(
                    draft.document.problem(("workflow",), problem, f"The other one is in {other}; rename one of them.")
                )

    def _compile(self, draft: Draft, tabs: Tabs, nodes: dict[str, int], tree: Tree) -> None:
        file = draft.file
        workflow = Workflow(
            name=file.workflow,
            version=hashlib.sha256("\n".join(draft.document.lines).encode()).hexdigest()[:12],
            source=file,
            main_tab=tabs.main,
            nodes=nodes,
            tabs={one.alias: one.tab for one in tabs.hanging},
            calendar=self._calendar(draft),
            teams=file.teams,
            several={nodes[alias]: part.several for alias, part in file.tabs.items() if part.several != "all"},
        )
        self._workflows.append(workflow)
        compiler = RuleCompiler(workflow, tree, draft.document, self._project)
        rules = list(compiler.rules())
        self._rules.setdefault(tabs.main, []).extend(rules)
        paths = places(file)
        self._nodes += [
            rule_node(Placed(rule, part, draft.document, paths[part.name]), tree, self._project) for part, rule in rules
        ]
        self._problems += compiler.problems
        self._note_modified(workflow, compiler.conditional)
        kept = (
            (self._reads, compiler.reads), (self._trails, compiler.trails), (self._stamped, compiler.stamped),
        )  # fmt: skip
        for collected, found in kept:
            for alias, name in found:
                if alias in workflow.tabs:
                    collected.setdefault(workflow.tabs[alias], set()).add(name)

    def _note_modified(self, workflow: Workflow, aliases: Iterable[str]) -> None:
        """Where a record is written on a condition, every change of it has to be heard of, by its modified time."""
        for alias in aliases:
            tab = workflow.tabs[alias]
            name = self._project.modified_fields.get(tab.partition(":")[0])
            if name is not None:
                self._modified[tab] = name
                self._reads.setdefault(tab, set()).add(name)

    def _calendar(self, draft: Draft) -> Calendar:
        file, document = draft.file, draft.document
        try:
            zone = ZoneInfo(file.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            self._problems.append(
                document.problem(("timezone",), f"unknown time zone '{file.timezone}'", "Write it as Asia/Tokyo.")
            )
            zone = ZoneInfo("UTC")
        if file.calendar is None:
            return Calendar.always(zone)
        calendar = self._project.calendars.get(file.calendar)
        if calendar is None:
            hint = did_you_mean(file.calendar, list(self._project.calendars)) or "Name it under `calendars:`."
            self._problems.append(document.problem(("calendar",), f"unknown calendar '{file.calendar}'", hint))
            return Calendar.always(zone)
        return calendar.in_zone(zone) if "timezone" in file.model_fields_set else calendar

    def _book(self, trees: Mapping[str, Tree]) -> Book:
        rules = {main: _in_order(found) for main, found in self._rules.items()}
        reads = self._read_fields(trees)
        return Book(
            workflows=tuple(self._workflows),
            trees=trees,
            rules=rules,
            read_fields=reads,
            trails={tab: frozenset(names) for tab, names in self._trails.items()},
            stamps={tab: frozenset(names) for tab, names in self._stamped.items()},
            modified=self._modified,
            direct=_direct(trees),
            indexed=_indexed(trees),
            metadata=self._project.metadata,
            key_fields=self._project.key_fields,
            fingerprint=self._fingerprint(),
        )

    def _read_fields(self, trees: Mapping[str, Tree]) -> dict[str, frozenset[str]]:
        reads: dict[str, set[str]] = {tab: set(names) for tab, names in self._reads.items()}
        for main, tree in trees.items():
            reads.setdefault(main, set())
            for node in tree.nodes:
                reads.setdefault(node.tab, set()).add(ID)
            for tab, names in tree.edge_fields.items():
                reads[tab] |= names
        return {tab: frozenset({*names, ID}) for tab, names in reads.items()}

    def _fingerprint(self) -> str:
        """What is joined, and after a dash by which calendars: those are in the project, not in the file (D-56)."""
        parts = sorted(f"{one.name}\x1f{one.version}\x1f{one.main_tab}" for one in self._workflows)
        parts += sorted(f"{code}\x1f{rate}" for code, rate in self._project.rates.items())
        calendars = sorted(f"{one.name}\x1f{one.calendar.fingerprint}" for one in self._workflows)
        joins, times = (hashlib.sha256("\x1e".join(one).encode()).hexdigest() for one in (parts, calendars))
        return f"{joins[:24]}-{times[:12]}"


def _in_order(found: list[tuple[RulePart, Rule]]) -> tuple[Rule, ...]:
    """By priority, then by file order; the last one wins a conflict (D-45)."""
    ordered = sorted(enumerate(found), key=lambda one: (one[1][0].priority, one[0]))
    return tuple(replace(rule, order=order) for order, (_, (_, rule)) in enumerate(ordered))


def _direct(trees: Mapping[str, Tree]) -> dict[str, tuple[tuple[str, str], ...]]:
    direct: dict[str, dict[tuple[str, str], None]] = {}
    for main, tree in trees.items():
        for node in tree.nodes:
            if node.direct:
                direct.setdefault(node.tab, {})[(node.up.far_field, main)] = None
    return {tab: tuple(pairs) for tab, pairs in direct.items()}


def _indexed(trees: Mapping[str, Tree]) -> dict[str, tuple[tuple[str, bool], ...]]:
    indexed: dict[str, dict[tuple[str, bool], None]] = {}
    for tree in trees.values():
        for tab, pairs in tree.key_fields.items():
            indexed.setdefault(tab, {}).update(dict.fromkeys(pairs))
    return {tab: tuple(pairs) for tab, pairs in indexed.items()}
