"""A CRM's budget of API calls over a rolling day."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.clock import Clock
from schemas.values import DAY


class Quota:
    """So many credits in any 24 hours; ``limit`` may be changed while the CRM runs."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: deque[tuple[int, int]] = deque()
        self._sum = 0

    def spend(self, credits_: int = 1) -> bool:
        """Take credits; false, and nothing taken, when they do not suffice."""
        with self._lock:
            self._forget_yesterday()
            if self._sum + credits_ > self.limit:
                return False
            self._spent.append((self._clock.now(), credits_))
            self._sum += credits_
            return True

    def used(self) -> int:
        """Credits taken within the last 24 hours."""
        with self._lock:
            self._forget_yesterday()
            return self._sum

    @contextmanager
    def exhausted(self) -> Iterator[None]:
        """Nothing is left within the block."""
        kept, self.limit = self.limit, 0
        try:
            yield
        finally:
            self.limit = kept

    def _forget_yesterday(self) -> None:
        start = self._clock.now() - DAY
        while self._spent and self._spent[0][0] <= start:
            self._sum -= self._spent.popleft()[1]
