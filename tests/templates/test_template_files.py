"""Mail templates: header, body, names, and what they read."""

from collections.abc import Collection

import pytest

from rules.criteria.scope import UNKNOWN, Rows
from rules.templates import Rendered, Template, TemplateError, compile_template
from schemas.values import Amount, Value
from tests.templates.scopes import CONTRACTS, DEAL, HandMade, the_deal

FIELDS = {
    "deal": None,
    "account": frozenset({"Account_Name", "Region"}),
    "contact": frozenset({"Email", "Name"}),
    "contract": frozenset({"Number", "Status", "Value", "Tags"}),
}


def template(body: str, header: str = "Subject: Hello", extra: Collection[str] = ()) -> Template:
    """A template over the tabs of the story."""
    return compile_template("welcome.liquid", f"{header}\n\n{body}", FIELDS, extra=extra)


def body(source: str, **extra: Value) -> str:
    """The rendered body for the deal of the story."""
    rendered = template(source, extra=list(extra)).render(the_deal(), extra)
    assert isinstance(rendered, Rendered)
    return rendered.body


def test_a_mail_about_a_won_deal() -> None:
    source = (
        "Subject: Won: {{ deal.Deal_Name }}\n"
        "\n"
        "Dear {{ recipient | default: 'team' }},\n"
        "{{ deal.Amount | money: 'JPY' }} by {{ deal.Closing_Date | date: '%d.%m.%Y' }}.\n"
        "{% for c in contract %}{{ forloop.index }}. {{ c.Number }} {{ c.Value | money: 'EUR' }}\n"
        "{% endfor %}"
        "Demo: {{ steps.demo.url }}\n"
    )
    compiled = compile_template("won.liquid", source, FIELDS, extra=["recipient"])
    assert compiled.render(the_deal(), {"recipient": None}) == Rendered(
        "Won: Maki & Söhne <GmbH>",
        "Dear team,\n1,234,568 JPY by 31.12.2026.\n1. 0001 10.10 EUR\n2. 0002 \nDemo: https://crm.example/M7\n",
    )
    assert compiled.reads == {
        ("deal", "Deal_Name"),
        ("deal", "Amount"),
        ("deal", "Closing_Date"),
        ("contract", "id"),
        ("contract", "Number"),
        ("contract", "Value"),
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ deal.Description }}", ""),
        ("{{ deal.Nowhere | default: 'none' }}", "none"),
        ("{{ contact.Email }}", ""),
        ("{{ deal.Amount }} {{ deal.Tags }} {{ deal.Won }}", "1234567.5 new, big true"),
        ('{{ deal["Product Line"] }}', "Robots"),
        ("{% if deal.Note %}note{% else %}no note{% endif %}", "no note"),
        ("{% if deal.Amount > 1000 and deal.Stage == 'Closed Won' %}big{% endif %}", "big"),
        ("{% if deal.Amount > deal.Stage %}odd{% else %}no{% endif %}", "no"),
        ("{% if deal.Amount contains 'x' %}odd{% else %}no{% endif %}", "no"),
        ("{% unless account.Region == 'APAC' %}not APAC{% endunless %}", "not APAC"),
        ("{% case deal.Stage %}{% when 'Lost' %}lost{% when 'Closed Won' %}won{% endcase %}", "won"),
        (
            "{{ contract.size }} {{ contract.first.Number }} {{ contract[1].Number }}{{ contract[7].id }}",
            "2 0001 0002",
        ),
        ("{% for c in contract limit: 1 %}{{ c.Number }}{% endfor %}", "0001"),
        ("{% for d in account %}{{ d.Region }}{% else %}none{% endfor %}", "none"),
        ("{% for tag in deal.Tags %}<{{ tag }}>{% endfor %}", "<new><big>"),
        ("{% assign stage = deal.Stage | upcase %}{{ stage }}", "CLOSED WON"),
        (
            "{% capture both %}{{ deal.Stage }}/{{ account.Region }}{% endcapture %}{{ both }}",
            "Closed Won/EMEA",
        ),
        (
            "{{ today }} {{ now }} {{ now | date: '%R', 'Asia/Tokyo' }}",
            "2026-11-21 2026-11-21T12:00:00Z 21:00",
        ),
        (
            "{% comment %}{{ anything }}{% endcomment %}{% # or this %}{% raw %}{{ tag }}{% endraw %}",
            "{{ tag }}",
        ),
    ],
)
def test_a_body_is_written(source: str, expected: str) -> None:
    assert body(source) == expected


