"""Proof of fidelity: the client library ``simple-salesforce`` works against the emulator as it is, over TLS."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

from sandbox.salesforce.tokens import USERNAME, private_key
from tests.sandbox.secured import Secured, secured, session_of

KEY = "Renkei_Key__c"
SEED: dict[str, Any] = {
    "salesforce": {
        "users": [{"id": "0055g0000000001AAA", "name": "佐藤 花子", "email": "sato@example.com"}],
        "tabs": {
            "Account": {"fields": {"Name": {"type": "text", "mandatory": True}, KEY: {"type": "text", "unique": True}}},
            "Contact": {
                "fields": {
                    "LastName": {"type": "text", "mandatory": True, "max_length": 80},
                    "FirstName": {"type": "text", "max_length": 40},
                    "AccountId": {"type": "lookup", "refers_to": ["Account"]},
                    "Level__c": {"type": "picklist", "values": ["A", "B"]},
                    KEY: {"type": "text", "unique": True},
                }
            },
        },
        "records": {"Account": [{"id": "0015g000000001dAAA", "Name": "株式会社みらい"}]},
    }
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder: Path = tmp_path_factory.mktemp("tls")
    with secured(folder, SEED) as running:
        yield running


@pytest.fixture(scope="module")
def session(there: Secured) -> Iterator[requests.Session]:
    with session_of(there) as trusted:
        yield trusted


@pytest.fixture(scope="module")
def client(there: Secured, session: requests.Session) -> Salesforce:
    """Logged in by a signed assertion, as the library itself does it."""
    return Salesforce(
        username=USERNAME, consumer_key=there.crm.credentials["client_id"], privatekey=private_key(), session=session
    )


@pytest.fixture(scope="module")
def contacts(client: Any) -> Any:
    return client.Contact


def first_of(error: Any) -> Any:
    """The first error of an answer, as the library's exception carries it."""
    return error.content[0]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("wrong", [{"username": "stranger@example.com"}, {"consumer_key": "unknown"}])
def test_an_assertion_of_a_stranger_logs_nobody_in(
    there: Secured, session: requests.Session, wrong: dict[str, str]
) -> None:
    known: dict[str, Any] = {"username": USERNAME, "consumer_key": there.crm.credentials["client_id"]}
    with pytest.raises(SalesforceAuthenticationFailed):
        Salesforce(**{**known, **wrong}, privatekey=private_key(), session=session)


def test_client_credentials_and_a_token_at_hand_open_the_same_door(there: Secured, session: requests.Session) -> None:
    form = {"grant_type": "client_credentials", **there.crm.credentials}
    token = session.post(f"{there.url}/services/oauth2/token", data=form).json()["access_token"]
    client: Any = Salesforce(instance_url=there.url, session_id=token, session=session)
    assert client.query("SELECT Name FROM Account")["records"][0]["Name"] == "株式会社みらい"


def test_a_record_is_made_read_changed_found_by_its_key_and_deleted(contacts: Any) -> None:
    made = contacts.create({"LastName": "高橋", KEY: "one"})
    record_id = made["id"]
    assert (made["success"], made["errors"]) == (True, [])
    assert contacts.update(record_id, {"FirstName": "直子 🎌"}) == 204
    assert contacts.upsert(f"{KEY}/two", {"LastName": "Albrecht"}) == 201
    assert contacts.upsert(f"{KEY}/two", {"LastName": "Albrecht-Groß"}) == 200
    read = contacts.get(record_id)
    assert (read["LastName"], read["FirstName"], read["attributes"]["type"]) == ("高橋", "直子 🎌", "Contact")
    by_key = contacts.get_by_custom_id(KEY, "two")
    assert by_key["LastName"] == "Albrecht-Groß"
    assert contacts.delete(record_id) == 204
    with pytest.raises(SalesforceResourceNotFound) as gone:
        contacts.get(record_id)
    assert first_of(gone.value)["errorCode"] == "ENTITY_IS_DELETED"


