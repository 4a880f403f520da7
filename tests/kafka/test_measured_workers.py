"""What is scraped of a worker: what waits by lane, what was put aside, and whether its connection answers."""

from collections.abc import Callable, Iterator

import pytest

from connectors.base import NotSent, Request, Response
from connectors.waves import Threads
from renkei.kafka_parts import KafkaWorkerPart
from renkei.observing import observed
from renkei.runner import Runner
from sandbox.broker.cluster import Cluster
from tests.connectors.fakes import update
from tests.kafka.shop import Counter, until
from tests.lag.scraping import scraped


@pytest.fixture
def counter(broker: Cluster, topics: str) -> Iterator[Counter]:
    made = Counter(f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


def away(request: Request) -> Response:
    raise NotSent("the CRM is away")


def test_what_waits_and_what_was_put_aside_is_measured(counter: Counter) -> None:
    counter.put(*(update(number, f"L{number}") for number in range(3)))
    counter.put(*(update(number, f"B{number}") for number in range(10, 15)), lane="commands.toy.bulk")
    counter.put_raw(b"main\x1fA", b"not a command")
    hand = counter.hand(crm=away)
    part = KafkaWorkerPart("toy", hand.worker, hand.desk, hand.limiter, Threads(1))
    runner = Runner({part.name: lambda: part}, hand.clock)
    with observed("127.0.0.1", 0) as seen:

        def shows(name: str, value: float, **labels: str) -> Callable[[], bool]:
            def is_shown() -> bool:
                seen.look(runner)
                return scraped(seen.meter.registry)(name, **labels) == value

            return is_shown

        runner.start()
        try:
            until(shows("renkei_commands_waiting", 3, connection="toy", lane="live"), "the live ones")
            until(shows("renkei_commands_waiting", 5, connection="toy", lane="bulk"), "the bulk ones")
            until(shows("renkei_parked_total", 1, topic="commands.toy"), "the one that is no command")
            until(shows("renkei_connection_up", 0, connection="toy"), "that it is away")
            assert shows("renkei_parked_total", 0, topic="commands.toy.bulk")()
        finally:
            runner.stop()
