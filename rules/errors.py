"""What is wrong with a definition: every problem of a file with its place, as text and as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file: line and column count from 1, 0 where they are not known.

    ``where`` is the path inside the file (``rules.deal[1].trigger``, list items count from 0), ``excerpt``
    the source line and below it a line of carets.
    """

    file: str = ""
    line: int = 0
    column: int = 0
    where: str = ""
    excerpt: str = ""

    def render(self) -> str:
        """``file:line:column`` as terminals make it clickable, or the path where no line is known."""
        if self.line:
            return f"{self.file}:{self.line}:{self.column}"
        return ", ".join(part for part in (self.file, self.where) if part)


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: what, where, and what to do next.

    An *error* refuses the file; a *warning* is told and lets it pass. Neither ever holds a customer's values.
    """

    problem: str
    hint: str = ""
    place: Place = NOWHERE
    severity: Severity = "error"

    @property
    def file(self) -> str:
        """The file as it was named when it was read."""
        return self.place.file

    @property
    def line(self) -> int:
        """The line, from 1; 0 where it is not known."""
        return self.place.line

    @property
    def column(self) -> int:
        """The column in characters, from 1; 0 where it is not known."""
        return self.place.column

    @property
    def where(self) -> str:
        """The path inside the file."""
        return self.place.where

    @property
    def excerpt(self) -> str:
        """The source line with carets below it, or nothing."""
        return self.place.excerpt

    def render(self) -> str:
        """The problem as a person reads it: place and problem, source with carets, what to do next."""
        place = self.place.render()
        warning = "warning: " if self.severity == "warning" else ""
        lines = [f"{place}: {warning}{self.problem}" if place else f"{warning}{self.problem}"]
        lines += [f"    {line}" for line in self.excerpt.splitlines()]
        lines += [f"  {line}" for line in self.hint.splitlines()]
        return "\n".join(lines)

    def to_json(self) -> dict[str, str | int]:
        """The problem as flat JSON for scripts and editors."""
        return {
            "file": self.file, "line": self.line, "column": self.column, "where": self.where,
            "severity": self.severity, "problem": self.problem, "hint": self.hint, "excerpt": self.excerpt,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Problems:
    """All problems found together, in the order of the files and lines; the same one is told once."""

    found: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Problem]) -> "Problems":
        """These problems, sorted by place."""
        unique = dict.fromkeys(found)
        return cls(tuple(sorted(unique, key=lambda one: (one.file, one.line, one.column))))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __add__(self, other: "Problems") -> "Problems":
        return Problems.of((*self.found, *other.found))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that refuse the file."""
        return tuple(one for one in self.found if one.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """Those that are only told."""
        return tuple(one for one in self.found if one.severity == "warning")

    def refuse(self) -> None:
        """Does nothing when there is no error among the problems.

        Raises:
            WorkflowError: with all of them, warnings too, when there is one.
        """
        if self.errors:
            raise WorkflowError(self)

    def render(self) -> str:
        """All problems as text, an empty line between them."""
        return "\n\n".join(one.render() for one in self.found)

    def summary(self) -> str:
        """How many of what: ``2 errors and 1 warning``."""
        counts = [(len(self.errors), "error"), (len(self.warnings), "warning")]
        told = [f"{count} {word}{'s' if count > 1 else ''}" for count, word in counts if count]
        return " and ".join(told) or "no problems"

    def to_json(self) -> list[dict[str, str | int]]:
        """All problems as JSON objects."""
        return [one.to_json() for one in self.found]


class WorkflowError(Exception):
    """A definition is refused: everything that is wrong with it is in ``problems``."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems.render())
        self.problems = problems


def refuse(problem: str, hint: str = "", place: Place = NOWHERE) -> NoReturn:
    """Refuses for one reason.

    Raises:
        WorkflowError: always.
    """
    raise WorkflowError(Problems((Problem(problem, hint, place),)))
