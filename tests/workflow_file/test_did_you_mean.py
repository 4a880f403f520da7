"""Did you mean: the names that a person was probably after."""

import pytest

from rules.suggest import did_you_mean, either, suggest

FIELDS = ["Stage", "Deal_Name", "Account_Name", "Amount", "Lead_Status", "Closing_Date", "取引先名"]


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("Stagee", "Stage"),
        ("stage", "Stage"),
        ("stgae", "Stage"),
        ("lead-status", "Lead_Status"),
        ("LeadStatus", "Lead_Status"),
        ("Ａｍｏｕｎｔ", "Amount"),
        ("取引先", "取引先名"),
    ],
)
def test_the_closest_name_comes_first(wrong: str, meant: str) -> None:
    assert suggest(wrong, FIELDS)[0] == meant


@pytest.mark.parametrize("wrong", ["xyz", "", "q" * 10_000])
def test_nothing_close_gives_no_suggestion(wrong: str) -> None:
    assert suggest(wrong, FIELDS) == ()
    assert did_you_mean(wrong, FIELDS) == ""


def test_at_most_three_are_named() -> None:
    assert len(suggest("status", [f"Status{n}" for n in range(9)])) == 3
    assert did_you_mean("Nam", ["Name", "Names"]) == "Did you mean 'Name' or 'Names'?"


def test_a_choice_reads_as_a_sentence() -> None:
    assert either(["a", "b", "c"]) == "'a', 'b' or 'c'"
    assert either(["a"]) == "'a'"
