"""A connection at work: one practice CRM, the embedded log with commands, and the workers that apply them."""

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, Literal, NamedTuple

import msgspec

from connectors.base import Limits, Send
from connectors.credentials import Credentials
from connectors.ledger import Entry, Ledger, Remembered
from connectors.limits import Limiter
from connectors.patience import Policy
from connectors.registry import kind_of
from connectors.rounds import Turn
from connectors.settings import ConnectionSettings
from connectors.transport import Transport, authenticated
from connectors.waves import Threads
from connectors.worker import Worker
from renkei.logged import LoggedCommands
from sandbox.server import Crm, Sandbox
from sandbox.store import Effect
from schemas import topics
from schemas.codec import pack
from schemas.commands import Command, Lane, Outcome
from schemas.messages import OutcomeOf
from streams import wire
from streams.store import NewEntry, Store

Kind = Literal["zoho", "salesforce", "vtiger"]
KINDS: tuple[Kind, ...] = ("zoho", "salesforce", "vtiger")


class Words(NamedTuple):
    """What a CRM calls the tab of the figures, the field that they write, our key, and what a record must have."""

    tab: str
    field: str
    key: str
    robot: str
    rest: dict[str, Any]


WORDS: dict[Kind, Words] = {
    "zoho": Words("Demos", "Name", "Renkei_Key", "5725767000000010008", {"Status": "Requested"}),
    "salesforce": Words("Contract", "Zoho_Deal_Id__c", "Renkei_Key__c", "0055g0000000008AAA",
                        {"AccountId": "0015g000000001dAAA", "Status": "Draft"}),
    "vtiger": Words("Project", "projectname", "cf_renkei_key", "19x8", {}),
}  # fmt: skip


class Stand:
    """One CRM, its log, and a worker for each lane; ``through`` is the door by which the CRM is reached."""

    def __init__(
        self, sandbox: Sandbox, kind: Kind, folder: Path, *, through: str = "", timeout: float = 30.0,
        limits: Limits | None = None, policy: Policy | None = None,
    ) -> None:  # fmt: skip
        self.crm: Crm = sandbox.crm(kind)
        self.clock, self.kind, self.words = sandbox.clock, kind, WORDS[kind]
        settings = ConnectionSettings(
            connection=kind, kind=kind, url=through or self.crm.url, allow_private=True, timeout=timeout,
            login="client_credentials" if kind == "salesforce" else "refresh_token", user=self.words.robot,
        )  # fmt: skip
        self.transport = Transport(settings)
        self.connector = kind_of(kind)(settings, getattr(sandbox.seed, kind).metadata(kind))
        auth = self.connector.authentication(Credentials(kind, self.crm.credentials), self.transport)
        self.send: Send = authenticated(self.transport, auth)
        self.limits = limits or self.connector.limits
        self.limiter = Limiter(self.limits, Random(1))
        self._file, self._policy = folder / "renkei.db", policy
        self.store = Store(self._file)
        self._closing: list[Callable[[], None]] = [self.store.close, self.transport.close]

    def records(self, count: int) -> list[str]:
        """So many new records, by a person's hand; their ids."""
        words = self.words
        return [self.crm.insert(words.tab, {**words.rest, words.field: f"記録 {one}"}) for one in range(count)]

    def update(self, command_id: str, record_id: str, value: str, lane: Lane = "live") -> Command:
        """A command that gives the field of a record a value."""
        return Command(
            id=command_id, connection=self.kind, tab=f"{self.kind}:{self.words.tab}", operation="update",
            record_id=record_id, fields={self.words.field: value}, lane=lane, planned_at=self.clock.now(),
        )  # fmt: skip

    def create(self, command_id: str, value: str) -> Command:
        """A command that makes a record, with its id as the key."""
        return msgspec.structs.replace(
            self.update(command_id, "", value), operation="create", key=(self.words.key, command_id),
            fields={**self.words.rest, self.words.field: value},
        )  # fmt: skip

    def put(self, commands: Iterable[Command]) -> None:
        """Commands into the log, in order."""
        topic = topics.commands(self.kind)
        with self.store.transaction():
            self.store.append(NewEntry(topic, one.record_id or one.id, 0, pack(one)) for one in commands)

    def worker(self, lane: Lane = "live", clock: Callable[[], int] | None = None) -> tuple[Worker, Callable[[], None]]:
        """A fresh worker of a lane and how it is closed, both for the thread that turns it."""
        database = sqlite3.connect(self._file, timeout=30.0)
        store, crew = Store(self._file), Threads(self.limiter.at_once)
        source = LoggedCommands(store, self.kind, clock or self.clock.now, lane)

        def close() -> None:
            crew.close()
            store.close()
            database.close()

        worker = Worker(
            self.connector, self.send, Remembered(Ledger(database, self.kind)), source, self.limiter,
            policy=self._policy, chance=Random(2), crew=crew,
            may_go_on=(lambda: True) if lane == "live" else self.limiter.give_way,
        )  # fmt: skip
        return worker, close

    def work(self, most: int = 1_000_000) -> None:
        """A fresh worker's turns until nothing is left to do; the clock moves to where the worker waits."""
        worker, close = self.worker()
        try:
            for _ in range(most):
                turn: Turn = worker.turn(self.clock.now())
                if turn.idle_until is None:
                    return
                self.clock.set(max(self.clock.now(), turn.idle_until))
        finally:
            close()
        raise AssertionError("the worker never comes to rest")

    def outcomes(self) -> dict[str, Outcome]:
        """What was reported, by command id; the last word of each."""
        told = [wire.read_entry(entry) for entry in self.store.read(topics.JOURNEYS)]
        return {one.outcome.command_id: one.outcome for one in told if isinstance(one, OutcomeOf)}

    def unknown(self) -> list[Entry]:
        """What a person has to decide."""
        database = sqlite3.connect(self._file, timeout=30.0)
        try:
            return Ledger(database, self.kind).unknown()
        finally:
            database.close()

    def effects(self) -> list[Effect]:
        """What clients of the API have written, as the CRM noted it."""
        return [one for one in self.crm.ledger() if one.actor.client]

    def close(self) -> None:
        """End everything."""
        for close in self._closing:
            close()
