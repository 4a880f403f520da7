"""The functions of value expressions: pure, total (no answer is empty, D-90), decimal."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, Literal, NamedTuple, TypeAlias
from unicodedata import normalize

from rules.calendars import Calendar
from rules.criteria.comparing import EXACT, Moment, Number, day_of, finite, moment, order
from schemas.values import Amount, Value, fold, format_instant, is_empty, to_number

Kind: TypeAlias = Literal["text", "number", "boolean", "date", "list", "duration", "unknown"]
"""What sort of value an operand has, as far as that is known before any record is seen (D-115)."""


class Setting(NamedTuple):
    """What functions know besides their arguments."""

    now: int
    calendar: Calendar
    rates: Mapping[str, Decimal]


@dataclass(frozen=True)
class Function:
    """One function: what it computes, how many arguments it takes and of which kind, and what it gives."""

    apply: Callable[[Sequence[Value], Setting], Value]
    least: int
    most: int
    takes: Kind
    gives: Kind
    needs_all: bool = True
    """Whether an empty argument leaves it without an answer."""


def _text(value: Value) -> str:
    if isinstance(value, list):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _number(value: Value) -> Number:
    number = to_number(value)
    if number is None:
        raise ValueError("no number")
    return number


def _whole(value: Value) -> int:
    number = _number(value)
    if not -100_000 < number < 100_000:
        raise ValueError("no position in a text")
    return int(number)


def _moment(value: Value) -> Moment:
    when = moment(value)
    if when is None:
        raise ValueError("no date")
    return when


def _coalesce(arguments: Sequence[Value], _: Setting) -> Value:
    return next((value for value in arguments if not is_empty(value)), None)


def _lower(arguments: Sequence[Value], _: Setting) -> Value:
    return _text(arguments[0]).lower()


def _upper(arguments: Sequence[Value], _: Setting) -> Value:
    return _text(arguments[0]).upper()


def _trim(arguments: Sequence[Value], _: Setting) -> Value:
    return _text(arguments[0]).strip()


def _length(arguments: Sequence[Value], _: Setting) -> Value:
    value = arguments[0]
    return len(value) if isinstance(value, list) else len(_text(value))


def _substring(arguments: Sequence[Value], _: Setting) -> Value:
    """From a position (the first is 1) as many characters as given, or all that follow."""
    text, start = _text(arguments[0]), max(_whole(arguments[1]), 1) - 1
    return text[start:] if len(arguments) == 2 else text[start : start + max(_whole(arguments[2]), 0)]


def _replace(arguments: Sequence[Value], _: Setting) -> Value:
    text, old, new = (_text(argument) for argument in arguments)
    if not old or len(text) * (len(new) + 1) > 1_000_000:
        return text
    return text.replace(old, new)


def _round(arguments: Sequence[Value], _: Setting) -> Value:
    """Half away from zero, as money is rounded; to whole numbers unless places are given."""
    places = _whole(arguments[1]) if len(arguments) == 2 else 0
    if abs(places) > 20:
        return None
    rounded = Decimal(_number(arguments[0])).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, EXACT)
    return int(rounded) if places <= 0 and rounded.is_finite() else finite(rounded)


def _abs(arguments: Sequence[Value], _: Setting) -> Value:
    number = _number(arguments[0])
    return abs(number) if isinstance(number, int) else finite(EXACT.abs(number))


def _least(arguments: Sequence[Value], setting: Setting) -> Value:
    return extreme(arguments, -1, setting.calendar)


def _greatest(arguments: Sequence[Value], setting: Setting) -> Value:
    return extreme(arguments, 1, setting.calendar)


def extreme(values: Sequence[Value], sign: int, calendar: Calendar) -> Value:
    """The greatest (sign 1) or least (sign -1) of the values that have an order; empty ones do not count."""
    best: Value = None
    for value in values:
        compared = order(value, best, calendar)
        if (best is None and not is_empty(value)) or (compared is not None and compared * sign > 0):
            best = value
    return best


def _days_between(arguments: Sequence[Value], setting: Setting) -> Value:
    start, end = _days(arguments, setting.calendar)
    return (end - start).days


def _business_days_between(arguments: Sequence[Value], setting: Setting) -> Value:
    return setting.calendar.business_days_between(*_days(arguments, setting.calendar))


def _days(arguments: Sequence[Value], calendar: Calendar) -> tuple[date, date]:
    return day_of(_moment(arguments[0]), calendar), day_of(_moment(arguments[1]), calendar)


def _date(arguments: Sequence[Value], setting: Setting) -> Value:
    """The day of a date or instant; or of a year, a month and a day."""
    if len(arguments) == 1:
        return day_of(_moment(arguments[0]), setting.calendar).isoformat()
    return date(*(_whole(argument) for argument in arguments)).isoformat()


def _now(_: Sequence[Value], setting: Setting) -> Value:
    return format_instant(setting.now)


def _today(_: Sequence[Value], setting: Setting) -> Value:
    return setting.calendar.day(setting.now).isoformat()


def _currency(arguments: Sequence[Value], setting: Setting) -> Value:
    """The amount in another currency; the third argument is the record's own. Empty without rate (D-115)."""
    amount, wanted, own = _number(arguments[0]), fold(_text(arguments[1])), fold(_text(arguments[2]))
    if wanted == own:
        return finite(amount)
    rates = {fold(code): rate for code, rate in setting.rates.items()}
    if not rates.get(own) or not rates.get(wanted):
        return None
    return finite(EXACT.divide(EXACT.multiply(Decimal(amount), rates[own]), rates[wanted]))


