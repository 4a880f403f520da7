"""Events and calls in the three practice CRMs, once each, whatever gets lost on the way (D-42, D-49)."""

import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Rejected
from schemas.values import MINUTE
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, WORDS, Desk
from tests.sandbox.sales_seed import sales


class Kept(NamedTuple):
    """Where a CRM keeps them: the tab and values of an event, and of a call; what a request looks like."""

    about: str
    record: dict[str, str]
    event: tuple[str, dict[str, Any]]
    call: tuple[str, dict[str, Any]]
    lost: str


KEPT = {
    "zoho": Kept(
        "Accounts", {"Account_Name": "みらい"},
        ("Events", {"Event_Title": "訪問 🎌", "Start_DateTime": "2027-02-01T01:00:00Z",
                    "End_DateTime": "2027-02-01T02:30:00Z"}),
        ("Calls", {"Subject": "訪問 🎌", "Call_Start_Time": "2027-02-01T01:00:00Z", "Call_Type": "Outbound"}),
        "POST /crm/v8/(Events|Calls)",
    ),
    "salesforce": Kept(
        "Account", {"Name": "みらい"},
        ("Event", {"Subject": "訪問 🎌", "StartDateTime": "2027-02-01T01:00:00Z",
                   "EndDateTime": "2027-02-01T02:30:00Z"}),
        ("Task", {"Subject": "訪問 🎌", "ActivityDate": "2027-02-01", "TaskSubtype": "Call"}),
        "composite/sobjects",
    ),
    "vtiger": Kept(
        "Accounts", {"accountname": "みらい"},
        ("Events", {"subject": "訪問", "date_start": "2027-02-01", "time_start": "01:00:00", "time_end": "02:30:00",
                    "activitytype": "Meeting"}),
        ("Events", {"subject": "訪問", "time_start": "01:00:00", "activitytype": "Call"}),
        "operation=create",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sales()) as running:
        running.clock.set(NOW)
        yield running


@pytest.fixture(params=sorted(KEPT))
def desk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Desk]:
    sandbox.clock.advance(10 * MINUTE)
    database = sqlite3.connect(":memory:")
    made = Desk(sandbox, request.param, database)
    yield made
    made.crm.faults.clear()
    made.transport.close()
    database.close()


_numbers = iter(range(1, 10_000))


def planned(desk: Desk, operation: str) -> Command:
    kept, name = KEPT[desk.kind], f"{desk.kind}-{next(_numbers)}"
    values = {field: f"{value} {name}" for field, value in kept.record.items()}
    about = desk.crm.insert(kept.about, values)
    times = {"start": "2027-02-01T01:00:00Z", "end": "2027-02-01T02:30:00Z", "day": "2027-02-01"}
    subject = "訪問" if desk.kind == "vtiger" else "訪問 🎌"  # whose database keeps three bytes of a character
    return Command(
        id=name, connection=desk.kind, tab=f"{desk.kind}:{operation}", operation=operation, key=(desk.words.key, name),
        fields={"subject": subject, "about": f"{desk.kind}:{kept.about}/{about}", **times}, chain=CHAIN,
        planned_at=desk.clock.now(),
    )  # fmt: skip


@pytest.mark.parametrize("fault", ["", "reset_after", "short_answer", "reset_before"])
@pytest.mark.parametrize("operation", ["event", "call"])
def test_it_stands_in_the_calendar_once(desk: Desk, operation: str, fault: str) -> None:
    kept, command = KEPT[desk.kind], planned(desk, operation)
    tab, wanted = kept.event if operation == "event" else kept.call
    before = len(desk.crm.records(tab))
    if fault:
        desk.crm.faults.add(Fault(do=fault, where=kept.lost))  # type: ignore[arg-type]  # one of its words
    outcome = desk.work(command)[command.id]
    assert isinstance(outcome, Applied), outcome
    assert outcome.duplicate is (fault in ("reset_after", "short_answer"))
    stored = desk.crm.record(tab, outcome.record_id)
    assert stored is not None
    assert wanted.items() <= stored.items(), stored
    assert len(desk.crm.records(tab)) == before + 1


def test_one_without_a_time_is_refused_before_it_leaves(desk: Desk) -> None:
    command = planned(desk, "event")
    command = msgspec.structs.replace(command, fields={**command.fields, "start": "soon"})
    outcome = desk.work(command)[command.id]
    assert isinstance(outcome, Rejected)
    assert outcome.code == "bad_time"
    assert "soon" not in outcome.reason


def test_every_kind_is_looked_at() -> None:
    assert KEPT.keys() == WORDS.keys()
