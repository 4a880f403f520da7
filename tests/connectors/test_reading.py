"""Reading records as they are now, in the form in which capture tells them (D-36)."""

from collections.abc import Callable

import pytest

from connectors.base import Connector, Response
from connectors.zoho import ZohoConnector
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from schemas.metadata import Field, Tab
from schemas.values import Amount
from tests.connectors.crms import SALESFORCE, VTIGER, ZOHO, metadata, reply, settings_of

IDS = {"zoho": ("501", "502"), "salesforce": ("0015g000000001dAAA", "0015g000000001e"), "vtiger": ("13x1", "13x2")}


def read(connection: str, record_id: str) -> Command:
    return Command(
        id=f"r{record_id}", connection=connection, tab=f"{connection}:Deals", operation="read", record_id=record_id
    )


ZOHO_ROW: dict[str, object] = {
    "id": "501", "Name": "Big deal", "Amount": 5.5, "Account": {"id": "77", "name": "Mirai"}, "Tags": ["a"],
    "Due": "2026-01-02T12:00:00+09:00", "Open": True, "Modified_Time": "2026-01-02T12:00:00+09:00", "$editable": True,
}  # fmt: skip
SALESFORCE_ROW: dict[str, object] = {
    "attributes": {"type": "Deals"}, "Id": IDS["salesforce"][0], "Name": "Big deal", "Amount": 5.5, "Account": "77",
    "Tags": "a", "Due": "2026-01-02T03:00:00.000+0000", "Open": True, "IsDeleted": False,
}  # fmt: skip
VTIGER_ROW: dict[str, object] = {
    "id": "13x1", "Name": "Big deal", "Amount": "5.50000000", "Account": "77", "Tags": "a",
    "Due": "2026-01-02 03:00:00", "Open": "1",
}  # fmt: skip
SAME = {
    "Name": "Big deal", "Amount": Amount("5.5"), "Account": "77", "Tags": ["a"], "Due": "2026-01-02T03:00:00Z",
    "Open": True,
}  # fmt: skip

Answer = Callable[..., Response]
ANSWERS: dict[str, tuple[Connector, Answer, dict[str, object]]] = {
    "zoho": (ZOHO, lambda *rows: reply(200, {"data": list(rows)}) if rows else reply(204), ZOHO_ROW),
    "salesforce": (SALESFORCE, lambda *rows: reply(200, {"done": True, "records": list(rows)}), SALESFORCE_ROW),
    "vtiger": (VTIGER, lambda *rows: reply(200, {"success": True, "result": list(rows)}), VTIGER_ROW),
}
EACH = pytest.mark.parametrize("kind", sorted(ANSWERS))


@EACH
def test_what_is_there_is_told_in_our_values(kind: str) -> None:
    connector, answer, row = ANSWERS[kind]
    record_id = IDS[kind][0]
    [outcome] = connector.outcomes([read(kind, record_id)], answer(row))
    assert isinstance(outcome, Applied)
    assert outcome.record_id == outcome.fields["id"] == record_id
    assert SAME.items() <= outcome.fields.items()
    assert not {"$editable", "attributes", "IsDeleted"} & outcome.fields.keys()


@EACH
def test_what_is_not_there_is_rejected(kind: str) -> None:
    connector, answer, _ = ANSWERS[kind]
    one = read(kind, IDS[kind][0])
    assert connector.outcomes([one], answer()) == [
        Rejected(command_id=one.id, code="not_found", reason="the record is not there")
    ]


@EACH
def test_an_answer_about_another_record_says_nothing(kind: str) -> None:
    connector, answer, row = ANSWERS[kind]
    [outcome] = connector.outcomes([read(kind, IDS[kind][1])], answer(row))
    assert isinstance(outcome, Uncertain)


@EACH
def test_a_reading_is_simply_repeated_when_nobody_answers(kind: str) -> None:
    connector, _, _ = ANSWERS[kind]
    one = read(kind, IDS[kind][0])
    assert connector.find(one) is None
    assert "read" in connector.repeatable
    [busy] = connector.outcomes([one], reply(429))
    assert isinstance(busy, RetryLater)


@EACH
def test_what_can_be_no_id_is_not_there_and_spoils_no_batch(kind: str) -> None:
    connector, _, _ = ANSWERS[kind]
    assert connector.refuse(read(kind, IDS[kind][0])) is None
    refused = connector.refuse(read(kind, "no-such-id"))
    assert refused is not None
    assert refused.code == "not_found"


@pytest.mark.parametrize("kind", ["zoho", "salesforce"])
def test_several_records_come_with_one_answer_in_any_order(kind: str) -> None:
    connector, answer, row = ANSWERS[kind]
    first, second = (read(kind, record_id) for record_id in IDS[kind])
    name = "id" if kind == "zoho" else "Id"
    other = {**row, name: IDS[kind][1] + ("AAA" if kind == "salesforce" else ""), "Name": "Other"}
    outcomes = connector.outcomes([first, second], answer(other, row))
    assert [isinstance(one, Applied) and one.fields["Name"] for one in outcomes] == ["Big deal", "Other"]
    assert [type(one) for one in connector.outcomes([first, second], answer(row))] == [Applied, Rejected]


def test_zoho_is_asked_for_the_ids_with_the_fields_of_a_capture() -> None:
    request = ZOHO.request([read("zoho", "501"), read("zoho", "502")])
    assert (request.method, request.path, request.params["ids"]) == ("GET", "/crm/v8/Deals", "501,502")
    fields = request.params["fields"].split(",")
    assert {"Name", "Amount", "Modified_Time", "Created_Time", "Modified_By"} <= set(fields)
    assert "id" not in fields
    assert ZOHO.most(read("zoho", "501")) == 100


def test_a_zoho_module_of_many_fields_is_read_record_by_record() -> None:
    wide = Tab(name="Deals", fields={f"F{number}": Field(name=f"F{number}", type="text") for number in range(60)})
    connector = ZohoConnector(settings_of("zoho"), metadata("zoho", Deals=wide))
    one = read("zoho", "501")
    assert connector.most(one) == 1
    assert connector.request([one]).path == "/crm/v8/Deals/501"
    [outcome] = connector.outcomes([one], reply(200, {"data": [{"id": "501", "F1": "x", "Layout": {"id": "9"}}]}))
    assert outcome == Applied(command_id="r501", record_id="501", fields={"id": "501", "F1": "x"})


def test_an_answer_that_is_not_whole_proves_no_absence() -> None:
    [outcome] = SALESFORCE.outcomes(
        [read("salesforce", IDS["salesforce"][0])], reply(200, {"done": False, "records": []})
    )
    assert isinstance(outcome, Uncertain)
