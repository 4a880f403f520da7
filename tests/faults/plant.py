"""A whole installation as real processes: a broker, practice CRMs, captures, streams and workers; and its end."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.kafka_io import Admin, BrokerAway, Delivered, KafkaTrouble, Outgoing, Partition, Producer
from renkei.contracts import Contracts
from renkei.streaming import Nouns
from sandbox.server import Sandbox
from schemas import keys, topics
from schemas.codec import CodecError, from_json, pack
from schemas.commands import Command, Report
from schemas.events import ChangeEvent
from schemas.messages import Loaded
from streams.wire import MARKER
from tests.cli.door import renkei
from tests.faults.checker import CONTRACTS, DEALS, PROJECTS, Edit, Findings, check
from tests.faults.nursery import Nursery, Process
from tests.faults.project import secrets, write_project
from tests.kafka.shop import read_all

WORKSPACE = "main"
PATIENCE = 180.0
QUIET = 2.5
"""Seconds without a new effect, command or outcome, before all counts as at rest: longer than any wait in a worker."""


def now() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Plant:
    """The installation; whoever makes it closes it."""

    def __init__(
        self, folder: Path, nursery: Nursery, sandbox: Sandbox, address: str, prefix: str,
        *, partitions: int = 4, spread: bool = True, replication: int = 1, urls: dict[str, str] | None = None,
        near: str = "",
    ) -> None:  # fmt: skip
        """``address`` is what the processes are told; ``near`` another way to the broker, for the test itself."""
        self.folder, self.nursery, self.sandbox, self.prefix = folder, nursery, sandbox, prefix
        self.address, self.near = address, near or address
        self.partitions, self.spread = partitions, spread
        kafka = {
            "broker": f"'{address}'", "prefix": prefix, "partitions": partitions, "spread": str(spread).lower(),
            "replication": replication, "session": "2 seconds",
        }  # fmt: skip
        write_project(folder, sandbox, kafka, urls or {})
        made = renkei("topics", folder, "--broker", self.near)
        assert made.code == 0, made.err
        self.admin = Admin(self.near)
        self._producer: Producer | None = None
        self._backlog: list[Outgoing] = []
        self._contracts = Contracts()
        self.started: list[Process] = []
        self.history: list[Edit] = []
        self.fed = 0
        self._is_known = False
        """Whether the CRMs were asked what they hold; processes that start later need not ask again."""
        self._contract_ids: dict[str, str] = {}
        for tab in ("zoho:Deals", "zoho:Accounts", "vtiger:Project"):
            self._mark_loaded(tab)

    # -- processes --------------------------------------------------------------

    def start(self, command: str, *names: str, state: str = "", file_size: int = 0, **environment: str) -> Process:
        """A command as a process of its own; streams keep their state in a folder of this name."""
        number = len(self.started)
        words = [command, *names, "--project", str(self.folder)]
        if command == "streams":
            words += ["--state", str(self.folder / (state or f"state-{number}")), "--metrics-port", "0"]
        elif self._is_known:
            words.append("--offline")
        log = self.folder / "logs" / f"{number}-{command}.log"
        log.parent.mkdir(exist_ok=True)
        made = self.nursery.start(
            f"{number}-{command}", words, {**secrets(self.sandbox), **environment}, log, file_size
        )
        self.started.append(made)
        return made

    def running(self) -> list[Process]:
        """The processes that have not ended."""
        return [one for one in self.started if one.is_alive]

    def ready(self, *processes: Process) -> None:
        """Wait until these do their work."""
        for one in processes:
            self.until(lambda one=one: _is_ready(one) or not one.is_alive, f"{one.name} is ready")  # type: ignore[misc]
            assert one.is_alive, one.tail()

    def watch_contracts(self) -> Process:
        """A capture of Salesforce; the first one is waited for until it has loaded."""
        made = self.start("capture", "salesforce")
        topic = topics.changes("salesforce:Contract")
        self.until(lambda: bool(self.read(topic)), "the first load of contracts")
        self._is_known = True
        return made

    # -- what people do --------------------------------------------------------------

    def play(self, edits: Sequence[Edit], *, later: bool = False) -> None:
        """People edit records; the changes of Zoho are told to the broker here, those of Salesforce by its capture.

        Told ``later`` is with the next edits, where the broker cannot be reached now.
        """
        told = [self._told(edit) for edit in edits]
        self._backlog += [out for out in told if out is not None]
        self.history += edits
        if not later:
            self.until(self._deliver, "the broker takes the changes")

    def _deliver(self) -> bool:
        """Tell the broker what waits; where nobody knows whether it heard, again: repetitions count once."""
        if not self._sent(self._backlog):
            return False
        self.fed += len(self._backlog)
        self._backlog.clear()
        return True

    def _send(self, messages: Sequence[Outgoing]) -> None:
        producer = self._producer or Producer(self.near, transactional_id=f"{self.prefix}feeder")
        self._producer = None
        try:
            with producer.transaction() as transaction:
                for out in messages:
                    transaction.send(out)
        except BrokerAway:
            producer.close()
            raise
        self._producer = producer

    def _told(self, edit: Edit) -> Outgoing | None:
        if edit.tab == CONTRACTS:
            self._edit_contract(edit)
            return None
        crm, tab = self.sandbox.zoho, f"zoho:{edit.tab}"
        before = crm.record(edit.tab, edit.record_id)
        if before is None:
            crm.insert(edit.tab, edit.fields, record_id=edit.record_id)
        else:
            crm.update(edit.tab, edit.record_id, edit.fields)
        row = crm.row(edit.tab, edit.record_id)
        assert row is not None
        event = ChangeEvent(
            tab=tab, record_id=edit.record_id, op="create" if before is None else "update",
            after={**row.fields, "id": row.id}, committed_at=row.modified_at, seen_at=now(),
            source_position=row.modified_at << 20,
        )  # fmt: skip
        value, headers = self._contracts.encode(event)
        number = keys.home(WORKSPACE, event.ref, self.partitions, self.spread)
        key = keys.in_workspace(WORKSPACE, event.record_id)
        return Outgoing(self.prefix + topics.changes(tab), key, value, headers, number, now())

    def _edit_contract(self, edit: Edit) -> None:
        crm = self.sandbox.salesforce
        known = self._contract_ids.get(edit.record_id)
        if known is None:
            self._contract_ids[edit.record_id] = crm.insert(CONTRACTS, edit.fields)
        else:
            crm.update(CONTRACTS, known, edit.fields)

    def _sent(self, messages: Sequence[Outgoing]) -> bool:
        try:
            self._send(messages)
        except BrokerAway:
            return False
        return True

    def put(self, topic: str, key: bytes | None, value: bytes | None, headers: Any = (), number: int = 0) -> None:
        """Write anything to a topic."""
        out = [Outgoing(self.prefix + topic, key, value, headers, number, now())]
        self.until(lambda: self._sent(out), f"a message is written to {topic}")

    def _mark_loaded(self, tab: str) -> None:
        home = keys.home(WORKSPACE, "", self.partitions, spread=False)
        marker = Loaded(at=now(), tab=tab, generation=0, upstream=("capture", 0))
        for number in range(self.partitions) if self.spread else (home,):
            self.put(topics.changes(tab), keys.in_workspace(WORKSPACE, MARKER), pack(marker), number=number)

    # -- what came of it --------------------------------------------------------------

    def findings(self) -> Findings:
        """What the checker says now."""
        crms = self.sandbox
        ledgers = {str(crm.kind): crm.ledger() for crm in (crms.zoho, crms.salesforce, crms.vtiger)}
        return check(self.history, ledgers, crms.zoho.records(DEALS), crms.vtiger.records(PROJECTS))

    def read(self, topic: str) -> list[Delivered]:
        """All that is committed in a topic."""
        return read_all(self.near, self.prefix + topic, self.admin)

    def nouns(self, topic: str) -> list[Any]:
        """The same, decoded; what nobody can read is left out."""
        nouns, found = Nouns(), []
        for one in self.read(topic):
            with suppress(CodecError):
                found.append(nouns.decode(one.value or b"", one.headers, topic))
        return found

    def commands(self) -> list[Command]:
        """All commands."""
        return [one for kind in ("zoho", "vtiger", "salesforce") for one in self.nouns(topics.commands(kind))]

    def reports(self) -> list[Report]:
        """All outcomes."""
        return self.nouns(topics.OUTCOMES)

    def parked(self) -> list[Any]:
        """The notes of what was set aside."""
        return [from_json(one.value or b"") for one in self.read(topics.PARKED)]

    def rest(self, seconds: float = PATIENCE, *, parked: int = 0) -> Findings:
        """Wait until everything is done that must be, and nothing more comes; then all must be as the model says."""
        self.play([])
        self.until(
            lambda: not (found := self.findings()).lost and not found.differences, "every effect is there", seconds
        )
        self.until(self._is_reported, "every command is reported", seconds)
        self._until_quiet(seconds)
        found = self.findings()
        assert found.is_green, f"{found}\n{self.tails()}"
        commands, reports = self.commands(), self.reports()
        ids = [one.id for one in commands]
        assert len(ids) == len(set(ids)) == 2 * found.expected, f"{len(ids)} commands, {len(set(ids))} different ones"
        assert {one.outcome.command_id for one in reports} == set(ids), self.tails()
        assert len(self.parked()) == parked, self.parked()
        return found

    def _is_reported(self) -> bool:
        """Whether there is an outcome of every command."""
        return {one.id for one in self.commands()} == {one.outcome.command_id for one in self.reports()}

    def _until_quiet(self, seconds: float) -> None:
        last, since = self._traces(), time.monotonic()
        deadline = since + seconds
        while time.monotonic() - since < QUIET:
            assert time.monotonic() < deadline, f"it does not come to rest\n{self.tails()}"
            time.sleep(0.2)
            if (traces := self._traces()) != last:
                last, since = traces, time.monotonic()

    def _traces(self) -> tuple[int, ...]:
        crms = self.sandbox
        partitions = [
            partition for topic in (topics.OUTCOMES, topics.commands("zoho"), topics.commands("vtiger"))
            for partition in _partitions(self.prefix + topic, self.partitions)
        ]  # fmt: skip
        ends = self.admin.ends(partitions)
        return (*(len(crm.ledger()) for crm in (crms.zoho, crms.vtiger)), *ends.values())

    def until(self, holds: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
        """Wait for a condition; the message shows the ends of all logs."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not seen within {seconds:.0f} s: {what}\n{self.tails()}"
            time.sleep(0.05)

    def wait(self, seconds: float) -> None:
        """Let time go by: where the moment of a fault is drawn."""
        time.sleep(seconds)

    def tails(self) -> str:
        """What the processes said at last, and what the checker says."""
        said = [line for one in self.running()[-8:] for line in (one.tail(), f"now: {_health(one)[1]}")]
        found = self.findings()
        lost = [self._trace(one.rpartition(" ")[2]) for one in found.lost[:3]]
        return "\n".join([str(found.counts()), *lost, *said])

    def _trace(self, deal: str) -> str:
        """How far a deal has come that has not got what it must."""
        try:
            contracts = [one for one in self.nouns(topics.changes("salesforce:Contract")) if one.after]
            seen = [one.after.get("Status") for one in contracts if one.after.get("Zoho_Deal_Id__c") == deal]
            deals = [one for one in self.nouns(topics.changes("zoho:Deals")) if one.record_id == deal]
            stages = [one.after.get("Stage") for one in deals if one.after]
            commands = {one.id: one.operation for one in self.commands() if one.journey.endswith(deal)}
            reports = [one.outcome for one in self.reports() if one.outcome.command_id in commands]
            decided = [one.kind for one in self.nouns(topics.DECISIONS) if one.journey.endswith(deal)]
        except KafkaTrouble as error:
            return f"{deal}: {error}"
        return f"{deal}: stages {stages}, contracts {seen}, decided {decided}, commands {commands}, reports {reports}"

    def close(self) -> None:
        """End everything."""
        for one in self.running():
            one.kill()
        if self._producer is not None:
            self._producer.close()
        self.admin.close()


def _partitions(topic: str, count: int) -> Iterable[Partition]:
    return [Partition(topic, number) for number in range(count)]


def _is_ready(one: Process) -> bool:
    return _health(one)[0]


def _health(one: Process) -> tuple[bool, str]:
    """Whether a process says that it is ready, and what it says."""
    found = re.search(r"http://[^/\s]+/readyz", one.said())
    if found is None:
        return False, "no page yet"
    try:
        with urllib.request.urlopen(found[0], timeout=2) as answer:
            return answer.status == 200, answer.read().decode()
    except urllib.error.HTTPError as error:
        return False, error.read().decode()
    except OSError as error:
        return False, str(error)
