"""Salesforce's Change Data Capture over Pub/Sub: stories against the emulator, over real gRPC."""

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

import grpc
import pytest

from connectors.base import AuthenticationFailed, NotSent
from connectors.capture import CaptureFailed
from connectors.salesforce.pubsub import PubSubCapture
from sandbox.salesforce.changes import Planned
from sandbox.salesforce.pubsub import Refusal
from sandbox.server import Sandbox
from schemas.commands import Applied
from schemas.events import ChangeEvent
from schemas.values import HOUR, MINUTE
from tests.connectors.fakes import NOW
from tests.connectors.practice import CHAIN, Desk

MIRAI = "0015g000000001dAAA"
REST = {"AccountId": MIRAI, "Status": "Draft"}


class Watching:
    """A subscription to contracts, its events laid over each other as the records stage does it."""

    def __init__(self, sandbox: Sandbox, desk: Desk) -> None:
        self.sandbox, self.desk, self.crm = sandbox, desk, desk.crm
        self.service = sandbox.pubsub.service
        self.position: bytes | None = None
        self.images: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, int] = {}
        self.events: list[ChangeEvent] = []
        self.start()

    def start(self) -> None:
        """A fresh process: nothing is remembered but the position."""
        made = self.desk.connector.capture("Contract", self.desk.send)
        assert isinstance(made, PubSubCapture)
        self.capture = made

    def stop(self) -> None:
        self.capture.close()

    def poll(self) -> list[ChangeEvent]:
        """Everything that one poll finds, and what follows it at once."""
        found: list[ChangeEvent] = []
        more = True
        while more:
            polled = self.capture.poll(self.position, self.sandbox.clock.now())
            self.position, more = polled.position, polled.more
            found += polled.events
            for event in polled.events:
                self._lay(event)
        self.events += found
        return found

    def until(self, number: int) -> list[ChangeEvent]:
        """Polls until so many events came; the sandbox answers within a moment."""
        found: list[ChangeEvent] = []
        for _ in range(50):
            found += self.poll()
            if len(found) >= number:
                return found
        raise AssertionError(f"only {len(found)} of {number} events came: {found}")

    def lead(self) -> None:
        """Polls until the stream leads."""
        for _ in range(50):
            self.poll()
            if b'"streams":true' in (self.position or b""):
                return
        raise AssertionError("the stream never leads")

    def insert(self, **fields: object) -> str:
        return self.crm.insert("Contract", {**REST, **fields})

    def _lay(self, event: ChangeEvent) -> None:
        if event.source_position <= self.positions.get(event.record_id, -1):
            return
        self.positions[event.record_id] = event.source_position
        if event.after is None:
            self.images.pop(event.record_id, None)
        else:
            before = self.images.get(event.record_id, {}) if event.partial else {}
            self.images[event.record_id] = {**before, **event.after}

    def agrees(self) -> bool:
        """Whether the images hold what the CRM holds."""
        stored = {str(row["id"]): row for row in self.crm.records("Contract")}
        return stored.keys() == self.images.keys() and all(
            (self.images[name].get(field) or None) == (value or None)
            for name, row in stored.items()
            for field, value in row.items()
            if field != "OwnerId"  # the seed does not name it among the fields
        )


@pytest.fixture
def watching() -> Iterator[Watching]:
    with Sandbox() as sandbox:
        sandbox.clock.set(NOW)
        sandbox.pubsub.service.keep_alive = 0.01
        database = sqlite3.connect(":memory:")
        desk = Desk(sandbox, "salesforce", database, capture="pubsub", pubsub_url=sandbox.pubsub.url)
        made = Watching(sandbox, desk)
        yield made
        made.stop()
        desk.transport.close()
        database.close()


@pytest.fixture
def led(watching: Watching) -> Watching:
    """The stream leads, after a first load of one contract."""
    watching.first = watching.insert(Zoho_Deal_Id__c="first")  # type: ignore[attr-defined]
    watching.lead()
    watching.events.clear()
    return watching


def first_of(led: Watching) -> str:
    return str(led.first)  # type: ignore[attr-defined]


def test_a_first_load_is_marked_and_then_the_stream_leads(watching: Watching) -> None:
    known = {watching.insert(Zoho_Deal_Id__c=f"d{number}") for number in range(5)}
    watching.lead()
    assert {event.record_id for event in watching.events if event.load} == known
    assert watching.agrees()


