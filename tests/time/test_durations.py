"""How authors write lengths of time."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.durations import Duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 business days", Duration(3, "business_days")),
        ("1 business hour", Duration(1, "business_hours")),
        ("2 Working Days", Duration(2, "business_days")),
        ("3 business_days", Duration(3, "business_days")),
        ("14d", Duration(14, "days")),
        ("5m", Duration(5, "minutes")),
        ("2h", Duration(2, "hours")),
        ("90s", Duration(90, "seconds")),
        ("1 week", Duration(1, "weeks")),
        ("3 months", Duration(3, "months")),
        ("2 quarters", Duration(2, "quarters")),
        ("1y", Duration(1, "years")),
        ("1.5 hours", Duration(Decimal("1.5"), "hours")),
        ("2.0 days", Duration(2, "days")),
        (" ３ days ", Duration(3, "days")),
        ("0 minutes", Duration(0, "minutes")),
    ],
)
def test_a_length_of_time_is_read(text: str, expected: Duration) -> None:
    assert Duration.parse(text) == expected


@pytest.mark.parametrize("text", ["", "days", "3", "three days", "-3 days", "3 dayz", "3 d d", "1e9 s", "3 days 2 h"])
def test_what_is_no_length_of_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration: write a number and a unit, as in '3 business days'"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1.5 days", "'1.5 days' has a fraction: days are counted in whole numbers"),
        ("1.5 business days", "business days are counted in whole numbers"),
        ("101 years", "longer than a hundred years"),
        ("999999999999 minutes", "longer than a hundred years"),
    ],
)
def test_lengths_that_nobody_can_mean_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Duration.parse(text)


def test_a_duration_has_no_direction() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        Duration(-1, "days")


@given(
    st.integers(0, 90),
    st.sampled_from(["minutes", "days", "months", "business_hours", "business_days", "years"]),
)
def test_what_is_printed_can_be_read_again(amount: int, unit: str) -> None:
    duration = Duration.parse(f"{amount} {unit}")
    assert Duration.parse(str(duration)) == duration


def test_one_is_printed_in_the_singular() -> None:
    assert [str(Duration(count, "business_days")) for count in (1, 2)] == [
        "1 business day",
        "2 business days",
    ]


def test_a_grace_period_is_elapsed_time() -> None:
    assert Duration.parse("2d").elapsed() == 48 * 3_600_000
    with pytest.raises(ValueError, match="no fixed length: use hours, days or weeks"):
        Duration.parse("1 month").elapsed()
