"""Opening hours: a week of shifts less the holidays, and time that only runs while they are open (D-56)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, time
from itertools import pairwise
from typing import Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from rules.civil import CalendarError, instant_of, local_time, move_days

Span: TypeAlias = tuple[int, int]
"""Opening and closing in minutes of the local day; a closing past 1440 is on the next day."""

Week: TypeAlias = tuple[tuple[Span, ...], ...]
"""The spans of Monday to Sunday."""

DAY_MINUTES: Final = 24 * 60
SEARCH_DAYS: Final = 3653
"""How far an opening is looked for: ten years."""

_LONGEST_SUM: Final = 100 * 366


class Shift(NamedTuple):
    """One stretch of being open: the day it belongs to, and its instants (ms)."""

    day: date
    opens: int
    closes: int


@dataclass(frozen=True)
class OpeningHours:
    """When a calendar is open. A shift belongs to the day on which it begins, also when it ends on the next.

    Raises:
        ValueError: the week has not seven days, a span is not one, or it never opens.
    """

    zone: ZoneInfo
    week: Week
    holidays: frozenset[date]

    def __post_init__(self) -> None:
        if len(self.week) != 7:
            raise ValueError("opening hours need seven days, Monday first")
        for spans in self.week:
            _check_day(spans)
        if not any(self.week):
            raise ValueError("the calendar never opens: give at least one day its hours")

    def opens_on(self, day: date) -> bool:
        """Whether a shift begins on this day: what makes it a business day."""
        return bool(self.week[day.weekday()]) and day not in self.holidays

    def is_open(self, at: int) -> bool:
        """Whether the instant lies in a shift; the closing instant does not."""
        day = local_time(at, self.zone).date()
        shifts = (*self._shifts(move_days(day, -1)), *self._shifts(day))
        return any(shift.opens <= at < shift.closes for shift in shifts)

    def later(self, at: int, length: int) -> int:
        """The instant by which it has been open for ``length`` ms since ``at``; 0 gives the next opening.

        Raises:
            CalendarError: that does not come within ten years.
        """
        for shift in self._from(at):
            at = max(at, shift.opens)
            if at + length <= shift.closes:
                return at + length
            length -= max(0, shift.closes - at)
            at = max(at, shift.closes)
        raise CalendarError("the calendar is not open for that long within ten years")

    def earlier(self, at: int, length: int) -> int:
        """The instant since which it has been open for ``length`` ms until ``at``; 0 gives the last closing.

        Raises:
            CalendarError: that is more than ten years ago.
        """
        for shift in self._until(at):
            at = min(at, shift.closes)
            if at - length >= shift.opens:
                return at - length
            length -= max(0, at - shift.opens)
            at = min(at, shift.opens)
        raise CalendarError("the calendar was not open for that long in the past ten years")

    def move_business_days(self, at: int, count: int, sign: int) -> int:
        """The same time of day so many business days on, counted from the opening if it is closed at ``at``.

        Raises:
            CalendarError: the day does not come within ten years.
        """
        roll = self.later if sign > 0 else self.earlier
        at = roll(at, 0)
        shift = next(self._from(at) if sign > 0 else self._until(at))
        local = local_time(at, self.zone)
        day = move_days(self.business_day(shift.day, count, sign), (local.date() - shift.day).days)
        return roll(instant_of(day, local.time(), self.zone), 0)

    def business_day(self, day: date, count: int, sign: int) -> date:
        """The ``count``-th business day after (or before) a day, which itself is not counted.

        Raises:
            CalendarError: it does not come within ten years.
        """
        for _ in range(SEARCH_DAYS):
            if count == 0:
                return day
            day = move_days(day, sign)
            count -= self.opens_on(day)
        raise CalendarError("there are not that many business days within ten years")

    def open_time(self, start: int, end: int) -> int:
        """Milliseconds of being open between two instants, ``start`` first.

        Raises:
            CalendarError: they are more than a hundred years apart.
        """
        if end - start > _LONGEST_SUM * DAY_MINUTES * 60_000:
            raise CalendarError("business time is counted over at most a hundred years")
        total = 0
        for shift in self._from(start, _LONGEST_SUM):
            if shift.opens >= end:
                break
            begin = max(start, shift.opens)
            start = max(start, min(end, shift.closes))
            total += max(0, start - begin)
        return total

    def business_days(self, start: date, end: date) -> int:
        """How many business days lie after ``start`` up to and with ``end``, ``start`` first."""
        weeks, rest = divmod((end - start).days, 7)
        open_days = sum(map(bool, self.week))
        tail = sum(bool(self.week[(end.weekday() - back) % 7]) for back in range(rest))
        closed = sum(start < day <= end and bool(self.week[day.weekday()]) for day in self.holidays)
        return weeks * open_days + tail - closed

    def _shifts(self, day: date) -> Iterator[Shift]:
        if self.opens_on(day):
            for opens, closes in self.week[day.weekday()]:
                shift = Shift(day, self._instant(day, opens), self._instant(day, closes))
                if shift.opens < shift.closes:  # a shift inside a skipped hour has no length
                    yield shift

    def _instant(self, day: date, minute: int) -> int:
        extra, minute = divmod(minute, DAY_MINUTES)
        return instant_of(move_days(day, extra), time(*divmod(minute, 60)), self.zone)

    def _from(self, at: int, days: int = SEARCH_DAYS) -> Iterator[Shift]:
        """The shifts that close after an instant, in order."""
        first = move_days(local_time(at, self.zone).date(), -1)
        for offset in range(days + 2):
            yield from (shift for shift in self._shifts(move_days(first, offset)) if shift.closes > at)

    def _until(self, at: int) -> Iterator[Shift]:
        """The shifts that open before an instant, the latest first."""
        last = local_time(at, self.zone).date()
        for offset in range(SEARCH_DAYS + 2):
            shifts = tuple(self._shifts(move_days(last, -offset)))
            yield from (shift for shift in reversed(shifts) if shift.opens < at)


def _check_day(spans: tuple[Span, ...]) -> None:
    for opens, closes in spans:
        if not 0 <= opens < DAY_MINUTES or not opens < closes <= opens + DAY_MINUTES:
            raise ValueError("a shift begins within its day and lasts up to 24 hours")
    if any(before[1] > after[0] for before, after in pairwise(spans)):
        raise ValueError("the shifts of one day overlap or are not in order")
