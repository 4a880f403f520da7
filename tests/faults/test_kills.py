"""kill -9 of streams, workers and captures, at drawn moments and at each named point: nothing is lost or done twice."""

import json
import signal
import time
from random import Random

import pytest

from sandbox.broker.cluster import Cluster
from schemas import topics
from tests.faults.conftest import MakePlant
from tests.faults.killing import Crew
from tests.faults.project import history


@pytest.mark.parametrize("spread", [True, pytest.param(False, marks=pytest.mark.fault)], ids=["spread", "fused"])
def test_killed_at_drawn_moments_nothing_is_lost_and_nothing_done_twice(
    make_plant: MakePlant, broker: Cluster, spread: bool
) -> None:
    """Fault matrix rows 2 to 7."""
    plant = make_plant(f"kafka://{broker.bootstrap}", spread=spread)
    crew = Crew(plant, Random(2026))
    crew.play_and_kill(history(60, 900, seed=1), kills=9, longest=0.8)
    found = plant.rest()
    assert found.expected > 5
    assert sum(crew.killed.values()) >= 9


POINTS = {
    "streams": ["consumed:2", "outputs_sent:2", "committed:2"],
    "connectors": ["claimed", "sent", "answered", "recorded", "settled"],
    "capture": ["polled:2", "produced:2", "committed:2"],
}


@pytest.mark.parametrize("kind", ["streams", "connectors", pytest.param("capture", marks=pytest.mark.fault)])
def test_killed_at_each_point_one_after_another(make_plant: MakePlant, broker: Cluster, kind: str) -> None:
    """Fault matrix rows 2 to 7: at every step between reading and settling."""
    plant = make_plant(f"kafka://{broker.bootstrap}")
    plant.watch_contracts()
    others = [plant.start(one) for one in POINTS if one not in {kind, "capture"}]
    plant.ready(*others)
    if kind == "capture":
        plant.started[0].kill()
    for number, point in enumerate(POINTS[kind]):
        victim = plant.start(kind, *(["salesforce"] if kind == "capture" else []), state="same", RENKEI_KILL_AT=point)
        plant.play(history(15, 60, seed=number, first=number * 15))
        assert victim.ended(120) == -signal.SIGKILL
    plant.start(kind, *(["salesforce"] if kind == "capture" else []), state="same")
    assert plant.rest().expected > 5


@pytest.mark.fault
@pytest.mark.parametrize("spread", [True, False], ids=["spread", "fused"])
def test_two_hundred_kills_over_fifty_thousand_changes(make_plant: MakePlant, broker: Cluster, spread: bool) -> None:
    """The promise of the ledger: commands lost 0, effects twice 0, final state that of the model."""
    started = time.monotonic()
    plant = make_plant(f"kafka://{broker.bootstrap}", spread=spread)
    crew = Crew(plant, Random(50_000), captures=2)
    crew.play_and_kill(history(5_000, 58_000, seed=7), kills=200, longest=2.0)
    found = plant.rest(1_800)
    line = {
        "run": "kills", "spread": spread, "kills": dict(crew.killed), "changes_fed": plant.fed,
        "changes_captured": len(plant.read(topics.changes("salesforce:Contract"))),
        "commands": len(plant.commands()), **found.counts(), "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    print("\n" + json.dumps(line))
    assert plant.fed >= 50_000
    assert sum(crew.killed.values()) >= 200
