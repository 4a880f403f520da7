"""Salesforce's dialect over real HTTP (fact sheet of the Salesforce platform APIs)."""

import base64
import time
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.salesforce.ids import full_id, make_id, suffix
from sandbox.salesforce.tokens import USERNAME, private_key
from sandbox.server import Sandbox
from tests.sandbox.clients import SalesforceClient

MIRAI = "0015g000000001dAAA"
SUZUKI = "0055g0000000002AAA"
YAMADA_INACTIVE = "0055g0000000007AAA"
ROBOT = "0055g0000000008AAA"
SALES_QUEUE = "00G5g0000000001EAA"


def contract(**fields: object) -> dict[str, object]:
    return {"AccountId": MIRAI, "Status": "Draft", **fields}


def typed(**fields: object) -> dict[str, object]:
    return {"attributes": {"type": "Contract"}, **contract(**fields)}


def error_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()[0]["errorCode"]


@pytest.mark.parametrize(
    ("short", "check"),
    [("001D000000IqhSL", "IAZ"), ("00D000000000062", "EAA"), ("a0KD0000004TrWE", "MA0")],
)
def test_the_check_characters_of_known_ids_are_right(short: str, check: str) -> None:
    assert suffix(short) == check


@given(number=st.integers(1, 62**5 - 1))
def test_every_made_id_is_its_own_full_form(number: int) -> None:
    made = make_id("800", number)
    assert full_id(made) == made == full_id(made[:15])


def test_client_credentials_may_come_in_a_basic_header(salesforce: SalesforceClient) -> None:
    known = salesforce.crm.credentials
    basic = base64.b64encode(f"{known['client_id']}:{known['client_secret']}".encode()).decode()
    answer = salesforce.session.post(
        f"{salesforce.crm.url}/services/oauth2/token",
        data={"grant_type": "client_credentials"},
        headers={"Authorization": f"Basic {basic}"},
        timeout=10,
    )
    assert answer.status_code == 200
    assert answer.json()["instance_url"] == salesforce.crm.url
    assert answer.json()["issued_at"].isdigit()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "x"}, "invalid_client_id"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_a_failed_login_is_an_object_under_400(
    salesforce: SalesforceClient, change: dict[str, str], error: str
) -> None:
    form = {**salesforce.crm.credentials, "grant_type": "refresh_token", **change}
    answer = salesforce.session.post(f"{salesforce.crm.url}/services/oauth2/token", data=form, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({}, ""),
        ({"aud": "https://evil.example"}, "audience is invalid"),
        ({"exp": 1}, "expired authorization code"),
        ({"exp": 4_000_000_000}, "expired authorization code"),
        ({"sub": "stranger@example.com"}, "user hasn't approved this consumer"),
        ({"iss": "unknown"}, "client identifier invalid"),
    ],
)
def test_a_signed_assertion_is_checked_claim_by_claim(
    salesforce: SalesforceClient, change: dict[str, Any], error: str
) -> None:
    claims = {"iss": salesforce.crm.credentials["client_id"], "sub": USERNAME, "exp": int(time.time()) + 120}
    signed = jwt.encode({"aud": "https://login.salesforce.com", **claims, **change}, private_key(), algorithm="RS256")
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
    answer = salesforce.session.post(f"{salesforce.crm.url}/services/oauth2/token", data=form, timeout=10)
    assert (answer.status_code, answer.json().get("error_description", "")) == (400 if error else 200, error)
    forged = salesforce.session.post(
        f"{salesforce.crm.url}/services/oauth2/token", data={**form, "assertion": signed[:-4] + "AAAA"}, timeout=10
    )
    assert forged.json()["error_description"] == "invalid assertion"


def test_a_session_that_ended_is_an_array_under_401(salesforce: SalesforceClient) -> None:
    answer = salesforce.call("GET", "/limits", headers={"Authorization": "Bearer 00D!gone"})
    assert answer.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]
    assert answer.status_code == 401


def test_versions_need_no_session(salesforce: SalesforceClient) -> None:
    answer = salesforce.call("GET", "/services/data", headers={"Authorization": ""})
    assert {"version": "60.0"}.items() <= answer.json()[1].items()


