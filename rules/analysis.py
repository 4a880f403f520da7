"""What the checker sees of compiled rules: each as a node of the graph that ``lint`` looks at (D-63)."""

from collections.abc import Iterator
from typing import Any

from rules.actions.base import Action
from rules.actions.records import Delete
from rules.actions.writes import Assign, Create, Upsert
from rules.book import CompiledTrigger, DueTrigger, EventTrigger, FieldTrigger, Rule, StateTrigger
from rules.criteria import tree as t
from rules.lint import ANY_FIELD, CREATED, TOUCHED, FieldOf, Repeat, RuleNode, Write
from rules.placed import Placed
from rules.project import Project
from rules.trees import ID, Tree
from rules.workflow_file import FieldUpdated
from schemas.abilities import Ability
from schemas.values import Value

OWNER_FIELDS = ("Owner", "OwnerId", "assigned_user_id")
"""How the CRMs call the owner of a record."""

Wanted = tuple[str, str, Value]
_WOKEN_BY = {
    "created": (CREATED,), "edited": (ANY_FIELD,), "created_or_edited": (CREATED, ANY_FIELD),
}  # fmt: skip


def rule_node(one: Placed, tree: Tree, project: Project) -> RuleNode:
    """One rule as the checker's graph takes it."""
    rule, part = one.rule, one.part
    writes = tuple(dict.fromkeys(_writes(rule, tree, project)))
    return RuleNode(
        name=rule.id,
        tab=rule.workflow.tabs[rule.alias],
        reads=frozenset(_reads(rule, tree)),
        writes=writes,
        repeat=_repeat(rule),
        repeat_written=part.repeat is not None,
        intended_loop=part.loop == "intended" and rule.criteria is not None,
        requires=_requires(rule),
        absent=frozenset(_absent(rule)),
        guarded=frozenset(_guarded(rule)),
        priority=part.priority,
        settles=rule.sync is not None,
        place=one.document.place((*one.path, "name")),
    )


def _repeat(rule: Rule) -> Repeat:
    """Without ``repeat`` a state rule fires when it becomes true, an event rule on each matching event (D-20)."""
    if isinstance(rule.repeat, dict):
        return "when_value_changes"
    if rule.sync is not None:
        return "when_becomes_true"  # they come to differ
    return rule.repeat or ("when_becomes_true" if rule.on_state else "every_time")


# -- what wakes a rule ------------------------------------------------------------------


def _reads(rule: Rule, tree: Tree) -> Iterator[FieldOf]:
    own = rule.workflow.tabs[rule.alias]
    for alias, names, _ in rule.sync.written() if rule.sync is not None else ():
        yield from ((rule.workflow.tabs[alias], name) for name in names)
    for trigger in rule.triggers:
        yield from _woken_by(trigger, rule, tree)
    yield from ((own, name) for name in rule.value_fields)


def _woken_by(trigger: CompiledTrigger, rule: Rule, tree: Tree) -> Iterator[FieldOf]:
    own = rule.workflow.tabs[rule.alias]
    match trigger:
        case EventTrigger(kind="linked" | "unlinked"):
            yield from _edge_fields(tree, (rule.node,))
        case EventTrigger(kind=kind):
            yield from ((own, name) for name in _WOKEN_BY.get(kind, ()))
        case FieldTrigger(fields=fields):
            yield from ((own, name) for name in fields)
        case DueTrigger(field=name):
            yield own, name
        case StateTrigger():
            yield from _criteria_reads(rule, tree)


def _criteria_reads(rule: Rule, tree: Tree) -> Iterator[FieldOf]:
    """What the criteria read, and the fields by which other records come and go (D-31)."""
    workflow = rule.workflow
    for alias, name in rule.criteria.reads if rule.criteria is not None else ():
        node = workflow.nodes[alias]
        if name != ID:
            yield workflow.tabs[alias], name
        elif node != rule.node:
            yield workflow.tabs[alias], CREATED
        shared = len(tree.path(tree.common(node, rule.node)))
        yield from _edge_fields(tree, (*tree.path(node)[shared:], *tree.path(rule.node)[shared:]))


def _edge_fields(tree: Tree, nodes: tuple[int, ...]) -> Iterator[FieldOf]:
    for node in nodes:
        place = tree.nodes[node]
        if place.edge is not None and place.parent is not None:
            sides = ((tree.nodes[place.parent].tab, place.edge.near_field), (place.tab, place.edge.far_field))
            yield from (side for side in sides if side[1] != ID)


# -- what a rule writes ------------------------------------------------------------------


def _writes(rule: Rule, tree: Tree, project: Project) -> Iterator[Write]:
    tabs = rule.workflow.tabs
    for step in rule.steps.values():
        for alias, fields, creates in step.action.written():
            if alias not in tabs:
                continue
            given = {**getattr(step.action, "key", {}), **getattr(step.action, "fields", {})}
            for name in fields:
                yield Write(tabs[alias], name, literal(given.get(name)), creates)
                if isinstance(step.action, Upsert):
                    yield Write(tabs[alias], name, literal(given.get(name)))  # it may be there already
            if creates:
                yield from _unwritten(rule, alias, tree, project)
        yield from _owner_writes(rule, step.action, project)
        yield from _asked_writes(rule, step.action, project)


