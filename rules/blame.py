"""Which parts of false criteria make them false: ``criterion 2`` of a numbered list, or the words of a text (D-103)."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from rules.criteria import Explanation
from rules.criteria import tree as t
from rules.criteria.parser import read
from rules.criteria.rows import PATTERN
from rules.workflow_file import CriteriaSource


class Blamed(NamedTuple):
    """A part that is to blame: its row number, empty where rows are not numbered, and its text."""

    row: str
    text: str


def blamed(source: CriteriaSource | None, explanation: Explanation) -> tuple[Blamed, ...]:
    """The parts by which the explained criteria are false, in their order; none if they are not false."""
    if explanation.outcome is not False:
        return ()
    rows = {id(node): number for number, node in _numbered(source, explanation)}
    return tuple(dict.fromkeys(_blame(explanation, rows)))


def _blame(node: Explanation, rows: Mapping[int, str]) -> Iterator[Blamed]:
    if id(node) in rows or not node.children or node.text not in ("all of", "one of"):
        yield Blamed(rows.get(id(node), ""), _told(node))
        return
    for child in node.children:
        if node.text == "one of" or child.outcome is False:
            yield from _blame(child, rows)


def _told(node: Explanation) -> str:
    """The text of a part; a group is told by its parts."""
    if node.text in ("all of", "one of"):
        word = " and " if node.text == "all of" else " or "
        return word.join(_told(child) for child in node.children)
    return f"not ({_told(node.children[0])})" if node.text == "not" else node.text


def _numbered(source: CriteriaSource | None, explanation: Explanation) -> Iterator[tuple[str, Explanation]]:
    if not isinstance(source, Mapping):
        return
    numbers = [str(number) for number in source if number != PATTERN]
    if PATTERN in source:
        yield from _by_pattern(read(source[PATTERN], PATTERN), explanation)
    else:
        nodes = (explanation,) if len(numbers) == 1 else explanation.children
        yield from zip(numbers, nodes, strict=True)


def _by_pattern(shape: t.Node, node: Explanation) -> Iterator[tuple[str, Explanation]]:
    """Rows and their explanations, the pattern's shape walked beside them."""
    match shape:
        case t.Name(parts=parts):
            yield parts[0], node
        case t.Not(part=part):
            yield from _by_pattern(part, node.children[0])
        case t.And(parts=(only,)) | t.Or(parts=(only,)):
            yield from _by_pattern(only, node)
        case t.And(parts=inner) | t.Or(parts=inner):
            for part, child in zip(inner, node.children, strict=True):
                yield from _by_pattern(part, child)
