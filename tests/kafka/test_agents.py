"""Plain Faust agents of a package: totals kept in a table, and no record lost, whatever becomes of the process."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from connectors.kafka_io import Admin, Outgoing, Partition, Producer
from renkei.streaming import Nouns
from sandbox.broker.cluster import Cluster as Broker
from schemas.codec import from_json
from schemas.events import ChangeEvent
from schemas.keys import home, in_workspace
from streams.faust_agents import Agents, AgentsConsumer
from streams.partition_log import Cluster
from tests.cli.door import renkei
from tests.kafka.shop import now, read_all, until
from tests.stranger.installing import HOUSE, install

pytestmark = pytest.mark.installation

PARTITIONS = 2
TOPIC = "changes.zoho.Deals"


class Quiet:
    """Nobody counts."""

    def taken(self, topic: str, partition: int, count: int) -> None:
        """Not counted."""

    def unreadable(self, topic: str, partition: int, offset: int, why: str) -> None:
        """Not told."""


# -- what is committed ------------------------------------------------------------------

AT = TP("deals", 0)


def consumer() -> AgentsConsumer:
    """A consumer that no broker knows, of an app that reads one topic."""
    agents = Agents(Cluster("127.0.0.1:1"), 1, Nouns(), {}, Quiet())
    cast(Any, agents.app.topics)._acking_topics.add(AT.topic)
    return cast(AgentsConsumer, agents.app.consumer)


def delivered(one: AgentsConsumer, *offsets: int) -> dict[int, Any]:
    made = {
        offset: ConsumerMessage(AT.topic, AT.partition, offset, 0.0, 0, None, b"", b"", None, tp=AT)
        for offset in offsets
    }
    for message in made.values():
        one.begin(message)
    return made


def committed(one: AgentsConsumer, offset: int | None) -> int | None:
    """What would be committed where this was committed last."""
    cast(Any, one)._committed_offset[AT] = offset
    return one._new_offset(AT)


def test_one_slow_record_at_the_head_is_not_passed() -> None:
    async def story() -> None:
        one = consumer()
        messages = delivered(one, *range(2585, 2590))
        for offset in range(2586, 2590):
            messages[offset].ack(one)
        assert committed(one, 2585) == 2585, "2585 is still in flight"
        messages[2585].ack(one)
        assert committed(one, 2585) == 2590

    asyncio.run(story())


def test_faust_itself_would_pass_it() -> None:
    """The reason for ours: once this fails, Faust was mended."""

    async def story() -> None:
        one = cast(Any, consumer())
        one._committed_offset[AT] = 2585
        one._acked[AT] = [2586, 2587, 2588, 2589]
        assert FaustConsumer._new_offset(one, AT) == 2590

    asyncio.run(story())


@pytest.mark.parametrize(
    ("offsets", "done", "expected"),
    [
        ((0, 1, 2), (), None),
        ((0, 1, 2), (1, 2), 0),
        ((0, 1, 2), (0, 2), 1),
        ((0, 1, 2), (0, 1, 2), 3),
        ((5, 9, 40), (5, 9), 40),
        ((5, 9, 40), (5, 40), 9),
        ((5, 9, 40), (5, 9, 40), 41),
    ],
)
def test_gaps_of_markers_and_compaction_hold_nothing_up(
    offsets: tuple[int, ...], done: tuple[int, ...], expected: int | None
) -> None:
    async def story() -> None:
        one = consumer()
        messages = delivered(one, *offsets)
        for offset in done:
            messages[offset].ack(one)
        assert committed(one, None) == expected

    asyncio.run(story())


def test_what_was_in_flight_before_a_rebalance_counts_no_more() -> None:
    async def story() -> None:
        one = consumer()
        old = delivered(one, *range(10, 51))
        one._forget({AT})
        new = delivered(one, 10, 11)
        old[50].ack(one)
        assert committed(one, 10) is None
        new[10].ack(one)
        assert committed(one, 10) == 11

    asyncio.run(story())


def test_behind_an_agent_that_failed_nothing_is_committed() -> None:
    async def story() -> None:
        one = consumer()
        messages = delivered(one, 1, 2)
        one.is_stuck = True
        messages[1].ack(one)
        assert committed(one, 1) is None

    asyncio.run(story())


# -- on a broker ------------------------------------------------------------------


class Office:
    """A project on a broker, with agents as processes of their own."""

    def __init__(self, folder: Path, address: str, prefix: str) -> None:
        self.folder, self.address, self.prefix = folder, address, prefix
        self.admin = Admin(address)
        self.producer = Producer(address, transactional_id=f"{prefix}crm")
        self.running: list[subprocess.Popen[str]] = []
        (folder / "workflows").mkdir()
        (folder / "workflows" / "cheer.yaml").write_text(
            "workflow: won\nmain_tab: deal\ntabs:\n  deal: {module: zoho.Deals}\nrules:\n  deal:\n    - name: won\n"
            '      trigger: criteria_met\n      criteria: deal.Stage is "Closed Won"\n'
            "      actions:\n        - notify: ann@example.com\n          subject: Won\n          text: Won\n",
            encoding="utf-8",
        )
        (folder / "renkei.yaml").write_text(
            f"project: offices\nkafka: {{broker: '{address}', partitions: {PARTITIONS}, prefix: {prefix}}}\n"
            "connections:\n  zoho: {kind: zoho, url: 'https://zoho.example'}\n"
            "  mail: {kind: email, url: 'smtp://mail.example', sender: renkei@example.com}\n",
            encoding="utf-8",
        )
        made = renkei("topics", str(folder))
        assert made.code == 0, made.err

    def start(self, site: Path, **environment: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", "from renkei.cli import main; main()", "agents", "--project", str(self.folder)]
        process = subprocess.Popen(
            words, env={**os.environ, "PYTHONPATH": str(site), **environment}, cwd=HOUSE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.running.append(process)
        return process

    def deal(self, record_id: str, position: int, **fields: object) -> Outgoing:
        event = ChangeEvent(
            tab="zoho:Deals", record_id=record_id, op="update", after={"id": record_id, **fields},
            committed_at=position, seen_at=now(), source_position=position,
        )  # fmt: skip
        value, headers = Nouns().encode(event, TOPIC)
        key = in_workspace("main", record_id)
        return Outgoing(self.prefix + TOPIC, key, value, tuple(headers), home("main", "", PARTITIONS, False))

    def put(self, *changes: Outgoing) -> None:
        with self.producer.transaction() as transaction:
            for change in changes:
                transaction.send(change)

    def totals(self) -> Mapping[str, Decimal]:
        name = f"{self.prefix}totals.offices"
        if not self.admin.partitions([name]):
            return {}
        told = read_all(self.address, name, self.admin)
        return {(one.key or b"").decode(): Decimal(from_json(one.value or b"")["won"]) for one in told}

    def put_in_vain(self, change: Outgoing) -> None:
        """A transaction that is aborted when the message is on the broker."""
        with suppress(LookupError), self.producer.transaction() as transaction:
            transaction.send(change)
            transaction.flush()
            raise LookupError

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for what the newest process is to bring about."""
        until(lambda: holds() or self.running[-1].poll() is not None, what, 150)
        assert holds(), f"the process has ended: {what}"

    def committed(self) -> int | None:
        found = self.admin.committed(f"{self.prefix}renkei.agents")
        return found.get(Partition(self.prefix + TOPIC, home("main", "", PARTITIONS, False)))

    def close(self) -> None:
        for process in self.running:
            process.kill()
            print(process.communicate()[0], self.totals(), self.committed())  # shown where the test failed
        self.producer.close()
        self.admin.delete([name for name in self.admin.topics() if name.startswith(self.prefix)])
        self.admin.close()


