"""Tasks in the three CRMs' own fields, keyed only where a lookup by key can work (D-42, D-49)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from connectors.base import Connector, Response
from connectors.salesforce import SalesforceConnector
from connectors.settings import ConnectionSettings
from connectors.vtiger import VtigerConnector
from connectors.zoho import ZohoConnector
from schemas.codec import from_json
from schemas.commands import Applied, RetryLater
from schemas.metadata import ConnectionMetadata, Field, Tab
from tests.connectors.crms import ANN, SALESFORCE, VTIGER, ZOHO, command, metadata, reply, settings_of, task_fields

EACH = pytest.mark.parametrize("kind", ["zoho", "salesforce", "vtiger"])
PLAIN: dict[str, Connector] = {"zoho": ZOHO, "salesforce": SALESFORCE, "vtiger": VTIGER}
TABS = {"zoho": "Tasks", "salesforce": "Task", "vtiger": "Calendar"}
KINDS: dict[str, Callable[[ConnectionSettings, ConnectionMetadata], Connector]] = {
    "zoho": ZohoConnector, "salesforce": SalesforceConnector, "vtiger": VtigerConnector,
}  # fmt: skip


def keyed(kind: str) -> Connector:
    """The connector where the tab of tasks is known to have the key field."""
    tab = Tab(name=TABS[kind], fields={"Renkei_Key": Field(name="Renkei_Key", type="text", unique=True)})
    return KINDS[kind](settings_of(kind), metadata(kind, **{TABS[kind]: tab}))


def row(kind: str, connector: Connector, **fields: object) -> dict[str, Any]:
    """What is written for a task."""
    told = fields or task_fields(f"{kind}:Deals/17")
    request = connector.request([command(kind, "task", owner=f"user:{ANN}", fields=told)])
    body = (request.body or b"").decode()
    if kind == "vtiger":
        written: dict[str, Any] = from_json(parse_qs(body)["element"][0])
        return written
    rows = from_json(body)
    found: dict[str, Any] = rows["data"][0] if kind == "zoho" else rows["records"][0]
    return found


def test_a_task_stands_in_zohos_module_with_the_module_of_its_record() -> None:
    assert row("zoho", ZOHO) == {
        "Subject": "Call back", "Due_Date": "2026-01-31", "Status": "Not Started", "What_Id": {"id": "17"},
        "$se_module": "Deals", "Owner": {"id": ANN},
    }  # fmt: skip
    contact = row("zoho", ZOHO, **task_fields("zoho:Contacts/9"))
    assert (contact["Who_Id"], contact["$se_module"], "What_Id" in contact) == ({"id": "9"}, "Contacts", False)


@pytest.mark.parametrize(("record_id", "link"), [("0015g1", "WhatId"), ("0035g1", "WhoId"), ("00Q5g1", "WhoId")])
def test_a_salesforce_task_names_people_and_things_in_different_fields(record_id: str, link: str) -> None:
    assert row("salesforce", SALESFORCE, **task_fields(f"salesforce:Deals/{record_id}")) == {
        "attributes": {"type": "Task"}, "Subject": "Call back", "ActivityDate": "2026-01-31", "Status": "Not Started",
        link: record_id, "OwnerId": ANN,
    }  # fmt: skip


def test_a_vtiger_task_always_has_a_day() -> None:
    assert row("vtiger", VTIGER) == {
        "subject": "Call back", "activitytype": "Task", "taskstatus": "Not Started", "date_start": "2026-01-31",
        "time_start": "09:00:00", "due_date": "2026-01-31", "parent_id": "17", "assigned_user_id": ANN,
    }  # fmt: skip
    undated = row("vtiger", VTIGER, subject="Call back", about="vtiger:Contacts/12x1")
    assert (undated["due_date"], undated["contact_id"]) == ("1970-01-01", "12x1")


@EACH
def test_fields_of_the_crm_win_over_ours(kind: str) -> None:
    status = "taskstatus" if kind == "vtiger" else "Status"
    written = row(kind, PLAIN[kind], **task_fields(f"{kind}:Deals/17", **{status: "Completed"}))
    assert written[status] == "Completed"


@EACH
def test_a_task_is_looked_up_by_its_key_where_its_tab_has_the_key_field(kind: str) -> None:
    one, connector = command(kind, "task"), keyed(kind)
    assert row(kind, connector)["Renkei_Key"] == "c1"
    asked = connector.find(one)
    assert asked is not None
    assert f"from {TABS[kind]} where Renkei_Key = 'c1'".casefold() in _query(asked.params, asked.body).casefold()
    assert isinstance(connector.found(one, _answer(kind, "9")), Applied)
    assert isinstance(connector.found(one, _answer(kind)), RetryLater)


def _query(params: dict[str, str], body: bytes | None) -> str:
    return params.get("q") or params.get("query") or str(from_json(body or b"{}").get("select_query"))


def _answer(kind: str, *ids: str) -> Response:
    if kind == "zoho":
        return reply(200, {"data": [{"id": one} for one in ids]}) if ids else reply(204)
    if kind == "salesforce":
        return reply(200, {"done": True, "records": [{"Id": one} for one in ids]})
    return reply(200, {"success": True, "result": [{"id": f"9x{one}"} for one in ids]})


@EACH
def test_a_task_without_a_key_field_cannot_be_looked_up_and_is_never_sent_blindly(kind: str) -> None:
    connector = PLAIN[kind]
    assert "Renkei_Key" not in row(kind, connector)
    assert connector.find(command(kind, "task")) is None
    assert "task" in connector.never_blind


@EACH
@pytest.mark.parametrize(
    ("fields", "code"),
    [({"about": "other:Deals/17"}, "bad_about"), ({"about": "Deals/17"}, "bad_about"), ({"about": ""}, "bad_about"),
     ({"about": None}, "bad_about"), ({"subject": " "}, "no_subject"), ({"a b": 1}, "bad_name")],
)  # fmt: skip
def test_a_task_about_nothing_is_refused(kind: str, fields: dict[str, object], code: str) -> None:
    connector = PLAIN[kind]
    assert connector.refuse(command(kind, "task")) is None
    told = {**task_fields(f"{kind}:Deals/17"), **fields}
    refused = connector.refuse(command(kind, "task", fields=told))
    assert refused is not None
    assert refused.code == code
