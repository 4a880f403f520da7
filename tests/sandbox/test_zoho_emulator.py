"""Zoho's dialect over real HTTP (fact sheet of Zoho CRM v8)."""

from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.sandbox.clients import ZohoClient

MIRAI = "5725767000000050001"
SUZUKI = "5725767000000010002"
YAMADA_INACTIVE = "5725767000000010007"
ROBOT = "5725767000000010008"
NOBODY = "5725767000000999999"


def deal(name: str, **fields: object) -> dict[str, object]:
    return {"Deal_Name": name, "Stage": "Qualification", **fields}


def test_a_wrong_refresh_token_is_told_in_the_body_of_a_200(zoho: ZohoClient) -> None:
    form = {**zoho.crm.credentials, "refresh_token": "1000.other", "grant_type": "refresh_token"}
    answer = zoho.session.post(f"{zoho.crm.url}/oauth/v2/token", data=form, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_code"})


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "AUTHENTICATION_FAILURE"),
        ("Bearer x", "AUTHENTICATION_FAILURE"),
        ("Zoho-oauthtoken 1000.x", "INVALID_TOKEN"),
    ],
)
def test_a_call_without_a_valid_token_is_a_401(zoho: ZohoClient, header: str, code: str) -> None:
    answer = zoho.call("GET", "/Deals", headers={"Authorization": header}, fields="Deal_Name")
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_an_eleventh_token_within_ten_minutes_deletes_the_oldest() -> None:
    with Sandbox() as sandbox:
        oldest = ZohoClient(sandbox.zoho)
        others = [ZohoClient(sandbox.zoho) for _ in range(10)]
        statuses = [one.call("GET", "/users").status_code for one in (oldest, others[0], others[-1])]
        for client in (oldest, *others):
            client.session.close()
        assert statuses == [401, 200, 200]


def test_an_inserted_deal_is_read_back_with_its_lookup_its_owner_and_local_times(zoho: ZohoClient) -> None:
    [record_id] = zoho.insert("Deals", deal("Read back", Amount=100.5, Account_Name={"id": MIRAI}))
    row = zoho.call("GET", f"/Deals/{record_id}").json()["data"][0]
    assert row["Account_Name"] == {"id": MIRAI, "name": "株式会社みらい"}
    assert row["Owner"] == {"id": ROBOT, "name": "Renkei Integration", "email": "renkei@example.com"}
    assert row["Amount"] == 100.5
    assert row["Modified_Time"].endswith("+09:00")
    assert row["Closing_Date"] is None


def test_rows_of_a_mixed_batch_have_their_own_results_under_207(zoho: ZohoClient) -> None:
    answer = zoho.call("POST", "/Deals", {"data": [deal("Good"), {"Deal_Name": "No stage"}]})
    good, bad = answer.json()["data"]
    assert answer.status_code == 207
    assert (good["code"], good["message"]) == ("SUCCESS", "record added")
    assert bad["code"] == "MANDATORY_NOT_FOUND"
    assert bad["details"] == {"api_name": "Stage", "json_path": "$.data[1].Stage"}


def test_a_batch_of_which_all_failed_is_a_400(zoho: ZohoClient) -> None:
    assert zoho.call("POST", "/Deals", {"data": [{"Deal_Name": "x"}]}).status_code == 400


def test_more_than_a_hundred_rows_are_refused_as_a_whole(zoho: ZohoClient) -> None:
    before = len(zoho.crm.ledger())
    answer = zoho.call("POST", "/Deals", {"data": [deal(f"D{n}") for n in range(101)]})
    assert (answer.status_code, answer.json()["code"]) == (400, "LIMIT_EXCEEDED")
    assert len(zoho.crm.ledger()) == before


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        ({"Stage": "Won"}, {"expected_data_type": "picklist", "api_name": "Stage"}),
        ({"Amount": "much"}, {"expected_data_type": "double", "api_name": "Amount"}),
        ({"Closing_Date": "31.01.2026"}, {"expected_data_type": "date", "api_name": "Closing_Date"}),
        ({"Deal_Name": "x" * 121}, {"maximum_length": 120, "api_name": "Deal_Name"}),
        ({"Account_Name": {"id": NOBODY}}, {"api_name": "Account_Name"}),
        ({"Owner": {"id": YAMADA_INACTIVE}}, {"api_name": "Owner"}),
    ],
)
def test_a_value_that_does_not_fit_is_invalid(
    zoho: ZohoClient, fields: dict[str, object], detail: dict[str, object]
) -> None:
    [row] = zoho.call("POST", "/Deals", {"data": [{**deal("Bad value"), **fields}]}).json()["data"]
    assert row["code"] == "INVALID_DATA"
    assert detail.items() <= row["details"].items()


