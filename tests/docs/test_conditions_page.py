"""Every example of the page on conditions means what the page says."""

from typing import Any, Final, get_args, get_type_hints

import pytest

from rules.criteria import CriteriaError, Scope, compile_criteria, compile_expression
from rules.criteria import tree as t
from rules.criteria.functions import FUNCTIONS
from rules.criteria.walking import walk
from rules.templates import compile_text
from rules.templates.filters import FILTERS, text_of
from schemas.values import Amount, Value
from tests.criteria.world import World
from tests.docs.frame import CONTEXT, METADATA, OFFICE, plain
from tests.docs.pages import DOCS, Row, blocks, codes, rows
from tests.docs.pages import text_of as text_of_page

PAGE: Final = DOCS / "criteria.md"
DEAL: Final[dict[str, Any]] = {
    "id": "D17", "Deal_Name": "青山商事 販売管理", "Amount": 4_800_000, "Stage": "Negotiation", "Owner": "1",
    "Closing_Date": "2026-03-14", "Created_Time": "2026-01-05T00:20:00Z", "Tags": ["partner", "urgent"],
    "Currency": "JPY",
}  # fmt: skip
ACCOUNT: Final = {"id": "A1", "Account_Name": "青山商事株式会社", "Website": "https://www.aoyama.example/jp"}
ITEMS: Final = ({"id": "I1", "Net_Total": 90, "List_Total": 100}, {"id": "I2", "Net_Total": 60, "List_Total": 100})

CONDITIONS: Final = [row for row in rows(PAGE, "Condition") if codes(row.cells["Condition"])]
REFUSED: Final = list(rows(PAGE, "Refused"))


def _id(row: Row) -> str:
    return f"{row.page.name}:{row.line}"


def _world(deal: dict[str, Any]) -> Scope:
    return World({"deal": deal, "account": ACCOUNT, "contact": None}, {"item": ITEMS}, users=METADATA["zoho"])


def _conditions() -> list[str]:
    """The conditions of all tables and blocks, those left out that the page says are refused."""
    refused = {code for row in REFUSED for code in row.codes("Refused")}
    written = [code for row in CONDITIONS for code in row.codes("Condition")]
    written += [line for block in blocks(PAGE, "criteria") for line in block.text.splitlines()]
    written += [code for row in rows(PAGE, "Field holds") for code in row.codes("Condition")]
    return [one for one in written if one not in refused]


@pytest.mark.parametrize("text", _conditions())
def test_a_condition_of_the_page_compiles(text: str) -> None:
    compile_criteria(text, CONTEXT)


@pytest.mark.parametrize("row", rows(PAGE, "Field holds"), ids=_id)
def test_a_field_gives_the_verdict_that_the_page_says(row: Row) -> None:
    held = row.codes("Field holds")
    deal = {"id": "D17", **(plain("\n".join(held)) if held else {})}
    (condition,) = row.codes("Condition")
    verdict = compile_criteria(condition, CONTEXT).verdict(_world(deal))
    assert str(verdict).lower() == row.cells["Verdict"]


@pytest.mark.parametrize("row", REFUSED, ids=_id)
def test_a_condition_is_refused_in_the_words_of_the_page(row: Row) -> None:
    (condition,) = row.codes("Refused")
    with pytest.raises(CriteriaError) as refused:
        compile_criteria(condition, CONTEXT)
    assert refused.value.problem == row.cells["Told"]


@pytest.mark.parametrize("row", rows(PAGE, "Value"), ids=_id)
def test_a_calculated_value_is_what_the_page_says(row: Row) -> None:
    (text,) = row.codes("Value")
    value = compile_expression(text, CONTEXT).value(_world(DEAL))
    assert _shown(value) == row.cells["Gives"]


@pytest.mark.parametrize("row", rows(PAGE, "Text"), ids=_id)
def test_a_text_becomes_what_the_page_says(row: Row) -> None:
    (source,) = row.codes("Text")
    text = compile_text(source, lambda part: compile_expression(part, CONTEXT), OFFICE.zone)
    assert _shown(text.value(_world(DEAL))) == row.cells["Gives"]


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    found: Value = value
    return str(found) if isinstance(found, Amount) else text_of(found)


# -- nothing is left out ------------------------------------------------------------------


def _nodes() -> list[t.Node]:
    values = [code for row in rows(PAGE, "Value") for code in row.codes("Value")]
    trees: list[t.Node] = [compile_criteria(text, CONTEXT).tree for text in _conditions()]
    trees += [compile_expression(text, CONTEXT).tree for text in values]
    return [node for tree in trees for node in walk(tree)]


def test_every_kind_of_condition_and_value_has_an_example() -> None:
    made_by_the_parser = {t.Name, t.FirstOf, t.Length, t.StepValue}
    shown = {type(node) for node in _nodes()}
    missing = {*get_args(t.Condition), *get_args(t.Operand)} - shown - made_by_the_parser
    assert not missing, [one.__name__ for one in missing]


VARIANTS: Final = [
    (t.Compare, "relation"), (t.TextTest, "relation"), (t.Members, "relation"), (t.OnDay, "day"), (t.InPeriod, "which"),
    (t.InPeriod, "period"), (t.Near, "relation"), (t.Change, "kind"), (t.Moved, "kind"), (t.UserTest, "relation"),
    (t.Quantified, "kind"), (t.Aggregate, "kind"), (t.Pick, "kind"), (t.Binary, "sign"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), VARIANTS, ids=lambda one: getattr(one, "__name__", one))
def test_every_variant_of_an_operator_is_named(kind: type[t.Node], name: str) -> None:
    """Variants that share one row of a table (``month``, ``quarter``) are named in its words."""
    variants = get_args(get_type_hints(kind)[name])
    shown = {getattr(node, name) for node in _nodes() if isinstance(node, kind)}
    assert not [one for one in variants if one not in shown and f"`{one}`" not in text_of_page(PAGE)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_an_example(name: str) -> None:
    assert any(code.startswith(f"{name}(") for row in rows(PAGE, "Value") for code in row.codes("Value"))


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_has_an_example(name: str) -> None:
    assert any(f"| {name}" in code for row in rows(PAGE, "Text") for code in row.codes("Text"))
