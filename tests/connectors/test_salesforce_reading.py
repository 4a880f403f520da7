"""Salesforce's answers, events and values as foreign input: nothing undeclared is raised, nothing claimed unproven."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import NotSent, Pressure, Response, Usage
from connectors.salesforce import SalesforceConnector
from connectors.salesforce.bus import dial
from connectors.salesforce.events import EventSchema, Unreadable
from connectors.salesforce.values import misfit, write
from connectors.salesforce.watching import topic_of
from connectors.testing import ConnectorContract
from sandbox.clock import Clock
from sandbox.salesforce.changes import Shape, event_name
from sandbox.salesforce.emulator import Salesforce
from sandbox.seed import load_seed
from schemas.commands import Applied, Command, Outcome, RetryLater, Uncertain
from schemas.metadata import Field, FieldType
from schemas.values import Amount, Value
from tests.connectors.crms import SALESFORCE, command, metadata, reply, settings_of

RECORD = "00Q5g0000000001AAA"
FIELDS: dict[str, dict[str, Any]] = {
    "tag": {"tags": ["a", "b"]},
    "untag": {"tags": ["a", "b"]},
    "note": {"title": "t", "text": "x"},
    "convert": {"deal": {"name": "d"}},
    "submit": {},
    "approve": {},
    "reject": {},
    "mail": {"to": ["a@example.com"], "subject": "s", "body": "b"},
    "unlink": {"relation": "Account", "to": "0015g0000000001AAA"},
}


def deed(operation: str) -> Command:
    record = "04i5g0000000001AAA" if operation in {"approve", "reject"} else RECORD
    return command("salesforce", operation, record_id=record, fields=FIELDS[operation])


DEEDS = tuple(deed(operation) for operation in FIELDS)
CONDITIONAL = command("salesforce", "update", if_unmodified=1_800_000_000_000)
EVERY = (*DEEDS, CONDITIONAL, *(command("salesforce", name) for name in ("create", "update", "delete", "link", "read")))

SOAP = (
    '<e:Envelope xmlns:e="x" xmlns="urn:partner.soap.sforce.com"><e:Body><convertLeadResponse><result>'
    f"<leadId>{RECORD}</leadId><success>true</success></result></convertLeadResponse></e:Body></e:Envelope>"
)
ANSWERS: dict[str, Response] = {
    "tag": reply(200, {"hasErrors": False, "results": [{"statusCode": 200, "result": {}}] * 2}),
    "untag": reply(
        200,
        {
            "compositeResponse": [
                {"httpStatusCode": 200, "body": {"totalSize": 1}},
                {"httpStatusCode": 204},
                {"httpStatusCode": 400, "body": [{"errorCode": "PROCESSING_HALTED"}]},
            ]
        },
    ),
    "note": reply(200, {"compositeResponse": [{"httpStatusCode": 201, "body": {"id": "069"}}] * 2}),
    "convert": Response(status=200, body=SOAP.encode()),
    "submit": reply(200, [{"success": True, "instanceStatus": "Pending", "entityId": RECORD}]),
    "approve": reply(200, [{"success": True, "instanceStatus": "Approved", "entityId": RECORD}]),
    "reject": reply(200, [{"success": True, "instanceStatus": "Rejected", "entityId": RECORD}]),
    "mail": reply(200, [{"isSuccess": True, "errors": None}]),
}


class TestDeedsKeepTheContract(ConnectorContract):
    connector = SALESFORCE
    commands = DEEDS

    def answered(self, commands: Any) -> Response:
        if commands[0].operation == "unlink":
            return reply(200, [{"id": one.record_id, "success": True, "errors": []} for one in commands])
        return ANSWERS[commands[0].operation]


LEAVES = (
    st.none() | st.booleans() | st.integers(-5, 500)
    | st.sampled_from([RECORD, "101", "", "true", "Pending", "UNABLE_TO_LOCK_ROW", "NOT_FOUND", "UNKNOWN_EXCEPTION"])
)  # fmt: skip
NAMES = st.sampled_from(
    ["id", "Id", "success", "errors", "statusCode", "errorCode", "message", "fields", "records", "totalSize", "done",
     "compositeResponse", "results", "result", "body", "httpStatusCode", "isSuccess", "instanceStatus", "entityId"]
)  # fmt: skip
BODIES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)
STATUSES = st.sampled_from([200, 201, 204, 300, 400, 401, 403, 404, 412, 420, 429, 500, 502, 503])


def outcomes(one: Command, answer: Response) -> list[Outcome]:
    return SALESFORCE.outcomes([one], answer)


@given(one=st.sampled_from(EVERY), status=STATUSES, body=BODIES)
def test_no_answer_raises_and_no_failure_claims_an_effect(one: Command, status: int, body: object) -> None:
    answer = reply(status, body)
    [outcome] = outcomes(one, answer)
    assert outcome.command_id == one.id
    if isinstance(outcome, Applied) and status >= 300:
        assert outcome.duplicate  # only what says that it is there already
    SALESFORCE.usage(answer)
    SALESFORCE.pressure(answer)
    found = SALESFORCE.found(one, answer)
    assert not (isinstance(found, Applied | RetryLater) and status != 200)


@given(one=st.sampled_from(EVERY), status=STATUSES, body=st.binary(max_size=60))
def test_bytes_that_are_no_answer_prove_nothing(one: Command, status: int, body: bytes) -> None:
    [outcome] = outcomes(one, Response(status=status, body=body))
    empty = one is CONDITIONAL and status == 204 and not body
    assert isinstance(outcome, Applied) == empty
    assert isinstance(SALESFORCE.found(one, Response(status=500, body=body)), Uncertain)


@given(text=st.text(max_size=40), status=st.sampled_from([200, 500]))
def test_soap_that_says_something_else_converts_nothing(text: str, status: int) -> None:
    for body in (SOAP.replace("true", text), SOAP.replace(RECORD, text), f"<!DOCTYPE a>{SOAP}", SOAP[:-20]):
        if text.strip() in {"true", RECORD}:
            continue
        [outcome] = outcomes(deed("convert"), Response(status=status, body=body.encode("utf-8", "replace")))
        assert not isinstance(outcome, Applied)


@pytest.mark.parametrize(
    ("status", "error", "pressure"),
    [
        (403, {"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}, "spent"),
        (403, {"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (…) Limit exceeded."}, "busy"),
        (403, {"errorCode": "INSUFFICIENT_ACCESS", "message": "in words"}, None),
        (429, {}, "busy"),
        (503, {"errorCode": "SERVER_UNAVAILABLE"}, "unwell"),
        (400, {"errorCode": "UNABLE_TO_LOCK_ROW"}, None),
        (500, {"errorCode": "UNKNOWN_EXCEPTION"}, None),
    ],
)
def test_only_want_of_room_is_pressure(status: int, error: dict[str, str], pressure: str | None) -> None:
    found = SALESFORCE.pressure(reply(status, [error]))
    assert (found.kind if isinstance(found, Pressure) else None) == pressure


@pytest.mark.parametrize(
    ("header", "usage"),
    [
        ("api-usage=18/15000", [Usage(quota="day", left=14_982, most=15_000)]),
        ("api-usage=18/15000; per-app-api-usage=17/250(appName=x)", [Usage(quota="day", left=233, most=250)]),
        ("api-usage=16000/15000", [Usage(quota="day", left=0, most=15_000)]),
        ("api-usage=x/y", []),
        ("", []),
    ],
)
def test_the_tighter_allowance_of_an_answer_counts(header: str, usage: list[Usage]) -> None:
    answer = reply(200, [], **{"sforce-limit-info": header})
    assert list(SALESFORCE.usage(answer)) == usage


def test_a_bad_field_of_one_row_is_its_own_fault() -> None:
    rows = [
        command("salesforce", "update", number, fields=fields) for number, fields in enumerate(({"A": 1}, {"B": 2}))
    ]
    answer = reply(400, [{"errorCode": "INVALID_FIELD", "message": "No such column 'B' on sobject of type Deals"}])
    assert [type(outcome).__name__ for outcome in SALESFORCE.outcomes(rows, answer)] == ["RetryLater", "Rejected"]


def test_rows_of_one_parent_stand_together_and_keep_their_outcomes() -> None:
    parents = ["001500000000002AAA", "001500000000001AAA", "001500000000002AAA", "001500000000001AAA"]
    rows = [
        command("salesforce", "update", number, fields={"AccountId": parent}) for number, parent in enumerate(parents)
    ]
    sent = SALESFORCE.request(rows).body or b""
    assert sent.index(b'"101"') < sent.index(b'"103"') < sent.index(b'"100"') < sent.index(b'"102"')
    told = [{"id": str(100 + number), "success": True} for number in (1, 3, 0, 2)]
    assert [getattr(one, "record_id", "") for one in SALESFORCE.outcomes(rows, reply(200, told))] == [
        "100", "101", "102", "103",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("number", "12.50", "12.50"), ("number", Amount("0.1"), "0.1"), ("boolean", "True", "True"),
        ("date", "2026-01-31T09:00:00Z", "2026-01-31"), ("datetime", "2026-01-31", "2026-01-31T00:00:00Z"),
        ("datetime", "2026-01-31T09:00:00+09:00", "2026-01-31T00:00:00Z"),
        ("multipicklist", ["a", "b"], "a;b"), ("text", 7, "7"), ("text", "", "None"), ("picklist", "東京", "東京"),
    ],
)  # fmt: skip
def test_values_are_written_in_salesforces_form(kind: FieldType, value: Value, sent: str) -> None:
    assert str(write(value, kind)) == sent


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        (Field(name="A", type="text", max_length=3), "東京タワー", "longer than 3 characters"),
        (Field(name="A", type="picklist", values=("a",)), "秘密", "not one of its picklist values"),
        (Field(name="A", type="picklist", values=("a",), restricted=False), "秘密", ""),
        (Field(name="A", type="multipicklist", values=("a", "b")), ["a", "c"], "not one of its picklist values"),
        (Field(name="A", type="multipicklist"), ["a;b"], "a chosen value with a semicolon"),
        (Field(name="A", type="number"), "十", "not a number"),
        (Field(name="A", type="boolean"), "maybe", "neither true nor false"),
        (Field(name="A", type="date"), "31.01.2026", "not a date"),
        (Field(name="A", type="datetime"), "soon", "not a date and time"),
        (Field(name="A", type="lookup"), "secret-value", "not the id of a record"),
        (Field(name="A", type="text"), ["a"], "several values for one text"),
    ],
)
def test_a_value_that_does_not_fit_is_named_by_its_field_and_never_told(field: Field, value: Value, why: str) -> None:
    told = misfit(value, field)
    assert told.startswith(why)
    assert bool(told) == bool(why)
    assert str(value) not in told


@pytest.fixture(scope="module")
def shapes() -> dict[str, Shape]:
    tabs = {
        "Contact": {
            "fields": {
                "FirstName": {"type": "text"}, "LastName": {"type": "text"}, "Born__c": {"type": "date"},
                "Seen__c": {"type": "datetime"}, "Sum__c": {"type": "number"}, "Good__c": {"type": "boolean"},
                "Kinds__c": {"type": "multipicklist"}, "Formula__c": {"type": "number", "writable": False},
            }
        }
    }  # fmt: skip
    return Salesforce(load_seed({"salesforce": {"tabs": tabs}}).salesforce, Clock()).changes.shapes


HEAD: dict[str, Any] = {
    "entityName": "Contact", "recordIds": ["0035g0000000001AAA"], "changeType": "UPDATE",
    "changeOrigin": "com/salesforce/api/rest/60.0;client=renkei", "transactionKey": "t", "sequenceNumber": 1,
    "commitTimestamp": 1_800_000_000_000, "commitNumber": 1, "commitUser": "005", "nulledFields": [],
    "diffFields": [], "changedFields": [],
}  # fmt: skip
TYPES: dict[str, FieldType] = {
    "FirstName": "text", "LastName": "text", "Born__c": "date", "Seen__c": "datetime", "Sum__c": "number",
    "Good__c": "boolean", "Kinds__c": "multipicklist",
}  # fmt: skip
IMAGES = st.fixed_dictionaries(
    {
        "FirstName": st.sampled_from(["直子 🎌", "Ines", None]), "LastName": st.sampled_from(["高橋", None]),
        "Born__c": st.dates().map(str) | st.none(), "Good__c": st.booleans(),
        "Seen__c": st.sampled_from(["2026-01-31T09:00:00Z", "1969-12-31T23:59:59Z", None]),
        "Sum__c": st.integers(-9999, 9999) | st.sampled_from([Amount("0.1"), Amount("-12.34"), None]),
        "Kinds__c": st.sampled_from([["a", "b"], None]),
    }
)  # fmt: skip


@given(image=IMAGES, names=st.sets(st.sampled_from(sorted(TYPES))))
def test_an_event_tells_exactly_the_fields_of_its_bitmaps(
    shapes: dict[str, Shape], image: dict[str, Value], names: set[str]
) -> None:
    shape = shapes["Contact"]
    header = {**HEAD, "changedFields": shape.bitmaps(sorted(names))}
    told = {name: value for name, value in image.items() if name in names}
    change = EventSchema(shape.text).read(shape.encode(header, told), TYPES)
    assert set(change.changed) == names
    assert {name: value or None for name, value in change.fields.items()} == {
        name: value or None for name, value in told.items()
    }
    assert (change.client, change.user, change.records) == ("renkei", "005", ("0035g0000000001AAA",))
    assert "Formula__c" not in change.tells


@given(payload=st.binary(max_size=200), bitmap=st.text("0123456789abcdefx-", max_size=12))
def test_foreign_events_are_unreadable_and_nothing_worse(shapes: dict[str, Shape], payload: bytes, bitmap: str) -> None:
    shape = shapes["Contact"]
    schema = EventSchema(shape.text)
    for content in (payload, shape.encode({**HEAD, "changedFields": [bitmap]}, {})):
        with suppress(Unreadable):
            assert schema.read(content, TYPES).records


@given(text=st.text(max_size=60) | BODIES.map(str))
def test_a_foreign_schema_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        EventSchema(text)


def test_a_bitmap_is_read_from_its_lowest_bit() -> None:
    fields = [{"name": f"F{number}", "type": ["null", "string"]} for number in range(30)]
    text = f'{{"type": "record", "name": "E", "fields": {str(fields).replace(chr(39), chr(34))}}}'
    assert list(EventSchema(text)._listed(["0x400100"])) == ["F8", "F22"]


@pytest.mark.parametrize("tab", ["Lead", "Visit__c"])
def test_topics_are_named_as_the_emulator_names_them(tab: str) -> None:
    assert topic_of(tab) == f"/data/{event_name(tab)}"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1:7443",
        "https://localhost",
        "https://[::1]:7443",
        "https://169.254.169.254",
        "http://8.8.8.8",
        "",
        "ftp://x",
    ],
)
def test_a_name_that_leads_to_a_private_address_is_not_dialled(url: str) -> None:
    with pytest.raises(NotSent):
        dial(url, allow_private=False)


def test_how_objects_are_watched_is_one_of_two_ways() -> None:
    wrong = settings_of("salesforce").model_copy(update={"options": {"capture": "guessing"}})
    connector = SalesforceConnector(wrong, metadata("salesforce"))
    with pytest.raises(ValueError, match="polling or pubsub"):
        connector.capture("Deals", lambda request: reply(500))