@pytest.fixture
def office(tmp_path: Path, broker: Broker, topics: str) -> Iterator[Office]:
    folder = tmp_path / "project"
    folder.mkdir()
    made = Office(folder, f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("site"))


def test_a_strangers_agent_keeps_a_total_per_office_over_a_kill(office: Office, site: Path) -> None:
    """The agent of docs/extending.md, installed: what is not committed does not count, repetitions neither."""
    won = {"Stage": "Closed Won", "Amount": 100}
    office.put(
        office.deal("1", 1, Office="東京", **won), office.deal("2", 1, Office="東京", **won),
        office.deal("2", 1, Office="東京", **won), office.deal("3", 1, Office="大阪", Stage="Open", Amount=7),
    )  # fmt: skip
    office.put_in_vain(office.deal("4", 1, Office="東京", **won))
    first = office.start(site)
    office.until(lambda: office.totals() == {"main/東京": 200}, "the totals of Tokyo")
    first.kill()
    office.put(office.deal("2", 2, Office="大阪", **won), office.deal("5", 1, Office="東京", **won | {"Amount": "0.5"}))
    office.start(site)
    expected = {"main/東京": Decimal("100.5"), "main/大阪": Decimal(100)}
    office.until(lambda: office.totals() == expected, "the table was restored")