def test_a_record_lives_from_create_to_delete(salesforce: SalesforceClient) -> None:
    created = salesforce.call("POST", "/sobjects/Contract", contract(StartDate="2026-02-01"))
    path = f"/sobjects/Contract/{created.json()['id']}"
    assert (created.status_code, created.json()["errors"]) == (201, [])
    changed = salesforce.call("PATCH", path, {"Status": "Activated", "StartDate": None})
    assert (changed.status_code, changed.content) == (204, b"")
    record = salesforce.call("GET", path, fields="Status,StartDate,Framework__c,LastModifiedById").json()
    assert record["attributes"]["type"] == "Contract"
    assert (record["Status"], record["StartDate"], record["Framework__c"]) == ("Activated", None, False)
    assert record["LastModifiedById"] == ROBOT
    assert salesforce.call("DELETE", path).status_code == 204
    assert error_of(salesforce.call("GET", path)) == (404, "ENTITY_IS_DELETED")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"AccountId": None}, "REQUIRED_FIELD_MISSING"),
        ({"Status": "Won"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"),
        ({"Nope": 1}, "INVALID_FIELD"),
        ({"SystemModstamp": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"Zoho_Deal_Id__c": "x" * 41}, "STRING_TOO_LONG"),
        ({"StartDate": "31.01.2026"}, "JSON_PARSER_ERROR"),
        ({"AccountId": "abc"}, "MALFORMED_ID"),
        ({"AccountId": "0015g000000009999"[:15]}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"OwnerId": YAMADA_INACTIVE}, "INACTIVE_OWNER_OR_USER"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    salesforce: SalesforceClient, fields: dict[str, object], code: str
) -> None:
    assert error_of(salesforce.call("POST", "/sobjects/Contract", {**contract(), **fields})) == (400, code)


def test_a_15_character_id_is_taken_and_answered_with_18(salesforce: SalesforceClient) -> None:
    created = salesforce.call("POST", "/sobjects/Contract", contract(AccountId=MIRAI[:15], OwnerId=SALES_QUEUE[:15]))
    record = salesforce.call("GET", f"/sobjects/Contract/{created.json()['id'][:15]}").json()
    assert (record["AccountId"], record["OwnerId"]) == (MIRAI, SALES_QUEUE)


def test_an_upsert_by_external_id_creates_once(salesforce: SalesforceClient) -> None:
    path = "/sobjects/Contract/Renkei_Key__c/up%2Fsert"
    first = salesforce.call("PATCH", path, contract())
    second = salesforce.call("PATCH", path, {"Status": "Activated"})
    assert (first.status_code, first.json()["created"]) == (201, True)
    assert (second.status_code, second.json()["created"]) == (200, False)
    assert salesforce.call("GET", path).json()["Id"] == first.json()["id"] == second.json()["id"]


def test_a_duplicate_value_names_the_record_that_has_it(salesforce: SalesforceClient) -> None:
    known = salesforce.call("POST", "/sobjects/Contract", contract(Renkei_Key__c="dup")).json()["id"]
    answer = salesforce.call("POST", "/sobjects/Contract", contract(Renkei_Key__c="DUP"))
    assert error_of(answer) == (400, "DUPLICATE_VALUE")
    assert known in answer.json()[0]["message"]


def test_a_collection_upsert_is_repeatable_and_answers_row_by_row(salesforce: SalesforceClient) -> None:
    body = {"records": [typed(Renkei_Key__c="c1"), typed(Renkei_Key__c="c2", Status="Nope"), typed(Renkei_Key__c="c3")]}
    path = "/composite/sobjects/Contract/Renkei_Key__c"
    first, second = (salesforce.call("PATCH", path, body) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert [row.get("created") for row in first.json()] == [True, None, True]
    assert [row.get("created") for row in second.json()] == [False, None, False]
    assert first.json()[1]["errors"][0]["statusCode"] == "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"
    assert [row.get("id") for row in first.json()] == [row.get("id") for row in second.json()]


def test_all_or_none_undoes_the_good_rows(salesforce: SalesforceClient) -> None:
    before = salesforce.crm.ledger()
    body = {"allOrNone": True, "records": [typed(Renkei_Key__c="an1"), typed(Status="Nope")]}
    rows = salesforce.call("POST", "/composite/sobjects", body).json()
    assert [row["errors"][0]["statusCode"] for row in rows] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
    ]
    assert salesforce.crm.ledger() == before
    assert salesforce.query("SELECT Id FROM Contract WHERE Renkei_Key__c = 'an1'") == []


def test_collections_update_and_delete_by_id(salesforce: SalesforceClient) -> None:
    created = salesforce.call("POST", "/composite/sobjects", {"records": [typed(), typed()]}).json()
    ids = [row["id"] for row in created]
    rows = [{"attributes": {"type": "Contract"}, "id": one, "Framework__c": True} for one in ids]
    updated = salesforce.call("PATCH", "/composite/sobjects", {"records": rows}).json()
    deleted = salesforce.call("DELETE", "/composite/sobjects", ids=",".join([*ids, ids[0]])).json()
    assert [row["success"] for row in updated] == [True, True]
    assert [row["success"] for row in deleted] == [True, True, False]
    assert deleted[2]["errors"][0]["statusCode"] == "ENTITY_IS_DELETED"


def test_more_than_200_rows_are_refused_as_a_whole(salesforce: SalesforceClient) -> None:
    answer = salesforce.call("POST", "/composite/sobjects", {"records": [typed() for _ in range(201)]})
    assert answer.status_code == 400


@pytest.fixture(scope="module")
def dated(salesforce: SalesforceClient) -> None:
    rows: list[dict[str, Any]] = [
        {"Zoho_Deal_Id__c": "s1", "Status": "Activated", "StartDate": "2026-01-31", "Framework__c": True},
        {"Zoho_Deal_Id__c": "s2", "Status": "Draft", "StartDate": "2026-03-01"},
        {"Zoho_Deal_Id__c": "s3", "Status": "Draft"},
    ]
    salesforce.call("POST", "/composite/sobjects", {"records": [typed(**row) for row in rows]})


@pytest.mark.usefixtures("dated")
@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("Status = 'activated'", ["s1"]),
        ("Framework__c = true", ["s1"]),
        ("StartDate = null", ["s3"]),
        ("StartDate != null", ["s1", "s2"]),
        ("StartDate > 2026-02-01", ["s2"]),
        ("NOT Status = 'Draft'", ["s1"]),
        ("(Status = 'Draft' AND StartDate = null) OR StartDate = 2026-01-31", ["s1", "s3"]),
        ("Zoho_Deal_Id__c IN ('s1', 's3')", ["s1", "s3"]),
        ("Zoho_Deal_Id__c NOT IN ('s1', 's3')", ["s2"]),
        ("SystemModstamp >= 2024-01-01T00:00:00Z", ["s1", "s2", "s3"]),
        ("SystemModstamp < 2024-01-01T00:00:00+09:00", []),
        ("Account.Name LIKE '%みらい'", ["s1", "s2", "s3"]),
    ],
)
def test_soql_finds(salesforce: SalesforceClient, where: str, found: list[str]) -> None:
    text = (
        f"SELECT Zoho_Deal_Id__c FROM Contract WHERE Zoho_Deal_Id__c LIKE 's%' AND ({where}) ORDER BY Zoho_Deal_Id__c"
    )
    assert [row["Zoho_Deal_Id__c"] for row in salesforce.query(text)] == found


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT * FROM Contract", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contract WHERE Id = 'a' AND Id = 'b' OR Id = 'c'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contract WHERE SystemModstamp > 'yesterday'", "INVALID_FIELD"),
        ("SELECT Nope FROM Contract", "INVALID_FIELD"),
        ("SELECT Id FROM Nope", "INVALID_TYPE"),
        ("", "MALFORMED_QUERY"),
    ],
)
def test_soql_refuses(salesforce: SalesforceClient, text: str, code: str) -> None:
    assert error_of(salesforce.call("GET", "/query", q=text)) == (400, code)


