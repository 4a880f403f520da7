"""A project on the practice range and a real broker, its commands run as processes of their own."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.kafka_io import Admin, Delivered, Outgoing, Partition, Producer
from connectors.kafka_reading import Consumer
from renkei.contracts import Contracts
from renkei.streaming import Nouns
from sandbox.server import Sandbox
from schemas import keys
from schemas.commands import Command, Report
from schemas.events import Chain
from tests.cli.door import renkei
from tests.kafka.shop import read_all

WORKFLOW = """
workflow: demos
main_tab: deal
tabs:
  deal: {module: zoho.Deals}
  demo: {module: zoho.Demos, related_to: deal, by: Deal}
rules:
  deal:
    - name: ask-for-demo
      trigger: {becomes: Lead_Status is "Qualified"}
      actions:
        - create: demo
          fields: {Name: "Demo of {{ deal.Deal_Name }}", Status: Requested}
"""
CHAIN = Chain("x", 1, ("demos/ask-for-demo@zoho:Deals/1",))
FRAMING, NOUNS = Contracts(), Nouns()
PATIENCE = 120.0


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition; the longest take twenty seconds, and forty where seven programs share each core."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"not seen within {PATIENCE:.0f} s: {what}"
        time.sleep(0.05)


class Process:
    """A command of the front door as a process, and what it printed."""

    def __init__(self, words: list[str], environment: Mapping[str, str]) -> None:
        self.words = words
        line = [sys.executable, "-c", "from renkei.cli import main; main()", *words]
        self._inner = subprocess.Popen(
            line, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._inner.stdout is not None
        with self._inner.stdout as told:
            self.lines.extend(told)

    def is_ready(self) -> bool:
        return any("ready." in line for line in self.lines)

    def wait_ready(self) -> "Process":
        until(lambda: self.is_ready() or not self.is_alive, "ready")
        assert self.is_alive, self.lines
        return self

    @property
    def is_alive(self) -> bool:
        return self._inner.poll() is None

    def is_stopped(self) -> bool:
        """Whether it stopped itself, as a suspended machine."""
        return Path(f"/proc/{self._inner.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"

    def send(self, number: signal.Signals) -> None:
        self._inner.send_signal(number)

    def ended(self, seconds: float = 30) -> int:
        """The exit code; negative: the signal that killed it."""
        return self._inner.wait(seconds)

    def close(self) -> None:
        self._inner.kill()
        self._inner.wait(10)
        self._reader.join(10)


class OnKafka:
    """The project, its topics, and the processes that were started."""

    def __init__(self, folder: Path, sandbox: Sandbox, address: str, prefix: str, kafka: str = "") -> None:
        self.folder, self.sandbox, self.address, self.prefix = folder, sandbox, address, prefix
        (folder / "workflows").mkdir()
        (folder / "workflows" / "demos.yaml").write_text(WORKFLOW, encoding="utf-8")
        (folder / "renkei.yaml").write_text(
            "project: there\n"
            f"kafka: {{broker: '{address}', prefix: {prefix}, partitions: 2, session: 2 seconds, {kafka}}}\n"
            "connections:\n"
            f"  zoho: {{kind: zoho, url: '{sandbox.zoho.url}', allow_private: true, key_field: Renkei_Key,"
            f" user: '{sandbox.seed.zoho.integration_user}', poll: 1 second}}\n",
            encoding="utf-8",
        )
        made = renkei("topics", folder)
        assert made.code == 0, made.err
        self.secrets = {f"RENKEI_ZOHO_{name.upper()}": value for name, value in sandbox.zoho.credentials.items()}
        self.admin = Admin(address)
        self.planner = Producer(address, transactional_id=f"{prefix}planner")
        self.started: list[Process] = []

    def start(self, command: str, **environment: str) -> Process:
        made = Process([command, "--project", str(self.folder)], {**self.secrets, **environment})
        self.started.append(made)
        return made

    def demo(self, name: str) -> Command:
        """A command that creates a demo, found again by its key."""
        return Command(
            id=name, connection="zoho", tab="zoho:Demos", operation="create", key=("Renkei_Key", name), chain=CHAIN,
            fields={"Name": name, "Status": "Requested"}, journey="zoho:Deals/1", fire=f"fire {name}",
        )  # fmt: skip

    def plan(self, *commands: Command, bulk: bool = False) -> None:
        topic = f"{self.prefix}commands.zoho{'.bulk' if bulk else ''}"
        with self.planner.transaction() as transaction:
            for number, command in enumerate(commands):
                value, headers = FRAMING.encode(command)
                key = keys.in_workspace("main", command.journey)
                transaction.send(Outgoing(topic, key, value, headers, number % 2))

    def effects(self) -> list[str]:
        """The names of the demos that were made through the API, one for each time."""
        names = {record["id"]: str(record["Name"]) for record in self.sandbox.zoho.records("Demos")}
        return sorted(names[one.record_id] for one in self.sandbox.zoho.ledger() if one.tab == "Demos")

    def read(self, topic: str) -> list[Delivered]:
        return read_all(self.address, self.prefix + topic, self.admin)

    def reports(self) -> list[str]:
        """The commands that were reported, one for each time."""
        found = [NOUNS.decode(told.value or b"", told.headers, "outcomes") for told in self.read("outcomes")]
        return sorted(one.outcome.command_id for one in found if isinstance(one, Report))

    def close(self) -> None:
        """End all; what the processes said is shown where the test failed."""
        for one in self.started:
            one.close()
            print("---", *one.words, *one.lines, sep="\n")
        self.planner.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.prefix)])
        self.admin.close()


__all__ = ["Consumer", "OnKafka", "Partition", "Process", "until"]
