"""The five logs of travel expenses on a real broker: the commands are those of the embedded run.

The whole history is there before the streams begin, as on the day on which somebody loads it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from renkei.folder import Folder
from renkei.streaming import topology_of
from sandbox.broker.cluster import Cluster
from schemas.events import ChangeEvent
from tests.kafka.on_kafka import Service
from tests.real_input.expenses import MISSING
from tests.real_input.travel import commands_of, run_embedded, travel

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)

LITTLE = datetime(2017, 4, 1, tzinfo=UTC)
PATIENCE = 600.0
"""Seconds in which a whole history is read in, taken and read back."""
PIECE = 5_000
"""Events that are sent before their answers are waited for."""


class OnBroker:
    """A runtime of histories: streams on a broker, over topics with a prefix of their own."""

    def __init__(self, broker: Cluster, prefix: str, *, spread: bool = False) -> None:
        self._broker, self._prefix, self._spread = broker, prefix, spread
        self.parked: list[str] = []

    def __call__(self, project: Folder, events: Sequence[ChangeEvent]) -> set[str]:
        """A history whose tabs are all loaded; the ids of its commands, each of which came once."""
        book = project.compile().book
        workspaces = topology_of(project, book).workspaces
        (name,) = workspaces
        service = Service(self._broker.bootstrap, self._prefix, workspaces, spread=self._spread, patience=PATIENCE)
        try:
            service.end()
            runtime = service.runtime(name)
            runtime.mark_loaded(book.read_fields, 0)
            for start in range(0, len(events), PIECE):
                runtime.append(events[start : start + PIECE])
            service.begin()
            runtime.run()
            self.parked = runtime.parked()
            found = [one.id for one in runtime.commands()]
        finally:
            service.close()
        assert len(found) == len(set(found))
        return set(found)


@pytest.mark.parametrize("until", [LITTLE, pytest.param(None, marks=pytest.mark.nightly)], ids=["little", "whole"])
def test_the_logs_give_the_same_commands_on_a_broker(
    until: datetime | None, broker: Cluster, topics: str, tmp_path: Path
) -> None:
    project = travel(tmp_path / "bpi2020", until)
    on_broker = OnBroker(broker, topics)
    assert commands_of(project, on_broker) == (found := commands_of(project, run_embedded))
    assert not on_broker.parked
    assert len(found) > (50 if until else 4_000)