def test_a_repeated_upsert_by_a_unique_key_updates_the_first_record(zoho: ZohoClient) -> None:
    body = {"data": [deal("Once", Renkei_Key="k-once")], "duplicate_check_fields": ["Renkei_Key"], "trigger": []}
    first, second = (zoho.call("POST", "/Deals/upsert", body).json()["data"][0] for _ in range(2))
    assert (first["action"], first["duplicate_field"]) == ("insert", None)
    assert (second["action"], second["duplicate_field"]) == ("update", "Renkei_Key")
    assert first["details"]["id"] == second["details"]["id"]


def test_a_repeated_insert_of_a_unique_key_names_the_existing_record(zoho: ZohoClient) -> None:
    [record_id] = zoho.insert("Deals", deal("Unique", Renkei_Key="k-unique"))
    answer = zoho.call("POST", "/Deals", {"data": [deal("Again", Renkei_Key="K-UNIQUE")]})
    row = answer.json()["data"][0]
    assert (answer.status_code, row["code"], row["details"]["id"]) == (400, "DUPLICATE_DATA", record_id)


def test_an_update_overlays_fields_and_null_clears(zoho: ZohoClient) -> None:
    [record_id] = zoho.insert("Deals", deal("Before", Amount=1, Project_Link="x"))
    answer = zoho.call("PUT", "/Deals", {"data": [{"id": record_id, "Amount": 2, "Project_Link": None}]})
    assert (answer.status_code, answer.json()["data"][0]["message"]) == (200, "record updated")
    stored = zoho.crm.record("Deals", record_id)
    assert stored is not None
    assert (stored["Deal_Name"], stored["Amount"], stored["Project_Link"]) == ("Before", 2, None)


def test_a_write_under_an_old_modified_time_is_a_412() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_800_000_000_000)
        zoho = ZohoClient(sandbox.zoho)
        [record_id] = zoho.insert("Deals", deal("Contended"))
        seen = zoho.call("GET", f"/Deals/{record_id}").json()["data"][0]["Modified_Time"]
        sandbox.clock.advance(5_000)
        sandbox.zoho.update("Deals", record_id, {"Amount": 5})
        answer = zoho.call("PUT", f"/Deals/{record_id}", {"data": [{"Amount": 6}]}, {"If-Unmodified-Since": seen})
        zoho.session.close()
    assert (answer.status_code, answer.json()["data"][0]["code"]) == (412, "ALREADY_MODIFIED")


def test_a_list_needs_fields(zoho: ZohoClient) -> None:
    answer = zoho.call("GET", "/Deals")
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUIRED_PARAM_MISSING")
    assert answer.json()["details"] == {"param_name": "fields"}


def test_a_list_is_paged_by_token_and_ends(zoho: ZohoClient) -> None:
    names = [f"Study {n}" for n in range(7)]
    zoho.insert("Case_Studies", *({"Name": name} for name in names))
    asked: dict[str, Any] = {"fields": "Name", "per_page": 3, "sort_by": "id", "sort_order": "asc"}
    seen, page = [], zoho.call("GET", "/Case_Studies", **asked).json()
    while True:
        seen += [row["Name"] for row in page["data"]]
        if not page["info"]["more_records"]:
            break
        page = zoho.call("GET", "/Case_Studies", **asked, page_token=page["info"]["next_page_token"]).json()
    assert seen == names


