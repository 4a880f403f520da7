"""What can go wrong on order, and that the ledger tells the truth about it."""

import time

import pytest
import requests

from sandbox.faults import Fault, What, storm
from sandbox.server import Sandbox
from tests.sandbox.clients import SalesforceClient, VtigerClient, ZohoClient

DEALS = "POST /crm/v8/Deals"
BODY = {"data": [{"Deal_Name": "Faulty", "Stage": "Negotiation"}, {"Deal_Name": "Too", "Stage": "Negotiation"}]}


def effects_of(zoho: ZohoClient, fault: Fault) -> int:
    """How many records a request adds that gets no readable answer because of the fault."""
    before = len(zoho.crm.ledger())
    with (
        zoho.crm.faults.planned(fault),
        pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)),
    ):
        zoho.call("POST", "/Deals", BODY)
    return len(zoho.crm.ledger()) - before


def test_a_connection_reset_before_the_request_is_applied_leaves_nothing(zoho: ZohoClient) -> None:
    assert effects_of(zoho, Fault("reset_before", DEALS)) == 0


def test_a_connection_reset_after_the_request_is_applied_leaves_its_effect(zoho: ZohoClient) -> None:
    assert effects_of(zoho, Fault("reset_after", DEALS)) == 2


def test_a_cut_answer_leaves_its_effect(zoho: ZohoClient) -> None:
    assert effects_of(zoho, Fault("short_answer", DEALS)) == 2


@pytest.mark.parametrize(
    ("status", "code"), [(429, "TOO_MANY_REQUESTS"), (500, "INTERNAL_ERROR"), (503, "SERVICE_UNAVAILABLE")]
)
def test_a_status_on_order_has_zohos_body_and_applies_nothing(zoho: ZohoClient, status: int, code: str) -> None:
    before = len(zoho.crm.ledger())
    with zoho.crm.faults.planned(Fault("status", DEALS, status=status)):
        answer = zoho.call("POST", "/Deals", BODY)
    assert (answer.status_code, answer.json()["code"], len(zoho.crm.ledger())) == (status, code, before)


def test_a_status_on_order_has_salesforces_body(salesforce: SalesforceClient) -> None:
    with salesforce.crm.faults.planned(Fault("status", "/query", status=503)):
        answer = salesforce.call("GET", "/query", q="SELECT Id FROM Account")
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (503, "SERVER_UNAVAILABLE")


def test_a_vtiger_operation_is_matched_in_the_form(vtiger: VtigerClient) -> None:
    with vtiger.crm.faults.planned(Fault("status", "operation=create.*elementType=Project", status=503)):
        queried = vtiger.query("select id from Project;")
        refused = vtiger.raw("POST", operation="create", sessionName=vtiger.name, elementType="Project", element="{}")
    assert queried["success"] is True
    assert (refused.status_code, refused.content[:6]) == (503, b"<html>")