def test_collections_answer_row_by_row_and_long_answers_come_in_pages(client: Any) -> None:
    rows = [{"attributes": {"type": "Contact"}, "LastName": f"Page {n:03}"} for n in range(200)]
    for _ in range(2):
        made = client.restful("composite/sobjects", method="POST", json={"allOrNone": False, "records": rows})
        assert [row["success"] for row in made] == [True] * 200
    text = "SELECT LastName FROM Contact WHERE LastName LIKE 'Page%' ORDER BY LastName"
    first = client.query(text, headers={"Sforce-Query-Options": "batchSize=200"})
    assert (first["totalSize"], first["done"], len(first["records"])) == (400, False, 200)
    second = client.query_more(first["nextRecordsUrl"], identifier_is_url=True)
    assert (second["done"], len(second["records"])) == (True, 200)
    assert len(client.query_all(text)["records"]) == 400
    bad = client.restful(
        "composite/sobjects", method="POST", json={"records": [{"attributes": {"type": "Contact"}, "Level__c": "C"}]}
    )
    assert bad[0]["errors"][0]["statusCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"


def test_changes_of_a_window_are_listed(client: Any, contacts: Any) -> None:
    kept = contacts.create({"LastName": "Kept"})
    gone = contacts.create({"LastName": "Gone"})
    contacts.delete(gone["id"])
    end = datetime.now(tz=UTC) + timedelta(minutes=1)
    updated = contacts.updated(end - timedelta(minutes=10), end)
    deleted = contacts.deleted(end - timedelta(minutes=10), end)
    assert kept["id"] in updated["ids"]
    assert gone["id"] in [one["id"] for one in deleted["deletedRecords"]]
    assert client.query(f"SELECT IsDeleted FROM Contact WHERE Id = '{gone['id']}'", include_deleted=True)["totalSize"]


def test_metadata_and_limits_are_told(client: Any, contacts: Any) -> None:
    described = contacts.describe()
    everything = client.describe()
    basics = contacts.metadata()
    assert {"LastName", "AccountId", "Level__c"} <= {field["name"] for field in described["fields"]}
    assert "Contact" in [one["name"] for one in everything["sobjects"]]
    assert basics["objectDescribe"]["keyPrefix"] == "003"
    assert client.limits()["DailyApiRequests"]["Max"] == 15_000


def test_the_use_of_the_daily_allocation_is_read_from_every_answer(client: Any) -> None:
    client.query("SELECT Id FROM Account")
    before = client.api_usage["api-usage"]
    client.query("SELECT Id FROM Account")
    after = client.api_usage["api-usage"]
    assert (after.used - before.used, after.total) == (1, 15_000)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"FirstName": "x"}, "REQUIRED_FIELD_MISSING"),
        ({"LastName": "x" * 81}, "STRING_TOO_LONG"),
        ({"LastName": "x", "Level__c": "C"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"LastName": "x", "Nope__c": 1}, "INVALID_FIELD"),
        ({"LastName": "x", KEY: "two"}, "DUPLICATE_VALUE"),
    ],
)
def test_refusals_become_the_exceptions_of_the_library(contacts: Any, fields: dict[str, Any], code: str) -> None:
    contacts.upsert(f"{KEY}/two", {"LastName": "There"})
    with pytest.raises(SalesforceMalformedRequest) as refused:
        contacts.create(fields)
    assert first_of(refused.value)["errorCode"] == code


def test_duplicate_rules_refuse_unless_told_to_save(there: Secured, contacts: Any) -> None:
    there.emulator.matching = {"Contact": "LastName"}
    contacts.create({"LastName": "Twin"})
    with pytest.raises(SalesforceMalformedRequest) as refused:
        contacts.create({"LastName": "Twin"})
    saved = contacts.create({"LastName": "Twin"}, headers={"Sforce-Duplicate-Rule-Header": "allowSave=true"})
    there.emulator.matching = {}
    assert (first_of(refused.value)["errorCode"], saved["success"]) == ("DUPLICATES_DETECTED", True)


def test_an_ended_session_and_a_used_up_day_have_exceptions_of_their_own(
    there: Secured, session: requests.Session
) -> None:
    form = {"grant_type": "client_credentials", **there.crm.credentials}
    token = session.post(f"{there.url}/services/oauth2/token", data=form).json()["access_token"]
    client: Any = Salesforce(instance_url=there.url, session_id=token, session=session)
    limit, there.crm.quota.limit = there.crm.quota.limit, there.crm.quota.used()
    with pytest.raises(SalesforceRefusedRequest) as spent:
        client.query("SELECT Id FROM Account")
    there.crm.quota.limit = limit
    there.emulator.expire()
    with pytest.raises(SalesforceExpiredSession):
        client.query("SELECT Id FROM Account")
    assert first_of(spent.value)["message"].startswith("TotalRequests")
