"""Whatever a CRM, or somebody in its place, answers to a reading: it is told in our own words, never by a crash.

A part that crashes stops the program, so a strange answer must not be able to.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Connector, NoAnswer, NotSent, Request, Response, Send
from connectors.capture import CaptureFailed
from schemas.codec import to_json
from tests.connectors.crms import SALESFORCE, VTIGER, ZOHO
from tests.connectors.fakes import NOW

CRMS: dict[str, Connector] = {"zoho": ZOHO, "salesforce": SALESFORCE, "vtiger": VTIGER}
WORDS = """
code status message details data id Id info more_records fields users records done totalSize nextRecordsUrl success
result error updated deleted lastModifiedTime more name type label referenceTo refersTo picklistValues value length
modifiedtime createdtime SystemModstamp CreatedDate LastModifiedById IsDeleted Modified_Time Created_Time Modified_By
deletedRecords deletedDate sobjects queryable createable updateable GroupId UserOrGroupId Name Email IsActive
ManagerId count user_id modules api_name operation_type information types retrieveable createable groupname Type
externalId nillable first_name email1 reports_to_id roleid mandatory editable Owner active role reporting_to
"""
NAMES = WORDS.split()
TIMES = ("2026-01-02T12:00:00Z", "2026-01-02T12:00:00.000+0000", "2026-01-02 12:00:00", "0001-01-01T00:00:00+23:59")
LEAVES = (
    st.none() | st.booleans() | st.integers(-9, 10**19) | st.text(max_size=6)
    | st.sampled_from((*TIMES, "101", "9x1", "Deals", "string", "/x", "🚀", "success"))
)  # fmt: skip
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=14,
)
ROWS = st.lists(
    st.fixed_dictionaries({"id": LEAVES, "Id": LEAVES, "name": LEAVES, "SystemModstamp": LEAVES}, optional={
        "Modified_Time": LEAVES, "fields": JSON, "type": JSON, "label": JSON, "referenceTo": JSON,
        "picklistValues": JSON, "IsDeleted": LEAVES, "LastModifiedById": JSON, "GroupId": JSON, "email": JSON,
        "modifiedtime": LEAVES, "length": JSON, "Name": JSON, "api_name": JSON, "CreatedDate": LEAVES, "Email": JSON,
        "ManagerId": JSON,
    }) | JSON, max_size=3,
)  # fmt: skip
LISTED = st.builds(
    lambda name, rows, more: {name: rows, **more},
    st.sampled_from(("records", "data", "result", "fields", "users", "deletedRecords", "sobjects")), ROWS,
    st.dictionaries(st.sampled_from(("done", "info", "nextRecordsUrl", "more_records", "fields", "label")), JSON),
)  # fmt: skip
ENVELOPES = st.builds(lambda result: {"success": True, "result": result}, ROWS | LISTED | JSON)
BODIES = st.binary(max_size=40) | JSON.map(to_json) | LISTED.map(to_json) | ENVELOPES.map(to_json)
STATUSES = st.sampled_from((200, 200, 200, 200, 201, 204, 304, 400, 401, 403, 404, 429, 500, 503))
ANSWERS = st.lists(
    st.builds(lambda status, body: Response(status=status, body=body), STATUSES, BODIES), min_size=1, max_size=5
)
EXPECTED = (NotSent, NoAnswer, CaptureFailed)


def played(answers: list[Response]) -> Send:
    """The answers one after another; then nobody is there."""
    waiting = iter(answers)

    def send(request: Request) -> Response:
        found = next(waiting, None)
        if found is None:
            raise NotSent("nobody is there")
        return found

    return send


def polled(crm: Connector, send: Send) -> None:
    position: bytes | None = None
    watched = crm.capture("Deals", send)
    for turn in range(3):
        found = watched.poll(position, NOW + turn)
        position = found.position
        for event in found.events:
            assert isinstance(event.record_id, str)
            assert event.record_id
            to_json(event)


def described(crm: Connector, send: Send) -> None:
    assert crm.describe(send, ["Deals"]).tabs["Deals"].fields


def permitted(crm: Connector, send: Send) -> None:
    assert all(isinstance(sentence, str) for sentence in crm.missing_permissions(send, ["Deals"]))


def known(crm: Connector, send: Send) -> None:
    assert isinstance(crm.own_user(send), str)


@pytest.mark.parametrize("ask", [polled, described, permitted, known])
@pytest.mark.parametrize("kind", CRMS)
@given(answers=ANSWERS)
def test_an_answer_is_read_or_refused_in_our_own_words(
    ask: Callable[[Connector, Send], None], kind: str, answers: list[Response]
) -> None:
    try:
        ask(CRMS[kind], played(answers))
    except EXPECTED:
        return
