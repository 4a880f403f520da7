"""What the connector does in Salesforce beside writing rows: stories against the emulator, over real HTTP."""

import base64
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.salesforce.conversion import STATUS
from sandbox.faults import Fault
from sandbox.salesforce.emulator import Salesforce
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.values import MINUTE
from tests.connectors.fakes import NOW
from tests.connectors.practice import Desk
from tests.sandbox.salesforce_seed import SEED, SELLER


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Sandbox(SEED) as sandbox:
        sandbox.clock.set(NOW)
        database = sqlite3.connect(":memory:")
        made = Desk(sandbox, "salesforce", database)
        yield made
        made.transport.close()
        database.close()


@pytest.fixture
def lead(desk: Desk) -> str:
    return desk.crm.insert("Lead", {"LastName": "高橋", "Company": "株式会社みらい", "Email": "t@mirai.example.com"})


def deed(operation: str, record: str, command_id: str = "c1", tab: str = "Lead", **more: Any) -> Command:
    return Command(
        id=command_id, connection="salesforce", tab=f"salesforce:{tab}", operation=operation, record_id=record,
        planned_at=NOW, **more,
    )  # fmt: skip


def done(desk: Desk, *commands: Command) -> Outcome:
    """What became of the last of these, which are done one after another."""
    for command in commands:
        outcome = desk.work(command)[command.id]
    return outcome


def inside(desk: Desk) -> Salesforce:
    emulator = desk.crm._emulator
    assert isinstance(emulator, Salesforce)
    return emulator


def lost(desk: Desk, where: str) -> None:
    """The answer to the next request of this kind is lost, after it was applied."""
    desk.crm.faults.add(Fault("reset_after", where=where))


def tags(desk: Desk) -> list[str]:
    names = {row["id"]: str(row["Name"]) for row in desk.crm.records("Topic")}
    return sorted(names[str(row["TopicId"])] for row in desk.crm.records("TopicAssignment"))


def test_tags_are_put_on_and_taken_off_though_an_answer_is_lost(desk: Desk, lead: str) -> None:
    lost(desk, "batch")
    assert isinstance(done(desk, deed("tag", lead, fields={"tags": ["重要 🎌", "VIP", "VIP"]})), Applied)
    assert tags(desk) == ["VIP", "重要 🎌"]
    lost(desk, "composite")
    assert isinstance(done(desk, deed("untag", lead, "c2", fields={"tags": ["VIP", "never there"]})), Applied)
    assert tags(desk) == ["重要 🎌"]
    again = done(desk, deed("untag", lead, "c3", fields={"tags": ["VIP"]}))
    assert isinstance(again, Applied)
    assert again.duplicate


def test_a_note_hangs_on_its_record_once(desk: Desk, lead: str) -> None:
    lost(desk, "composite")
    note = deed("note", lead, fields={"title": "Call", "text": "会った <today>\nagain"})
    outcome = done(desk, note)
    [stored], [link] = desk.crm.records("ContentNote"), desk.crm.records("ContentDocumentLink")
    assert isinstance(outcome, Applied)
    assert (outcome.record_id, outcome.duplicate) == (stored["id"], True)
    assert (link["LinkedEntityId"], link["ContentDocumentId"]) == (lead, stored["id"])
    assert base64.b64decode(str(stored["Content"])).decode() == "<p>会った &lt;today&gt;</p><p>again</p>"
    assert str(stored["Title"]).startswith("Call [")


def test_a_note_on_what_is_not_there_leaves_nothing(desk: Desk, lead: str) -> None:
    desk.crm.delete("Lead", lead)
    outcome = done(desk, deed("note", lead, fields={"title": "Call", "text": "x"}))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "INVALID_CROSS_REFERENCE_KEY"
    assert desk.crm.records("ContentNote") == []


def test_a_lead_becomes_an_account_a_contact_and_a_deal_once(desk: Desk, lead: str) -> None:
    lost(desk, "Soap")
    fields = {"account": True, "contact": True, "deal": {"name": "A & B <Deal>"}}
    outcome = done(desk, deed("convert", lead, fields=fields, owner="user:suzuki@example.com"))
    assert isinstance(outcome, Applied)
    [account], [contact] = desk.crm.records("Account"), desk.crm.records("Contact")
    [deal] = desk.crm.records("Opportunity")
    assert (account["Name"], contact["LastName"], deal["Name"]) == ("株式会社みらい", "高橋", "A & B <Deal>")
    assert (account["OwnerId"], contact["AccountId"]) == (SELLER, account["id"])
    assert outcome.fields == {"Account": account["id"], "Contact": contact["id"], "Deal": deal["id"]}
    repeated = done(desk, deed("convert", lead, "c2", fields=fields))
    assert isinstance(repeated, Applied)
    assert repeated.duplicate
    assert len(desk.crm.records("Account")) == 1


