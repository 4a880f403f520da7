"""A runtime with an event loop, attended until it ends: stopped by signals, its health told truthfully."""

import asyncio
import signal
from collections.abc import Callable, Iterable
from typing import Protocol

from renkei.web import Health
from streams.runner import Status

EVERY = 0.5
"""Seconds between two looks."""


class Served(Protocol):
    """Streams or agents."""

    @property
    def is_assigned(self) -> bool:
        """Whether the group has given partitions out."""
        ...

    async def run(self) -> None:
        """Serve until stopped."""
        ...

    def stop(self) -> None:
        """Ask it to end."""
        ...


class PartitionHealth:
    """Tells the health of a program how its partitions are; one that was given away is no trouble of ours."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._named: set[str] = set()

    def tell(self, statuses: Iterable[Status]) -> None:
        """Ready is what is open; all else waits, with the reason."""
        now = {f"partition {one.partition}": one for one in statuses}
        for name, one in now.items():
            if one.state == "open":
                self._health.ready(name)
            else:
                self._health.waits(name, one.problem or one.state)
        for name in self._named - set(now):
            self._health.ready(name)
        self._named = set(now)


async def attended(served: Served, health: Health, tell: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal asks to stop; alive while the loop turns, and ``tell`` is called at each look.

    Raises:
        Exception: why it cannot go on.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, served.stop)
    looking = asyncio.create_task(_look(served, health, tell))
    try:
        await served.run()
    finally:
        looking.cancel()


async def _look(served: Served, health: Health, tell: Callable[[], None]) -> None:
    while True:
        health.turn()
        if served.is_assigned:
            health.ready("start")
        tell()
        await asyncio.sleep(EVERY)
