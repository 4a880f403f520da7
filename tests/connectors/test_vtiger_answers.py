"""Whatever an answer holds, the connector neither raises nor claims what is not proven; quotas and values by table."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.base import Pressure, Response, Usage
from connectors.capture import CaptureFailed, Mark
from connectors.idset import pack, unpack
from connectors.settings import ConnectionSettings, SettingsError
from connectors.testing import ConnectorContract
from connectors.vtiger import VtigerConnector
from connectors.vtiger.capture import VtigerReader
from connectors.vtiger.surface import RESTAPI, surface_of
from schemas.codec import to_json
from schemas.commands import Applied, Command, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata, Field, FieldType, Tab
from tests.connectors.crms import metadata, settings_of

OPERATIONS = (
    "create", "upsert", "update", "delete", "link", "unlink", "tag", "untag", "note", "task", "convert", "read",
)  # fmt: skip
OUTCOMES = (Applied, Rejected, RetryLater, Uncertain)


def connector(tabs: Sequence[Tab] = (), **options: str) -> VtigerConnector:
    settings = settings_of("vtiger").model_copy(update={"options": options})
    return VtigerConnector(settings, metadata("vtiger", **{tab.name: tab for tab in tabs}))


EITHER = {surface: connector(surface=surface) for surface in ("webservice", "cloud")}


def command(operation: str) -> Command:
    made = operation in {"create", "upsert", "task"}
    fields: dict[str, dict[str, Any]] = {
        "link": {"relation": "Contacts", "to": "12x1"}, "unlink": {"relation": "Contacts", "to": "12x1"},
        "tag": {"tags": ["a"]}, "untag": {"tags": ["a"]}, "note": {"text": "x"},
        "task": {"subject": "Call", "due": "2026-01-31", "about": "vtiger:Deals/10x1"},
        "update": {"Name": "Big"}, "create": {"Name": "Big"}, "upsert": {"Name": "Big"},
    }  # fmt: skip
    return Command(
        id="c1", connection="vtiger", tab="vtiger:Deals", operation=operation, record_id="" if made else "10x1",
        fields=fields.get(operation, {}),
        key=("Renkei_Key", "c1") if made or operation in {"note", "convert"} else None,
    )  # fmt: skip


scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["10x1", "", "0", "RATE"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["id", "success", "result", "error", "code", "message", "Name", "status", "Contacts", "modifiedtime"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


class TestWebserviceContract(ConnectorContract):
    """The contract for all that webservice.php can do; a conversion without a result is refused, not uncertain."""

    connector = EITHER["webservice"]
    commands = tuple(command(operation) for operation in OPERATIONS if operation != "convert")

    def answered(self, commands: Sequence[Command]) -> Response:
        """The record, by id or as rows."""
        row = {"id": commands[0].record_id or "10x9", "modifiedtime": "2026-01-02 03:04:05"}
        if commands[0].operation == "note":
            row["id"] = "30x4"
        result: object = [row] if commands[0].operation == "read" else row
        return Response(status=200, body=to_json({"success": True, "result": result}))


class TestCloudContract(TestWebserviceContract):
    """The same for the cloud."""

    connector = EITHER["cloud"]


rows = st.lists(st.dictionaries(st.sampled_from(["id", "modifiedtime", "Name"]), scalars, max_size=3), max_size=3)
pages = st.fixed_dictionaries(
    {"updated": rows | values, "deleted": values | st.lists(st.text(max_size=5)), "lastModifiedTime": scalars}
)
errors = st.fixed_dictionaries({"code": scalars | st.sampled_from(["LEAD_ALREADY_CONVERTED", "RECORD_NOT_FOUND"])})
success = st.sampled_from([True, True, False, "true", 1])
envelopes = st.fixed_dictionaries(
    {"success": success, "result": values | rows | pages | scalars, "error": errors | values}
)
told = envelopes.map(to_json)
bodies = told | told.map(lambda body: b"<br />Notice: {x}\n" + body) | values.map(to_json) | st.binary(max_size=60)
statuses = st.sampled_from([200, 201, 204, 301, 400, 401, 403, 404, 414, 429, 500, 502, 503])
headers = st.dictionaries(
    st.sampled_from(["x-floodcontrol-remaining", "x-floodcontrol-reset", "x-ratelimit-remaining", "date"]),
    st.text(max_size=20),
)


@given(st.sampled_from(sorted(EITHER)), st.sampled_from(OPERATIONS), statuses, bodies, headers)
def test_any_answer_has_an_outcome_and_applied_needs_a_proof(
    surface: str, operation: str, status: int, body: bytes, told: dict[str, str]
) -> None:
    answer = Response(status=status, body=body, headers=told)
    one, vtiger = command(operation), EITHER[surface]
    [outcome] = vtiger.outcomes([one], answer)
    assert isinstance(outcome, OUTCOMES)
    assert outcome.command_id == "c1"
    if isinstance(outcome, Applied):
        assert b'"success":true' in body.replace(b" ", b"") or b"RECORD_NOT_FOUND" in body
        assert status == 200
    assert isinstance(vtiger.found(one, answer), (*OUTCOMES, Command))
    vtiger.usage(answer)
    vtiger.pressure(answer)


@example(200, b'{"success": true, "result": [{}]}')
@example(200, b'{"success": true, "result": [7]}')
@example(200, b'{"success": true, "result": [{"id": 7}]}')
@example(200, '{"success": true, "result": {"updated": [], "deleted": [], "lastModifiedTime": "²"}}'.encode())
@example(200, b'{"success": true, "result": {"updated": [{}], "deleted": [], "lastModifiedTime": 5}}')
@example(200, b'{"success": true, "result": {"updated": [], "deleted": [], "lastModifiedTime": 5}}')
@given(statuses, bodies)
def test_a_reading_of_any_answer_gives_rows_or_fails(status: int, body: bytes) -> None:
    reader = VtigerReader(
        settings_of("vtiger"), metadata("vtiger"), "Deals", lambda request: Response(status=status, body=body), ()
    )
    try:
        page = reader.rows(Mark(), False)
    except CaptureFailed:
        return
    assert all(isinstance(row.id, str) for row in page.rows)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_success_without_its_result_is_no_proof(operation: str) -> None:
    for vtiger in EITHER.values():
        [outcome] = vtiger.outcomes([command(operation)], Response(status=200, body=b'{"success": true}'))
        assert isinstance(outcome, Rejected if operation == "convert" else Uncertain)


AT = 1_800_000_000


@pytest.mark.parametrize(
    ("status", "told", "pressure"),
    [
        (429, {}, Pressure(kind="busy")),
        (429, {"retry-after": "9"}, Pressure(kind="busy", after=9.0)),
        (429, {"x-floodcontrol-reset": str(AT + 17), "x-floodcontrol-remaining": "0"}, Pressure(kind="busy", after=17)),
        (429, {"x-floodcontrol-reset": str(AT - 9)}, Pressure(kind="busy", after=1.0)),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(AT + 7200)}, Pressure(kind="spent", after=7200)),
        (429, {"x-ratelimit-remaining": "0"}, Pressure(kind="spent", after=3_600)),
        (503, {}, Pressure(kind="unwell")),
        (403, {}, None),
        (200, {"x-floodcontrol-remaining": "0"}, None),
    ],
)
def test_a_refusal_says_how_long_to_wait(status: int, told: dict[str, str], pressure: Pressure | None) -> None:
    dated = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", **told}
    assert EITHER["cloud"].pressure(Response(status=status, headers=dated)) == pressure


def test_headers_tell_what_is_left_of_the_minute_and_of_the_day() -> None:
    told = {
        "x-floodcontrol-minutelimit": "60", "x-floodcontrol-remaining": "51", "x-floodcontrol-reset": str(AT),
        "x-ratelimit-dailylimit": "1200", "x-ratelimit-remaining": "417",
    }  # fmt: skip
    assert EITHER["cloud"].usage(Response(status=200, headers=told)) == [
        Usage(quota="minute", left=51, most=60, resets_at=AT * 1000),
        Usage(quota="day", left=417, most=1200),
    ]
    assert EITHER["webservice"].usage(Response(status=200)) == []


@pytest.mark.parametrize(
    ("url", "login", "option", "base"),
    [
        ("https://crm.example", "refresh_token", "", "/webservice.php"),
        ("https://x.od2.vtiger.com", "basic", "", RESTAPI),
        ("https://x.od2.vtiger.com", "refresh_token", "cloud", RESTAPI),
        ("https://x.od2.vtiger.com/restapi/v1/vtiger/default", "refresh_token", "", ""),
        ("https://x.od2.vtiger.com/restapi", "basic", "webservice", "/webservice.php"),
    ],
)
def test_the_surface_follows_from_the_settings(url: str, login: Any, option: str, base: str) -> None:
    options = {"surface": option} if option else {}
    settings = ConnectionSettings(connection="v", kind="vtiger", url=url, login=login, options=options)
    assert surface_of(settings).base == base


def test_an_unknown_surface_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="connection 'vtiger': option surface"):
        connector(surface="soap")


TYPES: dict[str, tuple[FieldType, str]] = {
    "name": ("text", "string"), "phone": ("text", "phone"), "note": ("unknown", "text"), "seats": ("number", "integer"),
    "price": ("number", "currency"), "open": ("boolean", "boolean"), "day": ("date", "date"),
    "at": ("datetime", "datetime"), "level": ("picklist", "picklist"), "news": ("multipicklist", "multipicklist"),
}  # fmt: skip
COMPLETE = Tab(
    name="Things",
    fields={
        **{name: Field(name=name, type=kind, native=native) for name, (kind, native) in TYPES.items()},
        "createdtime": Field(name="createdtime", type="datetime", writable=False),
        "short": Field(name="short", type="text", max_length=3),
    },
)


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("name", "Party 🎉", "four bytes"), ("news", ["a", "𠮷"], "four bytes"), ("name", "日本語 ü €", ""),
        ("name", "x<script>1</script>", "script"), ("name", "a < b & c", ""), ("name", "x" * 256, "longer than 255"),
        ("phone", "9" * 51, "longer than 50"), ("note", "x" * 100_000, ""), ("short", "abcd", "longer than 3"),
        ("seats", "7.9", "whole number"), ("seats", 99_999_999_999, "whole number"), ("seats", "7", ""),
        ("price", "1,234.56", "no number"), ("price", "12.345", "decimals"), ("price", "12.340", ""),
        ("price", "1e400", "does not fit"), ("open", "maybe", "neither"), ("open", "true", ""), ("open", True, ""),
        ("day", "2026-02-29", "no date"), ("day", "tomorrow", "no date"), ("day", "2026-03-29T10:00:00Z", ""),
        ("at", "soon", "no time"), ("at", "2026-03-29T10:00:00Z", ""), ("level", "Bronze &amp; Co", "entity"),
        ("level", "Bronze & Co", ""), ("news", ["a |##| b"], "separator"), ("nope", "x", "no such field"),
        ("createdtime", "2026-03-29T10:00:00Z", "read-only"), ("price", None, ""), ("day", "", ""),
    ],
)  # fmt: skip
def test_what_would_be_changed_in_silence_is_refused(field: str, value: Any, word: str) -> None:
    one = Command(
        id="c1", connection="vtiger", tab="vtiger:Things", operation="update", record_id="1x1", fields={field: value}
    )
    refusal = connector([COMPLETE]).refuse(one)
    if not word:
        assert refusal is None
        return
    assert refusal is not None
    assert refusal.code == "would_be_mangled"
    assert refusal.reason.startswith(f"field {field}: ")
    assert word in refusal.reason
    assert len(str(value)) < 2 or str(value) not in refusal.reason


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        ({"mangled": "send"}, {"name": "🎉", "nope": "x"}), ({"charset": "utf8mb4"}, {"name": "🎉"}),
        ({"decimals": "3"}, {"price": "12.345"}), ({"lengths": "Things.name=300"}, {"name": "x" * 299}),
    ],
)  # fmt: skip
def test_what_is_refused_can_be_set(options: dict[str, str], fields: dict[str, Any]) -> None:
    one = Command(id="c1", connection="vtiger", tab="vtiger:Things", operation="update", record_id="1x1", fields=fields)
    assert connector([COMPLETE]).refuse(one) is not None
    assert connector([COMPLETE], **options).refuse(one) is None


def test_a_tab_that_nobody_described_refuses_nothing() -> None:
    one = Command(
        id="c1", connection="vtiger", tab="vtiger:Other", operation="update", record_id="1x1", fields={"x": "🎉"}
    )
    assert VtigerConnector(settings_of("vtiger"), ConnectionMetadata(connection="vtiger")).refuse(one) is None


ids = st.builds("{}x{}".format, st.integers(1, 40), st.integers(0, 2000)) | st.text(max_size=8)


@given(st.lists(ids))
def test_packed_ids_come_back_as_they_were(found: list[str]) -> None:
    assert unpack(pack(found)) == set(found)


def test_ids_that_follow_each_other_take_no_room() -> None:
    assert pack(f"10x{number}" for number in range(1, 100_001)) == ["10x1-100000"]