def test_what_changes_between_the_load_and_the_stream_is_told(watching: Watching) -> None:
    record = watching.insert(Zoho_Deal_Id__c="d1")
    watching.service.keep_alive = 1e9
    watching.poll()
    watching.crm.update("Contract", record, {"Status": "Activated"})
    watching.sandbox.clock.advance(2_000)
    watching.service.keep_alive = 0.01
    watching.lead()
    assert watching.agrees()
    assert not watching.events[-1].load


def test_events_hold_what_changed_and_who_changed_it(led: Watching) -> None:
    led.sandbox.clock.advance(5_000)
    record = led.insert(Zoho_Deal_Id__c="株式会社 🎌", StartDate="2026-02-01", Framework__c=True)
    led.crm.update("Contract", record, {"Status": "Activated", "StartDate": None})
    led.crm.delete("Contract", record)
    made, changed, gone = led.until(3)
    assert (made.op, changed.op, gone.op) == ("create", "update", "delete")
    assert made.after is not None
    assert changed.after is not None
    assert (made.partial, made.after["Zoho_Deal_Id__c"]) == (False, "株式会社 🎌")
    assert (made.after["StartDate"], made.after["Framework__c"]) == ("2026-02-01", True)
    assert changed.partial
    assert (changed.after["Status"], changed.after["StartDate"]) == ("Activated", None)
    assert {"Status", "StartDate"} <= set(changed.changed_fields)
    assert "Zoho_Deal_Id__c" not in changed.after
    assert {made.actor, changed.actor, gone.actor} == {"0055g0000000002AAA"}
    assert made.source_position < changed.source_position < gone.source_position


def test_a_stopped_capture_goes_on_from_its_position(led: Watching) -> None:
    led.stop()
    records = [led.insert(Zoho_Deal_Id__c=f"while away {number}") for number in range(120)]
    led.start()
    events = led.until(120)
    assert [event.record_id for event in events] == records
    assert led.agrees()


def test_a_position_that_was_not_kept_is_told_again(led: Watching) -> None:
    kept = led.position
    record = led.insert()
    first = led.until(1)
    led.position = kept
    again = led.until(1)
    assert [event.record_id for event in (*first, *again)] == [record, record]
    assert first[0].source_position == again[0].source_position


def test_changes_of_many_records_in_one_request_are_told_one_by_one(led: Watching) -> None:
    ids = [first_of(led), led.insert(), led.insert()]
    led.until(2)
    commands = [led.desk.command(f"u{number}", "update", one, Status="Activated") for number, one in enumerate(ids)]
    led.desk.work(*commands)
    events = led.until(3)
    assert [event.record_id for event in events] == ids
    assert led.agrees()


def test_our_own_writes_name_us_and_are_recognised_though_they_tell_little(led: Watching) -> None:
    first = first_of(led)
    outcome = led.desk.work(led.desk.command("ours", "update", first, Status="Activated", Zoho_Deal_Id__c="first"))
    assert isinstance(outcome["ours"], Applied)
    led.crm.update("Contract", first, {"Status": "Draft"})
    ours, theirs = (led.desk.book().stamp(event) for event in led.until(2))
    assert (ours.client, ours.origin) == ("renkei", CHAIN)
    assert (theirs.client, theirs.origin) == ("", None)


@pytest.mark.parametrize("spoil", ["gap", "wildcard", "overflow"])
def test_what_an_event_does_not_tell_is_read(led: Watching, spoil: Any) -> None:
    led.sandbox.clock.advance(HOUR)
    led.sandbox.pubsub.service.log.plan(Planned(spoil, "Contract"))
    led.crm.update("Contract", first_of(led), {"Status": "Activated", "Zoho_Deal_Id__c": "seen"})
    led.insert(Zoho_Deal_Id__c="next")
    led.until(2)
    led.lead()
    assert led.agrees()
    assert next(event for event in led.events if event.record_id == first_of(led)).coalesced


def test_a_gap_about_a_deletion_deletes_and_one_about_what_is_gone_waits_for_it(led: Watching) -> None:
    record = led.insert()
    led.until(1)
    for _ in range(2):
        led.service.log.plan(Planned("gap", "Contract"))
    led.crm.update("Contract", record, {"Status": "Activated"})
    led.crm.delete("Contract", record)
    assert [event.op for event in led.until(1)] == ["delete"]
    assert led.agrees()


def test_an_event_told_twice_is_told_on_once(led: Watching) -> None:
    led.service.log.plan(Planned("twice", "Contract"))
    led.crm.update("Contract", first_of(led), {"Status": "Activated"})
    led.insert()
    assert len(led.until(2)) == 2


