"""What waits for a person: shown by ``status``, decided with ``parked`` and ``unknown``."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.ledger import Entry, Ledger
from renkei.wiring import FILE, locked
from schemas.commands import Command, Uncertain
from schemas.values import ref
from streams.store import NewEntry
from streams.testing import Driver
from tests.cli.door import crm_of, project, renkei, store_of

RULES = """
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Stage is "Qualified"}
      actions: [{create: demo, fields: {Status: Requested}}, {update: deal, fields: {Stage: Asked}}]
    - name: remind
      trigger: created
      scheduled_actions: [{after: 3 days, recheck: false, actions: [{update: deal, fields: {Note: old}}]}]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return project(tmp_path, RULES)


@pytest.fixture
def crm(path: Path) -> Iterator[Driver]:
    crm = crm_of(path)
    yield crm
    store_of(crm).close()


def test_the_state_at_a_glance(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New", Account="nobody")
    crm.create("zoho:Deals", "D2", Stage="New")
    crm.create("zoho:Demos", "X", Deal="D9")
    seen = renkei("status", path, "--json", "--orphans").json
    assert (seen["journeys"], seen["records"], seen["timers"], seen["backlog"]) == (2, 3, 2, 0)
    assert seen["orphans"]["counts"] == {
        "zoho.Demos without a journey": 1,
        "zoho.Deals whose Account names nobody in zoho.Accounts": 1,
        "zoho.Deals whose Account is empty": 1,
    }
    assert seen["orphans"]["loose"] == {"zoho:Demos": ["zoho:Demos/X"]}
    listed = renkei("status", path, "--orphans").out
    assert "zoho.Deals/D1: Account names nobody in zoho.Accounts" in listed
    assert "timers     2, the next at 2026-01-08T09:00:00Z" in listed


def test_a_fire_that_needs_attention_is_shown_with_its_reason(path: Path, crm: Driver) -> None:
    crm.refuse("create", "denied", "no permission")
    crm.create("zoho:Deals", "D1", Stage="Qualified")
    answer = renkei("status", path)
    assert "attention  w/ask-for-demo on zoho.Deals/D1: denied: no permission" in answer.out
    assert answer.out.endswith(f"Next: renkei explain zoho.Deals/D1 {path}\n")


def test_it_can_be_looked_at_while_it_runs(path: Path, crm: Driver) -> None:
    crm.create("zoho:Deals", "D1", Stage="New")
    with locked(path / ".renkei"):
        assert renkei("status", path).code == 0
        assert renkei("explain", "D1", path).code == 0
        assert renkei("parked", path).code == 0
        assert renkei("unknown", path).code == 0
        refused = renkei("parked", path, "retry", "all")
    assert (refused.code, "another renkei is at work" in refused.err) == (1, True)


# -- parked ------------------------------------------------------------------


def park(crm: Driver, key: str = "D1") -> int:
    """A change event that cannot be read; its number in the log."""
    store = store_of(crm)
    with store.transaction():
        store.append([NewEntry("changes.zoho.Deals", key, crm.now, b"junk")])
    number = store.last_seq()
    crm.settle()
    return number


def test_what_is_parked_is_listed_with_the_reason_and_tried_again(path: Path, crm: Driver) -> None:
    number = park(crm)
    answer = renkei("parked", path)
    assert "changes.zoho.Deals D1" in answer.out
    assert f"renkei parked retry {number}" in answer.out
    assert f"1 messages: renkei parked {path}" in renkei("status", path).out
    assert renkei("parked", path, "retry", number).out.startswith("1 put into the log again.")
    assert "Nothing is parked." in renkei("parked", path).out
    crm.settle()
    (again,) = renkei("parked", path, "--json").json["parked"]
    assert again["number"] > number


def test_all_that_is_parked_can_be_tried_again_at_once(path: Path, crm: Driver) -> None:
    park(crm)
    park(crm, "D2")
    assert renkei("parked", path, "retry", "all", "--json").json["retried"] == 2
    assert renkei("parked", path, "--json").json["parked"] == []


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["retry", "999"], 1, "nothing is parked under 999"),
        (["retry"], 2, "takes a number"),
        (["mend", "1"], 2, "mend"),
    ],
)
def test_wrong_words_are_told(path: Path, crm: Driver, words: list[str], code: int, told: str) -> None:
    park(crm)
    answer = renkei("parked", path, *words)
    assert (answer.code, told in answer.err) == (code, True)


