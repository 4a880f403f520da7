"""What a CRM says of itself today against what was learned: the differences, and the rules that they would break."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from renkei.folder import Folder
from rules.advice import placed_rules
from rules.analysis import rule_node
from rules.book import Book, Rule
from rules.placed import Placed
from rules.project import Project
from rules.publishing import Edition
from schemas.metadata import ConnectionMetadata, Field, Tab
from schemas.values import fold


class Change(NamedTuple):
    """One difference: the tab with its connection, the field (empty: the whole tab), what happened, and to which value.

    ``names`` are how rules may call a user or a team that the change is about.
    """

    tab: str
    field: str
    words: str
    value: str = ""
    names: tuple[str, ...] = ()
    only_new: bool = False
    """Whether it matters only to rules that create records."""

    @property
    def place(self) -> str:
        """Where, as workflow files write it."""
        return ".".join(part for part in (self.tab.replace(":", ".", 1), self.field) if part)


class Drift(NamedTuple):
    """A difference, and the rules that would not do what they did."""

    change: Change
    rules: tuple[str, ...]


def drifts(edition: Edition, project: Project, learned: ConnectionMetadata, now: ConnectionMetadata) -> list[Drift]:
    """Every difference with the rules that it concerns; most differences concern none."""
    rules = [_used(one, edition.book, project) for one in placed_rules(edition)]
    return [Drift(one, tuple(rule.name for rule in rules if rule.minds(one))) for one in changes(learned, now)]


def written_tabs(edition: Edition, project: Project) -> frozenset[str]:
    """The tabs, with their connection, in which some rule writes."""
    trees = edition.book.trees
    nodes = (rule_node(one, trees[one.rule.workflow.main_tab], project) for one in placed_rules(edition))
    return frozenset(write.tab for node in nodes for write in node.writes)


def relied_on(folder: Folder, name: str, now: ConnectionMetadata) -> list[Drift]:
    """What has become different in a connection's CRM since it was learned, as far as rules rely on it."""
    learned = folder.metadata.get(name)
    found = [] if learned is None else drifts(folder.compile(), folder.project, learned, now)
    return [one for one in found if one.rules]


def asked_operations(edition: Edition) -> frozenset[tuple[str, str]]:
    """What some rule asks of a CRM beside writing fields: operation, and the tab with its connection."""
    found = ((one.rule.workflow.tabs, step.action) for one in placed_rules(edition) for step in one.rule.steps.values())
    return frozenset(
        (asked.operation, tabs[asked.alias]) for tabs, action in found for asked in action.asks() if asked.alias in tabs
    )


def changes(learned: ConnectionMetadata, now: ConnectionMetadata) -> Iterator[Change]:
    """What is gone or different; what was never learned is no difference, and neither is what is new. Pure."""
    for name, tab in learned.tabs.items():
        there = f"{learned.connection}:{name}"
        if not (found := now.tabs.get(name)) or (tab.fields and not found.fields):
            yield Change(there, "", "the tab is gone, or the login may not see it")
        else:
            yield from _in_tab(there, tab, found)
    yield from _people(learned, now)


def _in_tab(there: str, tab: Tab, found: Tab) -> Iterator[Change]:
    for name, field in tab.fields.items():
        if name not in found.fields:
            yield Change(there, name, "the field is gone, or the login may not see it")
        else:
            yield from _in_field(there, field, found.fields[name])
    for name, field in found.fields.items():
        was_needed = name in tab.fields and tab.fields[name].mandatory
        if field.mandatory and field.writable and not was_needed and tab.fields:
            yield Change(there, name, "new records must have this field now", only_new=True)


def _in_field(there: str, field: Field, found: Field) -> Iterator[Change]:
    if "unknown" not in (field.type, found.type) and field.type != found.type:
        yield Change(there, field.name, f"the field was of type {field.type} and is of type {found.type} now")
    if field.writable and not found.writable:
        yield Change(there, field.name, "the field can no longer be written")
    if found.values:
        for value in field.values:
            if value not in found.values:
                yield Change(there, field.name, f"the value '{value}' is gone", value)


def _people(learned: ConnectionMetadata, now: ConnectionMetadata) -> Iterator[Change]:
    users, teams = {one.id: one for one in now.users}, {one.id: one for one in now.teams}
    for user in learned.users if now.users else ():
        names = tuple(name for name in (user.id, user.email, user.name) if name)
        found = users.get(user.id)
        if found is None:
            yield Change(learned.connection, "", f"user {user.id} is gone", names=names)
        elif user.active and not found.active:
            yield Change(learned.connection, "", f"user {user.id} is inactive now", names=names)
    for team in learned.teams if now.teams else ():
        if team.id not in teams or fold(teams[team.id].name) != fold(team.name):
            yield Change(learned.connection, "", f"team '{team.name}' is gone or has another name", names=(team.name,))


# -- which rules mind ------------------------------------------------------------------


class _Used(NamedTuple):
    """What one rule relies on: fields by tab, what it creates, and its own words, folded."""

    name: str
    fields: frozenset[tuple[str, str]]
    creates: frozenset[str]
    tabs: frozenset[str]
    words: str

    def minds(self, change: Change) -> bool:
        if change.names:
            return any(self._says(name) for name in change.names)
        if change.only_new:
            return change.tab in self.creates and (change.tab, change.field) not in self.fields
        if not change.field:
            return change.tab in self.tabs
        return (change.tab, change.field) in self.fields and (not change.value or self._says(change.value))

    def _says(self, name: str) -> bool:
        return re.search(rf"(?<!\w){re.escape(fold(name))}(?!\w)", self.words) is not None


def _used(one: Placed, book: Book, project: Project) -> _Used:
    rule = one.rule
    tree = book.trees[rule.workflow.main_tab]
    node = rule_node(one, tree, project)
    read = {(tree.nodes[number].tab, name) for number, names in rule.reads.items() for name in names}
    written = {(write.tab, write.field) for write in node.writes}
    edges = set(_edges(rule, book))
    words = " ".join(_texts(one.part.model_dump(mode="json")))
    fields = {*node.reads, *read, *written, *edges, *_merged(rule, words)}
    return _Used(
        rule.id, frozenset(fields), frozenset(write.tab for write in node.writes if write.creates),
        frozenset({tab for tab, _ in fields} | {rule.workflow.tabs[rule.alias]}),
        fold(" ".join([words, *rule.workflow.teams.values()])),
    )  # fmt: skip


def _edges(rule: Rule, book: Book) -> Iterator[tuple[str, str]]:
    """The fields by which the workflow's records hang together: without them no rule of it sees the others."""
    tree = book.trees[rule.workflow.main_tab]
    for number in {step for node in rule.workflow.nodes.values() for step in tree.path(node)}:
        node = tree.nodes[number]
        if node.edge is not None and node.parent is not None:
            yield tree.nodes[node.parent].tab, node.edge.near_field
            yield node.tab, node.edge.far_field


def _merged(rule: Rule, words: str) -> Iterator[tuple[str, str]]:
    """The fields that texts merge in, as ``{{ deal.Amount }}``."""
    for alias, name in re.findall(r"(\w+)\.(\w+)", words):
        if alias in rule.workflow.tabs:
            yield rule.workflow.tabs[alias], name


def _texts(value: object) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, inner in value.items():
                yield str(key)
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
