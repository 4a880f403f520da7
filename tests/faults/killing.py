"""Kills of drawn processes while people go on editing; each victim is replaced at once."""

import signal
from collections import Counter
from collections.abc import Sequence
from random import Random

from tests.faults.checker import Edit
from tests.faults.nursery import Process
from tests.faults.plant import Plant

KINDS = ("streams", "connectors", "capture")


class Crew:
    """Processes of which some are always there: so many streams, workers and captures."""

    def __init__(self, plant: Plant, draw: Random, streams: int = 2, connectors: int = 2, captures: int = 1) -> None:
        self.plant, self.draw = plant, draw
        self.killed: Counter[str] = Counter()
        self._folders = {}
        plant.watch_contracts()
        members = [plant.running()[-1]]
        for number in range(streams):
            members.append(plant.start("streams", state=f"streams-{number}"))
            self._folders[members[-1].pid] = f"streams-{number}"
        members += [plant.start("connectors") for _ in range(connectors)]
        members += [plant.start("capture", "salesforce") for _ in range(captures - 1)]
        self.members = members
        plant.ready(*members)

    def kill(self, one: Process) -> None:
        """End a member at once, and start another one in its place, with the same state folder."""
        assert one.is_alive, f"{one.name} ended by itself: {one.tail()}"
        one.kill()
        assert one.ended() == -signal.SIGKILL
        self.killed[kind_of(one)] += 1
        self.members.remove(one)
        folder = self._folders.get(one.pid, "")
        made = self.plant.start(kind_of(one), *(["salesforce"] if kind_of(one) == "capture" else []), state=folder)
        if folder:
            self._folders[made.pid] = folder
        self.members.append(made)

    def kill_one(self) -> None:
        """Kill a drawn one; each kind has the same chance."""
        kind = self.draw.choice(KINDS)
        self.kill(self.draw.choice([one for one in self.members if kind_of(one) == kind]))

    def play_and_kill(self, history: Sequence[Edit], kills: int, longest: float) -> None:
        """Play a history in as many pieces as there are kills, with drawn pauses of at most ``longest`` seconds."""
        size = -(-len(history) // kills)
        for start in range(0, len(history), size):
            self.plant.play(history[start : start + size])
            self.pause(longest)
            self.kill_one()

    def pause(self, longest: float) -> None:
        """Let them work for a drawn while; it is the moment that is drawn, nothing is waited for."""
        self.plant.wait(self.draw.uniform(0, longest))


def kind_of(one: Process) -> str:
    """Which command it runs."""
    return one.name.partition("-")[2]
