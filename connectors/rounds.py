"""One turn of a worker: what it did, and until when there is nothing to do."""

from typing import assert_never

import msgspec

from schemas.commands import Applied, Outcome, Rejected, RetryLater, Uncertain


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn did, and until when there is nothing to do (none: until a command comes)."""

    applied: int = 0
    rejected: int = 0
    retried: int = 0
    unknown: int = 0
    idle_until: int | None = None
    problem: str = ""
    """Why the connection cannot be used at present; empty where it can."""


class Round:
    """The tally of one turn."""

    def __init__(self, now: int) -> None:
        self.now = now
        self.applied = self.rejected = self.retried = self.unknown = 0
        self.idle_until: int | None = None
        self.problem = ""
        self.behind = False
        """Whether a command waits for another one of its record."""
        self.is_over = False
        """Whether the connection can be used no further in this turn."""

    def ended(self) -> int:
        """How many commands were settled."""
        return self.applied + self.rejected + self.unknown

    def wake(self, at: int) -> None:
        """There is something to do at this time."""
        self.idle_until = at if self.idle_until is None else min(self.idle_until, at)

    def stop(self, at: int, problem: str = "") -> None:
        """The connection can be used again at this time, not before."""
        self.wake(at)
        self.is_over = True
        self.problem = problem or self.problem

    def count(self, outcome: Outcome) -> None:
        """One command came to this."""
        match outcome:
            case Applied():
                self.applied += 1
            case Rejected():
                self.rejected += 1
            case Uncertain():
                self.unknown += 1
            case RetryLater():
                self.retried += 1
            case _:
                assert_never(outcome)

    def turn(self) -> Turn:
        """The turn as it is told."""
        return Turn(
            applied=self.applied, rejected=self.rejected, retried=self.retried, unknown=self.unknown,
            idle_until=self.idle_until, problem=self.problem,
        )  # fmt: skip
