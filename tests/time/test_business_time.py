"""Time that only runs while the calendar is open (D-56)."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendars import Calendar, CalendarError, Duration, Week
from tests.time.places import BERLIN, LORD_HOWE, NEW_YORK, OFFICE, TOKYO, at, wall

NIGHT = Calendar("night", BERLIN, hours=(((22 * 60, 30 * 60),),) * 5 + ((), ()))
"""Monday to Friday, 22:00 to 06:00 of the next day."""

SATURDAYS = Calendar(
    "shop",
    BERLIN,
    hours=(((540, 720), (780, 1080)),) * 5 + (((540, 720),), ()),
    holidays=frozenset({date(2026, 5, 1)}),
)
"""Lunch breaks, short Saturdays, closed on 1 May."""

CHANGES = Calendar("changes", LORD_HOWE, hours=(((60, 240),),) * 7)
"""Open from 01:00 to 04:00, across the clock changes."""

CALENDARS = (OFFICE, NIGHT, SATURDAYS, CHANGES, Calendar.always(NEW_YORK))
calendars = st.sampled_from(CALENDARS)
instants = st.integers(at("2025-09-01", BERLIN) // 1000, at("2026-12-01", BERLIN) // 1000).map(lambda s: s * 1000)
minutes = st.integers(0, 60 * 200)


def test_a_case_of_friday_evening_is_due_on_monday_morning() -> None:
    """G10."""
    due = OFFICE.add(at("2026-11-20T17:50", BERLIN), Duration.parse("1 business hour"))
    assert wall(due, BERLIN) == "2026-11-23T09:50+01:00"


@pytest.mark.parametrize(
    ("calendar", "start", "length", "sign", "shown"),
    [
        (OFFICE, "2026-11-20T17:00", "1 business hour", 1, "2026-11-20T18:00+01:00"),
        (OFFICE, "2026-11-21T12:00", "1 business hour", 1, "2026-11-23T10:00+01:00"),
        (OFFICE, "2026-11-23T09:30", "1 business hour", -1, "2026-11-20T17:30+01:00"),
        (OFFICE, "2026-11-20T12:00", "0 business hours", 1, "2026-11-20T12:00+01:00"),
        (OFFICE, "2026-11-21T12:00", "0 business hours", 1, "2026-11-23T09:00+01:00"),
        (OFFICE, "2026-11-21T12:00", "0 business hours", -1, "2026-11-20T18:00+01:00"),
        (OFFICE, "2026-11-20T17:50", "3 business days", 1, "2026-11-25T17:50+01:00"),
        (OFFICE, "2026-11-20T22:00", "1 business day", 1, "2026-11-24T09:00+01:00"),
        (OFFICE, "2026-11-23T10:00", "1 business day", -1, "2026-11-20T10:00+01:00"),
        (OFFICE, "2026-11-23T07:00", "1 business day", -1, "2026-11-19T18:00+01:00"),
        (OFFICE, "2026-10-23T12:00", "1 business day", 1, "2026-10-26T12:00+01:00"),
        (NIGHT, "2026-11-20T23:00", "8 business hours", 1, "2026-11-23T23:00+01:00"),
        (NIGHT, "2026-11-21T03:00", "1 business day", 1, "2026-11-24T03:00+01:00"),
        (NIGHT, "2026-03-27T22:00", "8 business hours", 1, "2026-03-28T06:00+01:00"),
        (SATURDAYS, "2026-04-30T17:00", "2 business hours", 1, "2026-05-02T10:00+02:00"),
        (SATURDAYS, "2026-04-30T17:00", "1 business day", 1, "2026-05-04T09:00+02:00"),
        (SATURDAYS, "2026-11-20T11:30", "1 business hour", 1, "2026-11-20T13:30+01:00"),
    ],
)
def test_business_time_pauses_while_closed(calendar: Calendar, start: str, length: str, sign: int, shown: str) -> None:
    found = calendar.add(at(start, BERLIN), Duration.parse(length), sign)
    assert wall(found, BERLIN) == shown


@given(calendars, instants, minutes)
def test_what_is_added_is_what_is_counted(calendar: Calendar, start: int, count: int) -> None:
    length = Duration(count, "seconds")
    due = calendar.add(start, Duration.parse(f"{count / 60:.6f} business hours"))
    assert abs(calendar.business_time(start, due) - length.elapsed() * 60) <= 2
    assert calendar.business_time(due, start) == -calendar.business_time(start, due)


@given(calendars, instants, st.integers(0, 100))
def test_added_and_subtracted_hours_leave_nothing(calendar: Calendar, start: int, count: int) -> None:
    length = Duration(count, "business_hours")
    back = calendar.add(calendar.add(start, length), length, -1)
    assert calendar.business_time(min(start, back), max(start, back)) == 0


@given(calendars, instants, instants, instants)
def test_business_time_adds_up(calendar: Calendar, one: int, two: int, three: int) -> None:
    first, second, third = sorted((one, two, three))
    parts = calendar.business_time(first, second) + calendar.business_time(second, third)
    assert parts == calendar.business_time(first, third)


@given(instants, instants)
def test_always_open_means_elapsed_time(start: int, end: int) -> None:
    assert Calendar.always(NEW_YORK).business_time(start, end) == end - start


@given(calendars, instants)
def test_the_next_opening_is_open_and_nothing_opens_before(calendar: Calendar, now: int) -> None:
    opening = calendar.next_opening(now)
    assert calendar.is_open(opening)
    assert calendar.is_open(now) == (opening == now)
    assert calendar.business_time(now, opening) == 0


@given(calendars, st.dates(date(2025, 1, 1), date(2027, 1, 1)), st.integers(1, 300))
def test_business_days_are_counted_as_they_are_added(calendar: Calendar, day: date, count: int) -> None:
    target = calendar.add_days(day, Duration(count, "business_days"))
    assert calendar.business_days_between(day, target) == count
    assert calendar.business_days_between(target, day) == -count
    assert calendar.is_business_day(target)


@given(calendars, instants, st.integers(1, 40))
def test_a_business_day_later_it_is_open_and_later(calendar: Calendar, start: int, count: int) -> None:
    due = calendar.add(start, Duration(count, "business_days"))
    assert due > start
    assert calendar.is_open(due)


def test_a_holiday_moves_the_deadline() -> None:
    assert SATURDAYS.add_days(date(2026, 4, 30), Duration(1, "business_days")) == date(2026, 5, 2)
    assert SATURDAYS.add_days(date(2026, 5, 2), Duration(1, "business_days"), -1) == date(2026, 4, 30)


def test_the_same_hours_can_be_kept_in_another_zone() -> None:
    due = OFFICE.in_zone(TOKYO).add(at("2026-11-20T17:50", TOKYO), Duration.parse("1 business hour"))
    assert wall(due, TOKYO) == "2026-11-23T09:50+09:00"


@pytest.mark.parametrize(
    ("hours", "problem"),
    [
        (((),) * 7, "never opens"),
        ((((540, 1080),),) * 6, "seven days"),
        ((((1080, 540),),) * 7, "a shift begins within its day"),
        ((((540, 540 + 1441),),) * 7, "lasts up to 24 hours"),
        ((((540, 720), (700, 800)),) * 7, "overlap or are not in order"),
    ],
)
def test_hours_that_make_no_sense_are_refused_at_once(hours: Week, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Calendar("wrong", BERLIN, hours=hours)


@pytest.mark.parametrize("parts", [{"week_start": 7}, {"fiscal_start_month": 0}])
def test_a_calendar_keeps_to_weeks_and_years(parts: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="week_start is 0"):
        Calendar("wrong", ZoneInfo("UTC"), **parts)  # type: ignore[arg-type]  # the wrong values are the point


def test_a_search_that_finds_nothing_ends_after_ten_years() -> None:
    holidays = frozenset(date.fromordinal(date(2026, 1, 1).toordinal() + day) for day in range(4000))
    closed = Calendar("closed", BERLIN, holidays=holidays)
    with pytest.raises(CalendarError, match="within ten years"):
        closed.next_opening(at("2026-01-01T12:00", BERLIN))
    with pytest.raises(CalendarError, match="within ten years"):
        closed.add_days(date(2026, 1, 1), Duration(1, "business_days"))
