"""Vtiger's dialect over real HTTP (fact sheet and recordings of 8.4.0)."""

import json
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.sandbox.clients import VtigerClient

OWNER = "19x2"
MIRAI = "11x101"


def error_of(answer: Any) -> Any:
    assert answer["success"] is False
    return answer["error"]["code"]


def test_a_second_challenge_ends_the_first(vtiger: VtigerClient) -> None:
    user = vtiger.crm.credentials["username"]
    first = vtiger.raw("GET", operation="getchallenge", username=user).json()["result"]
    second = vtiger.raw("GET", operation="getchallenge", username=user.upper()).json()["result"]
    assert first["token"] != second["token"]
    assert second["expireTime"] - second["serverTime"] == 300


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"operation": "getchallenge"}, "ACCESS_DENIED"),
        ({"operation": "getchallenge", "username": "nobody"}, "ACCESS_DENIED"),
        ({"operation": "retrieve", "id": "11x101"}, "AUTHENTICATION_REQUIRED"),
        ({"operation": "retrieve", "id": "11x101", "sessionName": "deadbeef"}, "INVALID_SESSIONID"),
    ],
)
def test_a_call_without_a_login_is_refused_under_200(
    vtiger: VtigerClient, parameters: dict[str, str], code: str
) -> None:
    answer = vtiger.raw("GET", **parameters)
    assert (answer.status_code, error_of(answer.json())) == (200, code)


def test_a_wrong_key_is_a_refusal_and_a_missing_challenge_another(vtiger: VtigerClient) -> None:
    user = vtiger.crm.credentials["username"]
    never = vtiger.raw("POST", operation="login", username="sato", accessKey="x").json()
    vtiger.raw("GET", operation="getchallenge", username=user)
    wrong = vtiger.raw("POST", operation="login", username=user, accessKey="x").json()
    assert (error_of(never), error_of(wrong)) == ("INVALID_AUTH_TOKEN", "INVALID_USER_CREDENTIALS")


def test_an_idle_session_ends_once_and_is_then_unknown() -> None:
    with Sandbox() as sandbox:
        client = VtigerClient(sandbox.vtiger)
        sandbox.clock.advance(30 * 60_000)
        codes = [error_of(client.get("listtypes")) for _ in range(2)]
        client.session.close()
    assert codes == ["SESSION_LEFT_IDLE", "INVALID_SESSIONID"]


def test_a_created_record_comes_back_as_strings(vtiger: VtigerClient) -> None:
    record = vtiger.create("Project", projectname="P1", startdate="2026-02-01", assigned_user_id=OWNER)
    assert all(value is None or isinstance(value, str) for value in record.values())
    assert record["id"].startswith("29x")
    assert (record["label"], record["source"], record["modifiedby"]) == ("P1", "WEBSERVICE", "19x8")
    assert (record["linktoaccountscontacts"], record["cf_origin_deal"]) == (None, "")
    assert vtiger.get("retrieve", id=record["id"])["result"] == record


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"projectname": "x"}, "MANDATORY_FIELDS_MISSING"),
        ({"projectname": "", "assigned_user_id": OWNER}, "MANDATORY_FIELDS_MISSING"),
        ({"projectname": "x", "assigned_user_id": "admin"}, "INVALID_ID_ATTRIBUTE"),
        ({"projectname": "x", "assigned_user_id": OWNER, "linktoaccountscontacts": "29x1"}, "REFERENCE_INVALID"),
        ({"projectname": "x", "assigned_user_id": OWNER, "linktoaccountscontacts": "abc"}, "INVALID_ID_ATTRIBUTE"),
    ],
)
def test_a_create_that_lacks_something_is_refused(vtiger: VtigerClient, fields: dict[str, str], code: str) -> None:
    assert error_of(vtiger.post("create", elementType="Project", element=json.dumps(fields))) == code


def test_a_reference_to_a_missing_record_is_silently_dropped(vtiger: VtigerClient) -> None:
    kept = vtiger.create("Contacts", lastname="A", account_id=MIRAI, assigned_user_id=OWNER)
    dropped = vtiger.create("Contacts", lastname="B", account_id="11x9999", assigned_user_id=OWNER)
    assert (kept["account_id"], dropped["account_id"]) == (MIRAI, None)


