"""Whatever Zoho, or somebody in its place, answers: it is read without an exception, and never believed too much."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Response
from schemas.codec import to_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from tests.connectors.crms import OPERATIONS, command
from tests.connectors.test_zoho_verbs import FIELDS, WITH_NOTES, ZOHO, one

ALL = [command("zoho", operation) for operation in OPERATIONS] + [one(operation) for operation in FIELDS]
CODES = ("SUCCESS", "DUPLICATE_DATA", "INVALID_DATA", "ALREADY_MODIFIED", "INTERNAL_ERROR", "RECORD_LOCKED",
         "ID_ALREADY_CONVERTED", "TOO_MANY_REQUESTS", "RECORD_NOT_IN_PROCESS", "")  # fmt: skip
KEYS = ("code", "status", "message", "details", "data", "id", "api_name", "info", "more_records", "blueprint",
        "process_info", "field_value", "transitions", "Contacts", "Converted__s", "duplicate_record", "action",
        "Name", "Amount", "Owner", "Modified_Time", "message_id", "next_field_value", "name")  # fmt: skip
WORDS = st.sampled_from((*CODES, "success", "error", "101", "9", "Schedule", "2026-01-02T12:00:00+09:00", "🚀"))
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
STATUSES = st.sampled_from((200, 201, 202, 204, 207, 301, 304, 400, 401, 403, 404, 412, 429, 500, 502, 503))
HEADERS = st.dictionaries(st.sampled_from(("retry-after", "x-api-credits-remaining")), st.text(max_size=6), max_size=2)
BODIES = (
    st.binary(max_size=60)
    | JSON.map(to_json)
    | st.fixed_dictionaries({"data": st.lists(JSON, max_size=3)}).map(to_json)
)
ANSWERS = st.builds(lambda status, headers, body: Response(status=status, headers=headers, body=body),
                    STATUSES, HEADERS, BODIES)  # fmt: skip
COMMANDS = st.sampled_from(ALL)


@settings(max_examples=400, deadline=None)
@given(COMMANDS, ANSWERS, st.integers(1, 3))
def test_any_answer_gives_one_outcome_per_command(chosen: Command, answer: Response, number: int) -> None:
    commands = [chosen] * min(number, ZOHO.most(chosen))
    outcomes = ZOHO.outcomes(commands, answer)
    assert [outcome.command_id for outcome in outcomes] == [one.id for one in commands]
    assert all(isinstance(outcome, Applied | Rejected | RetryLater | Uncertain) for outcome in outcomes)


@settings(max_examples=400, deadline=None)
@given(COMMANDS, ANSWERS)
def test_nothing_is_called_applied_without_a_proof(chosen: Command, answer: Response) -> None:
    [outcome] = ZOHO.outcomes([chosen], answer)
    if not isinstance(outcome, Applied):
        return
    body = answer.json()
    if chosen.operation == "read":
        assert answer.status == 200
        assert [row["id"] for row in body["data"]] == [chosen.record_id]
    elif chosen.operation == "transition":
        assert (answer.status, body["code"], body["status"]) == (200, "SUCCESS", "success")
    else:
        [row] = body["data"]
        taken = (row["code"], row.get("details", {}).get("api_name")) == ("DUPLICATE_DATA", "Renkei_Key")
        assert taken or (row["code"] == "SUCCESS" and answer.status < 300)
        assert outcome.record_id


@settings(max_examples=400, deadline=None)
@given(COMMANDS, ANSWERS)
def test_any_lookup_gives_an_outcome_or_what_to_send(chosen: Command, answer: Response) -> None:
    for connector in (ZOHO, WITH_NOTES):
        found = connector.found(chosen, answer)
        assert isinstance(found, Applied | Rejected | RetryLater | Uncertain | Command)
        readable = answer.status == 200 or (answer.status == 204 and not answer.body)
        assert readable or not isinstance(found, Applied | RetryLater | Command)


@settings(max_examples=200, deadline=None)
@given(ANSWERS)
def test_any_answer_tells_of_quotas_and_room_or_of_nothing(answer: Response) -> None:
    assert all(usage.left >= 0 for usage in ZOHO.usage(answer))
    pressure = ZOHO.pressure(answer)
    assert (pressure is not None) == (answer.status == 429 or answer.status >= 500)


@settings(max_examples=200, deadline=None)
@given(COMMANDS, st.dictionaries(st.text(max_size=12), JSON, max_size=4))
def test_any_fields_are_refused_or_can_be_sent(chosen: Command, fields: dict[str, Any]) -> None:
    wish = Command(id="f", connection="zoho", tab=chosen.tab, operation=chosen.operation, record_id=chosen.record_id,
                   key=chosen.key, owner=chosen.owner, fields=fields)  # fmt: skip
    refused = ZOHO.refuse(wish)
    if refused is None:
        assert ZOHO.request([wish]).path.startswith("/crm/v8/")
    else:
        assert all(
            value not in refused.reason for value in fields.values() if isinstance(value, str) and len(value) > 4
        )
