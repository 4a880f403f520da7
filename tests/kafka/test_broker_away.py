"""A broker that stops answering in the middle of a commit: nobody knows what became of it, so it is read."""

from collections.abc import Iterator

import pytest

from connectors.kafka_io import BrokerAway
from sandbox.broker.cluster import Cluster
from schemas.commands import Applied
from tests.connectors.fakes import create
from tests.kafka.shop import Counter

pytestmark = pytest.mark.installation


@pytest.fixture
def counter(own: Cluster) -> Iterator[Counter]:
    made = Counter(f"kafka://{own.bootstrap}", "away.")
    yield made
    made.close()


def test_a_report_whose_commit_is_not_answered_is_read_again_and_made_once(own: Cluster, counter: Counter) -> None:
    """Fault matrix row 19: the producer is thrown away, and what it may have written is found out."""
    counter.put(create(1, journey="j"), create(2, journey="j"))
    seen: list[str] = []

    def freeze(point: str) -> None:
        seen.append(point)
        if seen.count("answered") == 1 and point == "answered":
            own.node(1).pause()

    hand = counter.hand(at=freeze)
    hand.until(lambda: any(isinstance(one, BrokerAway) for one in hand.troubles), "the broker is away", seconds=60)
    own.node(1).resume()
    hand.until(lambda: len(counter.outcomes()) == 2, "both reports", seconds=90)
    assert sorted(key for key, _ in counter.crm.effects) == ["c1", "c2"]
    assert {len(told) for told in counter.outcomes().values()} == {1}
    assert all(isinstance(told[0], Applied) for told in counter.outcomes().values())
    hand.until(lambda: counter.committed() == 2, "the offsets")