SLOW = """
import asyncio, os, pathlib

def register(app, topics):
    seen, go = pathlib.Path(os.environ["SEEN"]), pathlib.Path(os.environ["GO"])

    @app.agent(topics.changes("zoho:Deals"), concurrency=4)
    async def slow(stream):
        async for event in stream.events():
            with seen.open("a") as file:
                file.write(event.key.key + "\\n")
            while event.key.key == "0" and not go.exists():
                await asyncio.sleep(0.02)
            if event.key.key == os.environ.get("FAIL"):
                raise ZeroDivisionError(f"a customer's number: {10**9 + 7}")
            with seen.with_suffix(".done").open("a") as file:
                file.write(event.key.key + "\\n")
"""


@pytest.fixture
def slow(tmp_path: Path) -> Mapping[str, str]:
    """A package with an agent that waits at its first record, as the environment of the process."""
    (tmp_path / "slow_agents.py").write_text(SLOW, encoding="utf-8")
    parts = tmp_path / "slow_agents-1.0.dist-info"
    parts.mkdir()
    (parts / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-agents\nVersion: 1.0\n", encoding="utf-8")
    (parts / "entry_points.txt").write_text("[renkei.agents]\nslow = slow_agents:register\n", encoding="utf-8")
    return {"SEEN": str(tmp_path / "seen"), "GO": str(tmp_path / "go")}


def lines(path: str) -> list[str]:
    return Path(path).read_text().split() if Path(path).exists() else []


def test_a_record_in_flight_at_a_kill_is_seen_again(office: Office, slow: Mapping[str, str], tmp_path: Path) -> None:
    for number in range(8):
        office.put(office.deal(str(number), 1))
    first = office.start(tmp_path, **slow)
    office.until(lambda: len(lines(slow["SEEN"] + ".done")) == 7, "the seven behind the slow one")
    office.until(lambda: office.committed() is not None, "a commit")
    assert office.committed() == 0, "the first record is in flight"
    first.kill()
    first.wait()
    Path(slow["GO"]).touch()
    office.start(tmp_path, **slow)
    office.until(lambda: "0" in lines(slow["SEEN"] + ".done"), "the slow one is done")
    office.until(lambda: (office.committed() or 0) >= 15, "all is committed")
    assert lines(slow["SEEN"]).count("0") == 2


def test_a_record_on_which_an_agent_raises_comes_again(office: Office, slow: Mapping[str, str], tmp_path: Path) -> None:
    Path(slow["GO"]).touch()
    office.put(*(office.deal(str(number), 1) for number in range(3)))
    failing = office.start(tmp_path, **slow, FAIL="1")
    out, _ = failing.communicate(timeout=60)
    assert failing.returncode == 1
    assert "raised ZeroDivisionError. Its record is not lost" in out
    assert "slow_agents.py" in out
    assert "1000000007" not in out
    assert (office.committed() or 0) <= 1
    office.start(tmp_path, **slow)
    office.until(lambda: {"0", "1", "2"} <= {*lines(slow["SEEN"] + ".done")}, "all are done")


def test_agents_of_nobody_are_refused(office: Office) -> None:
    refused = renkei("agents", "--project", str(office.folder))
    assert refused.code == 1
    assert "renkei.agents" in refused.err


def test_a_process_that_is_asked_to_stop_ends_well(office: Office, slow: Mapping[str, str], tmp_path: Path) -> None:
    Path(slow["GO"]).touch()
    office.put(office.deal("0", 1))
    running = office.start(tmp_path, **slow)
    office.until(lambda: lines(slow["SEEN"] + ".done") == ["0"], "the record is done")
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 0
    assert office.committed() == 1
