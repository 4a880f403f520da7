"""Dates and instants as text, by a small set of format letters, the same on every machine."""

import re
from collections.abc import Callable
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from rules.civil import CalendarError, local_time
from schemas.values import Value, parse_date, parse_instant

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_LETTERS: Final[dict[str, Callable[[datetime], str]]] = {
    "Y": lambda when: f"{when.year:04}",
    "y": lambda when: f"{when.year % 100:02}",
    "m": lambda when: f"{when.month:02}",
    "d": lambda when: f"{when.day:02}",
    "e": lambda when: f"{when.day}",
    "H": lambda when: f"{when.hour:02}",
    "I": lambda when: f"{(when.hour - 1) % 12 + 1:02}",
    "M": lambda when: f"{when.minute:02}",
    "S": lambda when: f"{when.second:02}",
    "p": lambda when: "AM" if when.hour < 12 else "PM",
    "A": lambda when: _DAYS[when.weekday()],
    "a": lambda when: _DAYS[when.weekday()][:3],
    "B": lambda when: _MONTHS[when.month - 1],
    "b": lambda when: _MONTHS[when.month - 1][:3],
    "j": lambda when: f"{when.timetuple().tm_yday:03}",
    "V": lambda when: f"{when.isocalendar().week:02}",
    "F": lambda when: when.date().isoformat(),
    "R": lambda when: f"{when.hour:02}:{when.minute:02}",
    "%": lambda when: "%",
}
_DIRECTIVE: Final = re.compile(r"%(-?)(.?)", re.DOTALL)


def check_format(text: str) -> None:
    """Whether every ``%`` letter of a format is known.

    Raises:
        ValueError: one is not.
    """
    for _, letter in _DIRECTIVE.findall(text):
        if letter not in _LETTERS or not letter:
            raise ValueError(f"'%{letter}' is no part of a date format: use %{' %'.join(_LETTERS)}")


def format_date(value: Value, text: str, zone: ZoneInfo) -> str:
    """A date or an instant by a format; without one, ``2026-01-31`` or ``2026-01-31 09:00``.

    A date has no zone; an instant is shown in the given one. What is neither comes back as it was, none as
    nothing.
    """
    if not isinstance(value, str):
        return "" if value is None else str(value)
    try:
        is_date = len(value) == 10
        when = datetime.combine(parse_date(value), time.min) if is_date else local_time(parse_instant(value), zone)
    except (ValueError, OverflowError, CalendarError):
        return value
    text = text or ("%F" if is_date else "%F %R")
    return _DIRECTIVE.sub(lambda found: _written(found, when), text)


def _written(found: re.Match[str], when: datetime) -> str:
    letter = _LETTERS.get(found[2]) if found[2] else None
    if letter is None:
        return found[0]
    return (letter(when).lstrip("0") or "0") if found[1] else letter(when)