def test_one_row_of_a_batch_can_fail_alone(zoho: ZohoClient, salesforce: SalesforceClient) -> None:
    with zoho.crm.faults.planned(Fault("fail_row", DEALS, row=1)):
        rows = zoho.call("POST", "/Deals", BODY).json()["data"]
    record = {"attributes": {"type": "Account"}, "Name": "Row"}
    with salesforce.crm.faults.planned(Fault("fail_row", "/composite", row=0)):
        others = salesforce.call("POST", "/composite/sobjects", {"records": [record, record]}).json()
    assert [row["code"] for row in rows] == ["SUCCESS", "INTERNAL_ERROR"]
    assert [row["success"] for row in others] == [False, True]
    assert others[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"


def test_the_last_row_of_an_answer_can_be_missing(zoho: ZohoClient) -> None:
    with zoho.crm.faults.planned(Fault("drop_row", DEALS)):
        answer = zoho.call("POST", "/Deals", BODY)
    assert (answer.status_code, len(answer.json()["data"])) == (201, 1)


def test_tokens_and_sessions_can_end_just_before_a_request() -> None:
    with Sandbox() as sandbox:
        zoho, salesforce, vtiger = (
            ZohoClient(sandbox.zoho),
            SalesforceClient(sandbox.salesforce),
            VtigerClient(sandbox.vtiger),
        )
        for crm in (sandbox.zoho, sandbox.salesforce, sandbox.vtiger):
            crm.faults.add(Fault("expire_token"))
        answers = zoho.call("GET", "/users"), salesforce.call("GET", "/limits"), vtiger.get("listtypes")
        for client in (zoho, salesforce, vtiger):
            client.session.close()
    assert [answers[0].json()["code"], answers[1].json()[0]["errorCode"], answers[2]["error"]["code"]] == [
        "INVALID_TOKEN",
        "INVALID_SESSION_ID",
        "INVALID_SESSIONID",
    ]


def test_a_fault_may_skip_some_requests_and_hit_some(zoho: ZohoClient) -> None:
    with zoho.crm.faults.planned(Fault("status", "GET /crm/v8/users", skip=1, times=2, status=503)):
        statuses = [zoho.call("GET", "/users").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]


def test_a_delayed_answer_comes_later_than_the_clients_patience(zoho: ZohoClient) -> None:
    with zoho.crm.faults.planned(Fault("delay", "GET /crm/v8/users", seconds=0.3)), pytest.raises(requests.Timeout):
        zoho.session.get(f"{zoho.crm.url}/crm/v8/users", timeout=0.05)


def test_calls_are_remembered_with_their_status(zoho: ZohoClient) -> None:
    zoho.crm.faults.forget_calls()
    zoho.call("GET", "/users")
    with zoho.crm.faults.planned(Fault("reset_before")), pytest.raises(requests.ConnectionError):
        zoho.call("GET", "/org")
    assert [(call.method, call.target, call.status) for call in zoho.crm.faults.calls()] == [
        ("GET", "/crm/v8/users", 200),
        ("GET", "/crm/v8/org", 0),
    ]


def test_a_storm_refuses_a_part_of_all_calls_for_a_time_by_the_sandboxs_clock() -> None:
    with Sandbox() as sandbox:
        zoho = ZohoClient(sandbox.zoho)
        begun = sandbox.clock.advance(0)
        sandbox.zoho.faults.add(storm("^GET", share=0.5, since=begun + 1_000, until=begun + 61_000))

        def refused() -> int:
            return sum(zoho.call("GET", "/users").status_code == 429 for _ in range(60))

        with zoho.session:
            before, _ = refused(), sandbox.clock.advance(1_000)
            within, _ = refused(), sandbox.clock.advance(60_000)
            after = refused()
    assert (before, after) == (0, 0)
    assert 15 < within < 45


def test_a_refusal_may_say_when_to_come_back(vtiger: VtigerClient) -> None:
    with vtiger.crm.faults.planned(Fault("status", "operation=query", status=429, after=7)):
        refused = vtiger.raw("GET", operation="query", sessionName=vtiger.name, query="select id from Project;")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")


@pytest.mark.parametrize(
    ("crm", "status", "code"), [("zoho", 429, "TOO_MANY_REQUESTS"), ("salesforce", 403, "REQUEST")]
)
def test_a_quota_that_is_used_up_is_told_as_the_vendor_tells_it(
    zoho: ZohoClient, salesforce: SalesforceClient, crm: str, status: int, code: str
) -> None:
    with zoho.crm.faults.planned(Fault("spent")), salesforce.crm.faults.planned(Fault("spent")):
        answer = zoho.call("GET", "/users") if crm == "zoho" else salesforce.call("GET", "/limits")
    assert (answer.status_code, code in answer.text) == (status, True)
    assert zoho.call("GET", "/users").status_code == 200


@pytest.mark.parametrize(("do", "effects"), [("hang", 0), ("hang_after", 2)])
def test_a_request_may_hang_before_or_after_it_is_applied(zoho: ZohoClient, do: What, effects: int) -> None:
    before = len(zoho.crm.ledger())
    with zoho.crm.faults.planned(Fault(do, DEALS)), pytest.raises(requests.Timeout):
        zoho.session.post(f"{zoho.crm.url}/crm/v8/Deals", json=BODY, timeout=0.3)
    assert len(zoho.crm.ledger()) - before == effects


def test_a_write_may_land_after_its_connection_was_cut(zoho: ZohoClient) -> None:
    before = len(zoho.crm.ledger())
    assert effects_of(zoho, Fault("late", DEALS, seconds=0.2)) == 0
    deadline = time.monotonic() + 5
    while len(zoho.crm.ledger()) < before + 2 and time.monotonic() < deadline:
        zoho.call("GET", "/users")
    assert len(zoho.crm.ledger()) == before + 2


def test_a_crms_clock_may_be_wrong() -> None:
    with Sandbox() as sandbox:
        at = sandbox.clock.advance(0)
        sandbox.zoho.clock.ahead = 90_000
        wrong = sandbox.zoho.row("Deals", sandbox.zoho.insert("Deals", {"Deal_Name": "遅い時計"}))
        right = sandbox.vtiger.row("Project", sandbox.vtiger.insert("Project", {"projectname": "正しい"}))
    assert wrong is not None
    assert right is not None
    assert wrong.modified_at >= at + 90_000
    assert at <= right.modified_at < at + 10_000
