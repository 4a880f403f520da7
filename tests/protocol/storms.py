"""Histories on the hostile runtime: calm or all at once, and a partition's history folded again."""

from random import Random
from typing import NamedTuple

from rules.book import Book
from rules.rounds import Limits
from streams.flow import Stages
from streams.hostile import Host, Hostile, Torment
from tests.protocol.books import world_book
from tests.protocol.oracle import OneStore
from tests.protocol.worlds import LAWS, World

LIMITS = Limits(fires_per_hour=1_000_000)
CHANNELS = {"webhook": "webhook"}


class Parts(NamedTuple):
    """What a story runs on; with one of them broken, some story must fail."""

    stages: Stages = Stages()
    runtime: type[Hostile] = Hostile

    def hostile(self, book: Book, torment: Torment) -> Hostile:
        """A hostile runtime whose rules may fire as often as they like."""
        return self.runtime(book, torment, limits=LIMITS, channels=CHANNELS, stages=self.stages)

    def forgetful(self) -> "Parts":
        """The same with journeys that forget at once what they do not show: somebody set the time wrong."""
        kind = type("Forgetful", (self.stages.journeys.kind,), {"floor_ttl": -1})
        journeys = type("ForgetfulJourneys", (self.stages.journeys,), {"kind": kind})
        return self._replace(stages=self.stages._replace(journeys=journeys))


def torment(seed: int) -> Torment:
    """One of the ways to be hostile: one to four partitions, both commit models, pages of one to three or plenty."""
    chance = Random(f"torment {seed}")
    return Torment(
        seed=seed,
        partitions=chance.randint(1, 4),
        crash=chance.choice([0, 0.1, 0.4]),
        duplicate=chance.choice([0, 0.4]),
        batch=chance.randint(1, 4),
        page=chance.choice([1, 2, 3, 500]),
        commit=chance.choice(["transaction", "ordered"]),
        starved=chance.random() < 0.5,
    )


def new_world(seed: int) -> World:
    """An empty world of the large book."""
    return World(seed, OneStore(world_book(), LAWS))


def storm(world: World, runtime: Hostile, changes: int = 30) -> None:
    """Everything at once: loads, markers and changes while messages are under way, captures repeated out of order."""
    chance = world.random
    runtime.append(world.loads())
    unloaded = sorted(world.oracle.book.read_fields)
    chance.shuffle(unloaded)
    for number in range(changes):
        if number % 3 == 0 and unloaded:
            runtime.mark_loaded([unloaded.pop()], world.now)
        runtime.append([world.change()])
        if chance.random() < 0.2:
            runtime.append([chance.choice(world.past)])
        for _ in range(chance.choice([0, 1, 5, 30])):
            runtime.step()
    runtime.mark_loaded(unloaded, world.now)
    runtime.run()


def calm(world: World, runtime: Hostile, changes: int = 30) -> None:
    """The loads first, then each change comes to rest before the next."""
    runtime.append(world.loads())
    runtime.mark_loaded(sorted(world.oracle.book.read_fields), world.now)
    runtime.run()
    world.oracle.fires.clear()  # what a first load finds is a baseline (D-82)
    for _ in range(changes):
        runtime.append([world.change()])
        runtime.run()


def refold(runtime: Hostile) -> Hostile:
    """Every partition's input folded once more, from nothing, one message after another, with no trouble at all."""
    quiet = Torment(partitions=runtime.torment.partitions, crash=0, duplicate=0, batch=1, page=runtime.torment.page)
    fresh = Parts().hostile(runtime.book, quiet)
    for number, host in enumerate(runtime.hosts):
        _fold_alone(fresh, fresh.hosts[number], host)
    return fresh


def _fold_alone(fresh: Hostile, host: Host, was: Host) -> None:
    host.inputs = list(was.inputs)  # with what it said to itself
    while host.position.next < len(was.inputs):
        fresh.take(host, 1)
