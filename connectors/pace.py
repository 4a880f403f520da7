"""How fast and how many at once: a token bucket per minute, and a concurrency that the CRM's own answers set."""

from schemas.values import MINUTE

_SLOW = 2.0
"""An answer that takes this many times as long as the fastest of its kind tells of a queue at the CRM."""
LEAST = 0.01
"""The part of a limit that even somebody has whose share of the work is none."""
_GRACE = 0.05
"""Seconds by which answers differ without any queue."""


class Bucket:
    """Requests per minute, with a burst of ten seconds; no rate: no limit. Times in milliseconds.

    ``share`` is the part of the rate that is ours, where others work on the same connection.
    """

    def __init__(self, per_minute: int | None) -> None:
        self.share = 1.0
        self._at: int | None = None
        self._rate(per_minute)
        self._full = self.burst

    def _rate(self, per_minute: int | None) -> None:
        self.per_minute = per_minute
        self.burst = max(1.0, (per_minute or 60) / 6)

    def wait(self, now: int, amount: float = 1.0) -> int:
        """Milliseconds until so much is there; 0: now."""
        self._refill(now)
        if not self.per_minute or self._full >= amount:
            return 0
        return int((amount - self._full) * MINUTE / (self.per_minute * max(self.share, LEAST))) + 1

    def take(self, now: int) -> None:
        """One request leaves."""
        self._refill(now)
        self._full -= 1 if self.per_minute else 0

    def kept_back(self) -> float:
        """What must be there before those take who may wait: a quarter of a burst stays for those who may not."""
        return min(self.burst, 1 + self.burst / 4)

    def left(self, now: int) -> float:
        """Requests that may leave at once."""
        self._refill(now)
        return self._full

    def hear(self, left: int, most: int | None, now: int) -> None:
        """The CRM's own count wins where it is the smaller one."""
        if most and (self.per_minute is None or most < self.per_minute):
            self._rate(most)
        self._refill(now)
        self._full = min(self._full, left)

    def _refill(self, now: int) -> None:
        rate = (self.per_minute or 0) * self.share / MINUTE
        elapsed = max(0, now - self._at) if self._at is not None else 0  # a clock that jumps back adds nothing
        self._full = min(self.burst, self._full + elapsed * rate)
        self._at = now


class Concurrency:
    """Requests at once, between one and ``most``: a step more while all goes well, a part less on trouble (AIMD)."""

    def __init__(self, most: int) -> None:
        self.most = self._allowed = max(1, most)
        self.size = float(self.most)
        self.busy = 0
        self._fastest: dict[int, float] = {}
        self._rest = 0
        """Answers that were asked for before the last cut, and say nothing of what came of it."""

    @property
    def room(self) -> int:
        """How many more may be under way."""
        return int(self.size) - self.busy

    def share(self, part: float) -> None:
        """Others use the rest of what the CRM allows."""
        self.most = max(1, round(self._allowed * part))
        self.size = min(self.size, float(self.most))

    def answered(self, seconds: float, rows: int = 1) -> None:
        """A request of so many rows was answered after so long."""
        kind = rows.bit_length()
        fastest = self._fastest[kind] = min(seconds, self._fastest.get(kind, seconds) * 1.01)
        self._rest -= self._rest > 0
        if seconds > _SLOW * fastest + _GRACE:
            self._cut(0.9)
        elif self.busy >= int(self.size):  # only who uses all of it learns whether more would do
            self.size = min(float(self.most), self.size + 1 / self.size)

    def refused(self) -> None:
        """The CRM had no room for a request."""
        self._cut(0.5)

    def _cut(self, part: float) -> None:
        if self._rest == 0:
            self.size = max(1.0, self.size * part)
            self._rest = max(1, self.busy)
