"""Whatever Zoho, or somebody in its place, answers: it is read without an exception, and never believed too much."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Request, Response
from connectors.capture import CaptureFailed
from connectors.fields import milliseconds
from connectors.zoho.capture import capture
from connectors.zoho.describe import describe
from connectors.zoho.values import image
from connectors.zoho.watching import ZohoNotices
from schemas.codec import to_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from tests.connectors.crms import OPERATIONS, command, metadata
from tests.connectors.test_zoho_verbs import FIELDS, SEEN, WITH_NOTES, ZOHO, one

ALL = [command("zoho", operation) for operation in OPERATIONS] + [one(operation) for operation in FIELDS]
CODES = ("SUCCESS", "DUPLICATE_DATA", "INVALID_DATA", "ALREADY_MODIFIED", "INTERNAL_ERROR", "RECORD_LOCKED",
         "ID_ALREADY_CONVERTED", "TOO_MANY_REQUESTS", "RECORD_NOT_IN_PROCESS", "")  # fmt: skip
NAMES = """
code status message details data id api_name info more_records blueprint modules fields users user_groups sources
source lookup module pick_list_values watch events channel_id channel_expiry deleted_time deleted_by Created_Time
Modified_Time Modified_By process_info field_value transitions Contacts Converted__s duplicate_record action Name
Amount Owner message_id next_field_value name type data_type json_type Reporting_To role operation_type
"""
KEYS = NAMES.split()
LISTS = ("data", "watch", "fields", "modules", "users", "user_groups")
WORDS = st.sampled_from((*CODES, "success", "error", "101", "9", "Schedule", "2026-01-02T12:00:00+09:00", "🚀"))
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | WORDS
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=12,
)
STATUSES = st.sampled_from((200, 201, 202, 204, 207, 301, 304, 400, 401, 403, 404, 412, 429, 500, 502, 503))
HEADERS = st.dictionaries(st.sampled_from(("retry-after", "x-api-credits-remaining")), st.text(max_size=6), max_size=2)
MOMENTS = st.sampled_from(
    ("2026-01-02T12:00:00+09:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "soon")
)
ROWS = st.dictionaries(st.sampled_from(KEYS), JSON | MOMENTS, max_size=6)
LISTED = st.dictionaries(st.sampled_from(LISTS), st.lists(ROWS | JSON, max_size=3), max_size=3)
BODIES = st.binary(max_size=60) | JSON.map(to_json) | LISTED.map(to_json)
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


KNOWN = metadata("zoho")


@settings(max_examples=300, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_any_reading_gives_changes_or_says_that_it_failed(answers: list[Response]) -> None:
    waiting = iter(answers)
    watched = capture(ZOHO.settings, KNOWN, "Deals", lambda request: next(waiting, Response(status=204)), ())
    try:
        polled = watched.poll(None, SEEN)
    except CaptureFailed:
        return
    assert all(event.record_id for event in polled.events)


@settings(max_examples=300, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=5))
def test_any_description_is_understood_or_refused_as_a_whole(answers: list[Response]) -> None:
    waiting = iter(answers)
    try:
        found = describe("zoho", lambda request: next(waiting, Response(status=204)), ["Deals"])
    except CaptureFailed:
        return
    assert found.tabs["Deals"].fields["id"].type == "id"


@settings(max_examples=200, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=4))
def test_any_answer_to_upkeep_keeps_the_channel_or_says_that_it_failed(answers: list[Response]) -> None:
    waiting = iter(answers)

    def send(request: Request) -> Response:
        return next(waiting, Response(status=204))

    notices = ZohoNotices("zoho", "s", "https://x.example", send, ["Deals"])
    try:
        kept = notices.keep(SEEN)
    except CaptureFailed:
        return
    assert kept.next_at > SEEN


def test_a_moment_at_the_end_of_time_is_no_moment() -> None:
    for moment in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        assert milliseconds(moment) is None
        assert image({"At": moment}, {"At": "datetime"}) == {"At": moment}
