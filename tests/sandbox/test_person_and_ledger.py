"""The person's hand, the ledger, the clock and the mail server."""

import smtplib
from collections.abc import Iterator
from decimal import Decimal
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sandbox.clock import Clock
from sandbox.seed import load_seed
from sandbox.server import Sandbox, SandboxError
from sandbox.store import Actor, Store
from schemas.metadata import ConnectionMetadata, Field, Tab
from schemas.values import Amount
from tests.sandbox.clients import SalesforceClient, VtigerClient, ZohoClient


def test_the_ledger_tells_a_person_from_a_client(sandbox: Sandbox, zoho: ZohoClient) -> None:
    record_id = sandbox.zoho.insert("Deals", {"Deal_Name": "By hand", "Stage": "Negotiation", "Amount": 1.5})
    zoho.call("PUT", "/Deals", {"data": [{"id": record_id, "Stage": "Closed Won"}]})
    person, client = sandbox.zoho.ledger()[-2:]
    assert (person.operation, person.actor) == ("insert", Actor("5725767000000010002"))
    assert (client.operation, client.fields) == ("update", {"Stage": "Closed Won"})
    assert client.actor == Actor("5725767000000010008", zoho.crm.credentials["client_id"])
    assert client.before is not None
    assert client.before.fields["Stage"] == "Negotiation"
    assert client.sequence == person.sequence + 1


def test_a_fraction_by_hand_is_an_exact_decimal(sandbox: Sandbox) -> None:
    record_id = sandbox.zoho.insert("Deals", {"Deal_Name": "Exact", "Stage": "Negotiation", "Amount": 0.1})
    stored = sandbox.zoho.record("Deals", record_id)
    assert stored is not None
    assert stored["Amount"] == Decimal("0.1")
    assert isinstance(stored["Amount"], Amount)


def test_a_persons_edit_is_seen_in_every_dialect_as_the_persons(
    sandbox: Sandbox, salesforce: SalesforceClient, vtiger: VtigerClient
) -> None:
    account = sandbox.salesforce.insert("Account", {"Name": "Hand"}, user="0055g0000000003AAA")
    project = sandbox.vtiger.insert("Project", {"projectname": "Hand"})
    row = salesforce.call("GET", f"/sobjects/Account/{account}", fields="LastModifiedById,OwnerId").json()
    record = vtiger.get("retrieve", id=project)["result"]
    assert (row["LastModifiedById"], row["OwnerId"]) == ("0055g0000000003AAA", "0055g0000000003AAA")
    assert (record["modifiedby"], record["source"], record["assigned_user_id"]) == ("19x2", "CRM", "19x2")


@pytest.mark.parametrize(
    ("tab", "fields", "words"),
    [
        ("Dael", {}, "no tab 'Dael'"),
        ("Deals", {"Stgae": "x"}, "no field 'Stgae'"),
    ],
)
def test_a_slip_of_the_hand_says_what_there_is(sandbox: Sandbox, tab: str, fields: dict[str, str], words: str) -> None:
    with pytest.raises(SandboxError, match=words):
        sandbox.zoho.insert(tab, fields)


def test_a_unique_value_is_unique_by_hand_too(sandbox: Sandbox) -> None:
    sandbox.vtiger.insert("Project", {"projectname": "a", "cf_renkei_key": "hand"})
    with pytest.raises(SandboxError, match="is unique"):
        sandbox.vtiger.insert("Project", {"projectname": "b", "cf_renkei_key": "HAND"})


def test_a_deleted_record_comes_back_by_hand(sandbox: Sandbox) -> None:
    record_id = sandbox.zoho.insert("Demos", {"Name": "Back", "Renkei_Key": "back"})
    sandbox.zoho.delete("Demos", record_id)
    assert sandbox.zoho.record("Demos", record_id) is None
    sandbox.zoho.restore("Demos", record_id)
    assert sandbox.zoho.record("Demos", record_id) is not None


