"""Compiled rules as the checker sees them: what each reads, requires and writes (D-45, D-63)."""

from collections.abc import Iterable, Iterator

from rules.book import EventTrigger, FieldTrigger, Rule, Step
from rules.criteria import tree as t
from rules.criteria.walking import walk
from rules.document import Document
from rules.lint import ANY_FIELD, CREATED, FieldOf, Repeat, RuleNode, Write
from rules.trees import ID
from rules.workflow_file import FieldUpdated, RulePart
from schemas.values import Value

_Requirement = tuple[str, str, Value]
_EDITS = ("edited", "created_or_edited")
_CREATIONS = ("created", "created_or_edited", "linked")


def outline(rules: Iterable[tuple[RulePart, Rule]], document: Document) -> Iterator[RuleNode]:
    """The rules of one workflow, in the order given."""
    for part, rule in rules:
        at = next(
            ("rules", rule.alias, number)
            for number, one in enumerate(rule.workflow.source.rules[rule.alias])
            if one.name == part.name
        )
        steps = list(rule.steps.values())
        yield RuleNode(
            name=rule.id,
            tab=rule.workflow.tabs[rule.alias],
            reads=frozenset(_reads(rule)),
            writes=tuple(_writes(rule, steps)),
            repeat=_repeat(rule),
            repeat_written=part.repeat is not None,
            intended_loop=part.loop == "intended",
            requires=frozenset(_requires(rule)),
            absent=frozenset(_absent(rule)),
            guarded=frozenset(_guarded(rule, steps)),
            priority=part.priority,
            place=document.place((*at, "name")),
        )


def _repeat(rule: Rule) -> Repeat:
    if isinstance(rule.repeat, dict):
        return "when_value_changes"
    return rule.repeat or ("when_becomes_true" if rule.on_state else "every_time")


# -- what wakes it ------------------------------------------------------------------


def _reads(rule: Rule) -> Iterator[FieldOf]:
    """The fields whose change wakes the rule; times wake it once each, so what they hang on is no way round."""
    tabs, own = rule.workflow.tabs, rule.workflow.tabs[rule.alias]
    for trigger in rule.triggers:
        if isinstance(trigger, FieldTrigger):
            yield from ((own, name) for name in trigger.fields)
        elif isinstance(trigger, EventTrigger):
            if trigger.kind in _EDITS:
                yield own, ANY_FIELD
            if trigger.kind in _CREATIONS:
                yield own, CREATED
    if rule.on_state and rule.criteria is not None:
        for alias, name in rule.criteria.reads:
            yield tabs[alias], CREATED if name == ID else name


def _requires(rule: Rule) -> Iterator[_Requirement]:
    """The values without which the rule cannot fire."""
    tabs = rule.workflow.tabs
    for node in _conjuncts(rule.criteria.tree) if rule.criteria is not None else ():
        match node:
            case t.Compare("is", t.Field(alias, name), t.Constant(value), negated=False):
                yield tabs[alias], name, value
    if len(rule.triggers) == 1 and isinstance(rule.triggers[0], FieldTrigger):
        part = rule.triggers[0].part
        if isinstance(part, FieldUpdated) and part.to is not None and isinstance(part.field_updated, str):
            yield tabs[rule.alias], part.field_updated, part.to


def _absent(rule: Rule) -> Iterator[str]:
    """The tabs that the criteria want to be without rows."""
    for node in _conjuncts(rule.criteria.tree) if rule.criteria is not None else ():
        match node:
            case t.Quantified("no", alias, None) | t.Exists(t.Field(alias, _), negated=True):
                yield rule.workflow.tabs[alias]


def _conjuncts(tree: t.Node) -> Iterator[t.Node]:
    """The parts that must all hold."""
    while isinstance(tree, t.Formula):
        tree = tree.tree
    if isinstance(tree, t.And):
        for part in tree.parts:
            yield from _conjuncts(part)
    elif not any(isinstance(one, t.Window) for one in walk(tree)):
        yield tree


# -- what it does ------------------------------------------------------------------


def _writes(rule: Rule, steps: Iterable[Step]) -> Iterator[Write]:
    for step in steps:
        values = getattr(step.action, "fields", {})
        for alias, names, creates in step.action.written():
            tab = rule.workflow.tabs.get(alias, alias)
            if creates and not names:
                yield Write(tab, CREATED, creates=True)
            for name in names:
                yield Write(tab, name, _constant(values.get(name)), creates)


def _constant(value: object) -> Value:
    """The value if it is written out; none if it is computed."""
    if isinstance(value, str):
        return None if "{{" in value else value
    return value if isinstance(value, bool | int) else None


def _guarded(rule: Rule, steps: Iterable[Step]) -> Iterator[str]:
    """The tabs in which every create is guarded by ``unless_exists``."""
    guards: dict[str, bool] = {}
    for step in steps:
        for alias, _, creates in step.action.written():
            if creates:
                tab = rule.workflow.tabs.get(alias, alias)
                guards[tab] = guards.get(tab, True) and bool(getattr(step.action, "unless_exists", False))
    return (tab for tab, guarded in guards.items() if guarded)
