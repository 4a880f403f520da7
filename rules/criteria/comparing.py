"""When two field values are equal, and which comes first: total, an ill-typed comparison is false (D-115)."""

from collections.abc import Iterable
from datetime import date
from decimal import Context, Decimal
from typing import Final, TypeAlias

from rules.calendars import Calendar
from schemas.values import Amount, Value, fold, is_empty, parse_date, parse_instant, to_number

Moment: TypeAlias = date | int
"""A calendar day, or an instant in milliseconds."""

Number: TypeAlias = int | Decimal

EXACT: Final = Context(prec=38, traps=[])
"""Decimal arithmetic that never raises; what is not finite becomes empty (``finite``)."""

_TRUE: Final = frozenset({"true", "1"})
_FALSE: Final = frozenset({"false", "0"})


def moment(value: Value) -> Moment | None:
    """The day or instant that ISO text says; none for all else."""
    if not isinstance(value, str) or len(value) < 10 or value[4] != "-" or value[7] != "-":
        return None
    try:
        return parse_date(value) if len(value) == 10 else parse_instant(value)
    except (ValueError, OverflowError):
        return None


def day_of(when: Moment, calendar: Calendar) -> date:
    """The calendar day of a moment, in the calendar's zone. Raises ValueError outside the years 1 to 9999."""
    return when if isinstance(when, date) else calendar.day(when)


def compare_moments(left: Moment, right: Moment, calendar: Calendar) -> int:
    """Below, at or above zero as ``left`` is earlier, the same or later; by day if either is a day."""
    if isinstance(left, int) and isinstance(right, int):
        return (left > right) - (left < right)
    first, second = day_of(left, calendar), day_of(right, calendar)
    return (first > second) - (first < second)


def single(value: Value) -> Value:
    """The value; of a multi-select with one choice, that choice."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def truth(value: Value) -> bool | None:
    """A boolean however the CRM wrote it: ``true``, ``1`` and ``"1"`` are the same."""
    if isinstance(value, bool):
        return value
    text = fold(str(value)) if isinstance(value, str | int) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def equal(left: Value, right: Value, calendar: Calendar) -> bool:
    """Whether two values are the same to a reader (D-113); an empty side equals nothing."""
    left, right = single(left), single(right)
    if is_empty(left) or is_empty(right):
        return False
    if isinstance(left, list) or isinstance(right, list):
        return isinstance(left, list) and isinstance(right, list) and _same_members(left, right, calendar)
    if isinstance(left, bool) or isinstance(right, bool):
        known = truth(left)
        return known is not None and known is truth(right)
    if isinstance(left, str) and isinstance(right, str):
        return _same_text(left, right, calendar)
    first, second = to_number(left), to_number(right)
    return first is not None and first == second


def _same_text(left: str, right: str, calendar: Calendar) -> bool:
    if left == right or fold(left) == fold(right):
        return True
    first, second = moment(left), moment(right)
    if first is None or second is None:
        return False
    try:
        return compare_moments(first, second, calendar) == 0
    except ValueError:
        return False


def member(value: Value, options: Iterable[Value], calendar: Calendar) -> bool:
    """Whether a value equals one of the options."""
    return any(equal(value, option, calendar) for option in options)


def members(value: Value) -> list[Value]:
    """The choices of a multi-select; of another value, that value alone."""
    if is_empty(value):
        return []
    return value if isinstance(value, list) else [value]


def _same_members(left: list[Value], right: list[Value], calendar: Calendar) -> bool:
    covered = all(member(value, right, calendar) for value in left)
    return covered and all(member(value, left, calendar) for value in right)


def order(left: Value, right: Value, calendar: Calendar) -> int | None:
    """Below, at or above zero as ``left`` comes first, equals or follows; none without an order (D-112)."""
    left, right = single(left), single(right)
    if is_empty(left) or is_empty(right):
        return None
    first, second = to_number(left), to_number(right)
    if first is not None and second is not None:
        return (first > second) - (first < second)
    if isinstance(left, str) and isinstance(right, str):
        return _order_of_texts(left, right, calendar)
    return None


def _order_of_texts(left: str, right: str, calendar: Calendar) -> int | None:
    first, second = moment(left), moment(right)
    if first is not None and second is not None:
        try:
            return compare_moments(first, second, calendar)
        except ValueError:
            return None
    one, other = fold(left), fold(right)
    return (one > other) - (one < other)


def sort_key(value: Value) -> tuple[int, Number | str]:
    """A key by which any values sort: numbers, then moments, then texts."""
    number = to_number(value)
    if number is not None:
        return 0, number
    when = moment(value)
    if when is not None:
        return 1, when if isinstance(when, int) else (when.toordinal() - _EPOCH_DAY) * 86_400_000
    return 2, fold(str(value))


def finite(number: Number) -> Value:
    """The number as a field value; empty where the arithmetic has no answer (D-90)."""
    if isinstance(number, int):
        return number
    return Amount(number) if number.is_finite() else None


_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
