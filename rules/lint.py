"""What can be seen to go wrong before publishing: loops, rules that re-arm themselves or each other's writes.

It looks at an abstract graph of rules, so that rules of several workflows, CRMs and native automations are
checked together (D-63).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from rules.errors import NOWHERE, Place, Problem, Problems
from rules.graph import components, shortest_cycle
from schemas.values import Value, same

FieldOf: TypeAlias = tuple[str, str]
"""A tab and one of its fields: ``("zoho:Deals", "Stage")``."""

Repeat = Literal["once", "when_becomes_true", "every_time", "when_value_changes"]

CREATED = "*created"
"""The read of a rule that wakes when a record of the tab is created."""
ANY_FIELD = "*"
"""The read of a rule that wakes at any edit of the tab."""
TOUCHED = "*touched"
"""The write of an action that changes a record, but no field that anybody could name before: tags, locks, states."""


class Write(NamedTuple):
    """One field that an action writes; ``value`` is none where it is computed.

    ``creates`` tells that the record is new; an action that creates one without fields writes ``*created``.
    """

    tab: str
    field: str
    value: Value = None
    creates: bool = False


@dataclass(frozen=True, slots=True)
class RuleNode:
    """One rule as the checker sees it.

    ``tab`` is the one that wakes it. ``requires`` are the values without which the criteria cannot hold.
    ``absent`` are the tabs that the criteria want to be without rows (``no project``), ``guarded`` those in
    which its actions create only ``unless_exists``. ``repeat_written`` says that the author chose ``repeat``.
    The rules come to ``lint`` in file order.
    """

    name: str
    tab: str
    reads: frozenset[FieldOf] = frozenset()
    writes: tuple[Write, ...] = ()
    repeat: Repeat = "when_becomes_true"
    repeat_written: bool = False
    intended_loop: bool = False
    requires: frozenset[tuple[str, str, Value]] = frozenset()
    absent: frozenset[str] = frozenset()
    guarded: frozenset[str] = frozenset()
    priority: int = 0
    settles: bool = False
    """Whether it is a sync, which writes only what makes two records alike: a chain of them comes to rest."""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class _Edge:
    """A write of one rule that may wake another."""

    source: str
    target: str
    write: Write

    @property
    def told(self) -> str:
        """The write as a chain names it."""
        if self.write.creates:
            return f"creates {self.write.tab}"
        if self.write.field == TOUCHED:
            return f"changes {self.write.tab}"
        return f"writes {self.write.tab}.{self.write.field}"


def lint(rules: Sequence[RuleNode]) -> Problems:
    """All that can be seen to go wrong with these rules together, rules in file order."""
    return Problems.of((*_loops(rules), *_rearming(rules), *_conflicts(rules)))


def _loops(rules: Sequence[RuleNode]) -> Iterable[Problem]:
    """One error per knot of rules that wake each other without end, with the shortest way round (D-63)."""
    edges = _endless(_edges(rules), {rule.name: rule for rule in rules})
    graph: dict[str, dict[str, _Edge]] = defaultdict(dict)
    for edge in edges:
        graph[edge.source].setdefault(edge.target, edge)
    by_name = {rule.name: rule for rule in rules}
    for members in components(graph):
        way = shortest_cycle(graph, members[0], members)
        steps = [graph[name][after] for name, after in zip(way, (*way[1:], way[0]), strict=True)]
        yield _loop(steps, len(members) - len(way), by_name[way[0]].place)


def _loop(steps: Sequence[_Edge], others: int, place: Place) -> Problem:
    chain = " -> ".join(f"{edge.source} {edge.told}" for edge in steps) + f" -> {steps[0].source}"
    more = f" ({others} more rules hang on this loop)" if others else ""
    if len(steps) == 1:
        problem = f"the rule wakes itself without end: {chain}{more}"
    else:
        problem = f"these rules wake each other without end: {chain}{more}"
    hint = (
        "Let one of them fire once per record (`repeat: once`), or narrow its criteria;\n"
        "if the loop is meant and its criteria end it, write `loop: intended`."
    )
    return Problem(problem, hint, place)


def _edges(rules: Sequence[RuleNode]) -> list[_Edge]:
    readers: dict[FieldOf, list[RuleNode]] = defaultdict(list)
    for rule in rules:
        for read in sorted(rule.reads):
            readers[read].append(rule)
    return [
        _Edge(rule.name, reader.name, write)
        for rule in rules
        for write in rule.writes
        for reader in _woken(write, readers)
        if not _excluded(write, reader)
    ]


def _woken(write: Write, readers: dict[FieldOf, list[RuleNode]]) -> list[RuleNode]:
    fields = [write.field, CREATED] if write.creates else [write.field, ANY_FIELD]
    woken = (reader for field in fields for reader in readers.get((write.tab, field), ()))
    return list({reader.name: reader for reader in woken}.values())


def _excluded(write: Write, reader: RuleNode) -> bool:
    """Whether the criteria of the reader cannot hold with the value written."""
    if write.value is None:
        return False
    wanted = [value for tab, field, value in reader.requires if (tab, field) == (write.tab, write.field)]
    return bool(wanted) and not any(same(write.value, value) for value in wanted)


def _endless(edges: Sequence[_Edge], rules: dict[str, RuleNode]) -> list[_Edge]:
    """The edges that can be gone again and again: a loop that must come to rest is no loop."""
    creating: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if _is_new_anchor(edge, rules):
            creating[edge.source].add(edge.target)
    breeding = {name: members for members in components(creating) for name in members}
    return [edge for edge in edges if _goes_on(edge, rules, edge.target in breeding.get(edge.source, ()))]


def _is_new_anchor(edge: _Edge, rules: dict[str, RuleNode]) -> bool:
    """Whether the rule woken has never seen the record before, so that no mark of its own stops it."""
    return edge.write.creates and edge.write.tab == rules[edge.target].tab


def _goes_on(edge: _Edge, rules: dict[str, RuleNode], breeding: bool) -> bool:
    """``breeding``: both rules are in a ring that creates ever new records."""
    source, target = rules[edge.source], rules[edge.target]
    if source.intended_loop or target.intended_loop or (source.settles and target.settles):
        return False
    # `unless_exists` makes one per anchor: that is without end only where rules breed ever new anchors.
    if edge.write.creates and edge.write.tab in source.guarded and not breeding:
        return False
    if _is_new_anchor(edge, rules):
        return True
    if target.repeat == "once":
        return False
    # A rule that was true when it fired is not made true anew by its own write; a constant is written once.
    computed = edge.write.creates or edge.write.value is None
    return source.name != target.name or (target.repeat != "when_becomes_true" and computed)


def _rearming(rules: Iterable[RuleNode]) -> Iterable[Problem]:
    """A warning per rule whose own action makes its criteria false, so that it may fire again (D-63)."""
    for rule in rules:
        why = _made_false(rule)
        if why and not rule.repeat_written and rule.repeat != "once":
            problem = f"{rule.name} makes its own criteria false: it {why}; when they become true, it fires again"
            yield Problem(problem, _REARMING_HINT, rule.place, "warning")


_REARMING_HINT = """\
Write `repeat: once` if it runs once per record, or `repeat: when_becomes_true` if that is meant;
for a record that must not be doubled, `unless_exists: true` at the `create` says more than `no …`."""


def _made_false(rule: RuleNode) -> str:
    for write in rule.writes:
        if write.creates and write.tab in rule.absent:
            return f"wants no {write.tab} and creates one"
        if not write.creates and _excluded(write, rule):
            return f"writes another {write.tab}.{write.field} than it asks for"
    return ""


def _conflicts(rules: Sequence[RuleNode]) -> Iterable[Problem]:
    """A warning per rule whose value another rule of the same round overwrites; the later wins (D-45)."""
    writers: dict[tuple[str, str, str], list[tuple[RuleNode, Write]]] = defaultdict(list)
    for rule in sorted(rules, key=lambda rule: rule.priority):  # stable: file order within a priority
        for write in rule.writes:
            if not write.creates:
                writers[rule.tab, write.tab, write.field].append((rule, write))
    for (_, tab, field), there in writers.items():
        for index, (rule, write) in enumerate(there):
            over = [other for other, its in there[index + 1 :] if _clash(rule, write, other, its)]
            if over:
                yield _conflict(rule, over[-1], f"{tab}.{field}")


def _clash(rule: RuleNode, write: Write, other: RuleNode, its: Write) -> bool:
    if rule.name == other.name or _never_together(rule, other):
        return False
    return write.value is None or its.value is None or not same(write.value, its.value)


def _never_together(rule: RuleNode, other: RuleNode) -> bool:
    """Whether the two ask for different values of one field of the record that wakes them."""
    mine = {(tab, field): value for tab, field, value in rule.requires if tab == rule.tab}
    theirs = {(tab, field): value for tab, field, value in other.requires if tab == other.tab}
    return any(not same(mine[field], theirs[field]) for field in mine.keys() & theirs.keys())


def _conflict(loser: RuleNode, winner: RuleNode, field: str) -> Problem:
    why = "its priority is higher" if winner.priority > loser.priority else "it stands later"
    return Problem(
        f"{loser.name} and {winner.name} both write {field}; if both fire, {winner.name} wins because {why}",
        "Set `priority:` (the higher number is written last), or make their criteria exclude each other.",
        loser.place,
        "warning",
    )
