"""One Kafka broker for all tests of a run, and topic names of each test's own."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.broker.errors import BrokerUnavailableError
from sandbox.broker.jars import jars, java
from tests.kafka.sharing import shared


@pytest.fixture(scope="session")
def kafka_here() -> None:
    """Skip, with the reason, where no broker can be had; a jar with a wrong checksum is no reason to skip."""
    try:
        java()
        jars()
    except BrokerUnavailableError as reason:
        pytest.skip(f"no Kafka on this machine: {reason}")


@pytest.fixture(scope="session")
def broker(kafka_here: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running broker, shared with all other tests: never stop it; for that, make a ``Cluster(tmp_path)``."""
    base = tmp_path_factory.getbasetemp()
    is_one_of_several = "PYTEST_XDIST_WORKER" in os.environ
    # Next to the workers' own folders, so the same for all; ended with the run if a worker cannot end it.
    folder = base.parent if is_one_of_several else base
    with shared(folder / "kafka", watched=os.getppid() if is_one_of_several else os.getpid()) as cluster:
        yield cluster


@pytest.fixture
def topics() -> str:
    """What the names of a test's topics, groups and transactional ids begin with."""
    return _prefix()


@pytest.fixture(scope="module")
def prefix() -> str:
    """The same for a whole module."""
    return _prefix()


def _prefix() -> str:
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def own(kafka_here: None, tmp_path: Path) -> Iterator[Cluster]:
    """A running broker of the test's own, to stop, kill and freeze."""
    with Cluster(tmp_path / "kafka") as cluster:
        yield cluster
