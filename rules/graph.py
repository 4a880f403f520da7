"""Graphs of names: which nodes can reach each other both ways, and the shortest way round."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

Graph: TypeAlias = Mapping[str, Collection[str]]
"""Each node and the nodes that it leads to."""


def components(graph: Graph) -> list[tuple[str, ...]]:
    """The strongly connected components that hold a cycle, names sorted; a lone node needs an edge to itself.

    Kosaraju's way in two passes, without recursion, so a long chain of rules is no danger.
    """
    backwards: dict[str, list[str]] = {}
    for node in sorted(graph):
        for target in graph[node]:
            backwards.setdefault(target, []).append(node)
    found, seen = [], set[str]()
    for node in reversed(_finished(graph)):
        members = tuple(sorted(_reached(node, backwards, seen)))
        if len(members) > 1 or (members and members[0] in graph.get(members[0], ())):
            found.append(members)
    return sorted(found)


def shortest_cycle(graph: Graph, start: str, within: Collection[str]) -> tuple[str, ...]:
    """The shortest way from a node back to itself inside a component; the node stands first only."""
    came_from: dict[str, str] = {}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        for target in sorted(set(graph.get(node, ())) & set(within)):
            if target == start:
                return _way(came_from, start, node)
            if target not in came_from:
                came_from[target] = node
                queue.append(target)
    return (start,)


def _way(came_from: Mapping[str, str], start: str, end: str) -> tuple[str, ...]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))


def _finished(graph: Graph) -> Sequence[str]:
    """All nodes in the order in which a depth-first walk leaves them."""
    done: list[str] = []
    seen: set[str] = set()
    for root in sorted(graph):
        stack: list[tuple[str, Iterator[str]]] = []
        node: str | None = root
        while node is not None or stack:
            if node is not None and node not in seen:
                seen.add(node)
                stack.append((node, iter(sorted(graph.get(node, ())))))
            node = _next_or_leave(stack, done) if stack else None
    return done


def _next_or_leave(stack: list[tuple[str, Iterator[str]]], done: list[str]) -> str | None:
    node, targets = stack[-1]
    target = next(targets, None)
    if target is None:
        stack.pop()
        done.append(node)
    return target


def _reached(start: str, graph: Graph, seen: set[str]) -> list[str]:
    """The nodes newly reached from a node, which is one of them unless it was seen before."""
    reached, stack = [], [start]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            reached.append(node)
            stack.extend(graph.get(node, ()))
    return reached