def test_a_lead_goes_to_an_account_that_is_there_and_may_bring_no_deal(desk: Desk, lead: str) -> None:
    known = desk.crm.insert("Account", {"Name": "Known"})
    outcome = done(desk, deed("convert", lead, fields={"account": known, "deal": None}))
    assert isinstance(outcome, Applied)
    assert outcome.fields["Account"] == known
    assert desk.crm.records("Opportunity") == []
    assert (desk.crm.record("Lead", lead) or {})["Status"] == STATUS


def test_a_session_that_ended_is_renewed_for_a_conversion_too(desk: Desk, lead: str) -> None:
    done(desk, deed("tag", lead, "c0", fields={"tags": ["x"]}))
    desk.crm.expire_tokens()
    assert isinstance(done(desk, deed("convert", lead)), Applied)


def test_an_approval_locks_its_record_until_somebody_decides(desk: Desk, lead: str) -> None:
    lost(desk, "approvals")
    submitted = done(desk, deed("submit", lead, fields={"comment": "お願いします"}))
    assert isinstance(submitted, Applied)
    assert submitted.duplicate
    [waiting] = desk.connector.outcomes(
        [deed("update", lead, fields={"Rating": "Hot"})],
        desk.send(desk.connector.request([deed("update", lead, fields={"Rating": "Hot"})])),
    )
    assert isinstance(waiting, RetryLater)
    assert waiting.reason.startswith("ENTITY_IS_LOCKED")
    approved = done(desk, deed("approve", lead, "c2", fields={"comment": "ok"}, key=("Renkei_Key__c", "c2")))
    assert isinstance(approved, Applied)
    assert approved.fields["status"] == "Approved"
    assert isinstance(done(desk, deed("update", lead, "c3", fields={"Rating": "Hot"})), Applied)


def test_what_waits_for_nobody_is_not_decided(desk: Desk, lead: str) -> None:
    none = done(desk, deed("reject", lead, key=("Renkei_Key__c", "c1")))
    assert isinstance(none, Rejected)
    assert none.code == "not_pending"
    unknown = done(desk, deed("submit", lead, "c2", fields={"definition": "Nobody knows it"}))
    assert isinstance(unknown, Rejected)
    assert unknown.code == "NO_APPLICABLE_PROCESS"


def test_a_decision_whose_answer_is_lost_is_left_to_a_person(desk: Desk, lead: str) -> None:
    done(desk, deed("submit", lead))
    lost(desk, "approvals")
    outcome = done(desk, deed("reject", lead, "c2", key=("Renkei_Key__c", "c2")))
    assert isinstance(outcome, Uncertain)
    assert [row["Status"] for row in desk.crm.records("ProcessInstance")] == ["Rejected"]


def test_a_mail_goes_out_once_or_is_shown(desk: Desk, lead: str) -> None:
    fields = {"to": ["user:suzuki@example.com", "a@example.com"], "subject": "件名", "body": "本文"}
    assert isinstance(done(desk, deed("mail", lead, fields=fields)), Applied)
    lost(desk, "emailSimple")
    assert isinstance(done(desk, deed("mail", lead, "c2", fields=fields, on_unknown="ask")), Uncertain)
    sent = inside(desk).mails
    assert [mail["emailAddresses"] for mail in sent] == ["suzuki@example.com,a@example.com"] * 2
    assert sent[0]["relatedRecordId"] == lead


def test_an_unlink_empties_the_lookup_and_an_owner_changes(desk: Desk) -> None:
    account = desk.crm.insert("Account", {"Name": "A"})
    contact = desk.crm.insert("Contact", {"LastName": "B", "AccountId": account})
    off = deed("unlink", contact, tab="Contact", fields={"relation": "AccountId", "to": account})
    given = deed("update", contact, "c2", tab="Contact", owner="queue:Sales")
    assert isinstance(done(desk, off, given), Applied)
    stored = desk.crm.record("Contact", contact) or {}
    assert (stored["AccountId"], stored["OwnerId"]) == (None, "00G5g0000000001EAA")


def test_a_write_on_a_condition_is_refused_once_the_record_has_moved(desk: Desk, lead: str) -> None:
    seen = NOW
    desk.crm.faults.forget_calls()
    first = deed("update", lead, fields={"Rating": "Hot"}, if_unmodified=seen)
    assert isinstance(done(desk, first), Applied)
    desk.clock.advance(5_000)
    desk.crm.update("Lead", lead, {"Rating": "Cold"})
    late = done(desk, deed("update", lead, "c2", fields={"Rating": "Hot"}, if_unmodified=seen))
    assert isinstance(late, Rejected)
    assert late.code == "changed_meanwhile"
    assert (desk.crm.record("Lead", lead) or {})["Rating"] == "Cold"
    now = done(desk, deed("update", lead, "c3", fields={"Rating": "Hot"}, if_unmodified=desk.clock.now()))
    assert isinstance(now, Applied)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"LastName": "x" * 81}, ""),
        ({"Rating": "Tepid"}, "Rating: not one of its picklist values"),
        ({"Revenue": "much"}, "Revenue: not a number"),
        ({"ConvertedAccountId": "x"}, "ConvertedAccountId: not the id of a record (15 or 18 letters and digits)"),
    ],
)
def test_what_would_spoil_a_request_is_refused_before(desk: Desk, lead: str, fields: Any, reason: str) -> None:
    outcome = done(desk, deed("update", lead, fields=fields))
    assert isinstance(outcome, Rejected) == bool(reason)
    assert getattr(outcome, "reason", "") == reason


