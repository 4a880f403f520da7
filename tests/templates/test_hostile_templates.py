"""Templates and records that mean harm: they are refused, or do nothing."""

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.criteria.scope import UNKNOWN, Rows, Unknown
from rules.templates import Rendered, TemplateError, compile_template
from rules.templates.environment import OUTPUT_LIMIT
from schemas.values import Amount, Value
from tests.templates.scopes import HandMade, row, the_deal

ALIASES = {"deal": None, "account": None, "contract": None}
PAYLOADS = (
    "{{ 7*7 }}",
    "{{ deal.__class__.__mro__[1].__subclasses__() }}",
    "{{ deal.__class__ }}",
    "{{ deal['__class__'] }}",
    "{{ deal['~Stage'] }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ deal.Stage.__class__ }}",
    "{{ deal[deal.Stage] }}",
    "{{ [deal.Stage] }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{{ ().__class__.__base__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{% import os %}",
    "{% include 'welcome' %}",
    "{% render 'welcome' %}",
    "{% extends 'welcome' %}{% block a %}{% endblock %}",
    "{% macro a %}{% endmacro %}{% call a %}",
    "{% liquid assign x = 1 %}",
    "{% layout '/etc/passwd' %}",
    "{% for i in (1..999999999) %}x{% endfor %}",
    "{% for i in (1..999999999) reversed %}{% endfor %}",
    "{% assign x = (1..999999999) %}",
    "{% if (1..999999999) contains 5 %}x{% endif %}",
    "{% for i in 'abc' %}{% endfor %}",
    "{% tablerow i in contract %}{% endtablerow %}",
    "{% for c in contract limit: deal.Amount %}{% endfor %}",
    "{% increment x %}",
    "{{ deal.Stage | safe }}",
    "{{ deal.Stage | url_decode }}",
    "{{ deal.Stage | map: '__class__' }}",
    "{{ deal.Stage | replace: '', deal.Stage }}",
    "{% break %}",
    "${7*7} #{7*7} <%= 7*7 %>{{",
    "{% if deal.Won " + "or deal.Won " * 4000 + "%}{% endif %}",
    "{{ deal" + "[deal" * 4000 + "]" * 4000 + " }}",
    "{% if deal.Won %}" * 2500 + "{% endif %}" * 2500,
    "{{ " + "9" * 49_000 + " }}",
)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload[:40])
def test_an_attempt_to_break_out_is_refused(payload: str) -> None:
    with pytest.raises(TemplateError):
        compile_template("t", f"Subject: x\n\n{payload}", ALIASES)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload[:40])
def test_what_a_record_holds_is_never_a_template(payload: str) -> None:
    compiled = compile_template("t", "Subject: x\n\n{{ deal.Name }}{{ deal.Name | upcase | downcase }}", ALIASES)
    rendered = compiled.render(HandMade(records={"deal": {"id": "1", "Name": payload}}))
    assert rendered == Rendered("x", payload + payload.upper().lower())


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '" onload="x', "&lt;", "'><img src=x>"])
def test_what_a_record_holds_is_never_html(payload: str) -> None:
    source = (
        "Subject: x\nContent-Type: text/html\n\n"
        "{{ deal.Name }}{{ deal.Name | strip }}{% for tag in deal.Tags %}{{ tag }}{% endfor %}"
        "{% capture again %}{{ deal.Name }}{% endcapture %}{{ again }}"
        "{{ deal.Nothing | default: deal.Name }}{{ extra }}"
    )
    compiled = compile_template("t", source, ALIASES, extra=["extra"])
    scope = HandMade(records={"deal": {"id": "1", "Name": payload, "Tags": [payload]}})
    rendered = compiled.render(scope, {"extra": payload})
    assert isinstance(rendered, Rendered)
    assert not {"<", ">", '"', "'"} & set(rendered.body)


MANY = Rows(tuple(row("zoho:X", str(number), Tags=["a"] * 100) for number in range(3000)), complete=True)


@pytest.mark.parametrize(
    "bomb",
    [
        "{% for a in contract %}{% for b in contract %}{% for c in contract %}x" + "{% endfor %}" * 3,
        "{% for a in contract %}{% for b in contract %}{% if 1 %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in contract %}{% for t in a.Tags %}{{ t }}{% endfor %}{% endfor %}",
        "{% for a in contract %}" + "x" * 40_000 + "{% endfor %}",
        "{% for a in contract %}" + "{% if 1 %}{% endif %}" * 2000 + "{% endfor %}",
        "{% for a in contract %}{% endfor %}" * 1000,
        "{% capture x %}{% for a in contract %}" + "x" * 1000 + "{% endfor %}{% endcapture %}",
    ],
    ids=lambda bomb: bomb[:60],
)
def test_a_bomb_stops_within_its_limits(bomb: str) -> None:
    compiled = compile_template("t", f"Subject: x\n\n{bomb}", ALIASES)
    started = perf_counter()
    with pytest.raises(TemplateError, match="the message grows too large"):
        compiled.render(HandMade(related={"contract": MANY}))
    assert perf_counter() - started < 60


def test_a_value_larger_than_a_message_stops_it() -> None:
    compiled = compile_template("t", "Subject: x\n\n{{ deal.Name }}", ALIASES)
    with pytest.raises(TemplateError, match="the message grows too large"):
        compiled.render(HandMade(records={"deal": {"id": "1", "Name": "ü" * OUTPUT_LIMIT}}))


def test_an_honest_list_of_thousands_is_no_bomb() -> None:
    compiled = compile_template("t", "Subject: x\n\n{% for a in contract %}{{ a.id }}\n{% endfor %}", ALIASES)
    rendered = compiled.render(HandMade(related={"contract": MANY}))
    assert isinstance(rendered, Rendered)
    assert rendered.body.count("\n") == 3000


PIECES = (
    "{{", "}}", "{%", "%}", " deal", ".Stage", "[", "]", "'", '"', " | ", "money", ":", " if ",
    " for x in contract ", "endif", "endfor", " and ", " > ", "1.5", "assign y = ", "x", "\n", "..", "(", ")",
    "steps.demo.id", "{#", "#}",
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_any_text_is_refused_with_a_place_or_renders(source: str) -> None:
    match outcome(f"Subject: x\n\n{source}"):
        case TemplateError() as error:
            assert error.line >= 3
        case rendered:
            assert rendered is UNKNOWN or isinstance(rendered, Rendered)


def outcome(source: str) -> Rendered | Unknown | TemplateError:
    """What becomes of a template file: an error, or what it renders to."""
    try:
        return compile_template("t", source, ALIASES).render(the_deal())
    except TemplateError as error:
        return error


sides = st.sampled_from(["1", "x", "", "2026-01-01", 5, Amount("0.5"), True, None, ["a"]])


@given(sides, sides, st.sampled_from(["==", "!=", "<", ">", "<=", ">=", "contains"]))
def test_no_comparison_of_any_two_values_fails(left: Value, right: Value, operator: str) -> None:
    condition = f"deal.A {operator} deal.B or deal.A {operator} 1.5 or 'x' {operator} deal.B"
    compiled = compile_template("t", f"Subject: x\n\n{{% if {condition} %}}y{{% endif %}}", ALIASES)
    assert isinstance(compiled.render(HandMade(records={"deal": {"A": left, "B": right}})), Rendered)
