"""Reading records and opening tasks in the three CRMs of the practice range, over real HTTP (D-36, D-42, D-49)."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import pytest

from connectors.base import Connector
from connectors.registry import kind_of
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Outcome, Rejected, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import MINUTE, Value
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, WORDS, Desk


class Tasks(NamedTuple):
    """Where a CRM keeps tasks, and what it calls their fields."""

    tab: str
    subject: str
    due: str
    about: str
    lost: str
    """What a request that creates one looks like."""


TASKS = {
    "zoho": Tasks("Tasks", "Subject", "Due_Date", "What_Id", "POST /crm/v8/Tasks"),
    "salesforce": Tasks("Task", "Subject", "ActivityDate", "WhatId", "composite/sobjects"),
    "vtiger": Tasks("Calendar", "subject", "due_date", "parent_id", "operation=create"),
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=sorted(WORDS))
def desk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Desk]:
    sandbox.clock.set(max(NOW, sandbox.clock.now() if sandbox.clock.now() >= NOW else 0) + 10 * MINUTE)
    database = sqlite3.connect(":memory:")
    made = Desk(sandbox, request.param, database)
    yield made
    made.crm.faults.clear()
    made.transport.close()
    database.close()


def read(desk: Desk, *record_ids: str) -> dict[str, Outcome]:
    tab = f"{desk.kind}:{desk.words.tab}"
    return desk.work(*(
        Command(id=f"r-{one}", connection=desk.kind, tab=tab, operation="read", record_id=one) for one in record_ids
    ))  # fmt: skip


def test_a_record_is_read_as_capture_tells_it(desk: Desk) -> None:
    words = desk.words
    watch = desk.watch()
    watch.poll()
    one = desk.crm.insert(words.tab, {**words.rest, words.name: "Read me"})
    [told] = watch.poll()
    outcome = read(desk, one)[f"r-{one}"]
    assert isinstance(outcome, Applied), outcome
    assert outcome.fields == told.after


def test_of_several_records_one_is_gone(desk: Desk) -> None:
    words = desk.words
    ids = [desk.crm.insert(words.tab, {**words.rest, words.name: name}) for name in ("A", "B", "C")]
    desk.crm.delete(words.tab, ids[1])
    desk.crm.faults.forget_calls()
    outcomes = read(desk, *ids)
    assert [type(outcomes[f"r-{one}"]) for one in ids] == [Applied, Rejected, Applied]
    gone = outcomes[f"r-{ids[1]}"]
    assert isinstance(gone, Rejected)
    assert gone.code == "not_found"
    reads = [call for call in desk.crm.faults.calls() if call.method == "GET" and "challenge" not in call.target]
    assert len(reads) == (3 if desk.kind == "vtiger" else 1)


def test_a_reading_whose_answer_is_lost_is_repeated(desk: Desk) -> None:
    words, since = desk.words, len(desk.crm.ledger())
    one = desk.crm.insert(words.tab, {**words.rest, words.name: "Again"})
    desk.crm.faults.add(Fault("reset_after", "GET .*(query|ids|Demos)", times=2))
    assert isinstance(read(desk, one)[f"r-{one}"], Applied)
    assert len(desk.crm.ledger()) == since + 1


def task(desk: Desk, command_id: str, about: str) -> Command:
    tab = desk.words.tab
    return Command(
        id=command_id, connection=desk.kind, tab=f"{desk.kind}:task", operation="task",
        fields={"subject": "Call back", "due": "2027-02-01", "about": f"{desk.kind}:{tab}/{about}"},
        key=(desk.words.key, command_id), owner="user:sato@example.com", chain=CHAIN, planned_at=desk.clock.now(),
    )  # fmt: skip


def tasks(desk: Desk) -> list[dict[str, Value]]:
    return desk.crm.records(TASKS[desk.kind].tab)


def target(desk: Desk) -> str:
    return desk.crm.insert(desk.words.tab, {**desk.words.rest, desk.words.name: "Target"})


def test_a_task_stands_in_the_crm_with_its_record_and_owner(desk: Desk) -> None:
    words, about, one = TASKS[desk.kind], target(desk), f"{desk.kind}-task"
    outcome = desk.work(task(desk, one, about))[one]
    assert isinstance(outcome, Applied), outcome
    stored = desk.crm.record(words.tab, outcome.record_id)
    assert stored is not None
    wanted: Mapping[str, Any] = {words.subject: "Call back", words.due: "2027-02-01", words.about: about}
    assert wanted.items() <= stored.items()
    assert str(stored[desk.words.owner]).endswith(("010001", "001AAA", "19x1"))


@pytest.mark.parametrize("fault", ["reset_after", "short_answer", "reset_before"])
def test_a_task_whose_answer_is_lost_is_looked_up_by_its_key(desk: Desk, fault: str) -> None:
    about, one, before = target(desk), f"{desk.kind}-{fault}", len(tasks(desk))
    desk.crm.faults.add(Fault(do=fault, where=TASKS[desk.kind].lost))  # type: ignore[arg-type]  # one of its words
    outcome = desk.work(task(desk, one, about))[one]
    assert isinstance(outcome, Applied), outcome
    assert outcome.duplicate is (fault != "reset_before")
    assert len(tasks(desk)) == before + 1


def without_tasks(connector: Connector) -> Connector:
    """The connector as it is before anybody asked the CRM about its tab of tasks."""
    known = connector.metadata
    tabs = {name: tab for name, tab in known.tabs.items() if name != TASKS[connector.kind].tab}
    rest = ConnectionMetadata(connection=known.connection, tabs=tabs, users=known.users, teams=known.teams)
    return kind_of(connector.kind)(connector.settings, rest)


def test_a_task_without_a_key_field_is_unknown_when_its_answer_is_lost(desk: Desk) -> None:
    desk.connector = without_tasks(desk.connector)
    desk.start()
    about, one, before = target(desk), f"{desk.kind}-unkeyed", len(tasks(desk))
    desk.crm.faults.add(Fault("reset_after", TASKS[desk.kind].lost))
    outcomes = desk.work(task(desk, one, about), task(desk, f"{one}-2", about))
    first, second = outcomes[one], outcomes[f"{one}-2"]
    lost = (Uncertain, Applied) if desk.kind == "vtiger" else (Uncertain, Uncertain)  # the others go in one request
    assert (type(first), type(second)) == lost
    assert len(tasks(desk)) == before + 2


def test_a_task_of_ours_comes_back_as_an_echo(desk: Desk) -> None:
    one = f"{desk.kind}-echoed"
    about = target(desk)
    desk.words = desk.words._replace(tab=TASKS[desk.kind].tab)
    watch = desk.watch()
    watch.poll()
    desk.words = WORDS[desk.kind]
    desk.work(task(desk, one, about))
    desk.words = desk.words._replace(tab=TASKS[desk.kind].tab)
    [created] = watch.poll()
    assert (created.op, created.tab, created.origin) == ("create", f"{desk.kind}:{TASKS[desk.kind].tab}", CHAIN)


def test_zoho_wants_to_know_the_module_of_the_record(sandbox: Sandbox, desk: Desk) -> None:
    if desk.kind != "zoho":
        return
    loose = {"Subject": "Loose", "What_Id": {"id": target(desk)}}
    command = Command(id="z-loose", connection="zoho", tab="zoho:Tasks", operation="create", fields=loose)
    outcome = desk.work(msgspec.structs.replace(command, trigger_native=False))["z-loose"]
    assert outcome == Rejected(
        command_id="z-loose", code="MANDATORY_NOT_FOUND", reason="required field not found ($se_module)"
    )
