"""Values inside the texts of workflow files: ``"Demo for {{ account.Account_Name }}"`` (D-46, D-94)."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.criteria.errors import CriteriaError, Span
from rules.criteria.scope import UNKNOWN, Scope, Unknown
from rules.templates import Expression, Text, compile_text
from rules.templates.errors import TemplateError
from rules.templates.filters import FILTERS, apply_filter
from schemas.values import Amount, Value
from tests.templates.scopes import HandMade, the_deal

UTC = ZoneInfo("UTC")


@dataclass(frozen=True)
class Field:
    """The smallest expression: one field of one record, or an output of a step."""

    text: str

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        alias, _, field = self.text.partition(".")
        return frozenset({(alias, field)})

    def value(self, scope: Scope) -> Value | Unknown:
        alias, _, field = self.text.partition(".")
        if alias == "steps":
            return scope.value_of_step(*field.split("."))
        image = scope[alias]
        return image if isinstance(image, Unknown) else (image or {}).get(field)


def field(text: str) -> Expression:
    """Compile the smallest expressions; all others are refused as the criteria language does it."""
    if "." not in text:
        raise CriteriaError(
            f"unknown field '{text}'", hint="Did you mean 'Name'?", source=text, span=Span(0, len(text))
        )
    return Field(text.strip("`"))


def text(source: str) -> Text:
    """Compile a text over smallest expressions."""
    return compile_text(source, field)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Demo for {{ account.Account_Name }}", "Demo for Maki"),
        ("{{ account.Account_Name }}/{{account.Region}}!", "Maki/EMEA!"),
        ("{{ steps.demo.url }}", "https://crm.example/M7"),
        ("no value at all", "no value at all"),
        ("", ""),
        ("{ {{ deal.Won }} }", "{ true }"),
        # One expression and nothing else keeps its type.
        ("{{ deal.Amount }}", Amount("1234567.5")),
        ("{{ deal.Tags }}", ["new", "big"]),
        ("{{ deal.Won }}", True),
        ("{{ deal.Description }}", None),
        ("{{ deal.Tags | size }}", 2),
        ("{{ deal.Amount | round }}", 1234568),
        # Inside a text it is written.
        ("{{ deal.Amount }} JPY", "1234567.5 JPY"),
        ("Tags: {{ deal.Tags }}", "Tags: new, big"),
        ("[{{ deal.Description }}]", "[]"),
        ("[{{ contact.Email }}]", "[]"),
        # Filters.
        ("{{ deal.Amount | money: 'JPY' }}", "1,234,568 JPY"),
        ('{{ deal.Amount | money: "EUR" }}', "1,234,567.50 EUR"),
        ("{{ deal.Amount | money }}", "1,234,567.50"),
        ("{{ deal.Description | money: 'JPY' }}", ""),
        ("{{ deal.Description | default: 'nothing | to }} say' }}", "nothing | to }} say"),
        ("{{ deal.Description | default: 0 }}", 0),
        ("{{ deal.Note | default: 1.50 }}", Amount("1.50")),
        ("{{ deal.Stage | default: 'x' | upcase }}", "CLOSED WON"),
        ("{{ deal.Closing_Date | date: '%d.%m.%Y' }}", "31.12.2026"),
        ("{{ deal.Created_Time | date: '%Y年%-m月%-d日 %H:%M', 'Asia/Tokyo' }}", "2026年11月21日 08:30"),
        ("{{ deal.Created_Time | date }}", "2026-11-20 23:30"),
        ("{{ deal.Deal_Name | truncate: 7 }}", "Maki &…"),
        (r"{{ deal.Description | default: 'it\'s' }}", "it's"),
        ("{{ deal.Tags | join: ' + ' }}", "new + big"),
        ("{{ `deal.Product Line` | downcase }}", "robots"),
    ],
)
def test_a_text_is_valued(source: str, expected: Value) -> None:
    found = text(source).value(the_deal())
    assert found == expected
    assert type(found) is type(expected)


def test_a_text_reads_what_all_its_expressions_read() -> None:
    compiled = text("{{ deal.Stage }} {{ account.Region | upcase }} {{ deal.Stage }}")
    assert compiled.reads == {("deal", "Stage"), ("account", "Region")}
    assert text("plain").reads == frozenset()


@pytest.mark.parametrize("source", ["{{ deal.Stage }}", "x {{ deal.Stage }}", "{{ deal.Stage | default: 'x' }}"])
def test_a_text_is_unknown_if_any_part_is(source: str) -> None:
    assert text(source).value(HandMade(records={"deal": UNKNOWN})) is UNKNOWN


def test_instants_are_shown_in_the_zone_of_the_workflow() -> None:
    compiled = compile_text("{{ deal.Created_Time | date: '%F %R' }}", field, ZoneInfo("America/New_York"))
    assert compiled.value(the_deal()) == "2026-11-20 18:30"


@pytest.mark.parametrize(
    ("source", "problem", "marked"),
    [
        ("Hello {{ deal.Stage", "'{{' is not closed", "{{"),
        ("Hello {{ deal.Stage | default: 'x }}", "'{{' is not closed", "{{"),
        ("Hello {{   Nmae }}!", "unknown field 'Nmae'", "Nmae"),
        ("{{ deal.Stage | uppcase }}", "unknown filter 'uppcase'. Did you mean 'upcase'", " uppcase "),
        ("{{ deal.Stage | }}", "unknown filter ''", " "),
        ("{{ deal.Stage | default }}", "filter 'default' takes 1 argument, not 0", " default "),
        ("{{ deal.Stage | upcase: 1 }}", "filter 'upcase' takes 0 arguments, not 1", " upcase: 1 "),
        ("{{ deal.Stage | default: deal.Name }}", "is no list of arguments", " default: deal.Name "),
        ("{{ deal.Amount | money: 'yen' }}", "'yen' is no currency", " money: 'yen' "),
        ("{{ deal.Created | date: '%Q' }}", "'%Q' is no part of a date format", " date: '%Q' "),
        ("{{ deal.Created | date: '%F', 'Tokio' }}", "no time zone 'Tokio'", " date: '%F', 'Tokio' "),
        ("{{ deal.Name | truncate: 'x' }}", "truncate takes a number", " truncate: 'x' "),
        ("{{ deal.Amount | round: 99 }}", "round takes a number of decimals", " round: 99 "),
    ],
)
def test_a_wrong_text_says_what_and_where(source: str, problem: str, marked: str) -> None:
    with pytest.raises(TemplateError) as caught:
        text(source)
    assert problem in str(caught.value)
    assert source[slice(*caught.value.span)] == marked


def test_a_wrong_text_shows_the_place_with_a_caret() -> None:
    with pytest.raises(TemplateError) as caught:
        text("Hello {{ Nmae }}!")
    assert str(caught.value).splitlines() == [
        "unknown field 'Nmae'",
        "    Hello {{ Nmae }}!",
        "             ^^^^",
        "  Did you mean 'Name'?",
    ]


def test_a_text_too_long_for_a_workflow_file_is_refused() -> None:
    with pytest.raises(TemplateError, match="at most 20000 characters"):
        text("x" * 20_001)


@pytest.mark.parametrize(
    "source", ["{{" * 9_000, "{{ '" + "\\'" * 9_000, "{{ a.b " + "|" * 9_000, "{{ a.b | d: " + "1," * 9_000]
)
def test_a_text_made_to_confuse_is_refused_at_once(source: str) -> None:
    with pytest.raises(TemplateError):
        text(source)


values: st.SearchStrategy[Value] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=True).map(Amount)
    | st.text()
    | st.dates().map(str)
    | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(sorted(FILTERS)), values, st.lists(values, min_size=1, max_size=1))
def test_no_value_and_no_argument_makes_a_filter_fail(name: str, value: Value, arguments: list[Value]) -> None:
    taken = arguments[: FILTERS[name].most]
    result = apply_filter(name, value, taken, UTC)
    assert result is None or isinstance(result, bool | int | Amount | str | list)


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        (0, "JPY", "0 JPY"),
        (Amount("0.5"), "JPY", "1 JPY"),
        (Amount("-0.004"), "EUR", "0.00 EUR"),
        (Amount("-1234.565"), "EUR", "-1,234.57 EUR"),
        (Amount("1E+3"), "USD", "1,000.00 USD"),
        (Amount("12345678901234567890.12"), "EUR", "12,345,678,901,234,567,890.12 EUR"),
        ("1234", "KWD", "1,234.000 KWD"),
        ("much", "EUR", "much"),
        (None, "EUR", ""),
        ([], "EUR", ""),
    ],
)
def test_money_is_exact(value: Value, currency: str, expected: str) -> None:
    assert apply_filter("money", value, [currency], UTC) == expected


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [
        ("2026-02-01", "%A, %e %B %Y", "Sunday, 1 February 2026"),
        ("2026-02-01", "%a %-d %b %y, day %j, week %V, 100%%", "Sun 1 Feb 26, day 032, week 05, 100%"),
        ("2026-02-01T00:05:09Z", "%I:%M:%S %p", "12:05:09 AM"),
        ("2026-02-01T12:05:09Z", "%I:%M %p", "12:05 PM"),
        ("2026-02-01T10:00:00+09:00", "", "2026-02-01 01:00"),
        ("next week", "%F", "next week"),
        ("2026-02-31", "%F", "2026-02-31"),
        (None, "%F", ""),
        (20260201, "%F", "20260201"),
    ],
)
def test_dates_are_written_the_same_everywhere(value: Value, form: str, expected: str) -> None:
    assert apply_filter("date", value, [form] if form else [], UTC) == expected
