"""Why it fired, and why it did not: every reason of D-103, read beside the running project."""

from pathlib import Path
from typing import Any

import pytest

from schemas.events import Chain
from streams.testing import Driver
from tests.cli.door import CRM, Answer, crm_of, project, renkei, store_of

RULES = """
rules:
  deal:
    - name: won
      trigger: criteria_met
      repeat: once
      criteria:
        1: deal.Stage is "Won"
        2: deal.Amount > 100
        3: any demo where (Status is "Done")
        pattern: 1 and (2 or 3)
      actions: [{update: account, fields: {Grade: Gold}}]
    - name: greet
      trigger: created
      criteria: deal.Stage is not empty
      actions: [{webhook: 'https://example.org/greet'}]
    - name: every-note
      trigger: {field_updated: Note}
      actions: [{webhook: 'https://example.org/note'}]
    - name: first-opinion
      trigger: {field_updated: Colour}
      actions: [{update: deal, fields: {Note: first}}]
    - name: last-opinion
      trigger: {field_updated: Colour}
      actions: [{update: deal, fields: {Note: last}}]
    - name: remind
      trigger: {date: Close, at: "09:00"}
      actions: [{webhook: 'https://example.org/remind'}]
  demo:
    - name: demo-done
      trigger: {becomes: Status is "Done"}
      actions: [{webhook: 'https://example.org/done'}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return project(tmp_path, RULES, settings=f"{CRM}limits: {{fires_per_hour: 3}}\n")


@pytest.fixture
def crm(path: Path) -> Driver:
    return crm_of(path)


def explained(path: Path, rule: str, record: str = "zoho.Deals/D1", *more: str) -> Any:
    document = renkei("explain", record, path, "--rule", rule, "--json", *more).json
    (found,) = document["explained"]["rules"]
    return found


def reason(path: Path, rule: str, record: str = "zoho.Deals/D1", *more: str) -> tuple[str, str]:
    found = explained(path, rule, record, *more)
    return found["reason"], found["why"]


def test_it_fired_and_its_command_can_be_asked_about(path: Path, crm: Driver) -> None:
    crm.create("zoho:Accounts", "A1", Grade="Silver")
    crm.create("zoho:Deals", "D1", Stage="Won", Amount=500, Account="A1")
    found = explained(path, "w/won")
    assert (found["reason"], found["verdict"]) == ("fired", True)
    assert [one["kind"] for one in found["decisions"]] == ["fired", "step", "done"]
    command = next(one for one in crm.commands() if one.rule == "won")
    answer = renkei("explain", command.id, path)
    assert f"{command.id}: update zoho.Accounts/A1" in answer.out
    assert "by w/won, step 0" in answer.out
    assert "  applied 2026-01-05T09:00:00Z: record A1" in answer.out
    assert renkei("explain", command.fire, path, "--json").json["commands"][0]["command"]["id"] == command.id


def test_the_false_criterion_is_named_with_what_it_saw(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="Won", Amount=50)
    crm.create("zoho:Demos", "X", Deal="D1", Status="Planned")
    why = 'criterion 2 is false: deal.Amount > 100; criterion 3 is false: any demo where (demo.Status is "Done")'
    assert reason(path, "won") == ("criterion_false", why)
    found = explained(path, "won")
    assert any("deal.Amount = 50" in line for line in found["criteria"])
    (demo,) = [one for one in found["ways"] if one["alias"] == "demo"]
    assert (demo["by"], demo["records"], demo["complete"]) == ("demo.Deal = deal.id", ["zoho:Demos/X"], True)


def test_it_was_true_already_when_it_was_first_known(path: Path) -> None:
    """D-82"""
    crm = crm_of(path, loaded=False)
    crm.load("zoho:Deals", "D1", Stage="Won", Amount=500)
    crm.loaded("zoho:Deals", "zoho:Accounts", "zoho:Demos")
    kind, why = reason(path, "won")
    assert (kind, "no edge: already true since" in why) == ("already_true", True)


def test_it_fires_once_only(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="Won", Amount=500)
    crm.update("zoho:Deals", "D1", Stage="Lost")
    crm.update("zoho:Deals", "D1", Stage="Won")
    kind, why = reason(path, "won")
    assert (kind, why.startswith("once-mark: fired 2026-01-05")) == ("once_mark", True)


def test_a_chain_is_not_followed_into_a_rule_that_began_it(path: Path, crm: Driver) -> None:
    """D-61"""
    crm.create("zoho:Deals", "D1", Stage="New")
    crm.update("zoho:Deals", "D1", Chain("c", 1, ("w/every-note@zoho:Deals/D1",)), Note="again")
    assert reason(path, "every-note")[0] == "chain_guard"


def test_a_storm_ends_in_quarantine(path: Path, crm: Driver) -> None:
    """D-62"""
    crm.create("zoho:Deals", "D1", Stage="New")
    for number in range(5):
        crm.update("zoho:Deals", "D1", Note=f"{number}")
    assert reason(path, "every-note")[0] == "quarantined"


def test_the_loser_of_a_round_is_named(path: Path, crm: Driver) -> None:
    """D-45"""
    crm.create("zoho:Deals", "D1", Stage="New")
    crm.update("zoho:Deals", "D1", Colour="red")
    kind, why = reason(path, "first-opinion")
    assert (kind, "w/last-opinion" in why) == ("overruled", True)
    assert reason(path, "last-opinion")[0] == "fired"


def test_what_is_not_loaded_is_unknown(path: Path) -> None:
    """D-04"""
    crm = crm_of(path, loaded=False)
    crm.loaded("zoho:Deals")
    crm.create("zoho:Deals", "D1", Stage="Won", Amount=50)
    kind, why = reason(path, "won")
    assert (kind, "the first load of zoho.Demos is not complete" in why) == ("unknown", True)
    assert "not loaded yet: zoho.Accounts, zoho.Demos" in renkei("status", path).out


def test_no_trigger_matched(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New", Close="2030-01-31")
    assert reason(path, "every-note") == (
        "trigger_not_matched", "trigger not matched: it waits for an edit of Note that matches",
    )  # fmt: skip
    assert reason(path, "remind") == ("not_due", "its time has not come: due 2030-01-31T09:00:00Z")


def test_a_rule_about_other_records_names_them(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New")
    crm.create("zoho:Demos", "X", Deal="D1")
    assert reason(path, "demo-done") == (
        "other_anchor", "the rule is about demo records; in this journey: zoho.Demos/X",
    )  # fmt: skip
    assert reason(path, "demo-done", "zoho.Demos/X") == ("criterion_false", 'false: demo.Status is "Done"')


def test_a_record_that_nobody_reaches_has_no_journey(path: Path, crm: Driver) -> None:
    """D-10"""
    crm.create("zoho:Demos", "X", Deal="nobody", Status="Done")
    assert "no journey: the record is reached from no main record" in renkei("explain", "zoho:Demos/X", path).out


def test_the_past_can_be_asked_about(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New", Amount=500)
    crm.advance("2 hours")
    crm.update("zoho:Deals", "D1", Stage="Won")
    assert reason(path, "won")[0] == "fired"
    then = reason(path, "won", "D1", "--at", "2026-01-05T10:00:00Z")
    assert then == ("criterion_false", 'criterion 1 is false: deal.Stage is "Won"')
    before = renkei("explain", "D1", path, "--at", "2026-01-01")
    assert (before.code, "no record D1 is known at that time" in before.err) == (1, True)
    before_commands = len(crm.commands())
    assert store_of(crm).count("commands.zoho") + store_of(crm).count("commands.webhook") == before_commands


def test_workflows_that_changed_are_shown_as_the_new_ones_see_it_and_nothing_is_written(
    path: Path, crm: Driver
) -> None:
    crm.create("zoho:Deals", "D1", Stage="Won", Amount=500)
    last = store_of(crm).last_seq()
    project(path, RULES.replace("deal.Amount > 100", "deal.Amount > 1000"))
    answer = renkei("explain", "D1", path, "--rule", "won")
    assert "workflows have changed" in answer.out
    assert "deal.Amount > 1000: false" in answer.out
    assert store_of(crm).last_seq() == last


def test_unclear_names_are_told(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "X", Stage="New")
    crm.create("zoho:Demos", "X", Deal="X")
    both = renkei("explain", "X", path)
    assert (both.code, "zoho.Deals/X, zoho.Demos/X" in both.err) == (1, True)
    assert "no record Y is known" in renkei("explain", "Y", path).err
    assert "there is no rule called wno" in renkei("explain", "zoho.Deals/X", path, "--rule", "wno").out
    wrong: Answer = renkei("explain", "X", path, "--at", "yesterday")
    assert (wrong.code, "is no time" in wrong.err) == (2, True)


def test_a_deleted_record_says_so(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New")
    crm.delete("zoho:Deals", "D1")
    assert "the record is deleted" in renkei("explain", "D1", path).out