def test_a_page_token_is_bound_to_its_parameters(zoho: ZohoClient) -> None:
    zoho.insert("Demos", *({"Name": f"Demo {n}"} for n in range(3)))
    token = zoho.call("GET", "/Demos", fields="Name", per_page=1).json()["info"]["next_page_token"]
    answer = zoho.call("GET", "/Demos", fields="Name,Status", per_page=1, page_token=token)
    assert (answer.status_code, answer.json()["code"]) == (400, "TOKEN_BOUND_DATA_MISMATCH")


def test_an_empty_list_is_a_204_without_a_body(zoho: ZohoClient) -> None:
    answer = zoho.call("GET", "/Training", fields="Name")
    assert (answer.status_code, answer.content) == (204, b"")


def test_only_what_changed_since_is_listed_and_304_when_nothing_did() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_900_000_000_000)
        zoho = ZohoClient(sandbox.zoho)
        zoho.insert("Deals", deal("Old"))
        since = {"If-Modified-Since": "2030-03-18T02:46:40+09:00"}
        nothing = zoho.call("GET", "/Deals", headers=since, fields="Deal_Name")
        sandbox.clock.advance(1_000)
        zoho.insert("Deals", deal("New"))
        something = zoho.call("GET", "/Deals", headers=since, fields="Deal_Name")
        zoho.session.close()
    assert nothing.status_code == 304
    assert [row["Deal_Name"] for row in something.json()["data"]] == ["New"]


def test_deleted_records_are_listed_with_who_and_when(zoho: ZohoClient, sandbox: Sandbox) -> None:
    record_id = sandbox.zoho.insert("Feedback", {"Name": "Away"})
    assert zoho.call("DELETE", "/Feedback", ids=record_id).json()["data"][0]["message"] == "record deleted"
    [row] = zoho.call("GET", "/Feedback/deleted", type="all").json()["data"]
    assert (row["id"], row["display_name"], row["type"]) == (record_id, "Away", "recycle")
    assert (row["deleted_by"]["id"], row["created_by"]["id"]) == (ROBOT, SUZUKI)
    assert zoho.call("GET", f"/Feedback/{record_id}").status_code == 204


def test_deleting_twice_is_an_error_of_the_row(zoho: ZohoClient, sandbox: Sandbox) -> None:
    record_id = sandbox.zoho.insert("Feedback", {"Name": "Twice"})
    statuses = [zoho.call("DELETE", f"/Feedback/{record_id}").status_code for _ in range(2)]
    assert statuses == [200, 400]


@pytest.fixture(scope="module")
def onboardings(zoho: ZohoClient) -> None:
    rows = [("A", "Not Started"), ("B", "In Progress"), ("C", "Completed"), ("D", None)]
    zoho.insert("Onboarding", *({"Name": name, "Status": status} for name, status in rows))


