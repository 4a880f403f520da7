"""Zoho's answers and what they mean, row by row."""

from collections.abc import Sequence

import pytest

from connectors.base import Response
from connectors.testing import ConnectorContract
from schemas.codec import from_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from tests.connectors.crms import ANN, OPERATIONS, ZOHO, command, reply

ONE, TWO, THREE = (command("zoho", "create", number) for number in (1, 2, 3))


def ok(record_id: str, action: str = "insert") -> dict[str, object]:
    details = {
        "id": record_id,
        "Modified_Time": "2026-01-02T12:00:00+09:00",
        "Created_Time": "2026-01-02T12:00:00+09:00",
    }
    return {
        "code": "SUCCESS",
        "status": "success",
        "message": "record added",
        "action": action,
        "details": details,
    }


def bad(code: str, field: str = "Name") -> dict[str, object]:
    return {
        "code": code,
        "status": "error",
        "message": "told in words",
        "details": {"api_name": field, "id": "9"},
    }


class TestZohoContract(ConnectorContract):
    connector = ZOHO
    commands = tuple(command("zoho", operation) for operation in OPERATIONS)

    def answered(self, commands: Sequence[Command]) -> Response:
        if commands[0].operation == "read":
            return reply(200, {"data": [{"id": one.record_id, "Name": "Big deal"} for one in commands]})
        return reply(200, {"data": [ok(one.record_id or f"9{number}") for number, one in enumerate(commands)]})


APPLIED = Applied(command_id="c1", record_id="9", fields={"Modified_Time": "2026-01-02T03:00:00Z"})


@pytest.mark.parametrize(
    ("response", "kinds"),
    [
        (reply(201, {"data": [ok("9"), ok("8"), ok("7")]}), (Applied, Applied, Applied)),
        (reply(207, {"data": [ok("9"), bad("INVALID_DATA"), ok("7")]}), (Applied, Rejected, Applied)),
        (reply(202, {"data": [ok("9"), bad("DUPLICATE_DATA"), bad("RECORD_LOCKED")]}), (Applied, Rejected,
        RetryLater)),
        (reply(400, {"data": [bad("MANDATORY_NOT_FOUND")] * 3}), (Rejected, Rejected, Rejected)),
        (reply(207, {"data": [ok("9"), bad("INTERNAL_ERROR"), ok("7")]}), (Applied, Uncertain, Applied)),
        (reply(201, {"data": [ok("9"), ok("8")]}), (Uncertain, Uncertain, Uncertain)),
        (reply(400, bad("INVALID_MODULE")), (Rejected, Rejected, Rejected)),
        (reply(401, bad("OAUTH_SCOPE_MISMATCH")), (Rejected, Rejected, Rejected)),
        (reply(403, bad("NO_PERMISSION")), (Rejected, Rejected, Rejected)),
        (reply(429, bad("TOO_MANY_REQUESTS")), (RetryLater, RetryLater, RetryLater)),
        (reply(500, bad("INTERNAL_ERROR")), (Uncertain, Uncertain, Uncertain)),
        (reply(503), (Uncertain, Uncertain, Uncertain)),
    ],
)  # fmt: skip
def test_every_row_of_an_answer_is_settled_alone(response: Response, kinds: tuple[type, ...]) -> None:
    outcomes = ZOHO.outcomes([ONE, TWO, THREE], response)
    assert tuple(type(outcome) for outcome in outcomes) == kinds


def test_an_applied_row_tells_the_modified_time_in_utc() -> None:
    assert ZOHO.outcomes([ONE], reply(201, {"data": [ok("9")]})) == [APPLIED]


def test_a_create_whose_key_is_taken_was_there_already() -> None:
    [outcome] = ZOHO.outcomes([ONE], reply(400, {"data": [bad("DUPLICATE_DATA", "Renkei_Key")]}))
    assert outcome == Applied(command_id="c1", record_id="9", duplicate=True)


def test_a_create_that_clashes_with_another_record_is_refused_and_overwrites_nothing() -> None:
    [outcome] = ZOHO.outcomes([ONE], reply(400, {"data": [bad("DUPLICATE_DATA", "Email")]}))
    assert isinstance(outcome, Rejected)


def test_a_taken_key_without_the_record_that_holds_it_is_looked_up() -> None:
    row = {"code": "DUPLICATE_DATA", "status": "error", "message": "x", "details": {"api_name": "Renkei_Key"}}
    [outcome] = ZOHO.outcomes([ONE], reply(400, {"data": [row]}))
    assert isinstance(outcome, Uncertain)


