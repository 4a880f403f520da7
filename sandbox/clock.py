"""The time of the practice range: the wall's, until a test sets it."""

import threading
import time


class Clock:
    """Milliseconds since the epoch; follows the wall until ``set`` or ``advance`` makes it stand still."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: int | None = None

    def now(self) -> int:
        """The present time in milliseconds."""
        with self._lock:
            return self._now()

    def set(self, at: int) -> None:
        """Stand still at a moment."""
        with self._lock:
            self._standing = at

    def advance(self, milliseconds: int) -> int:
        """Move on from now and stand still there; the new time."""
        with self._lock:
            self._standing = self._now() + milliseconds
            return self._standing

    def follow_the_wall(self) -> None:
        """Run again with the wall's clock."""
        with self._lock:
            self._standing = None

    def _now(self) -> int:
        return time.time_ns() // 1_000_000 if self._standing is None else self._standing


class Skewed(Clock):
    """Another clock's time as a CRM sees it whose own clock is wrong."""

    def __init__(self, right: Clock) -> None:
        super().__init__()
        self._right = right
        self.ahead = 0
        """By how many milliseconds; less than 0: behind."""

    def now(self) -> int:
        """The present time in milliseconds, as this clock shows it."""
        return self._right.now() + self.ahead
