"""What is asked of a CRM beside rows, at the front door: permitted, refused, told in stories, and explained."""

from pathlib import Path

import pytest

from tests.cli.door import CRM, crm_of, project, renkei, store_of

TABS = """
main_tab: lead
tabs:
  lead: {module: zoho.Leads}
  demo: {module: zoho.Demos, lookup: lead.Demo}
  ticket: {module: vtiger.HelpDesk, match: {cf_lead: lead.id}, several: oldest}
"""
SETTINGS = (
    CRM.replace("key_field: Renkei_Key", "key_field: Renkei_Key, may_delete: [Demos]")
    + "  vtiger: {kind: vtiger, url: 'https://vtiger.example.com'}\n"
)
RULES = """
rules:
  lead:
    - name: won
      trigger: {becomes: Status is "Won"}
      actions:
        - {tag: lead, tags: [受注, vip]}
        - {note: "Won: {{ Name }}", on: demo}
        - {transition: demo, take: Complete}
        - {convert: lead, deal: {Deal_Name: "{{ Name }}"}}
        - {email: lead.Email, on: lead, subject: "Welcome, {{ Name }}", text: Hello}
        - {event: Kick-off, on: demo, starts: created + 1 day, at: "10:00"}
        - {delete: demo}
tests:
  - name: it
    given:
      - {create: demo, id: X1}
      - {create: lead, id: L1, Name: 高橋, Email: t@example.com, Demo: X1, Status: New}
    when:
      - {update: lead, id: L1, Status: Won}
    expect:
"""


def told(tmp_path: Path, expected: str) -> str:
    rules = RULES + "".join(f"      - {{{line}}}\n" for line in expected.split(" / "))
    answer = renkei("test", project(tmp_path, rules, settings=SETTINGS, tabs=TABS))
    return answer.out + answer.err


@pytest.mark.parametrize(
    "expected",
    [
        "tag: lead, id: L1, tags: [受注, vip], times: 1",
        "tag: lead, tags: [cold], times: 0 / tag: lead, id: L2, times: 0 / untag: lead, times: 0",
        "note: 'Won: 高橋', times: 1 / note: 'Won: {{ Name }}', times: 1 / note: Lost, times: 0",
        "transition: demo, take: Complete / transition: demo, take: Schedule, times: 0",
        "convert: lead, id: L1, times: 1",
        "email: t@example.com, times: 1 / email: lead.Email, subject: 'Welcome, 高橋'",
        "event: Kick-off, times: 1 / call: Kick-off, times: 0",
        "delete: demo, id: X1, times: 1",
    ],
)
def test_a_story_can_expect_each_of_them(tmp_path: Path, expected: str) -> None:
    assert "1 passed, 0 failed." in told(tmp_path, expected)


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ("tag: lead, times: 2", "expected twice, came once"),
        ("tag: laed", "unknown tab 'laed'"),
        ("tag: lead, tgas: [x]", "unknown key 'tgas'"),
        ("convert: lead, take: x", "unknown key 'take'"),
    ],
)
def test_a_story_that_is_wrong_is_told(tmp_path: Path, expected: str, problem: str) -> None:
    assert problem in told(tmp_path, expected)


def test_what_is_not_permitted_or_cannot_be_is_refused_with_its_place(tmp_path: Path) -> None:
    rules = RULES.partition("tests:")[0] + "        - {delete: lead}\n        - {tag: ticket, tags: [x]}\n"
    answer = renkei("check", project(tmp_path, rules, settings=SETTINGS, tabs=TABS), "--offline")
    assert answer.code == 1
    assert "workflows/w.yaml:21:20: workflows may not delete records of zoho.Leads" in answer.out + answer.err
    assert "Permit it in renkei.yaml: `may_delete: [Leads]` of the connection zoho." in answer.out + answer.err
    assert "workflows/w.yaml:22:17: connection 'vtiger' cannot do this: tag" in answer.out + answer.err


def test_vtigers_cloud_can_do_what_its_open_edition_cannot(tmp_path: Path) -> None:
    rules = RULES.partition("tests:")[0] + "        - {tag: ticket, tags: [x]}\n"
    cloud = SETTINGS.replace("kind: vtiger,", "kind: vtiger, login: basic,")
    answer = renkei("check", project(tmp_path, rules, settings=cloud, tabs=TABS), "--offline")
    assert "cannot do this" not in answer.out + answer.err


def test_explain_says_what_each_step_does_and_what_a_conversion_made(tmp_path: Path) -> None:
    path = project(tmp_path, RULES.partition("tests:")[0], settings=SETTINGS, tabs=TABS)
    crm = crm_of(path)
    crm.create("zoho:Demos", "X1")
    crm.create("zoho:Leads", "L1", Name="高橋", Demo="X1", Status="New")
    crm.update("zoho:Leads", "L1", Status="Won")
    answer = renkei("explain", "zoho.Leads/L1", path)
    assert "step 0 (tag lead): applied" in answer.out
    assert "step 4 (email lead): no mail: the address is empty" in answer.out
    assert "step 6 (delete demo): applied" in answer.out
    convert = next(one for one in crm.commands() if one.operation == "convert")
    made = f"new-{convert.id[:8]}"
    answer = renkei("explain", convert.id, path)
    assert f"record L1, converted to Account {made}-Account, Contact {made}-Contact, Deal {made}-Deal" in answer.out
    store_of(crm).close()
