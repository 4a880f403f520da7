"""Syntax errors of YAML in words that say what to change."""

from typing import NamedTuple


class _Case(NamedTuple):
    """Fragments of the parser's problem and context, and what to say instead."""

    problem: str
    context: str
    say: str
    hint: str


_CASES = (
    _Case(
        "mapping values are not allowed", "",
        "a ':' is not expected here",
        "If it belongs to the text, put the text in quotes; else check the indentation.",
    ),
    _Case(
        "'\\t' that cannot start", "",
        "a tabulator in the indentation",
        "Indent with spaces.",
    ),
    _Case(
        "that cannot start any token", "",
        "a text cannot begin with this character",
        "Put the text in quotes.",
    ),
    _Case(
        "", "while parsing a flow mapping",
        "the braces '{ }' are not closed, or a comma is missing",
        "Check the end of the line; a text with ',' '{' '[' or ': ' in it needs quotes.",
    ),
    _Case(
        "", "while parsing a flow sequence",
        "the brackets '[ ]' are not closed, or a comma is missing",
        "Check the end of the line; a text with ',' '{' '[' or ': ' in it needs quotes.",
    ),
    _Case(
        "unexpected end of stream", "quoted scalar",
        "the quotes are not closed",
        "Write the missing quote at the end of the text.",
    ),
    _Case(
        "unknown escape", "",
        "an unknown sign after '\\' in double quotes",
        "Write '\\\\' for a backslash, or use single quotes.",
    ),
    _Case(
        "sequence entries are not allowed", "",
        "a list item '- ' is not expected here",
        "Begin it on a new line.",
    ),
    _Case(
        "could not find expected ':'", "",
        "a key without ':'",
        "Write ': ' after the key, or indent the line if it continues the text above.",
    ),
    _Case(
        "", "while parsing a block",
        "the line does not line up with the ones above, or belongs to nothing",
        "Give all keys of one block the same indentation, and each list item its '- '.",
    ),
    _Case(
        "", "while scanning a quoted scalar",
        "the quotes are not closed",
        "Write the missing quote at the end of the text.",
    ),
    _Case(
        "expected the node content", "",
        "a value is missing here",
        "Write the value, or close the brackets.",
    ),
)  # fmt: skip


def explain_syntax(problem: str, context: str) -> tuple[str, str]:
    """What is wrong and what to do next, for the parser's own problem and context."""
    for case in _CASES:
        if case.problem in problem and case.context in context:
            return case.say, case.hint
    return "this cannot be read as YAML", "Compare the indentation, colons and quotes with a line that works."
