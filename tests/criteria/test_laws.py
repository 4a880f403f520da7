"""Laws of the language: three-valued logic, exact complements, printing and reading, totality."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.criteria import UNKNOWN, CriteriaError, Verdict
from rules.criteria import tree as t
from rules.criteria.conditions import _choice, _comparison
from rules.criteria.fast import fast_choice, fast_comparison
from rules.criteria.parser import parse
from rules.criteria.printing import text_of
from schemas.values import Amount
from tests.criteria.texts import conditions, operands
from tests.criteria.world import LOOSE, World, contracts, criteria, deal, value, verdict


@given(conditions | operands)
@settings(max_examples=300)
def test_a_printed_tree_reads_back_as_the_same_tree(tree: t.Tree) -> None:
    assert parse(text_of(tree)) == tree
    assert text_of(parse(text_of(tree))) == text_of(tree)


TRUTHS = {"Amount is 1": True, "Amount is 2": False, "account.Type is 3": None}
WORLD = World({"deal": {"id": "1", "Amount": 1}, "account": UNKNOWN})


@pytest.mark.parametrize("left", TRUTHS)
@pytest.mark.parametrize("right", TRUTHS)
def test_and_or_not_follow_the_three_valued_tables(left: str, right: str) -> None:
    """D-04: unknown and false = false, unknown or true = true."""
    both = (TRUTHS[left], TRUTHS[right])
    assert verdict(f"{left} and {right}", WORLD) is (False if False in both else None if None in both else True)
    assert verdict(f"{left} or {right}", WORLD) is (True if True in both else None if None in both else False)
    assert verdict(f"not {left}", WORLD) is (None if TRUTHS[left] is None else not TRUTHS[left])


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.decimals(-20, 20, places=1).map(Amount),
    st.sampled_from(
        ["", " ", "red", "RED ", "Ｒｅｄ", "blue", "10", "1e999999999", "2026-03-11", "2026-03-11T03:00:00Z", "２０"]
    ),
    st.lists(st.sampled_from(["red", "blue", 10]), max_size=3),
)
negations = st.sampled_from(
    [
        ("A is B", "A is not B"),
        ('A in ["red", 10, B]', 'A not in ["red", 10, B]'),
        ("A contains B", "A does not contain B"),
        ("A is empty", "A is not empty"),
        ('A has any ["red", B]', 'A has none ["red", B]'),
        ('A is exactly ["red", B]', 'A is not exactly ["red", B]'),
        ("A is today", "A is not today"),
        ("A is this week", "A is not this week"),
        ("A in the next 3 days", "A not in the next 3 days"),
        ("A > B", "not A > B"),
    ]
)


@given(negations, values, values)
def test_a_negation_is_the_exact_complement(forms: tuple[str, str], a: object, b: object) -> None:
    """D-111: on values that are known."""
    world = deal(A=a, B=b)
    assert verdict(forms[1], world) is (not verdict(forms[0], world))


@given(values, values)
def test_equality_and_order_agree(a: object, b: object) -> None:
    world = deal(A=a, B=b)
    assert verdict("A is B", world) == verdict("B is A", world)
    assert not (verdict("A < B", world) and verdict("A > B", world))
    assert verdict("A <= B", world) == verdict("B >= A", world)


constants = st.one_of(
    st.sampled_from(["red", "RED", "10", "2026-03-11", "true", "２０２６-03-11", "1e999999999"]), st.integers(-20, 20)
)


@given(values, constants, st.sampled_from(["is", ">", ">=", "<", "<="]))
def test_a_fast_comparison_gives_the_general_verdict(held: Any, constant: Any, relation: Any) -> None:
    node = t.Compare(relation, t.Field("deal", "A"), t.Constant(constant))
    fast = fast_comparison(node, LOOSE)
    worlds = [deal(A=held), deal(), World({"deal": None}), World({"deal": UNKNOWN}), World()]
    for world in worlds if fast else []:
        assert fast is not None
        assert fast(world) is _comparison(node, LOOSE)(world)


@given(values, st.lists(constants.filter(lambda one: isinstance(one, str)), min_size=1, max_size=3))
def test_a_fast_choice_gives_the_general_verdict(held: Any, options: list[Any]) -> None:
    node = t.OneOf(t.Field("deal", "A"), tuple(map(t.Constant, options)))
    fast = fast_choice(node, LOOSE)
    assert fast is not None
    for world in [deal(A=held), deal(), World({"deal": None}), World({"deal": UNKNOWN}), World()]:
        assert fast(world) is _choice(node, LOOSE)(world)


@given(conditions, values, values)
@settings(max_examples=150)
def test_what_compiles_gives_a_verdict_and_an_explanation_and_never_raises(
    tree: t.Condition, a: object, b: object
) -> None:
    try:
        compiled = criteria(text_of(tree))
    except CriteriaError:
        return
    row = {"Stage": a, "x": b}
    world = World(
        {"deal": {"id": "1", "Stage": a, "x": b}, "account": None}, related={"contract": [row], "line": [row]}
    )
    found: Verdict = compiled.verdict(world)
    explained = compiled.explain(world)
    assert explained.outcome is (UNKNOWN if found is None else found)
    assert all(isinstance(line, str) for line in explained.lines())
    woken = compiled.wakes(world)
    assert woken is None or woken > world.now


VALUES = [
    ("A * 2", 3, 6),
    ("A / 4", 3, Amount("0.75")),
    ("A / 0", 3, None),
    ("A / B", 3, None),
    ("A - 0.1", Amount("0.3"), Amount("0.2")),
    ("-A", "3.50", Amount("-3.50")),
    ("A + 12%", 1, Amount("1.12")),
    ("1 - A / 4 * 4", 1, Amount("0")),
    ("A + B", "a", None),
    ("A * 2", "x", None),
    ("A * 2", None, None),
    ("A * 2", [1], None),
    ("A * A", Amount("1e600000"), None),
    ('A + " " + "b"', "a", "a b"),
    ("lower(A)", "ABC", "abc"),
    ("upper(A)", "abc", "ABC"),
    ("trim(A)", "  a ", "a"),
    ("length(A)", "商談", 2),
    ("length(A)", None, 0),
    ("length(A)", ["a", "b"], 2),
    ("substring(A, 2)", "abcd", "bcd"),
    ("substring(A, 2, 2)", "abcd", "bc"),
    ('replace(A, "b", "x")', "abab", "axax"),
    ("round(A)", Amount("2.5"), 3),
    ("round(A, 1)", Amount("-0.25"), Amount("-0.3")),
    ("round(A, -2)", 1250, 1300),
    ("abs(A)", Amount("-1.5"), Amount("1.5")),
    ("min(A, 2, B)", 3, 2),
    ("max(A, 2)", 3, 3),
    ("max(A, today())", "2026-12-01", "2026-12-01"),
    ('coalesce(B, A, "x")', "", "x"),
    ("domain_of(A)", "Ann <ann@Example.COM>", "example.com"),
    ("domain_of(A)", "ann@mail.example.com", "mail.example.com"),
    ("domain_of(A)", "https://www.example.com:8080/x", "example.com"),
    ("domain_of(A)", None, None),
    ("normalise_phone(A)", "+81 (0)3-1234", "+8131234"),
    ("normalise_phone(A)", "００４９ 30 12", "+493012"),
    ("normalise_phone(A)", "none", None),
    ("A > 2", 3, True),
    ("A is empty", None, True),
    ("deal.A", [1, 2], [1, 2]),
]


@pytest.mark.parametrize(("text", "held", "expected"), VALUES)
def test_an_expression_has_a_value(text: str, held: object, expected: object) -> None:
    found = value(text, deal(A=held))
    assert found == expected
    assert type(found) is type(expected)


def test_an_expression_of_an_unknown_record_is_unknown() -> None:
    world = World({"deal": {"A": 1}, "account": UNKNOWN})
    for text in (
        "account.B",
        "A + account.B",
        "-account.B",
        "lower(account.B)",
        "coalesce(account.B, 1)",
        "account.B > 1",
    ):
        assert value(text, world) is UNKNOWN
    assert value("coalesce(A, account.B)", world) == 1


@given(operands, values, values)
@settings(max_examples=150)
def test_expressions_are_total(tree: t.Operand, a: object, b: object) -> None:
    """D-90: whatever compiles has a value, which is a field value."""
    try:
        found = value(text_of(tree), deal(Stage=a, x=b))
    except CriteriaError:
        return
    assert found is None or isinstance(found, bool | int | Amount | str | list)


def test_an_explanation_shows_what_each_operand_held() -> None:
    world = contracts({"Status": "Draft"}, complete=False)
    world.records = {**world.records, "deal": {"id": "1", "Stage": "Open", "Secret": "hidden"}}
    compiled = criteria('Stage is "Won" and not (any contract where (Status is "Active"))')
    assert compiled.explain(world).lines() == [
        "all of: false",
        '  deal.Stage is "Won": false (deal.Stage = "Open")',
        "  not: unknown",
        '    any contract where (contract.Status is "Active"): unknown'
        " (contract rows = 1, more contract rows = unknown)",
        '      x:contract/0: contract.Status is "Active": false (contract.Status = "Draft")',
    ]


READS = [
    ("Stage is 1 and account.Type is 2", {("deal", "Stage"), ("account", "Type")}),
    ("account exists and no contract", {("account", "id"), ("contract", "id")}),
    ("any contract where (Status is 1 and deal.x is 2)", {("contract", "id"), ("contract", "Status"), ("deal", "x")}),
    ("first(contract by Start).Name is 1", {("contract", "id"), ("contract", "Start"), ("contract", "Name")}),
    ("sum(contract.Value) > before.Amount", {("contract", "id"), ("contract", "Value"), ("deal", "Amount")}),
    ("Stage changed to account.Type", {("deal", "Stage"), ("account", "Type")}),
]


@pytest.mark.parametrize(("text", "expected"), READS)
def test_the_read_set_is_derived(text: str, expected: set[tuple[str, str]]) -> None:
    """D-31."""
    compiled = criteria(text)
    assert compiled.reads == expected
    assert compiled.reads_changes is ("before" in text or "changed" in text)
