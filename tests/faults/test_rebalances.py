"""Streams and workers join and leave all the time, in the middle of batches."""

import signal
from random import Random

import pytest

from tests.faults.plant import Plant
from tests.faults.project import history

pytestmark = pytest.mark.installation


def _come_and_go(plant: Plant, rounds: int, edits: int, longest: float) -> None:
    draw = Random(13)
    plant.watch_contracts()
    plant.start("streams")
    plant.start("connectors")
    guests = [plant.start(kind, state=f"guest-{kind}") for kind in ("streams", "connectors")]
    for number in range(rounds):
        plant.play(history(12, edits, seed=number, first=number * 12))
        plant.wait(draw.uniform(0.2, longest))
        leaving = guests.pop(0)
        leaving.send(signal.SIGTERM)
        # Who is asked before it has begun to work is ended by the signal itself.
        assert leaving.ended() in {0, -signal.SIGTERM}, leaving.tail()
        kind = leaving.name.partition("-")[2]
        guests.append(plant.start(kind, state=f"guest-{kind}"))


def test_members_come_and_go_in_the_middle_of_batches(plant: Plant) -> None:
    """Fault matrix rows 13 to 15."""
    _come_and_go(plant, rounds=6, edits=150, longest=1.5)
    assert plant.rest().expected > 5


@pytest.mark.fault
def test_members_come_and_go_for_minutes(plant: Plant) -> None:
    _come_and_go(plant, rounds=60, edits=300, longest=4)
    assert plant.rest(600).expected > 100