def test_money_is_compared_exactly() -> None:
    """0.1 is no binary fraction (D-90)."""
    same = "{% if price == 0.1 and price >= 0.1 and price <= 0.1 and price != 0.2 %}same{% endif %}"
    assert body(same, price=Amount("0.1")) == "same"
    scope = HandMade(related={"contract": CONTRACTS})
    compiled = template("{% for c in contract %}{% if c.Value == 10.10 %}{{ c.Number }}{% endif %}{% endfor %}")
    assert compiled.render(scope) == Rendered("Hello", "0001")


@pytest.mark.parametrize(
    ("scope", "source"),
    [
        (HandMade(records={"deal": UNKNOWN}), "{{ deal.Stage | default: 'x' }}"),
        (HandMade(records={"deal": UNKNOWN}), "{% if deal.Stage == 'x' %}a{% else %}b{% endif %}"),
        (HandMade(related={"contract": Rows((), complete=False)}), "{{ contract.size }}"),
        (HandMade(related={"contract": Rows((), complete=False)}), "{% for c in contract %}{% endfor %}"),
        (HandMade(), "{{ steps.demo.id }}"),
    ],
)
def test_what_is_not_known_yet_makes_the_mail_unknown(scope: HandMade, source: str) -> None:
    """D-04: better no mail yet than one with a hole."""
    assert template(source).render(scope) is UNKNOWN


def test_what_is_unknown_but_not_needed_does_not_matter() -> None:
    scope = HandMade(records={"deal": DEAL, "account": UNKNOWN})
    source = "{% if deal.Won %}won{% else %}{{ account.Region }}{% endif %}"
    assert template(source).render(scope) == Rendered("Hello", "won")


def test_html_is_escaped_but_what_the_author_wrote_is_not() -> None:
    compiled = template(
        "<b>{{ deal.Deal_Name }}</b> {{ deal.Description | default: '<i>none</i>' }} {{ deal.Deal_Name | upcase }}",
        "Subject: {{ deal.Deal_Name }}\nContent-Type: text/html",
    )
    assert compiled.render(the_deal()) == Rendered(
        "Maki & Söhne <GmbH>",
        "<b>Maki &amp; Söhne &lt;GmbH&gt;</b> <i>none</i> MAKI &amp; SÖHNE &lt;GMBH&gt;",
        html=True,
    )


@pytest.mark.parametrize(
    "name", ["a\r\nBcc: all@example.com", "a\nb", "a\x0bb", "a\u2028b", "a\x85b", "a\x00b", " \r\n "]
)
def test_a_subject_is_one_line_whatever_the_record_says(name: str) -> None:
    compiled = template("", "Subject: Hello {{ deal.Deal_Name }}")
    rendered = compiled.render(HandMade(records={"deal": {"id": "D1", "Deal_Name": name}}))
    assert isinstance(rendered, Rendered)
    assert rendered.subject.isprintable()
    assert rendered.subject.splitlines() == [rendered.subject]


def test_a_long_subject_is_cut() -> None:
    rendered = template("", "Subject: {{ deal.Name }}").render(HandMade(records={"deal": {"Name": "x" * 5000}}))
    assert isinstance(rendered, Rendered)
    assert len(rendered.subject) == 500


def test_line_ends_of_windows_are_understood() -> None:
    compiled = compile_template("w", "\ufeffSubject: Hello\r\n\r\nDear\r\nteam\r\n", FIELDS)
    assert compiled.render(the_deal()) == Rendered("Hello", "Dear\nteam\n")


