"""Watching a Vtiger: by sync or by queries, with its silent deletions and its local times, over real HTTP."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime

import pytest

from connectors.base import Capture, Polled, Request
from connectors.settings import SettingsError
from connectors.vtiger import VtigerConnector
from connectors.vtiger.surface import surface_of
from sandbox.clock import Clock
from sandbox.server import Sandbox
from schemas.events import ChangeEvent
from schemas.metadata import ConnectionMetadata
from schemas.values import HOUR, MINUTE
from tests.connectors.crms import settings_of
from tests.connectors.fakes import NOW
from tests.connectors.practice import Desk
from tests.sandbox.vtiger_seed import SALES


class Follower:
    """A capture with its position; every poll is five seconds after the last."""

    def __init__(self, desk: Desk, tab: str = "Leads") -> None:
        self.desk, self.tab = desk, tab
        self.position: bytes | None = None
        self.capture = self.restarted()

    def restarted(self) -> Capture:
        """A new process: nothing is remembered but the position."""
        self.capture = self.desk.connector.capture(self.tab, self.desk.send)
        return self.capture

    def page(self) -> Polled:
        """One page, kept."""
        polled = self.capture.poll(self.position, self.desk.clock.now())
        self.position = polled.position
        return polled

    def poll(self, wait: int = 5_000) -> list[ChangeEvent]:
        """Everything new."""
        self.desk.clock.advance(wait)
        events: list[ChangeEvent] = []
        while True:
            polled = self.page()
            events += polled.events
            if not polled.more:
                return events


def told(events: list[ChangeEvent]) -> list[tuple[str, str]]:
    return [(event.op, event.record_id) for event in events]


def desks(sandbox: Sandbox, **options: str) -> Iterator[Desk]:
    with closing(sqlite3.connect(":memory:")) as database:
        desk = Desk(sandbox, "vtiger", database, **options)
        yield desk
        desk.transport.close()


@pytest.fixture(params=["webservice repaired", "webservice stock", "cloud repaired"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A Vtiger whose sync works, one as it is installed, and the cloud."""
    surface, _, sync = request.param.partition(" ")
    clock = Clock()
    clock.set(NOW)
    with Sandbox(SALES, clock) as sandbox:
        sandbox.vtiger.options.update(sync=sync, per_minute="10000")
        yield from desks(sandbox, sweep_minutes="10", surface=surface)


def asked(desk: Desk, operation: str) -> int:
    return sum(
        f"operation={operation}" in call.target or f"/default/{operation}?" in call.target
        for call in desk.crm.faults.calls()
    )


def test_creates_edits_and_deletions_are_told_once(desk: Desk) -> None:
    old = desk.crm.insert("Leads", {"lastname": "Old"})
    watch = Follower(desk)
    assert [(event.op, event.load) for event in watch.poll()] == [("create", True)]
    new = desk.crm.insert("Leads", {"lastname": "新しい"})
    desk.crm.update("Leads", old, {"lastname": "Older"})
    assert sorted(told(watch.poll())) == sorted([("create", new), ("update", old)])
    assert watch.poll() == []
    desk.crm.delete("Leads", old)
    assert told(watch.poll(11 * MINUTE)) == [("delete", old)]
    assert watch.poll(11 * MINUTE) == []
    desk.crm.restore("Leads", old)
    assert [event.record_id for event in watch.poll()] == [old]


def test_sync_is_used_where_it_works_and_tried_once_where_not(desk: Desk) -> None:
    works = desk.crm.options["sync"] == "repaired"
    watch = Follower(desk)
    for _ in range(4):
        watch.poll()
    assert asked(desk, "sync") == (3 if works else 1)
    assert asked(desk, "query") >= (1 if works else 4)


def test_a_deletion_comes_with_sync_at_once_and_with_the_next_sweep_otherwise(desk: Desk) -> None:
    record_id = desk.crm.insert("Leads", {"lastname": "Gone"})
    watch = Follower(desk)
    watch.poll()
    desk.crm.delete("Leads", record_id)
    at_once = told(watch.poll())
    later = told(watch.poll(11 * MINUTE))
    works = desk.crm.options["sync"] == "repaired"
    assert (at_once, later) == (([("delete", record_id)], []) if works else ([], [("delete", record_id)]))


def test_a_converted_lead_is_told_as_deleted(desk: Desk) -> None:
    record_id = desk.crm.insert("Leads", {"lastname": "Con", "company": "Verted"})
    watch = Follower(desk)
    watch.poll()
    desk.send(_convert(desk, record_id))
    assert told(watch.poll(11 * MINUTE)) == [("delete", record_id)]


