"""The two questions that a node answers once compiled: its value, or its verdict, in a scope.

The answers are registered per node class in ``operands``, ``conditions``, ``related``, ``dates``,
``changes``, ``users`` and ``windows``; ``compile.py`` imports them all.
"""

from collections.abc import Callable, Iterator
from functools import singledispatch
from typing import TypeAlias

from rules.criteria import tree as t
from rules.criteria.names import Context
from rules.criteria.scope import UNKNOWN, Scope, Unknown, Verdict
from rules.criteria.walking import children
from schemas.values import Value

Seen: TypeAlias = "Value | Unknown"
"""A value, or that it is not known yet (D-04)."""

Read: TypeAlias = Callable[[Scope], Seen]
Test: TypeAlias = Callable[[Scope], Verdict]


@singledispatch
def value_of(node: t.Node, context: Context) -> Read:
    """A closure that gives the value of an operand; of a condition, its verdict as a value."""
    test = verdict_of(node, context)

    def read(scope: Scope) -> Seen:
        verdict = test(scope)
        return UNKNOWN if verdict is None else verdict

    return read


@singledispatch
def verdict_of(node: t.Node, context: Context) -> Test:
    """A closure that gives the verdict of a condition."""
    raise NotImplementedError(f"{type(node).__name__} has no verdict")


@value_of.register(t.Formula)
def _(node: t.Formula, context: Context) -> Read:
    return value_of(node.tree, context)


@verdict_of.register(t.Formula)
def _(node: t.Formula, context: Context) -> Test:
    return verdict_of(node.tree, context)


def negative(test: Test, node: t.Node) -> Test:
    """The exact complement of a test (D-111), but false where a record it looks at is absent (D-33)."""
    aliases = tuple(dict.fromkeys(parents(node)))

    def complement(scope: Scope) -> Verdict:
        verdict = test(scope)
        if verdict is not False:
            return None if verdict is None else False
        return not any(absent(scope, alias) for alias in aliases)

    return complement


def absent(scope: Scope, alias: str) -> bool:
    """Whether it is known that an alias means no record here."""
    try:
        return scope[alias] is None
    except KeyError:
        return True


def parents(node: t.Node) -> Iterator[str]:
    """The aliases whose fields a node reads as they are, not through ``coalesce`` or an aggregate."""
    for child in children(node):
        if isinstance(child, t.Field | t.FirstOf):
            yield child.alias
        elif not isinstance(child, t.Count | t.Aggregate | t.Pick) and getattr(child, "name", "") != "coalesce":
            yield from parents(child)
