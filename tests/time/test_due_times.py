"""When timed actions are due, and whether late ones still run (D-50, D-53, D-54)."""

from collections.abc import Mapping
from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.calendars import Calendar, Duration
from rules.due import Anchor, DuePlan, Lateness, due_at, next_due
from schemas.values import DAY, HOUR
from tests.time.places import BERLIN, OFFICE, TOKYO, at, wall

FRIDAY = at("2026-11-20T17:50", BERLIN)


@pytest.mark.parametrize(
    ("anchor", "plan", "shown"),
    [
        (FRIDAY, "3 business days", "2026-11-25T17:50+01:00"),
        (FRIDAY, {"after": "1 business hour"}, "2026-11-23T09:50+01:00"),
        (FRIDAY, {"after": "90 days"}, "2027-02-18T17:50+01:00"),
        (FRIDAY, {"after": "3 business days", "at": "09:00"}, "2026-11-25T09:00+01:00"),
        (FRIDAY, {"after": "1 day", "at": "09:00"}, "2026-11-21T09:00+01:00"),
        (FRIDAY, {"after": None, "at": "18:00"}, "2026-11-20T18:00+01:00"),
        (FRIDAY, {"at": "09:00"}, "2026-11-21T09:00+01:00"),
        (FRIDAY, {"at": "17:50"}, "2026-11-20T17:50+01:00"),
        (FRIDAY, {"field": "Visit", "before": "2 hours"}, "2026-11-20T15:50+01:00"),
        (date(2026, 5, 31), {"field": "Renewal_Date"}, "2026-05-31T00:00+02:00"),
        (date(2026, 5, 31), {"field": "Renewal_Date", "at": "09:00"}, "2026-05-31T09:00+02:00"),
        (
            date(2026, 5, 31),
            {"field": "Renewal_Date", "before": "30 days", "at": "09:00"},
            "2026-05-01T09:00+02:00",
        ),
        (date(2026, 5, 31), {"field": "Renewal_Date", "before": "3 months"}, "2026-02-28T00:00+01:00"),
        (date(2026, 5, 31), {"field": "Renewal_Date", "before": "1 business day"}, "2026-05-29T00:00+02:00"),
        (date(2026, 5, 31), {"field": "Renewal_Date", "after": "36 hours"}, "2026-06-01T12:00+02:00"),
        (date(2026, 3, 29), {"field": "Renewal_Date", "at": "02:30"}, "2026-03-29T03:00+02:00"),
    ],
)
def test_a_timed_action_is_due(anchor: Anchor, plan: str | dict[str, object], shown: str) -> None:
    assert wall(due_at(anchor, DuePlan.parse(plan), OFFICE), BERLIN) == shown


