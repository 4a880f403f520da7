"""Stories of a worker on Kafka: rows, reports and offsets together; takeovers; lanes; what cannot be read."""

from collections.abc import Callable, Iterator

import pytest

from sandbox.broker.cluster import Cluster
from schemas import keys
from schemas.commands import Applied, Command
from tests.connectors.fakes import create, update
from tests.kafka.shop import Counter, Hand


@pytest.fixture
def counter(broker: Cluster, topics: str) -> Iterator[Counter]:
    made = Counter(f"kafka://{broker.bootstrap}", topics)
    yield made
    made.close()


class Stopped(BaseException):
    """The process died here."""


def planned(number: int, **more: object) -> Command:
    return create(number, journey=f"zoho:Deals/{number}", fire=f"f{number}", **more)


def test_commands_are_applied_reported_and_noted_once(counter: Counter) -> None:
    counter.put(*(planned(number) for number in range(7)))
    counter.put(update(8, "A", journey="j"), number=1)
    hand = counter.hand()
    hand.until(lambda: len(counter.crm.effects) == 8 and not any(hand.desk.waiting().values()), "all effects")
    outcomes = counter.outcomes()
    assert outcomes["c3"] == [Applied(command_id="c3", record_id="r-c3")]
    assert {name: len(told) for name, told in outcomes.items()} == {**{f"c{n}": 1 for n in range(7)}, "u8": 1}
    assert len(counter.done()) == 8
    assert [request.path for request in counter.crm.requests].count("/create") == 3, "batches of the vendor's size"


def test_reports_go_home_by_workspace_with_the_journey_in_the_key(counter: Counter) -> None:
    counter.put(planned(1), planned(2), planned(3))
    hand = counter.hand()
    hand.until(lambda: len(counter.crm.effects) == 3, "all effects")
    hand.until(lambda: not any(hand.desk.waiting().values()), "all settled")
    told = counter.read("outcomes")
    assert {one.partition.number for one in told} == {keys.home("main", "any", 2, False)}
    assert {keys.parted(one.key or b"") for one in told} == {("main", f"zoho:Deals/{n}") for n in (1, 2, 3)}


@pytest.mark.parametrize("point", ["claimed", "sent", "answered", "recorded", "settled"])
def test_a_worker_that_dies_anywhere_leaves_one_effect_and_one_report_each(counter: Counter, point: str) -> None:
    counter.put(planned(1), planned(2), update(3, "A"))
    counter.put(planned(4), number=1)

    def die(here: str) -> None:
        if here == point and (here != "claimed" or any(first.desk.waiting().values())):
            raise Stopped

    first = counter.hand(at=die)
    with pytest.raises(Stopped):
        first.until(lambda: False, "the worker dies")
    first.desk.close()  # as the broker sees it once the session is over
    second = counter.hand()
    second.until(lambda: len(counter.crm.effects) == 4 and not any(second.desk.waiting().values()), "the rest")
    second.until(second_is_at_rest(second, counter), "everything is reported")
    assert sorted(key for key, _ in counter.crm.effects) == ["c1", "c2", "c4", "u3"]
    assert {name: len(told) for name, told in counter.outcomes().items()} == {"c1": 1, "c2": 1, "u3": 1, "c4": 1}


def second_is_at_rest(hand: Hand, counter: Counter) -> Callable[[], bool]:
    return lambda: hand.desk.is_ready and len(counter.outcomes()) == 4
