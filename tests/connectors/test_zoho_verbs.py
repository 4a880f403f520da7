"""What Zoho is asked for beside rows, what its answers mean, and what it is never asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from connectors.base import Request, Response
from connectors.settings import ConnectionSettings
from connectors.testing import ConnectorContract
from connectors.zoho import ZohoConnector
from schemas.codec import from_json
from schemas.commands import Applied, Command, Outcome, Rejected, RetryLater, Uncertain
from schemas.metadata import ConnectionMetadata, Field, Tab
from tests.connectors.crms import ANN, BOB, TEAMS, USERS, command, metadata, reply

SEEN = 1_800_000_000_000
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "tag": {"tags": ["重要", "vip"]},
    "untag": {"tags": ["vip"]},
    "note": {"title": "Call", "text": "話した 📞"},
    "transition": {"transition": "Schedule", "values": {}},
    "mail": {"to": ["customer@example.com"], "subject": "ご案内", "body": "Hello"},
    "lock": {"reason": "Under review"},
    "unlock": {},
    "assign": {},
    "unlink": {"to": "200", "relation": "Contacts"},
    "convert": {"account": True, "contact": "77", "deal": None},
}
NOTES = Tab(name="Notes", fields={"Renkei_Key": Field(name="Renkei_Key", type="text", unique=True)})
SETTINGS = ConnectionSettings(
    connection="zoho", kind="zoho", url="https://crm.example", user=ANN, sender="crm@example.com",
    options={"change_owner": "true"},
)  # fmt: skip
ZOHO = ZohoConnector(SETTINGS, metadata("zoho"))
WITH_NOTES = ZohoConnector(SETTINGS, metadata("zoho", Notes=NOTES))


def one(operation: str, number: int = 1, **more: Any) -> Command:
    told: dict[str, Any] = {"fields": dict(FIELDS[operation])}
    told |= {"owner": f"user:{BOB}"} if operation == "assign" else {}
    told |= {"tab": "zoho:Leads"} if operation == "convert" else {}
    return command("zoho", operation, number, **{**told, **more})


def body_of(request: Request | None) -> Any:
    assert request is not None
    return from_json(request.body or b"")


def success(record_id: str, **more: object) -> dict[str, Any]:
    details = {"id": record_id, "message_id": "m1", "Contacts": {"id": "77", "name": "x"}, **more}
    return {"code": "SUCCESS", "status": "success", "message": "done", "details": details}


def error(code: str, **details: object) -> dict[str, Any]:
    return {"code": code, "status": "error", "message": "in words", "details": details}


class TestContract(ConnectorContract):
    connector = ZOHO
    commands = tuple(one(operation) for operation in FIELDS)

    def answered(self, commands: Sequence[Command]) -> Response:
        if commands[0].operation == "transition":
            return reply(200, success("x"))
        own = {"note": "9", "lock": "9", "unlock": "9", "unlink": "200"}.get(commands[0].operation, "")
        rows = [success(own or done.record_id) for done in commands]
        return reply(200, {"data": rows})


@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("tag", "POST", "/Deals/actions/add_tags",
         {"tags": [{"name": "重要"}, {"name": "vip"}], "ids": ["101"], "over_write": False}),
        ("untag", "POST", "/Deals/actions/remove_tags", {"tags": [{"name": "vip"}], "ids": ["101"]}),
        ("note", "POST", "/Notes", {"data": [{"Parent_Id": {"id": "101", "module": {"api_name": "Deals"}},
                                              "Note_Title": "Call", "Note_Content": "話した 📞"}]}),
        ("transition", "PUT", "/Deals/101/actions/blueprint",
         {"blueprint": [{"transition_id": "Schedule", "data": {}}]}),
        ("lock", "POST", "/Deals/101/Locking_Information__s", {"data": [{"Locked_Reason__s": "Under review"}]}),
        ("assign", "PUT", "/Deals", {"data": [{"id": "101", "Owner": {"id": BOB}}]}),
        ("mail", "POST", "/Deals/101/actions/send_mail",
         {"data": [{"from": {"email": "crm@example.com"}, "to": [{"email": "customer@example.com"}],
                    "subject": "ご案内", "content": "Hello", "mail_format": "text", "org_email": False}]}),
        ("convert", "POST", "/Leads/101/actions/convert",
         {"data": [{"overwrite": False, "notify_lead_owner": False, "notify_new_entity_owner": False,
                    "Contacts": {"id": "77"}}]}),
    ],
)  # fmt: skip
def test_each_operation_says_it_in_zohos_words(operation: str, method: str, path: str, body: object) -> None:
    request = ZOHO.request([one(operation)])
    assert (request.method, request.path, body_of(request)) == (method, f"/crm/v8{path}", body)


def test_the_same_owner_for_many_is_one_cheap_call_unless_automation_must_stay_quiet() -> None:
    many = [one("assign", number) for number in range(1, 101)]
    request = ZOHO.request(many)
    assert request.path == "/crm/v8/Deals/actions/change_owner"
    assert body_of(request)["owner"] == {"id": BOB}
    assert len(body_of(request)["ids"]) == 100
    assert ZOHO.price(request) == 1
    quiet = ZOHO.request([one("assign", number, trigger_native=False) for number in range(1, 101)])
    assert (quiet.path, body_of(quiet)["trigger"], ZOHO.price(quiet)) == ("/crm/v8/Deals", [], 10)
    modest = ZohoConnector(SETTINGS.model_copy(update={"options": {}}), metadata("zoho"))
    assert modest.request(many).path == "/crm/v8/Deals"
    assert ZOHO.request([*many[:50], one("assign", 51, owner=f"user:{ANN}")]).path == "/crm/v8/Deals"


def test_records_that_get_different_tags_do_not_share_a_call() -> None:
    with pytest.raises(ValueError, match="tags"):
        ZOHO.request([one("tag"), one("tag", 2, fields={"tags": ["other"]})])


def test_a_conditional_write_carries_the_time_that_was_seen_and_goes_alone() -> None:
    conditional = command("zoho", "update", if_unmodified=SEEN + 999)
    assert ZOHO.request([conditional]).headers == {"If-Unmodified-Since": "2027-01-15T08:00:00+00:00"}
    assert ZOHO.most(conditional) == 1
    assert ZOHO.request([command("zoho", "update")]).headers == {}
    [outcome] = ZOHO.outcomes([conditional], reply(412, {"data": [error("ALREADY_MODIFIED", id="101")]}))
    assert isinstance(outcome, Rejected)
    assert outcome.code == "changed_meanwhile"


@pytest.mark.parametrize("operation", ["create", "update", "upsert"])
def test_automation_of_the_crm_is_kept_quiet_where_a_rule_says_so(operation: str) -> None:
    assert body_of(ZOHO.request([command("zoho", operation, trigger_native=False)]))["trigger"] == []


def test_a_quiet_delete_says_so_in_its_query() -> None:
    request = ZOHO.request([command("zoho", "delete", trigger_native=False)])
    assert request.params == {"ids": "101", "wf_trigger": "false"}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (one("tag", fields={"tags": "vip"}), "no_tags"),
        (one("tag", fields={"tags": ["x" * 26]}), "bad_value"),
        (one("note", fields={"title": "x"}), "no_text"),
        (one("note", fields={"title": "x" * 121, "text": "y"}), "bad_value"),
        (one("transition", fields={}), "no_transition"),
        (one("mail", fields={"subject": "x", "to": []}), "recipient_unknown"),
        (one("mail", fields={"subject": " ", "to": ["a@b.example"]}), "no_subject"),
        (one("assign", owner=""), "no_owner"),
        (one("convert", tab="zoho:Deals"), "unknown_operation"),
        (one("convert", fields={"deal": {"Deal_Name": "x"}}), "bad_value"),
        (one("convert", fields={"account": False}), "bad_value"),
        (one("unlink", fields={"relation": "../x", "to": "1"}), "bad_link"),
        (one("lock", record_id="../1"), "bad_record_id"),
        (one("unlock", fields={"lock": "../../Deals/1"}), "bad_value"),
        (command("zoho", "update", fields={"Nope": 1}), "bad_value"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_is_sent(bad: Command, code: str) -> None:
    refused = ZOHO.refuse(bad)
    assert refused is not None
    assert refused.code == code


def test_good_commands_are_not_refused() -> None:
    assert [ZOHO.refuse(one(operation)) for operation in FIELDS] == [None] * len(FIELDS)


SCHEDULE = {"id": "7", "name": "Schedule", "next_field_value": "Scheduled"}


def described(state: str, *transitions: object) -> Response:
    return reply(200, {"blueprint": {"process_info": {"field_value": state}, "transitions": list(transitions)}})


def test_a_transition_is_known_by_its_name_then_sent_by_its_id_and_found_by_the_state() -> None:
    wish = one("transition")
    assert ZOHO.looks_first(wish)
    chosen = ZOHO.found(wish, described("Requested", SCHEDULE))
    assert isinstance(chosen, Command)
    assert not ZOHO.looks_first(chosen)
    assert body_of(ZOHO.request([chosen]))["blueprint"][0]["transition_id"] == "7"
    assert isinstance(ZOHO.found(chosen, described("Scheduled")), Applied)
    assert isinstance(ZOHO.found(chosen, described("Requested", SCHEDULE)), RetryLater)
    assert isinstance(ZOHO.found(chosen, described("Lost")), Uncertain)


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (described("Scheduled"), "no_such_transition"),
        (reply(400, error("RECORD_NOT_IN_PROCESS")), "RECORD_NOT_IN_PROCESS"),
    ],
)
def test_a_transition_that_cannot_be_taken_is_refused(response: Response, code: str) -> None:
    outcome = ZOHO.found(one("transition"), response)
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


LEAD = {"id": "101", "Converted__s": True, "Converted_Contact": {"id": "77"}, "Converted_Account": {"id": "78"}}
NOTE = {
    "id": "5", "Note_Title": "Call", "Note_Content": "話した 📞", "Created_By": {"id": ANN},
    "Created_Time": "2027-01-15T17:00:01+09:00",
}  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "response", "kind"),
    [
        ("convert", reply(200, {"data": [LEAD]}), Applied),
        ("convert", reply(200, {"data": [{**LEAD, "Converted__s": False}]}), RetryLater),
        ("convert", reply(200, {"data": [{"id": "101"}]}), Uncertain),
        ("convert", reply(204), Uncertain),
        ("unlink", reply(204), Applied),
        ("unlink", reply(200, {"data": [{"id": "200"}]}), RetryLater),
        ("lock", reply(200, {"data": [{"id": "1"}]}), Applied),
        ("lock", reply(204), RetryLater),
        ("unlock", reply(204), Applied),
        ("unlock", reply(200, {"data": [{"id": "1"}]}), Command),
        ("unlock", reply(200, {"data": [{"id": "../../Deals/1"}]}), Uncertain),
        ("assign", reply(200, {"data": [{"id": "101", "Owner": {"id": BOB}}]}), Applied),
        ("assign", reply(200, {"data": [{"id": "101", "Owner": {"id": ANN}}]}), RetryLater),
        ("note", reply(200, {"data": [NOTE], "info": {"more_records": False}}), Applied),
        ("note", reply(200, {"data": [{**NOTE, "Created_By": {"id": BOB}}]}), Uncertain),
        ("note", reply(200, {"data": [{**NOTE, "Note_Content": "x"}], "info": {"more_records": False}}), RetryLater),
        ("note", reply(200, {"data": [{**NOTE, "Note_Content": "x"}], "info": {"more_records": True}}), Uncertain),
        ("note", reply(204), RetryLater),
    ],
)
def test_a_lookup_proves_presence_or_absence(operation: str, response: Response, kind: type) -> None:
    assert type(ZOHO.found(one(operation, planned_at=SEEN), response)) is kind


def test_a_note_with_a_field_for_our_key_is_found_by_it() -> None:
    note = one("note", key=("Renkei_Key", "k1"))
    assert body_of(WITH_NOTES.request([note]))["data"][0]["Renkei_Key"] == "k1"
    assert "from Notes where Renkei_Key = 'k1'" in body_of(WITH_NOTES.find(note))["select_query"]
    taken = error("DUPLICATE_DATA", api_name="Renkei_Key", id="5")
    [outcome] = WITH_NOTES.outcomes([note], reply(400, {"data": [taken]}))
    assert outcome == Applied(command_id="c1", record_id="5", duplicate=True)


@pytest.mark.parametrize(
    ("operation", "code"), [("convert", "ID_ALREADY_CONVERTED"), ("lock", "RECORD_LOCKED"), ("unlink", "INVALID_DATA")]
)
def test_what_may_have_been_done_before_is_looked_up_and_not_refused(operation: str, code: str) -> None:
    [outcome] = ZOHO.outcomes([one(operation)], reply(400, error(code)))
    assert isinstance(outcome, Uncertain)


def test_a_mail_cannot_be_looked_up() -> None:
    assert ZOHO.find(one("mail")) is None


def test_a_conversion_tells_the_records_that_it_made() -> None:
    row = {"code": "SUCCESS", "status": "success", "message": "x", "details": {
        "Accounts": {"id": "78", "name": "ABC"}, "Contacts": {"id": "77", "name": "Daly"}, "Deals": None}}  # fmt: skip
    [outcome] = ZOHO.outcomes([one("convert")], reply(200, {"data": [row]}))
    assert outcome == Applied(command_id="c1", record_id="101", fields={"Account": "78", "Contact": "77"})


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (reply(429, error("TOO_MANY_REQUESTS")), ("busy", 0.0)),
        (reply(429, error("TOO_MANY_REQUESTS"), **{"retry-after": "7"}), ("busy", 7.0)),
        (reply(429, error("TOO_MANY_REQUESTS"), **{"x-api-credits-remaining": "3"}), ("spent", 900.0)),
        (reply(429, error("TOO_MANY_REQUESTS"), **{"x-api-credits-remaining": "3000"}), ("busy", 0.0)),
        (reply(429, error("DAILY_LIMIT_EXCEEDED")), ("spent", 900.0)),
        (reply(503), ("unwell", 0.0)),
        (reply(403, error("NO_PERMISSION")), None),
        (reply(200, {"data": []}), None),
    ],
)
def test_a_refusal_for_want_of_room_says_which_room(response: Response, told: tuple[str, float] | None) -> None:
    pressure = ZOHO.pressure(response)
    assert (None if pressure is None else (pressure.kind, pressure.after)) == told


@pytest.mark.parametrize(
    ("commands", "credits_"),
    [
        ([command("zoho", "create", number) for number in range(10)], 1),
        ([command("zoho", "update", number) for number in range(11)], 2),
        ([command("zoho", "upsert", number) for number in range(100)], 10),
        ([command("zoho", "delete", number) for number in range(100)], 1),
        ([one("convert")], 5),
        ([one("tag")], 1),
    ],
)
def test_a_request_has_its_price_in_credits(commands: list[Command], credits_: int) -> None:
    assert ZOHO.price(ZOHO.request(commands)) == credits_


@pytest.mark.parametrize(("limit", "credits_"), [("", 1), ("limit 0, 200", 1), ("limit 1000", 2), ("limit 5, 2000", 3)])
def test_a_query_costs_by_its_limit(limit: str, credits_: int) -> None:
    body = f'{{"select_query": "select id from Deals where id is not null {limit}"}}'.encode()
    assert ZOHO.price(Request(method="POST", path="/crm/v8/coql", body=body)) == credits_


def test_the_credits_left_are_read_where_they_are_told() -> None:
    [usage] = ZOHO.usage(reply(200, {}, **{"x-api-credits-remaining": "4711"}))
    assert (usage.quota, usage.left) == ("day", 4711)
    assert ZOHO.usage(reply(200, {}, **{"x-api-credits-remaining": "many"})) == ()
    assert ZOHO.usage(reply(200, {})) == ()


def test_a_success_under_a_status_of_failure_is_not_believed() -> None:
    outcomes: list[Outcome] = ZOHO.outcomes([command("zoho", "create")], reply(500, {"data": [success("9")]}))
    assert all(isinstance(outcome, Uncertain) for outcome in outcomes)


def test_owners_and_teams_are_known_to_every_operation() -> None:
    known = ConnectionMetadata(connection="zoho", users=USERS, teams=TEAMS)
    assert ZohoConnector(SETTINGS, known).refuse(one("assign", owner="user:nobody")) is not None
