"""What the checker's graph says of compiled rules (D-63)."""

from typing import Any

import pytest

from rules.advice import placed_rules
from rules.analysis import rule_node
from rules.blame import Blamed, blamed
from rules.criteria import Explanation
from rules.lint import ANY_FIELD, CREATED, RuleNode, Write
from rules.project import Project
from rules.publishing import compile_files

DEALS, CONTRACTS, DEMOS = "zoho:Deals", "salesforce:Contract", "zoho:Demos"
HEAD = """
workflow: w
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  contract: {module: salesforce.Contract, match: {Deal_Id__c: deal.Number}}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
rules:
  deal:
    - name: a
"""


def node(trigger: str, actions: str = "[{webhook: 'https://example.org'}]", more: str = "") -> RuleNode:
    """The graph's node of one rule on deals."""
    text = f"{HEAD}      trigger: {trigger}\n      actions: {actions}\n" + "".join(
        f"      {line}\n" for line in more.splitlines()
    )
    edition = compile_files({"w.yaml": text}, Project())
    edition.problems.refuse()
    (placed,) = placed_rules(edition)
    return rule_node(placed, edition.book.trees["zoho:Deals"], Project())


@pytest.mark.parametrize(
    ("trigger", "more", "reads"),
    [
        ("created", "", {(DEALS, CREATED)}),
        ("edited", "", {(DEALS, ANY_FIELD)}),
        ("created_or_edited", "", {(DEALS, CREATED), (DEALS, ANY_FIELD)}),
        ("[created, {field_updated: [A, B]}]", "", {(DEALS, CREATED), (DEALS, "A"), (DEALS, "B")}),
        ("{date: Close}", "", {(DEALS, "Close")}),
        ("manual", "", set()),
        ("created", "criteria: deal.Stage is empty", {(DEALS, CREATED)}),
        ("{becomes: Stage is empty}", "", {(DEALS, "Stage")}),
        (
            "criteria_met",
            'criteria: any contract where (Status is "Active")',
            {(CONTRACTS, CREATED), (CONTRACTS, "Status"), (CONTRACTS, "Deal_Id__c"), (DEALS, "Number")},
        ),
        ("criteria_met", "criteria: no demo", {(DEMOS, CREATED), (DEMOS, "Deal")}),
    ],
)
def test_what_wakes_a_rule(trigger: str, more: str, reads: set[tuple[str, str]]) -> None:
    assert node(trigger, more=more).reads == reads


@pytest.mark.parametrize(
    ("actions", "writes"),
    [
        ("[{update: deal, fields: {Stage: Won, Note: '{{ deal.Stage }}'}}]",
         {Write(DEALS, "Stage", "Won"), Write(DEALS, "Note")}),
        ("[{create: demo, fields: {Status: Open}}]",
         {Write(DEMOS, "Status", "Open", True), Write(DEMOS, CREATED, None, True), Write(DEMOS, "Deal", None, True)}),
        ("[{for_each: demo, do: [{update: demo, fields: {Status: Done}}]}]", {Write(DEMOS, "Status", "Done")}),
        ("[{branch: [{otherwise: [{update: deal, fields: {N: 3}}]}]}]", {Write(DEALS, "N", 3)}),
        ("[{assign: deal, owner: user a@example.com}]",
         {Write(DEALS, "Owner"), Write(DEALS, "OwnerId"), Write(DEALS, "assigned_user_id")}),
        ("[{webhook: 'https://example.org'}]", set()),
    ],
)  # fmt: skip
def test_what_a_rule_writes(actions: str, writes: set[Write]) -> None:
    assert set(node("created", actions).writes) == writes


@pytest.mark.parametrize(
    ("criteria", "requires"),
    [
        ('deal.Stage is "Won" and deal.N is 3', {(DEALS, "Stage", "Won"), (DEALS, "N", 3)}),
        ('deal.Stage is "Won" or deal.N is 3', set()),
        ('deal.Stage is not "Won"', set()),
        ('any contract where (Status is "Active" and Big is true)',
         {(CONTRACTS, "Status", "Active"), (CONTRACTS, "Big", True)}),
        ('all contract where (Status is "Active")', set()),
    ],
)  # fmt: skip
def test_what_must_have_a_value(criteria: str, requires: set[tuple[str, str, object]]) -> None:
    assert node("criteria_met", more=f"criteria: {criteria}").requires == requires


def test_absence_guards_and_repeat_are_seen() -> None:
    absent = node("criteria_met", "[{create: demo, unless_exists: true}]", "criteria: no demo\npriority: 2")
    assert (absent.absent, absent.guarded, absent.priority) == (frozenset({DEMOS}), frozenset({DEMOS}), 2)
    assert (absent.repeat, absent.repeat_written) == ("when_becomes_true", False)
    assert node("criteria_met", more="criteria: count(demo) is 0").absent == {DEMOS}
    half = node("created", "[{create: demo, unless_exists: true}, {create: demo, name: other}]")
    assert (half.guarded, half.repeat) == (frozenset(), "every_time")
    assert node("created", more="repeat: once").repeat_written


def leaf(text: str, outcome: bool) -> Explanation:
    return Explanation(text, outcome)


@pytest.mark.parametrize(
    ("source", "blame"),
    [
        ("…", [("", "a"), ("", "c"), ("", "d")]),
        ({1: "…", 2: "…", 3: "…"}, [("1", "a"), ("3", "c or d")]),
        ({1: "a", 2: "b", 3: "c", 4: "d", "pattern": "1 and 2 and (3 or 4)"}, [("1", "a"), ("3", "c"), ("4", "d")]),
    ],
)
def test_the_parts_that_make_criteria_false_are_named(source: Any, blame: list[tuple[str, str]]) -> None:
    """D-103"""
    either = Explanation("one of", False, (), (leaf("c", False), leaf("d", False)))
    whole = Explanation("all of", False, (), (leaf("a", False), leaf("b", True), either))
    assert blamed(source, whole) == tuple(Blamed(*one) for one in blame)
    assert blamed(source, leaf("a", True)) == ()