def test_a_place_that_is_too_old_starts_reading_from_what_was_told(led: Watching) -> None:
    gone = led.insert()
    led.until(1)
    led.stop()
    led.crm.update("Contract", first_of(led), {"Status": "Activated"})
    led.crm.delete("Contract", gone)
    led.sandbox.clock.advance(80 * HOUR)
    led.start()
    led.until(2)
    assert led.agrees()
    assert {event.coalesced for event in led.events if event.record_id == first_of(led)} == {True}


def test_a_session_that_ends_in_mid_stream_is_renewed_and_nothing_is_lost(led: Watching) -> None:
    led.insert()
    led.until(1)
    led.crm.expire_tokens()
    record = led.insert()
    with pytest.raises(NotSent, match="logging in anew"):
        led.until(1)
    assert [event.record_id for event in led.until(1)] == [record]


def test_a_login_that_stays_refused_is_told_to_the_operator(led: Watching) -> None:
    refused = Refusal(grpc.StatusCode.UNAUTHENTICATED, "service.auth.error", "no")
    led.service.broken += [refused] * 20
    with pytest.raises(NotSent, match="logging in anew"):
        led.until(1)
    with pytest.raises(AuthenticationFailed, match="renew the connection's credentials"):
        led.until(1)
    led.service.broken.clear()


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (grpc.StatusCode.UNAVAILABLE, "service.unavailable", NotSent),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "service.protection.triggered", NotSent),
        (grpc.StatusCode.INTERNAL, "subscription.internal.error", NotSent),
        (grpc.StatusCode.FAILED_PRECONDITION, "subscription.limit.exceeded", NotSent),
        (grpc.StatusCode.PERMISSION_DENIED, "subscription.topic.cannot.subscribe", CaptureFailed),
        (grpc.StatusCode.NOT_FOUND, "topic.not.found", CaptureFailed),
    ],
)
def test_a_broken_stream_is_told_by_what_to_do_and_loses_nothing(
    led: Watching, status: grpc.StatusCode, code: str, raised: type[Exception]
) -> None:
    led.service.broken.append(Refusal(status, code, "in words"))
    record = led.insert()
    with pytest.raises(raised, match=code):
        led.until(2)
    assert [event.record_id for event in led.until(1)] == [record]


def test_a_service_that_is_away_does_not_hold_up_the_first_load(watching: Watching) -> None:
    record = watching.insert()
    watching.sandbox.pubsub.stop()
    assert [event.record_id for event in watching.poll()] == [record]
    watching.sandbox.clock.advance(MINUTE)
    changed = watching.insert(Zoho_Deal_Id__c="later")
    assert [event.record_id for event in watching.poll()] == [changed]


def test_where_only_polling_was_there_is_a_way_on(led: Watching) -> None:
    polling = Desk(led.sandbox, "salesforce", led.desk.database).watch()
    polling.poll()
    record = led.insert(Zoho_Deal_Id__c="after polling")
    led.stop()
    led.position = polling.position
    led.start()
    led.lead()
    assert record in led.images
    assert not any(event.load for event in led.events)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_history_ends_in_what_the_crm_holds(led: Watching, seed: int) -> None:
    chance = Random(seed)
    for number in range(120):
        _happens(led, chance, number)
        led.sandbox.clock.advance(chance.choice([0, 0, 300, 900, 40_000]))
        if chance.random() < 0.3:
            _look(led)
    for _ in range(200):
        _look(led)
        if led.agrees():
            return
    raise AssertionError("the images and the CRM never agree")


def _happens(led: Watching, chance: Random, number: int) -> None:
    """Something: an edit by hand, a write of ours, an event that is spoilt, a stop, a login that ends."""
    known = [str(row["id"]) for row in led.crm.records("Contract")]
    what = chance.choice(["insert", "update", "update", "ours", "delete", "spoil", "stop", "forget", "expire"])
    if what == "insert" or not known:
        led.insert(Zoho_Deal_Id__c=f"株 {number}")
    elif what == "update":
        led.crm.update("Contract", chance.choice(known), {"Zoho_Deal_Id__c": f"v{number}", "Framework__c": number % 2})
    elif what == "ours":
        led.desk.work(led.desk.command(f"o{number}", "update", chance.choice(known), Status="Activated"))
    elif what == "delete" and len(known) > 2:
        led.crm.delete("Contract", chance.choice(known))
    elif what == "spoil":
        led.service.log.plan(Planned(chance.choice(["gap", "wildcard", "overflow", "twice"]), "Contract"))
    elif what in {"stop", "forget"}:
        led.stop()
        led.start()
    else:
        led.crm.expire_tokens()


def _look(led: Watching) -> None:
    with suppress(NotSent):
        led.poll()
