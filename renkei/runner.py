"""Running the parts: each in a thread of its own until told to stop, or in a row until all is at rest."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from renkei.parts import CapturePart, Clock, Part, Turned
from renkei.timetable import Wake
from schemas.values import SECOND

LONGEST_WAIT = 1 * SECOND
"""How long an idle part sleeps at most before it looks again, in milliseconds."""


def wall_clock() -> int:
    """Milliseconds since the epoch, now."""
    return time.time_ns() // 1_000_000


@runtime_checkable
class Wakeable(Protocol):
    """A part that hears of work from outside, from another thread."""

    def wake_by(self, wake: Wake) -> None:
        """Call this when there is something to do."""
        ...


class Runner:
    """Runs parts in threads, by the clock that they have. A part that fails stops all: nothing runs half."""

    def __init__(self, opening: Mapping[str, Callable[[], Part]], clock: Clock) -> None:
        self._opening, self._clock = opening, clock
        self._stop = threading.Event()
        self._woken = threading.Condition()
        self._wakes = 0
        self.failure: BaseException | None = None
        self.problems: dict[str, str] = {}
        self.parts: dict[str, Part] = {}
        """Those that are open, by name."""
        self._ready: set[str] = set()
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"renkei {name}", daemon=True) for name in opening
        ]

    def start(self) -> None:
        """Start all parts."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask all parts to end after their turn, and wait for them, nine seconds in all."""
        self.ask_to_stop()
        self._wake()
        deadline = time.monotonic() + 9
        for thread in self._threads:
            thread.join(timeout=max(0.1, deadline - time.monotonic()))

    def ask_to_stop(self) -> None:
        """Ask all parts to end after their turn."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the parts are asked to end; true if they are."""
        return self._stop.wait(seconds)

    @property
    def is_ready(self) -> bool:
        """Whether every part has begun its work."""
        return self._ready >= set(self._opening)

    def _run(self, name: str) -> None:
        try:
            part = self.parts[name] = self._opening[name]()
            try:
                if isinstance(part, Wakeable):
                    part.wake_by(self._wake)
                while not self._stop.is_set():
                    wakes = self._wakes
                    turned = self._turn(part)
                    if getattr(part, "is_ready", True):
                        self._ready.add(name)
                    self._pause(turned, wakes)
            finally:
                part.close()
        except BaseException as error:
            self.failure = self.failure or error
            self._stop.set()
            self._wake()

    def _turn(self, part: Part) -> Turned:
        turned = part.turn(self._clock())
        if turned.problem:
            self.problems[part.name] = turned.problem
        else:
            self.problems.pop(part.name, None)
        if turned.busy:
            self._wake()
        return turned

    def _pause(self, turned: Turned, wakes: int) -> None:
        """Sleep until the next turn is due, unless somebody woke the parts since this one began."""
        if turned.busy or self._stop.is_set():
            return
        wait = LONGEST_WAIT if turned.next_at is None else min(LONGEST_WAIT, max(0, turned.next_at - self._clock()))
        with self._woken:
            if self._wakes == wakes:
                self._woken.wait(wait / 1000)

    def _wake(self) -> None:
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()


def settle(
    parts: Sequence[Part], clock: Clock, *, most: int = 1_000_000, tell: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """Turn the parts in a row until none has anything left to do now; what was wrong at the end, by part.

    Raises:
        RuntimeError: they do not come to rest.
    """
    for _ in range(most):
        turned = {part.name: part.turn(clock()) for part in parts}
        tell()
        if any(one.busy for one in turned.values()):
            continue
        turned |= _asked_again(parts, clock)
        if not any(one.busy for one in turned.values()):
            return {name: one.problem for name, one in turned.items() if one.problem}
    raise RuntimeError("the project does not come to rest")


def _asked_again(parts: Sequence[Part], clock: Clock) -> dict[str, Turned]:
    """Poll every capture once more, whatever its interval: what was written last has to come back too."""
    captures = [part for part in parts if isinstance(part, CapturePart)]
    for capture in captures:
        capture.ask_now()
    return {capture.name: capture.turn(clock()) for capture in captures}
