"""Lengths of time as authors write them: ``3 business days``, ``14d``, ``1 business hour``."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from schemas.values import DAY, HOUR, MINUTE, fold

Unit = Literal[
    "seconds", "minutes", "hours", "days", "weeks", "months", "quarters", "years",
    "business_hours", "business_days",
]  # fmt: skip

_NAMES: Final[dict[Unit, tuple[str, ...]]] = {
    "seconds": ("s", "sec", "secs", "second", "seconds"),
    "minutes": ("m", "min", "mins", "minute", "minutes"),
    "hours": ("h", "hr", "hrs", "hour", "hours"),
    "days": ("d", "day", "days"),
    "weeks": ("w", "wk", "wks", "week", "weeks"),
    "months": ("month", "months"),
    "quarters": ("quarter", "quarters"),
    "years": ("y", "yr", "yrs", "year", "years"),
    "business_hours": ("business hour", "business hours", "working hour", "working hours"),
    "business_days": ("business day", "business days", "working day", "working days"),
}
_UNITS: Final = {name: unit for unit, names in _NAMES.items() for name in names}

_ELAPSED: Final[dict[Unit, int]] = {
    "seconds": 1000, "minutes": MINUTE, "hours": HOUR, "business_hours": HOUR, "days": DAY, "weeks": 7 * DAY,
}  # fmt: skip
_MONTHS: Final[dict[Unit, int]] = {"months": 1, "quarters": 3, "years": 12}
_FRACTIONS: Final = frozenset[Unit]({"seconds", "minutes", "hours", "business_hours"})

_LONGEST_DAYS: Final = 36_525
"""A hundred years: nobody means a longer wait, and dates stay far from the end of the calendar."""

_MONTH_DAYS: Final = Decimal("30.4375")

_WRITTEN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)[ ]?([a-z ]+)")


@dataclass(frozen=True)
class Duration:
    """An amount of one unit, never negative; the direction is given where it is added.

    Seconds, minutes, hours and business hours are elapsed time and may have a fraction; all others are steps
    of the calendar (D-55) and are whole.

    Raises:
        ValueError: the amount is negative, has a fraction where none makes sense, or is longer than a
            hundred years.
    """

    amount: int | Decimal
    unit: Unit

    def __post_init__(self) -> None:
        if self.amount < 0:
            raise ValueError(f"a duration cannot be negative: {self}")
        if self.unit not in _FRACTIONS and self.amount != int(self.amount):
            raise ValueError(f"'{self}' has a fraction: {_words(self.unit)} are counted in whole numbers")
        if self._days() > _LONGEST_DAYS:
            raise ValueError(f"'{self}' is longer than a hundred years")

    @classmethod
    def parse(cls, text: str) -> "Duration":
        """The duration that a text names; full-width digits and capitals are understood, ``m`` means minutes.

        Raises:
            ValueError: the text is no duration.
        """
        match = _WRITTEN.fullmatch(" ".join(fold(text).replace("_", " ").split()))
        unit = _UNITS.get(match[2].strip()) if match else None
        if match is None or unit is None:
            raise ValueError(
                f"'{text}' is no duration: write a number and a unit, "
                "as in '3 business days', '14d', '2 hours' or '5m' (minutes)"
            )
        amount = Decimal(match[1])
        return cls(int(amount) if amount == int(amount) else amount, unit)

    @property
    def is_business(self) -> bool:
        """Whether it is counted in opening hours or business days (D-56)."""
        return self.unit in ("business_hours", "business_days")

    @property
    def in_days(self) -> bool:
        """Whether it moves a date: days, weeks, months, quarters, years and business days."""
        return self.unit not in _FRACTIONS

    @property
    def months(self) -> int:
        """Its months; 0 for a unit that is not made of months."""
        return int(self.amount) * _MONTHS.get(self.unit, 0)

    def elapsed(self) -> int:
        """Its length in milliseconds, a day being 24 hours: for grace periods, not for calendar arithmetic.

        Raises:
            ValueError: its length depends on the calendar (months and longer, business days).
        """
        if self.unit not in _ELAPSED:
            raise ValueError(f"'{self}' has no fixed length: use hours, days or weeks")
        return int(self.amount * _ELAPSED[self.unit])

    def __str__(self) -> str:
        name = _words(self.unit)
        return f"{self.amount} {name.removesuffix('s') if self.amount == 1 else name}"

    def _days(self) -> Decimal:
        if self.months:
            return self.months * _MONTH_DAYS
        return Decimal(self.amount) * _ELAPSED.get(self.unit, DAY) / DAY


def _words(unit: Unit) -> str:
    return unit.replace("_", " ")
