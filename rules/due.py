"""When timed actions are due: anchor, offset, clock time, repetition, and what to do when it is late."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Final, Literal, TypeAlias

from rules.calendars import Calendar, CalendarError, Duration
from rules.civil import move_months
from rules.recurrence_forms import read_clock
from rules.suggest import did_you_mean
from schemas.values import DAY

Repeat = Literal["none", "monthly", "yearly"]
LateVerdict = Literal["run", "skip"]
Anchor: TypeAlias = int | date
"""An instant (ms), or a date without a zone: the zone of the rule's calendar is used (D-55)."""

GRACE: Final = DAY
"""How late a timed action may run if the author says nothing (D-53), in milliseconds."""

_KEYS: Final = ("after", "before", "at", "field", "repeat")
_LONG_AGO: Final = -(10**15)  # before the year 1
_MONTHS: Final[dict[Repeat, int]] = {"none": 0, "monthly": 1, "yearly": 12}


@dataclass(frozen=True)
class DuePlan:
    """When something is due: an offset after an anchor (``sign`` 1) or before it (-1), then a clock time.

    ``field`` names the date field that is the anchor; without one it is the fire (D-50). With ``repeat`` the
    anchor comes again each month or year.
    """

    offset: Duration | None = None
    sign: Literal[1, -1] = 1
    clock: time | None = None
    field: str = ""
    repeat: Repeat = "none"

    @classmethod
    def parse(cls, source: str | Mapping[str, object]) -> "DuePlan":
        """The plan of a workflow file: ``3 business days``, or a mapping.

        Its keys are ``after``, ``before``, ``at``, ``field`` and ``repeat``, its values texts; a key with
        none counts as not written.

        Raises:
            ValueError: a key or value is not understood, or they do not go together.
        """
        parts = {"after": source} if isinstance(source, str) else _texts(source)
        if "after" in parts and "before" in parts:
            raise ValueError("a time is `after` or `before`, not both")
        if not parts.keys() & {"after", "before", "at", "field"}:
            raise ValueError("a time needs `after`, `before` or `at`, as in after: 3 business days")
        length = parts.get("after", parts.get("before"))
        plan = cls(
            offset=Duration.parse(length) if length is not None else None,
            sign=-1 if "before" in parts else 1,
            clock=read_clock(parts["at"]) if "at" in parts else None,
            field=parts.get("field", ""),
            repeat=_repeat(parts.get("repeat", "none")),
        )
        return plan._checked()

    def _checked(self) -> "DuePlan":
        if self.sign < 0 and not self.field:
            raise ValueError("`before` needs a date field: a fire cannot be acted on before it happens")
        if self.repeat != "none" and not self.field:
            raise ValueError("`repeat` needs a date field")
        if self.clock and self.offset and not self.offset.in_days:
            raise ValueError(f"`at` goes with days or longer, not with {self.offset}")
        return self


def due_at(anchor: Anchor, plan: DuePlan, calendar: Calendar) -> int:
    """The instant (ms) at which a plan is due, counted once from its anchor (D-50).

    A clock time without an offset is the next such time at or after an instant, or on the very day of a date.

    Raises:
        CalendarError: it is outside the years 1 to 9999, or business time does not come within ten years.
    """
    return _due_on(anchor, plan, calendar) if isinstance(anchor, date) else _due_from(anchor, plan, calendar)


def next_due(anchor: Anchor, plan: DuePlan, calendar: Calendar, after: int) -> int | None:
    """The first instant later than ``after`` at which a plan is due, repetitions included; or none.

    Each repetition counts from the original date, so 31 January, 28 February, 31 March; 29 February comes on
    the 28th in other years (D-55). A plan that is not repeated is due once, or never again.
    """
    count = 1
    try:
        if plan.repeat == "none":
            due = due_at(anchor, plan, calendar)
            return due if due > after else None
        while _repetition(anchor, plan, calendar, count) <= after:
            count *= 2
        index = bisect_right(range(count), after, key=lambda index: _repetition(anchor, plan, calendar, index))
        return _repetition(anchor, plan, calendar, index)
    except CalendarError:  # a date such as 9999-12-31, which some CRMs write for "never"
        return None


