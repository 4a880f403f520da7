"""Dates against now, and the moment at which they change by themselves (D-59)."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendars import Calendar
from rules.criteria import Context, Verdict
from schemas.values import DAY, HOUR, format_instant
from tests.criteria.world import ALIASES, BERLIN_OFFICE, LOOSE, NOON, at, contracts, criteria, deal, value, verdict

# Now is Wednesday 11 March 2026, 12:00 in Tokyo (03:00 UTC).
CASES = [
    ("Day is today", "2026-03-11", True, "2026-03-11T15:00:00Z"),
    ("Day is today", "2026-03-10T16:00:00Z", True, "2026-03-11T15:00:00Z"),
    ("Day is today", "2026-03-10", False, None),
    ("Day is yesterday", "2026-03-10", True, "2026-03-11T15:00:00Z"),
    ("Day is tomorrow", "2026-03-12", True, "2026-03-11T15:00:00Z"),
    ("Day is not today", "2026-03-12", True, "2026-03-11T15:00:00Z"),
    ("Day is this week", "2026-03-15", True, "2026-03-15T15:00:00Z"),
    ("Day is next week", "2026-03-16", True, "2026-03-15T15:00:00Z"),
    ("Day is last week", "2026-03-08", True, "2026-03-15T15:00:00Z"),
    ("Day is this month", "2026-04-01", False, "2026-03-31T15:00:00Z"),
    ("Day is next month", "2026-04-30", True, "2026-03-31T15:00:00Z"),
    ("Day is last quarter", "2025-10-01", True, "2026-03-31T15:00:00Z"),
    ("Day is this year", "2026-12-31", True, "2026-12-31T15:00:00Z"),
    ("Day in the next 7 days", "2026-03-18", True, "2026-03-18T15:00:00Z"),
    ("Day in the next 7 days", "2026-03-19", False, "2026-03-11T15:00:00Z"),  # G11
    ("Day in the next 7 days", "2026-03-10", False, None),
    ("Day not in the next 7 days", "2026-03-19", True, "2026-03-11T15:00:00Z"),
    ("Day in the next 2 hours", "2026-03-11T05:00:00Z", True, "2026-03-11T05:00:00.001Z"),
    ("Day in the next 2 hours", "2026-03-11T06:00:00Z", False, "2026-03-11T04:00:00Z"),
    ("Day is within 3 days", "2026-03-14", True, "2026-03-14T15:00:00Z"),
    ("Day within 3 days", "2026-03-15", False, "2026-03-11T15:00:00Z"),
    ("Day in the last 30 days", "2026-02-09", True, "2026-03-11T15:00:00Z"),
    ("Day in the last 30 days", "2026-02-08", False, None),
    ("Day more than 90 days ago", "2025-12-11", False, "2026-03-11T15:00:00Z"),
    ("Day more than 90 days ago", "2025-12-10", True, None),
    ("Day less than 2 hours ago", "2026-03-11T01:30:00Z", True, "2026-03-11T03:30:00Z"),
    ("Day less than 2 hours ago", "2026-03-11T04:00:00Z", False, "2026-03-11T04:00:00Z"),
    ("Day anniversary in the next 14 days", "2020-03-20", True, "2026-03-20T15:00:00Z"),
    ("Day anniversary in the next 14 days", "2020-04-01", False, "2026-03-17T15:00:00Z"),
    ("Day anniversary in the next 14 days", "2026-03-20", False, "2027-03-05T15:00:00Z"),
    ("Day anniversary in the next 3 days", "2024-02-29", False, "2027-02-24T15:00:00Z"),
    ("Day + 1 day < now()", "2026-03-10T04:00:00Z", False, "2026-03-11T04:00:00.001Z"),
    ("Day + 1 day < today()", "2026-03-10", False, "2026-03-11T15:00:00Z"),
    ("Day >= today()", "2026-03-12", True, "2026-03-12T15:00:00Z"),
    ("Day between today() and today() + 7 days", "2026-03-20", False, "2026-03-12T15:00:00Z"),
    ("days_between(today(), Day) is 3", "2026-03-15", False, "2026-03-11T15:00:00Z"),
    ("days_between(today(), Day) is 3", "2026-03-14", True, "2026-03-11T15:00:00Z"),
    ("abs(days_between(today(), Day)) <= 3", "2026-03-20", False, "2026-03-16T15:00:00Z"),
    ("Day is today", None, False, None),
    ("Day is today", "soon", False, None),
    ("Day is today", 5, False, None),
    ("Day in the next 100 years", "9999-12-31", False, None),
    ("Day more than 100 years ago", "9999-12-31", False, None),
]


@pytest.mark.parametrize(("text", "held", "expected", "wakes"), CASES)
def test_a_date_criterion_knows_when_it_changes(text: str, held: object, expected: Verdict, wakes: str | None) -> None:
    compiled, world = criteria(text), deal(Day=held)
    assert compiled.verdict(world) is expected
    found = compiled.wakes(world)
    assert (None if found is None else format_instant(found)) == wakes


def test_a_deal_that_closes_in_eight_days_is_in_the_next_seven_tomorrow() -> None:
    """G11: nobody edits anything."""
    compiled, world = criteria("Close_Date in the next 7 days"), deal(Close_Date="2026-03-19")
    assert compiled.verdict(world) is False
    woken = compiled.wakes(world)
    assert woken == at("2026-03-11T15:00:00Z")
    assert compiled.verdict(replace(world, now=woken)) is True
    assert compiled.verdict(replace(world, now=woken - 1)) is False


moments = st.one_of(
    st.integers(-400, 400).map(lambda days: format_instant(NOON + days * DAY)[:10]),
    st.integers(-400 * 24, 400 * 24).map(lambda hours: format_instant(NOON + hours * HOUR)),
)
tests_of_dates = st.sampled_from(
    [
        "is today", "is not tomorrow", "is this week", "is next month", "is last quarter", "is next year",
        "in the next 7 days", "in the last 1 month", "more than 2 weeks ago", "less than 36 hours ago",
        "within 3 business days", "in the next 5 business hours", "anniversary in the next 10 days",
        "+ 1 month < now()", "<= today()", "between now() - 3 days and now() + 3 days",
    ]
)  # fmt: skip
calendars = st.sampled_from([LOOSE.calendar, BERLIN_OFFICE, Calendar.always(ZoneInfo("America/New_York"))])


@given(tests_of_dates, moments, calendars, st.lists(st.floats(0, 1), max_size=6))
def test_a_verdict_stays_until_it_said_it_would_change(
    test: str, day: str, calendar: Calendar, parts: list[float]
) -> None:
    compiled = criteria(f"Day {test}", Context("deal", ALIASES, calendar))
    world = deal(Day=day)
    known, woken = compiled.verdict(world), compiled.wakes(world)
    end = woken if woken is not None else NOON + 3000 * DAY
    assert end > NOON
    for part in (*parts, 1.0):
        moment = min(NOON + int((end - NOON) * part), end - 1)
        assert compiled.verdict(replace(world, now=moment)) is known


def test_weeks_quarters_and_years_are_those_of_the_calendar() -> None:
    """D-116: this calendar's fiscal year starts in April, its office has weekends."""
    office = Context("deal", ALIASES, BERLIN_OFFICE)
    assert verdict("Day is this year", deal(Day="2025-04-01"), office) is True
    assert verdict("Day is this year", deal(Day="2026-04-01"), office) is False
    assert verdict("Day is next quarter", deal(Day="2026-04-01"), office) is True
    assert verdict("Day within 3 business days", deal(Day="2026-03-16"), office) is True
    assert verdict("Day within 3 business days", deal(Day="2026-03-17"), office) is False


