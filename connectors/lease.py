"""How long a claim may be relied on, by a clock that never jumps."""

import time
from collections.abc import Callable

from connectors.base import NotSent


class Lease:
    """A worker's claim on what it is about to send: it begins as the claim is made, and is asked as the request leaves.

    A process that was stopped in between finds its lease over. ``lasts`` in milliseconds, less than the time after
    which another worker looks whether the request left.
    """

    def __init__(self, lasts: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasts, self._clock = lasts / 1000, clock
        self._claimed_at: float | None = None

    def begin(self) -> None:
        """The claim is about to be made durable."""
        self._claimed_at = self._clock()

    def end(self) -> None:
        """Nothing is claimed: what leaves now is a login or a lookup, which changes nothing."""
        self._claimed_at = None

    def check(self) -> None:
        """Raises NotSent where the claim is so old that another worker may have taken over."""
        age = 0.0 if self._claimed_at is None else self._clock() - self._claimed_at
        if age > self._lasts:
            raise NotSent(f"claimed {age:.1f} s ago, which is too long: it is claimed anew")
