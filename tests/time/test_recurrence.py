"""Recurring times, in words, as cron lines and as RRULEs (D-58)."""

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendars import Calendar
from rules.recurrence import Recurrence
from schemas.values import DAY, HOUR, MINUTE
from tests.time.places import BERLIN, HAVANA, LORD_HOWE, NEW_YORK, OFFICE, TOKYO, ZONES, at, wall

TEXTS = (
    "daily at 02:30",
    "every monday and friday at 09:00",
    "weekdays at 00:15, 12:00",
    "every business day at 09:00",
    "monthly on 31 at 23:30",
    "monthly on the last day at 18:00",
    "0 9 * * 1-5",
    "*/20 1-3 * * *",
    "0 0 29 2 *",
    "FREQ=MONTHLY;BYDAY=1MO",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;BYHOUR=8,16;WKST=SU",
    "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=29;BYHOUR=2;BYMINUTE=30",
)


@pytest.mark.parametrize(
    ("zone", "nights"),
    [
        (BERLIN, ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"]),
        (BERLIN, ["2026-10-24T02:30+02:00", "2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"]),
        (NEW_YORK, ["2026-03-07T02:30-05:00", "2026-03-08T03:00-04:00", "2026-03-09T02:30-04:00"]),
        (NEW_YORK, ["2026-10-31T02:30-04:00", "2026-11-01T02:30-05:00", "2026-11-02T02:30-05:00"]),
        (LORD_HOWE, ["2026-10-03T02:30+10:30", "2026-10-04T02:30+11:00", "2026-10-05T02:30+11:00"]),
        (TOKYO, ["2026-03-28T02:30+09:00", "2026-03-29T02:30+09:00", "2026-03-30T02:30+09:00"]),
    ],
)
def test_daily_at_half_past_two_happens_once_each_night(zone: ZoneInfo, nights: list[str]) -> None:
    """G9."""
    daily, calendar = Recurrence.parse("daily at 02:30"), Calendar.always(zone)
    midnight = at(nights[0][:10], zone)
    found = daily.between(midnight, midnight + 3 * DAY, calendar)
    assert [wall(due, zone) for due in found] == nights


def test_a_night_whose_midnight_is_skipped_keeps_its_midnight_job() -> None:
    daily, calendar = Recurrence.parse("daily at 00:00"), Calendar.always(HAVANA)
    found = daily.between(at("2026-03-07T12:00", HAVANA), at("2026-03-09T12:00", HAVANA), calendar)
    assert [wall(due, HAVANA) for due in found] == ["2026-03-08T01:00-04:00", "2026-03-09T00:00-04:00"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("every monday at 09:00", "2026-01-05 09:00, 2026-01-12 09:00, 2026-01-19 09:00"),
        ("every mon, wed at 9:00", "2026-01-05 09:00, 2026-01-07 09:00, 2026-01-12 09:00"),
        ("Weekdays at 09:00 and 17:00", "2026-01-01 09:00, 2026-01-01 17:00, 2026-01-02 09:00"),
        ("every business day at 09:00", "2026-01-02 09:00, 2026-01-05 09:00, 2026-01-06 09:00"),
        ("monthly on the 15th at 08:00", "2026-01-15 08:00, 2026-02-15 08:00, 2026-03-15 08:00"),
        ("monthly on 31 at 08:00", "2026-01-31 08:00, 2026-02-28 08:00, 2026-03-31 08:00"),
        ("every month on the last day at 18:00", "2026-01-31 18:00, 2026-02-28 18:00, 2026-03-31 18:00"),
        ("0 9 * * 1-5", "2026-01-01 09:00, 2026-01-02 09:00, 2026-01-05 09:00"),
        ("0 9 * * mon", "2026-01-05 09:00, 2026-01-12 09:00, 2026-01-19 09:00"),
        ("0 9 * * 0", "2026-01-04 09:00, 2026-01-11 09:00, 2026-01-18 09:00"),
        ("0 9 * * 7", "2026-01-04 09:00, 2026-01-11 09:00, 2026-01-18 09:00"),
        ("*/30 8 2 jan,feb *", "2026-01-02 08:00, 2026-01-02 08:30, 2026-02-02 08:00"),
        ("0 0 13 * fri", "2026-01-02 00:00, 2026-01-09 00:00, 2026-01-13 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00, 2032-02-29 00:00, 2036-02-29 00:00"),
        ("FREQ=MONTHLY;BYDAY=1MO", "2026-01-05 00:00, 2026-02-02 00:00, 2026-03-02 00:00"),
        ("RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=17", "2026-01-30 17:00, 2026-02-27 17:00, 2026-03-27 17:00"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "2026-01-30 00:00, 2026-02-27 00:00, 2026-03-31 00:00",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;DTSTART=20251229T0930",
            "2026-01-12 09:30, 2026-01-26 09:30, 2026-02-09 09:30",
        ),
        ("FREQ=DAILY;INTERVAL=10;DTSTART=20251231", "2026-01-10 00:00, 2026-01-20 00:00, 2026-01-30 00:00"),
        ("FREQ=YEARLY;DTSTART=20200229", "2028-02-29 00:00, 2032-02-29 00:00, 2036-02-29 00:00"),
        ("FREQ=DAILY;UNTIL=20260103;BYHOUR=6", "2026-01-01 06:00, 2026-01-02 06:00, 2026-01-03 06:00"),
    ],
)
def test_the_next_three_times_are_as_a_person_reads_them(text: str, expected: str) -> None:
    """A cron line with both a day of the month and a weekday takes either, as cron has it."""
    calendar = Calendar("berlin", BERLIN, hours=OFFICE.hours, holidays=frozenset({date(2026, 1, 1)}))
    start = at("2026-01-01T00:00", BERLIN)
    found = Recurrence.parse(text).between(start, at("2040-01-01", BERLIN), calendar, limit=3)
    assert ", ".join(wall(due, BERLIN)[:16].replace("T", " ") for due in found) == expected


