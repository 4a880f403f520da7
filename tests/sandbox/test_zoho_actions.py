"""How Zoho's emulator refuses what is asked of it beside rows: the documented codes, and nothing is done."""

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server import Sandbox
from tests.sandbox.clients import ZohoClient
from tests.sandbox.zoho_seed import MIRAI, SUZUKI, TAKAHASHI, journey

NOBODY = "5725767000000999999"
AWAY = "5725767000000010007"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(journey()) as running:
        yield running


@pytest.fixture(scope="module")
def zoho(sandbox: Sandbox) -> Iterator[ZohoClient]:
    client = ZohoClient(sandbox.zoho)
    with client.session:
        yield client


def watch(**more: Any) -> dict[str, Any]:
    channel = {"channel_id": "7", "events": ["Deals.all"], "notify_url": "http://127.0.0.1:9/x", **more}
    return {"watch": [channel]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "/Accounts/actions/add_tags", {"ids": [MIRAI]}, "MANDATORY_NOT_FOUND"),
        ("POST", "/Accounts/actions/add_tags", {"tags": [{"name": "x" * 26}], "ids": [MIRAI]}, "INVALID_DATA"),
        ("POST", "/Accounts/actions/add_tags", {"tags": [{"name": "x"}], "ids": [MIRAI] * 501}, "LIMIT_EXCEEDED"),
        ("POST", "/Accounts/actions/change_owner", {"ids": [MIRAI], "owner": {"id": AWAY}}, "INVALID_DATA"),
        ("POST", "/Accounts/actions/change_owner", {"owner": {"id": SUZUKI}}, "MANDATORY_NOT_FOUND"),
        ("POST", f"/Accounts/{MIRAI}/actions/send_mail", {"data": [{"subject": "x"}]}, "MANDATORY_NOT_FOUND"),
        ("POST", f"/Accounts/{MIRAI}/actions/send_mail",
         {"data": [{"subject": "x", "to": [{"email": "a@b.example"}], "from": {"email": "no@b.example"}}]},
         "INVALID_DATA"),
        ("GET", f"/Accounts/{MIRAI}/actions/blueprint", None, "RECORD_NOT_IN_PROCESS"),
        ("PUT", f"/Accounts/{MIRAI}/Nowhere", {"data": [{"id": TAKAHASHI}]}, "INVALID_DATA"),
        ("DELETE", f"/Accounts/{MIRAI}/Locking_Information__s/{NOBODY}", None, "INVALID_DATA"),
        ("POST", f"/Leads/{NOBODY}/actions/convert", {"data": [{}]}, "INVALID_DATA"),
        ("POST", "/Tasks/upsert", {"data": [{"Subject": "x"}]}, "INVALID_MODULE"),
        ("GET", "/Deals/search", None, "EXPECTED_PARAM_MISSING"),
        ("GET", "/Deals/search?criteria=(Nope:equals:x)", None, "INVALID_QUERY"),
        ("GET", "/Deals/search?criteria=(Deal_Name:sounds_like:x)", None, "INVALID_QUERY"),
        ("GET", "/Deals/search?criteria=(Deal_Name:equals:x", None, "INVALID_QUERY"),
        ("GET", "/Deals/search?word=xx&page=11", None, "LIMIT_REACHED"),
    ],
)  # fmt: skip
def test_a_wrong_wish_is_refused_with_its_code(
    zoho: ZohoClient, sandbox: Sandbox, method: str, path: str, body: object, code: str
) -> None:
    before = len(sandbox.zoho.ledger())
    answer = zoho.call(method, path, body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert len(sandbox.zoho.ledger()) == before


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (watch(events=["Nope.all"]), "events"), (watch(events=["Deals.sometimes"]), "events"),
        (watch(notify_url="https://elsewhere.example/x"), "notify_url"), (watch(token="x" * 51), "token"),
        (watch(channel_id="seven"), "channel_id"), (watch(channel_expiry="soon"), "channel_expiry"),
        (watch(notify_url=""), "notify_url"),
    ],
)  # fmt: skip
def test_a_wrong_channel_is_refused_by_its_field(zoho: ZohoClient, body: object, name: str) -> None:
    answer = zoho.call("POST", "/actions/watch", body)
    [row] = answer.json()["watch"]
    assert (answer.status_code, row["status"], row["details"]["api_name"]) == (400, "error", name)
    assert zoho.call("GET", "/actions/watch").status_code == 204


@pytest.mark.parametrize("asked", ["2090-01-01T00:00:00+00:00", "2001-01-01T00:00:00+00:00", None])
def test_a_channel_that_asks_for_too_much_or_nothing_gets_an_hour(
    zoho: ZohoClient, sandbox: Sandbox, asked: str | None
) -> None:
    sandbox.clock.set(1_800_000_000_000)
    zoho.login()
    answer = zoho.call("POST", "/actions/watch", watch(**({} if asked is None else {"channel_expiry": asked})))
    [row] = answer.json()["watch"]
    assert row["details"]["events"][0]["channel_expiry"] == "2027-01-15T09:00:00+00:00"
    sandbox.clock.advance(3_600_000)
    zoho.login()
    renewal = zoho.call("PATCH", "/actions/watch", {"watch": [{"channel_id": "7"}]})
    assert (renewal.status_code, renewal.json()["watch"][0]["code"]) == (400, "NOT_SUBSCRIBED")


def test_rows_of_tags_and_owners_fail_alone(zoho: ZohoClient) -> None:
    answer = zoho.call("POST", "/Accounts/actions/add_tags", {"tags": [{"name": "x"}], "ids": [MIRAI, NOBODY]})
    assert (answer.status_code, answer.json()["success_count"]) == (207, "1")
    assert [row["code"] for row in answer.json()["data"]] == ["SUCCESS", "INVALID_DATA"]


def test_search_finds_by_criteria_mail_and_word(zoho: ZohoClient) -> None:
    criteria = "((Last_Name:equals:高橋)and(First_Name:starts_with:直))"
    asked: tuple[dict[str, Any], ...] = (
        {"criteria": criteria}, {"email": "takahashi@mirai.example.com"}, {"word": "高橋"},
    )  # fmt: skip
    for one in asked:
        answer = zoho.call("GET", "/Contacts/search", **one)
        assert [row["id"] for row in answer.json()["data"]] == [TAKAHASHI]
    assert zoho.call("GET", "/Contacts/search", word="nobody at all").status_code == 204
    assert zoho.call("GET", "/Contacts/actions/count").json() == {"count": 2}


def test_a_converted_lead_leaves_the_lists_that_do_not_ask_for_it(zoho: ZohoClient) -> None:
    [lead] = zoho.insert("Leads", {"Last_Name": "Away", "Company": "Away"})
    assert zoho.call("POST", f"/Leads/{lead}/actions/convert", {"data": [{}]}).status_code == 200
    listed = {
        word: zoho.call("GET", "/Leads", fields="Last_Name,Converted__s", converted=word).status_code
        for word in ("false", "true", "both")
    }
    assert listed == {"false": 204, "true": 200, "both": 200}
