"""The network between us and the broker, and between us and a CRM, is cut, slow, deaf, or resets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.network import Line, Network, Proxy
from sandbox.server import Sandbox
from tests.faults.conftest import MakePlant
from tests.faults.plant import Plant
from tests.faults.project import history

pytestmark = pytest.mark.installation


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


LINES = {
    "slow": Line(latency=0.15, jitter=0.05),
    "cut": Line(is_cut=True),
    "hangs": Line(hangs=True),
    "reset after some bytes": Line(limit_up=3_000, limit_down=3_000),
}


def _spoil(plant: Plant, door: Proxy, seconds: float) -> None:
    """One bad line after another while people edit, each healed after a while."""
    for number, line in enumerate(LINES.values()):
        plant.play(history(10, 50, seed=60 + number, first=number * 20))
        door.set(line)
        plant.play(history(10, 50, seed=80 + number, first=number * 20 + 10), later=True)
        plant.wait(seconds)
        door.heal()
        door.reset()
    assert plant.rest(180).expected > 10


def _crew(plant: Plant) -> None:
    plant.watch_contracts()
    plant.start("streams")
    plant.start("connectors")
    plant.start("connectors")
    plant.ready(*plant.started)


def _to_the_broker(make_plant: MakePlant, folder: Path, network: Network, seconds: float) -> None:
    with Cluster(folder / "kafka") as cluster:
        near = f"kafka://{cluster.bootstrap}"
        door = network.proxy(cluster.bootstrap)
        node = cluster.node(1)
        node.stop()
        cluster.advertise(1, door.address)
        cluster.start()
        plant = make_plant(f"kafka://{door.address}")
        assert near != plant.address
        _crew(plant)
        _spoil(plant, door, seconds)
        assert all(one.is_alive for one in plant.started), plant.tails()


def test_a_bad_line_to_the_broker(make_plant: MakePlant, kafka_here: None, tmp_path: Path, network: Network) -> None:
    """Fault matrix rows 16 to 19. The test's own edits go through the same door, so they wait with the rest."""
    _to_the_broker(make_plant, tmp_path, network, 3)


@pytest.mark.fault
def test_a_line_to_the_broker_that_is_bad_for_long(
    make_plant: MakePlant, kafka_here: None, tmp_path: Path, network: Network
) -> None:
    _to_the_broker(make_plant, tmp_path, network, 40)


def _to_a_crm(make_plant: MakePlant, broker: Cluster, crms: Sandbox, network: Network, seconds: float) -> None:
    doors = {kind: network.proxy(crms.crm(kind).url.removeprefix("http://")) for kind in ("zoho", "vtiger")}
    urls = {kind: f"http://{door.address}" for kind, door in doors.items()}
    plant = make_plant(f"kafka://{broker.bootstrap}", urls=urls)
    _crew(plant)
    for door in doors.values():
        door.set(Line(limit_down=0))  # the first requests arrive, and nobody hears the answer
    plant.play(history(20, 100, seed=99, first=200))
    plant.wait(seconds)
    for door in doors.values():
        door.heal()
    _spoil(plant, doors["vtiger"], seconds)
    _spoil_again(plant, doors["zoho"], seconds)


def _spoil_again(plant: Plant, door: Proxy, seconds: float) -> None:
    for number, line in enumerate((LINES["cut"], LINES["reset after some bytes"])):
        door.set(line)
        plant.play(history(10, 50, seed=70 + number, first=100 + number * 10))
        plant.wait(seconds)
        door.heal()
    plant.rest(180)


def test_a_bad_line_to_a_crm(make_plant: MakePlant, broker: Cluster, crms: Sandbox, network: Network) -> None:
    """Fault matrix rows 6, 8 and 38: requests that arrive and get no answer have one effect."""
    _to_a_crm(make_plant, broker, crms, network, 2)


@pytest.mark.fault
def test_a_line_to_a_crm_that_is_bad_for_long(
    make_plant: MakePlant, broker: Cluster, crms: Sandbox, network: Network
) -> None:
    _to_a_crm(make_plant, broker, crms, network, 30)
