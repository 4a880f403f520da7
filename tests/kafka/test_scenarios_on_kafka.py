"""Every scenario file, told on a real broker: the expectations hold, and the commands are those of the embedded run.

One program serves all stories, each in a workspace of its own.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from streams.testing import CHANNELS
from streams.topology import Workspace
from tests.kafka.on_kafka import Service
from tests.scenarios.story import HERE, Story, story
from tests.scenarios.test_scenarios import tell, tell_embedded
from tests.scenarios.world import World

FILES = [path for path in sorted(HERE.glob("*/*.yaml")) if story(path).scenario.refused is None]
SOME = [path for path in FILES if path.parent.name in ("conditions", "examples")]
"""What is told spread in the default run: where several records and keys meet."""
STOPPED = [
    HERE / "timers" / "birthday.yaml",
    *(
        pytest.param(HERE / name, marks=pytest.mark.nightly)
        for name in ("conditions/two_crms_in_either_order.yaml", "conditions/fresh.yaml", "actions/wait.yaml")
    ),
]


def workspace(told: Story) -> Workspace:
    """A story as one workspace."""
    tabs = [tab for workflow in told.book.workflows for tab in workflow.tabs.values()]
    connections = {tab.partition(":")[0] for tab in tabs} | set(CHANNELS.values())
    return Workspace(told.book, sorted(connections), told.limits, CHANNELS)


def service(broker: Cluster, prefix: str, *, spread: bool) -> Service:
    """A program that serves all stories."""
    return Service(broker.bootstrap, prefix, {path.stem: workspace(story(path)) for path in FILES}, spread=spread)


@pytest.fixture(scope="module")
def fused(broker: Cluster, prefix: str) -> Iterator[Service]:
    """All stages of a workspace on one partition."""
    serving = service(broker, f"{prefix}fused.", spread=False)
    yield serving
    serving.close()


@pytest.fixture(scope="module")
def spread(broker: Cluster, prefix: str) -> Iterator[Service]:
    """Keys spread over all partitions."""
    serving = service(broker, f"{prefix}spread.", spread=True)
    yield serving
    serving.close()


@cache
def expected(path: Path) -> list[str]:
    """The command ids of the embedded run."""
    return tell_embedded(story(path))


def named(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_scenario_comes_out_as_told_on_a_broker(path: Path, fused: Service) -> None:
    assert tell(World(story(path), fused.runtime(path.stem))) == expected(path)


@pytest.mark.parametrize(
    "path", [path if path in SOME else pytest.param(path, marks=pytest.mark.nightly) for path in FILES], ids=named
)
def test_a_scenario_comes_out_as_told_with_its_stages_spread(path: Path, spread: Service) -> None:
    """Stories come to rest between their steps, so even the ids are equal (stage protocol, section 7)."""
    assert tell(World(story(path), spread.runtime(path.stem))) == expected(path)


@pytest.mark.parametrize("path", STOPPED, ids=named)
def test_a_story_comes_out_as_told_when_the_program_ends_after_every_step(
    path: Path, broker: Cluster, topics: str
) -> None:
    serving = Service(broker.bootstrap, topics, {path.stem: workspace(story(path))})
    try:
        ids = tell(World(story(path), serving.runtime(path.stem)), between=lambda world: serving.restart())
    finally:
        serving.close()
    assert ids == expected(path)
