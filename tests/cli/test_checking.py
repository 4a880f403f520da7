"""What ``renkei check`` finds before a project runs, and where it says it is."""

from pathlib import Path

import pytest

from renkei.checking import asked, checked
from renkei.practice import on_the_range
from sandbox.server import Sandbox
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab
from tests.cli.door import ANN, BOB, CRM, SALES, knows, project, renkei

EXAMPLES = Path(__file__).parents[2] / "examples"
FIELDS: dict[str, dict[str, FieldType]] = {
    "Deals": {"Stage": "text", "Amount": "number", "Note": "text", "Account": "lookup", "Owner": "user"},
    "Accounts": {"Grade": "text"},
    "Demos": {"Deal": "lookup", "Status": "text", "Renkei_Key": "text"},
}
NOTIFY = "[{webhook: 'https://example.org/{{ id }}'}]"


def rule(name: str, trigger: str, actions: str, more: str = "", tab: str = "deal") -> str:
    return f"  {tab}:\n{item(name, trigger, actions, more)}"


def item(name: str, trigger: str, actions: str, more: str = "") -> str:
    extra = "".join(f"      {line}\n" for line in more.splitlines())
    return f"    - name: {name}\n      trigger: {trigger}\n{extra}      actions: {actions}\n"


def found(path: Path, severity: str) -> list[str]:
    problems = renkei("check", path, "--offline", "--json").json["problems"]
    return [f"{one['where']}: {one['problem']}" for one in problems if one["severity"] == severity]


def write(name: str, value: str = '"{{ deal.Note }}"') -> str:
    return f"[{{update: deal, fields: {{{name}: {value}}}}}]"


def test_rules_that_wake_each_other_without_end_are_refused(tmp_path: Path) -> None:
    """D-63"""
    rules = "rules:\n" + rule("a", "{field_updated: Stage}", write("Amount", "'{{ deal.Stage }}'"))
    path = project(tmp_path, rules + item("b", "{field_updated: Amount}", write("Stage")))
    answer = renkei("check", path, "--offline")
    assert answer.code == 1
    chain = "w/a writes zoho:Deals.Amount -> w/b writes zoho:Deals.Stage -> w/a"
    assert f"workflows/w.yaml:10:13: these rules wake each other without end: {chain}" in answer.out
    assert answer.out.endswith(f"Mend the errors, then: renkei check {path}\n")


def test_a_loop_through_two_workflow_files_is_found(tmp_path: Path) -> None:
    project(tmp_path, "rules:\n" + rule("a", "{field_updated: Stage}", write("Amount")), name="one")
    path = project(tmp_path, "rules:\n" + rule("b", "{field_updated: Amount}", write("Stage")), name="two")
    (problem,) = found(path, "error")
    assert "one/a writes zoho:Deals.Amount -> two/b" in problem


@pytest.mark.parametrize(
    ("trigger", "actions", "more", "loops"),
    [
        ("created", "[{create: sibling}]", "", True),
        ("created", "[{create: sibling}]", 'criteria: deal.Stage is "New"\nloop: intended', False),
        ("created", "[{create: sibling}]", "loop: intended", True),
        ("{field_updated: Stage}", write("Stage"), "", True),
        ("{field_updated: Stage}", write("Stage", "Won"), "", False),
        ('{becomes: deal.Stage is "Won"}', write("Stage"), "", False),
        ("{field_updated: Stage}", write("Amount", "3"), "", False),
    ],
)
def test_what_counts_as_a_loop(tmp_path: Path, trigger: str, actions: str, more: str, loops: bool) -> None:
    tabs = "main_tab: deal\ntabs:\n  deal: {module: zoho.Deals}\n"
    tabs += "  sibling: {module: zoho.Deals, related_to: deal, by: Parent}\n"
    path = project(tmp_path, "rules:\n" + rule("a", trigger, actions, more), tabs=tabs)
    assert bool([one for one in found(path, "error") if "without end" in one]) is loops


def test_an_intended_loop_needs_criteria_that_end_it(tmp_path: Path) -> None:
    path = project(tmp_path, "rules:\n" + rule("a", "created", write("Stage"), "loop: intended"))
    assert found(path, "error") == ["rules.deal[0].loop: `loop: intended` needs criteria that end the loop"]


def test_a_rule_that_makes_its_own_criteria_false_is_told(tmp_path: Path) -> None:
    """F.2 without its `repeat: once`"""
    criteria = 'criteria: deal.Stage is "Won" and no demo'
    path = project(tmp_path, "rules:\n" + rule("a", "criteria_met", "[{create: demo}]", criteria))
    (problem,) = found(path, "warning")
    assert "wants no zoho:Demos and creates one" in problem
    once = project(tmp_path, "rules:\n" + rule("a", "criteria_met", "[{create: demo}]", f"{criteria}\nrepeat: once"))
    assert not found(once, "warning")


def test_two_rules_that_write_one_field_are_told_who_wins(tmp_path: Path) -> None:
    """D-45"""
    rules = "rules:\n" + rule("a", "created", write("Stage", "Won"), "priority: 5")
    path = project(tmp_path, rules + item("b", "created", write("Stage", "Lost")))
    (problem,) = found(path, "warning")
    assert problem.endswith(
        "w/b and w/a both write zoho:Deals.Stage; if both fire, w/a wins because its priority is higher"
    )