@pytest.mark.usefixtures("dated")
def test_soql_reads_through_relationships(salesforce: SalesforceClient) -> None:
    [row] = salesforce.query("SELECT Account.Name, Owner.Email FROM Contract WHERE Zoho_Deal_Id__c = 's1'")
    assert (row["Account"]["Name"], row["Owner"]["Email"]) == ("株式会社みらい", "renkei@example.com")
    assert row["Account"]["attributes"]["type"] == "Account"


def test_a_long_answer_comes_in_pages_of_the_asked_size(salesforce: SalesforceClient) -> None:
    rows = [{"attributes": {"type": "Contact"}, "LastName": f"P{n:03}"} for n in range(250)]
    for start in (0, 200):
        salesforce.call("POST", "/composite/sobjects", {"records": rows[start : start + 200]})
    small = {"Sforce-Query-Options": "batchSize=200"}
    first = salesforce.call("GET", "/query", headers=small, q="SELECT LastName FROM Contact ORDER BY LastName").json()
    second = salesforce.call("GET", first["nextRecordsUrl"]).json()
    assert (first["totalSize"], first["done"], second["totalSize"], second["done"]) == (250, False, 250, True)
    assert [len(first["records"]), len(second["records"])] == [200, 50]
    assert error_of(salesforce.call("GET", first["nextRecordsUrl"])) == (400, "INVALID_QUERY_LOCATOR")


