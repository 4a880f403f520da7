"""A connection to one CRM of the practice range: its connector, worker, captures and the person's hand."""

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from connectors.base import Connector, Limits, Send
from connectors.credentials import Credentials
from connectors.echo import EchoBook
from connectors.ledger import Ledger
from connectors.limits import Limiter
from connectors.registry import kind_of
from connectors.settings import ConnectionSettings
from connectors.tokens import Shelf
from connectors.traces import book_of
from connectors.transport import Transport, authenticated
from connectors.worker import Worker
from sandbox.server import Crm, Sandbox
from schemas.commands import Command, Outcome
from schemas.events import Chain, ChangeEvent
from tests.connectors.fakes import ListSource

CHAIN = Chain("x", 0, ("flow/rule@zoho:Deals/1",))


class Words(NamedTuple):
    """What one CRM calls things: the tab of the stories, its name field, key field, and what else it must have."""

    tab: str
    name: str
    key: str
    owner: str
    robot: str
    rest: dict[str, Any]
    modified: str


WORDS = {
    "zoho": Words("Demos", "Name", "Renkei_Key", "Owner", "5725767000000010008", {"Status": "Requested"},
    "Modified_Time"),
    "salesforce": Words(
        "Contract", "Zoho_Deal_Id__c", "Renkei_Key__c", "OwnerId", "0055g0000000008AAA",
        {"AccountId": "0015g000000001dAAA", "Status": "Draft"}, "SystemModstamp",
    ),
    "vtiger": Words("Project", "projectname", "cf_renkei_key", "assigned_user_id", "19x8", {},
    "modifiedtime"),
}  # fmt: skip


class Desk:
    """One connection at work."""

    def __init__(self, sandbox: Sandbox, kind: str, database: sqlite3.Connection, **options: str) -> None:
        self.crm: Crm = sandbox.crm(kind)
        self.clock = sandbox.clock
        self.words = WORDS[kind]
        self.kind = kind
        login: Any = "client_credentials" if kind == "salesforce" else "refresh_token"
        self.settings = ConnectionSettings(
            connection=kind, kind=kind, url=self.crm.url, allow_private=True, login=login,
            user=self.words.robot,
            timeout=5, options=options,
        )  # fmt: skip
        self.transport = Transport(self.settings)
        known = getattr(sandbox.seed, kind).metadata(kind)
        self.connector: Connector = kind_of(kind)(self.settings, known)
        auth = self.connector.authentication(Credentials(kind, self.crm.credentials), self.transport)
        auth.share(Shelf(lambda: self.clock.now() / 1000))
        self.send: Send = authenticated(self.transport, auth)
        self.asking: Send = authenticated(self.transport, auth, stops=False)
        self.database = database
        self.source = ListSource()
        self.start()

    def start(self, at: Callable[[str], None] = lambda point: None) -> None:
        """A fresh worker over the same ledger."""
        self.ledger = Ledger(self.database, self.kind)
        limits = Limiter(Limits(at_once=4))
        self.worker = Worker(self.connector, self.send, self.ledger, self.source, limits, chance=Random(1), at=at)

    def command(self, command_id: str, operation: str, record_id: str = "", **fields: Any) -> Command:
        """A command on the stories' tab; creates and upserts carry their id as the key."""
        keyed = operation in {"create", "upsert"}
        rest = self.words.rest if keyed else {}
        named = {self.words.name if name == "name" else name: value for name, value in fields.items()}
        return Command(
            id=command_id, connection=self.kind, tab=f"{self.kind}:{self.words.tab}", operation=operation,
            record_id=record_id, fields={**rest, **named}, key=(self.words.key,
            command_id) if keyed else None,
            chain=CHAIN, planned_at=self.clock.now(),
        )  # fmt: skip

    def work(self, *commands: Command) -> dict[str, Outcome]:
        """Applies commands to the end; the clock moves to where the worker waits."""
        self.source.commands += commands
        for _ in range(60):
            turn = self.worker.turn(self.clock.now())
            if turn.idle_until is None:
                return self.source.settled
            self.clock.set(max(self.clock.now(), turn.idle_until))
        raise AssertionError(f"the worker never comes to rest: {turn.problem}")

    def watch(self, tab: str = "") -> "Watch":
        """A capture of a tab, the stories' own where none is named."""
        return Watch(self, tab or self.words.tab)

    def book(self) -> EchoBook:
        """Our recent writes."""
        return book_of(self.ledger.recent(0), self.connector, self.words.robot)


class Watch:
    """A capture with its position."""

    def __init__(self, desk: Desk, tab: str) -> None:
        self.desk = desk
        self.capture = desk.connector.capture(tab, desk.send)
        self.position: bytes | None = None

    def poll(self) -> list[ChangeEvent]:
        """Everything new, a second later."""
        self.desk.clock.advance(1000)
        events: list[ChangeEvent] = []
        more = True
        while more:
            polled = self.capture.poll(self.position, self.desk.clock.now())
            self.position, more = polled.position, polled.more
            events += [self.desk.book().stamp(event) for event in polled.events]
        return events