def test_deals_that_vanish_with_their_account_are_found_by_a_sweep(desk: Desk) -> None:
    account = desk.crm.insert("Accounts", {"accountname": "Vanishing"})
    deal = desk.crm.insert("Potentials", {"potentialname": "Gone with it", "related_to": account})
    watch = Follower(desk, "Potentials")
    watch.poll()
    desk.crm.insert("Potentials", {"potentialname": "A newer one"})
    watch.poll()
    desk.send(_delete(desk, account))
    assert watch.poll() == []
    assert told(watch.poll(11 * MINUTE)) == [("delete", deal)]


def test_a_first_load_goes_on_where_it_was_left(desk: Desk) -> None:
    ids = [desk.crm.insert("Leads", {"lastname": f"L{number}"}) for number in range(250)]
    watch = Follower(desk)
    desk.clock.advance(5_000)
    first = watch.page()
    assert (first.loaded, first.more, len(first.events)) == (False, True, 100)
    watch.restarted()
    desk.crm.update("Leads", ids[0], {"lastname": "edited meanwhile"})
    rest = watch.poll()
    assert all(event.load for event in [*first.events, *rest])
    assert {event.record_id for event in [*first.events, *rest]} == set(ids)
    assert [event.after["lastname"] for event in rest if event.after and event.record_id == ids[0]] == [
        "edited meanwhile"
    ]
    assert len(rest) == 151
    assert watch.poll() == []


def test_a_long_silence_is_marked(desk: Desk) -> None:
    record_id = desk.crm.insert("Leads", {"lastname": "Quiet"})
    watch = Follower(desk)
    watch.poll()
    desk.crm.update("Leads", record_id, {"lastname": "Loud"})
    [event] = watch.poll(2 * HOUR)
    assert event.coalesced


def _convert(desk: Desk, record_id: str) -> Request:
    entities = {
        tab: {"create": True, "name": tab, **fields}
        for tab, fields in (("Accounts", {"accountname": "Verted"}), ("Contacts", {"lastname": "Con"}))
    }
    return surface_of(desk.settings).post(
        "convertlead", element=json.dumps({"leadId": record_id, "entities": entities})
    )


def _delete(desk: Desk, record_id: str) -> Request:
    return surface_of(desk.settings).post("delete", id=record_id)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("sync", ["repaired", "stock"])
def test_times_of_the_servers_zone_become_instants(zone: str, sync: str) -> None:
    clock = Clock()
    clock.set(NOW)
    with Sandbox(SALES, clock) as sandbox:
        sandbox.vtiger.options.update(zone=zone, sync=sync)
        for desk in desks(sandbox):
            desk.settings = desk.settings.model_copy(update={"zone": zone})
            desk.connector = VtigerConnector(desk.settings, desk.connector.metadata)
            watch = Follower(desk)
            watch.poll()
            at = clock.advance(1_000) // 1000 * 1000
            sandbox.vtiger.insert("Leads", {"lastname": "時"})
            [event] = watch.poll()
            assert event.committed_at == at
            assert event.after is not None
            assert event.after["modifiedtime"] == datetime.fromtimestamp(at // 1000, UTC).strftime("%FT%TZ")


@pytest.mark.parametrize("sync", ["repaired", "stock"])
def test_nothing_is_lost_when_the_servers_clocks_are_put_back(sync: str) -> None:
    zone, before = "Europe/Berlin", datetime(2026, 10, 25, 0, 50, tzinfo=UTC)  # 02:50, and then 02:00 once more
    clock = Clock()
    clock.set(int(before.timestamp()) * 1000)
    with Sandbox(SALES, clock) as sandbox:
        sandbox.vtiger.options.update(zone=zone, sync=sync)
        for desk in desks(sandbox):
            desk.settings = desk.settings.model_copy(update={"zone": zone})
            desk.connector = VtigerConnector(desk.settings, desk.connector.metadata)
            one = sandbox.vtiger.insert("Leads", {"lastname": "0"})
            watch = Follower(desk)
            positions = [event.source_position for event in watch.poll()]
            for number in range(1, 8):
                clock.advance(10 * MINUTE)
                sandbox.vtiger.update("Leads", one, {"lastname": str(number)})
                [event] = watch.poll()
                assert event.after is not None
                assert event.after["lastname"] == str(number)
                positions.append(event.source_position)
            assert positions == sorted(set(positions))


def test_a_wish_that_is_none_is_refused_by_name() -> None:
    settings = settings_of("vtiger").model_copy(update={"options": {"changes": "magic"}})
    connector = VtigerConnector(settings, ConnectionMetadata(connection="vtiger"))
    with pytest.raises(SettingsError, match="option changes"):
        connector.capture("Leads", lambda request: pytest.fail("nothing is asked"))