def _domain_of(arguments: Sequence[Value], _: Setting) -> Value:
    """The domain of a mail address or web address, without ``www.``."""
    text = fold(_text(arguments[0]))
    host = re.split(r"[/?#:>\s]", re.sub(r"^[a-z][a-z0-9+.-]*://", "", text).rpartition("@")[2])[0]
    return host.removeprefix("www.").rstrip(".") or None


def _normalise_phone(arguments: Sequence[Value], _: Setting) -> Value:
    """Digits only, with ``+`` in front of an international number: ``(0049) 30-12`` is ``+493012``."""
    text = normalize("NFKC", _text(arguments[0])).strip()
    digits = re.sub(r"[^0-9]", "", text.replace("(0)", "") if text.startswith("+") else text)
    if text.startswith("+"):
        return f"+{digits}" if digits else None
    return f"+{digits[2:]}" if digits.startswith("00") else digits or None


FUNCTIONS: Final[Mapping[str, Function]] = {
    "coalesce": Function(_coalesce, 1, 20, "unknown", "unknown", needs_all=False),
    "lower": Function(_lower, 1, 1, "text", "text"),
    "upper": Function(_upper, 1, 1, "text", "text"),
    "trim": Function(_trim, 1, 1, "text", "text"),
    "length": Function(_length, 1, 1, "unknown", "number", needs_all=False),
    "substring": Function(_substring, 2, 3, "unknown", "text"),
    "replace": Function(_replace, 3, 3, "text", "text", needs_all=False),
    "round": Function(_round, 1, 2, "number", "number"),
    "abs": Function(_abs, 1, 1, "number", "number"),
    "min": Function(_least, 2, 20, "unknown", "unknown", needs_all=False),
    "max": Function(_greatest, 2, 20, "unknown", "unknown", needs_all=False),
    "days_between": Function(_days_between, 2, 2, "date", "number"),
    "business_days_between": Function(_business_days_between, 2, 2, "date", "number"),
    "date": Function(_date, 1, 3, "unknown", "date"),
    "now": Function(_now, 0, 0, "unknown", "date"),
    "today": Function(_today, 0, 0, "unknown", "date"),
    "currency": Function(_currency, 3, 3, "unknown", "number"),
    "domain_of": Function(_domain_of, 1, 1, "text", "text"),
    "normalise_phone": Function(_normalise_phone, 1, 1, "text", "text"),
}


def call(function: Function, arguments: Sequence[Value], setting: Setting) -> Value:
    """What a function gives; empty where it has no answer, or where an argument that it needs is empty."""
    if function.needs_all and any(is_empty(argument) for argument in arguments[: function.least]):
        return None
    try:
        found = function.apply(arguments, setting)
    except (ValueError, ArithmeticError):
        return None
    return Amount(found) if isinstance(found, Decimal) else found
