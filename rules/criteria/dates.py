"""Tests of dates against now: true in spells of time, from which verdict and next wake-up both follow.

A spell is ``[start, end)`` in milliseconds. For a day it begins at the day's first instant in the calendar's
zone (D-55); weeks, quarters and years are those of the calendar (D-116).
"""

from collections.abc import Callable, Iterator
from datetime import date
from functools import singledispatch
from typing import Final, TypeAlias

from rules.calendars import Calendar, Duration
from rules.criteria import tree as t
from rules.criteria.closures import Test, negative, value_of, verdict_of
from rules.criteria.comparing import Moment, day_of, moment, single
from rules.criteria.names import Context
from rules.criteria.scope import Scope, Unknown, Verdict
from schemas.values import Value

Spell: TypeAlias = tuple[int, int]

FOREVER: Final = 1 << 62
_DAY: Final = Duration(1, "days")
_UNITS: Final[dict[t.Period, Duration]] = {
    "week": Duration(1, "weeks"),
    "month": Duration(1, "months"),
    "quarter": Duration(1, "quarters"),
    "year": Duration(1, "years"),
}


def spells(node: t.OnDay | t.InPeriod | t.Near, value: Value, now: int, calendar: Calendar) -> tuple[Spell, ...]:
    """When the test of this value is true, near now and later; never, if the value is no date."""
    when = moment(single(value))
    if when is None:
        return ()
    try:
        return tuple(_spells(node, when, now, calendar))
    except (ValueError, OverflowError):
        return ()


@singledispatch
def _spells(node: t.Node, when: Moment, now: int, calendar: Calendar) -> Iterator[Spell]:
    raise NotImplementedError


@_spells.register(t.OnDay)
def _(node: t.OnDay, when: Moment, now: int, calendar: Calendar) -> Iterator[Spell]:
    day = day_of(when, calendar)
    if node.day != "today":
        day = calendar.add_days(day, _DAY, 1 if node.day == "yesterday" else -1)
    yield _days(day, calendar.add_days(day, _DAY), calendar)


@_spells.register(t.InPeriod)
def _(node: t.InPeriod, when: Moment, now: int, calendar: Calendar) -> Iterator[Spell]:
    start, unit = period_start(day_of(when, calendar), node.period, calendar), _UNITS[node.period]
    if node.which != "this":
        start = calendar.add_days(start, unit, 1 if node.which == "last" else -1)
    yield _days(start, calendar.add_days(start, unit), calendar)


def period_start(day: date, period: t.Period, calendar: Calendar) -> date:
    """The first day of the week, month, or fiscal quarter or year that a day is in (D-116)."""
    if period == "week":
        return date.fromordinal(day.toordinal() - (day.weekday() - calendar.week_start) % 7)
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    back = (day.month - calendar.fiscal_start_month) % months
    return calendar.add_days(day.replace(day=1), Duration(back, "months"), -1)


def _days(first: date, after: date, calendar: Calendar) -> Spell:
    return calendar.start_of_day(first), calendar.start_of_day(after)


@_spells.register(t.Near)
def _(node: t.Near, when: Moment, now: int, calendar: Calendar) -> Iterator[Spell]:
    if node.relation == "anniversary":
        yield from _anniversaries(day_of(when, calendar), node.duration, now, calendar)
    elif isinstance(when, date) and node.duration.in_days:
        yield _NEAR_DAY[node.relation](when, node.duration, calendar)
    elif isinstance(when, date):
        start, end = _days(when, calendar.add_days(when, _DAY), calendar)
        yield _near_instant(node.relation, start, end, node.duration, calendar)
    else:
        yield _near_instant(node.relation, when, when + 1, node.duration, calendar)


def _ahead(day: date, duration: Duration, calendar: Calendar) -> Spell:
    return _days(calendar.add_days(day, duration, -1), calendar.add_days(day, _DAY), calendar)


def _behind(day: date, duration: Duration, calendar: Calendar) -> Spell:
    return _days(day, calendar.add_days(calendar.add_days(day, duration), _DAY), calendar)


def _long_ago(day: date, duration: Duration, calendar: Calendar) -> Spell:
    return _behind(day, duration, calendar)[1], FOREVER


def _not_long_ago(day: date, duration: Duration, calendar: Calendar) -> Spell:
    return _days(day, calendar.add_days(day, duration), calendar)


_NEAR_DAY: Final[dict[str, Callable[[date, Duration, Calendar], Spell]]] = {
    "in the next": _ahead,
    "within": _ahead,
    "in the last": _behind,
    "more than ago": _long_ago,
    "less than ago": _not_long_ago,
}


def _near_instant(relation: str, start: int, end: int, duration: Duration, calendar: Calendar) -> Spell:
    if relation in ("in the next", "within"):
        return calendar.add(start, duration, -1), end
    limit = calendar.add(start, duration)
    if relation == "in the last":
        return start, limit + 1
    return (limit + 1, FOREVER) if relation == "more than ago" else (start, limit)


def _anniversaries(day: date, duration: Duration, now: int, calendar: Calendar) -> Iterator[Spell]:
    """The spells before each yearly return around now; the first return is a year after the day itself."""
    year = calendar.day(now).year
    for later in range(max(year - 1 - day.year, 1), max(year + 2 - day.year, 1) + 1):
        yield _ahead(calendar.add_days(day, Duration(later, "years")), duration, calendar)


def _test(node: t.OnDay | t.InPeriod | t.Near, context: Context) -> Test:
    operand, calendar = value_of(node.left, context), context.calendar

    def test(scope: Scope) -> Verdict:
        value, now = operand(scope), scope.now
        if isinstance(value, Unknown):
            return None
        return any(start <= now < end for start, end in spells(node, value, now, calendar))

    return negative(test, node) if node.negated else test


verdict_of.register(t.OnDay, _test)
verdict_of.register(t.InPeriod, _test)
verdict_of.register(t.Near, _test)
