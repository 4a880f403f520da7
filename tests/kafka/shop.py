"""A connection at work on a real broker: commands are put, workers work, and what was committed is read."""

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from connectors.base import Connector, Limits, Request, Response, Send
from connectors.kafka_desk import KafkaDesk, Office
from connectors.kafka_io import Admin, Delivered, KafkaTrouble, Outgoing, Partition, Producer, Refused, TopicSpec
from connectors.kafka_ledger import LedgerTail
from connectors.kafka_reading import Consumer
from connectors.lease import Lease
from connectors.ledger import Entry
from connectors.limits import Limiter
from connectors.patience import Policy
from connectors.rounds import Turn
from connectors.worker import Worker
from schemas import keys, topics
from schemas.codec import from_json
from schemas.commands import Command, Outcome, Report
from tests.connectors.fakes import ToyCrm, toy
from tests.kafka.packed import Packed

PARTITIONS = 2
FRAMING = Packed()


def now() -> int:
    return time.time_ns() // 1_000_000


def until(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for a condition; the time limit is longer than any of them takes."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not seen within {seconds:.0f} s: {what}"
        time.sleep(0.02)


class Moved:
    """A clock that can be put ahead."""

    ahead = 0

    def __call__(self) -> int:
        return now() + self.ahead


class Hand:
    """One worker process, as far as Kafka can tell, turned by hand."""

    def __init__(
        self,
        office: Office,
        crm: Callable[[Request], Response],
        *,
        connector: Connector | None = None,
        limits: Limits | None = None,
        at: Callable[[str], None] = lambda point: None,
        policy: Policy | None = None,
    ) -> None:
        self.limiter = Limiter(limits or Limits())
        kind, self.lease = connector or toy(), Lease(office.lease)
        self.clock = Moved()
        self.desk = KafkaDesk(office, FRAMING, kind, self.clock, self.lease, self.limiter)
        self.worker = Worker(
            kind, self._send(crm), self.desk, self.desk, self.limiter, policy=policy, chance=Random(7), at=at,
            may_go_on=self.desk.may_go_on,
        )  # fmt: skip
        self.troubles: list[KafkaTrouble] = []
        self.problems: list[str] = []

    def turn(self) -> Turn | None:
        """One round; none where something had to be forgotten and read anew."""
        try:
            turn = self.worker.turn(self.clock())
            self.problems += [turn.problem] if turn.problem else []
            return turn
        except Refused:
            raise
        except KafkaTrouble as error:
            self.troubles.append(error)
            self.desk.start_over(error)
            return None

    def until(self, holds: Callable[[], bool], what: str, *others: "Hand", seconds: float = 30) -> None:
        """Turn, with others, until something holds."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"not seen within {seconds:.0f} s: {what}; {self.troubles}"
            for one in (self, *others):
                one.turn()

    def _send(self, crm: Callable[[Request], Response]) -> Send:
        def send(request: Request) -> Response:
            self.lease.check()
            return crm(request)

        return send


class Counter:
    """The topics of connection ``toy``, and both ends of them."""

    def __init__(self, address: str, prefix: str, **office: Any) -> None:
        self.address, self.prefix = address, prefix
        self.told = office
        self.admin = Admin(address)
        compacted = {"cleanup.policy": "compact"}
        self.admin.create([
            *(TopicSpec(prefix + name, PARTITIONS, 1) for name in ("commands.toy", "commands.toy.bulk", "outcomes")),
            TopicSpec(prefix + "ledger.toy", PARTITIONS, 1, compacted), TopicSpec(prefix + "parked", 1, 1),
        ])  # fmt: skip
        self.producer = Producer(address, transactional_id=f"{prefix}planner")
        self.crm = ToyCrm()
        self.hands: list[Hand] = []

    def office(self, **more: Any) -> Office:
        told = {"partitions": PARTITIONS, "prefix": self.prefix, "first_look": 300, "lease": 2_500, **self.told}
        return Office(address=self.address, connection="toy", **{**told, **more})

    def hand(self, **more: Any) -> Hand:
        """Another worker; ended with the test."""
        office = {name: more.pop(name) for name in ("session", "lease", "first_look", "workspace") if name in more}
        made = Hand(self.office(**office), more.pop("crm", self.crm), policy=Policy(first_look=300), **more)
        self.hands.append(made)
        return made

    def put(self, *commands: Command, lane: str = "commands.toy", workspace: str = "main", number: int = 0) -> None:
        with self.producer.transaction() as transaction:
            for command in commands:
                value, headers = FRAMING.encode(command)
                key = keys.in_workspace(workspace, command.record_id or command.journey)
                transaction.send(Outgoing(self.prefix + lane, key, value, headers, number))

    def put_raw(self, key: bytes | None, value: bytes | None, number: int = 0) -> None:
        with self.producer.transaction() as transaction:
            transaction.send(Outgoing(f"{self.prefix}commands.toy", key, value, (), number))

    def read(self, topic: str) -> list[Delivered]:
        """All that is committed in a topic."""
        return read_all(self.address, self.prefix + topic, self.admin)

    def outcomes(self) -> dict[str, list[Outcome]]:
        """The reported outcomes by command."""
        found: dict[str, list[Outcome]] = {}
        for told in self.read(topics.OUTCOMES):
            report = FRAMING.decode(told.value or b"", told.headers)
            assert isinstance(report, Report)
            found.setdefault(report.outcome.command_id, []).append(report.outcome)
        return found

    def parked(self) -> list[dict[str, Any]]:
        return [from_json(told.value or b"") for told in self.read(topics.PARKED)]

    def done(self) -> Sequence[Entry]:
        """What the ledger says was done, as a capture reads it."""
        tail = LedgerTail(self.address, f"{self.prefix}ledger.toy", PARTITIONS, "main", now() - 60_000)
        try:
            return tail.recent(now() - 60_000)
        finally:
            tail.close()

    def committed(self, lane: str = "commands.toy") -> int:
        found = self.admin.committed(f"{self.prefix}renkei.connectors.toy")
        return sum(offset for one, offset in found.items() if one.topic == self.prefix + lane)

    def close(self) -> None:
        for one in self.hands:
            one.desk.close()
        self.producer.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.prefix)])
        self.admin.close()


def read_all(address: str, topic: str, admin: Admin) -> list[Delivered]:
    """All that is committed in a topic."""
    partitions = [Partition(topic, number) for number in range(admin.partitions([topic])[topic])]
    consumer = Consumer(address)
    try:
        consumer.assign(partitions)
        for one in partitions:
            consumer.seek(one, 0)
        ends = consumer.ends(partitions)
        found: list[Delivered] = []
        while any((consumer.position(one) or 0) < end for one, end in ends.items()):
            found += consumer.poll(50)
        return found
    finally:
        consumer.close()