@pytest.mark.parametrize(
    ("source", "problem", "hint", "line", "marked"),
    [
        ("{{ dael.Stage }}", "unknown name 'dael'", "Did you mean 'deal'?", 3, "dael.Stage"),
        (
            "\n\n{{ account.Account_Nmae }}",
            "unknown field 'Account_Nmae' of account",
            "Did you mean 'Account_Name'?",
            5,
            "account.Account_Nmae",
        ),
        (
            "{% for c in contract %}\n{{ c.Statsu }}{% endfor %}",
            "unknown field 'Statsu' of contract",
            "Did you mean 'Status' or 'Tags'?",
            4,
            "c.Statsu",
        ),
        ("{% for c in contract %}{% endfor %}{{ c.Status }}", "unknown name 'c'", "", 3, "c.Status"),
        (
            "{{ deal }}",
            "'deal' is a whole record",
            "Name one of its fields, as deal.id, or loop over deal.",
            3,
            "deal",
        ),
        (
            "{% assign x = deal %}",
            "'deal' is a whole record",
            "Name one of its fields, as deal.id, or loop over deal.",
            3,
            "deal",
        ),
        (
            "{% for c in contract %}{{ c }}{% endfor %}",
            "'c' is a whole record",
            "Name one of its fields, as c.id.",
            3,
            "c",
        ),
        ("{% assign deal = 1 %}", "'deal' already has a meaning here", "Choose another name.", 3, "deal"),
        (
            "{% for steps in contract %}{% endfor %}",
            "'steps' already has a meaning here",
            "Choose another name.",
            3,
            "steps",
        ),
        (
            "{{ contract.Status }}",
            "there may be several contract",
            "Loop with {% for row in contract %}, or take contract.first.",
            3,
            "contract.Status",
        ),
        ("{{ steps.demmo.id }}", "unknown step 'demmo'", "Did you mean 'demo'?", 3, "steps.demmo.id"),
        (
            "{{ steps.demo }}",
            "'steps.demo' is no output of a step",
            "Write steps.name.id or steps.name.url.",
            3,
            "steps.demo",
        ),
        (
            "{{ deal.Stage.deeper }}",
            "'deal.Stage.deeper' goes too deep: a value has no fields",
            "",
            3,
            "deal.Stage.deeper",
        ),
        ("{{ deal.Stage | uppcase }}", "unknown filter 'uppcase'. Did you mean 'upcase'?", "", 3, "uppcase"),
        ("{{ deal.Amount | money: 'yen' }}", "'yen' is no currency: write a code as \"JPY\"", "", 3, "money"),
        ("{{ deal.Amount | default }}", "filter 'default' takes 1 argument, not 0", "", 3, "default"),
        ("{{ deal.Amount | money: code: 'JPY' }}", "filter 'money' takes no named arguments", "", 3, "money"),
        ("{{ before.Amount }}", "unknown name 'before'", "", 3, "before.Amount"),
    ],
)
def test_a_wrong_name_is_found_before_anything_is_sent(
    source: str, problem: str, hint: str, line: int, marked: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("t", f"Subject: x\n\n{source}", FIELDS, steps=["demo"], to_many=["contract"])
    error = caught.value
    assert (error.problem, error.hint, error.line) == (problem, hint, line)
    assert error.source[slice(*error.span)] == marked


def test_an_error_says_what_where_and_what_next() -> None:
    with pytest.raises(TemplateError) as caught:
        template("Dear {{ dael.Stage }}")
    assert str(caught.value).splitlines() == [
        "welcome.liquid:3:9: unknown name 'dael'",
        "    Dear {{ dael.Stage }}",
        "            ^^^^^^^^^^",
        "  Did you mean 'deal'?",
    ]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "the subject is missing"),
        ("\nSubject: late\n\nbody", "the subject is missing"),
        ("Dear team", "'Dear team' is no header line of a template"),
        ("Subject: a\nSubject: b\n\n", "'Subject' is no header line"),
        ("Subject: a\nBcc: all@example.com\n\n", "'Bcc' is no header line"),
        ("Subjekt: a\n\n", "Did you mean 'Subject'?"),
        ("Subject: a\nContent-Type: application/pdf\n\n", "'application/pdf' is no content type"),
        ("Subject: {{ dael.Name }}\n\n", "t:1:13: unknown name 'dael'"),
        ("Subject: a\n\n{% if deal.Won %}", "expected tag endif"),
        ("Subject: a\n\n{{ deal.Name ", "expected '}}'"),
        ("Subject: a\n\n" + "x" * 50_000, "at most 50000 characters"),
    ],
)
def test_a_template_that_is_not_well_formed_is_refused(source: str, problem: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("t", source, FIELDS)
    assert problem in str(caught.value)


def test_equal_sources_make_equal_templates() -> None:
    assert template("{{ deal.Stage }}") == template("{{ deal.Stage }}")
    assert template("{{ deal.Stage }}") != template("{{ deal.Name }}")


def test_the_same_scope_gives_the_same_mail_again() -> None:
    compiled = template("{% for c in contract %}{{ c.Number }}{% endfor %} {{ now }}")
    assert compiled.render(the_deal()) == compiled.render(the_deal())
