"""Change operators, earlier values, trails and time windows."""

from dataclasses import replace

import pytest

from rules.criteria import UNKNOWN, Mark, Verdict
from schemas.values import DAY
from tests.criteria.world import NOON, World, at, criteria, deal, edited, verdict

CHANGES = [
    ("Stage changed", {"Stage": "a"}, {"Stage": "b"}, True),
    ("Stage changed", {"Stage": "a", "x": 1}, {"Stage": "a", "x": 2}, False),
    ('Stage changed to "B"', {"Stage": "a"}, {"Stage": "b"}, True),
    ('Stage changed to "c"', {"Stage": "a"}, {"Stage": "b"}, False),
    ('Stage changed from "a"', {"Stage": "a"}, {"Stage": "b"}, True),
    ('Stage changed from "a" to "b"', {"Stage": "a"}, {"Stage": "b"}, True),
    ('Stage changed from "x" to "b"', {"Stage": "a"}, {"Stage": "b"}, False),
    ("Stage changed to before.Other", {"Stage": "a", "Other": "b"}, {"Stage": "b", "Other": "b"}, True),
    ("Stage became empty", {"Stage": "a"}, {"Stage": None}, True),
    ("Stage became empty", {"Stage": None, "x": 1}, {"Stage": None, "x": 2}, False),
    ("Stage was filled", {"Stage": ""}, {"Stage": "b"}, True),
    ("Stage was filled", {"Stage": "a"}, {"Stage": "b"}, False),
    ("Amount increased", {"Amount": 10}, {"Amount": 11}, True),
    ("Amount increased", {"Amount": 10}, {"Amount": 9}, False),
    ("Amount increased", {"Amount": None}, {"Amount": 9}, False),
    ("Amount decreased", {"Amount": 10}, {"Amount": 9}, True),
    ("Amount increased by 5", {"Amount": 10}, {"Amount": 15}, True),
    ("Amount increased by more than 5", {"Amount": 10}, {"Amount": 15}, False),
    ("Amount decreased by 10%", {"Amount": 100}, {"Amount": 90}, True),
    ("Amount decreased by more than 10%", {"Amount": 100}, {"Amount": 90}, False),
    ("Amount decreased by more than 10%", {"Amount": 100}, {"Amount": 89}, True),
    ("Amount increased by 10%", {"Amount": -100}, {"Amount": -90}, True),
    ("Amount increased by 10%", {"Amount": 0}, {"Amount": 5}, False),
    ("Day increased by more than 7 days", {"Day": "2026-03-01"}, {"Day": "2026-03-09"}, True),
    ("Day increased by more than 7 days", {"Day": "2026-03-01"}, {"Day": "2026-03-08"}, False),
    ("Day decreased", {"Day": "2026-03-09"}, {"Day": "2026-03-01"}, True),
    ("Amount crosses above 100", {"Amount": 100}, {"Amount": 101}, True),
    ("Amount crosses above 100", {"Amount": 101}, {"Amount": 102}, False),
    ("Amount crosses above 100", {"Amount": None}, {"Amount": 102}, True),
    ("Amount crosses below 100", {"Amount": 100}, {"Amount": 99}, True),
    ("Amount crosses below Limit", {"Amount": 100, "Limit": 100}, {"Amount": 99, "Limit": 100}, True),
    ("Amount > before.Amount * 2", {"Amount": 10}, {"Amount": 21}, True),
    ("before.Stage is empty", {"Stage": None}, {"Stage": "a"}, True),
]


@pytest.mark.parametrize(("text", "old", "new", "expected"), CHANGES)
def test_a_change_operator_compares_with_the_image_before(
    text: str, old: dict[str, object], new: dict[str, object], expected: Verdict
) -> None:
    assert verdict(text, edited(old, new)) is expected


@pytest.mark.parametrize("text", sorted({text for text, *_ in CHANGES if " before." not in f" {text}"}))
def test_nothing_changes_at_creation(text: str) -> None:
    """D-119: a creation has no earlier value."""
    new = replace(deal(Stage="b", Amount=500, Day="2026-03-09"), created=True, changed=frozenset({"Stage", "Amount"}))
    assert verdict(text, new) is False
    assert verdict(f"not {text}", new) is True


def test_before_is_empty_at_creation() -> None:
    assert verdict('before.Stage is empty and before.Stage is not "x"', replace(deal(Stage="x"), created=True)) is True


def trail(*entries: tuple[str, str], field: str = "Stage", **fields: object) -> World:
    stored = [[at(f"{since}T03:00:00Z"), held] for since, held in entries]
    return deal(**{field: entries[-1][1], f"~{field}": stored, **fields})


