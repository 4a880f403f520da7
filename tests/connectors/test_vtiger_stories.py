"""What only Vtiger has, on both of its surfaces, over real HTTP."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.credentials import Credentials
from connectors.transport import authenticated
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Rejected
from schemas.values import MINUTE
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, Desk
from tests.sandbox.vtiger_seed import SALES

KEY = "cf_renkei_key"
SURFACES = ("webservice", "cloud")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SALES) as running:
        running.clock.set(NOW)
        running.vtiger.options["per_minute"] = "100000"
        yield running


@pytest.fixture
def both(sandbox: Sandbox) -> Iterator[dict[str, Desk]]:
    """A connection to each surface of one Vtiger."""
    sandbox.clock.advance(10 * MINUTE)
    database = sqlite3.connect(":memory:")
    desks = {surface: Desk(sandbox, "vtiger", database, surface=surface) for surface in SURFACES}
    yield desks
    sandbox.vtiger.faults.clear()
    for desk in desks.values():
        desk.transport.close()
    database.close()


@pytest.fixture(params=SURFACES)
def desk(both: dict[str, Desk], request: pytest.FixtureRequest) -> Desk:
    return both[request.param]


_numbers = iter(range(1, 10_000))


def ask(operation: str, tab: str = "Leads", record_id: str = "", **more: Any) -> Command:
    """A command with an id of its own, which is also its key where it makes something."""
    name = f"v{next(_numbers)}"
    keyed = operation in {"create", "upsert", "note", "convert"}
    told = {"key": (KEY, name) if keyed else None, "fields": {}, **more}
    return Command(
        id=name, connection="vtiger", tab=f"vtiger:{tab}", operation=operation, record_id=record_id, chain=CHAIN, **told
    )


def done(desk: Desk, command: Command) -> Applied:
    outcome = desk.work(command)[command.id]
    assert isinstance(outcome, Applied), outcome
    return outcome


def refused(desk: Desk, command: Command) -> Rejected:
    outcome = desk.work(command)[command.id]
    assert isinstance(outcome, Rejected), outcome
    return outcome


def lead(desk: Desk, **fields: Any) -> str:
    return done(desk, ask("create", fields={"lastname": "山本", "company": "みらい", **fields})).record_id


def test_a_record_is_made_changed_upserted_and_deleted(desk: Desk) -> None:
    record_id = lead(desk, annualrevenue="12.5", cf_news=["News", "Events"], cf_agreed=True)
    stored = desk.crm.record("Leads", record_id)
    assert stored is not None
    assert (str(stored["annualrevenue"]), stored["cf_news"], stored["cf_agreed"]) == ("12.50", ["News", "Events"], True)
    done(desk, ask("update", record_id=record_id, fields={"leadstatus": "Hot", "cf_called": "2026-03-29T10:00:00Z"}))
    changed = desk.crm.record("Leads", record_id)
    assert changed is not None
    assert (changed["leadstatus"], changed["cf_called"]) == ("Hot", "2026-03-29T10:00:00Z")
    again = ask("upsert", key=(KEY, str(stored[KEY])), fields={"leadstatus": "Cold"})
    assert done(desk, again).record_id == record_id
    done(desk, ask("delete", record_id=record_id))
    assert desk.crm.record("Leads", record_id) is None


def test_an_owner_is_a_user_by_mail_or_a_group(desk: Desk) -> None:
    record_id = lead(desk)
    for owner, held in (("user:sato@example.com", "19x1"), ("team:Sales", "20x21")):
        done(desk, ask("update", record_id=record_id, owner=owner))
        stored = desk.crm.record("Leads", record_id)
        assert stored is not None
        assert stored["assigned_user_id"] == held
    assert refused(desk, ask("update", record_id=record_id, owner="user:yamada@example.com")).code == "owner_inactive"


def test_a_note_is_written_once_though_its_answer_was_lost(desk: Desk) -> None:
    record_id = lead(desk)
    note = ask("note", record_id=record_id, fields={"title": "電話", "text": "Called, no answer"})
    with desk.crm.faults.planned(Fault(do="reset_after", where="ModComments.*commentcontent")):
        outcome = done(desk, note)
    notes = [one for one in desk.crm.records("ModComments") if one["related_to"] == record_id]
    assert [one["commentcontent"] for one in notes] == ["電話\nCalled, no answer"]
    assert (outcome.record_id, outcome.duplicate) == (notes[0]["id"], True)


def test_tags_and_links_come_and_go_in_the_cloud(both: dict[str, Desk]) -> None:
    cloud = both["cloud"]
    record_id, other = lead(cloud), lead(cloud)
    done(cloud, ask("tag", record_id=record_id, fields={"tags": ["vip", "東京"]}))
    done(cloud, ask("tag", record_id=record_id, fields={"tags": ["vip"]}))
    done(cloud, ask("untag", record_id=record_id, fields={"tags": ["東京"]}))
    stored = cloud.crm.record("Leads", record_id)
    assert stored is not None
    assert stored["tags"] == "vip"
    joined = {"relation": "Leads", "to": other}
    done(cloud, ask("link", record_id=record_id, fields=joined))
    done(cloud, ask("unlink", record_id=record_id, fields=joined))


@pytest.mark.parametrize(
    ("operation", "fields"),
    [("tag", {"tags": ["a"]}), ("untag", {"tags": ["a"]}), ("unlink", {"relation": "Leads", "to": "10x1"})],
)
def test_the_open_source_edition_says_what_it_cannot_do(
    both: dict[str, Desk], operation: str, fields: dict[str, Any]
) -> None:
    refusal = refused(both["webservice"], ask(operation, record_id="10x1", fields=fields))
    assert refusal.code == "not_supported"
    assert "webservice.php cannot" in refusal.reason


DEAL = {"potentialname": "First", "closingdate": "2027-01-31", "sales_stage": "Prospecting"}


def test_a_lead_becomes_an_account_a_contact_and_a_deal(desk: Desk) -> None:
    name = f"Mirai {desk.settings.options['surface']}"
    record_id = lead(desk, company=name)
    made = done(desk, ask("convert", record_id=record_id, fields={"deal": DEAL}, owner="team:Sales")).fields
    contact, deal = desk.crm.record("Contacts", made["Contact"]), desk.crm.record("Potentials", made["Deal"])
    assert contact is not None
    assert deal is not None
    assert (contact["account_id"], contact["assigned_user_id"], deal["related_to"]) == (
        made["Account"],
        "20x21",
        made["Account"],
    )


def test_a_conversion_whose_answer_was_lost_is_found_by_our_key(desk: Desk) -> None:
    record_id = lead(desk, company=f"Lost {desk.settings.options['surface']}")
    convert = ask("convert", record_id=record_id)
    with desk.crm.faults.planned(Fault(do="reset_after", where="leadId")):
        outcome = done(desk, convert)
    mine = [one for one in desk.crm.records("Contacts") if one.get(KEY) == convert.id]
    assert outcome.duplicate
    assert [(one["id"], one["account_id"]) for one in mine] == [(outcome.fields["Contact"], outcome.fields["Account"])]


def test_a_lead_that_somebody_converted_is_done(desk: Desk) -> None:
    record_id = lead(desk, company=f"Twice {desk.settings.options['surface']}")
    done(desk, ask("convert", record_id=record_id))
    again = done(desk, ask("convert", record_id=record_id))
    assert (again.duplicate, again.fields) == (True, {})


def test_a_lead_joins_an_account_that_is_named_by_id(desk: Desk) -> None:
    name = f"Joined {desk.settings.options['surface']}"
    account = desk.crm.insert("Accounts", {"accountname": name})
    made = done(desk, ask("convert", record_id=lead(desk), fields={"account": account})).fields
    assert made["Account"] == account


def test_success_without_a_result_is_a_failed_conversion(desk: Desk) -> None:
    record_id = lead(desk, company=f"Null {desk.settings.options['surface']}")
    refusal = refused(desk, ask("convert", record_id=record_id, fields={"contact": False}))
    assert refusal.code == "not_converted"


def test_a_write_on_condition_is_refused_when_the_record_moved(desk: Desk) -> None:
    record_id = lead(desk)
    row = desk.crm.row("Leads", record_id)
    assert row is not None
    seen = row.modified_at
    desk.clock.advance(5_000)
    done(desk, ask("update", record_id=record_id, fields={"leadstatus": "Hot"}, if_unmodified=seen))
    desk.clock.advance(5_000)
    late = ask("update", record_id=record_id, fields={"leadstatus": "Cold"}, if_unmodified=seen)
    assert refused(desk, late).code == "changed_meanwhile"
    assert refused(desk, ask("delete", record_id=record_id, if_unmodified=seen)).code == "changed_meanwhile"
    stored = desk.crm.record("Leads", record_id)
    assert stored is not None
    assert stored["leadstatus"] == "Hot"


def test_a_write_on_condition_that_was_lost_is_known_by_its_values(desk: Desk) -> None:
    record_id = lead(desk)
    row = desk.crm.row("Leads", record_id)
    assert row is not None
    seen = row.modified_at
    desk.clock.advance(5_000)
    write = ask("update", record_id=record_id, fields={"leadstatus": "Hot"}, if_unmodified=seen)
    with desk.crm.faults.planned(Fault(do="reset_after", where="revise.*Hot")):
        assert done(desk, write).duplicate


def test_what_would_be_mangled_is_refused_by_its_fields_name(both: dict[str, Desk]) -> None:
    refusal = refused(both["webservice"], ask("create", fields={"lastname": "Party 🎉", "company": "x"}))
    assert (refusal.code, "lastname" in refusal.reason, "Party" in refusal.reason) == ("would_be_mangled", True, False)


def test_the_clouds_minute_is_waited_for(sandbox: Sandbox, both: dict[str, Desk]) -> None:
    sandbox.clock.advance(MINUTE)
    sandbox.vtiger.options["per_minute"] = "3"
    commands = [ask("create", fields={"lastname": f"Fast {number}", "company": "x"}) for number in range(4)]
    try:
        outcomes = both["cloud"].work(*commands)
    finally:
        sandbox.vtiger.options["per_minute"] = "100000"
    assert all(isinstance(outcomes[command.id], Applied) for command in commands)
    made = [one for one in sandbox.vtiger.records("Leads") if str(one["lastname"]).startswith("Fast")]
    assert len(made) == 4


def test_the_metadata_is_what_the_seed_says(desk: Desk) -> None:
    told = desk.connector.describe(desk.send, ["Leads", "Contacts"])
    fields = told.tabs["Leads"].fields
    assert (fields["cf_agreed"].type, fields["annualrevenue"].native, fields[KEY].unique) == ("boolean", "double", True)
    assert {user.id for user in told.users if not user.active} == {"19x7"}
    assert [team.name for team in told.teams] == ["Sales"]


def test_missing_permissions_are_told_as_sentences(sandbox: Sandbox, desk: Desk) -> None:
    assert desk.connector.missing_permissions(desk.send, ["Leads"]) == []
    [sentence] = desk.connector.missing_permissions(desk.send, ["Nope"])
    assert sentence.startswith("Module Nope is not there")


def test_a_login_that_is_no_administrator_is_told_what_it_lacks(desk: Desk) -> None:
    secrets = Credentials("vtiger", {**desk.crm.credentials, "username": "sato"})
    send = authenticated(desk.transport, desk.connector.authentication(secrets, desk.transport))
    [sentence] = desk.connector.missing_permissions(send, ["Leads"])
    assert "administrator" in sentence
    assert desk.connector.describe(send, ["Leads"]).users == ()
