"""What Zoho does beside rows, over real HTTP: applied once, whatever gets lost on the way."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from connectors.base import Connector
from connectors.settings import ConnectionSettings
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Outcome, Rejected
from schemas.metadata import ConnectionMetadata
from schemas.values import MINUTE, SECOND
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, Desk
from tests.sandbox.zoho_seed import MIRAI, ROBOT, SUZUKI, TAKAHASHI, journey

LOST = ("reset_after", "short_answer", "reset_before")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(journey()) as running:
        yield running


@pytest.fixture
def desk(sandbox: Sandbox) -> Iterator[Desk]:
    sandbox.clock.set(max(NOW, sandbox.clock.now() if sandbox.clock.now() >= NOW else 0) + 10 * MINUTE)
    database = sqlite3.connect(":memory:")
    made = Desk(sandbox, "zoho", database, change_owner="true")
    made.settings = made.settings.model_copy(update={"sender": "renkei@example.com"})
    made.connector = type(made.connector)(made.settings, made.connector.metadata)
    made.start()
    yield made
    made.crm.faults.clear()
    made.transport.close()
    database.close()


def ask(desk: Desk, command_id: str, operation: str, record_id: str, tab: str = "Demos", **more: Any) -> Outcome:
    """One command, applied to the end."""
    made = Command(
        id=command_id, connection="zoho", tab=f"zoho:{tab}", operation=operation, record_id=record_id,
        chain=CHAIN, planned_at=desk.clock.now(), **more,
    )  # fmt: skip
    return desk.work(made)[command_id]


def demo(desk: Desk, name: str = "Demo") -> str:
    return desk.crm.insert("Demos", {"Name": name, "Status": "Requested"})


def row(desk: Desk, tab: str, record_id: str) -> dict[str, Any]:
    found = desk.crm.record(tab, record_id)
    assert found is not None
    return found


def effects(desk: Desk, since: int, *tabs: str) -> list[tuple[str, str]]:
    ledger = desk.crm.ledger()[since:]
    return [(effect.operation, effect.tab) for effect in ledger if not tabs or effect.tab in tabs]


def test_tags_are_put_on_and_taken_off(desk: Desk) -> None:
    one = demo(desk)
    assert isinstance(ask(desk, "t1", "tag", one, fields={"tags": ["重要", "vip"]}), Applied)
    assert row(desk, "Demos", one)["Tag"] == ["重要", "vip"]
    assert isinstance(ask(desk, "t2", "untag", one, fields={"tags": ["vip"]}), Applied)
    assert row(desk, "Demos", one)["Tag"] == ["重要"]


def test_an_owner_is_changed_alone_and_for_many(desk: Desk) -> None:
    ids = [demo(desk, f"D{number}") for number in range(12)]
    assert isinstance(ask(desk, "o1", "assign", ids[0], owner="user:suzuki@example.com"), Applied)
    desk.crm.faults.forget_calls()
    many = [
        Command(id=f"own-{one}", connection="zoho", tab="zoho:Demos", operation="assign", record_id=one,
                owner="user:sato@example.com")
        for one in ids
    ]  # fmt: skip
    outcomes = desk.work(*many)
    assert all(isinstance(outcomes[one.id], Applied) for one in many)
    assert {row(desk, "Demos", one)["Owner"] for one in ids} == {"5725767000000010001"}
    calls = [call.target for call in desk.crm.faults.calls() if "oauth" not in call.target]
    assert calls == ["/crm/v8/Demos/actions/change_owner"]


@pytest.mark.parametrize("fault", LOST)
def test_a_note_is_written_once(desk: Desk, fault: str) -> None:
    since, keyed, plain = len(desk.crm.ledger()), f"note-{fault}", f"plain-{fault}"
    desk.crm.faults.add(Fault(do=fault, where="POST /crm/v8/Notes", times=1))  # type: ignore[arg-type]
    fields = {"title": "Call", "text": f"話した 📞 {fault}"}
    noted = ask(desk, keyed, "note", MIRAI, "Accounts", fields=fields, key=("Renkei_Key", keyed))
    assert isinstance(noted, Applied), noted
    assert noted.duplicate is (fault != "reset_before")
    desk.crm.faults.add(Fault(do=fault, where="POST /crm/v8/Notes", times=1))  # type: ignore[arg-type]
    plainly = ask(desk, plain, "note", MIRAI, "Accounts", fields={"text": f"no key {fault}"})
    assert isinstance(plainly, Applied), plainly
    assert effects(desk, since) == [("insert", "Notes")] * 2


@pytest.mark.parametrize("fault", LOST)
def test_a_lead_is_converted_once_and_its_records_are_told(desk: Desk, fault: str) -> None:
    since = len(desk.crm.ledger())
    lead = desk.crm.insert("Leads", {"Last_Name": "Daly", "Company": f"株式会社 {fault}"})
    desk.crm.faults.add(Fault(do=fault, where="/actions/convert"))  # type: ignore[arg-type]
    deal = {"Deal_Name": "New", "Stage": "Qualification", "Pipeline": "Standard", "Closing_Date": "2027-02-01"}
    outcome = ask(desk, f"convert-{fault}", "convert", lead, "Leads", owner="user:suzuki@example.com",
                  fields={"account": True, "contact": TAKAHASHI, "deal": deal})  # fmt: skip
    assert isinstance(outcome, Applied), outcome
    assert outcome.fields["Contact"] == TAKAHASHI
    assert row(desk, "Deals", outcome.fields["Deal"])["Owner"] == SUZUKI
    assert row(desk, "Accounts", outcome.fields["Account"])["Account_Name"] == f"株式会社 {fault}"
    assert effects(desk, since, "Accounts", "Deals") == [("insert", "Accounts"), ("insert", "Deals")]


def test_a_lead_that_somebody_converted_is_read_back(desk: Desk) -> None:
    lead = desk.crm.insert("Leads", {"Last_Name": "Twice", "Company": "Twice"})
    first = ask(desk, "twice-1", "convert", lead, "Leads", fields={})
    second = ask(desk, "twice-2", "convert", lead, "Leads", fields={})
    assert isinstance(first, Applied)
    assert isinstance(second, Applied)
    assert (second.duplicate, second.fields["Contact"]) == (True, first.fields["Contact"])


@pytest.mark.parametrize("fault", LOST)
def test_a_transition_is_taken_once(desk: Desk, fault: str) -> None:
    one, since = demo(desk), len(desk.crm.ledger()) + 1
    desk.crm.faults.add(Fault(do=fault, where="PUT .*/actions/blueprint"))  # type: ignore[arg-type]
    outcome = ask(desk, f"go-{fault}", "transition", one, fields={"transition": "Schedule", "values": {}})
    assert isinstance(outcome, Applied), outcome
    assert row(desk, "Demos", one)["Status"] == "Scheduled"
    assert effects(desk, since - 1) == [("update", "Demos")]


def test_a_transition_that_the_record_cannot_take_is_refused_with_a_reason(desk: Desk) -> None:
    outcome = ask(desk, "early", "transition", demo(desk), fields={"transition": "Complete", "values": {}})
    assert isinstance(outcome, Rejected)
    assert outcome.code == "no_such_transition"


def test_the_field_of_a_blueprint_is_not_written_directly(desk: Desk) -> None:
    outcome = ask(desk, "direct", "update", demo(desk), fields={"Status": "Completed"})
    assert isinstance(outcome, Rejected)
    assert (outcome.code, outcome.reason) == ("RECORD_IN_BLUEPRINT", "The record is in blue print (Status)")


@pytest.mark.parametrize("fault", LOST)
def test_a_record_is_locked_and_unlocked_once(desk: Desk, fault: str) -> None:
    one, since = demo(desk), len(desk.crm.ledger())
    desk.crm.faults.add(Fault(do=fault, where="(POST|DELETE) .*Locking", times=1))  # type: ignore[arg-type]
    assert isinstance(ask(desk, f"lock-{fault}", "lock", one, fields={"reason": "Review"}), Applied)
    assert row(desk, "Demos", one)["Locked__s"] is True
    desk.crm.faults.add(Fault(do=fault, where="(POST|DELETE) .*Locking", times=1))  # type: ignore[arg-type]
    assert isinstance(ask(desk, f"unlock-{fault}", "unlock", one), Applied)
    assert row(desk, "Demos", one)["Locked__s"] is False
    assert effects(desk, since, "Locking_Information__s") == [
        ("insert", "Locking_Information__s"),
        ("delete", "Locking_Information__s"),
    ]
    assert isinstance(ask(desk, f"again-{fault}", "unlock", one), Applied)


def test_a_locked_record_is_written_once_it_is_free(desk: Desk) -> None:
    one = demo(desk)
    ask(desk, "hold", "lock", one)
    desk.source.commands.append(desk.command("waits", "update", one, name="Later"))
    turn = desk.worker.turn(desk.clock.now())
    assert turn.retried == 1
    outcomes = desk.work(
        Command(id="free", connection="zoho", tab="zoho:Feedback", operation="create", fields={"Name": "x"})
    )
    assert isinstance(outcomes["waits"], Rejected)
    assert outcomes["waits"].code == "gave_up"


def test_records_are_linked_and_unlinked_once(desk: Desk) -> None:
    one, fields = demo(desk), {"relation": "Contacts", "to": TAKAHASHI}
    desk.crm.faults.add(Fault(do="reset_after", where="PUT .*/Contacts"))
    assert isinstance(ask(desk, "link", "link", one, fields=fields), Applied)
    assert row(desk, "Demos", one)["~Contacts"] == [TAKAHASHI]
    desk.crm.faults.add(Fault(do="reset_after", where="DELETE .*/Contacts"))
    assert isinstance(ask(desk, "unlink", "unlink", one, fields=fields), Applied)
    assert row(desk, "Demos", one)["~Contacts"] == []
    assert isinstance(ask(desk, "again", "unlink", one, fields=fields), Applied)


@pytest.mark.parametrize(("wish", "mails"), [("skip", 1), ("ask", 1), ("retry", 2)])
def test_a_mail_whose_answer_is_lost_follows_the_wish_of_its_author(desk: Desk, wish: str, mails: int) -> None:
    before, subject = len(desk.crm.records("Emails")), f"ご案内 {wish}"
    desk.crm.faults.add(Fault(do="reset_after", where="send_mail"))
    fields = {"to": ["customer@example.com"], "subject": subject, "body": "Hello"}
    ask(desk, f"mail-{wish}", "mail", demo(desk), fields=fields, on_unknown=wish)
    assert [mail["subject"] for mail in desk.crm.records("Emails")[before:]] == [subject] * mails


def test_a_write_under_a_time_that_has_moved_is_refused(desk: Desk) -> None:
    one = demo(desk)
    seen = desk.crm.row("Demos", one)
    assert seen is not None
    desk.clock.advance(5 * SECOND)
    desk.crm.update("Demos", one, {"Name": "by hand"})
    stale = ask(desk, "stale", "update", one, fields={"Name": "ours"}, if_unmodified=seen.modified_at)
    assert isinstance(stale, Rejected)
    assert stale.code == "changed_meanwhile"
    now = desk.crm.row("Demos", one)
    assert now is not None
    fresh = ask(desk, "fresh", "update", one, fields={"Name": "ours"}, if_unmodified=now.modified_at)
    assert isinstance(fresh, Applied)


def test_a_create_never_overwrites_the_record_that_it_clashes_with(desk: Desk) -> None:
    first = desk.command("mine-1", "create", name="First")
    again = msgspec.structs.replace(first, id="mine-2")
    outcomes = desk.work(first, again)
    one, two = outcomes["mine-1"], outcomes["mine-2"]
    assert isinstance(one, Applied)
    assert isinstance(two, Applied)
    assert (one.duplicate, two.duplicate, one.record_id == two.record_id) == (False, True, True)


def test_scopes_that_the_client_lacks_are_named(desk: Desk) -> None:
    assert desk.connector.missing_permissions(desk.asking, ["Demos", "Deals"]) == []
    granted = ("ZohoCRM.settings.ALL", "ZohoCRM.modules.Demos.ALL", "ZohoCRM.modules.Deals.READ", "ZohoCRM.users.READ")
    with Sandbox(journey(scopes=granted)) as poor:
        place = {"notices": "http://127.0.0.1:1", "listen": "127.0.0.1:1"}
        other = Desk(poor, "zoho", sqlite3.connect(":memory:"), change_owner="true", **place)
        missing = other.connector.missing_permissions(other.asking, ["Demos", "Deals"])
        other.transport.close()
        other.database.close()
    assert missing == [
        "ZohoCRM.coql.READ", "ZohoCRM.modules.Deals.CREATE", "ZohoCRM.modules.Deals.UPDATE",
        "ZohoCRM.modules.Deals.DELETE", "ZohoCRM.notifications.ALL", "ZohoCRM.send_mail.all.CREATE",
        "ZohoCRM.change_owner.CREATE",
    ]  # fmt: skip


def test_what_zoho_says_of_itself_is_what_the_seed_says(desk: Desk) -> None:
    found: ConnectionMetadata = desk.connector.describe(desk.send, ["Demos", "Leads"])
    demos = found.tabs["Demos"].fields
    assert (demos["Name"].mandatory, demos["Name"].max_length, demos["Renkei_Key"].unique) == (True, 120, True)
    assert demos["Status"].values == ("Requested", "Scheduled", "Completed")
    assert demos["Tag"].type == "unknown", "it holds a list, so COQL cannot select it"
    assert (demos["Deal"].refers_to, demos["Modified_Time"].writable) == (("Deals",), False)
    assert {user.id for user in found.users if not user.active} == {"5725767000000010007"}
    assert {team.name for team in found.teams} == {"Sales", "Marketing", "Presales", "Onboarding", "Training"}
    fresh: Connector = type(desk.connector)(ConnectionSettings(connection="zoho", kind="zoho", user=ROBOT), found)
    assert fresh.refuse(desk.command("n", "create", name="Good")) is None