@given(
    st.sampled_from(TEXTS),
    st.sampled_from(ZONES),
    st.integers(at("2025-01-01", TOKYO), at("2028-01-01", TOKYO)),
)
def test_the_next_time_is_strictly_later(text: str, zone: ZoneInfo, now: int) -> None:
    due = Recurrence.parse(text).next_after(now, Calendar.always(zone))
    assert due is not None
    assert due > now


@given(
    st.sampled_from([text for text in TEXTS if "29" not in text]),
    st.sampled_from(ZONES),
    st.integers(at("2025-01-01", TOKYO), at("2028-01-01", TOKYO)),
    st.integers(1, 20 * 24),
)
def test_times_between_are_the_next_ones_one_after_the_other(text: str, zone: ZoneInfo, start: int, hours: int) -> None:
    recurrence, calendar, end = Recurrence.parse(text), Calendar.always(zone), start + hours * HOUR
    found = recurrence.between(start, end, calendar)
    assert all(recurrence.next_after(one, calendar) == other for one, other in pairwise((start, *found)))
    assert recurrence.last_between(start, end, calendar) == (found[-1] if found else None)


def test_a_long_outage_gives_no_more_times_than_asked_for() -> None:
    minutely, calendar = Recurrence.parse("* * * * *"), Calendar.always(TOKYO)
    start = at("2026-01-01", TOKYO)
    assert minutely.between(start, start + 365 * DAY, calendar, limit=5)[-1] == start + 5 * MINUTE
    assert minutely.last_between(start, start + 365 * DAY, calendar) == start + 365 * DAY


def test_a_recurrence_that_has_ended_has_no_next_time() -> None:
    ended = Recurrence.parse("FREQ=DAILY;UNTIL=20251231")
    assert ended.next_after(at("2026-01-01", BERLIN), OFFICE) is None


def test_nothing_recurs_after_the_end_of_the_calendar() -> None:
    assert Recurrence.parse("daily at 00:00").next_after(at("9998-12-31", TOKYO), Calendar.always(TOKYO))
    never = Recurrence.parse("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29")
    assert never.next_after(at("9996-03-01", TOKYO), Calendar.always(TOKYO)) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is no recurrence: write 'daily at 02:30'"),
        ("often", "is no recurrence"),
        ("daily", "is no recurrence"),
        ("every someday at 09:00", "is no recurrence"),
        ("monthly on 32 at 09:00", "is no recurrence"),
        ("daily at 25:00", "'25:00' is no time of day: write one as '09:00'"),
        ("daily at noon", "'noon' is no time of day"),
        ("60 9 * * *", "'60' in a cron line is not a number from 0 to 59"),
        ("0 9 * * 1-", "'' in a cron line is not a number from 0 to 7"),
        ("*/0 9 * * *", r"'\*/0' is no part of a cron line"),
        ("0 0 30 2 *", "never happens: no month has such a day"),
        ("FREQ=HOURLY", "FREQ=HOURLY: use one of YEARLY, MONTHLY, WEEKLY, DAILY"),
        ("FREQ=DAILY;COUNT=3", "'COUNT=3' is not understood in an RRULE"),
        ("FREQ=DAILY;FREQ=DAILY", "'FREQ' is given twice"),
        ("FREQ=DAILY;INTERVAL=0", "an RRULE counts from 1"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR=24: the numbers go from 0 to 23"),
        ("FREQ=WEEKLY;BYDAY=1MO", "a counted weekday as 1MO needs FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYDAY=XX", "BYDAY=XX: write MO to SU"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
        ("FREQ=DAILY;UNTIL=tomorrow", "'TOMORROW' in an RRULE is no date"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs"),
    ],
)
def test_what_does_not_recur_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Recurrence.parse(text)