def test_count_has_a_size_and_no_records(salesforce: SalesforceClient) -> None:
    answer = salesforce.call("GET", "/query", q="SELECT COUNT() FROM Account").json()
    assert answer == {"totalSize": 2, "done": True, "records": []}


def test_deleted_records_are_only_in_query_all_and_in_the_deleted_list(salesforce: SalesforceClient) -> None:
    gone = salesforce.call("POST", "/sobjects/Contract", contract(Zoho_Deal_Id__c="gone")).json()["id"]
    salesforce.call("DELETE", f"/sobjects/Contract/{gone}")
    text = "SELECT Id, IsDeleted FROM Contract WHERE Zoho_Deal_Id__c = 'gone'"
    everything = salesforce.call("GET", "/queryAll", q=text).json()["records"]
    window = {"start": "2024-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}
    deleted = salesforce.call("GET", "/sobjects/Contract/deleted/", headers=None, **window).json()
    updated = salesforce.call("GET", "/sobjects/Contract/updated/", headers=None, **window).json()
    assert (salesforce.query(text), [row["IsDeleted"] for row in everything]) == ([], [True])
    assert gone in [row["id"] for row in deleted["deletedRecords"]]
    assert gone not in updated["ids"]
    assert updated["latestDateCovered"] == "2099-01-01T00:00:00.000+0000"


def test_describe_tells_types_picklists_references_and_external_ids(salesforce: SalesforceClient) -> None:
    body = salesforce.call("GET", "/sobjects/Contract/describe").json()
    fields = {field["name"]: field for field in body["fields"]}
    assert body["keyPrefix"] == "800"
    assert [option["value"] for option in fields["Status"]["picklistValues"]] == [
        "Draft",
        "In Approval Process",
        "Activated",
    ]
    assert (fields["AccountId"]["type"], fields["AccountId"]["referenceTo"]) == ("reference", ["Account"])
    assert (fields["AccountId"]["nillable"], fields["StartDate"]["nillable"]) == (False, True)
    assert (fields["Renkei_Key__c"]["externalId"], fields["Renkei_Key__c"]["unique"]) == (True, True)
    assert (fields["Framework__c"]["type"], fields["SystemModstamp"]["updateable"]) == ("boolean", False)


def test_the_global_list_has_objects_and_people(salesforce: SalesforceClient) -> None:
    names = {one["name"] for one in salesforce.call("GET", "/sobjects/").json()["sobjects"]}
    assert {"Account", "Contact", "Contract", "User", "Group"} <= names


def test_users_and_queues_are_queried_like_records(salesforce: SalesforceClient) -> None:
    inactive = salesforce.query("SELECT Id, Name, Email FROM User WHERE IsActive = false")
    queues = salesforce.query("SELECT Id, Name FROM Group WHERE Type = 'Queue' ORDER BY Name")
    members = salesforce.query(f"SELECT UserOrGroupId FROM GroupMember WHERE GroupId = '{SALES_QUEUE}'")
    assert [(one["Id"], one["Name"]) for one in inactive] == [(YAMADA_INACTIVE, "山田 太郎")]
    assert [one["Name"] for one in queues] == ["Marketing", "Onboarding", "Presales", "Sales", "Training"]
    assert SUZUKI in [one["UserOrGroupId"] for one in members]


def test_every_answer_tells_the_usage_and_the_allocation_ends_in_403() -> None:
    with Sandbox() as sandbox:
        client = SalesforceClient(sandbox.salesforce)
        sandbox.salesforce.quota.limit = 1
        last = client.call("GET", "/limits")
        refused = client.call("GET", "/limits")
        client.session.close()
    assert last.headers["Sforce-Limit-Info"] == "api-usage=1/1"
    assert error_of(refused) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert refused.json()[0]["message"].startswith("TotalRequests")


def test_a_wrong_address_is_not_found_and_a_wrong_verb_not_allowed(salesforce: SalesforceClient) -> None:
    assert error_of(salesforce.call("GET", "/nope")) == (404, "NOT_FOUND")
    assert error_of(salesforce.call("GET", "/sobjects/Nope/describe")) == (404, "NOT_FOUND")
    assert error_of(salesforce.call("PUT", "/limits")) == (405, "METHOD_NOT_ALLOWED")
