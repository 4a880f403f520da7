"""Why a verdict is what it is: the tree again, with what each named operand held (D-103)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rules.criteria import tree as t
from rules.criteria.changes import armed_test
from rules.criteria.closures import Seen, value_of, verdict_of
from rules.criteria.names import Context
from rules.criteria.printing import text_of
from rules.criteria.scope import UNKNOWN, Scope, Unknown
from rules.criteria.walking import children, is_condition
from schemas.values import format_instant

_MOST_ROWS: Final = 5
"""Related rows that an explanation shows one by one."""

_LONGEST_TEXT: Final = 60


@dataclass(frozen=True)
class Explanation:
    """One node of an explained tree: its text, its verdict or value, and what its named operands held."""

    text: str
    outcome: Seen
    observed: tuple[tuple[str, Seen], ...] = ()
    children: tuple["Explanation", ...] = ()

    def lines(self, indent: int = 0) -> list[str]:
        """The explanation as lines to read, what is below indented."""
        held = ", ".join(f"{name} = {shown(value)}" for name, value in self.observed)
        line = f"{'  ' * indent}{self.text}: {shown(self.outcome)}{f' ({held})' if held else ''}"
        return [line, *(below for child in self.children for below in child.lines(indent + 1))]


def shown(value: Seen) -> str:
    """A value as a person reads it in an explanation."""
    if isinstance(value, Unknown):
        return "unknown"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    if isinstance(value, str):
        return f'"{value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - 1] + "…"}"'
    return str(value)


def explain(node: t.Tree, context: Context, scope: Scope) -> Explanation:  # noqa: PLR0911 - a case each
    """The explanation of a condition or operand in a scope."""
    if not is_condition(node):
        return Explanation(text_of(node), value_of(node, context)(scope), _held(node, context, scope))
    verdict = verdict_of(node, context)(scope)
    outcome: Seen = UNKNOWN if verdict is None else verdict
    match node:
        case t.And(parts=parts) | t.Or(parts=parts):
            name = "all of" if isinstance(node, t.And) else "one of"
            return Explanation(name, outcome, (), tuple(explain(part, context, scope) for part in parts))
        case t.Not(part=part):
            return Explanation("not", outcome, (), (explain(part, context, scope),))
        case t.Formula(tree=tree):
            return Explanation(text_of(node), outcome, (), (explain(tree, context, scope),))
        case t.Window(first=first, second=second):
            below = (explain(first, context, scope), explain(second, context, scope))
            return Explanation(text_of(node), outcome, tuple(_times(node, scope)), below)
        case t.Quantified():
            return _explain_rows(node, outcome, context, scope)
    return Explanation(text_of(node), outcome, _held(node, context, scope))


def _times(node: t.Window, scope: Scope) -> Iterator[tuple[str, Seen]]:
    for operand in (node.first, node.second):
        mark = scope.marks.get(text_of(operand))
        since = None if mark is None or mark.since is None else format_instant(mark.since)
        yield f"{text_of(operand)} became true at", since


def _explain_rows(node: t.Quantified, outcome: Seen, context: Context, scope: Scope) -> Explanation:
    rows, complete = scope.rows(node.alias)
    counted: tuple[tuple[str, Seen], ...] = ((f"{node.alias} rows", len(rows)),)
    if not complete:
        counted = (*counted, (f"more {node.alias} rows", UNKNOWN))
    children = []
    if node.where is not None:
        for row in rows[:_MOST_ROWS]:
            inner = explain(node.where, context, scope.at(node.alias, row))
            children.append(Explanation(f"{row.ref}: {inner.text}", inner.outcome, inner.observed, inner.children))
    return Explanation(text_of(node), outcome, counted, tuple(children))


_NAMED: Final = (t.Field, t.Before, t.FirstOf, t.StepValue, t.Formula, t.Count, t.Aggregate, t.Pick)


def _held(node: t.Node, context: Context, scope: Scope) -> tuple[tuple[str, Seen], ...]:
    found = {text_of(one): value_of(one, context)(scope) for one in _named(node)}
    if isinstance(node, t.Change | t.Moved) and isinstance(node.left, t.Field):
        before = t.Before(node.left.alias, node.left.name)
        found[text_of(before)] = value_of(before, context)(scope)
    if isinstance(node, t.Moved) and node.reset is not None:
        armed = armed_test(node, context)(scope)
        found["reset since the last crossing"] = UNKNOWN if armed is None else armed
    return tuple(found.items())


def _named(node: t.Node) -> Iterator[t.Node]:
    """The operands that have a name, and the clock; a formula also shows what it is made of."""
    for child in children(node):
        if isinstance(child, _NAMED) or (isinstance(child, t.Call) and not child.arguments):
            yield child
        if not is_condition(child):
            yield from _named(child)