@pytest.mark.usefixtures("onboardings")
@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("id is not null", "ABCD"),
        ("Status = 'completed'", "C"),
        ("Status != 'Completed'", "ABD"),
        ("Status is null", "D"),
        ("Status is not null and Name != 'A'", "BC"),
        ("Status in ('Completed', 'In Progress')", "BC"),
        ("Status not in ('Completed', 'In Progress')", "AD"),
        ("Name like '%b%'", "B"),
        ("((Name = 'A' or Name = 'B') and Status = 'In Progress')", "B"),
        ("Modified_Time >= '2024-06-05T02:04:09-07:00'", "ABCD"),
        ("Modified_Time < '2024-06-05T02:04:09-07:00'", ""),
        (f"Owner = '{ROBOT}'", "ABCD"),
        ("Owner.email = 'renkei@example.com'", "ABCD"),
    ],
)
def test_coql_finds(zoho: ZohoClient, where: str, names: str) -> None:
    answer = zoho.coql(f"select Name from Onboarding where {where} order by Name asc limit 0, 200")
    found = "".join(row["Name"] for row in answer.json()["data"]) if answer.status_code == 200 else ""
    assert (answer.status_code, found) == (200 if names else 204, names)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("select Name from Onboarding", "SYNTAX_ERROR"),
        ("select * from Onboarding where id is not null", "SYNTAX_ERROR"),
        ("select Name from Onboarding where Name = 'a' and Name = 'b' and Name = 'c'", "SYNTAX_ERROR"),
        ("select Nope from Onboarding where id is not null", "INVALID_QUERY"),
        ("select Name from Onboarding where Name > 'a'", "INVALID_QUERY"),
        ("select Name from Onboarding where Modified_Time > 'yesterday'", "INVALID_QUERY"),
        ("select Name from Nope where id is not null", "INVALID_MODULE"),
        ("select Name from Onboarding where id is not null limit 2001", "LIMIT_EXCEEDED"),
    ],
)
def test_coql_refuses(zoho: ZohoClient, query: str, code: str) -> None:
    answer = zoho.coql(query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.usefixtures("onboardings")
def test_coql_pages_by_offset_and_says_whether_there_is_more(zoho: ZohoClient) -> None:
    pages = [zoho.coql(f"select Name from Onboarding where id is not null order by Name limit {n}, 3") for n in (0, 3)]
    assert [[row["Name"] for row in page.json()["data"]] for page in pages] == [["A", "B", "C"], ["D"]]
    assert [page.json()["info"] for page in pages] == [
        {"count": 3, "more_records": True},
        {"count": 1, "more_records": False},
    ]


def test_settings_describe_modules_and_fields_in_zohos_words(zoho: ZohoClient) -> None:
    modules = {entry["api_name"]: entry for entry in zoho.call("GET", "/settings/modules").json()["modules"]}
    fields = {f["api_name"]: f for f in zoho.call("GET", "/settings/fields", module="Deals").json()["fields"]}
    assert (modules["Deals"]["generated_type"], modules["Demos"]["generated_type"]) == ("default", "custom")
    assert fields["Stage"]["data_type"] == "picklist"
    assert [o["actual_value"] for o in fields["Stage"]["pick_list_values"]][2] == "Closed Won"
    assert fields["Account_Name"]["lookup"]["module"]["api_name"] == "Accounts"
    assert fields["Renkei_Key"]["unique"] == {"case_sensitive": "false"}
    assert (fields["Modified_Time"]["read_only"], fields["Owner"]["data_type"]) == (True, "ownerlookup")


def test_users_are_listed_by_type(zoho: ZohoClient) -> None:
    names = {kind: len(zoho.call("GET", "/users", type=kind).json()["users"]) for kind in ("AllUsers", "ActiveUsers")}
    assert names == {"AllUsers": 8, "ActiveUsers": 7}
    assert zoho.call("GET", "/users", type="CurrentUser").json()["users"][0]["id"] == ROBOT


def test_groups_name_their_members(zoho: ZohoClient) -> None:
    groups = {group["name"]: group for group in zoho.call("GET", "/settings/user_groups").json()["user_groups"]}
    assert [source["source"]["id"] for source in groups["Presales"]["sources"]] == ["5725767000000010004"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/Nope?fields=Name", 400, "INVALID_MODULE"),
        ("GET", "/Deals/abc", 400, "INVALID_DATA"),
        ("PATCH", "/Deals", 400, "INVALID_REQUEST_METHOD"),
        ("GET", "/Deals/1/2/3/4", 404, "INVALID_URL_PATTERN"),
        ("GET", "/Deals?fields=Name&page=11", 400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED"),
    ],
)
def test_a_wrong_address_is_refused(zoho: ZohoClient, method: str, path: str, status: int, code: str) -> None:
    answer = zoho.call(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_credits_are_told_from_the_half_and_end_in_429() -> None:
    with Sandbox() as sandbox:
        sandbox.clock.set(1_800_000_000_000)
        zoho = ZohoClient(sandbox.zoho)
        sandbox.zoho.quota.limit = 12
        quiet = zoho.call("GET", "/users")
        loud = zoho.call("POST", "/Deals", {"data": [deal(f"D{n}") for n in range(100)]})
        refused = zoho.call("POST", "/Deals", {"data": [deal(f"D{n}") for n in range(20)]})
        sandbox.clock.advance(24 * 3_600_000)
        zoho.login()
        next_day = zoho.call("GET", "/users")
        zoho.session.close()
    assert "X-API-CREDITS-REMAINING" not in quiet.headers
    assert loud.headers["X-API-CREDITS-REMAINING"] == "1"
    assert (refused.status_code, refused.json()["code"], next_day.status_code) == (429, "TOO_MANY_REQUESTS", 200)
