"""What every fault test needs: processes to start, practice CRMs, and an installation on the broker of the run."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.server import Sandbox
from tests.faults.nursery import Nursery
from tests.faults.plant import Plant
from tests.faults.project import practice_crms
from tests.kafka.conftest import broker, kafka_here, topics

__all__ = ["broker", "kafka_here", "topics"]

MakePlant = Callable[..., Plant]


@pytest.fixture(scope="session")
def nursery(kafka_here: None) -> Iterator[Nursery]:
    """The parent of all processes of the run."""
    with Nursery() as started:
        yield started


@pytest.fixture
def crms() -> Iterator[Sandbox]:
    """The practice CRMs of one test."""
    with practice_crms() as started:
        yield started


@pytest.fixture
def make_plant(tmp_path: Path, nursery: Nursery, crms: Sandbox, topics: str) -> Iterator[MakePlant]:
    """Makes an installation on a broker's address; it is ended with the test."""
    made: list[Plant] = []

    def make(address: str, **more: Any) -> Plant:
        made.append(Plant(tmp_path / f"plant-{len(made)}", nursery, crms, address, topics, **more))
        return made[-1]

    yield make
    for one in made:
        print(one.tails())
        one.close()


@pytest.fixture
def plant(make_plant: MakePlant, broker: Cluster) -> Plant:
    """An installation on the broker of the run."""
    return make_plant(f"kafka://{broker.bootstrap}")
