"""What is wrong with a text or a template, and where."""

from rules.criteria.errors import NOWHERE, Span, caret


class TemplateError(ValueError):
    """A text or template that cannot be used: what is wrong, where, and what to do next.

    ``source`` is the whole text, ``span`` the faulty part of it, ``name`` that of the template; ``line`` and
    ``column`` count from 1. Never holds a field's value.
    """

    def __init__(self, problem: str, *, hint: str = "", source: str = "", span: Span = NOWHERE, name: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint
        self.source = source
        self.span = span
        self.name = name

    @property
    def line(self) -> int:
        """The line of the faulty part, from 1."""
        return self.source.count("\n", 0, self.span.start) + 1

    @property
    def column(self) -> int:
        """The column of the faulty part in its line, from 1."""
        return self.span.start - self.source.rfind("\n", 0, self.span.start)

    def __str__(self) -> str:
        where = f"{self.name}:{self.line}:{self.column}: " if self.name else ""
        lines = [f"{where}{self.problem}", *caret(self.source, self.span)]
        return "\n".join([*lines, *([f"  {self.hint}"] if self.hint else [])])
