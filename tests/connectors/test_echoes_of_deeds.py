"""What a CRM does of its own accord when we ask for more than fields comes back as ours; a person's edit does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import pytest

from connectors.ledger import Entry
from connectors.traces import book_of
from sandbox.server import Sandbox
from schemas.commands import Applied, Command
from schemas.events import ChangeEvent
from schemas.values import DAY, HOUR, MINUTE
from tests.connectors.crms import ZOHO
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, Desk
from tests.sandbox.sales_seed import sales


class Leads(NamedTuple):
    """Where a CRM keeps leads and what becomes of them."""

    tab: str
    name: str
    company: str
    made: tuple[str, str, str]
    deal: dict[str, str]
    key: str


LEADS = {
    "zoho": Leads(
        "Leads", "Last_Name", "Company", ("Accounts", "Contacts", "Deals"),
        {"Deal_Name": "New", "Stage": "Qualification", "Pipeline": "Standard", "Closing_Date": "2027-02-01"},
        "Renkei_Key",
    ),
    "salesforce": Leads("Lead", "LastName", "Company", ("Account", "Contact", "Opportunity"), {"Name": "New"}, ""),
    "vtiger": Leads(
        "Leads", "lastname", "company", ("Accounts", "Contacts", "Potentials"),
        {"potentialname": "New", "closingdate": "2027-02-01", "sales_stage": "Prospecting"}, "cf_renkei_key",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(sales()) as running:
        running.clock.set(NOW)
        running.vtiger.options["per_minute"] = "100000"
        yield running


@contextmanager
def desk_of(sandbox: Sandbox, kind: str) -> Iterator[Desk]:
    sandbox.clock.advance(10 * MINUTE)
    database = sqlite3.connect(":memory:")
    options = {"surface": "cloud"} if kind == "vtiger" else {}
    made = Desk(sandbox, kind, database, **options)
    yield made
    made.transport.close()
    database.close()


@pytest.fixture(params=sorted(LEADS))
def desk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with desk_of(sandbox, request.param) as made:
        yield made


@pytest.fixture
def zoho(sandbox: Sandbox) -> Iterator[Desk]:
    with desk_of(sandbox, "zoho") as made:
        yield made


_numbers = iter(range(1, 10_000))


def ask(desk: Desk, operation: str, tab: str, record_id: str, **more: Any) -> Applied:
    """One command, applied to the end."""
    name = f"e{next(_numbers)}"
    key = LEADS[desk.kind].key
    command = Command(
        id=name, connection=desk.kind, tab=f"{desk.kind}:{tab}", operation=operation, record_id=record_id, chain=CHAIN,
        planned_at=desk.clock.now(), key=(key, name) if key and operation in ("convert", "note") else None, **more,
    )  # fmt: skip
    outcome = desk.work(command)[name]
    assert isinstance(outcome, Applied), outcome
    return outcome


def lead(desk: Desk, company: str) -> str:
    words = LEADS[desk.kind]
    return desk.crm.insert(words.tab, {words.name: "高橋", words.company: company})


def ours(events: list[ChangeEvent]) -> list[bool]:
    return [event.origin is not None and event.origin.id == CHAIN.id for event in events]


def test_the_records_that_a_conversion_makes_are_ours_and_a_persons_edit_after_it_is_not(desk: Desk) -> None:
    words = LEADS[desk.kind]
    watches = [desk.watch(tab) for tab in words.made]
    for watch in watches:
        watch.poll()
    outcome = ask(desk, "convert", words.tab, lead(desk, f"株式会社 {desk.kind}"), fields={"deal": words.deal})
    made = [watch.poll() for watch in watches]
    assert [[event.record_id for event in events] for events in made] == [
        [outcome.fields[name]] for name in ("Account", "Contact", "Deal")
    ]
    assert [ours(events) for events in made] == [[True]] * 3
    name = next(iter(words.deal))
    desk.crm.update(words.made[2], outcome.fields["Deal"], {name: "Edited 🖊"})
    edited = watches[2].poll()
    assert ours(edited) == [False], "the person's edit starts a chain of its own (D-64)"


def test_the_lead_that_was_converted_is_told_with_our_chain(desk: Desk) -> None:
    words = LEADS[desk.kind]
    watch = desk.watch(words.tab)
    one = lead(desk, f"Nordwind {desk.kind}")
    watch.poll()
    ask(desk, "convert", words.tab, one)
    desk.clock.advance(DAY)  # so long may Vtiger's cloud leave it unsaid that a record is gone
    told = watch.poll()
    assert {event.record_id for event in told} <= {one}
    assert all(ours(told)), told


TOUCHES = {
    "zoho": ("Demos", {"Name": "Demo", "Status": "Requested"}, "Name"),
    "vtiger": ("Accounts", {"accountname": "Account"}, "accountname"),
}
DEEDS = [
    ("zoho", "tag", {"tags": ["重要"]}), ("zoho", "lock", {"reason": "checked"}),
    ("zoho", "transition", {"transition": "Schedule"}), ("vtiger", "tag", {"tags": ["vip"]}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "operation", "fields"), DEEDS)
def test_a_record_that_we_touched_is_ours_and_a_persons_edit_after_it_is_not(
    sandbox: Sandbox, kind: str, operation: str, fields: dict[str, Any]
) -> None:
    tab, values, name = TOUCHES[kind]
    with desk_of(sandbox, kind) as desk:
        one = desk.crm.insert(tab, {**values, name: f"{kind} {operation}"})
        watch = desk.watch(tab)
        watch.poll()
        ask(desk, operation, tab, one, fields=fields)
        assert ours(watch.poll()) == [True]
        desk.crm.update(tab, one, {name: f"edited {operation} 🖊"})
        assert ours(watch.poll()) == [False]


def test_a_touch_is_bound_to_its_time(zoho: Desk) -> None:
    """Somebody else may use our login, an hour later."""
    one = zoho.crm.insert("Demos", {"Name": "Demo", "Status": "Requested"})
    watch = zoho.watch("Demos")
    ask(zoho, "tag", "Demos", one, fields={"tags": ["vip"]})
    watch.poll()
    zoho.clock.advance(HOUR)
    zoho.crm.update("Demos", one, {"Name": "by our login, not by us"}, user=zoho.words.robot)
    assert ours(watch.poll()) == [False]


NOTES = {"zoho": "Notes", "vtiger": "ModComments", "salesforce": "Task"}
"""Where what we hang on a record is kept; in Salesforce a call, which is a task, for nobody watches its notes."""


def test_what_we_hang_on_a_record_is_ours(desk: Desk) -> None:
    kind, tab = desk.kind, LEADS[desk.kind].tab
    watch = desk.watch(NOTES[kind])
    watch.poll()
    if kind == "zoho":
        tab, about = "Accounts", desk.crm.insert("Accounts", {"Account_Name": "noted"})
    else:
        about = lead(desk, f"noted {kind}")
    times = {"start": "2027-02-01T09:00:00Z", "end": "2027-02-01T09:30:00Z", "day": "2027-02-01"}
    if kind == "salesforce":
        outcome = ask(desk, "call", "call", "", fields={"subject": "電話", "about": f"{kind}:{tab}/{about}", **times})
    else:
        outcome = ask(desk, "note", tab, about, fields={"text": "話した"})
    [event] = watch.poll()
    assert (event.record_id, ours([event])) == (outcome.record_id, [True])


LEAD = ChangeEvent(
    tab="zoho:Leads", record_id="7", op="delete", committed_at=NOW + DAY, seen_at=NOW + DAY, source_position=1
)
CONVERTED = Command(id="c", connection="zoho", tab="zoho:Leads", operation="convert", record_id="7", chain=CHAIN)


@pytest.mark.parametrize(
    ("told", "done", "echo"),
    [
        ({}, {}, True),
        ({"actor": "ann"}, {}, False),  # she deleted it, whatever we did before
        ({"client": "SfdcInternalAPI"}, {}, False),  # in the browser
        ({"client": "renkei", "actor": "ann"}, {}, True),  # it says who it was
        ({"record_id": "8"}, {}, False),
        ({}, {"sent_at": None}, False),  # found converted: it never left
        ({}, {"outcome": Applied(command_id="c", record_id="7", duplicate=True)}, False),
    ],
)
def test_a_lead_is_gone_by_our_conversion_where_nobody_else_is_named(
    told: dict[str, Any], done: dict[str, Any], echo: bool
) -> None:
    applied = {"outcome": Applied(command_id="c", record_id="7"), "sent_at": NOW, "updated_at": NOW, **done}
    book = book_of([Entry(command=CONVERTED, state="done", **applied)], ZOHO, "robot")
    assert book.stamp(msgspec.structs.replace(LEAD, **told)).origin == (CHAIN if echo else None)


@pytest.mark.parametrize(("user", "actor"), [("", "ann"), ("robot", "robot")])
@pytest.mark.parametrize(("account", "echo"), [(True, True), ("77", False)])
def test_an_account_that_a_lead_only_joined_was_made_by_somebody_else(
    account: bool | str, echo: bool, user: str, actor: str
) -> None:
    """Both the person's making it and our joining it may be told by one poll."""
    command = msgspec.structs.replace(CONVERTED, fields={"account": account})
    outcome = Applied(command_id="c", record_id="7", fields={"Account": "77"})
    book = book_of([Entry(command=command, state="done", outcome=outcome, sent_at=NOW, updated_at=NOW)], ZOHO, user)
    made = ChangeEvent(
        tab="zoho:Accounts", record_id="77", op="create", after={"id": "77"}, actor=actor, committed_at=NOW,
        seen_at=NOW, source_position=1,
    )  # fmt: skip
    assert book.stamp(made).origin == (CHAIN if echo else None)
