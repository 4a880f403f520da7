"""The retry budget: repeated attempts stay a tenth of the first ones, so that a storm is not answered by another."""

from schemas.values import MINUTE

SHARE = 0.1
RESERVE = 50.0
"""Repetitions that may be made before any budget was earned, and at most saved up beyond the tenth of an hour."""
MOST = 2_000.0


class RetryBudget:
    """Earned by first attempts, spent by repeated ones. When it is used up, one repetition a minute probes.

    Counted in commands, not in requests: at most 1.1 attempts per command in the long run. Times in milliseconds.
    """

    def __init__(self) -> None:
        self.left = RESERVE
        self.first = self.repeated = 0
        self._probed_at: int | None = None

    def earn(self, commands: int) -> None:
        """So many commands leave for the first time."""
        self.first += commands
        self.left = min(MOST, self.left + commands * SHARE)

    def wait(self, commands: int, now: int) -> int:
        """Milliseconds until so many commands may leave again; 0: now, and they are counted."""
        if self.left >= commands:
            self.left -= commands
        elif self._probed_at is None or now - self._probed_at >= MINUTE:
            self._probed_at = now
        else:
            return self._probed_at + MINUTE - now
        self.repeated += commands
        return 0

    def give_back(self, commands: int) -> None:
        """So many did not leave after all."""
        self.repeated -= commands
        self.left = min(MOST, self.left + commands)
