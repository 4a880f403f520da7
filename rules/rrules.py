"""The RRULE form of recurring days (RFC 5545), without what needs a history: COUNT and hourly rules."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from itertools import product
from typing import Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from dateutil import rrule

from rules.calendars import Calendar
from rules.civil import move_months

Frequency: TypeAlias = Literal[0, 1, 2, 3]
"""Yearly, monthly, weekly, daily, as dateutil numbers them."""

YEARLY: Final = 0
MONTHLY: Final = 1
WEEKLY: Final = 2
DAILY: Final = 3

SEARCH_DAYS: Final = 7305
"""How far the next day is looked for: twenty years, since 29 February may be eight years away."""

_FREQUENCIES: Final[dict[str, Frequency]] = {
    "YEARLY": YEARLY, "MONTHLY": MONTHLY, "WEEKLY": WEEKLY, "DAILY": DAILY,
}  # fmt: skip
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LISTS: Final = {"BYMONTHDAY": 31, "BYMONTH": 12, "BYSETPOS": 366, "BYHOUR": 23, "BYMINUTE": 59}
_KEYS: Final = ("FREQ", "INTERVAL", "BYDAY", *_LISTS, "WKST", "DTSTART", "UNTIL")
_ORIGIN: Final = date(2001, 1, 1)
"""A Monday: where rules without DTSTART count their intervals from."""


@dataclass(frozen=True)
class RruleDays:
    """Days by an RRULE; weekday positions are pairs of weekday (0 is Monday) and n-th (0 is each)."""

    frequency: Frequency
    interval: int = 1
    weekdays: tuple[tuple[int, int], ...] = ()
    month_days: tuple[int, ...] = ()
    months: tuple[int, ...] = ()
    positions: tuple[int, ...] = ()
    week_start: int = 0
    start: date = _ORIGIN
    until: date = date.max

    def from_day(self, start: date, calendar: Calendar) -> Iterator[date]:
        """The days of the rule from ``start`` on."""
        last = min(self.until.toordinal(), start.toordinal() + SEARCH_DAYS, date.max.toordinal())
        start = max(start, self.start)
        days = rrule.rrule(
            self.frequency,
            dtstart=datetime.combine(self._period(start), time.min),
            interval=self.interval,
            wkst=self.week_start,
            byweekday=[rrule.weekday(day, nth or None) for day, nth in self.weekdays] or None,
            bymonthday=self.month_days or None,
            bymonth=self.months or None,
            bysetpos=self.positions or None,
            until=datetime.combine(date.fromordinal(last), time.max),
        )
        return (moment.date() for moment in days if moment.date() >= start)

    def _period(self, day: date) -> date:
        """The first day of the rule's newest period that begins by ``day``: counting starts there."""
        if self.frequency == YEARLY:
            return date(self.start.year + _steps(day.year - self.start.year, self.interval), 1, 1)
        if self.frequency == MONTHLY:
            months = (day.year - self.start.year) * 12 + day.month - self.start.month
            return move_months(self.start.replace(day=1), _steps(months, self.interval))
        if self.frequency == WEEKLY:
            first = self.start.toordinal() - (self.start.weekday() - self.week_start) % 7
            return date.fromordinal(first + _steps(day.toordinal() - first, 7 * self.interval))
        return date.fromordinal(
            self.start.toordinal() + _steps(day.toordinal() - self.start.toordinal(), self.interval)
        )


def read_rrule(text: str) -> tuple[RruleDays, tuple[time, ...]]:
    """The days and times of day of an RRULE, given in capitals.

    Raises:
        ValueError: a part is unknown or makes no sense.
    """
    parts = _parts(text)
    lists = {key: _numbers(parts[key], key, most) for key, most in _LISTS.items() if key in parts}
    start = _day(parts["DTSTART"]) if "DTSTART" in parts else _ORIGIN
    days = RruleDays(
        frequency=_FREQUENCIES[_one_of(parts.get("FREQ", ""), tuple(_FREQUENCIES), "FREQ")],
        interval=_numbers(parts.get("INTERVAL", "1"), "INTERVAL", 1000)[0],
        weekdays=tuple(_nth_weekday(name) for name in parts["BYDAY"].split(",")) if "BYDAY" in parts else (),
        month_days=lists.get("BYMONTHDAY", ()),
        months=lists.get("BYMONTH", ()),
        positions=lists.get("BYSETPOS", ()),
        week_start=_WEEKDAYS.index(_one_of(parts.get("WKST", "MO"), _WEEKDAYS, "WKST")),
        start=start,
        until=_day(parts["UNTIL"]) if "UNTIL" in parts else date.max,
    )
    return _checked(_explicit(days), text), _clocks(lists, parts.get("DTSTART", ""))


