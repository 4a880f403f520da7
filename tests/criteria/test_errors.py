"""What is refused, where the caret stands, and what the error proposes."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from rules.criteria import AliasContext, CriteriaError, compile_criteria, compile_expression
from tests.criteria.world import LOOSE, STRICT, criteria, deal, value, verdict

REFUSED = [
    ('Stagee is "Open"', "Stagee", "unknown field 'Stagee' of tab deal (Deals)", "Did you mean 'Stage'"),
    ('deal.Stagee is "Open"', "deal.Stagee", "unknown field 'Stagee'", "Did you mean 'Stage'"),
    ('acount.Type is "x"', "acount.Type", "unknown tab 'acount'", "Did you mean 'account'?"),
    ("any contrat where (Status is empty)", "any contrat where (Status is empty)", "unknown tab", "'contract'"),
    ('any contract where (Stage is "x")', "Stage", "unknown field 'Stage' of tab contract", ""),
    ('Stage is "Closed One"', '"Closed One"', 'Stage has no value "Closed One"', "Did you mean 'Closed Won'"),
    ('Stage in ["Open", "Shut"]', '"Shut"', "Stage has no value", "The values are"),
    ('Stage is exactly "open"', 'exactly "open"', "Stage has no value", "'Open'"),
    ('Tags has any ["pink"]', '"pink"', "Tags has no value", ""),
    ('Stage changed to "Won"', '"Won"', "Stage has no value", '"Closed Won"'),
    ('Stage was ever "Won"', '"Won"', "Stage has no value", '"Closed Won"'),
    ('Amount is "10"', '"10"', "is number, `\"10\"` is text", "Numbers are written without quotes."),
    ("Deal_Name is 10", "10", "is text, `10` is number", 'Write the text as "10".'),
    ("Deal_Name > Amount", "Amount", "is text, `deal.Amount` is number", ""),
    ("Paid is 1", "1", "is boolean", "is true"),
    ("Paid > true", "Paid", "has no order", ""),
    ('Close_Date > "soon"', '"soon"', '"soon" is no date', "2026-01-31"),
    ("Close_Date is 5", "5", "is date, `5` is number", ""),
    ('Amount contains "1"', "Amount", "is no text", ""),
    ("Deal_Name is today", "Deal_Name", "is no date", ""),
    ("Deal_Name increased", "Deal_Name", "is no number or date", ""),
    ("Close_Date increased by 5", "Close_Date", "is a date: say by how many days", ""),
    ('Amount has all ["x"]', "Amount", "is not a multi-select", ""),
    ('Stage is ""', '""', "nothing equals an empty text", "is empty"),
    ("sum(contract.Status) > 1", "sum(contract.Status)", "is no number, so it has no sum", ""),
    ("Amount + Deal_Name > 1", "Deal_Name", "is number, `deal.Deal_Name` is text", ""),
    ("Close_Date - Created_Time > 3", "Close_Date", "is a date: use days_between", ""),
    ("Close_Date * 1 day > today()", "Close_Date * 1 day", "a duration is added or subtracted", ""),
    ("Close_Date > 3 days", "3 days", "a duration is no value to compare with", "created_at + 1 day"),
    ("Close_Date anniversary in the next 3 hours", "Close_Date anniversary in the next 3 hours", "are days", ""),
    ("contract.Status is empty", "contract.Status", "several records of tab contract", "any contract where"),
    ("contract is empty", "contract", "'contract' is a tab, not a value", "contract exists"),
    ("Amount exists", "Amount", "only a tab exists", "is not empty"),
    ("deal.Amount exists", "deal.Amount", "only a tab exists", "is not empty"),
    ("deal.Account_Name.Type is empty", "deal.Account_Name.Type", "goes further than one record", "lookup"),
    ("account.Type changed", "account.Type", "on a field of deal only", "under the tab"),
    ("any contract where (Status changed)", "Status changed", "on the record that wakes", "under tab"),
    ("Amount", "Amount", "is a value, not a condition", "is not empty"),
    ("Paid is true and Amount", "Amount", "is a value, not a condition", ""),
    ("(Paid is true) is true", "(Paid is true)", "a condition stands where a value belongs", ""),
    ("all contract", "all contract", "`all contract` of what?", "where"),
    ("steps.demo.id is empty", "steps.demo.id", "no earlier step is named 'demo'", ""),
    ("lenght(Stage) > 3", "lenght(Stage)", "no function 'lenght'", "'length'"),
    ("lower(Stage, Stage) is empty", "lower(Stage, Stage)", "lower(…) takes 1 values, not 2", ""),
    ("abs(Stage) > 1", "Stage", "is no number, which abs(…) takes", ""),
    ("first(contract by Status) is empty", "first(contract by Status)", "names a whole record", ".Status"),
    ('Deal_Name matches "(a"', 'Deal_Name matches "(a"', "the pattern cannot be read", "RE2"),
    (r'Deal_Name matches "(a)\1"', r'Deal_Name matches "(a)\1"', "the pattern cannot be read", "back references"),
    ("Employees is null", "Employees", "unknown field", ""),
    ("Stage is null", "null", "there is no value 'null'", "is empty"),
    ('Stage in "a"', '"', "was not expected", "square brackets"),
    ('any contract where Status is "a"', "Status", "was not expected", "where (…)"),
    ('Amount = 3', "=", "'=' was not expected", "Write `is`."),
    ('Amount != 3', "!=", "was not expected", "Write `is not`."),
    ('Paid is true AND Amount > 3', "AND", "was not expected", "lower case: `and`"),
    ("Stage is Closed Won", "Won", "was not expected", "quotes"),
    ("Stage is “Open”", "“", "was not expected", "straight quotes"),
    ("(Paid is true", " ", "ends too early", "closing bracket"),
    ("Paid is true)", ")", "was not expected", "bracket"),
    ("any contract (Status is empty)", "(", "was not expected", "where"),
    ('Stage is "Open', '"', "was not expected", "closing quote"),
    ("Close_Date in the next 500 years", "500 years", "longer than a hundred years", ""),
    ("any contract where (Value > 1 then Value > 2)", "Value > 1 then Value > 2", "each related row", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "marked", "problem", "hint"), REFUSED)
def test_a_wrong_text_is_refused_with_a_caret_and_a_hint(text: str, marked: str, problem: str, hint: str) -> None:
    with pytest.raises(CriteriaError) as caught:
        compile_criteria(text, STRICT)
    error = caught.value
    assert problem in error.problem
    assert hint in error.hint
    assert error.source == text
    assert text[error.span.start : error.span.end] == marked or marked == " "


def test_an_error_shows_the_line_with_carets() -> None:
    with pytest.raises(CriteriaError) as caught:
        compile_criteria('deal.Amount > 3\n  and deal.Stagge is "Open"', STRICT)
    assert str(caught.value) == (
        "unknown field 'Stagge' of tab deal (Deals)\n"
        '      and deal.Stagge is "Open"\n'
        "          ^^^^^^^^^^^\n"
        "  Did you mean 'Stage' or 'Tags'?"
    )


@pytest.mark.parametrize(
    "text", ["Stage changed", "before.Stage is empty", "Amount increased", "Amount crosses above 3"]
)
def test_change_operators_are_refused_where_nothing_changes(text: str) -> None:
    """D-117."""
    with pytest.raises(CriteriaError, match="no change to look at"):
        compile_criteria(text, replace(LOOSE, changes_allowed=False))


HUGE = [
    ("(" * 51 + "a is 1" + ")" * 51, "brackets are nested"),
    ("not " * 200 + "a is 1", "nested too deeply"),
    ("a is 1 or " * 3000 + "a is 1", "at most 20,000 characters"),
    ("a is " + "9" * 31, "at most 30 digits"),
    ("1 + " * 200 + "a is 1", "nested too deeply"),
    ("- " * 5000 + "1 is a", "nested too deeply"),
    ("[" * 60, "brackets are nested"),
]


@pytest.mark.parametrize(("text", "problem"), HUGE)
def test_a_huge_text_is_refused(text: str, problem: str) -> None:
    with pytest.raises(CriteriaError, match=problem):
        compile_criteria(text, LOOSE)


def test_brackets_in_texts_do_not_count() -> None:
    assert verdict(f'a is "{"(" * 60}"', deal(a="(" * 60)) is True


# --- numbered rows and their pattern (D-110)

ROWS: dict[str | int, str] = {
    1: 'Stage is "Closed Won"',
    2: 'any contract where (Status is "Active")',
    3: "Amount > 10",
}


def test_rows_and_pattern_mean_the_same_as_one_text() -> None:
    rows: dict[str | int, str] = {**ROWS, "pattern": "1 and (2 or not 3)"}
    compiled = compile_criteria(rows, STRICT)
    one = compile_criteria(f"({ROWS[1]}) and ({ROWS[2]} or not ({ROWS[3]}))", STRICT)
    assert compiled == one
    assert compiled.reads == one.reads
    assert compile_criteria(ROWS, STRICT) == compile_criteria(" and ".join(ROWS.values()), STRICT)


WRONG_ROWS: list[tuple[Mapping[str | int, str], str, str, str]] = [
    ({**ROWS, "pattern": "1 or 2 and 3"}, "pattern", "two ways", 'either "1 or (2 and 3)" or "(1 or 2) and 3"'),  # G26
    ({**ROWS, "pattern": "1 and 2 or 3"}, "pattern", "two ways", 'either "(1 and 2) or 3" or "1 and (2 or 3)"'),
    ({**ROWS, "pattern": "1 and 2"}, "pattern", "leaves out row 3", "delete it"),
    ({**ROWS, "pattern": "1 and 2 and 3 and 4"}, "pattern", "there is no row 4", "1, 2, 3"),
    ({**ROWS, "pattern": "1 and and 2"}, "pattern", "was not expected", ""),
    ({**ROWS, "pattern": "(1 and 2) or (3"}, "pattern", "ends too early", "bracket"),
    ({**ROWS, 4: "Stagee is empty"}, "4", "unknown field 'Stagee'", "'Stage'"),
    ({**ROWS, 4: "Stage is"}, "4", "ends too early", ""),
    ({"one": "Stage is empty"}, "", "'one' is no row number", ""),
    ({"pattern": "1"}, "", "no criteria rows", ""),
]


@pytest.mark.parametrize(("rows", "row", "problem", "hint"), WRONG_ROWS)
def test_wrong_rows_are_refused_with_their_number(
    rows: Mapping[str | int, str], row: str, problem: str, hint: str
) -> None:
    with pytest.raises(CriteriaError) as caught:
        compile_criteria(rows, STRICT)
    assert (caught.value.row, problem in caught.value.problem) == (row, True)
    assert hint in caught.value.hint


# --- names, formulas, steps

FORMULAS = {
    "discount": "1 - sum(contract.Value) / sum(contract.List)",
    "big": "deal.Amount > 1000",
    "late": "big and discount > 10%",
    "a": "b + 1",
    "b": "a + 1",
    "broken": "deal.Amount +",
    "wrong": "deal.Nothing + 1",
}


def test_a_formula_takes_part_as_if_it_were_written_there() -> None:
    context = replace(LOOSE, formulas=FORMULAS)
    world = replace(deal(Amount=5000), related={"contract": [{"Value": 80, "List": 100}]})
    compiled = compile_criteria("late and discount > 12%", context)
    assert compiled.verdict(world) is True
    assert compiled.reads == {("deal", "Amount"), *(("contract", name) for name in ("id", "Value", "List"))}
    assert verdict("any contract where (Value < discount * 500)", world, context) is True
    expression = compile_expression("discount", context)
    assert verdict("x > 12%", world, replace(LOOSE, formulas={"x": expression})) is True


@pytest.mark.parametrize(
    ("text", "problem"),
    [("a > 1", "a -> b -> a"), ("broken > 1", "formula 'broken'"), ("wrong > 1", "formula 'wrong': unknown field")],
)
def test_a_wrong_formula_is_named(text: str, problem: str) -> None:
    with pytest.raises(CriteriaError, match=problem):
        compile_criteria(text, replace(STRICT, formulas=FORMULAS))


def test_formulas_that_multiply_are_refused() -> None:
    formulas = {f"f{n}": f"f{n + 1} + f{n + 1}" for n in range(19)} | {"f19": "deal.Amount"}
    with pytest.raises(CriteriaError, match="too large"):
        compile_criteria("f0 > 1", replace(LOOSE, formulas=formulas))


def test_a_row_may_name_what_is_single_from_there() -> None:
    aliases = {**LOOSE.aliases, "item": AliasContext(to_one=False), "visit": AliasContext(to_one=False)}
    context = replace(LOOSE, aliases=aliases)
    assert criteria("any line where (contract.Status is empty)", context).reads
    with pytest.raises(CriteriaError, match="several records of tab visit"):
        compile_criteria("any line where (visit.Status is empty)", context)


def test_an_earlier_step_gives_its_values() -> None:
    world = replace(deal(), steps={"project": {"url": "https://crm/1"}})
    assert value("steps.project.url", world, replace(LOOSE, steps=frozenset({"project"}))) == "https://crm/1"


CAUTIONS = [
    ('Stage is not "Open"', "also holds while deal.Stage is empty"),
    ('Stage is not empty and Stage is not "Open"', ""),
    ("not Amount > 5", "also holds while a side is empty"),
    ("not (Stage is empty)", ""),
]


@pytest.mark.parametrize(("text", "caution"), CAUTIONS)
def test_negations_that_hold_for_empty_fields_are_pointed_out(text: str, caution: str) -> None:
    """D-111, D-112."""
    found = [one.text for one in criteria(text).cautions]
    assert bool(found) is bool(caution)
    assert all(caution in one for one in found)
