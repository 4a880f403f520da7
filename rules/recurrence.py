"""Recurring times in civil time: ``daily at 02:30``, ``every monday at 09:00``, cron and RRULE (D-58, G9)."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from itertools import islice

from rules.calendars import Calendar
from rules.recurrence_forms import Days, read_recurrence


@dataclass(frozen=True)
class Recurrence:
    """Times of day on certain days, on the wall clock of the calendar that is asked with.

    A time that the spring change skips happens at the next valid minute and one that the autumn change
    repeats happens once, so ``daily at 02:30`` happens exactly once each night (D-55, G9).
    """

    text: str
    days: Days
    clocks: tuple[time, ...]

    @classmethod
    def parse(cls, text: str) -> "Recurrence":
        """The recurrence that a text names, in words, as a cron line of five fields or as an RRULE.

        Raises:
            ValueError: the text is none of these, or never happens.
        """
        days, clocks = read_recurrence(text)
        return cls(" ".join(text.split()), days, clocks)

    def next_after(self, at: int, calendar: Calendar) -> int | None:
        """The first time (ms) strictly later than ``at``; none if none comes within twenty years."""
        return next(self._after(at, calendar), None)

    def between(self, start: int, end: int, calendar: Calendar, limit: int = 1000) -> tuple[int, ...]:
        """The times after ``start`` up to and with ``end``, the first ``limit`` of them."""
        return tuple(islice(_until(self._after(start, calendar), end), limit))

    def last_between(self, start: int, end: int, calendar: Calendar) -> int | None:
        """The last time after ``start`` up to and with ``end``: what to catch up after an outage (D-58)."""
        span = 60_000
        while True:
            begin = max(start, end - span)
            last = max(_until(self._after(begin, calendar), end), default=None)
            if last is not None or begin == start:
                return last
            span *= 4

    def _after(self, at: int, calendar: Calendar) -> Iterator[int]:
        """All times later than ``at``, each once: clock changes may bring several to one instant."""
        local = calendar.local_time(at)
        today = local.date()
        for day in self.days.from_day(today, calendar):
            first = bisect_right(self.clocks, local.time()) if day == today else 0
            for clock in self.clocks[first:]:
                due = calendar.at_clock(day, clock)
                if due > at:
                    at = due
                    yield due


def _until(times: Iterator[int], end: int) -> Iterator[int]:
    for at in times:
        if at > end:
            return
        yield at
