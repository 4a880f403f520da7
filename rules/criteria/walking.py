"""Ways through a tree: its children, all its nodes, its depth, and a changed copy."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from rules.criteria import tree as t

N = TypeVar("N", bound=t.Node)

_CONDITIONS = (
    t.And, t.Or, t.Not, t.Compare, t.OneOf, t.TextTest, t.Matches, t.Between, t.Empty, t.Members, t.OnDay,
    t.InPeriod, t.Near, t.Change, t.Moved, t.WasEver, t.WasFor, t.UserTest, t.Quantified, t.Exists, t.Window,
)  # fmt: skip


def is_condition(tree: t.Node) -> bool:
    """Whether a tree has a verdict rather than a value."""
    while isinstance(tree, t.Formula):
        tree = tree.tree
    return isinstance(tree, _CONDITIONS)


def children(node: t.Node) -> Iterator[t.Node]:
    """The nodes directly below a node, in the order of the text."""
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, t.Node):
            yield value
        elif isinstance(value, tuple):
            yield from (one for one in value if isinstance(one, t.Node))


def map_children(node: N, change: Callable[[Any], Any]) -> N:
    """The same node with every node directly below it changed."""
    changes: dict[str, Any] = {}
    for part in fields(node):
        value = getattr(node, part.name)
        if isinstance(value, t.Node):
            changes[part.name] = change(value)
        elif isinstance(value, tuple) and value and isinstance(value[0], t.Node):
            changes[part.name] = tuple(change(one) for one in value)
    return replace(node, **changes) if changes else node


def walk(node: t.Node) -> Iterator[t.Node]:
    """The node and every node below it, formulas included; without recursion, so any depth is safe."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting.extend(reversed(list(children(one))))


def depth(node: t.Node) -> int:
    """How many levels a tree has."""
    deepest, waiting = 0, [(node, 1)]
    while waiting:
        one, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((child, level + 1) for child in children(one))
    return deepest
