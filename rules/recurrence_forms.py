"""How recurring times are written: words, cron and RRULE, each read into days and times of day."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time, timedelta
from itertools import product
from typing import Final, Protocol, TypeAlias

from rules.calendars import Calendar
from rules.rrules import SEARCH_DAYS, read_rrule
from schemas.values import fold

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Days(Protocol):
    """A pattern of days."""

    def from_day(self, start: date, calendar: Calendar) -> Iterator[date]:
        """The days of the pattern in the twenty years from ``start`` on, in order."""
        ...


Form: TypeAlias = "tuple[Days, tuple[time, ...]]"


@dataclass(frozen=True)
class MatchingDays:
    """Days by month, day of the month and weekday (0 is Monday); ``either``: one of the last two suffices."""

    months: frozenset[int] = frozenset(range(1, 13))
    month_days: frozenset[int] = frozenset(range(1, 32))
    weekdays: frozenset[int] = frozenset(range(7))
    either: bool = False

    def from_day(self, start: date, calendar: Calendar) -> Iterator[date]:
        """The matching days from ``start`` on."""
        return (day for day in every_day(start) if self.matches(day))

    def matches(self, day: date) -> bool:
        """Whether the day belongs to the pattern."""
        in_month, in_week = day.day in self.month_days, day.weekday() in self.weekdays
        return day.month in self.months and ((in_month or in_week) if self.either else (in_month and in_week))


@dataclass(frozen=True)
class BusinessDays:
    """The days on which the calendar opens."""

    def from_day(self, start: date, calendar: Calendar) -> Iterator[date]:
        """The business days from ``start`` on."""
        return (day for day in every_day(start) if calendar.is_business_day(day))


@dataclass(frozen=True)
class MonthDay:
    """One day of each month; in a shorter month its last (D-55), so 31 is always the last day."""

    day: int

    def from_day(self, start: date, calendar: Calendar) -> Iterator[date]:
        """These days from ``start`` on."""
        return (day for day in every_day(start) if day.day == min(self.day, monthrange(day.year, day.month)[1]))


def every_day(start: date) -> Iterator[date]:
    """All days of the twenty years from ``start`` on."""
    first = start.toordinal()
    return map(date.fromordinal, range(first, min(first + SEARCH_DAYS, date.max.toordinal())))


def read_recurrence(text: str) -> Form:
    """The days and times of day that a text names.

    Raises:
        ValueError: the text is no recurrence, or never happens.
    """
    words = fold(text)
    if "freq=" in words:
        return read_rrule(words.upper())
    if len(words.split()) == 5 and " at " not in words:
        return _cron(words)
    return _in_words(words, text)


def _in_words(words: str, text: str) -> Form:
    pattern, at, clocks = words.partition(" at ")
    days = _days_in_words(pattern.strip())
    if days is None or not at:
        raise ValueError(
            f"'{text}' is no recurrence: write 'daily at 02:30', 'every monday and friday at 09:00', "
            "'every business day at 09:00', 'monthly on 15 at 09:00', 'monthly on the last day at 18:00', "
            "a cron line as '0 9 * * 1-5', or an RRULE as 'FREQ=MONTHLY;BYDAY=1MO'"
        )
    return days, tuple(sorted({read_clock(clock) for clock in re.split(r",|\band\b", clocks)}))


def _days_in_words(pattern: str) -> Days | None:
    if pattern in ("daily", "every day"):
        return MatchingDays()
    if pattern in ("every business day", "business days"):
        return BusinessDays()
    if pattern in ("weekdays", "every weekday"):
        return MatchingDays(weekdays=frozenset(range(5)))
    if pattern.startswith(("monthly on ", "every month on ")):
        return _month_day(pattern.partition(" on ")[2])
    if pattern.startswith("every "):
        return _named_weekdays(pattern.removeprefix("every "))
    return None


def _named_weekdays(names: str) -> Days | None:
    found = [_weekday(name.strip()) for name in re.split(r",|\band\b", names)]
    if None in found:
        return None
    return MatchingDays(weekdays=frozenset(day for day in found if day is not None))


def _weekday(name: str) -> int | None:
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    matches = [index for index, day in enumerate(full) if len(name) >= 3 and day.startswith(name)]
    return matches[0] if len(matches) == 1 else None


def _month_day(words: str) -> Days | None:
    if words in ("last day", "the last day"):
        return MonthDay(31)
    match = re.fullmatch(r"(?:the |day )?([0-9]{1,2})(?:st|nd|rd|th)?", words)
    if match is None or not 1 <= int(match[1]) <= 31:
        return None
    return MonthDay(int(match[1]))


def read_clock(text: str) -> time:
    """A time of day as ``09:00`` or ``9:00:30``.

    Raises:
        ValueError: the text is no time of day.
    """
    match = re.fullmatch(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?", fold(text))
    try:
        if match is None:
            raise ValueError
        return time(int(match[1]), int(match[2]), int(match[3] or 0))
    except ValueError:
        raise ValueError(f"'{text.strip()}' is no time of day: write one as '09:00'") from None


def _cron(text: str) -> Form:
    minute, hour, month_day, month, weekday = text.split()
    days = MatchingDays(
        months=_cron_field(month, 1, 12, _MONTHS),
        month_days=_cron_field(month_day, 1, 31),
        weekdays=frozenset((day - 1) % 7 for day in _cron_field(weekday, 0, 7, ("sun", *WEEKDAYS[:-1]), base=0)),
        either=not month_day.startswith("*") and not weekday.startswith("*"),
    )
    _must_happen(days, text)
    clocks = product(sorted(_cron_field(hour, 0, 23)), sorted(_cron_field(minute, 0, 59)))
    return days, tuple(time(*clock) for clock in clocks)


def _must_happen(days: MatchingDays, text: str) -> None:
    leap_year = (date(1996, 1, 1) + timedelta(days=offset) for offset in range(366))
    if not days.either and not any(day.month in days.months and day.day in days.month_days for day in leap_year):
        raise ValueError(f"'{text}' never happens: no month has such a day")


def _cron_field(text: str, lowest: int, highest: int, names: tuple[str, ...] = (), base: int = 1) -> frozenset[int]:
    """The numbers that one field of a cron line lists: ``*``, ``1-5``, ``*/15``, ``mon,wed``."""
    numbers: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = ("*", "", "") if span == "*" else span.partition("-")
        start = lowest if first == "*" else _cron_number(first, lowest, highest, names, base)
        end = highest if first == "*" or (slash and not dash) else start
        end = _cron_number(last, lowest, highest, names, base) if dash else end
        if end < start or (slash and (not step.isdecimal() or not 1 <= int(step) <= highest)):
            raise ValueError(f"'{part}' is no part of a cron line: use *, 5, 1-5, */15 or lists of these")
        numbers.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(numbers)


def _cron_number(text: str, lowest: int, highest: int, names: tuple[str, ...], base: int) -> int:
    if text in names:
        return names.index(text) + base
    if not text.isdecimal() or len(text) > 2 or not lowest <= int(text) <= highest:
        raise ValueError(f"'{text}' in a cron line is not a number from {lowest} to {highest}")
    return int(text)
