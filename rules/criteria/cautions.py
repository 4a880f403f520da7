"""What is legal and often not meant: negations that also hold for an empty field (D-111, D-112)."""

from collections.abc import Iterator

from rules.criteria import tree as t
from rules.criteria.errors import Caution
from rules.criteria.printing import text_of
from rules.criteria.walking import walk


def cautions(tree: t.Tree) -> tuple[Caution, ...]:
    """What to tell the author of a tree, in the order of the text."""
    filled = {node.operand for node in walk(tree) if isinstance(node, t.Empty) and node.negated}
    return tuple(one for node in walk(tree) for one in _cautions(node, filled))


def _cautions(node: t.Node, filled: set[t.Operand]) -> Iterator[Caution]:
    if isinstance(node, t.Compare | t.OneOf | t.TextTest) and node.negated:
        name = text_of(node.left)
        if isinstance(node.left, t.Field) and node.left not in filled:
            problem = f"`{text_of(node)}` also holds while {name} is empty"
            yield Caution(problem, f"If that is not meant: {name} is not empty and {text_of(node)}", node.span)
    elif isinstance(node, t.Not) and _is_order(node.part):
        problem = f"`{text_of(node)}` also holds while a side is empty"
        yield Caution(problem, "If that is not meant, turn the comparison round.", node.span)


def _is_order(node: t.Node) -> bool:
    return isinstance(node, t.Between) or (isinstance(node, t.Compare) and node.relation != "is")