def test_a_unique_value_is_a_duplicate_with_the_number_zero(vtiger: VtigerClient) -> None:
    vtiger.create("Project", projectname="U", cf_renkei_key="u1", assigned_user_id=OWNER)
    element = json.dumps({"projectname": "U", "cf_renkei_key": "U1", "assigned_user_id": OWNER})
    answer = vtiger.post("create", elementType="Project", element=element)
    assert answer["error"] == {"code": 0, "message": "Duplicate(s) detected!"}


def test_a_double_agrees_in_every_unique_field(vtiger: VtigerClient) -> None:
    def add(name: str, key: str) -> Any:
        element = json.dumps({"accountname": name, "cf_renkei_key": key, "assigned_user_id": OWNER})
        return vtiger.post("create", elementType="Accounts", element=element)

    first = add("Twin AG", "k1")["result"]["id"]
    second = add("Twin AG", "k2")["result"]["id"]
    assert add("twin ag", "K2")["error"]["code"] == 0
    vtiger.post("delete", id=first)
    assert add("Twin AG", "k1")["success"]
    revised = vtiger.post("revise", element=json.dumps({"id": second, "cf_renkei_key": "k1"}))
    assert revised["error"] == {"code": 0, "message": "Duplicate(s) detected!"}


def test_revise_overlays_and_update_wants_all_mandatory_fields(vtiger: VtigerClient) -> None:
    record = vtiger.create("Project", projectname="Old", projectstatus="initiated", assigned_user_id=OWNER)
    revised = vtiger.post("revise", element=json.dumps({"id": record["id"], "projectname": "New"}))["result"]
    updated = vtiger.post("update", element=json.dumps({"id": record["id"], "projectname": "Newer"}))
    assert (revised["projectname"], revised["projectstatus"]) == ("New", "initiated")
    assert error_of(updated) == "MANDATORY_FIELDS_MISSING"


def test_a_deleted_record_is_denied_ever_after(vtiger: VtigerClient) -> None:
    record_id = vtiger.create("Project", projectname="Gone", assigned_user_id=OWNER)["id"]
    assert vtiger.post("delete", id=record_id)["result"] == {"status": "successful"}
    assert error_of(vtiger.post("delete", id=record_id)) == "ACCESS_DENIED"
    assert error_of(vtiger.get("retrieve", id=record_id)) == "ACCESS_DENIED"


def test_parameters_count_only_where_the_operation_reads_them(vtiger: VtigerClient) -> None:
    element = json.dumps({"projectname": "By GET", "assigned_user_id": OWNER})
    assert error_of(vtiger.get("create", elementType="Project", element=element)) == "ACCESS_DENIED"
    assert error_of(vtiger.post("query", query="select id from Project;")) == "ACCESS_DENIED"


@pytest.mark.parametrize(
    "parameters",
    [
        {"operation": "frobnicate"},
        {"operation": "create", "elementType": "Project"},
        {"operation": "create", "elementType": "Project", "element": "null"},
    ],
)
def test_what_vtiger_does_not_catch_is_an_empty_500(vtiger: VtigerClient, parameters: dict[str, str]) -> None:
    answer = vtiger.raw("POST", sessionName=vtiger.name, **parameters)
    assert (answer.status_code, answer.content) == (500, b"")


@pytest.fixture(scope="module")
def contacts(vtiger: VtigerClient) -> list[str]:
    names = [("Ada", "Lovelace"), ("Bo", "O'Brien"), ("Chi", "山本"), ("Dee", "")]
    rows = (
        vtiger.create("Contacts", lastname=f"q {last}", firstname=first, assigned_user_id=OWNER)
        for first, last in names
    )
    return [row["id"] for row in rows]


