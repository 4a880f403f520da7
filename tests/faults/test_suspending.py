"""A process suspended past its session wakes up after another took over: no state goes back, no second effect."""

import signal

import pytest

from tests.faults.nursery import Process
from tests.faults.plant import Plant
from tests.faults.project import history

pytestmark = pytest.mark.installation


@pytest.mark.parametrize(
    ("kind", "points"),
    [("streams", ["consumed:2", "outputs_sent:2", "committed:2"]), ("connectors", ["claimed:2", "sent", "answered"])],
    ids=["streams", "connectors"],
)
def test_one_that_wakes_up_after_another_took_over_does_no_harm(plant: Plant, kind: str, points: list[str]) -> None:
    """Fault matrix row 12: stopped at each point, also between a transaction's begin and its commit."""
    plant.watch_contracts()
    other = plant.start("connectors" if kind == "streams" else "streams")
    suspended = []
    for number, point in enumerate(points):
        suspended.append(plant.start(kind, state=f"own-{number}", RENKEI_STOP_AT=point))
        plant.play(history(15, 60, seed=3 + number, first=number * 15))
        plant.until(lambda: suspended[-1].is_stopped, f"it is suspended at {point}")
    successor = plant.start(kind)
    assert plant.rest().expected > 5
    for one in suspended:
        one.send(signal.SIGCONT)
    plant.play(history(15, 60, seed=9, first=45))
    plant.rest()
    for one in (*suspended, successor, other):
        one.send(signal.SIGTERM)
        plant.until(lambda one=one: _has_ended(one), f"{one.name} ends")  # type: ignore[misc]
        assert one.ended() == 0, one.tail()
    assert plant.rest().expected > 8


def _has_ended(one: Process) -> bool:
    """Another connection's worker in the same process may have come to the point meanwhile, and stopped it again."""
    one.send(signal.SIGCONT)
    return not one.is_alive
