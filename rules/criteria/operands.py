"""Values of operands: fields, constants, arithmetic and functions, as closures."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from rules.calendars import Calendar, Duration
from rules.criteria import tree as t
from rules.criteria.closures import Read, Seen, value_of
from rules.criteria.comparing import EXACT, finite, moment
from rules.criteria.functions import FUNCTIONS, Setting, call
from rules.criteria.names import Context
from rules.criteria.scope import UNKNOWN, Scope, Unknown
from schemas.values import Value, format_instant, is_empty, to_number


@value_of.register(t.Constant)
def _(node: t.Constant, context: Context) -> Read:
    value = node.value
    return lambda scope: value


@value_of.register(t.Exact)
def _(node: t.Exact, context: Context) -> Read:
    text = node.text
    return lambda scope: text


@value_of.register(t.Length)
def _(node: t.Length, context: Context) -> Read:
    text = str(node.duration)  # a duration alone is its text; arithmetic takes the duration itself
    return lambda scope: text


@value_of.register(t.Field)
def _(node: t.Field, context: Context) -> Read:
    return field(node.alias, node.name)


def field(alias: str, name: str) -> Read:
    """The field of the record that the alias means: empty where there is none, unknown where it is."""

    def read(scope: Any) -> Seen:
        try:
            value: Value = scope[alias][name]
        except KeyError:
            return None
        except TypeError:
            return UNKNOWN if scope[alias] is UNKNOWN else None
        return value

    return read


@value_of.register(t.FirstOf)
def _(node: t.FirstOf, context: Context) -> Read:
    fields = [field(node.alias, name) for name in node.names]

    def read(scope: Scope) -> Seen:
        for one in fields:
            value = one(scope)
            if value is UNKNOWN or isinstance(value, Unknown) or not is_empty(value):
                return value
        return None

    return read


@value_of.register(t.Before)
def _(node: t.Before, context: Context) -> Read:
    name = node.name

    def read(scope: Scope) -> Seen:
        return None if scope.before is None else scope.before.get(name)

    return read


@value_of.register(t.StepValue)
def _(node: t.StepValue, context: Context) -> Read:
    step, name = node.step, node.name
    return lambda scope: scope.value_of_step(step, name)


# --- arithmetic


def _plus(left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(right, str):
        return left + right
    return _on_numbers(left, right, lambda a, b: a + b, EXACT.add)


def _minus(left: Value, right: Value) -> Value:
    return _on_numbers(left, right, lambda a, b: a - b, EXACT.subtract)


def _times(left: Value, right: Value) -> Value:
    return _on_numbers(left, right, lambda a, b: a * b, EXACT.multiply)


def _over(left: Value, right: Value) -> Value:
    first, second = to_number(left), to_number(right)
    if first is None or not second:
        return None
    return finite(EXACT.divide(Decimal(first), Decimal(second)))


def _on_numbers(
    left: Value,
    right: Value,
    whole: Callable[[int, int], int],
    exact: Callable[[Decimal, Decimal], Decimal],
) -> Value:
    first, second = to_number(left), to_number(right)
    if first is None or second is None:
        return None
    if isinstance(first, int) and isinstance(second, int):
        return whole(first, second)
    return finite(exact(Decimal(first), Decimal(second)))


_ARITHMETIC: Final = {"+": _plus, "-": _minus, "*": _times, "/": _over}


@value_of.register(t.Binary)
def _(node: t.Binary, context: Context) -> Read:
    if isinstance(node.right, t.Length) and node.sign in "+-":
        return _shifted(node.left, node.right.duration, 1 if node.sign == "+" else -1, context)
    left, right = value_of(node.left, context), value_of(node.right, context)
    compute = _ARITHMETIC[node.sign]

    def read(scope: Scope) -> Seen:
        one, other = left(scope), right(scope)
        if isinstance(one, Unknown) or isinstance(other, Unknown):
            return UNKNOWN
        return None if one is None or other is None else compute(one, other)

    return read


def _shifted(operand: t.Operand, duration: Duration, sign: int, context: Context) -> Read:
    value, calendar = value_of(operand, context), context.calendar

    def read(scope: Scope) -> Seen:
        found = value(scope)
        return found if isinstance(found, Unknown) else shift(found, duration, sign, calendar)

    return read


def shift(value: Value, duration: Duration, sign: int, calendar: Calendar) -> Value:
    """A date or instant moved by a duration; a day moved by hours becomes an instant. Empty for all else."""
    when = moment(value)
    if when is None:
        return None
    try:
        if isinstance(when, date) and duration.in_days:
            return calendar.add_days(when, duration, sign).isoformat()
        start = calendar.start_of_day(when) if isinstance(when, date) else when
        return format_instant(calendar.add(start, duration, sign))
    except (ValueError, OverflowError):
        return None


@value_of.register(t.Negative)
def _(node: t.Negative, context: Context) -> Read:
    operand = value_of(node.operand, context)

    def read(scope: Scope) -> Seen:
        value = operand(scope)
        if isinstance(value, Unknown):
            return UNKNOWN
        number = to_number(value)
        if number is None:
            return None
        return -number if isinstance(number, int) else finite(EXACT.minus(number))

    return read


# --- functions


@value_of.register(t.Call)
def _(node: t.Call, context: Context) -> Read:
    function = FUNCTIONS[node.name]
    reads = [value_of(argument, context) for argument in node.arguments]
    if node.name == "coalesce":
        return _first_filled(reads)
    calendar, rates = context.calendar, context.rates

    def read(scope: Scope) -> Seen:
        arguments: list[Value] = []
        for one in reads:
            value = one(scope)
            if isinstance(value, Unknown):
                return UNKNOWN
            arguments.append(value)
        return call(function, arguments, Setting(scope.now, calendar, rates))

    return read


def _first_filled(reads: list[Read]) -> Read:
    """The first value that is not empty; unknown where one before it is not known."""

    def read(scope: Scope) -> Seen:
        for one in reads:
            value = one(scope)
            if isinstance(value, Unknown) or not is_empty(value):
                return value
        return None

    return read
