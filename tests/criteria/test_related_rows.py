"""Quantifiers and aggregates over related rows, complete and not (D-32, D-04)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.criteria import UNKNOWN, Verdict
from schemas.values import Image
from tests.criteria.world import Amount, World, contracts, deal, value, verdict

ACTIVE: Image = {"Status": "Active"}
DRAFT: Image = {"Status": "Draft"}
BLANK: Image = {"Status": None}

CASES = [
    ('any contract where (Status is "Active")', [DRAFT, ACTIVE], True, True),
    ('any contract where (Status is "Active")', [DRAFT], False, None),
    ('any contract where (Status is "Active")', [], False, None),
    ('all contract where (Status is "Active")', [ACTIVE, ACTIVE], True, None),
    ('all contract where (Status is "Active")', [ACTIVE, DRAFT], False, False),
    ('all contract where (Status is "Active")', [], False, None),  # G15
    ('all_or_no contract where (Status is "Active")', [], True, None),
    ('all_or_no contract where (Status is "Active")', [DRAFT], False, False),
    ('no contract where (Status is "Active")', [DRAFT], True, None),
    ('none contract where (Status is "Active")', [ACTIVE], False, False),
    ("no contract", [], True, None),
    ("no contract", [DRAFT], False, False),
    ("any contract", [DRAFT], True, True),
    ("contract exists", [], False, None),
    ("contract exists", [DRAFT], True, True),
    ("contract does not exist", [], True, None),
    ("count(contract) is 2", [DRAFT, ACTIVE], True, None),
    ("count(contract) >= 2", [DRAFT, ACTIVE], True, True),
    ("count(contract) > 2", [DRAFT, ACTIVE], False, None),
    ("count(contract) < 2", [DRAFT, ACTIVE], False, False),
    ("count(contract) <= 2", [DRAFT, ACTIVE], True, None),
    ('count(contract where Status is "Active") >= 1', [DRAFT, ACTIVE], True, True),
    ('count(contract where Status is "Active") is 0', [DRAFT], True, None),
    ("sum(contract.Value) is empty", [], True, None),
]


@pytest.mark.parametrize(("text", "rows", "complete", "partial"), CASES)
def test_rows_decide_as_far_as_they_are_known(
    text: str, rows: list[Image], complete: Verdict, partial: Verdict
) -> None:
    assert verdict(text, contracts(*rows)) is complete
    assert verdict(text, contracts(*rows, complete=False)) is partial


AGGREGATES = [
    ("count(contract)", 3),
    ("sum(contract.Value)", Amount("30.5")),
    ("sum(contract.Value where Value > 15)", Amount("20.5")),
    ("min(contract.Value)", 10),
    ("max(contract.Value)", Amount("20.5")),
    ("avg(contract.Value)", Amount("15.25")),
    ("max(contract.Start)", "2026-05-01"),
    ("first(contract by Start).Name", "b"),
    ("last(contract by Start).Name", "a"),
    ("first(contract by Start desc).Name", "a"),
    ("first(contract by Start where Value is not empty).Value", 10),
    ("first(contract by Nothing).Name", "a"),
    ('first(contract by Start where Name is "z").Name', None),
    ("sum(contract.Nothing)", None),
]


@pytest.mark.parametrize(("text", "expected"), AGGREGATES)
def test_rows_are_summed_up(text: str, expected: object) -> None:
    filled: list[Image] = [
        {"id": "1", "Name": "a", "Value": Amount("20.5"), "Start": "2026-05-01"},
        {"id": "2", "Name": "b", "Value": None, "Start": "2026-01-01"},
        {"id": "3", "Name": "c", "Value": 10, "Start": "2026-03-01"},
    ]
    assert value(text, contracts(*filled)) == expected
    assert value(text, contracts(*filled, complete=False)) is UNKNOWN


def test_a_row_sees_the_records_above_it_and_the_rows_below_it() -> None:
    world = replace(
        deal(Limit=5),
        related={
            "contract": [
                {"id": "1", "below": {"line": [{"Price": 3}]}},
                {"id": "2", "below": {"line": [{"Price": 3}, {"Price": 9}]}},
            ]
        },
    )
    assert verdict("any contract where (all line where (Price > deal.Limit))", world) is False
    assert verdict("any contract where (any line where (Price > deal.Limit))", world) is True
    assert verdict("any contract where (sum(line.Price) is 12)", world) is True


rows: st.SearchStrategy[list[Image]] = st.lists(st.sampled_from([ACTIVE, DRAFT, BLANK]), max_size=4)
quantifiers = st.sampled_from(["any", "all", "all_or_no", "no"])


@given(quantifiers, rows, rows)
def test_a_known_verdict_does_not_turn_round_when_more_rows_arrive(
    kind: str, first: list[Image], more: list[Image]
) -> None:
    text = f'{kind} contract where (Status is "Active")'
    early = verdict(text, contracts(*first, complete=False))
    late = verdict(text, contracts(*first, *more))
    assert early is None or early is late


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=6), st.integers(-50, 50))
def test_quantifiers_agree_with_counting(values: list[int], limit: int) -> None:
    world = contracts(*({"Value": value} for value in values))
    over = sum(value > limit for value in values)
    assert verdict(f"any contract where (Value > {limit})", world) is (over > 0)
    assert verdict(f"all contract where (Value > {limit})", world) is (over == len(values))
    assert value(f"count(contract where Value > {limit})", world) == over
    assert value("sum(contract.Value)", world) == sum(values)


def test_an_account_that_has_not_answered_makes_a_row_unknown() -> None:
    world = World({"deal": {"id": "1"}, "account": UNKNOWN}, related={"contract": [ACTIVE]})
    assert verdict('any contract where (account.Type is "x")', world) is None
    assert verdict('any contract where (account.Type is "x" or Status is "Active")', world) is True