def test_a_negation_that_also_holds_for_an_empty_field_is_marked_in_its_row(tmp_path: Path) -> None:
    """D-111"""
    rows = 'criteria:\n  1: deal.Amount > 3\n  2: any demo and deal.Stage is not "Lost"'
    path = project(tmp_path, "rules:\n" + rule("a", "criteria_met", NOTIFY, rows))
    problems = renkei("check", path, "--offline", "--json").json["problems"]
    (caution,) = [one for one in problems if "also holds" in one["problem"]]
    line, carets = caution["excerpt"].splitlines()
    assert caution["where"] == "rules.deal[0].criteria[2]"
    assert line[carets.index("^") :].startswith('deal.Stage is not "Lost"')


def test_people_who_are_not_there_are_told(tmp_path: Path) -> None:
    """D-48, D-83"""
    actions = (
        "[{assign: deal, owner: user bob@example.com}, {assign: deal, owner: team Slaes},"
        " {assign: deal, owner: user ann@example.com}, {assign: deal, owner: team sales}]"
    )
    path = project(tmp_path, "teams: {sales: Sales, Slaes: Slaes}\nrules:\n" + rule("a", "created", actions))
    knows(path, FIELDS, users=(ANN, BOB), teams=(SALES,))
    problems = [one for one in found(path, "warning") if "both write" not in one]
    assert problems == [
        "rules.deal[0].actions[0].owner: user 'bob@example.com' of connection 'zoho' is inactive",
        "rules.deal[0].actions[1].owner: connection 'zoho' knows no team 'Slaes'",
    ]


def test_a_create_that_could_not_be_looked_up_is_told(tmp_path: Path) -> None:
    """D-42"""
    rules = "rules:\n" + rule("a", "created", "[{create: account}, {create: demo}]")
    path = project(tmp_path, rules)
    knows(path, FIELDS)
    assert found(path, "warning") == [
        "rules.deal[0].actions[0].create: a lost answer cannot be looked up: zoho.Accounts has no field 'Renkei_Key'"
    ]
    bare = project(tmp_path, rules, settings=CRM.replace(", key_field: Renkei_Key", ""))
    assert all("has no `key_field`" in one for one in found(bare, "warning"))


def test_metadata_catches_wrong_names_with_a_proposal(tmp_path: Path) -> None:
    path = project(tmp_path, "rules:\n" + rule("a", '{becomes: deal.Stge is "Won"}', write("Amuont", "3")))
    knows(path, FIELDS)
    answer = renkei("check", path, "--offline")
    assert answer.code == 1
    assert "unknown field 'Stge'" in answer.out
    assert "Did you mean 'Amount'" in answer.out


def test_a_crm_that_cannot_be_asked_is_a_warning(tmp_path: Path) -> None:
    path = project(tmp_path, "rules:\n" + rule("a", "created", write("Stage", "New")))
    answer = renkei("check", path)
    assert answer.code == 0
    assert "could not be asked" in answer.out or "set RENKEI_ZOHO_" in answer.out
    assert "--offline" in answer.out


def test_field_updated_with_a_value_proposes_becomes(tmp_path: Path) -> None:
    """D-119"""
    path = project(tmp_path, "rules:\n" + rule("a", "{field_updated: Stage, to: Won}", write("Amount", "1")))
    (problem,) = renkei("check", path, "--offline", "--json").json["problems"]
    assert "becomes: Stage is" in problem["hint"]


@pytest.mark.parametrize("name", ["customer_journey", "won_and_contracted", "two_way_sync"])
def test_the_examples_have_no_problems(name: str) -> None:
    answer = renkei("check", EXAMPLES / name, "--offline")
    assert (answer.code, "no problems" in answer.out) == (0, True), answer.out


@pytest.mark.parametrize("name", ["customer_journey", "won_and_contracted", "two_way_sync"])
def test_the_examples_agree_with_what_their_crms_say(tmp_path: Path, name: str) -> None:
    with Sandbox() as sandbox:
        folder, unreachable = asked(on_the_range(EXAMPLES / name, sandbox, tmp_path))
    assert folder.metadata["zoho"].users
    assert (unreachable + checked(folder).problems).render() == ""


def test_a_create_that_leaves_out_what_a_record_must_have_is_told(tmp_path: Path) -> None:
    """D-83: the CRM would refuse it each time."""
    rules = "rules:\n" + rule("a", "created", "[{create: demo, fields: {Status: x}}]", "repeat: once")
    path = project(tmp_path, rules)
    knows(path, FIELDS)
    file = path / "metadata" / "zoho.json"
    told = ConnectionMetadata.model_validate_json(file.read_bytes())
    names = ("Name", "Status", "Owner", "Deal", "Renkei_Key", "Formula")
    fields = {name: Field(name=name, mandatory=True, writable=name != "Formula") for name in names}
    tabs = {**told.tabs, "Demos": Tab(name="Demos", fields=fields)}
    file.write_text(told.model_copy(update={"tabs": tabs}).model_dump_json())
    (problem,) = found(path, "warning")
    assert problem.endswith("new records of zoho.Demos must have 'Name'")
