"""Compiled rules together with where they stand in their files, for everything that tells an author about them."""

from collections.abc import Iterator
from typing import NamedTuple

from rules.book import Rule
from rules.document import Document, Node, Path
from rules.workflow_file import RulePart, WorkflowFile


class Placed(NamedTuple):
    """A compiled rule, as it is written and where."""

    rule: Rule
    part: RulePart
    document: Document
    path: Path


def places(file: WorkflowFile) -> dict[str, Path]:
    """Where each rule of a file stands, by name."""
    rules: dict[str, Path] = {
        part.name: ("rules", alias, number) for alias, parts in file.rules.items() for number, part in enumerate(parts)
    }
    return rules | {part.name: ("sync", number) for number, part in enumerate(file.sync)}


def find(document: Document, at: Path, value: object, key: str = "") -> Path:
    """Where a value first stands below a path, under a given key if one is named; the path itself if nowhere."""
    start = document.node(at)
    return next(_paths(start, at, value, key), at) if start is not None else at


def _paths(node: Node, at: Path, value: object, key: str) -> Iterator[Path]:
    if node.children is None:
        if node.value == value and (not key or key in at):
            yield at
        return
    for step, child in node.children.items():
        yield from _paths(child, (*at, step), value, key)