HISTORY = [
    ('Stage was ever "open"', True),
    ('Stage was ever "Lost"', False),
    ('Stage has never been "Lost"', True),
    ('Stage has never been "Won"', False),
    ('Stage was "New" for at least 3 days', False),
    ('Stage was "Open" for at least 3 days', True),
    ('Stage was "Won" for at least 1 day', True),
    ('Stage has been "Won" for 1 day', True),
    ('Stage has been "Won" for 2 days', False),
    ('Stage has been "Open" for 1 hour', False),
]


@pytest.mark.parametrize(("text", "expected"), HISTORY)
def test_history_is_read_from_the_trail(text: str, expected: Verdict) -> None:
    world = trail(("2026-03-01", "New"), ("2026-03-02", "Open"), ("2026-03-04", "OPEN "), ("2026-03-10", "Won"))
    assert verdict(text, world) is expected
    assert criteria(text).trails == {("deal", "Stage")}


def test_history_that_was_not_kept_is_unknown_unless_the_present_decides() -> None:
    world = deal(Stage="Won")
    assert verdict('Stage was ever "Won"', world) is True
    assert verdict('Stage was ever "Lost"', world) is None
    assert verdict('Stage has been "Won" for 1 day', world) is None
    assert verdict('Stage has been "Lost" for 1 day', world) is False


def test_a_duration_wakes_itself_when_it_is_over() -> None:
    """D-59."""
    world = trail(("2026-03-10", "Won"))
    assert criteria('Stage has been "Won" for 2 days').wakes(world) == at("2026-03-12T03:00:00Z")
    assert criteria('Stage was "Won" for at least 3 days').wakes(world) == at("2026-03-13T03:00:00Z")
    assert criteria('Stage has been "Open" for 2 days').wakes(world) is None


# --- time windows

WITHIN = 'Stage is "Won" within 14 days of account.Type is "Customer"'
THEN = 'Stage is "Won" then account.Type is "Customer"'


def seen(won: bool, customer: bool, now: int) -> World:
    records = {
        "deal": {"id": "1", "Stage": "Won" if won else "Open"},
        "account": {"Type": "Customer" if customer else ""},
    }
    return World(records, now=now)


def story(text: str, *steps: tuple[bool, bool, int]) -> list[Verdict]:
    """The verdicts after each step: deal won, account a customer, day."""
    compiled, marks = criteria(text), dict[str, Mark]()
    return [
        compiled.verdict(replace(seen(won, customer, NOON + day * DAY), marks=marks)) for won, customer, day in steps
    ]


def test_two_conditions_come_true_within_a_time() -> None:
    assert story(WITHIN, (False, False, 0), (True, False, 1), (True, True, 15)) == [False, False, True]
    assert story(WITHIN, (False, False, 0), (True, False, 1), (True, True, 16)) == [False, False, False]
    assert story(WITHIN, (False, False, 0), (False, True, 1), (True, True, 2)) == [False, False, True]


def test_one_condition_comes_true_after_the_other() -> None:
    assert story(THEN, (False, False, 0), (True, False, 1), (True, True, 2)) == [False, False, True]
    assert story(THEN, (False, False, 0), (False, True, 1), (True, True, 2)) == [False, False, False]
    assert story(THEN, (False, False, 0), (True, True, 1)) == [False, False]


def test_what_was_true_from_the_start_has_no_time_but_came_first() -> None:
    """D-22a: a first look is a baseline."""
    assert story(WITHIN, (True, False, 0), (True, True, 1)) == [False, False]
    assert story(THEN, (True, False, 0), (True, True, 1)) == [False, True]


def test_a_record_just_made_came_true_now() -> None:
    marks: dict[str, Mark] = {}
    compiled = criteria(WITHIN)
    assert compiled.verdict(replace(seen(True, False, NOON), created=True, marks=marks)) is False
    assert compiled.verdict(replace(seen(True, True, NOON + DAY), marks=marks)) is True


def test_a_window_is_watched_even_where_and_is_decided() -> None:
    text = f"Amount > 5 and ({WITHIN})"
    marks: dict[str, Mark] = {}
    for won, customer, amount, day in [(False, False, 0, 0), (True, False, 0, 1), (True, True, 9, 3)]:
        world = replace(seen(won, customer, NOON + day * DAY), marks=marks)
        world.records["deal"]["Amount"] = amount  # type: ignore[index]
        last = criteria(text).verdict(world)
    assert last is True


def test_an_unknown_operand_is_no_edge() -> None:
    """D-22."""
    marks: dict[str, Mark] = {}
    compiled = criteria(THEN)
    assert compiled.verdict(World({"deal": {"Stage": "Open"}, "account": UNKNOWN}, marks=marks)) is None
    assert compiled.verdict(replace(seen(True, True, NOON + DAY), marks=marks)) is False
