"""Vtiger's answers and what they mean."""

from collections.abc import Sequence
from urllib.parse import parse_qs

import pytest

from connectors.base import Response
from connectors.testing import ConnectorContract
from connectors.vtiger import VtigerConnector
from schemas.codec import from_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from schemas.metadata import Field, Tab
from tests.connectors.crms import ANN, OPERATIONS, TEAM, VTIGER, command, metadata, reply, settings_of

ONE = command("vtiger", "create")


def ok(result: object) -> Response:
    return reply(200, {"success": True, "result": result})


def bad(code: object) -> Response:
    return reply(200, {"success": False, "error": {"code": code, "message": "in words"}})


class TestVtigerContract(ConnectorContract):
    connector = VTIGER
    commands = tuple(command("vtiger", operation) for operation in OPERATIONS)

    def answered(self, commands: Sequence[Command]) -> Response:
        if commands[0].operation == "read":
            return ok([{"id": commands[0].record_id, "Name": "Big deal"}])
        return ok({"id": commands[0].record_id or "10x9", "modifiedtime": "2026-01-02 03:04:05"})


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (ok({"id": "10x9", "modifiedtime": "2026-01-02 03:04:05"}), Applied),
        (Response(status=200, body=b'Notice: x\n{"success":true,"result":{"id":"10x9"}}'), Applied),
        (ok({"modifiedtime": "2026-01-02 03:04:05"}), Uncertain),
        (bad("MANDATORY_FIELDS_MISSING"), Rejected),
        (bad("ACCESS_DENIED"), Rejected),
        (bad("DATABASE_QUERY_ERROR"), Uncertain),
        (bad("INTERNAL_SERVER_ERROR"), Uncertain),
        (bad(None), Uncertain),
        (bad(0), RetryLater),
        (reply(429), RetryLater),
        (reply(500), Uncertain),
        (Response(status=200, body=b"<br />Fatal error"), Uncertain),
    ],
)
def test_the_envelope_tells_what_became_of_a_create(response: Response, kind: type) -> None:
    [outcome] = VTIGER.outcomes([ONE], response)
    assert type(outcome) is kind


def test_an_applied_create_tells_all_that_was_stored() -> None:
    row = {
        "id": "10x9",
        "Amount": "12.50000000",
        "Open": "1",
        "Tags": "a |##| b",
        "Name": "",
        "Due": "2026-01-02 03:04:05",
    }
    [outcome] = VTIGER.outcomes([ONE], ok(row))
    assert isinstance(outcome, Applied)
    assert from_json(b'{"Amount": 12.5}')["Amount"] == outcome.fields["Amount"]
    assert {**outcome.fields, "Amount": 0} == {
        "id": "10x9", "Amount": 0, "Open": True, "Tags": ["a", "b"], "Name": None,
        "Due": "2026-01-02T03:04:05Z",
    }  # fmt: skip


def test_a_double_without_a_key_of_ours_is_refused() -> None:
    [outcome] = VTIGER.outcomes([command("vtiger", "update")], bad(0))
    assert outcome == Rejected(command_id="c1", code="DUPLICATE", reason="DUPLICATE")


@pytest.mark.parametrize(
    ("unique", "kind"),
    [(("Renkei_Key",), RetryLater), (("Renkei_Key", "Name"), RetryLater), (("Name", "Account"), Rejected)],
)
def test_a_double_is_ours_only_if_the_key_is_part_of_the_unique_rule(unique: tuple[str, ...], kind: type) -> None:
    deals = Tab(name="Deals", fields={name: Field(name=name, unique=True) for name in unique})
    told = VtigerConnector(settings_of("vtiger"), metadata("vtiger", Deals=deals))
    [outcome] = told.outcomes([ONE], bad(0))
    assert isinstance(outcome, kind)
    if isinstance(outcome, Rejected):
        assert outcome.reason == "DUPLICATE: another record has the same Name and Account"


def test_an_answer_about_another_record_is_not_believed() -> None:
    [outcome] = VTIGER.outcomes([command("vtiger", "update")], ok({"id": "10x9"}))
    assert isinstance(outcome, Uncertain)


def test_values_are_written_in_vtigers_dialect() -> None:
    fields = {"Tags": ["a", "b"], "Due": "2026-01-02T03:04:05Z", "Open": True, "Name": None, "Amount": 5}
    request = VTIGER.request([command("vtiger", "create", fields=fields, owner="team:Sales")])
    form = parse_qs((request.body or b"").decode())
    assert form["operation"] == ["create"]
    assert from_json(form["element"][0]) == {
        "Tags": "a |##| b", "Due": "2026-01-02 03:04:05", "Open": "1", "Name": "", "Amount": "5",
        "Renkei_Key": "c1",
        "assigned_user_id": TEAM,
    }  # fmt: skip


def test_a_create_without_an_owner_belongs_to_the_integration_user() -> None:
    form = parse_qs((VTIGER.request([ONE]).body or b"").decode())
    assert from_json(form["element"][0])["assigned_user_id"] == ANN


ROW = {"id": "10x9", "Name": "Big deal", "Amount": "5.00000000"}


@pytest.mark.parametrize(
    ("operation", "rows", "kind"),
    [
        ("create", [ROW], Applied),
        ("create", [], RetryLater),
        ("create", [ROW, ROW], Uncertain),
        ("upsert", [ROW], Applied),
        ("upsert", [{**ROW, "Amount": "6"}], Command),
        ("upsert", [], RetryLater),
        ("update", [ROW], Applied),
        ("update", [{**ROW, "Amount": "6"}], RetryLater),
        ("update", [], Rejected),
        ("delete", [], Applied),
        ("delete", [ROW], RetryLater),
    ],
)
def test_a_lookup_proves_presence_or_absence(operation: str, rows: list[object], kind: type) -> None:
    one = command("vtiger", operation)
    assert VTIGER.find(one) is not None
    assert type(VTIGER.found(one, ok(rows))) is kind


def test_an_upsert_of_what_is_there_goes_on_as_its_update() -> None:
    found = VTIGER.found(command("vtiger", "upsert"), ok([{**ROW, "Amount": "6"}]))
    assert isinstance(found, Command)
    assert (found.id, found.operation, found.record_id) == ("c1", "update", "10x9")


def test_a_key_with_quotes_stays_inside_its_literal() -> None:
    request = VTIGER.find(command("vtiger", "create", key=("cf_key", "O'Brien\\")))
    assert request is not None
    assert request.params["query"] == "SELECT * FROM Deals WHERE cf_key = 'O''Brien\\\\' LIMIT 2;"
