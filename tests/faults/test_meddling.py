"""What others do to the broker: messages that nobody can read, offsets set by hand, more partitions."""

import signal

import pytest

from schemas import keys, topics
from schemas.events import ChangeEvent
from schemas.framing import FINGERPRINT
from tests.faults.checker import DEALS
from tests.faults.forging import add_partitions, forged, move_offsets
from tests.faults.plant import Plant
from tests.faults.project import deal_id, history

pytestmark = pytest.mark.installation

DEAL = keys.in_workspace("main", deal_id(1))
_, VALUE, HEADERS = forged(ChangeEvent(
    tab=f"zoho:{DEALS}", record_id=deal_id(1), op="update", after={}, committed_at=1, seen_at=1, source_position=1,
))  # fmt: skip
POISON = {
    "no schema named": (DEAL, b"\xff\xfe?", []),
    "unknown schema": (DEAL, VALUE, [(FINGERPRINT, b"\x01\x02\x03\x04\x05\x06\x07\x08")]),
    "unknown registry id": (DEAL, b"\x00\x00\x00\x00\x07" + VALUE, []),
    "damaged": (DEAL, VALUE[: len(VALUE) // 2], HEADERS),
    "no workspace": (b"17", VALUE, HEADERS),
    "foreign workspace": (keys.in_workspace("elsewhere", deal_id(1)), VALUE, HEADERS),
    "not UTF-8": (b"main\x1f\xff\xfe", VALUE, HEADERS),
    "no key": (None, VALUE, HEADERS),
    "no value": (DEAL, None, HEADERS),
    "large": (DEAL, b"\xff" * 500_000, HEADERS),
}
TOPICS = [topics.changes("zoho:Deals"), topics.OUTCOMES, topics.JOURNEYS, topics.RELATIONS, topics.commands("vtiger")]


def test_messages_that_nobody_can_read_are_set_aside_and_the_rest_goes_on(plant: Plant) -> None:
    """Fault matrix row 23: on every topic that is read."""
    plant.watch_contracts()
    plant.start("streams")
    plant.start("connectors")
    plant.play(history(20, 80, seed=1))
    for topic in TOPICS:
        for key, value, headers in POISON.values():
            plant.put(topic, key, value, headers, number=1)
    plant.play(history(20, 80, seed=2, first=20))
    found = plant.rest(parked=len(TOPICS) * len(POISON))
    assert found.expected > 5
    notes = plant.parked()
    assert {one["topic"].removeprefix(plant.prefix) for one in notes} == set(TOPICS)
    assert all(one["why"] and one["how"] for one in notes)


def test_offsets_that_are_set_by_hand_change_nothing(plant: Plant) -> None:
    """Positions of streams are in their state; what workers take again is in their ledger as done."""
    plant.watch_contracts()
    plant.start("streams", state="s")
    plant.start("connectors")
    plant.play(history(30, 120, seed=1))
    plant.rest()
    for one in plant.started[1:]:
        one.send(signal.SIGTERM)
        assert one.ended() == 0
    numbers = range(plant.partitions)
    read = [topics.changes("zoho:Deals"), topics.changes("salesforce:Contract"), topics.RELATIONS, topics.JOURNEYS]
    move_offsets(plant, "renkei", {(topic, number): 0 for topic in read[:2] for number in numbers})
    move_offsets(plant, "renkei", {(topic, number): 10**6 for topic in read[2:] for number in numbers})
    for kind in ("zoho", "vtiger"):
        lanes = {(topics.commands(kind), number): 0 for number in numbers}
        move_offsets(plant, f"renkei.connectors.{kind}", lanes)
    plant.start("streams", state="s")
    plant.start("connectors")
    plant.play(history(30, 120, seed=2, first=30))
    assert plant.rest().expected > 10


@pytest.mark.parametrize("topic", [topics.changes("zoho:Deals"), topics.state(topics.FLOW)])
def test_another_partition_count_is_refused_with_what_to_do(plant: Plant, topic: str) -> None:
    """Fault matrix row 48: keys would part from their state."""
    add_partitions(plant, topic, plant.partitions + 1)
    one = plant.start("streams")
    assert one.ended() == 1
    said = one.said()
    assert f"topic {plant.prefix}{topic} has 5 partitions, and the project says 4" in said
    assert "partitions: 5" in said
    assert "Traceback" not in said


@pytest.mark.fault
def test_more_partitions_while_it_runs_end_it_with_words(plant: Plant) -> None:
    plant.watch_contracts()
    one, worker = plant.start("streams"), plant.start("connectors")
    plant.ready(one, worker)
    plant.play(history(20, 80, seed=1))
    plant.rest()
    add_partitions(plant, topics.changes("zoho:Deals"), plant.partitions + 1)
    assert one.ended(90) == 1  # it looks at the topics every half a minute
    assert "partitions" in one.said()
    assert "Traceback" not in one.said()
