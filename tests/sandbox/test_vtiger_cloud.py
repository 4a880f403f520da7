"""Vtiger's cloud surface: the vendor's own client works against it unmodified, and its limits are told in headers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from vtiger_cloudsdk_restapi import Client  # type: ignore[import-untyped]  # the vendor gives no types

from sandbox.server import Sandbox
from tests.sandbox.vtiger_seed import SALES

OWNER = "19x2"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        sandbox.vtiger.options["per_minute"] = "100000"
        yield sandbox


@pytest.fixture(scope="module")
def client(cloud: Sandbox) -> Any:
    return Client(cloud.vtiger.url, cloud.vtiger.credentials["username"], cloud.vtiger.credentials["access_key"])


def path(sandbox: Sandbox, operation: str) -> str:
    return f"{sandbox.vtiger.url}/restapi/v1/vtiger/default/{operation}"


def proof(sandbox: Sandbox) -> tuple[str, str]:
    return sandbox.vtiger.credentials["username"], sandbox.vtiger.credentials["access_key"]


def test_the_vendors_client_knows_itself_and_the_modules(client: Any) -> None:
    assert client.myid() == "19x8"
    assert "Project" in client.list_types()["types"]
    assert client.describe("Project")["idPrefix"] == "29"
    assert "Contacts" in client.related_types("Accounts")["types"]


def test_the_vendors_client_writes_and_reads_a_record(client: Any) -> None:
    made = client.create("Contacts", {"lastname": "山本 <& ü>", "assigned_user_id": OWNER})
    assert client.retrieve(made["id"])["lastname"] == "山本 <& ü>"
    assert client.revise({"id": made["id"], "firstname": "Aiko"})["firstname"] == "Aiko"
    whole = {**client.retrieve(made["id"]), "lastname": "Updated"}
    assert client.update(whole)["lastname"] == "Updated"
    assert client.query(f"SELECT lastname FROM Contacts WHERE id = '{made['id']}';")[0]["lastname"] == "Updated"
    assert client.delete(made["id"]) == {"status": "successful"}


def test_the_vendors_client_links_and_unlinks(client: Any) -> None:
    account = client.create("Accounts", {"accountname": "Links AG", "assigned_user_id": OWNER})["id"]
    contact = client.create("Contacts", {"lastname": "Link", "assigned_user_id": OWNER})["id"]
    client.add_related(account, contact, "Contacts")
    assert [row["id"] for row in client.retrieve_related(account, "Contacts", "Contacts")] == [contact]
    rows = client.query_related(account, "Contacts", "SELECT lastname FROM Contacts WHERE lastname='Link'")
    assert [row["lastname"] for row in rows] == ["Link"]
    client.delete_related(account, contact)
    assert client.retrieve_related(account, "Contacts", "Contacts") == []


def test_the_vendors_client_tags(client: Any) -> None:
    record_id = client.create("Contacts", {"lastname": "Tagged", "assigned_user_id": OWNER})["id"]
    client.tags_add(record_id, ["vip", "東京"])
    client.tags_add(record_id, "vip")
    assert client.tags_retrieve(record_id) == ["vip", "東京"]
    client.tags_delete(record_id, ["vip"])
    assert client.tags_retrieve(record_id) == ["東京"]
    client.tags_delete(record_id, [], delete_all=True)
    assert client.tags_retrieve(record_id) == []


def test_the_vendors_client_follows_changes(client: Any, cloud: Sandbox) -> None:
    before = cloud.clock.now() // 1000 - 1
    record_id = client.create("Contacts", {"lastname": "Changed", "assigned_user_id": OWNER})["id"]
    found = client.sync(before, "Contacts", "application")
    assert record_id in [row["id"] for row in found["updated"]]


def test_a_refusal_is_a_400_that_says_why_in_its_status_line(client: Any, cloud: Sandbox) -> None:
    answer = requests.get(path(cloud, "retrieve"), params={"id": "11x999"}, auth=proof(cloud), timeout=10)
    message = "Permission to perform the operation is denied"
    assert (answer.status_code, answer.reason, answer.json()["error"]["message"]) == (400, message, message)
    with pytest.raises(BaseException, match=message):
        client.retrieve("11x999")


def test_a_wrong_key_is_a_401(cloud: Sandbox) -> None:
    answer = requests.get(path(cloud, "me"), auth=("renkei", "wrong"), timeout=10)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "AUTHENTICATION_FAILURE")


def test_limits_are_told_and_kept() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_800_000_000_000)
        sandbox.vtiger.options["per_minute"] = "2"
        sandbox.vtiger.quota.limit = 1_000
        answers = [requests.get(path(sandbox, "me"), auth=proof(sandbox), timeout=10) for _ in range(3)]
        sandbox.clock.advance(60_000)
        next_minute = requests.get(path(sandbox, "me"), auth=proof(sandbox), timeout=10)
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert next_minute.status_code == 200
    told = answers[1].headers
    assert (told["X-FloodControl-Remaining"], told["X-FloodControl-Reset"]) == ("0", "1800000060")
    assert (told["X-RateLimit-DailyLimit"], told["X-RateLimit-Remaining"]) == ("1000", "998")


def test_a_contact_is_found_by_its_mail(client: Any) -> None:
    made = client.create("Contacts", {"lastname": "Found", "email": "found@x.example", "assigned_user_id": OWNER})
    where = json.dumps({"Contacts": ["email"]})
    found = client.api("GET", "/lookup", {"type": "email", "value": "found@x.example", "searchIn": where})
    assert [row["id"] for row in found] == [made["id"]]


def test_the_vendors_client_converts_a_lead() -> None:
    with Sandbox(SALES) as sandbox:
        client: Any = Client(sandbox.vtiger.url, *proof(sandbox))
        lead = client.create("Leads", {"lastname": "山本", "company": "みらい", "assigned_user_id": OWNER})["id"]
        deal = {"potentialname": "First deal", "closingdate": "2027-01-31", "sales_stage": "Prospecting"}
        made = client.convert_lead(lead, deal, {"lastname": "山本"}, {"accountname": "みらい"})
        contact = client.retrieve(made["Contacts"])
        with pytest.raises(BaseException, match="Lead is already converted"):
            client.convert_lead(lead, dict(deal), {"lastname": "山本"}, {"accountname": "みらい"})
        left = client.query(f"SELECT id FROM Leads WHERE id = '{lead}';")
    assert (set(made), contact["account_id"]) == ({"Accounts", "Contacts", "Potentials"}, made["Accounts"])
    assert left == []