def test_a_refusal_names_the_field_and_not_its_value() -> None:
    [outcome] = ZOHO.outcomes([ONE], reply(400, {"data": [bad("INVALID_DATA", "Amount")]}))
    assert outcome == Rejected(command_id="c1", code="INVALID_DATA", reason="told in words (Amount)")


def test_rows_that_name_other_records_are_not_believed() -> None:
    one, two = command("zoho", "update", 1), command("zoho", "update", 2)
    outcomes = ZOHO.outcomes([one, two], reply(200, {"data": [ok("102"), ok("101")]}))
    assert all(isinstance(outcome, Uncertain) for outcome in outcomes)


def test_a_create_carries_its_key_in_a_unique_field() -> None:
    request = ZOHO.request([ONE, command("zoho", "create", 2, owner="team:Sales")])
    assert (request.method, request.path) == ("POST", "/crm/v8/Deals")
    body = from_json(request.body or b"")
    assert body["data"][0] == {"Name": "Big deal", "Amount": 5, "Renkei_Key": "c1"}
    assert body["data"][1]["Owner"] == {"id": ANN}
    assert "trigger" not in body


def test_values_are_written_in_zohos_dialect() -> None:
    fields = {
        "Account": "77",
        "Tags": ["a", "b"],
        "Due": "2026-01-02T03:04:05.5Z",
        "Open": False,
        "Name": None,
    }
    request = ZOHO.request([command("zoho", "update", fields=fields, trigger_native=False)])
    body = from_json(request.body or b"")
    assert body["trigger"] == []
    assert body["data"] == [
        {"id": "101", "Account": {"id": "77"}, "Tags": ["a", "b"], "Due": "2026-01-02T03:04:05+00:00",
        "Open": False,
         "Name": None}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("owner", "code"),
    [
        ("user:gone@example.com", "owner_inactive"), ("user:nobody", "owner_unknown"), ("ann", "owner_unknown"),
        ("team:Nobody", "owner_inactive"), ("team:Presales", "owner_unknown"), ("manager:lost", "owner_inactive"),
        ("manager:bob", "owner_unknown"), ("manager:nobody", "owner_unknown"),
    ],
)  # fmt: skip
def test_an_owner_that_cannot_own_is_refused_before_sending(owner: str, code: str) -> None:
    refused = ZOHO.refuse(command("zoho", "create", owner=owner))
    assert refused is not None
    assert refused.code == code


def test_an_owner_may_be_named_by_id_mail_or_name() -> None:
    for owner in (f"user:{ANN}", "manager:gone away", "user:ANN@example.com", "user:ann abe", "team:sales"):
        one = command("zoho", "create", owner=owner)
        assert ZOHO.refuse(one) is None
        assert from_json(ZOHO.request([one]).body or b"")["data"][0]["Owner"] == {"id": ANN}


ROW = {"id": "9", "Modified_Time": "2026-01-02T12:00:00+09:00", "Name": "Big deal", "Amount": 5}


@pytest.mark.parametrize(
    ("operation", "response", "kind"),
    [
        ("create", reply(200, {"data": [ROW]}), Applied),
        ("create", reply(204), RetryLater),
        ("create", reply(200, {"data": [ROW, ROW]}), Uncertain),
        ("upsert", reply(200, {"data": [ROW]}), Applied),
        ("upsert", reply(200, {"data": [{**ROW, "Name": "Other"}]}), RetryLater),
        ("update", reply(200, {"data": [{**ROW, "id": "101"}]}), Applied),
        ("update", reply(200, {"data": [{**ROW, "id": "101", "Amount": 6}]}), RetryLater),
        ("update", reply(200, {"data": [ROW]}), Uncertain),
        ("update", reply(204), Uncertain),
        ("delete", reply(204), Applied),
        ("delete", reply(200, {"data": [{**ROW, "id": "101"}]}), RetryLater),
        ("delete", reply(400, bad("INVALID_DATA")), Uncertain),
    ],
)
def test_a_lookup_proves_presence_or_absence(operation: str, response: Response, kind: type) -> None:
    one = command("zoho", operation)
    assert ZOHO.find(one) is not None
    assert type(ZOHO.found(one, response)) is kind


def test_a_key_with_quotes_stays_inside_its_literal() -> None:
    request = ZOHO.find(command("zoho", "create", key=("Renkei_Key", "a' or id is not null \\")))
    assert request is not None
    query = from_json(request.body or b"")["select_query"]
    assert query.endswith("where Renkei_Key = 'a\\' or id is not null \\\\' limit 2")
