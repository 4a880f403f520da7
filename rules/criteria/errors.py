"""The one error of the criteria language: what is wrong, where in the text, and what to write instead."""

from dataclasses import dataclass
from typing import Final, NamedTuple

_WIDEST: Final = 100
"""Longer lines are cut around the caret, so that it stays in view."""


class Span(NamedTuple):
    """A stretch of the source text: from ``start`` up to, not including, ``end`` (characters)."""

    start: int
    end: int


NOWHERE: Final = Span(0, 0)


@dataclass(frozen=True)
class Caution:
    """Something legal that often is not meant: shown when a workflow is checked, refused nowhere."""

    text: str
    hint: str
    span: Span


class CriteriaError(ValueError):
    """A text that is no criterion: ``problem``, ``hint``, ``source`` and the ``span`` in it.

    ``row`` is the number of the criteria row that is wrong, or ``pattern``; empty for a single expression.
    """

    def __init__(self, problem: str, *, hint: str = "", source: str = "", span: Span = NOWHERE, row: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.source = source
        self.span = span
        self.row = row

    def within(self, source: str, row: str = "") -> "CriteriaError":
        """The same error with the text it is about; what is already known is kept."""
        return CriteriaError(
            self.problem, hint=self.hint, source=self.source or source, span=self.span, row=self.row or row
        )

    def __str__(self) -> str:
        where = f"criteria {self.row}: " if self.row else ""
        lines = [f"{where}{self.problem}", *caret(self.source, self.span)]
        return "\n".join([*lines, *([f"  {self.hint}"] if self.hint else [])])


def caret(source: str, span: Span) -> list[str]:
    """The line of the source that a span starts in, and below it carets under the span."""
    if not source:
        return []
    start = min(span.start, len(source))
    begin = source.rfind("\n", 0, start) + 1
    end = source.find("\n", start)
    line = source[begin : len(source) if end < 0 else end]
    cut = max(0, start - begin - _WIDEST // 2)
    shown = line[cut : cut + _WIDEST].replace("\t", " ")
    column = start - begin - cut
    width = max(1, min(span.end - start, len(shown) - column))
    return [f"    {shown}", f"    {' ' * column}{'^' * width}"]
