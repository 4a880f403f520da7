"""``renkei lag`` as it is typed, and lag as it is scraped, on a real broker."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from connectors.kafka_io import Admin, Outgoing, Partition, Producer, TopicSpec
from connectors.lag_reader import BrokerObserver, wall_clock
from renkei.lag.opening import measuring, ours
from renkei.lag.watch import FILE, History, LagWatch
from renkei.lag.window import Frame
from renkei.metrics import Meter
from renkei.options import opened_folder
from renkei.web import Health, WebServer
from sandbox.broker.cluster import Cluster
from tests.cli.door import renkei
from tests.kafka.committing import commit
from tests.lag.scraping import eventually, scraped

pytestmark = pytest.mark.installation


class Shop(NamedTuple):
    """A project whose streams and workers have read some of a topic."""

    path: Path
    address: str
    prefix: str

    @property
    def topic(self) -> str:
        """The one topic there is."""
        return f"{self.prefix}journeys"

    def commit(self, group: str, offset: int) -> None:
        """A group of this project commits."""
        commit(self.address, self.prefix + group, {Partition(self.topic, 0): offset})

    def looked(self, minutes: float) -> None:
        """Somebody looked so long ago, with a clock of then."""
        observer = BrokerObserver(self.address, ours(self.prefix), lambda: wall_clock() - int(minutes * 60_000))
        LagWatch(observer, Frame(), history=History(self.path / ".renkei" / FILE)).look()
        observer.close()


@pytest.fixture
def shop(broker: Cluster, topics: str, tmp_path: Path) -> Iterator[Shop]:
    address = f"kafka://{broker.bootstrap}"
    settings = f"project: shop\nkafka: {{broker: '{address}', prefix: {topics}}}\n"
    (tmp_path / "renkei.yaml").write_text(settings, encoding="utf-8")
    admin, producer = Admin(address), Producer(address)
    admin.create([TopicSpec(f"{topics}journeys", 1, 1)])
    for number in range(10):
        producer.send(Outgoing(f"{topics}journeys", b"k", b"v", partition=0, at=wall_clock() - 3_600_000 + number))
    producer.flush()
    yield Shop(tmp_path, address, topics)
    producer.close()
    admin.close()


def test_a_project_nobody_has_run_yet(shop: Shop) -> None:
    answer = renkei("lag", shop.path)
    assert (answer.code, answer.out) == (0, "No group has committed anything yet.\n")


def test_a_healthy_project(shop: Shop) -> None:
    shop.commit("renkei", 10)
    shop.commit("renkei.connectors.zoho", 4)
    shop.commit("others", 0)
    answer = renkei("lag", shop.path)
    assert answer.code == 0
    header, worker, streams = (line.split() for line in answer.out.splitlines())
    assert header == ["group", "topic", "partition", "lag", "age", "rate", "drains", "in", "status"]
    assert worker[:4] == [f"{shop.prefix}renkei.connectors.zoho", shop.topic, "0", "6"]
    assert worker[4:6] == ["1", "h"]
    assert streams[3:5] == ["0", "-"]


def test_a_stopped_consumer_ends_the_command_with_1(shop: Shop) -> None:
    shop.commit("renkei", 4)
    for minutes in (25, 18, 9):
        shop.looked(minutes)
    answer = renkei("lag", shop.path)
    assert answer.code == 1
    assert "STOP" in answer.out
    assert f"{shop.prefix}renkei on {shop.topic}/0: it commits nothing while records wait" in answer.out
    document = renkei("lag", shop.path, "--json").json
    assert document["groups"][0]["status"] == "ERR"
    assert document["partitions"][0]["lag"] == 6


def test_groups_of_others_are_shown_when_they_are_named(shop: Shop) -> None:
    shop.commit("a", 1)
    shop.commit("b", 2)
    answer = renkei("lag", shop.path, "--group", f"{shop.prefix}a", "--group", f"{shop.prefix}b", "--json")
    assert [(row["group"], row["lag"]) for row in answer.json["partitions"]] == [
        (f"{shop.prefix}a", 9), (f"{shop.prefix}b", 8),
    ]  # fmt: skip


def test_a_broker_that_does_not_answer_is_told(shop: Shop) -> None:
    answer = renkei("lag", shop.path, "--broker", "localhost:1")
    assert (answer.code, "write it as kafka://host:port" in answer.err) == (1, True)


def test_watching_looks_again_until_it_is_stopped(shop: Shop) -> None:
    shop.commit("renkei", 4)
    words = [
        sys.executable,
        "-c",
        "from renkei.cli import main; main()",
        "lag",
        str(shop.path),
        "--watch",
        "--json",
        "--window",
        "0.1",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        seen = [json.loads(running.stdout.readline())["partitions"][0]["complete"] for _ in range(3)]
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=20)
    assert seen[0] == 0 < seen[1] < seen[2] <= 1
    assert (running.returncode, told) == (0, "")


def test_lag_is_scraped_beside_the_other_metrics(shop: Shop) -> None:
    shop.commit("renkei", 4)
    meter = Meter()
    key = {"group": f"{shop.prefix}renkei", "topic": shop.topic, "partition": "0"}
    folder = opened_folder(shop.path)
    with (
        WebServer(Health(), meter.registry) as server,
        measuring(folder, shop.address, meter.registry, interval=0.1),
    ):

        def lag() -> float | None:
            with urllib.request.urlopen(f"{server.address}/metrics", timeout=10) as answer:
                return scraped(answer.read().decode())("renkei_lag_messages", **key)

        eventually(lambda: lag() == 6, 20)
        shop.commit("renkei", 7)
        eventually(lambda: lag() == 3, 20)