def _asked_writes(rule: Rule, action: Action, project: Project) -> Iterator[Write]:
    """What a CRM does of its own accord when it is asked for more than fields: other records, and some change."""
    for asked in action.asks():
        connection = rule.workflow.tabs.get(asked.alias, "").partition(":")[0]
        ability = project.abilities.get(connection, {}).get(asked.operation, Ability())
        for name, tab in ability.makes.items():
            if action.will_make(name):
                yield Write(f"{connection}:{tab}", CREATED, creates=True)
        if ability.touches and asked.alias in rule.workflow.tabs and not isinstance(action, Delete):
            yield Write(rule.workflow.tabs[asked.alias], TOUCHED, True)


def _unwritten(rule: Rule, alias: str, tree: Tree, project: Project) -> Iterator[Write]:
    """What a create brings along that its author did not write: the link, and the workflow's context."""
    tab = rule.workflow.tabs[alias]
    yield Write(tab, CREATED, creates=True)
    edge = tree.nodes[rule.workflow.nodes[alias]].edge
    if edge is not None and edge.far_field != ID:
        yield Write(tab, edge.far_field, creates=True)
    known = project.tab(tab)
    for path in rule.workflow.source.context:
        name = path.partition(".")[2]
        if known is not None and name in known.fields:
            yield Write(tab, name, creates=True)


def _owner_writes(rule: Rule, action: Action, project: Project) -> Iterator[Write]:
    alias = action.assign if isinstance(action, Assign) else action.create if isinstance(action, Create) else ""
    tab = rule.workflow.tabs.get(alias)
    if tab is None or not getattr(action, "owner", None):
        return
    known = project.tab(tab)
    for name in OWNER_FIELDS:
        if known is None or name in known.fields:
            yield Write(tab, name, creates=isinstance(action, Create))


def literal(value: Any) -> Value:
    """A value that is written as it stands; none where merge fields compute it."""
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return None
    return value if isinstance(value, bool | int | str) or value is None else _plain(value)


def _plain(value: Any) -> Value:
    known: Value = None if isinstance(value, list | dict) else value
    return known


def _guarded(rule: Rule) -> Iterator[str]:
    """The tabs in which every create of the rule first looks whether there is one (D-43)."""
    creates = [step.action for step in rule.steps.values() if isinstance(step.action, Create)]
    for alias in {action.create for action in creates} & rule.workflow.tabs.keys():
        if all(action.unless_exists for action in creates if action.create == alias):
            yield rule.workflow.tabs[alias]


# -- what a rule asks for ------------------------------------------------------------------


def demands(node: t.Node) -> Iterator[t.Node]:
    """The conditions of a tree that all must hold."""
    if isinstance(node, t.Formula):
        yield from demands(node.tree)
    elif isinstance(node, t.And):
        for part in node.parts:
            yield from demands(part)
    else:
        yield node


def _requires(rule: Rule) -> frozenset[Wanted]:
    """The values without which the rule cannot fire; a field of which two are asked is left out."""
    found: dict[FieldOf, set[Value]] = {}
    for tab, name, value in (*_trigger_values(rule), *_criteria_values(rule)):
        assert not isinstance(value, list)
        found.setdefault((tab, name), set()).add(value)
    return frozenset(
        (tab, name, value) for (tab, name), values in found.items() if len(values) == 1 for value in values
    )


def _trigger_values(rule: Rule) -> Iterator[Wanted]:
    for trigger in rule.triggers if len(rule.triggers) == 1 else ():
        if isinstance(trigger, FieldTrigger) and isinstance(trigger.part, FieldUpdated) and len(trigger.fields) == 1:
            (name,) = trigger.fields
            if isinstance(trigger.part.to, bool | int | str):
                yield rule.workflow.tabs[rule.alias], name, trigger.part.to


def _criteria_values(rule: Rule) -> Iterator[Wanted]:
    for node in demands(rule.criteria.tree) if rule.criteria is not None else ():
        if isinstance(node, t.Quantified) and node.kind == "any" and node.where is not None:
            for inner in demands(node.where):
                yield from _equality(inner, rule)
        else:
            yield from _equality(node, rule)


def _equality(node: t.Node, rule: Rule) -> Iterator[Wanted]:
    if not isinstance(node, t.Compare) or node.relation != "is" or node.negated:
        return
    sides = (node.left, node.right) if isinstance(node.left, t.Field) else (node.right, node.left)
    field, constant = sides
    if isinstance(field, t.Field) and isinstance(constant, t.Constant) and not constant.percent:
        yield rule.workflow.tabs[field.alias], field.name, constant.value


def _absent(rule: Rule) -> Iterator[str]:
    """The tabs that the criteria want to be without rows: ``no project``, ``count(project) is 0``."""
    for node in demands(rule.criteria.tree) if rule.criteria is not None else ():
        match node:
            case t.Quantified(kind="no", alias=alias, where=None):
                yield rule.workflow.tabs[alias]
            case t.Compare(
                relation="is", left=t.Count(alias=alias, where=None), right=t.Constant(value=0), negated=False
            ):
                yield rule.workflow.tabs[alias]
