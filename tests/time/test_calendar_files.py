"""Calendars as they are written in the project's configuration."""

from datetime import date

import pytest
from pydantic import ValidationError

from rules.calendar_config import CalendarConfig, calendar_of, holidays_of
from rules.calendars import ALWAYS, Duration
from tests.time.places import BERLIN, TOKYO, at, wall


def test_an_office_in_tokyo() -> None:
    config = CalendarConfig.model_validate(
        {
            "timezone": "Asia/Tokyo",
            "hours": {"mon-fri": "09:00-18:00", "sat": ["09:00-12:00", "13:00-15:00"]},
            "holidays": "JP",
            "week_start": "sunday",
            "fiscal_year_start": "april",
        }
    )
    calendar = calendar_of(config, "tokyo-office")
    assert (calendar.name, calendar.zone, calendar.week_start, calendar.fiscal_start_month) == (
        "tokyo-office", TOKYO, 6, 4,
    )  # fmt: skip
    # From Friday across the weekend and the holiday of 23 November 2026.
    due = calendar.add(at("2026-11-20T17:50", TOKYO), Duration.parse("1 business day"))
    assert wall(due, TOKYO) == "2026-11-24T09:00+09:00"
    assert calendar.hours[5] == ((540, 720), (780, 900))


def test_holidays_of_a_region_and_days_of_the_company() -> None:
    config = CalendarConfig.model_validate(
        {"timezone": "Europe/Berlin", "holidays": {"country": "DE", "region": "BY", "dates": ["2026-12-31"]}}
    )
    calendar = calendar_of(config)
    assert {date(2026, 1, 6), date(2026, 12, 25), date(2026, 12, 31)} <= calendar.holidays
    assert not calendar.is_business_day(date(2026, 12, 31))


@pytest.mark.parametrize("holidays", [["2026-12-31"], {"dates": ["2026-12-31"]}, {"dates": [date(2026, 12, 31)]}])
def test_holidays_can_be_plain_dates(holidays: object) -> None:
    config = CalendarConfig.model_validate({"holidays": holidays})
    assert calendar_of(config).holidays == {date(2026, 12, 31)}


def test_a_calendar_without_hours_is_always_open() -> None:
    assert calendar_of(CalendarConfig(timezone="Europe/Berlin")).hours == ALWAYS


@pytest.mark.parametrize(
    ("hours", "open_days"),
    [
        ({"mon-fri": "09:00-18:00"}, [0, 1, 2, 3, 4]),
        ({"fri-mon": "09:00-18:00"}, [0, 4, 5, 6]),
        ({"tue, thu": "9:00-18:00"}, [1, 3]),
        ({"monday": "00:00-24:00"}, [0]),
        ({"mon-fri": "22:00-06:00", "sat": "closed"}, [0, 1, 2, 3, 4]),
    ],
)
def test_days_are_named_as_people_name_them(hours: dict[str, str], open_days: list[int]) -> None:
    calendar = calendar_of(CalendarConfig.model_validate({"hours": hours}))
    assert [day for day in range(7) if calendar.hours[day]] == open_days


def test_a_night_shift_ends_on_the_next_day() -> None:
    calendar = calendar_of(
        CalendarConfig.model_validate({"timezone": "Europe/Berlin", "hours": {"fri": "22:00-06:00"}})
    )
    assert calendar.is_open(at("2026-11-21T05:59", BERLIN))
    assert not calendar.is_open(at("2026-11-21T06:00", BERLIN))


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"timezone": "Berlin"}, "no time zone 'Berlin'"),
        ({"hours": {"mon-fry": "09:00-18:00"}}, r"'fry' is no day of the week"),
        ({"hours": {"mon-fri": "09:00"}}, "'09:00' is no time span"),
        ({"hours": {"mon-fri": "9-18"}}, "'9' is no time of day"),
        ({"hours": {"mon-fri": "09:00-25:00"}}, "'25:00' is no time of day"),
        ({"hours": {"mon-fri": "09:00-18:00", "fri": "09:00-12:00"}}, "friday is given twice"),
        ({"hours": {"mon": ["09:00-12:00", "11:00-13:00"]}}, "overlap"),
        ({"hours": {"mon-sun": "closed"}}, "the calendar never opens"),
        ({"holidays": "JPN1"}, r"no country 'JPN1' \(did you mean 'JPN'\?\)"),
        ({"holidays": {"country": "DE", "region": "BAY"}}, "'DE' has no region 'BAY'"),
        ({"week_start": "weekend"}, "'weekend' is no day of the week"),
        ({"fiscal_year_start": "aprl"}, r"'aprl' is no month \(did you mean 'april'\?\)"),
        ({"fiscal_year_start": 13}, "13 is no month"),
    ],
)
def test_a_calendar_that_cannot_be_meant_is_refused(parts: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        calendar_of(CalendarConfig.model_validate(parts))


@pytest.mark.parametrize("parts", [{"time_zone": "UTC"}, {"holidays": ["31.12.2026"]}, {"hours": {"mon": 9}}])
def test_a_calendar_has_only_known_parts(parts: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CalendarConfig.model_validate(parts)


def test_holidays_are_known_for_the_years_asked_for() -> None:
    assert {day.year for day in holidays_of("JP", [2026, 2027])} == {2026, 2027}
