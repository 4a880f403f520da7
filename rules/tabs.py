"""The ``tabs:`` block: which tabs a workflow joins, and by which equalities (D-10, D-35)."""

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from rules.document import Document, Path
from rules.errors import Problem
from rules.project import Project
from rules.suggest import did_you_mean
from rules.trees import ID, Edge, Tree, TreeBuilder
from rules.workflow_file import TabPart, WorkflowFile
from schemas.metadata import Tab

RESERVED = frozenset({"steps", "now", "today", "forloop", "before", "context"})
"""Names that texts and templates use for something else."""


class Hanging(NamedTuple):
    """A tab of the tree with its parent and the edge between them; the main tab has neither."""

    alias: str
    tab: str
    parent: str = ""
    edge: Edge | None = None


class Tabs:
    """Reads and checks the block; what is wrong is in ``problems``."""

    def __init__(self, file: WorkflowFile, document: Document, project: Project) -> None:
        self._file, self._document, self._project = file, document, project
        self.problems: list[Problem] = []
        self.hanging: tuple[Hanging, ...] = ()
        if file.main_tab not in file.tabs:
            hint = did_you_mean(file.main_tab, list(file.tabs)) or "Name one of the aliases under `tabs:`."
            self._tell(("main_tab",), f"the main tab '{file.main_tab}' is not among the tabs", hint)
            return
        self.hanging = self._ordered({alias: self._hang(alias, part) for alias, part in file.tabs.items()})

    @property
    def main(self) -> str:
        """The main tab as ``connection:Tab``."""
        return tab_name(self._file.tabs[self._file.main_tab].module)

    def place(self, builder: TreeBuilder) -> dict[str, int]:
        """Add the edges to the tree of the main tab; the node of each alias."""
        nodes = {self._file.main_tab: 0}
        for one in self.hanging:
            if one.edge is not None:
                nodes[one.alias] = builder.add(nodes[one.parent], one.edge)
        return nodes

    # -- one tab --------------------------------------------------------------

    def _hang(self, alias: str, part: TabPart) -> Hanging:
        at: Path = ("tabs", alias)
        if alias in RESERVED:
            self._tell(at, f"a tab cannot be called '{alias}'", "Texts and templates use this name for something else.")
        tab = self._tab(part, (*at, "module"))
        if alias == self._file.main_tab:
            return Hanging(alias, tab)
        if part.lookup is not None:
            parent, field = self._path(part.lookup, (*at, "lookup"))
            return Hanging(alias, tab, parent, Edge(field, tab, ID))
        if part.related_to is not None and part.by is not None:
            self._check_alias(part.related_to, (*at, "related_to"))
            self._check_field(tab, part.by, (*at, "by"))
            return Hanging(alias, tab, part.related_to, Edge(ID, tab, part.by))
        if part.match is not None:
            ((field, other),) = part.match.items()
            self._check_field(tab, field, (*at, "match", field))
            parent, near = self._path(other, (*at, "match", field))
            return Hanging(alias, tab, parent, Edge(near, tab, field))
        hint = "Say how it leads there: `lookup:`, `related_to:` with `by:`, or `match:`."
        self._tell(at, f"the tab '{alias}' does not hang on the main tab", hint)
        return Hanging(alias, tab)

    def _tab(self, part: TabPart, at: Path) -> str:
        connection, dot, name = part.module.partition(".")
        if not dot or not name:
            self._tell(at, f"'{part.module}' names no tab", "Write connection.Tab, as zoho.Deals.")
            return part.module
        known = self._project.connections
        if known is not None and connection not in known:
            hint = did_you_mean(connection, sorted(known)) or f"Add it to renkei.yaml; there are {_list(known)}."
            self._tell(at, f"unknown connection '{connection}'", hint)
        metadata = self._project.metadata.get(connection)
        if metadata is not None and name not in metadata.tabs:
            hint = did_you_mean(name, sorted(metadata.tabs)) or f"The connection has {_list(metadata.tabs)}."
            self._tell(at, f"unknown tab '{name}' of {connection}", hint)
        return tab_name(part.module)

    def _path(self, text: str, at: Path) -> tuple[str, str]:
        alias, dot, field = text.partition(".")
        if not dot or not field:
            self._tell(at, f"'{text}' names no field of a tab", "Write alias.Field, as deal.Account_Name.")
            return alias, field
        self._check_alias(alias, at)
        if alias in self._file.tabs:
            self._check_field(tab_name(self._file.tabs[alias].module), field, at)
        return alias, field

    def _check_alias(self, alias: str, at: Path) -> None:
        if alias not in self._file.tabs:
            self._tell(at, f"unknown tab '{alias}'", did_you_mean(alias, list(self._file.tabs)))

    def _check_field(self, tab: str, field: str, at: Path) -> None:
        known = self._project.tab(tab)
        if known is not None and field != ID and field not in known.fields:
            name = tab.replace(":", ".", 1)
            self._tell(at, f"unknown field '{field}' of {name}", did_you_mean(field, list(known.fields)))

    # -- the whole block --------------------------------------------------------------

    def _ordered(self, hanging: Mapping[str, Hanging]) -> tuple[Hanging, ...]:
        """Parents first. Tabs that hang in a circle never reach the main tab."""
        placed = {self._file.main_tab: hanging[self._file.main_tab]}
        while waiting := [one for alias, one in hanging.items() if alias not in placed]:
            ready = [one for one in waiting if one.parent in placed]
            if not ready:
                self._tell_circle(waiting)
                break
            placed.update((one.alias, one) for one in ready)
        return tuple(placed.values())

    def _tell_circle(self, waiting: list[Hanging]) -> None:
        names = {one.alias for one in waiting}
        for one in waiting:
            if one.parent in names:
                circle = " -> ".join(_circle(one, {other.alias: other for other in waiting}))
                self._tell(("tabs", one.alias), f"tabs hang on each other in a circle: {circle}",
                           "Let one of them hang on the main tab.")  # fmt: skip
                return

    def _tell(self, at: Path, problem: str, hint: str = "") -> None:
        self.problems.append(self._document.problem(at, problem, hint))


def tab_name(module: str) -> str:
    """``connection.Tab`` of a file as ``connection:Tab``."""
    return module.replace(".", ":", 1)


def fields_of(tab: Tab | None) -> frozenset[str] | None:
    """The field names of a tab with ``id``, none where they are not known."""
    return frozenset({*tab.fields, ID}) if tab is not None else None


def single_aliases(tree: Tree, nodes: Mapping[str, int], start: int, several: Container[int] = ()) -> Iterator[str]:
    """The aliases that mean at most one record, seen from a record at a node.

    ``several`` are the nodes of whose matches at most one is chosen (D-35).
    """
    for alias, node in nodes.items():
        way = tree.path(node)[len(tree.path(tree.common(node, start))) :]
        if all(tree.nodes[step].up.far_field == ID or step in several for step in way):
            yield alias


def _circle(start: Hanging, others: Mapping[str, Hanging]) -> list[str]:
    names, one = [start.alias], start
    while one.parent in others:
        names.append(one.parent)
        if names.count(one.parent) > 1:
            break
        one = others[one.parent]
    return names


def _list(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:8]) + (" …" if len(listed) > 8 else "") if listed else "none"
