"""Stories against the three CRMs of the practice range, over real HTTP."""

import sqlite3
from collections.abc import Iterator

import pytest

from connectors.base import AuthenticationFailed, LoadProgress, Request, Response
from connectors.credentials import Credentials
from connectors.registry import connect
from connectors.settings import ConnectionSettings
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.commands import Applied, Command, Rejected
from schemas.values import MINUTE
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, WORDS, Desk
from tests.connectors.test_worker import POINTS, Stopped

ECHOED = ("create", "update", "delete")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture(params=sorted(WORDS))
def desk(sandbox: Sandbox, request: pytest.FixtureRequest) -> Iterator[Desk]:
    sandbox.clock.set(max(NOW, sandbox.clock.now() if sandbox.clock.now() >= NOW else 0) + 10 * MINUTE)
    database = sqlite3.connect(":memory:")
    made = Desk(sandbox, request.param, database)
    yield made
    made.crm.faults.clear()
    made.transport.close()
    database.close()


def effects(desk: Desk, since: int) -> list[tuple[str, str]]:
    return [(effect.operation, effect.record_id) for effect in desk.crm.ledger()[since:]]


def test_create_update_upsert_and_delete_take_effect(desk: Desk) -> None:
    prefix = f"{desk.kind}-plain"
    outcomes = desk.work(
        desk.command(f"{prefix}-1", "create", name="First"), desk.command(f"{prefix}-2", "create", name="Two")
    )
    made = outcomes[f"{prefix}-1"]
    assert isinstance(made, Applied), made
    assert not made.duplicate
    stored = desk.crm.record(desk.words.tab, made.record_id)
    assert stored is not None
    assert (stored[desk.words.name], stored[desk.words.key]) == ("First", f"{prefix}-1")
    upsert = desk.command(f"{prefix}-2", "upsert", name="Second")
    changed = desk.work(
        desk.command("u", "update", made.record_id, name="Renamed"),
        _as(upsert, "again"),
        desk.command("x", "create", name="X"),
    )
    assert all(isinstance(outcome, Applied) for outcome in changed.values()), changed
    names = {row[desk.words.key]: row[desk.words.name] for row in desk.crm.records(desk.words.tab)}
    assert names[f"{prefix}-1"] == "Renamed"
    assert names[f"{prefix}-2"] == "Second"
    desk.work(desk.command("d", "delete", made.record_id))
    assert desk.crm.record(desk.words.tab, made.record_id) is None


def _as(command: Command, command_id: str) -> Command:
    """The same command under another id; its key stays."""
    return Command(
        id=command_id, connection=command.connection, tab=command.tab, operation=command.operation,
        fields=command.fields, key=command.key, chain=command.chain,
    )  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_anywhere_leaves_one_effect_each(desk: Desk, point: str) -> None:
    since, words = len(desk.crm.ledger()), desk.words
    target = desk.crm.insert(words.tab, {**words.rest, words.name: "by hand"})
    ids = [f"{desk.kind}-{point}-{number}" for number in range(3)]
    desk.source.commands = [desk.command(one, "create", name=one) for one in ids]
    desk.source.commands.append(desk.command(f"{point}-u", "update", target, name=point))

    def die(here: str) -> None:
        if here == point:
            raise Stopped

    desk.start(die)
    with pytest.raises(Stopped):
        desk.worker.turn(desk.clock.now())
    desk.start()
    outcomes = desk.work()
    assert all(isinstance(outcome, Applied) for outcome in outcomes.values()), outcomes
    assert len(outcomes) == 4
    keys = [row.get(words.key) for row in desk.crm.records(words.tab)]
    assert [keys.count(one) for one in ids] == [1, 1, 1]
    assert sorted(operation for operation, _ in effects(desk, since)) == ["insert"] * 4 + ["update"]


