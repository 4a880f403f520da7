"""A project on a broker: its programs run as processes of their own, its CRM and its workers are played."""

import os
import subprocess
import sys
from collections.abc import Callable

from connectors.kafka_io import Admin, Delivered, Outgoing, Producer
from connectors.kafka_ledger import Rows
from renkei.streaming import Nouns
from schemas import topics as names
from schemas.commands import Applied, Command, Outcome, Report
from schemas.keys import home, in_workspace, parted
from tests.kafka.shop import now, read_all, until

PARTITIONS = 3
HOME = home("main", "", PARTITIONS, spread=False)


def outcome(command: Command) -> Outcome:
    return Applied(command_id=command.id, record_id=command.record_id or f"r-{command.id[:8]}")


class Place:
    """The broker that a project moves to, with a CRM and workers that are played."""

    def __init__(self, address: str, prefix: str) -> None:
        self.address, self.prefix = address, prefix
        self.admin = Admin(address)
        self.producer = Producer(address, transactional_id=f"{prefix}played")
        self.running: list[subprocess.Popen[str]] = []
        self.answered: set[str] = set()

    def read(self, topic: str) -> list[Delivered]:
        return read_all(self.address, self.prefix + topic, self.admin)

    def commands(self, *connections: str) -> list[Command]:
        return [
            Nouns().decode(one.value or b"", one.headers, topic)
            for topic in map(names.commands, connections or ("zoho", "mail"))
            for one in self.read(topic)
        ]

    def put(self, topic: str, key: str, noun: object, number: int = HOME) -> None:
        value, headers = Nouns().encode(noun, topic)
        self.put_raw(topic, key, value, tuple(headers), number)

    def put_raw(
        self, topic: str, key: str, value: bytes, headers: tuple[tuple[str, bytes], ...] = (), number: int = HOME
    ) -> None:
        with self.producer.transaction() as transaction:
            transaction.send(Outgoing(self.prefix + topic, in_workspace("main", key), value, headers, number, now()))

    def answer(self) -> None:
        """Every command that was not answered yet is applied."""
        for one in self.commands():
            if one.id not in self.answered:
                self.answered.add(one.id)
                report = Report(
                    at=now(), connection=one.connection, journey=one.journey, fire=one.fire, outcome=outcome(one),
                    chain=one.chain,
                )  # fmt: skip
                self.put(names.OUTCOMES, one.journey, report)

    def rows(self, connection: str) -> dict[str, tuple[str, int]]:
        """What the ledger says of commands, as workers read it, and the partition where that stands."""
        rows = Rows("main")
        found: dict[str, tuple[str, int]] = {}
        for told in self.read(f"ledger.{connection}"):
            rows.fold(told)
            name = parted(told.key or b"")[1].removeprefix("live/")
            row = rows.get("live", name)
            assert row is not None
            found[name] = row.entry.state, told.partition.number
        return found

    def start(self, *words: str, **environment: str) -> "subprocess.Popen[str]":
        code = "from renkei.cli import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], env={**os.environ, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def until(self, holds: Callable[[], bool], what: str) -> None:
        until(lambda: holds() or self.running[-1].poll() is not None, what, 60)
        assert holds(), f"the process has ended: {what}"

    def close(self) -> None:
        for process in self.running:
            process.kill()
            print(process.communicate()[0])  # shown where the test failed
        self.producer.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.prefix)])
        self.admin.close()
