"""Days are civil days in their zone, whatever the clocks do (D-55)."""

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendars import Calendar, CalendarError, Duration
from rules.civil import zone_of
from tests.time.places import APIA, BERLIN, HAVANA, LORD_HOWE, NEW_YORK, TOKYO, ZONES, at, wall

days = st.dates(date(1990, 1, 1), date(2037, 12, 31))
clocks = st.times().map(lambda clock: clock.replace(microsecond=clock.microsecond // 1000 * 1000))
calendars = st.sampled_from(ZONES).map(Calendar.always)


@pytest.mark.parametrize(
    ("zone", "day", "clock", "shown"),
    [
        # Spring: the time does not exist and becomes the next valid minute.
        (BERLIN, "2026-03-29", "02:00", "2026-03-29T03:00+02:00"),
        (BERLIN, "2026-03-29", "02:30", "2026-03-29T03:00+02:00"),
        (BERLIN, "2026-03-29", "02:59", "2026-03-29T03:00+02:00"),
        (BERLIN, "2026-03-29", "03:00", "2026-03-29T03:00+02:00"),
        (NEW_YORK, "2026-03-08", "02:30", "2026-03-08T03:00-04:00"),
        (LORD_HOWE, "2026-10-04", "02:15", "2026-10-04T02:30+11:00"),
        (HAVANA, "2026-03-08", "00:00", "2026-03-08T01:00-04:00"),
        (APIA, "2011-12-30", "12:00", "2011-12-31T00:00+14:00"),
        # Autumn: the time exists twice and is taken once, the first.
        (BERLIN, "2026-10-25", "02:30", "2026-10-25T02:30+02:00"),
        (NEW_YORK, "2026-11-01", "01:30", "2026-11-01T01:30-04:00"),
        (LORD_HOWE, "2026-04-05", "01:45", "2026-04-05T01:45+11:00"),
        # No change of clocks.
        (TOKYO, "2026-03-29", "02:30", "2026-03-29T02:30+09:00"),
        (LORD_HOWE, "2026-07-01", "02:15", "2026-07-01T02:15+10:30"),
    ],
)
def test_a_clock_time_is_found_on_every_day(zone: ZoneInfo, day: str, clock: str, shown: str) -> None:
    calendar = Calendar.always(zone)
    found = calendar.at_clock(date.fromisoformat(day), time.fromisoformat(clock))
    assert wall(found, zone) == shown


@given(calendars, days, clocks, clocks)
def test_later_clock_times_never_come_earlier(calendar: Calendar, day: date, one: time, other: time) -> None:
    earlier, later = sorted((one, other))
    assert calendar.at_clock(day, earlier) <= calendar.at_clock(day, later)


@given(calendars, days, clocks)
def test_every_instant_of_a_day_lies_between_its_start_and_the_next(calendar: Calendar, day: date, clock: time) -> None:
    tomorrow = date.fromordinal(day.toordinal() + 1)
    assert calendar.start_of_day(day) <= calendar.at_clock(day, clock) <= calendar.start_of_day(tomorrow)


@given(calendars, days, clocks)
def test_a_clock_time_is_shown_by_the_clock_or_skipped_by_it(calendar: Calendar, day: date, clock: time) -> None:
    shown = calendar.local_time(calendar.at_clock(day, clock))
    assert (shown.date(), shown.time()) >= (day, clock)
    again = calendar.at_clock(shown.date(), shown.time())
    assert again == calendar.at_clock(day, clock)


@given(calendars, days, clocks, st.integers(1, 400))
def test_days_keep_the_time_of_day(calendar: Calendar, day: date, clock: time, count: int) -> None:
    start = calendar.at_clock(day, clock)
    local = calendar.local_time(start)
    target = date.fromordinal(local.toordinal() + count)
    assert calendar.add(start, Duration(count, "days")) == calendar.at_clock(target, local.time())


@pytest.mark.parametrize(
    ("start", "length", "sign", "shown"),
    [
        ("2026-03-28T12:00", "1 day", 1, "2026-03-29T12:00+02:00"),  # 23 hours
        ("2026-03-28T12:00", "24 hours", 1, "2026-03-29T13:00+02:00"),
        ("2026-10-24T12:00", "1 day", 1, "2026-10-25T12:00+01:00"),  # 25 hours
        ("2026-10-25T12:00", "1 day", -1, "2026-10-24T12:00+02:00"),
        ("2026-03-28T02:30", "1 day", 1, "2026-03-29T03:00+02:00"),
        ("2026-03-22T02:30", "1 week", 1, "2026-03-29T03:00+02:00"),
        ("2026-01-31T09:00", "1 month", 1, "2026-02-28T09:00+01:00"),
        ("2024-01-31T09:00", "1 month", 1, "2024-02-29T09:00+01:00"),
        ("2024-02-29T09:00", "1 year", 1, "2025-02-28T09:00+01:00"),
        ("2024-02-29T09:00", "4 years", 1, "2028-02-29T09:00+01:00"),
        ("2026-11-30T09:00", "1 quarter", 1, "2027-02-28T09:00+01:00"),
        ("2026-03-31T09:00", "1 month", -1, "2026-02-28T09:00+01:00"),
        ("2026-01-15T09:00", "90 seconds", 1, "2026-01-15T09:01+01:00"),
        ("2026-01-15T09:00", "1.5 hours", -1, "2026-01-15T07:30+01:00"),
    ],
)
def test_durations_are_added_on_the_wall_calendar(start: str, length: str, sign: int, shown: str) -> None:
    found = Calendar.always(BERLIN).add(at(start, BERLIN), Duration.parse(length), sign)
    assert wall(found, BERLIN) == shown


def test_nothing_added_leaves_even_the_second_of_two_equal_times_where_it_is() -> None:
    second = at("2026-10-25T02:30", BERLIN, fold=1)
    assert Calendar.always(BERLIN).add(second, Duration(0, "days")) == second


@given(calendars, days, clocks, st.sampled_from(["days", "weeks", "months", "quarters", "years"]))
def test_what_is_added_comes_later_and_what_is_subtracted_earlier(
    calendar: Calendar, day: date, clock: time, unit: str
) -> None:
    start, length = calendar.at_clock(day, clock), Duration.parse(f"1 {unit}")
    assert calendar.add(start, length, -1) < start < calendar.add(start, length)


@pytest.mark.parametrize(
    ("day", "length", "sign", "expected"),
    [
        ("2026-01-31", "1 month", 1, "2026-02-28"),
        ("2028-02-29", "1 year", -1, "2027-02-28"),
        ("2026-12-31", "2 weeks", 1, "2027-01-14"),
        ("2026-05-31", "1 quarter", -1, "2026-02-28"),
    ],
)
def test_dates_move_without_a_clock(day: str, length: str, sign: int, expected: str) -> None:
    moved = Calendar.always(TOKYO).add_days(date.fromisoformat(day), Duration.parse(length), sign)
    assert moved == date.fromisoformat(expected)


def test_a_date_does_not_move_by_hours() -> None:
    with pytest.raises(ValueError, match="days or longer units, not by 2 hours"):
        Calendar.always(TOKYO).add_days(date(2026, 1, 1), Duration(2, "hours"))


@pytest.mark.parametrize("length", ["1 day", "1 month", "100 years"])
def test_the_end_of_the_calendar_is_an_error_of_its_own(length: str) -> None:
    with pytest.raises(CalendarError, match="outside the years"):
        Calendar.always(TOKYO).add_days(date(9999, 12, 31), Duration.parse(length))


@pytest.mark.parametrize("instant", [10**18, -(10**18)])
def test_an_instant_beyond_the_calendar_is_an_error_of_its_own(instant: int) -> None:
    with pytest.raises(CalendarError, match="outside the years"):
        Calendar.always(TOKYO).day(instant)


def test_an_unknown_zone_is_refused_with_an_example() -> None:
    with pytest.raises(ValueError, match=r"no time zone 'Europe/Berlim': write one as 'Europe/Berlin'"):
        zone_of("Europe/Berlim")


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "", "Europe", "\x00"])
def test_a_zone_name_is_no_way_to_a_file(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        zone_of(name)
