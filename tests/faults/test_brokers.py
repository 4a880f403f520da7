"""Brokers restart, stand still, and go away."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.broker.node import Node
from tests.faults.conftest import MakePlant
from tests.faults.plant import Plant
from tests.faults.project import history

pytestmark = pytest.mark.installation


def _crew(plant: Plant) -> None:
    plant.watch_contracts()
    for kind in ("streams", "connectors"):
        plant.start(kind)
        plant.start(kind)
    plant.ready(*plant.started)


def _during(plant: Plant, number: int, fault: Callable[[], None], after: Callable[[], None], seconds: float) -> None:
    """Edits before a fault, some seconds of the fault, edits after it; then all must come to rest."""
    plant.play(history(12, 60, seed=20 + number, first=number * 24))
    fault()
    plant.play(history(6, 30, seed=60 + number, first=500 + number * 24), later=True)
    plant.wait(seconds)
    after()
    plant.play(history(12, 60, seed=40 + number, first=number * 24 + 12))
    plant.rest(180)


def _begin(node: Node, fault: str) -> None:
    {"restarted": node.stop, "killed": node.kill, "suspended": node.pause}[fault]()


def _end(node: Node, fault: str) -> None:
    {"restarted": node.start, "killed": node.start, "suspended": node.resume}[fault]()


LONG = pytest.mark.fault


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        ("killed", 3), ("suspended", 3), pytest.param("restarted", 0, marks=LONG),
        pytest.param("killed", 65, marks=LONG), pytest.param("suspended", 65, marks=LONG),
    ],
)  # fmt: skip
def test_all_brokers_are_gone_for_a_while(
    make_plant: MakePlant, kafka_here: None, tmp_path: Path, fault: str, seconds: int
) -> None:
    """Fault matrix rows 17 to 19, on one broker: so all brokers are away."""
    with Cluster(tmp_path / "kafka") as cluster:
        plant, node = make_plant(f"kafka://{cluster.bootstrap}"), cluster.node(1)
        _crew(plant)
        _during(plant, 0, lambda: _begin(node, fault), lambda: _end(node, fault), seconds)
        assert all(one.is_alive for one in plant.started), plant.tails()
        assert plant.findings().expected > 3


@pytest.mark.fault
def test_of_three_brokers_one_after_another_is_gone(make_plant: MakePlant, kafka_here: None, tmp_path: Path) -> None:
    with Cluster(tmp_path / "kafka", 3) as cluster:
        plant = make_plant(f"kafka://{cluster.bootstrap}", replication=3)
        _crew(plant)
        for number, node in enumerate(cluster.nodes):
            _during(plant, number, node.kill, node.start, 5)
        _during(plant, 3, cluster.node(2).pause, cluster.node(2).resume, 8)
        assert all(one.is_alive for one in plant.started), plant.tails()
        assert plant.findings().expected > 10
