"""Criteria text to tree: what cannot be read becomes an error with a caret."""

import re
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from lark import Lark, Token, Tree, UnexpectedInput

from rules.criteria import tree as t
from rules.criteria.errors import CriteriaError, Span
from rules.criteria.making import Maker
from rules.criteria.misreadings import unreadable
from rules.criteria.walking import depth

LONGEST_TEXT: Final = 20_000
"""Characters of one criteria text."""

DEEPEST_BRACKETS: Final = 50
DEEPEST_TREE: Final = 100


@lru_cache(maxsize=4096)
def parse(source: str) -> t.Tree:
    """The tree of a condition or value expression, names not yet resolved.

    Raises:
        CriteriaError: the text cannot be read, is longer than 20,000 characters, or is nested too deeply.
    """
    found: t.Tree = read(source, "text")
    if depth(found) > DEEPEST_TREE:
        raise CriteriaError("this is nested too deeply", hint="Name parts of it under `formulas:`.", source=source)
    return found


def read(source: str, start: str) -> Any:
    """What the grammar's start rule makes of the text. Raises CriteriaError."""
    _check_size(source)
    try:
        return _make(_LARK.parse(source, start=start))
    except UnexpectedInput as error:
        raise unreadable(error, source) from None
    except CriteriaError as error:
        raise error.within(source) from None


def _check_size(source: str) -> None:
    if len(source) > LONGEST_TEXT:
        raise CriteriaError(
            f"a criteria text has at most {LONGEST_TEXT:,} characters, this one has {len(source):,}",
            hint="Name parts of it under `formulas:`.",
        )
    level = 0
    for match in _BRACKETS.finditer(source):
        level += {"(": 1, "[": 1, ")": -1, "]": -1}.get(match[0], 0)
        if level > DEEPEST_BRACKETS:
            raise CriteriaError(
                f"brackets are nested more than {DEEPEST_BRACKETS} deep",
                hint="Name parts of it under `formulas:`.",
                source=source,
                span=Span(*match.span()),
            )


def _make(root: Tree[Token]) -> Any:
    """The node that a parse tree means; from the leaves up, so any depth is safe."""
    made: dict[int, Any] = {}
    for rule in root.iter_subtrees():
        parts = [made[id(part)] if isinstance(part, Tree) else part for part in rule.children]
        made[id(rule)] = getattr(_MAKER, rule.data)(rule.meta, parts)
    return made[id(root)]


_BRACKETS = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`\n]*`|[()\[\]]""", re.DOTALL)
_GRAMMAR = resources.files("rules.criteria").joinpath("grammar.lark").read_text("utf-8")
_MAKER = Maker()
_LARK = Lark(_GRAMMAR, parser="lalr", start=["text", "pattern"], propagate_positions=True, maybe_placeholders=False)
