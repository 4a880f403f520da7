"""Inline values of workflow files: ``"Demo for {{ account.Account_Name }}"`` (D-46, D-94)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple, Protocol, TypeAlias
from zoneinfo import ZoneInfo

from rules.criteria.errors import Span
from rules.criteria.scope import UNKNOWN, Scope, Unknown
from rules.templates.errors import TemplateError
from rules.templates.filters import apply_filter, check_filter, text_of
from schemas.values import Amount, Value

LONGEST_SOURCE: Final = 20_000
"""An inline text is at most so many characters long; longer ones belong into a template file."""

UTC: Final = ZoneInfo("UTC")


class Expression(Protocol):
    """A compiled value expression, as the criteria language makes them."""

    @property
    def text(self) -> str:
        """The expression as written."""
        ...

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The alias and field of everything it reads."""
        ...

    def value(self, scope: Scope) -> Value | Unknown:
        """What it is worth in a scope, or UNKNOWN."""
        ...


class FilterCall(NamedTuple):
    """A filter and its literal arguments."""

    name: str
    arguments: tuple[Value, ...]


@dataclass(frozen=True)
class Slot:
    """One ``{{ }}``: an expression and the filters behind it."""

    expression: Expression
    filters: tuple[FilterCall, ...]
    zone: ZoneInfo

    def value(self, scope: Scope) -> Value | Unknown:
        """The filtered value; UNKNOWN passes every filter, since a default is for what is missing."""
        value = self.expression.value(scope)
        if isinstance(value, Unknown):
            return UNKNOWN
        for call in self.filters:
            value = apply_filter(call.name, value, call.arguments, self.zone)
        return value


Part: TypeAlias = str | Slot


@dataclass(frozen=True)
class Text:
    """A text with values in it. Equal if written the same."""

    source: str
    parts: tuple[Part, ...]

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """The alias and field of everything that its expressions read."""
        slots = (part for part in self.parts if isinstance(part, Slot))
        return frozenset().union(*(slot.expression.reads for slot in slots))

    def value(self, scope: Scope) -> Value | Unknown:
        """A single ``{{ }}`` and nothing else gives the value with its type, anything more gives a string.

        A missing value is none where it stands alone and nothing inside a string, never the raw tag (D-94).
        UNKNOWN if any part is.
        """
        if len(self.parts) == 1 and isinstance(self.parts[0], Slot):
            return self.parts[0].value(scope)
        written: list[str] = []
        for part in self.parts:
            value = part if isinstance(part, str) else part.value(scope)
            if isinstance(value, Unknown):
                return UNKNOWN
            written.append(text_of(value))
        return "".join(written)


def compile_text(source: str, compile_expression: Callable[[str], Expression], zone: ZoneInfo = UTC) -> Text:
    """The text that an author wrote, ready to be valued; instants are shown in the zone.

    ``compile_expression`` may raise any ValueError; it comes out as a TemplateError at its place in the text.

    Raises:
        TemplateError: a ``{{`` is not closed, an expression or a filter is wrong, or the text is too long.
    """
    if len(source) > LONGEST_SOURCE:
        raise TemplateError(
            f"a text is at most {LONGEST_SOURCE} characters long",
            hint="Put it into a template file.",
            source=source,
        )
    parts = tuple(
        source[start:end] if is_text else _slot(source, start, end, compile_expression, zone)
        for is_text, start, end in _pieces(source)
    )
    return Text(source, parts)


class _Piece(NamedTuple):
    """A stretch of literal text, or the inside of a ``{{ }}``."""

    is_text: bool
    start: int
    end: int


_QUOTED: Final = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`'
_INSIDE: Final = re.compile(rf"(?:{_QUOTED}|(?!\}}\}})[^\"'`])*", re.DOTALL)
_UNTIL_BAR: Final = re.compile(rf"(?:{_QUOTED}|[^\"'`|])*", re.DOTALL)
_ARGUMENT: Final = re.compile(
    r"\s*(?:\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(-?[0-9]{1,15}(?:\.[0-9]{1,15})?)|(true|false))\s*(,|$)",
    re.DOTALL,
)


def _pieces(source: str) -> Iterator[_Piece]:
    position = 0
    while (opening := source.find("{{", position)) >= 0:
        if opening > position:
            yield _Piece(True, position, opening)
        inside = _INSIDE.match(source, opening + 2)
        end = inside.end() if inside else opening + 2
        if source[end : end + 2] != "}}":
            raise TemplateError(
                "'{{' is not closed", hint="Close it with '}}', and every quote in it.", source=source,
                span=Span(opening, opening + 2),
            )  # fmt: skip
        yield _Piece(False, opening + 2, end)
        position = end + 2
    if position < len(source) or not source:
        yield _Piece(True, position, len(source))


def _slot(source: str, start: int, end: int, compile_expression: Callable[[str], Expression], zone: ZoneInfo) -> Slot:
    bars = [*_bars(source, start, end), end]
    try:
        expression = compile_expression(source[start : bars[0]].strip())
    except ValueError as error:
        raise _wrong_expression(error, source, start, bars[0]) from error
    return Slot(expression, tuple(_filter(source, bar + 1, stop) for bar, stop in pairwise(bars)), zone)


def _bars(source: str, start: int, end: int) -> Iterator[int]:
    """Where the ``|`` outside of quotes are."""
    while True:
        match = _UNTIL_BAR.match(source, start, end)
        start = match.end() if match else end
        if start >= end:
            return
        yield start
        start += 1


def _wrong_expression(error: ValueError, source: str, start: int, end: int) -> TemplateError:
    """The error of the expression language, moved to its place in the whole text."""
    written = source[start:end]
    start += len(written) - len(written.lstrip())
    span = getattr(error, "span", None) or Span(0, len(written.strip()))
    problem = str(getattr(error, "problem", "") or error)
    hint = str(getattr(error, "hint", ""))
    return TemplateError(problem, hint=hint, source=source, span=Span(start + span[0], start + span[1]))


def _filter(source: str, start: int, end: int) -> FilterCall:
    name, colon, arguments = source[start:end].partition(":")
    try:
        call = FilterCall(name.strip(), _arguments(arguments) if colon else ())
        check_filter(call.name, call.arguments)
    except ValueError as error:
        raise TemplateError(str(error), source=source, span=Span(start, end)) from None
    return call


def _arguments(text: str) -> tuple[Value, ...]:
    values: list[Value] = []
    position = 0
    while position < len(text) or not values:
        match = _ARGUMENT.match(text, position)
        if match is None:
            raise ValueError(f"'{text.strip()}' is no list of arguments: write texts in quotes and numbers")
        values.append(_literal(match))
        position = match.end()
    return tuple(values)


def _literal(match: re.Match[str]) -> Value:
    double, single, number, word, _ = match.groups()
    if number is not None:
        return Amount(number) if "." in number else int(number)
    if word is not None:
        return word == "true"
    return re.sub(r"\\(.)", r"\1", double if double is not None else single, flags=re.DOTALL)
