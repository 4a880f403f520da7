"""Change operators, earlier values, trails and time windows."""

from dataclasses import replace

import pytest

from rules.criteria import UNKNOWN, CriteriaError, Mark, Verdict
from rules.criteria.parser import parse
from rules.criteria.printing import text_of
from schemas.values import DAY
from tests.criteria.world import NOON, STRICT, World, at, criteria, deal, edited, verdict

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


# --- crossings that are reset (D-24)

BELOW = "Stock crosses below 10 reset at 20"
ABOVE = "Score crosses above 80 reset at 60"


def moved(field: str, *values: object, **fields: object) -> World:
    """A deal whose field took these values one after the other, just after it took the last."""
    old, new = {field: values[-2], **fields}, {field: values[-1], **fields}
    return edited(old, {**new, f"~{field}": [[number, one] for number, one in enumerate(values)]}, changed=[field])


CROSSINGS: list[tuple[str, tuple[object, ...], Verdict]] = [
    (BELOW, (12, 9), True),
    (BELOW, (9, 11, 9), False),
    (BELOW, (12, 9, 19, 9), False),
    (BELOW, (12, 9, 20, 9), True),
    (BELOW, (12, 9, 25, 12, 11, 9), True),
    (BELOW, (25, 12, 9, 11, 12, 9), False),
    (BELOW, (12, 9, None, 9), False),
    (BELOW, (12, None, 9), True),
    (BELOW, (12, 10, 9), True),
    (BELOW, (20, 19), False),
    (BELOW, (9, 20), False),
    (ABOVE, (70, 81), True),
    (ABOVE, (81, 70, 81), False),
    (ABOVE, (81, 61, 81), False),
    (ABOVE, (81, 60, 70, 81), True),
    (ABOVE, (81, 10, 81), True),
    (ABOVE, (60, 80, 81), True),
    (ABOVE, (60, 80), False),
    ("Day crosses above Due reset at Due - 7 days", ("2026-03-20", "2026-03-09", "2026-03-11"), False),
    ("Day crosses above Due reset at Due - 7 days", ("2026-03-20", "2026-03-03", "2026-03-11"), True),
    ("Change crosses below -5 reset at -2.5", (-6, -3, -6), False),
    ("Change crosses below -5 reset at -2.5", (-6, -2, -6), True),
]


@pytest.mark.parametrize(("text", "values", "expected"), CROSSINGS)
def test_a_crossing_counts_again_after_the_field_was_back_at_its_reset_level(
    text: str, values: tuple[object, ...], expected: Verdict
) -> None:
    field = text.split(maxsplit=1)[0]
    world = moved(field, *values, Due="2026-03-10")
    assert verdict(text, world) is expected
    assert criteria(text).trails == {("deal", field)}


def test_a_value_that_goes_to_and_fro_is_told_once_until_it_is_reset() -> None:
    """The example of the page on conditions."""
    values = (12, 9, 11, 8, 20, 7)
    told = [
        now for number, now in enumerate(values) if number and verdict(BELOW, moved("Stock", *values[: number + 1]))
    ]
    assert told == [9, 7]


def test_without_a_trail_the_plain_crossing_decides() -> None:
    assert verdict(BELOW, edited({"Stock": 12}, {"Stock": 9})) is True
    assert verdict(BELOW, edited({"Stock": 9}, {"Stock": 8})) is False
    assert criteria("Stock crosses below 10").trails == frozenset()


def test_a_reset_level_that_is_not_known_yet_leaves_a_crossing_open() -> None:
    text, world = "Stock crosses below 10 reset at account.Level", moved("Stock", 9, 12, 9)
    unknown = {**world.records, "account": UNKNOWN}
    assert verdict(text, replace(world, records=unknown)) is None
    assert verdict(text, replace(moved("Stock", 9, 12), records=unknown)) is False
    assert verdict(text, replace(world, records={**world.records, "account": {"Level": 12}})) is True


WRONG_RESETS = [
    ("Amount crosses above 80 reset at 90", "90", "`reset at 90` is not below 80", "a value below 80"),
    ("Amount crosses above 80 reset at 80.0", "80.0", "is not below 80", "a value below 80"),
    ("Amount crosses below 10 reset at 5", "5", "`reset at 5` is not above 10", "a value above 10"),
    ("Amount crosses below -5 reset at -7", "-7", "`reset at -7` is not above -5", "a value above -5"),
    (
        'Close_Date crosses above "2026-03-01" reset at "2026-03-02"',
        '"2026-03-02"', 'is not below "2026-03-01"', 'below "2026-03-01"',
    ),
    ('Amount crosses above 80 reset at "60"', '"60"', "is number, `\"60\"` is text", "without quotes"),
    ("Close_Date crosses above today() reset at 3", "3", "is date, `3` is number", ""),
    ("Amount crosses above 80 reset at 3 days", "3 days", "a duration is no value to compare with", ""),
    ("Deal_Name crosses above 80 reset at 60", "Deal_Name", "is no number or date", ""),
    ("Amount crosses above 80 reset 60", "reset", "was not expected", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "marked", "problem", "hint"), WRONG_RESETS)
def test_a_reset_level_on_the_wrong_side_is_refused(text: str, marked: str, problem: str, hint: str) -> None:
    with pytest.raises(CriteriaError) as caught:
        criteria(text, STRICT)
    assert problem in caught.value.problem
    assert hint in caught.value.hint
    assert text[caught.value.span.start : caught.value.span.end] == marked


@pytest.mark.parametrize("text", [f"deal.{BELOW}", f"deal.{ABOVE}", "deal.`reset` crosses below 1 reset at deal.Level"])
def test_a_crossing_with_a_reset_level_reads_back_as_it_is_written(text: str) -> None:
    assert text_of(parse(text)) == text
    assert parse(text_of(parse(text))) == parse(text)
    assert criteria(text).text == text


def test_a_field_may_be_called_reset() -> None:
    assert verdict("reset crosses below 10 reset at reset_at", moved("reset", 9, 12, 9, reset_at=12)) is True
    assert verdict("reset > 3", deal(reset=4)) is True


def test_an_explanation_tells_whether_the_field_was_reset() -> None:
    assert criteria(BELOW).explain(moved("Stock", 9, 12, 9)).lines() == [
        "deal.Stock crosses below 10 reset at 20: false"
        " (deal.Stock = 9, before.Stock = 12, reset since the last crossing = false)"
    ]


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