def test_a_date_without_a_zone_gets_the_zone_of_the_rule() -> None:
    plan = DuePlan.parse({"field": "Renewal_Date", "at": "09:00"})
    assert due_at(date(2026, 5, 31), plan, Calendar.always(TOKYO)) == at("2026-05-31T09:00", TOKYO)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({}, "a time needs `after`, `before` or `at`"),
        ({"after": "1 day", "before": "1 day"}, "not both"),
        ({"aftr": "1 day"}, "unknown key 'aftr'. Did you mean 'after'"),
        ({"after": 3}, "`after` is written as text"),
        ({"after": ""}, "'' is no duration"),
        ({"before": "1 day"}, "`before` needs a date field"),
        ({"after": "2 hours", "at": "09:00"}, "`at` goes with days or longer, not with 2 hours"),
        ({"after": "1 day", "at": "9 o'clock"}, "is no time of day"),
        ({"after": "1 day", "repeat": "yearly"}, "`repeat` needs a date field"),
        ({"field": "Birthday", "repeat": "weekly"}, "'weekly' is none of none, monthly, yearly"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused(source: Mapping[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        DuePlan.parse(source)


def test_a_plan_is_plain_to_compare() -> None:
    plan = DuePlan.parse({"field": "Renewal_Date", "before": "30 days", "at": "09:00", "repeat": "yearly"})
    assert plan == DuePlan(Duration(30, "days"), -1, time(9), "Renewal_Date", "yearly")


@pytest.mark.parametrize(
    ("anchor", "plan", "now", "shown"),
    [
        ("1980-02-29", {"field": "Birthday", "repeat": "yearly"}, "2026-01-01", "2026-02-28"),
        ("1980-02-29", {"field": "Birthday", "repeat": "yearly"}, "2027-03-01", "2028-02-29"),
        ("2026-01-31", {"field": "Billed", "repeat": "monthly"}, "2026-02-01", "2026-02-28"),
        ("2026-01-31", {"field": "Billed", "repeat": "monthly"}, "2026-02-28", "2026-03-31"),
        (
            "2026-05-31",
            {"field": "Renewal", "before": "30 days", "repeat": "yearly"},
            "2026-05-02",
            "2027-05-01",
        ),
        ("2030-05-31", {"field": "Renewal", "repeat": "yearly"}, "2026-01-01", "2030-05-31"),
        ("2026-05-31", {"field": "Renewal"}, "2026-05-30", "2026-05-31"),
    ],
)
def test_a_date_comes_again_each_month_or_year(anchor: str, plan: dict[str, object], now: str, shown: str) -> None:
    due = next_due(date.fromisoformat(anchor), DuePlan.parse(plan), OFFICE, at(now, BERLIN))
    assert due == at(shown, BERLIN)


def test_an_instant_comes_again_at_its_time_of_day() -> None:
    signed = at("2026-01-31T15:30", BERLIN)
    due = next_due(signed, DuePlan(field="Signed", repeat="monthly"), OFFICE, at("2026-07-01", BERLIN))
    assert due == at("2026-07-31T15:30", BERLIN)


def test_what_is_not_repeated_is_over_once_it_was_due() -> None:
    plan = DuePlan.parse({"field": "Renewal"})
    assert next_due(date(2026, 5, 31), plan, OFFICE, at("2026-05-31", BERLIN)) is None


@pytest.mark.parametrize(
    ("never", "offset", "repeat"),
    [("9999-12-31", "after", "none"), ("9999-12-31", "after", "yearly"), ("0001-01-01", "before", "none")],
)
def test_a_date_that_means_never_is_never_due(never: str, offset: str, repeat: str) -> None:
    plan = DuePlan.parse({"field": "Renewal", offset: "30 days", "repeat": repeat})
    assert next_due(date.fromisoformat(never), plan, OFFICE, at("2026-05-31", BERLIN)) is None


@given(
    st.dates(date(1950, 1, 1), date(2040, 1, 1)),
    st.sampled_from(["monthly", "yearly"]),
    st.sampled_from([("before", "45 days"), ("before", "10 business days"), ("after", "2 months"), ("at", "02:30")]),
    st.integers(at("2000-01-01", TOKYO), at("2035-01-01", TOKYO)),
)
def test_each_repetition_is_strictly_later_and_none_is_left_out(
    anchor: date, repeat: str, offset: tuple[str, str], now: int
) -> None:
    plan = DuePlan.parse({"field": "Renewal", "repeat": repeat, offset[0]: offset[1]})
    due = next_due(anchor, plan, OFFICE, now)
    assert due is not None
    assert due > now
    assert next_due(anchor, plan, OFFICE, due - 1) == due
    assert due == due_at(anchor, plan, OFFICE) or due - now <= (31 if repeat == "monthly" else 366) * DAY + 7 * DAY


@pytest.mark.parametrize(
    ("source", "late", "verdict"),
    [
        (None, -1 * HOUR, "run"),
        (None, 24 * HOUR, "run"),
        (None, 24 * HOUR + 1, "skip"),
        ("run", 1000 * DAY, "run"),
        ("skip_after: 2d", 2 * DAY, "run"),
        ("skip_after: 2d", 2 * DAY + 1, "skip"),
        ({"skip_after": "5m"}, 6 * 60_000, "skip"),
        ({"skip_after": "0s"}, 1, "skip"),
    ],
)
def test_late_actions_run_within_their_grace(
    source: str | Mapping[str, object] | None, late: int, verdict: str
) -> None:
    due = at("2026-11-20T09:00", BERLIN)
    assert Lateness.parse(source).verdict(due, due + late) == verdict


def test_the_common_grace_can_be_set() -> None:
    assert Lateness().verdict(0, HOUR, grace=HOUR) == "run"
    assert Lateness().verdict(0, HOUR + 1, grace=HOUR) == "skip"


@pytest.mark.parametrize("source", ["", "skip", "skip_after", {"skip": "2d"}, {}, {"skip_after": 2}])
def test_a_lateness_that_is_none_is_refused(source: str | Mapping[str, object]) -> None:
    with pytest.raises(ValueError, match="write 'run', or 'skip_after: 2d'"):
        Lateness.parse(source)


def test_a_grace_period_has_a_fixed_length() -> None:
    with pytest.raises(ValueError, match="'1 month' has no fixed length"):
        Lateness.parse("skip_after: 1 month")


@pytest.mark.parametrize(
    ("moved_to", "verdict"), [("2026-05-20", "run"), ("2026-04-15", "run"), ("2026-03-31", "skip")]
)
def test_a_renewal_moved_into_the_past_runs_within_its_grace_or_is_skipped(moved_to: str, verdict: str) -> None:
    """G8: in the middle of April the renewal date moves from May."""
    now = at("2026-04-15T08:00", BERLIN)
    due = due_at(date.fromisoformat(moved_to), DuePlan.parse({"field": "Renewal_Date"}), OFFICE)
    assert Lateness().verdict(due, now) == verdict


def test_the_zone_of_the_owner_may_count_instead() -> None:
    plan = DuePlan.parse({"after": "1 day", "at": "09:00"})
    due = due_at(FRIDAY, plan, OFFICE.in_zone(ZoneInfo("Asia/Tokyo")))
    assert wall(due, TOKYO) == "2026-11-22T09:00+09:00"
