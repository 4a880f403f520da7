"""Salesforce's answers and what they mean, row by row."""

from collections.abc import Sequence

import pytest

from connectors.base import Response
from connectors.testing import ConnectorContract
from schemas.codec import from_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from tests.connectors.crms import ANN, OPERATIONS, SALESFORCE, TEAM, command, reply

ONE, TWO, THREE = (command("salesforce", "create", number) for number in (1, 2, 3))


def ok(record_id: str, **more: object) -> dict[str, object]:
    return {"id": record_id, "success": True, "errors": [], **more}


def bad(code: str, message: str = "in words", *fields: str) -> dict[str, object]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields)}]}


def error(code: str, message: str = "in words") -> list[dict[str, str]]:
    return [{"errorCode": code, "message": message}]


class TestSalesforceContract(ConnectorContract):
    connector = SALESFORCE
    commands = tuple(command("salesforce", operation) for operation in OPERATIONS)

    def answered(self, commands: Sequence[Command]) -> Response:
        if commands[0].operation == "read":
            return reply(200, {"records": [{"Id": one.record_id, "Name": "Big deal"} for one in commands]})
        return reply(200, [ok(one.record_id or f"9{number}") for number, one in enumerate(commands)])


TAKEN = "duplicate value found: Name duplicates value on record with id: 001"
OURS = "duplicate value found: Renkei_Key duplicates value on record with id: 001"
LOCKED = bad("UNABLE_TO_LOCK_ROW")
FLOW = bad("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "a flow failed: UNABLE_TO_LOCK_ROW")


@pytest.mark.parametrize(
    ("response", "kinds"),
    [
        (reply(200, [ok("9"), ok("8"), ok("7")]), (Applied, Applied, Applied)),
        (reply(200, [ok("9"), bad("STRING_TOO_LONG"), ok("7")]), (Applied, Rejected, Applied)),
        (reply(200, [bad("REQUIRED_FIELD_MISSING")] * 3), (Rejected, Rejected, Rejected)),
        (reply(200, [LOCKED, FLOW, bad("DUPLICATE_VALUE")]), (RetryLater, RetryLater, RetryLater)),
        (
            reply(200, [bad("DUPLICATE_VALUE", OURS), bad("DUPLICATE_VALUE", TAKEN), ok("7")]),
            (RetryLater, Rejected, Applied),
        ),
        (reply(200, [ok("9"), bad("UNKNOWN_EXCEPTION"), bad("")]), (Applied, Uncertain, Uncertain)),
        (reply(200, [ok("9"), ok("8")]), (Uncertain, Uncertain, Uncertain)),
        (reply(400, error("JSON_PARSER_ERROR")), (Rejected, Rejected, Rejected)),
        (reply(403, error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")), (RetryLater,) * 3),
        (reply(403, error("API_DISABLED_FOR_ORG")), (Rejected, Rejected, Rejected)),
        (reply(404, error("NOT_FOUND")), (Rejected, Rejected, Rejected)),
        (reply(500, error("INTERNAL_SERVER_ERROR")), (Uncertain, Uncertain, Uncertain)),
        (reply(503, error("SERVER_UNAVAILABLE")), (Uncertain, Uncertain, Uncertain)),
    ],
)
def test_every_row_of_an_answer_is_settled_alone(response: Response, kinds: tuple[type, ...]) -> None:
    outcomes = SALESFORCE.outcomes([ONE, TWO, THREE], response)
    assert tuple(type(outcome) for outcome in outcomes) == kinds


def test_a_used_up_day_waits_longer_than_a_busy_moment() -> None:
    [day] = SALESFORCE.outcomes([ONE], reply(403, error("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")))
    [busy] = SALESFORCE.outcomes([ONE], reply(403, error("REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests exceeded.")))
    assert isinstance(day, RetryLater)
    assert isinstance(busy, RetryLater)
    assert day.after > 100 * busy.after


def test_a_create_that_found_its_external_id_is_a_duplicate() -> None:
    [outcome] = SALESFORCE.outcomes([ONE], reply(200, [ok("9", created=False)]))
    assert outcome == Applied(command_id="c1", record_id="9", duplicate=True)


def test_deleting_what_is_gone_is_done() -> None:
    [outcome] = SALESFORCE.outcomes([command("salesforce", "delete")], reply(200, [bad("ENTITY_IS_DELETED")]))
    assert outcome == Applied(command_id="c1", record_id="101", duplicate=True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [("FIELD_CUSTOM_VALIDATION_EXCEPTION", "told for people (Stage)"),
     ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST (Stage)")],
)  # fmt: skip
def test_only_messages_written_for_people_are_shown(code: str, reason: str) -> None:
    [outcome] = SALESFORCE.outcomes([ONE], reply(200, [bad(code, "told for people", "Stage")]))
    assert outcome == Rejected(command_id="c1", code=code, reason=reason)


def test_a_clash_on_another_unique_field_is_refused_at_once_and_names_it() -> None:
    [outcome] = SALESFORCE.outcomes([ONE], reply(200, [bad("DUPLICATE_VALUE", TAKEN)]))
    assert outcome == Rejected(command_id="c1", code="DUPLICATE_VALUE", reason="DUPLICATE_VALUE (Name)")


def test_a_create_is_a_collection_upsert_by_external_id() -> None:
    request = SALESFORCE.request([ONE, command("salesforce", "create", 2, owner="queue:Sales")])
    assert (request.method, request.path) == (
        "PATCH",
        "/services/data/v60.0/composite/sobjects/Deals/Renkei_Key",
    )
    body = from_json(request.body or b"")
    assert body["allOrNone"] is False
    first = {"attributes": {"type": "Deals"}, "Name": "Big deal", "Amount": 5, "Renkei_Key": "c1"}
    assert body["records"] == [first, {**first, "Renkei_Key": "c2", "OwnerId": TEAM}]


def test_a_team_gives_the_record_to_one_of_its_members() -> None:
    request = SALESFORCE.request([command("salesforce", "create", owner="team:Sales")])
    assert from_json(request.body or b"")["records"][0]["OwnerId"] == ANN


def test_a_link_writes_the_lookup() -> None:
    request = SALESFORCE.request([command("salesforce", "link", fields={"relation": "Account", "to": "001"})])
    assert from_json(request.body or b"")["records"] == [
        {"attributes": {"type": "Deals"}, "id": "101", "Account": "001"}
    ]


@pytest.mark.parametrize(
    ("operation", "rows", "kind"),
    [
        ("create", [{"Id": "9"}], Applied),
        ("create", [], RetryLater),
        ("create", [{"Id": "9"}, {"Id": "8"}], Uncertain),
        ("upsert", [{"Id": "9", "Name": "Big deal", "Amount": 5}], Applied),
        ("upsert", [{"Id": "9", "Name": "Big deal", "Amount": 4}], RetryLater),
        ("update", [{"Id": "101", "Name": "Big deal", "Amount": 5}], Applied),
        ("update", [], Rejected),
        ("delete", [], Applied),
        ("delete", [{"Id": "101"}], RetryLater),
    ],
)
def test_a_lookup_proves_presence_or_absence(operation: str, rows: list[object], kind: type) -> None:
    one = command("salesforce", operation)
    answer = reply(200, {"totalSize": len(rows), "done": True, "records": rows})
    assert SALESFORCE.find(one) is not None
    assert type(SALESFORCE.found(one, answer)) is kind