@pytest.mark.parametrize("fault", ["reset_after", "short_answer", "reset_before"])
def test_a_lost_answer_is_looked_up(desk: Desk, fault: str) -> None:
    since, one = len(desk.crm.ledger()), f"{desk.kind}-{fault}"
    where = {"zoho": "POST /crm/v8/Demos", "salesforce": "composite", "vtiger": "operation=create"}[desk.kind]
    desk.crm.faults.add(Fault(do=fault, where=where))  # type: ignore[arg-type]  # one of its words
    outcomes = desk.work(desk.command(one, "create", name="Lost"))
    outcome = outcomes[one]
    assert isinstance(outcome, Applied), outcome
    assert outcome.duplicate is (fault != "reset_before")
    assert [operation for operation, _ in effects(desk, since)] == ["insert"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_crm_that_is_ill_for_a_moment_costs_nothing(desk: Desk, status: int) -> None:
    since, one = len(desk.crm.ledger()), f"{desk.kind}-{status}"
    desk.work(desk.command(f"{one}-warm", "create", name="Warm"))
    desk.crm.faults.add(Fault(do="status", status=status, times=2))
    outcomes = desk.work(desk.command(one, "create", name="Ill"))
    assert isinstance(outcomes[one], Applied), outcomes[one]
    assert [operation for operation, _ in effects(desk, since)] == ["insert", "insert"]


def test_a_token_that_ends_in_between_is_renewed(desk: Desk) -> None:
    desk.work(desk.command(f"{desk.kind}-before", "create", name="Before"))
    desk.crm.expire_tokens()
    outcomes = desk.work(desk.command(f"{desk.kind}-after", "create", name="After"))
    assert isinstance(outcomes[f"{desk.kind}-after"], Applied)


def test_a_refused_row_does_not_hold_its_neighbours_back(desk: Desk) -> None:
    bad, good = f"{desk.kind}-bad", f"{desk.kind}-good"
    missing = desk.command(bad, "create", name=None)
    wrong = Command(
        id=bad, connection=desk.kind, tab=missing.tab, operation="update", record_id="no-such-id",
        fields={desk.words.name: "x"}, chain=CHAIN,
    )  # fmt: skip
    outcomes = desk.work(wrong, desk.command(good, "create", name="Good"))
    assert isinstance(outcomes[bad], Rejected), outcomes[bad]
    assert isinstance(outcomes[good], Applied)


def test_an_owner_who_is_inactive_is_refused_and_a_team_takes_it(desk: Desk) -> None:
    away = _owned(desk.command(f"{desk.kind}-away", "create", name="Away"), "user:yamada@example.com")
    team = _owned(desk.command(f"{desk.kind}-team", "create", name="Team"), "team:Presales")
    outcomes = desk.work(away, team)
    refused, made = outcomes[away.id], outcomes[team.id]
    assert isinstance(refused, Rejected)
    assert refused.code == "owner_inactive"
    assert isinstance(made, Applied), made
    stored = desk.crm.record(desk.words.tab, made.record_id)
    assert stored is not None
    assert str(stored[desk.words.owner]).endswith(("10004", "004AAA", "20x23"))


def _owned(command: Command, owner: str) -> Command:
    return Command(
        id=command.id, connection=command.connection, tab=command.tab, operation=command.operation,
        fields=command.fields, key=command.key, owner=owner,
    )  # fmt: skip


def test_a_first_load_then_create_edit_and_delete_by_a_person(desk: Desk) -> None:
    words = desk.words
    old = desk.crm.insert(words.tab, {**words.rest, words.name: "Old"})
    desk.clock.advance(10 * MINUTE)
    watch = desk.watch()
    loaded = watch.poll()
    assert old in {event.record_id for event in loaded}
    assert all(event.load for event in loaded)
    assert watch.poll() == []
    new = desk.crm.insert(words.tab, {**words.rest, words.name: "New"})
    [created] = watch.poll()
    assert (created.op, created.record_id, created.origin) == ("create", new, None)
    desk.crm.update(words.tab, old, {words.name: "Edited"})
    [edited] = watch.poll()
    assert edited.after is not None
    assert (edited.op, edited.record_id, edited.after[words.name], edited.load) == (
        "update",
        old,
        "Edited",
        False,
    )
    assert edited.after["id"] == old
    assert edited.actor != words.robot
    desk.crm.delete(words.tab, old)
    desk.clock.advance(5 * MINUTE)
    gone = watch.poll()
    assert [(event.op, event.record_id) for event in gone] == [("delete", old)]
    assert watch.poll() == []


def test_our_write_is_an_echo_and_the_persons_edit_after_it_is_not(desk: Desk) -> None:
    words, one = desk.words, f"{desk.kind}-echo"
    watch = desk.watch()
    watch.poll()
    made = desk.work(desk.command(one, "create", name="Ours"))[one]
    assert isinstance(made, Applied)
    [created] = watch.poll()
    assert (created.op, created.origin) == ("create", CHAIN)
    desk.work(desk.command(f"{one}-u", "update", made.record_id, name="Changed by us"))
    [updated] = watch.poll()
    assert (updated.op, updated.origin and updated.origin.id) == ("update", "x")
    desk.crm.update(words.tab, made.record_id, {words.name: "Changed by a person"})
    [edited] = watch.poll()
    assert (edited.op, edited.origin) == ("update", None)


def test_metadata_is_what_the_seed_says(sandbox: Sandbox, desk: Desk) -> None:
    found = desk.connector.describe(desk.send, [desk.words.tab])
    seed = getattr(sandbox.seed, desk.kind)
    fields = found.tabs[desk.words.tab].fields
    for name, field in seed.tabs[desk.words.tab].fields.items():
        assert (fields[name].type, fields[name].values) == (field.type, field.values), name
    assert fields["id"].type == "id"
    assert {user.email: user.active for user in found.users} == {user.email: user.active for user in seed.users}
    assert {user.email: user.manager for user in found.users} == {user.email: user.manager for user in seed.users}
    assert {user.email: user.roles for user in found.users} == {user.email: user.roles for user in seed.users}
    assert {team.name for team in found.teams} >= {team.name for team in seed.teams}
    if desk.kind != "vtiger":  # which does not tell the members of a group
        members = {team.name: set(team.members) for team in found.teams}
        assert members.items() >= {team.name: set(team.members) for team in seed.teams}.items()


def test_a_wrong_key_stops_the_connection_and_shows_nothing(desk: Desk) -> None:
    wrong = Credentials(desk.kind, dict.fromkeys(desk.crm.credentials, "canary-5ecret"))
    settings = ConnectionSettings(connection=desk.kind, kind=desk.kind, url=desk.crm.url, allow_private=True)
    connector, send, _ = connect(settings, wrong)
    one = desk.command(f"{desk.kind}-wrong", "update", "1", name="x")
    with pytest.raises(AuthenticationFailed) as caught:
        send(connector.request([one]))
    assert "canary-5ecret" not in str(caught.value)


def test_a_first_load_knows_its_total_where_the_crm_counts(desk: Desk) -> None:
    tab = desk.words.tab
    desk.work(*(desk.command(f"{desk.kind}-count-{n}", "create", name=f"数 {n}") for n in range(3)))
    desk.crm.delete(tab, str(desk.crm.records(tab)[-1]["id"]))
    progress = desk.watch().capture.poll(None, desk.clock.now()).progress
    there = len(desk.crm.records(tab))
    # The recorded Vtigers answer an empty list to COUNT(*).
    assert progress == LoadProgress(there, None if desk.kind == "vtiger" else there)


@pytest.mark.parametrize("answer", [b"", b"{}", b"[]", b"null", b'{"count": "-1"}', b'{"count": true}', b"\xff"])
def test_a_count_that_cannot_be_read_holds_no_first_load_up(desk: Desk, answer: bytes) -> None:
    def send(request: Request) -> Response:
        counts = "count" in request.path or "COUNT" in str(request.params)
        return Response(status=200, body=answer) if counts else desk.send(request)

    progress = desk.connector.capture(desk.words.tab, send).poll(None, desk.clock.now()).progress
    assert progress == LoadProgress(len(desk.crm.records(desk.words.tab)))