def _clocks(lists: dict[str, tuple[int, ...]], start: str) -> tuple[time, ...]:
    """The times of day: BYHOUR and BYMINUTE, or what DTSTART says, or midnight."""
    written = re.fullmatch(r"[0-9]{8}T([01][0-9]|2[0-3])([0-5][0-9])[0-9]*Z?", start)
    hour, minute = (int(written[1]), int(written[2])) if written else (0, 0)
    hours, minutes = lists.get("BYHOUR", (hour,)), lists.get("BYMINUTE", (minute,))
    return tuple(time(*clock) for clock in product(sorted(set(hours)), sorted(set(minutes))))


def _parts(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for part in re.split(r"[;\s]+", text.removeprefix("RRULE:").strip("; ")):
        key, _, value = part.replace("DTSTART:", "DTSTART=").partition("=")
        if key not in _KEYS or not value:
            raise ValueError(f"'{part}' is not understood in an RRULE: use {', '.join(_KEYS)}")
        if key in parts:
            raise ValueError(f"'{key}' is given twice in an RRULE")
        parts[key] = value
    return parts


def _explicit(days: RruleDays) -> RruleDays:
    """The rule with the days written out that an RRULE otherwise takes from its start."""
    start = days.start
    if days.weekdays or days.month_days or days.frequency == DAILY:
        return days
    if days.frequency == WEEKLY:
        return replace(days, weekdays=((start.weekday(), 0),))
    months = days.months or ((start.month,) if days.frequency == YEARLY else ())
    return replace(days, month_days=(start.day,), months=months)


def _checked(days: RruleDays, text: str) -> RruleDays:
    if days.interval < 1 or 0 in (*days.month_days, *days.months, *days.positions):
        raise ValueError(f"'{text}': an RRULE counts from 1, or from the end with -1")
    if any(month < 1 for month in days.months):
        raise ValueError(f"'{text}': BYMONTH goes from 1 to 12")
    nth = any(count for _, count in days.weekdays)
    if nth and days.frequency not in (MONTHLY, YEARLY):
        raise ValueError(f"'{text}': a counted weekday as 1MO needs FREQ=MONTHLY or FREQ=YEARLY")
    if days.positions and days.frequency == DAILY:
        raise ValueError(f"'{text}': BYSETPOS needs FREQ=WEEKLY, MONTHLY or YEARLY")
    if next(days.from_day(days.start, Calendar.always(ZoneInfo("UTC"))), None) is None:
        raise ValueError(f"'{text}' never happens within twenty years")
    return days


def _numbers(text: str, key: str, most: int) -> tuple[int, ...]:
    if not re.fullmatch(r"-?[0-9]{1,4}(,-?[0-9]{1,4})*", text):
        raise ValueError(f"{key}={text}: write whole numbers, separated by commas")
    numbers = tuple(int(number) for number in text.split(","))
    lowest = 0 if key in ("BYHOUR", "BYMINUTE") else -most
    if any(not lowest <= number <= most for number in numbers):
        raise ValueError(f"{key}={text}: the numbers go from {lowest} to {most}")
    return numbers


def _nth_weekday(name: str) -> tuple[int, int]:
    match = re.fullmatch(r"([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)", name)
    if match is None or (match[1] and int(match[1]) == 0):
        raise ValueError(f"BYDAY={name}: write MO to SU, or counted as 1MO or -1FR")
    return _WEEKDAYS.index(match[2]), int(match[1] or 0)


def _one_of(value: str, known: tuple[str, ...], key: str) -> str:
    if value not in known:
        raise ValueError(f"{key}={value}: use one of {', '.join(known)}")
    return value


def _day(text: str) -> date:
    """The civil day of ``20261231`` or ``20261231T235959``; a zone is not taken, the calendar has one."""
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()
    except ValueError:
        raise ValueError(f"'{text}' in an RRULE is no date: write one as 20261231") from None


def _steps(distance: int, step: int) -> int:
    return distance // step * step