def test_rows_wake_their_criterion() -> None:
    world = contracts({"Day": "2026-03-30"}, {"Day": "2026-03-21"}, {"Day": None})
    compiled = criteria("any contract where (Day in the next 7 days)")
    assert compiled.wakes(world) == at("2026-03-13T15:00:00Z")
    assert criteria("count(contract where Day is today) > 1").wakes(world) == at("2026-03-20T15:00:00Z")


def test_what_does_not_look_at_time_never_wakes() -> None:
    assert criteria('Stage is "Won" and Amount > 3').wakes(deal(Stage="Won")) is None


ARITHMETIC = [
    ("Day + 1 day", "2026-01-31", "2026-02-01"),
    ("Day + 1 month", "2026-01-31", "2026-02-28"),
    ("Day - 1 month", "2026-03-31", "2026-02-28"),
    ("Day + 2 hours", "2026-01-31T09:00:00Z", "2026-01-31T11:00:00Z"),
    ("Day + 2 hours", "2026-01-31", "2026-01-30T17:00:00Z"),
    ("Day + 1 day", None, None),
    ("Day + 1 day", "soon", None),
    ("Day + 100 years", "9950-01-01", None),
    ("date(Day)", "2026-01-30T16:00:00Z", "2026-01-31"),
    ("date(2026, 2, 30)", None, None),
    ("days_between(Day, today())", "2026-03-01", 10),
    ("business_days_between(Day, today())", "2026-03-09", 2),
    ("today()", None, "2026-03-11"),
    ("now()", None, "2026-03-11T03:00:00Z"),
]


@pytest.mark.parametrize(("text", "held", "expected"), ARITHMETIC)
def test_dates_are_counted_in_the_calendar(text: str, held: object, expected: object) -> None:
    assert value(text, deal(Day=held)) == expected
