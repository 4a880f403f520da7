"""The practice range: three CRMs and a mail server on loopback ports, and a person's hand in each CRM."""

from collections.abc import Mapping, MutableMapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from sandbox.clock import Clock, Skewed
from sandbox.emulator import Emulator
from sandbox.faults import Faulty
from sandbox.hosting import LOOPBACK, Address, Connections, Host
from sandbox.mail import MailSink
from sandbox.salesforce.emulator import Salesforce
from sandbox.salesforce.pubsub import PubSub, PubSubHost
from sandbox.seed import JOURNEY, CrmSeed, Seed, field_value, load_seed
from sandbox.store import Actor, Effect, Row
from sandbox.vtiger.emulator import Vtiger
from sandbox.zoho.emulator import Zoho
from schemas.values import Value

Kind = Literal["zoho", "salesforce", "vtiger"]


class SandboxError(ValueError):
    """A story asks for what the seed does not have; the message names it and what there is."""


class Crm:
    """One practice CRM seen from outside HTTP: address, credentials, faults, ledger, and the person's hand.

    The person's hand writes as a human user does in the CRM's own pages: in our field values, through no API.
    """

    def __init__(self, kind: Kind, emulator: Emulator, seed: CrmSeed, address: Address = LOOPBACK) -> None:
        connections = Connections()
        faulty = Faulty(
            emulator.app, emulator.plan, emulator.refusal, emulator.expire, connections.drop, emulator.quota.exhausted
        )
        emulator.plan.clock = emulator.store.clock
        self.clock = emulator.store.clock = Skewed(emulator.store.clock)
        """When records are written, as this CRM's own clock shows it."""
        self.host = Host(faulty, connections, kind, address)
        self.kind = kind
        self.credentials: Mapping[str, str] = emulator.credentials
        self.faults = emulator.plan
        self.quota = emulator.quota
        self.options: MutableMapping[str, str] = getattr(emulator, "options", {})
        """How the CRM is set up, in its own words; what is changed here counts from the next call on."""
        self._emulator = emulator
        self._store = emulator.store
        self._plant(seed)

    @property
    def url(self) -> str:
        """Where the CRM answers; empty before the sandbox is started."""
        return self.host.url

    def insert(self, tab: str, fields: Mapping[str, object], user: str = "", record_id: str = "") -> str:
        """Add a record by hand; its id. Raises SandboxError: unknown tab or field, unique value taken."""
        actor, values = self._actor(user), self._values(tab, fields)
        with self._store.lock:
            self._refuse_duplicates(tab, values, but="")
            owned = {**_owner(self.kind, actor.user), **values}
            return self._store.insert(tab, owned, actor, record_id).id

    def update(self, tab: str, record_id: str, fields: Mapping[str, object], user: str = "") -> None:
        """Change a record by hand. Raises SandboxError, also when the record is not there."""
        values = self._values(tab, fields)
        with self._store.lock:
            self._live(tab, record_id)
            self._refuse_duplicates(tab, values, but=record_id)
            self._store.update(tab, record_id, values, self._actor(user))

    def delete(self, tab: str, record_id: str, user: str = "") -> None:
        """Delete a record by hand. Raises SandboxError when it is not there."""
        self._live(tab, record_id)
        self._store.delete(tab, record_id, self._actor(user))

    def restore(self, tab: str, record_id: str, user: str = "") -> None:
        """Take a record out of the recycle bin by hand."""
        self._store.restore(tab, record_id, self._actor(user))

    def record(self, tab: str, record_id: str) -> dict[str, Value] | None:
        """A live record's fields in our values, with ``id``."""
        row = self._store.row(tab, record_id)
        return None if row is None else _image(row)

    def records(self, tab: str) -> list[dict[str, Value]]:
        """All live records of a tab, the longest unchanged first."""
        self._known(tab)
        return [_image(row) for row in self._store.rows(tab)]

    def row(self, tab: str, record_id: str) -> Row | None:
        """A record with times and users, deleted or not."""
        return self._store.any_row(tab, record_id)

    def ledger(self) -> tuple[Effect, ...]:
        """Every effect since the seed, in order: by clients of the API and by persons."""
        return self._store.ledger()

    def expire_tokens(self) -> None:
        """End all access tokens and sessions."""
        self._emulator.expire()

    def _plant(self, seed: CrmSeed) -> None:
        for tab, records in seed.records.items():
            for record in records:
                fields = {name: value for name, value in record.items() if name != "id"}
                self.insert(tab, fields, record_id=str(record.get("id", "")))
        self._store.forget_effects()

    def _values(self, tab: str, fields: Mapping[str, object]) -> dict[str, Value]:
        known = {*self._known(tab), *_owner(self.kind, "")}
        for name in fields:
            if name not in known:
                raise SandboxError(f"{self.kind}:{tab} has no field {name!r}; it has {', '.join(sorted(known))}")
        return {name: field_value(value) for name, value in fields.items()}

    def _known(self, tab: str) -> Mapping[str, Any]:
        found = self._store.tab(tab)
        if found is None:
            names = ", ".join(self._store.metadata.tabs)
            raise SandboxError(f"{self.kind} has no tab {tab!r}; the seed has {names or 'none'}")
        return found.fields

    def _live(self, tab: str, record_id: str) -> Row:
        self._known(tab)
        row = self._store.row(tab, record_id)
        if row is None:
            raise SandboxError(f"{self.kind}:{tab}/{record_id} is not there; records({tab!r}) lists what is")
        return row

    def _refuse_duplicates(self, tab: str, values: Mapping[str, Value], but: str) -> None:
        for name, field in self._known(tab).items():
            other = self._store.holder(tab, name, values.get(name)) if field.unique else None
            if other is not None and other.id != but:
                raise SandboxError(f"{self.kind}:{tab}.{name} is unique and {other.id} holds that value already")

    def _actor(self, user: str) -> Actor:
        return Actor(user) if user else self._emulator.person


