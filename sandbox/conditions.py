"""Conditions of the vendors' query languages: one small tree, compiled against field types; and sorting."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, TypeVar

from schemas.metadata import Field, FieldType
from schemas.values import Value, fold, is_empty, parse_date, parse_instant, to_number

T = TypeVar("T")

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "like", "in", "between", "empty"]
Look: TypeAlias = Callable[[str], Value]
"""Gives a column's value of the record at hand."""
Predicate: TypeAlias = Callable[[Look], bool]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One column against literals; ``empty`` has none, ``between`` two, ``in`` any number."""

    column: str
    operator: Operator
    literals: tuple[Value, ...] = ()
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Junction:
    """All or some of several conditions."""

    every: bool
    parts: "tuple[Condition, ...]"


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition."""

    part: "Condition"


Condition: TypeAlias = Comparison | Junction | Negation


@dataclass(frozen=True, slots=True)
class Order:
    """One sort column."""

    column: str
    descending: bool = False
    empty_last: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query of any dialect; no limit means the dialect's own."""

    columns: tuple[str, ...]
    tab: str
    where: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    count: bool = False


class BadLiteralError(ValueError):
    """A literal that does not fit its column's type."""

    def __init__(self, column: str) -> None:
        super().__init__(f"the value does not fit column {column}")
        self.column = column


def columns_of(condition: Condition | None) -> Iterable[str]:
    """Every column that a condition reads."""
    match condition:
        case Comparison():
            yield condition.column
        case Junction():
            for part in condition.parts:
                yield from columns_of(part)
        case Negation():
            yield from columns_of(condition.part)


def compile_condition(condition: Condition | None, field_of: Callable[[str], Field]) -> Predicate:
    """The condition as a function of a record.

    Raises:
        BadLiteralError: a literal does not fit the type of its column.
    """
    match condition:
        case None:
            return lambda look: True
        case Comparison():
            return _compile_comparison(condition, field_of(condition.column).type)
        case Junction(every=every, parts=parts):
            tests = [compile_condition(part, field_of) for part in parts]
            quantifier = all if every else any
            return lambda look: quantifier(test(look) for test in tests)
        case Negation(part=part):
            inner = compile_condition(part, field_of)
            return lambda look: not inner(look)


def sort_rows(
    rows: Sequence[T],
    order: Sequence[Order],
    look: Callable[[T, str], Value],
    type_of: Callable[[str], FieldType],
) -> list[T]:
    """The rows in the asked order; ``look(row, column)`` reads, ``type_of(column)`` is its field type."""
    result = list(rows)
    for item in reversed(order):
        result.sort(key=_sort_key(item, look, type_of(item.column)), reverse=item.descending)
    return result


def comparable(kind: FieldType, value: Value) -> Any:
    """A value in the form in which values of that type compare; none where it is empty.

    Raises:
        ValueError: the value is not of that type.
    """
    if is_empty(value):
        return None
    if isinstance(value, list):
        return fold(";".join(sorted(str(item) for item in value)))
    if kind == "number":
        number = to_number(value)
        if number is None:
            raise ValueError(f"not a number: {value!r}")
        return number
    if kind == "boolean":
        return str(value).casefold() in ("true", "1")
    return _comparable_text(kind, str(value))


@lru_cache(maxsize=65_536)
def _comparable_text(kind: FieldType, text: str) -> Any:
    if kind == "datetime":
        return parse_instant(text)
    if kind == "date":
        return parse_date(text).isoformat()
    return text if kind == "id" else fold(text)


def _sort_key(item: Order, look: Callable[[T, str], Value], kind: FieldType) -> Callable[[T], Any]:
    # With a descending sort the whole key is reversed, so "empty last" is the other mark there.
    mark_of_empty = item.empty_last != item.descending

    def key(row: T) -> tuple[bool, Any]:
        value = comparable(kind, look(row, item.column))
        return (mark_of_empty, 0) if value is None else (not mark_of_empty, value)

    return key


def _compile_comparison(test: Comparison, kind: FieldType) -> Predicate:
    column, negated = test.column, test.negated
    matches = _matcher(test, kind)
    return lambda look: matches(look(column)) != negated


def _matcher(test: Comparison, kind: FieldType) -> Callable[[Value], bool]:
    if test.operator == "empty":
        return is_empty
    if test.operator == "like":
        pattern = _like(str(test.literals[0]))
        return lambda value: value is not None and pattern.fullmatch(str(value).casefold()) is not None
    try:
        wanted = [comparable(kind, literal) for literal in test.literals]
    except ValueError:
        raise BadLiteralError(test.column) from None
    compare = _COMPARE[test.operator]
    return lambda value: compare(comparable(kind, value), wanted)


def _like(pattern: str) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern.casefold())
    return re.compile("".join(parts), re.DOTALL)


_COMPARE: dict[str, Callable[[Any, list[Any]], bool]] = {
    "=": lambda value, wanted: value == wanted[0],
    "!=": lambda value, wanted: value != wanted[0],
    "<": lambda value, wanted: value is not None and value < wanted[0],
    "<=": lambda value, wanted: value is not None and value <= wanted[0],
    ">": lambda value, wanted: value is not None and value > wanted[0],
    ">=": lambda value, wanted: value is not None and value >= wanted[0],
    "in": lambda value, wanted: value in wanted,
    "between": lambda value, wanted: value is not None and wanted[0] <= value <= wanted[1],
}