def due_again(anchor: Anchor, plan: DuePlan, calendar: Calendar, planned: int) -> int | None:
    """When something that was planned by another calendar is due by this one; of repetitions the nearest (D-56).

    Nearer than half a period, that is: no two calendars are further apart.
    """
    apart = _MONTHS[plan.repeat] * 14 * DAY
    return next_due(anchor, plan, calendar, planned - apart if apart else _LONG_AGO)


def _repetition(anchor: Anchor, plan: DuePlan, calendar: Calendar, index: int) -> int:
    months = index * _MONTHS[plan.repeat]
    return due_at(_months_later(anchor, months, calendar), plan, calendar)


def _months_later(anchor: Anchor, months: int, calendar: Calendar) -> Anchor:
    if not months:
        return anchor
    if isinstance(anchor, date):
        return move_months(anchor, months)
    local = calendar.local_time(anchor)
    return calendar.at_clock(move_months(local.date(), months), local.time())


def _due_on(day: date, plan: DuePlan, calendar: Calendar) -> int:
    if plan.offset and not plan.offset.in_days:
        return calendar.add(calendar.start_of_day(day), plan.offset, plan.sign)
    if plan.offset:
        day = calendar.add_days(day, plan.offset, plan.sign)
    return calendar.at_clock(day, plan.clock or time.min)


def _due_from(at: int, plan: DuePlan, calendar: Calendar) -> int:
    due = calendar.add(at, plan.offset, plan.sign) if plan.offset else at
    if plan.clock is None:
        return due
    day = calendar.day(due)
    due = calendar.at_clock(day, plan.clock)
    if plan.offset is None and due < at:
        due = calendar.at_clock(calendar.add_days(day, Duration(1, "days")), plan.clock)
    return due


@dataclass(frozen=True)
class Lateness:
    """What becomes of a timed action whose time has passed: by an outage, a pause, a moved date (D-53, D-54).

    ``always`` runs it however late. ``skip_after`` is the author's own grace period in milliseconds; without
    it the common one counts.
    """

    always: bool = False
    skip_after: int | None = None

    @classmethod
    def parse(cls, source: str | Mapping[str, object] | None) -> "Lateness":
        """The policy of a workflow file: ``run``, ``skip_after: 2d`` as text or as a mapping, or none.

        Raises:
            ValueError: it is none of these, or the period has no fixed length.
        """
        if source is None:
            return cls()
        if isinstance(source, str) and source.strip() == "run":
            return cls(always=True)
        key, period = _late_parts(source)
        if key != "skip_after" or not period:
            raise ValueError("late: write 'run', or 'skip_after: 2d'")
        return cls(skip_after=Duration.parse(period).elapsed())

    def verdict(self, due: int, now: int, grace: int = GRACE) -> LateVerdict:
        """Whether an action that was due then still runs now; all in milliseconds (G8)."""
        limit = grace if self.skip_after is None else self.skip_after
        return "run" if self.always or now - due <= limit else "skip"


def _late_parts(source: str | Mapping[str, object]) -> tuple[str, str]:
    if isinstance(source, str):
        key, _, period = source.partition(":")
        return key.strip(), period.strip()
    [(key, value)] = source.items() if len(source) == 1 else [("", "")]
    return key, value if isinstance(value, str) else ""


def _texts(source: Mapping[str, object]) -> dict[str, str]:
    parts: dict[str, str] = {}
    for key, value in source.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key '{key}'. {did_you_mean(key, _KEYS)}".strip())
        if value is not None and not isinstance(value, str):
            raise ValueError(f"`{key}` is written as text, as in at: '09:00'")
        if value is not None:
            parts[key] = value
    return parts


def _repeat(text: str) -> Repeat:
    for repeat in _MONTHS:
        if repeat == text:
            return repeat
    raise ValueError(f"repeat: '{text}' is none of {', '.join(_MONTHS)}")
