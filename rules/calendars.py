"""Calendars: a zone with opening hours and holidays, and arithmetic with durations in it (D-55, D-56)."""

from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cached_property
from hashlib import sha256
from typing import Final
from zoneinfo import ZoneInfo

from rules.civil import CalendarError, instant_of, local_time, move_days, move_months
from rules.durations import Duration, Unit
from rules.opening import DAY_MINUTES, OpeningHours, Span, Week

__all__ = ["ALWAYS", "Calendar", "CalendarError", "Duration", "Span", "Unit", "Week"]

ALWAYS: Final[Week] = (((0, DAY_MINUTES),),) * 7
"""The hours of a calendar that is open day and night."""


@dataclass(frozen=True)
class Calendar:
    """Where time is counted: zone, first weekday (0 is Monday), first month of the fiscal year, hours.

    Instants are milliseconds since the epoch. Every method raises CalendarError, a ValueError, for times at
    the edge of the years 1 to 9999 and where a search finds nothing within ten years.

    Raises:
        ValueError: it never opens, or a part of it is out of range.
    """

    name: str
    zone: ZoneInfo
    week_start: int = 0
    fiscal_start_month: int = 1
    hours: Week = ALWAYS
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if not 0 <= self.week_start <= 6 or not 1 <= self.fiscal_start_month <= 12:
            raise ValueError("week_start is 0 (Monday) to 6, fiscal_start_month is 1 to 12")
        OpeningHours(self.zone, self.hours, self.holidays)

    @classmethod
    def always(cls, zone: ZoneInfo) -> "Calendar":
        """The calendar of a zone that is open day and night and knows no holidays."""
        return cls("always", zone)

    def in_zone(self, zone: ZoneInfo) -> "Calendar":
        """The same hours and holidays on the wall clock of another zone (D-50)."""
        return replace(self, zone=zone)

    def add(self, at: int, duration: Duration, sign: int = 1) -> int:
        """The instant a duration after ``at``, or before it with ``sign=-1``.

        Hours are elapsed time; days and longer keep the wall clock's time of day, whatever the clock change
        does (D-55). Business time pauses outside opening hours (D-56).
        """
        if duration.unit == "business_days":
            return self._opening.move_business_days(at, int(duration.amount), sign)
        if duration.unit == "business_hours":
            return (self._opening.later if sign > 0 else self._opening.earlier)(at, duration.elapsed())
        if not duration.in_days:
            return at + sign * duration.elapsed()
        if not duration.amount:
            return at
        local = self.local_time(at)
        return self.at_clock(self.add_days(local.date(), duration, sign), local.time())

    def add_days(self, day: date, duration: Duration, sign: int = 1) -> date:
        """The date a duration after a day, or before it with ``sign=-1``; month ends are clamped (D-55).

        Raises:
            ValueError: the duration is not counted in days or longer units.
        """
        if not duration.in_days:
            raise ValueError(f"a date moves by days or longer units, not by {duration}")
        if duration.unit == "business_days":
            return self._opening.business_day(day, int(duration.amount), sign)
        if duration.months:
            return move_months(day, sign * duration.months)
        return move_days(day, sign * int(duration.amount) * (7 if duration.unit == "weeks" else 1))

    def local_time(self, at: int) -> datetime:
        """What the wall clock shows at an instant, without the zone."""
        return local_time(at, self.zone)

    def day(self, at: int) -> date:
        """The date on the wall calendar at an instant."""
        return local_time(at, self.zone).date()

    def start_of_day(self, day: date) -> int:
        """The first instant of a day: midnight, or the first valid minute where a clock change skips it."""
        return instant_of(day, time.min, self.zone)

    def at_clock(self, day: date, clock: time) -> int:
        """The instant at which the wall clock shows a time on a day.

        A time that does not exist becomes the next valid minute, one that exists twice the first of them
        (D-55, G9).
        """
        return instant_of(day, clock, self.zone)

    def is_open(self, at: int) -> bool:
        """Whether the calendar is open at an instant."""
        return self._opening.is_open(at)

    def next_opening(self, at: int) -> int:
        """The instant itself while open, else the next at which the calendar opens."""
        return self._opening.later(at, 0)

    def is_business_day(self, day: date) -> bool:
        """Whether a shift begins on this day."""
        return self._opening.opens_on(day)

    def business_time(self, start: int, end: int) -> int:
        """Milliseconds of opening hours between two instants; negative if ``end`` is the earlier one."""
        if start > end:
            return -self._opening.open_time(end, start)
        return self._opening.open_time(start, end)

    def business_days_between(self, start: date, end: date) -> int:
        """How many business days to go from ``start`` to ``end``; negative if ``end`` is the earlier one."""
        if start > end:
            return -self._opening.business_days(end, start)
        return self._opening.business_days(start, end)

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the calendar counts time otherwise; its name does not matter (D-56)."""
        days = sorted(day.isoformat() for day in self.holidays)
        counts = (self.zone.key, self.week_start, self.fiscal_start_month, self.hours, days)
        return sha256(repr(counts).encode()).hexdigest()[:12]

    @cached_property
    def _opening(self) -> OpeningHours:
        return OpeningHours(self.zone, self.hours, self.holidays)