def test_a_seed_with_a_misspelled_key_is_refused_with_its_place() -> None:
    with pytest.raises(ValidationError, match=r"zoho.tabs.Deals.fields.Stage.vlaues"):
        load_seed({"zoho": {"tabs": {"Deals": {"fields": {"Stage": {"type": "picklist", "vlaues": []}}}}}})


CHANGES = st.lists(st.tuples(st.sampled_from("idu"), st.integers(0, 4), st.integers(0, 3)), max_size=20)
METADATA = ConnectionMetadata(
    connection="x", tabs={"T": Tab(name="T", fields={"k": Field(name="k", type="text", unique=True)})}
)


def apply(store: Store, changes: list[tuple[str, int, int]]) -> None:
    for kind, number, value in changes:
        name, fields = str(number), {"k": f"v{number}-{value}"}
        present = store.row("T", name) is not None
        if kind == "i" and store.any_row("T", name) is None:
            store.insert("T", fields, Actor("u"), name)
        elif kind == "u" and present:
            store.update("T", name, fields, Actor("u"))
        elif kind == "d" and present:
            store.delete("T", name, Actor("u"))


@given(before=CHANGES, undone=CHANGES)
def test_a_rollback_leaves_the_store_as_if_nothing_had_been(
    before: list[tuple[str, int, int]], undone: list[tuple[str, int, int]]
) -> None:
    clock = Clock()
    clock.set(1_000)
    store = Store(METADATA, clock, lambda tab, number: str(number))
    apply(store, before)
    rows, ledger = store.all_rows("T"), store.ledger()
    apply(store, undone)
    store.rollback(len(ledger))
    assert (store.all_rows("T"), store.ledger()) == (rows, ledger)
    assert [store.holder("T", "k", row.fields["k"]) for row in rows if row.live] == [row for row in rows if row.live]


@given(changes=CHANGES, cut=st.integers(0, 20))
def test_modified_times_rise_and_changes_since_any_moment_are_complete(
    changes: list[tuple[str, int, int]], cut: int
) -> None:
    clock = Clock()
    clock.set(1_000)
    store = Store(METADATA, clock, lambda tab, number: str(number))
    apply(store, changes)
    times = [effect.at for effect in store.ledger()]
    assert times == sorted(set(times))
    expected = [row for row in store.all_rows("T") if row.modified_at > 1_000 + cut]
    assert store.changed_since("T", 1_000 + cut) == expected


@pytest.fixture
def smtp(sandbox: Sandbox) -> Iterator[smtplib.SMTP]:
    sandbox.mail.clear()
    with smtplib.SMTP(sandbox.mail.host, sandbox.mail.port, timeout=10) as client:
        yield client


def letter(to: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "renkei@example.com", to, "導入開始"
    message.set_content("佐藤様、よろしくお願いします。")
    return message


def test_an_accepted_mail_is_kept_decoded(sandbox: Sandbox, smtp: smtplib.SMTP) -> None:
    smtp.send_message(letter("sato@example.com"))
    [mail] = sandbox.mail.messages()
    assert (mail.recipients, mail.subject) == (("sato@example.com",), "導入開始")
    assert "佐藤様" in mail.text


def test_a_refused_recipient_is_a_550(sandbox: Sandbox, smtp: smtplib.SMTP) -> None:
    sandbox.mail.faults.refused.add("nobody@example.com")
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        smtp.send_message(letter("nobody@example.com"))
    assert sandbox.mail.messages() == ()


def test_a_lost_answer_after_the_mail_leaves_the_mail(sandbox: Sandbox) -> None:
    sandbox.mail.clear()
    sandbox.mail.faults.lost_answers = 1
    client = smtplib.SMTP(sandbox.mail.host, sandbox.mail.port, timeout=10)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.send_message(letter("sato@example.com"))
    client.close()
    assert len(sandbox.mail.messages()) == 1


def test_a_busy_mail_server_says_451_and_keeps_nothing(sandbox: Sandbox, smtp: smtplib.SMTP) -> None:
    sandbox.mail.faults.busy = 1
    with pytest.raises(smtplib.SMTPDataError, match="451"):
        smtp.send_message(letter("sato@example.com"))
    assert sandbox.mail.messages() == ()
