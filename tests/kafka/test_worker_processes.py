"""``renkei connectors`` as processes: killed, suspended, shared, stopped. One effect each, always."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.broker.cluster import Cluster
from sandbox.server import Sandbox
from tests.kafka.project import OnKafka, until

pytestmark = pytest.mark.installation


@pytest.fixture
def there(tmp_path: Path, broker: Cluster, topics: str) -> Iterator[OnKafka]:
    with Sandbox() as sandbox:
        made = OnKafka(tmp_path, sandbox, f"kafka://{broker.bootstrap}", topics)
        yield made
        made.close()


def test_commands_are_applied_and_reported_and_it_stops_when_asked(there: OnKafka) -> None:
    worker = there.start("connectors").wait_ready()
    there.plan(there.demo("a"), there.demo("北海道"))
    until(lambda: there.reports() == ["a", "北海道"], "both reports")
    assert there.effects() == ["a", "北海道"]
    worker.send(signal.SIGTERM)
    assert worker.ended(10) == 0


@pytest.mark.parametrize("point", ["claimed", "sent", "answered", "recorded", "settled"])
def test_killed_anywhere_nothing_is_lost_and_nothing_done_twice(there: OnKafka, point: str) -> None:
    """Fault matrix rows 5 to 7, by kill -9 at each point."""
    names = ["a", "b", "c"]
    there.plan(*map(there.demo, names))
    assert there.start("connectors", RENKEI_KILL_AT=point).ended() == -signal.SIGKILL
    there.start("connectors")
    until(lambda: there.reports() == names, "every report")
    assert there.effects() == names


@pytest.mark.parametrize("point", ["claimed", "sent", "answered"])
def test_a_suspended_worker_that_wakes_up_after_another_took_over_does_no_harm(there: OnKafka, point: str) -> None:
    """Fault matrix row 12: stopped past its session, before the claim, between claim and request, before the report."""
    first = there.start("connectors", RENKEI_STOP_AT=point).wait_ready()
    there.plan(there.demo("a"), there.demo("b"))
    until(first.is_stopped, "the first is suspended")
    second = there.start("connectors")
    until(lambda: there.reports() == ["a", "b"], "the second reports both")
    assert there.effects() == ["a", "b"]
    first.send(signal.SIGCONT)
    there.plan(there.demo("c"), there.demo("d"))
    until(lambda: there.reports() == ["a", "b", "c", "d"], "the group goes on")
    assert there.effects() == ["a", "b", "c", "d"]
    for one in (first, second):
        one.send(signal.SIGTERM)
        assert one.ended(10) == 0, one.lines
    assert there.effects() == ["a", "b", "c", "d"]
    assert there.reports() == ["a", "b", "c", "d"]
