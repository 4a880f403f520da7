"""Our own writes come back as echoes; a person's edit does not (D-60, D-64, G13)."""

import msgspec
import pytest

from connectors.echo import EchoBook, Written, written
from connectors.ledger import Entry
from schemas.commands import Applied, Command, Rejected
from schemas.events import Chain, ChangeEvent
from tests.connectors.fakes import NOW

CHAIN = Chain("x", 2, ("flow/rule@zoho:Deals/1",))
UPDATE = Written(record="zoho:Deals/1", operation="update", fields={"Stage": "Won"}, chain=CHAIN, modified=NOW)
CREATE = Written(
    record="zoho:Demos/2",
    operation="create",
    fields={"Name": "Demo"},
    chain=CHAIN,
    key=("Key", "c1"),
    modified=NOW,
)
IMAGE = {"id": "1", "Stage": "Won", "Name": "Big", "Key": "c1"}


def event(**more: object) -> ChangeEvent:
    base = ChangeEvent(
        tab="zoho:Deals", record_id="1", op="update", after=IMAGE, committed_at=NOW, seen_at=NOW,
        source_position=1,
        actor="robot",
    )  # fmt: skip
    return msgspec.structs.replace(base, **more)


DEMO = {"tab": "zoho:Demos", "record_id": "2", "op": "create"}


@pytest.mark.parametrize(
    ("told", "user", "echo"),
    [
        ({}, "robot", True),
        ({"actor": "ann"}, "", True),  # the very time that our write was answered with
        ({"actor": "ann", "committed_at": NOW + 1000}, "robot", False),  # a person, later
        ({"actor": "ann", "committed_at": NOW + 1000}, "", False),
        ({"after": {**IMAGE, "Stage": "Lost"}}, "robot", False),  # changed again in the same second
        ({"committed_at": NOW + 1000}, "robot", True),
        ({"record_id": "7"}, "robot", False),
        ({"load": True}, "robot", False),
        (DEMO, "robot", True),
        ({**DEMO, "after": {"id": "2", "Key": "other"}}, "robot", False),
        (
            {**DEMO, "actor": "ann", "committed_at": NOW + 5},
            "robot",
            False,
        ),  # made by us, edited by a person since
        ({**DEMO, "op": "delete", "after": None}, "robot", False),
        ({"client": "renkei", "actor": "ann", "committed_at": NOW + 5}, "robot", True),  # it says who it was
        ({"client": "SfdcInternalAPI"}, "robot", False),  # our user, in the browser
        ({"client": "renkei", "after": {**IMAGE, "Stage": "Lost"}}, "robot", False),
        ({"partial": True, "after": {"id": "1", "Stage": "Won"}}, "robot", True),
        ({"partial": True, "after": {"id": "1", "Other": "x"}}, "robot", False),
    ],
)
def test_only_what_we_wrote_carries_our_chain(told: dict[str, object], user: str, echo: bool) -> None:
    stamped = EchoBook([UPDATE, CREATE], user).stamp(event(**told))
    assert stamped.origin == (CHAIN if echo else None)


def test_a_delete_of_ours_is_an_echo_and_a_persons_is_not() -> None:
    gone = Written(record="zoho:Deals/1", operation="delete", fields={}, chain=CHAIN)
    book = EchoBook([gone], "robot")
    assert book.stamp(event(op="delete", after=None)).origin == CHAIN
    assert book.stamp(event(op="delete", after=None, actor="ann")).origin is None


def test_the_newest_write_that_fits_lends_its_chain() -> None:
    newer = msgspec.structs.replace(UPDATE, chain=Chain("y"))
    assert EchoBook([UPDATE, newer], "robot").stamp(event()).origin == Chain("y")


def test_numbers_are_compared_as_numbers() -> None:
    write = msgspec.structs.replace(UPDATE, fields={"Amount": "5.0"})
    assert EchoBook([write], "robot").stamp(event(after={"id": "1", "Amount": 5})).origin == CHAIN


def test_a_ledger_entry_tells_what_it_wrote() -> None:
    command = Command(id="c1", connection="zoho", tab="zoho:Demos", operation="create", key=("Key", "c1"), chain=CHAIN)
    outcome = Applied(command_id="c1", record_id="2", fields={"Modified_Time": "2027-01-15T08:00:00Z"})
    entry = Entry(command=command, state="done", outcome=outcome)
    found = written(entry, "Modified_Time")
    assert found == msgspec.structs.replace(CREATE, fields={"Key": "c1"}, modified=NOW)
    refused = Rejected(command_id="c1", code="x", reason="y")
    assert written(msgspec.structs.replace(entry, outcome=refused), "Modified_Time") is None


def test_a_task_of_ours_is_an_echo_in_the_tab_that_the_crm_keeps_it_in() -> None:
    command = Command(id="t1", connection="zoho", tab="zoho:task", operation="task", chain=CHAIN)
    outcome = Applied(command_id="t1", record_id="7", fields={"Modified_Time": "2027-01-15T08:00:00Z"})
    book = EchoBook.of([Entry(command=command, state="done", outcome=outcome)], "Modified_Time")
    task = event(tab="zoho:Tasks", record_id="7", op="create", after={"id": "7", "Subject": "Call back"})
    assert book.stamp(task).origin == CHAIN
    assert book.stamp(msgspec.structs.replace(task, committed_at=NOW + 1000)).origin is None
    assert book.stamp(msgspec.structs.replace(task, record_id="8")).origin is None


def test_what_was_only_read_has_no_echo() -> None:
    command = Command(id="r1", connection="zoho", tab="zoho:Deals", operation="read", record_id="1", chain=CHAIN)
    outcome = Applied(command_id="r1", record_id="1", fields={**IMAGE, "Modified_Time": "2027-01-15T08:00:00Z"})
    assert written(Entry(command=command, state="done", outcome=outcome), "Modified_Time") is None
