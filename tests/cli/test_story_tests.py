"""``renkei test`` runs what a workflow file tells of itself, and says what came instead."""

from pathlib import Path

import pytest

from schemas.metadata import FieldType
from tests.cli.door import TABS, knows, project, renkei

RULES = """
teams: {sales: Sales}
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Stage is "Qualified"}
      actions:
        - create: demo
          unless_exists: true
          fields: {Status: Requested}
        - notify: team sales
          subject: "Demo for {{ deal.Name }}"
          text: Please call.
    - name: remind
      trigger: created
      scheduled_actions:
        - after: 3 days
          recheck: false
          actions:
            - update: deal
              fields: {Stage: Stale}
    - name: pressed
      trigger: {signal: button}
      actions:
        - assign: deal
          owner: team sales
    - name: quote
      trigger: {becomes: Stage is "Proposal"}
      actions:
        - task: "Quote for {{ deal.Name }}"
          on: deal
  demo:
    - name: demo-done
      trigger: {becomes: Status is "Completed"}
      actions:
        - email: deal.Email
          subject: Thank you
          text: We hope that you liked it.
"""


def story(given: str, when: str, expect: str) -> str:
    parts = {"given": given, "when": when, "expect": expect}
    lines = [
        f"    {part}:\n" + "".join(f"      - {{{one}}}\n" for one in text.split(" / ")) for part, text in parts.items()
    ]
    return RULES + "tests:\n  - name: it\n" + "".join(lines)


DEAL = "create: deal, id: D1, Name: Big, Stage: New, Email: a@example.com"
QUALIFIED = "update: deal, id: D1, Stage: Qualified"


@pytest.mark.parametrize(
    ("when", "expect"),
    [
        (QUALIFIED, "create: demo, times: 1, related_to: D1, Status: Requested"),
        (QUALIFIED, "notify: team sales, times: 1, subject: Demo for Big / fires: ask-for-demo, times: 1, on: D1"),
        (f"{QUALIFIED} / {QUALIFIED}", "create: demo, times: 1"),
        ("update: deal, id: D1, Name: Bigger", "nothing: true"),
        ("create: deal, id: D2, Stage: New / advance: 2 days", "nothing: true"),
        ("create: deal, id: D2, Stage: New / advance: 4 days", "update: deal, id: D2, Stage: Stale, times: 1"),
        ("create: deal, id: D2, Stage: New / delete: deal, id: D2 / advance: 4 days", "update: deal, times: 0"),
        ("signal: button, id: D1", "assign: deal, id: D1, owner: team sales"),
        ("create: demo, id: X, Deal: D1, Status: Completed", "email: deal.Email, subject: Thank you"),
        ("create: demo, id: X, Deal: D1, Status: Completed", "email: a@example.com, times: 1"),
        ("update: deal, id: D1, Stage: Proposal", "task: Quote for Big, times: 1 / task: Quote for Small, times: 0"),
        ("update: deal, id: D1, Stage: Proposal", "task: 'Quote for {{ deal.Name }}', times: 1"),
        ("at: '2026-03-01T00:00:00Z'", "nothing: true"),
    ],
)  # fmt: skip
def test_stories_that_hold(tmp_path: Path, when: str, expect: str) -> None:
    answer = renkei("test", project(tmp_path, story(DEAL, when, expect)))
    assert (answer.code, "1 passed, 0 failed." in answer.out) == (0, True), answer.out


def test_what_is_given_fires_nothing_and_does_not_count(tmp_path: Path) -> None:
    """D-82"""
    given = f"create: deal, id: D2, Stage: Qualified / {DEAL} / {QUALIFIED}"
    answer = renkei("test", project(tmp_path, story(given, "update: deal, id: D1, Name: X", "nothing: true")))
    assert answer.code == 0, answer.out


def test_a_failure_shows_what_came_instead(tmp_path: Path) -> None:
    path = project(tmp_path, story(DEAL, QUALIFIED, "create: demo, times: 2 / notify: team slaes"))
    answer = renkei("test", path)
    assert answer.code == 1
    assert "FAILED w: it" in answer.out
    assert "workflows/w.yaml:53:9: expected twice, came once" in answer.out
    assert "create zoho.Demos {Deal: D1, Status: Requested} (rule ask-for-demo on zoho.Deals/D1)" in answer.out
    assert answer.out.endswith(f"Mend the rules or the tests, then: renkei test {path}\n")
    told = renkei("test", path, "--json").json
    assert [one["problem"] for one in told["tests"][0]["failures"]] == [
        "expected twice, came once", "expected at least once, came never",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "when", "expect", "where", "problem"),
    [
        ("create: dael, id: D1", "advance: 1 day", "nothing: true", "tests[0].given[0].create", "unknown tab 'dael'"),
        ("creat: deal, id: D1", "advance: 1 day", "nothing: true", "tests[0].given[0].creat", "unknown key 'creat'"),
        (DEAL, "update: deal, id: D9, Name: X", "nothing: true", "tests[0].when[0].id", "there is no deal D9"),
        (DEAL, "update: deal, Name: X", "nothing: true", "tests[0].when[0]", "needs the record's id"),
        (DEAL, "advance: soon", "nothing: true", "tests[0].when[0].advance", "is no duration"),
        (DEAL, QUALIFIED, "fires: ask-for-dmeo", "tests[0].expect[0].fires", "there is no rule called"),
        (DEAL, QUALIFIED, "notify: team sales, tmies: 1", "tests[0].expect[0].tmies", "unknown key 'tmies'"),
        (DEAL, QUALIFIED, "create: demo, times: often", "tests[0].expect[0].times", "`times` takes a whole number"),
        (DEAL, QUALIFIED, "create: demo, Staus: X", "tests[0].expect[0].Staus", "unknown field 'Staus' of demo"),
    ],
)  # fmt: skip
def test_wrong_stories_are_told_with_their_place(
    tmp_path: Path, given: str, when: str, expect: str, where: str, problem: str
) -> None:
    path = project(tmp_path, story(given, when, expect))
    deals: dict[str, FieldType] = dict.fromkeys(("Name", "Stage", "Email", "Account", "Owner"), "text")
    knows(path, {"Deals": deals, "Demos": {"Deal": "lookup", "Status": "text"}, "Accounts": {}})
    assert renkei("test", path).code == 1
    found = [one for one in renkei("check", path, "--offline", "--json").json["problems"] if one["severity"] == "error"]
    assert [(one["where"], problem in one["problem"]) for one in found] == [(where, True)], found


def test_the_customer_journey_keeps_its_promise() -> None:
    """F.1"""
    answer = renkei("test", Path(__file__).parents[2] / "examples" / "customer_journey")
    assert (answer.code, "ok     customer-journey: won deal reaches onboarding once" in answer.out) == (0, True)


def test_a_project_without_stories_is_told_how_to_tell_one(tmp_path: Path) -> None:
    path = project(tmp_path, RULES, tabs=TABS)
    answer = renkei("test", path)
    assert (answer.code, "given, when, expect" in answer.out) == (0, True)
