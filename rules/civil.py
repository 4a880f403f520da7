"""Civil time: what the clock on the wall says in a zone, and which instant that is (D-55)."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class CalendarError(ValueError):
    """A question that a calendar cannot answer: outside the years 1 to 9999, or beyond the search limit."""


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name, as ``Asia/Tokyo``.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"there is no time zone '{name}': write one as 'Europe/Berlin' or 'UTC'") from None


def local_time(at: int, zone: ZoneInfo) -> datetime:
    """What the wall clock shows at an instant (ms), without its zone.

    Raises:
        CalendarError: the instant is outside the years 1 to 9999.
    """
    try:
        return (_EPOCH + at * _MILLISECOND).astimezone(zone).replace(tzinfo=None)
    except (OverflowError, ValueError):
        raise CalendarError("a time is outside the years 1 to 9999") from None


def instant_of(day: date, clock: time, zone: ZoneInfo) -> int:
    """The instant (ms) at which the wall clock shows this day and time.

    A time that the spring change skips becomes the next valid minute, one that the autumn change shows twice
    is the first of the two (D-55).

    Raises:
        CalendarError: the instant is outside the years 1 to 9999.
    """
    local = datetime.combine(day, clock.replace(fold=0, tzinfo=None), tzinfo=zone)
    first, second = local, local.replace(fold=1)
    try:
        skipped = _offset(first) < _offset(second)
        return _end_of_gap(_ms(second), _ms(first), zone) if skipped else _ms(first)
    except (OverflowError, ValueError):
        raise CalendarError(f"{day} is at the edge of the calendar: use a year from 2 to 9998") from None


def move_days(day: date, days: int) -> date:
    """The date so many days later, or earlier.

    Raises:
        CalendarError: the date is outside the years 1 to 9999.
    """
    try:
        return day + timedelta(days=days)
    except OverflowError:
        raise CalendarError(f"{days} days from {day} is outside the years 1 to 9999") from None


def move_months(day: date, months: int) -> date:
    """The same day so many months later or earlier; a day that the month lacks becomes its last (D-55).

    Raises:
        CalendarError: the date is outside the years 1 to 9999.
    """
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise CalendarError(f"{months} months from {day} is outside the years 1 to 9999")
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _end_of_gap(before: int, after: int, zone: ZoneInfo) -> int:
    """The instant between two (ms) at which the zone's offset changes, by bisection on whole seconds."""
    low, high = before // 1000, -(-after // 1000)
    offset = _offset_at(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset_at(middle, zone) == offset else (middle, high)
    return high * 1000


def _offset_at(seconds: int, zone: ZoneInfo) -> timedelta:
    return _offset((_EPOCH + timedelta(seconds=seconds)).astimezone(zone))
