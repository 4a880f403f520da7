"""What an author most likely meant, when a criteria text cannot be read."""

import re
from typing import Final

from lark import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from rules.criteria.errors import CriteriaError, Span

_INSTEAD: Final = {
    "=": "Write `is`.",
    "==": "Write `is`.",
    "!=": "Write `is not`.",
    "<>": "Write `is not`.",
    "&&": "Write `and`.",
    "||": "Write `or`.",
    "!": "Write `not`.",
    "AND": "Keywords are lower case: `and`.",
    "OR": "Keywords are lower case: `or`.",
    "NOT": "Keywords are lower case: `not`.",
    "IN": "Keywords are lower case: `in`.",
    "IS": "Keywords are lower case: `is`.",
    "like": "Write `contains`, `starts with` or `matches`.",
    "LIKE": "Write `contains`, `starts with` or `matches`.",
    "equals": "Write `is`.",
    "null": "Write `is empty`.",
    "before": "Dates compare with `<` and `>`.",
    "after": "Dates compare with `<` and `>`.",
}
_WORD = re.compile(r"==|!=|<>|&&|\|\||\w+|\S")
_QUOTES: Final = "“”„‟‘’「」『』"


def unreadable(error: UnexpectedInput, source: str) -> CriteriaError:
    """The error for a place where the grammar knows no way on."""
    if isinstance(error, UnexpectedEOF) or (isinstance(error, UnexpectedToken) and error.token.type == "$END"):
        return _unfinished(source)
    start = error.pos_in_stream or 0
    match = _WORD.match(source, start)
    word = match[0] if match else source[start : start + 1]
    return CriteriaError(
        f"'{word}' was not expected here",
        hint=_hint(error, source, start, word),
        source=source,
        span=Span(start, start + len(word)),
    )


def _unfinished(source: str) -> CriteriaError:
    end = len(source.rstrip())
    opened = source.count("(") - source.count(")")
    hint = "A closing bracket is missing." if opened > 0 else "Something is missing at the end."
    problem = "this ends too early" if source.strip() else "this is empty: write a condition"
    return CriteriaError(problem, hint=hint if source.strip() else "", source=source, span=Span(end, end + 1))


def _hint(error: UnexpectedInput, source: str, start: int, word: str) -> str:  # noqa: PLR0911 - a list of cases
    if word in _INSTEAD:
        return _INSTEAD[word]
    if word in _QUOTES:
        return 'Texts stand in straight quotes: "…".'
    expected = set(getattr(error, "expected", None) or getattr(error, "allowed", None) or ())
    if expected == {"LPAR"}:
        return "The condition of related rows stands in brackets: where (…)."
    if "LSQB" in expected and len(expected) < 5:
        return 'A list stands in square brackets: ["a", "b"].'
    if word in "\"'" and isinstance(error, UnexpectedCharacters):
        return "The closing quote is missing."
    if word == "(" and re.search(r"\w\s*$", source[:start]):
        return "Related rows are written `any contract where (…)`."
    if word[0].isalpha() and re.search(r"\w\s+$", source[:start]):
        return 'Texts stand in quotes ("Closed Won"); between two conditions stands `and` or `or`.'
    if word == ")":
        return "A bracket is closed that was not opened, or something is missing before it."
    return ""