@pytest.mark.usefixtures("contacts")
@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("firstname = 'ada'", "Ada"),
        ("lastname = 'q O''Brien'", "Bo"),
        ("lastname = 'q 山本'", "Chi"),
        ("firstname in ('Ada','Dee')", "AdaDee"),
        ("firstname != 'Ada' and lastname like 'q %'", "BoChiDee"),
        ("firstname = 'Ada' or firstname = 'Bo' and lastname = 'Nope'", "Ada"),
        ("modifiedtime >= '2024-01-01 00:00:00' and lastname like 'q %'", "AdaBoChiDee"),
        (f"assigned_user_id = '{OWNER}' and lastname like 'q %'", "AdaBoChiDee"),
        ("assigned_user_id = '19x1'", ""),
        ("id = '11x101'", ""),
    ],
)
def test_vtql_finds(vtiger: VtigerClient, where: str, found: str) -> None:
    answer = vtiger.query(f"select firstname from Contacts where {where} order by firstname;")
    assert "".join(row["firstname"] for row in answer["result"]) == found


def test_vtql_gives_at_most_100_rows_and_pages_by_offset(vtiger: VtigerClient) -> None:
    for number in range(103):
        vtiger.crm.insert("Accounts", {"accountname": f"Page {number:03}"})
    text = "select accountname from Accounts where accountname like 'Page%' order by accountname limit {};"
    pages = [vtiger.query(text.format(limit))["result"] for limit in ("0, 500", "100, 100")]
    assert [len(page) for page in pages] == [100, 3]
    assert set(pages[0][0]) == {"accountname", "id"}


def test_users_and_groups_are_queried_like_records(vtiger: VtigerClient) -> None:
    inactive = vtiger.query("select id,last_name,email1 from Users where status = 'Inactive';")["result"]
    groups = vtiger.query("select id,groupname from Groups;")["result"]
    assert inactive == [{"id": "19x7", "last_name": "山田 太郎", "email1": "yamada@example.com"}]
    assert [one["groupname"] for one in groups] == ["Marketing", "Onboarding", "Presales", "Sales", "Training"]


def test_describe_and_listtypes_tell_modules_in_vtigers_words(vtiger: VtigerClient) -> None:
    types = vtiger.get("listtypes", fieldTypeList="null")["result"]
    body = vtiger.get("describe", elementType="Project")["result"]
    fields = {field["name"]: field for field in body["fields"]}
    assert types["information"]["Groups"]["isEntity"] is False
    assert (body["idPrefix"], body["isEntity"], body["labelFields"]) == ("29", True, "projectname")
    assert fields["projectstatus"]["type"]["picklistValues"][1] == {"label": "initiated", "value": "initiated"}
    assert fields["linktoaccountscontacts"]["type"] == {"name": "reference", "refersTo": ["Accounts", "Contacts"]}
    assert (fields["assigned_user_id"]["mandatory"], fields["cf_renkei_key"]["isunique"]) == (True, True)
    assert vtiger.get("relatedtypes", elementType="Accounts")["result"]["types"] == [
        "Contacts", "Project", "Calendar",
    ]  # fmt: skip


def test_sync_tells_changes_after_a_second_and_deleted_ids() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_800_000_000_000)
        client = VtigerClient(sandbox.vtiger)
        early = client.create("Project", projectname="Early", assigned_user_id=OWNER)["id"]
        sandbox.clock.advance(1_000)
        late = client.create("Project", projectname="Late", assigned_user_id=OWNER)["id"]
        client.post("delete", id=early)
        asked = {"elementType": "Project", "syncType": "application"}
        result = client.get("sync", modifiedTime="1800000000", **asked)["result"]
        nothing = client.get("sync", modifiedTime="1800000001", **asked)["result"]
        client.session.close()
    assert ([row["id"] for row in result["updated"]], result["deleted"]) == ([late], [early])
    assert (result["lastModifiedTime"], result["more"]) == (1_800_000_001, False)
    assert nothing == {"updated": [], "deleted": [], "more": False, "lastModifiedTime": 1_800_000_001}


def test_a_sync_page_takes_all_rows_of_its_last_second() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_800_000_000_000)
        for number in range(130):
            if number == 120:
                sandbox.clock.advance(5_000)
            sandbox.vtiger.insert("Project", {"projectname": f"P{number}"})
        client = VtigerClient(sandbox.vtiger)
        asked = {"elementType": "Project", "syncType": "application"}
        first = client.get("sync", modifiedTime="1", **asked)["result"]
        second = client.get("sync", modifiedTime=str(first["lastModifiedTime"]), **asked)["result"]
        client.session.close()
    assert [(len(page["updated"]), page["more"]) for page in (first, second)] == [(120, True), (10, False)]