def test_a_bad_field_in_one_row_spoils_no_other(desk: Desk, lead: str) -> None:
    other = desk.crm.insert("Lead", {"LastName": "Other"})
    bad = deed("update", lead, fields={"Nope__c": 1})
    good = deed("update", other, "c2", fields={"Rating": "Hot"})
    outcomes = desk.work(bad, good)
    assert isinstance(outcomes["c1"], Rejected)
    assert isinstance(outcomes["c2"], Applied)


def test_rows_of_several_objects_share_a_call_of_ten_chunks(desk: Desk) -> None:
    """200 rows and ten chunks per call, sorted by object: rows that come mixed take no more calls than they must."""
    tabs = ("Lead", "Account", "Contact", "Opportunity")
    rest = {"Lead": {"LastName": "A"}, "Account": {"Name": "A"}, "Contact": {"LastName": "A"},
            "Opportunity": {"Name": "A"}}  # fmt: skip
    records = [(tab, desk.crm.insert(tab, rest[tab])) for _ in range(30) for tab in tabs]
    desk.crm.faults.forget_calls()
    name = {"Lead": "LastName", "Account": "Name", "Contact": "LastName", "Opportunity": "Name"}
    commands = [
        deed("update", record, f"u{number}", tab, fields={name[tab]: f"値 {number}"})
        for number, (tab, record) in enumerate(records)
    ]
    outcomes = desk.work(*commands)
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
    told = [desk.crm.record(tab, record) or {} for tab, record in records]
    assert [one[name[tab]] for (tab, _), one in zip(records, told, strict=True)] == [f"値 {n}" for n in range(120)]
    assert [call.method for call in desk.crm.faults.calls()] == ["POST", "PATCH"], "the login, and one call for all"
    deletions = [deed("delete", record, f"d{number}", tab) for number, (tab, record) in enumerate(records)]
    assert all(isinstance(outcome, Applied) for outcome in desk.work(*deletions).values())
    assert [call.method for call in desk.crm.faults.calls()] == ["POST", "PATCH", "DELETE"]


def test_a_bad_field_of_one_object_spoils_no_other_object(desk: Desk, lead: str) -> None:
    """Both objects have a field of that name; the request is refused as a whole, and each object is tried alone."""
    account = desk.crm.insert("Account", {"Name": "A"})
    bad = deed("update", lead, fields={"Nope__c": 1})
    good = deed("update", account, "c2", "Account", fields={"Name": "B"})
    outcomes = desk.work(bad, good)
    assert isinstance(outcomes["c1"], Rejected)
    assert isinstance(outcomes["c2"], Applied)
    writes = [call.status for call in desk.crm.faults.calls() if call.method == "PATCH"]
    assert writes == [400, 400, 200], "together, then each alone"


def test_what_left_the_recycle_bin_before_we_looked_is_told_by_the_log_of_deletions(desk: Desk, lead: str) -> None:
    watching, position, events = desk.connector.capture("Lead", desk.send), None, []
    for number in range(3):
        polled = watching.poll(position, desk.clock.now())
        position, events = polled.position, polled.events
        if number == 1:
            desk.crm.delete("Lead", lead)
            inside(desk).sobjects["Lead"].purged.add(lead)
        desk.clock.advance(5 * MINUTE)
    assert [(event.op, event.record_id) for event in events] == [("delete", lead)]


def test_roles_that_may_not_be_read_hold_nothing_else_up(desk: Desk) -> None:
    desk.crm.faults.add(Fault("status", where="UserRole", status=400))
    found = desk.connector.describe(desk.send, ["Lead"])
    assert [user.roles for user in found.users] == [()] * len(desk.connector.metadata.users)
    assert found.tabs["Lead"].fields


def test_permissions_that_are_missing_are_told_as_sentences(desk: Desk) -> None:
    assert desk.connector.missing_permissions(desk.send, ["Lead", "Account"]) == []
    [sentence] = desk.connector.missing_permissions(desk.send, ["Hidden__c"])
    assert sentence.startswith("The user does not see the object Hidden__c")


def test_every_answer_tells_what_is_left_of_the_day(desk: Desk, lead: str) -> None:
    request = desk.connector.request([deed("update", lead, fields={"Rating": "Hot"})])
    [usage] = desk.connector.usage(desk.send(request))
    assert usage.quota == "day"
    assert usage.most == 15_000
    assert usage.left < 15_000
    assert desk.connector.price(request) == 1
