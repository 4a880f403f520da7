"""Watching Zoho over real HTTP: the first load goes on where it stopped, and nothing is told twice or lost."""

import sqlite3
from collections.abc import Iterator

import pytest

from connectors.capture import CaptureFailed
from sandbox.faults import Fault
from sandbox.server import Sandbox
from schemas.events import ChangeEvent
from schemas.values import MINUTE, SECOND
from tests.connectors.fakes import NOW
from tests.connectors.practice import Desk, Watch
from tests.sandbox.zoho_seed import ROBOT, SUZUKI, journey

MANY = 450


@pytest.fixture
def desk() -> Iterator[Desk]:
    with Sandbox(journey()) as sandbox:
        sandbox.clock.set(NOW)
        database = sqlite3.connect(":memory:")
        made = Desk(sandbox, "zoho", database)
        yield made
        made.transport.close()
        database.close()


def demo(desk: Desk, name: str) -> str:
    return desk.crm.insert("Demos", {"Name": name, "Status": "Requested"})


def told(events: list[ChangeEvent]) -> list[tuple[str, str]]:
    return [(event.op, event.record_id) for event in events]


def test_a_first_load_goes_on_where_it_stopped(desk: Desk) -> None:
    ids = [demo(desk, f"株式会社 {number}") for number in range(MANY)]
    desk.clock.advance(MINUTE)
    first = desk.watch()
    page = first.capture.poll(None, desk.clock.now())
    assert (len(page.events), page.more, page.loaded) == (200, True, False)
    second = desk.watch()
    second.position = page.position
    rest = second.poll()
    assert all(event.load for event in (*page.events, *rest))
    assert [event.record_id for event in (*page.events, *rest)] == ids
    assert second.poll() == []


def test_what_changes_while_a_first_load_goes_on_is_not_lost(desk: Desk) -> None:
    ids = [demo(desk, f"Demo {number}") for number in range(MANY)]
    desk.clock.advance(MINUTE)
    watch = desk.watch()
    page = watch.capture.poll(None, desk.clock.now())
    watch.position = page.position
    desk.crm.update("Demos", ids[0], {"Name": "changed"})
    desk.crm.delete("Demos", ids[1])
    events = [*page.events, *watch.poll(), *watch.poll()]
    newest = {event.record_id: event for event in events}
    assert newest.keys() == set(ids)
    assert (newest[ids[0]].after or {})["Name"] == "changed"
    assert newest[ids[1]].op == "delete"


def test_after_a_silence_a_change_is_marked_as_one_that_may_hide_several(desk: Desk) -> None:
    one = demo(desk, "Quiet")
    watch = desk.watch()
    watch.poll()
    desk.clock.advance(MINUTE)
    desk.crm.update("Demos", one, {"Name": "soon"})
    assert [event.coalesced for event in watch.poll()] == [False]
    desk.clock.advance(20 * MINUTE)
    desk.crm.update("Demos", one, {"Name": "late"})
    assert [event.coalesced for event in watch.poll()] == [True]


def test_who_changed_and_who_deleted_is_told(desk: Desk) -> None:
    watch = desk.watch()
    watch.poll()
    one = demo(desk, "Mine")
    desk.clock.advance(SECOND)
    desk.work(desk.command("ours", "update", one, name="Robot's"))
    assert [event.actor for event in watch.poll()] == [ROBOT]
    desk.crm.delete("Demos", one)
    [gone] = watch.poll()
    assert (gone.op, gone.actor) == ("delete", SUZUKI)


@pytest.mark.parametrize("status", [400, 403, 500, 503])
def test_a_tab_that_cannot_be_read_fails_and_is_read_from_the_same_place_later(desk: Desk, status: int) -> None:
    watch: Watch = desk.watch()
    watch.poll()
    one = demo(desk, "Later")
    desk.crm.faults.add(Fault(do="status", where="/coql", status=status))
    with pytest.raises(CaptureFailed, match=str(status)):
        watch.poll()
    assert told(watch.poll()) == [("create", one)]