class Sandbox:
    """The practice range: use it as a context manager.

    ``with Sandbox() as s: s.zoho.url, s.crm("zoho").insert("Deals", …), s.mail.port, s.clock.set(…)``.
    All CRMs and the mail server share one clock. Ports are free ones; with an ``address`` whose port is named,
    Zoho listens there and Salesforce, Vtiger, the mail server and Salesforce's Pub/Sub API on the next four.
    """

    def __init__(
        self,
        seed: Seed | Mapping[str, Any] | Path | str = JOURNEY,
        clock: Clock | None = None,
        address: Address = LOOPBACK,
    ) -> None:
        self.seed = load_seed(seed)
        self.clock = clock or Clock()
        at = [address._replace(port=address.port and address.port + index) for index in range(5)]
        self.zoho = Crm("zoho", Zoho(self.seed.zoho, self.clock), self.seed.zoho, at[0])
        salesforce = Salesforce(self.seed.salesforce, self.clock)
        self.salesforce = Crm("salesforce", salesforce, self.seed.salesforce, at[1])
        self.pubsub = PubSubHost(PubSub(salesforce), at[4])
        self.vtiger = Crm("vtiger", Vtiger(self.seed.vtiger, self.clock), self.seed.vtiger, at[2])
        self.mail = MailSink(self.clock, at[3])
        self._crms: dict[str, Crm] = {crm.kind: crm for crm in (self.zoho, self.salesforce, self.vtiger)}
        self._running = ExitStack()

    def crm(self, kind: str) -> Crm:
        """A CRM by its kind: zoho, salesforce or vtiger. Raises SandboxError for another."""
        if kind not in self._crms:
            raise SandboxError(f"no CRM {kind!r} in the sandbox; it has {', '.join(self._crms)}")
        return self._crms[kind]

    def start(self) -> None:
        """Listen on all ports."""
        with ExitStack() as started:
            hosts = (crm.host for crm in self._crms.values())
            parts: tuple[Host | MailSink | PubSubHost, ...] = (*hosts, self.mail, self.pubsub)
            for part in parts:
                part.start()
                started.callback(part.stop)
            self._running = started.pop_all()

    def stop(self) -> None:
        """Close all ports and end all threads."""
        for crm in self._crms.values():
            crm.host.ask_to_stop()
        self._running.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()


def _image(row: Row) -> dict[str, Value]:
    return {**row.fields, "id": row.id}


def _owner(kind: Kind, user: str) -> dict[str, Value]:
    """The owner's field in each dialect, with the user who owns what nobody else was given."""
    return {{"zoho": "Owner", "salesforce": "OwnerId", "vtiger": "assigned_user_id"}[kind]: user}