# -- unknown ------------------------------------------------------------------


@pytest.fixture
def lost(path: Path, crm: Driver) -> Command:
    """A create whose answer was lost, which nobody could look up."""
    return lose(path, crm)


def lose(path: Path, crm: Driver) -> Command:
    crm.applies = False
    crm.create("zoho:Deals", "D1", Stage="Qualified")
    (command,) = crm.commands()
    unknown = Uncertain(command_id=command.id, reason="no answer")
    database = sqlite3.connect(path / ".renkei" / FILE)
    Ledger(database, "zoho").write([Entry(command=command, state="unknown", outcome=unknown, sent_at=crm.now)], crm.now)
    database.close()
    crm.answer(command, unknown)
    return command


def test_a_lost_answer_is_listed_with_what_to_look_for(path: Path, lost: Command) -> None:
    answer = renkei("unknown", path)
    assert f"{lost.id}  create zoho.Demos, sent 2026-01-05T09:00:00Z" in answer.out
    assert f"for zoho.Deals/D1 by w/ask-for-demo, look for Renkei_Key = {lost.id}" in answer.out
    assert f"done|retry|skip {lost.id}" in answer.out
    assert f"1 commands whose effect nobody can tell: renkei unknown {path}" in renkei("status", path).out


@pytest.mark.parametrize(("word", "operation"), [("retry", "create"), ("skip", "update"), ("done", "update")])
def test_an_operator_decides_and_the_fire_goes_on(
    path: Path, crm: Driver, lost: Command, word: str, operation: str
) -> None:
    """D-42, D-47"""
    assert renkei("unknown", path, word, lost.id).code == 0
    assert renkei("unknown", path, "--json").json["unknown"] == []
    crm.settle()
    following = [one for one in crm.commands()[1:] if one.rule == "ask-for-demo"]
    assert [one.operation for one in following] == [operation]
    assert following[0].id != lost.id


NAMED = """
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Stage is "Qualified"}
      actions:
        - {name: asked, create: demo, fields: {Status: Requested}}
        - {update: deal, fields: {Note: "demo {{ steps.asked.id }}"}}
"""


@pytest.mark.parametrize(("record", "note"), [("5725767000000100001", "demo 5725767000000100001"), ("", "demo")])
def test_the_record_that_an_operator_names_is_there_for_later_steps(tmp_path: Path, record: str, note: str) -> None:
    """D-46: `done` says that it happened, and where."""
    path = project(tmp_path, NAMED)
    crm = crm_of(path)
    command = lose(path, crm)
    named = ["--record", record] if record else []
    assert renkei("unknown", path, "done", command.id, *named).code == 0
    crm.settle()
    [update] = [one for one in crm.commands() if one.operation == "update"]
    assert update.fields["Note"].strip() == note
    store_of(crm).close()


def test_a_record_goes_with_done_only(path: Path, lost: Command) -> None:
    answer = renkei("unknown", path, "skip", lost.id, "--record", "17")
    assert (answer.code, "goes with" in answer.err) == (2, True)


def test_a_command_that_no_fire_waits_for_is_sent_again_as_it_was(path: Path, crm: Driver, lost: Command) -> None:
    (fired,) = crm.fires("ask-for-demo")
    crm.resume(ref("zoho:Deals", "D1"), fired.fire, "stop")
    assert renkei("unknown", path, "retry", lost.id).code == 0
    assert [one.id for one in crm.commands()] == [lost.id, lost.id]


def test_a_command_that_is_not_in_doubt_is_told(path: Path, crm: Driver) -> None:
    answer = renkei("unknown", path, "retry", "0" * 24)
    assert (answer.code, "is of unknown effect. See the list" in answer.err) == (1, True)
