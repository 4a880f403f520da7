"""How fast and how many at once: a token bucket and slots, on a clock that is handed in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from connectors.base import Limits

_MINUTE = 60_000


class Limiter:
    """Keeps a connection within its limits; shared by the threads that work on it. Times in milliseconds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._full = self._burst = max(1.0, (limits.per_minute or 60) / 6)
        self._at: int | None = None
        self._paused_until = 0
        self._busy = 0
        self._share = 1.0

    @contextmanager
    def slot(self, now: int) -> Iterator[int]:
        """The right to send one request inside the block: 0, or the milliseconds to wait before asking again."""
        wait = self._enter(now)
        try:
            yield wait
        finally:
            if wait == 0:
                self._leave()

    def pause(self, until: int) -> None:
        """Nobody sends before this time: the vendor asked for a rest, or is not there."""
        with self._lock:
            self._paused_until = max(self._paused_until, until)

    def share(self, part: float) -> None:
        """Use only this part of the limit: others, who work on the same connection, use the rest."""
        with self._lock:
            self._share = part

    def spare(self, now: int) -> bool:
        """Whether more is left than is kept back for what must not wait: a quarter of a burst."""
        with self._lock:
            self._refill(now)
            return not self._limits.per_minute or self._full >= min(self._burst, 1 + self._burst / 4)

    def _enter(self, now: int) -> int:
        with self._lock:
            wait = self._wait(now)
            if wait == 0:
                self._busy += 1
                self._full -= 1 if self._limits.per_minute else 0
            return wait

    def _leave(self) -> None:
        with self._lock:
            self._busy -= 1

    def _wait(self, now: int) -> int:
        self._refill(now)
        if now < self._paused_until:
            return self._paused_until - now
        if self._busy >= self._limits.at_once:
            return 50
        if not self._limits.per_minute or self._full >= 1:
            return 0
        return int((1 - self._full) * _MINUTE / (self._limits.per_minute * max(self._share, 0.01))) + 1

    def _refill(self, now: int) -> None:
        rate = (self._limits.per_minute or 0) * self._share / _MINUTE
        elapsed = max(0, now - self._at) if self._at is not None else 0  # a clock that jumps back adds nothing
        self._full = min(self._burst, self._full + elapsed * rate)
        self._at = now
