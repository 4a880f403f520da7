"""The connector reads every recorded answer of two real Vtigers rightly.

The oracle knows nothing of the connector: it goes by the HTTP status, ``success`` and the error code, as the fact sheet
reads them.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.auth import VtigerSession
from connectors.base import AuthenticationFailed, Request, Response
from connectors.capture import CaptureFailed, Mark
from connectors.credentials import Credentials
from connectors.vtiger import VtigerConnector
from connectors.vtiger.capture import VtigerReader
from schemas.codec import from_json, to_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata
from schemas.values import parse_instant
from tests.connectors.crms import settings_of
from tests.sandbox.recordings import MISSING, RECORDINGS, VERSIONS, Exchange, exchanges, result_of, rows_of

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=MISSING)

AGAIN = ("INVALID_SESSIONID", "SESSION_EXPIRED", "SESSION_LEFT_IDLE", "AUTHENTICATION_REQUIRED")
NEVER = (
    "ACCESS_DENIED", "MANDATORY_FIELDS_MISSING", "INVALID_ID_ATTRIBUTE", "REFERENCE_INVALID", "UNKOWN_ENTITY",
    "RECORD_NOT_FOUND", "QUERY_SYNTAX_ERROR", "UNKNOWN_OPERATION",
)  # fmt: skip
WHO_KNOWS = ("INTERNAL_SERVER_ERROR", "DATABASE_QUERY_ERROR")

ORACLE: dict[object, type] = {
    **dict.fromkeys((*NEVER, *AGAIN), Rejected), **dict.fromkeys(WHO_KNOWS, Uncertain),
    "LEAD_ALREADY_CONVERTED": Applied,
}  # fmt: skip
"""What a failure of a write means, by its code (fact sheet, section 6)."""

OURS = "create lead with the same unique value"
"""The one double whose unique field is the key of the command: our own record, to be looked up."""

WRITES = {
    "create": "create", "revise": "update", "update": "update", "delete": "delete", "add_related": "link",
    "convertlead": "convert",
}  # fmt: skip
"""Vtiger's operations and the connector's."""


def response(exchange: Exchange) -> Response:
    told = exchange.response
    headers = {name.lower(): value for name, value in told["headers"].items()}
    body = to_json(told["body"]) if "body" in told else told.get("body_text", "").encode()
    return Response(status=told["status"], headers=headers, body=body)


def meaning(exchange: Exchange) -> type:
    """What the answer to a write means."""
    body = exchange.response.get("body")
    if exchange.response["status"] != 200 or not isinstance(body, dict):
        return Uncertain
    if not body["success"]:
        code = body["error"]["code"]
        double = RetryLater if exchange.label == OURS else Rejected
        return double if code == 0 else ORACLE[code]
    return Rejected if exchange.operation == "convertlead" and "result" not in body else Applied


def of(operation: str, version: str) -> list[Exchange]:
    return [one for one in exchanges(version) if one.operation == operation]


def replier(answers: dict[str, Response]) -> Callable[[Request], Response]:
    """A network that knows some answers by what is asked."""
    return lambda request: next((answers[key] for key in answers if key in str(request.params)), Response(status=500))


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def vtiger(version: str) -> VtigerConnector:
    """The connector with the metadata that it reads out of the recorded descriptions."""
    told = {one.parameters["elementType"]: response(one) for one in of("describe", version) if result_of(one)}

    def send(request: Request) -> Response:
        users = b'{"success": true, "result": []}'
        asked = request.params.get("elementType")
        return told[asked] if asked else Response(status=200, body=users)

    bare = VtigerConnector(settings_of("vtiger"), ConnectionMetadata(connection="vtiger"))
    return VtigerConnector(settings_of("vtiger"), bare.describe(send, list(told)))


def written(exchange: Exchange) -> Command:
    """The command that such a request would come of."""
    form = exchange.parameters
    try:
        element: Any = from_json(form.get("element", "{}"))
    except ValueError:
        element = {}
    element = element if isinstance(element, dict) else {}
    named = form.get("id") or form.get("sourceRecordId") or element.get("leadId") or element.get("id") or ""
    operation = WRITES[exchange.operation]
    fields = {name: value for name, value in element.items() if name != "id"}
    return Command(
        id="c1", connection="vtiger", tab=f"vtiger:{form.get('elementType', 'Leads')}", operation=operation,
        record_id="" if operation == "create" else named, fields=fields if operation == "update" else {},
        key=("cf_ext_id_l", "c1") if operation == "create" else None,
    )  # fmt: skip


@pytest.mark.parametrize("operation", WRITES)
def test_an_answer_to_a_write_is_classified(vtiger: VtigerConnector, version: str, operation: str) -> None:
    wrong = []
    for exchange in of(operation, version):
        command = written(exchange)
        [outcome] = vtiger.outcomes([command], response(exchange))
        expected = meaning(exchange)
        wrong += [] if type(outcome) is expected else [(exchange.name, expected.__name__, outcome)]
    assert wrong == []


@pytest.mark.parametrize("operation", ["create", "revise", "update"])
def test_an_applied_write_tells_the_record_as_it_was_stored(
    vtiger: VtigerConnector, version: str, operation: str
) -> None:
    for exchange in of(operation, version):
        [outcome] = vtiger.outcomes([written(exchange)], response(exchange))
        stored = result_of(exchange)
        if isinstance(outcome, Applied):
            assert outcome.record_id == stored["id"]
            assert outcome.fields["modifiedtime"] == stored["modifiedtime"].replace(" ", "T") + "Z"
            assert outcome.fields.keys() == stored.keys()


def test_an_applied_conversion_names_what_was_made(vtiger: VtigerConnector, version: str) -> None:
    for exchange in of("convertlead", version):
        [outcome] = vtiger.outcomes([written(exchange)], response(exchange))
        if isinstance(outcome, Applied):
            assert sorted(outcome.fields.values()) == sorted((result_of(exchange) or {}).values())


def test_a_lookup_is_believed_only_where_it_says_what_is_there(vtiger: VtigerConnector, version: str) -> None:
    one = Command(id="c1", connection="vtiger", tab="vtiger:Leads", operation="create", key=("cf_ext_id_l", "c1"))
    for exchange in of("query", version):
        rows = result_of(exchange)
        expected: type[Outcome] = Uncertain
        if isinstance(rows, list) and len(rows) < 2:
            expected = Applied if rows else RetryLater
        found = vtiger.found(one, response(exchange))
        assert type(found) is expected, (exchange.name, found)


@pytest.mark.parametrize("operation", ["query", "sync"])
def test_a_reading_gives_its_rows_or_fails(vtiger: VtigerConnector, version: str, operation: str) -> None:
    for exchange in of(operation, version):
        answers = {f"'operation': '{operation}'": response(exchange)}
        reader = VtigerReader(vtiger.settings, vtiger.metadata, "Leads", replier(answers), ())
        readable = exchange.response["status"] == 200 and exchange.response["body"]["success"]
        if not readable:
            with pytest.raises(CaptureFailed):
                reader.rows(Mark(), False)
            continue
        page = reader.rows(Mark(), False)
        told = {row["id"] for row in rows_of(result_of(exchange))}
        gone = set(result_of(exchange)["deleted"]) if operation == "sync" else set()
        assert {row.id for row in page.rows if not row.gone} == told
        assert {row.id for row in page.rows if row.gone} == gone


def test_a_stock_sync_makes_the_reader_query(vtiger: VtigerConnector, version: str) -> None:
    row = b'{"success": true, "result": [{"id": "10x1", "modifiedtime": "2026-01-02 03:04:05"}]}'
    stock = next(one for one in of("sync", version) if one.file == "sync-stock")
    answers = {"'sync'": response(stock), "'query'": Response(status=200, body=row)}
    reader = VtigerReader(vtiger.settings, vtiger.metadata, "Leads", replier(answers), ())
    assert [found.id for found in reader.rows(Mark(), False).rows] == ["10x1"]
    assert reader.sweep_every == 300_000


def test_a_session_that_is_over_is_known_by_every_answer(vtiger: VtigerConnector, version: str) -> None:
    session = VtigerSession(vtiger.settings, Credentials("vtiger", {}), lambda request: Response(status=500))
    for exchange in exchanges(version):
        body = exchange.response.get("body")
        code = body["error"]["code"] if isinstance(body, dict) and not body["success"] else ""
        assert session.expired(response(exchange)) == (code in AGAIN), exchange.name


def logins(version: str) -> Iterator[tuple[Exchange, Exchange]]:
    """Each recorded answer to a login, after a good challenge."""
    challenge = next(one for one in of("getchallenge", version) if result_of(one))
    yield from ((challenge, one) for one in of("login", version))


def test_a_login_gives_the_session_or_says_that_the_credentials_are_wrong(
    vtiger: VtigerConnector, version: str
) -> None:
    secrets = Credentials("vtiger", {"username": "admin", "access_key": "k"})
    for challenge, login in logins(version):

        def send(request: Request, challenge: Exchange = challenge, login: Exchange = login) -> Response:
            return response(challenge if request.method == "GET" else login)

        session = VtigerSession(vtiger.settings, secrets, send)
        if result_of(login):
            assert session.token() == result_of(login)["sessionName"]
        else:
            with pytest.raises(AuthenticationFailed):
                session.token()


def test_the_recordings_hold_answers_of_every_kind(version: str) -> None:
    """The tests above would say nothing about kinds that are not recorded."""
    kinds = {meaning(one) for operation in WRITES for one in of(operation, version)}
    assert kinds == {Applied, Rejected, Uncertain, RetryLater}


def test_a_recorded_time_is_of_the_servers_zone(vtiger: VtigerConnector, version: str) -> None:
    made = [one for one in of("create", version) if one.file == "timezone"]
    zones = []
    for exchange in made:
        zone = exchange.label.rpartition(" ")[2]
        there = VtigerConnector(vtiger.settings.model_copy(update={"zone": zone}), vtiger.metadata)
        [outcome] = there.outcomes([written(exchange)], response(exchange))
        assert isinstance(outcome, Applied)
        assert abs(parse_instant(outcome.fields["modifiedtime"]) - exchange.at) < 2_000
        zones.append(zone)
    assert set(zones) == {"UTC", "Europe/Berlin", "America/New_York"}


def moved(vtiger: VtigerConnector, version: str, label: str) -> tuple[int, int]:
    """The modified time that an answer tells, and when it was asked, in whole seconds."""
    exchange = next(one for one in exchanges(version) if one.file == "modifiedtime" and one.label == label)
    [outcome] = vtiger.outcomes([written(exchange)], response(exchange))
    assert isinstance(outcome, Applied)
    return parse_instant(outcome.fields["modifiedtime"]) // 1000, exchange.at // 1000


@pytest.mark.parametrize(
    "label",
    [
        "revise with the same value it already has",
        "revise with only the id",
        "revise that tries to set modifiedtime and createdtime",
        "revise readonly lead_no",
        "create with createdtime and modifiedtime given",
    ],
)
def test_every_write_moves_the_modified_time_and_none_can_set_it(
    vtiger: VtigerConnector, version: str, label: str
) -> None:
    told, asked = moved(vtiger, version, label)
    assert 0 <= told - asked <= 1


def test_edits_within_one_second_have_one_modified_time(vtiger: VtigerConnector, version: str) -> None:
    """So a capture compares content, and a conditional write cannot tell them apart."""
    times = [moved(vtiger, version, f"revise in a burst {number}")[0] for number in range(5)]
    assert len(set(times)) < len(times)
